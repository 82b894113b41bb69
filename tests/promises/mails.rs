//! The mails as they go over the wire, whole: headers and both bodies, held against `tests/snapshots`. `just snapshots` writes them anew;
//! read the difference before you commit it.

use std::time::Duration;

use verdicts::config::Settings;

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

/// Holds a mail against its snapshot, with what differs from run to run masked.
fn matches_snapshot(name: &str, mail: &[u8]) {
    let text = String::from_utf8(mail.to_vec())
        .expect("7 bit")
        .replace("\r\n", "\n");
    let text = unnumbered(&masked(&text));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Replaces tokens: whatever has their letters and their length, which quoted-printable never cuts.
fn masked(text: &str) -> String {
    let of_a_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(of_a_token) {
        let (head, tail) = rest.split_at(at);
        let (run, after) = tail.split_at(tail.find(|c| !of_a_token(c)).unwrap_or(tail.len()));
        out.push_str(head);
        out.push_str(if run.len() == 39 { "TOKEN" } else { run });
        rest = after;
    }
    out + rest
}

/// Without numbers and moments that are made anew each time.
fn unnumbered(text: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ ("Date" | "Message-ID"), _)) => format!("{name}: (its own)\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

const SITE: &str = "https://verdicts.example";

/// A relay, and a service that sends through it, with all that a mail can say of its sender.
async fn app_with_a_relay(adapt: impl FnOnce(&mut Settings)) -> (TestApp, SmtpSink) {
    let sink = SmtpSink::start(Script::accept_all()).await;
    let url = sink.url();
    let test_app = TestApp::open_with(TestDb::sqlite(), |settings| {
        settings.mail.transport = url.into();
        settings.mail.postal_address = Some("Ship or Skip, 1 Example Street, Exämpletown".into());
        adapt(settings);
    })
    .await;
    (test_app, sink)
}

/// One whose links lead to [`SITE`], as they would in public.
async fn public_house() -> (TestApp, SmtpSink) {
    app_with_a_relay(|settings| settings.site.base_url = SITE.parse().expect("an address")).await
}

/// Delivers what waits beside digests, and gives the newest mail: the `count`th.
async fn newest(test_app: &TestApp, sink: &SmtpSink, count: usize) -> Vec<u8> {
    test_app
        .deliver_while("a mail", async || sink.mails() == count)
        .await;
    sink.received().pop().expect("a mail").data
}

/// Returns where a link of a mail leads in the service.
fn path_in(mail: &[u8], path: &str) -> String {
    crate::journey::link(mail, path)
        .strip_prefix(SITE)
        .expect("a link of ours")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_and_a_digest_are_what_they_were() {
    let (test_app, sink) = app_with_a_relay(|settings| {
        settings.site.base_url = SITE.parse().expect("an address");
        settings.mail.reply_to = Some("Die Redaktion für alle <editors@verdicts.example>".into());
    })
    .await;
    test_app.stock_small().await;
    test_app.sign_up("ada@example.org").await;
    matches_snapshot("confirmation", &newest(&test_app, &sink, 1).await);
    test_app.seed_subscribers("reader", 1).await;
    test_app.send_digest().await;
    let digest = sink.wait_for(2, Duration::from_secs(5)).await.remove(1);
    matches_snapshot("digest", &digest.data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mails_to_somebody_who_confirmed_and_to_somebody_who_asks_again_are_what_they_were() {
    let (test_app, sink) = public_house().await;
    test_app.sign_up("ada@example.org").await;
    let confirmation = newest(&test_app, &sink, 1).await;
    test_app.post(&path_in(&confirmation, "/confirm/")).await;
    matches_snapshot("welcome", &newest(&test_app, &sink, 2).await);
    test_app.wait(chrono::TimeDelta::hours(2));
    test_app.sign_up("ada@example.org").await;
    matches_snapshot("already", &newest(&test_app, &sink, 3).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mails_about_a_readers_data_and_address_are_what_they_were() {
    let (test_app, sink) = public_house().await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 1).await;
    test_app.send_digest().await;
    let digest = sink
        .wait_for(1, Duration::from_secs(5))
        .await
        .remove(0)
        .data;
    test_app
        .post(&format!("{}/link", path_in(&digest, "/preferences/")))
        .await;
    let account = newest(&test_app, &sink, 2).await;
    matches_snapshot("account", &account);
    let fields = [("email", "ada@new.example")];
    test_app
        .post_form(
            &format!("{}/address", path_in(&account, "/account/")),
            &fields,
        )
        .await;
    let new_address = newest(&test_app, &sink, 3).await;
    matches_snapshot("new_address", &new_address);
    test_app.post(&path_in(&new_address, "/move/")).await;
    matches_snapshot("old_address", &newest(&test_app, &sink, 4).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_carry_what_mail_programs_act_on() {
    let (test_app, sink) = app_with_a_relay(|settings| {
        settings.mail.return_path = Some("Bounces <bounces@verdicts.example>".into());
        settings.mail.list_id = Some("weekly.verdicts.example".into());
        settings.site.newsletter = "Verdikte der Woche – für alle\r\nBcc: eve@example.org".into();
    })
    .await;
    test_app.stock_small().await;
    test_app
        .enlist_all("email\n\"\"\"odd one\"\"@example.org\"\nplain@example.org\n")
        .await;
    test_app.send_digest().await;
    for received in sink.wait_for(2, Duration::from_secs(5)).await {
        assert_eq!(received.from, "bounces@verdicts.example");
        let mail = mail_parser::MessageParser::default()
            .parse(&received.data)
            .expect("a mail");
        let header = |name: &str| {
            mail.header_raw(name)
                .map(|value| value.trim().to_owned())
                .unwrap_or_default()
        };
        assert!(header("List-Id").ends_with("<weekly.verdicts.example>"));
        assert!(header("List-Unsubscribe").starts_with(&format!("<{}/unsubscribe/", test_app.url)));
        assert!(
            !header("List-Unsubscribe").contains("mailto:"),
            "nobody reads that inbox"
        );
        assert_eq!(
            header("List-Unsubscribe-Post"),
            "List-Unsubscribe=One-Click"
        );
        assert_eq!(
            header("List-Archive"),
            format!("<{}/digests>", test_app.url)
        );
        assert_eq!(header("List-Help"), format!("<{}/>", test_app.url));
        assert_eq!(header("Feedback-ID"), "2026-W48:digest:verdicts-exampl");
        assert_eq!(header("Precedence"), "bulk");
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        assert_eq!(header("X-Auto-Response-Suppress"), "OOF, AutoReply");
        assert!(
            mail.body_text(0)
                .expect("a text")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains("address on 24 November 2026.")
        );
        assert!(header("Bcc").is_empty(), "no name makes a header");
        assert!(mail.body_text(0).is_some() && mail.body_html(0).is_some());
        assert!(
            received
                .data
                .split(|b| *b == b'\n')
                .all(|line| line.len() <= 999)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_delivery_has_a_return_path_and_an_address_to_leave_by_of_its_own() {
    let (test_app, sink) = app_with_a_relay(|settings| {
        settings.mail.return_path = Some("Bounces <bounces+{verp}@verdicts.example>".into())
    })
    .await;
    test_app.stock_small().await;
    test_app.sign_up("ada@example.org").await;
    test_app
        .deliver_while("the confirmation", async || sink.mails() == 1)
        .await;
    test_app.seed_subscribers("reader", 2).await;
    test_app.send_digest().await;
    let received = sink.wait_for(3, Duration::from_secs(5)).await;
    let mut seen = std::collections::HashSet::new();
    for received in &received {
        let verp = received
            .from
            .strip_prefix("bounces+")
            .and_then(|rest| rest.strip_suffix("@verdicts.example"))
            .expect("a return path");
        assert!(verp.len() == 42 && seen.insert(verp.to_owned()), "{verp}");
    }
    for received in &received[1..] {
        let mail = mail_parser::MessageParser::default()
            .parse(&received.data)
            .expect("a mail");
        let value = mail
            .header_raw("List-Unsubscribe")
            .expect("a way out")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            value.starts_with(&format!("<{}/unsubscribe/", test_app.url)),
            "{value}"
        );
        // Another address than the return path: vacation notices go there, and are no wish to leave.
        let leaving = value
            .split_once(">, <mailto:bounces+")
            .and_then(|(_, rest)| rest.strip_suffix("@verdicts.example?subject=unsubscribe>"));
        assert!(
            leaving.is_some_and(|leaving| leaving.len() == 42 && seen.insert(leaving.to_owned())),
            "{value}"
        );
    }
}

/// Comparisons of the seed's length, one for each number, in whose slugs it stands.
async fn stock_like_the_site(
    test_app: &TestApp,
    numbers: std::ops::RangeInclusive<u32>,
    day: &str,
) {
    for number in numbers {
        // The site's takes are about three times as long as ours.
        let seed = include_str!("../fixtures/seed-comparison.toml").replace(
            "take = \"\"\"",
            "take = \"\"\"A claim of its maker. And another one. ",
        );
        let (tools, _) = seed
            .split_once("[[comparisons]]")
            .expect("two tools and what they are to each other");
        let (left, right) = (format!("llama-{number}"), format!("mistral-{number}"));
        let tools = tools
            .replace("llama-4-compact-12b", &left)
            .replace("mistral-small-3-1", &right);
        let comparison = format!(
            "[[comparisons]]\nleft = \"{left}\"\nright = \"{right}\"\npublished_at = {day}T00:00:{number:02}Z\n"
        );
        test_app
            .seed_catalogue(&format!("{tools}\n{comparison}"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_comparisons_of_the_seeds_length_fit_between_15_and_32_kilobytes() {
    let test_app = TestApp::open(TestDb::sqlite()).await;
    stock_like_the_site(&test_app, 1..=5, "2026-11-23").await;
    let preview = test_app
        .app
        .preview(test_app.slot(), test_app.app.now())
        .await
        .expect("a preview");
    assert_eq!(preview.items, 5);
    let (html, text) = (&preview.rendered.html, &preview.rendered.text);
    assert!(
        (15_000..=32_000).contains(&html.len()),
        "{} bytes",
        html.len()
    );
    assert!(
        !html.contains("Also this week") && html.matches("says the").count() == 6,
        "one is told in full with two quotes, the others in brief with one each"
    );
    assert_eq!(
        preview.rendered.subject,
        "Llama 4 Compact or Mistral Small 3.1: ship either, and 4 more"
    );
    assert!(
        text.contains("Llama 4 Compact (12B): SHIP 4 to 0\n")
            && text.contains("Mistral Small 3.1: SHIP 3 to 1\n")
            && text.len() <= 12 * 1024,
        "{text}"
    );
}

on_both! {
    async fn a_digest_with_the_longest_opening_fits_too(test_db) {
        let test_app = TestApp::open(test_db).await;
        stock_like_the_site(&test_app, 1..=5, "2026-11-23").await;
        test_app.seed_subscribers("reader", 6).await;
        test_app.send_digest().await;
        for reader in 0..6 {
            let digest = test_app.mails_to(&format!("reader{reader}@example.org")).pop().expect("a digest");
            for tool in (1..=5).flat_map(|number| [format!("llama-{number}"), format!("mistral-{number}")]) {
                for path in [format!("/vote/{tool}/ship/"), format!("/save/{tool}/")] {
                    assert!(test_app.post(&crate::journey::link(&digest, &path)).await.status().is_success(), "{path}");
                }
            }
        }
        // Everybody on the panel turns round.
        let turned = include_str!("../fixtures/seed-comparison.toml").replace("verdict = \"ship\"", "verdict = \"skip\"");
        for number in 1..=5 {
            let turned = turned.replace("llama-4-compact-12b", &format!("llama-{number}")).replace("mistral-small-3-1", &format!("mistral-{number}"));
            test_app.seed_catalogue(turned.split_once("[[comparisons]]").expect("two tools").0).await;
        }
        test_app.wait(chrono::TimeDelta::days(7));
        stock_like_the_site(&test_app, 6..=10, "2026-11-30").await;
        test_app.send_digest().await;
        let digest = test_app.mails_to("reader0@example.org").pop().expect("a digest");
        let mail = mail_parser::MessageParser::default().parse(&digest).expect("a mail");
        let (html, text) = (mail.body_html(0).expect("HTML"), mail.body_text(0).expect("text"));
        let opening = text.split_once("* * *").expect("an opening").0.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((opening.matches(": Ship became Skip.").count(), opening.matches("100% of 6 ship").count()), (5, 6), "{opening}");
        assert!(opening.contains("Furthest apart on Llama 4 Compact (12B): 0% of the panel ship it, 100% of you do."), "{opening}");
        assert!(opening.contains("see what became of them: http"), "{opening}");
        assert!(html.contains("What you decided last week") && html.contains("see what became of them"), "{html}");
        assert!(html.len() <= 32 * 1024, "{} bytes", html.len());
    }
}

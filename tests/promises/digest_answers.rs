//! A digest answers first: in its subject, behind it, under its masthead, as headings, on its page and in the feed.

use chrono::TimeDelta;
use verdicts::app::issue::drafting::Changes;
use verdicts::app::issue::picking::Preview;
use verdicts::domain::actor::Actor;

use crate::support::TestApp;
use crate::support::catalogue::judged;
use crate::support::on_both;

/// Answers of the comparisons that [`stock`] seeds.
const ANSWERS: [&str; 5] = [
    "Ship Marrow (4 to 0). Skip Quillwork (4 to 1).",
    "Too close to call: Ashlar (2 to 2) or Bindle (1 to 1).",
    "Ship Dovetail (3 to 1). Too close to call on Corbel (2 to 2).",
    "Either: ship Eddy (4 to 1) or Fathom (3 to 0).",
    "Neither: skip Gantry (3 to 0) and Hasp (2 to 1).",
];

async fn stock(test_app: &TestApp) {
    let pairs = [
        [("Quillwork (7B)", (1, 4)), ("Marrow", (4, 0))],
        [("Ashlar", (2, 2)), ("Bindle", (1, 1))],
        [("Corbel", (2, 2)), ("Dovetail", (3, 1))],
        [("Eddy", (4, 1)), ("Fathom", (3, 0))],
        [("Gantry", (0, 3)), ("Hasp", (1, 2))],
    ];
    for (n, pair) in pairs.into_iter().enumerate() {
        let at = test_app.app.now() - TimeDelta::hours(n as i64 + 1);
        test_app.seed_catalogue(&judged(pair, at)).await;
    }
}

async fn preview(test_app: &TestApp) -> Preview {
    let (slot, now) = (test_app.slot(), test_app.app.now());
    test_app.app.preview(slot, now).await.expect("a preview")
}

/// The order in which a part answers: once in a row, and once more as headings.
fn order_in(part: &str) -> Vec<&'static str> {
    let mut at: Vec<(usize, &str)> = ANSWERS
        .iter()
        .flat_map(|answer| part.match_indices(answer).map(|(at, _)| (at, *answer)))
        .collect();
    at.sort_unstable();
    let answers: Vec<&str> = at.into_iter().map(|(_, answer)| answer).collect();
    let (list, headings) = answers.split_at(answers.len() / 2);
    assert!(
        answers.len() == 2 * ANSWERS.len() && list == headings,
        "{answers:?}\n{part}"
    );
    list.to_vec()
}

/// Text that is read of HTML: without elements, entities and what is hidden.
fn read(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        let (tag, words) = piece.split_once('>').unwrap_or(("", piece));
        if !tag.trim_start_matches('/').starts_with("bdi") {
            text.push(' ');
        }
        text.push_str(words);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

on_both! {
    async fn each_comparison_is_answered_in_words_wherever_the_digest_is_read(test_db) {
        let test_app = TestApp::open(test_db).await;
        stock(&test_app).await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.send_digest().await;
        let digest = test_app.mails_to("reader0@example.org").pop().expect("a digest");
        let mail = mail_parser::MessageParser::default().parse(&digest).expect("a mail");
        assert_eq!(mail.subject(), Some("Ship Marrow, skip Quillwork, and 4 more"));
        let text = mail.body_text(0).expect("text");
        assert_eq!(text.lines().next(), Some(ANSWERS[0]), "the text part begins with what stands behind the subject:\n{text}");
        let html = read(&mail.body_html(0).expect("HTML"));
        let page = read(&test_app.page(&format!("/digests/{}", test_app.slot())).await);
        let feed = read(&test_app.page("/feed.xml").await.replace("&lt;", "<").replace("&gt;", ">").replace("&#60;", "<").replace("&#62;", ">"));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Behind the line that it begins with.
        let orders = [&text[ANSWERS[0].len()..], &html[html.find("Week of").expect("a masthead")..], &page, &feed].map(order_in);
        assert!(orders.iter().all(|order| *order == orders[0] && order.starts_with(&ANSWERS[..1])), "{orders:?}");
    }

    async fn a_welcome_has_the_latest_answers_the_day_of_the_next_digest_and_the_headers_of_the_list(test_db) {
        let test_app = TestApp::open(test_db).await;
        let welcome = async |address: &str| {
            test_app.join(address).await;
            let is_there = async || test_app.mails_to(address).len() == 2;
            test_app.deliver_while("the welcome", is_there).await;
            let mail = test_app.mails_to(address).pop().expect("a welcome");
            let parsed = mail_parser::MessageParser::default().parse(&mail).expect("a mail");
            let header = |name: &str| parsed.header_raw(name).map(|value| value.trim().to_owned()).unwrap_or_default();
            assert!(header("List-Id").contains("verdicts.") && header("List-Unsubscribe").contains("/unsubscribe/"), "{parsed:?}");
            assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
            assert_eq!(header("Auto-Submitted"), "auto-generated");
            let text = parsed.body_text(0).expect("text").replace("\r\n", "\n");
            (text, read(&parsed.body_html(0).expect("HTML")))
        };
        // A Tuesday at eight; the next digest is sent at nine.
        let (text, html) = welcome("ada@example.org").await;
        for part in [&text, &html] {
            assert!(part.contains("The next one comes on Tuesday, 24 November 2026.") && part.contains("The digests so far"), "{part}");
        }
        stock(&test_app).await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.send_digest().await;
        test_app.wait(TimeDelta::hours(3));
        let (text, html) = welcome("bea@example.org").await;
        for part in [&text, &html] {
            assert!(part.contains("The next one comes on Tuesday, 1 December 2026."), "{part}");
            assert!(part.contains("of the week of 23 November 2026:") && part.contains(&format!("/digests/{}", test_app.slot())), "{part}");
            assert!(ANSWERS.iter().all(|answer| part.contains(answer)), "{part}");
        }
    }

    async fn a_subject_answers_by_what_the_week_holds_and_a_pattern_that_is_set_wins(test_db) {
        let test_app = TestApp::open(test_db).await;
        let weeks = [
            ([("Aster", (1, 3)), ("Birch", (3, 0))], "Ship Birch, skip Aster"),
            ([("Cedar", (3, 1)), ("Dogwood", (4, 1))], "Cedar or Dogwood: ship either"),
            ([("Elder", (0, 3)), ("Fir", (1, 3))], "Elder or Fir: skip both"),
            ([("Gorse", (2, 2)), ("Hazel", (1, 1))], "Gorse or Hazel: too close to call"),
        ];
        test_app.seed_subscribers("reader", 1).await;
        for (pair, subject) in weeks {
            test_app.wait(TimeDelta::days(7));
            let now = test_app.app.now();
            test_app.seed_catalogue(&judged(pair, now - TimeDelta::hours(1))).await;
            let preview = preview(&test_app).await;
            assert_eq!((preview.items, preview.rendered.subject.as_str()), (1, subject));
            assert!(preview.preheader.contains(pair[0].0) && preview.preheader.contains(pair[1].0), "both speak of one pair: {}", preview.preheader);
            test_app.send_digest().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_of_the_operator_or_of_the_issue_makes_the_subject() {
    let test_db = crate::support::TestDb::sqlite();
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.subject = "{answer} ({week}): {pair}".into()
    })
    .await;
    stock(&test_app).await;
    let subject = async || preview(&test_app).await.rendered.subject;
    assert_eq!(
        subject().await,
        "Ship Marrow, skip Quillwork (2026-W48): Quillwork (7B) or Marrow?"
    );
    let slot = test_app
        .app
        .draft_digest(&Actor::cli())
        .await
        .expect("a draft");
    let edit = async |subject: &str| {
        let changes = Changes {
            subject: Some(subject.into()),
            ..Changes::default()
        };
        let edited = test_app
            .app
            .edit_digest(&Actor::cli(), slot, &changes)
            .await;
        edited.expect("edited");
    };
    edit("auto").await;
    assert_eq!(subject().await, "Ship Marrow, skip Quillwork, and 4 more");
    edit("{count}: {answer}").await;
    assert_eq!(subject().await, "5: Ship Marrow, skip Quillwork");
}

on_both! {
    async fn a_japanese_digest_is_sent_in_base64_with_each_readers_own_links_and_in_a_message_that_is_not_clipped(test_db) {
        let test_app = TestApp::open(test_db).await;
        for n in 0..12 {
            let now = test_app.app.now();
            let names = [format!("薊A{n}号の道具"), format!("蛾B{n}号の道具")];
            let toml = judged([(&names[0], (4, 1)), (&names[1], (1, 4))], now - TimeDelta::hours(n + 1))
                .replace("is worth a ship. It says so.", &"これは毎日の仕事で本当に役に立つ道具です。".repeat(8))
                .replace("is worth a skip. It says so.", &"これは遅すぎて仕事では使えないと思います。".repeat(8))
                .replace("slug = \"", &format!("slug = \"j{n}")).replace("left = \"", &format!("left = \"j{n}")).replace("right = \"", &format!("right = \"j{n}"));
            test_app.seed_catalogue(&toml).await;
        }
        test_app.seed_subscribers("reader", 2).await;
        test_app.send_digest().await;
        let mut tokens = std::collections::HashSet::new();
        for reader in ["reader0@example.org", "reader1@example.org"] {
            let digest = test_app.mails_to(reader).pop().expect("a digest");
            assert!(digest.len() <= 102 * 1024, "{} bytes", digest.len());
            let raw = String::from_utf8_lossy(&digest).into_owned();
            assert_eq!(raw.matches("Content-Transfer-Encoding: base64").count(), 1, "the text; the HTML is mostly ASCII");
            assert!(raw.lines().all(|line| line.len() <= 78 || line.starts_with("List-")), "{raw}");
            let mail = mail_parser::MessageParser::default().parse(&digest).expect("a mail");
            let text = mail.body_text(0).expect("text");
            assert!(text.contains("薊A0号の道具") && text.contains("confirmed your address on ") && text.contains("24 November 2026."), "{text}");
            let links: Vec<&str> = text.lines().filter(|line| line.starts_with("http")).collect();
            for link in links.iter().filter(|link| link.contains("/unsubscribe/") || link.contains("/preferences/") || link.contains("/vote/")) {
                assert_eq!(test_app.get(link).await.status(), 200, "{link}");
                tokens.insert(link.rsplit('/').next().expect("a token").to_owned());
            }
        }
        assert_eq!(tokens.len(), 4, "two for each reader");
    }
}

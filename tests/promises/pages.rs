//! The public pages: what they show, what they hide, what holds for all of them.

mod not_found;

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use verdicts::app::catalogue::document::Catalogue;
use verdicts::app::catalogue::document::Format;
use verdicts::domain::actor::Actor;

use crate::joining::between;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::on_both;

/// Script, a way out of an attribute, and two languages of templates. 52 characters, for every field to hold.
const HOSTILE: &str = r#"<script>x</script>"'><i onload=x>{{7*7}}{% if %}&lt;"#;

/// A service with `catalogue`, whose one reader got this week's digest in the local mailbox.
async fn app_after_a_digest(
    test_db: TestDb,
    catalogue: impl FnOnce(verdicts::domain::Timestamp) -> String,
) -> TestApp {
    let test_app = TestApp::open(test_db).await;
    test_app
        .seed_catalogue(&catalogue(test_app.app.now()))
        .await;
    test_app.seed_subscribers("reader", 1).await;
    test_app.send_digest().await;
    assert_eq!(test_app.mails_to("reader0@example.org").len(), 1);
    test_app
}

/// The paths of every public page of a service with the comparison `t0-l-vs-t0-r` and a digest.
fn public_pages(test_app: &TestApp) -> Vec<String> {
    let fixed = [
        "/",
        "/comparisons/t0-l-vs-t0-r",
        "/tools/t0-l",
        "/tools/t0-r",
        "/digests",
        "/check-inbox",
    ];
    fixed
        .map(String::from)
        .into_iter()
        .chain([format!("/digests/{}", test_app.slot())])
        .collect()
}

/// The HTML and the text of a reader's digest.
fn digest_of(test_app: &TestApp) -> (String, String) {
    let mail = test_app
        .mails_to("reader0@example.org")
        .pop()
        .expect("a digest");
    let mail = mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail");
    (
        mail.body_html(0).expect("HTML").into_owned(),
        mail.body_text(0).expect("text").into_owned(),
    )
}

/// A catalogue of one comparison with `text` in every field that holds free text.
fn catalogue_of(text: &str, at: verdicts::domain::Timestamp) -> Catalogue {
    let review = |reviewer| serde_json::json!({ "reviewer": reviewer, "score": 50, "verdict": "ship", "take": text });
    let tool = |slug| {
        serde_json::json!({
            "slug": slug, "name": text, "category": text, "tagline": text, "description": text, "pricing": text, "entry_price": text,
            "url": "https://example.com/\"onclick='x'<script>", "published_at": at, "reviews": [review("Builder"), review("Creator")],
        })
    };
    let comparison = serde_json::json!({ "left": "t0-l", "right": "t0-r", "published_at": at });
    let document =
        serde_json::json!({ "tools": [tool("t0-l"), tool("t0-r")], "comparisons": [comparison] });
    Catalogue::parse(&document.to_string(), Format::Json).expect("a catalogue")
}

/// Checks that no text of the catalogue became markup.
fn assert_tame(what: &str, html: &str) {
    let html = &html
        .replace("<script src=\"/assets/", "")
        .replace("<script type=\"application/ld+json\">", "");
    for wild in ["<script", "<i onload", "49{", "\"onclick", "'x'<"] {
        assert!(!html.contains(wild), "{what} has {wild}: {html}");
    }
}

/// Checks that XML's tags are closed in order, its entities are known and its characters allowed; gives the texts between.
fn well_formed(xml: &str) -> Result<Vec<String>, String> {
    let body = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>")
        .ok_or("no declaration")?;
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    let mut pieces = body.split('<');
    let before = pieces.next().unwrap_or_default();
    if !before.trim().is_empty() || body.contains(|c: char| c.is_control() && !"\t\r\n".contains(c))
    {
        return Err("stray text or a control character".into());
    }
    for piece in pieces {
        let (tag, text) = piece.split_once('>').ok_or("a tag without an end")?;
        let name = tag
            .split([' ', '/'])
            .find(|name| !name.is_empty())
            .ok_or("a tag without a name")?;
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) if open.pop() != Some(name) => {
                return Err(format!("</{name}> closes another"));
            }
            (false, false) => open.push(name),
            _ => {}
        }
        if tag.matches('"').count() % 2 == 1 || open.is_empty() && !text.trim().is_empty() {
            return Err(format!("an open quote in <{tag}>, or text after the end"));
        }
        for entity in piece.split('&').skip(1) {
            let name = entity.split_once(';').ok_or("a bare &")?.0;
            if !matches!(name, "amp" | "lt" | "gt" | "quot" | "apos") && !name.starts_with('#') {
                return Err(format!("&{name}; is not XML's"));
            }
        }
        texts.push(crate::joining::unescaped(text));
    }
    if open.is_empty() {
        Ok(texts)
    } else {
        Err(format!("{open:?} stay open"))
    }
}

#[test]
fn the_check_for_well_formed_xml_can_fail() {
    let check = |body: &str| {
        well_formed(&format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{body}"
        ))
    };
    assert_eq!(
        check("<a b=\"c\"><d/>x &amp; y</a>")
            .expect("good")
            .last()
            .map(String::as_str),
        Some("")
    );
    for bad in [
        "<a>",
        "<a></b>",
        "<a>&nbsp;</a>",
        "<a>& b</a>",
        "<a>\u{1}</a>",
        "<a b=\"></a>",
        "<a></a>x",
        "</a>",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}

on_both! {
    async fn the_front_lists_the_latest_and_has_a_form_with_a_label(test_db) {
        let test_app = TestApp::open(test_db).await;
        assert!(test_app.page("/").await.contains("None yet"), "an empty house has a front too");
        test_app.seed_catalogue(&catalogue::small(14, test_app.app.now())).await;
        let page = test_app.page("/").await;
        let listed: Vec<usize> = (0..14).filter_map(|n| page.find(&format!("/comparisons/t{n}-l-vs-t{n}-r\""))).collect();
        assert!(listed.len() == 12 && listed.is_sorted(), "the latest twelve, newest first: {listed:?}");
        let form = between(&page, "<form", "</form>");
        assert!(form.contains("method=\"post\" action=\"/subscribe\""));
        assert!(form.contains("<label for=\"email\">") && form.contains("<input id=\"email\" name=\"email\""), "{form}");
    }

    async fn a_comparison_shows_both_tools_their_verdicts_and_every_reviewer(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        let page = test_app.page("/comparisons/t0-l-vs-t0-r").await;
        for shown in [
            "Tool t0 l",
            "Tool t0 r",
            "Split · 1 ship / 1 skip",
            "Ship · 2 ship / 0 skip",
            "No panel take",
            "Nobody measured t0.",
            "<b>80</b>",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        for reviewer in ["Builder", "Skeptic", "Futurist", "Founder", "Creator"] {
            assert!(page.contains(&format!("<th scope=\"row\">{reviewer}</th>")), "{reviewer}");
        }
        assert!(test_app.page("/tools/t0-l").await.contains("/comparisons/t0-l-vs-t0-r\""));
    }

    async fn a_comparison_leads_on_to_those_of_its_tools_and_then_of_its_category(test_db) {
        let test_app = TestApp::open(test_db).await;
        let now = test_app.app.now();
        test_app.seed_catalogue(&catalogue::small(4, now)).await;
        let again = |left: &str, right: &str, hours| {
            let at = (now - TimeDelta::hours(hours)).to_rfc3339();
            format!("[[comparisons]]\nleft = \"{left}\"\nright = \"{right}\"\npublished_at = {at}\n")
        };
        test_app.seed_catalogue(&(again("t1-l", "t0-r", 50) + &again("t2-l", "t3-r", 60))).await;
        let related = async |path: &str| -> Vec<String> {
            let page = test_app.page(path).await;
            let Some((_, rest)) = page.split_once("Related comparisons") else { return Vec::new() };
            rest.split("href=\"/comparisons/").skip(1).filter_map(|rest| rest.split('"').next()).map(String::from).collect()
        };
        // t0 and t3 are of one category.
        assert_eq!(related("/comparisons/t0-l-vs-t0-r").await, ["t1-l-vs-t0-r", "t3-l-vs-t3-r", "t2-l-vs-t3-r"]);
        assert_eq!(related("/comparisons/t2-l-vs-t2-r").await, ["t2-l-vs-t3-r"], "and never itself");
        assert!(test_app.page("/tools/t3-r").await.contains("/comparisons/t2-l-vs-t3-r\"") );
    }

    async fn a_comparison_has_a_picture_that_is_another_once_the_panel_says_otherwise(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        let page = test_app.page("/comparisons/t0-l-vs-t0-r").await;
        let shown = format!("{}/comparisons/t0-l-vs-t0-r/picture.png", test_app.url);
        assert_eq!(between(&page, "<meta property=\"og:image\" content=\"", "\""), shown);
        let path = "/comparisons/t0-l-vs-t0-r/picture.png";
        let ask = async |tag: &str| test_app.request(Method::GET, path).header("if-none-match", tag).send().await.expect("an answer");
        let first = ask("").await;
        let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!((first.status(), header(&first, "content-type").as_str()), (StatusCode::OK, "image/png"));
        assert_eq!(header(&first, "cache-control"), "public, max-age=3600");
        let tag = header(&first, "etag");
        let png = first.bytes().await.expect("a picture");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
            let again = ask(&known).await;
            assert_eq!((again.status(), header(&again, "etag")), (StatusCode::NOT_MODIFIED, tag.clone()), "{known}");
            assert!(again.bytes().await.expect("nothing").is_empty());
        }
        assert_eq!(ask("\"x\"").await.bytes().await.expect("a picture"), png, "the same for everybody");

        test_app.seed_catalogue(&catalogue::small(1, test_app.app.now()).replace("verdict = \"skip\"", "verdict = \"ship\"")).await;
        let later = ask(&tag).await;
        assert_eq!(later.status(), StatusCode::OK);
        assert!(header(&later, "etag") != tag && later.bytes().await.expect("a picture") != png);
        for path in ["/comparisons/none/picture.png", "/comparisons/No/picture.png"] {
            assert_eq!(test_app.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    async fn no_text_of_a_catalogue_becomes_markup_or_a_template(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.app.import_catalogue(&Actor::cli(), &catalogue_of(HOSTILE, test_app.app.now() - TimeDelta::hours(1))).await.expect("imported");
        test_app.seed_subscribers("reader", 1).await;
        test_app.send_digest().await;
        for path in public_pages(&test_app) {
            let page = test_app.page(&path).await;
            assert_tame(&path, &page);
            assert!(path == "/check-inbox" || page.contains("{{7*7}}{% if %}&#38;lt;"), "{path} shows the text as it is");
        }
        let (html, text) = digest_of(&test_app);
        assert_tame("the mail", &html);
        assert!(html.contains("{{7*7}}") && text.contains("{{7*7}}"));
        let mailbox = test_app.page("/mailbox").await;
        let mail = format!("/mailbox/{}", between(&mailbox, "href=\"/mailbox/", "\""));
        for page in [mailbox, test_app.page(&mail).await, test_app.page(&format!("{mail}/html")).await] {
            assert_tame("the mailbox", &page);
        }
        let texts = well_formed(&test_app.page("/feed.xml").await).expect("well-formed");
        assert!(texts.iter().any(|text| text.contains("{{7*7}}")));
        texts.iter().for_each(|text| assert_tame("the feed", text));
    }

    async fn a_digest_stays_as_it_was_sent_whatever_becomes_of_the_catalogue(test_db) {
        let test_app = app_after_a_digest(test_db, |now| catalogue::small(2, now)).await;
        let digest = format!("/digests/{}", test_app.slot());
        let everywhere = async || (test_app.page("/digests").await, test_app.page(&digest).await, test_app.page("/feed.xml").await);
        let before = everywhere().await;
        for page in [&before.0, &before.1, &before.2] {
            assert!(page.contains("Tool t0 l") && page.contains("Tool t1 r"), "{page}");
        }
        assert!(
            before.0.contains(&digest) && well_formed(&before.2).is_ok() && before.2.contains(&format!("<id>{}{digest}</id>", test_app.url))
        );
        test_app.seed_catalogue(&catalogue::small(2, test_app.app.now()).replace("Tool t", "Renamed t").replace("score = 80", "score = 1")).await;
        assert!(test_app.page("/comparisons/t0-l-vs-t0-r").await.contains("Renamed t0 l"));
        assert_eq!(everywhere().await, before);
    }

    async fn a_digest_that_was_only_picked_is_not_shown(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.wait(TimeDelta::minutes(45));
        test_app.app.tick().await.expect("a tick");
        assert!(test_app.app.storage.digest(test_app.slot()).await.expect("an answer").is_some(), "it is picked");
        assert_eq!(test_app.get(&format!("/digests/{}", test_app.slot())).await.status(), StatusCode::NOT_FOUND);
        assert!(test_app.page("/digests").await.contains("None has been sent yet"));
        let feed = test_app.page("/feed.xml").await;
        assert!(well_formed(&feed).is_ok() && !feed.contains("<entry>"));
    }

    async fn a_sample_is_called_one_wherever_it_is_shown(test_db) {
        let test_app = app_after_a_digest(test_db, |now| {
            catalogue::small(2, now)
                .replace("[[tools.reviews]]\nreviewer = \"Builder\"", "sample = true\n[[tools.reviews]]\nreviewer = \"Builder\"")
        })
        .await;
        let (html, text) = digest_of(&test_app);
        let mut places = vec![("the mail's HTML".to_owned(), html), ("the mail's text".into(), text)];
        for path in public_pages(&test_app).into_iter().chain(["/feed.xml".into()]).filter(|path| path != "/check-inbox") {
            places.push((path.clone(), test_app.page(&path).await));
        }
        let unlabelled: Vec<&str> =
            places.iter().filter(|(_, text)| !text.to_lowercase().contains("sample")).map(|(test_db, _)| test_db.as_str()).collect();
        assert_eq!(unlabelled, [""; 0]);
    }

    async fn what_is_no_sample_is_not_called_one(test_db) {
        let test_app = app_after_a_digest(test_db, |now| catalogue::small(2, now)).await;
        for path in public_pages(&test_app) {
            assert!(!test_app.page(&path).await.to_lowercase().contains("sample"), "{path}");
        }
    }

    async fn the_mailbox_shows_what_was_captured_and_frames_its_html(test_db) {
        let test_app = TestApp::open(test_db).await;
        assert!(test_app.page("/mailbox").await.contains("No mail yet"));
        let link = test_app.ask_to_join("ada@example.org").await;
        let list = test_app.page("/mailbox").await;
        assert!(list.contains("ada@example.org"));
        let mail = format!("/mailbox/{}", between(&list, "href=\"/mailbox/", "\""));
        let page = test_app.page(&mail).await;
        assert!(page.contains(&format!("<a href=\"{link}\">")), "the link can be followed");
        assert!(page.contains(&format!("<iframe class=\"mail\" src=\"{mail}/html\"")));
        assert!(page.contains(&format!("<a href=\"{mail}/html\"")), "and it opens by itself");
        let html = test_app.get(&format!("{mail}/html")).await;
        let policy = html.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("sandbox") && policy.contains("frame-ancestors 'self'"),
            "{policy}"
        );
        for too_much in ["script-src", "allow-scripts", "allow-same-origin", "allow-forms"] {
            assert!(!policy.contains(too_much), "{policy}");
        }
        assert!(html.text().await.expect("a page").contains(&link));
    }

    async fn the_mailbox_is_for_this_machine_alone_and_opens_no_other_file(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.ask_to_join("ada@example.org").await;
        let name = between(&test_app.page("/mailbox").await, "href=\"/mailbox/", "\"").to_owned();
        let ask =
            async |path: &str, host: &str| test_app.request(Method::GET, path).header("host", host).send().await.expect("an answer").status();
        for path in ["/mailbox".into(), format!("/mailbox/{name}"), format!("/mailbox/{name}/html")] {
            for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
                assert_eq!(ask(&path, host).await, StatusCode::OK, "{path} at {host}");
            }
            for host in [
                "evil.example",
                "127.0.0.1.evil.example",
                "localhost.evil.example:8080",
                "10.0.0.1",
                "[2001:db8::1]:80",
                "evil.example:127",
            ] {
                assert_eq!(ask(&path, host).await, StatusCode::NOT_FOUND, "{path} at {host}");
            }
        }
        std::fs::write(test_app.test_db.dir.path().join("secret"), "From: x\r\n\r\nx").expect("written");
        std::fs::write(test_app.test_db.dir.path().join("mailbox/new/.hidden"), "From: x\r\n\r\nx").expect("written");
        let tricks = [
            "..%2f..%2fsecret",
            "%2e%2e%2f%2e%2e%2fsecret",
            "..%5c..%5csecret",
            "%2fetc%2fpasswd",
            ".hidden",
            "%00",
            "new%2f..",
            "%2e%2e%2ftmp",
        ];
        for trick in
            tricks.map(String::from).into_iter().chain([format!("%2e%2f{name}"), format!("{name}%00"), format!("..%2fnew%2f{name}")])
        {
            for ending in ["", "/html"] {
                assert_eq!(test_app.get(&format!("/mailbox/{trick}{ending}")).await.status(), StatusCode::NOT_FOUND, "{trick}");
            }
        }
    }

    async fn there_is_no_mailbox_where_mail_is_really_sent(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        assert_eq!(test_app.get("/mailbox").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(test_app.get("/mailbox/x").await.status(), StatusCode::NOT_FOUND);
        assert!(!test_app.page("/").await.contains("/mailbox"));
    }
}

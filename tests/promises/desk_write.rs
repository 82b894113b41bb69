//! Writing an issue at the desk and by command: what is written stands in every part of what goes out, and two editors lose nothing.

use mail_parser::MessageParser;
use reqwest::StatusCode;
use verdicts::config::Approval;
use verdicts::config::SecondFactor;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;
use verdicts::domain::user::Role;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::desk::Browser;
use crate::support::on_both;

const INTRODUCTION: &str = "Dear readers,\n\n**two** tools & [the docs](https://docs.example/a?b=1&c=2) this week:\n\n- one\n- two\n\n> \"quoted\"";

const FORM: [(&str, &str); 7] = [
    ("subject", "Week {week}: {count} of them"),
    ("preheader", "{pair} And a word from us"),
    ("introduction", INTRODUCTION),
    ("sponsor_text", "Acme keeps your keys"),
    ("sponsor_url", "https://www.acme.example/offer"),
    ("question", "Which tool did you drop?"),
    ("sign_off", "Yours,\n*Ada*"),
];

fn desk(settings: &mut Settings) {
    settings.desk.second_factor = SecondFactor::Off;
    settings.schedule.approval = Approval::Required;
}

async fn test_app(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open_with(test_db, desk).await;
    test_app
        .seed_catalogue(&catalogue::small(6, test_app.app.now()))
        .await;
    test_app.seed_subscribers("reader", 2).await;
    test_app
        .app
        .draft_digest(&Actor::cli())
        .await
        .expect("a draft");
    test_app
}

fn write(test_app: &TestApp) -> String {
    format!("/desk/digests/{}/write", test_app.slot())
}

async fn revision(test_app: &TestApp) -> i64 {
    let draft = test_app
        .app
        .storage
        .draft(test_app.slot())
        .await
        .expect("an answer");
    draft.expect("a draft").revision
}

/// The form, made from a revision, with other fields.
fn form<'a>(revision: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<(&str, &str)> = FORM.to_vec();
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    fields.push(("revision", revision));
    fields
}

on_both! {
    async fn what_is_written_stands_in_every_part_of_what_goes_out(test_db) {
        let test_app = test_app(test_db).await;
        let slot = test_app.slot();
        let bare = test_app.app.preview(slot, test_app.app.now()).await.expect("a preview").rendered;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let said = writer.press(&write(&test_app), &form("0", &[])).await;
        assert!(said.contains("Saved.") && said.contains("Revision 1, saved by writer"), "{said}");
        assert!(said.contains("Acme keeps your keys") && said.contains("Dear readers,"));
        let preview = test_app.app.preview(slot, test_app.app.now()).await.expect("a preview");
        assert_eq!(preview.rendered.subject, format!("Week {slot}: 5 of them"));
        assert!(preview.preheader.ends_with("And a word from us"), "{}", preview.preheader);
        test_app.app.approve_digest(&Actor::cli(), slot).await.expect("approved");
        test_app.app.send_soon(&Actor::cli(), slot).await.expect("soon");
        test_app.wait(chrono::TimeDelta::minutes(6));
        test_app.app.tick().await.expect("a tick");
        let is_sent = async || test_app.app.status(slot).await.expect("a status").digest.state == DigestState::Sent;
        test_app.deliver_while("the digest is sent", is_sent).await;
        let mails = test_app.mails_to("reader0@example.org");
        let mail = MessageParser::default().parse(&mails[0]).expect("a mail");
        let (html, text) = (mail.body_html(0).expect("html"), mail.body_text(0).expect("text"));
        for part in [
            "<p dir=\"auto\" style=\"margin:0 0 16px\">Dear readers,</p>", "<b>two</b> tools &#38; <a class=\"link\" href=\"https://docs.example/a?b=1&#38;c=2\"",
            "<li dir=\"auto\">one</li><li dir=\"auto\">two</li>", "<b>Advertisement</b>", "Acme keeps your keys", "href=\"https://www.acme.example/offer\"", ">acme.example</a>",
            "A question to you", "Which tool did you drop?", "<i>Ada</i>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let text = text.replace("\r\n", "\n");
        let mut at = 0;
        for part in [
            "Five comparisons", "Dear readers,\n\ntwo tools & the docs [1] this week:\n[1]\nhttps://docs.example/a?b=1&c=2\n\n- one\n- two\n\n> \"quoted\"\n",
            "ADVERTISEMENT\n\nAcme keeps your keys\nhttps://www.acme.example/offer\n", "A QUESTION TO YOU\n\nWhich tool did you drop?", "Yours, Ada", "Unsubscribe:",
        ] {
            let found = text[at..].find(part).unwrap_or_else(|| panic!("{part} not after {at}: {text}"));
            at += found;
        }
        let page = test_app.page(&format!("/digests/{slot}")).await;
        for part in ["Dear readers,", "<strong>two</strong>", "aria-label=\"Advertisement\"", "rel=\"sponsored nofollow\"", "A question to readers", "<em>Ada</em>"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(test_app.page("/feed.xml").await.contains("Acme keeps your keys"));
        // Without it the mail is as it always was: what was added is all that differs.
        assert!(!bare.html.contains("dvertisement") && bare.html.len() < preview.rendered.html.len());
        assert!(writer.get(&write(&test_app)).await.status() == StatusCode::SEE_OTHER, "it is out");
        let late = writer.post(&write(&test_app), &form("1", &[("question", "Late?")])).await;
        assert_eq!(late.status(), StatusCode::CONFLICT);
        assert!(late.text().await.expect("a page").contains("Late?"), "what was written is not lost");
    }

    async fn two_editors_save_at_once_and_nothing_is_lost(test_db) {
        let test_app = test_app(test_db).await;
        let (ada, bob) = (Browser::of(&test_app, Role::Writer).await, Browser::of(&test_app, Role::Editor).await);
        ada.press(&write(&test_app), &form("0", &[])).await;
        let first = revision(&test_app).await.to_string();
        // Ada changes the first line, Bob the last one and the question.
        let hers = INTRODUCTION.replace("Dear", "Dearest");
        let his = INTRODUCTION.replace("quoted", "said");
        let (hers, his) = (form(&first, &[("introduction", &hers)]), form(&first, &[("introduction", &his), ("question", "His?")]));
        let (path, other) = (write(&test_app), write(&test_app));
        let (one, two) = tokio::join!(ada.post(&path, &hers), bob.post(&other, &his));
        let statuses = [one.status(), two.status()];
        assert!(statuses.contains(&StatusCode::SEE_OTHER) && statuses.contains(&StatusCode::CONFLICT), "{statuses:?}");
        let (loser, page) = if one.status() == StatusCode::CONFLICT { (&ada, one) } else { (&bob, two) };
        let page = page.text().await.expect("a page");
        assert!(page.contains("Two of you wrote at once") && page.contains("Dearest") && page.contains("said"), "{page}");
        let stored = test_app.app.storage.draft(test_app.slot()).await.expect("an answer").expect("a draft").text;
        assert!(stored.introduction.contains("Dearest") != stored.introduction.contains("said"), "one of them");
        // The form on that page goes on from both.
        let value = |name: &str| {
            let start = page.split(&format!("name=\"{name}\"")).nth(1).expect("a field");
            let text = if name == "introduction" { start.split('>').nth(1).and_then(|rest| rest.split("</textarea").next()) } else { start.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()) };
            text.expect("a value").trim_start().replace("&#38;", "&").replace("&#34;", "\"").replace("&#62;", ">")
        };
        let (merged, next) = (value("introduction"), value("revision"));
        assert!(merged.contains("Dearest") && merged.contains("said") && !merged.contains("XXX"), "{merged}");
        assert_eq!((value("question").as_str(), next.clone()), ("His?", (first.parse::<i64>().expect("a number") + 1).to_string()));
        loser.press(&path, &form(&next, &[("introduction", &merged), ("question", "His?")])).await;
        let stored = test_app.app.storage.draft(test_app.slot()).await.expect("an answer").expect("a draft").text;
        assert!(stored.introduction.contains("Dearest") && stored.introduction.contains("said") && stored.question == "His?");
    }

    async fn lines_that_both_changed_are_marked_and_are_not_sent_so(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        editor.press(&write(&test_app), &form("0", &[("introduction", "ours")])).await;
        editor.press(&write(&test_app), &form("1", &[("introduction", "theirs")])).await;
        let answer = editor.post(&write(&test_app), &form("1", &[("introduction", "mine")])).await;
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        let page = answer.text().await.expect("a page");
        assert!(page.contains("XXX yours:\nmine\nXXX theirs:\ntheirs\nXXX end"), "{page}");
        let marked = "XXX yours:\nmine\nXXX theirs:\ntheirs";
        let said = editor.press(&write(&test_app), &form("2", &[("introduction", marked)])).await;
        assert!(said.contains("XXX is left in it"), "{said}");
        test_app.app.approve_digest(&Actor::cli(), test_app.slot()).await.expect("approved");
        let refused = editor.press(&format!("/desk/digests/{}/send", test_app.slot()), &[]).await;
        assert!(refused.contains("XXX is left in it"), "{refused}");
        // A change of the comparisons alone is none of the text: no conflict.
        let slugs: Vec<String> = test_app.app.storage.picks(test_app.slot()).await.expect("picks").into_iter().map(|pick| pick.comparison.to_string()).collect();
        editor.press(&format!("/desk/digests/{}/edit", test_app.slot()), &[("seen", &slugs.join(" ")), ("down", &slugs[0])]).await;
        assert!(editor.press(&write(&test_app), &form("3", &[("introduction", "fine")])).await.contains("Saved."));
    }

    async fn what_cannot_be_kept_is_refused_and_not_lost(test_db) {
        let test_app = test_app(test_db).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let long = "ä".repeat(4_001);
        for (field, value, words) in [
            ("introduction", long.as_str(), "4001 characters; at most 4000 fit"), ("introduction", "<script>alert(1)</script>", "HTML"),
            ("introduction", "![x](https://a.example/x.png)", "picture"), ("sign_off", "[x](javascript:alert(1))", "only https"),
            ("preheader", "{nothing}", "{nothing} is not one of"), ("subject", "{nothing}", "{nothing} is not one of"), ("sponsor_url", "acme", "whole web address"),
        ] {
            let answer = writer.post(&write(&test_app), &form("0", &[(field, value)])).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{field}");
            let page = answer.text().await.expect("a page");
            assert!(page.contains(words) && page.contains("Which tool did you drop?"), "{field}: {page}");
        }
        assert_eq!(revision(&test_app).await, 0);
        let most = "ä".repeat(4_000);
        assert!(writer.press(&write(&test_app), &form("0", &[("introduction", &most)])).await.contains("Saved."));
        // What is not saved is shown and changes nothing.
        let line = writer.post(&format!("{}/line", write(&test_app)), &form("1", &[("question", "TK")])).await.text().await.expect("a part");
        assert!(line.contains("TK is left in it") && !line.contains("<html"), "{line}");
        let mail = writer.post(&format!("{}/preview", write(&test_app)), &form("1", &[("question", "Unsaved?")])).await;
        assert!(mail.headers()["content-security-policy"].to_str().expect("text").contains("sandbox"));
        assert!(mail.text().await.expect("a mail").contains("Unsaved?"));
        assert_eq!(revision(&test_app).await, 1);
    }

    async fn what_must_not_go_out_is_found_before_it_does(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let base = &test_app.app.settings.base_url().to_owned();
        let dead = format!("[ours]({base}/comparisons/nowhere-vs-nothing)");
        for (introduction, words) in [
            ("The price is TK.", "TK is left in it"), ("[tools](/tools)", "is not whole"), (dead.as_str(), "does not open"), ("[click here](https://a.example)", "a link says only"),
            ("[offer](https://bit.ly/x)", "hides where the link leads"), ("[https://bank.example](https://evil.example)", "as fraud does"),
            ("The best of 2019", "names the year 2019"),
        ] {
            let now = revision(&test_app).await.to_string();
            let page = editor.press(&write(&test_app), &form(&now, &[("introduction", introduction)])).await;
            assert!(page.contains(words), "{introduction}: {page}");
            assert!(editor.page("/desk").await.contains(words), "{introduction}");
        }
        let now = revision(&test_app).await.to_string();
        let fine = format!("[one of ours]({base}/digests) and [a tool]({base}/comparisons/t0-l-vs-t0-r)");
        let page = editor.press(&write(&test_app), &form(&now, &[("introduction", &fine)])).await;
        assert!(!page.contains("Stops it"), "{page}");
        assert!(page.contains("set mail.reply_to"), "answers to the question go somewhere");
    }

    async fn the_command_writes_what_the_desk_writes(test_db) {
        let test_app = test_app(test_db).await;
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_SCHEDULE__APPROVAL", "required");
        let slot = test_app.slot().to_string();
        program.write("hello.md", "\u{feff}Hello,\r\n**readers**");
        program
            .run(&[
                "digest", "edit", &slot, "--introduction", "hello.md", "--sign-off", "Ada", "--question", "Why?", "--sponsor", "Acme", "--sponsor-link", "https://acme.example", "--preheader", "{count} more",
                "--subject", "S {week}", "--revision", "0",
            ])
            .good();
        let draft = program.run(&["--json", "digest", "draft", &slot]).good().json();
        assert_eq!((draft["revision"].as_i64(), draft["introduction"].as_str()), (Some(1), Some("Hello,\n**readers**")));
        assert_eq!((draft["sponsor"]["url"].as_str(), draft["subject_line"].as_str()), (Some("https://acme.example"), Some(format!("S {slot}").as_str())));
        let editor = Browser::of(&test_app, Role::Editor).await;
        let page = editor.page(&write(&test_app)).await;
        assert!(page.contains("Revision 1, saved by the command line") && page.contains("**readers**"), "{page}");
        program.run(&["digest", "edit", &slot, "--question", "", "--revision", "0"]).refused(&["is at revision 1", "nothing was changed"]);
        let input = program.run_with_input(&["digest", "edit", &slot, "--introduction", "-", "--question", "", "--sponsor", "", "--sponsor-link", ""], b"From a pipe");
        input.good();
        let draft = program.run(&["--json", "digest", "draft", &slot]).good().json();
        assert_eq!((draft["introduction"].as_str(), draft["question"].as_str(), draft["sponsor"].is_null()), (Some("From a pipe"), Some(""), true));
        assert!(program.run(&["digest", "draft", &slot]).good().out.contains("From a pipe"));
        program.run(&["digest", "draft", "2020-W01"]).refused(&["There is no digest 2020-W01"]);
    }
}

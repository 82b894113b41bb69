//! Drafts: approved, changed, and sent as they were shown.

use chrono::TimeDelta;
use mail_parser::MessageParser;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::app::issue::preflight::Preflight;
use verdicts::config::Approval;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;

use super::now;
use super::order;
use super::ready;
use super::refused;
use super::start;
use super::tick_at;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::catalogue::comparison;
use crate::support::on_both;
use crate::support::this_week;

/// The picks of the slot as three doors show them: `digest pick`, `digest show`, and the links in `digest preview`.
fn as_shown(program: &Program, slot: &str) -> [Vec<String>; 3] {
    let slugs = |picks: &serde_json::Value| -> Vec<String> {
        picks
            .as_array()
            .expect("a list")
            .iter()
            .map(|pick| pick["comparison"].as_str().expect("a slug").to_owned())
            .collect()
    };
    let picked = program.run(&["--json", "digest", "pick"]).good().json();
    let shown = program
        .run(&["--json", "digest", "show", slot])
        .good()
        .json();
    program.run(&["digest", "preview", "--out", "out"]).good();
    let text = std::fs::read_to_string(program.dir.join("out/digest.txt")).expect("a file");
    [
        slugs(&picked["picks"]),
        slugs(&shown["picks"]),
        links_in(&text),
    ]
}

/// The comparisons that a mail's text links to, in order.
fn links_in(text: &str) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    for link in text.split("/comparisons/").skip(1) {
        let slug: String = link
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        if !slugs.contains(&slug) {
            slugs.push(slug);
        }
    }
    slugs
}

fn links_of(mail: &[u8]) -> Vec<String> {
    links_in(
        &MessageParser::default()
            .parse(mail)
            .expect("a mail")
            .body_text(0)
            .expect("a text"),
    )
}

on_both! {
    async fn where_approval_is_required_only_what_was_approved_is_sent(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = sink.url().into();
            settings.schedule.approval = Approval::Required;
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        let words = refused(&test_app, order(None, false)).await;
        assert!(words.contains("not approved") && words.contains("digest draft") && words.contains("digest approve 2026-W48"), "{words}");
        assert!(test_app.app.storage.digests().await.expect("digests").is_empty(), "and nothing was made");
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        let words = refused(&test_app, order(None, false)).await;
        assert!(words.contains("not approved") && !words.contains("digest draft"), "{words}");
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a digest").digest.state, DigestState::Draft);
        test_app.app.approve_digest(&Actor::cli(), test_app.slot()).await.expect("approved");
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Final)));
        assert_eq!(sink.mails(), 2);
    }

    async fn pick_show_preview_and_the_mail_have_the_drafts_comparisons(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        program.run(&["digest", "draft"]).good();
        // Hotter than all in the draft, and too late for it.
        program.write("one.toml", comparison("later", "Data", now() - TimeDelta::minutes(1)));
        program.run(&["catalog", "import", "one.toml"]).good();
        let slot = this_week();
        let [picked, shown, previewed] = as_shown(&program, &slot);
        assert_eq!((picked.len(), &picked, &picked), (5, &shown, &previewed));
        assert!(!picked.iter().any(|slug| slug.starts_with("later")), "{picked:?}");
        let shown = program.run(&["--json", "digest", "show", &slot]).good().json();
        assert_eq!(shown["readers"], 2);
        let subject = shown["subject"].as_str().expect("a subject").to_owned();
        let text = program.run(&["digest", "show", &slot]).good().out;
        assert!(text.contains(&subject) && text.contains("to 2 readers") && text.contains(&picked[0]), "{text}");
        program.run(&["digest", "send"]).good();
        let mail = &sink.received()[0].data;
        assert_eq!((links_of(mail), MessageParser::default().parse(mail).expect("a mail").subject()), (picked, Some(subject.as_str())));
    }

    async fn what_was_postponed_or_withdrawn_after_the_draft_never_goes_out_and_is_named(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        program.run(&["digest", "draft"]).good();
        let postponed = comparison("t0", "Design", now() + TimeDelta::days(20));
        program.write("postponed.toml", &postponed[postponed.find("[[comparisons]]").expect("one")..]);
        program.run(&["catalog", "import", "postponed.toml"]).good();
        crate::support::run_raw_sql(&test_db, "delete from comparisons where slug = 't1-l-vs-t1-r'").await;
        crate::support::run_raw_sql(&test_db, "delete from reviews where tool in ('t2-l', 't2-r')").await;
        let slot = this_week();
        let [picked, shown, previewed] = as_shown(&program, &slot);
        assert_eq!((picked.len(), &picked, &picked), (2, &shown, &previewed));
        let text = program.run(&["digest", "show", &slot]).good().out;
        for words in ["t0-l-vs-t0-r, for it is published only on", "t1-l-vs-t1-r, for it was taken out", "t2-l-vs-t2-r, for no reviewer judges"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let said = program.run(&["digest", "send"]).good();
        assert!(said.err.contains("Not in it: t0-l-vs-t0-r"), "{said:?}");
        assert_eq!(links_of(&sink.received()[0].data), picked);
    }

    async fn a_scheduled_digest_leaves_out_what_has_no_page_and_every_link_in_it_opens(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 1).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        let postponed = comparison("t0", "Design", start() + TimeDelta::days(2));
        test_app.seed_catalogue(&postponed[postponed.find("[[comparisons]]").expect("one")..]).await;
        tick_at(&test_app, "2026-11-24T09:00:00Z").await;
        test_app.deliver_while("the digest", async || sink.mails() == 1).await;
        let links = links_of(&sink.received()[0].data);
        assert_eq!(links.len(), 4);
        for slug in links {
            test_app.page(&format!("/comparisons/{slug}")).await;
        }
    }

    async fn a_paused_digest_with_a_dead_link_is_not_resumed(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        for moment in ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"] {
            tick_at(&test_app, moment).await;
        }
        test_app.app.pause_digest(&Actor::cli(), test_app.slot()).await.expect("paused");
        crate::support::run_raw_sql(&test_app.test_db, "delete from comparisons where slug = 't1-l-vs-t1-r'").await;
        let failure = test_app.app.resume_digest(&Actor::cli(), test_app.slot(), Preflight::Heeded).await.expect_err("refused").to_string();
        assert!(failure.contains("t1-l-vs-t1-r: it was taken out of the catalogue") && failure.contains("--force"), "{failure}");
        test_app.app.resume_digest(&Actor::cli(), test_app.slot(), Preflight::Forced).await.expect("resumed");
    }

    async fn a_preview_of_a_week_without_a_digest_is_refused(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        program.run(&["digest", "preview", "--id", "2026-W30", "--out", "out"]).refused(&["There is no digest 2026-W30", "digest list"]);
        assert!(!program.dir.join("out").exists());
    }

    async fn a_pair_that_no_reviewer_judged_is_not_mailed_alone_or_with_others(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_subscribers("reader", 1).await;
        let unjudged: String = comparison("bare", "Data", start() - TimeDelta::hours(1))
            .split("[[")
            .filter(|part| !part.starts_with("tools.reviews"))
            .map(|part| if part.is_empty() { String::new() } else { format!("[[{part}") })
            .collect();
        test_app.seed_catalogue(&unjudged).await;
        assert!(test_app.app.picks_at(test_app.app.now()).await.expect("picks").is_empty());
        test_app.seed_catalogue(&comparison("judged", "Data", start() - TimeDelta::hours(2))).await;
        let picks = test_app.app.picks_at(test_app.app.now()).await.expect("picks");
        assert_eq!(picks.iter().map(|pick| pick.comparison.as_str()).collect::<Vec<_>>(), ["judged-l-vs-judged-r"]);
    }

    async fn a_draft_by_hand_is_changed_and_goes_out_as_changed(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        program.write("more.toml", comparison("extra", "Data", now() - TimeDelta::days(40)));
        program.run(&["catalog", "import", "more.toml"]).good();
        program.run(&["digest", "edit", "--subject", "x"]).refused(&["There is no digest", "digest draft"]);
        program.run(&["digest", "draft"]).good();
        program.run(&["digest", "draft"]).refused(&["has a digest already"]);
        let slot = this_week();
        let before = test_db.dump().await;
        for (arguments, words) in [
            (&["--leave-out", "nowhere"][..], &["nowhere is not in"][..]),
            (&["--add", "nowhere"], &["cannot be added", "taken out of the catalogue"]),
            (&["--add", "t1-l-vs-t1-r"], &["in it already"]),
            (&["--subject", "{pear}"], &["The subject", "{pear}"]),
            (&["--preheader", "{pear}"], &["The preheader", "{pear}"]),
            (&["--sponsor", "Acme"], &["sponsor's link", "whole web address"]),
            (&["--sign-off", "<b>Ada</b>"], &["The sign-off", "HTML"]),
            (&["--question", "Which?", "--revision", "3"], &["is at revision 0", "nothing was changed"]),
            (&["--introduction", "nowhere.md"], &["nowhere.md cannot be read"]),
            (&["--send-at", "2020-01-01T00:00:00Z"], &["is over"]),
            (&["--leave-out", "t0-l-vs-t0-r", "--order", "t0-l-vs-t0-r"], &["t0-l-vs-t0-r is not in"]),
            (&[], &["Say what to change"]),
        ] {
            program.run(&[&["digest", "edit", &slot], arguments].concat()).refused(words);
        }
        assert_eq!(test_db.dump().await, before, "a refused change changes nothing");
        program
            .run(&[
                "digest", "edit", "--leave-out", "t0-l-vs-t0-r,t3-l-vs-t3-r", "--add", "extra-l-vs-extra-r", "--order", "extra-l-vs-extra-r",
                "t4-l-vs-t4-r", "--subject", "Week {week}, by hand",
            ])
            .good();
        let [picked, shown, previewed] = as_shown(&program, &slot);
        assert_eq!(picked[..2], ["extra-l-vs-extra-r", "t4-l-vs-t4-r"]);
        assert_eq!((picked.len(), &picked, &picked), (4, &shown, &previewed));
        let late = now() + TimeDelta::days(9);
        let moved = program.run(&["--json", "digest", "edit", &slot, "--send-at", &late.to_rfc3339()]).good().json();
        assert_eq!(moved["send_at"].as_str().expect("a time")[..16], late.to_rfc3339()[..16]);
        program.run(&["digest", "send"]).good();
        let mail = &sink.received()[0].data;
        let subject = format!("Week {slot}, by hand");
        assert_eq!((links_of(mail), MessageParser::default().parse(mail).expect("a mail").subject()), (picked, Some(subject.as_str())));
        program.run(&["digest", "edit", "--subject", "too late"]).refused(&["is sent", "only a draft or an approved"]);
    }

    async fn a_change_after_the_approval_must_be_approved_again_where_it_is_required(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink).with("VERDICTS_SCHEDULE__APPROVAL", "required");
        let slot = this_week();
        program.run(&["digest", "draft"]).good();
        program.run(&["digest", "approve", &slot]).good();
        assert_eq!(program.run(&["--json", "digest", "edit", "--subject", "Other"]).good().json()["state"], "draft");
        program.run(&["digest", "send"]).refused(&["not approved"]);
        program.run(&["digest", "approve", &slot]).good();
        program.run(&["digest", "send"]).good();
        assert_eq!(sink.mails(), 2);
    }
}

//! Before an issue goes out: approvals bound to what was looked at, two people, notes, test copies, review links, another time, a skipped week.

use chrono::TimeDelta;
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
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::run_raw_sql;

fn desk(settings: &mut Settings) {
    settings.desk.second_factor = SecondFactor::Off;
    settings.schedule.approval = Approval::Required;
}

async fn app_with(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> TestApp {
    let test_app = TestApp::open_with(test_db, |settings| {
        desk(settings);
        adapt(settings);
    })
    .await;
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

async fn test_app(test_db: TestDb) -> TestApp {
    app_with(test_db, |_| {}).await
}

fn at(test_app: &TestApp, action: &str) -> String {
    format!("/desk/digests/{}/{action}", test_app.slot())
}

async fn state(test_app: &TestApp) -> DigestState {
    test_app
        .app
        .status(test_app.slot())
        .await
        .expect("a status")
        .digest
        .state
}

/// Fields of the page on which the issue is written, with a question.
fn asking<'a>(question: &'a str, revision: &'a str) -> [(&'a str, &'a str); 2] {
    [("question", question), ("revision", revision)]
}

on_both! {
    async fn an_approval_is_of_what_was_looked_at(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let question = editor.page(&at(&test_app, "approve")).await;
        assert!(question.contains("name=\"revision\" value=\"0\""), "{question}");
        editor.press(&at(&test_app, "write"), &asking("Which?", "0")).await;
        let said = editor.press(&at(&test_app, "approve"), &[("revision", "0")]).await;
        assert!(said.contains("was changed since you looked at it") && state(&test_app).await == DigestState::Draft, "{said}");
        assert!(editor.press(&at(&test_app, "approve"), &[("revision", "1")]).await.contains("Approved:"));
        run_raw_sql(&test_app.test_db, "insert into votes (tool, subscriber_id, verdict, voted_at) select 't0-l', min(id), 'ship', 0 from subscribers").await;
        test_app.app.tick().await.expect("a tick");
        assert_eq!(state(&test_app).await, DigestState::Approved, "readers' votes are no part of it");
        run_raw_sql(&test_app.test_db, "update tools set tagline = 'Another one'").await;
        test_app.app.tick().await.expect("a tick");
        assert_eq!(state(&test_app).await, DigestState::Draft, "its catalogue entries are");
        let page = editor.page("/desk").await;
        assert!(page.contains("took the approval back") && page.contains("approve it again"), "{page}");
        // The time is no part of what is approved.
        editor.press(&at(&test_app, "approve"), &[("revision", "1")]).await;
        let said = editor.press(&at(&test_app, "time"), &[("at", "2027-03-01T10:30")]).await;
        assert!(said.contains("goes out at another time") && said.contains("1 March 2027, 10:30") && state(&test_app).await == DigestState::Approved, "{said}");
        assert!(editor.press(&at(&test_app, "time"), &[("at", "2020-01-01T10:30")]).await.contains("is over"));
        assert!(editor.press(&at(&test_app, "time"), &[("at", "soon")]).await.contains("was not understood"));
        run_raw_sql(&test_app.test_db, "update tools set tagline = 'A third one'").await;
        let said = editor.press(&at(&test_app, "send"), &[]).await;
        assert!(said.contains("changed after its approval") && state(&test_app).await == DigestState::Draft, "{said}");
    }

    async fn an_issue_is_sent_back_with_a_note(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        editor.press(&at(&test_app, "approve"), &[]).await;
        assert!(editor.press(&at(&test_app, "send-back"), &[("said", " ")]).await.contains("Say why"));
        assert_eq!(state(&test_app).await, DigestState::Approved);
        assert!(editor.press(&at(&test_app, "send-back"), &[("said", "The second line is wrong")]).await.contains("is a draft, with your note"));
        assert_eq!(state(&test_app).await, DigestState::Draft);
        let page = writer.page("/desk").await;
        assert!(page.contains("sent it back") && page.contains("The second line is wrong") && !page.contains("send-back"), "{page}");
        writer.press(&at(&test_app, "note"), &[("said", "Mended, <b>look</b>")]).await;
        assert!(editor.page("/desk").await.contains("Mended, &#60;b&#62;look"));
        assert_eq!(writer.post(&at(&test_app, "send-back"), &[("said", "no")]).await.status(), StatusCode::FORBIDDEN);
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_SCHEDULE__APPROVAL", "required");
        let slot = test_app.slot().to_string();
        let notes = program.run(&["--json", "digest", "notes", &slot, "--add", "From a shell"]).good().json();
        assert_eq!((notes["notes"][0]["said"].as_str(), notes["notes"][2]["kind"].as_str()), (Some("From a shell"), Some("sent_back")));
        program.run(&["digest", "approve", &slot, "--revision", "7"]).refused(&["is at revision 0 now"]);
        program.run(&["digest", "approve", &slot, "--revision", "0"]).good();
        program.run(&["digest", "send-back", &slot, "--note", "Wait"]).good();
        assert_eq!(state(&test_app).await, DigestState::Draft);
    }

    async fn two_people_look_at_an_issue(test_db) {
        let test_app = app_with(test_db, |settings| settings.desk.two_people = true).await;
        let (ada, bob) = (Browser::of(&test_app, Role::Editor).await, Browser::of(&test_app, Role::Owner).await);
        ada.press(&at(&test_app, "write"), &asking("Which?", "0")).await;
        let said = ada.press(&at(&test_app, "approve"), &[]).await;
        assert!(said.contains("somebody else must approve it") && state(&test_app).await == DigestState::Draft, "{said}");
        assert!(bob.press(&at(&test_app, "approve"), &[]).await.contains("Approved:"));
        bob.press(&at(&test_app, "withdraw"), &[]).await;
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_SCHEDULE__APPROVAL", "required").with("VERDICTS_DESK__TWO_PEOPLE", "true");
        let slot = test_app.slot().to_string();
        program.run(&["digest", "approve", &slot]).refused(&["desk.two_people", "--override REASON"]);
        program.run(&["digest", "approve", &slot, "--override", "Bob is ill"]).good();
        assert!(ada.page("/desk").await.contains("Bob is ill"), "the reason is kept");
        let log = program.run(&["--json", "audit", "list"]).good().out;
        assert!(log.contains("override") && !log.contains("Bob is ill"), "{log}");
        Program::set_up(&test_app.test_db).with("VERDICTS_DESK__TWO_PEOPLE", "true").run(&["config"]).refused(&["desk.two_people", "schedule.approval"]);
    }

    async fn test_copies_go_where_they_are_asked_to_and_nowhere_else(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let before = test_app.app.status(test_app.slot()).await.expect("a status").tally;
        assert!(editor.press(&at(&test_app, "test"), &[("to", "me"), ("mark", "1")]).await.contains("1 test copy sent."));
        let subject = |mail: &[u8]| mail_parser::MessageParser::default().parse(mail).and_then(|mail| mail.subject().map(String::from)).expect("a subject");
        assert!(subject(&test_app.mails_to("editor@desk.example")[0]).starts_with("[Test] "));
        assert!(editor.press(&at(&test_app, "test"), &[("to", "group")]).await.contains("The test group is empty"));
        assert!(editor.press(&at(&test_app, "test-group"), &[("group", "one@team.example, nonsense")]).await.contains("nonsense"));
        assert!(editor.press(&at(&test_app, "test-group"), &[("group", "one@team.example\r\ntwo@team.example; ONE@team.example")]).await.contains("has 2 addresses"));
        assert!(editor.press(&at(&test_app, "test"), &[("to", "group")]).await.contains("2 test copies sent."));
        assert!(!subject(&test_app.mails_to("two@team.example")[0]).contains("[Test]"));
        editor.press(&at(&test_app, "test"), &[("to", "address"), ("address", "reader0@example.org"), ("mark", "1")]).await;
        assert!(editor.press(&at(&test_app, "test"), &[("to", "address"), ("address", "nobody")]).await.contains("No test copy was sent"));
        // Its link leaves nobody's subscription.
        let link = test_app.goodbye_link("reader0@example.org");
        test_app.post(&link).await;
        assert_eq!(test_app.state_of("reader0@example.org").await, Some(verdicts::domain::subscriber::SubscriberState::Active));
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a status").tally, before, "no part of the ledger");
        let writer = Browser::of(&test_app, Role::Writer).await;
        writer.press(&at(&test_app, "test"), &[("to", "address"), ("address", "three@team.example")]).await;
        assert_eq!((test_app.mails_to("three@team.example").len(), test_app.mails_to("writer@desk.example").len()), (0, 1), "a writer's go to themselves");
        // One of them may find a place that became free meanwhile: the quota fills up again as time goes on.
        let mut refused = 0;
        for _ in 0..20 {
            let said = editor.press(&at(&test_app, "test"), &[("to", "me")]).await;
            refused += usize::from(said.contains("At most 20 test copies a minute"));
        }
        assert!(refused > 0, "25 copies in a row went out");
        test_app.wait(TimeDelta::minutes(1));
        let program = Program::set_up(&test_app.test_db);
        assert_eq!(program.run(&["digest", "test-group"]).good().out, "one@team.example\ntwo@team.example\n");
        program.run(&["digest", "test-group", "--clear"]).good();
        program.run(&["digest", "send", "--to-group"]).refused(&["The test group is empty"]);
    }

    async fn a_review_link_shows_one_revision_to_people_without_an_account(test_db) {
        let test_app = test_app(test_db).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let answer = writer.post(&at(&test_app, "review-link"), &[]).await;
        let page = answer.text().await.expect("a page");
        let link = page.split("value=\"http").nth(1).and_then(|rest| rest.split('"').next()).map(|rest| format!("http{rest}")).expect("a link");
        let path = link.strip_prefix(test_app.app.settings.base_url()).expect("our link").to_owned();
        let shown = test_app.get(&path).await;
        assert_eq!((shown.status(), shown.headers()["cache-control"].to_str().expect("text")), (StatusCode::OK, "no-store"));
        let shown = shown.text().await.expect("a page");
        assert!(shown.contains("noindex") && shown.contains("is not out yet"), "{shown}");
        assert!(test_app.page(&format!("{path}/mail")).await.contains("View online"));
        let refused = test_app.post_form(&path, &[("name", "Uma"), ("said", "")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text().await.expect("a page").contains("value=\"Uma\""));
        let thanks = goal(&test_app.post_form(&path, &[("name", "Uma <i>"), ("said", "The second price is old")]).await);
        assert!(test_app.page(&thanks).await.contains("your remark is with the editors"));
        let page = writer.page("/desk").await;
        assert!(page.contains("Uma &#60;i&#62;") && page.contains("The second price is old"), "{page}");
        assert_eq!(test_app.get("/review/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await.status(), StatusCode::NOT_FOUND);
        writer.press(&at(&test_app, "write"), &asking("Another?", "0")).await;
        assert_eq!(test_app.get(&path).await.status(), StatusCode::CONFLICT, "it was made for what stood there then");
        let said = Program::set_up(&test_app.test_db).run(&["digest", "review-link", &test_app.slot().to_string()]).good().out;
        assert!(said.contains("/review/"), "{said}");
        let fresh = test_app.app.review_link(test_app.slot()).await.expect("a link");
        let fresh = fresh.strip_prefix(test_app.app.settings.base_url()).expect("our link").to_owned();
        assert_eq!(test_app.get(&fresh).await.status(), StatusCode::OK);
        test_app.wait(TimeDelta::days(7) + TimeDelta::minutes(2));
        assert_eq!(test_app.get(&fresh).await.status(), StatusCode::NOT_FOUND, "seven days");
    }

    async fn a_week_is_skipped_for_a_reason(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        assert!(editor.page(&at(&test_app, "skip")).await.contains("2 readers get no digest this week"));
        assert!(editor.press(&at(&test_app, "skip"), &[("said", "")]).await.contains("Say why"));
        let said = editor.press(&at(&test_app, "skip"), &[("said", "Everybody is on holiday")]).await;
        assert!(said.contains("is skipped: nobody gets mail") && said.contains("Skipped by hand: Everybody is on holiday."), "{said}");
        assert_eq!(state(&test_app).await, DigestState::Skipped);
        test_app.wait(TimeDelta::days(3));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.app.storage.digests().await.expect("digests").iter().filter(|digest| digest.published_at.is_some()).count(), 0);
        let later = test_app.app.slot_at(test_app.app.now() + TimeDelta::weeks(2));
        test_app.wait(TimeDelta::weeks(2));
        let program = Program::set_up(&test_app.test_db);
        program.run(&["digest", "skip", &later.to_string(), "--reason", "x"]).refused(&["is not this week"]);
        let status = test_app.app.skip_week(&Actor::cli(), later, "None made yet").await.expect("skipped");
        assert_eq!(status.digest.state, DigestState::Skipped, "before anything is picked");
    }

    async fn the_preview_shows_the_archive_page_and_what_one_reader_gets(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let archive = editor.get(&at(&test_app, "archive")).await;
        let policy = archive.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.contains("frame-ancestors 'self'") && policy.contains("sandbox") && !policy.contains("script-src"), "{policy}");
        assert!(archive.text().await.expect("a page").contains("Read the whole comparison"));
        for show in ["archive", "reader"] {
            assert!(editor.page(&at(&test_app, &format!("preview?show={show}"))).await.contains("<iframe"), "{show}");
        }
        let mail = async |reader: &str| editor.post(&at(&test_app, "as"), &[("reader", reader)]).await.text().await.expect("a mail");
        let everybodys = test_app.app.preview(test_app.slot(), test_app.app.now()).await.expect("a preview").rendered.html;
        let headings = |html: &str| html.matches("<h2").count();
        assert_eq!(headings(&mail("reader0@example.org").await), headings(&everybodys));
        assert!(mail("nobody@example.org").await.contains("There is no such reader"));
        run_raw_sql(&test_app.test_db, "insert into preferences (subscriber_id, categories, monthly) select min(id), '[\"Nothing like it\"]', 0 from subscribers").await;
        let own = mail("reader0@example.org").await;
        assert!(own.contains("nothing new in it for them"), "{own}");
        let writer = Browser::of(&test_app, Role::Writer).await;
        assert_eq!(writer.post(&at(&test_app, "as"), &[("reader", "reader0@example.org")]).await.status(), StatusCode::FORBIDDEN);
        assert!(!writer.page(&at(&test_app, "preview")).await.contains("As reader"));
    }

    async fn progress_is_a_part_of_the_page_that_ends(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        editor.press(&at(&test_app, "approve"), &[]).await;
        test_app.app.send_soon(&Actor::cli(), test_app.slot()).await.expect("soon");
        test_app.wait(TimeDelta::minutes(6));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(state(&test_app).await, DigestState::Sending);
        let page = editor.page("/desk").await;
        assert!(page.contains(&format!("data-refresh=\"{}\"", at(&test_app, "progress"))), "{page}");
        let part = editor.page(&at(&test_app, "progress")).await;
        assert!(part.contains("<dl class=\"parts\">") && !part.contains("<html") && !part.contains("data-final"), "{part}");
        test_app.deliver_while("the digest is sent", async || state(&test_app).await == DigestState::Sent).await;
        let part = editor.page(&at(&test_app, "progress")).await;
        assert!(part.contains("data-final"), "{part}");
        assert!(!editor.page("/desk").await.contains("data-refresh"));
    }

    async fn a_process_killed_in_the_undo_window_leaves_a_send_that_can_be_stopped(test_db) {
        let test_app = test_app(test_db).await;
        test_app.app.approve_digest(&Actor::cli(), test_app.slot()).await.expect("approved");
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_SCHEDULE__APPROVAL", "required").with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
        let mut serving = program.start("serve", &["serve", "--role", "schedule"]);
        test_app.app.send_soon(&Actor::cli(), test_app.slot()).await.expect("soon");
        serving.kill();
        program.run(&["digest", "withdraw", &test_app.slot().to_string()]).good();
        test_app.wait(TimeDelta::minutes(6));
        test_app.app.tick().await.expect("a tick of the process that comes next");
        assert_eq!(state(&test_app).await, DigestState::Draft);
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a status").tally.open(), 0, "nothing of it was in the ledger");
    }
}

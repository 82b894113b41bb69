//! A mailbox at another server: its mails are fetched, acted on, and marked only then. The server of these tests can little and has bad
//! manners on request; tests/dovecot/run has one that can all of it.

pub mod server;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use verdicts::domain::subscriber::SubscriberState;

use crate::inbound::READER;
use crate::inbound::app_with_a_reader_and;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::until;
use server::Manners;
use server::Server;

async fn app_that_watches(test_db: TestDb, server: &Server, after: &str) -> TestApp {
    let (url, after) = (server.url(), after.to_owned());
    app_with_a_reader_and(test_db, |settings| {
        settings.inbound.imap = Some(url.into());
        settings.inbound.imap_every = Duration::from_millis(50);
        settings.inbound.imap_after = after;
    })
    .await
}

pub fn watch(test_app: &TestApp) {
    let account = test_app.app.returns().expect("a mailbox").clone();
    tokio::spawn(verdicts::inbox::watch(
        test_app.app.clone(),
        account,
        test_app.stop.clone(),
    ));
}

/// The report that a reader's newest digest came back, hard.
fn gone(test_app: &TestApp, reader: &str) -> String {
    report(
        &return_path(test_app, reader),
        reader,
        "550 5.1.1 no such user",
    )
}

/// Finding of `doctor` about the mailbox.
async fn inbox(test_app: &TestApp) -> String {
    let findings = test_app.app.examine().await;
    let found = findings
        .iter()
        .find(|finding| finding.what == "inbox")
        .expect("a finding");
    format!("{:?} {}", found.level, found.words)
}

/// The UID, tries and reason of each mail that is set aside.
async fn aside(test_app: &TestApp) -> Vec<(u32, u64, String)> {
    let account = test_app.app.returns().expect("a mailbox").clone();
    let aside = test_app
        .app
        .mails_set_aside(&account, 1)
        .await
        .expect("an answer");
    aside
        .into_iter()
        .map(|mail| (mail.key.1, mail.tries, mail.reason))
        .collect()
}

const OTHER: &str = "reader1@example.org";

on_both! {
    async fn a_report_in_a_mailbox_bounces_its_reader_and_is_marked(test_db) {
        let server = Server::start().await;
        let test_app = app_that_watches(test_db, &server, "seen").await;
        let mail = gone(&test_app, READER);
        server.put(3, &mail);
        watch(&test_app);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced), "acted on before it is marked");
        let record = test_app.record_of(READER).await;
        // Comes again under another number, as after a mailbox was made anew.
        server.put(5, &mail);
        until("what comes later is found by looking again", async || server.flags(5) == "(\\Seen)").await;
        assert_eq!(test_app.record_of(READER).await, record, "it acts once");
        assert!(server.heard("SELECT") > 1 && server.heard("LOGIN \"user\" \"pa ss\"") == 1);
        assert_eq!(server.split.load(SeqCst), 0, "each command comes in one packet");
    }

    async fn of_a_large_mail_the_beginning_is_read(test_db) {
        let server = Server::start().await;
        let url = server.url();
        let test_app = app_with_a_reader_and(test_db, |settings| {
            settings.inbound.imap = Some(url.into());
            settings.inbound.imap_every = Duration::from_millis(50);
            settings.inbound.size_max_mb = 1;
        })
        .await;
        let large = format!("{}{}", gone(&test_app, READER), "An attachment that nobody reads.\n".repeat(40_000));
        server.put(3, &large);
        watch(&test_app);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced));
        assert_eq!(server.heard("UID FETCH 3 (UID BODY.PEEK[]<0.1048576>)"), 1);
    }

    async fn a_mail_that_cannot_be_handed_out_or_marked_is_set_aside_and_the_others_go_on(test_db) {
        for manners in [
            Manners { hides: Some(3), ..Manners::default() },
            Manners { invents: Some(3), ..Manners::default() },
            Manners { keeps_unread: Some(3), ..Manners::default() },
            Manners { forgets: Some(3), ..Manners::default() },
        ] {
            let (test_db, name) = (test_db.another(), format!("{manners:?}"));
            let is_acted_on = manners.keeps_unread.is_some() || manners.forgets.is_some();
            let server = Server::with(manners).await;
            let test_app = app_that_watches(test_db, &server, "seen").await;
            server.put(3, &gone(&test_app, READER));
            server.put(4, &gone(&test_app, OTHER));
            watch(&test_app);
            until("the other is marked", async || server.flags(4) == "(\\Seen)").await;
            assert_eq!(test_app.state_of(OTHER).await, Some(SubscriberState::Bounced), "{name}");
            until("the bad one is set aside", async || aside(&test_app).await.len() == 1).await;
            assert_eq!(test_app.state_of(READER).await == Some(SubscriberState::Bounced), is_acted_on, "{name}");
            assert_eq!(server.flags(3), "", "{name}");
            let words = inbox(&test_app).await;
            assert!(words.starts_with("Advice") && words.contains("UID 3, 1 tries"), "{name}: {words}");
            let fetched = server.heard("UID FETCH 3 (UID BODY");
            let looked = server.heard("UID SEARCH");
            until("it looks on", async || server.heard("UID SEARCH") > looked + 2).await;
            assert_eq!(server.heard("UID FETCH 3 (UID BODY"), fetched, "{name}: not at each look");
            test_app.wait(chrono::TimeDelta::minutes(2));
            until("it is tried again later", async || aside(&test_app).await.first().is_some_and(|(uid, tries, _)| (*uid, *tries) == (3, 2))).await;
            test_app.stop.cancel();
        }
    }

    async fn a_mail_at_which_the_line_breaks_twice_is_set_aside(test_db) {
        let server = Server::with(Manners { dies_of: Some(3), ..Manners::default() }).await;
        let test_app = app_that_watches(test_db, &server, "seen").await;
        server.put(3, &gone(&test_app, READER));
        server.put(4, &gone(&test_app, OTHER));
        watch(&test_app);
        // Two visits and the waits between them.
        for _ in 0..300 {
            if server.flags(4) == "(\\Seen)" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!((server.flags(3).as_str(), server.flags(4).as_str()), ("", "(\\Seen)"));
        assert_eq!(aside(&test_app).await, [(3, 1, "FETCH failed: the connection was lost".to_owned())]);
    }

    async fn a_folder_is_named_as_the_servers_namespace_has_it(test_db) {
        let server = Server::with(Manners { can: "NAMESPACE", prefix: "INBOX.", ..Manners::default() }).await;
        let test_app = app_that_watches(test_db, &server, "move:Done").await;
        server.put(3, &gone(&test_app, READER));
        watch(&test_app);
        until("it is taken out", async || !server.has(3)).await;
        assert_eq!((server.heard("CREATE \"INBOX.Done\""), server.heard("UID COPY 3 \"INBOX.Done\"")), (1, 1));
    }

    async fn what_cannot_be_moved_is_marked_as_read_and_named(test_db) {
        let server = Server::with(Manners { can: "MOVE", is_full: true, ..Manners::default() }).await;
        let test_app = app_that_watches(test_db, &server, "move:Done").await;
        server.put(3, &gone(&test_app, READER));
        server.put(4, &gone(&test_app, OTHER));
        watch(&test_app);
        until("both are set aside", async || aside(&test_app).await.len() == 2).await;
        assert!(inbox(&test_app).await.contains("[OVERQUOTA]"));
        assert_eq!((server.flags(3).as_str(), server.flags(4).as_str()), ("(\\Seen)", "(\\Seen)"), "none is fetched again");
    }

    async fn what_goes_without_uidplus_takes_nothing_of_others_along(test_db) {
        let server = Server::start().await;
        let test_app = app_that_watches(test_db, &server, "move:Done").await;
        server.put(2, "From: a@b.example\nSubject: of somebody else\n\nhello\n");
        server.mails.lock().expect("unharmed").get_mut(&2).expect("it is there").1 = "(\\Deleted)".into();
        server.put(3, "From: a@b.example\nSubject: hello\n\nhello\n");
        watch(&test_app);
        until("it has gone", async || !server.has(3)).await;
        until("the other is marked again", async || server.flags(2) == "(\\Deleted)").await;
        assert_eq!((server.heard("UID COPY 3 \"Done\""), server.heard("CREATE \"Done\"")), (1, 1));
        let said = server.heard.lock().expect("unharmed").join("\n");
        assert!(said.find("UID STORE 3 +FLAGS.SILENT (\\Seen)") < said.find("UID COPY 3"), "the copy is read: {said}");
    }

    async fn a_server_that_is_silent_in_idle_is_looked_at_by_the_clock(test_db) {
        let server = Server::with(Manners { can: "IDLE", ..Manners::default() }).await;
        let test_app = app_that_watches(test_db, &server, "seen").await;
        watch(&test_app);
        until("it idles", async || server.heard("IDLE") > 0).await;
        server.put(3, &gone(&test_app, READER));
        until("what it does not tell is found", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(server.heard("LOGIN"), 1, "on the same connection");
        assert!(server.heard("DONE") > 0);
    }

    async fn a_folder_that_stays_as_it_was_opened_is_opened_anew(test_db) {
        let mut test_db = Some(test_db);
        for can in ["", "IDLE"] {
            let server = Server::with(Manners { can, is_frozen: true, ..Manners::default() }).await;
            let test_app = app_that_watches(test_db.take().expect("one"), &server, "seen").await;
            test_db = Some(test_app.test_db.another());
            watch(&test_app);
            until("it is looked at", async || server.heard("SEARCH") > 0).await;
            server.put(3, &gone(&test_app, READER));
            until("what is not told is found", async || server.flags(3) == "(\\Seen)").await;
            assert_eq!(server.heard("LOGIN"), 1, "on the same connection");
        }
    }

    async fn a_folder_that_can_only_be_read_is_a_fault(test_db) {
        let server = Server::with(Manners { is_read_only: true, ..Manners::default() }).await;
        let test_app = app_that_watches(test_db, &server, "seen").await;
        server.put(3, &gone(&test_app, READER));
        watch(&test_app);
        until("it is opened", async || server.heard("SELECT") > 0).await;
        let words = inbox(&test_app).await;
        assert!(words.starts_with("Fault") && words.contains("can be read and not marked"), "{words}");
        assert_eq!(server.heard("BODY.PEEK"), 0, "nothing is fetched that would be fetched again");
    }

    async fn a_login_by_challenge_is_made_where_the_server_takes_no_password(test_db) {
        let server = Server::with(Manners { can: "AUTH=CRAM-MD5", wants_cram: true, ..Manners::default() }).await;
        let test_app = app_that_watches(test_db, &server, "seen").await;
        server.put(3, &gone(&test_app, READER));
        watch(&test_app);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!((server.heard("AUTHENTICATE CRAM-MD5"), server.heard("LOGIN"), server.heard("pa ss")), (1, 0, 0));
        let server = Server::with(Manners { can: "AUTH=GSSAPI AUTH=XOAUTH2", ..Manners::default() }).await;
        let test_app = app_that_watches(test_app.test_db.another(), &server, "seen").await;
        let words = inbox(&test_app).await;
        assert!(words.contains("offers GSSAPI, XOAUTH2") && server.heard("LOGIN") == 0, "{words}");
    }

    async fn what_could_not_be_kept_stays_unread(test_db) {
        let server = Server::start().await;
        let test_app = app_that_watches(test_db, &server, "seen").await;
        server.put(3, &gone(&test_app, READER));
        test_app.app.storage.close().await;
        watch(&test_app);
        until("it tries", async || server.heard("SELECT") == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(server.flags(3), "");
        assert_eq!(server.heard("LOGIN"), 1, "it waits before it tries again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_cut_in_idle_is_opened_anew_within_a_bound() {
    let server = Server::with(Manners {
        can: "IDLE",
        falls_silent: true,
        ..Manners::default()
    })
    .await;
    let test_app = app_that_watches(TestDb::sqlite(), &server, "seen").await;
    watch(&test_app);
    until("it idles", async || server.heard("DONE") > 0).await;
    server.put(3, &gone(&test_app, READER));
    // DONE is waited for within 10 seconds, and the next visit begins 5 later.
    for _ in 0..300 {
        if server.flags(3) == "(\\Seen)" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        (server.flags(3).as_str(), server.heard("LOGIN")),
        ("(\\Seen)", 2)
    );
}

#[test]
fn a_mailboxs_password_goes_over_tls_and_is_shown_to_nobody() {
    let test_db = TestDb::sqlite();
    let program = |url: &str, after: &str| {
        Program::set_up(&test_db)
            .with("VERDICTS_INBOUND__IMAP", url)
            .with("VERDICTS_INBOUND__IMAP_AFTER", after)
    };
    for url in [
        "imaps://user:hunter2@imap.example.org/INBOX",
        "imap://user:hunter2@imap.example.org",
        "imap://user:hunter2@127.0.0.1?tls=none",
    ] {
        let shown = program(url, "seen").run(&["config"]).good().out;
        assert!(
            shown.contains("inbound.imap ") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    for (url, after) in [
        ("imap://user:hunter2@imap.example.org?tls=none", "seen"),
        ("imaps://imap.example.org/INBOX", "seen"),
        (
            "imaps://user:hunter2@imap.example.org/INBOX?tls=none",
            "seen",
        ),
        ("https://user:hunter2@imap.example.org", "seen"),
        ("imaps://user:hunter2@imap.example.org/M%C3%BCll", "seen"),
        ("imaps://user:hunter2@imap.example.org", "burn"),
        ("imaps://user:hunter2@imap.example.org", "move:INBOX"),
        ("imaps://user:hunter2@imap.example.org", "move:a\r\nb"),
    ] {
        let said = program(url, after)
            .run(&["config"])
            .refused(&["inbound.imap"]);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

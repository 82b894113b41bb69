//! Returned mail handed over by LMTP.

use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use super::READER;
use super::app_with_a_reader;
use super::app_with_a_reader_and;
use super::corpus::corpus;
use super::corpus::rows;
use super::report;
use super::return_path;
use super::take;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

/// Says each line to the LMTP door and gives the answers, up to the last of each.
async fn converse(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    says: &[&str],
    answers: usize,
) -> Vec<String> {
    use tokio::io::AsyncBufReadExt;
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::io::BufReader::new(stream);
    for line in says {
        stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .expect("said");
    }
    let mut heard = Vec::new();
    while heard.len() < answers {
        let mut line = String::new();
        let length = tokio::time::timeout(
            std::time::Duration::from_secs(20),
            stream.read_line(&mut line),
        )
        .await
        .expect("an answer");
        assert!(length.expect("read") > 0, "it hung up after {heard:?}");
        if line.as_bytes().get(3) == Some(&b' ') {
            heard.push(line[..3].to_owned());
        }
    }
    heard
}

/// Hands a report over by LMTP in one go; the answer to its dot.
async fn hand_over(address: std::net::SocketAddr, to: &str, mail: &str) -> String {
    hand_over_from(address, "", to, mail).await
}

/// Hands a mail of that sender's over by LMTP in one go; the answer to its dot.
pub async fn hand_over_from(
    address: std::net::SocketAddr,
    from: &str,
    to: &str,
    mail: &str,
) -> String {
    let from = format!("MAIL FROM:<{from}> SIZE=100");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let stuffed = mail.replace("\n.", "\n..").replace('\n', "\r\n");
    let rcpt = format!("RCPT TO:<{to}>");
    let text = format!("{stuffed}\r\n.");
    let says = ["LHLO mx.example.org", &from, &rcpt, "DATA", &text, "QUIT"];
    let heard = converse(&mut stream, &says, 7).await;
    assert_eq!(
        (&heard[..5], heard[6].as_str()),
        (
            ["220", "250", "250", "250", "354"]
                .map(String::from)
                .as_slice(),
            "221"
        )
    );
    heard[5].clone()
}

on_both! {
    async fn a_report_handed_over_by_lmtp_is_acknowledged_once_it_is_acted_on(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let door = verdicts::inbox::OpenListener::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        let serving = tokio::spawn(verdicts::inbox::serve(test_app.app.clone(), door, test_app.stop.clone()));
        let path = return_path(&test_app, READER);
        // The report names nobody of ours: the envelope does.
        let mail = report("somebody@else.example", READER, "550 5.1.1 no such user");
        for _ in 0..2 {
            assert_eq!(hand_over(address, &path, &mail).await, "250");
            assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced));
        }
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        let long = "x".repeat(10_000);
        let says = ["EHLO x", "DATA", "RCPT TO:<a@b.example>", "MAIL nonsense", &long, "LHLO x", "MAIL FROM:<a@b.example>", "DATA", "NOOP", "RSET", "WHAT"];
        let heard = converse(&mut stream, &says, 12).await;
        assert_eq!(heard, ["220", "500", "503", "503", "501", "500", "250", "250", "503", "250", "250", "500"]);
        test_app.stop.cancel();
        serving.await.expect("it ends").expect("in order");
    }

    async fn every_mail_of_the_corpus_about_one_reader_is_acted_on_as_the_table_says(test_db) {
        // Each is about a reader of its own, at a host of their own, and comes to the return path of what they got.
        let mails: Vec<(String, String, String, String)> = corpus().into_iter().enumerate().filter_map(|(n, (name, raw, rows_of))| {
            let [[address, meaning, ..]] = rows_of.as_slice() else { return None };
            let reader = format!("r{n}@host{n}.example");
            let mail = String::from_utf8(raw).ok()?.replace(address.as_str(), &reader).replace('\r', "");
            let told = rows(mail.as_bytes());
            let is_same = told.len() == 1 && told[0][0] == reader && told[0][1] == *meaning;
            is_same.then(|| (name, reader, meaning.clone(), mail))
        }).collect();
        assert!(mails.len() > 130, "{}", mails.len());
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
            // What each mail means is looked at here, not how many there are.
            settings.bounces.brake_count = 0;
        })
        .await;
        test_app.stock_small().await;
        let list: String = mails.iter().map(|(_, reader, ..)| format!("{reader},active\n")).collect();
        test_app.enlist_all(&format!("email,state\n{list}")).await;
        test_app.send_digest().await;
        let door = verdicts::inbox::OpenListener::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        tokio::spawn(verdicts::inbox::serve(test_app.app.clone(), door, test_app.stop.clone()));
        for (name, reader, meaning, mail) in &mails {
            // A person's mail has a sender; where the file names none, a report's is empty.
            let noted = mail.lines().find_map(|line| line.strip_prefix("Return-Path: <")).and_then(|line| line.split('>').next());
            let from = noted.unwrap_or(if matches!(meaning.as_str(), "hard" | "soft") { "" } else { reader });
            assert_eq!(hand_over_from(address, from, &return_path(&test_app, reader), mail).await, "250", "{name}");
            let expected = match meaning.as_str() {
                "hard" => SubscriberState::Bounced,
                "complaint" => SubscriberState::Complained,
                "unsubscribe" => SubscriberState::Unsubscribed,
                _ => SubscriberState::Active,
            };
            assert_eq!(test_app.state_of(reader).await, Some(expected), "{name}");
        }
        test_app.stop.cancel();
    }

    async fn an_alias_with_a_dead_target_and_a_living_one_stays(test_db) {
        // The reports of these servers name the targets, and not the address that we wrote to.
        let test_app = app_with_a_reader(test_db).await;
        for name in ["alias-opensmtpd", "alias-exim-text"] {
            let (_, raw, _) = corpus().into_iter().find(|(known, ..)| known == name).expect("a mail");
            let mail = String::from_utf8(raw).expect("text").replace("news-return@ship.example", &return_path(&test_app, READER));
            let mail = mail.replace("team@reader.example", READER);
            assert_eq!(take(&test_app, &mail).await, InboundResult::Kept, "{name}");
            assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Active), "{name}");
        }
    }

    async fn a_notice_of_amazons_by_mail_is_told_whose_it_is_by_the_sender_that_it_names(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let path = return_path(&test_app, READER);
        let notice = |source: &str| format!(
            "From: no-reply@sns.amazonaws.com\nTo: fbl@verdicts.example\nSubject: AWS Notification Message\n\n\
             {{\"notificationType\": \"Complaint\", \"complaint\": {{\"complainedRecipients\": [{{\"emailAddress\": \"{READER}\"}}]}}, \
             \"mail\": {{\"source\": \"{source}\", \"messageId\": \"1\"}}}}\n\n--\nto unsubscribe: https://sns.example/x\n"
        );
        assert_eq!(take(&test_app, &notice("bounces@verdicts.example")).await, InboundResult::Kept, "no proof");
        assert_eq!(take(&test_app, &notice(&path)).await, InboundResult::Ended);
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Complained));
    }

    async fn of_a_large_mail_by_lmtp_and_by_pipe_the_beginning_is_read(test_db) {
        let test_app = app_with_a_reader_and(test_db, |settings| settings.inbound.size_max_mb = 1).await;
        let door = verdicts::inbox::OpenListener::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        tokio::spawn(verdicts::inbox::serve(test_app.app.clone(), door, test_app.stop.clone()));
        let large = |reader: &str| format!("{}{}", report(&return_path(&test_app, reader), reader, "550 5.1.1 no such user"), "An attachment.\n".repeat(100_000));
        assert_eq!(hand_over(address, "x@else.example", &large(READER)).await, "250");
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced));
        let program = Program::in_place(&test_app.test_db)
            .with("VERDICTS_SITE__SECRET", "a secret for tests only")
            .with("VERDICTS_MAIL__RETURN_PATH", "bounces+{verp}@verdicts.example")
            .with("VERDICTS_INBOUND__SIZE_MAX_MB", "1");
        let said = program.run_with_input(&["inbound", "-", "--apply"], large("reader1@example.org").as_bytes()).good();
        assert!(said.err.contains("inbound.size_max_mb"), "{said:?}");
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Bounced));
    }

    async fn a_mail_is_not_acknowledged_while_the_database_cannot_keep_it(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let door = verdicts::inbox::OpenListener::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        tokio::spawn(verdicts::inbox::serve(test_app.app.clone(), door, test_app.stop.clone()));
        let path = return_path(&test_app, READER);
        test_app.app.storage.close().await;
        assert_eq!(hand_over(address, &path, &report("x@else.example", READER, "550 5.1.1 no such user")).await, "451");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_of_lmtp_has_the_rights_of_the_settings() {
    use std::os::unix::fs::PermissionsExt;
    let test_db = TestDb::sqlite();
    let socket = test_db.dir.path().join("lmtp");
    let program = Program::set_up(&test_db).with(
        "VERDICTS_INBOUND__LMTP",
        &format!("unix:{}", socket.display()),
    );
    let rights = || {
        std::fs::metadata(&socket)
            .map(|file| file.permissions().mode() & 0o777)
            .unwrap_or_default()
    };
    for (mode, expected) in [(None, 0o660), (Some("666"), 0o666)] {
        let program = mode.map_or(program.clone(), |mode| {
            program.clone().with("VERDICTS_INBOUND__LMTP_MODE", mode)
        });
        let mut running = program.start("serve", &["serve", "--role", "inbound"]);
        crate::support::until("it listens", async || rights() == expected).await;
        assert_eq!(running.terminate(), Some(0));
    }
    program
        .with("VERDICTS_INBOUND__LMTP_MODE", "rw")
        .run(&["config"])
        .refused(&["inbound.lmtp_mode", "octal"]);
}

/// `tests/doors/run` takes the blocks of the docs by their marks, and tries each on its server.
#[test]
fn each_line_of_the_docs_for_a_mail_server_is_tried_on_it() {
    let trial = std::fs::read_to_string("tests/doors/inside").expect("a script");
    let mut tried = 0;
    for file in ["README.md", "docs/inbound.md"] {
        let text = std::fs::read_to_string(file).expect("a page");
        let blocks: Vec<&str> = text.split("```").collect();
        for (before, block) in blocks.iter().zip(&blocks[1..]).step_by(2) {
            let mark = before
                .trim_end()
                .rsplit('\n')
                .next()
                .and_then(|line| line.strip_prefix("<!-- ")?.strip_suffix(" -->"));
            assert!(
                mark.is_some() || !block.contains("inbound - --apply"),
                "{file}: a line that nothing tries: {block}"
            );
            if let Some(mark) = mark {
                // One name is put together: "exim: $1".
                let (server, what) = mark.split_once(": ").expect("a server and a name");
                assert!(
                    trial.contains(&format!("block \"{mark}\""))
                        || trial.contains(&format!("block \"{server}: $1\""))
                            && trial.contains(what),
                    "{mark}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried >= 12, "{tried}");
    assert!(
        std::fs::read_to_string(".ci/check")
            .expect("a script")
            .contains("tests/doors/run")
    );
}

#[test]
fn lmtp_listens_on_this_machine_only() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db).with("VERDICTS_INBOUND__LMTP", "0.0.0.0:2424");
    program
        .run(&["config"])
        .refused(&["inbound.lmtp", "loopback"]);
}

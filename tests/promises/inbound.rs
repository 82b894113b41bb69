//! What comes back: read as the table beside the corpus says, and acted on only with proof, once.

use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use proptest::prelude::*;
use std::path::Path;
use verdicts::config::Settings;
use verdicts::domain::inbound::Meaning;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::token::Secrets;
use verdicts::domain::verp::ReturnPath;
use verdicts::mail::inbound::read;
use verdicts::storage::inbound::Taken;

pub const READER: &str = "reader0@example.org";

/// A row of `tests/inbound/expected.tsv`: address, meaning, reason, status.
type Row = [String; 4];

/// Every mail of the corpus with what it means.
fn corpus() -> Vec<(String, Vec<u8>, Vec<Row>)> {
    let dir = Path::new("tests/inbound");
    let table = std::fs::read_to_string(dir.join("expected.tsv")).expect("a table");
    let mut mails: Vec<(String, Vec<u8>, Vec<Row>)> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t').map(String::from);
        let name = fields.next().expect("a name");
        let row: Row = std::array::from_fn(|_| fields.next().unwrap_or_default());
        match mails.last_mut().filter(|(known, ..)| *known == name) {
            Some((_, _, rows)) => rows.push(row),
            None => mails.push((
                name.clone(),
                std::fs::read(dir.join(format!("{name}.eml"))).expect("a mail"),
                vec![row],
            )),
        }
    }
    mails
}

fn rows(raw: &[u8]) -> Vec<Row> {
    let text = |text: Option<String>| text.unwrap_or_default();
    let row = |finding: verdicts::domain::inbound::Finding| {
        let address = finding.address.unwrap_or_else(|| "-".into());
        let status = finding.status.map(|status| status.to_string());
        [
            address,
            finding.meaning.to_string(),
            text(finding.reason.map(|reason| reason.to_string())),
            text(status),
        ]
    };
    read(raw).findings.into_iter().map(row).collect()
}

#[test]
fn every_mail_of_the_corpus_means_what_the_table_says() {
    let corpus = corpus();
    assert!(
        corpus.len() > 90
            && std::fs::read_dir("tests/inbound")
                .expect("a folder")
                .count()
                == corpus.len() + 1
    );
    for (name, raw, expected) in corpus {
        assert_eq!(rows(&raw), expected, "{name}");
    }
}

#[test]
fn the_ends_of_lines_change_nothing() {
    for (name, raw, expected) in corpus()
        .into_iter()
        .filter(|(_, raw, _)| raw.is_ascii() && !raw.contains(&b'\r'))
    {
        for end in ["\r\n", "\r"] {
            let text = String::from_utf8(raw.clone())
                .expect("ASCII")
                .replace('\n', end);
            assert_eq!(rows(text.as_bytes()), expected, "{name} with {end:?}");
        }
    }
}

#[test]
fn the_command_prints_a_line_for_each_recipient() {
    let place = Place::sqlite();
    let program = Program::set_up(&place);
    let corpus = corpus();
    let here = std::env::current_dir().expect("a folder");
    let files: Vec<String> = corpus
        .iter()
        .map(|(name, ..)| {
            here.join(format!("tests/inbound/{name}.eml"))
                .display()
                .to_string()
        })
        .collect();
    let arguments: Vec<&str> = std::iter::once("inbound")
        .chain(files.iter().map(String::as_str))
        .collect();
    let expected: String = corpus
        .iter()
        .flat_map(|(_, _, rows)| rows)
        .map(|[address, meaning, ..]| format!("{address}\t{meaning}\n"))
        .collect();
    assert_eq!(program.run(&arguments).good().out, expected);
    let (_, raw, rows) = &corpus[0];
    assert_eq!(
        program.run_with_input(&["inbound", "-"], raw).good().out,
        format!("{}\t{}\n", rows[0][0], rows[0][1])
    );
    let json = program
        .run_with_input(&["--json", "inbound"], raw)
        .good()
        .json();
    assert_eq!(
        json["mails"][0]["recipients"][0]["reason"],
        rows[0][2].as_str()
    );
    let classes = |file: &str| {
        let json = program
            .run(&["--json", "inbound", &here.join(file).display().to_string()])
            .good()
            .json();
        json["mails"][0]["recipients"][0]["class"].clone()
    };
    assert_eq!(classes("tests/inbound/zimbra-full.eml"), "recipient");
    assert_eq!(classes("tests/inbound/dsn-rate.eml"), "passing");
    assert!(
        classes("tests/inbound/gmail.eml").is_null(),
        "a hard failure has no class"
    );
    // A mail server keeps a mail that its pipe gives back with EX_TEMPFAIL.
    let missing = program.run(&["inbound", "missing.eml"]);
    assert!(
        missing.code == 75 && missing.out.is_empty() && missing.err.contains("missing.eml"),
        "{missing:?}"
    );
}

/// How many cases proptest tries: a few hundred, or as many as `VERDICTS_PROPTEST_CASES` says to run for minutes.
fn cases() -> ProptestConfig {
    let many = std::env::var("VERDICTS_PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: many.unwrap_or(256),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(!read(&bytes).findings.is_empty());
    }

    #[test]
    fn a_mail_of_the_corpus_is_read_with_anything_cut_out_or_put_in(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0usize..400,
        put in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let corpus = corpus();
        let mut raw = index.get(&corpus).1.clone();
        let at = at.index(raw.len());
        let end = (at + length).min(raw.len());
        raw.splice(at..end, put);
        let reading = read(&raw);
        for finding in &reading.findings {
            let clean = finding.address.as_ref().is_none_or(|address| !address.chars().any(|c| c.is_whitespace() || c.is_control()));
            prop_assert!(clean && !finding.line.chars().any(char::is_control), "{:?}", finding);
        }
    }
}

/// A house with a reader who has got this week's digest by way of a return path of their own.
async fn house_with_a_reader(place: Place) -> House {
    house_with_a_reader_and(place, |_| {}).await
}

/// The same, with more settings.
pub async fn house_with_a_reader_and(place: Place, adapt: impl FnOnce(&mut Settings)) -> House {
    let house = House::open_with(place, |settings| {
        settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
        adapt(settings);
    })
    .await;
    house.stock_small().await;
    house.enlist("reader", 2).await;
    house.send_digest().await;
    house
}

/// Sends the next week's digest.
pub async fn a_week_later(house: &House, week: usize) {
    house.wait(TimeDelta::days(7));
    house
        .stock(&catalogue::comparison(
            &format!("week-{week}"),
            "Design",
            house.app.now() - TimeDelta::hours(1),
        ))
        .await;
    house.send_digest().await;
}

pub fn header(mail: &[u8], name: &str) -> String {
    let mail = mail_parser::MessageParser::default()
        .parse(mail)
        .expect("a mail");
    mail.header_raw(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .replace("\r\n", "")
        .trim()
        .to_owned()
}

fn newest_to(house: &House, reader: &str) -> Vec<u8> {
    house.mails_to(reader).pop().expect("a digest")
}

/// The return path of the newest digest to somebody, from its Message-ID, which names the same delivery.
pub fn return_path(house: &House, reader: &str) -> String {
    let secrets = Secrets::new(&house.app.settings.site.secret).expect("a secret");
    let id = header(&newest_digest(house, reader), "Message-ID");
    let (id, _) = id.trim_start_matches('<').split_once('@').expect("an id");
    let path = ReturnPath::new(
        house
            .app
            .settings
            .mail
            .return_path
            .as_deref()
            .expect("a return path"),
    )
    .expect("a mark");
    path.with(&secrets.sign_delivery(secrets.named_delivery(id).expect("a delivery")))
        .into_owned()
}

/// The address that the List-Unsubscribe of the newest digest to somebody says to write to.
pub fn leaving_address(house: &House, reader: &str) -> String {
    let header = header(&newest_digest(house, reader), "List-Unsubscribe");
    let (_, rest) = header
        .split_once("<mailto:")
        .expect("an address to write to");
    rest.split(['?', '>'])
        .next()
        .expect("an address")
        .to_owned()
}

fn newest_digest(house: &House, reader: &str) -> Vec<u8> {
    // A confirmation's number is higher than any digest's, and it has no such header.
    let is_digest = |mail: &Vec<u8>| {
        mail_parser::MessageParser::default()
            .parse(mail)
            .expect("a mail")
            .header_raw("List-Unsubscribe")
            .is_some()
    };
    house
        .mails_to(reader)
        .into_iter()
        .rfind(is_digest)
        .expect("a digest")
}

pub fn report(to: &str, reader: &str, said: &str) -> String {
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org\nTo: {to}\nSubject: Undelivered Mail\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nIt failed.\n\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; {reader}\n\
         Action: failed\nDiagnostic-Code: smtp; {said}\n\n--b--\n"
    )
}

pub async fn take(house: &House, mail: &str) -> Taken {
    house
        .app
        .take_inbound(mail.as_bytes(), "test")
        .await
        .expect("taken")
        .1
}

/// Asks for another address, as far as the mail to it.
async fn ask_to_move(house: &House, from: &str, to: &str) {
    let preferences = crate::journey::link(&newest_to(house, from), "/preferences/");
    house.post(&format!("{preferences}/link")).await;
    house.deliver_confirmations().await;
    let account = crate::journey::link(&newest_to(house, from), "/account/");
    house
        .post_form(&format!("{account}/address"), &[("email", to)])
        .await;
    house.deliver_confirmations().await;
}

pub async fn move_to(house: &House, from: &str, to: &str) {
    ask_to_move(house, from, to).await;
    house
        .post(&crate::journey::link(&newest_to(house, to), "/move/"))
        .await;
    assert_eq!(house.state_of(to).await, Some(SubscriberState::Active));
}

on_both! {
    async fn a_hard_bounce_ends_a_subscription_once(place) {
        let house = house_with_a_reader(place).await;
        let mail = report(&return_path(&house, READER), READER, "550 5.1.1 no such user");
        assert_eq!(take(&house, &mail).await, Taken::Ended);
        let record = house.record_of(READER).await;
        assert!(record.contains("state: Bounced") && record.contains("550 5.1.1 no such user"), "{record}");
        assert_eq!(house.state_of("reader1@example.org").await, Some(SubscriberState::Active));
        house.wait(TimeDelta::minutes(1));
        let again = format!("Received: by another.example\nDelivered-To: list@example.org\n{mail}");
        assert_eq!((take(&house, &mail).await, take(&house, &again).await), (Taken::Before, Taken::Before));
        assert_eq!(house.record_of(READER).await, record);
        let back = house.app.storage.is_suppressed(&[]).await.expect("an answer");
        assert!(!back);
        house.sign_up(READER).await;
        assert_eq!(house.waiting_confirmations().await, 0, "on the suppression list");
    }

    async fn a_new_address_that_does_not_exist_ends_nobodys_subscription(place) {
        let house = house_with_a_reader(place).await;
        ask_to_move(&house, READER, "mistyped@example.org").await;
        let returned = |mail: &[u8], reader| {
            let id = header(mail, "Message-ID");
            let end = format!("--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {id}\n\n--b--\n");
            report("bounces@verdicts.example", reader, "550 5.1.1 no such user").replace("--b--\n", &end)
        };
        let asked = newest_to(&house, "mistyped@example.org");
        assert_eq!(take(&house, &returned(&asked, "mistyped@example.org")).await, Taken::Kept);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
        let digest = house.mails_to("reader1@example.org").pop().expect("a digest");
        assert_eq!(take(&house, &returned(&digest, "reader1@example.org")).await, Taken::Ended, "a report of this form is heard");
    }

    async fn what_comes_back_late_from_an_address_that_somebody_left_ends_nothing(place) {
        let house = house_with_a_reader(place).await;
        let full = |path: &str, to: &str| report(path, to, "552 5.2.2 mailbox full");
        let mut old = vec![return_path(&house, READER)];
        let leaving = leaving_address(&house, READER);
        for week in 0..4 {
            a_week_later(&house, week).await;
            old.push(return_path(&house, READER));
        }
        for path in &old[..4] {
            assert_eq!(take(&house, &full(path, READER)).await, Taken::Kept);
        }
        move_to(&house, READER, "ada@new.example").await;
        house.wait(TimeDelta::hours(2));
        assert_eq!(take(&house, &report(&old[4], READER, "550 5.1.1 no such user")).await, Taken::Kept, "the old one is gone");
        assert_eq!(take(&house, &full(&old[4], READER)).await, Taken::Kept);
        a_week_later(&house, 4).await;
        assert_eq!(take(&house, &full(&return_path(&house, "ada@new.example"), "ada@new.example")).await, Taken::Kept, "the first of the new one");
        assert_eq!(house.state_of("ada@new.example").await, Some(SubscriberState::Active));
        let leave = format!("From: x@else.example\nTo: <{leaving}>\nSubject: unsubscribe\n\n");
        assert_eq!(take(&house, &leave).await, Taken::Ended, "whoever wishes to leave may, by any mail that they got");
    }

    async fn a_new_address_that_ceases_to_exist_ends_the_subscription(place) {
        let house = house_with_a_reader(place).await;
        move_to(&house, READER, "ada@new.example").await;
        a_week_later(&house, 0).await;
        let mail = report(&return_path(&house, "ada@new.example"), "ada@new.example", "550 5.1.1 no such user");
        assert_eq!(take(&house, &mail).await, Taken::Ended);
    }

    async fn a_forged_report_changes_nobody(place) {
        let house = house_with_a_reader(place).await;
        let path = return_path(&house, READER);
        let (head, tail) = path.split_at(12);
        let forged = format!("{head}{}{}", if tail.starts_with('a') { 'b' } else { 'a' }, &tail[1..]);
        let before = house.record_of(READER).await;
        for to in ["bounces@verdicts.example", &forged, READER] {
            assert_eq!(take(&house, &report(to, READER, "550 5.1.1 no such user")).await, Taken::Kept, "{to}");
        }
        let id = "In-Reply-To: <202648.4711@verdicts.example>\n";
        assert_eq!(take(&house, &format!("{id}{}", report("x@verdicts.example", READER, "550 5.1.1 none"))).await, Taken::Kept);
        assert_eq!(house.record_of(READER).await, before);
    }

    async fn a_report_that_matched_nothing_is_looked_at_again_with_another_return_path_or_secret(place) {
        let house = house_with_a_reader(place).await;
        // As a pipe does that was not given the settings of the service.
        let pipe = House::open_with(house.place.again(), |settings| settings.mail.return_path = None).await;
        let mail = report(&return_path(&house, READER), READER, "550 5.1.1 no such user");
        assert_eq!((take(&pipe, &mail).await, take(&pipe, &mail).await), (Taken::Kept, Taken::Before));
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
        house.app.tick().await.expect("a tick");
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced), "the service looks at it with its own settings");
        assert_eq!((take(&house, &mail).await, house.app.match_again(100).await.expect("a look")), (Taken::Before, 0));

        let newer = House::open_with(house.place.again(), |settings| {
            settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
            settings.site.secret.insert(0, "the secret that signs from now on".into());
        })
        .await;
        newer.set_clock("2026-12-01T09:00:00Z");
        newer.stock(&catalogue::comparison("later", "Design", newer.app.now() - TimeDelta::hours(1))).await;
        newer.send_digest().await;
        let mail = report(&return_path(&newer, "reader1@example.org"), "reader1@example.org", "550 5.1.1 no such user");
        assert_eq!(take(&house, &mail).await, Taken::Kept, "signed with a secret that this process does not know");
        assert_eq!(take(&newer, &mail).await, Taken::Ended, "handed over again");
        let unmatched = format!("{} a", report("bounces@verdicts.example", READER, "550 5.1.1 no such user"));
        take(&newer, &unmatched).await;
        let doctor = newer.app.examine().await;
        assert!(doctor.iter().any(|finding| finding.what == "inbound" && finding.words.contains("match no mail")), "{doctor:?}");
        newer.wait(TimeDelta::days(31));
        newer.app.tick().await.expect("a tick");
        assert_eq!(newer.app.storage.count_unmatched().await.expect("a count"), 0, "and then forgotten");
    }

    async fn what_matched_nothing_goes_with_the_reader_that_it_names(place) {
        let house = house_with_a_reader(place).await;
        take(&house, &report("bounces@verdicts.example", READER, "550 5.1.1 no such user")).await;
        assert_eq!(house.app.storage.count_unmatched().await.expect("a count"), 1);
        Program::in_place(&house.place).with("VERDICTS_SITE__SECRET", "a secret for tests only").run(&["subscribers", "erase", READER]).good();
        assert_eq!(house.app.storage.count_unmatched().await.expect("a count"), 0);
    }

    async fn the_message_id_of_the_mail_that_came_back_is_proof_too(place) {
        let house = house_with_a_reader(place).await;
        let id = header(&newest_to(&house, READER), "Message-ID");
        let mail = report("bounces@verdicts.example", READER, "550 5.1.1 no such user");
        let mail = mail.replace("\n--b--", &format!("\n--b\nContent-Type: text/rfc822-headers\n\nFrom: news@verdicts.example\nMessage-ID: {id}\n\n--b--"));
        assert_eq!(take(&house, &mail).await, Taken::Ended);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced));
    }

    async fn nobody_leaves_for_somebody_elses_fault(place) {
        let house = house_with_a_reader(place).await;
        let path = return_path(&house, READER);
        for said in ["552 5.2.2 mailbox full", "550 5.7.1 spam", "550 5.2.1 receiving mail at a rate that", "554 5.7.1 relaying denied", "550 no"] {
            assert_eq!(take(&house, &report(&path, READER, said)).await, Taken::Kept, "{said}");
        }
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
    }

    async fn five_digests_in_a_row_that_come_back_end_a_subscription_and_one_that_arrives_begins_anew(place) {
        let house = house_with_a_reader(place).await;
        let full = |path: &str| report(path, READER, "552 5.2.2 mailbox full");
        for week in 0..8 {
            assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active), "week {week}");
            let path = return_path(&house, READER);
            // In the third week the mail arrived.
            if week != 2 {
                let taken = take(&house, &full(&path)).await;
                let again = take(&house, &full(&path).replace("Subject: ", "Subject: again: ")).await;
                assert_eq!((taken, again), if week == 7 { (Taken::Ended, Taken::Kept) } else { (Taken::Kept, Taken::Kept) }, "week {week}");
            }
            if week < 7 {
                a_week_later(&house, week).await;
            }
        }
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced));
    }

    async fn a_complaint_ends_it_at_once_though_the_address_is_blanked_out(place) {
        let house = house_with_a_reader(place).await;
        let link = house.goodbye_link(READER);
        let mail = format!(
            "From: fbl@provider.example\nTo: fbl@verdicts.example\nSubject: FW\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\n\
             Feedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\n\n--b\nContent-Type: message/rfc822\n\nTo: redacted@redacted.example\n\
             From: news@verdicts.example\nList-Unsubscribe: <{link}>\n\nhello\n--b--\n"
        );
        let (returned, taken) = house.app.take_inbound(mail.as_bytes(), "test").await.expect("taken");
        assert_eq!(returned.lines().collect::<Vec<_>>(), [(READER, Meaning::Complaint)]);
        assert_eq!((taken, house.state_of(READER).await), (Taken::Ended, Some(SubscriberState::Complained)));
    }

    async fn a_mail_to_the_address_of_list_unsubscribe_unsubscribes(place) {
        let house = house_with_a_reader(place).await;
        let path = leaving_address(&house, READER);
        let mail = format!("From: somebody@else.example\nTo: <{path}>\nSubject: unsubscribe\n\n");
        assert_eq!(take(&house, &mail).await, Taken::Ended);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Unsubscribed));
        let away = format!("From: {READER}\nTo: <{}>\nSubject: Automatic reply\nAuto-Submitted: auto-replied\n\nAway.\n", return_path(&house, "reader1@example.org"));
        assert_eq!(take(&house, &away).await, Taken::Kept);
        assert_eq!(house.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_suppression_is_lifted_with_a_note_and_a_sign_up_brings_them_back(place) {
        let house = house_with_a_reader(place).await;
        take(&house, &report(&return_path(&house, READER), READER, "550 5.1.1 no such user")).await;
        let reader = READER.parse().expect("an address");
        assert_eq!(house.app.lift_suppression(&reader, "their server was broken").await.expect("lifted"), "bounced");
        assert!(house.record_of(READER).await.contains("their server was broken"));
        assert!(house.app.lift_suppression(&reader, "again").await.is_err());
        house.join(READER).await;
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active));
    }
}

#[test]
fn the_command_acts_with_apply_only() {
    let place = Place::sqlite();
    let program = Program::set_up(&place).with(
        "VERDICTS_MAIL__RETURN_PATH",
        "bounces+{verp}@verdicts.example",
    );
    program.write("list.csv", "email\nada@example.org\n");
    program
        .run(&[
            "subscribers",
            "import",
            "list.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    let taken = |arguments: &[&str]| {
        let mail = report(
            "bounces@verdicts.example",
            "ada@example.org",
            "550 5.1.1 none",
        );
        program
            .run_with_input(
                &[&["--json", "inbound"], arguments].concat(),
                mail.as_bytes(),
            )
            .good()
            .json()["mails"][0]["applied"]
            .clone()
    };
    assert_eq!(taken(&[]), serde_json::Value::Null);
    assert_eq!(
        [taken(&["--apply"]), taken(&["--apply"])],
        ["kept", "known"]
    );
    program
        .run(&["subscribers", "lift", "ada@example.org", "--note", "x"])
        .refused(&["ada@example.org", "nothing was changed"]);
}

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
    async fn a_report_handed_over_by_lmtp_is_acknowledged_once_it_is_acted_on(place) {
        let house = house_with_a_reader(place).await;
        let door = verdicts::inbox::Door::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        let serving = tokio::spawn(verdicts::inbox::serve(house.app.clone(), door, house.stop.clone()));
        let path = return_path(&house, READER);
        // The report names nobody of ours: the envelope does.
        let mail = report("somebody@else.example", READER, "550 5.1.1 no such user");
        for _ in 0..2 {
            assert_eq!(hand_over(address, &path, &mail).await, "250");
            assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced));
        }
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        let long = "x".repeat(10_000);
        let says = ["EHLO x", "DATA", "RCPT TO:<a@b.example>", "MAIL nonsense", &long, "LHLO x", "MAIL FROM:<a@b.example>", "DATA", "NOOP", "RSET", "WHAT"];
        let heard = converse(&mut stream, &says, 12).await;
        assert_eq!(heard, ["220", "500", "503", "503", "501", "500", "250", "250", "503", "250", "250", "500"]);
        house.stop.cancel();
        serving.await.expect("it ends").expect("in order");
    }

    async fn every_mail_of_the_corpus_about_one_reader_is_acted_on_as_the_table_says(place) {
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
        let house = House::open_with(place, |settings| {
            settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
            // What each mail means is looked at here, not how many there are.
            settings.bounces.brake_count = 0;
        })
        .await;
        house.stock_small().await;
        let list: String = mails.iter().map(|(_, reader, ..)| format!("{reader},active\n")).collect();
        house.enlist_all(&format!("email,state\n{list}")).await;
        house.send_digest().await;
        let door = verdicts::inbox::Door::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        tokio::spawn(verdicts::inbox::serve(house.app.clone(), door, house.stop.clone()));
        for (name, reader, meaning, mail) in &mails {
            // A person's mail has a sender; where the file names none, a report's is empty.
            let noted = mail.lines().find_map(|line| line.strip_prefix("Return-Path: <")).and_then(|line| line.split('>').next());
            let from = noted.unwrap_or(if matches!(meaning.as_str(), "hard" | "soft") { "" } else { reader });
            assert_eq!(hand_over_from(address, from, &return_path(&house, reader), mail).await, "250", "{name}");
            let expected = match meaning.as_str() {
                "hard" => SubscriberState::Bounced,
                "complaint" => SubscriberState::Complained,
                "unsubscribe" => SubscriberState::Unsubscribed,
                _ => SubscriberState::Active,
            };
            assert_eq!(house.state_of(reader).await, Some(expected), "{name}");
        }
        house.stop.cancel();
    }

    async fn an_alias_with_a_dead_target_and_a_living_one_stays(place) {
        // The reports of these servers name the targets, and not the address that we wrote to.
        let house = house_with_a_reader(place).await;
        for name in ["alias-opensmtpd", "alias-exim-text"] {
            let (_, raw, _) = corpus().into_iter().find(|(known, ..)| known == name).expect("a mail");
            let mail = String::from_utf8(raw).expect("text").replace("news-return@ship.example", &return_path(&house, READER));
            let mail = mail.replace("team@reader.example", READER);
            assert_eq!(take(&house, &mail).await, Taken::Kept, "{name}");
            assert_eq!(house.state_of(READER).await, Some(SubscriberState::Active), "{name}");
        }
    }

    async fn a_notice_of_amazons_by_mail_is_told_whose_it_is_by_the_sender_that_it_names(place) {
        let house = house_with_a_reader(place).await;
        let path = return_path(&house, READER);
        let notice = |source: &str| format!(
            "From: no-reply@sns.amazonaws.com\nTo: fbl@verdicts.example\nSubject: AWS Notification Message\n\n\
             {{\"notificationType\": \"Complaint\", \"complaint\": {{\"complainedRecipients\": [{{\"emailAddress\": \"{READER}\"}}]}}, \
             \"mail\": {{\"source\": \"{source}\", \"messageId\": \"1\"}}}}\n\n--\nto unsubscribe: https://sns.example/x\n"
        );
        assert_eq!(take(&house, &notice("bounces@verdicts.example")).await, Taken::Kept, "no proof");
        assert_eq!(take(&house, &notice(&path)).await, Taken::Ended);
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Complained));
    }

    async fn of_a_large_mail_by_lmtp_and_by_pipe_the_beginning_is_read(place) {
        let house = house_with_a_reader_and(place, |settings| settings.inbound.size_max_mb = 1).await;
        let door = verdicts::inbox::Door::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        tokio::spawn(verdicts::inbox::serve(house.app.clone(), door, house.stop.clone()));
        let large = |reader: &str| format!("{}{}", report(&return_path(&house, reader), reader, "550 5.1.1 no such user"), "An attachment.\n".repeat(100_000));
        assert_eq!(hand_over(address, "x@else.example", &large(READER)).await, "250");
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced));
        let program = Program::in_place(&house.place)
            .with("VERDICTS_SITE__SECRET", "a secret for tests only")
            .with("VERDICTS_MAIL__RETURN_PATH", "bounces+{verp}@verdicts.example")
            .with("VERDICTS_INBOUND__SIZE_MAX_MB", "1");
        let said = program.run_with_input(&["inbound", "-", "--apply"], large("reader1@example.org").as_bytes()).good();
        assert!(said.err.contains("inbound.size_max_mb"), "{said:?}");
        assert_eq!(house.state_of("reader1@example.org").await, Some(SubscriberState::Bounced));
    }

    async fn a_mail_is_not_acknowledged_while_the_database_cannot_keep_it(place) {
        let house = house_with_a_reader(place).await;
        let door = verdicts::inbox::Door::open("127.0.0.1:0", 0o660).await.expect("a door");
        let address = door.address().expect("a port");
        tokio::spawn(verdicts::inbox::serve(house.app.clone(), door, house.stop.clone()));
        let path = return_path(&house, READER);
        house.app.storage.close().await;
        assert_eq!(hand_over(address, &path, &report("x@else.example", READER, "550 5.1.1 no such user")).await, "451");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_of_lmtp_has_the_rights_of_the_settings() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let socket = place.dir.path().join("lmtp");
    let program = Program::set_up(&place).with(
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
        std::fs::read_to_string(".ci/run")
            .expect("a script")
            .contains("tests/doors/run")
    );
}

#[test]
fn lmtp_listens_on_this_machine_only() {
    let place = Place::sqlite();
    let program = Program::set_up(&place).with("VERDICTS_INBOUND__LMTP", "0.0.0.0:2424");
    program
        .run(&["config"])
        .refused(&["inbound.lmtp", "loopback"]);
}

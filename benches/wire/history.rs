//! What history costs: the same work on a database with many past digests of everybody, and on one with the past of a few.
//!
//! In both, a thousand readers have a delivery of each past digest; in the second, everybody has. So a reader's own rows are the same,
//! and what differs is the history of all others. With `--program FILE` only publishing is measured, by that program (a release from
//! before, say) on a database that it made itself.

mod past;

use std::io::Read as _;
use std::io::Write as _;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use verdicts::domain::Timestamp;
use verdicts::domain::actor::Actor;
use verdicts::domain::address::EmailAddress;
use verdicts::domain::brake::BouncePolicy;
use verdicts::domain::brake::Brake;
use verdicts::domain::inbound::Classification;
use verdicts::domain::inbound::RecipientReport;
use verdicts::domain::inbound::RefusalClass;
use verdicts::storage::Storage;
use verdicts::storage::inbound::About;
use verdicts::storage::inbound::InboundAction;
use verdicts::storage::inbound::InboundMail;
use verdicts::storage::quotas::MailQuotas;
use verdicts::storage::refusals::StoredRefusal;
use verdicts::storage::subscribers::SignUp;

use crate::median;
use crate::stock::Database;
use crate::stock::Stock;
use crate::stock::test_db::TestDb;
use crate::wanted::Wanted;
use past::fill;
use past::unpublish;

/// Upper bound on one call to PostgreSQL; none of these comes near it.
const CALL_MAX: Duration = Duration::from_secs(60);
const READERS: usize = 200_000;
const DIGESTS: usize = 52;
/// Readers whose own past is whole in both databases, and who read monthly: about so many.
const OLD_READERS: usize = 1_000;
const VOTES: usize = 20_000;
const INBOUND: usize = 100_000;
/// Readers that each figure about one reader is measured with.
const SAMPLE: usize = 200;
const SHOWN: usize = 40;
const ARCHIVES: usize = 100;
/// A sign-up waits no longer than this behind a publishing.
const LONGEST_WAIT: f64 = 100.0;
const MOST_TIMES: f64 = 1.2;

/// What was measured, in milliseconds.
struct Figures {
    publish: f64,
    /// The longest sign-up and the 99th of a hundred, while it was published.
    sign_up: (f64, f64),
    bounce: f64,
    archive: f64,
    /// The data export's reading, and the same once more: with the reader's rows in the database's own memory.
    export: (f64, f64),
    show: f64,
}

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let (readers, digests) = (
        wanted.readers.unwrap_or(READERS),
        wanted.digests.unwrap_or(DIGESTS),
    );
    println!(
        "## History\n\n{digests} past digests of {readers} readers; medians of {} rounds in turns, in ms.\n",
        wanted.rounds
    );
    for database in [Database::SqliteFull, Database::PostgresFull] {
        if !wanted.databases.contains(&database) || !stock.has(database) {
            continue;
        }
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let places = [1, digests].map(|whole| {
            let test_db = stock.test_db(database, readers);
            test_db.bring_digest_of(40_000);
            test_db.publish();
            let began = Instant::now();
            runtime.block_on(fill(&test_db, digests, whole, readers));
            eprintln!(
                "{}: {whole} digests of everybody filled in {:.1} s",
                database.name(),
                began.elapsed().as_secs_f64()
            );
            test_db
        });
        if stock.program.is_some() {
            let [few, all] = publish(&runtime, &places, wanted.rounds);
            println!(
                "{}: published in {few:.0} ms after one digest of everybody, in {all:.0} after {digests}",
                database.name()
            );
        } else {
            table(database, &measure(&runtime, &places, wanted.rounds));
        }
        places.into_iter().for_each(|test_db| stock.clear(test_db));
    }
    println!();
}

fn table(database: Database, [few, all]: &[Figures; 2]) {
    println!(
        "| {} | one digest | all | times | target |\n| --- | ---: | ---: | ---: | --- |",
        database.name()
    );
    let row = |name: &str, few: f64, all: f64| {
        let (times, held) = (
            all / few,
            if all / few <= MOST_TIMES {
                "held"
            } else {
                "MISSED"
            },
        );
        println!("| {name} | {few:.2} | {all:.2} | {times:.2} | at most {MOST_TIMES}: {held} |");
    };
    row("publish", few.publish, all.publish);
    row("soft bounce", few.bounce, all.bounce);
    row("`/digests`", few.archive, all.archive);
    row("data export", few.export.0, all.export.0);
    row("the same again", few.export.1, all.export.1);
    row("`subscribers show`", few.show, all.show);
    let held = |longest: f64| {
        if longest <= LONGEST_WAIT {
            "held"
        } else {
            "MISSED"
        }
    };
    for (name, (longest, p99)) in [("one digest", few.sign_up), ("all", all.sign_up)] {
        println!(
            "\nsign-ups while it is published, {name}: p99 {p99:.1} ms, longest {longest:.1} ms (at most {LONGEST_WAIT}: {})",
            held(longest)
        );
    }
    println!();
}

fn measure(runtime: &tokio::runtime::Runtime, places: &[TestDb; 2], rounds: usize) -> [Figures; 2] {
    let publish = publish(runtime, places, rounds);
    let sign_up = [0, 1].map(|at| {
        runtime.block_on(unpublish(&places[at]));
        runtime.block_on(sign_ups(&places[at]))
    });
    let (bounce, export, emails) = runtime.block_on(of_readers(places));
    let mut shown = [Vec::new(), Vec::new()];
    for email in emails.iter().take(SHOWN) {
        let show = |test_db: &TestDb| millis(|| drop(test_db.run(&["subscribers", "show", email])));
        (0..2).for_each(|at| shown[at].push(show(&places[at])));
    }
    let [few, all] = shown;
    let (show, archive) = ([median(few), median(all)], archive(places));
    [0, 1].map(|at| Figures {
        publish: publish[at],
        sign_up: sign_up[at],
        bounce: bounce[at],
        archive: archive[at],
        export: export[at],
        show: show[at],
    })
}

/// Publishing, by the program's log.
fn publish(runtime: &tokio::runtime::Runtime, places: &[TestDb; 2], rounds: usize) -> [f64; 2] {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for at in [0, 1] {
            runtime.block_on(unpublish(&places[at]));
            took[at].push(places[at].publish().as_secs_f64() * 1_000.0);
        }
    }
    took.map(median)
}

/// Sign-ups one after the other from another process while the digest is published: the longest, and the 99th of a hundred.
async fn sign_ups(test_db: &TestDb) -> (f64, f64) {
    let storage = Storage::open(&test_db.url, None, 4, true, CALL_MAX)
        .await
        .expect("open");
    let no_quotas = MailQuotas {
        asker: Vec::new(),
        recipient: Vec::new(),
        unanswered: Vec::new(),
    };
    let mut publishing = test_db.command(&["digest", "send"]);
    publishing
        .env("VERDICTS_MAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut publishing = publishing.spawn().expect("started");
    let mut waited = Vec::new();
    while publishing.try_wait().expect("a state").is_none() {
        let email = EmailAddress::parse(&format!(
            "new{}.{}@example.org",
            waited.len(),
            std::process::id()
        ))
        .expect("an address");
        let began = Instant::now();
        let request = SignUp {
            email: &email,
            name: None,
            timezone: None,
            shown: "benchmark",
            source: "benchmark",
            network: None,
            hashes: &[],
            quotas: &no_quotas,
            quiet_since: now(),
            is_quiet: false,
        };
        storage
            .sign_up(&Actor::reader(), &request, now())
            .await
            .expect("signed up");
        waited.push(began.elapsed().as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    storage.close().await;
    waited.sort_by(f64::total_cmp);
    (
        waited.last().copied().unwrap_or(f64::NAN),
        waited
            .get(waited.len() * 99 / 100)
            .copied()
            .unwrap_or(f64::NAN),
    )
}

/// A soft bounce, and the data export's reading, of readers whose past is whole; and who they are.
async fn of_readers(places: &[TestDb; 2]) -> ([f64; 2], [(f64, f64); 2], Vec<String>) {
    let [mut bounces, mut exports, mut again] = [(); 3].map(|()| [Vec::new(), Vec::new()]);
    let mut storages = Vec::new();
    for test_db in places {
        storages.push(
            Storage::open(&test_db.url, None, 4, true, CALL_MAX)
                .await
                .expect("open"),
        );
    }
    // Both databases were copied from one, so the readers have the same numbers.
    let all = storages[0]
        .subscribers_after(0, i64::from(u32::MAX))
        .await
        .expect("readers");
    let one_in = one_in(all.len());
    let sample: Vec<_> = all
        .into_iter()
        .filter(|reader| reader.subscriber.id % one_in == 0)
        .take(SAMPLE)
        .collect();
    for reader in &sample {
        for (at, storage) in storages.iter().enumerate() {
            let (id, email) = (reader.subscriber.id, reader.subscriber.email.as_str());
            bounces[at].push(bounce(storage, id).await);
            exports[at].push(export(storage, id, email).await);
            again[at].push(export(storage, id, email).await);
        }
    }
    for storage in storages {
        storage.close().await;
    }
    let (exports, again) = (exports.map(median), again.map(median));
    (
        bounces.map(median),
        [0, 1].map(|at| (exports[at], again[at])),
        sample
            .into_iter()
            .map(|reader| reader.subscriber.email)
            .collect(),
    )
}

async fn bounce(storage: &Storage, id: i64) -> f64 {
    let finding = RecipientReport {
        address: None,
        meaning: Classification::Soft,
        class: None,
        reason: None,
        status: None,
        line: "452 4.2.2 mailbox full".into(),
    };
    let fingerprint = format!("bench{id}.{}", rand::random::<u64>());
    let about = About {
        subscriber: id,
        mailing: None,
        hash: "h",
        key_name: "k",
    };
    let refusal = StoredRefusal {
        class: RefusalClass::Recipient,
        line: finding.line.clone(),
        words: "mailbox full".into(),
        domain: "example.org".into(),
        hash: "h".into(),
        key_name: "k".into(),
        policy: BouncePolicy {
            hard: 1,
            soft: 5,
            brake: Brake {
                count: 10,
                share: 10,
                domains: 50,
                wait: chrono::TimeDelta::hours(1),
            },
        },
    };
    let mail = InboundMail {
        fingerprint: &fingerprint,
        channel: verdicts::domain::inbound_channel::InboundChannel::Imap,
        finding: &finding,
        about: Some((about, InboundAction::Count(&refusal))),
        unmatched: None,
        is_again: false,
        raw: None,
    };
    let began = Instant::now();
    storage.take_inbound(&mail, now()).await.expect("taken");
    began.elapsed().as_secs_f64() * 1_000.0
}

async fn export(storage: &Storage, id: i64, email: &str) -> f64 {
    let began = Instant::now();
    let person = storage
        .person(&email.parse().expect("an address"))
        .await
        .expect("read");
    let data = storage.personal_data(id, &[]).await.expect("read");
    assert!(
        person.is_some() && data.is_some_and(|data| data.mails.len() >= 2),
        "a reader with a past"
    );
    began.elapsed().as_secs_f64() * 1_000.0
}

/// `GET /digests`, answered by a `serve` for each.
fn archive(places: &[TestDb; 2]) -> [f64; 2] {
    let mut serving = places.each_ref().map(serve);
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..ARCHIVES {
        for at in [0, 1] {
            took[at].push(millis(|| {
                assert!(
                    page(serving[at].1).is_some_and(|page| page.starts_with("HTTP/1.1 200")),
                    "a page"
                )
            }));
        }
    }
    for (child, _) in &mut serving {
        child.kill().expect("killed");
        child.wait().expect("buried");
    }
    took.map(median)
}

fn serve(test_db: &TestDb) -> (Child, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let mut command = test_db.command(&["serve", "--role", "web"]);
    command
        .env("VERDICTS_SITE__LISTEN", format!("127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut serving = command.spawn().expect("started");
    while page(port).is_none() {
        assert!(serving.try_wait().expect("a state").is_none(), "it serves");
        std::thread::sleep(Duration::from_millis(20));
    }
    (serving, port)
}

fn page(port: u16) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .write_all(b"GET /digests HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

fn millis(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1_000.0
}

/// One reader in so many has a past that is whole.
fn one_in(readers: usize) -> i64 {
    (readers / OLD_READERS).max(1) as i64
}

#[allow(clippy::disallowed_methods, reason = "the rows are of this moment")]
fn now() -> Timestamp {
    verdicts::domain::to_millis(chrono::Utc::now())
}

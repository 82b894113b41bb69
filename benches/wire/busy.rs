//! Sign-ups and their confirmation mails while a digest goes out of the same process.

use std::collections::HashMap;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::smtp_sink::Script;
use crate::smtp_sink::SmtpSink;
use crate::stock::Database;
use crate::stock::Stock;
use crate::stock::test_db::TestDb;
use crate::wanted::Wanted;

const READERS: usize = 100_000;
const CONNECTIONS: usize = 10;
const SIGN_UPS_A_SECOND: u64 = 50;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS);
    println!(
        "## Sign-ups while a digest goes out\n\n{readers} readers, the smallest digest there is, {CONNECTIONS} connections, one `serve`;"
    );
    println!(
        "{SIGN_UPS_A_SECOND} sign-ups a second from as many client addresses, for as long as the digest goes out. The relay is the tests' own.\n"
    );
    println!(
        "| ledger | mails/s | sign-ups | answer p50 | p99 | longest | confirmation p50 | p99 | longest |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for database in [Database::SqliteFull, Database::PostgresFull] {
        if wanted.databases.contains(&database) && stock.has(database) {
            let test_db = stock.test_db(database, readers);
            tokio::runtime::Runtime::new()
                .expect("a runtime")
                .block_on(measure(&test_db, database, readers));
            stock.clear(test_db);
        }
    }
    println!();
}

async fn measure(test_db: &TestDb, database: Database, readers: usize) {
    test_db.bring_digest_of(1);
    // Published over a relay that refuses connections: the digest waits for the service.
    let refused = test_db
        .command(&["digest", "send"])
        .env("VERDICTS_MAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none")
        .output();
    assert!(
        refused.is_ok_and(|output| output.status.code() == Some(1)),
        "published, and nothing sent"
    );
    let sink = SmtpSink::start(Script::accept_all().only_recipients()).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let mut serving = serve(test_db, &sink, port);
    while sink.mails() == 0 {
        assert!(serving.try_wait().expect("a state").is_none(), "it serves");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let asked = sign_up_until(port, || sink.mails() >= readers).await;
    let took = began.elapsed();
    sink.wait_for(readers + asked.len(), Duration::from_secs(60))
        .await;
    serving.kill().expect("killed");
    serving.wait().expect("buried");

    let arrived: HashMap<String, Instant> = sink
        .received()
        .into_iter()
        .map(|mail| (mail.to, mail.at))
        .collect();
    let answers = sorted(asked.iter().map(|(_, _, answer)| *answer).collect());
    let mails = sorted(
        asked
            .iter()
            .map(|(to, at, _)| arrived[to].duration_since(*at))
            .collect(),
    );
    println!(
        "| {} | {:.0} | {} | {} | **{}** | {} | {} | {} | **{}** |",
        database.name(),
        readers as f64 / took.as_secs_f64(),
        asked.len(),
        at(&answers, 50),
        at(&answers, 99),
        at(&answers, 100),
        at(&mails, 50),
        at(&mails, 99),
        at(&mails, 100)
    );
}

fn serve(test_db: &TestDb, sink: &SmtpSink, port: u16) -> Child {
    test_db
        .command(&["serve"])
        .env("VERDICTS_MAIL__TRANSPORT", sink.url())
        .env("VERDICTS_MAIL__CONNECTIONS", CONNECTIONS.to_string())
        .env("VERDICTS_SITE__LISTEN", format!("127.0.0.1:{port}"))
        .env("VERDICTS_SITE__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program")
}

/// Signs up at an even pace, whatever an answer takes; each address with when it asked and what the answer took.
async fn sign_up_until(port: u16, done: impl Fn() -> bool) -> Vec<(String, Instant, Duration)> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let mut pace = tokio::time::interval(Duration::from_millis(1_000 / SIGN_UPS_A_SECOND));
    let mut asking = tokio::task::JoinSet::new();
    let mut number = 0_u32;
    while !done() {
        pace.tick().await;
        number += 1;
        let [_, a, b, c] = number.to_be_bytes();
        let to = format!("new{number}@example.net");
        let request = client
            .post(format!("http://127.0.0.1:{port}/subscribe"))
            .header("x-forwarded-for", format!("100.{}.{b}.{c}", 64 + a % 64))
            .json(&serde_json::json!({ "email": to }));
        asking.spawn(async move {
            let asked = Instant::now();
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 202, "{to}");
            (to, asked, asked.elapsed())
        });
    }
    asking.join_all().await
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn at(sorted: &[Duration], per_cent: usize) -> String {
    let index = (sorted.len() * per_cent).div_ceil(100).saturating_sub(1);
    format!(
        "{:.1} ms",
        sorted
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    )
}

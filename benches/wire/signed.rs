//! Processor time of a mail that is signed twice, against one RSA signature of OpenSSL's in the same run.

use std::process::Command;

use crate::median;
use crate::peers::Sink;
use crate::stock::Database;
use crate::stock::Stock;
use crate::stock::test_db::TestDb;
use crate::wanted::Wanted;

const READERS: usize = 20_000;
const CONNECTIONS: usize = 10;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS);
    let (mut signed, mut plain, mut rsa, mut rates, mut bytes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..wanted.rounds {
        rsa.push(openssl_rsa2048());
        for (with_keys, figures) in [(false, &mut plain), (true, &mut signed)] {
            let sink = Sink::start();
            let mut test_db = stock.test_db(Database::SqliteFull, readers).with_relay(
                "127.0.0.1",
                sink.port,
                CONNECTIONS,
            );
            bytes = test_db.bring_digest_of(40_000);
            if with_keys {
                test_db = with_two_keys(test_db);
            }
            let sending = test_db.send(readers);
            figures.push(sending.cpu.as_secs_f64() * 1e6 / readers as f64);
            if with_keys {
                rates.push(readers as f64 / sending.took.as_secs_f64());
            }
            stock.clear(test_db);
        }
    }
    let (signed, plain, rsa) = (median(signed), median(plain), median(rsa));
    println!(
        "## Signed\n\n{readers} readers, {bytes} bytes, {CONNECTIONS} connections, SQLite; user and system time of the whole process"
    );
    println!(
        "(start, picking and publishing included), divided by the mails; median of {} rounds.\n",
        wanted.rounds
    );
    println!("| | microseconds a mail |\n| --- | ---: |");
    println!(
        "| RSA-2048 and Ed25519 | {signed:.0} |\n| unsigned | {plain:.0} |\n| one signature, `openssl speed rsa2048` | {rsa:.0} |"
    );
    println!(
        "| **above one RSA signature (target: at most 150)** | **{:.0}** |\n",
        signed - rsa
    );
    println!("Signed mails a second: {:.0}.\n", median(rates));
}

/// Two keys made by the program, for the domain of the sender.
fn with_two_keys(test_db: TestDb) -> TestDb {
    let keys: Vec<String> = ["rsa", "ed25519"]
        .iter()
        .map(|kind| {
            let out = format!("{kind}.pem");
            let mut arguments = vec![
                "keys",
                "dkim",
                "--selector",
                kind,
                "--domain",
                "example.org",
                "--out",
                &out,
            ];
            arguments.extend((*kind == "ed25519").then_some("--ed25519"));
            test_db.run(&arguments);
            let file = test_db.dir.path().join(format!("{kind}.pem"));
            format!(
                "{{ domain = \"example.org\", selector = \"{kind}\", key_file = \"{}\" }}",
                file.display()
            )
        })
        .collect();
    test_db.with("VERDICTS_MAIL__DKIM", &format!("[{}]", keys.join(", ")))
}

/// Microseconds of processor time for one signature.
fn openssl_rsa2048() -> f64 {
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "2", "rsa2048"])
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&output.stdout);
    // +F2:number:bits:signatures a second:verifications a second
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("+F2:"))
        .unwrap_or_else(|| panic!("openssl said {said}"));
    let a_second: f64 = line
        .split(':')
        .nth(2)
        .and_then(|text| text.parse().ok())
        .expect("a figure");
    1e6 / a_second
}

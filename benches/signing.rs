//! What a signature costs: `cargo bench --bench signing`.
//!
//! CPU time of one core for a mail of 40 KB, as medians of interleaved rounds, beside one RSA-2048 signature by
//! `openssl speed` in the same run. The last lines are mail-auth's own signer (on ring), the way that was not taken.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use mail_auth::common::crypto::DkimKey;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::crypto::RsaKey;
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::DkimSigner;
use mail_auth::dkim::Done;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use verdicts::domain::Timestamp;
use verdicts::domain::address::EmailAddress;
use verdicts::domain::rendered_mail::Rendered;
use verdicts::mail::Algorithm;
use verdicts::mail::Mailbox;
use verdicts::mail::MessageTemplate;
use verdicts::mail::Recipient;
use verdicts::mail::Signers;
use verdicts::mail::TemplateHeaders;
use verdicts::mail::make_key;

const SIZE: usize = 40_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);
/// What the whole process may use for a signed mail beyond one RSA signature, in microseconds.
const ALLOWED: f64 = 150.0;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let (rsa, ed) = (
        key(dir.path(), Algorithm::Rsa),
        key(dir.path(), Algorithm::Ed25519),
    );
    let (message, now) = (message(), "2026-11-24T09:00:00Z".parse().expect("a moment"));
    let ours = [signers(&[&rsa]), signers(&[&ed]), signers(&[&rsa, &ed])];
    let theirs = [
        vec![theirs(&rsa)],
        vec![theirs(&ed)],
        vec![theirs(&rsa), theirs(&ed)],
    ];

    let mut rounds: [Vec<f64>; 7] = Default::default();
    for _ in 0..ROUNDS {
        let mut figures = vec![openssl()];
        let mut out = Vec::new();
        figures.extend(
            ours.each_ref()
                .map(|signers| cpu_of(|| signers.sign(black_box(&message), now, &mut out))),
        );
        figures.extend(
            theirs
                .each_ref()
                .map(|signers| cpu_of(|| sign_by(signers, black_box(&message)))),
        );
        rounds
            .iter_mut()
            .zip(figures)
            .for_each(|(round, figure)| round.push(figure));
    }
    let [reference, rsa, ed, both, their_rsa, their_ed, their_both] = rounds.map(median);

    println!(
        "CPU of one core for a mail of {} bytes, in microseconds",
        message.len()
    );
    println!("openssl speed rsa2048, one signature  {reference:>7.1}");
    println!("rsa-sha256                            {rsa:>7.1}");
    println!("ed25519-sha256                        {ed:>7.1}");
    println!(
        "both                                  {both:>7.1}  (openssl's and {:+.1} of {ALLOWED} for the whole process)",
        both - reference
    );
    println!("mail-auth on ring: rsa-sha256         {their_rsa:>7.1}");
    println!("mail-auth on ring: ed25519-sha256     {their_ed:>7.1}");
    println!(
        "mail-auth on ring: both               {their_both:>7.1}  (openssl's and {:+.1})",
        their_both - reference
    );
}

struct Key {
    selector: &'static str,
    file: std::path::PathBuf,
    pem: String,
    algorithm: Algorithm,
}

fn key(dir: &Path, algorithm: Algorithm) -> Key {
    let selector = if algorithm == Algorithm::Rsa {
        "rsa"
    } else {
        "ed"
    };
    let (pem, _) = make_key(algorithm, "example.org", selector).expect("a key");
    let file = dir.join(selector);
    std::fs::write(&file, &pem).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("private");
    Key {
        selector,
        file,
        pem,
        algorithm,
    }
}

fn signers(keys: &[&Key]) -> Signers {
    Signers::open(
        keys.iter()
            .map(|key| ("example.org", key.selector, key.file.as_path())),
    )
    .expect("keys")
}

fn theirs(key: &Key) -> DkimSigner<DkimKey, Done> {
    let der = PrivateKeyDer::from_pem_slice(key.pem.as_bytes()).expect("PEM");
    let signing: DkimKey = match (&der, key.algorithm) {
        (PrivateKeyDer::Pkcs8(der), Algorithm::Ed25519) => {
            Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der())
                .expect("a key")
                .into()
        }
        _ => RsaKey::from_key_der(der).expect("a key").into(),
    };
    let names = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
    ];
    DkimSigner::from_key(signing)
        .domain("example.org")
        .selector(key.selector)
        .headers(names)
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed)
}

fn sign_by(signers: &[DkimSigner<DkimKey, Done>], message: &[u8]) {
    for signer in signers {
        black_box(signer.sign(message).expect("signed"));
    }
}

/// A mail as a digest is: a text part with columns, and an HTML part three times as long.
fn message() -> Vec<u8> {
    let row = "Pricing        Free / Open weights            From $20 a month       \u{2713}\n";
    let cell = "<tr><td style=\"padding:8px 0;font:16px/24px system-ui\">A take on the tool, two sentences long. It says why.</td></tr>\n";
    let (text, html) = (
        row.repeat(SIZE / 4 / row.len()),
        cell.repeat(SIZE / 3 * 2 / cell.len()),
    );
    let headers = TemplateHeaders {
        from: Mailbox::parse("Ship or Skip <news@example.org>").expect("a sender"),
        reply_to: None,
        extra: vec![
            (
                "List-Unsubscribe",
                "<https://news.example.org/unsubscribe/token>".into(),
            ),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".into()),
        ],
    };
    let letter = MessageTemplate::new(
        &Rendered {
            subject: "The week's verdicts".into(),
            html,
            text,
        },
        &headers,
    );
    let to = EmailAddress::parse("ada@example.org").expect("an address");
    let date: Timestamp = "2026-11-24T09:00:00Z".parse().expect("a moment");
    let mut message = Vec::new();
    letter.fill(
        &Recipient {
            to: &to,
            token: "",
            reader: "",
            since: "",
            verp: "",
            message_id: "202648.7@example.org",
            date,
        },
        &mut message,
    );
    message
}

/// Microseconds that this thread was on a core, a turn.
fn cpu_of(mut turn: impl FnMut()) -> f64 {
    turn();
    let (began, before) = (Instant::now(), cpu());
    let mut turns = 0;
    while began.elapsed() < ROUND {
        (0..50).for_each(|_| turn());
        turns += 50;
    }
    (cpu() - before) as f64 / 1000.0 / f64::from(turns)
}

/// Nanoseconds that this thread was on a core so far.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .expect("a number")
}

/// Microseconds of user time for one signature, as OpenSSL says it.
fn openssl() -> f64 {
    let said = Command::new("openssl")
        .args(["speed", "-seconds", "1", "rsa2048"])
        .output()
        .expect("openssl");
    let said = String::from_utf8(said.stdout).expect("text");
    let figures = said
        .lines()
        .last()
        .and_then(|line| line.split_whitespace().nth(5))
        .and_then(|rate| rate.parse::<f64>().ok());
    1e6 / figures.unwrap_or_else(|| panic!("signatures a second in: {said}"))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

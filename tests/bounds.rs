//! What a hostile mail can make of us: read to its end, in memory that its own size bounds. In a program of its own, for the
//! allocator that counts is the whole program's.

use peak_alloc::PeakAlloc;
use verdicts::mail::inbound::read;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// For tables of phrases, once, and for what is kept of each mail whatever its size.
const CONSTANT: usize = 24 << 20;

fn nested(kind: &str, levels: usize, inmost: &str) -> String {
    let mut mail = String::from("From: mailer-daemon@x.example\nSubject: failure notice\n");
    (0..levels)
        .for_each(|n| mail.push_str(&format!("Content-Type: {kind}; boundary=b{n}\n\n--b{n}\n")));
    mail + "Content-Type: text/plain\n\n<ada@reader.example>: 550 5.1.1 user unknown\n" + inmost
}

#[test]
fn a_hostile_mail_is_read_in_memory_that_its_size_bounds() {
    let big = "x".repeat(8 << 20);
    let daemon = "From: mailer-daemon@x.example\nSubject: failure notice\n";
    let mails = [
        nested("multipart/mixed", 10_000, ""),
        nested("message/rfc822", 10_000, ""),
        nested("multipart/digest", 10_000, ""),
        nested("message/rfc822", 11, &big),
        nested("multipart/mixed", 11, &big),
        nested("message/rfc822", 10_000, &big).replace('\n', "\r\n"),
        format!(
            "From: a@b.example\nSubject: {}\n\nhello\n",
            "x".repeat(20 << 20)
        ),
        format!(
            "From: a@b.example\n{}\n\nhello\n",
            format!(" {}\n", "x".repeat(1_000)).repeat(20_000)
        ),
        format!("{}\n\nhello\n", "X-A: b\n".repeat(1 << 20)),
        format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}",
            "--b\n\nx\n".repeat(1 << 20)
        ),
        format!("{daemon}\n{}", "a@b.cc ".repeat(1 << 20)),
        format!("{daemon}\n{}", "<a@b.cc>: 550 5.1.1 no\n".repeat(1 << 18)),
        format!(
            "{daemon}Content-Type: text/html\n\n{}",
            "<div><p>a@b.cc".repeat(1 << 18)
        ),
        format!(
            "{daemon}Content-Transfer-Encoding: base64\n\n{}",
            "YUBiLmNj\n".repeat(1 << 20)
        ),
        format!(
            "{daemon}Content-Transfer-Encoding: quoted-printable\n\n{}",
            "=61@b.cc=\n".repeat(1 << 20)
        ),
        "@".repeat(1 << 20),
        "\r".repeat(1 << 20),
        "=?utf-8?B?".repeat(1 << 18),
        format!("Subject: {}\n\n", "=?utf-8?Q?=41?= ".repeat(1 << 16)),
    ];
    for mail in mails {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        assert!(!read(mail.as_bytes()).findings.is_empty());
        let peak = ALLOCATOR.peak_usage() - before;
        let start: String = mail.chars().take(60).collect();
        assert!(
            peak < CONSTANT + 3 * mail.len(),
            "{peak} bytes for {} of {start:?}",
            mail.len()
        );
    }
}

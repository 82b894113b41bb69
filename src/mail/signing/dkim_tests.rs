//! The signatures, checked by mail-auth; by a program of others in `tests/promises/signing.rs`.

use std::borrow::Borrow;
use std::hash::Hash;

use mail_auth::AuthenticatedMessage;
use mail_auth::DkimResult;
use mail_auth::MessageAuthenticator;
use mail_auth::Parameters;
use mail_auth::ResolverCache;
use mail_auth::Txt;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::Canonicalization;
use proptest::prelude::*;
use rustls_pki_types::pem::PemObject;

use super::*;

fn now() -> Timestamp {
    "2026-11-24T09:00:00Z".parse().expect("a moment")
}

fn signers(algorithms: &[Algorithm]) -> (tempfile::TempDir, Signers) {
    let dir = tempfile::tempdir().expect("a folder");
    let files: Vec<_> = algorithms
        .iter()
        .map(|algorithm| {
            let selector = algorithm.key_type();
            let file = dir.path().join(selector);
            let (pem, _) = make_key(*algorithm, "example.org", selector).expect("a key");
            write_private(&file, &pem);
            (selector, file)
        })
        .collect();
    let signers = Signers::open(
        files
            .iter()
            .map(|(selector, file)| ("example.org", *selector, file.as_path())),
    )
    .expect("keys");
    (dir, signers)
}

fn write_private(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(file, text).expect("written");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("private");
}

const HEAD: &str = "From: \"Ship or Skip\" <news@example.org>\r\nTo: ada@example.org\r\nSubject: One\r\n  and   two \r\n\
    Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <7.3@example.org>\r\nMIME-Version: 1.0\r\nX-Other: 1\r\n\r\n";
const BODY: &str = "Dear  reader,\r\n\r\na   table\r\n";

/// The DNS of our keys.
struct TestDns(Vec<KeyRecord>);

impl ResolverCache<Box<str>, Txt> for TestDns {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        let record = self.0.iter().find(|record| {
            Borrow::<Q>::borrow(&format!("{}.", record.name).into_boxed_str()) == name
        })?;
        Some(Txt::DomainKey(Arc::new(
            DomainKey::parse(record.value.as_bytes()).expect("a record"),
        )))
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

/// Returns whether each signature of a mail holds, by mail-auth.
fn verdicts(mail: &[u8], signers: &Signers) -> Vec<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let message = AuthenticatedMessage::parse(mail).expect("a mail");
    let resolver = MessageAuthenticator::new_cloudflare().expect("one that is not asked");
    let dns = TestDns(signers.records());
    let found =
        runtime.block_on(resolver.verify_dkim(Parameters::new(&message).with_txt_cache(&dns)));
    found
        .iter()
        .map(|signature| signature.result() == &DkimResult::Pass)
        .collect()
}

fn signed(signers: &Signers, head: &str, body: &str) -> Vec<u8> {
    let mut mail = format!("{head}{body}").into_bytes();
    signers.seal(&mut mail, now());
    mail
}

#[test]
fn both_signatures_hold_and_no_change_does() {
    let (_dir, signers) = signers(&[Algorithm::Rsa, Algorithm::Ed25519]);
    let mail = signed(&signers, HEAD, BODY);
    assert_eq!(verdicts(&mail, &signers), [true, true]);
    let text = String::from_utf8(mail).expect("ASCII");
    let changed = |from: &str, to: &str| verdicts(text.replacen(from, to, 1).as_bytes(), &signers);
    for (from, to) in [("ada@", "eve@"), ("One", "Own"), ("reader", "leader")] {
        assert_eq!(changed(from, to), [false, false], "{from} to {to}");
    }
    assert_eq!(changed("t=1", "t=2"), [false, true], "one of them alone");
    for added in [
        "From: eve@example.net",
        "List-Unsubscribe: <https://example.net/>",
        "Reply-To: eve@example.net",
    ] {
        assert_eq!(
            changed("X-Other", &format!("{added}\r\nX-Other")),
            [false, false],
            "{added}"
        );
    }
    // What relays do on the way.
    for (from, to) in [
        ("X-Other: 1", "X-More: 2\r\nX-Other: 3"),
        ("One\r\n  and   two ", "One and two"),
        ("Dear  reader,", "Dear reader,  "),
    ] {
        assert_eq!(changed(from, to), [true, true], "{from:?} to {to:?}");
    }
}

#[test]
fn a_signature_says_what_it_should_in_lines_that_fit() {
    let (_dir, signers) = signers(&[Algorithm::Rsa, Algorithm::Ed25519]);
    let mut out = b"old".to_vec();
    signers.sign(format!("{HEAD}{BODY}").as_bytes(), now(), &mut out);
    let text = String::from_utf8(out).expect("ASCII");
    assert!(
        text.starts_with("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;")
            && text.ends_with("\r\n"),
        "{text}"
    );
    assert!(
        text.contains("a=ed25519-sha256")
            && text.contains(&format!("d=example.org; s=rsa; t={};", now().timestamp()))
            && !text.contains(" l="),
        "{text}"
    );
    assert!(
        text.lines()
            .all(|line| line.len() <= 78 && !line.ends_with(' ')),
        "{text}"
    );
    let (_dir, none) = self::signers(&[]);
    none.sign(b"a", now(), &mut Vec::new());
    assert!(none.is_empty());
}

#[test]
fn a_key_of_openssl_in_either_form_is_read() {
    let (pem, record) = make_key(Algorithm::Rsa, "example.org", "s").expect("a key");
    let (_, der) = <(rustls_pki_types::pem::SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes())
        .expect("PEM");
    // PKCS#8 is PKCS#1 behind 26 bytes that say so.
    let old = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
        STANDARD.encode(&der[26..])
    );
    let dir = tempfile::tempdir().expect("a folder");
    for pem in [pem, old] {
        write_private(&dir.path().join("key"), &pem);
        let signers =
            Signers::open([("Example.ORG", "S", dir.path().join("key").as_path())]).expect("a key");
        assert_eq!(signers.records(), std::slice::from_ref(&record));
    }
}

proptest! {
    #[test]
    fn a_body_is_hashed_as_others_do(body in "([a ]|  |\t|\r\n|=){0,40}") {
        let mut canonical = Vec::new();
        mail_auth::common::headers::Writable::write(Canonicalization::Relaxed.canonical_body(body.as_bytes(), 0), &mut canonical);
        let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical);
        let ours = relaxed_body_hash(body.as_bytes());
        prop_assert_eq!(ours.as_ref(), expected.as_ref());
    }

    /// The way round mail-auth is taken for whatever `quoted` makes, so that none of our mails pays for more.
    #[test]
    fn of_our_bodies_only_runs_of_spaces_are_to_be_changed(text in "([ -~\u{e9}\t]|  |\r|\n|\r\n){0,200}") {
        let mut draft = crate::mail::message::template_builder::TemplateBuilder::default();
        crate::mail::message::quoted::printable(&mut draft, &text);
        draft.push("\r\n--=_verdicts--\r\n");
        prop_assert!(!draft.bytes().contains(&b'\t') || text.contains('\t'));
        prop_assert!(crate::mail::signing::canonical::has_only_runs_of_spaces(draft.bytes()) || text.contains('\t'));
    }

    #[test]
    fn a_field_is_written_as_others_do(value in "([a:]| |\t|\r\n )*") {
        let mut expected = Vec::new();
        let value = format!("{value}\r\n");
        let headers = [(&b"X-Name"[..], value.as_bytes())];
        Canonicalization::Relaxed.canonicalize_headers(headers.into_iter(), &mut expected);
        let mut ours = Vec::new();
        relaxed_field(format!("X-Name:{value}").trim_end_matches("\r\n").as_bytes(), &mut ours);
        ours.extend_from_slice(b"\r\n");
        prop_assert_eq!(ours, expected);
    }
}

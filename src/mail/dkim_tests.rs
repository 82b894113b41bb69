//! The signatures, checked by mail-auth; by a program of others in `tests/promises/signing.rs`.

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::Canonicalization;
use mail_auth::AuthenticatedMessage;
use proptest::prelude::*;

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
    let signers = Signers::open(files.iter().map(|(selector, file)| ("example.org", *selector, file.as_path()))).expect("keys");
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

/// Whether each signature of a mail holds, by mail-auth.
fn verdicts(mail: &[u8], signers: &Signers) -> Vec<bool> {
    let message = AuthenticatedMessage::parse(mail).expect("a mail");
    let key_of = |selector: &str| {
        let record = signers.records().into_iter().find(|record| record.name.starts_with(selector)).expect("a key");
        DomainKey::parse(record.value.as_bytes()).expect("a record")
    };
    let verdict = |header: &mail_auth::common::headers::Header<'_, mail_auth::dkim::Signature>| {
        let signature = &header.header;
        let (_, _, _, hash) = message.body_hashes.iter().find(|(form, ..)| *form == signature.cb).expect("a hash");
        let mut covered = message.signed_headers(&signature.h, header.name, header.value);
        hash == &signature.bh && signature.verify(&mut covered, &key_of(&signature.s)).is_ok()
    };
    message.dkim_headers.iter().map(verdict).collect()
}

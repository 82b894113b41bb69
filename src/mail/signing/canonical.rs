//! A mail as DKIM sees it: "relaxed" (RFC 6376 3.4.2 and 3.4.4), so that what relays do to white space breaks no signature.

use aws_lc_rs::digest::Context;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::digest::SHA256;
use mail_auth::common::headers::Writable;
use mail_auth::common::headers::Writer;
use mail_auth::dkim::Canonicalization;
use memchr::memchr;
use memchr::memmem;

/// Writes a header field, given without its last CRLF, as it is signed: without that CRLF either.
pub(in crate::mail) fn relaxed_field(field: &[u8], out: &mut Vec<u8>) {
    let (name, value) = field.split_at(memchr(b':', field).unwrap_or(field.len()));
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let (start, mut is_apart) = (out.len(), false);
    for &byte in value.get(1..).unwrap_or_default() {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            is_apart = true;
        } else {
            if is_apart && out.len() > start {
                out.push(b' ');
            }
            is_apart = false;
            out.push(byte);
        }
    }
}

/// The hash of a body.
///
/// In what `quoted` makes the one thing to be changed is a run of spaces, in the columns of a text: those are found at
/// the speed of memory, and all between them is hashed where it stands: with everything else but the key's own arithmetic
/// that is 7 us for 40 KB beside the 22 of SHA-256, where mail-auth, which looks at each byte, takes 27
/// (`cargo bench --bench signing`). It is asked where more is to be done.
pub(in crate::mail) fn relaxed_body_hash(body: &[u8]) -> Digest {
    let mut hash = Hash(Context::new(&SHA256));
    if !has_only_runs_of_spaces(body) {
        Canonicalization::Relaxed
            .canonical_body(body, 0)
            .write(&mut hash);
        return hash.0.finish();
    }
    let runs = memmem::Finder::new(b"  ");
    let mut rest = body;
    while let Some(at) = runs.find(rest) {
        let (kept, after) = rest.split_at(at + 1);
        hash.write(kept);
        rest = &after[after
            .iter()
            .position(|byte| *byte != b' ')
            .unwrap_or(after.len())..];
    }
    hash.write(rest);
    hash.0.finish()
}

/// Returns whether a body has lines that end in CRLF, the last one not an empty one, no tabs, and no spaces at a line's end.
pub(in crate::mail) fn has_only_runs_of_spaces(body: &[u8]) -> bool {
    body.ends_with(b"\r\n")
        && body != b"\r\n"
        && !body.ends_with(b"\r\n\r\n")
        && memchr(b'\t', body).is_none()
        && memmem::find(body, b" \r").is_none()
}

struct Hash(Context);

impl Writer for Hash {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

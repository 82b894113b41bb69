//! Describes whose the addresses in a report's own header are: ours, the reporting system's, or those of recipients that it failed on.

use super::addresses::find;
use super::addresses::same;
use super::headers::HeaderFields;
use super::mime::MimeParts;
use super::report;
use crate::mail::inbound::free_text::FreeText;
use crate::mail::inbound::sender_kind;
use crate::mail::inbound::sender_kind::SenderClassification;

/// `X-Failed-Recipients`, as Exim and Gmail write it.
pub fn failed_recipients(head: &HeaderFields) -> Vec<String> {
    head.all("x-failed-recipients")
        .flat_map(find)
        .map(|found| found.address.to_owned())
        .take(200)
        .collect()
}

/// Addresses that name us or the reporting system, in the mail's own header and in those it gives back.
pub fn addresses(mail: &MimeParts, prose: &FreeText, manner: &SenderClassification) -> Vec<String> {
    let mut own = sender_kind::written_to(&mail.headers);
    // An address that a server noted on a report is ours, unless the report is about it: the mail had gone there, or the text names it
    // and it is at another host than we are.
    let gone_to = prose.gone_to();
    let text = super::head_of(&prose.text, 8_000);
    let named: Vec<&str> = find(text)
        .into_iter()
        .map(|found| found.address)
        .take(200)
        .collect();
    let beside_us = |address: &str| {
        own.iter()
            .any(|known| same(domain_of(known), domain_of(address)))
    };
    let is_spoken_of = |address: &String| {
        let is_one = |known: &str| same(known, address);
        gone_to.iter().any(|known| is_one(known))
            || named.iter().any(|known| is_one(known)) && !beside_us(address)
    };
    let noted: Vec<String> = sender_kind::noted(&mail.headers)
        .into_iter()
        .filter(|address| !is_spoken_of(address))
        .collect();
    own.extend(noted);
    own.extend(manner.author.clone());
    own.extend(report::sender(mail));
    let of = |head: &HeaderFields, names: &[&str]| {
        names
            .iter()
            .flat_map(|name| head.all(name))
            .flat_map(find)
            .map(|found| found.address.to_owned())
            .collect::<Vec<_>>()
    };
    own.extend(of(
        &mail.headers,
        &["reply-to", "sender", "return-path", "errors-to"],
    ));
    for head in &prose.originals {
        own.extend(of(
            head,
            &[
                "from",
                "sender",
                "return-path",
                "reply-to",
                "errors-to",
                "list-unsubscribe",
                "list-post",
                "list-id",
                "message-id",
                "x-sender",
                "x-beenthere",
            ],
        ));
    }
    own.truncate(500);
    own
}

fn domain_of(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

//! What a mail system says in sentences: the human part of a report, and the many reports that are nothing else.
//!
//! No two systems write alike, but all name the address they failed on (`who` finds it), with the reason beside or below it; and most give back the mail's header, which tells whose addresses are ours.

use super::addresses;
use super::addresses::same;
use super::diagnosis::Diagnosis;
use super::diagnosis::diagnose;
use super::diagnosis::reply_code;
use super::mime::Headers;
use super::mime::Parts;
use super::originals::head_in;
use super::originals::original_in;
use super::short;
use super::who;
use super::who::Named;
use super::who::begins_with_address;
use crate::domain::inbound::Finding;
use crate::domain::inbound::Meaning;

/// Recipients that are read from one text, and lines that belong to each.
pub const RECIPIENTS: usize = 200;
const CONTEXT: usize = 14;
/// Other recipients at whose lines a recipient's own end.
const IN_ALL: usize = 20;
/// Lines of a report that are looked at, and bytes of one.
pub const LINES: usize = 2_000;
pub const LONGEST_LINE: usize = 2_000;

/// The human part of a mail, and the headers of the mails that it gives back.
pub struct Prose {
    pub text: String,
    pub originals: Vec<Headers>,
    /// The host at which the mail's author is.
    reporter: Option<String>,
}

impl Prose {
    /// Separates what is said from what is given back.
    pub fn of(mail: &Parts) -> Self {
        let own =
            |kind: &'static str| mail.parts.iter().filter(move |part| !part.enclosed && part.kind == kind).map(|part| part.text.as_str());
        let mut said: Vec<&str> = own("text/plain").filter(|text| !text.trim().is_empty()).collect();
        if said.is_empty() {
            said = own("text/html").collect();
        }
        if said.is_empty() {
            said = mail
                .parts
                .iter()
                .filter(|part| !part.enclosed && !part.kind.ends_with("delivery-status"))
                .map(|part| part.text.as_str())
                .collect();
        }
        let whole = said.join("\n");
        let heads = mail.parts.iter().filter(|part| part.enclosed && !part.text.is_empty() && !part.kind.ends_with("delivery-status"));
        let mut originals: Vec<Headers> = heads
            .map(|part| Headers::read(part.text.trim_start().as_bytes()).0)
            .filter(|head| head.has("from") || head.has("to") || head.has("message-id"))
            .collect();
        let text = match original_in(&whole) {
            Some((said, given_back)) => {
                originals.extend(head_in(given_back));
                said.to_owned()
            }
            None => whole,
        };
        let reporter = mail.headers.get("from").and_then(addresses::first).and_then(|address| address.rsplit('@').next()).map(String::from);
        Self { text, originals, reporter }
    }

    /// The recipients of what was given back, less `own` addresses.
    pub fn original_recipients(&self, own: &[String]) -> Vec<String> {
        let fields =
            self.originals.iter().take(1).flat_map(|head| ["x-original-to", "to", "cc"].into_iter().flat_map(|name| head.all(name)));
        let mut to: Vec<String> = Vec::new();
        for found in fields.flat_map(addresses::find).take(5 * RECIPIENTS) {
            if !own.iter().any(|known| same(known, found.address)) && !to.iter().any(|known| same(known, found.address)) {
                to.push(found.address.to_owned());
            }
        }
        to.truncate(RECIPIENTS);
        to
    }

    /// Whom the servers on the way of what was given back noted as its recipient (RFC 5321, 4.4: `for <...>`).
    fn passed_on_to(&self, own: &[String]) -> Vec<String> {
        let noted = self.originals.iter().flat_map(|head| head.all("received")).filter_map(|line| line.split_once(" for "));
        let noted = noted.filter_map(|(_, line)| addresses::first(line)).find(|address| !who::is_own(address, own));
        noted.map(String::from).into_iter().collect()
    }

    /// The addresses of names without a host: those of the mail given back, or at the system that reports.
    fn of_bare_names(&self, original: &[String]) -> Vec<String> {
        let whole = |name: &str| {
            let known = original.iter().find(|address| address.split('@').next().is_some_and(|local| local.eq_ignore_ascii_case(name)));
            known.cloned().or_else(|| self.reporter.as_ref().map(|host| format!("{name}@{host}")))
        };
        who::bare_names(&self.text).filter_map(whole).collect()
    }

    /// What the text says of that address: its line and those below it, up to one that names one of the `others`. Of none, or
    /// where it is not named, all of it.
    pub fn about(&self, address: Option<&str>, others: &[String]) -> String {
        let lines: Vec<&str> = self.text.lines().take(LINES).collect();
        let address = address.map(str::to_lowercase);
        let named = |line: &str| address.as_ref().is_some_and(|address| line[..floor(line, LONGEST_LINE)].to_lowercase().contains(address));
        let mut words = String::new();
        for (at, line) in lines.iter().enumerate() {
            if words.len() < 4_000 && named(line) {
                let line = &line[..floor(line, LONGEST_LINE)];
                let below = lines[at + 1..].iter().take(CONTEXT);
                let below = below.take_while(|line| named(line) || !(begins_with_address(line) || names_one(line, others)));
                words = below.fold(words + line, |words, line| words + "\n" + line) + "\n";
            }
        }
        // sendmail notes what the server said, and writes "user unknown" below it whatever that was.
        if let Some((_, reason)) = words.split_once("(reason: ") {
            let reason = &reason[..reason.find(")\n").unwrap_or(reason.len())];
            if !diagnose(reason, None).says_nothing() {
                return reason.to_owned();
            }
        }
        if words.is_empty() || diagnose(&words, None).says_nothing() { self.text.chars().take(8_000).collect() } else { words }
    }

    /// Who was not reached, and why. `own` are the addresses that belong to us or to the reporting system, `failed` those that a
    /// header field names as failed.
    pub fn failures(&self, own: &[String], failed: &[String]) -> Vec<Finding> {
        let original = self.original_recipients(own);
        let noted = self.passed_on_to(own);
        let original = if original.is_empty() { noted.clone() } else { original };
        let gone_to: Vec<String> = original.iter().chain(&noted).cloned().collect();
        let mut addresses = failed.to_vec();
        if addresses.is_empty() {
            let named = Named::in_text(&self.text, own);
            let bare = if named.is_certain() { Vec::new() } else { self.of_bare_names(&gone_to) };
            addresses = if bare.is_empty() { named.not_reached(&gone_to, &original) } else { bare };
        }
        if addresses.is_empty() {
            // Somebody who writes to themselves is both.
            let named = Named::in_text(&self.text, &[]);
            addresses = if named.is_certain() { named.not_reached(&gone_to, &original) } else { Vec::new() };
        }
        let others = |one: &str| addresses.iter().filter(|address| !same(address, one)).take(IN_ALL).cloned().collect::<Vec<_>>();
        let finding = |address: &String| {
            let words = self.about(Some(address), &others(address));
            let diagnosis = diagnose(&words, None);
            let Diagnosis { meaning, reason, status } = diagnosis;
            let line = telling_line(&words).unwrap_or(&words);
            Finding { address: Some(address.clone()), meaning, class: diagnosis.class(), reason: Some(reason), status, line: short(line) }
        };
        addresses.iter().take(RECIPIENTS).map(finding).collect()
    }
}

fn names_one(line: &str, addresses: &[String]) -> bool {
    line.contains('@')
        && addresses::find(&line[..floor(line, LONGEST_LINE)]).iter().any(|found| addresses.iter().any(|known| same(known, found.address)))
}

/// The line in which the reason stands: the first with a reply code, or the first that says something.
fn telling_line(words: &str) -> Option<&str> {
    let with_code = words.lines().find(|line| reply_code(line).is_some());
    with_code.or_else(|| words.lines().find(|line| !diagnose(line, None).says_nothing()))
}

/// A notice that a mail is late: whom it was for.
pub fn late(prose: &Prose, own: &[String], failed: &[String]) -> Vec<Finding> {
    let findings = prose.failures(own, failed).into_iter();
    findings.map(|finding| Finding { meaning: Meaning::None, class: None, reason: None, ..finding }).collect()
}

/// The most bytes of a text up to `most` that end with a whole character.
pub fn floor(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

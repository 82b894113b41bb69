//! Sentences of mail systems: the human part of a report, and the many reports that are nothing else.
//!
//! No two systems write alike, but all name the address they failed on (`who` finds it), with the reason beside or below it; and most give back the mail's header, which tells whose addresses are ours.

use crate::domain::inbound::Classification;
use crate::domain::inbound::RecipientReport;
use crate::domain::inbound::severity;
use crate::mail::inbound::addresses;
use crate::mail::inbound::addresses::same;
use crate::mail::inbound::diagnosis::Diagnosis;
use crate::mail::inbound::diagnosis::diagnose;
use crate::mail::inbound::diagnosis::reply_code;
use crate::mail::inbound::failed_recipients;
use crate::mail::inbound::failed_recipients::FailedRecipients;
use crate::mail::inbound::failed_recipients::begins_with_address;
use crate::mail::inbound::headers::HeaderFields;
use crate::mail::inbound::mime::MimeParts;
use crate::mail::inbound::originals::head_in;
use crate::mail::inbound::originals::original_in;
use crate::mail::inbound::short;

/// Recipients that are read from one text, and lines that belong to each.
pub const RECIPIENTS: usize = 200;
const CONTEXT: usize = 14;
/// Other recipients at whose lines a recipient's own end.
const IN_ALL: usize = 20;
/// Lines of a report that are looked at, and bytes of one.
pub const LINES: usize = 2_000;
pub const LONGEST_LINE: usize = 2_000;

/// The human part of a mail, and the headers of the mails that it gives back.
pub struct FreeText {
    pub text: String,
    pub originals: Vec<HeaderFields>,
    /// The host at which the mail's author is.
    reporter: Option<String>,
}

impl FreeText {
    /// Separates what is said from what is given back.
    pub fn of(mail: &MimeParts) -> Self {
        let own = |kind: &'static str| {
            mail.parts
                .iter()
                .filter(move |part| !part.enclosed && part.kind == kind)
                .map(|part| part.text.as_str())
        };
        let mut said: Vec<&str> = own("text/plain")
            .filter(|text| !text.trim().is_empty())
            .collect();
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
        let heads = mail.parts.iter().filter(|part| {
            part.enclosed && !part.text.is_empty() && !part.kind.ends_with("delivery-status")
        });
        let mut originals: Vec<HeaderFields> = heads
            .map(|part| HeaderFields::read(part.text.trim_start().as_bytes()).0)
            .filter(|head| head.has("from") || head.has("to") || head.has("message-id"))
            .collect();
        let text = match original_in(&whole) {
            Some((said, given_back)) => {
                originals.extend(head_in(given_back));
                said.to_owned()
            }
            None => whole,
        };
        let reporter = mail
            .headers
            .get("from")
            .and_then(addresses::first)
            .and_then(|address| address.rsplit('@').next())
            .map(String::from);
        Self {
            text,
            originals,
            reporter,
        }
    }

    /// The recipients of what was given back, less `own` addresses.
    pub fn original_recipients(&self, own: &[String]) -> Vec<String> {
        let fields = self.originals.iter().take(1).flat_map(|head| {
            ["x-original-to", "to", "cc"]
                .into_iter()
                .flat_map(|name| head.all(name))
        });
        let mut to: Vec<String> = Vec::new();
        for found in fields.flat_map(addresses::find).take(5 * RECIPIENTS) {
            if !own.iter().any(|known| same(known, found.address))
                && !to.iter().any(|known| same(known, found.address))
            {
                to.push(found.address.to_owned());
            }
        }
        to.truncate(RECIPIENTS);
        to
    }

    /// Everybody whom what was given back had gone to.
    pub fn gone_to(&self) -> Vec<String> {
        let mut gone_to = self.original_recipients(&[]);
        gone_to.extend(self.passed_on_to(&[]));
        gone_to
    }

    /// Recipients that servers on the way of what was given back have noted (RFC 5321, 4.4: `for <...>`).
    fn passed_on_to(&self, own: &[String]) -> Vec<String> {
        let noted = self
            .originals
            .iter()
            .flat_map(|head| head.all("received"))
            .filter_map(|line| line.split_once(" for "));
        let noted = noted
            .filter_map(|(_, line)| addresses::first(line))
            .find(|address| !failed_recipients::is_own(address, own));
        noted.map(String::from).into_iter().collect()
    }

    /// The addresses of names without a host: those of the mail given back, or at the system that reports.
    fn of_bare_names(&self, original: &[String]) -> Vec<String> {
        let whole = |name: &str| {
            let known = original.iter().find(|address| {
                address
                    .split('@')
                    .next()
                    .is_some_and(|local| local.eq_ignore_ascii_case(name))
            });
            known
                .cloned()
                .or_else(|| self.reporter.as_ref().map(|host| format!("{name}@{host}")))
        };
        failed_recipients::bare_names(&self.text)
            .filter_map(whole)
            .collect()
    }

    /// Returns the text about that address, and about no other of the `others`: its line and those below it. In the transcript of a
    /// dialogue the reason stands above instead, and the next lines are another's.
    pub fn beside(&self, address: &str, others: &[String]) -> String {
        let lines: Vec<&str> = self.lines().collect();
        let address = address.to_lowercase();
        let mut words = String::new();
        for at in (0..lines.len()).filter(|at| names(lines[*at], &address)) {
            if words.len() < 4_000 {
                let block = &lines[block_around(&lines, at, |line| names(line, &address), others)];
                words = block.iter().fold(words, |words, line| words + line + "\n");
            }
        }
        // sendmail notes what the server said, and writes "user unknown" below it whatever that was.
        if let Some((_, reason)) = words.split_once("(reason: ") {
            let reason = &reason[..reason.find(")\n").unwrap_or(reason.len())];
            if !diagnose(reason, None).says_nothing() {
                return reason.to_owned();
            }
        }
        words
    }

    /// Returns the text about that address; all that is about none of the `others`, if it is not named, or if nothing beside it tells
    /// anything and no server is quoted there.
    pub fn about(&self, address: Option<&str>, others: &[String]) -> String {
        let beside = address
            .map(|address| self.beside(address, others))
            .unwrap_or_default();
        if !beside.is_empty()
            && (reply_code(&beside).is_some() || !diagnose(&beside, None).says_nothing())
        {
            return beside;
        }
        if others.is_empty() {
            return self.text.chars().take(8_000).collect();
        }
        let lines: Vec<&str> = self.lines().collect();
        let mut of_others = vec![false; lines.len()];
        for at in (0..lines.len()).filter(|at| names_one(lines[*at], others)) {
            of_others[block_around(&lines, at, |line| names_one(line, others), &[])].fill(true);
        }
        let rest = lines
            .iter()
            .zip(of_others)
            .filter(|(_, of_others)| !of_others)
            .map(|(line, _)| *line);
        rest.collect::<Vec<_>>()
            .join("\n")
            .chars()
            .take(8_000)
            .collect()
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .take(LINES)
            .map(|line| &line[..floor(line, LONGEST_LINE)])
    }

    /// Returns the text about each address that an alias was expanded to; empty if the text names it in another way too, or not at all.
    fn of_targets(&self, alias: &str) -> Vec<String> {
        if !EXPANSIONS.iter().any(|words| self.text.contains(words)) {
            return Vec::new();
        }
        let lines: Vec<&str> = self.lines().collect();
        let alias = alias.to_lowercase();
        let named: Vec<usize> = (0..lines.len())
            .filter(|at| names(lines[*at], &alias))
            .collect();
        if !named.iter().all(|at| is_expansion(lines[*at], &alias)) {
            return Vec::new();
        }
        let block = |at: &usize| {
            let start = (at.saturating_sub(CONTEXT)..=*at)
                .rev()
                .find(|at| begins_with_address(lines[*at]))
                .unwrap_or(*at);
            let end = (at + 1..lines.len())
                .take(CONTEXT)
                .find(|at| begins_with_address(lines[*at]) || lines[*at].trim().is_empty());
            lines[start..end.unwrap_or_else(|| (at + 1 + CONTEXT).min(lines.len()))].join("\n")
        };
        named.iter().take(RECIPIENTS).map(block).collect()
    }

    /// Recipients that were not reached, and why. `own` are the addresses that belong to us or to the reporting system, `failed` those that a
    /// header field names as failed.
    pub fn failures(&self, own: &[String], failed: &[String]) -> Vec<RecipientReport> {
        let original = self.original_recipients(own);
        let noted = self.passed_on_to(own);
        let original = if original.is_empty() {
            noted.clone()
        } else {
            original
        };
        let gone_to: Vec<String> = original.iter().chain(&noted).cloned().collect();
        let mut addresses = failed.to_vec();
        if addresses.is_empty() {
            let named = FailedRecipients::in_text(&self.text, own);
            let bare = if named.is_certain() {
                Vec::new()
            } else {
                self.of_bare_names(&gone_to)
            };
            addresses = if bare.is_empty() {
                named.not_reached(&gone_to, &original)
            } else {
                bare
            };
        }
        if addresses.is_empty() {
            // Somebody who writes to themselves is both.
            let named = FailedRecipients::in_text(&self.text, &[]);
            addresses = if named.is_certain() {
                named.not_reached(&gone_to, &original)
            } else {
                Vec::new()
            };
        }
        let others = |one: &str| {
            addresses
                .iter()
                .filter(|address| !same(address, one))
                .take(IN_ALL)
                .cloned()
                .collect::<Vec<_>>()
        };
        let finding = |address: &String| {
            // An alias is gone only if each of its targets is.
            let targets = self
                .of_targets(address)
                .into_iter()
                .map(|words| (diagnose(&words, None), words));
            let (diagnosis, words) = targets
                .min_by_key(|(diagnosis, _)| severity(diagnosis.meaning, diagnosis.class()))
                .unwrap_or_else(|| {
                    let words = self.about(Some(address), &others(address));
                    (diagnose(&words, None), words)
                });
            let Diagnosis {
                meaning,
                reason,
                status,
                ..
            } = diagnosis;
            let line = telling_line(&words).unwrap_or(&words);
            RecipientReport {
                address: Some(address.clone()),
                meaning,
                class: diagnosis.class(),
                reason: Some(reason),
                status,
                line: short(line),
            }
        };
        addresses.iter().take(RECIPIENTS).map(finding).collect()
    }
}

fn names(line: &str, address: &str) -> bool {
    line.contains('@') && line.to_lowercase().contains(address)
}

const EXPANSIONS: &[&str] = &[
    "expanded from",
    "generated from",
    "alias of",
    "forwarded from",
];

/// Returns whether a line names an address only as the alias that another one came from (Postfix, sendmail, Exim).
fn is_expansion(line: &str, alias: &str) -> bool {
    let lower = line.to_lowercase();
    let before = lower
        .split(alias)
        .next()
        .unwrap_or_default()
        .trim_end_matches(['<', ' ', ':']);
    EXPANSIONS.iter().any(|words| before.ends_with(words))
}

/// The lines that belong to the line `at`, which is one of those that `is_own`.
fn block_around(
    lines: &[&str],
    at: usize,
    is_own: impl Fn(&str) -> bool,
    others: &[String],
) -> std::ops::Range<usize> {
    let below = lines[at + 1..].iter().take(CONTEXT);
    // What a relay asks, with the server's answer below it.
    if lines[at].trim_start().starts_with(">>>") {
        return at..at
            + 1
            + below
                .take_while(|line| line.trim_start().starts_with("<<<"))
                .count();
    }
    if !is_answer(lines[at]) {
        let ends = |line: &str| {
            !is_own(line)
                && (begins_with_address(line) || names_one(line, others) || opens_dialogue(line))
        };
        return at..at + 1 + below.take_while(|line| !ends(line)).count();
    }
    // `554 <ada@example.org>... User unknown` concludes what was said above it: `<<<` the server, `>>>` the relay.
    let said = lines[..at]
        .iter()
        .rev()
        .take(CONTEXT)
        .take_while(|line| is_said(line) || is_answer_continued(line))
        .count();
    at - said
        ..at + 1
            + below
                .take_while(|line| !line.trim().is_empty() && !is_answer(line) && !is_said(line))
                .count()
}

fn is_said(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("<<<") || line.starts_with(">>>")
}

/// Returns where sendmail's transcript of another dialogue begins.
fn opens_dialogue(line: &str) -> bool {
    let line = line.trim_start().to_lowercase();
    line.starts_with(">>> mail") || line.starts_with("while talking to")
}

fn is_answer(line: &str) -> bool {
    let line = line.trim_start();
    let code = line.strip_prefix("<<< ").unwrap_or(line).as_bytes();
    code.len() > 4
        && matches!(code[0], b'4' | b'5')
        && code[1..3].iter().all(u8::is_ascii_digit)
        && code[3] == b' '
}

fn is_answer_continued(line: &str) -> bool {
    let code = line.as_bytes();
    code.len() > 4
        && matches!(code[0], b'4' | b'5')
        && code[1..3].iter().all(u8::is_ascii_digit)
        && code[3] == b'-'
}

fn names_one(line: &str, addresses: &[String]) -> bool {
    line.contains('@')
        && addresses::find(&line[..floor(line, LONGEST_LINE)])
            .iter()
            .any(|found| addresses.iter().any(|known| same(known, found.address)))
}

/// The line in which the reason stands: the first with a reply code, or the first that says something.
fn telling_line(words: &str) -> Option<&str> {
    let with_code = words.lines().find(|line| reply_code(line).is_some());
    with_code.or_else(|| {
        words
            .lines()
            .find(|line| !diagnose(line, None).says_nothing())
    })
}

/// A notice that a mail is late: whom it was for.
pub fn late(prose: &FreeText, own: &[String], failed: &[String]) -> Vec<RecipientReport> {
    let findings = prose.failures(own, failed).into_iter();
    findings
        .map(|finding| RecipientReport {
            meaning: Classification::None,
            class: None,
            reason: None,
            ..finding
        })
        .collect()
}

/// The most bytes of a text up to `most` that end with a whole character.
pub fn floor(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

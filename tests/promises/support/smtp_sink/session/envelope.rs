//! MAIL FROM and RCPT TO.

use std::sync::atomic::Ordering::SeqCst;

use super::super::script::Action;
use super::super::script::Stage;
use super::Envelope;
use super::Next;
use super::Session;

/// Most recipients of one mail (RFC 5321 asks for 100 at least).
const MOST_RECIPIENTS: usize = 1000;

impl Session {
    pub(super) fn mail(&mut self, rest: &str) -> Next {
        if !self.said_hello || self.envelope.is_some() {
            return self.say("503 5.5.1 not now");
        }
        if self.shared.script.login.is_some() && !self.logged_in {
            return self.say("530 5.7.0 authentication required");
        }
        self.mails += 1;
        if self.mails > self.shared.script.mails_per_connection {
            return self.act(Action::Reply("421 4.7.0 enough for this connection"));
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.5.4 MAIL FROM:<address>");
        };
        if let Some(fault) = self.fault_in(parameters) {
            return self.say(fault);
        }
        let utf8 = parameters
            .split(' ')
            .any(|parameter| parameter.eq_ignore_ascii_case("SMTPUTF8"));
        if !utf8 && !from.is_ascii() {
            return self.say("553 5.6.7 SMTPUTF8 was not asked for");
        }
        let action = self
            .shared
            .script
            .turn(Stage::MailFrom, "*")
            .unwrap_or(Action::Reply("250 2.1.0 OK"));
        if action.accepts('2') {
            self.envelope = Some(Envelope {
                from: from.to_owned(),
                utf8,
                to: Vec::new(),
            });
        }
        self.act(action)
    }

    /// The reply to parameters of MAIL that were not offered or are wrong.
    fn fault_in(&self, parameters: &str) -> Option<&'static str> {
        let fault = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let offered = |extension| self.shared.script.offers(extension);
            let is_known = match name.to_ascii_uppercase().as_str() {
                "SIZE"
                    if value.parse().is_ok_and(|size: usize| {
                        size > self.shared.script.size_max.load(SeqCst)
                    }) =>
                {
                    return Some("552 5.3.4 message too big");
                }
                "SIZE" => offered("SIZE"),
                "BODY" => offered("8BITMIME"),
                "SMTPUTF8" => offered("SMTPUTF8"),
                "AUTH" => self.shared.script.login.is_some(),
                _ => false,
            };
            (!is_known).then_some("555 5.5.4 unknown parameter")
        };
        parameters
            .split(' ')
            .filter(|parameter| !parameter.is_empty())
            .find_map(fault)
    }

    pub(super) fn rcpt(&mut self, rest: &str) -> Next {
        let Some(envelope) = &mut self.envelope else {
            return self.say("503 5.5.1 MAIL first");
        };
        let Some((to, "")) = path(rest, "TO:").filter(|(to, _)| !to.is_empty()) else {
            return self.say("501 5.5.4 RCPT TO:<address>");
        };
        if !envelope.utf8 && !to.is_ascii() {
            return self.say("553 5.6.7 SMTPUTF8 was not asked for");
        }
        if envelope.to.len() == MOST_RECIPIENTS {
            return self.say("452 4.5.3 too many recipients");
        }
        let action = self
            .shared
            .script
            .turn(Stage::Recipient, local_part(to))
            .unwrap_or(Action::Reply("250 2.1.5 OK"));
        if action.accepts('2') {
            envelope.to.push(to.to_owned());
        }
        self.act(action)
    }
}

/// The address and the parameters of `FROM:<address> parameters`.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (said, rest) = rest.split_at_checked(keyword.len())?;
    let rest = rest
        .trim()
        .strip_prefix('<')
        .filter(|_| said.eq_ignore_ascii_case(keyword))?;
    rest.split_once("> ")
        .or_else(|| Some((rest.strip_suffix('>')?, "")))
}

pub(super) fn local_part(address: &str) -> &str {
    address
        .rsplit_once('@')
        .map_or(address, |(local_part, _)| local_part)
}

//! What a send must look like afterwards: from the mails at the relay and the ledger's own account.

use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::support::Program;
use crate::support::Relays;
use crate::support::smtp_sink::Received;

/// What a send cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Deliveries that were in doubt at some time.
    pub doubts: usize,
    /// Mails beyond one for each reader.
    pub extra: usize,
}

/// What is promised of it.
pub struct Promise<'a> {
    pub digest: &'a str,
    /// A reader's id by address.
    pub ids: &'a HashMap<String, String>,
    /// The most mails in doubt.
    pub most_copies: usize,
    /// `mail.in_doubt = "hold"`.
    pub hold: bool,
    /// A moment by both clocks, where the program's can be compared with ours.
    pub clocks: Option<(Instant, chrono::DateTime<chrono::Utc>)>,
}

struct Doubt {
    held: bool,
    attempts: u64,
    at: chrono::DateTime<chrono::Utc>,
}

impl Promise<'_> {
    /// Everybody has the mail, or was in doubt twice and is held; who has it twice was named in the ledger before the second copy went out; the counts add up;
    /// `digest audit` says so.
    pub fn judge(&self, program: &Program, relays: &Relays) -> Result<Cost, String> {
        let said = program.run(&["digest", "audit", self.digest, "--json"]);
        let audit = &said.json()["digests"][0];
        must(
            said.code == 0 && audit["faults"].as_array().is_some_and(Vec::is_empty),
            || format!("the audit finds fault: {audit}"),
        )?;
        let doubts = doubts_in(audit);
        let count = |state: &str| audit["deliveries"][state].as_u64().unwrap_or(u64::MAX) as usize;
        let held = doubts.values().filter(|doubt| doubt.held).count();
        must(
            count("sent") + held == self.ids.len() && count("uncertain") == held,
            || format!("the counts do not add up: {audit}"),
        )?;
        let early = doubts
            .values()
            .filter(|doubt| doubt.held && doubt.attempts < 2)
            .count();
        must(self.hold || early == 0, || {
            format!("{early} are held though they were in doubt once")
        })?;

        let received = relays.received();
        let mut copies: HashMap<&str, Vec<&Received>> = HashMap::new();
        for mail in &received {
            copies.entry(&mail.to).or_default().push(mail);
        }
        let lost: Vec<&String> = self
            .ids
            .keys()
            .filter(|to| !copies.contains_key(to.as_str()))
            .collect();
        let unheld: Vec<_> = lost
            .iter()
            .filter(|to| !doubts.get(&self.ids[**to]).is_some_and(|doubt| doubt.held))
            .collect();
        must(unheld.is_empty(), || {
            format!("{} are lost, such as {:?}", unheld.len(), unheld.first())
        })?;
        for (to, mails) in copies.iter().filter(|(_, mails)| mails.len() > 1) {
            let doubt = doubts.get(&self.ids[*to]).ok_or_else(|| {
                let came: Vec<_> = mails
                    .iter()
                    .map(|mail| (mail.connection, mail.at))
                    .collect();
                format!(
                    "{to} has {} copies that the ledger does not name: (connection, when) {came:?}",
                    mails.len()
                )
            })?;
            must(mails.len() <= 2, || {
                format!("{to} has {} copies", mails.len())
            })?;
            must(doubt.attempts >= mails.len() as u64, || {
                format!(
                    "{to} has {} copies of {} attempts",
                    mails.len(),
                    doubt.attempts
                )
            })?;
            self.named_before(to, mails, doubt)?;
        }
        let cost = Cost {
            doubts: doubts.len(),
            extra: received.len() - copies.len(),
        };
        must(
            cost.extra <= self.most_copies && cost.doubts <= self.most_copies,
            || format!("{cost:?}; at most {}", self.most_copies),
        )?;
        must(!self.hold || cost.extra == 0, || {
            format!("{} were sent again though held", cost.extra)
        })?;
        Ok(cost)
    }

    /// The last copy came after the ledger had named the reader.
    fn named_before(&self, to: &str, mails: &[&Received], doubt: &Doubt) -> Result<(), String> {
        let (Some((instant, moment)), Some(last)) =
            (self.clocks, mails.iter().map(|mail| mail.at).max())
        else {
            return Ok(());
        };
        let last = moment + last.duration_since(instant) + Duration::from_millis(5);
        must(doubt.at <= last, || {
            format!(
                "{to} was named at {}, after its last copy at {last}",
                doubt.at
            )
        })
    }
}

fn doubts_in(audit: &Value) -> HashMap<String, Doubt> {
    let doubt = |doubt: &Value| {
        let at = doubt["uncertain_at"].as_str()?.parse().ok()?;
        let held = doubt["state"] == "uncertain";
        Some((
            doubt["subscriber"].as_str()?.to_owned(),
            Doubt {
                held,
                attempts: doubt["attempts"].as_u64()?,
                at,
            },
        ))
    };
    let listed = audit["doubts"].as_array().expect("a list");
    listed
        .iter()
        .map(|value| doubt(value).unwrap_or_else(|| panic!("{value} is no doubt")))
        .collect()
}

fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Waits until the digest is final; fails when nothing moves any more.
pub async fn until_final(
    digest: &str,
    program: &Program,
    relays: &Relays,
    mut each_time: impl FnMut(),
) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(45);
    let (mut moved, mut last) = (Instant::now(), (0, Value::Null));
    loop {
        let said =
            tokio::task::block_in_place(|| program.run(&["digest", "show", digest, "--json"]));
        // It fails while the database is away.
        let shown = if said.code == 0 {
            said.json()
        } else {
            Value::Null
        };
        if shown["state"] == "sent" {
            return Ok(());
        }
        let now = (relays.mails(), shown["deliveries"].clone());
        if now != last {
            (moved, last) = (Instant::now(), now);
        }
        must(moved.elapsed() < PATIENCE, || {
            format!(
                "nothing moves: {} mails came, {shown} {}",
                relays.mails(),
                said.err
            )
        })?;
        each_time();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

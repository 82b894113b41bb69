//! What the trials share with the promises.

#![allow(dead_code, unused_imports, reason = "the trials use part of it")]

#[path = "../promises/support/catalogue.rs"]
pub mod catalogue;
#[path = "../promises/support/postgres/mod.rs"]
pub mod postgres;
#[path = "../promises/support/program.rs"]
pub mod program;
#[path = "../promises/support/smtp_sink/mod.rs"]
pub mod smtp_sink;
#[path = "../promises/support/test_db.rs"]
pub mod test_db;
#[path = "../promises/support/wire.rs"]
pub mod wire;

use std::io::Write as _;
use std::sync::Arc;

pub use program::Program;
pub use program::Running;
pub use smtp_sink::Behaviour;
pub use smtp_sink::Script;
pub use smtp_sink::SmtpSink;
pub use smtp_sink::Stage;
pub use test_db::TestDb;
pub use wire::Wire;

/// Says a line that is seen also when the test passes: `eprintln` of one that does is swallowed.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A number from the environment.
pub fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}; expected a number")),
        Err(_) => default,
    }
}

/// The relays of a trial.
pub struct Relays(Vec<Arc<SmtpSink>>);

impl Relays {
    pub async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let mut sinks = Vec::new();
        for script in scripts {
            sinks.push(Arc::new(SmtpSink::start(script).await));
        }
        Self(sinks)
    }

    /// The one that troubles strike.
    pub fn first(&self) -> &Arc<SmtpSink> {
        &self.0[0]
    }

    /// Returns how many mails came so far, by all of them.
    pub fn mails(&self) -> usize {
        self.0.iter().map(|sink| sink.mails()).sum()
    }

    /// All mails so far.
    pub fn received(&self) -> Vec<smtp_sink::Received> {
        self.0.iter().flat_map(|sink| sink.received()).collect()
    }

    /// `mail.relays`, as a variable of the environment has it.
    pub fn setting(&self) -> String {
        let listed =
            self.0.iter().enumerate().map(|(at, sink)| {
                format!("{{ name = \"r{at}\", transport = \"{}\" }}", sink.url())
            });
        format!("[{}]", listed.collect::<Vec<_>>().join(", "))
    }
}

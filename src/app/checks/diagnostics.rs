//! Diagnostics: what somebody needs who looks for a fault, and a text of it without secrets to hand to others.

use std::fmt::Write as _;

use serde::Serialize;

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::domain::Timestamp;
use crate::domain::delivery::MailClass;

/// Code of the observation that the schedule makes each minute.
const TICK: &str = "tick";

/// Facts about an installation.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostics {
    /// Version of this program.
    pub version: &'static str,
    /// Machine and kind of build that it was made for.
    pub build: String,
    /// Clock of the process that answers.
    pub now: Timestamp,
    /// Milliseconds by which it is ahead of the database's clock; none on SQLite, which has the same.
    pub clock_ahead_ms: Option<i64>,
    /// Product of the database, and its version.
    pub database: String,
    /// Bytes of the database.
    pub database_bytes: Option<u64>,
    /// Bytes of SQLite's write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Bytes that are free on the database's disk.
    pub disk_free_bytes: Option<u64>,
    /// Newest migration that was run.
    pub migration: Option<i64>,
    /// Migrations that were not run.
    pub migrations_missing: u64,
    /// Time at which the schedule last did what was due.
    pub last_tick: Option<Timestamp>,
    /// Processes that deliver.
    pub processes: Vec<ProcessFacts>,
    /// Leases of their senders.
    pub leases: Vec<LeaseFacts>,
    /// Mail that is due.
    pub queue: Vec<QueueFacts>,
}

/// A process that delivers.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessFacts {
    /// Name.
    pub process: String,
    /// Milliseconds by which its clock is ahead of the database's.
    pub clock_ahead_ms: Option<i64>,
    /// Reasons for which its mail waits.
    pub waits: usize,
}

/// A sender's lease.
#[derive(Debug, Clone, Serialize)]
pub struct LeaseFacts {
    /// Process.
    pub process: String,
    /// Time at which the sender began.
    pub started_at: Timestamp,
    /// Time at which the lease ends unless it is renewed.
    pub expires_at: Timestamp,
    /// Reason why it holds back mail.
    pub trouble: Option<String>,
}

/// Mail of one class that is due.
#[derive(Debug, Clone, Serialize)]
pub struct QueueFacts {
    /// Class.
    pub class: MailClass,
    /// Time since which some of it is due.
    pub due_since: Timestamp,
    /// Time at which mail of the class last came to an end.
    pub progress_at: Option<Timestamp>,
}

impl App {
    /// Notes that the schedule did what was due.
    pub async fn note_tick(&self) -> Result<(), Failure> {
        Ok(self.storage.observe(TICK, "", self.now()).await?)
    }

    /// Reads the facts.
    pub async fn diagnostics(&self) -> Result<Diagnostics, Failure> {
        let now = self.now();
        let url = self.settings.database.url.expose();
        let database = self.storage.database_facts(url).await?;
        let skew = self.storage.clock_skew(|| self.now()).await?;
        let tick = self.storage.observation(TICK).await?;
        let processes = self.storage.deliverers(now).await?.into_iter();
        let leases = self.storage.sender_leases().await?.into_iter();
        let queue = self.storage.due_mail(now).await?.into_iter();
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        Ok(Diagnostics {
            version: env!("CARGO_PKG_VERSION"),
            build: format!(
                "{} {}, {profile}",
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
            now,
            clock_ahead_ms: skew.map(|skew| skew.ahead.num_milliseconds()),
            database: format!("{} {}", database.kind, database.version),
            database_bytes: database.bytes,
            wal_bytes: database.wal_bytes,
            disk_free_bytes: database.disk_free,
            migration: database.migration,
            migrations_missing: database.migrations_missing,
            last_tick: tick.map(|(_, at)| at),
            processes: processes
                .map(|process| ProcessFacts {
                    process: process.process,
                    clock_ahead_ms: process.ahead.map(|ahead| ahead.num_milliseconds()),
                    waits: process.waits.len(),
                })
                .collect(),
            leases: leases
                .map(|lease| LeaseFacts {
                    process: lease.process,
                    started_at: lease.started_at,
                    expires_at: lease.expires_at,
                    trouble: lease.trouble,
                })
                .collect(),
            queue: queue
                .map(|due| QueueFacts {
                    class: due.class,
                    due_since: due.since,
                    progress_at: due.progress_at,
                })
                .collect(),
        })
    }

    /// A text to hand to whoever helps: facts, findings, and the settings that are not the default. Secrets are masked by their types;
    /// no address of a subscriber is in it.
    pub async fn support_text(&self, findings: &[CheckResult]) -> Result<String, Failure> {
        let facts = self.diagnostics().await?;
        let mut text = String::from("verdicts: support text\n\n");
        for (words, value) in facts.lines() {
            let _ = writeln!(text, "{words}: {value}");
        }
        text.push_str("\nFindings:\n");
        for finding in findings {
            let mark = match finding.level {
                Severity::Good => "good",
                Severity::Advice => "advice",
                Severity::Fault => "FAULT",
            };
            let _ = writeln!(text, "{mark} {}: {}", finding.what, finding.words);
        }
        text.push_str("\nSettings that are not the default:\n");
        for view in self.setting_views().await? {
            if view.value != view.default {
                let _ = writeln!(text, "{} = {}  # {}", view.key, view.value, view.origin);
            }
        }
        Ok(text)
    }
}

impl Diagnostics {
    /// The facts as pairs of words and value.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let none = || "unknown".to_owned();
        let mut lines = vec![
            ("Version", format!("{} ({})", self.version, self.build)),
            ("Clock of the server", self.now.to_rfc3339()),
            (
                "Ahead of the database's clock",
                match self.clock_ahead_ms {
                    Some(ahead) => format!("{ahead} ms"),
                    None => "the same clock".into(),
                },
            ),
            ("Database", self.database.clone()),
            ("Size", self.database_bytes.map_or_else(none, bytes)),
            (
                "Newest migration",
                self.migration.map_or_else(none, |n| n.to_string()),
            ),
            ("Migrations to run", self.migrations_missing.to_string()),
            (
                "Last tick of the schedule",
                self.last_tick
                    .map_or_else(|| "none yet".into(), |at| at.to_rfc3339()),
            ),
        ];
        if let Some(wal) = self.wal_bytes {
            lines.push(("Write-ahead log", bytes(wal)));
        }
        if let Some(free) = self.disk_free_bytes {
            lines.push(("Free on its disk", bytes(free)));
        }
        for process in &self.processes {
            let ahead = process
                .clock_ahead_ms
                .map(|ahead| format!(", {ahead} ms ahead"));
            lines.push((
                "Delivers",
                format!(
                    "{}{}, {} reasons to wait",
                    process.process,
                    ahead.unwrap_or_default(),
                    process.waits
                ),
            ));
        }
        for lease in &self.leases {
            let trouble = lease.trouble.as_ref().map(|trouble| format!(", {trouble}"));
            lines.push((
                "Lease",
                format!(
                    "{} until {}{}",
                    lease.process,
                    lease.expires_at.to_rfc3339(),
                    trouble.unwrap_or_default()
                ),
            ));
        }
        for due in &self.queue {
            lines.push((
                "Queue",
                format!(
                    "{} mail due since {}",
                    due.class,
                    due.due_since.to_rfc3339()
                ),
            ));
        }
        if self.queue.is_empty() {
            lines.push(("Queue", "nothing is due".into()));
        }
        lines
    }
}

/// Bytes as people read them: 12.4 MiB.
fn bytes(count: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(size, _)| count >= *size);
    match unit {
        Some((size, name)) => format!("{:.1} {name}", count as f64 / *size as f64),
        None => format!("{count} bytes"),
    }
}

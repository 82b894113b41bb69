//! Limits of a call to PostgreSQL: ours, and those that its server holds by itself so that a slow call is not taken for a lost server.
//!
//! A statement that waits for somebody's lock, or reads too much, is ended by the server before our own limit is over: by 55P03
//! (lock_not_available) or 57014 (query_canceled), over a connection that stays good. Our limit is then met only by a server, or a way to it,
//! that is silent.

use std::time::Duration;

/// Number of times that a call of a report, which reads all of a digest or of the list, may last as long as others.
const REPORT: u32 = 30;

/// Upper bounds on one statement, commit or ping.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallLimits {
    /// Ours.
    pub call: Duration,
}

/// The statement's own settings, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct OnServer {
    lock: u128,
    statement: u128,
}

impl CallLimits {
    pub(super) fn of(call: Duration) -> Self {
        Self { call }
    }

    /// The same for a report.
    pub(super) fn of_report(self) -> Self {
        Self {
            call: self.call * REPORT,
        }
    }

    fn on_server(self) -> OnServer {
        // The lock first: the words of 55P03 name it.
        OnServer {
            lock: (self.call * 7 / 10).as_millis(),
            statement: (self.call * 8 / 10).as_millis(),
        }
    }

    /// Settings of a session that the statements rely on, whatever the server, the database or the role have as their default: each
    /// statement sees what is committed (a serializable default fails one of two transactions that meet, with 40001), writes are allowed,
    /// and the server ends by itself what lasts too long. And the server finds out about a client that vanished without a word: a
    /// transaction that it left open would hold its locks until the kernel's own keepalive, two hours later.
    pub(super) fn session(self) -> [(&'static str, String); 11] {
        let server = self.on_server();
        [
            ("default_transaction_isolation", "read committed".into()),
            ("default_transaction_read_only", "off".into()),
            ("default_transaction_deferrable", "off".into()),
            ("statement_timeout", server.statement.to_string()),
            ("lock_timeout", server.lock.to_string()),
            ("client_encoding", "utf8".into()),
            (
                "idle_in_transaction_session_timeout",
                self.idle_ms().to_string(),
            ),
            ("tcp_keepalives_idle", "10".into()),
            ("tcp_keepalives_interval", "5".into()),
            ("tcp_keepalives_count", "3".into()),
            // What was written and not acknowledged, as keepalives look only after a connection on which nothing is under way.
            ("tcp_user_timeout", "25000".into()),
        ]
    }

    /// Those of them that a pooler does not hand on, for one transaction.
    pub(super) fn in_transaction(self) -> String {
        let server = self.on_server();
        format!(
            "set local statement_timeout = {}; set local lock_timeout = {}; set local idle_in_transaction_session_timeout = {}",
            server.statement,
            server.lock,
            self.idle_ms()
        )
    }

    /// The server's limit for statements of a report, within a transaction.
    pub(super) fn for_report(self) -> String {
        format!(
            "set local statement_timeout = {}",
            self.of_report().on_server().statement
        )
    }

    /// Longer than any pause within a transaction, in which only the database is waited for.
    fn idle_ms(self) -> u128 {
        (self.call * 2).as_millis()
    }
}

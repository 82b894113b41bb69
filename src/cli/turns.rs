//! Turns of the pipes of one machine: after an outage a mail server starts one for each mail that waits, all at the same instant.
//!
//! Without turns each of a hundred would take two of the connections that PostgreSQL has for everybody, the service among them, and on
//! SQLite all would wait for one writer, which is had by chance and not in order.

use std::time::Duration;
use std::time::Instant;

/// Pipes that work at once.
const TURNS: u32 = 8;
/// The longest time between two looks whether there is a turn.
const LOOK_MS: u64 = 100;

/// A turn, until it is dropped or its process ends, however that ends.
pub(super) struct TurnLock {
    #[cfg(target_os = "linux")]
    _name: Option<std::os::unix::net::UnixDatagram>,
}

impl TurnLock {
    /// Waits for a turn at the database of that name. There is none to be had within `limit`, or on a system that knows no such names:
    /// then it goes on all the same, for a mail that could be kept shall not fail for want of order.
    pub(super) async fn at(database: &str, limit: Duration) -> Self {
        let began = Instant::now();
        loop {
            match Self::free(database) {
                None if began.elapsed() < limit => {
                    // Not all at the same moment.
                    tokio::time::sleep(Duration::from_millis(
                        LOOK_MS / 2 + rand::random::<u64>() % (LOOK_MS / 2),
                    ))
                    .await;
                }
                turn => return turn.unwrap_or_else(Self::out_of_turn),
            }
        }
    }

    /// A turn that nobody has. It is a name of the kernel's (unix(7), "Abstract"), which one process can have and which ends with it: a lock
    /// file would want a folder in which every user of a mail server may write, and that nobody clears.
    #[cfg(target_os = "linux")]
    fn free(database: &str) -> Option<Self> {
        use std::io::ErrorKind;
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        use std::os::unix::net::UnixDatagram;

        for turn in 0..TURNS {
            let name = SocketAddr::from_abstract_name(format!(
                "verdicts inbound {turn} {}",
                short_name(database)
            ));
            match name.and_then(|name| UnixDatagram::bind_addr(&name)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                taken => return Some(Self { _name: taken.ok() }),
            }
        }
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn free(_: &str) -> Option<Self> {
        Some(Self::out_of_turn())
    }

    fn out_of_turn() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            _name: None,
        }
    }
}

/// The name of a database, short enough for a socket's (107 bytes) and for everybody's eyes (/proc/net/unix).
#[cfg(target_os = "linux")]
fn short_name(database: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(database)[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_work_at_once_and_one_that_ends_makes_room() {
        let database = format!("of a test, {}", std::process::id());
        let mut working: Vec<_> = (0..TURNS)
            .map(|_| TurnLock::free(&database).expect("a turn"))
            .collect();
        assert!(TurnLock::free(&database).is_none() && TurnLock::free("another").is_some());
        let waiting = tokio::spawn({
            let database = database.clone();
            async move { TurnLock::at(&database, Duration::from_secs(600)).await }
        });
        working.pop();
        assert!(waiting.await.expect("an end")._name.is_some());
    }

    #[tokio::test]
    async fn who_waited_too_long_goes_on_all_the_same() {
        let database = format!("of another test, {}", std::process::id());
        let _working: Vec<_> = (0..TURNS)
            .map(|_| TurnLock::free(&database).expect("a turn"))
            .collect();
        assert!(
            TurnLock::at(&database, Duration::from_millis(150))
                .await
                ._name
                .is_none()
        );
    }
}

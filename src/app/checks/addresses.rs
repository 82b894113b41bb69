//! The addresses of the servers around us, tried one by one: mail goes on when one of them is dead, so that nothing else tells.

use std::net::SocketAddr;
use std::time::Duration;

use crate::app::App;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::good;

/// Time that an address has to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Each address, and why it does not answer.
type Addresses = Vec<(SocketAddr, Option<String>)>;

impl App {
    /// Tries each address of relays, mailbox and database, all at once; a finding for each name that has several.
    pub(in crate::app) async fn examine_addresses(&self) -> Vec<CheckResult> {
        let relays = async {
            let look = async |relay: &crate::app::delivery::relay::Relay| {
                (
                    relay.transport.describe(),
                    relay.transport.survey(LIMIT).await.unwrap_or_default(),
                )
            };
            futures_util::future::join_all(self.relays.iter().map(|relay| look(relay))).await
        };
        let mailbox = async {
            match self.returns() {
                Some(account) => Some((
                    format!("IMAP server {}", account.place()),
                    account.survey(LIMIT).await.unwrap_or_default(),
                )),
                None => None,
            }
        };
        let (relays, mailbox, databases) =
            tokio::join!(relays, mailbox, self.storage.survey_servers(LIMIT));
        let databases = databases
            .into_iter()
            .map(|(place, addresses)| (format!("database server {place}"), addresses));
        relays
            .into_iter()
            .chain(mailbox)
            .chain(databases)
            .filter_map(|(server, addresses)| finding(&server, &addresses))
            .collect()
    }
}

/// Nothing to say of one address: whether it answers stands under the server's own finding. That none does, too.
fn finding(server: &str, addresses: &Addresses) -> Option<CheckResult> {
    let dead: Vec<String> = addresses
        .iter()
        .filter_map(|(address, why)| Some(format!("{} ({})", address.ip(), why.as_ref()?)))
        .collect();
    match (addresses.len(), dead.len()) {
        (..=1, _) => None,
        (all, 0) => Some(good(
            "addresses",
            format!("{server}: all {all} addresses of its name answer"),
        )),
        (all, lost) if lost < all => Some(advice(
            "addresses",
            format!(
                "{server}: {lost} of {all} addresses of its name lead nowhere: {}; connections go to the others. Mend them, or take them out \
                 of DNS or the hosts file",
                dead.join(", ")
            ),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check_result::Severity;

    #[test]
    fn a_dead_address_among_others_is_named() {
        let address = |n: u8| SocketAddr::from(([192, 0, 2, n], 25));
        let found = |addresses: &[(SocketAddr, Option<String>)]| {
            finding("SMTP server relay.example:25", &addresses.to_vec())
        };
        let dead = Some("no answer within 5s".to_owned());
        assert_eq!(found(&[(address(1), dead.clone())]), None);
        assert_eq!(
            found(&[(address(1), dead.clone()), (address(2), dead.clone())]),
            None
        );
        assert_eq!(
            found(&[(address(1), None), (address(2), None)]).map(|found| found.level),
            Some(Severity::Good)
        );
        let named = found(&[(address(1), dead), (address(2), None)]).expect("a finding");
        assert_eq!(named.level, Severity::Advice);
        assert!(
            named.words.contains("192.0.2.1 (no answer within 5s)")
                && !named.words.contains("192.0.2.2"),
            "{}",
            named.words
        );
    }
}

//! Readers' choices: votes on tools, and tools saved for later.

use std::net::IpAddr;

use crate::app::App;
use crate::app::Failure;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::reader::Saved;
use crate::domain::subscriber::network_of;
use crate::domain::token::Purpose;
use crate::domain::token::cookie_hash;
use crate::storage::votes::Voted;
use crate::storage::votes::Voter;

/// Saved tools that one page shows.
const SHOWN: i64 = 200;

impl App {
    /// Returns whose link of a digest this is; `None` when it is not ours.
    pub fn reader_of(&self, token: &str) -> Option<i64> {
        self.secrets
            .read(Purpose::Read, token)
            .map(|token| token.subscriber)
    }

    /// Counts a reader's vote; one per reader and tool, the last counts.
    pub async fn vote(
        &self,
        subscriber: i64,
        tool: &Slug,
        verdict: Verdict,
    ) -> Result<Voted, Failure> {
        let voted = self
            .storage
            .vote(tool, subscriber, verdict, self.now())
            .await?;
        note("reader", voted);
        Ok(voted)
    }

    /// Counts the vote of a visitor who holds `cookie` and comes from `client`; one per cookie and tool, the last counts.
    pub async fn vote_as_visitor(
        &self,
        cookie: &str,
        client: IpAddr,
        tool: &Slug,
        verdict: Verdict,
    ) -> Result<Voted, Failure> {
        let visitor = Voter {
            cookie: cookie_hash(cookie),
            network: self.secrets.network_hash(&network_of(client)),
        };
        let voted = self
            .storage
            .vote_as_visitor(
                tool,
                &visitor,
                verdict,
                self.settings.votes.per_network,
                self.now(),
            )
            .await?;
        note("visitor", voted);
        Ok(voted)
    }

    /// Saves a tool for a reader; `false` if it cannot be.
    pub async fn save_tool(&self, subscriber: i64, tool: &Slug) -> Result<bool, Failure> {
        Ok(self.storage.save_tool(tool, subscriber, self.now()).await?)
    }

    /// Takes a tool out of what a reader saved.
    pub async fn forget_tool(&self, subscriber: i64, tool: &Slug) -> Result<(), Failure> {
        Ok(self.storage.forget_tool(tool, subscriber).await?)
    }

    /// Returns what a reader saved, newest first.
    pub async fn saved_tools(&self, subscriber: i64) -> Result<Vec<Saved>, Failure> {
        Ok(self.storage.saved_tools(subscriber, SHOWN).await?)
    }
}

fn note(who: &'static str, voted: Voted) {
    let outcome = match voted {
        Voted::Counted => "counted",
        Voted::Nothing => "nothing",
        Voted::TooMany => "too_many",
    };
    metrics::counter!("verdicts_votes_total", "who" => who, "outcome" => outcome).increment(1);
}

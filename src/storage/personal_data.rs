//! Everything that is kept of one person, for their own copy of it (GDPR Art. 15 and 20). A test walks the schema and fails on a column
//! about a person that is not here.

mod events;
mod mails;

use serde::Serialize;

use super::ReadConnection;
use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::slot::Slot;

/// Rows of one kind that a copy holds: a hundred years of weekly mails.
const ROWS: i64 = 5_000;

/// Data that is kept of somebody beside their address, name, state, consents, history and preferences.
#[derive(Debug, Clone, Serialize)]
pub struct PersonalData {
    /// Time at which they were first written down, and since when their state holds.
    pub signed_up_at: Timestamp,
    /// Since when they are in their present state.
    pub state_since: Timestamp,
    /// An open sign-up that waits for its confirmation.
    pub waiting_since: Option<Timestamp>,
    /// Time at which a confirmation mail was last asked for.
    pub confirmation_at: Option<Timestamp>,
    /// Time at which they were last told that they are on the list already.
    pub reminded_at: Option<Timestamp>,
    /// Time when a mail of theirs that was not understood was last answered with a link.
    pub link_sent_at: Option<Timestamp>,
    /// Language that they read, as a BCP 47 tag.
    pub locale: Option<String>,
    /// Time at which a pause that is set began.
    pub paused_at: Option<Timestamp>,
    /// A change of address that waits for its confirmation.
    pub address_change: Option<AddressChange>,
    /// Addresses that they left by a change of address, newest first.
    pub earlier_addresses: Vec<EarlierAddress>,
    /// Reason that they gave after they unsubscribed.
    pub unsubscribe_reason: Option<GivenReason>,
    /// Votes on tools.
    pub votes: Vec<Vote>,
    /// Tools saved for later.
    pub saved: Vec<SavedTool>,
    /// Mails that were sent or are to be sent, newest last.
    pub mails: Vec<SentMail>,
    /// Reports about mails to them: bounces, complaints and answers.
    pub came_back: Vec<CameBack>,
    /// Mails that name their address and that nothing proves to be about mail of ours.
    pub unproven: Vec<Unproven>,
    /// Events about them that other programs of the publisher are told of.
    pub events: Vec<events::ToldEvent>,
    /// Reason why no mail goes to the address, if it is on the suppression list.
    pub suppressions: Vec<Suppression>,
    /// Suppressions that were taken back.
    pub suppressions_removed: Vec<SuppressionRemoved>,
}

/// See [`PersonalData::address_change`].
#[derive(Debug, Clone, Serialize)]
pub struct AddressChange {
    /// The new address.
    pub email: String,
    /// Time at which it was asked for.
    pub requested_at: Timestamp,
}

/// See [`PersonalData::earlier_addresses`].
#[derive(Debug, Clone, Serialize)]
pub struct EarlierAddress {
    /// The address.
    pub email: String,
    /// Time at which it was left.
    pub left_at: Timestamp,
}

/// See [`PersonalData::unsubscribe_reason`].
#[derive(Debug, Clone, Serialize)]
pub struct GivenReason {
    /// Code of the reason.
    pub reason: String,
    /// Time when it was given.
    pub at: Timestamp,
}

/// See [`PersonalData::votes`].
#[derive(Debug, Clone, Serialize)]
pub struct Vote {
    /// On which tool.
    pub tool: String,
    /// `ship` or `skip`.
    pub verdict: String,
    /// When.
    pub at: Timestamp,
}

/// See [`PersonalData::saved`].
#[derive(Debug, Clone, Serialize)]
pub struct SavedTool {
    /// The tool.
    pub tool: String,
    /// When.
    pub at: Timestamp,
    /// Number of its panel that said ship then.
    pub panel_ships: i64,
    /// Number of its panel that said skip then.
    pub panel_skips: i64,
}

/// See [`PersonalData::mails`].
#[derive(Debug, Clone, Serialize)]
pub struct SentMail {
    /// `digest`, or what other mail it is.
    pub kind: String,
    /// The week of a digest.
    pub slot: Option<Slot>,
    /// Variant of the digest.
    pub variant: Option<i64>,
    /// After how many corrections of the digest.
    pub version: Option<i64>,
    /// The other address that it went to.
    pub email: Option<String>,
    /// Its state.
    pub state: String,
    /// Time at which it was queued.
    pub at: Timestamp,
    /// Time at which it is or was due.
    pub due_at: Timestamp,
    /// Time at which it was first tried.
    pub first_at: Option<Timestamp>,
    /// Time at which it was last tried.
    pub started_at: Option<Timestamp>,
    /// Time at which it was last unknown whether it had arrived.
    pub uncertain_at: Option<Timestamp>,
    /// Time at which it became final.
    pub finished_at: Option<Timestamp>,
    /// Number of attempts to send it.
    pub attempts: i64,
    /// Reason why it was not sent, if that was on purpose.
    pub skip_reason: Option<String>,
    /// The server's last words.
    pub reply: Option<String>,
    /// The relay that it was handed to.
    pub relay: Option<String>,
}

/// See [`PersonalData::came_back`].
#[derive(Debug, Clone, Serialize)]
pub struct CameBack {
    /// When.
    pub at: Timestamp,
    /// By which way.
    pub door: String,
    /// Its meaning.
    pub meaning: String,
    /// Tells whether a soft one is about the recipient, or passing.
    pub class: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The enhanced status code.
    pub status: Option<String>,
    /// The line that it was read from.
    pub line: Option<String>,
    /// The week of the digest that came back.
    pub slot: Option<Slot>,
    /// Name of the report as it came, if it is kept: see [`super::inbound_reports`].
    #[serde(skip)]
    pub report: Option<String>,
}

/// See [`PersonalData::unproven`].
#[derive(Debug, Clone, Serialize)]
pub struct Unproven {
    /// Time when it came.
    pub at: Timestamp,
    /// By which way.
    pub door: String,
}

/// See [`PersonalData::suppressions`].
#[derive(Debug, Clone, Serialize)]
pub struct Suppression {
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Note of the operator.
    pub note: Option<String>,
}

/// See [`PersonalData::suppressions_removed`].
#[derive(Debug, Clone, Serialize)]
pub struct SuppressionRemoved {
    /// Time at which it was taken back.
    pub at: Timestamp,
    /// Reason why it was there.
    pub reason: String,
    /// Since when.
    pub suppressed_at: Timestamp,
    /// Reason why it was taken back.
    pub note: String,
}

#[derive(sqlx::FromRow)]
struct PersonDataRow {
    created_at: i64,
    state_at: i64,
    requested_at: Option<i64>,
    confirmation_at: Option<i64>,
    reminded_at: Option<i64>,
    link_sent_at: Option<i64>,
    locale: Option<String>,
}

#[derive(sqlx::FromRow)]
struct CameBackRow {
    received_at: i64,
    channel: String,
    class: String,
    soft_class: Option<String>,
    reason: Option<String>,
    status: Option<String>,
    reply: Option<String>,
    mailing_id: Option<i64>,
    report: Option<String>,
}

impl Storage {
    /// Everything that is kept of a subscriber; `hashes` are the keyed hashes of their address. `None` when nobody is left.
    pub async fn personal_data(
        &self,
        subscriber: i64,
        hashes: &[String],
    ) -> Result<Option<PersonalData>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<PersonDataRow> = optional!(
            reader,
            "select created_at, state_at, requested_at, confirmation_at, reminded_at, link_sent_at, locale from subscribers where id = $1",
            subscriber
        )?;
        let Some(person) = row else { return Ok(None) };
        let paused: Option<(Option<i64>,)> = optional!(
            reader,
            "select paused_at from preferences where subscriber_id = $1",
            subscriber
        )?;
        let change: Option<(String, i64)> = optional!(
            reader,
            "select email, requested_at from email_changes where subscriber_id = $1",
            subscriber
        )?;
        let earlier_addresses = earlier_addresses_of(&mut reader, subscriber).await?;
        let unsubscribe_reason: Option<(String, i64)> = optional!(
            reader,
            "select reason, given_at from unsubscribe_reasons where subscriber_id = $1",
            subscriber
        )?;
        let votes = votes_of(&mut reader, subscriber).await?;
        let saved = saved_tools_of(&mut reader, subscriber).await?;
        let mails = mails::mails_of(&mut reader, subscriber).await?;
        let events = events::events_of(&mut reader, subscriber).await?;
        let came_back: Vec<CameBackRow> = all!(
            reader,
            "select i.received_at, i.channel, i.class, i.soft_class, i.reason, i.status, i.reply, i.mailing_id, r.fingerprint as report
             from inbound_mails i left join inbound_reports r on r.fingerprint = i.fingerprint where i.subscriber_id = $1
             order by i.received_at limit $2",
            subscriber,
            ROWS
        )?;
        let unproven: Vec<(i64, String)> = all!(
            reader,
            "select u.received_at, u.channel from subscribers s join inbound_unmatched u on u.email_key = s.email_key where s.id = $1
             order by u.received_at limit $2",
            subscriber,
            ROWS
        )?;
        let (suppressions, suppressions_removed) = suppressions_of(&mut reader, hashes).await?;
        Ok(Some(PersonalData {
            signed_up_at: from_millis(person.created_at),
            state_since: from_millis(person.state_at),
            waiting_since: person.requested_at.map(from_millis),
            confirmation_at: person.confirmation_at.map(from_millis),
            reminded_at: person.reminded_at.map(from_millis),
            link_sent_at: person.link_sent_at.map(from_millis),
            locale: person.locale,
            paused_at: paused.and_then(|(at,)| at).map(from_millis),
            address_change: change.map(|(email, at)| AddressChange {
                email,
                requested_at: from_millis(at),
            }),
            earlier_addresses,
            unsubscribe_reason: unsubscribe_reason.map(|(reason, at)| GivenReason {
                reason,
                at: from_millis(at),
            }),
            votes,
            saved,
            events,
            mails,
            came_back: came_back.into_iter().map(returned).collect(),
            unproven: unproven
                .into_iter()
                .map(|(at, door)| Unproven {
                    at: from_millis(at),
                    door,
                })
                .collect(),
            suppressions,
            suppressions_removed,
        }))
    }
}

async fn earlier_addresses_of(
    reader: &mut ReadConnection,
    subscriber: i64,
) -> Result<Vec<EarlierAddress>, StorageError> {
    let rows: Vec<(String, i64)> = all!(
        reader,
        "select email_key, left_at from former_addresses where subscriber_id = $1 order by left_at desc, email_key limit $2",
        subscriber,
        ROWS
    )?;
    let earlier = |(email, at)| EarlierAddress {
        email,
        left_at: from_millis(at),
    };
    Ok(rows.into_iter().map(earlier).collect())
}

async fn votes_of(reader: &mut ReadConnection, subscriber: i64) -> Result<Vec<Vote>, StorageError> {
    let rows: Vec<(String, String, i64)> = all!(
        reader,
        "select tool, verdict, voted_at from votes where subscriber_id = $1 order by voted_at, tool limit $2",
        subscriber,
        ROWS
    )?;
    let vote = |(tool, verdict, at)| Vote {
        tool,
        verdict,
        at: from_millis(at),
    };
    Ok(rows.into_iter().map(vote).collect())
}

async fn saved_tools_of(
    reader: &mut ReadConnection,
    subscriber: i64,
) -> Result<Vec<SavedTool>, StorageError> {
    let rows: Vec<(String, i64, i64, i64)> = all!(
        reader,
        "select tool, saved_at, ships, skips from bookmarks where subscriber_id = $1 order by saved_at, tool limit $2",
        subscriber,
        ROWS
    )?;
    let saved = |(tool, at, panel_ships, panel_skips)| SavedTool {
        tool,
        at: from_millis(at),
        panel_ships,
        panel_skips,
    };
    Ok(rows.into_iter().map(saved).collect())
}

/// The suppressions of an address that stand, and those that were lifted; `hashes` are its keyed hashes.
async fn suppressions_of(
    reader: &mut ReadConnection,
    hashes: &[String],
) -> Result<(Vec<Suppression>, Vec<SuppressionRemoved>), StorageError> {
    let (mut standing, mut lifted) = (Vec::new(), Vec::new());
    for hash in hashes {
        let found: Option<(String, i64, Option<String>)> = optional!(
            reader,
            "select reason, created_at, note from suppressions where address_hash = $1",
            hash
        )?;
        standing.extend(found.map(|(reason, at, note)| Suppression {
            reason,
            at: from_millis(at),
            note,
        }));
        let rows: Vec<(i64, String, i64, String)> = all!(
            reader,
            "select lifted_at, reason, suppressed_at, note from suppression_removals where address_hash = $1 order by lifted_at limit $2",
            hash,
            ROWS
        )?;
        lifted.extend(
            rows.into_iter()
                .map(|(at, reason, since, note)| SuppressionRemoved {
                    at: from_millis(at),
                    reason,
                    suppressed_at: from_millis(since),
                    note,
                }),
        );
    }
    Ok((standing, lifted))
}

fn returned(row: CameBackRow) -> CameBack {
    CameBack {
        at: from_millis(row.received_at),
        door: row.channel,
        meaning: row.class,
        class: row.soft_class,
        reason: row.reason,
        status: row.status,
        line: row.reply,
        slot: row.mailing_id.and_then(Slot::from_id),
        report: row.report,
    }
}

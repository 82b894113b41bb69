//! The audit log's rows: what actors other than readers did, in ids and codes, each chained to the one before it by its hash.

use sha2::Digest;
use sha2::Sha256;

use super::Timestamp;

super::named! {
    /// Action.
    AuditAction {
        /// A digest was made, as draft or approved.
        DigestDrafted => "digest.drafted",
        /// A digest's picks, subject, text or time were changed.
        DigestEdited => "digest.edited",
        /// A digest was approved.
        DigestApproved => "digest.approved",
        /// An approval was taken back: the digest is a draft again.
        DigestWithdrawn => "digest.withdrawn",
        /// A digest was sent back with a note: it is a draft.
        DigestSentBack => "digest.sent_back",
        /// A published digest was corrected.
        DigestCorrected => "digest.corrected",
        /// A digest's content and readers were frozen, and it began to go out.
        DigestPublished => "digest.published",
        /// Sending a digest was paused.
        DigestPaused => "digest.paused",
        /// Sending a digest went on.
        DigestResumed => "digest.resumed",
        /// Deliveries of a digest that were given up were queued once more.
        DigestRetried => "digest.retried",
        /// The ledger of a digest was exported.
        LedgerExported => "digest.ledger_exported",
        /// A digest was cancelled.
        DigestCancelled => "digest.cancelled",
        /// A week got no digest.
        DigestSkipped => "digest.skipped",
        /// The last delivery of a digest became final.
        DigestFinished => "digest.finished",
        /// After a restoration, the span of which nothing is known was accepted.
        GapAccepted => "installation.gap_accepted",
        /// Tools and comparisons were imported.
        CatalogueImported => "catalogue.imported",
        /// A tool or a comparison was added by itself.
        CatalogueAdded => "catalogue.added",
        /// A tool or a comparison was changed by itself.
        CatalogueChanged => "catalogue.changed",
        /// A tool or a comparison was taken out.
        CatalogueRemoved => "catalogue.removed",
        /// The sample was taken out.
        SampleDropped => "catalogue.sample_dropped",
        /// A source was added.
        SourceAdded => "source.added",
        /// A source's settings were changed.
        SourceChanged => "source.changed",
        /// A source was removed, with its proposals.
        SourceRemoved => "source.removed",
        /// A source was paused: it publishes nothing by itself.
        SourcePaused => "source.paused",
        /// A source's pause was ended.
        SourceResumed => "source.resumed",
        /// What a source brought was taken into the catalogue.
        ProposalAccepted => "proposal.accepted",
        /// What a source brought was refused.
        ProposalRejected => "proposal.rejected",
        /// A file of subscribers was imported.
        SubscribersImported => "subscribers.imported",
        /// Subscribers were exported.
        SubscribersExported => "subscribers.exported",
        /// A filter of the list was saved.
        SegmentSaved => "segment.saved",
        /// A saved filter was removed.
        SegmentRemoved => "segment.removed",
        /// Sign-ups that nobody confirmed were forgotten.
        SignUpsForgotten => "subscribers.forgotten",
        /// Somebody was signed up by hand.
        SubscriberAdded => "subscriber.added",
        /// A subscription ended because mail to its address was refused.
        SubscriberBounced => "subscriber.bounced",
        /// A subscription ended because its reader complained to their provider.
        SubscriberComplained => "subscriber.complained",
        /// A subscription ended by an operator, or by a wish that came by mail or from a provider.
        SubscriberUnsubscribed => "subscriber.unsubscribed",
        /// Mail to somebody was paused, or their pause ended.
        SubscriberPaused => "subscriber.paused",
        /// The confirmation mail was sent to somebody once more.
        ConfirmationResent => "subscriber.confirmation_resent",
        /// A new address of somebody was asked to confirm that it is theirs.
        AddressChangeAsked => "subscriber.address_asked",
        /// Everything that is kept of somebody was taken out.
        SubscriberExported => "subscriber.exported",
        /// Somebody was erased.
        SubscriberErased => "subscriber.erased",
        /// An address was put on the suppression list by hand.
        SuppressionAdded => "suppression.added",
        /// An address was taken off the suppression list.
        SuppressionRemoved => "suppression.removed",
        /// A relay whose breaker was open was tried by hand.
        RelayTried => "relay.tried",
        /// Held refusals were accepted.
        BouncesAccepted => "bounces.accepted",
        /// Held refusals were dismissed.
        BouncesDismissed => "bounces.dismissed",
        /// A user of the desk was added.
        UserAdded => "user.added",
        /// A user got another role.
        UserRoleChanged => "user.role_changed",
        /// A user was shut out.
        UserDisabled => "user.disabled",
        /// A user was let in again.
        UserEnabled => "user.enabled",
        /// All sessions of a user were ended.
        UserSignedOut => "user.signed_out",
        /// A user's password was set.
        UserPasswordSet => "user.password_set",
        /// A user's password was taken away, so that they choose another by a link.
        UserPasswordReset => "user.password_reset",
        /// A second factor was set up.
        UserSecondFactorSet => "user.second_factor_set",
        /// A second factor was taken away.
        UserSecondFactorRemoved => "user.second_factor_removed",
        /// A user added a passkey.
        UserPasskeyAdded => "user.passkey_added",
        /// A user's passkey was removed.
        UserPasskeyRemoved => "user.passkey_removed",
        /// A passkey was refused because its counter went back: there may be a copy of it.
        UserPasskeyRefused => "user.passkey_refused",
        /// An account at a provider was linked to a user, who signs in with it.
        UserIdentityLinked => "user.identity_linked",
        /// An account at a provider was unlinked from a user.
        UserIdentityUnlinked => "user.identity_unlinked",
        /// A user chose which mails they get.
        UserMailsChosen => "user.mails_chosen",
        /// An API token was made.
        TokenCreated => "token.created",
        /// An API token got another secret.
        TokenRotated => "token.rotated",
        /// An API token was revoked.
        TokenRevoked => "token.revoked",
        /// A setting was set at the desk or by a command, or given back to its default.
        SettingChanged => "setting.changed",
        /// A webhook endpoint was added.
        WebhookAdded => "webhook.added",
        /// A webhook endpoint's address, kinds or form were changed.
        WebhookChanged => "webhook.changed",
        /// A webhook endpoint was removed.
        WebhookRemoved => "webhook.removed",
        /// A webhook endpoint got another secret.
        WebhookRotated => "webhook.rotated",
        /// A webhook endpoint was disabled.
        WebhookDisabled => "webhook.disabled",
        /// A webhook endpoint was enabled again.
        WebhookEnabled => "webhook.enabled",
        /// A test was sent to a webhook endpoint.
        WebhookTested => "webhook.tested",
        /// Events were sent to a webhook endpoint once more.
        WebhookReplayed => "webhook.replayed",
        /// The site's secret was lost, and replaced.
        SecretReplaced => "secret.replaced",
    }
}

super::named! {
    /// Kind of thing that an action was about.
    SubjectKind {
        /// A digest, by its slot.
        Digest => "digest",
        /// A subscriber, by an opaque id.
        Subscriber => "subscriber",
        /// A tool or a comparison, by its slug.
        Catalogue => "catalogue",
        /// A user of the desk, by an opaque id.
        User => "user",
        /// An API token, by its public part.
        Token => "token",
        /// A source, by an opaque id.
        Source => "source",
        /// What a source brought, by an opaque id.
        Proposal => "proposal",
        /// A saved filter of the list, by its slug.
        Segment => "segment",
        /// A recipient domain.
        Domain => "domain",
        /// A relay, by its name.
        Relay => "relay",
        /// A setting, by its key.
        Setting => "setting",
        /// An entry of the suppression list, by its keyed hash.
        Suppression => "suppression",
        /// A webhook endpoint, by an opaque id.
        WebhookEndpoint => "webhook_endpoint",
    }
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Number of the row, for this process and its database alone.
    pub id: i64,
    /// Time when it was done.
    pub at: Timestamp,
    /// Kind of the actor: [`super::actor::ActorKind`], as text, so that a row that was changed can still be read.
    pub actor_kind: String,
    /// The actor.
    pub actor: String,
    /// Network that the actor acted from.
    pub network: Option<String>,
    /// Action: [`AuditAction`], as text.
    pub what: String,
    /// Kind of what it was done to: [`SubjectKind`], as text.
    pub subject_kind: Option<String>,
    /// Subject of the action.
    pub subject: Option<String>,
    /// Particulars: a JSON object of numbers and codes.
    pub detail: String,
}

/// Place of a row in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    /// Position, from 1 on, without gaps.
    pub seq: i64,
    /// Hash of the row before it.
    pub previous_hash: String,
    /// Hash of this row.
    pub hash: String,
}

/// The hash before the first row.
pub const FIRST_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl AuditRow {
    /// The row's place behind the one that has `previous_hash`: `hash = sha256(previous_hash || canonical row)`.
    pub fn chained(&self, seq: i64, previous_hash: &str) -> ChainLink {
        let mut hash = Sha256::new();
        hash.update(previous_hash.as_bytes());
        hash.update(self.canonical(seq).as_bytes());
        ChainLink {
            seq,
            previous_hash: previous_hash.to_owned(),
            hash: data_encoding::HEXLOWER.encode(&hash.finalize()),
        }
    }

    /// One text for one row: a JSON list of its values, in the order of the columns. JSON's quotes keep neighbours apart.
    fn canonical(&self, seq: i64) -> String {
        serde_json::json!([
            seq,
            self.id,
            self.at.timestamp_millis(),
            self.actor_kind,
            self.actor,
            self.network,
            self.what,
            self.subject_kind,
            self.subject,
            self.detail,
        ])
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> AuditRow {
        AuditRow {
            id: 7,
            at: crate::domain::from_millis(1_795_000_000_000),
            actor_kind: "cli".into(),
            actor: "cli".into(),
            network: None,
            what: "digest.approved".into(),
            subject_kind: Some("digest".into()),
            subject: Some("2026-W47".into()),
            detail: "{}".into(),
        }
    }

    #[test]
    fn every_value_of_a_row_and_its_place_are_in_its_hash() {
        let hash = |row: &AuditRow| row.chained(1, FIRST_PREVIOUS).hash;
        let known = hash(&row());
        assert_eq!(known.len(), 64);
        let changed = [
            AuditRow { id: 8, ..row() },
            AuditRow {
                at: crate::domain::from_millis(1_795_000_000_001),
                ..row()
            },
            AuditRow {
                actor_kind: "user".into(),
                ..row()
            },
            AuditRow {
                actor: "u1".into(),
                ..row()
            },
            AuditRow {
                network: Some("203.0.113.0/24".into()),
                ..row()
            },
            AuditRow {
                what: "digest.paused".into(),
                ..row()
            },
            AuditRow {
                subject_kind: None,
                ..row()
            },
            AuditRow {
                subject: Some("2026-W48".into()),
                ..row()
            },
            AuditRow {
                detail: "{\"readers\":1}".into(),
                ..row()
            },
        ];
        for other in &changed {
            assert_ne!(hash(other), known, "{other:?}");
        }
        assert_ne!(row().chained(2, FIRST_PREVIOUS).hash, known);
        assert_ne!(row().chained(1, &known).hash, known);
    }
}

//! Notices for the people who run the newsletter: what happened that one of them should know, in the desk's list and by mail.

use chrono::TimeDelta;

use super::Timestamp;
use super::named;
use super::user::AccessLevel;
use super::user::Area;
use super::user::Role;

/// At most one mail in this time of each kind to each user: what happens meanwhile is told in the next one.
pub const MAIL_EVERY: TimeDelta = TimeDelta::hours(1);

/// Time before a digest's send time at which users hear that it is not approved.
pub const UNAPPROVED_BEFORE: TimeDelta = TimeDelta::hours(1);

named! {
    /// Kind of a notice.
    UserNoticeKind {
        /// A week's draft was made.
        DraftReady => "draft_ready",
        /// A digest is about to be due and is not approved.
        Unapproved => "unapproved",
        /// A digest went out.
        Sent => "sent",
        /// A week gets no digest.
        Skipped => "skipped",
        /// Sending over a relay is paused after failures.
        BreakerOpen => "breaker_open",
        /// Refusals wait for a decision.
        BouncesHeld => "bounces_held",
        /// A webhook endpoint was disabled.
        WebhookDisabled => "webhook_disabled",
        /// A source could not be read several times in a row.
        SourceFailing => "source_failing",
        /// The last backup is old.
        BackupOld => "backup_old",
    }
}

impl UserNoticeKind {
    /// Says what it tells, for a list of choices.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DraftReady => "A draft is ready",
            Self::Unapproved => "A digest is not approved one hour before it is due",
            Self::Sent => "A digest went out, with its sum",
            Self::Skipped => "A week gets no digest, and why",
            Self::BreakerOpen => "Sending over a relay is paused",
            Self::BouncesHeld => "Bounces wait for a decision",
            Self::WebhookDisabled => "A webhook endpoint was disabled",
            Self::SourceFailing => "A source could not be read three times in a row",
            Self::BackupOld => "No backup was made for a day and a half",
        }
    }

    /// Heading of a list and of a mail.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::DraftReady => "The draft is ready",
            Self::Unapproved => "Not approved yet",
            Self::Sent => "The digest went out",
            Self::Skipped => "No digest this week",
            Self::BreakerOpen => "Sending is paused",
            Self::BouncesHeld => "Bounces are held",
            Self::WebhookDisabled => "A webhook endpoint is disabled",
            Self::SourceFailing => "A source is failing",
            Self::BackupOld => "The last backup is old",
        }
    }

    /// Returns whether a role is told: those who can act on it, and of results everybody.
    pub fn is_for(self, role: Role) -> bool {
        match self {
            Self::DraftReady => role.may(Area::Draft, AccessLevel::Write),
            Self::Unapproved | Self::BreakerOpen => role.may(Area::Send, AccessLevel::Write),
            Self::Sent | Self::Skipped => role.may(Area::Results, AccessLevel::Read),
            Self::BouncesHeld => role.may(Area::Subscribers, AccessLevel::Write),
            Self::WebhookDisabled => role.may(Area::Settings, AccessLevel::Write),
            Self::SourceFailing => role.may(Area::Catalogue, AccessLevel::Write),
            Self::BackupOld => role == Role::Owner,
        }
    }
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNotice {
    /// Number of its row; it never leaves the process.
    pub id: i64,
    /// Kind.
    pub kind: UserNoticeKind,
    /// The event and what to do about it, in sentences.
    pub said: String,
    /// Path of the page of the desk where something can be done.
    pub path: String,
    /// Time.
    pub at: Timestamp,
}

named! {
    /// State of a mail to a user.
    UserMailState {
        /// Waits for its time.
        Queued => "queued",
        /// Begun: handed to a relay, or about to be.
        Sending => "sending",
        /// Taken by the relay.
        Sent => "sent",
        /// Refused, or tried for too long.
        Failed => "failed",
        /// The process or the connection ended at the one moment in which nobody can know. It is not sent again.
        Uncertain => "uncertain",
        /// Not sent on purpose: the user does not want it any more, or is gone.
        Skipped => "skipped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_are_told_who_can_act_on_it() {
        let told = |kind: UserNoticeKind| {
            Role::ALL
                .iter()
                .filter(|role| kind.is_for(**role))
                .map(|role| role.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(told(UserNoticeKind::DraftReady), "owner editor writer");
        assert_eq!(told(UserNoticeKind::Unapproved), "owner editor");
        assert_eq!(told(UserNoticeKind::Sent), "owner editor writer analyst");
        assert_eq!(told(UserNoticeKind::Skipped), "owner editor writer analyst");
        assert_eq!(told(UserNoticeKind::BreakerOpen), "owner editor");
        assert_eq!(told(UserNoticeKind::BouncesHeld), "owner editor");
        assert_eq!(told(UserNoticeKind::WebhookDisabled), "owner");
        assert_eq!(told(UserNoticeKind::SourceFailing), "owner editor writer");
        assert_eq!(told(UserNoticeKind::BackupOld), "owner");
    }
}

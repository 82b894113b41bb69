//! Notices for users, and the mails that tell them.

use chrono::TimeDelta;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::ids::fresh;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;
use crate::domain::user::Role;
use crate::domain::user_notice::MAIL_EVERY;
use crate::domain::user_notice::UserMailState;
use crate::domain::user_notice::UserNotice;
use crate::domain::user_notice::UserNoticeKind;

/// Notices that one mail tells: the newest.
const TOLD_MAX: i64 = 20;
/// Mails that are claimed in one step.
const CLAIMED_MAX: i64 = 20;

/// Something to tell.
#[derive(Debug, Clone, Copy)]
pub struct NewNotice<'a> {
    /// Kind.
    pub kind: UserNoticeKind,
    /// Name of what it is about.
    pub subject: &'a str,
    /// Sentences.
    pub said: &'a str,
    /// Path of a page of the desk.
    pub path: &'a str,
}

/// A mail to a user that is due.
#[derive(Debug, Clone, Copy)]
pub struct DueUserMail {
    /// Number of its row.
    pub id: i64,
    /// To whom.
    pub user: i64,
    /// Kind of its notices.
    pub kind: UserNoticeKind,
    /// Attempts before this one.
    pub attempts: u32,
    /// Since when it waits.
    pub queued_at: Timestamp,
}

/// A mail to a user, for people.
#[derive(Debug, Clone)]
pub struct UserMail {
    /// Address of the user.
    pub email: String,
    /// Kind of its notices.
    pub kind: UserNoticeKind,
    /// State.
    pub state: UserMailState,
    /// Time at which it came to its end, or is due.
    pub at: Timestamp,
    /// Words of the relay, or ours.
    pub reply: Option<String>,
}

#[derive(sqlx::FromRow)]
struct NoticeRow {
    id: i64,
    kind: String,
    said: String,
    path: String,
    at: i64,
}

impl NoticeRow {
    fn read(self) -> Result<UserNotice, StorageError> {
        Ok(UserNotice {
            id: self.id,
            kind: stored(self.kind.parse())?,
            said: self.said,
            path: self.path,
            at: from_millis(self.at),
        })
    }
}

impl Storage {
    /// Writes down a notice, and queues the mails that tell it. `again_after`: what lasts is told once as long as it is seen again within that
    /// time; `None`: once for ever. `true` if it is new.
    pub async fn notify_users(
        &self,
        notice: &NewNotice<'_>,
        again_after: Option<TimeDelta>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let since = again_after.map_or(0, |time| (now - time).timestamp_millis());
        let mut reader = self.read().await?;
        let known: Option<(i64,)> = optional!(
            reader,
            "select id from user_notices where kind = $1 and subject = $2 and seen_at >= $3 limit 1",
            notice.kind.as_str(),
            notice.subject,
            since
        )?;
        drop(reader);
        let mut tx = match known {
            Some(_) if again_after.is_none() => return Ok(false),
            _ => self.begin().await?,
        };
        let millis = now.timestamp_millis();
        if let Some((id,)) = known {
            execute!(
                tx,
                "update user_notices set seen_at = $2 where id = $1 and seen_at < $2",
                id,
                millis
            )?;
            tx.commit().await?;
            return Ok(false);
        }
        // Two processes that see it in one stretch of time write it once.
        let stretch = again_after.map_or(0, |time| millis / time.num_milliseconds().max(1));
        let id = fresh(now);
        let made = execute!(
            tx,
            "insert into user_notices (id, kind, subject, episode, said, path, at, seen_at) values ($1, $2, $3, $4, $5, $6, $7, $7)
             on conflict (kind, subject, episode) do nothing",
            id,
            notice.kind.as_str(),
            notice.subject,
            stretch,
            notice.said,
            notice.path,
            millis
        )?;
        if made > 0 {
            queue_mails(&mut tx, notice.kind, id, now).await?;
        }
        tx.commit().await?;
        Ok(made > 0)
    }

    /// Notices, newest first, older than one where it is given.
    pub async fn user_notices(
        &self,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<UserNotice>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<NoticeRow> = all!(
            reader,
            "select id, kind, said, path, at from user_notices where id < $1 order by id desc limit $2",
            before.unwrap_or(i64::MAX),
            limit
        )?;
        rows.into_iter().map(NoticeRow::read).collect()
    }

    /// Kinds that a user wants no mail about.
    pub async fn muted_kinds(&self, user: i64) -> Result<Vec<UserNoticeKind>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            "select kind from user_notice_mutes where user_id = $1 order by kind",
            user
        )?;
        rows.into_iter()
            .map(|(kind,)| stored(kind.parse()))
            .collect()
    }

    /// Sets the kinds that a user wants no mail about.
    pub async fn mute_kinds(
        &self,
        actor: &Actor,
        user: i64,
        muted: &[UserNoticeKind],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(tx, "delete from user_notice_mutes where user_id = $1", user)?;
        for kind in muted {
            execute!(
                tx,
                "insert into user_notice_mutes (user_id, kind, muted_at) values ($1, $2, $3) on conflict (user_id, kind) do nothing",
                user,
                kind.as_str(),
                now.timestamp_millis()
            )?;
        }
        let detail = serde_json::json!({ "off": muted });
        let subject = Some(ChangeSubject::User(user));
        self.author(actor)
            .note(&mut tx, AuditAction::UserMailsChosen, subject, &detail, now)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Mails to users that are due.
    pub async fn due_user_mails(&self, now: Timestamp) -> Result<Vec<DueUserMail>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64, i64, String, i64, i64)> = all!(
            reader,
            "select id, user_id, kind, attempts, queued_at from user_mails
             where finished_at is null and state = 'queued' and due_at <= $1 order by due_at limit $2",
            now.timestamp_millis(),
            CLAIMED_MAX
        )?;
        let read = |(id, user, kind, attempts, queued_at): (i64, i64, String, i64, i64)| {
            Ok(DueUserMail {
                id,
                user,
                kind: stored(kind.parse())?,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                queued_at: from_millis(queued_at),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Begins a mail: from now on nobody else sends it, and after `lease` its end is uncertain. Gives what it tells; `None` if somebody else
    /// began it.
    pub async fn begin_user_mail(
        &self,
        mail: &DueUserMail,
        lease: TimeDelta,
        now: Timestamp,
    ) -> Result<Option<Vec<UserNotice>>, StorageError> {
        let mut tx = self.begin().await?;
        let begun = execute!(
            tx,
            "update user_mails set state = 'sending', attempts = attempts + 1, lease_until = $2
             where id = $1 and state = 'queued' and finished_at is null",
            mail.id,
            (now + lease).timestamp_millis()
        )?;
        if begun == 0 {
            return Ok(None);
        }
        // After the update, whose lock whoever writes a notice waits for: each notice is in this mail or in another.
        let rows: Vec<NoticeRow> = all!(
            tx,
            "select id, kind, said, path, at from user_notices
             where kind = $1 and id >= (select first_notice_id from user_mails where id = $2) order by id desc limit $3",
            mail.kind.as_str(),
            mail.id,
            TOLD_MAX
        )?;
        execute!(
            tx,
            "update user_mails set last_notice_id = $2 where id = $1",
            mail.id,
            rows.first().map(|row| row.id)
        )?;
        tx.commit().await?;
        let notices: Result<_, _> = rows.into_iter().map(NoticeRow::read).collect();
        notices.map(Some)
    }

    /// Writes down how a mail that was begun ended.
    pub async fn end_user_mail(
        &self,
        id: i64,
        state: UserMailState,
        reply: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update user_mails set state = $2, reply = $3, finished_at = $4, lease_until = null
             where id = $1 and state = 'sending' and finished_at is null",
            id,
            state.as_str(),
            reply,
            now.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Puts a mail that was certainly not taken back until another time.
    pub async fn retry_user_mail(
        &self,
        id: i64,
        due_at: Timestamp,
        reply: &str,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update user_mails set state = 'queued', due_at = $2, reply = $3, lease_until = null
             where id = $1 and state = 'sending' and finished_at is null",
            id,
            due_at.timestamp_millis(),
            reply
        )?;
        Ok(tx.commit().await?)
    }

    /// Names as uncertain the mails whose process ended while a relay had them; answers how many.
    pub async fn expire_user_mails(
        &self,
        reply: &str,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let expired = execute!(
            tx,
            "update user_mails set state = 'uncertain', reply = $2, finished_at = $1, lease_until = null
             where lease_until is not null and lease_until < $1 and state = 'sending'",
            now.timestamp_millis(),
            reply
        )?;
        tx.commit().await?;
        Ok(expired)
    }

    /// Mails to users, newest first: of one, or of all.
    pub async fn user_mails(
        &self,
        user: Option<i64>,
        limit: i64,
    ) -> Result<Vec<UserMail>, StorageError> {
        type Row = (String, String, String, i64, Option<String>);
        let mut reader = self.read().await?;
        let rows: Vec<Row> = match user {
            Some(user) => all!(
                reader,
                "select u.email, m.kind, m.state, coalesce(m.finished_at, m.due_at), m.reply
                 from user_mails m join users u on u.id = m.user_id where m.user_id = $1 order by m.id desc limit $2",
                user,
                limit
            )?,
            None => all!(
                reader,
                "select u.email, m.kind, m.state, coalesce(m.finished_at, m.due_at), m.reply
                 from user_mails m join users u on u.id = m.user_id order by m.id desc limit $1",
                limit
            )?,
        };
        let read = |(email, kind, state, at, reply): Row| {
            Ok(UserMail {
                email,
                kind: stored(kind.parse())?,
                state: stored(state.parse())?,
                at: from_millis(at),
                reply,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Forgets notices and mails from before a time.
    pub async fn forget_user_notices(&self, before: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let before = before.timestamp_millis();
        execute!(
            tx,
            "delete from user_mails where finished_at is not null and finished_at < $1",
            before
        )?;
        execute!(tx, "delete from user_notices where at < $1", before)?;
        Ok(tx.commit().await?)
    }
}

/// Queues a mail to each user who is to hear of a notice and has none of its kind waiting.
async fn queue_mails(
    tx: &mut Tx,
    kind: UserNoticeKind,
    notice: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    let users: Vec<(i64, String)> = all!(
        tx,
        "select id, role from users where disabled_at is null order by id limit 1000"
    )?;
    for (user, role) in users {
        let role: Role = stored(role.parse())?;
        if !kind.is_for(role) {
            continue;
        }
        let muted: Option<(i64,)> = optional!(
            tx,
            "select muted_at from user_notice_mutes where user_id = $1 and kind = $2",
            user,
            kind.as_str()
        )?;
        // An update rather than a select takes the row's lock: a mail that is begun meanwhile does not tell this notice.
        let waiting = execute!(
            tx,
            "update user_mails set state = 'queued' where user_id = $1 and kind = $2 and state = 'queued'",
            user,
            kind.as_str()
        )?;
        if muted.is_some() || waiting > 0 {
            continue;
        }
        let (last,): (Option<i64>,) = one!(
            tx,
            "select max(coalesce(finished_at, due_at)) from user_mails where user_id = $1 and kind = $2 and state <> 'skipped'",
            user,
            kind.as_str()
        )?;
        let due_at = last.map_or(now, |last| now.max(from_millis(last) + MAIL_EVERY));
        execute!(
            tx,
            "insert into user_mails (id, user_id, kind, state, first_notice_id, queued_at, due_at, attempts) values ($1, $2, $3, 'queued', $4, $5, $6, 0)",
            fresh(now),
            user,
            kind.as_str(),
            notice,
            now.timestamp_millis(),
            due_at.timestamp_millis()
        )?;
    }
    Ok(())
}

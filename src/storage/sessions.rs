//! Sessions of the desk's users, links that work once, and how often somebody tried to sign in. Of tokens only hashes are kept.

use super::Storage;
use super::StorageError;
use super::events;
use super::stored;
use super::users::Credentials;
use super::users::UserRow;
use super::users::replace_password;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
use crate::domain::user::ChallengeKind;
use crate::domain::user::Stage;

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSession {
    /// SHA-256 of its token.
    pub token_sha256: String,
    /// Stage of its sign-in.
    pub stage: Stage,
    /// Time when it began.
    pub created_at: Timestamp,
    /// Time when it was last used, to a few minutes.
    pub seen_at: Timestamp,
    /// Time when it ends whatever happens.
    pub expires_at: Timestamp,
    /// Time when password and second factor were last given.
    pub strong_at: Timestamp,
    /// The program it was begun with, as that calls itself.
    pub agent: String,
    /// The network it was begun from.
    pub network: String,
    /// Told once, on the next page.
    pub notice: Option<String>,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// SHA-256 of its token.
    pub token_sha256: &'a str,
    /// Its owner.
    pub user: i64,
    /// Stage of its sign-in.
    pub stage: Stage,
    /// Time when it ends whatever happens.
    pub expires_at: Timestamp,
    /// Time when its owner last proved who they are.
    pub strong_at: Timestamp,
    /// The program it is begun with.
    pub agent: &'a str,
    /// The network it is begun from.
    pub network: &'a str,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    token_sha256: String,
    user_id: i64,
    stage: String,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
    strong_at: i64,
    agent: String,
    network: String,
    notice: Option<String>,
}

impl SessionRow {
    fn read(self) -> Result<UserSession, StorageError> {
        Ok(UserSession {
            token_sha256: self.token_sha256,
            stage: self.stage.parse()?,
            created_at: from_millis(self.created_at),
            seen_at: from_millis(self.seen_at),
            expires_at: from_millis(self.expires_at),
            strong_at: from_millis(self.strong_at),
            agent: self.agent,
            network: self.network,
            notice: self.notice,
        })
    }
}

impl Storage {
    /// Begins a session, in the place of the one that `instead` names, if any: a token from before a sign-in is worth nothing after it.
    pub async fn begin_session(
        &self,
        new: &NewSession<'_>,
        instead: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let before: Option<(String,)> = optional!(
            tx,
            "delete from sessions where token_sha256 = $1 returning stage",
            instead.unwrap_or_default()
        )?;
        let was_in = before.is_some_and(|(stage,)| stage == Stage::Full.as_str());
        execute!(
            tx,
            "insert into sessions (token_sha256, user_id, stage, created_at, seen_at, expires_at, strong_at, agent, network)
             values ($1, $2, $3, $4, $4, $5, $8, $6, $7)",
            new.token_sha256,
            new.user,
            new.stage.as_str(),
            now.timestamp_millis(),
            new.expires_at.timestamp_millis(),
            new.agent,
            new.network,
            new.strong_at.timestamp_millis()
        )?;
        execute!(
            tx,
            "update users set seen_at = $2 where id = $1",
            new.user,
            now.timestamp_millis()
        )?;
        if new.stage == Stage::Full && !was_in {
            let data = self.told_user(new.user);
            events::record(&mut tx, EventKind::UserSignedIn, None, &data, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// A session that is neither over nor was left unused since `idle_since`, with its user, who may sign in.
    pub async fn session(
        &self,
        token_sha256: &str,
        idle_since: Timestamp,
        now: Timestamp,
    ) -> Result<Option<(UserSession, Credentials)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<SessionRow> = optional!(
            reader,
            "select token_sha256, user_id, stage, created_at, seen_at, expires_at, strong_at, agent, network, notice from sessions
             where token_sha256 = $1 and expires_at > $2 and seen_at > $3",
            token_sha256,
            now.timestamp_millis(),
            idle_since.timestamp_millis()
        )?;
        let Some(row) = row else { return Ok(None) };
        let user: Option<UserRow> = optional!(
            reader,
            "select id, email, name, role, password, totp_seed, created_at, seen_at, disabled_at,
             (select count(*) from passkeys where user_id = users.id) as passkeys,
             (select count(*) from identities where user_id = users.id) as identities from users
             where id = $1 and disabled_at is null",
            row.user_id
        )?;
        let Some(user) = user else { return Ok(None) };
        stored(user.read().and_then(|user| Ok(Some((row.read()?, user)))))
    }

    /// The sessions of a user that are not over, the latest used first.
    pub async fn sessions(
        &self,
        user: i64,
        idle_since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<UserSession>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<SessionRow> = all!(
            reader,
            "select token_sha256, user_id, stage, created_at, seen_at, expires_at, strong_at, agent, network, notice from sessions
             where user_id = $1 and stage = 'full' and expires_at > $2 and seen_at > $3 order by seen_at desc limit 100",
            user,
            now.timestamp_millis(),
            idle_since.timestamp_millis()
        )?;
        stored(rows.into_iter().map(SessionRow::read).collect())
    }

    /// Notes that a session was used.
    pub async fn touch_session(
        &self,
        token_sha256: &str,
        user: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update sessions set seen_at = $2 where token_sha256 = $1",
            token_sha256,
            now.timestamp_millis()
        )?;
        execute!(
            tx,
            "update users set seen_at = $2 where id = $1",
            user,
            now.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Notes that password and second factor were given again.
    pub async fn strengthen_session(
        &self,
        token_sha256: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update sessions set strong_at = $2 where token_sha256 = $1",
            token_sha256,
            now.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Leaves words for the session's next page; `None` takes them away.
    pub async fn set_notice(
        &self,
        token_sha256: &str,
        notice: Option<&str>,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update sessions set notice = $2 where token_sha256 = $1",
            token_sha256,
            notice
        )?;
        Ok(tx.commit().await?)
    }

    /// Ends a session.
    pub async fn end_session(&self, token_sha256: &str) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "delete from sessions where token_sha256 = $1",
            token_sha256
        )?;
        Ok(tx.commit().await?)
    }

    /// Ends a user's sessions, all but the one that `keep` names; answers how many.
    pub async fn end_sessions(&self, user: i64, keep: Option<&str>) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let ended = execute!(
            tx,
            "delete from sessions where user_id = $1 and token_sha256 <> $2",
            user,
            keep.unwrap_or_default()
        )?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Keeps a link, in the place of all others of its kind for that user.
    pub async fn make_challenge(
        &self,
        token_sha256: &str,
        kind: ChallengeKind,
        user: Option<i64>,
        expires_at: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        match user {
            Some(user) => execute!(tx, "delete from challenges where user_id = $1", user)?,
            None => execute!(tx, "delete from challenges where kind = 'setup'")?,
        };
        execute!(
            tx,
            "insert into challenges (token_sha256, kind, user_id, expires_at) values ($1, $2, $3, $4)",
            token_sha256,
            kind.as_str(),
            user,
            expires_at.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Returns the purpose of a link and its user, as long as it is good.
    pub async fn challenge(
        &self,
        token_sha256: &str,
        now: Timestamp,
    ) -> Result<Option<(ChallengeKind, Option<i64>)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, Option<i64>)> = optional!(
            reader,
            "select kind, user_id from challenges where token_sha256 = $1 and expires_at > $2",
            token_sha256,
            now.timestamp_millis()
        )?;
        row.map(|(kind, user)| Ok((kind.parse()?, user)))
            .transpose()
    }

    /// Uses a link up and sets the password it was for; all sessions and other links of the user end. `false` if the link was used before.
    pub async fn set_password_by_link(
        &self,
        actor: &Actor,
        token_sha256: &str,
        user: i64,
        password: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let used = execute!(
            tx,
            "delete from challenges where token_sha256 = $1 and user_id = $2 and expires_at > $3",
            token_sha256,
            user,
            now.timestamp_millis()
        )?;
        if used == 0 {
            return Ok(false);
        }
        replace_password(&mut tx, user, Some(password)).await?;
        let what = (user, AuditAction::UserPasswordSet);
        self.note_user(&mut tx, actor, what, None, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes one of a key's attempts (GCRA: `burst` at once, then one for each `every_ms`); the error is how many milliseconds to wait.
    ///
    /// One statement decides, so that two processes never both take the last one.
    pub async fn take_attempt(
        &self,
        key: &str,
        burst: i64,
        every_ms: i64,
        now: Timestamp,
    ) -> Result<Result<(), i64>, StorageError> {
        let mut tx = self.begin().await?;
        let now = now.timestamp_millis();
        let taken = execute!(
            tx,
            "insert into sign_in_attempts (key, full_at) values ($1, cast($2 as bigint) + $3)
             on conflict (key) do update set
               full_at = case when sign_in_attempts.full_at > $2 then sign_in_attempts.full_at else $2 end + cast($3 as bigint)
             where sign_in_attempts.full_at <= cast($2 as bigint) + $4",
            key,
            now,
            every_ms,
            (burst - 1) * every_ms
        )?;
        if taken > 0 {
            tx.commit().await?;
            return Ok(Ok(()));
        }
        let row: Option<(i64,)> = optional!(
            tx,
            "select full_at from sign_in_attempts where key = $1",
            key
        )?;
        let full_at = row.map_or(now, |(full_at,)| full_at);
        Ok(Err((full_at - now - (burst - 1) * every_ms).max(1)))
    }

    /// Tells other programs that an account waits, if the last of its attempts is used up.
    pub async fn tell_if_locked(
        &self,
        user: i64,
        key: &str,
        (burst, every_ms): (i64, i64),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        let spent: Option<(i64,)> = optional!(
            tx,
            "select full_at from sign_in_attempts where key = $1 and full_at > $2",
            key,
            now.timestamp_millis() + (burst - 1) * every_ms
        )?;
        if spent.is_some() {
            let data = self.told_user(user);
            events::record(&mut tx, EventKind::UserLocked, None, &data, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Data of an event about a user.
    fn told_user(&self, user: i64) -> serde_json::Value {
        let name = self.names.as_ref().map(|names| names.user_name(user));
        serde_json::json!({ "user": name })
    }

    /// Gives a key all of its attempts back.
    pub async fn forgive_attempts(&self, key: &str) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(tx, "delete from sign_in_attempts where key = $1", key)?;
        Ok(tx.commit().await?)
    }

    /// Forgets what is over: sessions, links, attempts. Answers how many sessions.
    pub async fn forget_sign_ins(
        &self,
        idle_since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let now = now.timestamp_millis();
        execute!(tx, "delete from sign_in_attempts where full_at <= $1", now)?;
        execute!(tx, "delete from challenges where expires_at <= $1", now)?;
        execute!(tx, "delete from ceremonies where expires_at <= $1", now)?;
        let mut ended = execute!(tx, "delete from sessions where expires_at <= $1", now)?;
        ended += execute!(
            tx,
            "delete from sessions where seen_at <= $1",
            idle_since.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(ended)
    }
}

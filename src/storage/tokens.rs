//! API tokens. Of a token only its hash is kept.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::ids::fresh;
use super::stored;
use super::users::Credentials;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::api_token::ApiToken;
use crate::domain::api_token::Scopes;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;

/// Tokens that one installation may have, the revoked ones included.
pub const TOKENS_MAX: i64 = 1_000;

/// A token that is made.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// Public part.
    pub public_id: &'a str,
    /// SHA-256 of the whole.
    pub token_sha256: &'a str,
    /// Name for people.
    pub name: &'a str,
    /// The user for whom it acts.
    pub user: i64,
    /// Scopes.
    pub scopes: &'a Scopes,
    /// Networks with a space between them.
    pub networks: &'a str,
    /// Time from which it no longer works.
    pub expires_at: Option<Timestamp>,
}

/// Hashes of a token, to compare.
#[derive(Debug)]
pub struct TokenHashes {
    /// Of the present one.
    pub token_sha256: String,
    /// Of the one before its rotation.
    pub previous_sha256: Option<String>,
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    id: i64,
    public_id: String,
    name: String,
    token_sha256: String,
    previous_sha256: Option<String>,
    previous_until: Option<i64>,
    user_id: i64,
    scopes: String,
    networks: String,
    created_at: i64,
    expires_at: Option<i64>,
    used_at: Option<i64>,
    used_from: Option<String>,
    revoked_at: Option<i64>,
}

impl TokenRow {
    fn read(self) -> Result<(ApiToken, TokenHashes), StorageError> {
        let networks = self.networks.split(' ').filter(|net| !net.is_empty());
        let token = ApiToken {
            id: self.id,
            public_id: self.public_id,
            name: self.name,
            user: self.user_id,
            scopes: stored(self.scopes.parse())?,
            networks: networks
                .map(|net| {
                    let unreadable = |_| StorageError::Stored(format!("the network {net:?}"));
                    net.parse().map_err(unreadable)
                })
                .collect::<Result<_, _>>()?,
            created_at: from_millis(self.created_at),
            expires_at: self.expires_at.map(from_millis),
            used_at: self.used_at.map(from_millis),
            used_from: self.used_from,
            previous_until: self.previous_until.map(from_millis),
            revoked_at: self.revoked_at.map(from_millis),
        };
        let hashes = TokenHashes {
            token_sha256: self.token_sha256,
            previous_sha256: self.previous_sha256,
        };
        Ok((token, hashes))
    }
}

impl Storage {
    /// Writes a token down. `None`: there are as many as there may be.
    pub async fn add_token(
        &self,
        actor: &Actor,
        new: &NewToken<'_>,
        now: Timestamp,
    ) -> Result<Option<i64>, StorageError> {
        let (mut tx, id) = (self.begin().await?, fresh(now));
        let (count,): (i64,) = one!(tx, "select count(*) from tokens")?;
        if count >= TOKENS_MAX {
            return Ok(None);
        }
        execute!(
            tx,
            "insert into tokens (id, public_id, name, token_sha256, user_id, scopes, networks, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            id,
            new.public_id,
            new.name,
            new.token_sha256,
            new.user,
            new.scopes.to_string(),
            new.networks,
            now.timestamp_millis(),
            new.expires_at.map(|at| at.timestamp_millis())
        )?;
        let detail = serde_json::json!({
            "scopes": new.scopes.to_string(),
            "networks": new.networks,
            "expires_at": new.expires_at,
        });
        self.note_token(
            &mut tx,
            actor,
            AuditAction::TokenCreated,
            new.public_id,
            &detail,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    async fn note_token(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        what: AuditAction,
        public_id: &str,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let subject = Some(ChangeSubject::Token(public_id));
        self.author(actor)
            .note(tx, what, subject, detail, now)
            .await
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<TokenRow> = all!(
            reader,
            "select id, public_id, name, token_sha256, previous_sha256, previous_until, user_id, scopes, networks, created_at, expires_at,
             used_at, used_from, revoked_at from tokens order by id desc limit $1",
            TOKENS_MAX
        )?;
        rows.into_iter()
            .map(|row| row.read().map(|(token, _)| token))
            .collect()
    }

    /// The token with that public part, its hashes, and the user for whom it acts.
    pub async fn token(
        &self,
        public_id: &str,
    ) -> Result<Option<(ApiToken, TokenHashes, Credentials)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<TokenRow> = optional!(
            reader,
            "select id, public_id, name, token_sha256, previous_sha256, previous_until, user_id, scopes, networks, created_at, expires_at,
             used_at, used_from, revoked_at from tokens where public_id = $1",
            public_id
        )?;
        drop(reader);
        let Some((token, hashes)) = row.map(TokenRow::read).transpose()? else {
            return Ok(None);
        };
        let user = self.user(token.user).await?;
        Ok(user.map(|user| (token, hashes, user)))
    }

    /// Writes a use down, unless that was done since `before`.
    pub async fn note_token_use(
        &self,
        id: i64,
        network: &str,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update tokens set used_at = $2, used_from = $3 where id = $1 and (used_at is null or used_at <= $4 or used_from <> $3)",
            id,
            now.timestamp_millis(),
            network,
            before.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Gives a token another secret; the one before works until then. `false`: there is none, or it works no more.
    pub async fn rotate_token(
        &self,
        actor: &Actor,
        public_id: &str,
        token_sha256: &str,
        previous_until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let rotated = execute!(
            tx,
            "update tokens set previous_sha256 = token_sha256, previous_until = $3, token_sha256 = $2
             where public_id = $1 and revoked_at is null and (expires_at is null or expires_at > $4)",
            public_id,
            token_sha256,
            previous_until.timestamp_millis(),
            now.timestamp_millis()
        )?;
        if rotated == 0 {
            return Ok(false);
        }
        let detail = serde_json::json!({ "previous_until": previous_until });
        self.note_token(
            &mut tx,
            actor,
            AuditAction::TokenRotated,
            public_id,
            &detail,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Revokes a token, the one before its rotation included. `false`: there is none, or it is revoked already.
    pub async fn revoke_token(
        &self,
        actor: &Actor,
        public_id: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let revoked = execute!(
            tx,
            "update tokens set revoked_at = $2, previous_sha256 = null, previous_until = null where public_id = $1 and revoked_at is null",
            public_id,
            now.timestamp_millis()
        )?;
        if revoked == 0 {
            return Ok(false);
        }
        let none = serde_json::json!({});
        self.note_token(
            &mut tx,
            actor,
            AuditAction::TokenRevoked,
            public_id,
            &none,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

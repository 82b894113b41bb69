//! API tokens: making, listing, rotating and revoking them, and who a token that comes with a request acts for.
//!
//! No token makes or changes a token or a user, whatever its scopes: [`refuse_tokens`] stands in front of each such use case.

use std::net::IpAddr;

use chrono::TimeDelta;
use ipnet::IpNet;
use serde::Serialize;

use super::App;
use super::Failure;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::actor::ActorKind;
use crate::domain::api_token::ApiToken;
use crate::domain::api_token::Scope;
use crate::domain::api_token::Scopes;
use crate::domain::api_token::public_id_of;
use crate::domain::api_token::token_text;
use crate::domain::subscriber::network_of;
use crate::domain::user::Role;
use crate::domain::user::User;
use crate::domain::user::parse_name;
use crate::identity::secret;
use crate::storage::tokens::NewToken;
use crate::storage::tokens::TOKENS_MAX;

/// Life of a token where nothing else is asked for, and the longest that anybody but an owner may give one.
pub const LIFE: TimeDelta = TimeDelta::days(365);
/// Time for which the token before a rotation works on.
pub const OVERLAP: TimeDelta = TimeDelta::hours(24);
/// Time between two notes of a token's use.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Networks that one token may name.
const NETWORKS_MAX: usize = 20;

/// Life of a token that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenLife {
    /// A year.
    Year,
    /// Until then.
    Until(Timestamp),
    /// Until it is revoked.
    Unlimited,
}

/// A token that somebody asks for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Name for people.
    pub name: String,
    /// Scopes.
    pub scopes: Scopes,
    /// Networks that it may be used from; none: any.
    pub networks: Vec<IpNet>,
    /// Life.
    pub life: TokenLife,
}

/// A token that was made, with its text, which is shown once.
#[derive(Debug)]
pub struct MadeToken {
    /// The token.
    pub token: ApiToken,
    /// Text of it.
    pub text: String,
}

/// Bearer of a token: a program that acts for a user.
#[derive(Debug, Clone)]
pub struct TokenBearer {
    /// The token.
    pub token: ApiToken,
    /// The user for whom it acts.
    pub user: User,
    /// Scopes that it has now: those it was given, within its maker's role.
    pub scopes: Scopes,
    /// Address that it comes from.
    pub client: IpAddr,
}

impl TokenBearer {
    /// Author of the changes that it makes.
    pub fn actor(&self) -> Actor {
        Actor::token(self.token.public_id.clone(), Some(self.client))
    }

    /// Returns whether it has a scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.0.contains(&scope)
    }
}

/// A token as programs and people see it in a list.
#[derive(Debug, Serialize)]
pub struct TokenView<'a> {
    id: &'a str,
    name: &'a str,
    user: &'a str,
    scopes: Vec<Scope>,
    networks: &'a [IpNet],
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    used_from: Option<&'a str>,
    previous_until: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl<'a> TokenView<'a> {
    /// The token, with the address of the user who made it.
    pub fn new(token: &'a ApiToken, user: &'a str, now: Timestamp) -> Self {
        Self {
            id: &token.public_id,
            name: &token.name,
            user,
            scopes: token.scopes.0.iter().copied().collect(),
            networks: &token.networks,
            created_at: token.created_at,
            expires_at: token.expires_at,
            used_at: token.used_at,
            used_from: token.used_from.as_deref(),
            previous_until: token.previous_until.filter(|until| *until > now),
            revoked_at: token.revoked_at,
        }
    }
}

/// Refuses programs that act by a token.
///
/// # Errors
/// Forbidden, where the actor is a token.
pub(super) fn refuse_tokens(actor: &Actor) -> Result<(), Failure> {
    match actor.kind() {
        ActorKind::Token => Err(Failure::forbidden(
            "A token never makes or changes users or tokens. Sign in to the desk, or use the command line.",
        )),
        _ => Ok(()),
    }
}

/// Reads networks with spaces or commas between them; one address alone is a network too.
///
/// # Errors
/// A sentence that names the one that is none.
pub fn parse_networks(text: &str) -> Result<Vec<IpNet>, Failure> {
    let words = text.split([' ', ',', '\n']).map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    let network = |word: &str| {
        let network = word.parse::<IpNet>().ok();
        let network = network.or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from));
        network.ok_or_else(|| {
            let words = format!("{word:?} is no network: expected one like 192.0.2.0/24.");
            Failure::invalid_field("networks", words)
        })
    };
    words.map(network).collect()
}

fn expiry(life: TokenLife, maker: &User, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let refuse = |words: &str| Err(Failure::invalid_field("expires", words.to_owned()));
    match life {
        TokenLife::Year => Ok(Some(now + LIFE)),
        TokenLife::Until(at) if at <= now => refuse("Give a time that is yet to come."),
        TokenLife::Until(at) if maker.role != Role::Owner && at > now + LIFE => {
            refuse("Only an owner's token may live longer than a year.")
        }
        TokenLife::Until(at) => Ok(Some(at)),
        TokenLife::Unlimited if maker.role != Role::Owner => {
            refuse("Only an owner's token may live without an end.")
        }
        TokenLife::Unlimited => Ok(None),
    }
}

fn fresh_public_id() -> String {
    data_encoding::BASE32_NOPAD
        .encode(&rand::random::<[u8; 10]>())
        .to_lowercase()
}

impl App {
    /// Makes a token that acts for a user.
    ///
    /// # Errors
    /// A sentence, when the name, the scopes or the life are refused.
    pub async fn add_token(
        &self,
        actor: &Actor,
        maker: &User,
        asked: &TokenRequest,
    ) -> Result<MadeToken, Failure> {
        refuse_tokens(actor)?;
        let now = self.now();
        let name =
            parse_name(&asked.name).map_err(|words| Failure::invalid_field("name", words))?;
        if asked.scopes.0.is_empty() {
            return Err(Failure::invalid_field(
                "scopes",
                "Give the token at least one scope, or nothing is allowed to it.",
            ));
        }
        if let Some(scope) = asked.scopes.0.iter().find(|s| !s.is_within(maker.role)) {
            return Err(Failure::invalid_field(
                "scopes",
                format!(
                    "The role of {} ({}) does not reach as far as {scope}.",
                    maker.email.as_str(),
                    maker.role
                ),
            ));
        }
        if asked.networks.len() > NETWORKS_MAX {
            return Err(Failure::invalid_field(
                "networks",
                format!("Name at most {NETWORKS_MAX} networks."),
            ));
        }
        if maker.disabled_at.is_some() {
            return Err(Failure::conflict(format!(
                "{} is disabled, and so would be the token.",
                maker.email.as_str()
            )));
        }
        let expires_at = expiry(asked.life, maker, now)?;
        let (public_id, text_secret) = (fresh_public_id(), secret::token());
        let text = token_text(&public_id, &text_secret);
        let networks: Vec<String> = asked.networks.iter().map(ToString::to_string).collect();
        let new = NewToken {
            public_id: &public_id,
            token_sha256: &secret::sha256(&text),
            name: &name,
            user: maker.id,
            scopes: &asked.scopes,
            networks: &networks.join(" "),
            expires_at,
        };
        let made = self.storage.add_token(actor, &new, now).await?;
        if made.is_none() {
            return Err(Failure::conflict(format!(
                "There are {TOKENS_MAX} tokens already, the revoked ones included."
            )));
        }
        tracing::info!(token = public_id, "API token made");
        Ok(MadeToken {
            token: self.known_token(&public_id).await?,
            text,
        })
    }

    /// Gives a token another secret; the one before works for [`OVERLAP`].
    ///
    /// # Errors
    /// Not found, where no token that works has that name.
    pub async fn rotate_token(&self, actor: &Actor, public_id: &str) -> Result<MadeToken, Failure> {
        refuse_tokens(actor)?;
        let now = self.now();
        let text = token_text(public_id, &secret::token());
        let rotated = self
            .storage
            .rotate_token(actor, public_id, &secret::sha256(&text), now + OVERLAP, now)
            .await?;
        if !rotated {
            return Err(no_token(public_id));
        }
        tracing::info!(token = public_id, "API token rotated");
        Ok(MadeToken {
            token: self.known_token(public_id).await?,
            text,
        })
    }

    /// Revokes a token at once.
    ///
    /// # Errors
    /// Not found, where no token that works has that name.
    pub async fn revoke_token(&self, actor: &Actor, public_id: &str) -> Result<(), Failure> {
        refuse_tokens(actor)?;
        let now = self.now();
        if !self.storage.revoke_token(actor, public_id, now).await? {
            return Err(no_token(public_id));
        }
        tracing::info!(token = public_id, "API token revoked");
        Ok(())
    }

    async fn known_token(&self, public_id: &str) -> Result<ApiToken, Failure> {
        let known = self.storage.token(public_id).await?;
        known
            .map(|(token, ..)| token)
            .ok_or_else(|| no_token(public_id))
    }

    /// All tokens, newest first, each with the user for whom it acts.
    pub async fn tokens(&self) -> Result<Vec<(ApiToken, Option<User>)>, Failure> {
        let users = self.storage.users().await?;
        let with_user = |token: ApiToken| {
            let user = users.iter().find(|user| user.id == token.user).cloned();
            (token, user)
        };
        let tokens = self.storage.tokens().await?;
        Ok(tokens.into_iter().map(with_user).collect())
    }

    /// Key of the person behind an author, as [`Actor::key`] writes it: a token counts as its maker.
    pub(super) async fn person_behind(&self, key: &str) -> Result<String, Failure> {
        let Some(public_id) = key.strip_prefix("token:") else {
            return Ok(key.to_owned());
        };
        let known = self.storage.token(public_id).await?;
        Ok(known.map_or_else(
            || key.to_owned(),
            |(token, ..)| Actor::user(self.user_name(token.user), None).key(),
        ))
    }

    /// The bearer of a token that came with a request; `None` where it does not work, for whatever reason: whoever guesses learns none.
    pub async fn token_bearer(
        &self,
        text: &str,
        client: IpAddr,
    ) -> Result<Option<TokenBearer>, Failure> {
        let Some(public_id) = public_id_of(text) else {
            return Ok(None);
        };
        let now = self.now();
        let Some((token, hashes, credentials)) = self.storage.token(public_id).await? else {
            return Ok(None);
        };
        let given = secret::sha256(text);
        let is_previous = token.previous_until.is_some_and(|until| until > now)
            && hashes.previous_sha256.as_ref() == Some(&given);
        let user = credentials.user;
        let works = (hashes.token_sha256 == given || is_previous)
            && token.is_alive(now)
            && token.admits(client)
            && user.disabled_at.is_none();
        if !works {
            return Ok(None);
        }
        self.note_use(&token, client, now).await;
        Ok(Some(TokenBearer {
            scopes: token.scopes.within(user.role),
            token,
            user,
            client,
        }))
    }

    async fn note_use(&self, token: &ApiToken, client: IpAddr, now: Timestamp) {
        let network = network_of(client);
        let is_noted = token.used_at.is_some_and(|at| at > now - NOTED_EVERY)
            && token.used_from.as_deref() == Some(&network);
        if is_noted {
            return;
        }
        let noted = self
            .storage
            .note_token_use(token.id, &network, now - NOTED_EVERY, now)
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "the use of an API token could not be written down");
        }
    }
}

fn no_token(public_id: &str) -> Failure {
    Failure::not_found(format!(
        "There is no token {public_id} that works; the list shows all."
    ))
}

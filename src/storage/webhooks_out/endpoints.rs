//! Webhook endpoints: their rows, their leases, and how long they have been failing.

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::event::EventKind;
use crate::domain::event::EventPattern;
use crate::domain::from_millis;
use crate::domain::webhook_endpoint::DisabledReason;
use crate::domain::webhook_endpoint::EndpointDraft;
use crate::domain::webhook_endpoint::EndpointSeeds;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::audit_log::ChangeSubject;
use crate::storage::events;
use crate::storage::ids;
use crate::storage::stored;

/// Endpoints that there may be.
pub const ENDPOINTS_MAX: i64 = 50;
/// Deliveries that one transaction of a removal takes out.
const REMOVED_AT_ONCE: i64 = 500;

#[derive(sqlx::FromRow)]
struct EndpointRow {
    id: i64,
    name: String,
    url: String,
    secret_seed: String,
    previous_seed: Option<String>,
    previous_until: Option<i64>,
    key_seed: Option<String>,
    previous_key_seed: Option<String>,
    kinds: String,
    ordered: i64,
    personal: i64,
    created_at: i64,
    disabled_at: Option<i64>,
    disabled_why: Option<String>,
    failing_since: Option<i64>,
    not_before: Option<i64>,
}

impl EndpointRow {
    fn endpoint(self) -> Result<WebhookEndpoint, StorageError> {
        let why = self.disabled_why.map(|why| why.parse());
        let why: Option<DisabledReason> = stored(why.transpose())?;
        Ok(WebhookEndpoint {
            id: self.id,
            draft: EndpointDraft {
                name: self.name,
                url: self.url,
                kinds: stored(serde_json::from_str(&self.kinds))?,
                ordered: self.ordered == 1,
                personal: self.personal == 1,
                ed25519: self.key_seed.is_some(),
            },
            created_at: from_millis(self.created_at),
            disabled: self.disabled_at.map(from_millis).zip(why),
            failing_since: self.failing_since.map(from_millis),
            rotating_until: self.previous_until.map(from_millis),
            not_before: self.not_before.map(from_millis),
            seeds: EndpointSeeds {
                secret: self.secret_seed,
                previous_secret: self.previous_seed,
                key: self.key_seed,
                previous_key: self.previous_key_seed,
            },
        })
    }
}

/// Endpoints that meet `$condition`.
macro_rules! endpoints {
    ($condition:literal) => {
        concat!(
            "select id, name, url, secret_seed, previous_seed, previous_until, key_seed, previous_key_seed, kinds, ordered, personal, created_at,
               disabled_at, disabled_why, failing_since, not_before from webhook_endpoints ",
            $condition
        )
    };
}

impl Storage {
    /// Adds an endpoint; `None` if there are as many as there may be.
    pub async fn add_webhook_endpoint(
        &self,
        actor: &Actor,
        draft: &EndpointDraft,
        seeds: &EndpointSeeds,
        now: Timestamp,
    ) -> Result<Option<i64>, StorageError> {
        let (mut tx, id) = (self.begin().await?, ids::fresh(now));
        let added = execute!(
            tx,
            "insert into webhook_endpoints (id, name, url, secret_seed, key_seed, kinds, ordered, personal, created_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9 from installation where id = 1 and (select count(*) from webhook_endpoints) < $10",
            id,
            &draft.name,
            &draft.url,
            &seeds.secret,
            seeds.key.as_deref(),
            kinds_of(draft),
            i64::from(draft.ordered),
            i64::from(draft.personal),
            now.timestamp_millis(),
            ENDPOINTS_MAX
        )?;
        if added == 0 {
            return Ok(None);
        }
        write_patterns(&mut tx, id, &draft.kinds).await?;
        self.note_endpoint(
            &mut tx,
            actor,
            id,
            AuditAction::WebhookAdded,
            &detail_of(draft),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Changes an endpoint. `key_seed`: of the ed25519 key, for one that gets one now.
    pub async fn change_webhook_endpoint(
        &self,
        actor: &Actor,
        id: i64,
        draft: &EndpointDraft,
        key_seed: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let changed = execute!(
            tx,
            "update webhook_endpoints set name = $2, url = $3, kinds = $4, ordered = $5, personal = $6, key_seed = $7,
               previous_key_seed = case when cast($7 as text) is null then null else previous_key_seed end where id = $1",
            id,
            &draft.name,
            &draft.url,
            kinds_of(draft),
            i64::from(draft.ordered),
            i64::from(draft.personal),
            key_seed
        )?;
        if changed == 0 {
            return Ok(false);
        }
        execute!(
            tx,
            "delete from webhook_patterns where endpoint_id = $1",
            id
        )?;
        write_patterns(&mut tx, id, &draft.kinds).await?;
        self.finish_endpoint_change(
            tx,
            actor,
            id,
            (AuditAction::WebhookChanged, &detail_of(draft)),
            now,
        )
        .await
    }

    /// Gives an endpoint another secret; the one of before signs too until `until`.
    pub async fn rotate_webhook_secret(
        &self,
        actor: &Actor,
        id: i64,
        (seed, key_seed): (&str, Option<&str>),
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let rotated = execute!(
            tx,
            "update webhook_endpoints set previous_seed = secret_seed, previous_key_seed = key_seed, secret_seed = $2, key_seed = $3,
               previous_until = $4 where id = $1",
            id,
            seed,
            key_seed,
            until.timestamp_millis()
        )?;
        if rotated == 0 {
            return Ok(false);
        }
        let detail = serde_json::json!({});
        self.finish_endpoint_change(tx, actor, id, (AuditAction::WebhookRotated, &detail), now)
            .await
    }

    /// Disables an endpoint and tells the others; `false` if it is disabled already.
    pub async fn disable_webhook_endpoint(
        &self,
        actor: &Actor,
        id: i64,
        why: DisabledReason,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let disabled = execute!(
            tx,
            "update webhook_endpoints set disabled_at = $2, disabled_why = $3 where id = $1 and disabled_at is null",
            id,
            now.timestamp_millis(),
            why.as_str()
        )?;
        if disabled == 0 {
            return Ok(false);
        }
        let name = self
            .names
            .as_ref()
            .map(|names| names.webhook_endpoint_name(id));
        let data = serde_json::json!({ "endpoint": name, "reason": why });
        events::record(&mut tx, EventKind::WebhookDisabled, None, &data, now).await?;
        let detail = serde_json::json!({ "reason": why });
        self.finish_endpoint_change(tx, actor, id, (AuditAction::WebhookDisabled, &detail), now)
            .await
    }

    /// Enables an endpoint again: what waited goes on; `false` if it is enabled already.
    pub async fn enable_webhook_endpoint(
        &self,
        actor: &Actor,
        id: i64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let enabled = execute!(
            tx,
            "update webhook_endpoints set disabled_at = null, disabled_why = null, failing_since = null, not_before = null
             where id = $1 and disabled_at is not null",
            id
        )?;
        if enabled == 0 {
            return Ok(false);
        }
        let detail = serde_json::json!({});
        self.finish_endpoint_change(tx, actor, id, (AuditAction::WebhookEnabled, &detail), now)
            .await
    }

    /// Removes an endpoint with its log; `false` if there is none such. In steps, for the log of a month may be long; from the first on it
    /// gets nothing more.
    pub async fn remove_webhook_endpoint(
        &self,
        actor: &Actor,
        id: i64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update webhook_endpoints set disabled_at = $2, disabled_why = 'operator' where id = $1 and disabled_at is null",
            id,
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        loop {
            let mut tx = self.begin().await?;
            let gone = execute!(
                tx,
                "delete from webhook_deliveries where endpoint_id = $1 and event_id in
                   (select event_id from webhook_deliveries where endpoint_id = $1 order by seq limit $2)",
                id,
                REMOVED_AT_ONCE
            )?;
            tx.commit().await?;
            if gone == 0 {
                break;
            }
        }
        let mut tx = self.begin().await?;
        let gone = execute!(tx, "delete from webhook_endpoints where id = $1", id)?;
        if gone > 0 {
            let detail = serde_json::json!({});
            self.note_endpoint(
                &mut tx,
                actor,
                id,
                AuditAction::WebhookRemoved,
                &detail,
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(gone > 0)
    }

    /// All endpoints, in the order in which they were made.
    pub async fn webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<EndpointRow> = all!(reader, endpoints!("order by id"))?;
        rows.into_iter().map(EndpointRow::endpoint).collect()
    }

    /// An endpoint.
    pub async fn webhook_endpoint(&self, id: i64) -> Result<Option<WebhookEndpoint>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<EndpointRow> = optional!(reader, endpoints!("where id = $1"), id)?;
        row.map(EndpointRow::endpoint).transpose()
    }

    /// Takes or renews the lease of an endpoint, so that one process at a time sends to it: `false` if another has it. `gone`: a process
    /// that is surely no more, whose lease counts no longer.
    pub async fn hold_webhook_endpoint(
        &self,
        id: i64,
        (process, gone): (&str, Option<&str>),
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let held = execute!(
            tx,
            "update webhook_endpoints set held_by = $2, held_until = $4
             where id = $1 and (held_until is null or held_until < $5 or held_by in ($2, $3))",
            id,
            process,
            gone.unwrap_or(process),
            until.timestamp_millis(),
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(held > 0)
    }

    /// The process that holds an endpoint's lease.
    pub async fn webhook_holder(&self, id: i64) -> Result<Option<String>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(Option<String>,)> = optional!(
            reader,
            "select held_by from webhook_endpoints where id = $1",
            id
        )?;
        Ok(row.and_then(|(holder,)| holder))
    }

    /// Gives the lease of an endpoint back.
    pub async fn release_webhook_endpoint(
        &self,
        id: i64,
        process: &str,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update webhook_endpoints set held_by = null, held_until = null where id = $1 and held_by = $2",
            id,
            process
        )?;
        Ok(tx.commit().await?)
    }

    /// Notes a change of an endpoint and commits it.
    async fn finish_endpoint_change(
        &self,
        mut tx: Tx,
        actor: &Actor,
        id: i64,
        (what, detail): (AuditAction, &serde_json::Value),
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.note_endpoint(&mut tx, actor, id, what, detail, now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Writes the row of the audit log about an endpoint.
    pub(in crate::storage) async fn note_endpoint(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: i64,
        what: AuditAction,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let subject = Some(ChangeSubject::WebhookEndpoint(id));
        self.author(actor)
            .note(tx, what, subject, detail, now)
            .await
    }
}

fn kinds_of(draft: &EndpointDraft) -> String {
    serde_json::json!(draft.kinds).to_string()
}

/// No name and no address, which may hold a secret.
fn detail_of(draft: &EndpointDraft) -> serde_json::Value {
    serde_json::json!({
        "kinds": draft.kinds,
        "ordered": draft.ordered,
        "personal": draft.personal,
        "ed25519": draft.ed25519,
    })
}

async fn write_patterns(tx: &mut Tx, id: i64, kinds: &[EventPattern]) -> Result<(), StorageError> {
    for pattern in kinds {
        execute!(
            tx,
            "insert into webhook_patterns (pattern, endpoint_id) values ($1, $2) on conflict (pattern, endpoint_id) do nothing",
            pattern.as_str(),
            id
        )?;
    }
    Ok(())
}

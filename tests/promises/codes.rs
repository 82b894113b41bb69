//! Codes: each one that the database holds is one that its enum knows.

use std::str::FromStr;

use verdicts::domain::brake::Decision;
use verdicts::domain::brake::HeldBy;
use verdicts::domain::brake::RefusalGroupState;
use verdicts::domain::brake::RefusalOutcome;
use verdicts::domain::catalogue::Reviewer;
use verdicts::domain::catalogue::Verdict;
use verdicts::domain::delivery::AttemptOutcome;
use verdicts::domain::delivery::DeliveryKind;
use verdicts::domain::delivery::DeliveryState;
use verdicts::domain::delivery::MailClass;
use verdicts::domain::delivery::SkipReason;
use verdicts::domain::digest::DigestState;
use verdicts::domain::digest::OutcomeDimension;
use verdicts::domain::digest_note::NoteKind;
use verdicts::domain::event::EventKind;
use verdicts::domain::growth::GrowthKind;
use verdicts::domain::history::HistoryEvent;
use verdicts::domain::inbound::Classification;
use verdicts::domain::inbound::MailboxStep;
use verdicts::domain::inbound::Reason;
use verdicts::domain::inbound::RefusalClass;
use verdicts::domain::inbound::SoftClass;
use verdicts::domain::inbound_channel::InboundChannel;
use verdicts::domain::job::JobKind;
use verdicts::domain::job::JobState;
use verdicts::domain::pick_reason::PickReason;
use verdicts::domain::reader::UnsubscribeReason;
use verdicts::domain::source::ProposalState;
use verdicts::domain::source::SourceKind;
use verdicts::domain::source::SourceMode;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::subscriber::Suppression;
use verdicts::domain::user::CeremonyKind;
use verdicts::domain::user::ChallengeKind;
use verdicts::domain::user::Role;
use verdicts::domain::user::Stage;
use verdicts::domain::user_notice::UserMailState;
use verdicts::domain::user_notice::UserNoticeKind;
use verdicts::domain::webhook::Provider;
use verdicts::domain::webhook::WebhookKind;
use verdicts::domain::webhook_endpoint::DisabledReason;
use verdicts::domain::webhook_endpoint::WebhookDeliveryState;

use crate::support::TestDb;

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// A history entry: its code, a tab, its parameters.
fn is_event(text: &str) -> bool {
    text.split_once('\t')
        .is_some_and(|(code, parameters)| HistoryEvent::from_stored(code, parameters).is_ok())
}

fn are_reasons(text: &str) -> bool {
    serde_json::from_str::<Vec<PickReason>>(text).is_ok()
}

type Code = (&'static str, &'static str, fn(&str) -> bool);

/// Columns that hold codes, each with the enum that is the list of them.
const CODES: [Code; 51] = [
    ("attempt_totals", "kind", is::<MailClass>),
    ("attempt_totals", "outcome", is::<AttemptOutcome>),
    ("deliveries", "kind", is::<DeliveryKind>),
    ("deliveries", "skip_reason", is::<SkipReason>),
    ("deliveries", "state", is::<DeliveryState>),
    ("delivery_batches", "class", is::<MailClass>),
    ("digest_notes", "kind", is::<NoteKind>),
    ("digest_outcomes", "dimension", is::<OutcomeDimension>),
    ("digest_skips", "reason", is::<SkipReason>),
    ("digests", "state", is::<DigestState>),
    ("growth_events", "kind", is::<GrowthKind>),
    ("history", "code || chr(9) || parameters", is_event),
    ("inbound_mails", "channel", is::<InboundChannel>),
    ("inbound_mails", "class", is::<Classification>),
    ("inbound_mails", "reason", is::<Reason>),
    ("inbound_mails", "soft_class", is::<SoftClass>),
    ("inbound_unmatched", "channel", is::<InboundChannel>),
    ("jobs", "kind", is::<JobKind>),
    ("jobs", "state", is::<JobState>),
    ("mailbox_retries", "step", is::<MailboxStep>),
    ("picks", "reasons", are_reasons),
    ("proposals", "state", is::<ProposalState>),
    ("refusal_groups", "decision", is::<Decision>),
    ("refusal_groups", "held_by", is::<HeldBy>),
    ("refusal_groups", "state", is::<RefusalGroupState>),
    ("refusals", "class", is::<RefusalClass>),
    ("refusals", "outcome", is::<RefusalOutcome>),
    ("reviews", "reviewer", is::<Reviewer>),
    ("reviews", "verdict", is::<Verdict>),
    ("sources", "kind", is::<SourceKind>),
    ("sources", "mode", is::<SourceMode>),
    ("subscribers", "state", is::<SubscriberState>),
    ("suppression_removals", "reason", is::<Suppression>),
    ("suppressions", "reason", is::<Suppression>),
    ("visitor_votes", "verdict", is::<Verdict>),
    ("votes", "verdict", is::<Verdict>),
    ("webhook_events", "kind", is::<WebhookKind>),
    ("webhook_events", "provider", is::<Provider>),
    ("ceremonies", "kind", is::<CeremonyKind>),
    ("challenges", "kind", is::<ChallengeKind>),
    ("sessions", "stage", is::<Stage>),
    ("unsubscribe_reasons", "reason", is_unsubscribe_reason),
    ("user_mails", "kind", is::<UserNoticeKind>),
    ("user_mails", "state", is::<UserMailState>),
    ("user_notice_mutes", "kind", is::<UserNoticeKind>),
    ("user_notices", "kind", is::<UserNoticeKind>),
    ("users", "role", is::<Role>),
    ("events", "kind", is::<EventKind>),
    ("webhook_deliveries", "state", is::<WebhookDeliveryState>),
    ("webhook_endpoints", "disabled_why", is::<DisabledReason>),
    // A delivery is skipped if and only if it says why.
    (
        "deliveries",
        "case when (state = 'skipped') = (skip_reason is not null) then 'yes' else 'no' end",
        is_yes,
    ),
];

/// Tables with codes that a database of before the baseline did not have.
pub const YOUNGER: [&str; 17] = [
    "ceremonies",
    "challenges",
    "digest_notes",
    "digest_outcomes",
    "events",
    "growth_events",
    "jobs",
    "proposals",
    "sessions",
    "sources",
    "unsubscribe_reasons",
    "user_mails",
    "user_notice_mutes",
    "user_notices",
    "users",
    "webhook_deliveries",
    "webhook_endpoints",
];

fn is_unsubscribe_reason(text: &str) -> bool {
    UnsubscribeReason::from_code(text).is_some()
}

fn is_yes(text: &str) -> bool {
    text == "yes"
}

/// Codes in a database that no enum knows, each with its column; and the tables with a column of codes that is empty.
pub async fn unknown(test_db: &TestDb) -> (Vec<String>, Vec<&'static str>) {
    let (mut unknown, mut empty) = (Vec::new(), Vec::new());
    for (table, column, is_known) in CODES {
        let column = match test_db.is_postgres() {
            true => column.to_owned(),
            false => column.replace("chr(", "char("),
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "select distinct {column} from {table} where {column} is not null"
        ));
        let codes: Vec<String> = if test_db.is_postgres() {
            let pool = sqlx::PgPool::connect(&test_db.database_url)
                .await
                .expect("a connection");
            sqlx::query_scalar(sql).fetch_all(&pool).await
        } else {
            let pool = sqlx::SqlitePool::connect(&test_db.database_url)
                .await
                .expect("a connection");
            sqlx::query_scalar(sql).fetch_all(&pool).await
        }
        .expect("codes");
        if codes.is_empty() {
            empty.push(table);
        }
        let strange = codes.into_iter().filter(|code| !is_known(code));
        unknown.extend(strange.map(|code| format!("{table}.{column}: {code}")));
    }
    (unknown, empty)
}

#[test]
fn a_code_that_no_enum_knows_would_be_seen() {
    let known = |table: &str, column: &str| {
        CODES
            .iter()
            .find(|code| (code.0, code.1) == (table, column))
            .expect("a column")
            .2
    };
    assert!(!known("deliveries", "state")("withheld"));
    assert!(!known("history", "code || chr(9) || parameters")(
        "confirmed"
    ));
    assert!(!known("history", "code || chr(9) || parameters")(
        "bounced\t{}"
    ));
    assert!(!known("picks", "reasons")(r#"["new this week"]"#));
}

#[test]
fn no_migration_lists_codes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|kind| kind == "sql") {
            let sql = std::fs::read_to_string(&path).expect("a text");
            let listed = sql.lines().find(|line| {
                line.contains("check")
                    && line.contains(" in (")
                    && !line.trim_start().starts_with("--")
            });
            assert_eq!(listed, None, "{}", path.display());
        }
    }
}

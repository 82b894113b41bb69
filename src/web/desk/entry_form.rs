//! Parts that the forms of tools and comparisons share: version, date of publication, a conflict, a removal.

use std::collections::HashMap;

use axum::response::Response;
use chrono::NaiveDateTime;

use super::super::Web;
use super::super::answer::Problem;
use super::answers;
use super::answers::refusal;
use crate::app::FieldFault;
use crate::app::catalogue::editing::PublishWish;
use crate::app::users::signing_in::SignedIn;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::FieldChange;
use crate::domain::publication::PublicationState;
use crate::render::desk;
use crate::render::desk::ClashView;
use crate::render::desk::ConflictView;
use crate::render::desk::GateForm;
use crate::render::desk::PublishFields;
use crate::storage::catalogue_edit::SaveOver;

/// Version and date of publication, as a form has them.
#[derive(Debug, Clone, Default)]
pub(super) struct EntryForm {
    /// Version that a save is made from; empty: a new entry.
    pub version: String,
    /// `keep`, `draft`, `now` or `at`.
    publish: String,
    /// Time on the site's clocks.
    at: String,
    /// Fault of the time.
    pub problem: Option<String>,
}

impl EntryForm {
    /// The form of an entry that is there.
    pub fn of(web: &Web, version: i64, published_at: Timestamp) -> Self {
        let state = PublicationState::at(published_at, web.app.now());
        Self {
            version: version.to_string(),
            publish: match state {
                PublicationState::Live => "keep",
                PublicationState::Scheduled => "at",
                PublicationState::Draft => "draft",
            }
            .into(),
            at: match state {
                PublicationState::Draft => String::new(),
                _ => local(web, published_at),
            },
            problem: None,
        }
    }

    /// The form of a new entry.
    pub fn new() -> Self {
        Self {
            publish: "draft".into(),
            ..Self::default()
        }
    }

    /// The form as it was sent.
    pub fn read(fields: &HashMap<String, String>) -> Self {
        let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
        Self {
            version: text("version"),
            publish: text("publish"),
            at: text("at"),
            problem: None,
        }
    }

    /// The time that was typed, if it is one, on the site's clocks.
    fn time(&self) -> Option<NaiveDateTime> {
        let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
        let read = |format: &&str| NaiveDateTime::parse_from_str(self.at.trim(), format);
        let time = formats.iter().find_map(|format| read(format).ok());
        // As the catalogue document has it.
        time.filter(|time| (1970..9999).contains(&chrono::Datelike::year(time)))
    }

    /// The date that is asked for.
    pub fn wish(&self, web: &Web) -> Result<PublishWish, String> {
        match self.publish.as_str() {
            "keep" => Ok(PublishWish::Keep),
            "now" => Ok(PublishWish::Now),
            "at" => match self.time() {
                Some(time) => Ok(PublishWish::At(web.app.site.timezone.moment_of(time))),
                None => Err(format!(
                    "{:?} is no time: give one like 2026-12-01 09:00.",
                    self.at.trim()
                )),
            },
            _ => Ok(PublishWish::Draft),
        }
    }

    /// State of the entry that the save is made over.
    pub fn over(&self, is_known: bool) -> SaveOver {
        match is_known {
            true => SaveOver::Version(self.version.parse().unwrap_or(i64::MIN)),
            false => SaveOver::Nothing,
        }
    }

    /// The fields of the date. `known`: the date of an entry that is there.
    pub fn publish_fields(&self, web: &Web, known: Option<Timestamp>) -> PublishFields {
        let state = known.map(|at| PublicationState::at(at, web.app.now()));
        let chosen = |value: &'static str, words: String| (value, words, self.publish == value);
        let mut choices = Vec::new();
        if let (Some(PublicationState::Live), Some(at)) = (state, known) {
            let since = answers::format_time(web, at);
            choices.push(chosen("keep", format!("Published, since {since}")));
        } else {
            choices.push(chosen("now", "Publish now".into()));
        }
        choices.push(chosen(
            "draft",
            match state {
                Some(PublicationState::Live) => "Take it off the site: a draft",
                _ => "Keep it as a draft",
            }
            .into(),
        ));
        choices.push(chosen("at", "Publish at this time".into()));
        PublishFields {
            choices,
            // The field takes nothing else (HTML, "local date and time strings"); the problem quotes what was typed.
            at: self
                .time()
                .map(|time| time.format("%Y-%m-%dT%H:%M").to_string())
                .unwrap_or_default(),
            zone: web.app.settings.site.timezone.clone(),
            problem: self.problem.clone(),
        }
    }
}

/// A time as a form's field takes it, on the site's clocks.
fn local(web: &Web, at: Timestamp) -> String {
    let local = at.with_timezone(&web.app.site.timezone);
    local.format("%Y-%m-%dT%H:%M").to_string()
}

/// "1 vote", "1,200 votes".
pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    let word = if count == 1 { one } else { many };
    format!("{} {word}", desk::grouped(count))
}

/// Another editor's save: the fields in which it differs from what was typed.
pub(super) fn conflict(changes: &[FieldChange]) -> ConflictView {
    let fields = changes.iter().map(|change| ClashView {
        label: change.field.clone(),
        mine: change.before.clone(),
        theirs: change.after.clone(),
    });
    ConflictView {
        sentence: "Somebody else saved it while you wrote. Nothing is lost, and nothing of yours is saved yet.".into(),
        fields: fields.collect(),
    }
}

/// Faults of a form, a line each.
pub(super) fn faults_in_words(faults: &[FieldFault]) -> String {
    let lines = faults
        .iter()
        .map(|fault| format!("{}: {}\n", fault.field, fault.detail));
    lines.collect()
}

/// The question before an entry is removed. `place`: its address.
pub(super) fn removal(heading: String, sentences: Vec<String>, place: String) -> GateForm<'static> {
    GateForm {
        heading,
        sentences,
        action: format!("{place}/remove"),
        button: "Remove it".into(),
        is_grave: true,
        link: Some((format!("{place}/edit"), "No, keep it")),
        ..GateForm::default()
    }
}

/// Removes an entry, and goes on to the list.
pub(super) async fn remove(
    web: &Web,
    who: &SignedIn,
    kind: EntryKind,
    slug: &Slug,
    list: &str,
) -> Result<Response, Problem> {
    let actor = web.app.actor_of(who);
    let said = match web
        .app
        .remove_from_catalogue(&actor, slug, Some(kind))
        .await
    {
        Ok(_) => format!("{slug} is removed."),
        Err(failure) => refusal(failure)?,
    };
    answers::done(web, who, &said, list).await
}

//! Changes of one subscriber, each with a page that asks first.

use axum::extract::State;
use axum::response::Html;
use axum::response::Response;
use chrono::NaiveDate;
use chrono::NaiveTime;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::subscriber::Known;
use super::subscriber::Named;
use super::subscriber::known;
use super::subscribers::HERE;
use crate::app::Failure;
use crate::app::users::signing_in::SignedIn;
use crate::domain::address::EmailAddress;
use crate::render::desk;
use crate::render::desk::Autocomplete;
use crate::render::desk::FormField;
use crate::render::desk::GateForm;
use crate::storage::email_changes::EmailChangeRequested;
use crate::storage::operator::Resent;

/// Longest reason, in characters.
pub(super) const NOTE_MAX: usize = 500;

/// A change that is asked about before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Unsubscribe,
    Pause,
    Resume,
    Confirmation,
    Address,
    Erase,
    Lift,
}

impl Change {
    fn of(text: &str) -> Result<Self, Problem> {
        Ok(match text {
            "unsubscribe" => Self::Unsubscribe,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "confirmation" => Self::Confirmation,
            "address" => Self::Address,
            _ => return Err(Problem::not_found()),
        })
    }

    fn path(self) -> &'static str {
        match self {
            Self::Unsubscribe => "unsubscribe",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Confirmation => "confirmation",
            Self::Address => "address",
            Self::Erase => "erase",
            Self::Lift => "lift",
        }
    }

    /// Heading, what it means, and the words of the button.
    fn words(self, email: &str) -> (String, &'static str, &'static str) {
        match self {
            Self::Unsubscribe => (
                format!("Unsubscribe {email}?"),
                "This person gets no more digests. They can sign up again themselves.",
                "Unsubscribe",
            ),
            Self::Pause => (
                format!("Pause mail to {email}?"),
                "This person gets no digest until that day. They see the pause among their preferences and can end it.",
                "Pause",
            ),
            Self::Resume => (
                format!("End the pause of {email}?"),
                "This person gets the next digest again.",
                "End the pause",
            ),
            Self::Confirmation => (
                format!("Send the confirmation mail to {email} again?"),
                "One mail with the link that confirms the subscription. It counts toward the limits that hold for everybody.",
                "Send it",
            ),
            Self::Address => (
                format!("Change the address of {email}?"),
                "A mail asks at the new address whether it is theirs. Once confirmed there it counts, and the old one is told.",
                "Ask at the new address",
            ),
            Self::Erase => (
                format!("Erase {email}?"),
                "Everything that is kept of this person is deleted. Only a keyed hash of the address stays, on the suppression list, so that no \
                 import brings them back. This cannot be taken back.",
                "Erase this person",
            ),
            Self::Lift => (
                format!("Take {email} off the suppression list?"),
                "Mail may go to this address again. The person stays unsubscribed until they sign up. Your reason is kept.",
                "Take it off",
            ),
        }
    }

    fn field(self, value: &str) -> Option<FormField<'_>> {
        let (name, label, fills, hint) = match self {
            Self::Pause => (
                "until",
                "Until",
                Autocomplete::Day,
                "The first day on which mail goes out again, at most 26 weeks ahead.",
            ),
            Self::Address => (
                "email",
                "New address",
                Autocomplete::Address,
                "They must be able to read mail there.",
            ),
            Self::Lift => (
                "note",
                "Why",
                Autocomplete::Sentence,
                "For example: the mailbox was full for a week and works again.",
            ),
            _ => return None,
        };
        Some(FormField {
            name,
            label,
            fills,
            value,
            hint: Some(hint),
        })
    }
}

/// The page that asks, with what was typed and what is wrong with it.
fn question(
    web: &Web,
    who: &SignedIn,
    known: &Known,
    change: Change,
    typed: &str,
    problem: Option<String>,
) -> Result<String, Problem> {
    let (heading, sentence, button) = change.words(known.email());
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![sentence.into()],
        action: format!("{}/{}", known.path(), change.path()),
        fields: change.field(typed).into_iter().collect(),
        button: button.into(),
        is_grave: matches!(change, Change::Unsubscribe | Change::Erase),
        problem,
        link: Some((known.path(), "No, back to the subscriber")),
        ..GateForm::default()
    };
    Ok(desk::form(
        answers::frame(web, who, "A change of a subscriber", HERE),
        form,
    )?)
}

pub(super) async fn look_at_change(
    State(web): State<Web>,
    Me(who): Me,
    Named(name, change): Named,
) -> Page {
    let change = Change::of(&change)?;
    let known = known(&web, &name).await?;
    Ok(Html(question(&web, &who, &known, change, "", None)?))
}

pub(super) async fn look_at_erasure(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Page {
    let known = known(&web, &name).await?;
    Ok(Html(question(&web, &who, &known, Change::Erase, "", None)?))
}

pub(super) async fn look_at_lifting(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Page {
    let known = known(&web, &name).await?;
    Ok(Html(question(&web, &who, &known, Change::Lift, "", None)?))
}

/// Fields of the form of a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    until: String,
    email: String,
    note: String,
}

pub(super) async fn change(
    State(web): State<Web>,
    Me(who): Me,
    Named(name, change): Named,
    FormFields(asked): FormFields<Asked>,
) -> Result<Response, Problem> {
    let change = Change::of(&change)?;
    let known = known(&web, &name).await?;
    let typed = match change {
        Change::Address => asked.email.trim(),
        Change::Pause => asked.until.trim(),
        _ => "",
    };
    match apply(&web, &who, &known, change, typed).await {
        Ok(said) => answers::done(&web, &who, &said, &known.path()).await,
        Err(failure) if !failure.kind().is_ours() => {
            let problem = Some(failure.to_string());
            Ok(answers::refused(question(
                &web, &who, &known, change, typed, problem,
            )?))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Does it; returns the sentence for the next page.
async fn apply(
    web: &Web,
    who: &SignedIn,
    known: &Known,
    change: Change,
    typed: &str,
) -> Result<String, Failure> {
    let (app, actor) = (&web.app, web.app.actor_of(who));
    let over = || "Nothing was changed: the subscription is over.".to_owned();
    Ok(match change {
        Change::Unsubscribe => match app.unsubscribe_by_operator(&actor, known.id).await? {
            true => "They are unsubscribed.".into(),
            false => over(),
        },
        Change::Pause => {
            let day: NaiveDate = typed
                .parse()
                .map_err(|_| Failure::invalid_field("until", "Give the day as 2026-11-30."))?;
            let until = app.site.timezone.moment_of(day.and_time(NaiveTime::MIN));
            match app.pause_by_operator(&actor, known.id, Some(until)).await? {
                true => format!("No digest goes to them until {}.", app.site.day(until)),
                false => over(),
            }
        }
        Change::Resume => match app.pause_by_operator(&actor, known.id, None).await? {
            true => "Their pause is over.".into(),
            false => over(),
        },
        Change::Confirmation => match app.resend_confirmation(&actor, known.id).await? {
            Resent::Queued => "The confirmation mail is on its way.".into(),
            Resent::NotWaiting => "Nothing was sent: no sign-up of theirs waits.".into(),
            Resent::Limited => format!(
                "Nothing was sent: one mail goes there in {}, and so many a day.",
                app.quiet_in_words()
            ),
        },
        Change::Address => {
            let email = EmailAddress::parse_new(typed)
                .map_err(|error| Failure::invalid_field("email", error.to_string()))?;
            match app.change_address(&actor, known.id, &email).await? {
                EmailChangeRequested::Queued => {
                    "A mail asks at the new address. Once confirmed there, it is theirs.".into()
                }
                EmailChangeRequested::Over => over(),
                EmailChangeRequested::Taken => {
                    let sentence =
                        "Somebody on the list has that address, or it is on the suppression list.";
                    return Err(Failure::conflict(sentence));
                }
                EmailChangeRequested::MailboxLimit | EmailChangeRequested::TooMany(_) => {
                    let sentence = "That mailbox had as many mails as it gets in a day, or answered none of the last ones. Try again later.";
                    return Err(Failure::conflict(sentence));
                }
            }
        }
        Change::Erase | Change::Lift => over(),
    })
}

pub(super) async fn erase(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let known = known(&web, &name).await?;
    let email = EmailAddress::parse(known.email()).map_err(|_| Problem::not_found())?;
    web.app
        .erase_subscriber(&web.app.actor_of(&who), &email)
        .await?;
    let said = "One person is erased: only a keyed hash of the address is left.";
    answers::done(&web, &who, said, HERE).await
}

pub(super) async fn lift(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
    FormFields(asked): FormFields<Asked>,
) -> Result<Response, Problem> {
    let known = known(&web, &name).await?;
    let note = asked.note.trim();
    if note.is_empty() || note.chars().count() > NOTE_MAX {
        let problem = format!(
            "Give a reason of 1 to {NOTE_MAX} characters: it is kept with what was taken back."
        );
        return Ok(answers::refused(question(
            &web,
            &who,
            &known,
            Change::Lift,
            note,
            Some(problem),
        )?));
    }
    let email = EmailAddress::parse(known.email()).map_err(|_| Problem::not_found())?;
    let actor = web.app.actor_of(&who);
    let said = match web.app.lift_suppression(&actor, &email, note).await {
        Ok(reason) => format!(
            "Taken off the suppression list, where they were as {reason}. A sign-up brings them back."
        ),
        Err(failure) => answers::refusal(failure)?,
    };
    answers::done(&web, &who, &said, &known.path()).await
}

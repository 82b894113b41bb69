//! Somebody who is added by hand.

use axum::extract::State;
use axum::response::Html;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::access::Me;
use super::answers;
use super::subscribers::HERE;
use crate::app::users::signing_in::SignedIn;
use crate::domain::address::EmailAddress;
use crate::render::desk;
use crate::render::desk::Autocomplete;
use crate::render::desk::Check;
use crate::render::desk::FormField;
use crate::render::desk::GateForm;
use crate::storage::subscribers::SignedUp;

/// Longest text of a consent, in characters.
const CONSENT_MAX: usize = 500;

/// Somebody new.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct New {
    email: String,
    consent: String,
    /// Present if the confirmation mail goes out at once.
    confirmation: Option<String>,
}

pub(super) async fn look(State(web): State<Web>, Me(who): Me) -> Page {
    Ok(Html(new_page(
        &web,
        &who,
        &New {
            confirmation: Some("yes".into()),
            ..New::default()
        },
        None,
    )?))
}

fn new_page(
    web: &Web,
    who: &SignedIn,
    typed: &New,
    problem: Option<String>,
) -> Result<String, Problem> {
    let fields = vec![
        FormField {
            name: "email",
            label: "Email address",
            fills: Autocomplete::Address,
            value: &typed.email,
            hint: None,
        },
        FormField {
            name: "consent",
            label: "What they agreed to",
            fills: Autocomplete::Sentence,
            value: &typed.consent,
            hint: Some(
                "In your words, like: asked for it at the spring fair. It is kept as their consent.",
            ),
        },
    ];
    let form = GateForm {
        heading: "Add a subscriber".into(),
        sentences: vec![
            "They get no digest before they have confirmed by the link in the confirmation mail."
                .into(),
        ],
        action: format!("{HERE}/new"),
        fields,
        check: Some(Check {
            name: "confirmation",
            label: "Send the confirmation mail now",
            is_on: typed.confirmation.is_some(),
        }),
        button: "Add".into(),
        problem,
        link: Some((HERE.into(), "Back to the list")),
        ..GateForm::default()
    };
    Ok(desk::form(
        answers::frame(web, who, "Add a subscriber", HERE),
        form,
    )?)
}

/// The form leaves the field out where its box is not ticked.
pub(super) async fn add(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(asked): FormFields<New>,
) -> Result<Response, Problem> {
    let refused = |words: String| -> Result<Response, Problem> {
        Ok(answers::refused(new_page(&web, &who, &asked, Some(words))?))
    };
    let email = match EmailAddress::parse_new(asked.email.trim()) {
        Ok(email) => email,
        Err(error) => return refused(error.to_string()),
    };
    let consent = asked.consent.trim();
    if consent.is_empty() || consent.chars().count() > CONSENT_MAX {
        return refused(format!(
            "Say in 1 to {CONSENT_MAX} characters what they agreed to."
        ));
    }
    let actor = web.app.actor_of(&who);
    let said = match web
        .app
        .add_subscriber(&actor, &email, consent, asked.confirmation.is_none())
        .await?
    {
        SignedUp::ConfirmationQueued => "Added. The confirmation mail is on its way.",
        SignedUp::Added => {
            "Added. No mail goes there before you send the confirmation from this page."
        }
        SignedUp::AskedRecently => {
            "They were added before: a confirmation mail went there within the last hour."
        }
        SignedUp::ReminderQueued | SignedUp::AlreadyActive => "They are on the list already.",
        SignedUp::MailboxLimit | SignedUp::TooMany(_) => {
            return refused("That mailbox had as many mails as it gets in a day, or answered none of the last ones. Try again later.".into());
        }
        SignedUp::Suppressed => {
            return refused(
                "That address is on the suppression list: it never gets mail again.".into(),
            );
        }
    };
    let id = web
        .app
        .storage
        .subscriber_at(&email)
        .await?
        .map(|(id, _)| id);
    let to = match id {
        Some(id) => format!("{HERE}/{}", web.app.subscriber_name(id)),
        None => HERE.into(),
    };
    answers::done(&web, &who, said, &to).await
}

//! Deliverability: what is held and came back, relays, DNS.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::deliverability_view;
use super::subscribers;
use crate::app::deliverability::ReturnedSend;
use crate::app::users::signing_in::SignedIn;
use crate::domain::brake::Decision;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::DeliverabilityView;
use crate::render::desk::GateForm;
use crate::render::desk::ReturnedPerson;
use crate::storage::returned::ReturnedMail;
use crate::storage::returned::ReturnedPlace;

pub(super) const HERE: &str = "/desk/deliverability";

/// Refused mails on a page.
const LISTED: usize = 50;

/// Word in an address for mails that are no issue's.
const OTHERS: &str = "others";

/// The pairs of a query.
pub(super) fn value(query: Option<&str>, key: &str) -> Option<String> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(known, _)| known == key)
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

/// The send that an address names.
fn send_of(text: &str) -> Result<ReturnedSend, Problem> {
    match text {
        OTHERS => Ok(ReturnedSend::Others),
        text => text
            .parse()
            .map(ReturnedSend::Issue)
            .map_err(|_| Problem::not_found()),
    }
}

/// The word of a send in an address.
pub(super) fn word_of(send: ReturnedSend) -> String {
    match send {
        ReturnedSend::Issue(slot) => slot.to_string(),
        ReturnedSend::Others => OTHERS.into(),
    }
}

/// Address of the refused mails of a send.
pub(super) fn people_path(send: ReturnedSend, domain: Option<&str>, after: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("issue", &word_of(send));
    domain.map(|domain| query.append_pair("domain", domain));
    after.map(|after| query.append_pair("after", after));
    format!("{HERE}/refused?{}", query.finish())
}

pub(super) async fn show(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let issues = web.app.newest_issues().await?;
    let send = match value(query.as_deref(), "issue") {
        Some(text) => send_of(&text)?,
        None => issues.first().map_or(ReturnedSend::Others, |issue| {
            ReturnedSend::Issue(issue.slot)
        }),
    };
    let role = who.user.role;
    let may_see = role.may(Area::Subscribers, AccessLevel::Read);
    let returned = web.app.returned_counts(send).await?;
    let held = web.app.held_refusals(None).await?;
    let unjudged = web.app.storage.unjudged_readers().await?;
    let dns = web.app.dns_checks().await?;
    let may_decide = role.may(Area::Subscribers, AccessLevel::Write);
    let may_try = role.may(Area::Send, AccessLevel::Write);
    let relays = web.app.relay_reports().await?;
    let (complaints, verdict) = deliverability_view::complaints(&issues);
    let view = DeliverabilityView {
        complaints,
        verdict,
        held: held
            .iter()
            .map(|held| deliverability_view::held(&web, held, may_decide))
            .collect(),
        unjudged: (unjudged > 0).then(|| {
            format!(
                "{} more wait to be judged, until their send is over.",
                desk::grouped(unjudged)
            )
        }),
        sends: deliverability_view::sends(&issues, send),
        reasons: deliverability_view::reasons(&returned),
        returned: deliverability_view::lines(send, &returned, may_see),
        relays: relays
            .iter()
            .map(|relay| deliverability_view::relay(&web, relay, may_try))
            .collect(),
        asked: dns
            .first()
            .map(|check| answers::format_time(&web, check.checked_at)),
        dns: dns
            .iter()
            .map(|check| deliverability_view::dns(&web, check))
            .collect(),
        records: deliverability_view::records(&web),
        may_search: may_see,
    };
    let frame = answers::frame(&web, &who, "Deliverability", HERE);
    Ok(Html(desk::deliverability(frame, view)?))
}

/// Place in the list as it stands in an address: the send, who it is, and the domain.
fn place(web: &Web, text: &str) -> Option<ReturnedPlace> {
    let mut parts = text.splitn(3, '.');
    let send = parts.next()?.parse().ok()?;
    let subscriber = web.app.subscriber_named(parts.next()?)?;
    Some((send, parts.next()?.to_owned(), subscriber))
}

pub(super) async fn refused(
    State(web): State<Web>,
    Me(who): Me,
    RawQuery(query): RawQuery,
) -> Page {
    let query = query.as_deref();
    let send = send_of(&value(query, "issue").ok_or_else(Problem::not_found)?)?;
    let domain = value(query, "domain");
    let after = match value(query, "after") {
        Some(text) => Some(place(&web, &text).ok_or_else(Problem::not_found)?),
        None => None,
    };
    // One more than are shown says whether there is another page.
    let mails = web
        .app
        .returned_mails(send, domain.as_deref(), after.as_ref(), LISTED + 1)
        .await?;
    let next = mails
        .get(LISTED - 1)
        .filter(|_| mails.len() > LISTED)
        .map(|last| {
            let name = web.app.subscriber_name(last.subscriber);
            let after = format!("{}.{name}.{}", last.send, last.domain);
            people_path(send, domain.as_deref(), Some(&after))
        });
    let heading = match (send, &domain) {
        (ReturnedSend::Issue(slot), Some(domain)) => format!("Refused at {domain}: {slot}"),
        (ReturnedSend::Issue(slot), None) => format!("Refused mails of {slot}"),
        (ReturnedSend::Others, Some(domain)) => format!("Refused at {domain}: other mails"),
        (ReturnedSend::Others, None) => "Refused mails that are no issue's".into(),
    };
    let rows = mails
        .iter()
        .take(LISTED)
        .map(|mail| person(&web, &who, mail));
    let frame = answers::frame(&web, &who, &heading, HERE);
    Ok(Html(desk::returned(
        frame,
        heading,
        rows.collect(),
        after.map(|_| people_path(send, domain.as_deref(), None)),
        next,
    )?))
}

fn person(web: &Web, who: &SignedIn, mail: &ReturnedMail) -> ReturnedPerson {
    let href = format!(
        "{}/{}",
        subscribers::HERE,
        web.app.subscriber_name(mail.subscriber)
    );
    let may_lift = who.user.role.may(Area::Suppressions, AccessLevel::Write);
    ReturnedPerson {
        email: mail.email.clone(),
        domain: mail.domain.clone(),
        when: answers::format_time(web, mail.at),
        outcome: deliverability_view::outcome(mail),
        reply: mail.reply.clone(),
        report: mail
            .report
            .as_ref()
            .map(|report| format!("{href}/reports/{report}")),
        lift: (may_lift && mail.is_suppressed).then(|| format!("{href}/lift")),
        href,
    }
}

/// A decision about held refusals, as an address names it.
fn decision_of(text: &str) -> Result<Decision, Problem> {
    match text {
        "accept" => Ok(Decision::Accepted),
        "dismiss" => Ok(Decision::Dismissed),
        _ => Err(Problem::not_found()),
    }
}

/// Asks before a decision, and says how many people it is about.
pub(super) async fn ask(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(decision): PathSegment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let decided = decision_of(&decision)?;
    let name = value(query.as_deref(), "name").unwrap_or_default();
    let held = web.app.held_refusals(None).await?;
    let of_it = held
        .iter()
        .filter(|held| format!("{}:{}", held.kind, held.name) == name);
    let readers: u64 = of_it.clone().map(|held| held.readers).sum();
    let Some(first) = of_it.clone().next() else {
        return answers::done(
            &web,
            &who,
            "Nothing is held under that name any more.",
            HERE,
        )
        .await;
    };
    let people = format!(
        "{} reader{}",
        desk::grouped(readers),
        if readers == 1 { "" } else { "s" }
    );
    let (heading, sentence, button) = match decided {
        Decision::Accepted => (
            format!("End the subscriptions of {people}?"),
            "Their addresses go on the suppression list, and no mail goes there again. This can only be taken back one by one.",
            format!("End {people}"),
        ),
        Decision::Dismissed => (
            format!("Keep the subscriptions of {people}?"),
            "Their refusals of this send no longer count. The next issue goes to them.",
            format!("Keep {people}"),
        ),
    };
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![format!("{}.", first.summary()), sentence.into()],
        action: format!("{HERE}/held/{decision}"),
        hidden: vec![("name", name)],
        button,
        is_grave: decided == Decision::Accepted,
        link: Some((HERE.into(), "No, go back")),
        ..GateForm::default()
    };
    let frame = answers::frame(&web, &who, &heading, HERE);
    Ok(Html(desk::form(frame, form)?).into_response())
}

/// Fields of the forms here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NameForm {
    name: String,
    relay: String,
}

pub(super) async fn decide(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(decision): PathSegment,
    FormFields(form): FormFields<NameForm>,
) -> Result<Response, Problem> {
    let decided = decision_of(&decision)?;
    let actor = web.app.actor_of(&who);
    let said = match web
        .app
        .decide_on(&actor, &form.name, decided, |_, _| {})
        .await
    {
        Ok(done) => {
            let (readers, name) = (desk::grouped(done.readers), &done.name);
            match decided {
                Decision::Accepted => format!("{name}: {readers} subscriptions ended."),
                Decision::Dismissed => {
                    format!("{name}: the refusals of {readers} readers are dropped.")
                }
            }
        }
        Err(failure) => refusal(failure)?,
    };
    answers::done(&web, &who, &said, HERE).await
}

/// Tries a relay now whose breaker is open.
pub(super) async fn try_relay(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(form): FormFields<NameForm>,
) -> Result<Response, Problem> {
    let actor = web.app.actor_of(&who);
    let said = match web.app.try_relay(&actor, &form.relay).await {
        Ok(()) => format!(
            "{} is tried within seconds, as soon as there is a mail for it.",
            form.relay
        ),
        Err(failure) => refusal(failure)?,
    };
    answers::done(&web, &who, &said, HERE).await
}

//! One subscriber: what is kept of them.

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::State;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::subscriber_view;
use super::subscribers::HERE;
use crate::app::subscribing::operator::SubscriberRecord;
use crate::render::desk;
use crate::render::desk::ReportView;

/// A subscriber whom an address names.
pub(super) struct Known {
    pub name: String,
    pub id: i64,
    pub record: SubscriberRecord,
}

impl Known {
    pub(super) fn path(&self) -> String {
        format!("{HERE}/{}", self.name)
    }

    pub(super) fn email(&self) -> &str {
        &self.record.person.subscriber.email
    }
}

pub(super) async fn known(web: &Web, name: &str) -> Result<Known, Problem> {
    let id = web
        .app
        .subscriber_named(name)
        .ok_or_else(Problem::not_found)?;
    let record = web.app.subscriber_record(id).await?;
    let record = record.ok_or_else(Problem::not_found)?;
    Ok(Known {
        name: name.to_owned(),
        id,
        record,
    })
}

/// The two open parts of the path.
pub(super) struct Named(pub String, pub String);

impl FromRequestParts<Web> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, web).await;
        path.map(|Path((name, what))| Self(name, what))
            .map_err(|_| Problem::not_found())
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Page {
    let known = known(&web, &name).await?;
    let view = subscriber_view::view(&web, &who.user, &known.name, &known.record);
    let frame = answers::frame(&web, &who, "A subscriber", HERE);
    Ok(Html(desk::subscriber(frame, view)?))
}

pub(super) async fn report(
    State(web): State<Web>,
    Me(who): Me,
    Named(name, fingerprint): Named,
) -> Page {
    let id = web
        .app
        .subscriber_named(&name)
        .ok_or_else(Problem::not_found)?;
    let report = web.app.raw_report(id, &fingerprint).await?;
    let report = report.ok_or_else(Problem::not_found)?;
    let view = ReportView {
        back: format!("{HERE}/{name}"),
        at: answers::format_time(&web, report.at),
        text: report.text,
        is_cut: report.is_cut,
    };
    let frame = answers::frame(&web, &who, "A report", HERE);
    Ok(Html(desk::report(frame, view)?))
}

/// The data of a person as a file, which no page keeps.
pub(super) async fn download(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let known = known(&web, &name).await?;
    let actor = web.app.actor_of(&who);
    let data = web.app.export_subscriber(&actor, known.id).await?;
    let data = data.ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"subscriber.json\"",
        ),
    ];
    Ok((headers, format!("{data:#}\n")).into_response())
}

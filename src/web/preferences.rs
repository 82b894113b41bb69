//! Preferences of a reader, behind the digest's own link; and the data that is kept of them, behind a fresh one.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use chrono::TimeDelta;
use serde::Deserialize;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::choices::FormFields;
use super::guard::MayAsk;
use super::guard::MayChoose;
use super::guard::PathSegment;
use crate::app::subscribing::preferences::ShortLink;
use crate::domain::address::EmailAddress;
use crate::domain::catalogue::category_key;
use crate::domain::reader::LONGEST_PAUSE;
use crate::domain::reader::Preferences;
use crate::domain::reader::is_name;
use crate::domain::zone::ZoneName;
use crate::render::page;

/// All of them are behind a token.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/preferences/{token}", get(show_preferences).post(set))
        .route(
            "/preferences/{token}/link",
            post(send_link).get(to_preferences),
        )
        .route("/monthly/{token}", get(look_at_monthly).post(set_monthly))
        .route("/account/{token}", get(account))
        .route("/account/{token}/name", post(name).get(to_account))
        .route("/account/{token}/address", post(address).get(to_account))
        .route("/account/{token}/export", post(export).get(to_account))
        .route("/account/{token}/erase", get(look_at_erasure).post(erase))
        .route("/move/{token}", get(look_at_move).post(complete_move))
}

async fn show_preferences(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    show(&web, &token, "", None).await
}

/// A form's answer stays in the address bar, and is asked for again by a reload or a bookmark.
async fn to_preferences(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Redirect, Problem> {
    web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    Ok(Redirect::to(&format!("/preferences/{token}")))
}

/// The same for the forms of the page with one's data.
async fn to_account(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Redirect, Problem> {
    reader_of(&web, &token).await?;
    Ok(Redirect::to(&format!("/account/{token}")))
}

async fn show(web: &Web, token: &str, said: &str, refused: Option<&str>) -> Page {
    let reader = web.app.reader_of(token).ok_or_else(Problem::bad_link)?;
    if !web.app.is_known(reader).await? {
        return Err(erased());
    }
    let wanted = web.app.preferences(reader).await?;
    let categories = web.app.storage.categories(web.app.now()).await?;
    Ok(Html(page::preferences(
        &web.app.site,
        &wanted,
        &categories,
        web.app.now(),
        said,
        (
            token,
            &format!("/unsubscribe/{}", web.app.unsubscribe_token(reader)),
        ),
        page::ZoneField {
            names: &zone_names(web),
            refused,
        },
    )?))
}

/// Time zones to choose from; none where the setting makes no use of one: then nobody is asked.
fn zone_names(web: &Web) -> Vec<ZoneName> {
    match web.app.settings.schedule.local_time {
        true => ZoneName::choices(),
        false => Vec::new(),
    }
}

/// Categories come once for each box that is ticked, so the form is read by hand.
async fn set(
    State(web): State<Web>,
    _: MayChoose,
    PathSegment(token): PathSegment,
    body: String,
) -> Result<Response, Problem> {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    let known = web.app.storage.categories(web.app.now()).await?;
    let before = web.app.preferences(reader).await?;
    let mut zone = None;
    let mut wanted = Preferences {
        categories: Vec::new(),
        monthly: false,
        paused_until: before.paused_until,
    };
    for (key, value) in url::form_urlencoded::parse(body.as_bytes()) {
        match &*key {
            "category" => {
                wanted.categories.extend(
                    known
                        .iter()
                        .find(|category| category_key(category) == category_key(&value))
                        .cloned(),
                );
            }
            "zone" if web.app.settings.schedule.local_time && !value.trim().is_empty() => {
                match ZoneName::parse(&value) {
                    Some(name) => zone = Some(name),
                    None => {
                        let typed: String = value.chars().take(60).collect();
                        let page = show(&web, &token, "", Some(&typed)).await?;
                        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
                    }
                }
            }
            "rhythm" => wanted.monthly = value == "monthly",
            "pause" => match value.parse::<i64>() {
                Ok(0) => wanted.paused_until = None,
                Ok(weeks) if (1..=LONGEST_PAUSE.num_weeks()).contains(&weeks) => {
                    wanted.paused_until = Some(web.app.now() + TimeDelta::weeks(weeks))
                }
                // As it is.
                _ => {}
            },
            _ => {}
        }
    }
    wanted.tidy();
    save(&web, reader, &wanted, zone, &token).await
}

/// Shows the button and changes nothing: scanners follow links.
async fn look_at_monthly(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    if !web.app.is_known(reader).await? {
        return Err(erased());
    }
    let wanted = web.app.preferences(reader).await?;
    Ok(Html(page::monthly(&web.app.site, wanted.monthly, &token)?))
}

/// Leaves the categories and a pause as they are.
async fn set_monthly(
    State(web): State<Web>,
    _: MayChoose,
    PathSegment(token): PathSegment,
) -> Result<Response, Problem> {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    let wanted = Preferences {
        monthly: true,
        ..web.app.preferences(reader).await?
    };
    save(&web, reader, &wanted, None, &token).await
}

/// Keeps what a reader wants, and shows it.
async fn save(
    web: &Web,
    reader: i64,
    wanted: &Preferences,
    zone: Option<ZoneName>,
    token: &str,
) -> Result<Response, Problem> {
    if !web.app.set_preferences(reader, wanted).await? {
        let sentence = "The subscription that this link belongs to is over, so there is nothing to choose. Sign up again whenever you like.";
        return Ok((
            StatusCode::GONE,
            Html(page::notice_page(
                &web.app.site,
                "This link is over",
                &[sentence],
            )?),
        )
            .into_response());
    }
    if let Some(zone) = zone {
        web.app.set_timezone(reader, zone).await?;
    }
    Ok(
        show(web, token, "Saved. Your next digest follows it.", None)
            .await?
            .into_response(),
    )
}

/// The same answer whatever comes of it.
async fn send_link(
    State(web): State<Web>,
    MayAsk(client): MayAsk,
    PathSegment(token): PathSegment,
) -> Page {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    web.app
        .send_account_link(reader, client)
        .await?
        .map_err(too_many_mails)?;
    let arrival = page::arrival(
        web.app.mail_is_held().await?.as_deref(),
        "to the address that gets the digest",
    );
    let sentences = [
        &format!(
            "A mail with a fresh link {arrival}. The link is good for one hour from when it is sent."
        ),
        "If it has not come within a day, it was not sent: ask again.",
        "Only there can your data be seen, changed or erased: whoever a digest is forwarded to cannot.",
    ];
    Ok(Html(page::notice_page(
        &web.app.site,
        "Look in your inbox",
        &sentences,
    )?))
}

fn too_many_mails(wait: TimeDelta) -> Problem {
    Problem::too_many("requests for a mail", wait.to_std().unwrap_or_default())
}

/// The reader whose link to their data it is; else the answer to give. After an erasure no button behind it may say that
/// something was saved.
async fn reader_of(web: &Web, token: &str) -> Result<i64, Problem> {
    match web.app.account_link(token) {
        ShortLink::Good(reader) if web.app.is_known(reader).await? => Ok(reader),
        ShortLink::Good(_) => Err(erased()),
        ShortLink::Over => Err(over()),
        ShortLink::Forged => Err(Problem::bad_link()),
    }
}

fn erased() -> Problem {
    let sentence = "Nothing is known here of whom this link belonged to: it was erased. Sign up again whenever you like.";
    Problem::new(StatusCode::GONE, "Nothing is left here", sentence)
}

fn over() -> Problem {
    let sentence = "Such a link is good for a short time only, and this one's is over. Ask for a new one from the preferences in any digest.";
    Problem::new(StatusCode::GONE, "This link has expired", sentence)
}

/// Shows what can be done, and nothing of the person: mail programs look at links too.
async fn account(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    reader_of(&web, &token).await?;
    Ok(Html(page::account(&web.app.site, &token, None)?))
}

#[derive(Debug, Deserialize)]
struct NameFields {
    name: String,
}

async fn name(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
    FormFields(fields): FormFields<NameFields>,
) -> Result<Response, Problem> {
    let reader = reader_of(&web, &token).await?;
    let name = fields.name.trim();
    if !name.is_empty() && !is_name(name) {
        let refused = page::RefusedField {
            field: "name",
            typed: &fields.name,
            sentence: "A name is one line of at most 100 characters.",
        };
        return Ok((
            StatusCode::UNPROCESSABLE_ENTITY,
            Html(page::account(&web.app.site, &token, Some(refused))?),
        )
            .into_response());
    }
    if !web
        .app
        .set_name(reader, (!name.is_empty()).then_some(name))
        .await?
    {
        return Err(erased());
    }
    let sentence = if name.is_empty() {
        "Your name is removed."
    } else {
        "That is what we call you from now on."
    };
    Ok(Html(page::notice_page(&web.app.site, "Saved", &[sentence])?).into_response())
}

#[derive(Debug, Deserialize)]
struct AddressFields {
    email: String,
}

async fn address(
    State(web): State<Web>,
    MayAsk(client): MayAsk,
    PathSegment(token): PathSegment,
    FormFields(fields): FormFields<AddressFields>,
) -> Result<Response, Problem> {
    let reader = reader_of(&web, &token).await?;
    let email = match EmailAddress::parse_new(fields.email.trim()) {
        Ok(email) => email,
        Err(error) => {
            let sentence = error.to_string();
            let refused = page::RefusedField {
                field: "email",
                typed: &fields.email,
                sentence: &sentence,
            };
            return Ok((
                StatusCode::UNPROCESSABLE_ENTITY,
                Html(page::account(&web.app.site, &token, Some(refused))?),
            )
                .into_response());
        }
    };
    web.app
        .ask_to_move(reader, &email, client)
        .await?
        .map_err(too_many_mails)?;
    let arrival = page::arrival(web.app.mail_is_held().await?.as_deref(), "to it");
    let sentences = [
        &format!(
            "If that address can get our mail, a message with a link {arrival}. Your digests go there once its button is pressed."
        ),
        "If it has not come within a week, it was not sent: ask again.",
    ];
    Ok(Html(page::notice_page(
        &web.app.site,
        "Look in the new inbox",
        &sentences,
    )?)
    .into_response())
}

async fn export(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Response, Problem> {
    let reader = reader_of(&web, &token).await?;
    let everything = web
        .app
        .export_reader(reader)
        .await?
        .ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"my-data.json\"",
        ),
    ];
    let text = serde_json::to_string_pretty(&everything).unwrap_or_default();
    Ok((headers, text).into_response())
}

/// Shows the second step, and changes nothing.
async fn look_at_erasure(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    reader_of(&web, &token).await?;
    Ok(Html(page::confirm_erasure(&web.app.site, &token)?))
}

/// Erases once the second step says so: what is gone cannot be brought back, so one press, or one request that was sent twice by a
/// browser, is not enough. Erasing twice is erasing once.
async fn erase(State(web): State<Web>, PathSegment(token): PathSegment, body: String) -> Page {
    let reader = match web.app.account_link(&token) {
        ShortLink::Good(reader) => reader,
        ShortLink::Over => return Err(over()),
        ShortLink::Forged => return Err(Problem::bad_link()),
    };
    let is_sure = url::form_urlencoded::parse(body.as_bytes())
        .any(|(key, value)| key == "sure" && value == "yes");
    if !is_sure && web.app.is_known(reader).await? {
        return Ok(Html(page::confirm_erasure(&web.app.site, &token)?));
    }
    web.app.erase_reader(reader).await?;
    let sentences = [
        "Nothing of you is left here but a keyed hash of your address, so that no list brings you back.",
        "Goodbye.",
    ];
    Ok(Html(page::notice_page(
        &web.app.site,
        "You are forgotten",
        &sentences,
    )?))
}

/// Shows the button and changes nothing: scanners follow links.
async fn look_at_move(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    match web.app.move_link(&token) {
        ShortLink::Good(id) if web.app.storage.is_move_open(id).await? => {
            Ok(Html(page::confirm_move(&web.app.site, &token)?))
        }
        ShortLink::Forged => Err(Problem::bad_link()),
        _ => Err(over()),
    }
}

async fn complete_move(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    match web.app.move_link(&token) {
        ShortLink::Good(id) if web.app.complete_move(id).await? => {
            let sentence = "Your digests come to this address from now on. The old one was told.";
            Ok(Html(page::notice_page(
                &web.app.site,
                "This is your address now",
                &[sentence],
            )?))
        }
        ShortLink::Forged => Err(Problem::bad_link()),
        _ => Err(over()),
    }
}

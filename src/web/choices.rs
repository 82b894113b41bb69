//! Votes and saved tools: by the buttons on the pages, and by the links in a digest.

use axum::Form;
use axum::Json;
use axum::Router;
use axum::extract::FromRequest;
use axum::extract::Path;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::answer::wants_json;
use super::cookies;
use super::cookies::Holder;
use super::cookies::OwnPage;
use super::guard::MayChoose;
use super::guard::PathSegment;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::reader::ReaderToolState;
use crate::render::page;
use crate::render::page::VisitorView;
use crate::storage::votes::Voted;

/// Saved tools that a comparison's page names.
const NAMED: usize = 5;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/tools/{slug}/vote", post(vote_on_page).get(to_tool))
        .route("/tools/{slug}/save", post(save_on_page).get(to_tool))
        .route("/saved", get(my_saved))
}

/// Those behind a token.
pub(super) fn private_routes() -> Router<Web> {
    Router::new()
        .route(
            "/vote/{tool}/{verdict}/{token}",
            get(look_at_vote).post(vote),
        )
        .route("/save/{tool}/{token}", get(look_at_save).post(save))
        .route("/choose/{comparison}/{token}", get(choose))
        .route("/saved/{token}", get(saved).post(forget))
}

/// A form's fields; anything else is a sentence, not a stack of terms.
pub(super) struct FormFields<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Web> for FormFields<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Problem> {
        match Form::<T>::from_request(request, web).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(rejection) => {
                let sentence = "That is not what the form on the page sends. Go back and press its button again.";
                Err(Problem::new(
                    rejection.into_response().status(),
                    "Not understood",
                    sentence,
                ))
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct VoteFields {
    verdict: Verdict,
    #[serde(default)]
    back: String,
}

#[derive(Debug, Deserialize)]
struct SaveFields {
    save: String,
    #[serde(default)]
    back: String,
}

#[derive(Debug, Deserialize)]
struct ForgetFields {
    remove: Slug,
}

/// A refused button's answer stays in the address bar, and is asked for again by a reload.
async fn to_tool(PathSegment(slug): PathSegment) -> Result<Redirect, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    Ok(Redirect::to(&format!("/tools/{slug}")))
}

/// Returns who looks at a page, and what they did with the tools on it.
pub(super) async fn visit(
    web: &Web,
    holder: &Holder,
    tools: &[&Slug],
) -> Result<VisitorView, Problem> {
    let reader = holder.reader.as_ref().map(|(id, _)| *id);
    let visitor = holder
        .visitor
        .as_deref()
        .map(crate::domain::token::cookie_hash);
    let standings = web
        .app
        .storage
        .standings(tools, reader, visitor.as_deref())
        .await?;
    let saved = match reader {
        Some(reader) => web.app.storage.saved_names(reader, NAMED as i64).await?,
        None => Vec::new(),
    };
    Ok(VisitorView {
        is_reader: reader.is_some(),
        standings,
        saved,
    })
}

async fn vote_on_page(
    State(web): State<Web>,
    _: OwnPage,
    MayChoose(client): MayChoose,
    holder: Holder,
    PathSegment(slug): PathSegment,
    headers: HeaderMap,
    FormFields(fields): FormFields<VoteFields>,
) -> Result<Response, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    let mut jar = CookieJar::new();
    let voted = match (&holder.reader, &holder.visitor) {
        // Somebody whose subscription is over votes as any visitor does.
        (Some((reader, _)), _) if web.app.storage.is_active(*reader).await? => {
            web.app.vote(*reader, &slug, fields.verdict).await?
        }
        (_, Some(cookie)) => {
            web.app
                .vote_as_visitor(cookie, client, &slug, fields.verdict)
                .await?
        }
        (_, None) => {
            let (with_cookie, cookie) = cookies::visitor(&web);
            jar = with_cookie;
            web.app
                .vote_as_visitor(&cookie, client, &slug, fields.verdict)
                .await?
        }
    };
    match voted {
        Voted::Counted => {}
        Voted::Nothing => return Err(Problem::not_found()),
        Voted::TooMany => {
            let sentence = "Your network has had its votes on this tool. Sign up, and yours counts by the link in your digest.";
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Enough votes from there",
                sentence,
            ));
        }
    }
    let said = format!("Your vote counts: {}.", fields.verdict);
    Ok((
        jar,
        answer(
            &web,
            &headers,
            &slug,
            &fields.back,
            said,
            serde_json::json!({ "vote": fields.verdict }),
        )
        .await?,
    )
        .into_response())
}

async fn save_on_page(
    State(web): State<Web>,
    _: OwnPage,
    _: MayChoose,
    holder: Holder,
    PathSegment(slug): PathSegment,
    headers: HeaderMap,
    FormFields(fields): FormFields<SaveFields>,
) -> Result<Response, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    let Some((reader, _)) = holder.reader else {
        let sentence = "Saved tools belong to a subscription. Sign up, or open a link from one of your digests in this browser, and save it then.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "For readers", sentence));
    };
    let (said, saved) = if fields.save == "no" {
        web.app.forget_tool(reader, &slug).await?;
        ("It is no longer among your saved tools.", false)
    } else if web.app.save_tool(reader, &slug).await? {
        ("Saved for later.", true)
    } else {
        return Err(cannot_save());
    };
    answer(
        &web,
        &headers,
        &slug,
        &fields.back,
        said.into(),
        serde_json::json!({ "saved": saved }),
    )
    .await
}

fn cannot_save() -> Problem {
    let sentence = "There is no such tool any more, your subscription is over, or your list is full. Sign up again, or remove a tool.";
    Problem::new(StatusCode::CONFLICT, "Not saved", sentence)
}

/// After a button of a page: back to it, or for its script what changed.
async fn answer(
    web: &Web,
    headers: &HeaderMap,
    slug: &Slug,
    back: &str,
    said: String,
    mut news: serde_json::Value,
) -> Result<Response, Problem> {
    if !wants_json(headers) {
        return Ok(Redirect::to(&format!("{}#choices-{slug}", safe(back, slug))).into_response());
    }
    let contender = web
        .app
        .storage
        .contender(slug, web.app.now())
        .await?
        .ok_or_else(Problem::not_found)?;
    news["community"] = contender.community().into();
    news["said"] = said.into();
    Ok(Json(news).into_response())
}

/// One of our own pages, whatever the form says.
fn safe(back: &str, slug: &Slug) -> String {
    let (room, name) = back
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .unwrap_or_default();
    match name.parse::<Slug>() {
        Ok(name) if matches!(room, "comparisons" | "tools") => format!("/{room}/{name}"),
        _ => format!("/tools/{slug}"),
    }
}

/// Returns what is at a link of a digest: whose it is, and the tool with what they did with it.
async fn behind(
    web: &Web,
    tool: &str,
    token: &str,
) -> Result<(i64, RatedTool, ReaderToolState), Problem> {
    let reader = web.app.reader_of(token).ok_or_else(Problem::bad_link)?;
    let slug: Slug = tool.parse().map_err(|_| Problem::bad_link())?;
    let contender = web
        .app
        .storage
        .contender(&slug, web.app.now())
        .await?
        .ok_or_else(Problem::not_found)?;
    let standing = web
        .app
        .storage
        .standings(&[&slug], Some(reader), None)
        .await?
        .pop()
        .unwrap_or_default();
    Ok((reader, contender, standing))
}

/// Shows the choice and changes nothing: scanners follow links.
async fn look_at_vote(
    State(web): State<Web>,
    Path((tool, verdict, token)): Path<(String, String, String)>,
) -> Page {
    let verdict: Verdict = verdict.parse().map_err(|_| Problem::bad_link())?;
    let (_, contender, standing) = behind(&web, &tool, &token).await?;
    Ok(Html(page::vote(
        &web.app.site,
        &contender,
        verdict,
        standing,
        &token,
    )?))
}

async fn vote(
    State(web): State<Web>,
    _: MayChoose,
    Path((tool, verdict, token)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let verdict: Verdict = verdict.parse().map_err(|_| Problem::bad_link())?;
    let (reader, contender, _) = behind(&web, &tool, &token).await?;
    if web.app.vote(reader, &contender.tool.slug, verdict).await? != Voted::Counted {
        return Ok(over(&web)?.into_response());
    }
    let (_, contender, standing) = behind(&web, &tool, &token).await?;
    Ok((
        cookies::reader(&web, &token),
        Html(page::voted(&web.app.site, &contender, standing, &token)?),
    )
        .into_response())
}

/// Shows the buttons for both tools of a comparison and changes nothing.
async fn choose(State(web): State<Web>, Path((comparison, token)): Path<(String, String)>) -> Page {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    let slug: Slug = comparison.parse().map_err(|_| Problem::bad_link())?;
    let matchup = web
        .app
        .storage
        .matchup(&slug, web.app.now())
        .await?
        .ok_or_else(Problem::not_found)?;
    let tools = matchup.contenders().map(|side| &side.tool.slug);
    let standings = web
        .app
        .storage
        .standings(&tools, Some(reader), None)
        .await?;
    Ok(Html(page::choose(
        &web.app.site,
        &matchup,
        &standings,
        &token,
    )?))
}

/// Shows the button and changes nothing.
async fn look_at_save(State(web): State<Web>, Path((tool, token)): Path<(String, String)>) -> Page {
    let (_, contender, standing) = behind(&web, &tool, &token).await?;
    Ok(Html(page::save(
        &web.app.site,
        &contender,
        standing,
        &token,
    )?))
}

async fn save(
    State(web): State<Web>,
    _: MayChoose,
    Path((tool, token)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (reader, contender, _) = behind(&web, &tool, &token).await?;
    if !web.app.save_tool(reader, &contender.tool.slug).await? {
        return Ok(over(&web)?.into_response());
    }
    let (_, contender, standing) = behind(&web, &tool, &token).await?;
    Ok((
        cookies::reader(&web, &token),
        Html(page::saved(&web.app.site, &contender, standing, &token)?),
    )
        .into_response())
}

/// The links of somebody who left, or whose list of saved tools is full.
fn over(web: &Web) -> Result<(StatusCode, Html<String>), Problem> {
    let sentence = "It does not count: the subscription that this link belongs to is over, or its list of saved tools is full.";
    Ok((
        StatusCode::GONE,
        Html(page::notice_page(
            &web.app.site,
            "This link is over",
            &[sentence],
        )?),
    ))
}

/// Returns what the reader whose link it is saved.
async fn saved(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    let saved = web.app.saved_tools(reader).await?;
    Ok(Html(page::saved_tools(&web.app.site, &saved, &token)?))
}

/// Takes one of them out.
async fn forget(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
    FormFields(fields): FormFields<ForgetFields>,
) -> Result<Redirect, Problem> {
    let reader = web.app.reader_of(&token).ok_or_else(Problem::bad_link)?;
    web.app.forget_tool(reader, &fields.remove).await?;
    Ok(Redirect::to(&format!("/saved/{token}")))
}

/// The same for a browser that holds the reader's cookie.
async fn my_saved(State(web): State<Web>, holder: Holder) -> Result<Response, Problem> {
    let answer = match holder.reader {
        Some((_, token)) => Redirect::to(&format!("/saved/{token}")).into_response(),
        None => {
            let sentence = "Your saved tools are behind the links of your digest: open one of them in this browser.";
            Html(page::notice_page(
                &web.app.site,
                "Saved for later",
                &[sentence],
            )?)
            .into_response()
        }
    };
    Ok(answer)
}

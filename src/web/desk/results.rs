//! Results of an issue in words and charts, who left because of it, and its ledger as a file.

use axum::body::Body;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::stream;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::subscribers;
use super::subscribers::path_of;
use super::week;
use super::week::DIGESTS;
use crate::app::issue::results::IssueFigures;
use crate::app::issue::results::IssueResults;
use crate::app::issue::week::Week;
use crate::domain::progress::MinuteStats;
use crate::domain::reader::UnsubscribeReason;
use crate::domain::slot::Slot;
use crate::domain::subscriber_filter::Search;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk;
use crate::render::desk::BesideRow;
use crate::render::desk::LeaverRow;
use crate::render::desk::ResultsView;
use crate::render::desk::WeekView;
use crate::render::desk::chart::Bar;
use crate::render::desk::chart::BarChart;
use crate::render::desk::chart::Chart;
use crate::render::desk::chart::ChartWords;
use crate::render::desk::chart::Look;
use crate::render::desk::chart::Series;
use crate::render::desk::grouped;
use crate::storage::digest_results::OutcomeCounts;
use crate::storage::digest_results::REACTIONS_MAX;

/// Columns of the chart of a send at most: a longer one has several minutes in each.
const COLUMNS: usize = 120;
/// Readers on a page of those who left.
const LISTED: usize = 50;

/// Adds the results of a week that went out.
pub(super) async fn add(
    web: &Web,
    user: &User,
    week: &Week,
    view: &mut WeekView,
) -> Result<(), Problem> {
    let published = week
        .status
        .as_ref()
        .and_then(|status| status.digest.published_at);
    if published.is_some() {
        let results = web.app.issue_results(week.slot).await?;
        view.results = Some(results_view(web, user, &results));
    }
    Ok(())
}

fn results_view(web: &Web, user: &User, results: &IssueResults) -> ResultsView {
    let slot = results.slot;
    let may_list = user.role.may(Area::Subscribers, AccessLevel::Masked);
    let (mut audit, mut faults, mut counting) = (None, Vec::new(), None);
    match &results.counted {
        Some(state) if let Some(at) = state.done_at => {
            faults.clone_from(&state.faults);
            let at = answers::format_time(web, at);
            let words = match faults.is_empty() {
                true => format!("The ledger was checked {at}: each recipient is in it once."),
                false => format!("The ledger was checked {at}:"),
            };
            audit = Some((words, faults.is_empty()));
        }
        _ if results.deliveries.open() > 0 => {
            counting = Some("Domains and relays are counted once it is over.");
        }
        _ => counting = Some("Domains and relays are being counted: look again in some minutes."),
    }
    let left = results.reactions.left;
    let changed: i64 = results.votes.iter().map(|votes| votes.changed).sum();
    let reasons = results.reasons_for_leaving.iter();
    ResultsView {
        slot: slot.to_string(),
        minutes: minutes(web, &results.minutes),
        domains: outcomes(
            ("domains", "By recipient domain", "Domain"),
            &results.domains,
            "all others",
            |name| may_list.then(|| domain_path(name)),
        ),
        relays: outcomes(
            ("relays", "By relay", "Relay"),
            &results.relays,
            "never begun",
            |_| None,
        ),
        counting,
        audit,
        faults,
        reactions: vec![
            (
                "unsubscribed",
                capped(left),
                (may_list && left > 0).then(|| format!("{DIGESTS}/{slot}/left")),
            ),
            ("complained", capped(results.reactions.complained), None),
            (
                "ended by refused mail",
                capped(results.reactions.bounced),
                None,
            ),
        ],
        reasons: reasons
            .filter_map(|(code, count)| {
                let reason = UnsubscribeReason::from_code(code)?;
                Some((reason.label(), grouped(*count)))
            })
            .collect(),
        votes: votes(results),
        changed: (changed > 0).then(|| {
            let (people, mind) = match changed {
                1 => ("vote was", "a reader who had voted otherwise before"),
                _ => ("votes were", "readers who had voted otherwise before"),
            };
            format!("{} {people} by {mind}.", grouped(changed.unsigned_abs()))
        }),
        beside: results
            .beside
            .iter()
            .map(|figures| beside(slot, figures))
            .collect(),
        may_download: user.role.may(Area::Erase, AccessLevel::Write),
    }
}

fn capped(count: u64) -> String {
    match count >= REACTIONS_MAX {
        true => format!("{}+", grouped(REACTIONS_MAX)),
        false => grouped(count),
    }
}

fn domain_path(domain: &str) -> String {
    let searched = format!("@{domain}");
    path_of(
        &SubscriberFilter {
            search: Search::parse(&searched),
            searched,
            ..SubscriberFilter::default()
        },
        None,
    )
}

/// Mails minute by minute, or in steps of several minutes.
fn minutes(web: &Web, minutes: &[MinuteStats]) -> Chart {
    let (first, last) = match (minutes.first(), minutes.last()) {
        (Some(first), Some(last)) => (first.at, last.at),
        _ => return Chart::columns(minute_words(1), Vec::new(), &[]),
    };
    let lasted = (last - first).num_minutes().unsigned_abs() as usize + 1;
    let step = lasted.div_ceil(COLUMNS);
    let mut sums = vec![MinuteStats::default(); lasted.div_ceil(step)];
    for minute in minutes {
        let at = (minute.at - first).num_minutes().unsigned_abs() as usize / step;
        if let Some(sum) = sums.get_mut(at) {
            sum.add(minute);
        }
    }
    let labels = (0..sums.len()).map(|at| {
        let minute = chrono::TimeDelta::minutes((at * step) as i64);
        let local = (first + minute).with_timezone(&web.app.site.timezone);
        match lasted > 24 * 60 {
            true => local.format("%-d %b %H:%M").to_string(),
            false => local.format("%H:%M").to_string(),
        }
    });
    let of = |name: &str, look: Look, value: fn(&MinuteStats) -> u64| {
        Series::counts(name, look, sums.iter().map(value))
    };
    let series = [
        of("sent", Look::Good, |minute| minute.sent),
        of("failed", Look::Bad, |minute| minute.failed),
        of("put off", Look::Doubt, |minute| minute.later),
        of("skipped", Look::Other, |minute| minute.skipped),
    ];
    let shown: Vec<Series> = series
        .into_iter()
        .enumerate()
        .filter(|(at, series)| *at == 0 || series.values.iter().flatten().any(|value| *value > 0.0))
        .map(|(_, series)| series)
        .collect();
    Chart::columns(minute_words(step), labels.collect(), &shown)
}

fn minute_words(step: usize) -> ChartWords {
    ChartWords {
        id: "minutes",
        title: match step {
            1 => "Mails per minute".into(),
            _ => format!("Mails per {step} minutes"),
        },
        description: "Columns from the begin of the send to its end: what became of the mails in that time. The table below has the numbers.".into(),
        unit: "at most",
        of: "Time",
    }
}

fn outcomes(
    (id, title, of): (&'static str, &str, &'static str),
    rows: &[OutcomeCounts],
    others: &str,
    href: impl Fn(&str) -> Option<String>,
) -> BarChart {
    let count = |count: i64| count.unsigned_abs();
    let bars = rows.iter().map(|row| {
        let tried = count(row.sent + row.failed + row.uncertain);
        let share = match tried {
            0 => "not tried".into(),
            tried => format!("{} got it", percent(count(row.sent), tried)),
        };
        Bar {
            label: if row.name.is_empty() {
                others.into()
            } else {
                row.name.clone()
            },
            href: (!row.name.is_empty()).then(|| href(&row.name)).flatten(),
            words: format!("{} · {share}", grouped(count(row.all()))),
            values: [row.sent, row.failed, row.uncertain, row.skipped]
                .map(count)
                .to_vec(),
        }
    });
    let words = ChartWords {
        id,
        title: title.into(),
        description: "A bar for each, as long as its number of mails, with what became of them."
            .into(),
        unit: "",
        of,
    };
    let kinds = vec![
        ("sent", Look::Good),
        ("failed", Look::Bad),
        ("uncertain", Look::Doubt),
        ("skipped", Look::Other),
    ];
    BarChart::new(words, kinds, bars.collect())
}

fn votes(results: &IssueResults) -> BarChart {
    let bars = results.votes.iter().map(|votes| {
        let (ships, skips) = (votes.ships.unsigned_abs(), votes.skips.unsigned_abs());
        Bar {
            label: votes.tool.clone(),
            href: Some(format!("/tools/{}", votes.tool)),
            words: format!("{} ship, {} skip", grouped(ships), grouped(skips)),
            values: vec![ships, skips],
        }
    });
    let words = ChartWords {
        id: "votes-by-tool",
        title: "By tool".into(),
        description: "A bar for each tool of the issue, with readers' votes to ship and to skip."
            .into(),
        unit: "",
        of: "Tool",
    };
    BarChart::new(
        words,
        vec![("ship", Look::Good), ("skip", Look::Bad)],
        bars.collect(),
    )
}

/// "98.7 %"; never 100 % where some are missing.
pub(super) fn percent(part: u64, all: u64) -> String {
    let share = part as f64 * 100.0 / all.max(1) as f64;
    match part == all {
        true => "100 %".into(),
        false => format!("{:.1} %", share.min(99.9)),
    }
}

fn beside(this: Slot, figures: &IssueFigures) -> BesideRow {
    let tally = figures.deliveries;
    BesideRow {
        slot: figures.slot.to_string(),
        is_this: figures.slot == this,
        recipients: grouped(figures.recipients.unsigned_abs()),
        sent: percent(tally.sent, figures.recipients.unsigned_abs().max(1)),
        failed: grouped(tally.failed + tally.uncertain),
        bounced: capped(figures.reactions.bounced),
        complained: capped(figures.reactions.complained),
        left: capped(figures.reactions.left),
        votes: grouped(figures.votes.unsigned_abs()),
    }
}

/// Place behind a reader, as it stands in an address: when they left, and who they are.
fn place(web: &Web, query: Option<&str>) -> Option<(i64, i64)> {
    let (at, name) = query?.strip_prefix("after=")?.split_once('.')?;
    Some((at.parse().ok()?, web.app.subscriber_named(name)?))
}

/// Readers who unsubscribed because of an issue.
pub(super) async fn left(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
    RawQuery(query): RawQuery,
) -> Page {
    let slot = week::known(&web, &slot).await?;
    let after = match query.as_deref() {
        None | Some("") => None,
        query => Some(place(&web, query).ok_or_else(Problem::not_found)?),
    };
    // One more than are shown says whether there is another page.
    let most = LISTED as i64 + 1;
    let leavers = web.app.storage.leavers(slot, after, most).await?;
    let may_look = who.user.role.may(Area::Subscribers, AccessLevel::Read);
    let path = |id: i64| format!("{}/{}", subscribers::HERE, web.app.subscriber_name(id));
    let rows = leavers.iter().take(LISTED).map(|leaver| LeaverRow {
        email: subscribers::shown(&who.user, &leaver.email),
        href: may_look.then(|| path(leaver.subscriber)),
        when: answers::format_time(&web, leaver.at),
        reason: leaver.reason.map_or("none given", UnsubscribeReason::label),
    });
    let next = leavers
        .get(LISTED - 1)
        .filter(|_| leavers.len() > LISTED)
        .map(|last| {
            let name = web.app.subscriber_name(last.subscriber);
            format!(
                "{DIGESTS}/{slot}/left?after={}.{name}",
                last.at.timestamp_millis()
            )
        });
    let title = format!("Who left because of {slot}");
    let frame = answers::frame(&web, &who, &title, week::place_of(&web, slot));
    Ok(Html(desk::left(
        frame,
        &slot.to_string(),
        rows.collect(),
        after.is_none(),
        next,
    )?))
}

/// The ledger of an issue as CSV, part by part: a file of any length in little memory.
pub(super) async fn ledger(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slot): PathSegment,
) -> Result<Response, Problem> {
    let slot = week::known(&web, &slot).await?;
    let actor = web.app.actor_of(&who);
    let head = match web.app.begin_ledger_export(&actor, slot).await {
        Ok(head) => head,
        Err(failure) => {
            let said = answers::refusal(failure)?;
            return answers::done(&web, &who, &said, &format!("{DIGESTS}/{slot}")).await;
        }
    };
    let begin = (Some(head), Some(i64::MIN));
    let parts = stream::try_unfold(begin, move |(head, after)| {
        let app = web.app.clone();
        async move {
            if let Some(head) = head {
                return Ok(Some((head, (None, after))));
            }
            let Some(after) = after else { return Ok(None) };
            let page = app
                .ledger_page(slot, after)
                .await
                .map_err(std::io::Error::other)?;
            let more = page.next.map(|next| (page.text, (None, Some(next))));
            Ok::<_, std::io::Error>(more)
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"ledger-{slot}.csv\""),
        ),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

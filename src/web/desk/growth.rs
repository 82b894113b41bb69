//! Growth in words and charts.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Html;
use chrono::NaiveDate;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::access::Me;
use super::answers;
use super::week::DIGESTS;
use crate::app::growth::Cohort;
use crate::app::growth::GrowthChange;
use crate::app::growth::GrowthReport;
use crate::app::growth::GrowthSpan;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::CohortRow;
use crate::render::desk::FigureView;
use crate::render::desk::GrowthRow;
use crate::render::desk::GrowthView;
use crate::render::desk::chart::Chart;
use crate::render::desk::chart::ChartWords;
use crate::render::desk::chart::Look;
use crate::render::desk::chart::Series;
use crate::render::desk::grouped;

const HERE: &str = "/desk/growth";

/// Spans that can be chosen: word in the address, words, days, and whether by week.
const SPANS: [(&str, &str, i64, bool); 4] = [
    ("30-days", "30 days", 30, false),
    ("90-days", "90 days", 90, false),
    ("52-weeks", "52 weeks", 364, true),
    ("5-years", "5 years", 1_826, true),
];
/// The one that is shown unless another is chosen.
const USUAL: &str = "90-days";

pub(super) async fn show(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let chosen = match query.as_deref() {
        None | Some("") => USUAL,
        Some(query) => query.strip_prefix("span=").ok_or_else(Problem::not_found)?,
    };
    let known = SPANS.iter().find(|(word, ..)| *word == chosen);
    let (_, _, days, by_week) = known.ok_or_else(Problem::not_found)?;
    let span = GrowthSpan {
        days: *days,
        by_week: *by_week,
    };
    let report = web.app.growth(span).await?;
    let may_list = who.user.role.may(Area::Subscribers, AccessLevel::Masked);
    let frame = answers::frame(&web, &who, "Growth", HERE);
    Ok(Html(desk::growth(
        frame,
        view(&report, chosen, span, may_list),
    )?))
}

fn view(report: &GrowthReport, chosen: &str, span: GrowthSpan, may_list: bool) -> GrowthView {
    let spans = SPANS.iter().map(|(word, words, ..)| {
        let href = format!("{HERE}?span={word}");
        (*words, href, *word == chosen)
    });
    let figure = |number: String, words: &'static str| FigureView { number, words };
    let total = &report.total;
    let mut figures = vec![
        figure(signless(report.active), "readers now"),
        figure(
            signed(total.gained() - total.lost()),
            "net change in this span",
        ),
    ];
    if let Some(rate) = report.confirmation_rate {
        let percent = format!("{:.0} %", rate * 100.0);
        figures.push(figure(percent, "of those who asked to join confirmed"));
    }
    if let Some(seconds) = report.median_seconds_to_confirm {
        figures.push(figure(about(seconds), "until half of them confirmed"));
    }
    let sources = report.sources.iter().map(|source| GrowthRow {
        name: match source.source.as_str() {
            "" => "not known".into(),
            name => name.into(),
        },
        href: (may_list && !source.source.is_empty()).then(|| {
            let filter = SubscriberFilter {
                source: Some(source.source.clone()),
                ..SubscriberFilter::default()
            };
            super::subscribers::path_of(&filter, None)
        }),
        cells: source_cells(&source.change),
    });
    let issues = report.issues.iter().map(|issue| GrowthRow {
        name: issue.slot.to_string(),
        href: Some(format!("{DIGESTS}/{}", issue.slot)),
        cells: issue_cells(&issue.change),
    });
    GrowthView {
        spans: spans.collect(),
        reading: (!report.is_complete).then_some(
            "The histories of before this version are being read: these numbers grow until that is done.",
        ),
        figures,
        active: active(report, span),
        changes: changes(report, span),
        sources: sources.collect(),
        survival: survival(&report.cohorts),
        cohorts: report
            .cohorts
            .iter()
            .map(|row| cohort(row, report.cohorts.len()))
            .collect(),
        weeks: (0..report.cohorts.len()).collect(),
        issues: issues.collect(),
    }
}

fn signless(count: i64) -> String {
    grouped(count.max(0).unsigned_abs())
}

/// "+12", "−3", "0".
fn signed(count: i64) -> String {
    let sign = match count {
        1.. => "+",
        0 => "",
        _ => "−",
    };
    format!("{sign}{}", grouped(count.unsigned_abs()))
}

/// "about 4 min"
fn about(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..90 => (seconds, "s"),
        90..5_400 => (seconds / 60, "min"),
        5_400..129_600 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("about {count} {unit}")
}

fn source_cells(change: &GrowthChange) -> Vec<String> {
    let counts = [
        change.joined,
        change.confirmed,
        change.imported,
        change.left() + change.erased,
        change.bounced,
        change.complained,
    ];
    let net = signed(change.gained() - change.lost());
    counts.into_iter().map(signless).chain([net]).collect()
}

fn issue_cells(change: &GrowthChange) -> Vec<String> {
    let counts = [
        change.gained(),
        change.left(),
        change.bounced,
        change.complained,
        change.erased,
    ];
    let net = signed(change.gained() - change.lost());
    counts.into_iter().map(signless).chain([net]).collect()
}

fn day(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

fn labels(report: &GrowthReport) -> Vec<String> {
    report.steps.iter().map(|step| day(step.from)).collect()
}

fn of(span: GrowthSpan) -> &'static str {
    if span.by_week { "Week of" } else { "Day" }
}

fn active(report: &GrowthReport, span: GrowthSpan) -> Chart {
    let counts = report
        .steps
        .iter()
        .map(|step| step.active.max(0).unsigned_abs());
    let words = ChartWords {
        id: "active",
        title: "Readers on the list".into(),
        description: format!(
            "A line from {} to {} readers.",
            report
                .steps
                .first()
                .map_or_else(String::new, |step| signless(step.active)),
            signless(report.active)
        ),
        unit: "readers",
        of: of(span),
    };
    let series = [Series::counts("readers", Look::Good, counts)];
    Chart::lines(words, labels(report), &series, None)
}

fn changes(report: &GrowthReport, span: GrowthSpan) -> Chart {
    let series = |name: &str, look: Look, value: fn(&GrowthChange) -> i64| {
        let counts = report
            .steps
            .iter()
            .map(|step| value(&step.change).max(0).unsigned_abs());
        Series::counts(name, look, counts)
    };
    let words = ChartWords {
        id: "changes",
        title: "Who came and who left".into(),
        description: "Columns that stand on one another: who came, who left, and whose mail was refused or who complained.".into(),
        unit: "at most",
        of: of(span),
    };
    let all = [
        series("came", Look::Good, GrowthChange::gained),
        series("left or erased", Look::Bad, |change| {
            change.left() + change.erased
        }),
        series("bounced or complained", Look::Doubt, |change| {
            change.bounced + change.complained
        }),
    ];
    Chart::columns(words, labels(report), &all)
}

/// Share of all readers of the cohorts that is left after so many weeks.
fn survival(cohorts: &[Cohort]) -> Chart {
    let share = |week: usize| {
        let old_enough = cohorts
            .iter()
            .filter_map(|cohort| Some((cohort.gained, *cohort.left_over.get(week)?)));
        let (came, left) = old_enough.fold((0, 0), |(came, left), (more, over)| {
            (came + more, left + over)
        });
        (came > 0).then(|| left as f64 * 100.0 / came as f64)
    };
    let words = ChartWords {
        id: "survival",
        title: "Still there after so many weeks".into(),
        description: "A line that begins at a hundred percent and falls: the readers of the last twelve weeks together, as far as they are old enough.".into(),
        unit: "percent",
        of: "Weeks",
    };
    let labels = (0..cohorts.len()).map(|week| match week {
        1 => "1 week".into(),
        week => format!("{week} weeks"),
    });
    let series = [Series {
        name: "percent".into(),
        look: Look::Good,
        values: (0..cohorts.len()).map(share).collect(),
    }];
    Chart::lines(words, labels.collect(), &series, Some(100.0))
}

fn cohort(cohort: &Cohort, weeks: usize) -> CohortRow {
    let cells = cohort.left_over.iter().map(|left| {
        let share = (cohort.gained > 0).then(|| *left as f64 / cohort.gained as f64)?;
        let shade = (share * 10.0).ceil().clamp(1.0, 10.0) as u8 - 1;
        Some((format!("{:.0}", share * 100.0), shade))
    });
    // A row is as wide as the table, also where its weeks are still to come.
    let cells = cells.chain(std::iter::repeat_with(|| None)).take(weeks);
    CohortRow {
        week: day(cohort.from),
        gained: signless(cohort.gained),
        cells: cells.collect(),
    }
}

//! `subscribers growth`: the list over time.

use std::fmt::Write as _;

use serde_json::json;

use crate::app::App;
use crate::app::Failure;
use crate::app::growth::GrowthChange;
use crate::app::growth::GrowthReport;
use crate::app::growth::GrowthSpan;
use crate::cli::output::Output;

#[derive(Debug, clap::Args)]
pub struct GrowthArguments {
    /// Number of days up to today, at most 3660
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3_660))]
    days: i64,
    /// One line for each week instead of each day
    #[arg(long)]
    weeks: bool,
}

impl GrowthArguments {
    pub(super) async fn run(self, app: &App, output: Output) -> Result<(), Failure> {
        let span = GrowthSpan {
            days: self.days,
            by_week: self.weeks,
        };
        let report = app.growth(span).await?;
        output.print(&json!(report), || in_words(&report))
    }
}

fn in_words(report: &GrowthReport) -> String {
    let mut text = String::new();
    if !report.is_complete {
        text.push_str("the histories of before this version are being read: the numbers grow until that is done\n");
    }
    let _ = writeln!(text, "{} readers now", report.active);
    if let Some(rate) = report.confirmation_rate {
        let _ = writeln!(
            text,
            "{:.0} % of those who asked to join confirmed",
            rate * 100.0
        );
    }
    if let Some(seconds) = report.median_seconds_to_confirm {
        let _ = writeln!(text, "half of them within about {seconds} s");
    }
    text.push_str("\nday           readers   asked    came    left bounced complained erased\n");
    for step in &report.steps {
        let _ = writeln!(
            text,
            "{}  {:>9}  {}",
            step.from,
            step.active,
            changes(&step.change)
        );
    }
    text.push_str("\nsource                   asked    came    left bounced complained erased\n");
    for source in &report.sources {
        let name = match source.source.as_str() {
            "" => "not known",
            name => name,
        };
        let _ = writeln!(text, "{name:<22}  {}", changes(&source.change));
    }
    text.push_str("\nweek of       came  percent who are still there after 0, 1, 2... weeks\n");
    for cohort in &report.cohorts {
        let share = |left: &i64| match cohort.gained {
            0 => "   –".to_owned(),
            gained => format!("{:>4.0}", *left as f64 * 100.0 / gained as f64),
        };
        let shares: String = cohort.left_over.iter().map(share).collect();
        let _ = writeln!(text, "{}  {:>6}  {shares}", cohort.from, cohort.gained);
    }
    text.push_str("\nissue                    asked    came    left bounced complained erased\n");
    for issue in &report.issues {
        let name = format!("{} ({})", issue.slot, issue.day);
        let _ = writeln!(text, "{name:<22}  {}", changes(&issue.change));
    }
    text
}

fn changes(change: &GrowthChange) -> String {
    format!(
        "{:>6}{:>8}{:>8}{:>8}{:>11}{:>7}",
        change.joined,
        change.gained(),
        change.left(),
        change.bounced,
        change.complained,
        change.erased
    )
}

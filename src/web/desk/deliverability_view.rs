//! Deliverability in words and charts.

use super::super::Web;
use super::answers;
use super::deliverability::HERE;
use super::deliverability::people_path;
use super::deliverability::word_of;
use crate::app::deliverability::ReturnedCount;
use crate::app::deliverability::ReturnedSend;
use crate::app::delivery::relay_report::RelayReport;
use crate::app::issue::results::IssueFigures;
use crate::app::returns::bounces::HeldRefusals;
use crate::domain::brake::RefusalOutcome;
use crate::domain::inbound::RefusalClass;
use crate::render::desk::DeskRelay;
use crate::render::desk::DnsView;
use crate::render::desk::HeldView;
use crate::render::desk::RecordView;
use crate::render::desk::ReturnedLine;
use crate::render::desk::chart::Bar;
use crate::render::desk::chart::BarChart;
use crate::render::desk::chart::Chart;
use crate::render::desk::chart::ChartWords;
use crate::render::desk::chart::Look;
use crate::render::desk::chart::Series;
use crate::render::desk::grouped;
use crate::storage::dns_checks::KeptCheck;
use crate::storage::returned::ReturnedMail;

/// Lines that mailbox providers draw, in complaints of 10,000 mails: wanted below the first, punished from the second on
/// (support.google.com/mail/answer/81126).
const WANTED: f64 = 10.0;
const PUNISHED: f64 = 30.0;
/// Mails of an issue from which on its rate says something.
const ENOUGH: u64 = 1_000;
/// Lines of the table of refusals.
const LINES: usize = 50;

/// Complaints of 10,000 mails of an issue.
fn rate(issue: &IssueFigures) -> Option<f64> {
    let sent = issue.deliveries.sent;
    (sent > 0).then(|| issue.reactions.complained as f64 * 10_000.0 / sent as f64)
}

/// The chart of complaints, and what the newest issue's say.
pub(super) fn complaints(issues: &[IssueFigures]) -> (Chart, Option<(String, &'static str)>) {
    let oldest_first = || issues.iter().rev();
    let labels: Vec<String> = oldest_first().map(|issue| issue.slot.to_string()).collect();
    let line = |name: &str, look: Look, value: f64| Series {
        name: name.into(),
        look,
        values: vec![Some(value); labels.len()],
    };
    let series = [
        Series {
            name: "complaints".into(),
            look: Look::Good,
            values: oldest_first().map(rate).collect(),
        },
        line("wanted below (0.1 %)", Look::Doubt, WANTED),
        line("punished from (0.3 %)", Look::Bad, PUNISHED),
    ];
    let highest = oldest_first().filter_map(rate).fold(0.0, f64::max);
    let words = ChartWords {
        id: "complaints-chart",
        title: "Complaints by issue".into(),
        description: "A line of the complaints of 10,000 mails of each issue, and the two lines of 0.1 and 0.3 percent.".into(),
        unit: "of 10,000 mails",
        of: "Issue",
    };
    let verdict = issues.first().and_then(|issue| {
        let (rate, sent) = (rate(issue)?, issue.deliveries.sent);
        let share = format!("{}: {:.2} % complained", issue.slot, rate / 100.0);
        Some(match rate {
            _ if sent < ENOUGH => (format!("{share}, of few mails"), "none"),
            rate if rate >= PUNISHED => (share, "bad"),
            rate if rate >= WANTED => (share, "wait"),
            _ => (share, "good"),
        })
    });
    let top = Some(highest.max(PUNISHED * 1.2));
    (Chart::lines(words, labels, &series, top), verdict)
}

pub(super) fn held(web: &Web, held: &HeldRefusals, may_decide: bool) -> HeldView {
    let path = |decision: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("name", &format!("{}:{}", held.kind, held.name))
            .finish();
        format!("{HERE}/held/{decision}?{query}")
    };
    HeldView {
        summary: format!("{}.", held.summary()),
        since: answers::format_time(web, held.since),
        decide: may_decide.then(|| (path("accept"), path("dismiss"))),
    }
}

/// Sends to choose from.
pub(super) fn sends(issues: &[IssueFigures], shown: ReturnedSend) -> Vec<(String, String, bool)> {
    let all = issues
        .iter()
        .take(8)
        .map(|issue| ReturnedSend::Issue(issue.slot))
        .chain([ReturnedSend::Others]);
    all.map(|send| {
        let name = match send {
            ReturnedSend::Issue(slot) => slot.to_string(),
            ReturnedSend::Others => "Other mails".into(),
        };
        let href = format!("{HERE}?issue={}", word_of(send));
        (name, href, send == shown)
    })
    .collect()
}

/// Bars of the reasons.
pub(super) fn reasons(returned: &[ReturnedCount]) -> BarChart {
    let mut sums: Vec<(&'static str, bool, u64)> = Vec::new();
    for line in returned {
        let words = line.reason.describe();
        match sums.iter_mut().find(|(known, ..)| *known == words) {
            Some((.., sum)) => *sum += line.count,
            None => sums.push((words, line.reason.is_hard(), line.count)),
        }
    }
    sums.sort_by_key(|(.., sum)| std::cmp::Reverse(*sum));
    let bars = sums.into_iter().map(|(words, is_hard, sum)| Bar {
        label: words.into(),
        href: None,
        words: grouped(sum),
        values: if is_hard { vec![sum, 0] } else { vec![0, sum] },
    });
    let words = ChartWords {
        id: "reasons",
        title: "By reason".into(),
        description: "A bar for each reason, as long as its number of refused mails.".into(),
        unit: "",
        of: "Reason",
    };
    let kinds = vec![
        ("for good", Look::Bad),
        ("for now or for another reason", Look::Doubt),
    ];
    BarChart::new(words, kinds, bars.collect())
}

/// Lines of refusals by domain and reason.
pub(super) fn lines(
    send: ReturnedSend,
    returned: &[ReturnedCount],
    may_see: bool,
) -> Vec<ReturnedLine> {
    let line = |count: &ReturnedCount| ReturnedLine {
        domain: count.domain.clone(),
        href: may_see.then(|| people_path(send, Some(&count.domain), None)),
        reason: match &count.status {
            Some(status) => format!("{} ({status})", count.reason.describe()),
            None => count.reason.describe().into(),
        },
        count: grouped(count.count),
        example: count.example.clone(),
    };
    returned.iter().take(LINES).map(line).collect()
}

pub(super) fn outcome(mail: &ReturnedMail) -> String {
    let weight = match mail.class {
        RefusalClass::Hard => "refused for good",
        RefusalClass::Recipient => "refused, about the reader",
        RefusalClass::Passing => "refused, does not count",
    };
    match mail.outcome {
        None => weight.into(),
        Some(RefusalOutcome::Waiting) => format!("{weight}; waits to be judged"),
        Some(RefusalOutcome::Ended) => format!("{weight}; ended the subscription"),
        Some(RefusalOutcome::Dismissed) => format!("{weight}; was dismissed"),
        Some(RefusalOutcome::Released) => format!("{weight}; no longer counts"),
    }
}

pub(super) fn relay(web: &Web, relay: &RelayReport, may_try: bool) -> DeskRelay {
    let trouble = relay.trouble();
    let connections: usize = relay
        .processes
        .iter()
        .map(|process| process.connections)
        .sum();
    let sending: usize = relay.processes.iter().map(|process| process.sending).sum();
    let (state, mood) = match (trouble, relay.processes.is_empty(), sending) {
        (Some(_), ..) => ("paused", "bad"),
        (None, true, _) => ("nobody sends", "none"),
        (None, false, 0) => ("ready", "good"),
        _ => ("sends", "under-way"),
    };
    DeskRelay {
        name: relay.name.clone(),
        state,
        mood,
        connections: match connections {
            0 => "none".into(),
            count => format!("{count}, of which {sending} have a mail out"),
        },
        used: match relay.limit_today {
            Some(limit) => format!("{} of {}", grouped(relay.used_today), grouped(limit)),
            None => match relay.used_today {
                0 => "no limit".into(),
                used => grouped(used),
            },
        },
        warm_up: match relay.warm_up_day {
            Some((day, days)) => format!("day {day} of {days}"),
            None => "none".into(),
        },
        last_reply: relay.last_reply().map_or_else(
            || "none yet".into(),
            |(at, reply)| format!("{reply} ({})", answers::format_time(web, *at)),
        ),
        trouble: trouble.and_then(|process| {
            let words = process.trouble.as_ref()?;
            Some(match process.until {
                Some(until) => format!("{words}; rests until {}", answers::format_time(web, until)),
                None => format!("{words}; is tried with one mail"),
            })
        }),
        try_now: (may_try && trouble.is_some()).then(|| format!("{HERE}/relays/try")),
    }
}

pub(super) fn dns(web: &Web, check: &KeptCheck) -> DnsView {
    let (word, mood) = match check.level.as_str() {
        "good" => ("good", "good"),
        "fault" => ("mend it", "bad"),
        _ => ("advice", "wait"),
    };
    DnsView {
        what: match check.what.as_str() {
            "return_path" => "MX of the return path".into(),
            "dns" => "DNS".into(),
            what => what.to_uppercase(),
        },
        word,
        mood,
        words: format!("{}.", check.words.trim_end_matches('.')),
        since: answers::format_time(web, check.since),
    }
}

pub(super) fn records(web: &Web) -> Vec<RecordView> {
    let records = web.app.dns_records().into_iter().enumerate();
    let record = |(at, record): (usize, crate::app::deliverability::DnsRecord)| RecordView {
        id: format!("record-{at}"),
        name: record.name,
        kind: record.kind,
        value: record.value,
    };
    records.map(record).collect()
}

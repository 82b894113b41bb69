//! Result of a digest: one sum, whose parts lead to their people.

use super::subscribers::path_of;
use super::week_view::in_words;
use crate::app::issue::digests::DigestStatus;
use crate::domain::delivery::DeliveryState;
use crate::domain::subscriber_filter::IssueResult;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk::PartView;
use crate::render::desk::SumView;
use crate::render::desk::grouped;

/// The sum of a digest's recipients: each is in one part.
pub(super) fn sum(user: &User, status: &DigestStatus) -> SumView {
    let tally = &status.tally;
    // The people behind a number, where there are any, for whoever may see the list.
    let may_list = user.role.may(Area::Subscribers, AccessLevel::Masked);
    let people = |result: IssueResult, count: u64| {
        let filter = SubscriberFilter {
            issue: Some((status.digest.slot, result)),
            ..SubscriberFilter::default()
        };
        (may_list && count > 0).then(|| path_of(&filter, None))
    };
    let parts = [
        ("queued", "wait for their turn", tally.queued),
        ("sending", "in a connection now", tally.sending),
        ("sent", "taken by their mail server", tally.sent),
        ("failed", "refused, or given up", tally.failed),
        (
            "uncertain",
            "nobody knows whether it arrived",
            tally.uncertain,
        ),
        (
            "skipped",
            "pause, follow nothing in it, or left",
            tally.skipped,
        ),
    ];
    let all: u64 = parts.iter().map(|(.., count)| count).sum();
    let share = |count: u64| count as f64 * 100.0 / all.max(1) as f64;
    let mut before = 0;
    let parts = parts
        .into_iter()
        .map(|(name, means, count)| {
            let from = share(before);
            before += count;
            let result = name.parse().ok();
            PartView {
                href: result.and_then(|result| people(result, count)),
                name,
                means,
                count: grouped(count),
                from,
                width: share(count),
            }
        })
        .collect();
    let pace = status.rate_per_minute.map(|rate| {
        let left = status
            .time_left
            .map(|left| format!(", about {} left", in_words(left).trim_start_matches("in ")))
            .unwrap_or_default();
        format!("{} a minute{left}.", grouped(rate.round().max(0.0) as u64))
    });
    SumView {
        recipients: grouped(all),
        href: people(IssueResult::Any, all),
        parts,
        pace,
        failures: status
            .failures
            .iter()
            .map(|(reply, count)| {
                let failed = IssueResult::State(DeliveryState::Failed);
                (reply.clone(), grouped(*count), people(failed, *count))
            })
            .chain(status.skips.iter().map(|(reason, count)| {
                let words = format!("not sent: {}", reason.describe());
                let skipped = people(IssueResult::Skipped(*reason), *count);
                (words, grouped(*count), skipped)
            }))
            .collect(),
    }
}

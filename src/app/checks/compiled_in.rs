//! Data that is compiled into this program and that only a new build renews: which, and how old.

use chrono::NaiveDate;
use chrono::TimeDelta;

use crate::app::App;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::good;
use crate::domain::Timestamp;

/// Data of a dependency. `as_of` is the day on which that version was the newest one published: whoever renews the dependency
/// (`cargo update -p CRATE`) renews the row, which a test compares with Cargo.lock.
struct Compiled {
    what: &'static str,
    dependency: &'static str,
    version: &'static str,
    as_of: (i32, u32, u32),
    /// Used for, and how fast it gets old.
    used_for: &'static str,
    old_after: TimeDelta,
}

const COMPILED: [Compiled; 3] = [
    Compiled {
        what: "public suffix list",
        dependency: "psl",
        version: "2.1.247",
        as_of: (2026, 11, 29),
        used_for: "finds the domain whose DMARC record holds",
        old_after: TimeDelta::days(2 * 365),
    },
    Compiled {
        what: "root certificates",
        dependency: "webpki-roots",
        version: "1.0.10",
        as_of: (2026, 11, 29),
        used_for: "checks relays, mailboxes and webhook senders",
        old_after: TimeDelta::days(2 * 365),
    },
    Compiled {
        what: "Unicode tables of domain names",
        dependency: "icu_normalizer_data",
        version: "2.4.0",
        as_of: (2026, 11, 29),
        used_for: "writes international domains in ASCII (Unicode 18)",
        old_after: TimeDelta::days(3 * 365),
    },
];

impl App {
    /// Everything compiled in but the time zones, of which a newer copy may be on the system.
    pub(in crate::app) fn examine_compiled_data(&self) -> Vec<CheckResult> {
        let mut findings: Vec<_> = COMPILED
            .iter()
            .map(|data| examine(data, self.now()))
            .collect();
        let (major, minor, _) = char::UNICODE_VERSION;
        findings.push(good(
            "compiled_data",
            format!("Unicode {major}.{minor} for upper and lower case, of the Rust compiler"),
        ));
        findings
    }
}

fn examine(data: &Compiled, now: Timestamp) -> CheckResult {
    let Compiled {
        what,
        dependency,
        version,
        used_for,
        ..
    } = data;
    let (year, month, day) = data.as_of;
    let as_of = NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let age = now.date_naive() - as_of;
    let months = age.num_days().max(0) / 30;
    let words =
        format!("{what}: {dependency} {version} of {as_of}, {months} months old; {used_for}");
    match age > data.old_after {
        true => advice(
            "compiled_data",
            format!("{words}. A newer build of verdicts renews it"),
        ),
        false => good("compiled_data", words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_name_the_versions_that_are_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        for Compiled {
            dependency,
            version,
            ..
        } in COMPILED
        {
            assert!(
                lock.contains(&format!(
                    "name = \"{dependency}\"\nversion = \"{version}\"\n"
                )),
                "Cargo.lock has another {dependency} than {version}: write the new version and today's date into COMPILED"
            );
        }
    }

    #[test]
    fn data_is_called_old_when_it_is() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        let young = examine(&COMPILED[0], at("2027-01-01T00:00:00Z"));
        assert!(
            young.level == crate::app::check_result::Severity::Good
                && young
                    .words
                    .contains("psl 2.1.247 of 2026-11-29, 1 months old")
        );
        let old = examine(&COMPILED[0], at("2029-01-01T00:00:00Z"));
        assert!(
            old.level == crate::app::check_result::Severity::Advice
                && old.words.contains("A newer build"),
            "{old:?}"
        );
    }
}

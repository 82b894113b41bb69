//! `--version`: what was built, from what, and for which databases.

use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use crate::app::Failure;
use crate::storage::Storage;

/// Returns how the version is asked for, where nothing else is: `--version` or `-V`, with or without `--json`. It needs the database's
/// library, which clap's own flag cannot ask.
pub(super) fn asked() -> Option<Output> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let is = |names: &[&str]| {
        arguments
            .iter()
            .filter(|it| names.iter().any(|name| *it == *name))
            .count()
    };
    let (version, json) = (is(&["--version", "-V"]), is(&["--json"]));
    (version > 0 && version + json == arguments.len()).then_some(Output { json: json > 0 })
}

/// Prints it.
pub(super) async fn print(output: Output) -> Result<ExitCode, Failure> {
    let (version, built_from) = (env!("CARGO_PKG_VERSION"), env!("VERDICTS_BUILT_FROM"));
    let (rustc, target) = (env!("VERDICTS_RUSTC"), env!("VERDICTS_TARGET"));
    let sqlite = Storage::sqlite_version().await?;
    let schema = Storage::newest_migration();
    let document = json!({
        "version": version,
        "built_from": built_from,
        "rustc": rustc,
        "target": target,
        "sqlite": sqlite,
        "postgresql_min": POSTGRESQL_MIN,
        "schema": schema,
    });
    output.print(&document, || {
        format!(
            "verdicts {version} ({built_from}, rustc {rustc}, {target}, sqlite {sqlite}, postgresql {POSTGRESQL_MIN} or newer, schema {schema})\n"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Oldest PostgreSQL that the suite runs on.
const POSTGRESQL_MIN: u32 = 15;

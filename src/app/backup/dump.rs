//! PostgreSQL's own programs: `pg_dump` copies a database as of one moment while others write, and `psql` puts it back in one transaction.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use super::off_the_runtime;
use crate::app::Failure;
use crate::config::DatabaseSettings;

/// Folder in which Debian has the programs of each version.
const DEBIANS: &str = "/usr/lib/postgresql";

/// Copies the database into a file of pg_dump's own form.
pub(super) async fn dump(
    settings: &DatabaseSettings,
    server_version: i64,
    target: &Path,
) -> Result<(), Failure> {
    let program = find("pg_dump", server_version)?;
    let mut command = connected(&program, settings);
    command
        .args([
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            "--compress=0",
            "--file",
        ])
        .arg(target);
    run(command, "pg_dump").await
}

/// Puts a copy back, all or nothing, and ends with `last`, in the same transaction.
pub(super) async fn put_back(
    settings: &DatabaseSettings,
    server_version: i64,
    source: &Path,
    last: &str,
) -> Result<(), Failure> {
    let script = source.with_extension("sql");
    let restorer = find("pg_restore", server_version)?;
    let mut command = Command::new(&restorer);
    command
        .args(["--no-owner", "--no-privileges", "--file"])
        .arg(&script)
        .arg(source);
    run(command, "pg_restore").await?;
    let program = find("psql", server_version)?;
    let mut command = connected(&program, settings);
    command
        .args([
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--single-transaction",
            "--file",
        ])
        .arg(&script)
        .args(["--command", last])
        .stdout(Stdio::null());
    run(command, "psql").await
}

/// Runs a program to its end, on a thread that may wait for it.
async fn run(mut command: Command, name: &'static str) -> Result<(), Failure> {
    off_the_runtime(move || {
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::internal(format!("{name} cannot be run: {error}.")))?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let is_error = |line: &&str| line.to_ascii_lowercase().contains("error");
        let last = words
            .lines()
            .find(is_error)
            .or_else(|| words.lines().last());
        Err(Failure::unavailable(format!(
            "{name} failed: {}.",
            last.unwrap_or("it says nothing").trim_end_matches('.')
        )))
    })
    .await
}

/// The program of the lowest version that is at least the server's: an older one refuses to read a newer server.
fn find(name: &str, server_version: i64) -> Result<PathBuf, Failure> {
    let server = server_version / 10_000;
    let mut places: Vec<PathBuf> = std::fs::read_dir(DEBIANS)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path).map(|folder| folder.join(name)));
    let mut best: Option<(i64, PathBuf)> = None;
    for place in places.into_iter().filter(|place| place.is_file()) {
        let Some(version) = version_of(&place).filter(|version| *version >= server) else {
            continue;
        };
        if best.as_ref().is_none_or(|(known, _)| version < *known) {
            best = Some((version, place));
        }
    }
    best.map(|(_, place)| place).ok_or_else(|| {
        Failure::unavailable(format!(
            "There is no {name} of version {server} or newer on this machine, as the server is: install it (Debian: postgresql-client-{server})."
        ))
    })
}

/// The major version that `--version` prints: `pg_dump (PostgreSQL) 15.4 (Debian …)`.
fn version_of(program: &Path) -> Option<i64> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_once("(PostgreSQL) ")?.1;
    number
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// A program with the database's address, and the password in its environment: arguments are for everybody to see.
fn connected(program: &Path, settings: &DatabaseSettings) -> Command {
    // A pooler in transaction mode gives no session.
    let url = settings.direct_url.as_ref().unwrap_or(&settings.url);
    let (address, password) = without_password(url.expose());
    let mut command = Command::new(program);
    command.arg("--dbname").arg(address);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command
}

/// Splits `postgres://user:password@hosts/name` into the address without the password, and the password. Hosts may be a list, which `url`
/// cannot read.
fn without_password(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.into(), None);
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((credentials, hosts)) = rest[..end].rsplit_once('@') else {
        return (url.into(), None);
    };
    let Some((user, password)) = credentials.split_once(':') else {
        return (url.into(), None);
    };
    let password = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
    let address = format!("{scheme}://{user}@{hosts}{}", &rest[end..]);
    (address, Some(password.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_argument() {
        for (url, address, password) in [
            (
                "postgres://me@db.example/list",
                "postgres://me@db.example/list",
                None,
            ),
            (
                "postgres://me:hunter%202@a.example:5432,b.example/list?sslmode=require",
                "postgres://me@a.example:5432,b.example/list?sslmode=require",
                Some("hunter 2"),
            ),
            (
                "postgres:///list?host=/run",
                "postgres:///list?host=/run",
                None,
            ),
        ] {
            assert_eq!(
                without_password(url),
                (address.into(), password.map(str::to_owned))
            );
        }
    }
}

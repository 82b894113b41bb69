//! Facts about the build, for `verdicts --version`: commit, compiler, target.
//!
//! Only release builds ask git: in daily work each commit would otherwise compile the whole library again.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=VERDICTS_COMMIT");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    // `rustc 1.95.0 (59807616e 2026-04-14)`: the number alone.
    let version = answer(&rustc, &["--version"]);
    let version = version.as_deref().and_then(|text| text.split(' ').nth(1));
    println!(
        "cargo:rustc-env=VERDICTS_RUSTC={}",
        version.unwrap_or("unknown")
    );
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=VERDICTS_TARGET={target}");
    println!("cargo:rustc-env=VERDICTS_BUILT_FROM={}", commit());
}

/// The commit, as its first seven digits and its day: from the environment, as where a tarball is built, or from git.
fn commit() -> String {
    if let Some(given) = std::env::var("VERDICTS_COMMIT")
        .ok()
        .filter(|it| !it.is_empty())
    {
        return given;
    }
    if std::env::var("PROFILE").is_ok_and(|profile| profile != "release") {
        return "development build".into();
    }
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(file) = answer("git", &["rev-parse", "--git-path", name])
            && Path::new(&file).exists()
        {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    // The day of the commit, not of the build: two builds of one commit are the same bytes.
    match answer("git", &["log", "-1", "--format=%H %cs"]) {
        Some(text) if text.len() > 40 => format!("{}{}", &text[..7], &text[40..]),
        _ => "unknown commit".into(),
    }
}

fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| done.status.success() && !text.is_empty())
}

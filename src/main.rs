//! The program: `verdicts --help` says what it does.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    verdicts::cli::run()
}

//! The program: `verdicts --help` says what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    verdicts::cli::run()
}

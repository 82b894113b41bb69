//! `completions` and `man`: what packages install beside the program, made from the same tree as `--help`.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use super::output::Output;
use super::output::write_out;
use crate::app::Failure;

/// Prints the script that completes commands and options in a shell.
pub(super) fn complete(shell: Shell) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "verdicts", &mut text);
    write_out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page of the manual for each command into a folder, which is made.
pub(super) fn write_pages(folder: &Path, output: Output) -> Result<ExitCode, Failure> {
    let fault = |error: std::io::Error| {
        Failure::internal(format!(
            "The pages cannot be written to {}: {error}.",
            folder.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(fault)?;
    let mut files = Vec::new();
    let command = super::command().disable_help_subcommand(true);
    write_below(command, "verdicts", folder, &mut files).map_err(fault)?;
    output.print(&serde_json::json!({ "pages": files }), || {
        format!("{} pages are in {}.\n", files.len(), folder.display())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_below(
    command: Command,
    name: &str,
    folder: &Path,
    files: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    let below: Vec<Command> = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
        .cloned()
        .collect();
    // Without its version: a page says which program it is about, and changes only with the command.
    let page = command
        .name(name.to_owned())
        .display_name(name.to_owned())
        .bin_name(name.replace('-', " "));
    let file = folder.join(format!("{name}.1"));
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .title(name.to_uppercase())
        .manual("verdicts".to_owned())
        .date("")
        .render(&mut text)?;
    std::fs::write(&file, text)?;
    files.push(file);
    for command in below {
        let name = format!("{name}-{}", command.get_name());
        write_below(command, &name, folder, files)?;
    }
    Ok(())
}

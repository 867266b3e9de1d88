//! `rhumb man`: manual pages of every command.
#![allow(clippy::disallowed_methods, reason = "writes pages into the folder that it is told")]

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Command;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::cli::output::PROBLEMS;
use crate::cli::output::fail;
use crate::cli::output::print_octets;

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Write a page for each command into this folder, instead of the first page to standard output
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &ManArguments) -> ExitCode {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let done = match &arguments.folder {
        Some(folder) => write_all(&command, "rhumb", folder),
        None => render(&command, "rhumb").map(|page| print_octets(&page)),
    };
    match (done, &arguments.folder) {
        (Ok(()), _) => ExitCode::SUCCESS,
        (Err(why), Some(folder)) => fail(PROBLEMS, format!("{}: {why}", folder.display())),
        (Err(why), None) => fail(PROBLEMS, why),
    }
}

/// Writes the page of a command and those of the commands in it, hidden ones left out.
fn write_all(command: &Command, name: &str, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{name}.1")), render(command, name)?)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_all(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

/// A page, named as it is looked for: `rhumb-geo-lookup`.
fn render(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).title(name).render(&mut page)?;
    Ok(page)
}

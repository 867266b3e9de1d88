//! `rhumb geo`: asks geo data for addresses, looks into databases, builds and downloads them.
//! Needs no running server.
#![allow(
    clippy::disallowed_methods,
    reason = "a command reads and writes files, the clock and the environment"
)]

mod build;
mod fetch;
mod inspect;
mod lookup;

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use clap::Subcommand;

/// Largest file read, in bytes: over three times the largest databases sold.
const FILE_MAX: u64 = 4 << 30;

/// What to do with geo databases.
#[derive(Debug, Subcommand)]
pub enum GeoCommand {
    /// Show where addresses are, the network that says so, and which file gave each field
    Lookup(lookup::LookupArguments),
    /// Show what a database is, how its records are laid out, and what can be expected of it
    Inspect(inspect::InspectArguments),
    /// Download databases, check them, and put them in place by rename; a running server takes them up
    Fetch(fetch::FetchArguments),
    /// Build a database from readable text, one network a line
    Build(build::BuildArguments),
}

/// Runs a command; what is wrong goes to standard error. Exit code 0: fine, 1: problems, 2: wrong use.
pub fn run(command: GeoCommand) -> ExitCode {
    let done = match command {
        GeoCommand::Lookup(arguments) => lookup::run(&arguments),
        GeoCommand::Inspect(arguments) => inspect::run(&arguments),
        GeoCommand::Fetch(arguments) => return fetch::run(arguments),
        GeoCommand::Build(arguments) => build::run(arguments),
    };
    match done.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            eprint!("{problems}");
            ExitCode::from(1)
        }
    }
}

/// Prints to standard output; a reader that went away (`| head`) is no problem.
fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}\n"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let fault = |error: io::Error| format!("{}: {error}\n", path.display());
    if fs::metadata(path).map_err(fault)?.len() > FILE_MAX {
        return Err(format!(
            "{}: over {} GiB; use a smaller file\n",
            path.display(),
            FILE_MAX >> 30
        ));
    }
    fs::read(path).map_err(fault)
}

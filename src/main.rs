//! The `rhumb` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    rhumb::cli::run(rhumb::cli::Cli::parse())
}

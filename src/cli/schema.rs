//! `rhumb schema`: the keys of the files as JSON Schema, or as Markdown.
#![allow(clippy::disallowed_methods, reason = "renews the reference that it is told to")]

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::ValueEnum;

use crate::cli::output::PROBLEMS;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::config::keys;

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Which file
    #[arg(value_enum, default_value_t = Kind::Zone)]
    file: Kind,
    /// Print the keys of both files, and the kinds of problems, as Markdown
    #[arg(long)]
    markdown: bool,
    /// Renew the made parts of a Markdown file
    #[arg(long, value_name = "FILE", hide = true)]
    renew: Option<PathBuf>,
}

/// The files that have keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Files of the zones folder and of the shared one
    Zone,
    /// rhumb.toml
    Node,
}

pub(super) fn run(arguments: &SchemaArguments) -> ExitCode {
    if let Some(path) = &arguments.renew {
        return match renew(path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(PROBLEMS, format!("{}: {why}", path.display())),
        };
    }
    match (arguments.markdown, arguments.file) {
        (true, _) => print(keys::reference().trim_end()),
        (false, Kind::Zone) => print_json(&keys::schema(&keys::ZONE_FILE, "Rhumb zone file")),
        (false, Kind::Node) => print_json(&keys::schema(&keys::NODE_FILE, "rhumb.toml")),
    }
    ExitCode::SUCCESS
}

fn renew(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
    let text = keys::renew(&text)?;
    std::fs::write(path, text).map_err(|why| why.to_string())
}

//! `rhumb geo build`: readable text to a database.
#![allow(clippy::disallowed_methods, reason = "a command writes files")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use crate::cli::geo::now;
use crate::cli::geo::read_file;
use crate::geo::WriteInfo;
use crate::geo::parse_source;
use crate::geo::write_database;

#[derive(Debug, Args)]
pub struct BuildArguments {
    /// Source file; see geodb/demo.csv for the format
    source: PathBuf,
    /// File to write, in MaxMind DB format
    #[arg(long, short)]
    output: PathBuf,
    /// Build time in seconds since 1970 [default: now]
    #[arg(long, env = "SOURCE_DATE_EPOCH")]
    epoch: Option<u64>,
    /// Kind of the database, as other tools show it
    #[arg(long, default_value = "Rhumb-City")]
    database_type: String,
    /// Text about the database, as other tools show it
    #[arg(long, default_value = "Built by rhumb geo build")]
    description: String,
}

pub(super) fn run(arguments: BuildArguments) -> Result<String, String> {
    let BuildArguments { source, output, epoch, database_type, description } = arguments;
    let build_epoch = epoch.unwrap_or_else(now);
    build(&source, &output, &WriteInfo { database_type, description, build_epoch })
}

fn build(source: &Path, output: &Path, info: &WriteInfo) -> Result<String, String> {
    let file = source.display();
    let text = String::from_utf8(read_file(source)?)
        .map_err(|error| format!("{file}: {}; save the file as UTF-8\n", error.utf8_error()))?;
    let networks = parse_source(&text).map_err(|problems| {
        let lines = problems.iter().map(|problem| {
            let (line, column) = (problem.line, problem.column);
            format!("{file}:{line}:{column}: {}; {}\n", problem.message, problem.remedy)
        });
        lines.collect::<String>()
    })?;
    let bytes = write_database(&networks, info).map_err(|fault| format!("{file}: {fault}\n"))?;
    write_whole(output, &bytes)?;
    let (count, size) = (networks.len(), bytes.len());
    Ok(format!("{}: {count} networks, {size} bytes\n", output.display()))
}

/// Writes beside `output` and renames, so that a running server never reads half a file.
fn write_whole(output: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut beside = output.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, output))
        .map_err(|error| format!("{}: {error}\n", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::read_database;

    #[test]
    fn builds_what_can_be_read_and_lists_every_problem_of_a_source() {
        let folder = tempfile::tempdir().unwrap();
        let (source, output) = (folder.path().join("a.csv"), folder.path().join("a.mmdb"));
        let info = WriteInfo {
            database_type: "Rhumb-City".into(),
            description: "test".into(),
            build_epoch: 1,
        };
        fs::write(&source, "network,country\n192.0.2.0/24,DE\n").unwrap();
        build(&source, &output, &info).unwrap();
        let (layer, _) = read_database("a", &fs::read(&output).unwrap()).unwrap();
        let place = layer.find("192.0.2.9".parse().unwrap()).unwrap();
        assert_eq!(place.to_string(), "DE");
        fs::write(&source, "network,country\n192.0.2.0,DE\n192.0.2.0/33,de\n").unwrap();
        let problems = build(&source, &output, &info).unwrap_err();
        assert_eq!(problems.lines().count(), 3, "{problems}");
        assert!(problems.contains("a.csv:2:1: "), "{problems}");
    }
}

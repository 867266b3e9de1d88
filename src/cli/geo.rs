//! `rhumb geo`: asks geo databases for addresses and builds one from readable text.
//! Needs no running server.
#![allow(clippy::disallowed_methods, reason = "a command reads and writes files and the clock")]

use std::fs;
use std::io;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use clap::Subcommand;
use ipnet::IpNet;
use serde_json::Value;
use serde_json::json;

use crate::cli::output::block_on;
use crate::geo::DatabaseInfo;
use crate::geo::Place;
use crate::geo::PlaceMap;
use crate::geo::WriteInfo;
use crate::geo::parse_source;
use crate::geo::place::code_text;
use crate::geo::read_database;
use crate::geo::write_database;
use crate::runtime::fetch::fetch;

/// Folder that `lookup` reads if no database is named.
const DEFAULT_FOLDER: &str = "geodb";

/// Largest file read, in bytes: over three times the largest databases sold.
const FILE_MAX: u64 = 4 << 30;

/// What to do with geo databases.
#[derive(Debug, Subcommand)]
pub enum GeoCommand {
    /// Show where addresses are, the network that says so, and the files it is from
    Lookup {
        /// Addresses, IPv4 or IPv6
        #[arg(required = true)]
        addresses: Vec<IpAddr>,
        /// Database in MaxMind DB format, the most trusted first [default: geodb/*.mmdb by name]
        #[arg(long, short)]
        database: Vec<PathBuf>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Download a database, check it, and put it in place by rename; a running server takes it up
    Fetch {
        /// Where it is, http or https
        url: String,
        /// File to replace
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Build a database from readable text, one network a line
    Build {
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
    },
}

/// Runs a command; what is wrong goes to standard error. Exit code 0: fine, 1: problems.
pub fn run(command: GeoCommand) -> ExitCode {
    let done = match command {
        GeoCommand::Lookup { addresses, database, json } => lookup(&addresses, database, json),
        GeoCommand::Fetch { url, output } => fetch_database(&url, &output),
        GeoCommand::Build { source, output, epoch, database_type, description } => {
            let build_epoch = epoch.unwrap_or_else(now);
            build(&source, &output, &WriteInfo { database_type, description, build_epoch })
        }
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

/// What the databases say about one address.
struct Answer {
    address: IpAddr,
    network: String,
    place: Place,
    /// Files that know something about the address.
    files: Vec<String>,
}

fn lookup(addresses: &[IpAddr], databases: Vec<PathBuf>, json: bool) -> Result<String, String> {
    let databases = if databases.is_empty() { list_default_folder()? } else { databases };
    let mut layers = Vec::new();
    let mut files = Vec::new();
    for path in &databases {
        let name = path.display().to_string();
        let (layer, info) = read_file(path)
            .and_then(|bytes| read_database(&name, &bytes).map_err(|fault| format!("{fault}\n")))?;
        warn_of_foreign_shape(&name, &info);
        files.push((name, PlaceMap::compile(std::slice::from_ref(&layer))));
        layers.push(layer);
    }
    let joined = match files.as_slice() {
        [(_, only)] => only.clone(),
        _ => PlaceMap::compile(&layers),
    };
    let answers: Vec<Answer> =
        addresses.iter().map(|address| answer(*address, &joined, &files)).collect();
    Ok(if json { as_json(&answers) } else { as_table(&answers) })
}

fn answer(address: IpAddr, joined: &PlaceMap, files: &[(String, PlaceMap)]) -> Answer {
    let address = address.to_canonical();
    let leaf = joined.find(address);
    let knows = |map: &PlaceMap| !map.place(map.find(address).place).is_unknown();
    Answer {
        address,
        network: IpNet::new(address, leaf.prefix_len)
            .map_or_else(|_| address.to_string(), |network| network.trunc().to_string()),
        place: joined.place(leaf.place).clone(),
        files: files.iter().filter(|file| knows(&file.1)).map(|file| file.0.clone()).collect(),
    }
}

fn warn_of_foreign_shape(name: &str, info: &DatabaseInfo) {
    if info.places == 0 && info.networks > 0 {
        let kind = &info.database_type;
        eprintln!(
            "{name}: no record of this {kind:?} database has a field we know; is it geo data?"
        );
    }
}

fn list_default_folder() -> Result<Vec<PathBuf>, String> {
    let remedy = "name a database with --database";
    let entries = fs::read_dir(DEFAULT_FOLDER)
        .map_err(|error| format!("{DEFAULT_FOLDER}: {error}; {remedy}\n"))?;
    let mut databases: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "mmdb"))
        .collect();
    databases.sort();
    if databases.is_empty() {
        return Err(format!("{DEFAULT_FOLDER}: no *.mmdb file; put one there or {remedy}\n"));
    }
    Ok(databases)
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

/// Columns for people: address, network, place, files.
fn as_table(answers: &[Answer]) -> String {
    let rows: Vec<[String; 4]> = answers
        .iter()
        .map(|answer| {
            let files = if answer.files.is_empty() { "-".into() } else { answer.files.join(" + ") };
            let place = answer.place.to_string();
            [answer.address.to_string(), answer.network.clone(), place, files]
        })
        .collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (address, network, place) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[a, n, p, files]| format!("{a:address$}  {n:network$}  {p:place$}  {files}\n"))
        .collect()
}

/// One object a line; absent fields are null.
fn as_json(answers: &[Answer]) -> String {
    let object = |answer: &Answer| {
        let Place {
            continent,
            country,
            subdivision,
            city,
            location,
            accuracy_km,
            asn,
            is_withheld: _,
        } = &answer.place;
        json!({
            "address": answer.address.to_string(),
            "network": answer.network,
            "known": !answer.place.is_unknown(),
            "continent": continent.map(code_text),
            "country": country.map(code_text),
            "subdivision": subdivision.as_deref(),
            "city": city.as_deref(),
            "latitude": location.map(|point| point.latitude()),
            "longitude": location.map(|point| point.longitude()),
            "accuracy_km": accuracy_km,
            "asn": asn,
            "databases": answer.files,
        })
    };
    let lines = answers.iter().map(|answer| Value::to_string(&object(answer)) + "\n");
    lines.collect()
}

fn fetch_database(url: &str, output: &Path) -> Result<String, String> {
    let done = block_on(fetch(url, output)).map_err(|why| format!("{why}\n"))?;
    let info =
        done.map_err(|why| format!("{}: {why}; the file there is as it was\n", output.display()))?;
    warn_of_foreign_shape(&output.display().to_string(), &info);
    Ok(format!(
        "{}: {}, {} networks, {} places\n",
        output.display(),
        info.database_type,
        info.networks,
        info.places
    ))
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
    use clap::Parser;

    use super::*;

    const DEMO: &[u8] = include_bytes!("../../geodb/demo.mmdb");

    #[derive(Parser)]
    struct Command {
        #[command(subcommand)]
        geo: GeoCommand,
    }

    fn demo() -> Vec<(String, PlaceMap)> {
        let (layer, _) = read_database("demo.mmdb", DEMO).unwrap();
        vec![("demo.mmdb".into(), PlaceMap::compile(&[layer]))]
    }

    #[test]
    fn a_lookup_shows_address_network_place_and_file_in_columns() {
        let files = demo();
        let answers: Vec<Answer> = ["127.1.0.7", "::ffff:192.0.2.250"]
            .iter()
            .map(|text| answer(text.parse().unwrap(), &files[0].1, &files))
            .collect();
        let table = as_table(&answers);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[0],
            "127.1.0.7    127.1.0.0/16    EU DE HE Frankfurt 50.111,8.682 ±20 km AS64496  demo.mmdb"
        );
        assert!(lines[1].starts_with("192.0.2.250  192.0.2.") && lines[1].ends_with("  -"));
        let json: Value = serde_json::from_str(as_json(&answers).lines().next().unwrap()).unwrap();
        assert_eq!((&json["city"], &json["asn"]), (&json!("Frankfurt"), &json!(64496)));
        assert_eq!(json["databases"], json!(["demo.mmdb"]));
    }

    #[test]
    fn builds_what_it_can_look_up_and_lists_every_problem_of_a_source() {
        let folder = tempfile::tempdir().unwrap();
        let (source, output) = (folder.path().join("a.csv"), folder.path().join("a.mmdb"));
        let info = WriteInfo {
            database_type: "Rhumb-City".into(),
            description: "test".into(),
            build_epoch: 1,
        };
        fs::write(&source, "network,country\n192.0.2.0/24,DE\n").unwrap();
        build(&source, &output, &info).unwrap();
        let address = ["192.0.2.9".parse().unwrap()];
        let shown = lookup(&address, vec![output.clone()], false).unwrap();
        assert!(shown.starts_with("192.0.2.9  192.0.2.0/24  DE  "), "{shown}");
        fs::write(&source, "network,country\n192.0.2.0,DE\n192.0.2.0/33,de\n").unwrap();
        let problems = build(&source, &output, &info).unwrap_err();
        assert_eq!(problems.lines().count(), 3, "{problems}");
        assert!(problems.contains("a.csv:2:1: "), "{problems}");
    }

    #[test]
    fn a_lookup_without_address_is_a_wrong_use() {
        assert!(Command::try_parse_from(["geo", "lookup"]).is_err());
        let parsed = Command::try_parse_from(["geo", "lookup", "192.0.2.1", "--json"]).unwrap();
        assert!(matches!(parsed.geo, GeoCommand::Lookup { json: true, .. }));
    }
}

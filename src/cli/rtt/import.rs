//! `rhumb rtt import`: CSV to a table in the folder, with every line judged first.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use clap::Args;
use serde::Serialize;

use crate::cli::output::USAGE;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::rtt::FolderOption;
use crate::cli::rtt::World;
use crate::cli::rtt::read_shelf;
use crate::config::Severity;
use crate::control::geo::GeoReport;
use crate::geo::GeoInput;
use crate::geo::OverlayFile;
use crate::geo::input::GeoProblem;
use crate::rtt::Moment;
use crate::rtt::Table;
use crate::rtt::file_name;
use crate::rtt::import::window_of;
use crate::rtt::import_table;
use crate::rtt::parse_import;
use crate::rtt::render;
use crate::rtt::text::spell_instant;
use crate::runtime::answerer::unix_s;
use crate::runtime::rtt_folder;

/// Largest CSV that is read, in octets.
const CSV_MAX: u64 = 256 * 1024 * 1024;

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// CSV with the header prefix,site,rtt_ms,samples
    file: PathBuf,
    /// When the table begins to count: a duration from now (5m), an instant (2026-11-21T18:00:00Z), or "now"
    #[arg(long, value_name = "WHEN", default_value = "now")]
    at: String,
    #[command(flatten)]
    folder: FolderOption,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Imported {
    table: String,
    lines: usize,
    rows: usize,
    left_out: usize,
    activates: String,
}

pub(super) fn run(arguments: &ImportArguments) -> Result<ExitCode, String> {
    let now_s = unix_s();
    let activates_s = match find_instant(&arguments.at, now_s) {
        Ok(activates_s) => activates_s,
        Err(why) => return Ok(fail(USAGE, why)),
    };
    let world = World::read(&arguments.folder)?;
    let text = read_csv(&arguments.file)?;
    let name = arguments.file.display().to_string();
    let rows = parse_import(&text, &world.ground()).map_err(|problems| {
        let told = problems.into_iter().map(|problem| GeoProblem {
            file: name.as_str().into(),
            at: Some((problem.line, problem.column)),
            fault: problem.fault,
            remedy: problem.remedy,
        });
        refuse(&name, &text, &told.collect::<Vec<_>>())
    })?;
    let moment = Moment { built_s: now_s, activates_s };
    let none = Table::default();
    let before = world.shelf.newest().map_or(&none, |shelved| &shelved.table);
    let (table, left_out) = import_table(before, &window_of(&rows), &world.ground(), moment);
    let text = render(&table);
    let table_name = file_name(&text);
    rtt_folder::write_table(&world.folder, &table_name, &text).map_err(|why| {
        format!("{}: {why}; check that this user may write there", world.folder.display())
    })?;
    let superfluous = read_shelf(&world.folder)?.superfluous(now_s, None);
    rtt_folder::remove_tables(&world.folder, &superfluous);
    let imported = Imported {
        table: world.folder.join(&table_name).display().to_string(),
        lines: rows.len(),
        rows: table.rows.len(),
        left_out,
        activates: spell_instant(activates_s),
    };
    tell(&imported, arguments.folder.json);
    Ok(ExitCode::SUCCESS)
}

fn tell(imported: &Imported, json: bool) {
    if json {
        return print_json(imported);
    }
    let Imported { table, lines, rows, left_out, activates } = imported;
    let (lines, rows) = (count(*lines, "line", "lines"), count(*rows, "row", "rows"));
    print(format!("{table}: {rows} from {lines}; counts from {activates} on"));
    if *left_out > 0 {
        print(format!("{left_out} rows are left out: the table is full; import wider networks"));
    }
}

fn read_csv(path: &PathBuf) -> Result<String, String> {
    let fault = |why: std::io::Error| format!("{}: {why}", path.display());
    let len = std::fs::metadata(path).map_err(fault)?.len();
    if len > CSV_MAX {
        return Err(format!("{}: {len} octets are more than {CSV_MAX}; split it", path.display()));
    }
    String::from_utf8(std::fs::read(path).map_err(fault)?)
        .map_err(|_| format!("{}: not UTF-8; save it as UTF-8", path.display()))
}

/// Every problem with line and caret, as those of other files are shown.
fn refuse(name: &str, text: &str, problems: &[GeoProblem]) -> String {
    let file = OverlayFile { name: name.into(), octets: text.as_bytes().into() };
    let input = GeoInput { overlays: vec![file], ..GeoInput::default() };
    let shown = GeoReport::new(&input, problems, Severity::Error).text();
    let found = count(problems.len(), "problem", "problems");
    format!("{name} has {found}, nothing is imported\n{}", shown.trim_end())
}

/// Seconds since 1970 of `now`, a duration from now, or an instant.
fn find_instant(text: &str, now_s: u64) -> Result<u64, String> {
    if text == "now" {
        return Ok(now_s);
    }
    if let Ok(duration) = humantime::parse_duration(text) {
        return Ok(now_s + duration.as_secs());
    }
    let instant =
        humantime::parse_rfc3339_weak(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    instant.map(|since: Duration| since.as_secs()).ok_or_else(|| {
        format!(
            "--at {text}: write a duration (5m), an instant in UTC (2026-11-21T18:00:00Z), or now"
        )
    })
}

//! `rhumb rtt`: takes in measured round-trip times, and shows what is made of them. Needs no running server.
#![allow(clippy::disallowed_methods, reason = "a command reads and writes files and the clock")]

mod import;
mod show;

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::Subcommand;

use crate::cli::output::PROBLEMS;
use crate::cli::output::fail;
use crate::cli::output::wants_color;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::cli::settings::Settings;
use crate::config;
use crate::config::Severity;
use crate::config::render;
use crate::control::geo::GeoReport;
use crate::geo::PlaceMap;
use crate::model::Site;
use crate::rtt::Ground;
use crate::rtt::Shelf;
use crate::runtime::rtt_folder;

/// What to do with round-trip times.
#[derive(Debug, Subcommand)]
pub enum RttCommand {
    /// Make a table from CSV (prefix,site,rtt_ms,samples); it replaces what was imported before
    Import(import::ImportArguments),
    /// Show what is estimated, from which measurements, and which site is ahead
    Show(show::ShowArguments),
}

/// Where tables are.
#[derive(Debug, Args)]
struct FolderOption {
    /// Folder of tables [default: the one that the configuration names]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs a command.
pub fn run(command: &RttCommand) -> ExitCode {
    let done = match command {
        RttCommand::Import(arguments) => import::run(arguments),
        RttCommand::Show(arguments) => show::run(arguments),
    };
    done.unwrap_or_else(|why| fail(PROBLEMS, why))
}

/// Everything that measurements are judged by, and the tables there are.
struct World {
    places: Arc<PlaceMap>,
    sites: Vec<Site>,
    folder: PathBuf,
    shelf: Shelf,
}

impl World {
    /// Reads settings, zones, geo data and tables.
    fn read(option: &FolderOption) -> Result<Self, String> {
        let settings = settings::find(&option.config)?;
        let folder = option.folder.clone().or_else(|| settings.sources.rtt.clone()).ok_or(
            "no folder of tables: set [rtt] folder in rhumb.toml, or name one with --folder",
        )?;
        let shelf = read_shelf(&folder)?;
        for (name, problem) in &shelf.problems {
            eprintln!(
                "warning: {}:{problem}; the table is left out",
                folder.join(&**name).display()
            );
        }
        Ok(Self { places: read_places(&settings)?, sites: read_sites(&settings)?, folder, shelf })
    }

    fn ground(&self) -> Ground<'_> {
        Ground { places: &self.places, sites: &self.sites }
    }
}

fn read_shelf(folder: &Path) -> Result<Shelf, String> {
    let files = rtt_folder::read_tables(folder)
        .map_err(|why| format!("{}: {why}; check that this user may read it", folder.display()))?;
    Ok(Shelf::read(files))
}

/// Addresses to places by the geo data of the settings.
fn read_places(settings: &Settings) -> Result<Arc<PlaceMap>, String> {
    let mut faults = Vec::new();
    let input = settings.sources.read_geo(&mut faults);
    if let Some(fault) = faults.first() {
        return Err(fault.to_string());
    }
    let table =
        input.read().map_err(|found| GeoReport::new(&input, &found, Severity::Error).text())?;
    Ok(Arc::new(table.compile()))
}

/// The sites of the settings' files, which have to be without problems.
fn read_sites(settings: &Settings) -> Result<Vec<Site>, String> {
    let mut faults = Vec::new();
    let files = settings.sources.read_files(&mut faults);
    if let Some(fault) = faults.first() {
        return Err(fault.to_string());
    }
    let (model, problems) = config::load(&files);
    let text = || render::for_people(&files, &problems, wants_color());
    Ok(model.ok_or_else(|| format!("the files have problems\n{}", text().trim_end()))?.sites)
}

//! `rhumb geo fetch`: databases from MaxMind by geoipupdate's settings, or from any address.
#![allow(clippy::disallowed_methods, reason = "a command reads the environment and files")]

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::cli::output::PROBLEMS;
use crate::cli::output::USAGE;
use crate::cli::output::block_on;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::geo::DatabaseInfo;
use crate::runtime::fetch;
use crate::runtime::fetch::FetchFault;
use crate::runtime::fetch::Fetched;
use crate::runtime::fetch::conf;
use crate::runtime::fetch::conf::Flags;
use crate::runtime::fetch::download::Account;
use crate::runtime::fetch::download::Downloader;
use crate::runtime::fetch::download::Options;
use crate::runtime::fetch::download::Progress;
use crate::runtime::fetch::update;

#[derive(Debug, Args)]
pub struct FetchArguments {
    /// Where a database is, http or https; .gz and .tar.gz are unpacked [default: MaxMind, by GeoIP.conf]
    #[arg(conflicts_with_all = ["config_file", "database_directory", "edition", "parallelism"])]
    url: Option<String>,
    /// File to replace with what URL has
    #[arg(requires = "url")]
    file: Option<PathBuf>,
    /// As FILE
    #[arg(long, short, requires = "url", conflicts_with = "file")]
    output: Option<PathBuf>,
    /// geoipupdate's settings [default: $GEOIPUPDATE_CONF_FILE, /etc/GeoIP.conf]
    #[arg(long, short = 'f', value_name = "GEOIP.CONF")]
    config_file: Option<PathBuf>,
    /// Folder for databases [default: $GEOIPUPDATE_DB_DIR, DatabaseDirectory of the settings]
    #[arg(long, short, value_name = "FOLDER")]
    database_directory: Option<PathBuf>,
    /// Edition to fetch, may be repeated [default: $GEOIPUPDATE_EDITION_IDS, EditionIDs of the settings]
    #[arg(long, value_name = "EDITION")]
    edition: Vec<String>,
    /// Downloads at once [default: $GEOIPUPDATE_PARALLELISM, 1]
    #[arg(long, value_name = "NUMBER")]
    parallelism: Option<usize>,
}

pub(super) fn run(arguments: FetchArguments) -> ExitCode {
    let FetchArguments { url, file, output, .. } = &arguments;
    match (url, file.as_ref().or(output.as_ref())) {
        (Some(url), Some(output)) => fetch_one(url, output),
        (Some(_), None) => fail(USAGE, "name the file to replace behind the address"),
        (None, _) => fetch_editions(arguments),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The account of the environment, for MaxMind's own addresses only: nobody else is told a licence key.
fn account_for(url: &str) -> Option<Account> {
    let host = fetch::host_of(url)?;
    if host != "maxmind.com" && !host.ends_with(".maxmind.com") {
        return None;
    }
    let id = variable("GEOIPUPDATE_ACCOUNT_ID")?;
    Some(Account { id, license_key: variable("GEOIPUPDATE_LICENSE_KEY")? })
}

fn fetch_one(url: &str, output: &Path) -> ExitCode {
    let options = Options {
        account: account_for(url),
        progress: progress(),
        waiting: Some(Arc::new(tell_of_failure)),
        ..Options::default()
    };
    let work = async { fetch::fetch(&Downloader::new(options)?, url, output).await };
    let done = match block_on(work) {
        Ok(done) => done,
        Err(why) => return fail(PROBLEMS, why),
    };
    match tell(&output.display().to_string(), done) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(PROBLEMS),
    }
}

fn fetch_editions(arguments: FetchArguments) -> ExitCode {
    let FetchArguments { config_file, database_directory, edition, parallelism, .. } = arguments;
    let flags =
        Flags { file: config_file, folder: database_directory, editions: edition, parallelism };
    let conf = match conf::load(&flags, variable, |path| fs::read_to_string(path)) {
        Ok(conf) => conf,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(|line| format!("rhumb: {line}")).collect();
            eprintln!("{}", lines.join("\n"));
            return ExitCode::from(PROBLEMS);
        }
    };
    let options = Options {
        account: Some(conf.account.clone()),
        proxy: conf.proxy.clone(),
        proxy_user_password: conf.proxy_user_password.clone(),
        retry: conf.retry,
        progress: progress(),
        waiting: Some(Arc::new(tell_of_failure)),
    };
    let work = async { update::update(&conf, &Downloader::new(options)?).await };
    match block_on(work) {
        Ok(Ok(editions)) => {
            let told = editions.into_iter().map(|(edition, done)| tell(&edition, done));
            let failed = told.filter(|is_fine| !is_fine).count();
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(PROBLEMS) }
        }
        Ok(Err(why)) => fail(PROBLEMS, why),
        Err(why) => fail(PROBLEMS, why),
    }
}

/// Says what became of a database; whether it is fine.
fn tell(name: &str, done: Result<Fetched, FetchFault>) -> bool {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    match done {
        Ok(Fetched::Unchanged) => print(format!("{name}: unchanged")),
        Ok(Fetched::Replaced(info)) => {
            let DatabaseInfo { database_type, networks, places, .. } = &*info;
            print(format!("{name}: {database_type}, {networks} networks, {places} places"));
            for (fault, remedy) in info.warnings() {
                eprintln!("rhumb: warning: {name}: {fault}; {remedy}");
            }
        }
        Err(why) => {
            eprintln!("rhumb: {name}: {why}; the file there is as it was");
            return false;
        }
    }
    true
}

/// A line that is written over and over, if somebody looks.
fn progress() -> Option<Progress> {
    let show = |name: &str, octets: u64, expected: Option<u64>| {
        let megabytes = |octets: u64| octets as f64 / 1e6;
        let of = expected.map_or_else(String::new, |len| format!(" of {:.1}", megabytes(len)));
        eprint!("\r{name}: {:.1}{of} MB", megabytes(octets));
    };
    std::io::stderr().is_terminal().then(|| -> Progress { Arc::new(show) })
}

fn tell_of_failure(name: &str, fault: &FetchFault, left: Duration) {
    eprintln!("{name}: {fault}; trying again for {} s", left.as_secs());
}

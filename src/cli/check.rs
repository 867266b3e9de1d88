//! `rhumb check`: every problem of the settings, the zones and the geo data at once.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::ValueEnum;

use crate::cli::output::PROBLEMS;
use crate::cli::output::count;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::output::wants_color;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::cli::settings::Reading;
use crate::cli::settings::Settings;
use crate::config;
use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::reader::closest;
use crate::config::render;
use crate::config::render::FileProblem;
use crate::config::rules;
use crate::config::rules::Rule;
use crate::config::sarif;
use crate::geo::Layer;
use crate::geo::PlaceMap;
use crate::geo::read_database;
use crate::model::Model;
use crate::runtime::files::Database;
use crate::runtime::files::ReadFault;
use crate::snapshot::compile;

/// What to do about a file that cannot be read.
const UNREAD: &str = "check that it exists and that this user may read it";

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    config: ConfigOption,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// How problems are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with lines and carets
    Text,
    /// A list of problems
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
}

/// Everything that is wrong.
struct Findings {
    /// Of `rhumb.toml`.
    node: (Files, Problems),
    /// Of zones and what they share.
    zones: (Files, Problems),
    /// Of whole files.
    others: Vec<FileProblem>,
}

impl Findings {
    fn count(&self, severity: Severity) -> usize {
        let problems = [&self.node.1, &self.zones.1].into_iter().flat_map(Problems::iter);
        let severities = problems.map(|problem| problem.severity);
        let others = self.others.iter().map(|problem| problem.severity);
        severities.chain(others).filter(|found| *found == severity).count()
    }
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let (findings, model) = examine(&arguments.config);
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Text => report(&findings, model.as_deref()),
        Format::Json => print_as_json(&findings),
        Format::Sarif => print_as_sarif(&findings),
    }
    match findings.count(Severity::Error) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(PROBLEMS),
    }
}

/// Reads every file once and checks it all; the model is there if the zones are fine.
fn examine(option: &ConfigOption) -> (Findings, Option<Arc<Model>>) {
    let Reading { settings, problems, files, unread } = settings::read(option);
    let has_settings = unread.is_none() && !problems.has_errors();
    let mut faults = Vec::new();
    let zone_files = settings.sources.read_files(&mut faults);
    if !has_settings {
        // Folders where they would be by default need not be there.
        faults.retain(|fault| fault.source.kind() != ErrorKind::NotFound);
    }
    let databases = settings.sources.read_databases(&mut faults);
    let mut others: Vec<_> = unread.iter().chain(&faults).map(unreadable).collect();
    let layers = read_layers(&databases, &mut others);
    let (model, zone_problems) = config::load(&zone_files);
    let model = model.map(Arc::new);
    if let (Some(model), true) = (&model, faults.is_empty()) {
        let zones = settings.sources.zones.display().to_string();
        if model.zones.is_empty() && has_settings {
            others.push(FileProblem {
                severity: Severity::Warning,
                rule: &rules::NO_ZONE,
                file: zones.clone(),
                fault: "no zone is served".into(),
                remedy: "put a file with [zone], or a .zone file, there".into(),
            });
        }
        others.extend(unknown_site(&settings, model));
        let identity = settings.sources.identity.clone();
        let places = Arc::new(PlaceMap::compile(&layers));
        if let Err(why) = compile(Arc::clone(model), places, identity) {
            let rule = &rules::POLICY_TREE;
            others.push(error(rule, zones, why.to_string(), "use fewer targets".into()));
        }
    }
    let findings = Findings { node: (files, problems), zones: (zone_files, zone_problems), others };
    (findings, model)
}

/// Warns of a site of this node that no file has.
fn unknown_site(settings: &Settings, model: &Model) -> Option<FileProblem> {
    let (site, file) = (settings.node.site.as_deref()?, settings.file.as_ref()?);
    let known: Vec<&str> = model.sites.iter().map(|site| &*site.name).collect();
    let remedy = match closest(site, &known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("add [site.{site}] to a file of the zones folder"),
    };
    (!known.contains(&site)).then(|| FileProblem {
        severity: Severity::Warning,
        rule: &rules::UNKNOWN_NAME,
        file: file.display().to_string(),
        fault: format!("server.site: there is no site \"{site}\""),
        remedy,
    })
}

fn error(rule: &'static Rule, file: String, fault: String, remedy: String) -> FileProblem {
    FileProblem { severity: Severity::Error, rule, file, fault, remedy }
}

fn unreadable(fault: &ReadFault) -> FileProblem {
    let (path, why) = (fault.path.display().to_string(), fault.source.to_string());
    error(&rules::UNREADABLE_FILE, path, why, UNREAD.into())
}

fn read_layers(databases: &[Database], problems: &mut Vec<FileProblem>) -> Vec<Layer> {
    let read = |(name, octets): &Database| match read_database(name, octets) {
        Ok((layer, _)) => Some(layer),
        Err(fault) => {
            let text = fault.to_string();
            let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
            let (fault, remedy) = text.rsplit_once("; ").unwrap_or((text, "build it again"));
            let rule = &rules::UNREADABLE_FILE;
            problems.push(error(rule, name.to_string(), fault.into(), remedy.into()));
            None
        }
    };
    databases.iter().filter_map(read).collect()
}

fn print_as_json(findings: &Findings) {
    let mut all = Vec::new();
    for (files, problems) in [&findings.node, &findings.zones] {
        all.extend(render::for_machines(files, problems));
    }
    all.extend(findings.others.iter().map(FileProblem::for_machines));
    print_json(&all);
}

fn print_as_sarif(findings: &Findings) {
    let Findings { node, zones, others } = findings;
    print_json(&sarif::log(&[(&node.0, &node.1), (&zones.0, &zones.1)], others));
}

fn report(findings: &Findings, model: Option<&Model>) {
    let mut text = String::new();
    for (files, problems) in [&findings.node, &findings.zones] {
        text += &render::for_people(files, problems, wants_color());
    }
    for problem in &findings.others {
        text += &(problem.for_people() + "\n\n");
    }
    if !text.is_empty() {
        print(text.trim_end());
        print("");
    }
    let errors = findings.count(Severity::Error);
    let warnings = count(findings.count(Severity::Warning), "warning", "warnings");
    match model.filter(|_| errors == 0) {
        Some(model) => print(format!("fine: {}, {warnings}", contents(model))),
        None => print(format!(
            "{}, {warnings}: nothing of this would be served",
            count(errors, "error", "errors")
        )),
    }
}

fn contents(model: &Model) -> String {
    let endpoints = model.pools.iter().map(|pool| pool.endpoints.len()).sum();
    let parts = [
        count(model.zones.len(), "zone", "zones"),
        count(model.steers.len(), "steered name", "steered names"),
        count(model.policies.len(), "policy", "policies"),
        count(model.pools.len(), "pool", "pools"),
        count(endpoints, "endpoint", "endpoints"),
    ];
    parts.join(", ")
}

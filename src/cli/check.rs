//! `rhumb check`: every problem of the settings, the zones and the geo data at once.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::ValueEnum;

use crate::assertion;
use crate::cli::discovery;
use crate::cli::output::PROBLEMS;
use crate::cli::output::count;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::output::wants_color;
use crate::cli::probing::find_excess;
use crate::cli::probing::roster;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::cli::settings::Reading;
use crate::cli::settings::Settings;
use crate::config;
use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::duration::tell;
use crate::config::failover::FORMULA;
use crate::config::failover::Failover;
use crate::config::failover::PROPAGATION;
use crate::config::failover::QUORUM_CLUSTER;
use crate::config::failover::Terms;
use crate::config::failover::failovers;
use crate::config::failover::failovers_with;
use crate::config::reader::closest;
use crate::config::render;
use crate::config::render::FileProblem;
use crate::config::rules;
use crate::config::rules::Rule;
use crate::config::sarif;
use crate::control::cluster::rates::RateStatus;
use crate::control::cluster::rates::paces;
use crate::control::cluster::rates::rates;
use crate::control::geo::GeoReport;
use crate::geo::PlaceMap;
use crate::model::CheckId;
use crate::model::Encrypted;
use crate::model::Model;
use crate::model::Node;
use crate::model::Policy;
use crate::model::PolicyKind;
use crate::model::Pool;
use crate::runtime::answerer::unix_s;
use crate::runtime::encrypted::certificate::CertificateFault;
use crate::runtime::encrypted::certificate::CertificateFiles;
use crate::runtime::files::ReadFault;
use crate::snapshot::compile;

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
    /// Of overlays of geo data.
    overlays: (Files, Problems),
    /// Of files of targets.
    targets: (Files, Problems),
    /// Of whole files.
    others: Vec<FileProblem>,
}

impl Findings {
    fn count(&self, severity: Severity) -> usize {
        let all = [&self.node.1, &self.zones.1, &self.overlays.1, &self.targets.1];
        let problems = all.into_iter().flat_map(Problems::iter);
        let severities = problems.map(|problem| problem.severity);
        let others = self.others.iter().map(|problem| problem.severity);
        severities.chain(others).filter(|found| *found == severity).count()
    }
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let (findings, held) = examine(&arguments.config);
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Text => report(&findings, held.as_ref()),
        Format::Json => print_as_json(&findings, held.as_ref()),
        Format::Sarif => print_as_sarif(&findings),
    }
    match findings.count(Severity::Error) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(PROBLEMS),
    }
}

/// Reads every file once and checks it all; with what they hold, if the zones are fine.
fn examine(option: &ConfigOption) -> (Findings, Option<Held>) {
    let Reading { settings, problems, files, unread } = settings::read(option);
    let has_settings = unread.is_none() && !problems.has_errors();
    let mut faults = Vec::new();
    let zone_files = settings.sources.read_files(&mut faults);
    if !has_settings {
        // Folders where they would be by default need not be there.
        faults.retain(|fault| fault.source.kind() != ErrorKind::NotFound);
    }
    let geo = settings.sources.read_geo(&mut faults);
    let mut others: Vec<_> = unread.iter().chain(&faults).map(ReadFault::problem).collect();
    let mut overlays = (Files::default(), Problems::default());
    let places = match geo.read() {
        Ok(table) => {
            let report = GeoReport::new(&geo, &table.warnings, Severity::Warning);
            others.extend(report.others);
            table.into_places()
        }
        Err(found) => {
            let report = GeoReport::new(&geo, &found, Severity::Error);
            others.extend(report.others);
            overlays = (report.files, report.problems);
            PlaceMap::empty()
        }
    };
    if let Some(encrypted) = &settings.node.encrypted {
        others.extend(examine_certificate(encrypted));
    }
    let (model, mut zone_problems) = config::load(&zone_files);
    let held = model.as_ref().map(|model| Held::new(model, &settings.node));
    let mut targets = (Files::default(), Problems::default());
    if let Some(model) = &model {
        let examined = discovery::examine(model, &settings.node.resolver);
        targets = examined.inside;
        others.extend(examined.others);
    }
    if let (Some(model), true) = (model, faults.is_empty()) {
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
        others.extend(unknown_site(&settings, &model));
        let file =
            settings.file.as_ref().map_or_else(|| zones.clone(), |file| file.display().to_string());
        others.extend(find_excess(&model, &settings.node, &file));
        if geo.databases.is_empty() && geo.overlays.is_empty() {
            others.extend(no_geo_data(&zones, &model));
        }
        let terms = settings.sources.terms.clone();
        match compile(model, Arc::new(places), terms) {
            Ok(compiled) => {
                assertion::report(&compiled, &assertion::judge(&compiled), &mut zone_problems);
                zone_problems.sort();
            }
            Err(why) => {
                let rule = &rules::POLICY_TREE;
                others.push(error(rule, zones, why.to_string(), "use fewer targets".into()));
            }
        }
    }
    let (node, zones) = ((files, problems), (zone_files, zone_problems));
    (Findings { node, zones, overlays, targets, others }, held)
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

/// Warns of policies that ask where a client is if nobody knows.
fn no_geo_data(zones: &str, model: &Model) -> Option<FileProblem> {
    let outcome = |policy: &Policy| match &policy.kind {
        PolicyKind::Nearest { .. } | PolicyKind::Fastest { .. } => {
            Some((policy.name.clone(), "everybody gets the first target"))
        }
        PolicyKind::Geo(_) => Some((policy.name.clone(), "everybody gets the default")),
        PolicyKind::Failover(_)
        | PolicyKind::Weighted(_)
        | PolicyKind::Networks(_)
        | PolicyKind::All { .. } => None,
    };
    let policies = model.policies.iter().find_map(outcome);
    let sheds = || model.pools.iter().find(|pool| pool.shed.is_some());
    let fault = match policies {
        Some((name, outcome)) => format!("policy.{name}: there is no geo data, so {outcome}"),
        None => {
            let name = &sheds()?.name;
            format!("pool.{name}.shed: there is no geo data, so nobody is shed")
        }
    };
    Some(FileProblem {
        severity: Severity::Warning,
        rule: &rules::LIKELY_MISTAKE,
        file: zones.to_owned(),
        fault,
        remedy: "name a database: [geo] databases = [\"geodb/city.mmdb\"] in rhumb.toml".into(),
    })
}

fn error(rule: &'static Rule, file: String, fault: String, remedy: String) -> FileProblem {
    FileProblem { severity: Severity::Error, rule, file, fault, remedy }
}

/// What is wrong with certificate and key, or will be soon.
fn examine_certificate(encrypted: &Encrypted) -> Vec<FileProblem> {
    let Encrypted { certificate, key, .. } = encrypted;
    let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
    let problem = |severity: Severity, fault: CertificateFault| FileProblem {
        severity,
        rule: match severity {
            Severity::Error => &rules::UNREADABLE_FILE,
            Severity::Warning => &rules::LIKELY_MISTAKE,
        },
        file: fault.file.display().to_string(),
        fault: fault.fault,
        remedy: fault.remedy.into(),
    };
    match files.read() {
        Ok(pair) => {
            let warning = pair.find_warning(certificate, unix_s().cast_signed());
            warning.map(|fault| problem(Severity::Warning, fault)).into_iter().collect()
        }
        Err(faults) => faults.into_iter().map(|fault| problem(Severity::Error, fault)).collect(),
    }
}

fn print_as_json(findings: &Findings, held: Option<&Held>) {
    let mut all = Vec::new();
    for (files, problems) in
        [&findings.node, &findings.zones, &findings.overlays, &findings.targets]
    {
        all.extend(render::for_machines(files, problems));
    }
    all.extend(findings.others.iter().map(FileProblem::for_machines));
    let mut all: Vec<serde_json::Value> =
        all.iter().filter_map(|problem| serde_json::to_value(problem).ok()).collect();
    let is_fine = findings.count(Severity::Error) == 0;
    let failovers = held.filter(|_| is_fine).map(|held| &held.failovers[..]).unwrap_or_default();
    all.extend(failovers.iter().map(failover_json));
    print_json(&all);
}

fn print_as_sarif(findings: &Findings) {
    let Findings { node, zones, overlays, targets, others } = findings;
    print_json(&sarif::log(
        &[node, zones, overlays, targets].map(|(files, problems)| (files, problems)),
        others,
    ));
}

/// A note, not a problem: what a failover takes, with its terms in milliseconds.
fn failover_json(failover: &Failover) -> serde_json::Value {
    let ms = |duration: Duration| duration.as_millis() as u64;
    let terms = failover.slowest.as_ref().map(|terms| {
        let Terms { check, interval, fall, timeout, quorum, ttl } = terms;
        serde_json::json!({
            "check": check,
            "interval_ms": ms(*interval),
            "fall": fall,
            "timeout_ms": ms(*timeout),
            "quorum_ms": ms(*quorum),
            "propagation_ms": ms(PROPAGATION),
            "ttl_ms": ms(*ttl),
            "total_ms": ms(terms.total()),
        })
    });
    serde_json::json!({
        "severity": "note",
        "rule": rules::FAILOVER_TIME.id,
        "file": "",
        "line": 0,
        "column": 0,
        "key": failover.owner,
        "fault": failover.to_string(),
        "remedy": "",
        "failover": { "slowest": terms, "unchecked": failover.unchecked },
    })
}

fn report(findings: &Findings, held: Option<&Held>) {
    let mut text = String::new();
    for (files, problems) in
        [&findings.node, &findings.zones, &findings.overlays, &findings.targets]
    {
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
    match held.filter(|_| errors == 0) {
        Some(held) => {
            print_failovers(&held.failovers);
            print_rates(&held.rates);
            print(format!("fine: {}, {warnings}", held.contents));
        }
        None => print(format!(
            "{}, {warnings}: nothing of this would be served",
            count(errors, "error", "errors")
        )),
    }
}

/// How often the whole cluster probes an endpoint, a line a check.
fn print_rates(rates: &[RateStatus]) {
    for RateStatus { check, sites, nodes, a_second, interval_ms, stretched_from_ms } in rates {
        let (nodes, sites) = (count(*nodes, "node", "nodes"), count(*sites, "site", "sites"));
        print(format!(
            "check \"{check}\" probes an endpoint from {nodes} at {sites}: {a_second:.2} times a second{}",
            stretched_text(*interval_ms, *stretched_from_ms)
        ));
    }
}

/// ` (interval stretched from 1s to 3s by fleet_interval)`
pub(super) fn stretched_text(interval_ms: u64, from_ms: Option<u64>) -> String {
    let [to, from] = [Some(interval_ms), from_ms].map(|ms| ms.map(Duration::from_millis).map(tell));
    match (from, to) {
        (Some(from), Some(to)) => {
            format!(" (interval stretched from {from} to {to} by fleet_interval)")
        }
        _ => String::new(),
    }
}

/// How long a failover of each name takes at worst.
fn print_failovers(failovers: &[Failover]) {
    if failovers.is_empty() {
        return;
    }
    print(format!("failover at worst: {FORMULA}"));
    let width = failovers.iter().map(|failover| failover.owner.len()).max().unwrap_or(0);
    for failover in failovers {
        print(format!("  {:width$}  {failover}", failover.owner));
    }
    print("");
}

/// What the zones hold.
struct Held {
    contents: String,
    failovers: Vec<Failover>,
    /// How often all nodes of the cluster together probe an endpoint; nothing without one.
    rates: Vec<RateStatus>,
}

impl Held {
    fn new(model: &Model, node: &Node) -> Self {
        let contents = contents(model);
        let Some(roster) = roster(node) else {
            return Self { contents, failovers: failovers(model), rates: Vec::new() };
        };
        let interval = |pool: &Pool, check: CheckId| {
            let paces = paces(model, &roster, pool).into_iter();
            let mut of_check = paces.filter(|pace| pace.check == check);
            of_check.next().map_or(model.checks[check.index()].interval, |pace| pace.interval)
        };
        let failovers = failovers_with(model, QUORUM_CLUSTER, interval);
        Self { contents, failovers, rates: rates(model, &roster) }
    }
}

fn contents(model: &Model) -> String {
    let endpoints = model.written_pools().map(|pool| pool.endpoints.len()).sum();
    let parts = [
        count(model.zones.len(), "zone", "zones"),
        count(model.steers.len(), "steered name", "steered names"),
        count(model.policies.len(), "policy", "policies"),
        count(model.written_pools().count(), "pool", "pools"),
        count(endpoints, "endpoint", "endpoints"),
    ];
    parts.join(", ")
}

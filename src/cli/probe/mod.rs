//! `rhumb probe`: one probe of an endpoint now, by the files and by the server's own code, whether a server runs or not.

mod find;
mod kind;
mod places;
mod report;
mod server;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::cli::operate::ServerOption;
use crate::cli::output::PROBLEMS;
use crate::cli::output::USAGE;
use crate::cli::output::block_on;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::output::print_json;
use crate::cli::probe::find::Wanted;
use crate::cli::probe::report::Outcome;
use crate::cli::probe::report::Report;
use crate::cli::settings;
use crate::cli::settings::Settings;
use crate::config;
use crate::config::Severity;
use crate::control::ProbeOrder;
use crate::control::by_hand;
use crate::model::CheckKind;
use crate::model::Model;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::probe_once;

#[derive(Debug, Args)]
pub(super) struct ProbeArguments {
    /// The endpoint, as pool/endpoint; its own name will do if no other pool has one of that name
    endpoint: String,
    /// The check to probe it by, of its pool or not [default: that of its pool]
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    #[command(flatten)]
    server: ServerOption,
}

pub(super) fn run(arguments: &ProbeArguments) -> ExitCode {
    let ProbeArguments { endpoint, check, server } = arguments;
    let settings = match settings::find(&server.config) {
        Ok(settings) => settings,
        Err(why) => return fail(PROBLEMS, why),
    };
    let model = match read_model(&settings) {
        Ok(model) => model,
        Err(why) => return fail(PROBLEMS, why),
    };
    let model = match places::with_found(model, endpoint, &settings.node.resolver) {
        Ok(model) => model,
        Err(why) => return fail(PROBLEMS, why),
    };
    let wanted = match find::find(&model, endpoint, check.as_deref()) {
        Ok(wanted) => wanted,
        Err(why) => return fail(USAGE, why),
    };
    let report = match probe(&model, &wanted, &settings, server) {
        Ok(report) => report,
        Err(why) => return fail(PROBLEMS, why),
    };
    match server.json {
        true => print_json(&report),
        false => show::show(&report),
    }
    match report.outcome {
        Outcome::Passes => ExitCode::SUCCESS,
        Outcome::Fails | Outcome::Unknown => ExitCode::from(PROBLEMS),
    }
}

/// What the files say, as a server that starts now would have it.
fn read_model(settings: &Settings) -> Result<Model, String> {
    let mut faults = Vec::new();
    let files = settings.sources.read_files(&mut faults);
    if let Some(fault) = faults.first() {
        return Err(fault.to_string());
    }
    let (model, problems) = config::load(&files);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    model.ok_or_else(|| {
        let errors = count(errors, "problem", "problems");
        format!("the files have {errors}, so that nothing is probed; `rhumb check` shows them")
    })
}

/// Resolves the endpoint if it is a name, probes each of its addresses, and asks the server what it says of them.
fn probe(
    model: &Model,
    wanted: &Wanted<'_>,
    settings: &Settings,
    server: &ServerOption,
) -> Result<Report, String> {
    let resolver = &settings.node.resolver;
    let name = places::resolve(wanted.endpoint, resolver)?;
    let resolved = name.as_ref().map(|name| name.believed()).unwrap_or_default();
    let all = by_hand::targets(model, wanted.endpoint, wanted.check, &resolved);
    let orders = all.iter().flat_map(|one| match one.parts.is_empty() {
        true => std::slice::from_ref(&one.target),
        false => &one.parts[..],
    });
    // What is reported to a server, nobody else has heard.
    let is_probed = |order: &&ProbeOrder| !matches!(order.check.kind, CheckKind::Push(_));
    let targets: Vec<ProbeTarget> = orders.filter(is_probed).map(target).collect();
    let told = block_on(probe_once(resolver.clone(), &targets)).map_err(|why| why.to_string())?;
    let said = server::ask(server, &wanted.endpoint.key);
    let told: Vec<_> = targets.into_iter().zip(told).collect();
    Ok(report::make(model, wanted, name, &all, &told, said))
}

fn target(order: &ProbeOrder) -> ProbeTarget {
    ProbeTarget {
        key: order.key.clone(),
        address: order.address,
        check: Arc::clone(&order.check),
        initial: order.verdict,
        degraded: order.degraded,
        penalty: order.penalty,
    }
}

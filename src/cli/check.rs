//! `rhumb check`

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::PROBLEMS;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::output::wants_color;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::config;
use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::render;
use crate::model::Model;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    config: ConfigOption,
    /// Print problems as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let settings = match settings::find(&arguments.config) {
        Ok(settings) => settings,
        Err(why) => return fail(PROBLEMS, why),
    };
    let files = match settings.sources.read_files() {
        Ok(files) => files,
        Err(why) => return fail(PROBLEMS, why),
    };
    let (model, problems) = config::load(&files);
    if arguments.json {
        print_json(&render::for_machines(&files, &problems));
    } else {
        report(&files, model.as_ref(), &problems);
    }
    if model.is_none() {
        return ExitCode::from(PROBLEMS);
    }
    // Geo data and classes can fail too; that costs a second, so files come first.
    let compiled = settings.sources.read().map(|job| job.run().result);
    match compiled {
        Ok(Ok(_)) => ExitCode::SUCCESS,
        Ok(Err(rejection)) => fail(PROBLEMS, rejection.text),
        Err(why) => fail(PROBLEMS, why),
    }
}

fn report(files: &Files, model: Option<&Model>, problems: &Problems) {
    let text = render::for_people(files, problems, wants_color());
    if !text.is_empty() {
        print(text.trim_end());
        print("");
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    match model {
        Some(model) => {
            let endpoints: usize = model.pools.iter().map(|pool| pool.endpoints.len()).sum();
            print(format!(
                "fine: {} zones, {} steered names, {} policies, {} pools, {endpoints} endpoints, {warnings} warning(s)",
                model.zones.len(),
                model.steers.len(),
                model.policies.len(),
                model.pools.len(),
            ));
        }
        None => print(format!(
            "{errors} error(s), {warnings} warning(s): nothing of this would be served"
        )),
    }
}

//! `rhumb discovery`: what a source dropped and the floor of its pool holds is let go; files of targets are examined.

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Args;
use clap::Subcommand;

use crate::cli::operate;
use crate::cli::operate::ServerOption;
use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::SourceFile;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::render::FileProblem;
use crate::config::rules;
use crate::control::Command;
use crate::discovery::Refused;
use crate::discovery::list;
use crate::discovery::members;
use crate::model::Discovery;
use crate::model::Model;
use crate::model::ResolverSettings;
use crate::model::Source;
use crate::runtime::discover::read_octets;

/// What to do with endpoints that are found.
#[derive(Debug, Subcommand)]
pub(super) enum DiscoveryCommand {
    /// Let go the endpoints that have gone from a pool's list at once, and that its floor holds
    Accept(AcceptArguments),
}

#[derive(Debug, Args)]
pub(super) struct AcceptArguments {
    /// The pool
    pool: String,
    /// Why: whoever reads the log wants to know
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    server: ServerOption,
}

pub(super) fn run(command: &DiscoveryCommand) -> ExitCode {
    let DiscoveryCommand::Accept(AcceptArguments { pool, reason, server }) = command;
    let author = operate::author();
    let command = Command::AcceptDiscovery { pool: pool.clone(), reason: reason.clone(), author };
    operate::send(server, &command)
}

/// What is wrong with the files of targets that a model names.
pub(super) struct Examined {
    /// Mistakes inside of them.
    pub(super) inside: (Files, Problems),
    /// Files that cannot be read.
    pub(super) others: Vec<FileProblem>,
}

/// Examines every file of targets, once for each pool that has it.
pub(super) fn examine(model: &Model, resolver: &ResolverSettings) -> Examined {
    let mut texts: Vec<SourceFile> = Vec::new();
    let mut others: Vec<FileProblem> = Vec::new();
    for pool in &model.pools {
        let Some(Discovery { source, .. }) = &pool.discover else { continue };
        let Source::File { path } = &**source else { continue };
        let name = path.display().to_string();
        let is_known = texts.iter().any(|text| *text.name == *name)
            || others.iter().any(|other| other.file == name);
        if is_known {
            continue;
        }
        let text = read_octets(path).and_then(|octets| {
            String::from_utf8(octets)
                .map_err(|why| std::io::Error::new(ErrorKind::InvalidData, why))
        });
        match text {
            Ok(text) => texts.push(SourceFile::new(&name, &text)),
            Err(why) => others.push(unreadable(&pool.name, name, &why)),
        }
    }
    let files = Files::new(texts);
    let mut problems = Problems::default();
    for (id, file) in files.iter() {
        examine_text(id, file, model, resolver, &mut problems);
    }
    problems.sort();
    Examined { inside: (files, problems), others }
}

fn unreadable(pool: &str, file: String, why: &std::io::Error) -> FileProblem {
    let (rule, remedy) = match why.kind() {
        ErrorKind::NotFound => (&rules::MISSING_FILE, "make it: [] if there is nothing yet"),
        ErrorKind::InvalidData => (&rules::UNREADABLE_FILE, "save it as UTF-8"),
        _ => (&rules::UNREADABLE_FILE, "check that this user may read it"),
    };
    let fault = format!("pool.{pool}.discover.file: {why}");
    FileProblem { severity: Severity::Error, rule, file, fault, remedy: remedy.into() }
}

/// Every mistake of form, or every target that some pool refuses.
fn examine_text(
    id: FileId,
    file: &SourceFile,
    model: &Model,
    resolver: &ResolverSettings,
    problems: &mut Problems,
) {
    let place = |offset: usize| {
        let end = file.text[offset..].find(['\n', ',', ']', '}']).map_or(1, |len| len.max(1));
        Place { file: id, span: offset..(offset + end).min(file.text.len()) }
    };
    let entries = match list::read(&file.text) {
        Ok(entries) => entries,
        Err(faults) => {
            for list::Misread { offset, fault, remedy } in faults {
                let problem = problems.error(&place(offset), "targets", fault, remedy);
                problem.rule(&rules::BAD_VALUE);
            }
            return;
        }
    };
    for pool in &model.pools {
        let Some(discovery) = &pool.discover else { continue };
        let is_its = matches!(&*discovery.source, Source::File { path } if path.display().to_string() == *file.name);
        if !is_its {
            continue;
        }
        let found = members(&entries, pool, discovery, &model.sites, &resolver.allow);
        let key = format!("pool.{}.discover", pool.name);
        for Refused { target, why, offset } in found.refused {
            let fault = format!("{target} is refused: {why}");
            let remedy = "mend the target or its labels; it is left out until then";
            problems.error(&place(offset), &key, fault, remedy).rule(&rules::BAD_VALUE);
        }
        if found.endpoints.is_empty() && problems.is_empty() {
            let remedy = "an empty list is never taken: drain the pool instead";
            let fault = "the file has no endpoint for this pool";
            problems.warning(&place(0), &key, fault, remedy);
        }
    }
}

//! One file to its spec: every value read, every fault collected.

mod assertion;
mod check;
mod clients;
pub mod condition;
mod discover;
mod list;
mod name;
mod newer;
mod policy;
mod pool;
mod syntax;
mod zone;

use toml::de::DeTable;

pub(super) use check::refuse_program;

use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::keys::COST;
use crate::config::keys::ZONE_FILE;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::reader::PLAIN;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::is_plain;
use crate::config::rules;
use crate::config::spec::Broken;
use crate::config::spec::FileSpec;
use crate::config::spec::SiteSpec;

pub(super) use clients::parse_clients;
pub(super) use newer::warn_of_newer_toml;
pub(super) use syntax::syntax_errors;
pub use zone::read_zone_file;
pub use zone::report;

/// Reads a TOML file of the zones folder.
pub fn read_toml(id: FileId, file: &SourceFile, problems: &mut Problems) -> FileSpec {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    if !errors.is_empty() {
        // What the rest says is a guess: a table whose header is lost lends its keys to the one before.
        syntax_errors(id, file, &errors, problems);
        return FileSpec {
            broken: Broken { syntax: Some(id), ..Broken::default() },
            ..FileSpec::default()
        };
    }
    warn_of_newer_toml(id, file, problems);
    let mut root = Section::of_file(id, table.get_ref(), &ZONE_FILE);
    let mut spec = FileSpec::default();
    if let Some(value) = root.take("zone") {
        spec.zone = zone::read_zone(&value, problems);
        spec.broken.zone = spec.zone.is_none();
    }
    each(&mut root, "site", problems, |name, section, problems| {
        match read_site(name.clone(), section, problems) {
            Some(site) => spec.sites.push(site),
            None => spec.broken.sites.push(name),
        }
    });
    each(&mut root, "check", problems, |name, section, problems| {
        match check::read_check(name.clone(), section, problems) {
            Some(check) => spec.checks.push(check),
            None => spec.broken.checks.push(name),
        }
    });
    each(&mut root, "pool", problems, |name, section, problems| {
        spec.pools.push(pool::read_pool(name, section, problems));
    });
    each(&mut root, "policy", problems, |name, section, problems| {
        let mentions = policy::mentions(&section);
        match policy::read_policy(name.clone(), section, problems) {
            Some(policy) => spec.policies.push(policy),
            None => {
                spec.broken.policies.push(name);
                spec.broken.mentions.extend(mentions);
            }
        }
    });
    each(&mut root, "list", problems, |name, section, problems| {
        match list::read_list(name.clone(), section, problems) {
            Some(list) => spec.lists.push(list),
            None => spec.broken.lists.push(name),
        }
    });
    each(&mut root, "name", problems, |name, section, problems| {
        spec.names.push(name::read_name(name, section, problems));
    });
    if let Some(value) = root.take("assert") {
        spec.assertions = assertion::read_assertions(&value, problems);
    }
    root.finish(problems);
    spec
}

/// Reads every table of `[key.NAME]`, and checks the names.
fn each<'t>(
    root: &mut Section<'t>,
    key: &'static str,
    problems: &mut Problems,
    mut read: impl FnMut(At<String>, Section<'t>, &mut Problems),
) {
    let Some(value) = root.take(key) else { return };
    each_of(&value, key != "name", problems, &mut read);
}

/// Reads every table of a table of tables.
fn each_of<'t>(
    value: &Value<'t>,
    plain_names: bool,
    problems: &mut Problems,
    read: &mut impl FnMut(At<String>, Section<'t>, &mut Problems),
) {
    let wanted = format!("a table with a name, as [{}.NAME]", value.path);
    let Some(mut section) = value.section_like(&wanted, problems) else { return };
    for (name, value) in section.take_all() {
        if plain_names && !is_plain(&name.value) {
            let fault = format!("\"{}\" is not allowed as a name", name.value);
            problems.error(&name.place, &value.path, fault, PLAIN).rule(&rules::BAD_NAME);
        }
        // A key of the table below, written without a name above it, lands here.
        if let Some(section) = value.section_like(&wanted, problems) {
            read(name, section, problems);
        }
    }
}

fn read_site(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<SiteSpec> {
    let latitude = section.need("latitude", problems);
    let latitude = latitude.and_then(|value| value.number(problems));
    let longitude = section.need("longitude", problems);
    let longitude = longitude.and_then(|value| value.number(problems));
    let country = section.take("country").and_then(|value| {
        let parse = |text: &str| match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
            }
            _ => Err((
                format!("\"{text}\" is not a country code"),
                "write two letters, as \"DE\"".to_owned(),
            )),
        };
        value.parsed(parse, problems)
    });
    let region = section.take("region").and_then(|value| value.plain_name(problems));
    let cost = section.take("cost").and_then(|value| value.number(problems));
    section.finish(problems);
    Some(SiteSpec {
        name,
        latitude: latitude?.value,
        longitude: longitude?.value,
        country: country.map(|at| at.value),
        region: region.map(|at| at.value),
        cost: cost.map_or(COST, |at| at.value),
    })
}

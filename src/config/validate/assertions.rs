//! `[[assert]]`: names, sites and traffic looked up. Whether an assertion holds is not judged here.

use std::collections::HashMap;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::closest;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::AreaSpec;
use crate::config::spec::AssertSpec;
use crate::config::spec::ClaimSpec;
use crate::config::spec::FileSpec;
use crate::config::validate::Directory;
use crate::config::validate::traffic;
use crate::config::validate::zones::relative;
use crate::model::Area;
use crate::model::Assertion;
use crate::model::Claim;
use crate::model::Model;
use crate::model::PoolId;
use crate::model::SteerId;
use crate::model::Written;
use crate::wire::Name;

/// The steered names that a file can speak of.
pub(super) struct Steered<'a> {
    /// Apex of the file's zone.
    apex: Option<&'a Name>,
    by_owner: HashMap<&'a Name, SteerId>,
}

impl<'a> Steered<'a> {
    fn new(model: &'a Model, apex: Option<&'a Name>) -> Self {
        let steers = model.steers.iter().enumerate();
        let by_owner = steers.map(|(at, steer)| (&steer.owner, SteerId::at(at))).collect();
        Self { apex, by_owner }
    }

    /// Every name that is meant where none is named.
    fn all(&self, model: &Model) -> Vec<SteerId> {
        let is_meant = |apex: &Name| self.apex.is_none_or(|own| own == apex);
        let zones = model.zones.iter().filter(|zone| is_meant(&zone.apex));
        let mut all: Vec<_> =
            zones.flat_map(|zone| zone.steered.iter().map(|steered| steered.steer)).collect();
        all.sort_unstable();
        all
    }

    /// A name, relative to the file's zone or whole.
    pub(super) fn find(
        &self,
        name: &At<String>,
        key: &str,
        problems: &mut Problems,
    ) -> Option<SteerId> {
        let root = Name::root();
        let owner = match Name::parse(&name.value, self.apex.unwrap_or(&root)) {
            Ok(owner) => owner,
            Err(why) => {
                problems.error(&name.place, key, why.to_string(), "write a steered name");
                return None;
            }
        };
        if let Some(id) = self.by_owner.get(&owner) {
            return Some(*id);
        }
        let shown = |owner: &Name| match self.apex.filter(|apex| owner.is_within(apex)) {
            Some(apex) => relative(owner, apex),
            None => owner.to_string(),
        };
        let mut known: Vec<String> = self.by_owner.keys().map(|owner| shown(owner)).collect();
        known.sort_unstable();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let remedy = match closest(&name.value, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => "steer a name, or take this out".to_owned(),
            None => format!("use one of: {}", known[..known.len().min(12)].join(", ")),
        };
        let fault = format!("{owner} is no steered name");
        problems.error(&name.place, key, fault, remedy).rule(&rules::UNKNOWN_NAME);
        None
    }
}

/// Adds the assertions of all files. Not if something else is wrong: what seems to be missing may follow from it.
pub(super) fn add_assertions(
    files: &Files,
    specs: &[FileSpec],
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) {
    let has_errors = problems.has_errors();
    let mut all = Vec::new();
    for spec in specs {
        let apex = spec.zone.as_ref().map(|zone| &zone.apex.value);
        let steered = Steered::new(model, apex);
        for assertion in &spec.assertions {
            let before = problems.len();
            let areas = find_areas(assertion, directory, problems);
            if !has_errors && problems.len() == before {
                let made = add(files, assertion, areas, &steered, model, problems);
                all.extend(made);
            }
        }
    }
    model.assertions = all;
}

fn add(
    files: &Files,
    spec: &AssertSpec,
    areas: Vec<Area>,
    steered: &Steered<'_>,
    model: &Model,
    problems: &mut Problems,
) -> Option<Assertion> {
    let AssertSpec { path, place, names, clients, claim, losses } = spec;
    let steers = match names {
        None => steered.all(model),
        Some(names) => {
            let key = dotted(path, "name");
            let found = names.iter().filter_map(|name| steered.find(name, &key, problems));
            let mut found: Vec<SteerId> = found.collect();
            found.sort_unstable();
            found.dedup();
            found
        }
    };
    if steers.is_empty() {
        if names.is_none() {
            let remedy = "steer a name, or take the assertion out";
            problems.error(place, path, "there is no steered name", remedy);
        }
        return None;
    }
    let claim = match claim {
        ClaimSpec::StaysIn(_) => Claim::StaysIn(areas),
        ClaimSpec::Within(metres) => Claim::Within(*metres),
        ClaimSpec::Answers => Claim::Answers,
        ClaimSpec::MaxLoad { limit, traffic } => {
            check_capacities(model, &steers, (place, path), problems);
            let key = dotted(path, "traffic");
            let traffic = traffic::read(files, (traffic, &key), &steers, steered, problems)?;
            Claim::MaxLoad { limit: *limit, traffic }
        }
    };
    let Place { file, span } = place;
    let written = Written { file: file.0, start: span.start, end: span.end };
    Some(Assertion { written, steers, clients: clients.clone(), claim, losses: *losses })
}

fn find_areas(spec: &AssertSpec, directory: &Directory, problems: &mut Problems) -> Vec<Area> {
    let ClaimSpec::StaysIn(areas) = &spec.claim else { return Vec::new() };
    let find = |area: &At<AreaSpec>| {
        Some(match &area.value {
            AreaSpec::Continent(code) => Area::Continent(*code),
            AreaSpec::Country(code) => Area::Country(*code),
            AreaSpec::Site(name) => {
                let name = At { value: name.clone(), place: area.place.clone() };
                let key = dotted(&spec.path, "stays_in");
                Area::Site(directory.sites.find("site", &key, &name, problems)?)
            }
        })
    };
    areas.iter().filter_map(find).collect()
}

/// Every endpoint that may carry something needs a site and a capacity: said once for each pool.
fn check_capacities(
    model: &Model,
    steers: &[SteerId],
    (place, path): (&Place, &str),
    problems: &mut Problems,
) {
    let key = dotted(path, "max_load");
    let mut pools: Vec<PoolId> = Vec::new();
    for steer in steers {
        pools.extend(model.pools_below(model.steers[steer.index()].target));
    }
    pools.sort_unstable();
    pools.dedup();
    for pool in pools.into_iter().map(|id| &model.pools[id.index()]) {
        if pool.site.is_none() {
            let fault = format!("pool \"{}\" has no site, so its load is nowhere", pool.name);
            let remedy = format!("add site = \"…\" to [pool.{}]", pool.name);
            problems.error(place, &key, fault, remedy);
        }
        if pool.discover.is_some() {
            let fault =
                format!("pool \"{}\" finds endpoints, whose capacity nobody knows", pool.name);
            problems.error(place, &key, fault, "assert max_load of names of other pools");
        }
        let unknown = pool.endpoints.iter().find(|endpoint| endpoint.capacity.is_none());
        if let Some(endpoint) = unknown {
            let fault = format!("endpoint \"{}\" has no capacity", endpoint.key);
            let remedy = format!("add capacity = … to each endpoint of [pool.{}]", pool.name);
            problems.error(place, &key, fault, remedy);
        }
    }
}

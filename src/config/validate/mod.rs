//! Specs of all files to one model: names looked up, rules that span tables, lints.

mod assertions;
mod authority;
mod checks;
mod choices;
mod coexistence;
mod discover;
mod families;
mod hints;
mod lint;
mod lists;
mod names;
mod placed;
mod policies;
mod pools;
mod reach;
mod regions;
mod sets;
mod shedding;
mod strays;
mod traffic;
mod unions;
mod withdrawn;
mod zones;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::closest;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::Broken;
use crate::config::spec::FileSpec;
use crate::config::spec::Mention;
use crate::config::spec::Mentioned;
use crate::model::CheckId;
use crate::model::ListId;
use crate::model::Location;
use crate::model::Model;
use crate::model::Site;
use crate::model::SiteId;
use crate::model::Target;

/// Names of one namespace, each with what it names and where.
pub(super) struct Names<V> {
    map: HashMap<String, Known<V>>,
    /// Names in lower case, each with how it is written.
    folded: HashMap<String, String>,
    /// Files that could not be read: a name that stands in one of them may be given there.
    unread: Arc<[Box<str>]>,
}

struct Known<V> {
    /// What has this name, such as "pool".
    what: &'static str,
    /// `None` if its table could not be read, which is reported there.
    value: Option<V>,
    place: Place,
}

impl<V: Copy> Names<V> {
    fn new(unread: &Arc<[Box<str>]>) -> Self {
        Self { map: HashMap::new(), folded: HashMap::new(), unread: Arc::clone(unread) }
    }

    /// Adds a name; a second use of it is a problem.
    fn add(
        &mut self,
        what: &'static str,
        name: &At<String>,
        value: Option<V>,
        problems: &mut Problems,
    ) {
        let folded = name.value.to_ascii_lowercase();
        if let Some((written, first)) = self.find_alike(&folded) {
            let remedy = match first.what == what {
                true if *written != name.value => {
                    "choose another; names that differ in case only are taken for one another"
                }
                true => "choose another; names hold for all files",
                false => "choose another; pools and policies share their names, in all files",
            };
            let fault = format!("there is a {} \"{}\" already", first.what, written);
            let also = (first.place.clone(), "the first is here");
            problems
                .error_with(&name.place, dotted(what, &name.value), fault, remedy, also)
                .rule(&rules::DUPLICATE_NAME);
            // Whoever uses this spelling makes no second mistake.
            let known = Known { what, value, place: name.place.clone() };
            self.map.entry(name.value.clone()).or_insert(known);
            return;
        }
        self.folded.insert(folded, name.value.clone());
        self.map.insert(name.value.clone(), Known { what, value, place: name.place.clone() });
    }

    /// What a name stands for; an unknown one is a problem.
    fn find(&self, what: &str, key: &str, name: &At<String>, problems: &mut Problems) -> Option<V> {
        if let Some(known) = self.map.get(&name.value) {
            return known.value;
        }
        if self.unread.iter().any(|text| text.contains(&name.value)) {
            return None;
        }
        let known: Vec<&str> = sorted(self.map.keys().map(String::as_str));
        let remedy = match closest(&name.value, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("add a {what}: none is there"),
            None => format!("use one of: {}", known[..known.len().min(12)].join(", ")),
        };
        let fault = format!("there is no {what} \"{}\"", name.value);
        problems.error(&name.place, key, fault, remedy).rule(&rules::UNKNOWN_NAME);
        None
    }

    /// What a name stands for, if that is known.
    fn known(&self, name: &str) -> Option<V> {
        self.map.get(name)?.value
    }

    /// A name that is the same but for its case, as written.
    fn find_alike(&self, folded: &str) -> Option<(&String, &Known<V>)> {
        self.map.get_key_value(self.folded.get(folded)?)
    }

    /// Where a name was given.
    fn find_place(&self, name: &str) -> Option<&Place> {
        self.map.get(name).map(|known| &known.place)
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items
}

/// Everything that can be named, before references are followed.
pub(super) struct Directory {
    sites: Names<SiteId>,
    checks: Names<CheckId>,
    targets: Names<Target>,
    lists: Names<ListId>,
    /// Whether policies have all their targets and no cycles, so that trees can be walked.
    is_sound: bool,
}

/// Makes one model of all files. What is wrong is left out of it and reported.
pub(super) fn validate(
    files: &Files,
    mut specs: Vec<FileSpec>,
    problems: &mut Problems,
) -> Option<Model> {
    let unread = specs.iter().filter_map(|spec| spec.broken.syntax);
    let unread: Arc<[Box<str>]> = unread.map(|id| files.get(id).text.as_str().into()).collect();
    let mut directory = Directory {
        sites: Names::new(&unread),
        checks: Names::new(&unread),
        targets: Names::new(&unread),
        lists: Names::new(&unread),
        is_sound: true,
    };
    let mut model = Model::default();
    for site in specs.iter().flat_map(|spec| &spec.sites) {
        directory.sites.add("site", &site.name, Some(SiteId::at(model.sites.len())), problems);
        model.sites.push(Site {
            name: site.name.value.as_str().into(),
            location: Location { latitude: site.latitude, longitude: site.longitude },
            country: site.country,
            region: regions::region_of(site),
            cost: site.cost,
        });
    }
    let checks: Vec<_> = specs.iter().flat_map(|spec| &spec.checks).collect();
    checks::add_checks(files, &checks, &mut directory, &mut model, problems);
    let pools: Vec<_> = specs.iter().flat_map(|spec| &spec.pools).collect();
    let policies: Vec<_> = specs.iter().flat_map(|spec| &spec.policies).collect();
    let lists: Vec<_> = specs.iter().flat_map(|spec| &spec.lists).collect();
    lists::add_lists(files, &lists, &mut directory, &mut model, problems);
    policies::name_targets(&pools, &policies, &mut directory, problems);
    name_broken(&specs, &mut directory, problems);
    find_mentioned(&specs, &directory, problems);
    pools::add_pools(files, &pools, &directory, &mut model, problems);
    regions::warn_of_pools(&pools, &checks, &model, problems);
    directory.is_sound =
        policies::add_policies(&policies, &pools, &directory, &mut model, problems);
    zones::add_zones(files, &mut specs, &directory, &mut model, problems);
    assertions::add_assertions(files, &specs, &directory, &mut model, problems);
    // What looks unused or lopsided may follow from an error.
    if problems.has_errors() {
        return None;
    }
    model.index_pools();
    lint::warn(&specs, &model, problems);
    reach::warn(&specs, &model, problems);
    choices::warn(&specs, &model, problems);
    shedding::warn(&specs, &model, problems);
    withdrawn::warn(&specs, &model, problems);
    Some(model)
}

/// Names of tables that could not be read: whoever uses them makes no mistake.
fn name_broken(specs: &[FileSpec], directory: &mut Directory, problems: &mut Problems) {
    for Broken { syntax: _, zone: _, sites, checks, policies, lists, mentions: _ } in
        specs.iter().map(|spec| &spec.broken)
    {
        sites.iter().for_each(|name| directory.sites.add("site", name, None, problems));
        checks.iter().for_each(|name| directory.checks.add("check", name, None, problems));
        policies.iter().for_each(|name| directory.targets.add("policy", name, None, problems));
        lists.iter().for_each(|name| directory.lists.add("list", name, None, problems));
    }
}

/// Looks up what is named by tables that come no further: those that could not be read, and names without a zone.
fn find_mentioned(specs: &[FileSpec], directory: &Directory, problems: &mut Problems) {
    for Mention { key, name, what } in specs.iter().flat_map(|spec| &spec.broken.mentions) {
        match what {
            Mentioned::Target => {
                directory.targets.find("pool or policy", key, name, problems);
            }
            Mentioned::List => {
                directory.lists.find("list", key, name, problems);
            }
        }
    }
    for name in specs.iter().filter(|spec| spec.zone.is_none()).flat_map(|spec| &spec.names) {
        let Some(steer) = &name.steer else { continue };
        let key = dotted(&dotted("name", &name.name.value), "steer");
        directory.targets.find("pool or policy", &key, &steer.target, problems);
    }
}

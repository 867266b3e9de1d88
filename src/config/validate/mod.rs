//! Specs of all files to one model: names looked up, rules that span tables, lints.

mod lint;
mod names;
mod policies;
mod pools;
mod zones;

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::closest;
use crate::config::spec::FileSpec;
use crate::model::Location;
use crate::model::Model;
use crate::model::Site;
use crate::model::SiteId;
use crate::model::Target;

/// Names of one kind, each with where it was said.
pub(super) struct Names<K, V> {
    map: HashMap<K, (V, Place)>,
}

impl<V: Copy> Names<String, V> {
    fn new() -> Self {
        Self { map: HashMap::new() }
    }

    /// Adds a name; a second use of it is a problem.
    fn add(&mut self, what: &str, name: &At<String>, value: V, problems: &mut Problems) {
        if let Some((_, first)) = self.map.get(&name.value) {
            problems.error_with(
                &name.place,
                format!("{what}.{}", name.value),
                "this name is taken",
                "choose another; names hold for all files",
                (first.clone(), "taken here"),
            );
            return;
        }
        self.map.insert(name.value.clone(), (value, name.place.clone()));
    }

    /// What a name stands for; an unknown one is a problem.
    fn find(&self, what: &str, key: &str, name: &At<String>, problems: &mut Problems) -> Option<V> {
        if let Some(&(value, _)) = self.map.get(&name.value) {
            return Some(value);
        }
        let known: Vec<&str> = sorted(self.map.keys().map(String::as_str));
        let remedy = match closest(&name.value, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("add a {what}: none is there"),
            None => format!("use one of: {}", known[..known.len().min(12)].join(", ")),
        };
        problems.error(&name.place, key, format!("there is no {what} \"{}\"", name.value), remedy);
        None
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items
}

/// Everything that can be named, before references are followed.
pub(super) struct Directory {
    sites: Names<String, SiteId>,
    checks: Names<String, crate::model::CheckId>,
    targets: Names<String, Target>,
}

/// Makes one model of all files. What is wrong is left out of it and reported.
pub(super) fn validate(
    files: &Files,
    specs: Vec<FileSpec>,
    problems: &mut Problems,
) -> Option<Model> {
    let mut directory =
        Directory { sites: Names::new(), checks: Names::new(), targets: Names::new() };
    let mut model = Model::default();
    for site in specs.iter().flat_map(|spec| &spec.sites) {
        directory.sites.add("site", &site.name, SiteId::at(model.sites.len()), problems);
        model.sites.push(Site {
            name: site.name.value.as_str().into(),
            location: Location { latitude: site.latitude, longitude: site.longitude },
            country: site.country,
        });
    }
    let checks: Vec<_> = specs.iter().flat_map(|spec| &spec.checks).collect();
    pools::add_checks(files, &checks, &mut directory, &mut model, problems);
    let pools: Vec<_> = specs.iter().flat_map(|spec| &spec.pools).collect();
    let policies: Vec<_> = specs.iter().flat_map(|spec| &spec.policies).collect();
    policies::name_targets(&pools, &policies, &mut directory, problems);
    pools::add_pools(&pools, &directory, &mut model, problems);
    let sound = policies::add_policies(&policies, &directory, &mut model, problems);
    if !sound {
        return None; // trees with holes or cycles cannot be judged further
    }
    zones::add_zones(files, &specs, &directory, &mut model, problems);
    lint::warn(&specs, &model, problems);
    Some(model)
}

/// Adds `value` to a map of lists.
pub(super) fn push_to<K: Eq + Hash, V>(map: &mut HashMap<K, Vec<V>>, key: K, value: V) {
    map.entry(key).or_default().push(value);
}

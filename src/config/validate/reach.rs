//! Warnings about rules that fit no client.

use std::collections::HashMap;
use std::collections::HashSet;

use ipnet::IpNet;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::FileSpec;
use crate::config::spec::PolicyKindSpec;
use crate::config::spec::PolicySpec;
use crate::geo::place::continent_of;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::Target;
use crate::model::policy::Network;
use crate::model::policy::Region;
use crate::model::policy::Rules;

/// A rule of a policy by its position.
type RuleAt = (PolicyId, usize);

pub(super) fn warn(specs: &[FileSpec], model: &Model, problems: &mut Problems) {
    let mut reached = Reached { model, rules: HashSet::new(), seen: HashSet::new() };
    for steer in &model.steers {
        reached.walk(steer.target, &Clients::default());
    }
    let specs = specs.iter().flat_map(|spec| &spec.policies);
    for (position, spec) in specs.enumerate() {
        let id = PolicyId::at(position);
        let is_used = reached.seen.iter().any(|(policy, _)| *policy == id);
        match (&model.policies[position].kind, &spec.kind) {
            _ if !is_used => {} // a warning of its own
            (PolicyKind::Geo(_), PolicyKindSpec::Geo(written)) => {
                for (at, rule) in written.rules.iter().enumerate() {
                    if !reached.rules.contains(&(id, at)) {
                        warn_of_rule(spec, at, &rule.conditions[0], problems);
                    }
                }
            }
            (PolicyKind::Networks(rules), PolicyKindSpec::Networks(written)) => {
                let covered = covered(model, rules);
                for (at, rule) in written.rules.iter().enumerate() {
                    if covered.contains(&at) || !reached.rules.contains(&(id, at)) {
                        warn_of_rule(spec, at, &rule.conditions[0], problems);
                    }
                }
            }
            _ => {}
        }
    }
}

fn warn_of_rule<C>(spec: &PolicySpec, at: usize, first: &At<C>, problems: &mut Problems) {
    let key = format!("{}.rule[{at}].where", dotted("policy", &spec.name.value));
    let fault = "no client gets here: others fit better, or come here never";
    let remedy = "take the rule out, or correct its conditions";
    problems.warning(&first.place, key, fault, remedy).rule(&rules::UNREACHABLE);
}

/// Who may come to a policy, by the rules before it: everybody where nothing is said.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Clients {
    regions: Option<Vec<Region>>,
    prefixes: Option<Vec<IpNet>>,
}

/// Rules that clients can get to.
struct Reached<'a> {
    model: &'a Model,
    rules: HashSet<RuleAt>,
    seen: HashSet<(PolicyId, Clients)>,
}

impl Reached<'_> {
    fn walk(&mut self, target: Target, clients: &Clients) {
        let Target::Policy(id) = target else { return };
        if !self.seen.insert((id, clients.clone())) {
            return;
        }
        let model = self.model;
        match &model.policies[id.index()].kind {
            PolicyKind::Geo(rules) => {
                for (at, rule) in rules.rules.iter().enumerate() {
                    let fits = |region: &&Region| match &clients.regions {
                        Some(known) => known.iter().any(|other| meet(region, other)),
                        None => true,
                    };
                    let regions: Vec<Region> =
                        rule.conditions.iter().filter(fits).cloned().collect();
                    if regions.is_empty() {
                        continue;
                    }
                    self.rules.insert((id, at));
                    let inside = Clients { regions: Some(regions), ..clients.clone() };
                    rule.to.iter().for_each(|&target| self.walk(target, &inside));
                }
                rules.default.iter().for_each(|&target| self.walk(target, clients));
            }
            PolicyKind::Networks(rules) => {
                for (at, rule) in rules.rules.iter().enumerate() {
                    let prefixes = prefixes_of(model, &rule.conditions);
                    let fits = |prefix: &IpNet| match &clients.prefixes {
                        Some(known) => {
                            known.iter().any(|o| o.contains(prefix) || prefix.contains(o))
                        }
                        None => true,
                    };
                    let by_system = has_system(model, &rule.conditions);
                    let prefixes: Vec<IpNet> = prefixes.into_iter().filter(fits).collect();
                    if prefixes.is_empty() && !by_system {
                        continue;
                    }
                    self.rules.insert((id, at));
                    // A system may be anywhere.
                    let prefixes =
                        if by_system { clients.prefixes.clone() } else { Some(prefixes) };
                    let inside = Clients { prefixes, ..clients.clone() };
                    rule.to.iter().for_each(|&target| self.walk(target, &inside));
                }
                rules.default.iter().for_each(|&target| self.walk(target, clients));
            }
            kind @ (PolicyKind::Failover(_)
            | PolicyKind::Nearest { .. }
            | PolicyKind::Weighted(_)
            | PolicyKind::Fastest { .. }
            | PolicyKind::All { .. }) => {
                kind.targets().into_iter().for_each(|target| self.walk(target, clients));
            }
        }
    }
}

/// Whether a client may be in both regions.
fn meet(one: &Region, other: &Region) -> bool {
    let country_of = |region: &Region| match region {
        Region::Continent(_) => None,
        Region::Country(country) | Region::Subdivision(country, _) => Some(*country),
    };
    match (one, other) {
        (Region::Continent(a), Region::Continent(b)) => a == b,
        (Region::Subdivision(..), Region::Subdivision(..)) => one == other,
        (Region::Continent(continent), inner) | (inner, Region::Continent(continent)) => {
            let of = country_of(inner).and_then(continent_of);
            of.is_none_or(|of| of == *continent)
        }
        (Region::Country(_) | Region::Subdivision(..), _) => country_of(one) == country_of(other),
    }
}

fn prefixes_of(model: &Model, conditions: &[Network]) -> Vec<IpNet> {
    let prefixes = conditions.iter().flat_map(|condition| match condition {
        Network::Prefix(prefix) => std::slice::from_ref(prefix),
        Network::List(list) => &model.lists[list.index()].prefixes[..],
        Network::System(_) => &[],
    });
    prefixes.copied().collect()
}

fn has_system(model: &Model, conditions: &[Network]) -> bool {
    conditions.iter().any(|condition| match condition {
        Network::System(_) => true,
        Network::List(list) => !model.lists[list.index()].systems.is_empty(),
        Network::Prefix(_) => false,
    })
}

/// Positions of rules whose every prefix other rules cover with longer ones, or with the same one not from a list.
fn covered(model: &Model, rules: &Rules<Network>) -> HashSet<usize> {
    let mut owners: HashMap<IpNet, usize> = HashMap::new();
    for is_own in [false, true] {
        for (at, rule) in rules.rules.iter().enumerate() {
            for condition in &rule.conditions {
                if matches!(condition, Network::Prefix(_)) == is_own {
                    let prefixes = prefixes_of(model, std::slice::from_ref(condition));
                    owners.extend(prefixes.into_iter().map(|prefix| (prefix, at)));
                }
            }
        }
    }
    let mut sorted: Vec<IpNet> = owners.keys().copied().collect();
    sorted.sort_unstable();
    let is_free =
        |prefix: &IpNet, at: usize| owners.get(prefix) == Some(&at) && !is_filled(prefix, &sorted);
    let candidates =
        rules.rules.iter().enumerate().filter(|(_, rule)| !has_system(model, &rule.conditions));
    let uncovered = |(at, conditions): (usize, &[Network])| {
        prefixes_of(model, conditions).iter().any(|prefix| is_free(prefix, at))
    };
    candidates.filter(|(at, rule)| !uncovered((*at, &rule.conditions))).map(|(at, _)| at).collect()
}

/// Whether the longer ones among sorted prefixes fill a prefix wholly.
fn is_filled(prefix: &IpNet, sorted: &[IpNet]) -> bool {
    let first = sorted.partition_point(|other| other <= prefix);
    let inside: Vec<IpNet> =
        sorted[first..].iter().take_while(|other| prefix.contains(*other)).copied().collect();
    !inside.is_empty() && IpNet::aggregate(&inside) == [*prefix]
}

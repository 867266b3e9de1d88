//! Which rule of a `geo` or `networks` policy fits clients at a place.

use std::collections::HashMap;

use crate::geo::Place;
use crate::geo::Table;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::policy::Network;
use crate::model::policy::Region;
use crate::snapshot::networks::NetworkTable;
use crate::steering::trace::Ground;

/// The rules of all policies, by what they ask for.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// By policy; empty for all kinds but `geo`.
    regions: Vec<HashMap<Region, u16>>,
    /// By policy; empty for all kinds but `networks`.
    systems: Vec<HashMap<u32, u16>>,
    networks: NetworkTable,
}

impl Matcher {
    /// The rules of a model.
    pub fn new(model: &Model) -> Self {
        let mut new = Self { networks: NetworkTable::new(model), ..Self::default() };
        for policy in &model.policies {
            let (mut regions, mut systems) = (HashMap::new(), HashMap::new());
            match &policy.kind {
                PolicyKind::Geo(rules) => {
                    for (position, rule) in rules.rules.iter().enumerate() {
                        let conditions = rule.conditions.iter().cloned();
                        regions.extend(conditions.map(|region| (region, position as u16)));
                    }
                }
                PolicyKind::Networks(rules) => {
                    let conditions = rules.rules.iter().enumerate().flat_map(|(position, rule)| {
                        rule.conditions.iter().map(move |condition| (position as u16, condition))
                    });
                    let all: Vec<_> = conditions.collect();
                    // What a rule has itself comes last, so that it stays.
                    for (rule, condition) in &all {
                        if let Network::List(list) = condition {
                            let listed = &model.lists[list.index()].systems;
                            systems.extend(listed.iter().map(|system| (*system, *rule)));
                        }
                    }
                    for (rule, condition) in &all {
                        if let Network::System(system) = condition {
                            systems.insert(*system, *rule);
                        }
                    }
                }
                PolicyKind::Failover(_)
                | PolicyKind::Nearest { .. }
                | PolicyKind::Weighted(_)
                | PolicyKind::Fastest { .. }
                | PolicyKind::All { .. } => {}
            }
            new.regions.push(regions);
            new.systems.push(systems);
        }
        new
    }

    /// The prefixes that rules name.
    pub fn networks(&self) -> &NetworkTable {
        &self.networks
    }

    /// The rule of a `geo` policy for clients at a place.
    pub fn find_region(&self, policy: PolicyId, place: &Place) -> (Option<u16>, Ground) {
        let rules = &self.regions[policy.index()];
        let fitting = regions_of(place).find_map(|(region, ground)| {
            let rule = rules.get(&region)?;
            Some((Some(*rule), ground))
        });
        fitting.unwrap_or((None, Ground::Default))
    }

    /// The rule of a `networks` policy for clients at a place.
    pub fn find_network(&self, policy: PolicyId, place: &Place) -> (Option<u16>, Ground) {
        let by_prefix = self.networks.find_rule(policy, place.rows.row(Table::Networks));
        if by_prefix.is_some() {
            return (by_prefix, Ground::Prefix);
        }
        let by_system = place.asn.and_then(|asn| self.systems[policy.index()].get(&asn));
        match by_system {
            Some(rule) => (Some(*rule), Ground::System),
            None => (None, Ground::Default),
        }
    }

    /// The smallest region around a place that any rule names, and so on outwards: what rules can tell apart.
    pub fn named_regions(&self, place: &Place) -> Vec<Region> {
        let is_named =
            |region: &Region| self.regions.iter().any(|rules| rules.contains_key(region));
        regions_of(place).map(|(region, _)| region).filter(is_named).collect()
    }

    /// The autonomous system of a place, if any rule names it.
    pub fn named_system(&self, place: &Place) -> Option<u32> {
        place.asn.filter(|asn| self.systems.iter().any(|rules| rules.contains_key(asn)))
    }
}

/// The regions around a place, from small to large.
fn regions_of(place: &Place) -> impl Iterator<Item = (Region, Ground)> + '_ {
    let part = place.country.zip(place.subdivision.as_ref());
    let part = part.map(|(country, part)| Region::Subdivision(country, part.clone()));
    let country = place.country.map(Region::Country);
    let continent = place.continent.map(Region::Continent);
    let part = part.map(|region| (region, Ground::Subdivision));
    let country = country.map(|region| (region, Ground::Country));
    let continent = continent.map(|region| (region, Ground::Continent));
    part.into_iter().chain(country).chain(continent)
}

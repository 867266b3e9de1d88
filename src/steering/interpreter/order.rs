//! The order of candidates for one client: what each kind of policy means.

use std::cmp::Ordering;

use ipnet::IpNet;

use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::Target;
use crate::model::WeightedTarget;
use crate::model::policy::Network;
use crate::model::policy::Region;
use crate::model::policy::Rules;
use crate::steering::distance;
use crate::steering::interpreter::Line;
use crate::steering::interpreter::NEAREST_DEPTH;
use crate::steering::interpreter::Situation;
use crate::steering::rendezvous::NameSeed;
use crate::steering::rendezvous::Score;
use crate::steering::round_trip;
use crate::steering::trace::Step;

/// A target as `nearest` and `fastest` see it.
#[derive(Clone, Copy)]
struct Candidate {
    /// Its place in the file: one that is named twice is a candidate twice.
    place: usize,
    /// Metres or microseconds.
    worth: u64,
    /// Of the site that counts.
    cost: f64,
}

/// What a target comes to for one client but for its key: everything is in order, save for shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outline {
    /// A candidate.
    Pool(PoolId),
    /// One after the other; whether the list ends here.
    Ordered(Vec<Outline>, bool),
    /// In an order that the client's key gives; whether the list ends here.
    Shares(PolicyId, Vec<(WeightedTarget, Outline)>, bool),
}

impl Situation<'_> {
    /// What a target comes to.
    pub fn outline(&self, target: Target) -> Outline {
        let policy = match target {
            Target::Pool(pool) => return Outline::Pool(pool),
            Target::Policy(policy) => policy,
        };
        let rule = &self.model.policies[policy.index()];
        let fence = rule.fence;
        let each = |targets: &[Target]| targets.iter().map(|&t| self.outline(t)).collect();
        match &rule.kind {
            PolicyKind::Failover(targets) => Outline::Ordered(each(targets), fence),
            PolicyKind::Nearest { targets, .. } => {
                let order = self.by_distance(&rule.kind);
                let order: Vec<Target> = order.into_iter().map(|place| targets[place].0).collect();
                Outline::Ordered(each(&order), fence)
            }
            PolicyKind::Weighted(targets) => self.shares(policy, targets, fence),
            PolicyKind::Fastest { targets, .. } => {
                let groups = self.by_time(&rule.kind).into_iter().map(|places| match places[..] {
                    [place] => self.outline(targets[place].0),
                    _ => {
                        let share = |&place: &usize| {
                            let (target, weight) = targets[place];
                            WeightedTarget { target, weight, spill: true }
                        };
                        let shares: Vec<_> = places.iter().map(share).collect();
                        self.shares(policy, &shares, false)
                    }
                });
                Outline::Ordered(groups.collect(), fence)
            }
            PolicyKind::Geo(rules) => {
                let (to, fenced) = rules.list(self.rule_by_region(rules));
                Outline::Ordered(each(to), fence || fenced)
            }
            PolicyKind::Networks(rules) => {
                let (to, fenced) = rules.list(self.rule_by_network(rules));
                Outline::Ordered(each(to), fence || fenced)
            }
            PolicyKind::All { targets: _, pool } => {
                Outline::Ordered(vec![Outline::Pool(*pool)], fence)
            }
        }
    }

    fn shares(&self, policy: PolicyId, targets: &[WeightedTarget], fence: bool) -> Outline {
        let each = targets.iter().map(|weighted| (*weighted, self.outline(weighted.target)));
        Outline::Shares(policy, each.collect(), fence)
    }

    /// Writes candidates, depth first. Returns false when a fence ended the list.
    pub(super) fn expand(&self, outline: &Outline, all: bool, lines: &mut Vec<Line>) -> bool {
        match outline {
            Outline::Pool(pool) => {
                lines.push(Line::Pool(*pool));
                true
            }
            Outline::Ordered(each, fence) => {
                each.iter().all(|outline| self.expand(outline, all, lines)) && !fence
            }
            Outline::Shares(policy, shares, fence) => {
                self.expand_shares(*policy, shares, all, lines) && !fence
            }
        }
    }

    fn expand_shares(
        &self,
        policy: PolicyId,
        shares: &[(WeightedTarget, Outline)],
        all: bool,
        lines: &mut Vec<Line>,
    ) -> bool {
        let name = &self.model.policies[policy.index()].name;
        let mut order: Vec<_> = shares
            .iter()
            .map(|(weighted, outline)| {
                let seed = NameSeed::of_target(name, self.name(weighted.target));
                (Score::of(self.key, seed, weighted.weight), weighted, outline)
            })
            .collect();
        order.sort_by(|(a, ..), (b, ..)| match (a.beats(*b), b.beats(*a)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            _ => Ordering::Equal,
        });
        let mut order = order
            .iter()
            .enumerate()
            .filter(|(place, (_, weighted, _))| *place == 0 || weighted.spill || all);
        order.all(|(place, (_, weighted, outline))| {
            lines.push(Line::Remark(Step::Weighed {
                policy,
                target: weighted.target,
                first: place == 0,
                spill: weighted.spill,
            }));
            self.expand(outline, all, lines)
        })
    }

    /// Places of `nearest`: the four nearest, ties as written, then the rest as written; all so for an unknown place.
    fn by_distance(&self, kind: &PolicyKind) -> Vec<usize> {
        let PolicyKind::Nearest { targets, cheap_within } = kind else { return Vec::new() };
        let (Some((location, radius)), count) = (self.position, targets.len()) else {
            return (0..targets.len()).collect();
        };
        let metres =
            |site: SiteId| distance::metres(location, self.model.sites[site.index()].location);
        let candidates = targets.iter().enumerate().map(|(place, &(target, bias))| {
            let nearest = self.sites(target).into_iter().min_by_key(|&site| (metres(site), site));
            Candidate {
                place,
                worth: nearest.map_or(u64::MAX, |site| distance::biased(metres(site), bias)),
                cost: nearest.map_or(f64::INFINITY, |site| self.model.sites[site.index()].cost),
            }
        });
        let ties = |best: u64, other: u64| radius.ties(best, other);
        let groups = in_groups(candidates.collect(), *cheap_within, ties);
        let mut order: Vec<usize> = groups.concat();
        order.truncate(NEAREST_DEPTH);
        (0..count).for_each(|place| {
            if !order.contains(&place) {
                order.push(place)
            }
        });
        order
    }

    /// Places of `fastest`: groups that are as fast as each other, until four are ranked; then one by one as written.
    fn by_time(&self, kind: &PolicyKind) -> Vec<Vec<usize>> {
        let PolicyKind::Fastest { targets, cheap_within } = kind else { return Vec::new() };
        let micros = |site: SiteId| {
            let prior = self.position.map(|(location, _)| {
                let there = self.model.sites[site.index()].location;
                round_trip::prior(distance::metres(location, there))
            });
            let measured = self.round_trip.get(site.index()).copied().unwrap_or_default();
            measured.estimate(prior)
        };
        let candidates = targets.iter().enumerate().map(|(place, &(target, _))| {
            let known = self.sites(target).into_iter().filter_map(|s| Some((micros(s)?, s)));
            let fastest = known.min();
            Candidate {
                place,
                worth: fastest.map_or(u64::MAX, |(micros, _)| micros),
                cost: fastest
                    .map_or(f64::INFINITY, |(_, site)| self.model.sites[site.index()].cost),
            }
        });
        let candidates: Vec<Candidate> = candidates.collect();
        let mut order: Vec<Vec<usize>> = Vec::new();
        if candidates.iter().any(|candidate| candidate.worth != u64::MAX) {
            let ties = |best: u64, other: u64| other - best < round_trip::TIE_US;
            for group in in_groups(candidates, *cheap_within, ties) {
                if order.concat().len() < NEAREST_DEPTH {
                    order.push(group);
                }
            }
        }
        for place in 0..targets.len() {
            if !order.concat().contains(&place) {
                order.push(vec![place]);
            }
        }
        order
    }

    /// The rule for the smallest region the client is in.
    fn rule_by_region(&self, rules: &Rules<Region>) -> Option<u16> {
        let rule_for = |region: Region| {
            let fits = rules.rules.iter().position(|rule| rule.conditions.contains(&region));
            fits.map(|position| position as u16)
        };
        let mut rule = None;
        if let Some(continent) = self.place.continent {
            rule = rule_for(Region::Continent(continent)).or(rule);
        }
        if let Some(country) = self.place.country {
            rule = rule_for(Region::Country(country)).or(rule);
            if let Some(part) = &self.place.subdivision {
                rule = rule_for(Region::Subdivision(country, part.clone())).or(rule);
            }
        }
        rule
    }

    /// The rule with the longest prefix around the client, else the one for its autonomous system. What a rule says
    /// itself counts before what it has from a list.
    fn rule_by_network(&self, rules: &Rules<Network>) -> Option<u16> {
        let mut best: Option<((u8, bool), u16)> = None;
        let mut system: Option<(bool, u16)> = None;
        for (rule, condition) in rules
            .rules
            .iter()
            .zip(0..)
            .flat_map(|(rule, number)| rule.conditions.iter().map(move |c| (number, c)))
        {
            let (prefixes, systems, is_own): (Vec<IpNet>, Vec<u32>, bool) = match condition {
                Network::Prefix(prefix) => (vec![*prefix], Vec::new(), true),
                Network::System(number) => (Vec::new(), vec![*number], true),
                Network::List(list) => {
                    let list = &self.model.lists[list.index()];
                    (list.prefixes.clone(), list.systems.clone(), false)
                }
            };
            let holds = |prefix: &&IpNet| self.address.is_some_and(|one| prefix.contains(&one));
            for prefix in prefixes.iter().filter(holds) {
                let rank = (prefix.prefix_len(), is_own);
                if best.is_none_or(|(other, _)| rank > other) {
                    best = Some((rank, rule));
                }
            }
            let is_its = self.place.asn.is_some_and(|asn| systems.contains(&asn));
            if is_its && system.is_none_or(|(other, _)| is_own && !other) {
                system = Some((is_own, rule));
            }
        }
        best.map(|(_, rule)| rule).or(system.map(|(_, rule)| rule))
    }

    /// Sites of every pool that this client can get below a target.
    fn sites(&self, target: Target) -> Vec<SiteId> {
        let pools: Vec<PoolId> = match target {
            Target::Pool(pool) => vec![pool],
            Target::Policy(policy) => match &self.model.policies[policy.index()].kind {
                PolicyKind::Geo(rules) => {
                    return self.sites_of(rules.list(self.rule_by_region(rules)).0);
                }
                PolicyKind::Networks(rules) => {
                    return self.sites_of(rules.list(self.rule_by_network(rules)).0);
                }
                PolicyKind::All { targets: _, pool } => vec![*pool],
                kind @ (PolicyKind::Failover(_)
                | PolicyKind::Nearest { .. }
                | PolicyKind::Weighted(_)
                | PolicyKind::Fastest { .. }) => return self.sites_of(&kind.targets()),
            },
        };
        pools.into_iter().flat_map(|pool| self.model.sites_of(pool)).collect()
    }

    fn sites_of(&self, targets: &[Target]) -> Vec<SiteId> {
        targets.iter().flat_map(|&target| self.sites(target)).collect()
    }
}

/// Groups of places that are as good as each other, best first. Within a budget the cheapest first.
fn in_groups(
    candidates: Vec<Candidate>,
    budget: Option<u64>,
    ties: impl Fn(u64, u64) -> bool,
) -> Vec<Vec<usize>> {
    let Some(best) = candidates.iter().map(|candidate| candidate.worth).min() else {
        return Vec::new();
    };
    let is_affordable = |candidate: &Candidate| {
        budget.is_some_and(|within| candidate.worth - best <= within || ties(best, candidate.worth))
    };
    let mut left = candidates;
    let mut groups = Vec::new();
    while let Some(first) = left.iter().min_by(|a, b| {
        let rank = |c: &Candidate| match is_affordable(c) {
            true => (0, c.cost, c.worth),
            false => (1, 0.0, c.worth),
        };
        rank(a).partial_cmp(&rank(b)).unwrap_or(Ordering::Equal)
    }) {
        let first = *first;
        let is_alike = |other: &Candidate| {
            let same_class = is_affordable(other) == is_affordable(&first)
                && (!is_affordable(&first) || other.cost == first.cost);
            same_class && ties(first.worth, other.worth)
        };
        groups.push(left.iter().filter(|c| is_alike(c)).map(|c| c.place).collect());
        left.retain(|candidate| !is_alike(candidate));
    }
    groups
}

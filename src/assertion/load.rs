//! What each site carries, against its capacity: traffic spread over classes, then by shares over pools and endpoints.

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::assertion::Case;
use crate::assertion::Proof;
use crate::assertion::State;
use crate::assertion::States;
use crate::assertion::TooManyWays;
use crate::assertion::spread::Spread;
use crate::assertion::states::site_of;
use crate::model::Assertion;
use crate::model::Endpoint;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Losses;
use crate::model::Model;
use crate::model::Percent;
use crate::model::SiteId;
use crate::model::SteerId;
use crate::model::TrafficRow;
use crate::snapshot::Compiled;
use crate::steering::Decision;

/// Sites that carry too much, in the state in which it is worst.
#[derive(Clone, Debug)]
pub struct Overload {
    /// In which state of health.
    pub state: State,
    /// If all clients asked for this family.
    pub family: Family,
    /// The share of capacity that is allowed.
    pub limit: Percent,
    /// Every site that carries anything, the fullest first.
    pub carried: Vec<Carried>,
}

/// What a site carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carried {
    /// Which site.
    pub site: SiteId,
    /// In the unit of capacity.
    pub load: f64,
    /// Of the endpoints that the names can reach.
    pub capacity: f64,
}

impl Carried {
    /// Share of the capacity, 1 for all of it.
    pub fn ratio(&self) -> f64 {
        self.load / self.capacity
    }
}

/// By site: what it carries.
type Loads = Box<[f64]>;

/// Judges one assertion of loads.
pub(super) fn judge(
    compiled: &Compiled,
    states: &States<'_>,
    assertion: &Assertion,
    limit: Percent,
    traffic: &[TrafficRow],
) -> Option<Proof> {
    let capacities = capacities(compiled, &assertion.steers);
    let by_class = by_class(compiled, traffic);
    let mut worst: Option<(f64, Overload)> = None;
    for family in Family::BOTH {
        let sum = Sum { compiled, states, family, losses: assertion.losses };
        let all = match sum.loads(&by_class) {
            Ok(all) => all,
            Err(TooManyWays) => return Some(Proof::TooManyWays(assertion.steers[0])),
        };
        for (state, loads) in all {
            let carried = carried(state, &loads, &capacities);
            let Some(ratio) = carried.first().map(Carried::ratio) else { continue };
            // A sum of many shares is not exact to the last digit.
            let is_over = ratio > f64::from(limit.0) / 100.0 + 1e-9;
            if is_over && worst.as_ref().is_none_or(|(most, _)| ratio > *most) {
                worst = Some((ratio, Overload { state, family, limit, carried }));
            }
        }
    }
    worst.map(|(_, overload)| Proof::Load(overload))
}

/// Sites with what they carry, the fullest first. A lost site carries nothing, whatever is sent there.
fn carried(state: State, loads: &Loads, capacities: &[f64]) -> Vec<Carried> {
    let sites = loads.iter().zip(capacities).enumerate();
    let sites = sites.map(|(at, (load, capacity))| Carried {
        site: SiteId::at(at),
        load: *load,
        capacity: *capacity,
    });
    let there = |one: &Carried| one.capacity > 0.0 && state != State::SiteLost(one.site);
    let mut carried: Vec<Carried> = sites.filter(there).collect();
    carried.sort_by(|one, other| other.ratio().total_cmp(&one.ratio()));
    carried
}

/// By site: capacity of the endpoints that the names can reach. An address in two pools is one machine.
fn capacities(compiled: &Compiled, steers: &[SteerId]) -> Loads {
    let model = &compiled.model;
    let pools = steers.iter().flat_map(|steer| {
        let route = &compiled.routes[compiled.steer(*steer).route];
        route.pools.iter().copied()
    });
    let mut seen = HashSet::new();
    let mut sum: Loads = vec![0.0; model.sites.len()].into();
    for pool in pools {
        let endpoints = &model.pools[pool.index()].endpoints;
        // Standbys beside others serve nobody; where a whole site may be lost they are all that another one has.
        let has_active = |site: SiteId| {
            endpoints.iter().enumerate().any(|(at, endpoint)| {
                endpoint.weight > 0 && site_of(model, pool, EndpointId::at(at)) == Some(site)
            })
        };
        for (at, endpoint) in endpoints.iter().enumerate() {
            let Endpoint { key: _, leaf, weight, capacity, probe: _ } = endpoint;
            let is_used = |site: &SiteId| *weight > 0 || !has_active(*site);
            let site = site_of(model, pool, EndpointId::at(at)).filter(is_used);
            if let Some(site) = site.filter(|_| seen.insert(leaf)) {
                sum[site.index()] += capacity.unwrap_or(0.0);
            }
        }
    }
    sum
}

/// Load by route and class.
fn by_class(compiled: &Compiled, traffic: &[TrafficRow]) -> BTreeMap<(usize, u16), f64> {
    let spread = Spread::new(&compiled.places);
    let mut by_class: BTreeMap<(usize, u16), f64> = BTreeMap::new();
    for row in traffic {
        let route = compiled.steer(row.steer).route;
        let classes = &compiled.classes[compiled.routes[route].classes];
        spread.each_part(row, |place, load| {
            *by_class.entry((route, classes.of_place(place))).or_default() += load;
        });
    }
    by_class
}

/// Sums loads for one family.
struct Sum<'a> {
    compiled: &'a Compiled,
    states: &'a States<'a>,
    family: Family,
    losses: Losses,
}

impl Sum<'_> {
    /// What each site carries in each state of health.
    fn loads(
        &self,
        by_class: &BTreeMap<(usize, u16), f64>,
    ) -> Result<Vec<(State, Loads)>, TooManyWays> {
        let site_count = self.compiled.model.sites.len();
        let none: Loads = vec![0.0; site_count].into();
        let mut up = none.clone();
        // By lost site: what is carried otherwise than with everything up.
        let mut changes = vec![none; site_count];
        for (&(route, class), &load) in by_class {
            let with_all = self.carried_of(route, class, State::AllUp)?;
            for &(site, share) in &with_all {
                up[site.index()] += load * share;
            }
            if self.losses == Losses::Nothing {
                continue;
            }
            // Whoever is not served from a site does not notice its loss.
            for &(lost, _) in &with_all {
                let change = &mut changes[lost.index()];
                for &(site, share) in &with_all {
                    change[site.index()] -= load * share;
                }
                for (site, share) in self.carried_of(route, class, State::SiteLost(lost))? {
                    change[site.index()] += load * share;
                }
            }
        }
        let lost = changes.into_iter().enumerate().map(|(at, change)| {
            let sum = up.iter().zip(&change).map(|(before, more)| before + more);
            (State::SiteLost(SiteId::at(at)), sum.collect())
        });
        let lost: Vec<(State, Loads)> = match self.losses {
            Losses::Nothing => Vec::new(),
            Losses::OneSite | Losses::Anything => lost.collect(),
        };
        Ok(std::iter::once((State::AllUp, up)).chain(lost).collect())
    }

    /// Shares of a class by site.
    fn carried_of(
        &self,
        route: usize,
        class: u16,
        state: State,
    ) -> Result<Vec<(SiteId, f64)>, TooManyWays> {
        let route = &self.compiled.routes[route];
        let tree = &self.compiled.classes[route.classes].trees()[usize::from(class)];
        let plans = self.states.plans(state);
        let case = Case { tree, terms: route.terms, plans, family: self.family };
        let mut shares: BTreeMap<SiteId, f64> = BTreeMap::new();
        for (decision, share) in case.decisions()? {
            let Decision::Serve(selection) = decision else { continue };
            let members = selection.members(plans, self.family);
            let total: f64 = members.iter().map(|member| f64::from(member.weight)).sum();
            for member in members {
                let site = site_of(self.model(), selection.pool, member.endpoint);
                let Some(site) = site else { continue };
                *shares.entry(site).or_default() += share * f64::from(member.weight) / total;
            }
        }
        Ok(shares.into_iter().collect())
    }

    fn model(&self) -> &Model {
        &self.compiled.model
    }
}

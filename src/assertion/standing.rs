//! Claims about each answer: where its endpoints stand, and whether any of them is healthy.

use std::collections::BTreeMap;

use crate::assertion::Audience;
use crate::assertion::Case;
use crate::assertion::CounterExample;
use crate::assertion::Example;
use crate::assertion::Proof;
use crate::assertion::State;
use crate::assertion::States;
use crate::assertion::TooManyWays;
use crate::assertion::states::endpoints_of;
use crate::assertion::states::home;
use crate::assertion::states::site_of;
use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::place::continent_of;
use crate::model::AllDown;
use crate::model::Area;
use crate::model::Assertion;
use crate::model::Claim;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Location;
use crate::model::Losses;
use crate::model::Model;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::SteerId;
use crate::snapshot::Compiled;
use crate::steering::Decision;
use crate::steering::MemberState;
use crate::steering::Pass;
use crate::steering::Selection;
use crate::steering::Tree;
use crate::steering::distance;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It stands at a site outside.
    Outside(SiteId),
    /// It stands so many metres away, at this site.
    TooFar(SiteId, u64),
    /// Nobody knows where it stands.
    Nowhere(PoolId),
    /// None of its endpoints is healthy.
    NotHealthy,
    /// It stands at the lost site, and no check sees that.
    Unseen(PoolId),
    /// There is no answer: SERVFAIL.
    NoAnswer,
}

/// One decision for a class that breaks the claim for some client of it.
#[derive(Clone, Copy)]
struct Breach {
    class: u16,
    family: Family,
    state: State,
    decision: Decision,
    share: f64,
    /// What is wrong for every client of the class; of a distance it depends on the client.
    why: Why,
}

/// Judges one assertion by every class of its clients.
pub(super) fn judge(
    compiled: &Compiled,
    states: &States<'_>,
    assertion: &Assertion,
) -> Option<Proof> {
    let audience = Audience::new(&compiled.places, &assertion.clients);
    let places = audience.places();
    // Names with one route share decisions.
    let mut by_route: BTreeMap<usize, Vec<SteerId>> = BTreeMap::new();
    for &steer in &assertion.steers {
        by_route.entry(compiled.steer(steer).route).or_default().push(steer);
    }
    let mut first: Option<CounterExample> = None;
    let mut routes: Vec<(usize, Vec<SteerId>)> = by_route.into_iter().collect();
    routes.sort_by_key(|(_, steers)| steers[0]);
    for (route, steers) in routes {
        let classes = &compiled.classes[compiled.routes[route].classes];
        let mut by_class = vec![Vec::new(); classes.trees().len()];
        for &place in &places {
            by_class[usize::from(classes.of_place(place))].push(place);
        }
        let judge = Judge { compiled, states, assertion, audience: &audience, by_class, route };
        match judge.find_breach(steers[0]) {
            Err(TooManyWays) => return Some(Proof::TooManyWays(steers[0])),
            Ok(None) => {}
            Ok(Some(found)) => match &mut first {
                Some(first) => first.others.extend(steers),
                None => {
                    first = Some(CounterExample { others: steers[1..].to_vec(), ..found });
                }
            },
        }
    }
    first.map(|first| Proof::Client(Box::new(first)))
}

/// An assertion with one of its routes.
struct Judge<'a> {
    compiled: &'a Compiled,
    states: &'a States<'a>,
    assertion: &'a Assertion,
    audience: &'a Audience<'a>,
    /// Places of the audience by class.
    by_class: Vec<Vec<PlaceId>>,
    route: usize,
}

impl<'a> Judge<'a> {
    /// The first class with a client for whom the claim does not hold.
    fn find_breach(&self, steer: SteerId) -> Result<Option<CounterExample>, TooManyWays> {
        let classes = (0..=u16::MAX).zip(&self.by_class);
        for (class, _) in classes.filter(|(_, places)| !places.is_empty()) {
            for breach in self.breaches(class)? {
                if let Some(found) = self.show(&breach, steer) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn case(&self, class: u16, family: Family, state: State) -> Case<'a> {
        let route = &self.compiled.routes[self.route];
        let tree = &self.compiled.classes[route.classes].trees()[usize::from(class)];
        Case { tree, terms: route.terms, plans: self.states.plans(state), family }
    }

    /// Decisions for a class that break the claim for some of its clients.
    fn breaches(&self, class: u16) -> Result<Vec<Breach>, TooManyWays> {
        let mut breaches = Vec::new();
        for family in Family::BOTH {
            for state in self.states_for(class, family)? {
                for (decision, share) in self.case(class, family, state).decisions()? {
                    if let Some(why) = self.find_fault(state, family, decision) {
                        breaches.push(Breach { class, family, state, decision, share, why });
                    }
                }
            }
        }
        Ok(breaches)
    }

    /// States of health in which a class can get something else than in those before.
    fn states_for(&self, class: u16, family: Family) -> Result<Vec<State>, TooManyWays> {
        let model = &self.compiled.model;
        let mut states = vec![State::AllUp];
        match self.assertion.losses {
            Losses::Nothing => {}
            Losses::OneSite => {
                // The loss of a site from which nothing is served changes nothing: all before it fails as it did.
                let mut sites = Vec::new();
                for (decision, _) in self.case(class, family, State::AllUp).decisions()? {
                    let Decision::Serve(selection) = decision else { continue };
                    sites.extend(sites_of_pool(model, selection.pool));
                }
                sites.sort_unstable();
                sites.dedup();
                states.extend(sites.into_iter().map(State::SiteLost));
            }
            Losses::Anything => {
                let case = self.case(class, family, State::AllUp);
                let pools = pools_of(case.tree, case.terms.on_all_down);
                states.extend(pools.into_iter().map(State::OnlyUp));
                states.push(State::AllDown);
            }
        }
        Ok(states)
    }

    /// What is wrong with a decision, whoever the client is; of a distance, what would be if it is too long.
    fn find_fault(&self, state: State, family: Family, decision: Decision) -> Option<Why> {
        let model = &self.compiled.model;
        let claim = &self.assertion.claim;
        let selection = match decision {
            Decision::Serve(selection) => selection,
            // The name has no such addresses, whatever is healthy.
            Decision::NoFamily => return None,
            Decision::Nothing => return matches!(claim, Claim::Answers).then_some(Why::NoAnswer),
        };
        let members = selection.members(self.states.plans(state), family);
        let mut endpoints = members.iter().map(|member| member.endpoint);
        match claim {
            Claim::Answers => find_sickness(model, state, selection, endpoints),
            Claim::StaysIn(areas) => {
                endpoints.find_map(|endpoint| match site_of(model, selection.pool, endpoint) {
                    Some(site) if is_in(model, site, areas) => None,
                    Some(site) => Some(Why::Outside(site)),
                    None => Some(Why::Nowhere(home(model, selection.pool, endpoint).0)),
                })
            }
            Claim::Within(_) => endpoints.next().map(|endpoint| {
                let site = site_of(model, selection.pool, endpoint);
                let nowhere = Why::Nowhere(home(model, selection.pool, endpoint).0);
                site.map_or(nowhere, |site| Why::TooFar(site, 0))
            }),
            Claim::MaxLoad { .. } => None,
        }
    }

    /// A breach with a client whom it concerns, if there is any.
    fn show(&self, breach: &Breach, steer: SteerId) -> Option<CounterExample> {
        let Breach { class, family, state, decision, share, why } = *breach;
        let route = &self.compiled.routes[self.route];
        let classes = &self.compiled.classes[route.classes];
        let places = &self.compiled.places;
        let is_concerned = |place: &PlaceId| match &self.assertion.claim {
            Claim::Within(limit) => {
                self.too_far(decision, state, family, places.place(*place), *limit).is_some()
            }
            Claim::StaysIn(_) | Claim::Answers | Claim::MaxLoad { .. } => true,
        };
        // Whether anybody is concerned is cheap to say of places; networks are looked up only then.
        if !self.by_class[usize::from(class)].iter().any(is_concerned) {
            return None;
        }
        let is_ours = |place| classes.of_place(place) == class && is_concerned(&place);
        let stretches = self.audience.stretches(is_ours);
        let case = self.case(class, family, state);
        let plan = self.compiled.steer(steer);
        let example = Example::find(&case, plan, &stretches, decision)?;
        let why = match &self.assertion.claim {
            Claim::Within(limit) => {
                self.too_far(decision, state, family, places.place(example.place), *limit)?
            }
            Claim::StaysIn(_) | Claim::Answers | Claim::MaxLoad { .. } => why,
        };
        Some(CounterExample {
            steer,
            others: Vec::new(),
            family,
            state,
            example,
            decision,
            share,
            why,
            steps: case.steps_to(decision),
        })
    }

    /// The first served endpoint that is farther from a place than allowed. Nothing, if nobody knows where the place is.
    fn too_far(
        &self,
        decision: Decision,
        state: State,
        family: Family,
        place: &Place,
        limit: u64,
    ) -> Option<Why> {
        let model = &self.compiled.model;
        let Decision::Serve(selection) = decision else { return None };
        let point = place.location?;
        let here = Location { latitude: point.latitude(), longitude: point.longitude() };
        let members = selection.members(self.states.plans(state), family);
        members.iter().find_map(|member| match site_of(model, selection.pool, member.endpoint) {
            None => Some(Why::Nowhere(home(model, selection.pool, member.endpoint).0)),
            Some(site) => {
                let metres = distance::metres(here, model.sites[site.index()].location);
                (metres > limit).then_some(Why::TooFar(site, metres))
            }
        })
    }
}

/// Why nobody healthy is served, if so.
fn find_sickness(
    model: &Model,
    state: State,
    selection: Selection,
    endpoints: impl Iterator<Item = EndpointId>,
) -> Option<Why> {
    let Selection { pool, pass, fenced: _ } = selection;
    if matches!(pass, Pass::FailOpen | Pass::LastGood) {
        return Some(Why::NotHealthy);
    }
    let mut is_healthy = false;
    for endpoint in endpoints {
        let is_up = state.of(model, pool, endpoint) == MemberState::default();
        if is_up && state.is_lost(model, pool, endpoint) {
            return Some(Why::Unseen(home(model, pool, endpoint).0));
        }
        is_healthy |= is_up;
    }
    (!is_healthy).then_some(Why::NotHealthy)
}

/// Whether a site is in one of the areas.
fn is_in(model: &Model, site: SiteId, areas: &[Area]) -> bool {
    let country = model.sites[site.index()].country;
    areas.iter().any(|area| match area {
        Area::Site(other) => *other == site,
        Area::Country(code) => country == Some(*code),
        Area::Continent(code) => country.and_then(continent_of) == Some(*code),
    })
}

/// Sites where endpoints of a pool stand.
fn sites_of_pool(model: &Model, pool: PoolId) -> impl Iterator<Item = SiteId> {
    endpoints_of(model, pool).filter_map(move |endpoint| site_of(model, pool, endpoint))
}

/// Every pool that a class can get, each once.
fn pools_of(tree: &Tree, on_all_down: AllDown) -> Vec<PoolId> {
    let mut pools = Vec::new();
    tree.for_each_pool(&mut |pool| pools.push(pool));
    if let AllDown::Pool(pool) = on_all_down {
        pools.push(pool);
    }
    pools.sort_unstable();
    pools.dedup();
    pools
}

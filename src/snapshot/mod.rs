//! Everything an answer depends on at one moment, ready to be looked up.
//!
//! [`Compiled`] is made from files alone and is expensive; a [`Snapshot`] adds health and is cheap, so that a
//! verdict is in the answers at once. Both are trees of `Arc`s: what did not change is shared.
#![forbid(unsafe_code)]

pub mod ahead;
pub mod bands;
pub mod classes;
pub mod compile;
pub mod cover;
pub mod grow;
pub mod health;
pub mod networks;
pub mod round_trips;
pub mod rules;
pub mod sketch;
pub mod views;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use ahead::Cached;
pub use classes::Classes;
pub use compile::Compiled;
pub use compile::Contents;
pub use compile::Reweighed;
pub use compile::Route;
pub use compile::SteerPlan;
pub use compile::compile;
pub use compile::compile_measured;
pub use compile::looks_at_round_trips;
pub use health::Health;

use crate::model::Family;
use crate::model::Found;
use crate::model::PoolId;
use crate::snapshot::ahead::decide_ahead;
use crate::steering::PoolPlan;
use crate::steering::passes::Terms;

/// One moment: what the files say, and the health of every pool.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the files say.
    pub compiled: Arc<Compiled>,
    /// Counts publications since the process started; for people, not for comparing nodes.
    pub generation: u64,
    /// Which node this is and what it serves, for people who ask by DNS; empty if nobody said.
    pub standing: Arc<[u8]>,
    /// By [`PoolId`].
    pub pools: Box<[Arc<PoolPlan>]>,
    /// By route: decisions that no client key changes.
    decisions: Box<[Arc<[Cached]>]>,
    /// By route: what names ask of the passes at this moment.
    terms: Box<[Terms]>,
}

impl Snapshot {
    /// A snapshot of `compiled` in which pools stand as `health` says.
    pub fn new(compiled: Arc<Compiled>, generation: u64, health: &impl Health) -> Self {
        let pools: Box<[_]> = (0..compiled.model.pools.len())
            .map(|pool| Arc::new(compiled.plan(PoolId::at(pool), health)))
            .collect();
        let terms: Box<[_]> =
            compiled.routes.iter().map(|route| terms_now(route, &pools)).collect();
        let routes = compiled.routes.iter().zip(&terms);
        let decisions =
            routes.map(|(route, terms)| decided(&compiled, route, *terms, &pools)).collect();
        Self { compiled, generation, standing: Arc::default(), pools, decisions, terms }
    }

    /// The next snapshot, after the state of some pools' members changed; everything else is shared.
    pub fn with_changed(&self, generation: u64, changed: &[PoolId], health: &impl Health) -> Self {
        let mut pools = self.pools.clone();
        let changed = self.compiled.with_unions(changed);
        for &pool in &changed {
            pools[pool.index()] = Arc::new(self.compiled.plan(pool, health));
        }
        let (mut decisions, mut terms) = (self.decisions.clone(), self.terms.clone());
        let routes = changed.iter().flat_map(|pool| &self.compiled.routes_of[pool.index()]);
        for at in routes.map(|at| *at as usize).collect::<BTreeSet<_>>() {
            let route = &self.compiled.routes[at];
            terms[at] = terms_now(route, &pools);
            decisions[at] = decided(&self.compiled, route, terms[at], &pools);
        }
        let (compiled, standing) = (Arc::clone(&self.compiled), Arc::clone(&self.standing));
        Self { compiled, generation, standing, pools, decisions, terms }
    }

    /// The same with other endpoints in some pools, for which [`Snapshot::with_changed`] must be asked next.
    pub fn with_found(&self, found: &Found) -> Self {
        Self { compiled: Arc::new(self.compiled.with_found(found)), ..self.clone() }
    }

    /// What the names of a route ask of the passes at this moment.
    #[inline]
    pub fn terms(&self, route: usize) -> Terms {
        self.terms[route]
    }

    /// The next snapshot, with other weights; everything else is shared. Decisions made ahead know no weights.
    pub fn with_weights(&self, generation: u64, reweighed: &[Reweighed]) -> Self {
        let compiled = Arc::new(self.compiled.with_weights(reweighed));
        Self { compiled, generation, ..self.clone() }
    }

    /// The decision for a class of clients, if no key changes it.
    #[inline]
    pub fn cached(&self, route: usize, class: u16, family: Family) -> Cached {
        self.decisions[route][usize::from(class) * 2 + family.index()]
    }
}

/// The terms of a route, whose families are those that its aliases have resolved to, and those that they still may.
fn terms_now(route: &Route, pools: &[Arc<PoolPlan>]) -> Terms {
    if route.below.is_empty() {
        return route.terms;
    }
    let families = Family::BOTH.map(|family| {
        let mut sides = route.below.iter().map(|pool| pools[pool.index()].family(family));
        sides.any(|side| side.configured || side.unknown)
    });
    Terms { families, ..route.terms }
}

/// The decisions of a route.
fn decided(
    compiled: &Compiled,
    route: &Route,
    terms: Terms,
    pools: &[Arc<PoolPlan>],
) -> Arc<[Cached]> {
    decide_ahead(&compiled.classes[route.classes], route, terms, pools)
}

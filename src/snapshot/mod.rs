//! Everything an answer depends on at one moment, ready to be looked up.
//!
//! [`Compiled`] is made from files alone and is expensive; a [`Snapshot`] adds health and is cheap, so that a
//! verdict is in the answers at once. Both are trees of `Arc`s: what did not change is shared.
#![forbid(unsafe_code)]

pub mod classes;
pub mod compile;
pub mod cover;
pub mod grow;
pub mod health;
pub mod networks;
pub mod round_trips;
pub mod rules;
pub mod views;

use std::sync::Arc;

pub use classes::Classes;
pub use compile::Compiled;
pub use compile::Route;
pub use compile::SteerPlan;
pub use compile::compile;
pub use compile::compile_measured;
pub use health::Health;

use crate::model::Family;
use crate::model::PoolId;
use crate::steering::ClientKey;
use crate::steering::Decision;
use crate::steering::NoTrace;
use crate::steering::PoolPlan;
use crate::steering::decide;

/// One moment: what the files say, and the health of every pool.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the files say.
    pub compiled: Arc<Compiled>,
    /// Counts publications since the process started; for people, not for comparing nodes.
    pub generation: u64,
    /// By [`PoolId`].
    pub pools: Box<[Arc<PoolPlan>]>,
    /// By route: decisions that no client key changes.
    decisions: Box<[Arc<[Cached]>]>,
}

/// The decision for one class and family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// The same for every client of the class.
    Fixed(Decision),
    /// Shares decide: the passes are run for each client.
    Keyed,
}

impl Snapshot {
    /// A snapshot of `compiled` in which pools stand as `health` says.
    pub fn new(compiled: Arc<Compiled>, generation: u64, health: &impl Health) -> Self {
        let pools: Box<[_]> = (0..compiled.model.pools.len())
            .map(|pool| Arc::new(compiled.plan(PoolId::at(pool), health)))
            .collect();
        let decisions =
            compiled.routes.iter().map(|route| decide_ahead(&compiled, route, &pools)).collect();
        Self { compiled, generation, pools, decisions }
    }

    /// The next snapshot, after the state of some pools' members changed; everything else is shared.
    pub fn with_changed(&self, generation: u64, changed: &[PoolId], health: &impl Health) -> Self {
        let mut pools = self.pools.clone();
        let changed = self.compiled.with_unions(changed);
        for &pool in &changed {
            pools[pool.index()] = Arc::new(self.compiled.plan(pool, health));
        }
        let routes = self.compiled.routes.iter().zip(&self.decisions);
        let decisions = routes
            .map(|(route, before)| {
                let touched = changed.iter().any(|pool| route.pools.contains(pool));
                if touched {
                    decide_ahead(&self.compiled, route, &pools)
                } else {
                    Arc::clone(before)
                }
            })
            .collect();
        Self { compiled: Arc::clone(&self.compiled), generation, pools, decisions }
    }

    /// The decision for a class of clients, if no key changes it.
    #[inline]
    pub fn cached(&self, route: usize, class: u16, family: Family) -> Cached {
        self.decisions[route][usize::from(class) * 2 + family.index()]
    }
}

/// Runs the passes for every class of a route and both families.
fn decide_ahead(compiled: &Compiled, route: &Route, pools: &[Arc<PoolPlan>]) -> Arc<[Cached]> {
    let trees = compiled.classes[route.classes].trees();
    let decided = trees.iter().flat_map(|tree| {
        Family::BOTH.map(|family| {
            if tree.is_keyed() {
                return Cached::Keyed;
            }
            Cached::Fixed(decide(tree, route.terms, pools, family, ClientKey(0), &mut NoTrace))
        })
    });
    decided.collect()
}

//! Decisions that are made ahead of queries against the passes, after any flips.
//!
//! `RHUMB_SEED=7` replays one case, `RHUMB_CASES=full` runs 100,000.
#![allow(clippy::unwrap_used, reason = "a test stops at the first fault")]

mod worlds;

use std::ops::ControlFlow;
use std::sync::Arc;

use rhumb::model::Family;
use rhumb::model::PoolId;
use rhumb::snapshot::Cached;
use rhumb::snapshot::Snapshot;
use rhumb::steering::ClientKey;
use rhumb::steering::NoTrace;
use rhumb::steering::decide;
use rhumb::steering::passes::qualifies;
use rhumb::steering::passes::takes_all;
use rhumb::steering::tree::Reach;
use worlds::RandomHealth;
use worlds::World;
use worlds::random::Random;
use worlds::random::for_each_seed;

/// Worlds of an everyday run.
const WORLDS: u64 = 500;

#[test]
fn after_any_flips_decisions_are_those_of_the_passes_and_of_a_snapshot_built_anew() {
    let (mut fixed, mut keyed) = (0u64, 0u64);
    let ran = for_each_seed(WORLDS, |seed| {
        let mut random = Random::new(seed);
        let world = World::new(&mut random);
        let mut health = RandomHealth::new(&mut random, &world.model);
        let mut changed = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
        for generation in 2..2 + random.below(6) {
            let pools: Vec<PoolId> = (0..1 + random.below(3))
                .map(|_| PoolId(random.below(world.model.pools.len() as u64) as u32))
                .collect();
            let down = *random.pick(&[0, 50, 100]);
            pools.iter().for_each(|pool| health.change(&mut random, pool.index(), down));
            changed = changed.with_changed(generation, &pools, &health);
        }
        let fresh = Snapshot::new(Arc::clone(&world.compiled), 1, &health);
        for (terms, plan) in world
            .compiled
            .routes
            .iter()
            .flat_map(|route| fresh.pools.iter().map(|plan| (route.terms, plan)))
        {
            for family in Family::BOTH {
                let ready = qualifies(plan, terms, family) && takes_all(plan, terms, family);
                assert_eq!(plan.is_ready(terms.dual_stack, family), ready, "{plan:?}");
            }
        }
        for (number, route) in world.compiled.routes.iter().enumerate() {
            let classes = &world.compiled.classes[route.classes];
            for (class, tree) in classes.trees().iter().enumerate() {
                for _ in 0..4 {
                    let key = ClientKey(random.below(u64::MAX));
                    let first = tree
                        .walk(key, Reach::Spill, &mut NoTrace, |pool, _| ControlFlow::Break(pool));
                    assert_eq!(classes.first_choice(class as u16, key), first, "{tree:?}");
                }
                for family in Family::BOTH {
                    let cached = changed.cached(number, class as u16, family);
                    assert_eq!(cached, fresh.cached(number, class as u16, family));
                    let mut ramps = false;
                    tree.for_each_pool(&mut |pool| {
                        ramps |= fresh.pools[pool.index()].is_ramping();
                    });
                    if tree.is_keyed() || ramps {
                        assert_eq!(cached, Cached::Keyed);
                        keyed += 1;
                        continue;
                    }
                    let key = ClientKey(random.below(u64::MAX));
                    let plans = &fresh.pools;
                    let decision =
                        decide(tree, fresh.terms(number), plans, family, key, &mut NoTrace);
                    assert_eq!(cached, Cached::Fixed(decision), "{tree:?}");
                    fixed += 1;
                }
            }
        }
    });
    println!("{fixed} decisions made ahead, {keyed} that keys make");
    assert!(ran < 100 || (fixed > ran && keyed > ran / 2));
}

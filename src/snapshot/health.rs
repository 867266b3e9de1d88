//! What the control plane knows of members, as snapshots ask for it.

use crate::model::Endpoint;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Model;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Resolved;
use crate::steering::Intake;
use crate::steering::MemberState;
use crate::steering::Shedding;
use crate::steering::plan::Remembered;

/// Answers for the state of a pool's members.
pub trait Health {
    /// Order and verdicts of each endpoint of `pool`, in its order.
    fn states(&self, pool: &Pool) -> Vec<MemberState>;

    /// Who was healthy last in `pool`, if now nobody is.
    fn remembered(&self, pool: &Pool, family: Family) -> Option<Remembered>;

    /// What each alias of `pool` is to answer with, in the order of its endpoints; may end before the last.
    fn resolved(&self, _: &Pool) -> Vec<Resolved> {
        Vec::new()
    }

    /// Which clients `pool` takes while it qualifies.
    fn intake(&self, _pool: &Pool, _family: Family) -> Intake {
        Intake::All
    }

    /// Endpoints of `pool` that are not as their probes say, and by whose word; for people.
    fn notes(&self, _pool: &Pool) -> Vec<Box<str>> {
        Vec::new()
    }

    /// Whom `pool` sends elsewhere for its load.
    fn shedding(&self, _pool: &Pool) -> Shedding {
        Shedding::default()
    }
}

/// Order and verdicts of each endpoint of a pool; of one that `all` made, as its own pools have them.
pub fn states(model: &Model, pool: &Pool, health: &impl Health) -> Vec<MemberState> {
    if pool.is_written() {
        return health.states(pool);
    }
    let parts = pool.part_pools().into_iter();
    let parts: Vec<(PoolId, Vec<MemberState>)> =
        parts.map(|part| (part, health.states(&model.pools[part.index()]))).collect();
    let state = |&(pool, endpoint): &(PoolId, EndpointId)| {
        let part = parts.iter().find(|(other, _)| *other == pool);
        part.map_or_else(MemberState::default, |(_, states)| states[endpoint.index()])
    };
    pool.parts.iter().map(state).collect()
}

/// What each alias of a pool is to answer with; of one that `all` made, as its own pools have it.
pub fn resolved(model: &Model, pool: &Pool, health: &impl Health) -> Vec<Resolved> {
    if pool.is_written() {
        return health.resolved(pool);
    }
    let parts = pool.part_pools().into_iter();
    let parts: Vec<(PoolId, Vec<Resolved>)> =
        parts.map(|part| (part, health.resolved(&model.pools[part.index()]))).collect();
    let of = |&(pool, endpoint): &(PoolId, EndpointId)| {
        let part = parts.iter().find(|(other, _)| *other == pool);
        part.and_then(|(_, all)| all.get(endpoint.index()).cloned()).unwrap_or_default()
    };
    pool.parts.iter().map(of).collect()
}

/// Who was healthy last in a pool; of one that `all` made, in the pool of its own that was last.
pub fn remembered(
    model: &Model,
    pool: &Pool,
    family: Family,
    health: &impl Health,
) -> Option<Remembered> {
    if pool.is_written() {
        return health.remembered(pool, family);
    }
    let parts = pool
        .part_pools()
        .into_iter()
        .filter_map(|part| Some((part, health.remembered(&model.pools[part.index()], family)?)));
    let (part, Remembered { stamp, endpoints }) = parts.max_by_key(|(_, last)| last.stamp)?;
    let is_last =
        |&(pool, endpoint): &(PoolId, EndpointId)| pool == part && endpoints.contains(&endpoint);
    let positions = pool.parts.iter().enumerate().filter(|(_, entry)| is_last(entry));
    let endpoints = positions.map(|(position, _)| EndpointId::at(position)).collect();
    Some(Remembered { stamp, endpoints })
}

/// Nothing is known and nothing is ordered: every endpoint counts as up, unless its file says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct AllUnknown;

impl Health for AllUnknown {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let written = |endpoint: &Endpoint| {
            let admin = endpoint.admin();
            MemberState { admin, ..MemberState::default() }
        };
        pool.endpoints.iter().map(written).collect()
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }
}

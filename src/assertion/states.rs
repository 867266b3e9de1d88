//! States of health that assertions speak of, and the pools in each. Made when first asked for, then kept.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::EndpointId;
use crate::model::Model;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Resolved;
use crate::model::SiteId;
use crate::model::Verdict;
use crate::steering::MemberState;
use crate::steering::PoolPlan;

/// A state of health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything is up.
    AllUp,
    /// A whole site is lost. What has no check is not seen to be.
    SiteLost(SiteId),
    /// One pool is left, with every pool that it is made of.
    OnlyUp(PoolId),
    /// Everything is down.
    AllDown,
}

/// Pools by position, in one state.
type Plans = Box<[Arc<PoolPlan>]>;

/// Pools in every state.
pub struct States<'a> {
    model: &'a Model,
    all_up: Plans,
    all_down: Plans,
    site_lost: Box<[OnceCell<Plans>]>,
    only_up: Box<[OnceCell<Plans>]>,
}

impl<'a> States<'a> {
    /// Weighs every pool.
    pub fn new(model: &'a Model) -> Self {
        let plans = |state: State| -> Plans {
            (0..model.pools.len()).map(|at| plan(model, PoolId::at(at), state)).collect()
        };
        Self {
            model,
            all_up: plans(State::AllUp),
            all_down: plans(State::AllDown),
            site_lost: model.sites.iter().map(|_| OnceCell::new()).collect(),
            only_up: model.pools.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    /// Every pool in one state.
    pub fn plans(&self, state: State) -> &[Arc<PoolPlan>] {
        match state {
            State::AllUp => &self.all_up,
            State::AllDown => &self.all_down,
            State::SiteLost(site) => {
                self.site_lost[site.index()].get_or_init(|| self.changed(&self.all_up, state))
            }
            State::OnlyUp(pool) => {
                self.only_up[pool.index()].get_or_init(|| self.changed(&self.all_down, state))
            }
        }
    }

    /// The pools of another state, with those weighed anew that the state speaks of.
    fn changed(&self, others: &[Arc<PoolPlan>], state: State) -> Plans {
        let plans = others.iter().enumerate().map(|(at, other)| {
            let pool = PoolId::at(at);
            match endpoints_of(self.model, pool).any(|one| state.speaks_of(self.model, pool, one)) {
                true => plan(self.model, pool, state),
                false => Arc::clone(other),
            }
        });
        plans.collect()
    }
}

fn plan(model: &Model, pool: PoolId, state: State) -> Arc<PoolPlan> {
    let states: Vec<MemberState> =
        endpoints_of(model, pool).map(|endpoint| state.of(model, pool, endpoint)).collect();
    // An alias is taken to resolve, to both families: what it resolves to is known at run time only.
    let stand_in = Resolved::of([
        IpAddr::from([192, 0, 2, 1]),
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    ]);
    let resolved = vec![stand_in; states.len()];
    Arc::new(PoolPlan::new(&model.pools[pool.index()], &states, &resolved, &[None, None]))
}

impl State {
    /// What is known of an endpoint.
    pub fn of(self, model: &Model, pool: PoolId, endpoint: EndpointId) -> MemberState {
        let is_down = match self {
            Self::AllUp => false,
            Self::AllDown => true,
            Self::OnlyUp(_) => !self.speaks_of(model, pool, endpoint),
            Self::SiteLost(_) => {
                let is_probed = home(model, pool, endpoint).1.check.is_some();
                is_probed && self.speaks_of(model, pool, endpoint)
            }
        };
        match is_down {
            true => MemberState { verdicts: [Verdict::Down; 2], ..MemberState::default() },
            false => MemberState::default(),
        }
    }

    /// Whether an endpoint is at a site that is lost, seen or not.
    pub fn is_lost(self, model: &Model, pool: PoolId, endpoint: EndpointId) -> bool {
        matches!(self, Self::SiteLost(_)) && self.speaks_of(model, pool, endpoint)
    }

    /// Whether an endpoint is at the lost site, or in the pool that is left.
    fn speaks_of(self, model: &Model, pool: PoolId, endpoint: EndpointId) -> bool {
        match self {
            Self::SiteLost(site) => site_of(model, pool, endpoint) == Some(site),
            Self::OnlyUp(only) => {
                let home = home(model, pool, endpoint).0;
                home == only || model.pools[only.index()].part_pools().contains(&home)
            }
            Self::AllUp | Self::AllDown => false,
        }
    }
}

/// The pool of a file that an endpoint is of: its own, unless `all` made that.
pub fn home(model: &Model, pool: PoolId, endpoint: EndpointId) -> (PoolId, &Pool) {
    let parts = &model.pools[pool.index()].parts;
    let home = parts.get(endpoint.index()).map_or(pool, |&(part, _)| part);
    (home, &model.pools[home.index()])
}

/// Where an endpoint stands.
pub fn site_of(model: &Model, pool: PoolId, endpoint: EndpointId) -> Option<SiteId> {
    home(model, pool, endpoint).1.site
}

/// The endpoints of a pool.
pub fn endpoints_of(model: &Model, pool: PoolId) -> impl Iterator<Item = EndpointId> + use<> {
    (0..model.pools[pool.index()].endpoints.len()).map(EndpointId::at)
}

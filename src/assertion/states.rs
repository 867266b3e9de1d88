//! States of health that assertions speak of, and the pools in each. Made when first asked for, then kept.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::model::Admin;
use crate::model::EndpointId;
use crate::model::Model;
use crate::model::PoolId;
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
    /// One pool is left.
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
            State::SiteLost(site) => self.site_lost[site.index()].get_or_init(|| {
                let plans = self.all_up.iter().enumerate();
                let lost = |(at, up): (usize, &Arc<PoolPlan>)| {
                    let pool = PoolId::at(at);
                    match has_part_at(self.model, pool, site) {
                        true => plan(self.model, pool, state),
                        false => Arc::clone(up),
                    }
                };
                plans.map(lost).collect()
            }),
            State::OnlyUp(pool) => self.only_up[pool.index()].get_or_init(|| {
                let mut plans = self.all_down.clone();
                plans[pool.index()] = Arc::clone(&self.all_up[pool.index()]);
                plans
            }),
        }
    }
}

fn plan(model: &Model, pool: PoolId, state: State) -> Arc<PoolPlan> {
    let id = pool;
    let pool = &model.pools[id.index()];
    let states = (0..pool.endpoints.len()).map(EndpointId::at);
    let states: Vec<_> = states.map(|endpoint| state.of(model, id, endpoint)).collect();
    Arc::new(PoolPlan::new(pool, &states, &[None, None]))
}

impl State {
    /// What is known of an endpoint.
    pub fn of(self, model: &Model, pool: PoolId, endpoint: EndpointId) -> MemberState {
        let down = MemberState { admin: Admin::Enabled, verdicts: [Verdict::Down; 2] };
        let is_down = match self {
            Self::AllUp => false,
            Self::AllDown => true,
            Self::OnlyUp(only) => only != pool,
            Self::SiteLost(_) => {
                self.is_lost(model, pool, endpoint) && model.pools[pool.index()].check.is_some()
            }
        };
        if is_down { down } else { MemberState::default() }
    }

    /// Whether an endpoint is at a site that is lost, seen or not.
    pub fn is_lost(self, model: &Model, pool: PoolId, endpoint: EndpointId) -> bool {
        match self {
            Self::SiteLost(site) => site_of(model, pool, endpoint) == Some(site),
            Self::AllUp | Self::OnlyUp(_) | Self::AllDown => false,
        }
    }
}

/// Where an endpoint stands.
pub fn site_of(model: &Model, pool: PoolId, _: EndpointId) -> Option<SiteId> {
    model.pools[pool.index()].site
}

/// Whether any endpoint of a pool stands at a site.
fn has_part_at(model: &Model, pool: PoolId, site: SiteId) -> bool {
    let endpoints = (0..model.pools[pool.index()].endpoints.len()).map(EndpointId::at);
    endpoints.into_iter().any(|endpoint| site_of(model, pool, endpoint) == Some(site))
}

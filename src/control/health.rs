//! The controller's word on members, and which targets a model has.

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::control::Controller;
use crate::control::Memory;
use crate::control::ProbeOrder;
use crate::control::Scope;
use crate::model::Admin;
use crate::model::Check;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Model;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::snapshot::Health;
use crate::steering::Intake;
use crate::steering::MemberState;
use crate::steering::plan::Remembered;

/// Something that a model wants probed.
pub(super) struct Target<'a> {
    pub(super) key: TargetKey,
    pub(super) address: IpAddr,
    pub(super) check: &'a Check,
}

/// Every target of a model: each address of each endpoint of each pool that has a check.
pub(super) fn targets(model: &Model) -> impl Iterator<Item = Target<'_>> {
    model.pools.iter().flat_map(move |pool| {
        let check = pool.check.map(|id| &model.checks[id.index()]);
        let endpoints = pool.endpoints.iter().flat_map(|endpoint| {
            Family::BOTH
                .into_iter()
                .filter_map(move |family| Some((endpoint, family, endpoint.address(family)?)))
        });
        endpoints.filter_map(move |(endpoint, family, address)| {
            let check = check?;
            Some(Target { key: key(&endpoint.key, check, family), address, check })
        })
    })
}

/// Names a target.
pub(super) fn key(endpoint: &Arc<str>, check: &Check, family: Family) -> TargetKey {
    TargetKey { endpoint: Arc::clone(endpoint), check: (*check.name).into(), family }
}

impl Controller {
    /// What the query path should know of the members of a model.
    pub(super) fn health<'a>(&'a self, model: &'a Model) -> HealthOf<'a> {
        HealthOf { controller: self, model }
    }

    /// Every target with what is known of it.
    pub(super) fn probe_orders(&self) -> Vec<ProbeOrder> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let model = &snapshot.compiled.model;
        let shared: Vec<Arc<Check>> =
            model.checks.iter().map(|check| Arc::new(check.clone())).collect();
        let order = |target: Target<'_>| {
            let check = shared.iter().find(|check| check.name == target.check.name);
            ProbeOrder {
                address: target.address,
                check: Arc::clone(check.expect("targets name checks of this model")),
                verdict: self
                    .verdicts
                    .get(&target.key)
                    .map_or(Verdict::Unknown, |known| known.verdict),
                key: target.key,
            }
        };
        targets(model).map(order).collect()
    }

    /// Targets of `next` that are probed now in the same way at the same place: what is known of them stays true.
    ///
    /// A corrected port or a new address makes a target that was never probed.
    pub(super) fn unchanged_targets(&self, next: &Model) -> HashSet<TargetKey> {
        let Some(snapshot) = &self.snapshot else { return HashSet::new() };
        let before: HashMap<TargetKey, (IpAddr, &Check)> = targets(&snapshot.compiled.model)
            .map(|target| (target.key, (target.address, target.check)))
            .collect();
        let is_same = |target: &Target<'_>| {
            before.get(&target.key).is_some_and(|(address, check)| {
                (*address, &check.kind, check.port)
                    == (target.address, &target.check.kind, target.check.port)
            })
        };
        targets(next).filter(is_same).map(|target| target.key).collect()
    }

    /// The pool of a target, if it is probed.
    pub(super) fn pool_of(&self, key: &TargetKey) -> Option<PoolId> {
        let model = &self.snapshot.as_ref()?.compiled.model;
        let (pool_name, _) = key.endpoint.split_once('/')?;
        let position = model.pools.iter().position(|pool| &*pool.name == pool_name)?;
        let pool = &model.pools[position];
        let check = &model.checks[pool.check?.index()];
        let endpoint = pool.endpoints.iter().find(|endpoint| endpoint.key == key.endpoint)?;
        let is_target = *check.name == *key.check && endpoint.address(key.family).is_some();
        is_target.then(|| PoolId::at(position))
    }

    /// The most specific order for an endpoint.
    pub(super) fn order_for(
        &self,
        model: &Model,
        pool: &Pool,
        endpoint: &str,
    ) -> Option<(&Scope, &super::Order)> {
        // Scopes are ordered from wide to narrow.
        self.orders.iter().rev().find(|(scope, _)| scope.covers(model, pool, endpoint))
    }

    /// Who of a pool was healthy last, by their positions in the pool at hand.
    fn recall(&self, pool: &Pool, family: Family) -> Option<Remembered> {
        let Memory { stamp, endpoints } = self.remembered.get(&(pool.name.clone(), family))?;
        let known = pool.endpoints.iter().enumerate();
        let endpoints = known
            .filter(|(_, endpoint)| endpoints.contains(&endpoint.key))
            .map(|(position, _)| EndpointId::at(position))
            .collect();
        Some(Remembered { stamp: *stamp, endpoints })
    }

    /// Order and verdicts of each endpoint of a pool.
    pub(super) fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let Some(snapshot) = &self.snapshot else {
            return vec![MemberState::default(); pool.endpoints.len()];
        };
        self.states_in(&snapshot.compiled.model, pool)
    }

    fn states_in(&self, model: &Model, pool: &Pool) -> Vec<MemberState> {
        let check = pool.check.map(|id| &model.checks[id.index()]);
        let verdict = |endpoint: &Arc<str>, family| match check {
            None => Verdict::Up,
            Some(check) => self
                .verdicts
                .get(&key(endpoint, check, family))
                .map_or(Verdict::Unknown, |known| known.verdict),
        };
        let state = |endpoint: &crate::model::Endpoint| MemberState {
            admin: self
                .order_for(model, pool, &endpoint.key)
                .map_or(Admin::Enabled, |(_, order)| order.admin),
            verdicts: Family::BOTH.map(|family| verdict(&endpoint.key, family)),
        };
        pool.endpoints.iter().map(state).collect()
    }
}

/// The controller's health for a model that may not be in force yet.
pub(super) struct HealthOf<'a> {
    pub(super) controller: &'a Controller,
    pub(super) model: &'a Model,
}

impl Health for HealthOf<'_> {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        self.controller.states_in(self.model, pool)
    }

    fn remembered(&self, pool: &Pool, family: Family) -> Option<Remembered> {
        self.controller.recall(pool, family)
    }

    fn intake(&self, pool: &Pool, family: Family) -> Intake {
        self.controller.intake_of(pool, family)
    }
}

/// The controller's health, with some things taken to be down.
pub(super) struct Overlay<'a> {
    pub(super) controller: &'a Controller,
    pub(super) model: &'a Model,
    pub(super) down: &'a [Scope],
}

impl Health for Overlay<'_> {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let mut states = self.controller.states_in(self.model, pool);
        for (endpoint, state) in pool.endpoints.iter().zip(&mut states) {
            let is_down =
                self.down.iter().any(|scope| scope.covers(self.model, pool, &endpoint.key));
            if is_down && state.admin != Admin::Drained {
                state.admin = Admin::ForcedDown;
            }
        }
        states
    }

    fn remembered(&self, pool: &Pool, family: Family) -> Option<Remembered> {
        self.controller.recall(pool, family)
    }

    fn intake(&self, pool: &Pool, family: Family) -> Intake {
        self.controller.intake_of(pool, family)
    }
}

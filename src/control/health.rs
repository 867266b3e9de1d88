//! The controller's word on members, and which targets a model has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::control::Controller;
use crate::control::Memory;
use crate::control::ProbeOrder;
use crate::control::Scope;
use crate::control::resolve::Resolutions;
use crate::health::Penalty;
use crate::health::composite;
use crate::model::Admin;
use crate::model::Check;
use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::Endpoint;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::Model;
use crate::model::Now;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Resolved;
use crate::model::Special;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::snapshot::Health;
use crate::steering::Intake;
use crate::steering::MemberState;
use crate::steering::Shedding;
use crate::steering::plan::Remembered;

/// Something that a model wants probed.
pub(super) struct Target<'m> {
    pub(super) key: TargetKey,
    pub(super) address: IpAddr,
    endpoint: &'m Endpoint,
    check: &'m Check,
    id: CheckId,
    special: Option<&'m Special>,
}

impl<'m> Target<'m> {
    /// The check as it is for this endpoint.
    pub(super) fn check(&self) -> Cow<'m, Check> {
        self.check.with(self.special)
    }

    /// Its check, if that is made of others.
    pub(super) fn composite(&self) -> Option<CheckId> {
        matches!(self.check.kind, CheckKind::Composite(_)).then_some(self.id)
    }

    /// What is probed for it if its check is made of others; nothing if it is probed itself.
    pub(super) fn parts(&self, model: &'m Model) -> Vec<Target<'m>> {
        let Some(check) = self.composite() else { return Vec::new() };
        let part = |id: CheckId| {
            let check = &model.checks[id.index()];
            let key = TargetKey { check: Arc::clone(&check.name), ..self.key.clone() };
            let special = self.endpoint.special(id);
            Target { key, address: self.address, endpoint: self.endpoint, check, id, special }
        };
        model.leaves(check).into_iter().map(part).collect()
    }
}

/// A target, and behind it what is probed for it if its check is made of others.
pub(super) fn with_parts<'m>(
    model: &'m Model,
    target: Target<'m>,
) -> impl Iterator<Item = Target<'m>> {
    let parts = target.parts(model);
    std::iter::once(target).chain(parts)
}

/// Every target of one endpoint: its own addresses, or those that its name resolved to.
pub(super) fn targets_of<'m>(
    model: &'m Model,
    endpoint: &'m Endpoint,
    id: CheckId,
    names: &Resolutions,
) -> Vec<Target<'m>> {
    let (check, special) = (&model.checks[id.index()], endpoint.special(id));
    let own = Family::BOTH.into_iter().filter_map(|family| {
        let address = endpoint.address(family)?;
        Some(Target {
            key: key(&endpoint.key, check, family, None),
            address,
            endpoint,
            check,
            id,
            special,
        })
    });
    let resolved = names.of(endpoint).into_iter().flat_map(Resolved::iter).map(|address| {
        let key = key(&endpoint.key, check, Family::of(address), Some(address));
        Target { key, address, endpoint, check, id, special }
    });
    own.chain(resolved).collect()
}

/// Names a target; `address` is one of those that the endpoint's name resolved to.
fn key(endpoint: &Arc<str>, check: &Check, family: Family, address: Option<IpAddr>) -> TargetKey {
    let (endpoint, check) = (Arc::clone(endpoint), Arc::clone(&check.name));
    TargetKey { endpoint, check, family, address }
}

/// Whether what one check has found out holds for the other. One that is made of others finds out nothing: its parts do.
fn is_same_check(one: &Check, other: &Check) -> bool {
    match (&one.kind, &other.kind) {
        (CheckKind::Composite(_), CheckKind::Composite(_)) => true,
        _ => one.is_same_probe(other),
    }
}

/// Targets that are in both, at the same place and probed in the same way.
fn unchanged(before: Vec<Target<'_>>, next: Vec<Target<'_>>) -> HashSet<TargetKey> {
    let before: HashMap<TargetKey, (IpAddr, Cow<'_, Check>)> = before
        .into_iter()
        .map(|target| {
            let check = target.check();
            (target.key, (target.address, check))
        })
        .collect();
    let is_same = |target: &Target<'_>| {
        before.get(&target.key).is_some_and(|(address, check)| {
            *address == target.address && is_same_check(check, &target.check())
        })
    };
    next.into_iter().filter(is_same).map(|target| target.key).collect()
}

/// Whether the verdict on a target says something of a family of its endpoint.
fn counts(endpoint: &Endpoint, family: Family, target: &Target<'_>) -> bool {
    match endpoint.leaf {
        // Clients choose the family themselves, so that a name has one verdict.
        Leaf::Cname(_) | Leaf::Srv(_) => true,
        Leaf::Addresses { .. } | Leaf::Alias(_) => target.key.family == family,
    }
}

/// What several addresses come to together: as good as the best of them, unknown if there is none.
fn best_of(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.max_by_key(|verdict| composite::rank(*verdict)).unwrap_or(Verdict::Unknown)
}

impl Controller {
    /// What the query path should know of the members of a model.
    pub(super) fn health<'a>(&'a self, model: &'a Model) -> HealthOf<'a> {
        HealthOf { controller: self, model }
    }

    /// Every target with what is known of it.
    pub(super) fn probe_orders(&self, now: Now) -> Vec<ProbeOrder> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let model = &snapshot.compiled.model;
        // Targets of one check share it, and so do those that differ from it alike.
        type Alike<'a> = (&'a str, Option<&'a Special>, Option<Duration>);
        let mut shared: HashMap<Alike<'_>, Arc<Check>> = HashMap::new();
        let probed = self.probed_in(model).into_iter();
        let orders = probed.filter(|target| self.is_ours(&target.key)).map(|target| {
            let known = self.known(&target.key);
            let verdict = known.map_or(Verdict::Unknown, |known| known.verdict);
            let stretched = self.stretched(&target.key, target.check);
            ProbeOrder {
                address: target.address,
                degraded: known.map_or(0, |known| known.degraded),
                penalty: known.map_or_else(Penalty::default, |known| {
                    let age = now.monotonic.saturating_sub(known.since.monotonic);
                    known.penalty.after(age, target.check.damping)
                }),
                verdict: self
                    .own_verdict(&target.key)
                    .or_else(|| self.brake.probed_verdict(&target.key))
                    .unwrap_or(verdict),
                key: target.key,
                check: Arc::clone(
                    shared.entry((&target.check.name, target.special, stretched)).or_insert_with(
                        || {
                            let mut check = target.check.with(target.special).into_owned();
                            check.interval = stretched.unwrap_or(check.interval);
                            Arc::new(check)
                        },
                    ),
                ),
            }
        });
        orders.collect()
    }

    /// Targets of `next` that are probed now in the same way at the same place: what is known of them stays true.
    ///
    /// A corrected port or a new address makes a target that was never probed.
    pub(super) fn unchanged_targets(&self, next: &Model) -> HashSet<TargetKey> {
        let Some(snapshot) = &self.snapshot else { return HashSet::new() };
        unchanged(self.told_in(&snapshot.compiled.model), self.told_in(next))
    }

    /// Targets of some pools of which what is known is true no more in `next`; no other pool has changed.
    pub(super) fn changed_targets(
        &self,
        pools: &[PoolId],
        before: &Model,
        next: &Model,
    ) -> HashSet<TargetKey> {
        let before = self.told_of(before, pools);
        let mut keys: HashSet<TargetKey> = before.iter().map(|one| one.key.clone()).collect();
        let known = unchanged(before, self.told_of(next, pools));
        keys.retain(|key| !known.contains(key));
        keys
    }

    /// Drops what is known of addresses that names no longer have, and of endpoints that are disabled.
    pub(super) fn forget_gone_targets(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        let targets = self.told_in(&snapshot.compiled.model).into_iter();
        let keys: HashSet<TargetKey> = targets.map(|target| target.key).collect();
        self.verdicts.retain(|key, _| keys.contains(key));
        self.parts.retain(|key, _| keys.contains(key));
        self.brake.retain(|key| keys.contains(key));
    }

    /// The pool of a target, if it is probed.
    pub(super) fn pool_of(&self, key: &TargetKey) -> Option<PoolId> {
        let (pool, targets) = self.targets_near(key)?;
        targets.iter().any(|target| target.key == *key).then_some(pool)
    }

    /// The targets of the endpoint that a target is of, itself among them.
    pub(super) fn siblings(&self, key: &TargetKey) -> Vec<TargetKey> {
        let targets = self.targets_near(key).map(|(_, targets)| targets);
        targets.into_iter().flatten().map(|target| target.key).collect()
    }

    /// A target or a part of one, if it is probed.
    pub(super) fn find_target(&self, key: &TargetKey) -> Option<Target<'_>> {
        let model = &self.snapshot.as_ref()?.compiled.model;
        let (_, targets) = self.targets_near(key)?;
        let mut all = targets.into_iter().flat_map(|target| with_parts(model, target));
        all.find(|target| target.key == *key)
    }

    /// The targets of an endpoint of which a key names one, or a part of one; nothing if it is not probed.
    fn targets_near(&self, key: &TargetKey) -> Option<(PoolId, Vec<Target<'_>>)> {
        let model = &self.snapshot.as_ref()?.compiled.model;
        let (pool_name, _) = key.endpoint.split_once('/')?;
        let id = model.find_pool(pool_name)?;
        let pool = &model.pools[id.index()];
        let endpoint = pool.endpoints.iter().find(|endpoint| endpoint.key == key.endpoint)?;
        if self.admin_of(model, pool, endpoint) == Admin::Disabled {
            return None;
        }
        let targets = targets_of(model, endpoint, pool.check?, &self.resolutions);
        Some((id, targets))
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

    /// What an order says of an endpoint, else its file.
    pub(super) fn admin_of(&self, model: &Model, pool: &Pool, endpoint: &Endpoint) -> Admin {
        let order = self.order_for(model, pool, &endpoint.key);
        order.map_or_else(|| endpoint.admin(), |(_, order)| order.admin)
    }

    /// Every target of a model but those of endpoints that are disabled.
    pub(super) fn targets_in<'m>(&self, model: &'m Model) -> Vec<Target<'m>> {
        self.targets_of_pools(model, model.written_pools())
    }

    /// The same of some pools.
    fn targets_of_pools<'m>(
        &self,
        model: &'m Model,
        pools: impl Iterator<Item = &'m Pool>,
    ) -> Vec<Target<'m>> {
        let is_ordered = self.orders.values().any(|order| order.admin == Admin::Disabled);
        let pools = pools.filter_map(|pool| Some((pool, pool.check?)));
        let of_pool = |(pool, check): (&'m Pool, CheckId)| {
            let endpoints = pool.endpoints.iter();
            let is_probed = |endpoint: &&'m Endpoint| {
                // Most often nothing is disabled, and nothing has to be looked up.
                !(is_ordered || endpoint.admin() == Admin::Disabled)
                    || self.admin_of(model, pool, endpoint) != Admin::Disabled
            };
            let probed = endpoints.filter(is_probed);
            probed
                .flat_map(|endpoint| targets_of(model, endpoint, check, &self.resolutions))
                .collect::<Vec<_>>()
        };
        pools.flat_map(of_pool).collect()
    }

    /// Those of [`Self::targets_in`], each with its parts behind it.
    pub(super) fn told_in<'m>(&self, model: &'m Model) -> Vec<Target<'m>> {
        let targets = self.targets_in(model).into_iter();
        targets.flat_map(|target| with_parts(model, target)).collect()
    }

    /// Those of [`Self::told_in`] that are of some pools.
    fn told_of<'m>(&self, model: &'m Model, pools: &[PoolId]) -> Vec<Target<'m>> {
        let pools = pools.iter().map(|id| &model.pools[id.index()]);
        let targets = self.targets_of_pools(model, pools).into_iter();
        targets.flat_map(|target| with_parts(model, target)).collect()
    }

    /// Those of [`Self::told_in`] that probes go to: all but those whose check is made of others.
    pub(super) fn probed_in<'m>(&self, model: &'m Model) -> Vec<Target<'m>> {
        let mut all = self.told_in(model);
        all.retain(|target| target.composite().is_none());
        all
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
        let is_ever_slow = pool.check.is_some_and(|check| {
            let leaves = model.leaves(check);
            leaves.iter().any(|leaf| !model.checks[leaf.index()].degraded.is_empty())
        });
        let state = |endpoint: &Endpoint| {
            let admin = self.admin_of(model, pool, endpoint);
            let Some(check) = pool.check else {
                return MemberState { admin, verdicts: [Verdict::Up; 2], ..MemberState::default() };
            };
            let targets = targets_of(model, endpoint, check, &self.resolutions);
            let counted =
                |family| targets.iter().filter(move |target| counts(endpoint, family, target));
            // Of several addresses the fastest that is up counts.
            let lowered = |family| {
                let up = counted(family).filter(|one| self.verdict(&one.key) == Verdict::Up);
                let left = up.map(|one| self.weight_left(model, check, &one.key).0);
                100 - left.max().unwrap_or(100)
            };
            MemberState {
                lowered: Family::BOTH.map(|family| if is_ever_slow { lowered(family) } else { 0 }),
                admin,
                verdicts: Family::BOTH
                    .map(|family| best_of(counted(family).map(|target| self.verdict(&target.key)))),
                braked: Family::BOTH
                    .map(|family| self.braked(counted(family).map(|target| &target.key))),
            }
        };
        pool.endpoints.iter().map(state).collect()
    }

    /// What each endpoint of a pool that is an alias answers with, by position; empty for the others.
    pub(super) fn resolved(&self, pool: &Pool) -> Vec<Resolved> {
        let model = self.snapshot.as_ref().map(|snapshot| &snapshot.compiled.model);
        model.map_or_else(Vec::new, |model| self.resolved_in(model, pool))
    }

    /// The addresses that pass, or wait, or all of them: whichever of these is not nobody.
    pub(super) fn resolved_in(&self, model: &Model, pool: &Pool) -> Vec<Resolved> {
        if !pool.endpoints.iter().any(|endpoint| matches!(endpoint.leaf, Leaf::Alias(_))) {
            return Vec::new();
        }
        let of = |endpoint: &Endpoint| {
            let Some(all) = self.resolutions.of(endpoint) else { return Resolved::default() };
            let Some(check) = pool.check else { return all.clone() };
            let targets = targets_of(model, endpoint, check, &self.resolutions);
            let passing = |family: Family| {
                let of_family = || targets.iter().filter(move |one| one.key.family == family);
                let best = best_of(of_family().map(|target| self.verdict(&target.key)));
                let is_as_good = move |verdict: Verdict| match (best, verdict) {
                    (Verdict::Up | Verdict::Unknown, Verdict::Up | Verdict::Unknown) => true,
                    (best, verdict) => best == verdict,
                };
                let good = of_family().filter(move |one| is_as_good(self.verdict(&one.key)));
                good.map(|target| target.address).collect::<Vec<_>>()
            };
            Resolved::of(Family::BOTH.into_iter().flat_map(passing))
                .with_unheard(Family::BOTH.map(|family| all.is_unknown(family)))
        };
        pool.endpoints.iter().map(of).collect()
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

    fn resolved(&self, pool: &Pool) -> Vec<Resolved> {
        self.controller.resolved_in(self.model, pool)
    }

    fn intake(&self, pool: &Pool, family: Family) -> Intake {
        self.controller.intake_of(pool, family)
    }

    fn notes(&self, pool: &Pool) -> Vec<Box<str>> {
        self.controller.notes_in(self.model, pool)
    }

    fn shedding(&self, pool: &Pool) -> Shedding {
        self.controller.shedding_of(pool)
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
            if is_down && state.is_enabled() {
                state.admin = Admin::ForcedDown;
            }
        }
        states
    }

    fn remembered(&self, pool: &Pool, family: Family) -> Option<Remembered> {
        self.controller.recall(pool, family)
    }

    fn resolved(&self, pool: &Pool) -> Vec<Resolved> {
        self.controller.resolved_in(self.model, pool)
    }

    fn intake(&self, pool: &Pool, family: Family) -> Intake {
        self.controller.intake_of(pool, family)
    }

    fn notes(&self, pool: &Pool) -> Vec<Box<str>> {
        self.controller.notes_in(self.model, pool)
    }

    fn shedding(&self, pool: &Pool) -> Shedding {
        self.controller.shedding_of(pool)
    }
}

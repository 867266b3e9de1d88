//! What one pool has and whom it serves, as the interpreter counts it.

use crate::model::Admin;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::MinHealthy;
use crate::model::PoolId;
use crate::model::Verdict;
use crate::steering::interpreter::Situation;
use crate::steering::passes::Pass;
use crate::steering::plan::MemberState;
use crate::steering::plan::Remembered;
use crate::steering::rendezvous::NameSeed;
use crate::steering::rendezvous::Score;
use crate::steering::trace::Reason;

/// What one pool has in one family.
pub(super) struct Count {
    pub(super) enabled: Vec<(EndpointId, u16)>,
    pub(super) healthy: Vec<(EndpointId, u16)>,
    /// Nobody is healthy: `healthy` are those that pass and wait for the end of hold-down.
    pub(super) only_held: bool,
    pub(super) healthy_members: u32,
    pub(super) enabled_members: u32,
}

impl Count {
    pub(super) fn enabled_weight(&self) -> u32 {
        self.enabled.iter().map(|&(_, weight)| u32::from(weight)).sum()
    }

    pub(super) fn healthy_weight(&self) -> u32 {
        self.healthy.iter().map(|&(_, weight)| u32::from(weight)).sum()
    }
}

impl Situation<'_> {
    /// What is missing for a pool to qualify in one family.
    pub(super) fn shortfall(&self, pool: PoolId, family: Family) -> Option<Reason> {
        let mut count = self.count(pool, family);
        if count.only_held {
            count.healthy.clear();
            count.healthy_members = 0;
        }
        let (healthy, needed, enabled) = match self.model.pools[pool.index()].min_healthy {
            MinHealthy::Share(percent) => {
                let exact = f64::from(count.enabled_weight()) * f64::from(percent.0) / 100.0;
                (count.healthy_weight(), (exact.ceil() as u32).max(1), count.enabled_weight())
            }
            MinHealthy::Members(members) => {
                (count.healthy_members, u32::from(members).max(1), count.enabled_members)
            }
        };
        (healthy < needed).then_some(Reason::BelowMinHealthy { family, healthy, needed, enabled })
    }

    /// Counts one family of a pool: who is enabled, who of them is healthy, standbys standing in where they must.
    pub(super) fn count(&self, pool: PoolId, family: Family) -> Count {
        let endpoints = &self.model.pools[pool.index()].endpoints;
        let verdict = |position: usize| {
            let state = self.state(pool, position);
            match state.admin {
                Admin::ForcedUp => Verdict::Up,
                Admin::ForcedDown => Verdict::Down,
                Admin::Enabled | Admin::Drained => state.verdicts[family.index()],
            }
        };
        let enabled: Vec<usize> = (0..endpoints.len())
            .filter(|&p| self.endpoint_has(pool, p, family))
            .filter(|&p| self.state(pool, p).admin != Admin::Drained)
            .collect();
        let passing = |p: usize| matches!(verdict(p), Verdict::Up | Verdict::Unknown);
        let nobody_passes = !enabled.iter().any(|&p| passing(p));
        let healthy = |p: usize| passing(p) || (nobody_passes && verdict(p) == Verdict::Held);
        let weight = |p: usize| endpoints[p].weight;
        let healthy_regular = enabled.iter().any(|&p| weight(p) > 0 && healthy(p));
        let healthy_standby = enabled.iter().any(|&p| weight(p) == 0 && healthy(p));
        let any_regular = enabled.iter().any(|&p| weight(p) > 0);
        let standbys_serve = !healthy_regular && (healthy_standby || !any_regular);
        let group: Vec<usize> =
            enabled.iter().copied().filter(|&p| (weight(p) == 0) == standbys_serve).collect();
        let entry = |p: usize| (EndpointId::at(p), weight(p).max(1));
        Count {
            enabled: group.iter().map(|&p| entry(p)).collect(),
            healthy: group.iter().filter(|&&p| healthy(p)).map(|&p| entry(p)).collect(),
            only_held: nobody_passes,
            healthy_members: enabled.iter().filter(|&&p| healthy(p)).count() as u32,
            enabled_members: enabled.len() as u32,
        }
    }

    /// Who answers, best first, and whether the pool is in panic.
    pub(super) fn members(&self, pool: PoolId, pass: Pass, answers: u8) -> (Vec<EndpointId>, bool) {
        let count = self.count(pool, self.family);
        let panic_below = u32::from(self.model.pools[pool.index()].panic_below.0);
        let panic = !count.healthy.is_empty()
            && count.healthy_weight() * 100 < count.enabled_weight() * panic_below;
        let set = match pass {
            Pass::FailOpen => count.enabled,
            Pass::LastGood => {
                self.last_good(pool, self.family).map_or(count.enabled, |(_, members)| members)
            }
            Pass::Qualified | Pass::BestShare | Pass::NamedPool if panic => count.enabled,
            Pass::Qualified | Pass::BestShare | Pass::NamedPool if count.healthy.is_empty() => {
                count.enabled
            }
            Pass::Qualified | Pass::BestShare | Pass::NamedPool => {
                self.lowered(pool, count.healthy)
            }
        };
        let key_of = |id: EndpointId| &self.model.pools[pool.index()].endpoints[id.index()].key;
        let mut scored: Vec<(Score, EndpointId)> = set
            .iter()
            .map(|&(id, weight)| (Score::of(self.key, NameSeed::of_member(key_of(id)), weight), id))
            .collect();
        scored.sort_by(|(a, _), (b, _)| b.beats(*a).cmp(&a.beats(*b)));
        (scored.into_iter().map(|(_, id)| id).take(usize::from(answers)).collect(), panic)
    }

    /// Members with what is left of their weights, times what makes all of them whole.
    fn lowered(&self, pool: PoolId, members: Vec<(EndpointId, u16)>) -> Vec<(EndpointId, u16)> {
        let percent = |id: EndpointId| {
            let state = self.state(pool, id.index());
            let is_forced = matches!(state.admin, Admin::ForcedUp | Admin::ForcedDown);
            if is_forced { 100 } else { 100 - u64::from(state.lowered[self.family.index()]) }
        };
        if members.iter().all(|&(id, _)| percent(id) == 100) {
            return members;
        }
        let heaviest = members.iter().map(|&(_, weight)| u64::from(weight)).max().unwrap_or(1);
        let times = (65_535 / heaviest).min(100);
        let lower = |(id, weight): (EndpointId, u16)| {
            let whole = u64::from(weight) * times;
            (id, (whole * percent(id).max(1) / 100).max(1) as u16)
        };
        members.into_iter().map(lower).collect()
    }

    /// Who was healthy last and may still be served, and when that was.
    pub(super) fn last_good(
        &self,
        pool: PoolId,
        family: Family,
    ) -> Option<(u64, Vec<(EndpointId, u16)>)> {
        let remembered = self.memory(pool, family)?;
        let mut members = self.count(pool, family).enabled;
        members.retain(|(id, _)| remembered.endpoints.contains(id));
        if members.is_empty() {
            // A standby had taken over, and was the last.
            let kept = |id: &&EndpointId| {
                self.state(pool, id.index()).admin != Admin::Drained
                    && self.endpoint_has(pool, id.index(), family)
            };
            members = remembered.endpoints.iter().filter(kept).map(|&id| (id, 1)).collect();
        }
        (!members.is_empty()).then_some((remembered.stamp, members))
    }

    /// The state of an endpoint: in a pool that `all` made, that of the pool it comes from.
    pub(super) fn state(&self, pool: PoolId, position: usize) -> MemberState {
        match self.model.pools[pool.index()].parts.get(position) {
            Some(&(part, endpoint)) => self.states[part.index()][endpoint.index()],
            None => self.states[pool.index()][position],
        }
    }

    /// Who was healthy last: in a pool that `all` made, those of the pool that was healthy last, the later of equals.
    pub(super) fn memory(&self, pool: PoolId, family: Family) -> Option<Remembered> {
        let of = |pool: PoolId| self.remembered[pool.index()][family.index()].clone();
        let parts = &self.model.pools[pool.index()].parts;
        if parts.is_empty() {
            return of(pool);
        }
        let mut last: Option<(PoolId, Remembered)> = None;
        for &(part, _) in parts {
            let Some(memory) = of(part) else { continue };
            if last.as_ref().is_none_or(|(_, other)| memory.stamp >= other.stamp) {
                last = Some((part, memory));
            }
        }
        let (last, memory) = last?;
        let is_last = |&(part, endpoint): &(PoolId, EndpointId)| {
            part == last && memory.endpoints.contains(&endpoint)
        };
        let positions = (0..parts.len()).filter(|&position| is_last(&parts[position]));
        let endpoints = positions.map(EndpointId::at).collect();
        Some(Remembered { stamp: memory.stamp, endpoints })
    }

    pub(super) fn pool_has_family(&self, pool: PoolId) -> bool {
        self.pool_has(pool, self.family)
    }

    pub(super) fn pool_has(&self, pool: PoolId, family: Family) -> bool {
        let endpoints = 0..self.model.pools[pool.index()].endpoints.len();
        endpoints.into_iter().any(|position| self.endpoint_has(pool, position, family))
    }

    /// Whether an endpoint can answer for a family: with its own address, with one of its alias, or with a name.
    pub(super) fn endpoint_has(&self, pool: PoolId, position: usize, family: Family) -> bool {
        let endpoint = &self.model.pools[pool.index()].endpoints[position];
        match &endpoint.leaf {
            Leaf::Addresses { .. } => endpoint.address(family).is_some(),
            Leaf::Cname(_) | Leaf::Srv(_) => true,
            Leaf::Alias(_) => {
                let (pool, position) = match self.model.pools[pool.index()].parts.get(position) {
                    Some(&(part, endpoint)) => (part, endpoint.index()),
                    None => (pool, position),
                };
                let resolved = self.resolved[pool.index()].get(position);
                resolved.is_some_and(|resolved| !resolved.family(family).is_empty())
            }
        }
    }
}

//! Words of sites on targets: which change a verdict or a level, and what follows for checks that are made of others.

use std::sync::Arc;

use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Known;
use crate::control::Occurrence;
use crate::control::Vote;
use crate::health::Penalty;
use crate::health::composite;
use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::Model;
use crate::model::Now;
use crate::model::Percent;
use crate::model::PoolId;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::quorum;

/// What a word is about.
struct Voice {
    pool: PoolId,
    /// The check that is spoken of.
    check: CheckId,
    /// The target that it is a part of, if its check is made of others.
    whole: Option<TargetKey>,
}

impl Controller {
    /// Whether the newest word on a target must reach [`Controller::handle`].
    pub fn wants_vote(&self, key: &TargetKey, verdict: Verdict, degraded: u8) -> bool {
        self.verdict(key) != verdict || self.degraded(key) != degraded || self.is_near_brake(key)
    }

    /// Takes this site's word on a target; one that is probed no more is not heard.
    pub(super) fn take_vote(&mut self, vote: Vote, now: Now, effects: &mut Vec<Effect>) {
        let Some(Voice { pool, check, whole }) = self.voice(&vote.key) else { return };
        match whole {
            None => self.take_word(pool, check, vote, now, effects),
            Some(whole) => self.take_part(pool, check, whole, vote, now, effects),
        }
    }

    /// Takes a word on a target as a whole.
    fn take_word(
        &mut self,
        pool: PoolId,
        check: CheckId,
        vote: Vote,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let before = self.verdict(&vote.key);
        let after = quorum::decide([vote.verdict], before);
        if self.is_held_by_brake(&vote.key, pool, after, effects) {
            return;
        }
        if before == after {
            return self.take_level(pool, check, vote, now, effects);
        }
        let Vote { key, reason, degraded, penalty, .. } = vote;
        if self.brakes(&key, before, after, &reason, now, effects) {
            return;
        }
        let known = Known { verdict: after, since: now, reason: reason.clone(), degraded, penalty };
        let cause = Cause::Health(format!("{key} is {after}: {reason}").into());
        let told = Occurrence::Verdict { key: key.clone(), before, after, reason };
        effects.push(Effect::Record(told));
        self.change(&[pool], &cause, now, effects, |controller| {
            controller.verdicts.insert(key, known);
        });
    }

    /// Takes a word that changes no verdict, but perhaps how slow a target is.
    fn take_level(
        &mut self,
        pool: PoolId,
        check: CheckId,
        vote: Vote,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Vote { key, degraded, reason, .. } = vote;
        if self.degraded(&key) == degraded {
            return;
        }
        effects.push(Effect::Record(self.told_level(&key, check, degraded, reason)));
        let cause = Cause::Health(format!("{key} is at another level of slowness").into());
        self.change(&[pool], &cause, now, effects, |controller| {
            if let Some(known) = controller.verdicts.get_mut(&key) {
                known.degraded = degraded;
            }
        });
    }

    fn told_level(
        &self,
        key: &TargetKey,
        check: CheckId,
        level: u8,
        reason: Box<str>,
    ) -> Occurrence {
        let check = self.model().ok().and_then(|model| model.checks.get(check.index()));
        let weight = check.map_or(Percent(100), |check| check.weight_at(level));
        Occurrence::Degraded { key: key.clone(), level, weight, reason }
    }

    /// Takes a word on a part, and then what follows from it for the whole.
    fn take_part(
        &mut self,
        pool: PoolId,
        check: CheckId,
        whole: TargetKey,
        vote: Vote,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Vote { key, verdict, degraded, reason, penalty } = vote;
        let before = self.parts.get(&key);
        let first = (Verdict::Unknown, 0, (now, penalty));
        let (was, level, begun) = before
            .map_or(first, |known| (known.verdict, known.degraded, (known.since, known.penalty)));
        let after = quorum::decide([verdict], was);
        if was != after {
            let (key, reason) = (key.clone(), reason.clone());
            effects.push(Effect::Record(Occurrence::Verdict { key, before: was, after, reason }));
        } else if level != degraded {
            effects.push(Effect::Record(self.told_level(&key, check, degraded, reason.clone())));
        }
        let (since, penalty) = if was == after { begun } else { (now, penalty) };
        let known = Known { verdict: after, since, reason: reason.clone(), degraded, penalty };
        let text = format!("{} is {after}: {reason}", key.check);
        if level == degraded {
            self.parts.insert(key, known);
        } else {
            // What is left of the weight is that of the slowest part.
            let cause = Cause::Health(format!("{key} is at another level of slowness").into());
            self.change(&[pool], &cause, now, effects, |controller| {
                controller.parts.insert(key, known);
            });
        }
        let verdict = self.composed(&whole).unwrap_or(Verdict::Unknown);
        let (reason, penalty) = (text.into(), Penalty::default());
        let vote = Vote { key: whole, verdict, degraded: 0, reason, penalty };
        self.take_word(pool, check, vote, now, effects);
    }

    /// What follows for a target from its parts; `None` if it is not probed.
    fn composed(&self, whole: &TargetKey) -> Option<Verdict> {
        Some(self.verdict_of_parts(self.model().ok()?, self.check_of(whole)?, whole))
    }

    fn verdict_of_parts(&self, model: &Model, check: CheckId, whole: &TargetKey) -> Verdict {
        let leaf = |part: CheckId| {
            let check = Arc::clone(&model.checks[part.index()].name);
            self.verdict(&TargetKey { check, ..whole.clone() })
        };
        composite::verdict_of(model, check, &leaf)
    }

    /// For new files: what is known of parts decides anew what is known of wholes.
    pub(super) fn weigh_parts(&mut self, model: &Model, now: Now, effects: &mut Vec<Effect>) {
        let mut changed = Vec::new();
        for target in self.targets_in(model) {
            let Some(check) = target.composite() else { continue };
            // What the brake holds it alone lets go.
            if self.brake.probed_verdict(&target.key).is_some() {
                continue;
            }
            let after = self.verdict_of_parts(model, check, &target.key);
            let before = self.verdict(&target.key);
            if after != Verdict::Unknown && after != before {
                changed.push((target.key, before, after));
            }
        }
        for (key, before, after) in changed {
            let reason: Box<str> = "by its parts, with the new files".into();
            let penalty = Penalty::default();
            let told_reason = reason.clone();
            let known =
                Known { verdict: after, since: now, reason: told_reason, degraded: 0, penalty };
            let told = Occurrence::Verdict { key: key.clone(), before, after, reason };
            effects.push(Effect::Record(told));
            self.verdicts.insert(key, known);
        }
    }

    /// What is left of an endpoint's weight at one of its addresses, by the check of its pool; `whole` names that.
    ///
    /// Of a check that is made of others the slowest part that is not down counts.
    pub(super) fn weight_left(&self, model: &Model, check: CheckId, whole: &TargetKey) -> Percent {
        let left = |part: CheckId| {
            let check = &model.checks[part.index()];
            let key = TargetKey { check: Arc::clone(&check.name), ..whole.clone() };
            let known = self.known(&key).filter(|known| known.verdict != Verdict::Down);
            check.weight_at(known.map_or(0, |known| known.degraded))
        };
        // Nearly no check is ever degraded: nothing is made for it.
        let is_simple = |id: &CheckId| model.checks[id.index()].degraded.is_empty();
        match &model.checks[check.index()].kind {
            CheckKind::Composite(_) => {
                let leaves = model.leaves(check).into_iter().filter(|id| !is_simple(id));
                leaves.map(left).min().unwrap_or(Percent(100))
            }
            _ if is_simple(&check) => Percent(100),
            _ => left(check),
        }
    }

    /// What a word on this key is about; `None` if nobody probes it.
    fn voice(&self, key: &TargetKey) -> Option<Voice> {
        if let Some(pool) = self.pool_of(key) {
            return Some(Voice { pool, check: self.check_of(key)?, whole: None });
        }
        let model = self.model().ok()?;
        let (pool_name, _) = key.endpoint.split_once('/')?;
        let pool = &model.pools[model.find_pool(pool_name)?.index()];
        let check = pool.check?;
        let leaves = model.leaves(check);
        let part = leaves.into_iter().find(|id| *model.checks[id.index()].name == *key.check)?;
        let name = Arc::clone(&model.checks[check.index()].name);
        let whole = TargetKey { check: name, ..key.clone() };
        let pool = self.pool_of(&whole)?;
        Some(Voice { pool, check: part, whole: Some(whole) })
    }

    /// The check of a target's pool.
    fn check_of(&self, whole: &TargetKey) -> Option<CheckId> {
        let model = self.model().ok()?;
        model.pools[self.pool_of(whole)?.index()].check
    }
}

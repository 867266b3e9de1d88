//! Weights of a policy that move by and by, and go back by themselves if their target fails: canary, blue and green.
//!
//! A shift is a record. Weights are a function of it, of the files and of the wall clock alone, in a hundred steps.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::assertion;
use crate::config::Problems;
use crate::config::duration::spell;
use crate::config::reader::closest;
use crate::config::render;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::order::instant;
use crate::control::record::Written;
use crate::control::stored::shift_key;
use crate::control::weights::Billionths;
use crate::control::weights::share_of;
use crate::control::weights::weigh;
use crate::model::Model;
use crate::model::Now;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::Target;
use crate::model::WeightedTarget;
use crate::snapshot::Reweighed;

/// Steps of a shift.
pub(super) const STEPS: u8 = 100;

/// Longest shift, and longest watch after it.
pub const SHIFT_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Weights of one policy that differ from those of the files: a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Who ordered it.
    pub written: Written,
    /// The target whose share moves; the others keep theirs against one another.
    pub target: Box<str>,
    /// Its share at the start.
    pub from: Billionths,
    /// Its share at the end.
    pub to: Billionths,
    /// How long that takes.
    pub over: Duration,
    /// How long after that a target that fails still takes the shift back.
    pub watch: Duration,
    /// When the weights of the files count again, since 1970; `None`: when it is taken back.
    pub until: Option<Duration>,
    /// Hundredths of the way that are done; never fewer than before.
    pub step: u8,
}

impl Shift {
    /// The target's share now.
    pub fn share(&self) -> Billionths {
        let (from, to) = (i64::from(self.from.0), i64::from(self.to.0));
        Billionths((from + (to - from) * i64::from(self.step) / i64::from(STEPS)) as u32)
    }

    /// The policy that it moves, if the files go with it.
    pub(super) fn place_in(&self, model: &Model, policy: &str) -> Result<PolicyId, String> {
        let (id, targets) = find_policy(model, policy)?;
        let place = find_target(model, policy, targets, &self.target)?;
        weigh(targets, place, self.to, [self.from, self.to])?;
        Ok(id)
    }

    /// Whether a target that fails takes it back.
    fn is_watched(&self, now: Now) -> bool {
        now.unix < self.written.at + self.over + self.watch
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { author, reason, at, .. } = &self.written;
        write!(f, "{} has {}", self.target, self.share())?;
        if self.step < STEPS {
            let end = instant(*at + self.over);
            write!(f, " on its way from {} to {} by {end}", self.from, self.to)?;
        }
        write!(f, ", by {author}: {reason}")?;
        match self.until {
            Some(until) => write!(f, " (until {})", instant(until)),
            None => f.write_str(" (until taken back)"),
        }
    }
}

/// What an operator asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub policy: String,
    pub target: String,
    pub share: Billionths,
    pub over: Duration,
    pub watch: Duration,
    pub until: Option<Duration>,
    pub reason: String,
    pub author: String,
    pub force: bool,
}

impl Controller {
    /// A policy by its name.
    pub(super) fn policy_id(&self, name: &str) -> Option<PolicyId> {
        find_policy(self.model().ok()?, name).ok().map(|(id, _)| id)
    }

    /// Begins a shift, or bends the one in force to another share.
    pub(super) fn shift(
        &mut self,
        wanted: Wanted,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        let Wanted { policy, target, share, over, watch, until, reason, author, force } = wanted;
        if reason.trim().is_empty() {
            return Err("an order needs a reason: others will read it at night".into());
        }
        if over.max(watch) > SHIFT_MAX {
            return Err(format!("a shift and its watch last {} each at most", spell(SHIFT_MAX)));
        }
        if until.is_some_and(|until| until <= now.unix + over) {
            return Err("it would end before it is through: name a later --until".into());
        }
        let (id, targets) = find_policy(self.model()?, &policy)?;
        let place = find_target(self.model()?, &policy, targets, &target)?;
        let from = match self.shifts.get(&*policy) {
            Some(shift) if *shift.target != *target => {
                return Err(format!(
                    "policy {policy} is shifted already: {shift}; take that back first: rhumb shift {policy} --back"
                ));
            }
            Some(shift) => shift.share(),
            None => share_of(targets, place),
        };
        let weights = weigh(targets, place, share, [from, share])
            .map_err(|why| format!("policy {policy}: {why}"))?;
        if share > from && !self.target_qualifies(targets[place].target) {
            return Err(format!(
                "{target} does not qualify now; `rhumb status` shows what it is short of"
            ));
        }
        if !force {
            self.judge_weights(Reweighed { policy: id, weights, note: None })?;
        }
        let written = self.write(&author, &reason, now);
        let step = if over.is_zero() { STEPS } else { 0 };
        let shift =
            Shift { written, target: target.into(), from, to: share, over, watch, until, step };
        let text = format!("policy {policy}: {shift}");
        effects.push(Effect::Record(Occurrence::Shifted {
            policy: policy.as_str().into(),
            shift: shift.clone(),
        }));
        self.shift_notes.remove(&*policy);
        self.shifts.insert(policy.into(), shift);
        self.reweighed.insert(id);
        Ok(text)
    }

    /// Refuses weights with which an assertion does not hold; other shifts count as if they were through. What holds at both
    /// ends holds on the way: loads are sums of shares.
    fn judge_weights(&self, reweighed: Reweighed) -> Result<(), String> {
        let Some(base) = self.base().filter(|base| !base.compiled.model.assertions.is_empty())
        else {
            return Ok(());
        };
        let mut all = vec![reweighed];
        for (name, shift) in self.shifts.iter() {
            let (policy, targets) = find_policy(&base.compiled.model, name)?;
            let place = find_target(&base.compiled.model, name, targets, &shift.target)?;
            if all.iter().all(|one| one.policy != policy) {
                let weights = weigh(targets, place, shift.to, [shift.from, shift.to])?;
                all.push(Reweighed { policy, weights, note: None });
            }
        }
        let compiled = base.compiled.with_weights(&all);
        let failures = assertion::judge(&compiled);
        if failures.is_empty() {
            return Ok(());
        }
        let mut problems = Problems::default();
        assertion::report(&compiled, &failures, &mut problems);
        let text = render::for_people(&base.files, &problems, false);
        Err(format!(
            "an assertion does not hold with these weights; --force shifts all the same\n{}",
            text.trim_end()
        ))
    }

    /// Lets the weights of the files count again.
    pub(super) fn shift_back(
        &mut self,
        policy: &str,
        author: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        let Some(shift) = self.shifts.get(policy) else {
            let shifted: Vec<&str> = self.shifts.keys().map(|name| &**name).collect();
            let shifted = if shifted.is_empty() { "none".into() } else { shifted.join(", ") };
            return Err(format!("policy {policy} is not shifted; policies that are: {shifted}"));
        };
        let why = format!("taken back by {author} at {}", shift.share());
        self.end_shift(policy, &why, effects);
        Ok(format!("policy {policy}: the weights of the files count again"))
    }

    /// Takes the steps that are due, and takes back what has failed or has come to its end.
    ///
    /// A target that has less than the files give it is not given more because it fails.
    pub(super) fn advance_shifts(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.shifts.is_empty() {
            return;
        }
        let Some(snapshot) = self.snapshot.clone() else { return };
        let model = &snapshot.compiled.model;
        let names: Vec<Box<str>> = self.shifts.keys().cloned().collect();
        for name in names {
            let Some(shift) = self.shifts.get(&name) else { continue };
            let Ok((id, targets)) = find_policy(model, &name) else { continue };
            let Ok(place) = find_target(model, &name, targets, &shift.target) else { continue };
            if shift.until.is_some_and(|until| until <= now.unix) {
                // Every node knows its end, and has a clock of its own.
                self.end_here(shift_key(&name));
                self.end_shift(&name, "it has expired", effects);
            } else if shift.is_watched(now)
                && shift.share() > share_of(targets, place)
                && !self.target_qualifies(targets[place].target)
            {
                let why = format!("{} no longer qualifies, at {}", shift.target, shift.share());
                self.end_shift(&name, &why, effects);
            } else if let Some(step) = next_step(shift, now) {
                self.reweighed.insert(id);
                let Some(shift) = self.shifts.get_mut(&name) else { continue };
                shift.step = step;
                if step == STEPS {
                    let (policy, shift) = (name, shift.clone());
                    effects.push(Effect::Record(Occurrence::Shifted { policy, shift }));
                }
            }
        }
    }

    /// Ends the shifts of policies or targets that the files do not have any more; the others go on.
    pub(super) fn review_shifts(&mut self, effects: &mut Vec<Effect>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let model = &snapshot.compiled.model;
        self.reweighed.clear();
        self.shift_notes.retain(|name, _| find_policy(model, name).is_ok());
        let names: Vec<Box<str>> = self.shifts.keys().cloned().collect();
        for name in names {
            let Some(shift) = self.shifts.get(&name) else { continue };
            match shift.place_in(model, &name) {
                Ok(id) => drop(self.reweighed.insert(id)),
                Err(why) => {
                    // Nodes that still have other files go on.
                    self.end_here(shift_key(&name));
                    self.end_shift(&name, &format!("the files do not go with it: {why}"), effects)
                }
            }
        }
    }

    pub(super) fn end_shift(&mut self, name: &str, why: &str, effects: &mut Vec<Effect>) {
        let Some(shift) = self.shifts.remove(name) else { return };
        if let Ok((id, _)) = self.model().and_then(|model| find_policy(model, name)) {
            self.reweighed.insert(id);
            let note = format!("the weights of the files count again: {why}");
            self.shift_notes.insert(name.into(), note.into());
        }
        let (policy, why) = (name.into(), why.into());
        effects.push(Effect::Record(Occurrence::ShiftEnded { policy, shift, why }));
    }

    /// Weights that differ from those in the tables, with what to say of them.
    pub(super) fn take_reweighed(&mut self) -> Vec<Reweighed> {
        let policies = std::mem::take(&mut self.reweighed);
        let Ok(model) = self.model() else { return Vec::new() };
        let of = |policy: PolicyId| {
            let rule = &model.policies[policy.index()];
            let (_, targets) = find_policy(model, &rule.name).ok()?;
            let as_written = || targets.iter().map(|target| target.weight).collect();
            let Some(shift) = self.shifts.get(&rule.name) else {
                return Some(Reweighed { policy, weights: as_written(), note: None });
            };
            let place = find_target(model, &rule.name, targets, &shift.target).ok()?;
            let weights = weigh(targets, place, shift.share(), [shift.from, shift.to]).ok()?;
            Some(Reweighed { policy, weights, note: Some(shift.to_string().into()) })
        };
        policies.into_iter().filter_map(of).collect()
    }

    /// Whether a pool qualifies, or any pool below a policy does.
    fn target_qualifies(&self, target: Target) -> bool {
        match target {
            Target::Pool(pool) => !self.qualifies(pool).contains(&Some(false)),
            Target::Policy(policy) => {
                let Ok(model) = self.model() else { return false };
                let targets = model.policies[policy.index()].kind.targets();
                targets.into_iter().any(|target| self.target_qualifies(target))
            }
        }
    }

    /// Shifts in force by policy.
    pub fn shifts(&self) -> &BTreeMap<Box<str>, Shift> {
        &self.shifts
    }
}

/// The hundredths of the way that are over, if they are more than those taken.
fn next_step(shift: &Shift, now: Now) -> Option<u8> {
    let age = now.unix.saturating_sub(shift.written.at);
    let steps = age.as_millis() * u128::from(STEPS) / shift.over.as_millis().max(1);
    let step = steps.min(u128::from(STEPS)) as u8;
    (step > shift.step).then_some(step)
}

/// A weighted policy by name.
fn find_policy<'a>(
    model: &'a Model,
    name: &str,
) -> Result<(PolicyId, &'a [WeightedTarget]), String> {
    let named = |position: &usize| *model.policies[*position].name == *name;
    let Some(position) = (0..model.policies.len()).find(named) else {
        let names: Vec<&str> = model.policies.iter().map(|policy| &*policy.name).collect();
        let near = closest(name, &names);
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(format!("there is no policy {name}{near}"));
    };
    match &model.policies[position].kind {
        PolicyKind::Weighted(targets) => Ok((PolicyId::at(position), targets)),
        PolicyKind::Failover(_)
        | PolicyKind::Nearest { .. }
        | PolicyKind::Geo(_)
        | PolicyKind::Networks(_)
        | PolicyKind::Fastest { .. }
        | PolicyKind::All { .. } => {
            Err(format!("policy {name} has no weights: only a weighted policy can be shifted"))
        }
    }
}

/// A target of a weighted policy by name.
fn find_target(
    model: &Model,
    policy: &str,
    targets: &[WeightedTarget],
    name: &str,
) -> Result<usize, String> {
    let name_of = |target: &WeightedTarget| match target.target {
        Target::Pool(pool) => &*model.pools[pool.index()].name,
        Target::Policy(policy) => &*model.policies[policy.index()].name,
    };
    let names: Vec<&str> = targets.iter().map(name_of).collect();
    names.iter().position(|other| *other == name).ok_or_else(|| {
        format!("policy {policy} has no target {name}; its targets: {}", names.join(", "))
    })
}

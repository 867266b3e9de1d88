//! The brake: probes may take so much away at once and no more; the rest is held until somebody has looked, or it is certain.
//!
//! Only ways from up to down are held, and only where there are three sites or more: of two, either may go.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::duration::spell;
use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Known;
use crate::control::Occurrence;
use crate::control::losses::Losses;
use crate::control::status::BrakeStatus;
use crate::control::stored;
use crate::control::stored::Stored;
use crate::control::tracked::Tracked;
use crate::health::Penalty;
use crate::model::Family;
use crate::model::Model;
use crate::model::Now;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::steering::Braked;

/// Fewest sites with probed endpoints for which there is a brake.
const SITES_MIN: usize = 3;

/// How long a loss counts against the budget.
const WINDOW: Duration = Duration::from_secs(60);

/// What is held so long is believed.
const HELD_MAX: Duration = Duration::from_secs(15 * 60);

/// A whole site, in millionths.
const SITE: u64 = 1_000_000;

/// Share of all sites that may go within a window, in percent; one whole site may in any case.
const REMOVED_MAX_PERCENT: u64 = 50;

/// Losses that count, and those that are held.
#[derive(Debug, Default)]
pub(super) struct Brake {
    /// By site: how many of its addresses are probed.
    sizes: Vec<u32>,
    /// What went down lately, or since the brake holds, and has not come back.
    removed: Losses,
    /// What is down by its probes and served all the same.
    held: Tracked<TargetKey, HeldFlip>,
}

/// A way down that is held.
#[derive(Clone, Debug)]
struct HeldFlip {
    site: SiteId,
    since: Now,
    /// The probe result behind it.
    reason: Box<str>,
    /// Its probes pass again, though hold-down or damping holds: it does not go down any more.
    passes: bool,
}

impl Brake {
    /// Learns the sites of new files, and forgets what is probed no more.
    pub(super) fn set_model(&mut self, model: &Model, is_known: impl Fn(&TargetKey) -> bool) {
        self.sizes = vec![0; model.sites.len()];
        for pool in model.pools.iter().filter(|pool| pool.is_written()) {
            let (Some(site), Some(_)) = (pool.site, pool.check) else { continue };
            // A name counts once, however many addresses it has.
            let addresses = pool.endpoints.iter().map(|endpoint| {
                let known = Family::BOTH.map(|family| endpoint.address(family).is_some());
                known.into_iter().map(u32::from).sum::<u32>().max(1)
            });
            self.sizes[site.index()] += addresses.sum::<u32>();
        }
        let named = model.pools.iter().filter_map(|pool| Some((&*pool.name, pool.site?)));
        let sites: HashMap<&str, SiteId> = named.collect();
        let site_of = |key: &TargetKey| {
            let (pool, _) = key.endpoint.split_once('/').filter(|_| is_known(key))?;
            sites.get(pool).copied()
        };
        // Positions of sites may have changed.
        for (key, at) in self.removed.take_all() {
            if let Some(site) = site_of(&key) {
                self.removed.insert(key, site, at);
            }
        }
        for (key, flip) in self.held.take_all() {
            if let Some(site) = site_of(&key) {
                self.held.insert(key, HeldFlip { site, ..flip });
            }
        }
    }

    /// Forgets what is probed no more.
    pub(super) fn retain(&mut self, is_known: impl Fn(&TargetKey) -> bool) {
        self.removed.retain(|key, _| is_known(key));
        self.held.retain(|key, _| is_known(key));
    }

    /// Puts back a loss that counted. Where it stands the first files say.
    pub(super) fn restore_loss(&mut self, key: TargetKey, at: Duration, counts: bool) {
        match counts {
            true => self.removed.insert(key, SiteId::at(0), at),
            false => self.removed.touch(key),
        }
    }

    /// Puts back what was held.
    pub(super) fn restore_held(
        &mut self,
        key: TargetKey,
        since: Now,
        (reason, passes): (Box<str>, bool),
        counts: bool,
    ) {
        let site = SiteId::at(0);
        match counts {
            true => drop(self.held.insert(key, HeldFlip { site, since, reason, passes })),
            false => self.held.touch(key),
        }
    }

    /// Has everything written once more.
    pub(super) fn touch_all(&mut self) {
        self.removed.touch_all();
        self.held.touch_all();
    }

    /// Says what may have changed, as it is kept.
    pub(super) fn take_touched(&mut self, now: Now, note: &mut impl FnMut(String, Option<Stored>)) {
        let unix_ms = |at: Duration| {
            let at = now.unix.saturating_sub(now.monotonic.saturating_sub(at));
            u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
        };
        for key in self.removed.take_touched() {
            let loss = self
                .removed
                .when(&key)
                .map(|at| Stored::Loss { target: (&key).into(), at_ms: unix_ms(at) });
            note(stored::loss_key(&key), loss);
        }
        for key in self.held.take_touched() {
            let held = self.held.get(&key).map(|HeldFlip { since, reason, passes, .. }| {
                let (reason, passes) = (reason.clone(), *passes);
                Stored::Held {
                    target: (&key).into(),
                    since_ms: u64::try_from(since.unix.as_millis()).unwrap_or(u64::MAX),
                    reason,
                    passes,
                }
            });
            note(stored::held_key(&key), held);
        }
    }

    /// How many targets are held.
    pub(super) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// What its probes say of a target that is held: whoever probes it anew goes on from there.
    pub(super) fn probed_verdict(&self, key: &TargetKey) -> Option<Verdict> {
        let flip = self.held.get(key)?;
        Some(if flip.passes { Verdict::Held } else { Verdict::Down })
    }

    /// Whether a target at `site` may go down besides what has gone.
    fn allows(&self, site: SiteId) -> bool {
        let sites = self.sizes.iter().filter(|size| **size > 0).count();
        if sites < SITES_MIN {
            return true;
        }
        let mut gone = self.removed.at_sites(self.sizes.len());
        let share = |(gone, size): (&u64, &u32)| {
            let size = u64::from(*size).max(1);
            (*gone).min(size) * SITE / size
        };
        let before: Vec<u64> = gone.iter().zip(&self.sizes).map(share).collect();
        gone[site.index()] += 1;
        let total: u64 = gone.iter().zip(&self.sizes).map(share).sum();
        let budget = SITE.max(sites as u64 * SITE * REMOVED_MAX_PERCENT / 100);
        // One whole site may go in any case: the one of which most has gone.
        let most = before.iter().copied().max().unwrap_or(0);
        let first = before.iter().position(|share| *share == most);
        total <= budget || (most > 0 && first == Some(site.index()))
    }

    /// What is held and still fails.
    fn failing(&self) -> Vec<(TargetKey, HeldFlip)> {
        let failing = self.held.iter().filter(|(_, flip)| !flip.passes);
        failing.map(|(key, flip)| (key.clone(), flip.clone())).collect()
    }

    /// What may go by now: what `is_certain`, and what is of sites that may lose more.
    fn letting_go(&self, is_certain: impl Fn(&HeldFlip) -> bool) -> Vec<(TargetKey, HeldFlip)> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let allows = |site| self.allows(SiteId::at(site));
        let open: Vec<bool> = (0..self.sizes.len()).map(allows).collect();
        let may_go =
            |flip: &HeldFlip| !flip.passes && (open[flip.site.index()] || is_certain(flip));
        let going = self.held.iter().filter(|(_, flip)| may_go(flip));
        going.map(|(key, flip)| (key.clone(), flip.clone())).collect()
    }

    /// Forgets losses that are old, unless something is held: then they are what it is held for.
    fn forget_old(&mut self, now: Now) {
        if self.held.is_empty() {
            // What is as old as the window does not count any more.
            let moment = now.monotonic + Duration::from_nanos(1);
            self.removed.forget_before(moment.saturating_sub(WINDOW));
        }
    }
}

impl Controller {
    /// Whether the way down of a target is held, or that of what it is a part of.
    pub(super) fn is_near_brake(&self, key: &TargetKey) -> bool {
        if self.brake.held.is_empty() {
            return false;
        }
        // Keys of one endpoint stand together.
        let first = TargetKey {
            endpoint: Arc::clone(&key.endpoint),
            check: "".into(),
            family: Family::V4,
            address: None,
        };
        let of_endpoint = self.brake.held.range(first..);
        let mut of_endpoint = of_endpoint.take_while(|(held, _)| held.endpoint == key.endpoint);
        of_endpoint.any(|(held, _)| (held.family, held.address) == (key.family, key.address))
    }

    /// Hears a word on a target whose way down is held. False: it is not held.
    pub(super) fn is_held_by_brake(
        &mut self,
        key: &TargetKey,
        pool: PoolId,
        verdict: Verdict,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(flip) = self.brake.held.get_mut(key) else { return false };
        // Answers say what it is held for.
        if flip.passes != (verdict == Verdict::Held) || verdict == Verdict::Up {
            self.changed.insert(pool);
        }
        match verdict {
            Verdict::Down => flip.passes = false,
            Verdict::Held => flip.passes = true,
            // It has come back without ever having left.
            Verdict::Up | Verdict::Unknown => {
                self.brake.held.remove(key);
                effects.push(Effect::Record(Occurrence::BrakeEased { key: key.clone() }));
            }
        }
        true
    }

    /// Whether the name of an endpoint has another address that is not down.
    fn has_other_address(&self, key: &TargetKey) -> bool {
        let is_not_down = |other: &TargetKey| {
            self.verdicts.get(other).is_some_and(|known| known.verdict != Verdict::Down)
        };
        key.address.is_some()
            && self.siblings(key).iter().any(|other| other != key && is_not_down(other))
    }

    /// Holds the way down of a target if too much has gone already.
    pub(super) fn brakes(
        &mut self,
        key: &TargetKey,
        before: Verdict,
        after: Verdict,
        reason: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if after != Verdict::Down {
            self.brake.removed.remove(key);
            return false;
        }
        let Some(site) = self.site_of(key).filter(|_| before == Verdict::Up) else { return false };
        if self.has_other_address(key) {
            return false; // its endpoint stays, with the other addresses of its name
        }
        self.brake.forget_old(now);
        if self.brake.allows(site) && !self.is_held_elsewhere(key) {
            self.brake.removed.insert(key.clone(), site, now.monotonic);
            return false;
        }
        let reason: Box<str> = reason.into();
        let told = Occurrence::Braked { key: key.clone(), reason: reason.clone() };
        effects.push(Effect::Record(told));
        self.brake.held.insert(key.clone(), HeldFlip { site, since: now, reason, passes: false });
        // Answers say so, and hold for a shorter time.
        self.changed.extend(self.pool_of(key));
        true
    }

    /// Lets go what fits the budget again, and what has been held for long; in a cluster what the node does that decides.
    pub(super) fn advance_brake(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Some(decided) = self.decided_brake() {
            return self.follow_brake(&decided, now, effects);
        }
        let is_certain = |flip: &HeldFlip| now.monotonic >= flip.since.monotonic + HELD_MAX;
        // What a site may not lose now it may not lose later in this round: more has gone then.
        let mut full = BTreeSet::new();
        for (key, flip) in self.brake.letting_go(is_certain) {
            // Where too few sites vote nobody says that it is still down.
            if self.has_too_few_voters(&key) {
                continue;
            }
            let is_certain = is_certain(&flip);
            let fits = !full.contains(&flip.site) && self.brake.allows(flip.site);
            if is_certain || fits {
                let why = match is_certain {
                    true => format!("held by the brake for {}", spell(HELD_MAX)),
                    false => "held by the brake until enough was back".into(),
                };
                self.let_go(key, &flip, &why, now, effects);
            } else {
                full.insert(flip.site);
            }
        }
    }

    /// Believes the probes at once, whatever goes.
    pub(super) fn release_brake(
        &mut self,
        reason: &str,
        author: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        if reason.trim().is_empty() {
            return Err("an order needs a reason: others will read it at night".into());
        }
        let held = self.brake.failing();
        if held.is_empty() {
            return Err("the brake holds nothing".into());
        }
        let count = held.len();
        let told = Occurrence::BrakeReleased { count, by: author.into(), reason: reason.into() };
        effects.push(Effect::Record(told));
        for (key, flip) in held {
            self.let_go(key, &flip, &format!("brake released by {author}"), now, effects);
        }
        Ok(format!("brake released: {} down by their probes are down now", targets(count)))
    }

    /// Takes a held target down.
    fn let_go(
        &mut self,
        key: TargetKey,
        flip: &HeldFlip,
        why: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.brake.held.remove(&key);
        let Some(pool) = self.pool_of(&key) else { return };
        self.brake.removed.insert(key.clone(), flip.site, now.monotonic);
        let before = self.verdict(&key);
        let reason: Box<str> = format!("{}; {why}", flip.reason).into();
        let degraded = self.degraded(&key);
        let (verdict, penalty) = (Verdict::Down, Penalty::default());
        let known = Known { verdict, since: now, reason: reason.clone(), degraded, penalty };
        let cause = Cause::Health(format!("{key} is {}: {reason}", Verdict::Down).into());
        let (after, told) = (Verdict::Down, key.clone());
        effects.push(Effect::Record(Occurrence::Verdict { key: told, before, after, reason }));
        self.change(&[pool], &cause, now, effects, |controller| {
            controller.verdicts.insert(key, known);
        });
    }

    /// What is held and still fails, and since when.
    pub(super) fn held_since(&self) -> Vec<(TargetKey, Duration)> {
        let failing = self.brake.held.iter().filter(|(_, flip)| !flip.passes);
        failing.map(|(key, flip)| (key.clone(), flip.since.monotonic)).collect()
    }

    /// What went lately, and when.
    pub(super) fn gone_since(&self) -> Vec<(TargetKey, Duration)> {
        self.brake.removed.iter().map(|(key, at)| (key.clone(), at)).collect()
    }

    /// Takes a held target down.
    pub(super) fn let_go_as(
        &mut self,
        key: &TargetKey,
        why: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(flip) = self.brake.held.get(key).cloned() {
            self.let_go(key.clone(), &flip, why, now, effects);
        }
    }

    /// Holds a target after all that has gone.
    pub(super) fn take_back(
        &mut self,
        key: &TargetKey,
        why: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(site), Some(pool)) = (self.site_of(key), self.pool_of(key)) else { return };
        self.brake.removed.remove(key);
        let reason = self.known(key).map(|known| known.reason.clone()).unwrap_or_default();
        let flip = HeldFlip { site, since: now, reason: reason.clone(), passes: false };
        self.brake.held.insert(key.clone(), flip);
        effects.push(Effect::Record(Occurrence::Braked { key: key.clone(), reason }));
        let (before, after, why) = (self.verdict(key), Verdict::Up, Box::<str>::from(why));
        let degraded = self.degraded(key);
        let (penalty, reason) = (Penalty::default(), why.clone());
        let known = Known { verdict: after, since: now, reason, degraded, penalty };
        let told = Occurrence::Verdict { key: key.clone(), before, after, reason: why.clone() };
        effects.push(Effect::Record(told));
        let cause = Cause::Operator(format!("{key} is {after}: {why}").into());
        self.change(&[pool], &cause, now, effects, |controller| {
            controller.verdicts.insert(key.clone(), known);
        });
    }

    /// Where a target stands, if its pool says so.
    fn site_of(&self, key: &TargetKey) -> Option<SiteId> {
        let model = &self.snapshot.as_ref()?.compiled.model;
        model.pools[self.pool_of(key)?.index()].site
    }

    /// What the brake holds, in words.
    pub(super) fn brake_texts(&self, now: Now) -> Vec<String> {
        let text = |(key, flip): (&TargetKey, &HeldFlip)| {
            let age = now.monotonic.saturating_sub(flip.since.monotonic);
            let left = Duration::from_secs(HELD_MAX.saturating_sub(age).as_secs());
            if flip.passes {
                return format!("{key} was down by its probes ({}) and passes again", flip.reason);
            }
            format!(
                "{key} is down by its probes ({}), served for {} more",
                flip.reason,
                spell(left)
            )
        };
        self.brake.held.iter().map(text).collect()
    }

    /// How many targets the brake holds.
    pub fn held_by_brake(&self) -> usize {
        self.brake.held.len()
    }

    /// Every target that the brake holds.
    pub(super) fn braked_targets(&self) -> Vec<TargetKey> {
        self.brake.held.keys().cloned().collect()
    }

    /// What the brake holds of an endpoint's targets; `None` if nothing.
    pub(super) fn braked<'a>(
        &self,
        targets: impl Iterator<Item = &'a TargetKey>,
    ) -> Option<Braked> {
        if self.brake.held.is_empty() {
            return None;
        }
        let held: Vec<&HeldFlip> = targets.filter_map(|key| self.brake.held.get(key)).collect();
        let passing = held.iter().filter(|flip| flip.passes).count();
        Some(Braked {
            failing: u16::try_from(held.len() - passing).unwrap_or(u16::MAX),
            passing: u16::try_from(passing).unwrap_or(u16::MAX),
            since_s: held.iter().map(|flip| flip.since.unix.as_secs()).min()?,
        })
    }

    /// What the brake holds a target for, if it does.
    pub(super) fn brake_status(&self, key: &TargetKey, now: Now) -> Option<BrakeStatus> {
        let HeldFlip { site: _, since, reason, passes } = self.brake.held.get(key)?;
        Some(BrakeStatus {
            since_s: now.monotonic.saturating_sub(since.monotonic).as_secs(),
            reason: reason.to_string(),
            passes_again: *passes,
        })
    }
}

fn targets(count: usize) -> String {
    if count == 1 { "1 target".into() } else { format!("{count} targets") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A brake for sites of these sizes, of which so many targets are gone.
    fn brake(sizes: &[u32], gone: &[u32]) -> Brake {
        let mut brake = Brake { sizes: sizes.to_vec(), ..Brake::default() };
        for (site, count) in gone.iter().enumerate() {
            for number in 0..*count {
                let endpoint = format!("p{site}/{number}").into();
                let key =
                    TargetKey { endpoint, check: "c".into(), family: Family::V4, address: None };
                brake.removed.insert(key, SiteId::at(site), Duration::ZERO);
            }
        }
        brake
    }

    #[test]
    fn one_whole_site_may_always_go_and_half_of_all_sites() {
        for (sizes, gone, site, allows) in [
            (vec![2, 2, 2], vec![1, 0, 0], 0, true),
            (vec![2, 2, 2], vec![2, 0, 0], 1, true), // 1.5 of 3
            (vec![2, 2, 2], vec![2, 1, 0], 1, false),
            (vec![2, 2, 2], vec![2, 1, 0], 2, false),
            (vec![1, 1, 1], vec![1, 0, 0], 1, false),
            (vec![1, 1, 1, 1], vec![1, 0, 0, 0], 1, true), // 2 of 4
            (vec![1, 1, 1, 1], vec![1, 1, 0, 0], 2, false),
            (vec![100, 2, 2], vec![40, 1, 0], 0, true),
            (vec![4, 4, 4], vec![3, 1, 1], 0, true), // the last of a site, with a little gone elsewhere
            (vec![4, 4, 4], vec![3, 2, 2], 0, true), // the site of which most has gone, and no other
            (vec![4, 4, 4], vec![3, 2, 2], 1, false),
        ] {
            let brake = brake(&sizes, &gone);
            assert_eq!(
                brake.allows(SiteId::at(site)),
                allows,
                "{gone:?} of {sizes:?}, then {site}"
            );
        }
    }

    #[test]
    fn of_two_sites_either_may_go_and_both() {
        for sizes in [vec![1, 1], vec![9, 1], vec![3, 3, 0]] {
            let brake = brake(&sizes, &[1, 0]);
            assert!(brake.allows(SiteId(1)), "{sizes:?}");
        }
    }

    #[test]
    fn losses_are_forgotten_after_a_minute_unless_something_is_held_for_them() {
        let later = Now { monotonic: WINDOW, ..Now::default() };
        let mut free = brake(&[1, 1, 1], &[1]);
        free.forget_old(later);
        assert_eq!(free.removed.len(), 0);
        let mut holding = brake(&[1, 1, 1], &[1]);
        let key = TargetKey {
            endpoint: "p1/0".into(),
            check: "c".into(),
            family: Family::V4,
            address: None,
        };
        holding.held.insert(
            key,
            HeldFlip { site: SiteId(1), since: later, reason: "".into(), passes: false },
        );
        holding.forget_old(later);
        assert_eq!(holding.removed.len(), 1);
    }
}

//! Every order that client keys can give the targets of weighted policies, each with its share of clients.
//!
//! The passes run as they do for an answer, once for each way; a way is the list of choices that were made. Scores are
//! those of independent exponential clocks, so that the share of a choice follows from weights alone: the best of a set
//! is as likely as its weight among all, and says nothing of the rest (decision 4). Branches from which the pass at hand
//! can take nothing come first without a choice: their order changes nothing.

use std::cell::RefCell;
use std::sync::Arc;

use crate::model::Family;
use crate::steering::Class;
use crate::steering::ClientKey;
use crate::steering::Decision;
use crate::steering::NoTrace;
use crate::steering::Pass;
use crate::steering::PoolPlan;
use crate::steering::Rank;
use crate::steering::Step;
use crate::steering::Trace;
use crate::steering::Tree;
use crate::steering::decide;
use crate::steering::passes::Terms;
use crate::steering::rendezvous::NameSeed;
use crate::steering::tree::Branch;

/// Most ways that are gone through for one class in one state of health. A policy of eight targets, of which three
/// are down and take overflow, has under 400.
pub const WAYS_MAX: usize = 20_000;

/// There are more ways than are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyWays;

/// What is decided for one class of clients in one state of health.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The candidates. Nobody is shed: assertions are about health, not load.
    pub tree: &'a Tree,
    /// What the name asks of the passes.
    pub terms: Terms,
    /// Pools in that state.
    pub plans: &'a [Arc<PoolPlan>],
    /// The family asked for.
    pub family: Family,
}

impl Case<'_> {
    /// Every decision that some client can get, each once, with the share of clients who do.
    pub fn decisions(&self) -> Result<Vec<(Decision, f64)>, TooManyWays> {
        let mut found: Vec<(Decision, f64)> = Vec::new();
        self.each_way(&mut NoTrace, |decision, share, _| {
            match found.iter_mut().find(|(other, _)| *other == decision) {
                Some((_, sum)) => *sum += share,
                None => found.push((decision, share)),
            }
            false
        })?;
        Ok(found)
    }

    /// The steps by which some client gets `wanted`.
    pub fn steps_to(&self, wanted: Decision) -> Vec<Step> {
        let (mut steps, mut found) = (Vec::new(), Vec::new());
        let gone = self.each_way(&mut steps, |decision, _, steps| {
            if decision == wanted {
                found = std::mem::take(steps);
            }
            steps.clear();
            decision == wanted
        });
        // Whoever asks has seen the decision among the first ways.
        gone.map_or(Vec::new(), |()| found)
    }

    /// The decision for one client.
    pub fn decide(&self, key: ClientKey) -> Decision {
        decide(Class::unbanded(self.tree), self.terms, self.plans, self.family, key, &mut NoTrace)
    }

    /// Runs the passes for each way until `visit` says that it is enough.
    fn each_way<T: Trace>(
        &self,
        trace: &mut T,
        mut visit: impl FnMut(Decision, f64, &mut T) -> bool,
    ) -> Result<(), TooManyWays> {
        let mut script = Vec::new();
        for _ in 0..WAYS_MAX {
            let ways = Ways { plans: self.plans, family: self.family, walk: RefCell::default() };
            ways.walk.borrow_mut().script = script;
            let decision = decide(
                Class::unbanded(self.tree),
                self.terms,
                self.plans,
                self.family,
                &ways,
                trace,
            );
            let walk = ways.walk.into_inner();
            if visit(decision, walk.share, trace) {
                return Ok(());
            }
            script = walk.script;
            while script.last().is_some_and(|choice| choice.taken + 1 == choice.among) {
                script.pop();
            }
            match script.last_mut() {
                Some(choice) => choice.taken += 1,
                None => return Ok(()),
            }
        }
        Err(TooManyWays)
    }
}

/// One way through the choices of a decision.
struct Ways<'a> {
    plans: &'a [Arc<PoolPlan>],
    family: Family,
    walk: RefCell<Walk>,
}

/// How far the way has been gone.
struct Walk {
    /// Choices to make, in order; those beyond its end take the first alternative.
    script: Vec<Choice>,
    /// How many have been made.
    made: usize,
    /// What is known of the order so far: who is the best of which others.
    known: Vec<(NameSeed, Vec<NameSeed>)>,
    /// Share of clients that go this way.
    share: f64,
    /// Whether the pass at hand passes over pools that have nobody healthy.
    wants_healthy: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self { script: Vec::new(), made: 0, known: Vec::new(), share: 1.0, wants_healthy: true }
    }
}

/// One choice of several alternatives.
#[derive(Clone, Copy)]
struct Choice {
    taken: usize,
    among: usize,
}

impl Rank for &Ways<'_> {
    fn begin(self, pass: Pass) {
        self.walk.borrow_mut().wants_healthy = match pass {
            Pass::Qualified | Pass::BestShare => true,
            Pass::FailOpen | Pass::NamedPool | Pass::LastGood => false,
        };
    }

    fn best_of(self, branches: &[Branch], left: u64, is_first: bool) -> usize {
        let members = (0..branches.len()).filter(|position| left >> position & 1 == 1);
        let members: Vec<usize> = members.collect();
        let mut walk = self.walk.borrow_mut();
        if !is_first && walk.wants_healthy {
            let idle = members.iter().find(|&&position| self.is_idle(&branches[position].tree));
            if let Some(&position) = idle {
                return position;
            }
        }
        walk.choose(branches, &members)
    }

    /// Assertions speak of pools that take all their clients: a way back to them is short.
    fn is_within_tenths(self, _: NameSeed, _: u8) -> bool {
        true
    }
}

impl Ways<'_> {
    /// Whether passes 1 and 2 find nothing in `tree` and go on behind it.
    fn is_idle(&self, tree: &Tree) -> bool {
        if tree.has_fence() {
            return false;
        }
        let mut is_idle = true;
        tree.for_each_pool(&mut |pool| {
            let plan = &self.plans[pool.index()];
            let has_healthy = plan.joint_held_share().healthy > 0 || plan.joint_share().healthy > 0;
            is_idle &= !has_healthy || !plan.family(self.family).configured;
        });
        is_idle
    }
}

impl Walk {
    /// Takes the next choice of the script among those of `members` that nothing known puts behind another.
    fn choose(&mut self, branches: &[Branch], members: &[usize]) -> usize {
        let beaten_by = |one: NameSeed, other: NameSeed| {
            self.known.iter().any(|(best, rest)| *best == other && rest.contains(&one))
        };
        let any_weight = members.iter().any(|&position| branches[position].weight > 0);
        // Weight 0 comes after every other.
        let weight_of = |position: usize| match any_weight {
            true => f64::from(branches[position].weight),
            false => 1.0,
        };
        let mut alternatives: Vec<(usize, f64)> = Vec::new();
        for &position in members.iter().filter(|&&position| weight_of(position) > 0.0) {
            let seed = branches[position].seed;
            let is_behind = members.iter().any(|&other| beaten_by(seed, branches[other].seed));
            if !is_behind {
                // Whom it is known to beat, it represents.
                let behind = members.iter().filter(|&&other| beaten_by(branches[other].seed, seed));
                let weight = behind.fold(weight_of(position), |sum, &other| sum + weight_of(other));
                alternatives.push((position, weight));
            }
        }
        let among = alternatives.len();
        if among <= 1 {
            return alternatives.first().map_or(members[0], |&(position, _)| position);
        }
        if self.made == self.script.len() {
            self.script.push(Choice { taken: 0, among });
        }
        let (position, weight) = alternatives[self.script[self.made].taken];
        self.made += 1;
        self.share *= weight / alternatives.iter().map(|(_, weight)| weight).sum::<f64>();
        let seed = branches[position].seed;
        let rest = members.iter().map(|&other| branches[other].seed);
        let mut rest: Vec<NameSeed> = rest.filter(|other| *other != seed).collect();
        let behind = self.known.iter().filter(|(best, _)| rest.contains(best));
        let behind: Vec<NameSeed> = behind.flat_map(|(_, more)| more.clone()).collect();
        rest.extend(behind);
        self.known.push((seed, rest));
        position
    }
}

//! The three passes over a client's candidates: a pool that qualifies, the best of the rest, all down.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::AllDown;
use crate::model::DualStack;
use crate::model::Family;
use crate::model::PoolId;
use crate::steering::plan::Member;
use crate::steering::plan::PoolPlan;
use crate::steering::plan::Share;
use crate::steering::rendezvous::ClientKey;
use crate::steering::trace::Reason;
use crate::steering::trace::Step;
use crate::steering::trace::Trace;
use crate::steering::tree::Reach;
use crate::steering::tree::Tree;

/// Which pass chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// Pass 1: the first pool that keeps `min_healthy`.
    Qualified,
    /// Pass 2: no pool does; the one with the largest healthy share.
    BestShare,
    /// Pass 3: no member is healthy; all enabled members of the first pool.
    FailOpen,
    /// Pass 3: the pool that `on_all_down` names, unless a fence keeps the client from it.
    NamedPool,
    /// Pass 3: who was healthy last.
    LastGood,
}

/// A pool, and on what ground it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The pool.
    pub pool: PoolId,
    /// The ground.
    pub pass: Pass,
}

impl Selection {
    /// Who is served of the chosen pool.
    #[inline]
    pub fn members<'a>(&self, plans: &'a [Arc<PoolPlan>], family: Family) -> &'a [Member] {
        let plan = plans[self.pool.index()].family(family);
        match self.pass {
            Pass::Qualified | Pass::BestShare if !plan.serving.is_empty() => &plan.serving,
            Pass::NamedPool if !plan.serving.is_empty() => &plan.serving,
            // Joint choice may land on a pool whose other family is the healthy one.
            Pass::Qualified | Pass::BestShare | Pass::NamedPool | Pass::FailOpen => &plan.enabled,
            // Joint choice may land on a pool that is remembered for its other family.
            Pass::LastGood => plan.last_good.as_ref().map_or(&plan.enabled, |last| &last.members),
        }
    }

    /// Whether so little of the chosen pool is healthy that all of it is served.
    #[inline]
    pub fn is_panic(&self, plans: &[Arc<PoolPlan>], family: Family) -> bool {
        match self.pass {
            Pass::Qualified | Pass::BestShare | Pass::NamedPool => {
                plans[self.pool.index()].family(family).panic
            }
            Pass::FailOpen | Pass::LastGood => false,
        }
    }

    /// Whether the answer is worse than configured: its TTL is halved, and it says so (design of TTLs).
    #[inline]
    pub fn is_degraded(&self, plans: &[Arc<PoolPlan>], family: Family) -> bool {
        self.pass != Pass::Qualified || self.is_panic(plans, family)
    }
}

/// What the passes come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This pool answers.
    Serve(Selection),
    /// No pool of the policy has the asked family by configuration: NODATA.
    NoFamily,
    /// Nothing may be served: SERVFAIL.
    Nothing,
}

/// What a name asks of the passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// What is served when nothing is healthy.
    pub on_all_down: AllDown,
    /// Whether both families choose one pool.
    pub dual_stack: DualStack,
    /// By [`Family::index`]: whether any pool of the entry has it by configuration, this client's candidates or not.
    pub families: [bool; 2],
}

/// Chooses a pool for one client and family.
///
/// `plans` is indexed by [`PoolId`]. Deterministic: equal arguments give equal results.
pub fn decide(
    tree: &Tree,
    terms: Terms,
    plans: &[Arc<PoolPlan>],
    family: Family,
    key: ClientKey,
    trace: &mut impl Trace,
) -> Decision {
    let passes = Passes { tree, terms, plans, family, key };
    match passes.qualified(Reach::Spill, trace) {
        First::Qualified(pool) => return serve(pool, Pass::Qualified, trace),
        First::None => {}
        First::NoFamily => {
            if !terms.families[family.index()] {
                return Decision::NoFamily;
            }
            trace.step(Step::WidenedForFamily);
            if let First::Qualified(pool) = passes.qualified(Reach::All, trace) {
                return serve(pool, Pass::Qualified, trace);
            }
            return passes.worse(Reach::All, trace);
        }
    }
    passes.worse(Reach::Spill, trace)
}

fn serve(pool: PoolId, pass: Pass, trace: &mut impl Trace) -> Decision {
    trace.step(Step::Taken { pass, pool });
    Decision::Serve(Selection { pool, pass })
}

/// What pass 1 came to.
enum First {
    Qualified(PoolId),
    None,
    /// Not one candidate has the asked family.
    NoFamily,
}

/// The arguments of [`decide`], together.
#[derive(Clone, Copy)]
struct Passes<'a> {
    tree: &'a Tree,
    terms: Terms,
    plans: &'a [Arc<PoolPlan>],
    family: Family,
    key: ClientKey,
}

impl Passes<'_> {
    /// Pass 1.
    #[inline]
    fn qualified(&self, reach: Reach, trace: &mut impl Trace) -> First {
        let mut any_family = false;
        let found = self.tree.walk(self.key, reach, trace, |pool, trace| {
            let reason = if !self.plan(pool).family(self.family).configured {
                Reason::LacksFamily
            } else {
                any_family = true;
                match self.shortfall(pool) {
                    None => return ControlFlow::Break(pool),
                    Some(reason) => reason,
                }
            };
            trace(Step::PassedOver { pass: Pass::Qualified, pool, reason });
            ControlFlow::Continue(())
        });
        match found {
            Some(pool) => First::Qualified(pool),
            None if any_family => First::None,
            None => First::NoFamily,
        }
    }

    /// Passes 2 and 3.
    #[cold]
    fn worse(&self, reach: Reach, trace: &mut impl Trace) -> Decision {
        if let Some(pool) = self.best_share(reach, trace) {
            return serve(pool, Pass::BestShare, trace);
        }
        let chosen = match self.terms.on_all_down {
            AllDown::ServFail => return Decision::Nothing,
            AllDown::FailOpen => None,
            AllDown::Pool(pool) => {
                let has_members = !self.plan(pool).family(self.family).enabled.is_empty();
                (has_members && !self.tree.fences_off(pool, self.key, reach))
                    .then_some((pool, Pass::NamedPool))
            }
            AllDown::LastGood => self.last_good(reach, trace).map(|pool| (pool, Pass::LastGood)),
        };
        let chosen =
            chosen.or_else(|| self.fail_open(reach, trace).map(|pool| (pool, Pass::FailOpen)));
        chosen.map_or(Decision::Nothing, |(pool, pass)| serve(pool, pass, trace))
    }

    /// Pass 2: the largest healthy share; the earlier of equals. Only if nobody is healthy do the held count.
    fn best_share(&self, reach: Reach, trace: &mut impl Trace) -> Option<PoolId> {
        let mut best: Option<(PoolId, bool, Share)> = None;
        self.tree.walk(self.key, reach, trace, |pool, trace| {
            let plan = self.plan(pool);
            let side = plan.family(self.family);
            let (healthy, held) = match self.terms.dual_stack {
                DualStack::Joint => (plan.joint_share(), plan.joint_held_share()),
                DualStack::Independent => (side.share, side.held_share),
            };
            let only_held = healthy.healthy == 0;
            let share = if only_held { held } else { healthy };
            let is_better =
                best.is_none_or(|(_, other_held, other)| match (only_held, other_held) {
                    (false, true) => true,
                    (true, false) => false,
                    (true, true) | (false, false) => share.exceeds(other),
                });
            let reason = if !side.configured {
                Reason::LacksFamily
            } else if side.enabled.is_empty() {
                Reason::NoEnabledMember
            } else if share.healthy == 0 {
                Reason::NoHealthyMember
            } else if !is_better {
                Reason::SmallerShare
            } else {
                if let Some((overtaken, _, _)) = best.replace((pool, only_held, share)) {
                    let reason = Reason::SmallerShare;
                    trace(Step::PassedOver { pass: Pass::BestShare, pool: overtaken, reason });
                }
                return ControlFlow::<()>::Continue(());
            };
            trace(Step::PassedOver { pass: Pass::BestShare, pool, reason });
            ControlFlow::Continue(())
        });
        best.map(|(pool, _, _)| pool)
    }

    /// Pass 3 by default: the first pool with an enabled member of the asked family.
    fn fail_open(&self, reach: Reach, trace: &mut impl Trace) -> Option<PoolId> {
        self.tree.walk(self.key, reach, trace, |pool, trace| {
            if !self.plan(pool).family(self.family).enabled.is_empty() {
                return ControlFlow::Break(pool);
            }
            trace(Step::PassedOver { pass: Pass::FailOpen, pool, reason: Reason::NoEnabledMember });
            ControlFlow::Continue(())
        })
    }

    /// Pass 3 by memory: the pool that was healthy last.
    fn last_good(&self, reach: Reach, trace: &mut impl Trace) -> Option<PoolId> {
        let mut best: Option<(PoolId, u64)> = None;
        self.tree.walk(self.key, reach, trace, |pool, trace| {
            let plan = self.plan(pool);
            let stamp = match self.terms.dual_stack {
                DualStack::Joint => plan.joint_stamp(),
                DualStack::Independent => plan.family(self.family).stamp(),
            };
            let reason = match stamp {
                None => Some(Reason::NothingRemembered),
                Some(_) if plan.family(self.family).enabled.is_empty() => {
                    Some(Reason::NoEnabledMember)
                }
                Some(stamp) => {
                    if best.is_none_or(|(_, other)| stamp > other) {
                        best = Some((pool, stamp));
                    }
                    None
                }
            };
            if let Some(reason) = reason {
                trace(Step::PassedOver { pass: Pass::LastGood, pool, reason });
            }
            ControlFlow::<()>::Continue(())
        });
        best.map(|(pool, _)| pool)
    }

    /// Why a pool with the asked family does not qualify.
    #[inline]
    fn shortfall(&self, pool: PoolId) -> Option<Reason> {
        let plan = self.plan(pool);
        let short = |family: Family| {
            let side = plan.family(family);
            let standing = side.standing;
            (side.configured && !standing.qualifies()).then_some(Reason::BelowMinHealthy {
                family,
                healthy: standing.healthy,
                needed: standing.needed,
                enabled: standing.enabled,
            })
        };
        match self.terms.dual_stack {
            DualStack::Joint => short(Family::V4).or_else(|| short(Family::V6)),
            DualStack::Independent => short(self.family),
        }
    }

    #[inline]
    fn plan(&self, pool: PoolId) -> &PoolPlan {
        &self.plans[pool.index()]
    }
}

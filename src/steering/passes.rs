//! The three passes over a client's candidates: a pool that qualifies, the best of the rest, all down.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::AllDown;
use crate::model::DualStack;
use crate::model::Family;
use crate::model::PoolId;
use crate::steering::band::Class;
use crate::steering::order::Rank;
use crate::steering::plan::FamilyPlan;
use crate::steering::plan::Intake;
use crate::steering::plan::Member;
use crate::steering::plan::PoolPlan;
use crate::steering::share::Share;
use crate::steering::trace::NoTrace;
use crate::steering::trace::Reason;
use crate::steering::trace::Step;
use crate::steering::trace::Trace;
use crate::steering::tree::Reach;

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
    /// No pool qualified, and a fence kept the client from looking further.
    pub fenced: bool,
}

impl Selection {
    /// Who is served of the chosen pool.
    #[inline]
    pub fn members<'a>(&self, plans: &'a [Arc<PoolPlan>], family: Family) -> &'a [Member] {
        self.members_of(plans[self.pool.index()].family(family))
    }

    /// Who is served of this side of the chosen pool.
    #[inline]
    pub fn members_of(self, side: &FamilyPlan) -> &[Member] {
        match self.pass {
            Pass::Qualified if !side.serving.is_empty() => &side.serving,
            Pass::BestShare | Pass::NamedPool if !side.serving.is_empty() => &side.serving,
            // Joint choice may land on a pool whose other family is the healthy one.
            Pass::Qualified | Pass::BestShare | Pass::NamedPool | Pass::FailOpen => &side.enabled,
            // Joint choice may land on a pool that is remembered for its other family.
            Pass::LastGood => side.last_good.as_ref().map_or(&side.enabled, |last| &last.members),
        }
    }

    /// Whether so little of the chosen pool is healthy that all of it is served.
    #[inline]
    pub fn is_panic(&self, plans: &[Arc<PoolPlan>], family: Family) -> bool {
        self.is_panic_of(plans[self.pool.index()].family(family))
    }

    /// Whether so little of this side of the chosen pool is healthy that all of it is served.
    #[inline]
    pub fn is_panic_of(self, side: &FamilyPlan) -> bool {
        match self.pass {
            Pass::Qualified | Pass::BestShare | Pass::NamedPool => side.panic,
            Pass::FailOpen | Pass::LastGood => false,
        }
    }

    /// Whether the answer is worse than configured: its TTL is halved, and it says so (design of TTLs).
    #[inline]
    pub fn is_degraded(&self, side: &FamilyPlan, serves_held: impl FnOnce() -> bool) -> bool {
        self.pass != Pass::Qualified || side.is_strained && (side.panic || serves_held())
    }
}

/// What the passes come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This pool answers.
    Serve(Selection),
    /// No pool of the policy has the asked family, or by what aliases resolve to none of this client's candidates has:
    /// NODATA.
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
    /// By [`Family::index`]: whether any pool of the entry has it or may turn out to, this client's candidates or not.
    pub families: [bool; 2],
}

/// Chooses a pool for one client and family.
///
/// `plans` is indexed by [`PoolId`]. Deterministic: equal arguments give equal results.
pub fn decide(
    class: Class<'_>,
    terms: Terms,
    plans: &[Arc<PoolPlan>],
    family: Family,
    key: impl Rank,
    trace: &mut impl Trace,
) -> Decision {
    let passes = Passes { class, terms, plans, family, key };
    match passes.qualified(Reach::Spill, trace) {
        First::Qualified(pool) => return serve(pool, Pass::Qualified, false, trace),
        First::None => {}
        First::NoFamily => {
            if !terms.families[family.index()] {
                return Decision::NoFamily;
            }
            trace.step(Step::WidenedForFamily);
            return match passes.qualified(Reach::All, trace) {
                First::Qualified(pool) => serve(pool, Pass::Qualified, false, trace),
                // By files alone this is a load error; what a name resolves to is known only now.
                First::NoFamily if !passes.may_learn_family() => Decision::NoFamily,
                First::NoFamily | First::None => passes.worse(Reach::All, trace),
            };
        }
    }
    passes.worse(Reach::Spill, trace)
}

/// Whether a pool that qualifies stands back for no client.
#[inline]
pub fn takes_all(plan: &PoolPlan, terms: Terms, family: Family) -> bool {
    has_all_back(plan, terms, family) && plan.shedding().level == 0
}

/// Whether all clients of a pool that qualifies are back.
#[inline]
pub fn has_all_back(plan: &PoolPlan, terms: Terms, family: Family) -> bool {
    let of = |family: Family| {
        let side = plan.family(family);
        !side.configured || side.intake == Intake::All
    };
    match terms.dual_stack {
        DualStack::Joint => of(Family::V4) && of(Family::V6),
        DualStack::Independent => of(family),
    }
}

/// Whether a pool qualifies in pass 1.
#[inline]
pub fn qualifies(plan: &PoolPlan, terms: Terms, family: Family) -> bool {
    plan.family(family).configured && shortfall(plan, terms, family).is_none()
}

/// Why a pool with the asked family does not qualify.
#[inline]
fn shortfall(plan: &PoolPlan, terms: Terms, family: Family) -> Option<Reason> {
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
    match terms.dual_stack {
        DualStack::Joint => short(Family::V4).or_else(|| short(Family::V6)),
        DualStack::Independent => short(family),
    }
}

fn serve(pool: PoolId, pass: Pass, fenced: bool, trace: &mut impl Trace) -> Decision {
    trace.step(Step::Taken { pass, pool });
    Decision::Serve(Selection { pool, pass, fenced })
}

/// What a pool that does not qualify can do for the asked family; later is better. A dead address is never served
/// while another pool has a living one, even if both families were to choose one pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hope {
    /// No address of the asked family passes; hold-down runs for all that do.
    OtherHeld,
    /// No address of the asked family passes, some of the other are healthy.
    OtherHealthy,
    /// Some of the asked family pass; hold-down runs for all that do.
    Held,
    /// Some of the asked family pass, and some of those that count are healthy.
    Healthy,
}

impl Hope {
    /// Why a pool with this hope is not taken where one with `winner` is.
    fn reason_to_lose(self, winner: Self) -> Reason {
        if self < Self::Held && winner >= Self::Held {
            Reason::FamilyDown
        } else {
            Reason::SmallerShare
        }
    }
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
struct Passes<'a, K> {
    class: Class<'a>,
    terms: Terms,
    plans: &'a [Arc<PoolPlan>],
    family: Family,
    key: K,
}

impl<K: Rank> Passes<'_, K> {
    /// Pass 1. If all that qualify stand back the first of them is taken.
    #[inline]
    fn qualified(&self, reach: Reach, trace: &mut impl Trace) -> First {
        self.key.begin(Pass::Qualified);
        let mut any_family = false;
        let (mut back, mut is_shed) = (None, false);
        let found = self.class.tree.walk(self.key, reach, trace, |pool, trace| {
            let reason = if !self.plan(pool).family(self.family).configured {
                Reason::LacksFamily
            } else {
                any_family = true;
                match self.shortfall(pool) {
                    Some(reason) => reason,
                    None => match self.stands_back(pool) {
                        None if is_shed && self.plan(pool).shedding().is_closed => Reason::Laden,
                        None => return ControlFlow::Break(pool),
                        Some(reason) => {
                            back.get_or_insert(pool);
                            is_shed |= matches!(reason, Reason::Shed { .. });
                            reason
                        }
                    },
                }
            };
            trace(Step::PassedOver { pass: Pass::Qualified, pool, reason });
            ControlFlow::Continue(())
        });
        match (found, back) {
            (Some(pool), _) => First::Qualified(pool),
            (None, Some(pool)) => {
                trace.step(Step::NobodyElseQualifies);
                First::Qualified(pool)
            }
            (None, None) if any_family => First::None,
            (None, None) => First::NoFamily,
        }
    }

    /// Whether a candidate may have the asked family once its aliases are resolved.
    #[cold]
    fn may_learn_family(&self) -> bool {
        let found =
            self.class.tree.walk(self.key, Reach::All, &mut NoTrace, |pool, _| {
                match self.plan(pool).family(self.family).unknown {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
        found.is_some()
    }

    /// Why a pool that qualifies does not take this client while another does.
    #[inline]
    fn stands_back(&self, pool: PoolId) -> Option<Reason> {
        let plan = self.plan(pool);
        let of = |family: Family| {
            let side = plan.family(family);
            match side.intake {
                Intake::All => None,
                _ if !side.configured || side.intake.takes(self.key, plan.seed()) => None,
                Intake::AwaitsFailback => Some(Reason::AwaitsFailback),
                Intake::Tenths(tenths) => Some(Reason::Ramping { tenths }),
            }
        };
        let on_its_way = match self.terms.dual_stack {
            DualStack::Joint => of(Family::V4).or_else(|| of(Family::V6)),
            DualStack::Independent => of(self.family),
        };
        on_its_way.or_else(|| {
            let (shedding, band) = (plan.shedding(), self.class.band_of(pool));
            let reason = Reason::Shed { level: shedding.level, band: band.0 };
            shedding.sheds(band).then_some(reason)
        })
    }

    /// Passes 2 and 3.
    #[cold]
    fn worse(&self, reach: Reach, trace: &mut impl Trace) -> Decision {
        self.key.begin(Pass::BestShare);
        let fenced = self.class.tree.ends_at_a_fence(self.key, reach);
        if fenced {
            trace.step(Step::Fenced);
        }
        if let Some(pool) = self.best_share(reach, trace) {
            return serve(pool, Pass::BestShare, fenced, trace);
        }
        let chosen = match self.terms.on_all_down {
            AllDown::ServFail => return Decision::Nothing,
            AllDown::FailOpen => None,
            AllDown::Pool(pool) => {
                self.key.begin(Pass::NamedPool);
                let has_members = !self.plan(pool).family(self.family).enabled.is_empty();
                (has_members && !self.class.tree.fences_off(pool, self.key, reach))
                    .then_some((pool, Pass::NamedPool))
            }
            AllDown::LastGood => self.last_good(reach, trace).map(|pool| (pool, Pass::LastGood)),
        };
        let chosen =
            chosen.or_else(|| self.fail_open(reach, trace).map(|pool| (pool, Pass::FailOpen)));
        chosen.map_or(Decision::Nothing, |(pool, pass)| serve(pool, pass, fenced, trace))
    }

    /// Pass 2: pools with the most hope, of these the one with the largest healthy share; the earlier of equals.
    fn best_share(&self, reach: Reach, trace: &mut impl Trace) -> Option<PoolId> {
        self.key.begin(Pass::BestShare);
        let mut best: Option<(PoolId, Hope, Share)> = None;
        self.class.tree.walk(self.key, reach, trace, |pool, trace| {
            let side = self.plan(pool).family(self.family);
            let (hope, share) = self.hope(pool);
            let beaten_by = best.filter(|(_, other_hope, other)| {
                hope < *other_hope || hope == *other_hope && !share.exceeds(*other)
            });
            let reason = if !side.configured {
                Reason::LacksFamily
            } else if side.enabled.is_empty() {
                Reason::NoEnabledMember
            } else if share.healthy == 0 {
                Reason::NoHealthyMember
            } else if let Some((_, winner, _)) = beaten_by {
                hope.reason_to_lose(winner)
            } else {
                if let Some((overtaken, loser, _)) = best.replace((pool, hope, share)) {
                    let reason = loser.reason_to_lose(hope);
                    trace(Step::PassedOver { pass: Pass::BestShare, pool: overtaken, reason });
                }
                return ControlFlow::<()>::Continue(());
            };
            trace(Step::PassedOver { pass: Pass::BestShare, pool, reason });
            ControlFlow::Continue(())
        });
        best.map(|(pool, _, _)| pool)
    }

    /// What pass 2 compares of a pool.
    fn hope(&self, pool: PoolId) -> (Hope, Share) {
        let plan = self.plan(pool);
        let side = plan.family(self.family);
        let (healthy, held) = match self.terms.dual_stack {
            DualStack::Joint => (plan.joint_share(), plan.joint_held_share()),
            DualStack::Independent => (side.share, side.held_share),
        };
        let lives = side.held_share.healthy > 0;
        match (lives, healthy.healthy > 0) {
            (true, true) => (Hope::Healthy, healthy),
            (true, false) => (Hope::Held, held),
            (false, true) => (Hope::OtherHealthy, healthy),
            (false, false) => (Hope::OtherHeld, held),
        }
    }

    /// Pass 3 by default: the first pool with an enabled member of the asked family.
    fn fail_open(&self, reach: Reach, trace: &mut impl Trace) -> Option<PoolId> {
        self.key.begin(Pass::FailOpen);
        self.class.tree.walk(self.key, reach, trace, |pool, trace| {
            if !self.plan(pool).family(self.family).enabled.is_empty() {
                return ControlFlow::Break(pool);
            }
            trace(Step::PassedOver { pass: Pass::FailOpen, pool, reason: Reason::NoEnabledMember });
            ControlFlow::Continue(())
        })
    }

    /// Pass 3 by memory: the pool that was healthy last.
    fn last_good(&self, reach: Reach, trace: &mut impl Trace) -> Option<PoolId> {
        self.key.begin(Pass::LastGood);
        let mut best: Option<(PoolId, u64)> = None;
        self.class.tree.walk(self.key, reach, trace, |pool, trace| {
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
        shortfall(self.plan(pool), self.terms, self.family)
    }

    #[inline]
    fn plan(&self, pool: PoolId) -> &PoolPlan {
        &self.plans[pool.index()]
    }
}

//! The meaning of policies, written to be read: slow, obvious, straight from the model.
//!
//! Never answers a query. Tests hold compiled classes, plans and passes against it, step by step; where
//! the two differ, one of them has a bug and this one is easier to believe.

mod bands;
mod order;
mod pools;

pub use bands::Crowd;
pub use bands::bands;
pub use order::Outline;

use std::net::IpAddr;

use crate::geo::Place;
use crate::model::AllDown;
use crate::model::DualStack;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Location;
use crate::model::Model;
use crate::model::PoolId;
use crate::model::Resolved;
use crate::model::Steer;
use crate::model::Target;
use crate::steering::band::BANDS;
use crate::steering::band::Band;
use crate::steering::distance::Radius;
use crate::steering::interpreter::pools::Count;
use crate::steering::member_state::MemberState;
use crate::steering::passes::Pass;
use crate::steering::plan::Intake;
use crate::steering::plan::Remembered;
use crate::steering::plan::Shedding;
use crate::steering::rendezvous::ClientKey;
use crate::steering::rendezvous::NameSeed;
use crate::steering::round_trip::Measured;
use crate::steering::trace::Reason;
use crate::steering::trace::Step;

/// How many targets `nearest` ranks by distance, and `fastest` by time; the rest follow as written.
pub const NEAREST_DEPTH: usize = 4;

/// Everything an answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The operator's files.
    pub model: &'a Model,
    /// By pool, then by endpoint.
    pub states: &'a [Vec<MemberState>],
    /// By pool, then by endpoint: what aliases are to answer with.
    pub resolved: &'a [Vec<Resolved>],
    /// By pool, then by [`Family::index`].
    pub remembered: &'a [[Option<Remembered>; 2]],
    /// By pool, then by [`Family::index`].
    pub intakes: &'a [[Intake; 2]],
    /// By pool: whom it sends elsewhere.
    pub sheddings: &'a [Shedding],
    /// In which band pools see the client; in the nearest if they are not named.
    pub bands: &'a [(PoolId, Band)],
    /// Where the client is and how far from there it may be, if geo data says so.
    pub position: Option<(Location, Radius)>,
    /// Everything else that geo data says of the client.
    pub place: &'a Place,
    /// The client's address, or one of its network; none for somebody in no network that rules name.
    pub address: Option<IpAddr>,
    /// What was measured from the client to each site; empty for nothing.
    pub round_trip: &'a [Measured],
    /// The client's key for this name and moment.
    pub key: ClientKey,
    /// Which addresses are asked for.
    pub family: Family,
}

/// What the interpreter comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpretation {
    /// What to answer.
    pub result: Meaning,
    /// How it came to it.
    pub steps: Vec<Step>,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Addresses of these members, best first.
    Serve {
        /// Of this pool.
        pool: PoolId,
        /// On this ground.
        pass: Pass,
        /// In this order.
        members: Vec<EndpointId>,
        /// Seconds.
        ttl: u32,
    },
    /// NODATA; not while an alias of the name may have such addresses and nobody has told.
    NoFamily,
    /// NODATA for this client: as names resolve none of its candidates has the family, others do.
    NoFamilyHere,
    /// SERVFAIL.
    Nothing,
}

/// One line of an expanded policy: a remark, or a pool to consider.
#[derive(Clone, Copy, Debug)]
enum Line {
    Remark(Step),
    Pool(PoolId),
}

/// Evaluates a steered name.
pub fn interpret(situation: &Situation<'_>, steer: &Steer) -> Interpretation {
    let mut steps = Vec::new();
    let mut lines = Vec::new();
    let outline = situation.outline(steer.target);
    let mut is_open = situation.expand(&outline, false, &mut lines);
    let has_family = |lines: &[Line]| {
        lines
            .iter()
            .any(|line| matches!(line, Line::Pool(pool) if situation.pool_has_family(*pool)))
    };
    if !has_family(&lines) {
        // Pass 1 looks at every candidate and finds none with the family; then nothing may depend on shares.
        situation.pass_1(steer, &lines, &mut steps);
        let pools = pools_below(situation.model, steer.target);
        let exists = pools
            .iter()
            .any(|&pool| situation.pool_has_family(pool) || situation.pool_may_learn_family(pool));
        if !exists {
            return Interpretation { result: Meaning::NoFamily, steps };
        }
        steps.push(Step::WidenedForFamily);
        lines.clear();
        is_open = situation.expand(&outline, true, &mut lines);
        let may_have = |line: &Line| match line {
            Line::Pool(pool) => {
                situation.pool_has_family(*pool) || situation.pool_may_learn_family(*pool)
            }
            Line::Remark(_) => false,
        };
        if !lines.iter().any(may_have) {
            situation.pass_1(steer, &lines, &mut steps);
            return Interpretation { result: Meaning::NoFamilyHere, steps };
        }
    }
    let mut chosen = situation.pass_1(steer, &lines, &mut steps);
    if chosen.is_none() {
        if !is_open {
            steps.push(Step::Fenced);
        }
        chosen = situation
            .pass_2(steer, &lines, &mut steps)
            .or_else(|| situation.pass_3(steer, &lines, is_open, &mut steps));
    }
    let Some((pool, pass)) = chosen else {
        return Interpretation { result: Meaning::Nothing, steps };
    };
    steps.push(Step::Taken { pass, pool });
    let (members, panic) = situation.members(pool, pass, steer.answers);
    let is_braked =
        |id: &EndpointId| situation.state(pool, id.index()).braked(situation.family).is_some();
    let is_as_configured = pass == Pass::Qualified && !panic && !members.iter().any(is_braked);
    let ttl = if is_as_configured { steer.ttl } else { (steer.ttl / 2).max(5) };
    Interpretation { result: Meaning::Serve { pool, pass, members, ttl }, steps }
}

/// Every pool below a target, as written.
fn pools_below(model: &Model, target: Target) -> Vec<PoolId> {
    match target {
        Target::Pool(pool) => vec![pool],
        Target::Policy(policy) => {
            let targets = model.policies[policy.index()].kind.targets();
            targets.into_iter().flat_map(|target| pools_below(model, target)).collect()
        }
    }
}

impl Situation<'_> {
    /// Families by whose health a pool is judged.
    fn families_that_count(&self, steer: &Steer) -> Vec<Family> {
        match steer.dual_stack {
            DualStack::Joint => Family::BOTH.to_vec(),
            DualStack::Independent => vec![self.family],
        }
    }

    /// The first pool where every family that counts keeps `min_healthy`.
    fn pass_1(
        &self,
        steer: &Steer,
        lines: &[Line],
        steps: &mut Vec<Step>,
    ) -> Option<(PoolId, Pass)> {
        let mut standing_back = Vec::new();
        let mut was_shed = false;
        for line in lines {
            let pool = match *line {
                Line::Remark(step) => {
                    steps.push(step);
                    continue;
                }
                Line::Pool(pool) => pool,
            };
            let has = |family: &Family| self.pool_has(pool, *family);
            let families: Vec<Family> =
                self.families_that_count(steer).into_iter().filter(has).collect();
            let short = families.iter().find_map(|&family| self.shortfall(pool, family));
            let on_its_way = families.iter().find_map(|&family| self.stands_back(pool, family));
            let shed = self.shed(pool);
            let back = on_its_way.or(shed);
            let reason = match (self.pool_has_family(pool), short, back) {
                (false, _, _) => Reason::LacksFamily,
                (true, Some(short), _) => short,
                (true, None, Some(back)) => {
                    standing_back.push(pool);
                    was_shed |= on_its_way.is_none();
                    back
                }
                (true, None, None) if was_shed && self.sheddings[pool.index()].is_closed => {
                    Reason::Laden
                }
                (true, None, None) => return Some((pool, Pass::Qualified)),
            };
            steps.push(Step::PassedOver { pass: Pass::Qualified, pool, reason });
        }
        let first = *standing_back.first()?;
        steps.push(Step::NobodyElseQualifies);
        Some((first, Pass::Qualified))
    }

    /// Why a pool sends this client elsewhere for its load, if another takes it.
    fn shed(&self, pool: PoolId) -> Option<Reason> {
        let level = self.sheddings[pool.index()].level;
        let band = self.bands.iter().find(|(other, _)| *other == pool);
        let band = band.map_or(Band::NEAREST, |(_, band)| *band).0;
        (BANDS - level..BANDS).contains(&band).then_some(Reason::Shed { level, band })
    }

    /// Why a pool does not take this client if another qualifies.
    fn stands_back(&self, pool: PoolId, family: Family) -> Option<Reason> {
        let seed = NameSeed::of_pool(&self.model.pools[pool.index()].name);
        match self.intakes[pool.index()][family.index()] {
            Intake::All => None,
            Intake::AwaitsFailback => Some(Reason::AwaitsFailback),
            Intake::Tenths(tenths) => {
                let is_taken = (0..tenths).any(|tenth| self.key.is_within_tenths(seed, tenth + 1));
                (!is_taken).then_some(Reason::Ramping { tenths })
            }
        }
    }

    /// The pool with the largest healthy share, if any member is healthy; else with the largest share that is held.
    fn pass_2(
        &self,
        steer: &Steer,
        lines: &[Line],
        steps: &mut Vec<Step>,
    ) -> Option<(PoolId, Pass)> {
        let mut best: Option<(PoolId, (i32, f64))> = None;
        for line in lines {
            let pool = match *line {
                Line::Remark(step) => {
                    steps.push(step);
                    continue;
                }
                Line::Pool(pool) => pool,
            };
            let families = self.families_that_count(steer);
            let counts: Vec<Count> =
                families.into_iter().map(|family| self.count(pool, family)).collect();
            let weight_of =
                |counts: Vec<&Count>| counts.into_iter().map(Count::healthy_weight).sum();
            let trusted: u32 = weight_of(counts.iter().filter(|count| !count.only_held).collect());
            let passing: u32 = weight_of(counts.iter().collect());
            let enabled: u32 = counts.iter().map(Count::enabled_weight).sum();
            let healthy = if trusted > 0 { trusted } else { passing };
            // A living address is better than a dead one, a healthy member better than one that is held.
            let lives = !self.count(pool, self.family).healthy.is_empty();
            let rank = 2 * i32::from(lives) + i32::from(trusted > 0);
            let share = (rank, f64::from(healthy) / f64::from(enabled.max(1)));
            let why_less = |loser: i32, winner: i32| match loser < 2 && winner >= 2 {
                true => Reason::FamilyDown,
                false => Reason::SmallerShare,
            };
            let reason = if !self.pool_has_family(pool) {
                Reason::LacksFamily
            } else if self.count(pool, self.family).enabled.is_empty() {
                Reason::NoEnabledMember
            } else if healthy == 0 {
                Reason::NoHealthyMember
            } else if let Some((_, other)) = best.filter(|(_, other)| share <= *other) {
                why_less(rank, other.0)
            } else {
                if let Some((overtaken, other)) = best {
                    let reason = why_less(other.0, rank);
                    steps.push(Step::PassedOver { pass: Pass::BestShare, pool: overtaken, reason });
                }
                best = Some((pool, share));
                continue;
            };
            steps.push(Step::PassedOver { pass: Pass::BestShare, pool, reason });
        }
        best.map(|(pool, _)| (pool, Pass::BestShare))
    }

    /// What `on_all_down` says, inside the fence if one ended the list.
    fn pass_3(
        &self,
        steer: &Steer,
        lines: &[Line],
        is_open: bool,
        steps: &mut Vec<Step>,
    ) -> Option<(PoolId, Pass)> {
        let special = match steer.on_all_down {
            AllDown::ServFail => return None,
            AllDown::FailOpen => None,
            AllDown::Pool(pool) => {
                let is_candidate =
                    lines.iter().any(|line| matches!(line, Line::Pool(other) if *other == pool));
                let has_members = !self.count(pool, self.family).enabled.is_empty();
                (has_members && (is_open || is_candidate)).then_some((pool, Pass::NamedPool))
            }
            AllDown::LastGood => {
                let mut best: Option<(PoolId, u64)> = None;
                for line in lines {
                    match *line {
                        Line::Remark(step) => steps.push(step),
                        Line::Pool(pool) => {
                            let families = match steer.dual_stack {
                                DualStack::Joint => Family::BOTH.to_vec(),
                                DualStack::Independent => vec![self.family],
                            };
                            let stamps = families.into_iter().filter_map(|family| {
                                self.last_good(pool, family).map(|(stamp, _)| stamp)
                            });
                            let reason = match stamps.max() {
                                None => Reason::NothingRemembered,
                                Some(_) if self.count(pool, self.family).enabled.is_empty() => {
                                    Reason::NoEnabledMember
                                }
                                Some(stamp) => {
                                    if best.is_none_or(|(_, other)| stamp > other) {
                                        best = Some((pool, stamp));
                                    }
                                    continue;
                                }
                            };
                            steps.push(Step::PassedOver { pass: Pass::LastGood, pool, reason });
                        }
                    }
                }
                best.map(|(pool, _)| (pool, Pass::LastGood))
            }
        };
        if special.is_some() {
            return special;
        }
        for line in lines {
            match *line {
                Line::Remark(step) => steps.push(step),
                Line::Pool(pool) if !self.count(pool, self.family).enabled.is_empty() => {
                    return Some((pool, Pass::FailOpen));
                }
                Line::Pool(pool) => steps.push(Step::PassedOver {
                    pass: Pass::FailOpen,
                    pool,
                    reason: Reason::NoEnabledMember,
                }),
            }
        }
        None
    }

    fn name(&self, target: Target) -> &str {
        match target {
            Target::Pool(pool) => &self.model.pools[pool.index()].name,
            Target::Policy(policy) => &self.model.policies[policy.index()].name,
        }
    }
}

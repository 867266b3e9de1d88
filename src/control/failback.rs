//! How clients come back to a pool that did not qualify: by order, or by and by. Keeps a record for each way back.

use std::time::Duration;

use crate::config::reader::closest;
use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::order::instant;
use crate::control::record::OURSELVES;
use crate::control::record::Written;
use crate::control::stored::way_back_key;
use crate::model::Failback;
use crate::model::Family;
use crate::model::Now;
use crate::model::Pool;
use crate::model::PoolId;
use crate::steering::Intake;
use crate::steering::PoolPlan;

/// Steps of a ramp.
const STEPS: u128 = 10;

/// A pool, and one of its families: each loses its qualification by itself.
pub(super) type Side = (Box<str>, Family);

/// What is remembered of a pool that lost its qualification.
///
/// ```text
///  (no record) ── does not qualify ──▶ Away ── qualifies, ramp ──▶ Ramp ── time is over, or by order ──▶ (no record)
///                                       ▲ │                          │
///                                       │ └── manual: by order ──────┼──────────────────────────────────▶ (no record)
///                                       └─── does not qualify again ─┘
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// Who wrote it.
    pub written: Written,
    /// How far it is.
    pub stage: Stage,
}

/// How far a pool has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It did not qualify; with manual failback: and has not been brought back.
    Away,
    /// Its clients come back by and by.
    Ramp {
        /// From when, since 1970: every node counts its steps from there.
        since: Duration,
        /// Tenths of its clients that have come back; never fewer than before.
        tenths: u8,
    },
}

impl Controller {
    /// Which clients a side of a pool takes, by its record.
    pub(super) fn intake_of(&self, pool: &Pool, family: Family) -> Intake {
        if pool.failback == Failback::Auto {
            return Intake::All;
        }
        let stage = self.ways_back.get(&(pool.name.clone(), family)).map(|way| way.stage);
        match (pool.failback, stage) {
            (Failback::Manual, Some(_)) => Intake::AwaitsFailback,
            (Failback::Ramp(_), Some(Stage::Ramp { tenths, .. })) => Intake::Tenths(tenths),
            (Failback::Ramp(_), Some(Stage::Away)) => Intake::Tenths(0),
            (Failback::Auto, _) | (_, None) => Intake::All,
        }
    }

    /// Whether clients of a pool may have to wait on their way back to it.
    pub(super) fn has_way_back(&self, pool: PoolId) -> bool {
        let snapshot = self.snapshot.as_ref();
        snapshot
            .is_some_and(|one| one.compiled.model.pools[pool.index()].failback != Failback::Auto)
    }

    /// By family: whether a pool qualifies now; `None` for a family it does not have.
    pub(super) fn qualifies(&self, pool: PoolId) -> [Option<bool>; 2] {
        let Some(snapshot) = &self.snapshot else { return [None, None] };
        let pool = &snapshot.compiled.model.pools[pool.index()];
        let resolved = self.resolved_in(&snapshot.compiled.model, pool);
        let plan = PoolPlan::new(pool, &self.states(pool), &resolved, &[None, None]);
        Family::BOTH.map(|family| {
            let side = plan.family(family);
            side.configured.then(|| side.standing.qualifies())
        })
    }

    /// Notes that a pool lost its qualification or has it again.
    ///
    /// `before` is what [`Controller::qualifies`] said; `None` counts as qualified.
    pub(super) fn note_way_back(
        &mut self,
        id: PoolId,
        before: [Option<bool>; 2],
        cause: &Cause,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let pool = &snapshot.compiled.model.pools[id.index()];
        if !self.has_way_back(id) {
            for family in Family::BOTH {
                self.forget_way_back(&(pool.name.clone(), family));
            }
            return;
        }
        let after = self.qualifies(id);
        for family in Family::BOTH {
            let Some(after) = after[family.index()] else {
                // A family that left a pool has no clients that could come back to it.
                self.forget_way_back(&(pool.name.clone(), family));
                continue;
            };
            let before = before[family.index()].unwrap_or(true);
            let side = (pool.name.clone(), family);
            let stage = self.ways_back.get(&side).map(|way| way.stage);
            let next = match (pool.failback, stage, after) {
                (Failback::Auto, _, _) => continue,
                // What an operator takes away he brings back himself.
                (Failback::Manual, None, false) if before && cause.is_health() => Stage::Away,
                (Failback::Manual, _, _) => continue,
                (Failback::Ramp(_), None | Some(Stage::Ramp { .. }), false) => Stage::Away,
                (Failback::Ramp(_), Some(Stage::Away), true) => {
                    Stage::Ramp { since: now.unix, tenths: 0 }
                }
                (Failback::Ramp(_), None | Some(Stage::Ramp { .. }), true)
                | (Failback::Ramp(_), Some(Stage::Away), false) => continue,
            };
            let written = self.write(OURSELVES, cause.text(), now);
            let way = WayBack { written, stage: next };
            effects.push(Effect::Record(Occurrence::WayBack {
                pool: pool.name.clone(),
                family,
                failback: pool.failback,
                stage: Some(next),
            }));
            self.ways_back.insert(side, way);
            self.changed.insert(id);
        }
    }

    /// Lets ramps grow, by the wall clock so that all nodes take each step together.
    pub(super) fn advance_ways_back(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.ways_back.is_empty() {
            return;
        }
        let Some(snapshot) = self.snapshot.clone() else { return };
        for (position, pool) in snapshot.compiled.model.pools.iter().enumerate() {
            let Failback::Ramp(over) = pool.failback else { continue };
            for family in Family::BOTH {
                let side = (pool.name.clone(), family);
                let stage = self.ways_back.get(&side).map(|way| way.stage);
                let Some(Stage::Ramp { since, tenths }) = stage else { continue };
                let reached = steps_at(now.unix.saturating_sub(since), over);
                if reached <= tenths {
                    continue;
                }
                if let Some(way) = self.ways_back.get_mut(&side) {
                    way.stage = Stage::Ramp { since, tenths: reached };
                }
                self.changed.insert(PoolId::at(position));
                if u128::from(reached) == STEPS {
                    self.forget_way_back(&side);
                    effects.push(Effect::Record(Occurrence::WayBack {
                        pool: pool.name.clone(),
                        family,
                        failback: pool.failback,
                        stage: None,
                    }));
                }
            }
        }
    }

    /// Forgets the ways back of pools that are gone or come back in another way now, and notes what the files changed.
    pub(super) fn review_ways_back(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let pools = &snapshot.compiled.model.pools;
        let ways = self.ways_back.iter();
        let over = ways.filter(|((name, _), way)| !self.is_way_back_of_files(name, way.stage));
        let over: Vec<Side> = over.map(|(side, _)| side.clone()).collect();
        over.iter().for_each(|side| self.forget_way_back(side));
        for position in 0..pools.len() {
            let id = PoolId::at(position);
            let files = Cause::Operator("the files were replaced".into());
            self.note_way_back(id, [Some(true); 2], &files, now, effects);
        }
    }

    /// Whether the files have a pool come back in such a way.
    pub(super) fn is_way_back_of_files(&self, pool: &str, stage: Stage) -> bool {
        let Ok(model) = self.model() else { return false };
        let pool = model.find_pool(pool).map(|id| &model.pools[id.index()]);
        match (pool.map(|pool| pool.failback), stage) {
            (None | Some(Failback::Auto), _) => false,
            (Some(Failback::Manual), Stage::Ramp { .. }) => false,
            (Some(Failback::Manual), Stage::Away) | (Some(Failback::Ramp(_)), _) => true,
        }
    }

    /// Ends a way back at this node: by its files or its clock, which others have, too.
    fn forget_way_back(&mut self, side: &Side) {
        if self.ways_back.remove(side).is_some() {
            self.end_here(way_back_key(side));
        }
    }

    /// Brings all clients of a pool back at once: `rhumb failback POOL`.
    pub(super) fn fail_back(
        &mut self,
        target: &str,
        reason: &str,
        author: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        if reason.trim().is_empty() {
            return Err("an order needs a reason: others will read it at night".into());
        }
        let name = target.strip_prefix("pool:").unwrap_or(target);
        let model = self.model()?;
        let Some(position) = model.pools.iter().position(|pool| &*pool.name == name) else {
            let names: Vec<&str> = model.pools.iter().map(|pool| &*pool.name).collect();
            let near = closest(name, &names);
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(format!("there is no pool {name}{near}"));
        };
        let id = PoolId::at(position);
        let short = self.qualifies(id).contains(&Some(false));
        let waits = |family| self.ways_back.contains_key(&(name.into(), family));
        if !Family::BOTH.into_iter().any(waits) {
            return Err(format!(
                "pool {name} has all its clients already, as far as its health allows"
            ));
        }
        if short {
            return Err(format!(
                "pool {name} does not qualify yet: `rhumb status` shows what it is short of"
            ));
        }
        for family in Family::BOTH {
            self.ways_back.remove(&(name.into(), family));
        }
        self.changed.insert(id);
        effects.push(Effect::Record(Occurrence::BroughtBack {
            pool: name.into(),
            by: author.into(),
            reason: reason.into(),
        }));
        Ok(format!("pool {name} takes all its clients again"))
    }

    /// What a pool waits for, in words.
    pub(super) fn way_back_text(&self, pool: &Pool) -> Option<String> {
        let ways = Family::BOTH.into_iter().filter_map(|family| {
            let way = self.ways_back.get(&(pool.name.clone(), family))?;
            Some((way, self.intake_of(pool, family)))
        });
        // The side that is furthest behind: both must be back before the pool is.
        let (way, intake) = ways.min_by_key(|(way, intake)| match intake {
            Intake::AwaitsFailback => (0, way.written.version),
            Intake::Tenths(tenths) => (*tenths, way.written.version),
            Intake::All => (10, way.written.version),
        })?;
        let since = instant(way.written.at);
        Some(match (pool.failback, intake) {
            (Failback::Ramp(over), Intake::Tenths(tenths)) => match way.stage {
                Stage::Ramp { since, .. } => {
                    let end = instant(since + over);
                    format!("{} % of its clients are back, all by {end}", tenths * 10)
                }
                Stage::Away => format!("its clients left at {since}: {}", way.written.reason),
            },
            _ => format!(
                "its clients left at {since} and wait for `rhumb failback {} --reason ...`: {}",
                pool.name, way.written.reason
            ),
        })
    }
}

/// Tenths of a ramp that are over after `age`.
fn steps_at(age: Duration, over: Duration) -> u8 {
    let steps = age.as_millis() * STEPS / over.as_millis().max(1);
    steps.min(STEPS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_of_ten_minutes_takes_a_step_each_minute() {
        let over = Duration::from_secs(600);
        for (age_s, steps) in
            [(0, 0), (59, 0), (60, 1), (61, 1), (299, 4), (599, 9), (600, 10), (9999, 10)]
        {
            assert_eq!(steps_at(Duration::from_secs(age_s), over), steps, "{age_s}");
        }
    }
}

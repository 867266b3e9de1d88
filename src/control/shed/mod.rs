//! Loads that probes bring, window by window, and what pools shed for them: a record for each that does.
//!
//! Windows are cut by the wall clock, so that all nodes take each step together. Between their ends a report is two
//! additions.

pub(super) mod law;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::order::instant;
use crate::control::record::OURSELVES;
use crate::control::record::Written;
use crate::control::shed::law::Course;
use crate::control::shed::law::Seen;
use crate::control::shed::law::end_window;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::Model;
use crate::model::Now;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::TargetKey;
use crate::snapshot::Snapshot;
use crate::steering::Intake;
use crate::steering::PoolPlan;
use crate::steering::Shedding;

/// How long loads are taken together before anything is done.
pub const WINDOW: Duration = Duration::from_secs(30);

/// Windows after which the load of an endpoint that says nothing more is not known.
const SILENT: u64 = 3;

/// What an endpoint said of its load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    /// Which of its targets.
    pub key: TargetKey,
    /// 1 is all that it can carry.
    pub load: f64,
}

/// What is known of loads.
#[derive(Debug, Default)]
pub(super) struct Loads {
    /// Number of the window that is open, by the wall clock.
    open: Option<u64>,
    /// Windows that have ended.
    ended: u64,
    endpoints: HashMap<Arc<str>, Spell>,
    /// Load of each pool in the last window.
    pools: BTreeMap<Box<str>, f64>,
    /// All that for metrics.
    gauges: Arc<LoadGauges>,
}

/// Loads and levels as numbers, for metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadGauges {
    /// Pool and load, of each of which it is known.
    pub pools: Vec<(Box<str>, f64)>,
    /// Endpoint and load, of each that says it.
    pub endpoints: Vec<(Arc<str>, f64)>,
    /// Pool and how many sixteenths of its clients it sheds, of each that may.
    pub levels: Vec<(Box<str>, u8)>,
}

/// What one endpoint said.
#[derive(Clone, Copy, Debug, Default)]
struct Spell {
    sum: f64,
    count: u32,
    /// Mean of the last window in which it said anything, and the number of that window.
    last: Option<(f64, u64)>,
}

/// Whom a pool sends elsewhere, or does not take in.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Who wrote it.
    pub written: Written,
    /// What the law remembers.
    pub(super) course: Course,
    /// What of that was noted last: as long as windows only pass, nothing else is.
    pub(super) noted: Noted,
}

/// A course as it was in some window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    /// Number of the window, by the wall clock.
    pub(super) window: u64,
    pub(super) course: Course,
}

impl Noted {
    /// What it has come to by now. The windows of a clock that was set back are not counted.
    pub(super) fn by(self, now: Now) -> Course {
        self.course.aged(window_of(now).saturating_sub(self.window))
    }
}

/// Number of the window that is open.
fn window_of(now: Now) -> u64 {
    now.unix.as_secs() / WINDOW.as_secs()
}

impl Loads {
    fn take(&mut self, endpoint: &Arc<str>, load: f64) {
        let spell = self.endpoints.entry(Arc::clone(endpoint)).or_default();
        spell.sum += load;
        spell.count += 1;
    }

    /// What is known of an endpoint.
    pub(super) fn of_endpoint(&self, endpoint: &str) -> Option<f64> {
        let (load, window) = self.endpoints.get(endpoint)?.last?;
        (self.ended < window + SILENT).then_some(load)
    }

    /// Ends the window that is open.
    fn end(&mut self, windows: u64) {
        let ended = self.ended;
        for spell in self.endpoints.values_mut().filter(|spell| spell.count > 0) {
            let mean = spell.sum / f64::from(spell.count);
            *spell = Spell { last: Some((mean, ended)), ..Spell::default() };
        }
        self.ended += windows.max(1);
    }

    /// The load of a pool over the members that it serves from: by capacity if all say theirs, else by weight.
    fn of_pool(&self, pool: &Pool, plan: &PoolPlan) -> Option<f64> {
        let members = serving(plan);
        let by_capacity = capacity(pool, plan).is_some();
        let weigh = |&(id, weight): &(EndpointId, u16)| {
            let endpoint = &pool.endpoints[id.index()];
            let load = self.of_endpoint(&endpoint.key)?;
            let capacity = endpoint.capacity.filter(|_| by_capacity);
            Some((load, capacity.unwrap_or(f64::from(weight))))
        };
        let loads = members.iter().filter_map(weigh);
        let (sum, of) = loads.fold((0.0, 0.0), |(sum, of), (load, w)| (sum + load * w, of + w));
        (of > 0.0).then_some(sum / of)
    }
}

/// Members that a pool serves from, each once, with their weights.
fn serving(plan: &PoolPlan) -> Vec<(EndpointId, u16)> {
    let sides = Family::BOTH.into_iter().flat_map(|family| plan.family(family).serving.iter());
    let mut members: Vec<(EndpointId, u16)> =
        sides.map(|member| (member.endpoint, member.weight)).collect();
    members.sort_unstable();
    members.dedup_by_key(|(id, _)| *id);
    members
}

/// What the members that a pool serves from can carry, if all of them say so.
fn capacity(pool: &Pool, plan: &PoolPlan) -> Option<f64> {
    let members = serving(plan);
    let all = members.iter().map(|(id, _)| pool.endpoints[id.index()].capacity);
    all.sum::<Option<f64>>().filter(|capacity| *capacity > 0.0)
}

/// Whether pass 1 gives a pool anybody whom another sheds.
fn takes_part(plan: &PoolPlan) -> bool {
    let sides = Family::BOTH.map(|family| plan.family(family));
    let takes = |intake| !matches!(intake, Intake::AwaitsFailback | Intake::Tenths(0));
    let mut configured = sides.iter().filter(|side| side.configured).peekable();
    configured.peek().is_some()
        && configured.all(|side| side.standing.qualifies() && takes(side.intake))
}

impl Controller {
    /// Whom a pool sends elsewhere, by its record.
    pub(super) fn shedding_of(&self, pool: &Pool) -> Shedding {
        let record = self.sheds.get(&pool.name).filter(|_| pool.shed.is_some());
        record.map_or_else(Shedding::default, |record| record.course.shedding)
    }

    /// Takes what endpoints said; nobody is served otherwise before the window ends.
    pub(super) fn take_loads(&mut self, reports: &[LoadReport]) {
        for LoadReport { key, load } in reports {
            if load.is_finite() && *load >= 0.0 && self.pool_of(key).is_some() {
                self.loads.take(&key.endpoint, *load);
            }
        }
    }

    /// Ends the window if it is over.
    pub(super) fn mind_loads(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let number = window_of(now);
        let Some(open) = self.loads.open.replace(number) else { return };
        // A wall clock that was set back cuts no window.
        if number > open {
            self.loads.end(number - open);
            self.end_window(now, effects);
        }
    }

    fn end_window(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        if self.loads.endpoints.is_empty() && self.sheds.is_empty() {
            return;
        }
        let model = &snapshot.compiled.model;
        let each = model.pools.iter().zip(&snapshot.pools);
        let mut seen: Vec<Seen> = each
            .map(|(pool, plan)| Seen {
                terms: pool.shed,
                load: self.loads.of_pool(pool, plan),
                capacity: capacity(pool, plan),
                qualifies: takes_part(plan),
                course: self.sheds.get(&pool.name).map(|record| record.course).unwrap_or_default(),
            })
            .collect();
        self.loads.pools = model
            .written_pools()
            .zip(&seen)
            .filter_map(|(pool, seen)| Some((pool.name.clone(), seen.load?)))
            .collect();
        if seen.iter().all(|pool| pool.terms.is_none()) {
            return self.renew_gauges(model);
        }
        let before: Vec<Course> = seen.iter().map(|pool| pool.course).collect();
        let shares = shares(&snapshot);
        end_window(&mut seen, &|a, b| shares[a].binary_search(&b).is_ok());
        let is_shed =
            |at: usize| shares[at].iter().any(|other| seen[*other].course.shedding.level > 0);
        for (at, (before, after)) in before.iter().zip(&seen).enumerate() {
            let pool = &model.pools[at];
            if pool.shed.is_some() {
                let is_told = is_shed(at);
                self.set_course(PoolId::at(at), pool, (*before, after), is_told, now, effects);
            }
        }
        self.renew_gauges(model);
    }

    /// Writes what became of a pool.
    fn set_course(
        &mut self,
        id: PoolId,
        pool: &Pool,
        (before, after): (Course, &Seen),
        is_told: bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let (old, new) = (before.shedding, after.course.shedding);
        let course = after.course;
        let noted = Noted { window: window_of(now), course };
        let record = match (self.sheds.get(&pool.name).cloned(), old == new) {
            (Some(record), true) if record.noted.by(now) == course => {
                return self.sheds.replace_quietly(&pool.name, Record { course, ..record });
            }
            (Some(record), true) => Record { course, noted, ..record },
            (None, true) if course == Course::default() => return,
            (known, _) => {
                let reason = match after.load {
                    Some(load) => format!("load {load:.2}"),
                    None => "no word of its load".to_owned(),
                };
                let written = match (known, old.level == new.level) {
                    // Since when it sheds as much is what people ask.
                    (Some(record), true) => record.written,
                    _ => self.write(OURSELVES, &reason, now),
                };
                self.changed.insert(id);
                if old.level != new.level {
                    let (pool, load) = (pool.name.clone(), after.load);
                    let told = Occurrence::Shed { pool, before: old.level, level: new.level, load };
                    effects.push(Effect::Record(told));
                }
                if old.is_closed != new.is_closed && is_told {
                    let (pool, is_closed) = (pool.name.clone(), new.is_closed);
                    let told = Occurrence::Laden { pool, is_closed, load: after.load };
                    effects.push(Effect::Record(told));
                }
                Record { written, course, noted }
            }
        };
        self.sheds.insert(pool.name.clone(), record);
    }

    /// Of the windows in which the server did not run nothing is known but that they have passed.
    pub(super) fn age_sheds(&mut self, now: Now) {
        let names: Vec<Box<str>> = self.sheds.keys().cloned().collect();
        for name in names {
            if let Some(record) = self.sheds.get_mut(&name) {
                record.course = record.noted.by(now);
            }
        }
    }

    /// Forgets what pools shed that are gone or shed no more, and loads of endpoints that are gone.
    pub(super) fn review_sheds(&mut self, model: &Model) {
        let sheds =
            |name: &str| model.pools.iter().any(|pool| *pool.name == *name && pool.shed.is_some());
        self.sheds.retain(|name, _| sheds(name));
        let endpoints: std::collections::HashSet<&str> = model
            .written_pools()
            .filter(|pool| pool.check.is_some())
            .flat_map(|pool| &pool.endpoints)
            .map(|endpoint| &*endpoint.key)
            .collect();
        self.loads.endpoints.retain(|key, _| endpoints.contains(&**key));
        self.loads.pools.retain(|name, _| model.written_pools().any(|pool| pool.name == *name));
        self.renew_gauges(model);
    }

    /// The load of a pool in the last window.
    pub(super) fn load_of(&self, pool: &str) -> Option<f64> {
        self.loads.pools.get(pool).copied()
    }

    /// Loads as numbers, as the last window left them.
    pub(super) fn load_gauges(&self) -> Arc<LoadGauges> {
        Arc::clone(&self.loads.gauges)
    }

    /// Makes the numbers anew: once a window, for there may be thousands.
    fn renew_gauges(&mut self, model: &Model) {
        let of_endpoint = |key: &Arc<str>| Some((Arc::clone(key), self.loads.of_endpoint(key)?));
        let mut endpoints: Vec<_> = self.loads.endpoints.keys().filter_map(of_endpoint).collect();
        endpoints.sort_by(|(a, _), (b, _)| a.cmp(b));
        let level = |pool: &Pool| (pool.name.clone(), self.shedding_of(pool).level);
        let shedding = model.pools.iter().filter(|pool| pool.shed.is_some());
        self.loads.gauges = Arc::new(LoadGauges {
            pools: self.loads.pools.iter().map(|(pool, load)| (pool.clone(), *load)).collect(),
            endpoints,
            levels: shedding.map(level).collect(),
        });
    }

    /// What a pool sheds, in words; `None` for one that never does.
    pub(super) fn shed_text(&self, pool: &Pool) -> Option<String> {
        let terms = pool.shed?;
        let load = match self.load_of(&pool.name) {
            Some(load) => format!("load {load:.2}"),
            None => "load not known".to_owned(),
        };
        let terms = format!("{load}, sheds above {}", terms.start);
        let record = self.sheds.get(&pool.name);
        let Shedding { level, is_closed } = self.shedding_of(pool);
        Some(match record {
            Some(Record { written, .. }) if level > 0 => format!(
                "{load}: SHEDS the farthest {level} of 16 parts of its clients since {}",
                instant(written.at)
            ),
            Some(_) if is_closed => format!("{terms}, takes nobody whom others shed"),
            Some(_) | None => terms,
        })
    }
}

/// By pool: those that may take clients of it, ascending: candidates of one entry.
fn shares(snapshot: &Snapshot) -> Vec<Vec<usize>> {
    let model = &snapshot.compiled.model;
    let mut shares = vec![Vec::new(); model.pools.len()];
    for route in snapshot.compiled.routes.iter() {
        let sheds = |pool: &&PoolId| model.pools[pool.index()].shed.is_some();
        if !route.choices.iter().any(|pool| sheds(&pool)) {
            continue;
        }
        for pool in &route.choices {
            let others = route.choices.iter().filter(|other| *other != pool);
            shares[pool.index()].extend(others.map(|other| other.index()));
        }
    }
    for others in &mut shares {
        others.sort_unstable();
        others.dedup();
    }
    shares
}

//! Endpoints that are found: the last good list of each source, what each pool makes of it, and what its floor holds.
//!
//! A source that fails takes nothing away, and neither does one that suddenly says much less than before.

mod finding;
mod findings;
mod news;

pub use news::News;

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::control::Cause;
use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::discover::finding::Drop;
use crate::control::discover::finding::Finding;
use crate::control::discover::findings::Findings;
use crate::control::discover::news::listed;
use crate::control::effect::count;
use crate::control::order::instant;
use crate::control::stored::FindingForm;
use crate::control::stored::FoundForm;
use crate::control::stored::Stored;
use crate::discovery::Entry;
use crate::discovery::members;
use crate::discovery::members::in_order;
use crate::discovery::members::refused_text;
use crate::discovery::members_again;
use crate::model::ENDPOINTS_MAX;
use crate::model::Found;
use crate::model::Model;
use crate::model::Now;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Source;
use crate::snapshot::Compiled;

/// What came of asking a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Which.
    pub source: Arc<Source>,
    /// Its list, or why there is none.
    pub result: Result<Vec<Entry>, Box<str>>,
}

/// What is known of endpoints that are found.
#[derive(Debug, Default)]
pub(crate) struct Discoveries {
    lists: HashMap<Arc<Source>, List>,
    pools: Findings,
    /// Networks that are believed besides.
    allow: Vec<IpNet>,
}

/// What is known of one source.
#[derive(Debug, Default)]
struct List {
    /// What it said the last time that it said something.
    good: Option<Arc<[Entry]>>,
    /// When that was, since 1970.
    success: Option<Duration>,
    /// Why it did not the last time.
    failing: Option<Box<str>>,
    /// How often it did not.
    failures: u64,
}

/// How a pool's source stands, for people and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// The pool.
    pub pool: Box<str>,
    /// The source.
    pub source: String,
    /// Endpoints found, held ones among them.
    pub found: usize,
    /// Names of those that are held.
    pub held: Vec<Box<str>>,
    /// How many targets are refused.
    pub refused: usize,
    /// Which, and why.
    pub refused_text: String,
    /// Why the last list is not used, if it is not.
    pub failing: Option<Box<str>>,
    /// How often there was no list.
    pub failures: u64,
    /// When there was one last, since 1970.
    pub success: Option<Duration>,
}

/// The sources that a model needs, each once.
fn wanted(model: &Model) -> BTreeSet<Arc<Source>> {
    let discoveries = model.pools.iter().filter_map(|pool| pool.discover.as_ref());
    discoveries.map(|discovery| Arc::clone(&discovery.source)).collect()
}

impl Controller {
    /// Believes addresses of these networks although they are in a range that is not.
    pub fn allow_found(&mut self, allow: Vec<IpNet>) {
        self.discoveries.allow = allow;
    }

    /// New files with what is found for their pools; what belongs to no pool of theirs is forgotten.
    pub(super) fn with_found(
        &mut self,
        compiled: Arc<Compiled>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Arc<Compiled> {
        let sources = wanted(&compiled.model);
        let discoveries = &mut self.discoveries;
        discoveries.lists.retain(|source, _| sources.contains(source));
        let pools = &compiled.model.pools;
        let find = |name: &str| compiled.model.find_pool(name).map(|id| &pools[id.index()]);
        let discovers = |name: &str| find(name).is_some_and(|pool| pool.discover.is_some());
        discoveries.pools.retain(discovers);
        for pool in pools {
            self.find(&compiled.model, pool, Drop::Guarded, now, effects);
        }
        effects.push(Effect::Discover(sources.into_iter().collect()));
        match self.found() {
            found if found.is_empty() => compiled,
            found => Arc::new(compiled.with_found(&found)),
        }
    }

    /// Every endpoint that is found.
    pub(super) fn found(&self) -> Found {
        let pools = self.discoveries.pools.iter();
        pools.map(|(name, finding)| (name.clone(), in_order(&finding.endpoints))).collect()
    }

    /// Every endpoint that is found for some pools.
    fn found_for(&self, model: &Model, pools: &[PoolId]) -> Found {
        let names = pools.iter().map(|id| &model.pools[id.index()].name);
        let found = names.filter_map(|name| {
            Some((name.clone(), in_order(&self.discoveries.pools.get(name)?.endpoints)))
        });
        found.collect()
    }

    /// Makes of the last good list what it is for a pool; says whether its endpoints are others than before.
    fn find(
        &mut self,
        model: &Model,
        pool: &Pool,
        how: Drop,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(discovery) = &pool.discover else { return false };
        let known = self.discoveries.lists.get(&discovery.source);
        let list = known.and_then(|list| list.good.clone());
        let before = self.discoveries.pools.get(&pool.name).cloned().unwrap_or_default();
        let room = ENDPOINTS_MAX.saturating_sub(discovery.written);
        let allow = &self.discoveries.allow;
        let next = match list {
            Some(list) => {
                let made = members(&list, pool, discovery, &model.sites, allow);
                before.take(discovery, made, room, how, now)
            }
            None if before.is_kept => {
                let made = members_again(&before.endpoints, pool, discovery, allow);
                before.again(discovery, made, room, how, now)
            }
            None => return false,
        };
        for news in next.news(&before, &discovery.source) {
            let told = Occurrence::Discovery { pool: pool.name.clone(), news };
            effects.push(Effect::Record(told));
        }
        let is_other = next.endpoints != before.endpoints;
        self.discoveries.pools.insert(pool.name.clone(), next);
        is_other
    }

    /// Puts back an endpoint that was found before the start; what is no endpoint is left out.
    pub(super) fn restore_found(&mut self, form: FoundForm) {
        if let Some(endpoint) = form.endpoint() {
            self.discoveries.pools.restore(form.pool, form.name, endpoint, form.held);
        }
    }

    /// Puts back how a pool judges what is found.
    pub(super) fn restore_finding(&mut self, form: FindingForm, now: Now) {
        self.discoveries.pools.restore_terms(form, now);
    }

    /// How many endpoints are found in all pools.
    pub(super) fn found_count(&self) -> usize {
        self.discoveries.pools.values().map(|finding| finding.endpoints.len()).sum()
    }

    /// Has everything written once more that was found.
    pub(super) fn touch_found(&mut self) {
        self.discoveries.pools.touch_all();
    }

    /// What was found that may have changed since the last time.
    pub(super) fn note_found(&mut self, now: Now, note: &mut impl FnMut(String, Option<Stored>)) {
        self.discoveries.pools.take_touched(now, note);
    }

    /// Takes what a source says; nobody else may know that it is no longer wanted.
    pub(super) fn take_discovery(
        &mut self,
        Discovered { source, result }: Discovered,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let pools = self.pools_of(&source);
        if pools.is_empty() {
            return;
        }
        let result = result.and_then(|entries| match entries.is_empty() {
            true => Err("the list is empty".into()),
            false => Ok(entries),
        });
        let list = self.discoveries.lists.entry(Arc::clone(&source)).or_default();
        match result {
            Err(reason) => {
                list.failures += 1;
                if list.failing.replace(reason.clone()).is_none() {
                    let told = self.told(&pools, |kept| News::Failing {
                        source: source.to_string().into(),
                        reason: reason.clone(),
                        kept,
                    });
                    effects.extend(told);
                }
            }
            Ok(entries) => {
                list.success = Some(now.unix);
                list.good = Some(entries.into());
                if list.failing.take().is_some() {
                    let told = News::Recovered { source: source.to_string().into() };
                    effects.extend(self.told(&pools, |_| told.clone()));
                }
                self.find_all(&pools, Drop::Guarded, now, effects);
            }
        }
    }

    /// The same news for each of some pools, which may say how many endpoints are found.
    fn told(&self, pools: &[PoolId], news: impl Fn(usize) -> News) -> Vec<Effect> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let told = |pool: &PoolId| {
            let pool = snapshot.compiled.model.pools[pool.index()].name.clone();
            let known = self.discoveries.pools.get(&pool);
            let news = news(known.map_or(0, |finding| finding.endpoints.len()));
            Effect::Record(Occurrence::Discovery { pool, news })
        };
        pools.iter().map(told).collect()
    }

    /// Makes anew what is found for some pools, and puts it in force.
    fn find_all(&mut self, pools: &[PoolId], how: Drop, now: Now, effects: &mut Vec<Effect>) {
        let Some(before) = self.snapshot.clone() else { return };
        let model = &before.compiled.model;
        let mut changed = pools.to_vec();
        changed.retain(|id| self.find(model, &model.pools[id.index()], how, now, effects));
        if changed.is_empty() {
            return;
        }
        let next = Arc::new(before.with_found(&self.found_for(model, &changed)));
        let gone = self.changed_targets(&changed, model, &next.compiled.model);
        let cause = Cause::Operator("other endpoints are found".into());
        self.change(&changed, &cause, now, effects, |controller| {
            for key in &gone {
                controller.verdicts.remove(key);
                controller.parts.remove(key);
            }
            controller.brake.set_model(&next.compiled.model, |key| !gone.contains(key));
            controller.snapshot = Some(Arc::clone(&next));
        });
        effects.push(self.want_names(&next.compiled.model));
        self.order_probes(now, effects);
    }

    /// Lets go what is held where there is room for it by now.
    pub(super) fn advance_discoveries(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let holding = self.discoveries.pools.iter().filter(|(_, finding)| !finding.held.is_empty());
        let may_go = |(name, finding): (&str, &Finding)| {
            let pool = self.pool_named(name)?;
            let model = &self.snapshot.as_ref()?.compiled.model;
            let max_drop = model.pools[pool.index()].discover.as_ref()?.max_drop;
            let (size, going) = (finding.endpoints.len(), finding.held.len());
            finding.floor.allows(now.monotonic, size, going, max_drop).then_some(pool)
        };
        let named = holding.map(|(name, finding)| (&**name, finding));
        let due: Vec<PoolId> = named.filter_map(may_go).collect();
        if !due.is_empty() {
            self.find_all(&due, Drop::Guarded, now, effects);
        }
    }

    /// Lets go what is held: `rhumb discovery accept POOL`.
    pub(super) fn accept_discovery(
        &mut self,
        name: &str,
        reason: &str,
        author: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<String, String> {
        if reason.trim().is_empty() {
            return Err("this needs a reason: others will read it at night".into());
        }
        let model = self.model()?;
        let pool = self.pool_named(name).ok_or_else(|| format!("there is no pool {name}"))?;
        if model.pools[pool.index()].discover.is_none() {
            return Err(format!("pool {name} finds no endpoints: it has no key discover"));
        }
        let held = self.discoveries.pools.get(name).map_or(0, |finding| finding.held.len());
        if held == 0 {
            return Err(format!("nothing is held for pool {name}; rhumb status shows what is"));
        }
        let news = News::Accepted { count: held, by: author.into(), reason: reason.into() };
        effects.extend(self.told(&[pool], |_| news.clone()));
        self.find_all(&[pool], Drop::Accepted, now, effects);
        let left = self.discoveries.pools.get(name).map_or(0, |finding| finding.endpoints.len());
        let (gone, left) = (count(held, "endpoint"), count(left, "found endpoint"));
        Ok(format!("pool {name}: {gone} let go, {left} left"))
    }

    fn pool_named(&self, name: &str) -> Option<PoolId> {
        let model = &self.snapshot.as_ref()?.compiled.model;
        model.find_pool(name).filter(|id| model.pools[id.index()].is_written())
    }

    /// Pools that find their endpoints by a source.
    fn pools_of(&self, source: &Source) -> Vec<PoolId> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let has = |pool: &Pool| pool.discover.as_ref().is_some_and(|one| *one.source == *source);
        let pools = snapshot.compiled.model.pools.iter().enumerate();
        pools.filter(|(_, pool)| has(pool)).map(|(at, _)| PoolId::at(at)).collect()
    }

    /// How the source of each pool stands that has one.
    pub fn sources(&self) -> Vec<SourceState> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let pools = snapshot.compiled.model.pools.iter();
        pools.filter_map(|pool| self.source_state(pool)).collect()
    }

    /// How the source of a pool stands, if it has one.
    pub(super) fn source_state(&self, pool: &Pool) -> Option<SourceState> {
        let discovery = pool.discover.as_ref()?;
        let list = self.discoveries.lists.get(&discovery.source);
        let unasked = Finding::default();
        let finding = self.discoveries.pools.get(&pool.name).unwrap_or(&unasked);
        let failing = list.and_then(|list| list.failing.clone());
        Some(SourceState {
            pool: pool.name.clone(),
            source: discovery.source.to_string(),
            found: finding.endpoints.len(),
            refused: finding.refused.len(),
            refused_text: refused_text(&finding.refused),
            failing: failing.or_else(|| finding.useless.clone()),
            held: finding.held.iter().cloned().collect(),
            failures: list.map_or(0, |list| list.failures),
            success: list.and_then(|list| list.success),
        })
    }

    /// The same in words, line by line.
    pub(super) fn source_texts(&self, pool: &Pool) -> Vec<String> {
        let Some(state) = self.source_state(pool) else { return Vec::new() };
        let is_kept = self.discoveries.pools.get(&pool.name).is_some_and(|one| one.is_kept);
        let success = match state.success.map(instant) {
            Some(at) => format!("last told {at}"),
            None if is_kept => "before this start, not told since".into(),
            None => "never".into(),
        };
        let found = count(state.found, "endpoint");
        let mut texts = vec![format!("{} found by {}, {success}", found, state.source)];
        texts.extend(state.failing.map(|why| format!("FAILING, what it told last stays: {why}")));
        if !state.held.is_empty() {
            let held = listed(&state.held);
            let how = format!("`rhumb discovery accept {}` lets them go", state.pool);
            texts.push(format!("HELD, gone from the list at once: {held}; {how}"));
        }
        if state.refused > 0 {
            let refused = count(state.refused, "target");
            texts.push(format!("REFUSED: {refused}: {}", state.refused_text));
        }
        texts
    }

    /// Whether every name that is wanted was resolved and every source asked once, or could not be.
    pub fn has_tried_all(&self) -> bool {
        self.has_tried_names() && self.has_tried_sources()
    }

    /// Whether every source has said something, or failed to.
    fn has_tried_sources(&self) -> bool {
        let Some(snapshot) = &self.snapshot else { return true };
        let lists = &self.discoveries.lists;
        let is_tried = |source: &Arc<Source>| lists.contains_key(source);
        wanted(&snapshot.compiled.model).iter().all(is_tried)
    }
}

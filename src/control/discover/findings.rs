//! What each pool has found, and which of it may have changed since it was written last: endpoint by endpoint, so that a
//! long list in which one target changes costs one row.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Deref;

use crate::control::discover::finding::Finding;
use crate::control::stored;
use crate::control::stored::FindingForm;
use crate::control::stored::FoundForm;
use crate::control::stored::Stored;
use crate::model::Endpoint;
use crate::model::Now;

/// What each pool has found. It is read as the map inside.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pools: BTreeMap<Box<str>, Finding>,
    /// Pools whose settings or whose window may be others.
    touched: BTreeSet<Box<str>>,
    /// Pools with endpoints that may be others.
    endpoints: BTreeSet<(Box<str>, Box<str>)>,
}

impl Deref for Findings {
    type Target = BTreeMap<Box<str>, Finding>;

    fn deref(&self) -> &Self::Target {
        &self.pools
    }
}

impl Findings {
    /// Puts in place what a pool has found.
    pub(super) fn insert(&mut self, pool: Box<str>, next: Finding) {
        let unheard = Finding::default();
        let before = self.pools.get(&pool).unwrap_or(&unheard);
        let is_same = |name: &str| {
            before.endpoints.get(name) == next.endpoints.get(name)
                && before.held.contains(name) == next.held.contains(name)
        };
        let names = before.endpoints.keys().chain(next.endpoints.keys());
        let others = names.filter(|name| !is_same(name));
        self.endpoints.extend(others.map(|name| (pool.clone(), name.clone())));
        if (before.judged, &before.floor) != (next.judged, &next.floor) {
            self.touched.insert(pool.clone());
        }
        self.pools.insert(pool, next);
    }

    /// Forgets what belongs to no pool any more.
    pub(super) fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        let gone: Vec<Box<str>> = self.pools.keys().filter(|name| !keeps(name)).cloned().collect();
        for pool in gone {
            self.touch(&pool);
            self.pools.remove(&pool);
        }
    }

    fn touch(&mut self, pool: &str) {
        let Some(finding) = self.pools.get(pool) else { return };
        let names = finding.endpoints.keys();
        self.endpoints.extend(names.map(|name| (pool.into(), name.clone())));
        self.touched.insert(pool.into());
    }

    /// Has everything written once more.
    pub(super) fn touch_all(&mut self) {
        let pools: Vec<Box<str>> = self.pools.keys().cloned().collect();
        pools.iter().for_each(|pool| self.touch(pool));
    }

    /// Puts back an endpoint that was found before the start.
    pub(super) fn restore(
        &mut self,
        pool: Box<str>,
        name: Box<str>,
        endpoint: Endpoint,
        held: bool,
    ) {
        let finding = self.pools.entry(pool.clone()).or_default();
        finding.is_kept = true;
        if held {
            finding.held.insert(name.clone());
        }
        finding.endpoints.insert(name.clone(), endpoint);
        self.endpoints.insert((pool, name));
    }

    /// Puts back by what it was judged, and what went lately.
    pub(super) fn restore_terms(&mut self, form: FindingForm, now: Now) {
        let finding = self.pools.entry(form.pool.clone()).or_default();
        finding.judged = Some(form.settings);
        finding.floor = form.floor(now);
        finding.is_kept = true;
        self.touched.insert(form.pool);
    }

    /// What may have changed since the last time, by its key.
    pub(super) fn take_touched(&mut self, now: Now, note: &mut impl FnMut(String, Option<Stored>)) {
        for (pool, name) in std::mem::take(&mut self.endpoints) {
            let finding = self.pools.get(&pool);
            let found = finding.and_then(|finding| {
                let held = finding.held.contains(&name);
                let form = FoundForm::of(&pool, &name, finding.endpoints.get(&name)?, held);
                Some(Stored::Found(form))
            });
            note(stored::found_key(&pool, &name), found);
        }
        for pool in std::mem::take(&mut self.touched) {
            let terms = self.pools.get(&pool).and_then(|finding| {
                let form = FindingForm::of(&pool, finding.judged?, &finding.floor, now);
                Some(Stored::Finding(form))
            });
            note(stored::finding_key(&pool), terms);
        }
    }
}

//! What went down lately, and how much of it at each site: counted as it comes, for all may go down at once.

use std::time::Duration;

use crate::control::tracked::Tracked;
use crate::model::SiteId;
use crate::model::TargetKey;

/// Losses that count against the budget of the brake.
#[derive(Debug, Default)]
pub(super) struct Losses {
    kept: Tracked<TargetKey, (SiteId, Duration)>,
    /// How many there are, by position of the site.
    by_site: Vec<u64>,
    /// None of them is older.
    oldest: Duration,
}

impl Losses {
    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many there are at each of so many sites.
    pub(super) fn at_sites(&self, count: usize) -> Vec<u64> {
        let known = self.by_site.iter().copied().chain(std::iter::repeat(0));
        known.take(count).collect()
    }

    /// Each with when it went.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TargetKey, Duration)> {
        self.kept.iter().map(|(key, (_, at))| (key, *at))
    }

    /// When a target went, if it counts.
    pub(super) fn when(&self, key: &TargetKey) -> Option<Duration> {
        self.kept.get(key).map(|(_, at)| *at)
    }

    pub(super) fn insert(&mut self, key: TargetKey, site: SiteId, at: Duration) {
        self.oldest = if self.kept.is_empty() { at } else { self.oldest.min(at) };
        if let Some((before, _)) = self.kept.insert(key, (site, at)) {
            self.by_site[before.index()] -= 1;
        }
        let sites = self.by_site.len().max(site.index() + 1);
        self.by_site.resize(sites, 0);
        self.by_site[site.index()] += 1;
    }

    pub(super) fn remove(&mut self, key: &TargetKey) {
        if let Some((site, _)) = self.kept.remove(key) {
            self.by_site[site.index()] -= 1;
        }
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&TargetKey, Duration) -> bool) {
        self.kept.retain(|key, (_, at)| keeps(key, *at));
        self.by_site.fill(0);
        self.kept.values().for_each(|(site, _)| self.by_site[site.index()] += 1);
        self.oldest = self.kept.values().map(|(_, at)| *at).min().unwrap_or_default();
    }

    /// Forgets those that were before a moment; looks at each only if there is one.
    pub(super) fn forget_before(&mut self, moment: Duration) {
        if !self.kept.is_empty() && self.oldest < moment {
            self.retain(|_, at| at >= moment);
        }
    }

    /// Takes everything out.
    pub(super) fn take_all(&mut self) -> Vec<(TargetKey, Duration)> {
        self.by_site.clear();
        self.kept.take_all().into_iter().map(|(key, (_, at))| (key, at)).collect()
    }

    /// A target whose loss is to be looked at by whoever writes them down.
    pub(super) fn touch(&mut self, key: TargetKey) {
        self.kept.touch(key);
    }

    /// The same of all.
    pub(super) fn touch_all(&mut self) {
        self.kept.touch_all();
    }

    /// Those that changed since the last time.
    pub(super) fn take_touched(&mut self) -> impl Iterator<Item = TargetKey> + use<> {
        self.kept.take_touched().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;
    use proptest::prelude::*;

    fn key(number: u8) -> TargetKey {
        let endpoint = format!("p/{number}").into();
        TargetKey { endpoint, check: "c".into(), family: Family::V4, address: None }
    }

    #[derive(Clone, Debug)]
    enum Order {
        Insert(u8, usize, u64),
        Remove(u8),
        Forget(u64),
        TakeAll,
    }

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            6 => (0..9u8, 0..4usize, 0..100u64).prop_map(|(key, site, at)| Order::Insert(key, site, at)),
            3 => (0..9u8).prop_map(Order::Remove),
            2 => (0..100u64).prop_map(Order::Forget),
            1 => Just(Order::TakeAll),
        ]
    }

    proptest! {
        /// The twin counts anew each time.
        #[test]
        fn counts_are_those_of_a_plain_list(orders in prop::collection::vec(order(), 0..60)) {
            let mut losses = Losses::default();
            let mut twin: Vec<(u8, usize, u64)> = Vec::new();
            for order in orders {
                match order {
                    Order::Insert(number, site, at) => {
                        losses.insert(key(number), SiteId::at(site), Duration::from_secs(at));
                        twin.retain(|(other, ..)| *other != number);
                        twin.push((number, site, at));
                    }
                    Order::Remove(number) => {
                        losses.remove(&key(number));
                        twin.retain(|(other, ..)| *other != number);
                    }
                    Order::Forget(moment) => {
                        losses.forget_before(Duration::from_secs(moment));
                        twin.retain(|(.., at)| *at >= moment);
                    }
                    Order::TakeAll => {
                        prop_assert_eq!(losses.take_all().len(), twin.len());
                        twin.clear();
                    }
                }
                let count = |site| twin.iter().filter(|(_, other, _)| *other == site).count() as u64;
                prop_assert_eq!(losses.at_sites(4), (0..4).map(count).collect::<Vec<_>>());
                prop_assert_eq!(losses.len(), twin.len());
            }
        }
    }
}

//! Which sites probe a shard, where not all do: rendezvous, spread over regions.

use std::collections::BTreeSet;
use std::time::Duration;

/// How long sites must be as they are before shards move.
///
/// Source: design, section 4 of the issue on clusters: a node that restarts moves nothing.
pub const STABLE: Duration = Duration::from_secs(15);

/// A site that may probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its position.
    pub site: usize,
    /// Its name: positions may differ from node to node while files change.
    pub name: &'a str,
    /// Where in the world it is.
    pub region: Option<&'a str>,
}

/// The `count` sites that probe a shard: the best of each region first, then the rest by score.
pub fn assigned(seed: u64, count: usize, candidates: &[Candidate<'_>]) -> BTreeSet<usize> {
    let mut ranked: Vec<(u64, &Candidate<'_>)> =
        candidates.iter().map(|candidate| (score(seed, candidate.name), candidate)).collect();
    ranked.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.name.cmp(other.name)));
    let mut chosen = BTreeSet::new();
    while chosen.len() < count {
        let mut regions = BTreeSet::new();
        let before = chosen.len();
        for (_, Candidate { site, region, .. }) in &ranked {
            if chosen.len() == count || chosen.contains(site) {
                continue;
            }
            // A site of no known region is nobody's neighbour.
            if region.is_none_or(|region| regions.insert(region)) {
                chosen.insert(*site);
            }
        }
        if chosen.len() == before {
            break;
        }
    }
    chosen
}

/// FNV-1a of the shard and the name, mixed once more (the finalizer of splitmix64) so that near names are far apart.
fn score(seed: u64, name: &str) -> u64 {
    let octets = seed.to_be_bytes().into_iter().chain(name.bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Live sites, as long as it takes to believe that they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stable {
    believed: BTreeSet<usize>,
    /// What is there instead, and since when.
    other: Option<(BTreeSet<usize>, Duration)>,
}

impl Stable {
    /// At first all sites are believed to live: a start moves nothing.
    pub fn new(sites: usize) -> Self {
        Self { believed: (0..sites).collect(), other: None }
    }

    /// Takes in which sites live now; true if that is believed from now on and was not before.
    pub fn observe(&mut self, live: BTreeSet<usize>, now: Duration) -> bool {
        if live == self.believed {
            self.other = None;
            return false;
        }
        match &self.other {
            Some((other, since)) if *other == live => {
                if now < *since + STABLE {
                    return false;
                }
                self.other = None;
                self.believed = live;
                true
            }
            Some(_) | None => {
                self.other = Some((live, now));
                false
            }
        }
    }

    /// The sites have other positions from now on, `None` of those that are no more. A new one is believed in time.
    pub fn renumber(&mut self, position: impl Fn(usize) -> Option<usize>) {
        self.believed = self.believed.iter().filter_map(|site| position(*site)).collect();
        self.other = None;
    }

    /// The sites that are believed to live.
    pub fn believed(&self) -> &BTreeSet<usize> {
        &self.believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, Option<&str>); 6] = [
        ("fra", Some("EU")),
        ("ams", Some("EU")),
        ("iad", Some("NA")),
        ("sjc", Some("NA")),
        ("sin", Some("AS")),
        ("ship", None),
    ];

    fn candidates(sites: &[usize]) -> Vec<Candidate<'static>> {
        let candidate = |&site: &usize| {
            let (name, region) = NAMES[site];
            Candidate { site, name, region }
        };
        sites.iter().map(candidate).collect()
    }

    fn region_count(chosen: &BTreeSet<usize>) -> usize {
        let regions: BTreeSet<_> = chosen.iter().filter_map(|site| NAMES[*site].1).collect();
        regions.len()
    }

    #[test]
    fn sites_are_spread_over_regions_and_shards_over_sites() {
        let all = candidates(&[0, 1, 2, 3, 4]);
        let mut load = [0; 5];
        for seed in 0..3000 {
            let chosen = assigned(seed, 3, &all);
            assert_eq!((chosen.len(), region_count(&chosen)), (3, 3), "{seed}");
            chosen.iter().for_each(|site| load[*site] += 1);
            assert_eq!(assigned(seed, 4, &all).len(), 4);
            assert!(assigned(seed, 4, &all).is_superset(&chosen), "one more moves nothing");
        }
        assert_eq!(load[4], 3000, "the only one of its region");
        assert!(load[..4].iter().all(|load| (1350..1650).contains(load)), "{load:?}");
    }

    #[test]
    fn fewer_sites_than_asked_for_are_all_of_them() {
        assert_eq!(assigned(1, 3, &candidates(&[0, 1])), BTreeSet::from([0, 1]));
        assert_eq!(assigned(1, 3, &[]), BTreeSet::new());
        assert_eq!(assigned(1, 2, &candidates(&[5, 0])), BTreeSet::from([0, 5]));
    }

    #[test]
    fn a_lost_site_moves_its_own_shards_only() {
        let (all, left) = (candidates(&[0, 1, 2, 3, 4, 5]), candidates(&[0, 1, 2, 4, 5]));
        let mut moved = 0;
        for seed in 0..1000 {
            let (before, after) = (assigned(seed, 2, &all), assigned(seed, 2, &left));
            if before.contains(&3) {
                moved += 1;
            } else {
                assert_eq!(before, after, "{seed}");
            }
        }
        assert!((100..700).contains(&moved), "{moved}");
    }

    #[test]
    fn the_order_of_candidates_does_not_matter() {
        let (one, two) = (candidates(&[0, 1, 2, 3, 4, 5]), candidates(&[5, 3, 1, 4, 2, 0]));
        assert!((0..500).all(|seed| assigned(seed, 3, &one) == assigned(seed, 3, &two)));
    }

    #[test]
    fn with_other_sites_those_that_stay_are_believed_and_a_new_one_is_in_time() {
        let s = Duration::from_secs;
        let mut stable = Stable::new(3);
        stable.observe(BTreeSet::from([0, 2]), s(90));
        // The second is gone, and there is a new first one.
        stable.renumber(|site| (site != 1).then_some(if site == 0 { 1 } else { 2 }));
        assert_eq!(*stable.believed(), BTreeSet::from([1, 2]));
        let all = BTreeSet::from([0, 1, 2]);
        assert!(!stable.observe(all.clone(), s(100)) && stable.observe(all, s(115)));
    }

    #[test]
    fn shards_move_after_fifteen_seconds_of_peace() {
        let s = Duration::from_secs;
        let (all, two) = (BTreeSet::from([0, 1, 2]), BTreeSet::from([0, 1]));
        let mut stable = Stable::new(3);
        assert!(!stable.observe(two.clone(), s(100)) && !stable.observe(two.clone(), s(114)));
        assert!(!stable.observe(all.clone(), s(114)), "it is back");
        assert!(!stable.observe(two.clone(), s(115)) && !stable.observe(two.clone(), s(129)));
        assert!(!stable.observe(BTreeSet::from([0]), s(129)), "another one is gone, too");
        assert_eq!(*stable.believed(), all);
        assert!(!stable.observe(two.clone(), s(130)) && stable.observe(two.clone(), s(145)));
        assert_eq!(*stable.believed(), two);
        assert!(!stable.observe(two, s(146)), "once");
    }
}

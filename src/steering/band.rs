//! Bands: how far clients are from a pool, by sixteenths of those whose first choice it is. Shedding goes by them.
//!
//! Knows distances as numbers and no places: who counts as whose is settled where classes are made.

use crate::model::PoolId;
use crate::steering::tree::Tree;

/// How many bands there are; a pool sheds at most all but the nearest.
pub const BANDS: u8 = 16;

/// Candidates of one client that get a band of their own; farther ones are all in the last.
pub const BANDED_DEPTH: usize = 4;

/// A sixteenth of a pool's clients: 0 are the nearest, 15 the farthest and all that are farther than any of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Band(pub u8);

impl Band {
    /// The nearest, and all of whom nobody knows where they are: never shed.
    pub const NEAREST: Self = Self(0);
    /// The farthest: the first to be shed.
    pub const FARTHEST: Self = Self(BANDS - 1);
}

/// The bands of one class of clients; most classes have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bands {
    /// For pools that are not named.
    others: Band,
    /// By pool, ascending.
    named: Box<[(PoolId, Band)]>,
}

impl Bands {
    /// Bands by pool, which ascend; `others` is for all other pools.
    pub fn new(named: Vec<(PoolId, Band)>, others: Band) -> Self {
        debug_assert!(named.is_sorted_by_key(|(pool, _)| *pool));
        Self { others, named: named.into() }
    }

    /// The band in which a pool sees the clients.
    pub fn of(&self, pool: PoolId) -> Band {
        match self.named.binary_search_by_key(&pool, |(other, _)| *other) {
            Ok(position) => self.named[position].1,
            Err(_) => self.others,
        }
    }
}

/// A class of clients: what steers them, the same for all of them but for their keys.
#[derive(Clone, Copy, Debug)]
pub struct Class<'a> {
    /// Its candidates.
    pub tree: &'a Tree,
    /// How far it is from pools that shed; `None` if none of its candidates does.
    pub bands: Option<&'a Bands>,
}

impl<'a> Class<'a> {
    /// A class that no pool sheds.
    pub fn unbanded(tree: &'a Tree) -> Self {
        Self { tree, bands: None }
    }

    /// The band in which a pool sees it.
    #[inline]
    pub fn band_of(self, pool: PoolId) -> Band {
        self.bands.map_or(Band::NEAREST, |bands| bands.of(pool))
    }
}

/// Where the bands of a pool end: farther than the last is the last band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edges([u64; BANDS as usize - 1]);

impl Edges {
    /// The edges for a population of (metres, how many); none without anybody.
    ///
    /// Clients at one distance are of one band, the nearest that any of them is in.
    pub fn of(mut population: Vec<(u64, u128)>) -> Option<Self> {
        population.sort_unstable();
        let total: u128 = population.iter().map(|(_, count)| count).sum();
        let mut edges = [0; BANDS as usize - 1];
        let (mut nearer, mut next) = (0, 0);
        if total == 0 {
            return None;
        }
        for (metres, count) in population {
            nearer += count;
            while next < edges.len() && nearer * u128::from(BANDS) >= total * (next as u128 + 1) {
                edges[next] = metres;
                next += 1;
            }
        }
        Some(Self(edges))
    }

    /// The band of clients so many metres away.
    pub fn band_of(&self, metres: u64) -> Band {
        Band(self.0.partition_point(|edge| *edge < metres) as u8)
    }
}

/// A whole, of which shares of clients are parts.
pub const WHOLE: u64 = 1 << 24;

/// Calls `visit` with each pool that can be a client's first candidate while all are healthy, and its share of clients.
pub fn for_each_first(tree: &Tree, share: u64, visit: &mut impl FnMut(PoolId, u64)) {
    match tree {
        Tree::Pool(pool) => visit(*pool, share),
        Tree::Ordered { children, .. } => {
            if let Some(first) = children.first() {
                for_each_first(first, share, visit);
            }
        }
        Tree::Weighted { branches, .. } => {
            let total: u64 = branches.iter().map(|branch| u64::from(branch.weight)).sum();
            for branch in branches {
                let share = share * u64::from(branch.weight) / total.max(1);
                for_each_first(&branch.tree, share, visit);
            }
        }
    }
}

/// Calls `visit` with each pool that can be among the first `depth` candidates of a client; one may come twice.
pub fn for_each_near(tree: &Tree, depth: usize, visit: &mut impl FnMut(PoolId)) {
    near(tree, 0, depth, visit);
}

/// As [`for_each_near`] below a candidate that comes after `before` others; how many come before the one after it.
fn near(tree: &Tree, before: usize, depth: usize, visit: &mut impl FnMut(PoolId)) -> usize {
    if before >= depth {
        return before;
    }
    match tree {
        Tree::Pool(pool) => {
            visit(*pool);
            before + 1
        }
        Tree::Ordered { children, .. } => {
            children.iter().fold(before, |before, child| near(child, before, depth, visit))
        }
        Tree::Weighted { branches, .. } => {
            // Any of them may be the first.
            let ends = branches.iter().map(|branch| near(&branch.tree, before, depth, visit));
            ends.fold(usize::MAX, usize::min)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_band_has_a_sixteenth_of_all() {
        let edges = Edges::of((0..160).map(|metres| (metres, 1)).collect()).unwrap();
        let count = |band| (0..160).filter(|metres| edges.band_of(*metres) == Band(band)).count();
        assert!((0..BANDS).all(|band| count(band) == 10));
        assert_eq!(edges.band_of(1_000), Band::FARTHEST);
    }

    #[test]
    fn those_at_one_distance_are_of_one_band_the_nearest_of_theirs() {
        let edges = Edges::of(vec![(10, 4), (20, 8), (30, 4)]).unwrap();
        let bands = [10, 11, 20, 21, 30, 31].map(|metres| edges.band_of(metres).0);
        assert_eq!(bands, [0, 4, 4, 12, 12, 15]);
        assert_eq!(Edges::of(vec![(7, 100)]).unwrap().band_of(7), Band::NEAREST);
    }

    #[test]
    fn nobody_has_no_edges() {
        assert_eq!(Edges::of(Vec::new()), None);
        assert_eq!(Edges::of(vec![(5, 0)]), None);
    }

    #[test]
    fn only_four_candidates_are_near() {
        let tree = Tree::Ordered {
            children: (0..9).map(|pool| Tree::Pool(PoolId(pool))).collect(),
            fence: false,
        };
        let mut seen = Vec::new();
        for_each_near(&tree, BANDED_DEPTH, &mut |pool| seen.push(pool.0));
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}

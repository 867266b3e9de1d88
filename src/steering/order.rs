//! Who decides the order of a weighted policy's targets: a client's key, or whoever goes through all orders.

use crate::steering::Pass;
use crate::steering::rendezvous::ClientKey;
use crate::steering::rendezvous::NameSeed;
use crate::steering::rendezvous::Score;
use crate::steering::tree::Branch;

/// Ranks the targets of weighted policies. Copied along a walk, as a key is.
pub trait Rank: Copy {
    /// A pass begins its walk.
    fn begin(self, pass: Pass);

    /// The branch that comes next among those whose bit is set in `left`, which is not 0; `is_first`: the client's own
    /// share.
    fn best_of(self, branches: &[Branch], left: u64, is_first: bool) -> usize;

    /// Whether a pool that takes so many tenths of its clients takes this one; `seed` is the pool's.
    fn is_within_tenths(self, seed: NameSeed, tenths: u8) -> bool;
}

impl Rank for ClientKey {
    #[inline(always)]
    fn begin(self, _: Pass) {}

    /// The best score; the earlier of equals.
    #[inline]
    fn best_of(self, branches: &[Branch], left: u64, _: bool) -> usize {
        let mut best: Option<(usize, Score)> = None;
        let mut rest = left;
        while rest != 0 {
            let position = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let score = Score::of(self, branches[position].seed, branches[position].weight);
            if best.is_none_or(|(_, other)| score.beats(other)) {
                best = Some((position, score));
            }
        }
        best.map_or(0, |(position, _)| position)
    }

    #[inline]
    fn is_within_tenths(self, seed: NameSeed, tenths: u8) -> bool {
        Self::is_within_tenths(self, seed, tenths)
    }
}

//! The first choice among many, mostly without a logarithm: the same as by scores, to the bit.
//!
//! With `x = 1 - u`, `-ln(u)` is at least `x` and little more. So the least `x / weight` comes first, unless that of
//! another is so near that only the scores can tell.

use crate::steering::rendezvous::Bar;
use crate::steering::rendezvous::ClientKey;
use crate::steering::rendezvous::FAR_BITS;
use crate::steering::rendezvous::NameSeed;
use crate::steering::rendezvous::Score;
use crate::steering::rendezvous::far;

/// What rendezvous chooses from: targets of a weighted policy, members of a pool.
pub trait Alternative {
    /// Hash of its name.
    fn seed(&self) -> NameSeed;

    /// Its share, not 0.
    fn weight(&self) -> u16;

    /// That of its share.
    fn reciprocal(&self) -> Reciprocal;
}

/// 2^31 divided by a weight, rounded down: too small by less than 2^-14 of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reciprocal(u32);

impl Reciprocal {
    /// That of a weight; 0 counts as 1.
    pub fn of(weight: u16) -> Self {
        Self((1 << 31) / u32::from(weight.max(1)))
    }
}

/// The alternative with the best score; the earlier of equals.
#[inline]
pub fn first_of<A: Alternative>(alternatives: &[A], key: ClientKey) -> Option<&A> {
    let mut best =
        Nearest { distance: u64::MAX, far: u64::MAX, alternative: alternatives.first()? };
    let mut second = u64::MAX;
    for alternative in alternatives {
        let far = far(key, alternative.seed());
        let reciprocal = u64::from(alternative.reciprocal().0);
        if far * reciprocal < second {
            let distance = at_least(far) * reciprocal;
            if distance < best.distance {
                second = best.distance;
                best = Nearest { distance, far, alternative };
            } else {
                second = second.min(distance);
            }
        }
    }
    let reciprocal = u64::from(best.alternative.reciprocal().0);
    if best.far < MOST_UP_TO && at_most(best.far) * reciprocal < second {
        return Some(best.alternative);
    }
    first_by_scores(alternatives, key, best.alternative)
}

/// The one that seems to be first.
struct Nearest<'a, A> {
    /// `-ln(u) / weight` is no less, but for the rounding of the reciprocal.
    distance: u64,
    /// [`far`].
    far: u64,
    alternative: &'a A,
}

/// No more than `-ln(1 - x)`, of an `x` in units of 2^-31: the first two terms of its series.
#[inline]
fn at_least(far: u64) -> u64 {
    far + ((far * far) >> (FAR_BITS + 1))
}

/// The largest `x` for which [`at_most`] holds: 9/16.
const MOST_UP_TO: u64 = 9 << (FAR_BITS - 4);

/// No less than `-ln(1 - x)` as the table has it, and 2^-14 more for reciprocals.
///
/// Up to 9/16 the logarithm is at most `x + x²/2 + 5/8 x³`: the rest of the series, divided by x², is convex, and less
/// at both ends. The table is too large by less than 2^-11 of the logarithm and some units of 2^-40.
#[inline]
fn at_most(far: u64) -> u64 {
    let x = far + 2; // rounded up, and a unit for those of the table
    let square = (x * x) >> FAR_BITS;
    let more = (x >> 1) + ((square * 5) >> 3) + (1 << (FAR_BITS - 10));
    x + ((x * more) >> FAR_BITS) + 1
}

/// As [`first_of`], by scores: of all that may be better than `likely`.
#[inline(never)]
fn first_by_scores<'a, A: Alternative>(
    alternatives: &'a [A],
    key: ClientKey,
    likely: &A,
) -> Option<&'a A> {
    let bar = Bar::new(Score::of(key, likely.seed(), likely.weight()));
    let mut best: Option<(&'a A, Score)> = None;
    for alternative in alternatives {
        let (seed, weight) = (alternative.seed(), alternative.weight());
        if bar.is_some_and(|bar| bar.is_out_of_reach(key, seed, weight)) {
            continue;
        }
        let score = Score::of(key, seed, weight);
        if best.is_none_or(|(_, other)| score.beats(other)) {
            best = Some((alternative, score));
        }
    }
    best.map(|(alternative, _)| alternative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::rendezvous::mix;
    use crate::steering::rendezvous::natural_log_of;

    impl Alternative for (NameSeed, u16) {
        fn seed(&self) -> NameSeed {
            self.0
        }

        fn weight(&self) -> u16 {
            self.1
        }

        fn reciprocal(&self) -> Reciprocal {
            Reciprocal::of(self.1)
        }
    }

    /// Every score, and the best of them.
    fn by_all_scores(alternatives: &[(NameSeed, u16)], key: ClientKey) -> Option<usize> {
        let mut best: Option<(usize, Score)> = None;
        for (position, (seed, weight)) in alternatives.iter().enumerate() {
            let score = Score::of(key, *seed, *weight);
            if best.is_none_or(|(_, other)| score.beats(other)) {
                best = Some((position, score));
            }
        }
        best.map(|(position, _)| position)
    }

    #[test]
    fn the_first_is_the_one_with_the_best_of_all_scores() {
        let mut state = 11u64;
        let mut draw = || {
            state = mix(state);
            state
        };
        for round in 0..60_000 {
            let key = ClientKey(draw());
            let count = draw() % [3, 9, 65][round % 3];
            let weights = [1, 1, 2, 50, 51, 53, 100, 65_535];
            let alike = draw() % 4;
            let mut alternatives: Vec<(NameSeed, u16)> = (0..count)
                .map(|_| (NameSeed(draw()), weights[(draw() % (1 << alike)) as usize]))
                .collect();
            // The same name again: the earlier of equals.
            if let (Some(&again), true) = (alternatives.first(), round % 5 == 0) {
                alternatives.push(again);
            }
            let expected = by_all_scores(&alternatives, key).map(|at| &raw const alternatives[at]);
            let first = first_of(&alternatives, key).map(|first| &raw const *first);
            assert_eq!(first, expected, "{key:?} {alternatives:?}");
        }
    }

    #[test]
    fn near_scores_are_told_apart() {
        let mut hash = 5u64;
        for round in 0..300_000u32 {
            hash = mix(hash);
            let key = ClientKey(0);
            // Hashes that differ in their last bits: so near are the two.
            let near = |hash: u64| NameSeed(unmixed(hash));
            let best = !(hash >> (round % 40));
            let other = best.wrapping_sub(hash >> (20 + round % 43));
            let alternatives = [(near(other), 7), (near(best), 7), (near(best), 7)];
            let expected = by_all_scores(&alternatives, key).unwrap();
            let first = first_of(&alternatives, key).unwrap();
            assert!(std::ptr::eq(first, &raw const alternatives[expected]), "{best} {other}");
        }
    }

    /// What [`mix`] makes this hash of.
    fn unmixed(hash: u64) -> u64 {
        let undo = |value: u64, shift: u32| {
            (0..64 / shift).fold(value, |so_far, _| value ^ (so_far >> shift))
        };
        let z = undo(hash, 31).wrapping_mul(0x3196_42b2_d24d_8ec3);
        let z = undo(z, 27).wrapping_mul(0x96de_1b17_3f11_9089);
        undo(z, 30).wrapping_sub(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_logarithm_lies_between_the_distance_and_the_most_it_can_be() {
        let mut hash = 9u64;
        let (mut within, mut tightest) = (0, f64::MAX);
        for round in 0..400_000u32 {
            hash = mix(hash);
            let hash = !(hash >> (round % 64));
            let far = !hash >> (64 - FAR_BITS);
            let log = natural_log_of(hash) * f64::from(1u32 << FAR_BITS);
            assert!(at_least(far) as f64 <= log, "{hash}");
            if far < MOST_UP_TO {
                within += 1;
                let most = at_most(far) as f64;
                assert!(most >= log * (1.0 + 2f64.powi(-14)), "{hash}");
                tightest = tightest.min(most / log);
            }
        }
        assert!(within > 300_000 && tightest < 1.002, "{within} {tightest}");
    }

    #[test]
    fn reciprocals_are_too_small_by_less_than_one_in_16_384() {
        for weight in 1..=u16::MAX {
            let product = u64::from(Reciprocal::of(weight).0) * u64::from(weight);
            assert!(product <= 1 << 31 && product + (1 << 17) > 1 << 31, "{weight}");
        }
    }
}

//! Weights by which a target has a share: what a shift comes to at each of its steps. Knows no records and no time.

use std::fmt;

use crate::model::WeightedTarget;

/// A share of a whole, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Billionths(pub u32);

impl Billionths {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(1_000_000_000);

    fn of(part: u32, whole: u32) -> Self {
        let share = u64::from(part) * u64::from(Self::ALL.0) / u64::from(whole.max(1));
        Self(share as u32)
    }
}

impl fmt::Display for Billionths {
    /// As a percentage with at most three digits after the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = (self.0 + 5_000) / 10_000;
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        write!(f, "{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The share of a target by the weights of the files.
pub(super) fn share_of(targets: &[WeightedTarget], place: usize) -> Billionths {
    let all = targets.iter().map(|target| u32::from(target.weight)).sum();
    Billionths::of(u32::from(targets[place].weight), all)
}

/// Weights by which the target at `place` has `share`, and the others stand to one another as in the files.
///
/// All are multiplied by one factor, which changes no order of scores: the same factor for every share between the two
/// `ends`, so that while the share grows clients move to the target only. An error says that 16 bits do not hold it.
pub(super) fn weigh(
    targets: &[WeightedTarget],
    place: usize,
    share: Billionths,
    ends: [Billionths; 2],
) -> Result<Vec<u16>, String> {
    let mut others: Vec<u64> = targets.iter().map(|target| u64::from(target.weight)).collect();
    others[place] = 0;
    let sum: u64 = others.iter().sum();
    if sum == 0 {
        return Err("no other target has a weight, so this one has all clients already".into());
    }
    // The way to everything ends with a step of its own: until then nearly everything.
    let needed = ends.into_iter().filter(|end| *end != Billionths::ALL).max();
    let goal = if ends.contains(&Billionths::ALL) { needed.max(Some(NEARLY_ALL)) } else { needed };
    let mut factor = largest_factor(&others, goal);
    if factor.is_none() {
        let divisor = others.iter().copied().fold(0, greatest_common_divisor);
        others.iter_mut().for_each(|weight| *weight /= divisor);
        factor = largest_factor(&others, goal).or(largest_factor(&others, needed));
    }
    let factor = factor.ok_or_else(|| {
        let share = needed.unwrap_or(NEARLY_ALL);
        format!("the other weights, together {sum}, are too large for a share of {share}: use smaller ones")
    })?;
    let own = against(others.iter().sum::<u64>() * factor, share).min(u64::from(u16::MAX));
    let weight = |(position, other): (usize, &u64)| match (position == place, share) {
        (true, Billionths::ALL) => 1,
        (true, _) => own as u16,
        (false, Billionths::ALL) => 0,
        (false, _) => (other * factor) as u16,
    };
    Ok(others.iter().enumerate().map(weight).collect())
}

/// As near to everything as the steps before the last come.
const NEARLY_ALL: Billionths = Billionths(990_000_000);

/// The weight that has `share` beside others of this sum.
fn against(others: u64, Billionths(share): Billionths) -> u64 {
    let (share, rest) = (u64::from(share), u64::from(Billionths::ALL.0 - share));
    (others * share + rest / 2) / rest.max(1)
}

/// The largest factor with which the others, and a target that has `share` beside them, fit 16 bits.
fn largest_factor(others: &[u64], share: Option<Billionths>) -> Option<u64> {
    let sum: u64 = others.iter().sum();
    let most = others.iter().copied().max().filter(|most| *most > 0)?;
    let fits = |factor: u64| {
        let own = share.map_or(0, |share| against(sum * factor, share));
        (most * factor).max(own) <= u64::from(u16::MAX)
    };
    let (mut low, mut high) = (0, u64::from(u16::MAX) / most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    (low > 0).then_some(low)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::shift::STEPS;
    use crate::model::PoolId;
    use crate::model::Target;
    use proptest::prelude::*;

    fn targets(weights: &[u16]) -> Vec<WeightedTarget> {
        let target = |(position, &weight)| WeightedTarget {
            target: Target::Pool(PoolId::at(position)),
            weight,
            spill: true,
        };
        weights.iter().enumerate().map(target).collect()
    }

    fn percent(percent: u32) -> Billionths {
        Billionths(percent * 10_000_000)
    }

    #[test]
    fn shares_are_shown_as_percentages() {
        for (share, shown) in
            [(0, "0 %"), (50_000_000, "5 %"), (333_333_333, "33.333 %"), (1_000_000_000, "100 %")]
        {
            assert_eq!(Billionths(share).to_string(), shown);
        }
    }

    #[test]
    fn the_first_step_is_what_the_files_say_and_the_last_what_was_asked() {
        let files = targets(&[95, 5]);
        let ends = [share_of(&files, 1), percent(50)];
        let first = weigh(&files, 1, ends[0], ends).unwrap();
        assert_eq!(u32::from(first[0]) * 5, u32::from(first[1]) * 95);
        let last = weigh(&files, 1, ends[1], ends).unwrap();
        assert_eq!(last[0], last[1]);
        assert_eq!(weigh(&files, 1, Billionths::ALL, [ends[0], Billionths::ALL]).unwrap(), [0, 1]);
        assert_eq!(weigh(&files, 1, Billionths::NONE, [ends[0], Billionths::NONE]).unwrap()[1], 0);
    }

    #[test]
    fn what_16_bits_cannot_hold_is_refused() {
        let files = targets(&[60_000, 1, 59_999]);
        let ends = [share_of(&files, 1), percent(90)];
        assert!(weigh(&files, 1, percent(90), ends).unwrap_err().contains("too large"));
        let files = targets(&[60_000, 1]);
        let ends = [share_of(&files, 1), percent(90)];
        let [other, own] = weigh(&files, 1, percent(90), ends).unwrap()[..] else { panic!("two") };
        assert_eq!(own, 9 * other, "one other can be made smaller");
        assert!(weigh(&targets(&[0, 1]), 1, percent(50), [percent(100), percent(50)]).is_err());
    }

    #[test]
    fn on_the_way_to_nearly_everything_a_share_is_as_fine_as_16_bits_allow() {
        let files = targets(&[0, 1]);
        let ends = [share_of(&files, 0), Billionths(998_704_674)];
        let last = weigh(&files, 0, ends[1], ends).unwrap();
        assert_eq!(last, [64_765, 84]);
        // 3.995 % beside 84 would be 3.495: whole weights come no nearer than half a point.
        assert_eq!(weigh(&files, 0, Billionths(39_948_186), ends).unwrap(), [3, 84]);
    }

    proptest! {
        #[test]
        fn weights_rise_with_the_share_and_the_others_keep_theirs(
            weights in prop::collection::vec(0u16..300, 2..6),
            place in 0usize..2,
            to in 0u32..=1_000_000_000,
        ) {
            let files = targets(&weights);
            let ends = [share_of(&files, place), Billionths(to)];
            prop_assume!(weigh(&files, place, ends[1], ends).is_ok());
            let mut before: Option<u16> = None;
            for step in 0..=u64::from(STEPS) {
                let (from, to) = (i64::from(ends[0].0), i64::from(ends[1].0));
                let share = Billionths((from + (to - from) * step as i64 / 100) as u32);
                let now = weigh(&files, place, share, ends).unwrap();
                if share == Billionths::ALL { break; }
                for (position, &weight) in now.iter().enumerate().filter(|(p, _)| *p != place) {
                    let other = (0..files.len()).find(|&p| p != place && files[p].weight > 0).unwrap();
                    prop_assert_eq!(
                        u32::from(weight) * u32::from(files[other].weight),
                        u32::from(now[other]) * u32::from(files[position].weight)
                    );
                }
                if let Some(before) = before {
                    let is_right = if to >= from { now[place] >= before } else { now[place] <= before };
                    prop_assert!(is_right);
                }
                before = Some(now[place]);
                let sum: u32 = now.iter().map(|&weight| u32::from(weight)).sum();
                let got = f64::from(now[place]) / f64::from(sum.max(1));
                let exact = f64::from(share.0) / 1e9;
                // Beside everything 16 bits end at some share: the rest comes with the last step.
                let is_capped = ends.contains(&Billionths::ALL) && now[place] == u16::MAX;
                // A weight is a whole number: half of one is as much of the share as the others' sum is small.
                let others = f64::from(sum - u32::from(now[place]));
                let half = 0.5 / others + 2e-9;
                prop_assert!((got - exact).abs() <= half || is_capped, "{} {}", got, exact);
            }
        }
    }
}

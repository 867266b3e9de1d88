//! Ranks: which targets are as good as each other, best first, and cheap ones before good ones within a budget.

/// Cost counts among those that are little worse than the best.
#[derive(Clone, Copy, Debug)]
pub struct Cheap<'a> {
    /// How much worse one may be than the best.
    pub within: u64,
    /// What each costs.
    pub costs: &'a [f64],
}

/// Groups of positions that are as good as each other, the best (smallest) first; positions in a group ascend.
///
/// The best ties with all that are at most `slack` worse. Then the same again with the rest. With `cheap`, those within
/// the budget come first, ranked among their equals in cost, the cheapest first; what ties with the best is always
/// within the budget.
pub fn groups(values: &[u64], slack: u64, cheap: Option<Cheap<'_>>) -> Vec<Vec<usize>> {
    let Some(best) = values.iter().min().copied() else { return Vec::new() };
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&position| values[position]);
    let Some(Cheap { within, costs }) = cheap else { return ties(&order, values, slack) };
    let count = order.partition_point(|&position| values[position] - best <= within.max(slack));
    let (affordable, rest) = order.split_at_mut(count);
    affordable.sort_by(|&a, &b| costs[a].total_cmp(&costs[b]));
    let mut groups: Vec<_> = affordable
        .chunk_by(|&a, &b| costs[a] == costs[b])
        .flat_map(|equal| ties(equal, values, slack))
        .collect();
    groups.extend(ties(rest, values, slack));
    groups
}

/// Groups of ties among positions that are sorted by value.
fn ties(sorted: &[usize], values: &[u64], slack: u64) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    let mut rest = sorted;
    while let Some(&first) = rest.first() {
        let count = rest.partition_point(|&position| values[position] - values[first] <= slack);
        let (group, others) = rest.split_at(count);
        let mut group = group.to_vec();
        group.sort_unstable();
        groups.push(group);
        rest = others;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_within_the_budget_comes_first_and_nothing_beyond_it() {
        let values = [100, 130, 160, 500];
        let rank =
            |within, costs: &[f64]| groups(&values, 0, Some(Cheap { within, costs })).concat();
        assert_eq!(rank(60, &[3.0, 2.0, 1.0, 0.0]), [2, 1, 0, 3]);
        assert_eq!(rank(59, &[3.0, 2.0, 1.0, 0.0]), [1, 0, 2, 3]);
        assert_eq!(rank(60, &[1.0, 1.0, 1.0, 0.0]), [0, 1, 2, 3], "equal cost: as without");
    }

    #[test]
    fn ties_of_equal_cost_stay_ties_and_a_tie_with_the_best_is_within_any_budget() {
        let cheap = Some(Cheap { within: 0, costs: &[2.0, 1.0, 1.0] });
        assert_eq!(groups(&[10, 15, 19], 5, cheap), [vec![1], vec![0], vec![2]]);
        assert_eq!(groups(&[10, 15, 19], 9, cheap), [vec![1, 2], vec![0]]);
        assert!(groups(&[], 0, None).is_empty());
    }
}

//! Piecewise constant functions over the address space: networks become steps, steps become leaves.
//! Knows numbers only, no places.

use crate::geo::layer::Network;

/// An address as a number of 32 or 128 bits.
pub(in crate::geo) trait Bits: Copy + Ord {
    /// Bits in an address.
    const WIDTH: u8;
    /// The lowest address.
    const ZERO: Self;
    /// First address after the network of `prefix_len` that starts here; `None` at the very top.
    fn after(self, prefix_len: u8) -> Option<Self>;
    /// Prefix length of the largest aligned network that starts here and ends at `end` or before;
    /// `end` is exclusive, `None` is the top of the address space.
    fn largest_prefix_len(self, end: Option<Self>) -> u8;
}

macro_rules! bits {
    ($int:ty) => {
        impl Bits for $int {
            const WIDTH: u8 = <$int>::BITS as u8;
            const ZERO: Self = 0;

            fn after(self, prefix_len: u8) -> Option<Self> {
                let size = (1 as $int).checked_shl(u32::from(Self::WIDTH - prefix_len))?;
                self.checked_add(size)
            }

            fn largest_prefix_len(self, end: Option<Self>) -> u8 {
                let aligned = self.trailing_zeros();
                // Wraps at the top on purpose: 2^WIDTH - start, or 0 for the whole space.
                let room = end.unwrap_or(0).wrapping_sub(self);
                let fits = if room == 0 { <$int>::BITS } else { room.ilog2() };
                Self::WIDTH - aligned.min(fits) as u8
            }
        }
    };
}
bits!(u32);
bits!(u128);

/// From `start` on, up to the next step, the value is `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::geo) struct Step<A> {
    pub start: A,
    pub value: u32,
}

/// Steps over the whole address space: the first starts at zero, neighbours differ in value.
#[derive(Clone, Debug)]
pub(in crate::geo) struct Steps<A>(Vec<Step<A>>);

impl<A: Bits> Steps<A> {
    /// One value everywhere.
    pub fn constant(value: u32) -> Self {
        Self(vec![Step { start: A::ZERO, value }])
    }

    /// Steps of leaves: starts and values, by start from zero.
    pub fn of_leaves(leaves: impl Iterator<Item = (A, u32)>) -> Self {
        let mut steps = Self(Vec::with_capacity(leaves.size_hint().0));
        leaves.for_each(|(start, value)| steps.set(start, value));
        steps
    }

    /// Flattens networks, nested or not: the most specific one counts, and of equal ones the last.
    /// `value` maps a network's place; addresses in no network get `gap`.
    pub fn flatten(networks: &[Network<A>], gap: u32, value: impl Fn(u32) -> u32) -> Self {
        let order = |n: &Network<A>| (n.start, n.prefix_len);
        let sorted: Vec<Network<A>>;
        let networks = if networks.is_sorted_by_key(order) {
            networks
        } else {
            sorted = {
                let mut copy = networks.to_vec();
                copy.sort_by_key(order);
                copy
            };
            &sorted
        };
        let mut steps = Self::constant(gap);
        steps.0.reserve(networks.len() * 2);
        let mut open = Open { gap, stack: Vec::with_capacity(usize::from(A::WIDTH) + 1) };
        for network in networks {
            open.close_until(Some(network.start), &mut steps);
            let own = value(network.place);
            steps.set(network.start, own);
            open.stack.push((network.start.after(network.prefix_len), own));
        }
        open.close_until(None, &mut steps);
        steps
    }

    /// Joins two functions: `merge` gives the value where `self` and `other` have theirs.
    pub fn join(&self, other: &Self, mut merge: impl FnMut(u32, u32) -> u32) -> Self {
        let mut joined = Self(Vec::with_capacity(self.0.len() + other.0.len()));
        let (mut left, mut right) = (0, 0);
        let mut start = A::ZERO;
        loop {
            joined.set(start, merge(self.0[left].value, other.0[right].value));
            let next_left = self.0.get(left + 1).map(|step| step.start);
            let next_right = other.0.get(right + 1).map(|step| step.start);
            start = match (next_left, next_right) {
                (None, None) => return joined,
                (Some(a), Some(b)) => a.min(b),
                (Some(only), None) | (None, Some(only)) => only,
            };
            left += usize::from(next_left == Some(start));
            right += usize::from(next_right == Some(start));
        }
    }

    /// The same steps with other values; neighbours that become equal become one.
    pub fn map(&self, mut value: impl FnMut(u32) -> u32) -> Self {
        let mut mapped = Self(Vec::with_capacity(self.0.len()));
        for step in &self.0 {
            mapped.set(step.start, value(step.value));
        }
        mapped
    }

    /// All steps, by start; their values may be changed as long as neighbours stay different.
    pub fn as_mut_slice(&mut self) -> &mut [Step<A>] {
        &mut self.0
    }

    /// Cuts every step into the fewest aligned networks and hands them to `leaf`, by start.
    ///
    /// Because neighbouring steps differ, these are the leaves of the smallest full binary trie.
    pub fn cut(&self, mut leaf: impl FnMut(A, u8, u32)) {
        for (index, step) in self.0.iter().enumerate() {
            let end = self.0.get(index + 1).map(|next| next.start);
            let mut start = step.start;
            loop {
                let prefix_len = start.largest_prefix_len(end);
                leaf(start, prefix_len, step.value);
                match start.after(prefix_len) {
                    Some(next) if Some(next) != end => start = next,
                    Some(_) | None => break,
                }
            }
        }
    }

    /// Sets the value from `start` on; `start` is at or after the last step.
    fn set(&mut self, start: A, value: u32) {
        if self.0.last().is_some_and(|last| last.start == start) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|last| last.value != value) {
            self.0.push(Step { start, value });
        }
    }
}

/// Networks around the current address, outermost first: exclusive end and value.
struct Open<A> {
    gap: u32,
    stack: Vec<(Option<A>, u32)>,
}

impl<A: Bits> Open<A> {
    /// Ends the networks that end at `start` or before; `None` ends all.
    fn close_until(&mut self, start: Option<A>, steps: &mut Steps<A>) {
        while let Some((end, _)) = self.stack.last().copied() {
            if start.is_some_and(|start| end.is_none_or(|end| end > start)) {
                return;
            }
            self.stack.pop();
            let outer = self.stack.last().map_or(self.gap, |(_, value)| *value);
            if let Some(end) = end {
                steps.set(end, outer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(start: u32, prefix_len: u8, place: u32) -> Network<u32> {
        Network { start, prefix_len, place }
    }

    fn leaves(steps: &Steps<u32>) -> Vec<(u32, u8, u32)> {
        let mut all = Vec::new();
        steps.cut(|start, prefix_len, value| all.push((start, prefix_len, value)));
        all
    }

    #[test]
    fn no_network_is_one_leaf_of_length_zero() {
        assert_eq!(leaves(&Steps::flatten(&[], 0, |v| v)), [(0, 0, 0)]);
    }

    #[test]
    fn an_inner_network_cuts_its_outer_one_and_ends_with_it() {
        let networks = [network(1 << 31, 1, 7), network(1 << 31, 2, 8), network(u32::MAX, 32, 9)];
        let all = leaves(&Steps::flatten(&networks, 0, |v| v));
        assert_eq!(all[..2], [(0, 1, 0), (1 << 31, 2, 8)]);
        assert_eq!(all[all.len() - 2..], [(u32::MAX - 1, 32, 7), (u32::MAX, 32, 9)]);
        assert_eq!(all.len(), 2 + 30 + 1, "one leaf a bit from /2 down to /32, and the last");
    }

    #[test]
    fn equal_siblings_become_one_leaf_and_equal_neighbours_do_not() {
        let siblings = [network(0, 2, 5), network(1 << 30, 2, 5)];
        assert_eq!(leaves(&Steps::flatten(&siblings, 0, |v| v)), [(0, 1, 5), (1 << 31, 1, 0)]);
        let neighbours = [network(1 << 30, 2, 5), network(2 << 30, 2, 5)];
        assert_eq!(leaves(&Steps::flatten(&neighbours, 0, |v| v)).len(), 4);
    }

    #[test]
    fn of_equal_networks_the_last_counts() {
        let twice = [network(0, 1, 5), network(0, 1, 6)];
        assert_eq!(leaves(&Steps::flatten(&twice, 0, |v| v)), [(0, 1, 6), (1 << 31, 1, 0)]);
    }
}

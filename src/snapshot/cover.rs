//! Per policy and family: how long a scope must be, and which class covers most of a short prefix.

use std::ops::AddAssign;

use crate::geo::PlaceId;

/// Two columns over the leaves of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// By leaf: length of the widest prefix around it in which every leaf has its class (RFC 7871 section 7.2.1).
    uniform_len: Box<[u8]>,
    /// By leaf that starts the right half of a mixed prefix: the class that covers most of that prefix.
    ///
    /// The leaves are those of a full binary trie, so each inner node has its own such leaf.
    most: Box<[u16]>,
}

/// How many addresses a prefix has: wide enough for less than the whole space, which is never mixed of one class.
pub trait Addresses: Copy + Ord + AddAssign {
    /// Bits of an address.
    const WIDTH: u8;
    /// Addresses in a prefix; panics for the whole space.
    fn in_prefix(prefix_len: u8) -> Self;
}

macro_rules! addresses {
    ($int:ty) => {
        impl Addresses for $int {
            const WIDTH: u8 = <$int>::BITS as u8;

            #[inline]
            fn in_prefix(prefix_len: u8) -> Self {
                1 << u32::from(Self::WIDTH - prefix_len)
            }
        }
    };
}
addresses!(u32);
addresses!(u128);

/// A class with the addresses that it covers.
type Count<A> = (u16, A);

/// A subtree whose leaves have been seen.
#[derive(Clone, Copy)]
struct Node<A> {
    prefix_len: u8,
    first_leaf: usize,
    classes: Mix<A>,
}

/// The classes in a subtree.
#[derive(Clone, Copy)]
enum Mix<A> {
    One(u16),
    /// Their counts, by class, stand in [`Walk::counts`] from `first` to where those of the next node begin.
    Many {
        first: usize,
        /// The class with the most addresses; the lower of equals.
        best: Count<A>,
    },
}

/// A walk over the leaves. Counts of all open subtrees stand on one stack, so that no subtree allocates.
struct Walk<A> {
    cover: Cover,
    counts: Vec<Count<A>>,
    scratch: Vec<Count<A>>,
}

impl Cover {
    /// Walks the leaves once; `classes` is indexed by [`PlaceId`].
    pub fn new<A: Addresses>(prefix_lens: &[u8], places: &[PlaceId], classes: &[u16]) -> Self {
        let columns = Self {
            uniform_len: vec![0; prefix_lens.len()].into(),
            most: vec![0; prefix_lens.len()].into(),
        };
        let mut walk = Walk { cover: columns, counts: Vec::new(), scratch: Vec::new() };
        let mut stack: Vec<Node<A>> = Vec::with_capacity(usize::from(A::WIDTH) + 1);
        for (leaf, (&prefix_len, place)) in prefix_lens.iter().zip(places).enumerate() {
            let classes = Mix::One(classes[place.index()]);
            let mut node = Node { prefix_len, first_leaf: leaf, classes };
            // In a full trie walked in order, the one before of equal length is always the left sibling.
            while let Some(&left) = stack.last().filter(|left| left.prefix_len == node.prefix_len) {
                stack.pop();
                node = walk.join(left, node, leaf + 1);
            }
            stack.push(node);
        }
        walk.cover
    }

    /// Length of the widest prefix around a leaf that has one class.
    #[inline]
    pub fn uniform_len(&self, leaf: u32) -> u8 {
        self.uniform_len[leaf as usize]
    }

    /// The class that covers most of a prefix; `middle` is the leaf where its right half starts.
    #[inline]
    pub fn most(&self, middle: u32) -> u16 {
        self.most[middle as usize]
    }
}

impl<A: Addresses> Walk<A> {
    /// Joins two siblings; the leaves of `right` end before `end`.
    #[inline]
    fn join(&mut self, left: Node<A>, right: Node<A>, end: usize) -> Node<A> {
        let (first_leaf, middle) = (left.first_leaf, right.first_leaf);
        let classes = match (left.classes, right.classes) {
            (Mix::One(a), Mix::One(b)) if a == b => Mix::One(a),
            (a, b) => {
                // Whatever was uniform until now can get no wider.
                if let Mix::One(_) = a {
                    self.cover.uniform_len[first_leaf..middle].fill(left.prefix_len);
                }
                if let Mix::One(_) = b {
                    self.cover.uniform_len[middle..end].fill(left.prefix_len);
                }
                let (first, best) = self.mix(a, b, A::in_prefix(left.prefix_len));
                self.cover.most[middle] = best.0;
                Mix::Many { first, best }
            }
        };
        Node { prefix_len: left.prefix_len - 1, first_leaf, classes }
    }

    /// Adds up the counts of two siblings with so many addresses each: where they begin, and the best.
    fn mix(&mut self, left: Mix<A>, right: Mix<A>, each: A) -> (usize, Count<A>) {
        match (left, right) {
            (Mix::One(a), Mix::One(b)) => {
                let first = self.counts.len();
                let (low, high) = (a.min(b), a.max(b));
                self.counts.extend([(low, each), (high, each)]);
                (first, (low, each))
            }
            (Mix::One(class), Mix::Many { first, best })
            | (Mix::Many { first, best }, Mix::One(class)) => {
                (first, better(best, self.add(first, class, each)))
            }
            (Mix::Many { first, .. }, Mix::Many { first: second, .. }) => {
                (first, self.merge(first, second))
            }
        }
    }

    /// Adds to the counts from `first` to the end; returns the new count.
    fn add(&mut self, first: usize, class: u16, addresses: A) -> Count<A> {
        match self.counts[first..].binary_search_by_key(&class, |count| count.0) {
            Ok(place) => {
                let count = &mut self.counts[first + place];
                count.1 += addresses;
                *count
            }
            Err(place) => {
                self.counts.insert(first + place, (class, addresses));
                (class, addresses)
            }
        }
    }

    /// Merges the counts from `first` and those from `second` to the end; returns the best.
    fn merge(&mut self, first: usize, second: usize) -> Count<A> {
        self.scratch.clear();
        let (left, right) = self.counts[first..].split_at(second - first);
        let (mut a, mut b) = (0, 0);
        let mut best = left[0];
        while a < left.len() && b < right.len() {
            let mut count = if left[a].0 <= right[b].0 { left[a] } else { right[b] };
            if left[a].0 == right[b].0 {
                count.1 += right[b].1;
            }
            let is_left = left[a].0 <= right[b].0;
            let is_right = left[a].0 >= right[b].0;
            a += usize::from(is_left);
            b += usize::from(is_right);
            best = better(best, count);
            self.scratch.push(count);
        }
        for &count in left[a..].iter().chain(&right[b..]) {
            best = better(best, count);
            self.scratch.push(count);
        }
        self.counts.truncate(first);
        self.counts.extend_from_slice(&self.scratch);
        best
    }
}

/// The count with more addresses, or of equals with the lower class.
#[inline]
fn better<A: Addresses>(this: Count<A>, other: Count<A>) -> Count<A> {
    if (other.1, this.0) > (this.1, other.0) { other } else { this }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uniform_prefixes_are_as_wide_as_they_can_be_and_mixed_ones_have_a_majority() {
        // 0/1 is class 0; 128/2 class 1; 192/3 class 1; 224/3 class 0.
        let lens = [1, 2, 3, 3];
        let places = [PlaceId(0), PlaceId(1), PlaceId(1), PlaceId(0)];
        let cover = Cover::new::<u32>(&lens, &places, &[0, 1]);
        assert_eq!(&*cover.uniform_len, &[1, 2, 3, 3]);
        assert_eq!(cover.most(3), 0, "192/2 is half and half: the lower class");
        assert_eq!(cover.most(2), 1, "128/1 is three quarters class 1");
        assert_eq!(cover.most(1), 0, "the whole is five eighths class 0");
        let one = Cover::new::<u32>(&lens, &places, &[7, 7]);
        assert_eq!(&*one.uniform_len, &[0, 0, 0, 0]);
    }

    /// Longest prefix in these tries.
    const DEEPEST: u8 = 100;

    /// Leaves of a full trie under a prefix of this length: cut by `cuts`, which are used up from the end.
    fn grow(cuts: &mut Vec<bool>, prefix_len: u8, lens: &mut Vec<u8>) {
        if prefix_len < DEEPEST && cuts.pop() == Some(true) {
            grow(cuts, prefix_len + 1, lens);
            grow(cuts, prefix_len + 1, lens);
        } else {
            lens.push(prefix_len);
        }
    }

    /// First leaf, middle leaf, end and length of every inner node.
    fn inner_nodes(lens: &[u8]) -> Vec<(usize, usize, usize, u8)> {
        let mut all = Vec::new();
        let mut open: Vec<(usize, u8)> = Vec::new();
        for (leaf, &len) in lens.iter().enumerate() {
            let (mut first, mut len) = (leaf, len);
            while let Some((left, _)) = open.last().copied().filter(|open| open.1 == len) {
                open.pop();
                all.push((left, first, leaf + 1, len - 1));
                (first, len) = (left, len - 1);
            }
            open.push((first, len));
        }
        all
    }

    proptest! {
        #[test]
        fn each_prefix_has_what_counting_its_leaves_gives(
            mut cuts in prop::collection::vec(prop::bool::weighted(0.7), 0..200),
            classes in prop::collection::vec(0..5_u16, 1..40),
        ) {
            let mut lens = Vec::new();
            grow(&mut cuts, 0, &mut lens);
            let places: Vec<PlaceId> =
                (0..lens.len()).map(|leaf| PlaceId((leaf * 7 % classes.len()) as u32)).collect();
            let cover = Cover::new::<u128>(&lens, &places, &classes);
            let mut uniform = lens.clone();
            for (first, middle, end, len) in inner_nodes(&lens) {
                let mut counts: BTreeMap<u16, u128> = BTreeMap::new();
                for leaf in first..end {
                    let addresses = 1 << (DEEPEST - lens[leaf]);
                    *counts.entry(classes[places[leaf].index()]).or_default() += addresses;
                }
                if counts.len() == 1 {
                    uniform[first..end].fill(len);
                } else {
                    // Of equals the last is taken: the lowest class.
                    let most = counts.iter().rev().max_by_key(|(_, addresses)| **addresses);
                    prop_assert_eq!(Some(&cover.most(middle as u32)), most.map(|most| most.0));
                }
            }
            prop_assert_eq!(&*cover.uniform_len, &uniform[..]);
        }
    }
}

//! Per policy and family: how long a scope must be, and which class covers most of a short prefix.

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

/// A subtree whose leaves have been seen.
struct Node {
    prefix_len: u8,
    first_leaf: usize,
    classes: Mix,
}

/// The classes in a subtree.
enum Mix {
    One(u16),
    /// Each with the addresses it covers, by class.
    Many(Vec<(u16, u128)>),
}

impl Cover {
    /// Walks the leaves once; `classes` is indexed by [`PlaceId`], `bits` is the length of an address.
    pub fn new(prefix_lens: &[u8], places: &[PlaceId], classes: &[u16], bits: u8) -> Self {
        let mut cover = Self {
            uniform_len: vec![0; prefix_lens.len()].into(),
            most: vec![0; prefix_lens.len()].into(),
        };
        let mut stack: Vec<Node> = Vec::with_capacity(usize::from(bits) + 1);
        for (leaf, (&prefix_len, place)) in prefix_lens.iter().zip(places).enumerate() {
            let mut node =
                Node { prefix_len, first_leaf: leaf, classes: Mix::One(classes[place.0 as usize]) };
            // In a full trie walked in order, the one before of equal length is always the left sibling.
            while stack.last().is_some_and(|left| left.prefix_len == node.prefix_len) {
                let left = stack.pop().expect("just seen");
                node = cover.join(left, node, leaf + 1, bits);
            }
            stack.push(node);
        }
        cover
    }

    /// Joins two siblings; the leaves of `right` end before `end`.
    fn join(&mut self, left: Node, right: Node, end: usize, bits: u8) -> Node {
        let (prefix_len, first_leaf, middle) =
            (left.prefix_len - 1, left.first_leaf, right.first_leaf);
        let classes = match (left.classes, right.classes) {
            (Mix::One(a), Mix::One(b)) if a == b => Mix::One(a),
            (a, b) => {
                // Whatever was uniform until now can get no wider.
                if let Mix::One(_) = a {
                    self.uniform_len[first_leaf..middle].fill(left.prefix_len);
                }
                if let Mix::One(_) = b {
                    self.uniform_len[middle..end].fill(left.prefix_len);
                }
                let sum = merge(a.counted(left.prefix_len, bits), b.counted(left.prefix_len, bits));
                let most = sum.iter().max_by(|(a, x), (b, y)| x.cmp(y).then(b.cmp(a)));
                self.most[middle] = most.map_or(0, |&(class, _)| class);
                Mix::Many(sum)
            }
        };
        Node { prefix_len, first_leaf, classes }
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

impl Mix {
    fn counted(self, prefix_len: u8, bits: u8) -> Vec<(u16, u128)> {
        match self {
            // A whole space would overflow, but two halves meet only below it.
            Self::One(class) => vec![(class, 1 << (bits - prefix_len))],
            Self::Many(counts) => counts,
        }
    }
}

/// Adds two lists sorted by class.
fn merge(mut a: Vec<(u16, u128)>, b: Vec<(u16, u128)>) -> Vec<(u16, u128)> {
    let (mut a, b) = if a.len() >= b.len() { (a, b) } else { (b, std::mem::take(&mut a)) };
    for (class, addresses) in b {
        match a.binary_search_by_key(&class, |&(class, _)| class) {
            Ok(place) => a[place].1 += addresses,
            Err(place) => a.insert(place, (class, addresses)),
        }
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_prefixes_are_as_wide_as_they_can_be_and_mixed_ones_have_a_majority() {
        // 0/1 is class 0; 128/2 class 1; 192/3 class 1; 224/3 class 0.
        let lens = [1, 2, 3, 3];
        let places = [PlaceId(0), PlaceId(1), PlaceId(1), PlaceId(0)];
        let cover = Cover::new(&lens, &places, &[0, 1], 32);
        assert_eq!(&*cover.uniform_len, &[1, 2, 3, 3]);
        assert_eq!(cover.most(3), 0, "192/2 is half and half: the lower class");
        assert_eq!(cover.most(2), 1, "128/1 is three quarters class 1");
        assert_eq!(cover.most(1), 0, "the whole is five eighths class 0");
        let one = Cover::new(&lens, &places, &[7, 7], 32);
        assert_eq!(&*one.uniform_len, &[0, 0, 0, 0]);
    }
}

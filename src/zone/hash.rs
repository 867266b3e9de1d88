//! The hash of a name, label by label from the right, so that one pass gives the hash of every suffix.
//!
//! Only the operator's own names are ever stored, so that nobody outside can fill a slot: speed is all that counts.

use crate::wire::Qname;

/// Hash of a suffix of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameHash(u64);

/// An odd number without structure: the fraction of the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl NameHash {
    /// The hash of the root.
    pub const ROOT: Self = Self(0x243f_6a88_85a3_08d3);

    /// The hash of this suffix with one label before it; `label` starts with its length octet.
    #[inline]
    pub fn child(self, label: &[u8]) -> Self {
        let mut hash = self.0;
        let mut chunks = label.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().expect("chunks have eight octets"));
            hash = fold(hash ^ word);
        }
        let rest = chunks.remainder();
        let mut word = 0u64;
        for &octet in rest {
            word = word << 8 | u64::from(octet);
        }
        Self(fold(hash ^ word ^ (rest.len() as u64) << 56))
    }

    /// The hash of a whole name.
    pub fn of(name: &Qname) -> Self {
        (1..=name.label_count())
            .fold(Self::ROOT, |hash, labels| hash.child(first_label(name, labels)))
    }

    /// The hash of a name in wire form, lower case.
    pub fn of_wire(name: &[u8]) -> Self {
        let mut starts = [0u8; 128];
        let (mut count, mut at) = (0, 0);
        while name[at] != 0 {
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(name[at]);
        }
        starts[..count].iter().rev().fold(Self::ROOT, |hash, &start| {
            let label = &name[usize::from(start)..];
            hash.child(&label[..=usize::from(label[0])])
        })
    }

    /// The slot to look in first, in a table of `mask + 1` slots.
    #[inline]
    pub fn slot(self, mask: usize) -> usize {
        self.0 as usize & mask
    }
}

/// The first label of the suffix of `labels` labels, its length octet included.
#[inline]
pub fn first_label(name: &Qname, labels: usize) -> &[u8] {
    let suffix = name.suffix(labels);
    &suffix[..=usize::from(suffix[0])]
}

/// Mixes by one widening multiplication.
#[inline]
fn fold(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(MIX);
    (product as u64) ^ (product >> 64) as u64
}

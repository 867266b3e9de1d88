//! A name that exists: it has records, is steered, or something exists below it.

use crate::model::SteerId;

/// A name of a zone, in 20 octets: a zone may have a million.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Where its name is in the zone's octets.
    pub(super) name_at: u32,
    pub(super) first_rrset: u32,
    /// Steering + 1, or 0.
    steer: u32,
    /// Position of the cut + 1, or 0.
    cut: u32,
    pub(super) rrset_count: u16,
    pub(super) name_len: u8,
    /// Labels, at most 127, and [`WILDCARD`].
    labels: u8,
}

/// Something exists at `*` below this name.
const WILDCARD: u8 = 0x80;

impl Node {
    /// A node that is not steered and lies at no cut.
    pub(super) fn new(name_at: u32, name: &[u8], first_rrset: u32, rrset_count: u16) -> Self {
        let mut labels = 0;
        let mut rest = name;
        while rest[0] != 0 {
            labels += 1;
            rest = &rest[1 + usize::from(rest[0])..];
        }
        let name_len = name.len() as u8;
        Self { name_at, first_rrset, steer: 0, cut: 0, rrset_count, name_len, labels }
    }

    /// How its A and AAAA are chosen, if they are.
    #[inline]
    pub(super) fn steer(&self) -> Option<SteerId> {
        self.steer.checked_sub(1).map(SteerId)
    }

    pub(super) fn set_steer(&mut self, steer: SteerId) {
        self.steer = steer.0 + 1;
    }

    /// Where this name is hidden: the delegation point at or above it, or the DNAME above it; the highest.
    #[inline]
    pub(super) fn cut(&self) -> Option<u32> {
        self.cut.checked_sub(1)
    }

    pub(super) fn set_cut(&mut self, node: u32) {
        self.cut = node + 1;
    }

    /// Whether something exists at `*` below it.
    #[inline]
    pub(super) fn has_wildcard(&self) -> bool {
        self.labels & WILDCARD != 0
    }

    pub(super) fn set_has_wildcard(&mut self) {
        self.labels |= WILDCARD;
    }

    /// Labels of its name.
    #[inline]
    pub(super) fn labels(&self) -> usize {
        usize::from(self.labels & !WILDCARD)
    }
}

//! A name that exists: it has records, is steered, or something exists below it.

use crate::model::LeafRecords;
use crate::model::SteerId;

/// A name of a zone, in 20 octets: a zone may have a million.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Where its name is in the zone's octets.
    pub(super) name_at: u32,
    pub(super) first_rrset: u32,
    /// Steering + 1, or 0; in the two highest bits what it answers with.
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

/// The steering answers with a CNAME.
const CNAME: u32 = 1 << 30;

/// The steering answers with SRV records.
const SRV: u32 = 2 << 30;

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

    /// What it answers with is chosen like this, if it is.
    #[inline]
    pub(super) fn steer(&self) -> Option<(LeafRecords, SteerId)> {
        let records = match self.steer & (CNAME | SRV) {
            0 => LeafRecords::Addresses,
            CNAME => LeafRecords::Cname,
            _ => LeafRecords::Srv,
        };
        (self.steer & !(CNAME | SRV)).checked_sub(1).map(|steer| (records, SteerId(steer)))
    }

    /// # Panics
    /// If there are a billion steered names.
    pub(super) fn set_steer(&mut self, steer: SteerId, records: LeafRecords) {
        assert!(steer.0 < CNAME - 1, "limits keep steered names far below 2^30");
        self.steer = (steer.0 + 1)
            | match records {
                LeafRecords::Addresses => 0,
                LeafRecords::Cname => CNAME,
                LeafRecords::Srv => SRV,
            };
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

//! One zone in one arena: names, records already in wire form, and an open table of nodes.
//!
//! Built once from a [`model::Zone`]; only looked up afterwards.

use crate::model;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zone::hash::NameHash;
use crate::zone::layout::Layout;
use crate::zone::node::Node;

/// One zone, ready for lookup. No heap object per record.
#[derive(Clone, Debug)]
pub struct Zone {
    pub(super) apex: Name,
    pub(super) apex_labels: usize,
    /// Owner names and encoded records, mostly as they were read.
    pub(super) octets: Box<[u8]>,
    pub(super) nodes: Box<[Node]>,
    pub(super) rrsets: Box<[Rrset]>,
    /// Open addressing: position in `nodes` + 1, or 0. A power of two, at most half full.
    pub(super) slots: Box<[u32]>,
    /// The apex SOA with the TTL of negative answers (RFC 2308 section 5).
    pub(super) negative_soa: Rrset,
}

/// Records of one owner and type, encoded with [`crate::wire::writer::QNAME_POINTER`] as owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// Their type.
    pub rtype: RecordType,
    /// How many there are.
    pub count: u16,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Zone {
    /// Lays out a validated zone, moving its records.
    ///
    /// # Panics
    /// If the zone has no SOA at its apex, or is laid out larger than 4 GiB: validation refuses both.
    pub fn build(zone: model::Zone) -> Self {
        Layout::of(zone)
    }

    /// The zone's name.
    #[inline]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// Encoded records of a set of this zone.
    #[inline]
    pub fn records(&self, rrset: &Rrset) -> &[u8] {
        &self.octets[rrset.start as usize..][..rrset.len as usize]
    }

    /// The SOA record of negative answers.
    #[inline]
    pub fn negative_soa(&self) -> &Rrset {
        &self.negative_soa
    }

    /// Rdata of each record of a set.
    pub fn rdata<'a>(&'a self, rrset: &Rrset) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.records(rrset);
        std::iter::from_fn(move || {
            let len = usize::from(u16::from_be_bytes([*rest.get(10)?, *rest.get(11)?]));
            let rdata = &rest[12..12 + len];
            rest = &rest[12 + len..];
            Some(rdata)
        })
    }

    /// Node of the name `wire` with hash `hash`.
    #[inline]
    pub(super) fn find_node(&self, hash: NameHash, wire: &[u8]) -> Option<(u32, &Node)> {
        let mask = self.slots.len() - 1;
        let mut slot = hash.slot(mask);
        loop {
            let position = self.slots[slot].checked_sub(1)?;
            let node = &self.nodes[position as usize];
            if self.name(node) == wire {
                return Some((position, node));
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Sets of a node, by type.
    #[inline]
    pub(super) fn rrsets(&self, node: &Node) -> &[Rrset] {
        &self.rrsets[node.first_rrset as usize..][..usize::from(node.rrset_count)]
    }

    /// The set of type `rtype` at a node.
    #[inline]
    pub(super) fn find_rrset(&self, node: &Node, rtype: RecordType) -> Option<&Rrset> {
        self.rrsets(node).iter().find(|rrset| rrset.rtype == rtype)
    }

    pub(super) fn name(&self, node: &Node) -> &[u8] {
        &self.octets[node.name_at as usize..][..usize::from(node.name_len)]
    }
}

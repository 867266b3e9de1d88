//! One zone in one arena: names, records already in wire form, and an open table of nodes.
//!
//! Built once from a [`model::Zone`]; only looked up afterwards.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model;
use crate::model::SteerId;
use crate::wire::Name;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::wire::writer::QNAME_POINTER;
use crate::zone::hash::NameHash;

/// One zone, ready for lookup. No heap object per record.
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Name,
    pub(super) apex_labels: usize,
    /// Owner names, then encoded records.
    octets: Box<[u8]>,
    pub(super) nodes: Box<[Node]>,
    rrsets: Box<[Rrset]>,
    /// Open addressing: position in `nodes` + 1, or 0. A power of two, at most half full.
    slots: Box<[u32]>,
    /// The apex SOA with the TTL of negative answers (RFC 2308 section 5).
    negative_soa: Rrset,
}

/// A name that exists: it has records, is steered, or something exists below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    name: (u32, u8),
    first_rrset: u32,
    rrset_count: u16,
    pub(super) steer: Option<SteerId>,
    /// Where this name is hidden: the delegation point at or above it, or the DNAME above it; the highest.
    pub(super) cut: Option<u32>,
    pub(super) has_wildcard: bool,
    pub(super) labels: u8,
}

/// Records of one owner and type, encoded with [`QNAME_POINTER`] as owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// Their type.
    pub rtype: RecordType,
    /// How many there are.
    pub count: u16,
    start: u32,
    len: u32,
}

impl Zone {
    /// Lays out a validated zone.
    ///
    /// # Panics
    /// If the zone has no SOA at its apex, or is larger than 4 GiB: validation refuses both.
    pub fn build(zone: &model::Zone) -> Self {
        let mut owners: BTreeMap<Name, Owner<'_>> = BTreeMap::new();
        for record in &zone.records {
            let owner = owners.entry(record.owner.clone()).or_default();
            owner.records.entry(record.rtype).or_default().push(record);
        }
        for (name, steer) in &zone.steered {
            owners.entry(name.clone()).or_default().steer = Some(*steer);
        }
        add_empty_non_terminals(&zone.apex, &mut owners);
        let mut layout = Layout::default();
        for (name, owner) in &owners {
            layout.add(name, owner);
        }
        layout.finish(&zone.apex)
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

    fn name(&self, node: &Node) -> &[u8] {
        &self.octets[node.name.0 as usize..][..usize::from(node.name.1)]
    }
}

/// What one owner has, before it is laid out.
#[derive(Default)]
struct Owner<'a> {
    records: BTreeMap<RecordType, Vec<&'a model::Record>>,
    steer: Option<SteerId>,
}

/// Adds every name between the apex and an owner: it exists, though it has no data (RFC 4592 section 2.2.2).
fn add_empty_non_terminals(apex: &Name, owners: &mut BTreeMap<Name, Owner<'_>>) {
    let mut missing = Vec::new();
    for name in owners.keys() {
        let mut above = name.parent();
        while let Some(parent) = above {
            if !parent.is_within(apex) || owners.contains_key(&parent) {
                break;
            }
            above = parent.parent();
            missing.push(parent);
        }
    }
    for name in missing {
        owners.entry(name).or_default();
    }
}

/// A zone while it is laid out.
#[derive(Default)]
struct Layout {
    octets: Vec<u8>,
    nodes: Vec<Node>,
    rrsets: Vec<Rrset>,
    names: Vec<Name>,
}

impl Layout {
    fn add(&mut self, name: &Name, owner: &Owner<'_>) {
        let start = self.octets.len() as u32;
        self.octets.extend_from_slice(name.as_wire());
        let first_rrset = self.rrsets.len() as u32;
        for (&rtype, records) in &owner.records {
            let rrset =
                self.add_rrset(rtype, records.iter().map(|record| (record.ttl, &*record.rdata)));
            self.rrsets.push(rrset);
        }
        self.nodes.push(Node {
            name: (start, name.as_wire().len() as u8),
            first_rrset,
            rrset_count: owner.records.len() as u16,
            steer: owner.steer,
            cut: None,
            has_wildcard: false,
            labels: name.labels().count() as u8,
        });
        self.names.push(name.clone());
    }

    /// Encodes records with the question's name as owner.
    fn add_rrset<'r>(
        &mut self,
        rtype: RecordType,
        records: impl Iterator<Item = (u32, &'r [u8])>,
    ) -> Rrset {
        let start = self.octets.len();
        let mut count = 0;
        for (ttl, rdata) in records {
            self.octets.extend_from_slice(&QNAME_POINTER.to_be_bytes());
            self.octets.extend_from_slice(&rtype.0.to_be_bytes());
            self.octets.extend_from_slice(&[0, 1]);
            self.octets.extend_from_slice(&ttl.to_be_bytes());
            self.octets.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            self.octets.extend_from_slice(rdata);
            count += 1;
        }
        let len = (self.octets.len() - start) as u32;
        Rrset { rtype, count, start: u32::try_from(start).expect("a zone stays below 4 GiB"), len }
    }

    fn finish(mut self, apex: &Name) -> Zone {
        let negative_soa = self.negative_soa(apex);
        let slot_count = (self.nodes.len() * 2).next_power_of_two().max(2);
        let mut zone = Zone {
            apex: apex.clone(),
            apex_labels: apex.labels().count(),
            octets: self.octets.into(),
            nodes: self.nodes.into(),
            rrsets: self.rrsets.into(),
            slots: vec![0; slot_count].into(),
            negative_soa,
        };
        for (position, name) in self.names.iter().enumerate() {
            let mut slot = NameHash::of(&Qname::from(name)).slot(slot_count - 1);
            while zone.slots[slot] != 0 {
                slot = (slot + 1) & (slot_count - 1);
            }
            zone.slots[slot] = position as u32 + 1;
        }
        for (position, name) in self.names.iter().enumerate() {
            mark_wildcard_parent(&mut zone, name);
            zone.nodes[position].cut = find_cut(&zone, name);
        }
        zone
    }

    /// The apex SOA again, with the TTL negative answers get: the smaller of its TTL and its last field.
    fn negative_soa(&mut self, apex: &Name) -> Rrset {
        let position = self.names.iter().position(|name| name == apex);
        let node = self.nodes[position.expect("validation wants an apex")];
        let range =
            node.first_rrset as usize..node.first_rrset as usize + usize::from(node.rrset_count);
        let soa = self.rrsets[range].iter().find(|rrset| rrset.rtype == RecordType::SOA);
        let soa = *soa.expect("validation wants an SOA");
        let encoded: Range<usize> = soa.start as usize..(soa.start + soa.len) as usize;
        let record = self.octets[encoded].to_vec();
        let number = |at: usize| {
            u32::from_be_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
        };
        let ttl = number(6).min(number(record.len() - 4));
        self.add_rrset(RecordType::SOA, std::iter::once((ttl, &record[12..])))
    }
}

/// If `name` is a wildcard, tells its parent.
fn mark_wildcard_parent(zone: &mut Zone, name: &Name) {
    if name.labels().next() != Some(b"*") {
        return;
    }
    let Some(parent) = name.parent() else { return };
    let hash = NameHash::of(&Qname::from(&parent));
    if let Some((position, _)) = zone.find_node(hash, parent.as_wire()) {
        zone.nodes[position as usize].has_wildcard = true;
    }
}

/// The highest name with NS records at or above `name` and below the apex, or with a DNAME above `name`.
fn find_cut(zone: &Zone, name: &Name) -> Option<u32> {
    let mut cut = None;
    let mut at = Some(name.clone());
    while let Some(above) = at.filter(|above| above.is_within(&zone.apex)) {
        let hash = NameHash::of(&Qname::from(&above));
        if let Some((position, node)) = zone.find_node(hash, above.as_wire()) {
            let has = |rtype| zone.find_rrset(node, rtype).is_some();
            let delegates = above != zone.apex && has(RecordType::NS);
            if delegates || (above != *name && has(RecordType::DNAME)) {
                cut = Some(position);
            }
        }
        at = above.parent();
    }
    cut
}

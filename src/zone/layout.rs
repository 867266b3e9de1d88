//! A validated zone to the tables of [`Zone`]: nodes, sets, slots, cuts.
//!
//! Records stay where the reader put them; only a set whose records are scattered is copied together.

use crate::model;
use crate::wire::RecordType;
use crate::zone::Rrset;
use crate::zone::Zone;
use crate::zone::hash::NameHash;
use crate::zone::node::Node;
use crate::zonefile::Gathered;
use crate::zonefile::Records;
use crate::zonefile::records::HEAD_LEN;

/// A zone while it is laid out.
pub(super) struct Layout {
    octets: Vec<u8>,
    nodes: Vec<Node>,
    rrsets: Vec<Rrset>,
    /// Open addressing: position in `nodes` + 1, or 0. A power of two, at most half full.
    slots: Vec<u32>,
}

impl Layout {
    pub(super) fn of(zone: model::Zone) -> Zone {
        let model::Zone { apex, records, owners, steered } = zone;
        let node_count = owners.len() + steered.len();
        let mut layout = Self {
            octets: Vec::new(),
            nodes: Vec::with_capacity(node_count),
            rrsets: Vec::with_capacity(owners.len()),
            slots: vec![0; (node_count * 2).next_power_of_two().max(2)],
        };
        // Offsets are taken from the records, whose arena is moved in afterwards.
        let scattered = layout.add_owners(&records, &owners);
        drop(owners);
        layout.octets = records.into_octets();
        for (rrset, runs) in scattered {
            layout.join(rrset, &runs);
        }
        layout.index_owners();
        for model::Steered { owner, steer, records } in &steered {
            let node = layout.node(owner.as_wire());
            layout.nodes[node].set_steer(*steer, *records);
        }
        layout.add_empty_non_terminals(apex.as_wire().len());
        layout.mark_wildcard_parents();
        layout.mark_cuts(apex.as_wire().len());
        let negative_soa = layout.negative_soa(apex.as_wire());
        Zone {
            apex_labels: apex.labels().count(),
            apex,
            octets: layout.octets.into(),
            nodes: layout.nodes.into(),
            rrsets: layout.rrsets.into(),
            slots: layout.slots.into(),
            negative_soa,
        }
    }

    /// Adds a node and its sets for each owner; returns the sets that have to be joined, with their pieces.
    fn add_owners(
        &mut self,
        records: &Records,
        owners: &Gathered,
    ) -> Vec<(usize, Vec<(u32, u32)>)> {
        let mut scattered = Vec::new();
        for owner in owners.iter(records) {
            let first_rrset = self.rrsets.len() as u32;
            let (mut name_at, mut count) = (0, 0);
            for (rtype, set) in owner.sets() {
                let piece = |at: &u32| {
                    let len = HEAD_LEN + records.get(*at as usize).rdata.len();
                    (records.head_at(*at as usize), len as u32)
                };
                let (start, _) = piece(&set[0]);
                let len = set.iter().map(|at| piece(at).1).sum();
                let is_whole = set.windows(2).all(|pair| {
                    let (at, len) = piece(&pair[0]);
                    at + len == piece(&pair[1]).0
                });
                if !is_whole {
                    scattered.push((self.rrsets.len(), set.iter().map(piece).collect()));
                }
                name_at = records.owner_at(set[0] as usize);
                self.rrsets.push(Rrset { rtype, count: set.len() as u16, start, len });
                count += 1;
            }
            self.nodes.push(Node::new(name_at, owner.name, first_rrset, count));
        }
        scattered
    }

    /// Copies the pieces of a set to the end, one after the other.
    fn join(&mut self, rrset: usize, pieces: &[(u32, u32)]) {
        self.rrsets[rrset].start = self.end();
        for &(at, len) in pieces {
            let (start, end) = (at as usize, at as usize + len as usize);
            self.octets.extend_from_within(start..end);
        }
    }

    fn index_owners(&mut self) {
        for position in 0..self.nodes.len() {
            let slot = self.free_slot(NameHash::of_wire(self.name(position)));
            self.slots[slot] = position as u32 + 1;
        }
    }

    /// The node of this name, which is added if it is not there.
    fn node(&mut self, name: &[u8]) -> usize {
        if let Some(node) = self.find(name) {
            return node;
        }
        let name_at = self.end();
        self.octets.extend_from_slice(name);
        self.add_node(name_at, name.len())
    }

    /// Adds a node without sets, whose name is in the octets.
    fn add_node(&mut self, name_at: u32, len: usize) -> usize {
        let name = &self.octets[name_at as usize..][..len];
        let hash = NameHash::of_wire(name);
        let node = Node::new(name_at, name, 0, 0);
        self.nodes.push(node);
        if self.nodes.len() * 2 > self.slots.len() {
            self.slots = vec![0; self.slots.len() * 2];
            self.index_owners();
        } else {
            let slot = self.free_slot(hash);
            self.slots[slot] = self.nodes.len() as u32;
        }
        self.nodes.len() - 1
    }

    /// Adds every name between the apex and an owner: it exists, though it has no data (RFC 4592 section 2.2.2).
    fn add_empty_non_terminals(&mut self, apex_len: usize) {
        for position in 0..self.nodes.len() {
            let Node { mut name_at, name_len, .. } = self.nodes[position];
            let mut len = usize::from(name_len);
            while len > apex_len {
                let label_len = 1 + usize::from(self.octets[name_at as usize]);
                len -= label_len;
                name_at += label_len as u32;
                if len <= apex_len || self.find(&self.octets[name_at as usize..][..len]).is_some() {
                    break;
                }
                self.add_node(name_at, len);
            }
        }
    }

    /// Tells the parent of each wildcard.
    fn mark_wildcard_parents(&mut self) {
        for position in 0..self.nodes.len() {
            let Some(parent) = self.name(position).strip_prefix(b"\x01*") else { continue };
            if let Some(parent) = self.find(parent) {
                self.nodes[parent].set_has_wildcard();
            }
        }
    }

    /// Tells each node where it is hidden: by the highest NS records at or above it and below the apex, or by the
    /// highest DNAME above it.
    fn mark_cuts(&mut self, apex_len: usize) {
        let has = |layout: &Self, node: usize, rtype| {
            let Node { first_rrset, rrset_count, .. } = layout.nodes[node];
            let sets = &layout.rrsets[first_rrset as usize..][..usize::from(rrset_count)];
            sets.iter().any(|set| set.rtype == rtype)
        };
        let is_apex = |layout: &Self, node: usize| layout.name(node).len() == apex_len;
        let delegates = |layout: &Self, node: usize| {
            !is_apex(layout, node) && has(layout, node, RecordType::NS)
        };
        let hides = |layout: &Self, node: usize| {
            delegates(layout, node) || has(layout, node, RecordType::DNAME)
        };
        if !(0..self.nodes.len()).any(|node| hides(self, node)) {
            return;
        }
        for position in 0..self.nodes.len() {
            let mut name = self.name(position);
            let mut cut = None;
            while name.len() >= apex_len {
                let above = self.find(name).filter(|&above| match above == position {
                    true => delegates(self, above),
                    false => hides(self, above),
                });
                cut = above.map(|above| above as u32).or(cut);
                if name[0] == 0 {
                    break;
                }
                name = &name[1 + usize::from(name[0])..];
            }
            if let Some(cut) = cut {
                self.nodes[position].set_cut(cut);
            }
        }
    }

    /// The apex SOA again, with the TTL negative answers get: the smaller of its TTL and its last field.
    fn negative_soa(&mut self, apex: &[u8]) -> Rrset {
        let node = self.nodes[self.find(apex).expect("validation wants an apex")];
        let sets = &self.rrsets[node.first_rrset as usize..][..usize::from(node.rrset_count)];
        let soa = sets.iter().find(|rrset| rrset.rtype == RecordType::SOA);
        let soa = *soa.expect("validation wants an SOA");
        let (from, start) = (soa.start as usize, self.octets.len());
        self.octets.extend_from_within(from..from + soa.len as usize);
        let record = &mut self.octets[start..];
        let number = |at: usize| {
            u32::from_be_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
        };
        let ttl = number(6).min(number(record.len() - 4));
        record[6..10].copy_from_slice(&ttl.to_be_bytes());
        Rrset { start: u32::try_from(start).expect("a zone stays below 4 GiB"), ..soa }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let mut slot = NameHash::of_wire(name).slot(self.slots.len() - 1);
        loop {
            let position = self.slots[slot].checked_sub(1)? as usize;
            if self.name(position) == name {
                return Some(position);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    fn free_slot(&self, hash: NameHash) -> usize {
        let mut slot = hash.slot(self.slots.len() - 1);
        while self.slots[slot] != 0 {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    fn name(&self, node: usize) -> &[u8] {
        let Node { name_at, name_len, .. } = self.nodes[node];
        &self.octets[name_at as usize..][..usize::from(name_len)]
    }

    fn end(&self) -> u32 {
        u32::try_from(self.octets.len()).expect("a zone stays below 4 GiB")
    }
}

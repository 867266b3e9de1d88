//! All zones of a snapshot: the longest apex of a name.

use std::sync::Arc;

use crate::wire::Qname;
use crate::zone::Zone;
use crate::zone::hash::NameHash;
use crate::zone::hash::first_label;

/// Zones by apex.
#[derive(Clone, Debug, Default)]
pub struct ZoneIndex {
    zones: Box<[Arc<Zone>]>,
    /// Open addressing: position in `zones` + 1, or 0 for an empty slot. A power of two, at most half full.
    slots: Box<[u32]>,
    /// Bit k: there is an apex of k labels (63 stands for that many and more).
    apex_depths: u64,
}

/// A name's zone, with what was learned on the way.
#[derive(Clone, Copy, Debug)]
pub struct InZone<'a> {
    /// The zone.
    pub zone: &'a Arc<Zone>,
    /// Hash of the whole name.
    pub hash: NameHash,
}

impl ZoneIndex {
    /// Indexes zones; of two with one apex the later counts (the validator lets no such pair through).
    pub fn new(zones: Vec<Arc<Zone>>) -> Self {
        let slot_count = (zones.len() * 2).next_power_of_two().max(2);
        let mut index = Self {
            zones: zones.into(),
            slots: vec![0; slot_count].into_boxed_slice(),
            apex_depths: 0,
        };
        for position in 0..index.zones.len() {
            let apex = Qname::from(index.zones[position].apex());
            let mut slot = NameHash::of(&apex).slot(slot_count - 1);
            while index.slots[slot] != 0 {
                slot = (slot + 1) & (slot_count - 1);
            }
            index.slots[slot] = position as u32 + 1;
            index.apex_depths |= 1 << apex.label_count().min(63);
        }
        index
    }

    /// The zone with the longest apex that `qname` is in.
    #[inline]
    pub fn find(&self, qname: &Qname) -> Option<InZone<'_>> {
        let mut hash = NameHash::ROOT;
        let mut best = self.find_apex(hash, qname, 0);
        for labels in 1..=qname.label_count() {
            hash = hash.child(first_label(qname, labels));
            best = self.find_apex(hash, qname, labels).or(best);
        }
        best.map(|zone| InZone { zone, hash })
    }

    /// The zone that `apex` would be in if it were no zone itself: the side of the cut that has its DS.
    pub fn find_above(&self, apex: &Qname) -> Option<InZone<'_>> {
        let mut hash = NameHash::ROOT;
        let mut best = None;
        for labels in 0..=apex.label_count() {
            if labels > 0 {
                hash = hash.child(first_label(apex, labels));
            }
            if labels < apex.label_count() {
                best = self.find_apex(hash, apex, labels).or(best);
            }
        }
        best.map(|zone| InZone { zone, hash })
    }

    /// The zone whose apex is the last `labels` labels of `qname`.
    #[inline]
    fn find_apex(&self, hash: NameHash, qname: &Qname, labels: usize) -> Option<&Arc<Zone>> {
        if self.apex_depths & 1 << labels.min(63) == 0 {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash.slot(mask);
        loop {
            let position = self.slots[slot].checked_sub(1)?;
            let zone = &self.zones[position as usize];
            if zone.apex().as_wire() == qname.suffix(labels) {
                return Some(zone);
            }
            slot = (slot + 1) & mask;
        }
    }
}

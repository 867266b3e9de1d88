//! Records by owner: which records a name has, and whether a name is there at all.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::ops::Range;

use hashbrown::HashTable;

use crate::wire::RecordType;
use crate::zonefile::records::Record;
use crate::zonefile::records::Records;

/// Owners that can be looked up by name.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    /// Owner numbers by the hash of their name. Nobody outside chooses these names, so no secret is needed.
    table: HashTable<u32>,
    gathered: Gathered,
}

/// Positions of records, gathered by owner. Owners stand in the order of their first record.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Positions of records, owner by owner; those of one owner by type, then as they were added.
    order: Vec<u32>,
    /// By owner: where its positions start in `order`; one more at the end.
    starts: Vec<u32>,
}

/// One owner with its records.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Its name in wire form.
    pub name: &'a [u8],
    records: &'a Records,
    positions: &'a [u32],
}

impl<'a> Owner<'a> {
    /// Its records by type, each with its position.
    pub fn iter(self) -> impl Iterator<Item = (usize, Record<'a>)> {
        self.positions.iter().map(move |&at| (at as usize, self.records.get(at as usize)))
    }

    /// Its records of each type: their positions in the order they were added.
    pub fn sets(self) -> impl Iterator<Item = (RecordType, &'a [u32])> {
        let rtype = move |at: &u32| self.records.get(*at as usize).rtype;
        let sets = self.positions.chunk_by(move |a, b| rtype(a) == rtype(b));
        sets.map(move |set| (rtype(&set[0]), set))
    }

    /// Its first record of a type.
    pub fn find(self, rtype: RecordType) -> Option<(usize, Record<'a>)> {
        self.iter().find(|(_, record)| record.rtype == rtype)
    }
}

impl Owners {
    /// Gathers all records. Takes 8 octets a record and 14 an owner.
    pub fn new(records: &Records) -> Self {
        let is_neighbour = |at: usize| at > 0 && records.owner_at(at) == records.owner_at(at - 1);
        let runs = (0..records.len()).filter(|&at| !is_neighbour(at)).count();
        let mut firsts: Vec<u32> = Vec::with_capacity(runs);
        // Growing it would hash every name again, which costs a cache miss each.
        let mut table: HashTable<u32> = HashTable::with_capacity(runs);
        let mut owner_of: Vec<u32> = Vec::with_capacity(records.len());
        for position in 0..records.len() {
            if is_neighbour(position) {
                owner_of.push(owner_of[position - 1]);
                continue;
            }
            let name = records.get(position).owner;
            let name_of = |owner: &u32| records.get(firsts[*owner as usize] as usize).owner;
            let is_same = |owner: &u32| name_of(owner) == name;
            let entry = table.entry(hash(name), is_same, |owner| hash(name_of(owner)));
            let owner = *entry.or_insert(firsts.len() as u32).get();
            if owner as usize == firsts.len() {
                firsts.push(position as u32);
            }
            owner_of.push(owner);
        }
        let (order, starts) = gather(&owner_of, firsts.len());
        let mut gathered = Gathered { order, starts };
        gathered.sort(records);
        Self { table, gathered }
    }

    /// The owner of this name in wire form, lower case; `records` are those that were gathered.
    pub fn find<'a>(&'a self, records: &'a Records, name: &[u8]) -> Option<Owner<'a>> {
        let get = |owner: u32| self.gathered.get(owner as usize, records);
        let owner = self.table.find(hash(name), |&owner| get(owner).name == name)?;
        Some(get(*owner))
    }

    /// Every owner; `records` are those that were gathered.
    pub fn iter<'a>(&'a self, records: &'a Records) -> impl Iterator<Item = Owner<'a>> {
        self.gathered.iter(records)
    }

    /// Takes records out of their sets. At least one record of each owner stays.
    ///
    /// `positions` are in ascending order.
    pub fn remove(&mut self, positions: &[u32]) {
        self.gathered.remove(positions);
    }

    /// The owners without the index of their names.
    pub fn into_gathered(self) -> Gathered {
        self.gathered
    }
}

impl Gathered {
    /// How many owners there are.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every owner; `records` are those that were gathered.
    pub fn iter<'a>(&'a self, records: &'a Records) -> impl Iterator<Item = Owner<'a>> {
        (0..self.len()).map(|owner| self.get(owner, records))
    }

    fn get<'a>(&'a self, owner: usize, records: &'a Records) -> Owner<'a> {
        let positions = &self.order[self.range(owner)];
        Owner { name: records.get(positions[0] as usize).owner, records, positions }
    }

    fn range(&self, owner: usize) -> Range<usize> {
        self.starts[owner] as usize..self.starts[owner + 1] as usize
    }

    /// Puts the records of each owner in the order of their types.
    fn sort(&mut self, records: &Records) {
        for owner in 0..self.len() {
            let range = self.range(owner);
            if range.len() > 1 {
                self.order[range].sort_by_key(|&at| records.get(at as usize).rtype);
            }
        }
    }

    fn remove(&mut self, positions: &[u32]) {
        let mut kept = Vec::with_capacity(self.order.len());
        for owner in 0..self.len() {
            let range = self.range(owner);
            self.starts[owner] = kept.len() as u32;
            let is_kept = |at: &&u32| positions.binary_search(at).is_err();
            kept.extend(self.order[range].iter().filter(is_kept));
        }
        if let Some(end) = self.starts.last_mut() {
            *end = kept.len() as u32;
        }
        self.order = kept;
    }
}

/// Positions owner by owner, and where each owner's start: a counting sort.
fn gather(owner_of: &[u32], owner_count: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; owner_count + 1];
    for &owner in owner_of {
        starts[owner as usize + 1] += 1;
    }
    for owner in 0..owner_count {
        starts[owner + 1] += starts[owner];
    }
    let mut next = starts.clone();
    let mut order = vec![0u32; owner_of.len()];
    for (position, &owner) in owner_of.iter().enumerate() {
        let slot = &mut next[owner as usize];
        order[*slot as usize] = position as u32;
        *slot += 1;
    }
    (order, starts)
}

fn hash(name: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn gathers_scattered_records_of_a_name_by_type() {
        let name = |text| Name::absolute(text).unwrap();
        let mut records = Records::default();
        for (owner, rtype, octet) in [("a", 16, 1), ("b", 1, 2), ("a", 1, 3), ("a", 16, 4)] {
            records.push(&name(owner), RecordType(rtype), 60, &[octet]);
        }
        let mut owners = Owners::new(&records);
        let sets = |owners: &Owners| {
            let all = owners.iter(&records).flat_map(|owner| {
                let set =
                    |(rtype, set): (RecordType, &[u32])| (owner.name[1], rtype.0, set.to_vec());
                owner.sets().map(set).collect::<Vec<_>>()
            });
            all.collect::<Vec<_>>()
        };
        let before = [(b'a', 1, vec![2]), (b'a', 16, vec![0, 3]), (b'b', 1, vec![1])];
        assert_eq!(sets(&owners), before);
        assert_eq!(owners.find(&records, name("b").as_wire()).unwrap().iter().count(), 1);
        assert!(owners.find(&records, name("c").as_wire()).is_none());
        owners.remove(&[3]);
        let after = [(b'a', 1, vec![2]), (b'a', 16, vec![0]), (b'b', 1, vec![1])];
        assert_eq!(sets(&owners), after);
    }
}

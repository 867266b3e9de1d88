//! Records of a zone in one arena, encoded as replies need them: no heap object per record.

use crate::wire::Name;
use crate::wire::RecordType;
use crate::wire::writer::QNAME_POINTER;

/// Octets of a record before its data: a pointer to its owner, type, class, TTL and length.
pub const HEAD_LEN: usize = 12;

/// Most octets of an arena: offsets of 32 bits reach all of it, and once more every record of a scattered set, which
/// is copied when the zone is laid out; the rest, 294 MB, is for names that are only steered.
const ARENA_MAX: usize = 2_000_000_000;

/// Records in the order they were added.
///
/// The arena holds each owner once for the records that follow it: `owner head data head data owner head data ...`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    octets: Vec<u8>,
    rows: Vec<Row>,
}

/// Where a record's owner and head are in the arena.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    owner: u32,
    at: u32,
}

/// One record of class IN, borrowed from its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Absolute owner in wire form, lower case.
    pub owner: &'a [u8],
    /// Its type.
    pub rtype: RecordType,
    /// Seconds.
    pub ttl: u32,
    /// Wire form without compression, at most 65,535 octets.
    pub rdata: &'a [u8],
}

impl Record<'_> {
    /// Its owner as a name.
    pub fn owner_name(&self) -> Name {
        Name::from_wire(self.owner).expect("only names are added as owners")
    }
}

impl Records {
    /// Adds a record whose data `write` appends to the arena; if that fails, nothing is added.
    ///
    /// # Panics
    /// If the arena is full ([`Records::is_full`]).
    pub fn add<E>(
        &mut self,
        owner: &[u8],
        rtype: RecordType,
        ttl: u32,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        assert!(!self.is_full(), "the caller stops at a full arena");
        let before = self.octets.len();
        let row = self.head(owner, rtype, ttl);
        let start = self.octets.len();
        if let Err(why) = write(&mut self.octets) {
            self.octets.truncate(before);
            return Err(why);
        }
        let len = (self.octets.len() - start) as u16;
        self.octets[start - 2..start].copy_from_slice(&len.to_be_bytes());
        self.rows.push(row);
        Ok(())
    }

    /// Adds a record.
    pub fn push(&mut self, owner: &Name, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        let write = |octets: &mut Vec<u8>| {
            octets.extend_from_slice(rdata);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = self.add(owner.as_wire(), rtype, ttl, write);
    }

    /// Writes the owner, unless it is the last record's, and the head with an open length.
    fn head(&mut self, owner: &[u8], rtype: RecordType, ttl: u32) -> Row {
        let last = self.rows.last().map(|row| row.owner);
        let owner = match last {
            Some(at) if self.octets[at as usize..].starts_with(owner) => at,
            _ => {
                let at = self.octets.len() as u32;
                self.octets.extend_from_slice(owner);
                at
            }
        };
        let at = self.octets.len() as u32;
        self.octets.extend_from_slice(&QNAME_POINTER.to_be_bytes());
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&[0, 1]);
        self.octets.extend_from_slice(&ttl.to_be_bytes());
        self.octets.extend_from_slice(&[0, 0]);
        Row { owner, at }
    }

    /// Whether no further record can be added.
    pub fn is_full(&self) -> bool {
        self.octets.len() > ARENA_MAX
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The record at a position.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, position: usize) -> Record<'_> {
        let Row { owner, at } = self.rows[position];
        let (owner, head) = (&self.octets[owner as usize..], &self.octets[at as usize..]);
        let rdata_len = usize::from(u16::from_be_bytes([head[10], head[11]]));
        Record {
            owner: &owner[..wire_len(owner)],
            rtype: RecordType(u16::from_be_bytes([head[2], head[3]])),
            ttl: u32::from_be_bytes([head[6], head[7], head[8], head[9]]),
            rdata: &head[HEAD_LEN..HEAD_LEN + rdata_len],
        }
    }

    /// Where the owner of a record is in the arena: equal for neighbours of one owner.
    pub fn owner_at(&self, position: usize) -> u32 {
        self.rows[position].owner
    }

    /// Where a record's head is in the arena.
    pub fn head_at(&self, position: usize) -> u32 {
        self.rows[position].at
    }

    /// Gives a record another TTL, in seconds.
    pub fn set_ttl(&mut self, position: usize, ttl: u32) {
        let at = self.rows[position].at as usize + 6;
        self.octets[at..at + 4].copy_from_slice(&ttl.to_be_bytes());
    }

    /// Every record in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).map(|position| self.get(position))
    }

    /// The arena, for who knows the offsets.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The arena itself; offsets stay as they are.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

/// Octets of the name at the start of `octets`, root included.
pub(crate) fn wire_len(octets: &[u8]) -> usize {
    let mut at = 0;
    while octets[at] != 0 {
        at += 1 + usize::from(octets[at]);
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_added_and_nothing_of_what_failed() {
        let name = |text| Name::absolute(text).unwrap();
        let mut records = Records::default();
        records.push(&name("a.z"), RecordType::A, 60, &[192, 0, 2, 1]);
        let failed = records.add(name("b.z").as_wire(), RecordType::TXT, 1, |octets| {
            octets.push(7);
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        records.push(&name("a.z"), RecordType::A, 60, &[192, 0, 2, 2]);
        records.push(&name("z"), RecordType::TXT, 5, b"\x01x");
        records.set_ttl(1, 30);
        let all: Vec<_> = records.iter().map(|r| (r.owner_name().to_string(), r.ttl)).collect();
        assert_eq!(all, [("a.z.".into(), 60), ("a.z.".into(), 30), ("z.".into(), 5)]);
        assert_eq!(records.get(1).rdata, [192, 0, 2, 2]);
        assert_eq!(records.owner_at(0), records.owner_at(1), "an owner is stored once");
        assert_eq!(records.octets().len(), 5 + 16 + 16 + 3 + 14);
    }
}

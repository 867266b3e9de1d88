//! Large things that nodes hand to each other, in pieces: each is asked for by its digest, and nothing else is taken for it.
//!
//! A **parcel** is octets of some length: a bundle of files, or a table. Its **index** is the list of its pieces' digests, and
//! is a piece itself: who knows its digest, which names the parcel, can have everything from anybody.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::cluster::wire::Reader;

/// Most octets of a piece: it holds up a slow link for about as long as a few messages of gossip.
pub const PIECE_MAX: usize = 64 * 1024;

/// Most octets of a parcel: so much that its index is one piece.
pub const PARCEL_MAX: usize = 120 * 1024 * 1024;

/// What an index begins with.
const MARK: &[u8] = b"rhumb index 1\n";

/// Octets of a digest.
pub const ID_LEN: usize = 32;

/// SHA-256 of a piece; that of an index names its parcel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId([u8; ID_LEN]);

impl PieceId {
    /// That of a piece.
    pub fn of(octets: &[u8]) -> Self {
        Self(Sha256::digest(octets).into())
    }

    /// Of its own octets.
    pub fn new(octets: [u8; ID_LEN]) -> Self {
        Self(octets)
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8; ID_LEN] {
        &self.0
    }

    /// Of its text; one digest has one text.
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// So much of its text as people compare.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..8])
    }
}

impl fmt::Display for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for PieceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PieceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no SHA-256 in hexadecimal"))
    }
}

/// Which pieces a parcel is cut into.
///
/// ```text
/// +-------------------+----------+---------------+---------------+ - - -
/// | "rhumb index 1\n" | size (8) | piece id (32) | piece id (32) |
/// +-------------------+----------+---------------+---------------+ - - -
/// ```
///
/// Every piece but the last has [`PIECE_MAX`] octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    size: usize,
    pieces: Vec<PieceId>,
}

impl Index {
    /// That of a parcel; `None` if it is empty, or longer than [`PARCEL_MAX`].
    pub fn of(parcel: &[u8]) -> Option<Self> {
        let is_allowed = (1..=PARCEL_MAX).contains(&parcel.len());
        let pieces = || parcel.chunks(PIECE_MAX).map(PieceId::of).collect();
        is_allowed.then(|| Self { size: parcel.len(), pieces: pieces() })
    }

    /// That of a parcel of `size` octets with these pieces; `None` if it is none.
    pub fn of_pieces(size: usize, pieces: Vec<PieceId>) -> Option<Self> {
        let is_allowed =
            (1..=PARCEL_MAX).contains(&size) && pieces.len() == size.div_ceil(PIECE_MAX);
        is_allowed.then_some(Self { size, pieces })
    }

    /// Name of its parcel.
    pub fn id(&self) -> PieceId {
        PieceId::of(&self.to_octets())
    }

    /// Octets of its parcel.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[PieceId] {
        &self.pieces
    }

    /// Where a piece is in the parcel, and how long it is.
    pub fn span(&self, position: usize) -> (usize, usize) {
        let start = position * PIECE_MAX;
        (start, self.size.saturating_sub(start).min(PIECE_MAX))
    }

    /// As octets: a piece itself.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(MARK.len() + 8 + self.pieces.len() * ID_LEN);
        octets.extend(MARK);
        octets.extend((self.size as u64).to_be_bytes());
        self.pieces.iter().for_each(|piece| octets.extend(piece.octets()));
        octets
    }

    /// Of octets; total.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(octets.strip_prefix(MARK)?);
        let size = usize::try_from(reader.u64()?).ok()?;
        if !(1..=PARCEL_MAX).contains(&size) {
            return None;
        }
        let mut pieces = Vec::with_capacity(size.div_ceil(PIECE_MAX));
        for _ in 0..size.div_ceil(PIECE_MAX) {
            pieces.push(PieceId(reader.take(ID_LEN)?.try_into().ok()?));
        }
        reader.is_empty().then_some(Self { size, pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_parcel_has_an_index_of_one_piece() {
        let pieces = vec![PieceId::of(b""); PARCEL_MAX.div_ceil(PIECE_MAX)];
        let index = Index { size: PARCEL_MAX, pieces };
        assert!(index.to_octets().len() <= PIECE_MAX, "{}", index.to_octets().len());
        assert_eq!(Index::read(&index.to_octets()), Some(index));
    }

    #[test]
    fn a_parcel_is_cut_where_its_index_says() {
        for size in [1, PIECE_MAX - 1, PIECE_MAX, PIECE_MAX + 1, 3 * PIECE_MAX] {
            let parcel: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let index = Index::of(&parcel).unwrap();
            assert_eq!(index.size(), size);
            for (position, piece) in index.pieces().iter().enumerate() {
                let (start, len) = index.span(position);
                assert_eq!(*piece, PieceId::of(&parcel[start..start + len]));
            }
            assert_eq!(Index::read(&index.to_octets()), Some(index));
        }
        assert_eq!(Index::of(&[]), None);
    }

    #[test]
    fn a_digest_has_one_text() {
        let id = PieceId::of(b"x");
        assert_eq!(PieceId::parse(&id.to_string()), Some(id));
        for wrong in ["", "00", &id.to_string().to_uppercase(), &format!("{id}0")] {
            assert_eq!(PieceId::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_an_index_in_one_form_or_none(mut octets in proptest::collection::vec(any::<u8>(), 0..120), with_mark in any::<bool>()) {
            if with_mark {
                octets = [MARK, &[0, 0, 0, 0, 0, 0], &octets].concat();
            }
            if let Some(index) = Index::read(&octets) {
                prop_assert_eq!(index.to_octets(), octets);
            }
        }
    }
}

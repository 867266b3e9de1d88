//! The shared prefix table: address to leaf, leaf to place. Built once by
//! [`PlaceMap::compile`], then only looked up; knows nothing of policies.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::IpNet;
use sha2::Digest;
use sha2::Sha256;

use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::compile::LeafColumns;
use crate::geo::place::Rows;
use crate::geo::steps::Bits;

/// Entries of a first-level index: one for each value of an address's top 16 bits, and an end.
const INDEX_LEN: usize = (1 << 16) + 1;

/// What the table says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Position among the leaves of the address's family.
    pub index: u32,
    /// Length of the prefix that holds the address and has one place, in bits of its family.
    pub prefix_len: u8,
    /// The place of every address in that prefix.
    pub place: PlaceId,
}

/// All leaves of one family by start, as columns of equal length.
///
/// They partition the address space: gaps between networks are leaves of [`PlaceId::UNKNOWN`].
/// They are the leaves of a full binary trie, and sibling leaves differ in place.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'a, A> {
    /// First address of each leaf, ascending; the first is 0.
    pub starts: &'a [A],
    /// Length of each leaf's prefix in bits.
    pub prefix_lens: &'a [u8],
    /// Place of each leaf.
    pub places: &'a [PlaceId],
}

/// Addresses to places, all sources joined. Equal content gives equal ids and an equal digest.
#[derive(Clone)]
pub struct PlaceMap {
    v4: Family<u32>,
    v6: Family<u128>,
    places: Box<[Place]>,
    digest: [u8; 32],
}

impl PlaceMap {
    /// The map of no data: one leaf of length 0 in each family, unknown.
    pub fn empty() -> Self {
        Self::compile(&[])
    }

    /// The leaf of an IPv4 address.
    #[inline]
    pub fn find_v4(&self, address: Ipv4Addr) -> Leaf {
        let bits = address.to_bits();
        self.v4.find(bits, (bits >> 16) as usize)
    }

    /// The leaf of an IPv6 address, taken as it is: also `::ffff:0:0/96` has only IPv6 leaves.
    ///
    /// 6to4 (2002::/16) and Teredo (2001::/32) addresses are not read as the IPv4 address they
    /// hold: both are retired (RFC 7526).
    #[inline]
    pub fn find_v6(&self, address: Ipv6Addr) -> Leaf {
        let bits = address.to_bits();
        self.v6.find(bits, (bits >> 112) as usize)
    }

    /// The leaf of an address; an IPv4-mapped IPv6 address is looked up as IPv4.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Leaf {
        match address.to_canonical() {
            IpAddr::V4(address) => self.find_v4(address),
            IpAddr::V6(address) => self.find_v6(address),
        }
    }

    /// Places of a network's leaves in order; neighbours differ.
    pub fn within(&self, network: IpNet) -> impl Iterator<Item = PlaceId> + '_ {
        let (first, last, places) = match network {
            IpNet::V4(network) => (
                self.find_v4(network.network()).index,
                self.find_v4(network.broadcast()).index,
                self.leaves_v4().places,
            ),
            IpNet::V6(network) => (
                self.find_v6(network.network()).index,
                self.find_v6(network.broadcast()).index,
                self.leaves_v6().places,
            ),
        };
        let mut before = None;
        let places = places[first as usize..=last as usize].iter().copied();
        places.filter(move |place| before.replace(*place) != Some(*place))
    }

    /// The place of an id.
    ///
    /// # Panics
    /// If `id` is of another map and this one has fewer places.
    pub fn place(&self, id: PlaceId) -> &Place {
        &self.places[id.index()]
    }

    /// All places, indexed by [`PlaceId`]; the first is the unknown place.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// All IPv4 leaves.
    pub fn leaves_v4(&self) -> Leaves<'_, u32> {
        self.v4.leaves()
    }

    /// All IPv6 leaves.
    pub fn leaves_v6(&self) -> Leaves<'_, u128> {
        self.v6.leaves()
    }

    /// SHA-256 of the content: what every address maps to, and nothing else.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Puts the parts together; `places` is indexed by the leaves' values.
    pub(in crate::geo) fn from_parts(
        v4: LeafColumns<u32>,
        v6: LeafColumns<u128>,
        places: Vec<Place>,
    ) -> Self {
        let v4 = Family::from_columns(v4, |bits| (bits >> 16) as usize);
        let v6 = Family::from_columns(v6, |bits| (bits >> 112) as usize);
        let digest = digest(&v4, &v6, &places);
        Self { v4, v6, places: places.into(), digest }
    }
}

/// Sizes and digest only: a map has millions of leaves.
impl fmt::Debug for PlaceMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaceMap")
            .field("leaves_v4", &self.v4.starts.len())
            .field("leaves_v6", &self.v6.starts.len())
            .field("places", &self.places.len())
            .finish_non_exhaustive()
    }
}

/// The leaves of one family and the way in.
#[derive(Clone)]
struct Family<A> {
    starts: Box<[A]>,
    prefix_lens: Box<[u8]>,
    places: Box<[PlaceId]>,
    /// For each value of the top 16 bits the leaf of its first address; at the end the last leaf.
    index: Box<[u32]>,
}

impl<A: Bits> Family<A> {
    fn from_columns(columns: LeafColumns<A>, top: impl Fn(A) -> usize) -> Self {
        let LeafColumns { starts, prefix_lens, places } = columns;
        let last = u32::try_from(starts.len() - 1).expect("a family has fewer than 2^32 leaves");
        let mut index = vec![last; INDEX_LEN];
        let mut filled = 0;
        for (position, start) in starts.iter().enumerate() {
            // A leaf that starts inside a block is not the one of the block's first address;
            // leaves are aligned, so one that starts a block first starts exactly at it.
            let block = top(*start);
            if block >= filled {
                index[filled..block].fill((position as u32).saturating_sub(1));
                index[block] = position as u32;
                filled = block + 1;
            }
        }
        Self {
            starts: starts.into(),
            prefix_lens: prefix_lens.into(),
            places: places.into_iter().map(PlaceId).collect(),
            index: index.into(),
        }
    }

    /// The leaf of `address`, whose top 16 bits are `block`.
    #[inline]
    fn find(&self, address: A, block: usize) -> Leaf {
        let first = self.index[block] as usize;
        let last = self.index[block + 1] as usize;
        let position = first + self.starts[first + 1..=last].partition_point(|s| *s <= address);
        Leaf {
            index: position as u32,
            prefix_len: self.prefix_lens[position],
            place: self.places[position],
        }
    }

    fn leaves(&self) -> Leaves<'_, A> {
        Leaves { starts: &self.starts, prefix_lens: &self.prefix_lens, places: &self.places }
    }
}

/// Hashes leaves (their lengths fix their starts) and places, each list after its length.
fn digest(v4: &Family<u32>, v6: &Family<u128>, places: &[Place]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"rhumb places 1");
    hash_leaves(&mut hash, &v4.prefix_lens, &v4.places);
    hash_leaves(&mut hash, &v6.prefix_lens, &v6.places);
    for place in places {
        hash_place(&mut hash, place);
    }
    hash.finalize().into()
}

fn hash_leaves(hash: &mut Sha256, prefix_lens: &[u8], places: &[PlaceId]) {
    hash.update((prefix_lens.len() as u64).to_le_bytes());
    hash.update(prefix_lens);
    let mut chunk = Vec::with_capacity(4096);
    for ids in places.chunks(1024) {
        chunk.clear();
        chunk.extend(ids.iter().flat_map(|id| id.0.to_le_bytes()));
        hash.update(&chunk);
    }
}

fn hash_place(hash: &mut Sha256, place: &Place) {
    let Place {
        continent,
        country,
        subdivision,
        city,
        location,
        accuracy_km,
        asn,
        is_withheld,
        rows,
    } = place;
    let mut field = |bytes: Option<&[u8]>| {
        let len = bytes.map_or(0, |bytes| bytes.len() as u64 + 1);
        hash.update(len.to_le_bytes());
        hash.update(bytes.unwrap_or_default());
    };
    field(continent.as_ref().map(|code| code.as_slice()));
    field(country.as_ref().map(|code| code.as_slice()));
    field(subdivision.as_deref().map(str::as_bytes));
    field(city.as_deref().map(str::as_bytes));
    let point = location.map(|point| point.micro_degrees());
    field(point.map(|(latitude, _)| latitude.to_le_bytes()).as_ref().map(|b| b.as_slice()));
    field(point.map(|(_, longitude)| longitude.to_le_bytes()).as_ref().map(|b| b.as_slice()));
    field(accuracy_km.map(u16::to_le_bytes).as_ref().map(|b| b.as_slice()));
    field(asn.map(u32::to_le_bytes).as_ref().map(|b| b.as_slice()));
    field(is_withheld.then_some(&[]));
    if *rows != Rows::default() {
        // No field is so long, so that this cannot be taken for one.
        hash.update(u64::MAX.to_le_bytes());
        rows.all().iter().for_each(|row| hash.update(row.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Layer;

    #[test]
    fn an_empty_map_knows_one_leaf_a_family() {
        let map = PlaceMap::empty();
        let nowhere = Leaf { index: 0, prefix_len: 0, place: PlaceId::UNKNOWN };
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::ffff"] {
            assert_eq!(map.find(address.parse().unwrap()), nowhere);
        }
        assert!(map.place(PlaceId::UNKNOWN).is_unknown());
        assert_eq!((map.leaves_v4().starts.len(), map.leaves_v6().starts.len()), (1, 1));
    }

    #[test]
    fn leaves_inside_at_the_ends_of_and_across_index_blocks_are_found() {
        let networks = ["10.0.0.0/7", "10.5.0.0/24", "10.5.255.0/24", "255.255.255.255/32"];
        let mut layer = Layer::new();
        for (network, asn) in networks.iter().zip(1..) {
            let place = Place { asn: Some(asn), ..Place::default() };
            layer.insert(network.parse().unwrap(), place).unwrap();
        }
        let map = PlaceMap::compile(&[layer]);
        let asn = |address: &str| map.place(map.find(address.parse().unwrap()).place).asn;
        assert_eq!(asn("9.255.255.255"), None);
        assert_eq!(asn("10.0.0.0"), Some(1));
        assert_eq!(asn("10.5.0.255"), Some(2));
        assert_eq!(asn("10.5.1.0"), Some(1));
        assert_eq!(asn("10.5.255.255"), Some(3));
        assert_eq!(asn("10.6.0.0"), Some(1));
        assert_eq!(asn("11.255.255.255"), Some(1));
        assert_eq!(asn("12.0.0.0"), None);
        assert_eq!(asn("255.255.255.254"), None);
        assert_eq!(asn("255.255.255.255"), Some(4));
    }

    #[test]
    fn a_mapped_address_is_found_as_ipv4() {
        let mut layer = Layer::new();
        let place = Place { asn: Some(64496), ..Place::default() };
        layer.insert("192.0.2.0/24".parse().unwrap(), place).unwrap();
        let map = PlaceMap::compile(&[layer]);
        let mapped = map.find("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(mapped, map.find("192.0.2.1".parse().unwrap()));
        assert_eq!(mapped.prefix_len, 24);
    }
}

//! Joins layers into one table: the common refinement of all their networks. Answers no question.

use std::collections::HashMap;
use std::mem;

use crate::geo::Layer;
use crate::geo::Place;
use crate::geo::PlaceMap;
use crate::geo::steps::Bits;
use crate::geo::steps::Steps;

impl PlaceMap {
    /// Joins `layers`, the most trusted first, and gives places without coordinates the centre of their country.
    ///
    /// Where several cover an address, an earlier layer's fields win and a later one fills what is
    /// absent, see [`Place::filled_from`]; then [`Place::with_centre`]. Equal content gives the same leaves, ids and
    /// digest, however it is spread over networks.
    ///
    /// # Panics
    /// If there are 2^32 leaves in a family: about 100 layers at their limits.
    pub fn compile(layers: &[Layer]) -> Self {
        let (mut table, v4, v6) = joined(layers);
        let centred: Vec<u32> = (0..table.places.len())
            .map(|id| {
                let place = table.places[id].clone().with_centre();
                table.intern(&place)
            })
            .collect();
        let centre = |place: u32| centred[place as usize];
        table.finish(v4.map(centre), v6.map(centre))
    }

    /// Joins `layers` as [`PlaceMap::compile`] does, but adds nothing to what they say.
    pub fn join(layers: &[Layer]) -> Self {
        let (table, v4, v6) = joined(layers);
        table.finish(v4, v6)
    }
}

/// The places of all layers, and which of them holds from where on.
fn joined(layers: &[Layer]) -> (PlaceTable, Steps<u32>, Steps<u128>) {
    let mut table = PlaceTable::new();
    let mut v4 = Steps::constant(0);
    let mut v6 = Steps::constant(0);
    for layer in layers {
        let ids: Vec<u32> = layer.places.iter().map(|place| table.intern(place)).collect();
        let id = |place: u32| ids[place as usize];
        v4 = v4.join(&Steps::flatten(&layer.networks_v4, 0, id), |a, b| table.merge(a, b));
        v6 = v6.join(&Steps::flatten(&layer.networks_v6, 0, id), |a, b| table.merge(a, b));
    }
    (table, v4, v6)
}

/// Leaves of one family by start: starts, prefix lengths, places.
pub(in crate::geo) struct LeafColumns<A> {
    pub starts: Vec<A>,
    pub prefix_lens: Vec<u8>,
    pub places: Vec<u32>,
}

/// Cuts steps into leaves.
pub(in crate::geo) fn leaves<A: Bits>(steps: &Steps<A>) -> LeafColumns<A> {
    let mut columns =
        LeafColumns { starts: Vec::new(), prefix_lens: Vec::new(), places: Vec::new() };
    steps.cut(|start, prefix_len, value| {
        columns.starts.push(start);
        columns.prefix_lens.push(prefix_len);
        columns.places.push(value);
    });
    columns
}

/// Distinct places while layers are joined. Position 0 is the unknown place.
struct PlaceTable {
    places: Vec<Place>,
    known: HashMap<Place, u32>,
    merged: HashMap<(u32, u32), u32>,
}

impl PlaceTable {
    fn new() -> Self {
        let mut table = Self { places: Vec::new(), known: HashMap::new(), merged: HashMap::new() };
        table.intern(&Place::default());
        table
    }

    fn intern(&mut self, place: &Place) -> u32 {
        if let Some(id) = self.known.get(place) {
            return *id;
        }
        let id =
            u32::try_from(self.places.len()).expect("layers limit their places far below 2^32");
        self.places.push(place.clone());
        self.known.insert(place.clone(), id);
        id
    }

    /// The place where an earlier layer says `first` and a later one says `second`.
    fn merge(&mut self, first: u32, second: u32) -> u32 {
        if second == 0 || first == second {
            return first;
        }
        if first == 0 {
            return second;
        }
        if let Some(id) = self.merged.get(&(first, second)) {
            return *id;
        }
        let place = self.places[first as usize].filled_from(&self.places[second as usize]);
        let id = self.intern(&place);
        self.merged.insert((first, second), id);
        id
    }

    /// The map of these steps.
    fn finish(self, mut v4: Steps<u32>, mut v6: Steps<u128>) -> PlaceMap {
        let places = self.renumber(&mut v4, &mut v6);
        PlaceMap::from_parts(leaves(&v4), leaves(&v6), places)
    }

    /// Numbers the used places by first appearance, so that ids depend on the content only.
    fn renumber(mut self, v4: &mut Steps<u32>, v6: &mut Steps<u128>) -> Vec<Place> {
        const UNSEEN: u32 = u32::MAX;
        let mut new_ids = vec![UNSEEN; self.places.len()];
        new_ids[0] = 0;
        let mut places = vec![Place::default()];
        let values_v4 = v4.as_mut_slice().iter_mut().map(|step| &mut step.value);
        let values_v6 = v6.as_mut_slice().iter_mut().map(|step| &mut step.value);
        for value in values_v4.chain(values_v6) {
            let old = *value as usize;
            if new_ids[old] == UNSEEN {
                new_ids[old] = places.len() as u32;
                places.push(mem::take(&mut self.places[old]));
            }
            *value = new_ids[old];
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::geo::Leaves;

    type Row = (IpNet, Place);

    fn layer(rows: &[Row]) -> Layer {
        let mut layer = Layer::new();
        for (network, place) in rows {
            layer.insert(*network, place.clone()).unwrap();
        }
        layer
    }

    fn row(network: &str, country: &[u8; 2]) -> Row {
        (network.parse().unwrap(), Place { country: Some(*country), ..Place::default() })
    }

    /// The slow, obvious twin: looks through all networks of all layers.
    fn find_slowly(layers: &[Vec<Row>], address: IpAddr) -> Place {
        let mut found = Place::default();
        for rows in layers {
            let mut best: Option<&Row> = None;
            for row in rows.iter().filter(|(network, _)| network.contains(&address)) {
                if best.is_none_or(|(network, _)| row.0.prefix_len() >= network.prefix_len()) {
                    best = Some(row);
                }
            }
            if let Some((_, place)) = best {
                found = found.filled_from(place);
            }
        }
        found
    }

    fn assert_full_trie<A: Bits + std::fmt::Debug>(leaves: Leaves<'_, A>) {
        assert_eq!(leaves.starts[0], A::ZERO);
        for index in 0..leaves.starts.len() {
            let next = leaves.starts.get(index + 1).copied();
            let end = leaves.starts[index].after(leaves.prefix_lens[index]);
            assert_eq!(end, next, "leaves are gapless and end at the top");
            let Some(next) = next else { continue };
            let siblings = leaves.prefix_lens[index] == leaves.prefix_lens[index + 1]
                && leaves.starts[index].largest_prefix_len(next.after(leaves.prefix_lens[index]))
                    < leaves.prefix_lens[index];
            let alike = leaves.places[index] == leaves.places[index + 1];
            assert!(!(siblings && alike), "equal siblings are one leaf, at {index}");
        }
    }

    fn places() -> impl Strategy<Value = Place> {
        (0..4_usize, 0..4_usize, 0..4_u32).prop_map(|(country, city, asn)| Place {
            country: [None, Some(*b"DE"), Some(*b"FR"), Some(*b"US")][country],
            city: [None, Some("A"), Some("B"), Some("C")][city].map(Into::into),
            asn: (asn > 0).then_some(asn),
            ..Place::default()
        })
    }

    /// Networks crowded into a few bits, so that they nest, touch and repeat.
    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let v4 = (0..64_u32, 0..=6_u8, any::<bool>()).prop_map(|(bits, len, low)| {
            let start = if low { bits << 10 } else { bits << 26 };
            let len = if low { 16 + len } else { len };
            IpNet::new(IpAddr::V4(start.into()), len).unwrap().trunc()
        });
        let v6 = (0..64_u128, 0..=6_u8, any::<bool>()).prop_map(|(bits, len, low)| {
            let start = if low { bits } else { bits << 122 };
            let len = if low { 122 + len } else { len };
            IpNet::new(IpAddr::V6(start.into()), len).unwrap().trunc()
        });
        prop::collection::vec((prop_oneof![v4, v6], places()), 0..24)
    }

    proptest! {
        #[test]
        fn finds_what_a_linear_scan_finds_and_leaves_are_a_full_trie(
            sources in prop::collection::vec(rows(), 0..4),
        ) {
            let layers: Vec<Layer> = sources.iter().map(|rows| layer(rows)).collect();
            let map = PlaceMap::compile(&layers);
            assert_full_trie(map.leaves_v4());
            assert_full_trie(map.leaves_v6());
            let v4 = (0..64_u32).flat_map(|n| [n << 10, n << 26, (n << 26) | 0x3ff_ffff]);
            let v6 = (0..64_u128).flat_map(|n| [n, n << 122, (n << 122) | (u128::MAX >> 6)]);
            let all = v4.map(|n| IpAddr::V4(n.into())).chain(v6.map(|n| IpAddr::V6(n.into())));
            for address in all {
                let leaf = map.find(address);
                let expected = find_slowly(&sources, address).with_centre();
                prop_assert_eq!(map.place(leaf.place), &expected);
                let network = IpNet::new(address, leaf.prefix_len).unwrap();
                let ends = [network.network(), network.broadcast()].map(|end| map.find(end));
                prop_assert_eq!(ends, [leaf, leaf], "the whole leaf is one leaf");
            }
        }
    }

    #[test]
    fn equal_content_gives_an_equal_digest_however_it_is_cut() {
        let whole = [row("10.0.0.0/8", b"DE"), row("2001:db8::/32", b"FR")];
        let halves = [
            row("2001:db8::/33", b"FR"),
            row("10.128.0.0/9", b"DE"),
            row("2001:db8:8000::/33", b"FR"),
            row("10.0.0.0/8", b"DE"),
        ];
        let (whole, halves) =
            (PlaceMap::compile(&[layer(&whole)]), PlaceMap::compile(&[layer(&halves)]));
        assert_eq!(whole.digest(), halves.digest());
        let other = PlaceMap::compile(&[layer(&[row("10.0.0.0/8", b"FR")])]);
        assert_ne!(whole.digest(), other.digest());
        assert_ne!(other.digest(), PlaceMap::empty().digest());
    }

    #[test]
    fn a_later_layer_fills_what_an_earlier_one_lacks() {
        let asn = Place { asn: Some(64496), ..Place::default() };
        let city = layer(&[row("192.0.2.0/24", b"DE")]);
        let asns = layer(&[("192.0.2.128/25".parse().unwrap(), asn)]);
        let map = PlaceMap::compile(&[city, asns]);
        let place = |address: &str| map.place(map.find(address.parse().unwrap()).place).to_string();
        assert_eq!(place("192.0.2.1"), "EU DE 51.100,10.400 ±337 km");
        assert_eq!(place("192.0.2.129"), "EU DE 51.100,10.400 ±337 km AS64496");
        assert_eq!(place("192.0.3.1"), "unknown");
    }
}

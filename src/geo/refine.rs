//! Joins other tables that know networks to a map of places: their common refinement. Reads no geo data.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::geo::Table;
use crate::geo::compile::leaves;
use crate::geo::layer::Network;
use crate::geo::place_map::Leaves;
use crate::geo::steps::Bits;
use crate::geo::steps::Steps;

/// The networks of one table, nested or not, with its row for each; the most specific one counts.
#[derive(Clone, Debug)]
pub struct Refinement {
    table: Table,
    v4: Vec<Network<u32>>,
    v6: Vec<Network<u128>>,
}

impl Refinement {
    /// A table of these networks; rows are above 0. IPv4-mapped networks are IPv6 networks like any.
    pub fn new(table: Table, networks: impl IntoIterator<Item = (IpNet, u32)>) -> Self {
        let mut new = Self { table, v4: Vec::new(), v6: Vec::new() };
        for (network, place) in networks {
            let prefix_len = network.prefix_len();
            match network.network() {
                IpAddr::V4(start) => {
                    new.v4.push(Network { start: start.to_bits(), prefix_len, place });
                }
                IpAddr::V6(start) => {
                    new.v6.push(Network { start: start.to_bits(), prefix_len, place });
                }
            }
        }
        new
    }

    /// Whether it has no network.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl PlaceMap {
    /// This map with the rows of other tables in its places: leaves are split where a table's networks begin and end.
    ///
    /// Without networks it is this map itself.
    pub fn refined(self: &Arc<Self>, tables: &[Refinement]) -> Arc<Self> {
        if tables.iter().all(Refinement::is_empty) {
            return Arc::clone(self);
        }
        let mut places = Refined { places: self.places().to_vec(), known: HashMap::new() };
        let (mut v4, mut v6) = (steps(self.leaves_v4()), steps(self.leaves_v6()));
        for Refinement { table, v4: networks_v4, v6: networks_v6 } in tables {
            places.known.clear();
            let rows = Steps::flatten(networks_v4, 0, |row| row);
            v4 = v4.join(&rows, |place, row| places.with(place, *table, row));
            let rows = Steps::flatten(networks_v6, 0, |row| row);
            v6 = v6.join(&rows, |place, row| places.with(place, *table, row));
        }
        let places = places.renumber(&mut v4, &mut v6);
        Arc::new(Self::from_parts(leaves(&v4), leaves(&v6), places))
    }
}

fn steps<A: Bits>(leaves: Leaves<'_, A>) -> Steps<A> {
    let Leaves { starts, prefix_lens: _, places } = leaves;
    Steps::of_leaves(starts.iter().zip(places).map(|(start, PlaceId(place))| (*start, *place)))
}

/// Places while tables are joined.
struct Refined {
    places: Vec<Place>,
    /// Place and row of the table at hand to the place with that row.
    known: HashMap<(u32, u32), u32>,
}

impl Refined {
    /// Numbers the used places by first appearance, the unknown one before all.
    fn renumber(self, v4: &mut Steps<u32>, v6: &mut Steps<u128>) -> Vec<Place> {
        let mut new_ids = vec![None; self.places.len()];
        new_ids[0] = Some(0);
        let mut places = vec![Place::default()];
        let mut renew = |id: &mut u32| {
            let new = new_ids[*id as usize].get_or_insert_with(|| {
                places.push(self.places[*id as usize].clone());
                (places.len() - 1) as u32
            });
            *id = *new;
        };
        v4.as_mut_slice().iter_mut().for_each(|step| renew(&mut step.value));
        v6.as_mut_slice().iter_mut().for_each(|step| renew(&mut step.value));
        places
    }

    fn with(&mut self, place: u32, table: Table, row: u32) -> u32 {
        if row == 0 {
            return place;
        }
        let next = u32::try_from(self.places.len()).expect("places and rows are far below 2^32");
        let id = *self.known.entry((place, row)).or_insert(next);
        if id == next {
            let mut new = self.places[place as usize].clone();
            new.rows = new.rows.with(table, row);
            self.places.push(new);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Layer;

    fn map() -> Arc<PlaceMap> {
        let mut layer = Layer::new();
        for (network, asn) in [("10.0.0.0/8", 1), ("10.64.0.0/10", 2), ("2001:db8::/32", 3)] {
            let place = Place { asn: Some(asn), ..Place::default() };
            layer.insert(network.parse().unwrap(), place).unwrap();
        }
        Arc::new(PlaceMap::compile(&[layer]))
    }

    fn refinement(table: Table, rows: &[(&str, u32)]) -> Refinement {
        Refinement::new(table, rows.iter().map(|(text, row)| (text.parse().unwrap(), *row)))
    }

    #[test]
    fn leaves_are_split_where_networks_begin_and_end_and_places_keep_what_they_know() {
        let base = map();
        let rules = refinement(Table::Networks, &[("10.0.0.0/9", 1), ("10.1.2.0/24", 2)]);
        let times = refinement(Table::RoundTrips, &[("10.1.0.0/16", 7), ("2001:db8:1::/48", 9)]);
        let refined = base.refined(&[rules, times]);
        for (address, asn, expected) in [
            ("10.1.2.3", Some(1), [2, 7]),
            ("10.1.3.3", Some(1), [1, 7]),
            ("10.2.0.0", Some(1), [1, 0]),
            ("10.65.0.0", Some(2), [1, 0]),
            ("10.128.0.0", Some(1), [0, 0]),
            ("11.0.0.0", None, [0, 0]),
            ("2001:db8:1::1", Some(3), [0, 9]),
            ("2001:db8:2::1", Some(3), [0, 0]),
        ] {
            let address = address.parse().unwrap();
            let leaf = refined.find(address);
            let place = refined.place(leaf.place);
            assert_eq!((place.asn, place.rows.all()), (asn, expected), "{address}");
            let network = IpNet::new(address, leaf.prefix_len).unwrap();
            let ends = [network.network(), network.broadcast()].map(|end| refined.find(end));
            assert_eq!(ends, [leaf, leaf], "the whole leaf is one leaf");
        }
        assert_ne!(refined.digest(), base.digest());
    }

    #[test]
    fn without_networks_the_map_is_the_same_one() {
        let base = map();
        let refined = base.refined(&[refinement(Table::Networks, &[])]);
        assert!(Arc::ptr_eq(&base, &refined));
    }
}

//! One source's networks and places, before sources are joined. Cannot be asked for an address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;

use ipnet::IpNet;

use crate::geo::GeoFault;
use crate::geo::Place;
use crate::geo::steps::Bits;

/// Most networks in one layer, both families together.
///
/// The largest city databases sold have about 10 million. So many IPv6 networks are 512 MiB.
pub const NETWORKS_MAX: usize = 16_000_000;

/// Most distinct records in one layer.
pub const PLACES_MAX: usize = 4_000_000;

/// A network and its place in [`Layer`]'s table. `start` has no bits beyond `prefix_len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::geo) struct Network<A> {
    pub start: A,
    pub prefix_len: u8,
    pub place: u32,
}

/// One source: networks, nested or not, in any order. The most specific network of an address
/// counts, and of equal networks the last one.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    pub(in crate::geo) places: Vec<Place>,
    pub(in crate::geo) networks_v4: Vec<Network<u32>>,
    pub(in crate::geo) networks_v6: Vec<Network<u128>>,
    known: HashMap<Place, u32>,
}

impl Layer {
    /// A layer without networks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of networks, both families together.
    pub fn len(&self) -> usize {
        self.networks_v4.len() + self.networks_v6.len()
    }

    /// Whether there is no network.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What this layer says of an address. Slow: looks through all networks; [`PlaceMap`](crate::geo::PlaceMap) is fast.
    pub fn find(&self, address: IpAddr) -> Option<&Place> {
        let place = match address.to_canonical() {
            IpAddr::V4(v4) => find_most_specific(&self.networks_v4, v4.to_bits()),
            IpAddr::V6(v6) => find_most_specific(&self.networks_v6, v6.to_bits()),
        }?;
        self.places.get(place as usize)
    }

    /// Up to `count` networks with their places, spread evenly.
    pub fn examples(&self, count: usize) -> Vec<(String, &Place)> {
        let total = self.len();
        let nth = |nth: usize| {
            let index = nth * total / count;
            let (address, prefix_len, place) = match self.networks_v4.get(index) {
                Some(v4) => (IpAddr::from(v4.start.to_be_bytes()), v4.prefix_len, v4.place),
                None => {
                    let v6 = self.networks_v6.get(index - self.networks_v4.len())?;
                    (IpAddr::from(v6.start.to_be_bytes()), v6.prefix_len, v6.place)
                }
            };
            Some((format!("{address}/{prefix_len}"), self.places.get(place as usize)?))
        };
        let mut examples: Vec<_> = (0..count).filter_map(nth).collect();
        examples.dedup_by(|a, b| a.0 == b.0);
        examples
    }

    /// Adds a network; bits beyond its prefix are ignored.
    ///
    /// IPv6 networks inside `::ffff:0:0/96` (IPv4-mapped) become IPv4 networks.
    ///
    /// # Errors
    /// [`GeoFault::TooManyNetworks`], [`GeoFault::TooManyPlaces`].
    pub fn insert(&mut self, network: IpNet, place: Place) -> Result<(), GeoFault> {
        let place = match self.known.get(&place) {
            Some(index) => *index,
            None => {
                let index = self.add_place(place.clone())?;
                self.known.insert(place, index);
                index
            }
        };
        match (network.network(), network.prefix_len()) {
            (IpAddr::V4(start), prefix_len) => self.add_v4(start.to_bits(), prefix_len, place),
            (IpAddr::V6(start), prefix_len) => match find_mapped(start, prefix_len) {
                Some((start, prefix_len)) => self.add_v4(start, prefix_len, place),
                None => self.add_v6(start.to_bits(), prefix_len, place),
            },
        }
    }

    /// Adds a place that networks can refer to by the returned position.
    pub(in crate::geo) fn add_place(&mut self, place: Place) -> Result<u32, GeoFault> {
        if self.places.len() >= PLACES_MAX {
            return Err(GeoFault::TooManyPlaces);
        }
        self.places.push(place);
        Ok((self.places.len() - 1) as u32)
    }

    /// Adds an IPv4 network without bits beyond its prefix.
    pub(in crate::geo) fn add_v4(
        &mut self,
        start: u32,
        prefix_len: u8,
        place: u32,
    ) -> Result<(), GeoFault> {
        self.check_room()?;
        self.networks_v4.push(Network { start, prefix_len, place });
        Ok(())
    }

    /// Adds an IPv6 network without bits beyond its prefix.
    pub(in crate::geo) fn add_v6(
        &mut self,
        start: u128,
        prefix_len: u8,
        place: u32,
    ) -> Result<(), GeoFault> {
        self.check_room()?;
        self.networks_v6.push(Network { start, prefix_len, place });
        Ok(())
    }

    fn check_room(&self) -> Result<(), GeoFault> {
        if self.len() < NETWORKS_MAX { Ok(()) } else { Err(GeoFault::TooManyNetworks) }
    }
}

/// The place of the most specific network that holds an address; of equal ones the last.
fn find_most_specific<A: Bits>(networks: &[Network<A>], address: A) -> Option<u32> {
    let holds = |network: &&Network<A>| {
        let end = network.start.after(network.prefix_len);
        network.start <= address && end.is_none_or(|end| address < end)
    };
    networks.iter().filter(holds).max_by_key(|network| network.prefix_len).map(|found| found.place)
}

/// The IPv4 network that an IPv4-mapped one (RFC 4291 section 2.5.5.2) stands for.
fn find_mapped(start: Ipv6Addr, prefix_len: u8) -> Option<(u32, u8)> {
    let address = start.to_ipv4_mapped()?;
    Some((address.to_bits(), prefix_len.checked_sub(96)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_places_are_kept_once_and_mapped_networks_are_ipv4() {
        let mut layer = Layer::new();
        let place = Place { asn: Some(64496), ..Place::default() };
        for network in ["192.0.2.0/24", "::ffff:198.51.100.0/120", "2001:db8::/32"] {
            let network = network.parse::<IpNet>().unwrap();
            layer.insert(network, place.clone()).unwrap();
        }
        assert_eq!((layer.places.len(), layer.len()), (1, 3));
        assert_eq!(layer.networks_v4[1].start, 0xc633_6400);
        assert_eq!(layer.networks_v4[1].prefix_len, 24);
        assert_eq!(layer.networks_v6.len(), 1);
    }
}

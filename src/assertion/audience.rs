//! The clients that an assertion speaks of, as places and networks of the place table.

use ipnet::IpNet;
use ipnet::Ipv4Net;
use ipnet::Ipv6Net;

use crate::geo::Leaves;
use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::geo::place::continent_of;
use crate::model::Clients;

/// Some clients.
pub struct Audience<'a> {
    places: &'a PlaceMap,
    /// By place: whether all clients there belong to it.
    fits: Box<[bool]>,
    /// Networks that belong to it besides.
    networks: Vec<IpNet>,
}

/// A network of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its prefix.
    pub network: IpNet,
    /// Its place.
    pub place: PlaceId,
}

impl<'a> Audience<'a> {
    /// Clients that any of `clients` fits; all, if there is none.
    pub fn new(places: &'a PlaceMap, clients: &[Clients]) -> Self {
        let all = clients.is_empty();
        let fits =
            places.places().iter().map(|place| all || clients.iter().any(|c| fits(c, place)));
        let networks = clients.iter().filter_map(|clients| match clients {
            Clients::Network(network) => Some(*network),
            Clients::Continent(_)
            | Clients::Country(_)
            | Clients::Subdivision(..)
            | Clients::System(_) => None,
        });
        Self { places, fits: fits.collect(), networks: networks.collect() }
    }

    /// Places where some of them are, each once.
    pub fn places(&self) -> Vec<PlaceId> {
        let mut is_there = self.fits.clone();
        for network in &self.networks {
            each_leaf(self.places, *network, |stretch| is_there[stretch.place.index()] = true);
        }
        let there = is_there.iter().enumerate().filter(|(_, is_there)| **is_there);
        there.map(|(at, _)| PlaceId(at as u32)).collect()
    }

    /// Their networks at places that `wanted` takes, those of known places first, IPv4 before IPv6.
    pub fn stretches(&self, wanted: impl Fn(PlaceId) -> bool) -> Vec<Stretch> {
        let mut found = Vec::new();
        let whole: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        for network in whole {
            each_leaf(self.places, network, |stretch| {
                if self.fits[stretch.place.index()] && wanted(stretch.place) {
                    found.push(stretch);
                }
            });
        }
        for network in &self.networks {
            each_leaf(self.places, *network, |stretch| {
                if wanted(stretch.place) {
                    found.push(stretch);
                }
            });
        }
        found.sort_by_key(|stretch| self.places.place(stretch.place).is_unknown());
        found
    }
}

/// Whether every client at a place is one of these.
pub fn fits(clients: &Clients, place: &Place) -> bool {
    match clients {
        Clients::Continent(code) => {
            place.continent.or_else(|| continent_of(place.country?)) == Some(*code)
        }
        Clients::Country(code) => place.country == Some(*code),
        Clients::Subdivision(country, part) => {
            place.country == Some(*country) && place.subdivision.as_deref() == Some(part)
        }
        Clients::System(number) => place.asn == Some(*number),
        Clients::Network(_) => false,
    }
}

/// Calls `visit` with each leaf that a network touches, cut to the network.
pub fn each_leaf(places: &PlaceMap, network: IpNet, mut visit: impl FnMut(Stretch)) {
    match network {
        IpNet::V4(network) => {
            let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
            each_of(places.leaves_v4(), first, last, network.prefix_len(), |start, len, place| {
                let network = Ipv4Net::new_assert(start.into(), len).into();
                visit(Stretch { network, place });
            });
        }
        IpNet::V6(network) => {
            let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
            each_of(places.leaves_v6(), first, last, network.prefix_len(), |start, len, place| {
                let network = Ipv6Net::new_assert(start.into(), len).into();
                visit(Stretch { network, place });
            });
        }
    }
}

/// Calls `visit` with start, length and place of each leaf from `first` to `last`, none wider than `prefix_len`.
fn each_of<A: Copy + Ord>(
    leaves: Leaves<'_, A>,
    first: A,
    last: A,
    prefix_len: u8,
    mut visit: impl FnMut(A, u8, PlaceId),
) {
    let begin = leaves.starts.partition_point(|start| *start <= first) - 1;
    let end = leaves.starts.partition_point(|start| *start <= last);
    for leaf in begin..end {
        let len = leaves.prefix_lens[leaf].max(prefix_len);
        visit(leaves.starts[leaf].max(first), len, leaves.places[leaf]);
    }
}

//! Traffic rows spread over places: a row that covers several is split by addresses.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::assertion::audience::each_leaf;
use crate::assertion::audience::fits;
use crate::geo::Place;
use crate::geo::PlaceId;
use crate::geo::PlaceMap;
use crate::geo::place::continent_of;
use crate::model::Clients;
use crate::model::TrafficRow;

/// How large each place is, and which places a condition can fit.
pub(super) struct Spread<'a> {
    places: &'a PlaceMap,
    /// By place: addresses of IPv4, and /48 networks of IPv6.
    sizes: Box<[[f64; 2]]>,
    /// Places by what is known of them.
    known: HashMap<Clients, Vec<PlaceId>>,
}

impl<'a> Spread<'a> {
    /// Measures every place.
    pub fn new(places: &'a PlaceMap) -> Self {
        let mut sizes: Box<[[f64; 2]]> = vec![[0.0; 2]; places.places().len()].into();
        let v4 = places.leaves_v4();
        for (len, place) in v4.prefix_lens.iter().zip(v4.places) {
            sizes[place.index()][0] += size(32, *len);
        }
        let v6 = places.leaves_v6();
        for (len, place) in v6.prefix_lens.iter().zip(v6.places) {
            sizes[place.index()][1] += size(48, *len);
        }
        let mut known: HashMap<Clients, Vec<PlaceId>> = HashMap::new();
        for (at, place) in places.places().iter().enumerate() {
            for key in keys_of(place) {
                known.entry(key).or_default().push(PlaceId(at as u32));
            }
        }
        Self { places, sizes, known }
    }

    /// Calls `visit` with each place of a row and its part of the load.
    ///
    /// Split by IPv4 addresses; by IPv6 networks if it has no IPv4. Nobody the row fits: its load is that of clients
    /// of whom nothing is known.
    pub fn each_part(&self, row: &TrafficRow, mut visit: impl FnMut(PlaceId, f64)) {
        let parts = self.parts(row);
        let total =
            parts.iter().fold([0.0; 2], |sum, (_, size)| [sum[0] + size[0], sum[1] + size[1]]);
        let family = usize::from(total[0] == 0.0);
        if total[family] == 0.0 {
            return visit(PlaceId::UNKNOWN, row.load);
        }
        for (place, size) in parts.into_iter().filter(|(_, size)| size[family] > 0.0) {
            visit(place, row.load * size[family] / total[family]);
        }
    }

    /// Places that a row fits, each with its size as far as the row covers it.
    fn parts(&self, row: &TrafficRow) -> Vec<(PlaceId, [f64; 2])> {
        let is_meant = |place: PlaceId, clients: &Clients| {
            matches!(clients, Clients::Network(_)) || fits(clients, self.places.place(place))
        };
        let network = row.clients.iter().find_map(|clients| match clients {
            Clients::Network(network) => Some(*network),
            Clients::Continent(_)
            | Clients::Country(_)
            | Clients::Subdivision(..)
            | Clients::System(_) => None,
        });
        let mut parts = Vec::new();
        let Some(network) = network else {
            let lists = row.clients.iter().map(|clients| self.known.get(&key_of(clients)));
            let shortest = lists.map(|list| list.map_or(&[][..], Vec::as_slice));
            let shortest = shortest.min_by_key(|list| list.len()).unwrap_or_default();
            for &place in shortest {
                if row.clients.iter().all(|clients| is_meant(place, clients)) {
                    parts.push((place, self.sizes[place.index()]));
                }
            }
            return parts;
        };
        each_leaf(self.places, network, |stretch| {
            if row.clients.iter().all(|clients| is_meant(stretch.place, clients)) {
                let size = match stretch.network {
                    IpNet::V4(part) => [size(32, part.prefix_len()), 0.0],
                    IpNet::V6(part) => [0.0, size(48, part.prefix_len())],
                };
                parts.push((stretch.place, size));
            }
        });
        parts
    }
}

/// How many of the smallest parts a prefix has; a fraction if it is longer than they are.
fn size(unit_len: u8, prefix_len: u8) -> f64 {
    2f64.powi(i32::from(unit_len) - i32::from(prefix_len))
}

/// Under which keys a place is found.
fn keys_of(place: &Place) -> impl Iterator<Item = Clients> {
    let continent = place.continent.or_else(|| continent_of(place.country?));
    let keys = [
        continent.map(Clients::Continent),
        place.country.map(Clients::Country),
        place.asn.map(Clients::System),
    ];
    keys.into_iter().flatten()
}

/// Under which key every place is found that a condition fits.
fn key_of(clients: &Clients) -> Clients {
    match clients {
        Clients::Subdivision(country, _) => Clients::Country(*country),
        Clients::Continent(_) | Clients::Country(_) | Clients::System(_) | Clients::Network(_) => {
            clients.clone()
        }
    }
}

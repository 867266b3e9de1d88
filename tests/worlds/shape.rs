//! Slow twins of place, class and scope: linear scans over the networks as they were inserted.

use std::net::IpAddr;

use ipnet::IpNet;
use rhumb::geo::Place;
use rhumb::model::Family;
use rhumb::model::Location;
use rhumb::model::Model;
use rhumb::model::PolicyKind;
use rhumb::model::PoolId;
use rhumb::model::Target;
use rhumb::model::policy::Network;
use rhumb::rtt::Key;
use rhumb::steering::Band;
use rhumb::steering::ClientKey;
use rhumb::steering::distance::Radius;
use rhumb::steering::interpreter::Crowd;
use rhumb::steering::interpreter::Outline;
use rhumb::steering::interpreter::Situation;
use rhumb::steering::interpreter::bands;
use rhumb::steering::round_trip::Measured;

use crate::worlds::World;
use crate::worlds::from_bits;
use crate::worlds::measured;
use crate::worlds::to_bits;
use crate::worlds::width_of;

/// What geo data says of a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its address, or one of its network; none if it is in no network that rules name.
    pub address: Option<IpAddr>,
    /// Everything that geo data says.
    pub place: Place,
    /// What was measured, by site.
    pub measured: Vec<Measured>,
    /// In which band pools that shed see it.
    pub bands: Vec<(PoolId, Band)>,
}

impl Client {
    /// The client at an address: the most specific network counts, of equal ones the last.
    pub fn at(world: &World, address: IpAddr) -> Self {
        let networks = &world.networks;
        let holding = networks.iter().filter(|(network, _)| network.contains(&address));
        let found = holding.max_by_key(|(network, _)| network.prefix_len());
        let place = found.map_or_else(Place::default, |(_, place)| place.clone().with_centre());
        let measured = measured::slowly(&world.table, &world.model, Some(address), &place);
        Self { address: Some(address), place, measured, bands: Vec::new() }
    }

    /// Somebody of whom nothing is known, in no network that anybody names.
    fn nobody() -> Self {
        Self { address: None, place: Place::default(), measured: Vec::new(), bands: Vec::new() }
    }

    /// Where it is, and how far from there it may be.
    pub fn position(&self) -> Option<(Location, Radius)> {
        let point = self.place.location?;
        let location = Location { latitude: point.latitude(), longitude: point.longitude() };
        Some((location, Radius::of(self.place.accuracy_km)))
    }

    /// What a target comes to for it.
    pub fn outline(&self, model: &Model, target: Target) -> Outline {
        let situation = Situation {
            model,
            states: &[],
            resolved: &[],
            remembered: &[],
            intakes: &[],
            sheddings: &[],
            bands: &[],
            position: self.position(),
            place: &self.place,
            address: self.address,
            round_trip: &self.measured,
            key: ClientKey(0),
            family: Family::V4,
        };
        situation.outline(target)
    }
}

/// Every prefix that rules of policies name.
fn named_prefixes(model: &Model) -> Vec<IpNet> {
    let mut prefixes: Vec<IpNet> =
        model.lists.iter().flat_map(|list| list.prefixes.clone()).collect();
    for policy in &model.policies {
        let PolicyKind::Networks(rules) = &policy.kind else { continue };
        let conditions = rules.rules.iter().flat_map(|rule| &rule.conditions);
        prefixes.extend(conditions.filter_map(|condition| match condition {
            Network::Prefix(prefix) => Some(*prefix),
            Network::System(_) | Network::List(_) => None,
        }));
    }
    prefixes
}

/// All clients, stretch by stretch.
fn everybody(starts: &[Vec<(u128, Outline, Client)>; 2]) -> Vec<Crowd> {
    let mut everybody = Vec::new();
    for (stretches, is_v6) in starts.iter().zip([false, true]) {
        for (position, (start, outline, client)) in stretches.iter().enumerate() {
            let next = stretches.get(position + 1).map(|(next, ..)| *next);
            // An IPv4 address is worth a /48; a /64 counts where its last address is.
            let count = match is_v6 {
                true => next.map_or(1 << 64, |next| next >> 64) - (start >> 64),
                false => (next.unwrap_or(1 << 32) - start) << 16,
            };
            let position = client.position().map(|(location, _)| location);
            everybody.push(Crowd { outline: outline.clone(), position, count });
        }
    }
    everybody
}

/// Shapes of one target over both address spaces.
pub struct Map {
    /// By class: what the target comes to, and a client of it.
    pub shapes: Vec<(Outline, Client)>,
    /// By family: stretches without an edge of a network, by first address, with their class.
    stretches: [Vec<(u128, usize)>; 2],
}

impl Map {
    pub fn new(world: &World, target: Target) -> Self {
        let World { model, networks, table, .. } = world;
        let named = named_prefixes(model);
        let timed = table.rows.keys().filter_map(|(key, _)| match key {
            Key::Prefix(network) => Some(*network),
            Key::Group(_) => None,
        });
        let timed: Vec<IpNet> = timed.collect();
        let edges = || networks.iter().map(|(network, _)| network).chain(&named).chain(&timed);
        let families: [IpAddr; 2] = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
        let starts = families.map(|zero| {
            let mut starts = vec![0];
            for network in edges().filter(|n| width_of(n.addr()) == width_of(zero)) {
                starts.push(to_bits(network.network()));
                starts.extend(to_bits(network.broadcast()).checked_add(1));
            }
            starts.retain(|&start| width_of(zero) == 128 || start >> 32 == 0);
            starts.sort_unstable();
            starts.dedup();
            let clients = starts.into_iter().map(|start| {
                let client = Client::at(world, from_bits(start, zero));
                (start, client.outline(model, target), client)
            });
            clients.collect::<Vec<_>>()
        });
        let everybody = match model.pools.iter().any(|pool| pool.shed.is_some()) {
            true => everybody(&starts),
            false => Vec::new(),
        };
        let banded = |outline: Outline, mut client: Client| {
            let position = client.position().map(|(location, _)| location);
            client.bands = bands(model, &everybody, &outline, position);
            (outline, client)
        };
        // Classes are numbered by first appearance, and unknown places come first.
        let nobody = Client::nobody();
        let mut shapes = vec![banded(nobody.outline(model, target), nobody)];
        let stretches = starts.map(|starts| {
            let class_of = |(start, outline, client)| {
                let (outline, client) = banded(outline, client);
                let is_same = |(other, like): &(Outline, Client)| {
                    *other == outline && like.bands == client.bands
                };
                let class = shapes.iter().position(is_same).unwrap_or_else(|| {
                    shapes.push((outline, client));
                    shapes.len() - 1
                });
                (start, class)
            };
            starts.into_iter().map(class_of).collect()
        });
        Self { shapes, stretches }
    }

    /// Classes in a prefix, each with its number of addresses less one of each stretch.
    pub fn weigh(&self, address: IpAddr, len: u8) -> Vec<(usize, u128)> {
        let network = IpNet::new(address, len).expect("a length fits");
        let (first, last) = (to_bits(network.network()), to_bits(network.broadcast()));
        let stretches = &self.stretches[usize::from(address.is_ipv6())];
        let mut weights = vec![(0usize, 0u128); self.shapes.len()];
        for (position, &(start, class)) in stretches.iter().enumerate() {
            let end = stretches.get(position + 1).map_or(u128::MAX, |&(next, _)| next - 1);
            let (start, end) = (start.max(first), end.min(last));
            if start <= end {
                let addresses = (end - start).saturating_add(1); // all of IPv6 is one too many
                weights[class] = (1, weights[class].1.saturating_add(addresses));
            }
        }
        let seen = weights.into_iter().enumerate().filter(|&(_, (count, _))| count > 0);
        seen.map(|(class, (_, addresses))| (class, addresses)).collect()
    }

    /// The class with the most addresses in a prefix; of equals the lower.
    pub fn class_of(&self, address: IpAddr, len: u8) -> usize {
        let mut best = (0, 0);
        for (class, addresses) in self.weigh(address, len) {
            if addresses > best.1 {
                best = (class, addresses);
            }
        }
        best.0
    }

    /// Length of the widest prefix around `address` in which all have one class.
    pub fn uniform_len(&self, address: IpAddr) -> u8 {
        let is_uniform = |len: &u8| self.weigh(address, *len).len() == 1;
        (0..=width_of(address)).find(is_uniform).expect("one address has one class")
    }
}

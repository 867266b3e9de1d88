//! Slow twins of place, class and scope: linear scans over the networks as they were inserted.

use std::net::IpAddr;

use ipnet::IpNet;
use rhumb::model::Location;
use rhumb::model::Model;
use rhumb::model::PolicyId;
use rhumb::model::PolicyKind;
use rhumb::model::PoolId;
use rhumb::model::Target;
use rhumb::steering::distance;
use rhumb::steering::distance::Radius;

use crate::worlds::Networks;
use crate::worlds::from_bits;
use crate::worlds::to_bits;
use crate::worlds::width_of;

/// Where a client is, and how far from there it may be.
pub type Position = (Location, Radius);

/// The position of an address: the most specific network counts, of equal ones the last.
pub fn position_of(networks: &Networks, address: IpAddr) -> Option<Position> {
    let holding = networks.iter().filter(|(network, _)| network.contains(&address));
    let (_, place) = holding.max_by_key(|(network, _)| network.prefix_len())?;
    let place = place.clone().with_centre();
    let point = place.location?;
    let location = Location { latitude: point.latitude(), longitude: point.longitude() };
    Some((location, Radius::of(place.accuracy_km)))
}

/// What a target comes to for clients at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Pool(PoolId),
    Ordered(bool, Vec<Shape>),
    Weighted(PolicyId, bool, Vec<Shape>),
}

impl Shape {
    pub fn new(model: &Model, target: Target, position: Option<Position>) -> Self {
        let id = match target {
            Target::Pool(pool) => return Self::Pool(pool),
            Target::Policy(policy) => policy,
        };
        let policy = &model.policies[id.index()];
        let shapes = |targets: Vec<Target>| {
            targets.into_iter().map(|target| Self::new(model, target, position)).collect()
        };
        match (&policy.kind, position) {
            (PolicyKind::Weighted(_), _) => {
                Self::Weighted(id, policy.fence, shapes(policy.kind.targets()))
            }
            (PolicyKind::Nearest(targets), Some((location, radius))) => {
                let mut ranked: Vec<(u64, usize)> = targets
                    .iter()
                    .enumerate()
                    .map(|(place, &(target, bias))| {
                        let metres = metres_to(model, target, location);
                        (metres.map_or(u64::MAX, |m| distance::biased(m, bias)), place)
                    })
                    .collect();
                let mut near: Vec<usize> = Vec::new();
                while let Some(&(nearest, _)) = ranked.iter().min() {
                    let (tied, farther) =
                        ranked.into_iter().partition(|&(metres, _)| radius.ties(nearest, metres));
                    near.extend(Vec::into_iter(tied).map(|(_, place): (u64, usize)| place));
                    ranked = farther;
                }
                near.truncate(4);
                let far = (0..targets.len()).filter(|place| !near.contains(place));
                let order = near.iter().copied().chain(far).map(|place| targets[place].0);
                Self::Ordered(policy.fence, shapes(order.collect()))
            }
            (PolicyKind::Failover(_) | PolicyKind::Nearest(_), _) => {
                Self::Ordered(policy.fence, shapes(policy.kind.targets()))
            }
        }
    }
}

fn metres_to(model: &Model, target: Target, location: Location) -> Option<u64> {
    match target {
        Target::Pool(pool) => {
            let site = &model.sites[model.pools[pool.index()].site?.index()];
            Some(distance::metres(location, site.location))
        }
        Target::Policy(policy) => {
            let targets = model.policies[policy.index()].kind.targets();
            targets.into_iter().filter_map(|target| metres_to(model, target, location)).min()
        }
    }
}

/// Shapes of one target over both address spaces.
pub struct Map {
    /// By class: the shape, and a position that gives it.
    pub shapes: Vec<(Shape, Option<Position>)>,
    /// By family: stretches without an edge of a network, by first address, with their class.
    stretches: [Vec<(u128, usize)>; 2],
}

impl Map {
    pub fn new(model: &Model, networks: &Networks, target: Target) -> Self {
        // Classes are numbered by first appearance, and unknown places come first.
        let mut shapes = vec![(Shape::new(model, target, None), None)];
        let families: [IpAddr; 2] = ["0.0.0.0".parse().unwrap(), "::".parse().unwrap()];
        let stretches = families.map(|zero| {
            let mut starts = vec![0];
            for (network, _) in
                networks.iter().filter(|(n, _)| width_of(n.addr()) == width_of(zero))
            {
                starts.push(to_bits(network.network()));
                starts.extend(to_bits(network.broadcast()).checked_add(1));
            }
            starts.retain(|&start| width_of(zero) == 128 || start >> 32 == 0);
            starts.sort_unstable();
            starts.dedup();
            let class_at = |start: u128| {
                let position = position_of(networks, from_bits(start, zero));
                let shape = Shape::new(model, target, position);
                let known = shapes.iter().position(|(other, _)| *other == shape);
                known.unwrap_or_else(|| {
                    shapes.push((shape, position));
                    shapes.len() - 1
                })
            };
            let classes: Vec<usize> = starts.iter().copied().map(class_at).collect();
            starts.into_iter().zip(classes).collect()
        });
        Self { shapes, stretches }
    }

    /// Classes in a prefix, each with its number of addresses less one of each stretch.
    pub fn weigh(&self, address: IpAddr, len: u8) -> Vec<(usize, u128)> {
        let network = IpNet::new(address, len).unwrap();
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

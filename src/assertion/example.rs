//! A client of a class whose key leads to a given decision: found by trying networks and moments.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::assertion::audience::Stretch;
use crate::assertion::ways::Case;
use crate::geo::PlaceId;
use crate::model::Period;
use crate::model::policy::client_prefix_len;
use crate::snapshot::SteerPlan;
use crate::steering::ClientKey;
use crate::steering::Decision;

/// Most clients and moments that are tried.
const TRIES_MAX: usize = 20_000;

/// Most networks of one leaf that are tried before the next leaf.
const TRIES_OF_LEAF: usize = 256;

/// Whose network a decision concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The leaf of the place table, or the part of it that the assertion speaks of.
    pub network: IpNet,
    /// Its place.
    pub place: PlaceId,
    /// A client in it.
    pub client: IpAddr,
    /// A second since 1970 at which the client gets the decision; `None` if none was found: then only a share of
    /// clients would.
    pub unix_s: Option<u64>,
}

impl Example {
    /// The first client among `stretches` who gets `wanted`; the first of all, if nobody was found who does.
    pub fn find(
        case: &Case<'_>,
        plan: &SteerPlan,
        stretches: &[Stretch],
        wanted: Decision,
    ) -> Option<Self> {
        let first = stretches.first()?;
        let of = |stretch: &Stretch, client: IpAddr, unix_s| Self {
            network: stretch.network,
            place: stretch.place,
            client,
            unix_s,
        };
        if !case.tree.is_keyed() {
            return Some(of(first, host(first.network.network(), first.network), Some(0)));
        }
        let gets_it = |client: IpAddr, unix_s: u64| {
            case.decide(ClientKey::of(client, plan.period, unix_s, plan.owner)) == wanted
        };
        let clients = stretches.iter().flat_map(|stretch| {
            clients(stretch.network).take(TRIES_OF_LEAF).map(move |client| (stretch, client))
        });
        for (stretch, client) in clients.take(TRIES_MAX) {
            if gets_it(client, 0) {
                return Some(of(stretch, host(client, stretch.network), Some(0)));
            }
        }
        let client = host(first.network.network(), first.network);
        let moment = match plan.period {
            Period::Forever => None,
            Period::Every(period) => moments(period).find(|unix_s| gets_it(client, *unix_s)),
        };
        Some(of(first, client, moment))
    }
}

/// The first moment of each of many periods.
fn moments(period: Duration) -> impl Iterator<Item = u64> {
    let period_s = period.as_secs().max(1);
    (0..TRIES_MAX as u64).map(move |count| count * period_s)
}

/// The client prefixes of a network: what keys are made of.
fn clients(network: IpNet) -> Box<dyn Iterator<Item = IpAddr>> {
    let len = client_prefix_len(network.addr()).max(network.prefix_len());
    match network.subnets(len) {
        Ok(subnets) => Box::new(subnets.map(|subnet| subnet.network())),
        Err(_) => Box::new(std::iter::once(network.network())),
    }
}

/// An address in a network that a machine may have: the one after `first`, if there is room.
fn host(first: IpAddr, network: IpNet) -> IpAddr {
    let next = match first {
        IpAddr::V4(v4) => IpAddr::V4(v4.to_bits().saturating_add(1).into()),
        IpAddr::V6(v6) => IpAddr::V6(v6.to_bits().saturating_add(1).into()),
    };
    if network.contains(&next) { next } else { first }
}

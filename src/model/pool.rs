//! Endpoints that serve the same thing, and how many of them a pool needs.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::model::CheckId;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::PoolId;
use crate::model::SiteId;

/// Endpoints at one site that serve the same thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The operator's name; pools and policies share one namespace.
    pub name: Box<str>,
    /// Where it stands; `nearest` needs it.
    pub site: Option<SiteId>,
    /// How its endpoints are probed; without one they always count as up.
    pub check: Option<CheckId>,
    /// What must be healthy for the pool to be chosen in pass 1.
    pub min_healthy: MinHealthy,
    /// Below this share of healthy weight all enabled members are served.
    pub panic_below: Percent,
    /// Its members, 1 to 256.
    pub endpoints: Vec<Endpoint>,
    /// Of a pool that `all` is made of: whose endpoints its own are, in their order. Of a pool of a file: nothing.
    pub parts: Vec<(PoolId, EndpointId)>,
}

impl Pool {
    /// Whether it stands in a file; else `all` made it, and its endpoints are those of other pools.
    pub fn is_written(&self) -> bool {
        self.parts.is_empty()
    }

    /// The pools that its endpoints are of, each once; nothing for a pool of a file.
    pub fn part_pools(&self) -> Vec<PoolId> {
        let mut pools: Vec<PoolId> = self.parts.iter().map(|&(pool, _)| pool).collect();
        pools.dedup();
        pools
    }

    /// Whether any endpoint has an address of `family`.
    pub fn has_family(&self, family: Family) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.address(family).is_some())
    }
}

/// One machine or service, with at most one address a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// `pool/endpoint`: its name everywhere, and what the rendezvous hash sees.
    pub key: Arc<str>,
    /// Its IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// Share of clients against its siblings; 0 is a standby.
    pub weight: u16,
}

impl Endpoint {
    /// Its address of `family`.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

/// A share of a whole, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u8);

/// What a pool needs to be chosen in pass 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinHealthy {
    /// This share of enabled weight, rounded up, and at least one member.
    Share(Percent),
    /// This many members, standbys included.
    Members(u16),
}

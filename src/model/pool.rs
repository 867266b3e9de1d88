//! Endpoints that serve the same thing, and how many of them a pool needs.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::CheckId;
use crate::model::EndpointId;
use crate::model::Family;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::Special;
use crate::wire::Name;

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
    /// How clients come back to it.
    pub failback: Failback,
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

    /// Whether any endpoint can answer for `family`: by an address of its own, or by a name.
    pub fn has_family(&self, family: Family) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.may_have(family))
    }

    /// What its endpoints become in an answer: the same for all of them.
    pub fn records(&self) -> LeafRecords {
        self.endpoints.first().map_or(LeafRecords::Addresses, |endpoint| endpoint.leaf.records())
    }
}

/// How clients come back to a pool that did not qualify in pass 1 and does again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failback {
    /// All at once.
    #[default]
    Auto,
    /// When an operator says so, unless nobody else qualifies.
    Manual,
    /// A tenth of them after each tenth of this time.
    Ramp(Duration),
}

/// One machine or service: at most one address a family, or a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// `pool/endpoint`: its name everywhere, and what the rendezvous hash sees.
    pub key: Arc<str>,
    /// What it is in an answer.
    pub leaf: Leaf,
    /// Share of clients against its siblings; 0 is a standby.
    pub weight: u16,
    /// What it can carry, in a unit that is the same for all; more than 0.
    pub capacity: Option<f64>,
    /// In what it differs from checks by which it is probed.
    pub probe: Vec<Special>,
}

impl Endpoint {
    /// Its own address of `family`; a name has none.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        match (&self.leaf, family) {
            (Leaf::Addresses { v4, .. }, Family::V4) => v4.map(IpAddr::V4),
            (Leaf::Addresses { v6, .. }, Family::V6) => v6.map(IpAddr::V6),
            (Leaf::Alias(_) | Leaf::Cname(_) | Leaf::Srv(_), _) => None,
        }
    }

    /// In what it differs from a check by which it is probed, if in anything.
    pub fn special(&self, check: CheckId) -> Option<&Special> {
        self.probe.iter().find(|special| special.check == check)
    }

    /// Whether it can answer for `family` by configuration; what an alias resolves to is not known to it.
    pub fn may_have(&self, family: Family) -> bool {
        match &self.leaf {
            Leaf::Addresses { .. } => self.address(family).is_some(),
            Leaf::Alias(_) | Leaf::Cname(_) | Leaf::Srv(_) => true,
        }
    }

    /// The name that is resolved for it, if it has one.
    pub fn target(&self) -> Option<&Name> {
        match &self.leaf {
            Leaf::Addresses { .. } => None,
            Leaf::Alias(target) | Leaf::Cname(target) => Some(target),
            Leaf::Srv(service) => Some(&service.target),
        }
    }
}

/// What an endpoint is in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// Addresses, at least one.
    Addresses {
        /// IPv4.
        v4: Option<Ipv4Addr>,
        /// IPv6.
        v6: Option<Ipv6Addr>,
    },
    /// The addresses of another name, which is resolved in the background.
    Alias(Name),
    /// A CNAME record: clients go on at this name.
    Cname(Name),
    /// An SRV record.
    Srv(Service),
}

impl Leaf {
    /// What it becomes in an answer.
    pub fn records(&self) -> LeafRecords {
        match self {
            Self::Addresses { .. } | Self::Alias(_) => LeafRecords::Addresses,
            Self::Cname(_) => LeafRecords::Cname,
            Self::Srv(_) => LeafRecords::Srv,
        }
    }
}

/// Where a service is (RFC 2782); its weight is the endpoint's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// The host.
    pub target: Name,
    /// The port.
    pub port: u16,
    /// Lower ones are tried first.
    pub priority: u16,
}

/// Records that endpoints become in an answer; under one name all become the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LeafRecords {
    /// A and AAAA.
    #[default]
    Addresses,
    /// One CNAME.
    Cname,
    /// SRV.
    Srv,
}

impl LeafRecords {
    /// What operators call them.
    pub fn text(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Cname => "CNAME records",
            Self::Srv => "SRV records",
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

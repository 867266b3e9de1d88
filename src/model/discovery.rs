//! Endpoints of a pool that a source tells of while the server runs: which source, and what is made of what it says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Endpoint;
use crate::model::Percent;
use crate::wire::Name;

/// Settings of `discover` of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Who is asked.
    pub source: Arc<Source>,
    /// Most of the found endpoints that may go within [`DROP_WINDOW`](crate::model::DROP_WINDOW); one always may.
    pub max_drop: Percent,
    /// Label that has the weight.
    pub weight_label: Box<str>,
    /// Label that names endpoints; without one their addresses do.
    pub name_label: Option<Box<str>>,
    /// Label that has a site: targets of other sites are not this pool's.
    pub site_label: Option<Box<str>>,
    /// What the port of a target is good for.
    pub port: PortUse,
    /// How many endpoints of the pool stand in its file: they come first.
    pub written: usize,
}

/// What the port of a target is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortUse {
    /// It is probed, in place of the check's.
    Probe,
    /// Nothing.
    Ignore,
}

/// Who tells of endpoints. Pools with equal ones share what it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A file of target groups as Prometheus has it.
    File {
        /// As the server opens it.
        path: PathBuf,
    },
    /// A web server that sends target groups.
    Http {
        /// Where.
        url: Box<str>,
        /// Between two requests.
        interval: Duration,
        /// Of one request, all of it.
        timeout: Duration,
        /// File with the value of the header `Authorization`, read for each request.
        authorization: Option<PathBuf>,
        /// PEM file of the authorities that are trusted in place of the system's.
        ca: Option<PathBuf>,
    },
    /// SRV records (RFC 2782).
    Srv {
        /// Their owner.
        service: Name,
        /// Longest time between two questions; records that end sooner are asked for sooner.
        interval: Duration,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => write!(f, "{}", path.display()),
            Self::Http { url, .. } => f.write_str(url),
            Self::Srv { service, .. } => write!(f, "SRV {service}"),
        }
    }
}

/// Endpoints found for each pool, by its name; in the order of their keys.
pub type Found = BTreeMap<Box<str>, Vec<Endpoint>>;

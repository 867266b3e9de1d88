//! One node's own settings: `rhumb.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::geo::Shape;

/// A geo database.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoDatabase {
    /// Where it is.
    pub path: PathBuf,
    /// How its records are laid out; detected when absent.
    pub shape: Option<Shape>,
}

impl From<PathBuf> for GeoDatabase {
    fn from(path: PathBuf) -> Self {
        Self { path, shape: None }
    }
}

/// Settings that differ from node to node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name of the site where this node stands.
    pub site: Option<Box<str>>,
    /// Addresses served over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// What NSID says (RFC 5001).
    pub identity: Option<Box<str>>,
    /// UDP worker threads; one a core when absent.
    pub workers: Option<u16>,
    /// Folder of zone files.
    pub zones: PathBuf,
    /// Folder of sites, checks, pools and policies for all zones.
    pub shared: Option<PathBuf>,
    /// MaxMind DB files; fields of earlier ones win.
    pub databases: Vec<GeoDatabase>,
    /// Own networks as CSV or geofeed; they win over every database.
    pub overlays: Vec<PathBuf>,
    /// Address of metrics and health pages; none when absent.
    pub admin: Option<SocketAddr>,
    /// Control socket; a default of the runtime when absent.
    pub socket: Option<PathBuf>,
}

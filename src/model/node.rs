//! One node's own settings: `rhumb.toml`.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::geo::Shape;
use crate::model::ClusterTerms;
use crate::model::ResolverSettings;

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
    /// Where it answers behind a certificate; nowhere when absent.
    pub encrypted: Option<Encrypted>,
    /// What NSID says (RFC 5001).
    pub identity: Option<Box<str>>,
    /// Who is told by DNS why a client gets its answer.
    pub explain: ExplainAccess,
    /// Whose client subnets are believed.
    pub ecs_from: EcsTrust,
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
    /// How names of endpoints are resolved.
    pub resolver: ResolverSettings,
    /// What probes may take.
    pub probe: ProbeCaps,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Least weight of a log line.
    pub log_level: LogLevel,
    /// TCP connections at once.
    pub tcp_connections: usize,
    /// TCP connections of one client at once; half of all when absent.
    pub tcp_connections_per_client: Option<usize>,
    /// Measured round-trip times; none when absent.
    pub rtt: Option<Rtt>,
    /// Other nodes with which this one shares what it sees; none when absent.
    pub cluster: Option<ClusterTerms>,
    /// What survives a restart; nothing when absent.
    pub state: Option<StateTerms>,
    /// Folders whose programs checks may run.
    pub exec: Vec<Box<str>>,
}

/// Where state is kept, and how much history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTerms {
    /// The folder.
    pub folder: PathBuf,
    /// How long events are kept.
    pub history: Duration,
    /// Octets of events, and of the files that explain them.
    pub history_octets: u64,
}

/// What probes may take: of this node, and of those who are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCaps {
    /// Probes that are started in a second.
    pub rate: u32,
    /// The same for one address.
    pub rate_per_address: u32,
    /// Probes that run at once; as many as descriptors allow when absent.
    pub in_flight: Option<usize>,
}

/// Measured round-trip times: where tables are, and what this node measures itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtt {
    /// Folder of tables.
    pub folder: PathBuf,
    /// Whether this node makes tables.
    pub build: bool,
    /// How long measurements are gathered before a table is made.
    pub window: Duration,
    /// How long after it is made a table counts.
    pub delay: Duration,
    /// Whether TCP handshakes are measured.
    pub handshakes: bool,
    /// An address of its own for posts.
    pub listen: Option<SocketAddr>,
    /// Web pages that browsers may post from; `*` for all.
    pub origins: Vec<Box<str>>,
    /// File with the token of those who may name clients.
    pub token_file: Option<PathBuf>,
    /// Longest post in octets.
    pub post_octets: usize,
    /// Most lines of a post.
    pub post_lines: usize,
    /// Most posts a minute of one client network.
    pub posts_a_minute: u32,
}

/// What a node's own file says of answers; the same files on another node may differ in nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeTerms {
    /// What NSID says; empty if nothing.
    pub identity: Box<[u8]>,
    /// Who is told by DNS why a client gets its answer.
    pub explain: ExplainAccess,
    /// Whose client subnets are believed.
    pub ecs_from: EcsTrust,
    /// Folders whose programs checks may run.
    pub exec: Vec<Box<str>>,
}

/// The resolvers whose client subnets are believed; the others are answered by their own address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EcsTrust {
    /// Every one.
    #[default]
    Any,
    /// Those in these networks.
    Networks(Vec<IpNet>),
}

impl EcsTrust {
    /// Whether a resolver's client subnets are believed.
    #[inline]
    pub fn has(&self, resolver: &IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(resolver)),
        }
    }
}

impl NodeTerms {
    /// Those of a node that says nothing but its identity.
    pub fn of_identity(identity: &[u8]) -> Self {
        Self { identity: identity.into(), ..Self::default() }
    }
}

/// Who may ask for the reason of an answer by DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainAccess {
    /// Networks that are told everything.
    pub full: Vec<IpNet>,
    /// Networks that are told everything but addresses; a client in both is told everything.
    pub redacted: Vec<IpNet>,
}

impl Default for ExplainAccess {
    /// Only this host.
    fn default() -> Self {
        let full = [IpAddr::from([127, 0, 0, 0]), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let full = full.into_iter().zip([8, 128]);
        let net = |(address, len)| IpNet::new(address, len).expect("lengths fit their families");
        Self { full: full.map(net).collect(), redacted: Vec::new() }
    }
}

impl ExplainAccess {
    /// How much a client is told.
    pub fn of(&self, client: IpAddr) -> Disclosure {
        let has = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&client));
        if has(&self.full) {
            Disclosure::Full
        } else if has(&self.redacted) {
            Disclosure::Redacted
        } else {
            Disclosure::Nothing
        }
    }
}

/// How much of the reason of an answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// Not even that there is one.
    Nothing,
    /// Everything but addresses.
    Redacted,
    /// Everything.
    Full,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much a line of the log must matter to be written, the weightiest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something may need a hand: an endpoint is down, files are refused.
    Warn,
    /// A change of state.
    #[default]
    Info,
    /// Each probe result too.
    Debug,
}

impl LogFormat {
    /// Both, as they are written.
    pub const WORDS: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

impl LogLevel {
    /// All, as they are written.
    pub const WORDS: [(&str, Self); 4] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];

    /// How it is written.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// DNS over TLS, HTTPS and QUIC; at least one address is named.
#[derive(Clone, Debug, PartialEq)]
pub struct Encrypted {
    /// PEM file: the server's certificate and those that lead to its root.
    pub certificate: PathBuf,
    /// PEM file: the key of the certificate.
    pub key: PathBuf,
    /// Addresses of DNS over TLS (RFC 7858).
    pub dot: Vec<SocketAddr>,
    /// Addresses of DNS over HTTPS (RFC 8484).
    pub doh: Vec<SocketAddr>,
    /// Path of DNS over HTTPS.
    pub doh_path: Box<str>,
    /// Addresses of DNS over QUIC (RFC 9250).
    pub doq: Vec<SocketAddr>,
}

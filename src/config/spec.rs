//! Files as written: values are of the right kind, names are not looked up yet.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

pub use crate::config::discover_spec::DiscoverSpec;
pub use crate::config::discover_spec::SourceSpec;
pub use crate::config::pace_spec::PaceSpec;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::problem::Place;
pub use crate::config::special::SpecialSpec;
use crate::model::Clients;
use crate::model::DnsCheck;
use crate::model::DualStack;
use crate::model::EcsUse;
use crate::model::Failback;
use crate::model::FileCheck;
use crate::model::GrpcCheck;
use crate::model::HttpCheck;
use crate::model::KeySource;
use crate::model::Losses;
use crate::model::MinHealthy;
use crate::model::Percent;
use crate::model::Period;
use crate::model::PushCheck;
use crate::model::Service;
use crate::model::Shed;
use crate::model::Sources;
use crate::model::Talk;
use crate::model::WrittenState;
use crate::model::policy::Bias;
use crate::model::policy::Region;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Parsed;

/// One file.
#[derive(Clone, Debug, Default)]
pub struct FileSpec {
    /// Its zone, if it has one.
    pub zone: Option<ZoneSpec>,
    /// `[site.*]`
    pub sites: Vec<SiteSpec>,
    /// `[check.*]`
    pub checks: Vec<CheckSpec>,
    /// `[pool.*]`
    pub pools: Vec<PoolSpec>,
    /// `[policy.*]`
    pub policies: Vec<PolicySpec>,
    /// `[list.*]`
    pub lists: Vec<ListSpec>,
    /// `[name.*]`
    pub names: Vec<NameSpec>,
    /// `[[assert]]`
    pub assertions: Vec<AssertSpec>,
    /// What stands in it and could not be read.
    pub broken: Broken,
}

/// What could not be read: asking for it is no second mistake.
#[derive(Clone, Debug, Default)]
pub struct Broken {
    /// The file, if its syntax is broken: nobody knows what else it holds.
    pub syntax: Option<FileId>,
    /// `[zone]`, or the SOA of a master file.
    pub zone: bool,
    /// `[site.*]`
    pub sites: Vec<At<String>>,
    /// `[check.*]`
    pub checks: Vec<At<String>>,
    /// `[policy.*]`
    pub policies: Vec<At<String>>,
    /// `[list.*]`
    pub lists: Vec<At<String>>,
    /// What the tables among these name: that must be there all the same.
    pub mentions: Vec<Mention>,
}

/// A name that a table uses which cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Mention {
    /// Under which key.
    pub key: String,
    /// The name.
    pub name: At<String>,
    /// What it is to be.
    pub what: Mentioned,
}

/// What a name is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mentioned {
    /// A pool or policy.
    Target,
    /// A list of networks.
    List,
}

/// A zone, from `[zone]` or from a master file.
#[derive(Clone, Debug)]
pub struct ZoneSpec {
    /// The file it stands in.
    pub file: FileId,
    /// Its apex.
    pub apex: At<Name>,
    /// How its SOA and NS come about.
    pub authority: Authority,
    /// TTL of steered answers.
    pub steered_ttl: At<u32>,
    /// TTL of static records.
    pub record_ttl: u32,
    /// A master file with more records, as named.
    pub records: Option<At<String>>,
    /// What a master file that is the whole zone holds; validation takes it.
    pub written: Parsed,
    /// Whether every record of that file could be read.
    pub is_whole: bool,
}

/// How a zone's SOA and NS come about.
#[derive(Clone, Debug)]
pub enum Authority {
    /// Made from `[zone]`.
    Made {
        /// Name servers, the first is the primary.
        nameservers: Vec<At<Name>>,
        /// Mailbox as a name.
        contact: Name,
        /// TTL of negative answers.
        negative_ttl: u32,
        /// TTL of NS and SOA.
        nameserver_ttl: u32,
    },
    /// In the master file.
    Written,
}

/// `[site.NAME]`
#[derive(Clone, Debug)]
pub struct SiteSpec {
    /// Its name.
    pub name: At<String>,
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Upper-case code.
    pub country: Option<[u8; 2]>,
    /// Which part of the world it is in, if it says so.
    pub region: Option<String>,
    /// At least 0.
    pub cost: f64,
}

/// `[check.NAME]`
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Its name.
    pub name: At<String>,
    /// What a probe does.
    pub kind: CheckKindSpec,
    /// Port that is probed.
    pub port: u16,
    /// From where.
    pub source: Sources,
    /// Whether its results are turned round.
    pub invert: bool,
    /// When, and how results count.
    pub pace: PaceSpec,
}

/// What a probe does.
#[derive(Clone, Debug)]
pub enum CheckKindSpec {
    /// `kind = "tcp"`
    Tcp(Talk),
    /// `kind = "tls"`
    Tls(TlsSpec),
    /// `kind = "http"` and `kind = "https"`
    Http {
        /// Request and response.
        http: HttpCheck,
        /// `Some` for https.
        tls: Option<TlsSpec>,
    },
    /// `kind = "grpc"` and `kind = "grpcs"`
    Grpc {
        /// What is asked.
        grpc: GrpcCheck,
        /// `Some` for grpcs.
        tls: Option<TlsSpec>,
    },
    /// `kind = "dns"`
    Dns(DnsCheck),
    /// `kind = "udp"`
    Udp(Talk),
    /// `kind = "icmp"`
    Icmp,
    /// `kind = "exec"`: program and arguments.
    Exec(Vec<At<String>>),
    /// `kind = "push"`
    Push(PushCheck),
    /// `kind = "file"`
    File(FileCheck),
    /// `kind = "all_of"`, `kind = "any_of"` and `kind = "at_least"`
    Composite {
        /// Names of its parts.
        of: Vec<At<String>>,
        /// How many must pass.
        need: usize,
        /// Those that must in any case.
        must: Vec<At<String>>,
    },
}

/// Keys of kinds with a handshake.
#[derive(Clone, Debug)]
pub struct TlsSpec {
    /// SNI.
    pub server_name: Option<String>,
    /// PEM file beside this one.
    pub ca: Option<At<String>>,
    /// Whether certificates are judged.
    pub verify: bool,
    /// How long they must still hold.
    pub min_validity: Duration,
}

/// `[pool.NAME]`
#[derive(Clone, Debug)]
pub struct PoolSpec {
    /// Its name.
    pub name: At<String>,
    /// Where it stands.
    pub site: Option<At<String>>,
    /// How it is probed.
    pub check: Option<At<String>>,
    /// What it needs.
    pub min_healthy: At<MinHealthy>,
    /// When it panics; `None` for the default.
    pub panic_below: Option<At<Percent>>,
    /// How clients come back.
    pub failback: Failback,
    /// Who tells of more endpoints; `None` also if that could not be read.
    pub discover: Option<DiscoverSpec>,
    /// When clients are sent elsewhere.
    pub shed: Option<At<Shed>>,
    /// `[pool.NAME.endpoint.*]`
    pub endpoints: Vec<EndpointSpec>,
}

/// `[pool.NAME.endpoint.NAME]`
#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// Its name inside the pool.
    pub name: At<String>,
    /// What it is in an answer; `None` if it could not be read.
    pub leaf: Option<LeafSpec>,
    /// 0 is a standby.
    pub weight: u16,
    /// What it can carry.
    pub capacity: Option<f64>,
    /// What the file says of it.
    pub state: Option<WrittenState>,
    /// In what it differs from checks.
    pub probe: Vec<SpecialSpec>,
}

/// What an endpoint is in an answer.
#[derive(Clone, Debug)]
pub enum LeafSpec {
    /// `addresses = […]`: one or two.
    Addresses(Vec<At<IpAddr>>),
    /// `alias = "…"`
    Alias(At<Name>),
    /// `cname = "…"`
    Cname(At<Name>),
    /// `srv = { … }`
    Srv(At<Service>),
}

/// `[policy.NAME]`
#[derive(Clone, Debug)]
pub struct PolicySpec {
    /// Its name.
    pub name: At<String>,
    /// How it orders.
    pub kind: PolicyKindSpec,
    /// Whether clients never leave it.
    pub fence: bool,
}

/// How a policy orders its targets.
#[derive(Clone, Debug)]
pub enum PolicyKindSpec {
    /// `kind = "failover"`
    Failover(Vec<At<String>>),
    /// `kind = "nearest"`
    Nearest {
        /// `targets`
        targets: Vec<At<String>>,
        /// `bias`
        bias: Vec<(At<String>, Bias)>,
        /// `within`, in metres, if `prefer = "cheap"`.
        cheap_within: Option<u64>,
    },
    /// `kind = "weighted"`: shares, and who takes overflow if that is said.
    Weighted(Vec<(At<String>, u16)>, Option<Vec<At<String>>>),
    /// `kind = "fastest"`
    Fastest {
        /// `targets`
        targets: Vec<At<String>>,
        /// `weights`
        weights: Vec<(At<String>, u16)>,
        /// `within`, in microseconds, if `prefer = "cheap"`.
        cheap_within: Option<u64>,
    },
    /// `kind = "geo"`
    Geo(RulesSpec<Region>),
    /// `kind = "networks"`
    Networks(RulesSpec<NetworkSpec>),
    /// `kind = "all"`
    All(Vec<At<String>>),
}

/// `[[policy.NAME.rule]]` and `default`
#[derive(Clone, Debug)]
pub struct RulesSpec<C> {
    /// As written.
    pub rules: Vec<RuleSpec<C>>,
    /// `default`
    pub default: Vec<At<String>>,
}

/// `[[policy.NAME.rule]]`
#[derive(Clone, Debug)]
pub struct RuleSpec<C> {
    /// `where`
    pub conditions: Vec<At<C>>,
    /// `to`
    pub to: Vec<At<String>>,
    /// `fence`
    pub fence: bool,
}

/// What `where` of `networks` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetworkSpec {
    /// `203.0.113.0/24`
    Prefix(IpNet),
    /// `asn:64500`
    System(u32),
    /// `list:partners`
    List(String),
}

/// As written.
impl std::fmt::Display for NetworkSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(f, "{prefix}"),
            Self::System(number) => write!(f, "asn:{number}"),
            Self::List(name) => write!(f, "list:{name}"),
        }
    }
}

/// `[list.NAME]`
#[derive(Clone, Debug)]
pub struct ListSpec {
    /// Its name.
    pub name: At<String>,
    /// Where its entries are.
    pub source: ListSource,
}

/// Where the entries of a list are.
#[derive(Clone, Debug)]
pub enum ListSource {
    /// In a file beside this one.
    File(At<String>),
    /// In place.
    Entries(Vec<At<String>>),
}

/// `[name.NAME]`
#[derive(Clone, Debug)]
pub struct NameSpec {
    /// As written; relative to the zone.
    pub name: At<String>,
    /// Steering, if any.
    pub steer: Option<SteerSpec>,
    /// Static records: type, text of the data.
    pub records: Vec<(At<RecordType>, Vec<At<String>>)>,
}

/// The steering keys of a name.
#[derive(Clone, Debug)]
pub struct SteerSpec {
    /// Policy or pool.
    pub target: At<String>,
    /// Most addresses; the target says when absent.
    pub answers: Option<u8>,
    /// How long a choice lasts.
    pub period: Period,
    /// Whose address is the key.
    pub key: KeySource,
    /// Choice shared with other names.
    pub affinity: Option<String>,
    /// When nothing is healthy.
    pub on_all_down: AllDownSpec,
    /// Whether families choose together.
    pub dual_stack: DualStack,
    /// Whether client subnets count.
    pub ecs: EcsUse,
    /// Seconds; the zone's when absent.
    pub ttl: Option<At<u32>>,
}

/// `on_all_down`
#[derive(Clone, Debug)]
pub enum AllDownSpec {
    /// `"fail_open"`
    FailOpen,
    /// `{ pool = "x" }`
    Pool(At<String>),
    /// `"last_good"`
    LastGood,
    /// `"servfail"`
    ServFail,
}

/// `[[assert]]`
#[derive(Clone, Debug)]
pub struct AssertSpec {
    /// Its key, such as `assert[0]`.
    pub path: String,
    /// Where it begins.
    pub place: Place,
    /// Names as written; `None` for every one.
    pub names: Option<Vec<At<String>>>,
    /// Clients; empty for all.
    pub clients: Vec<Clients>,
    /// What must be so.
    pub claim: ClaimSpec,
    /// In which states of health.
    pub losses: Losses,
}

/// What must be so.
#[derive(Clone, Debug)]
pub enum ClaimSpec {
    /// `stays_in`
    StaysIn(Vec<At<AreaSpec>>),
    /// `within`, in metres.
    Within(u64),
    /// `answers`
    Answers,
    /// `max_load` and `traffic`
    MaxLoad {
        /// Share of capacity.
        limit: Percent,
        /// File beside this one.
        traffic: At<String>,
    },
}

/// Where endpoints may stand.
#[derive(Clone, Debug)]
pub enum AreaSpec {
    /// `continent:EU`
    Continent([u8; 2]),
    /// `country:DE`
    Country([u8; 2]),
    /// `site:fra`
    Site(String),
}

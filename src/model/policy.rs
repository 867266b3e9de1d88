//! Trees that order pools for a client, and the names that use them.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::geo::place::code_text;
use crate::model::ListId;
use crate::model::PolicyId;
use crate::model::PoolId;
use crate::wire::Name;

/// A node of the steering tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The operator's name; pools and policies share one namespace.
    pub name: Box<str>,
    /// How it orders its targets.
    pub kind: PolicyKind,
    /// Ends the list of candidates after this policy's own: clients never leave it.
    pub fence: bool,
}

/// How a policy orders its targets.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyKind {
    /// As written.
    Failover(Vec<Target>),
    /// By distance from the client, nearest first.
    Nearest {
        /// Each with what brings it nearer or farther.
        targets: Vec<(Target, Bias)>,
        /// Metres within which the cheapest site wins; none if cost does not matter.
        cheap_within: Option<u64>,
    },
    /// By a share of clients each.
    Weighted(Vec<WeightedTarget>),
    /// By estimated round-trip time, fastest first; as fast as each other: by a share of clients each.
    Fastest {
        /// Each with its share among those that are as fast; none is 0.
        targets: Vec<(Target, u16)>,
        /// Microseconds within which the cheapest site wins; none if cost does not matter.
        cheap_within: Option<u64>,
    },
    /// By the region the client is in.
    Geo(Rules<Region>),
    /// By the network the client is in.
    Networks(Rules<Network>),
    /// The members of all targets together.
    All {
        /// Whose members.
        targets: Vec<Target>,
        /// The pool that is made of them.
        pool: PoolId,
    },
}

impl PolicyKind {
    /// Every target, as written; one that stands in several rules each time.
    pub fn targets(&self) -> Vec<Target> {
        self.lists().concat()
    }

    /// The targets that clients may get, one list for each rule; every other kind of policy has one list for all.
    pub fn lists(&self) -> Vec<Vec<Target>> {
        match self {
            Self::Failover(targets) | Self::All { targets, pool: _ } => vec![targets.clone()],
            Self::Nearest { targets, .. } => vec![targets.iter().map(|entry| entry.0).collect()],
            Self::Fastest { targets, .. } => vec![targets.iter().map(|entry| entry.0).collect()],
            Self::Weighted(targets) => vec![targets.iter().map(|entry| entry.target).collect()],
            Self::Geo(rules) => rules.lists(),
            Self::Networks(rules) => rules.lists(),
        }
    }
}

/// Lists of targets for some clients each, and one for the others. The order of rules means nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules<C> {
    /// As written.
    pub rules: Vec<Rule<C>>,
    /// For clients that no rule fits.
    pub default: Vec<Target>,
}

/// A list of targets for some clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule<C> {
    /// Whom it fits: no condition stands in two rules.
    pub conditions: Vec<C>,
    /// First choice first.
    pub to: Vec<Target>,
    /// Whether its clients never leave its targets.
    pub fence: bool,
}

impl<C> Rules<C> {
    /// The list of each rule, and that for the others.
    pub fn lists(&self) -> Vec<Vec<Target>> {
        self.rules.iter().map(|rule| &rule.to).chain([&self.default]).cloned().collect()
    }

    /// The targets of a rule by its position, or those for the others, and whether they are fenced.
    pub fn list(&self, rule: Option<u16>) -> (&[Target], bool) {
        match rule {
            Some(position) => {
                let rule = &self.rules[usize::from(position)];
                (&rule.to, rule.fence)
            }
            None => (&self.default, false),
        }
    }
}

/// A part of the world; of those that a client is in, the smallest counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Region {
    /// Code of a continent.
    Continent([u8; 2]),
    /// ISO 3166-1 code.
    Country([u8; 2]),
    /// ISO 3166-2 code, in two parts.
    Subdivision([u8; 2], Box<str>),
}

/// As written: `continent:EU`, `country:DE`, `subdivision:US-CA`.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continent(code) => write!(f, "continent:{}", code_text(*code)),
            Self::Country(code) => write!(f, "country:{}", code_text(*code)),
            Self::Subdivision(country, part) => {
                write!(f, "subdivision:{}-{part}", code_text(*country))
            }
        }
    }
}

/// Some addresses. The longest prefix that holds a client counts, then its autonomous system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// A prefix.
    Prefix(IpNet),
    /// The networks of an autonomous system, as far as geo data knows.
    System(u32),
    /// The entries of a list; one that is also written itself counts there.
    List(ListId),
}

/// A list of networks with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The operator's name.
    pub name: Box<str>,
    /// Prefixes, each once.
    pub prefixes: Vec<IpNet>,
    /// Autonomous systems, each once.
    pub systems: Vec<u32>,
}

/// What a policy points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A leaf.
    Pool(PoolId),
    /// A nested policy.
    Policy(PolicyId),
}

/// How much nearer a target counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// Its distance is divided by this, in thousandths.
    Factor(u32),
    /// These metres are taken from its distance, which is never below 0.
    Metres(i64),
}

impl Bias {
    /// No bias.
    pub const NONE: Self = Self::Factor(1000);
}

/// A target with its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightedTarget {
    /// What is chosen.
    pub target: Target,
    /// Share against its siblings; a target of weight 0 is never the first choice.
    pub weight: u16,
    /// Whether it takes the clients of siblings that fail.
    pub spill: bool,
}

/// A steered name: the policy it enters, and how the result becomes an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Steer {
    /// The steered owner name, absolute.
    pub owner: Name,
    /// The policy or pool it enters.
    pub target: Target,
    /// Most addresses in an answer, 1 to 8.
    pub answers: u8,
    /// How long one client keeps one choice.
    pub period: Period,
    /// Whose address the choice is keyed by.
    pub key: KeySource,
    /// Names with the same affinity choose alike; the owner name when absent.
    pub affinity: Option<Box<str>>,
    /// What is served when nothing is healthy.
    pub on_all_down: AllDown,
    /// Whether A and AAAA choose one pool together.
    pub dual_stack: DualStack,
    /// Whether the client subnet of a query counts.
    pub ecs: EcsUse,
    /// Seconds.
    pub ttl: u32,
}

/// How long one client keeps one choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Until the bucket ends; buckets of different clients end at different moments.
    Every(Duration),
    /// As long as the configuration stays.
    Forever,
}

/// Whose address a choice is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The client's prefix from ECS, else the resolver's address.
    Client,
    /// The resolver's address always.
    Resolver,
}

/// Whether the client subnet of a query counts (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcsUse {
    /// It says who the client is.
    Use,
    /// The resolver counts as the client, and the scope is 0.
    Ignore,
}

/// What is served when no pool has a healthy member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllDown {
    /// All enabled members of the first pool.
    FailOpen,
    /// This pool: its healthy members, or all enabled ones if none is.
    Pool(PoolId),
    /// The members that were healthy last.
    LastGood,
    /// SERVFAIL.
    ServFail,
}

/// Whether A and AAAA choose one pool together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DualStack {
    /// One pool for both families.
    Joint,
    /// Each family by its own health.
    Independent,
}

/// Masks `address` to the client prefix that keys are made of: /24 or /48 (RFC 7871 section 11.1).
pub fn client_prefix_len(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 24,
        IpAddr::V6(_) => 48,
    }
}

//! Trees that order pools for a client, and the names that use them.

use std::net::IpAddr;
use std::time::Duration;

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
    /// By distance from the client, nearest first; `bias` divides the distance.
    Nearest(Vec<(Target, Bias)>),
    /// By a share of clients each.
    Weighted(Vec<WeightedTarget>),
}

impl PolicyKind {
    /// Every target, as written.
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::Failover(targets) => targets.clone(),
            Self::Nearest(targets) => targets.iter().map(|&(target, _)| target).collect(),
            Self::Weighted(targets) => targets.iter().map(|weighted| weighted.target).collect(),
        }
    }
}

/// What a policy points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A leaf.
    Pool(PoolId),
    /// A nested policy.
    Policy(PolicyId),
}

/// How much nearer a target counts: its distance is divided by this, in thousandths (1000 = 1.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bias(pub u32);

impl Bias {
    /// No bias.
    pub const NONE: Self = Self(1000);
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

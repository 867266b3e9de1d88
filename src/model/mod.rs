//! Validated words that every layer above shares: ids, pools, policies, checks, zones, verdicts.
//!
//! Nothing here reads a file or decides an answer; a value of these types is already known good.
#![forbid(unsafe_code)]

pub mod assertion;
pub mod check;
pub mod cluster;
pub mod discovery;
pub mod id;
pub mod limits;
pub mod node;
pub mod policy;
pub mod pool;
pub mod pool_names;
pub mod reach;
pub mod resolved;
pub mod resolver;
pub mod site;
pub mod time;
pub mod verdict;
pub mod voting;
pub mod zone;

use std::collections::BTreeSet;

pub use assertion::Area;
pub use assertion::Assertion;
pub use assertion::Claim;
pub use assertion::Clients;
pub use assertion::Losses;
pub use assertion::TrafficRow;
pub use assertion::Written;
pub use check::Check;
pub use check::CheckKind;
pub use check::Composite;
pub use check::DnsCheck;
pub use check::ExecCheck;
pub use check::FileCheck;
pub use check::GrpcCheck;
pub use check::HttpCheck;
pub use check::HttpVersion;
pub use check::JsonField;
pub use check::JsonValue;
pub use check::LoadSource;
pub use check::PushCheck;
pub use check::Sources;
pub use check::Special;
pub use check::Step;
pub use check::Talk;
pub use check::TlsCheck;
pub use cluster::BUS_NODES_MAX;
pub use cluster::ClusterTerms;
pub use cluster::LINKED_NODES_MAX;
pub use cluster::NODE_NAME_MAX;
pub use cluster::NatsTerms;
pub use cluster::NodeName;
pub use cluster::Peer;
pub use cluster::Pin;
pub use cluster::Role;
pub use discovery::Discovery;
pub use discovery::Found;
pub use discovery::PortUse;
pub use discovery::Source;
pub use id::CheckId;
pub use id::EndpointId;
pub use id::ListId;
pub use id::PolicyId;
pub use id::PoolId;
pub use id::SiteId;
pub use id::SteerId;
pub use limits::ANSWERS_MAX;
pub use limits::DROP_WINDOW;
pub use limits::ENDPOINTS_MAX;
pub use limits::RESOLVED_MAX;
pub use limits::TARGETS_MAX;
pub use node::Disclosure;
pub use node::EcsTrust;
pub use node::Encrypted;
pub use node::ExplainAccess;
pub use node::LogFormat;
pub use node::LogLevel;
pub use node::Node;
pub use node::NodeTerms;
pub use node::ProbeCaps;
pub use node::Rtt;
pub use node::StateTerms;
pub use policy::AllDown;
pub use policy::DualStack;
pub use policy::EcsUse;
pub use policy::KeySource;
pub use policy::List;
pub use policy::Period;
pub use policy::Policy;
pub use policy::PolicyKind;
pub use policy::Steer;
pub use policy::Target;
pub use policy::WeightedTarget;
pub use pool::Endpoint;
pub use pool::Failback;
pub use pool::Leaf;
pub use pool::LeafRecords;
pub use pool::MinHealthy;
pub use pool::Percent;
pub use pool::Pool;
pub use pool::Service;
pub use pool::Shed;
pub use pool::WrittenState;
pub use pool_names::PoolNames;
pub use resolved::Resolved;
pub use resolver::ResolverSettings;
pub use site::Location;
pub use site::Site;
pub use time::Now;
pub use verdict::Admin;
pub use verdict::Family;
pub use verdict::TargetKey;
pub use verdict::Verdict;
pub use voting::Anchors;
pub use voting::LEVEL_MAX;
pub use voting::Quorum;
pub use voting::Vantage;
pub use voting::VoteScope;
pub use voting::Voting;
pub use voting::Word;
pub use zone::Steered;
pub use zone::Zone;

/// Everything the operator's files say, checked as a whole.
///
/// Vectors are indexed by the id types; ids live inside one model and are never logged or sent.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Places where pools and nodes stand.
    pub sites: Vec<Site>,
    /// How endpoints are probed.
    pub checks: Vec<Check>,
    /// Endpoints that serve the same thing at one site; after those of files the ones that `all` is made of.
    pub pools: Vec<Pool>,
    /// Where pools stand by their names.
    pub pool_names: PoolNames,
    /// Named lists of networks.
    pub lists: Vec<List>,
    /// Trees that order pools for a client.
    pub policies: Vec<Policy>,
    /// Steered names: which policy, and how its result becomes an answer.
    pub steers: Vec<Steer>,
    /// Zones with their static records and the places of steered names in them.
    pub zones: Vec<Zone>,
    /// What must be so before all this is served.
    pub assertions: Vec<Assertion>,
}

impl Model {
    /// The pool of a name, whether it stands in a file or not.
    pub fn find_pool(&self, name: &str) -> Option<PoolId> {
        self.pool_names.find(name, &self.pools)
    }

    /// Makes pools quick to find; from now on neither their names nor their order may change.
    pub fn index_pools(&mut self) {
        self.pool_names = PoolNames::of(&self.pools);
    }

    /// Pools that stand in files.
    pub fn written_pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|pool| pool.is_written())
    }

    /// The same with these endpoints found, in place of those found before; pools that are not named stay as they are.
    /// Every id stays but those of endpoints.
    pub fn with_found(&self, found: &Found) -> Self {
        let mut next = self.clone();
        let named: BTreeSet<PoolId> =
            found.keys().filter_map(|name| self.find_pool(name)).collect();
        for id in &named {
            let pool = &mut next.pools[id.index()];
            let Some(discovery) = &pool.discover else { continue };
            pool.endpoints.truncate(discovery.written);
            pool.endpoints.extend(found.get(&pool.name).into_iter().flatten().cloned());
            pool.awaits = pool.endpoints.len() == discovery.written;
        }
        for at in 0..next.pools.len() {
            if next.pools[at].made_of.iter().any(|one| named.contains(one)) {
                let made_of = std::mem::take(&mut next.pools[at].made_of);
                next.pools[at] = Pool::union(&next.pools[at].name, made_of, &next.pools);
            }
        }
        next
    }

    /// Every pool of files that a target can lead to, as written; some several times.
    pub fn pools_below(&self, target: Target) -> Vec<PoolId> {
        match target {
            Target::Pool(pool) => vec![pool],
            Target::Policy(policy) => {
                let targets = self.policies[policy.index()].kind.targets();
                targets.into_iter().flat_map(|target| self.pools_below(target)).collect()
            }
        }
    }

    /// Pools that a target chooses from: those of `all` are one.
    pub fn choices_below(&self, target: Target) -> Vec<PoolId> {
        let policy = match target {
            Target::Pool(pool) => return vec![pool],
            Target::Policy(policy) => policy,
        };
        match &self.policies[policy.index()].kind {
            PolicyKind::All { pool, .. } => vec![*pool],
            kind @ (PolicyKind::Failover(_)
            | PolicyKind::Nearest { .. }
            | PolicyKind::Weighted(_)
            | PolicyKind::Fastest { .. }
            | PolicyKind::Geo(_)
            | PolicyKind::Networks(_)) => {
                kind.targets().into_iter().flat_map(|target| self.choices_below(target)).collect()
            }
        }
    }

    /// Whether any pool that a target can lead to sheds clients.
    pub fn sheds_below(&self, target: Target) -> bool {
        self.choices_below(target).iter().any(|pool| self.pools[pool.index()].shed.is_some())
    }

    /// Whether any pool that a target can lead to has an address of a family.
    pub fn has_family(&self, target: Target, family: Family) -> bool {
        match target {
            Target::Pool(pool) => self.pools[pool.index()].has_family(family),
            Target::Policy(policy) => {
                let targets = self.policies[policy.index()].kind.targets();
                targets.into_iter().any(|target| self.has_family(target, family))
            }
        }
    }

    /// The checks that are probed for a check: itself, or the parts it is made of, each once.
    pub fn leaves(&self, check: CheckId) -> Vec<CheckId> {
        let (mut leaves, mut seen, mut left) = (Vec::new(), Vec::new(), vec![check]);
        while let Some(id) = left.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            match self.checks.get(id.index()).map(|check| &check.kind) {
                Some(CheckKind::Composite(composite)) => {
                    left.extend(composite.of.iter().rev().copied());
                }
                Some(_) => leaves.push(id),
                None => {}
            }
        }
        leaves
    }

    /// Every site that endpoints of a pool stand at.
    pub fn sites_of(&self, pool: PoolId) -> Vec<SiteId> {
        let pool = &self.pools[pool.index()];
        let parts = pool.part_pools();
        let parts = parts.iter().filter_map(|part| self.pools[part.index()].site);
        pool.site.into_iter().chain(parts).collect()
    }
}

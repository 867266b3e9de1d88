//! How often a whole cluster probes an endpoint, and how intervals are stretched if that is too often.
//!
//! All nodes compute the same from the same files: nodes that are configured count, whether they live or not.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::Roster;
use crate::model::Check;
use crate::model::CheckId;
use crate::model::CheckKind;
use crate::model::Model;
use crate::model::Pool;
use crate::model::Vantage;
use crate::model::VoteScope;

/// How often endpoints are probed by one check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RateStatus {
    /// Which check.
    pub check: String,
    /// Sites that probe an endpoint, at most.
    pub sites: usize,
    /// Nodes of these sites, at most.
    pub nodes: usize,
    /// Probes of all of them to one target in a second.
    pub a_second: f64,
    /// Milliseconds between two probes of a node.
    #[serde(default)]
    pub interval_ms: u64,
    /// What the files ask for, if that would be too often: the interval is stretched.
    #[serde(default)]
    pub stretched_from_ms: Option<u64>,
}

/// How one check is probed at the endpoints of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Which check.
    pub check: CheckId,
    /// Sites that probe, at most.
    pub sites: usize,
    /// Nodes of these sites, at most.
    pub nodes: usize,
    /// From a probe of a node to its next, stretched if need be.
    pub interval: Duration,
}

/// Every check of a pool, or what its check is made of, with its pace.
///
/// Each probe takes `fleet_interval` of an address; where all parts together take more than there is, all are stretched alike.
pub fn paces(model: &Model, roster: &Roster, pool: &Pool) -> Vec<Pace> {
    let Some(check) = pool.check else { return Vec::new() };
    let region = pool.site.and_then(|site| model.sites[site.index()].region.as_deref());
    let of_leaf = |id: CheckId| {
        let check = &model.checks[id.index()];
        let (sites, nodes) = probers(check, region, model, roster);
        Pace { check: id, sites, nodes, interval: check.interval }
    };
    let mut paces: Vec<Pace> = model.leaves(check).into_iter().map(of_leaf).collect();
    let taken: u128 = paces.iter().map(|pace| taken(&model.checks[pace.check.index()], pace)).sum();
    if taken > ALL {
        for pace in paces.iter_mut().filter(|pace| is_sent(&model.checks[pace.check.index()])) {
            let nanos = pace.interval.as_nanos() * taken / ALL;
            pace.interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        }
    }
    paces
}

/// All of an address's time, in millionths.
const ALL: u128 = 1_000_000;

/// How much of an address's time a check takes, in millionths.
fn taken(check: &Check, pace: &Pace) -> u128 {
    if !is_sent(check) {
        return 0;
    }
    let each = check.voting.fleet_interval.as_nanos() * pace.nodes as u128;
    (each * ALL).div_ceil(check.interval.as_nanos().max(1))
}

/// Whether its probes go to the endpoint.
fn is_sent(check: &Check) -> bool {
    !matches!(check.kind, CheckKind::Push(_) | CheckKind::File(_) | CheckKind::Composite(_))
}

/// The checks that are used, each with the most that an endpoint gets.
pub fn rates(model: &Model, roster: &Roster) -> Vec<RateStatus> {
    let mut rates: BTreeMap<&str, RateStatus> = BTreeMap::new();
    for pool in model.written_pools() {
        for Pace { check, sites, nodes, interval } in paces(model, roster, pool) {
            let check = &model.checks[check.index()];
            let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            let a_second = nodes as f64 / interval.as_secs_f64();
            let known = rates.entry(&check.name).or_default();
            if a_second > known.a_second {
                *known = RateStatus {
                    check: check.name.to_string(),
                    sites,
                    nodes,
                    a_second,
                    interval_ms: ms(interval),
                    stretched_from_ms: (interval > check.interval).then(|| ms(check.interval)),
                };
            }
        }
    }
    rates.into_values().collect()
}

/// Sites that probe an endpoint of a region, and their nodes: of as many as `vantage` wants those with the most.
fn probers(check: &Check, region: Option<&str>, model: &Model, roster: &Roster) -> (usize, usize) {
    let region_of = |name: &str| {
        let site = model.sites.iter().find(|site| *site.name == *name)?;
        site.region.as_deref()
    };
    let is_near = |site: &usize| match check.voting.scope {
        VoteScope::Global => true,
        VoteScope::Region => region.is_some() && region_of(&roster.sites()[*site]) == region,
    };
    let all = 0..roster.sites().len();
    let near: Vec<usize> = all.clone().filter(is_near).collect();
    let sites: Vec<usize> = if near.is_empty() { all.collect() } else { near };
    let mut nodes: Vec<usize> = sites.into_iter().map(|site| roster.nodes_at(site)).collect();
    nodes.sort_unstable_by(|a, b| b.cmp(a));
    if let Vantage::Sites(count) = check.voting.vantage {
        nodes.truncate(count.into());
    }
    (nodes.len(), nodes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;
    use crate::model::ClusterTerms;
    use crate::model::NodeName;
    use crate::model::Peer;
    use crate::model::Role;

    fn model(checks: &str) -> Model {
        let text = format!(
            "[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n{checks}\
             [pool.a]\ncheck = \"web\"\nendpoint.a.addresses = [\"192.0.2.1\"]\n\
             [policy.p]\nkind = \"failover\"\ntargets = [\"a\"]\n[name.www]\nsteer = \"p\"\n"
        );
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", &text)]));
        model.unwrap_or_else(|| panic!("{problems:?}"))
    }

    /// So many nodes, each at a site of its own.
    fn roster(nodes: usize) -> Roster {
        let name = |number: usize| NodeName::parse(&format!("n{number}")).unwrap();
        let peer = |number: usize| Peer {
            node: name(number),
            address: None,
            pins: Vec::new(),
            site: format!("s{number}").into(),
            role: Role::Server,
        };
        let terms = ClusterTerms {
            name: "c".into(),
            node: name(0),
            listen: None,
            key: "k".into(),
            role: Role::Server,
            anchors: Vec::new(),
            withdraw: Box::default(),
            nats: None,
            bundles: false,
            peers: (1..nodes).map(peer).collect(),
        };
        Roster::new(&terms, "s0")
    }

    /// Intervals in milliseconds of the checks of the pool.
    fn intervals(checks: &str, nodes: usize) -> Vec<u128> {
        let model = model(checks);
        let paces = paces(&model, &roster(nodes), &model.pools[0]);
        paces.iter().map(|pace| pace.interval.as_millis()).collect()
    }

    #[test]
    fn an_interval_is_stretched_until_all_nodes_together_keep_to_fleet_interval() {
        let check = |more: &str| {
            format!("[check.web]\nkind = \"tcp\"\nport = 80\ntimeout = \"100ms\"\n{more}\n")
        };
        for (more, nodes, expected) in [
            ("interval = \"10s\"", 30, 10_000),
            ("interval = \"1s\"", 30, 1000),
            ("interval = \"200ms\"", 10, 200),
            ("interval = \"200ms\"", 30, 600),
            ("interval = \"1s\"\nfleet_interval = \"1s\"", 30, 30_000),
            ("interval = \"1s\"\nfleet_interval = \"1s\"\nvantage = 3", 30, 3000),
            ("interval = \"1s\"\nfleet_interval = \"0s\"", 30, 1000),
            ("interval = \"1s\"\nfleet_interval = \"1s\"", 1, 1000),
        ] {
            assert_eq!(intervals(&check(more), nodes), [expected], "{more} at {nodes} nodes");
        }
    }

    #[test]
    fn parts_of_a_check_share_the_address_and_are_stretched_alike() {
        let checks = "[check.web]\nkind = \"all_of\"\nof = [\"a\", \"b\"]\n\
             [check.a]\nkind = \"tcp\"\nport = 80\ninterval = \"1s\"\ntimeout = \"1s\"\nfleet_interval = \"200ms\"\n\
             [check.b]\nkind = \"tcp\"\nport = 81\ninterval = \"2s\"\ntimeout = \"1s\"\nfleet_interval = \"200ms\"\n";
        assert_eq!(intervals(checks, 3), [1000, 2000], "0.6 and 0.3 of the time");
        assert_eq!(intervals(checks, 5), [1500, 3000]);
    }

    #[test]
    fn what_is_not_asked_is_not_stretched() {
        let token = "a".repeat(64);
        let push = format!("[check.web]\nkind = \"push\"\ntoken_sha256 = [\"{token}\"]\n");
        let before = intervals(&push, 1);
        assert_eq!(intervals(&push, 60), before);
    }

    #[test]
    fn what_is_stretched_is_shown() {
        let check =
            "[check.web]\nkind = \"tcp\"\nport = 80\ninterval = \"200ms\"\ntimeout = \"100ms\"\n";
        let model = model(check);
        let shown = rates(&model, &roster(30));
        assert_eq!((shown[0].interval_ms, shown[0].stretched_from_ms), (600, Some(200)));
        assert!((shown[0].a_second - 50.0).abs() < 0.1, "{shown:?}");
        assert_eq!(rates(&model, &roster(5))[0].stretched_from_ms, None);
    }
}

//! Whether the checks of the files ask for more probes than this node makes.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::net::IpAddr;

use crate::cli::check::stretched_text;
use crate::cluster::Roster;
use crate::config::Severity;
use crate::config::render::FileProblem;
use crate::config::rules;
use crate::control::cluster::rates::rates as fleet_rates;
use crate::model::Family;
use crate::model::Model;
use crate::model::Node;

/// Probes a second that the files ask for: of each address, each different probe once.
///
/// Addresses of names are not known before they are resolved, and not in it.
fn rates(model: &Model) -> BTreeMap<IpAddr, f64> {
    let mut seen = HashSet::new();
    let mut rates = BTreeMap::new();
    for pool in model.written_pools() {
        let Some(id) = pool.check else { continue };
        let leaves = model.leaves(id);
        for endpoint in &pool.endpoints {
            let addresses = Family::BOTH.into_iter().filter_map(|family| endpoint.address(family));
            for (address, id) in addresses.flat_map(|one| leaves.iter().map(move |id| (one, *id))) {
                if seen.insert((address, id, endpoint.special(id))) {
                    let interval = model.checks[id.index()].interval;
                    *rates.entry(address).or_default() += 1.0 / interval.as_secs_f64();
                }
            }
        }
    }
    rates
}

/// Warns of checks that would come late.
pub(super) fn find_excess(model: &Model, node: &Node, file: &str) -> Vec<FileProblem> {
    let caps = &node.probe;
    let rates = rates(model);
    let all: f64 = rates.values().sum();
    let warning = |fault, remedy| FileProblem {
        severity: Severity::Warning,
        rule: &rules::LIKELY_MISTAKE,
        file: file.to_owned(),
        fault,
        remedy,
    };
    let mut warnings = Vec::new();
    if all > f64::from(caps.rate) {
        let fault = format!(
            "probe.rate: the checks ask for {all:.0} probes a second and {} are allowed, so that they come late",
            caps.rate
        );
        let remedy = "lengthen intervals of checks, or raise rate in [probe] of rhumb.toml";
        warnings.push(warning(fault, remedy.into()));
    }
    let most = rates.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    if let Some((address, rate)) = most.filter(|(_, r)| *r > f64::from(caps.rate_per_address)) {
        let fault = format!(
            "probe.rate_per_address: the checks ask for {rate:.0} probes a second of {address} and {} are allowed, so \
             that they come late",
            caps.rate_per_address
        );
        let remedy =
            "lengthen intervals of checks, or raise rate_per_address in [probe] of rhumb.toml";
        warnings.push(warning(fault, remedy.into()));
    }
    let rates = roster(node).map(|roster| fleet_rates(model, &roster)).unwrap_or_default();
    for rate in rates.iter().filter(|rate| rate.stretched_from_ms.is_some()) {
        let fault = format!(
            "check.{}: {} nodes would probe an endpoint more often than one each fleet_interval{}",
            rate.check,
            rate.nodes,
            stretched_text(rate.interval_ms, rate.stretched_from_ms)
        );
        let remedy = "lengthen its interval, have fewer sites probe (vantage = 3), or shorten fleet_interval";
        warnings.push(warning(fault, remedy.into()));
    }
    warnings
}

/// The nodes of the cluster that a node's file names.
pub(super) fn roster(node: &Node) -> Option<Roster> {
    let terms = node.cluster.as_ref()?;
    Some(Roster::new(terms, node.site.as_deref().unwrap_or(terms.node.as_str())))
}

//! How often a whole cluster probes an endpoint.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::Roster;
use crate::model::Check;
use crate::model::Model;
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
}

/// The checks that are used, each with the most that an endpoint gets.
pub fn rates(model: &Model, roster: &Roster) -> Vec<RateStatus> {
    let mut rates: BTreeMap<&str, RateStatus> = BTreeMap::new();
    for pool in model.written_pools() {
        let Some(check) = pool.check else { continue };
        let region = pool.site.and_then(|site| model.sites[site.index()].region.as_deref());
        for leaf in model.leaves(check) {
            let check = &model.checks[leaf.index()];
            let found = rate(check, region, model, roster);
            let known = rates.entry(&check.name).or_default();
            if found.a_second > known.a_second {
                *known = found;
            }
        }
    }
    rates.into_values().collect()
}

fn rate(check: &Check, region: Option<&str>, model: &Model, roster: &Roster) -> RateStatus {
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
    let sum: usize = nodes.iter().sum();
    RateStatus {
        check: check.name.to_string(),
        sites: nodes.len(),
        nodes: sum,
        a_second: sum as f64 / check.interval.as_secs_f64(),
    }
}

//! Regions of sites, and the pools whose checks ask for one.

use crate::config::Problems;
use crate::config::rules;
use crate::config::spec::CheckSpec;
use crate::config::spec::PoolSpec;
use crate::config::spec::SiteSpec;
use crate::geo::place::continent_of;
use crate::model::Model;
use crate::model::PoolId;
use crate::model::VoteScope;

/// The region that a site's file names, else the continent of its country.
pub(super) fn region_of(site: &SiteSpec) -> Option<Box<str>> {
    let written = site.region.as_deref().map(Box::from);
    let continent = || {
        let [a, b] = continent_of(site.country?)?;
        Some(String::from_iter([char::from(a), char::from(b)]).into())
    };
    written.or_else(continent)
}

/// Warns of pools whose check leaves votes to their region, if nobody knows which that is: then all sites vote.
pub(super) fn warn_of_pools(
    pools: &[&PoolSpec],
    checks: &[&CheckSpec],
    model: &Model,
    problems: &mut Problems,
) {
    for (position, spec) in pools.iter().enumerate() {
        let id = PoolId::at(position);
        let Some(pool) = model.pools.get(id.index()) else { continue };
        let (Some(check), Some(written)) = (pool.check, &spec.check) else { continue };
        let leaves = model.leaves(check).into_iter();
        let regional = leaves
            .map(|leaf| checks[leaf.index()])
            .find(|check| check.pace.voting.scope == VoteScope::Region);
        let region = pool.site.and_then(|site| model.sites[site.index()].region.as_deref());
        let (Some(check), None) = (regional, region) else { continue };
        let fault = format!(
            "sites of the pool's region are to vote by check \"{}\", and it has no region: all sites vote",
            check.name.value
        );
        let remedy = match pool.site {
            Some(_) => "give its site a country or a region",
            None => "give it a site that has a country or a region",
        };
        let key = format!("pool.{}.check", spec.name.value);
        problems.warning(&written.place, key, fault, remedy).rule(&rules::LIKELY_MISTAKE);
    }
}

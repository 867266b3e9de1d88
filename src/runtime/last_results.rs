//! Newest probe results, put where `status` shows their targets.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::control::status::Status;
use crate::model::Family;
use crate::model::TargetKey;

/// What names a result: endpoint, check, family, and the address of an endpoint that is a name.
type Place<'a> = (&'a str, &'a str, Family, Option<IpAddr>);

/// Puts the newest result to each target, and to each part of one whose check is made of others.
pub(super) fn add(status: &mut Status, results: &BTreeMap<TargetKey, String>) {
    let mut by_place: HashMap<Place<'_>, &String> = HashMap::with_capacity(results.len());
    for (key, text) in results {
        by_place.insert((&key.endpoint, &key.check, key.family, key.address), text);
    }
    for pool in &mut status.pools {
        let check = pool.check.as_deref().unwrap_or_default();
        for endpoint in &mut pool.endpoints {
            for target in &mut endpoint.targets {
                let Ok(address) = target.address.parse::<IpAddr>() else { continue };
                let last = |check: &str| {
                    let family = Family::of(address);
                    let own = (endpoint.key.as_str(), check, family, None);
                    let of_name = (endpoint.key.as_str(), check, family, Some(address));
                    let found = by_place.get(&own).or_else(|| by_place.get(&of_name));
                    found.map(ToString::to_string)
                };
                target.last = last(check);
                for part in &mut target.parts {
                    part.last = last(&part.check);
                }
            }
        }
    }
}

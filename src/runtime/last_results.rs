//! The newest result of each target, in words, as the log and `status` have it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::control::status::Status;
use crate::model::Family;
use crate::model::TargetKey;
use crate::runtime::probe::ProbeResult;

/// A result in words.
pub fn text(result: &ProbeResult) -> String {
    match &result.outcome {
        Ok(()) => {
            let millis = result.duration.as_secs_f64() * 1000.0;
            format!("passed in {millis:.1} ms{}", result.load.text())
        }
        Err(why) => why.to_string(),
    }
}

/// Adds the newest results to a status.
pub fn add(results: &BTreeMap<TargetKey, String>, status: &mut Status) {
    let by_target: HashMap<(&str, Family, Option<IpAddr>), &String> = results
        .iter()
        .map(|(key, text)| ((&*key.endpoint, key.family, key.address), text))
        .collect();
    for endpoint in status.pools.iter_mut().flat_map(|pool| &mut pool.endpoints) {
        for target in &mut endpoint.targets {
            let Ok(address) = target.address.parse::<IpAddr>() else { continue };
            let key = |of_name| (endpoint.key.as_str(), Family::of(address), of_name);
            let found = by_target.get(&key(None)).or_else(|| by_target.get(&key(Some(address))));
            target.last = found.map(ToString::to_string);
        }
    }
}

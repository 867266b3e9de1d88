//! Newest probe results, put where `status` shows their targets.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::control::status::ProbesStatus;
use crate::control::status::Status;
use crate::health::Holding;
use crate::model::Family;
use crate::model::TargetKey;
use crate::runtime::probe::ProbeReport;

/// The newest result of a target, and what is known of its probes since.
#[derive(Clone, Debug, PartialEq)]
pub struct LastResult {
    /// The result, for people.
    pub text: String,
    /// When it came, monotonic.
    at: Duration,
    /// When the next probe is due.
    next: Duration,
    penalty: f64,
    /// How long flaps hold the target down, from `at` on.
    damped_for: Option<Duration>,
}

impl LastResult {
    /// That of a report, in words that others have found.
    pub fn new(report: &ProbeReport, text: String) -> Self {
        let damped_for = match report.holding {
            Some(Holding::Damped { left, .. }) => Some(left),
            Some(Holding::HoldDown(_)) | None => None,
        };
        let ProbeReport { at, next, penalty, .. } = *report;
        Self { text, at, next, penalty, damped_for }
    }

    fn status(&self, now: Duration) -> ProbesStatus {
        let ago = now.saturating_sub(self.at);
        let tenths = |time: Duration| (time.as_secs_f64() * 10.0).round() / 10.0;
        ProbesStatus {
            ago_s: tenths(ago),
            next_s: tenths(self.next.saturating_sub(now)),
            penalty: (self.penalty * 100.0).round() / 100.0,
            suppressed_s: self.damped_for.map(|left| left.saturating_sub(ago).as_secs()),
        }
    }
}

/// What names a result: endpoint, check, family, and the address of an endpoint that is a name.
type Place<'a> = (&'a str, &'a str, Family, Option<IpAddr>);

/// Puts the newest result to each target, and to each part of one whose check is made of others; `now` is monotonic.
pub fn add(results: &BTreeMap<TargetKey, LastResult>, now: Duration, status: &mut Status) {
    let mut by_place: HashMap<Place<'_>, &LastResult> = HashMap::with_capacity(results.len());
    for (key, result) in results {
        by_place.insert((&key.endpoint, &key.check, key.family, key.address), result);
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
                    found.map(|result| (result.text.clone(), result.status(now))).unzip()
                };
                (target.last, target.probes) = last(check);
                for part in &mut target.parts {
                    (part.last, part.probes) = last(&part.check);
                }
            }
        }
    }
}

//! Newest probe results of all targets, put into words where `status` shows them and not before.

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::control::status::ProbesStatus;
use crate::control::status::Status;
use crate::health::Holding;
use crate::health::Penalty;
use crate::model::Family;
use crate::model::TargetKey;
use crate::runtime::probe::ProbeReport;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;

/// What names a result: endpoint, check, family, and the address of an endpoint that is a name.
type Place<'a> = (&'a str, &'a str, Family, Option<IpAddr>);

/// The newest result of a target.
#[derive(Debug)]
struct LastResult {
    result: ProbeResult,
    /// What keeps the target from being up.
    holding: Option<Holding>,
    /// When it came, monotonic.
    at: Duration,
    /// When the next probe is due.
    next: Duration,
    /// For flaps.
    penalty: Penalty,
}

impl LastResult {
    fn text(&self) -> String {
        let (reason, phases) = (self.result.reason(), self.result.phases_text());
        format!("{reason}{phases}{}", held_text(self.holding.as_ref()))
    }

    fn probes(&self, now: Duration) -> ProbesStatus {
        let ago = now.saturating_sub(self.at);
        let tenths = |time: Duration| (time.as_secs_f64() * 10.0).round() / 10.0;
        let suppressed = match self.holding {
            Some(Holding::Damped { left, .. }) => Some(left.saturating_sub(ago)),
            Some(Holding::HoldDown(_)) | None => None,
        };
        ProbesStatus {
            ago_s: tenths(ago),
            next_s: tenths(self.next.saturating_sub(now)),
            penalty: (self.penalty.value * 100.0).round() / 100.0,
            suppressed_s: suppressed.map(|left| left.as_secs()),
        }
    }
}

/// What keeps a target from being up, to be put behind a result; nothing if nothing does.
pub fn held_text(holding: Option<&Holding>) -> String {
    holding.map_or_else(String::new, |why| format!("; held: {why}"))
}

/// The newest result of each target that has one.
#[derive(Debug, Default)]
pub struct LastResults {
    newest: HashMap<TargetKey, LastResult>,
    /// How many targets there are.
    targets: usize,
}

impl LastResults {
    /// Forgets the results of all but these targets.
    pub fn set_targets(&mut self, targets: &[ProbeTarget]) {
        let keys: HashSet<&TargetKey> = targets.iter().map(|target| &target.key).collect();
        self.newest.retain(|key, _| keys.contains(key));
        self.targets = targets.len();
    }

    /// Takes a result.
    pub fn take(&mut self, report: ProbeReport) {
        let ProbeReport { key, result, holding, at, next, penalty, .. } = report;
        self.newest.insert(key, LastResult { result, holding, at, next, penalty });
    }

    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Whether each target has one.
    pub fn are_complete(&self) -> bool {
        self.newest.len() >= self.targets
    }

    /// Puts the newest result to each target, and to each part of one whose check is made of others; `now` is monotonic.
    pub fn add_to(&self, status: &mut Status, now: Duration) {
        let mut by_place: HashMap<Place<'_>, &LastResult> =
            HashMap::with_capacity(self.newest.len());
        for (key, last) in &self.newest {
            by_place.insert((&key.endpoint, &key.check, key.family, key.address), last);
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
                        found.map(|last| (last.text(), last.probes(now))).unzip()
                    };
                    (target.last, target.probes) = last(check);
                    for part in &mut target.parts {
                        (part.last, part.probes) = last(&part.check);
                    }
                }
            }
        }
    }
}

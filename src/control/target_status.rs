//! How each address of an endpoint stands, for people and machines.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::control::Controller;
use crate::control::Known;
use crate::control::health;
use crate::control::shell_status::ProbesStatus;
use crate::model::CheckId;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Model;
use crate::model::Now;
use crate::model::Percent;
use crate::model::Resolved;
use crate::model::Verdict;

/// One address of an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetStatus {
    /// The address.
    pub address: String,
    /// `up`, `down`, `held`, `unknown`; `unchecked` without a check.
    pub verdict: String,
    /// Seconds since it changed.
    pub since_s: Option<u64>,
    /// The result behind the verdict.
    pub reason: String,
    /// The newest result; filled in by the shell, which sees all of them.
    pub last: Option<String>,
    /// How its probes go on; filled in by the shell, as is `last`.
    #[serde(default)]
    pub probes: Option<ProbesStatus>,
    /// What the brake holds it for, if it is up by the brake alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<BrakeStatus>,
    /// How slow it is and what is left of its weight, in words; empty if it is not degraded.
    #[serde(default)]
    pub degraded: String,
    /// What its check is made of; nothing if it is probed itself.
    #[serde(default)]
    pub parts: Vec<PartStatus>,
    /// How long it takes to it and back from each site of a cluster, as far as that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub round_trips: Vec<SiteRoundTrip>,
}

/// How far it is from a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteRoundTrip {
    /// Which site.
    pub site: String,
    /// Milliseconds there and back, smoothed, within a tenth.
    pub ms: f64,
}

/// One part of a check that is made of others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartStatus {
    /// Which check.
    pub check: String,
    /// `up`, `down`, `held`, `unknown`.
    pub verdict: String,
    /// Seconds since it changed.
    pub since_s: Option<u64>,
    /// The result behind the verdict.
    pub reason: String,
    /// The newest result; filled in by the shell.
    pub last: Option<String>,
    /// How its probes go on; filled in by the shell.
    #[serde(default)]
    pub probes: Option<ProbesStatus>,
}

impl TargetStatus {
    /// The verdict, as people are shown it.
    pub fn verdict_text(&self) -> String {
        match self.brake {
            Some(_) => format!("{} (brake)", self.verdict),
            None => self.verdict.clone(),
        }
    }
}

/// What the brake holds a target for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeStatus {
    /// For how many seconds.
    pub since_s: u64,
    /// The result of the probe that would have taken it down.
    pub reason: String,
    /// Its probes pass again, and hold-down or damping still runs.
    pub passes_again: bool,
}

impl Controller {
    /// How one target stands.
    pub(super) fn target_status(
        &self,
        model: &Model,
        check: CheckId,
        target: &health::Target<'_>,
        now: Now,
    ) -> TargetStatus {
        let known = self.verdicts.get(&target.key);
        let since = |known: &Known| now.monotonic.saturating_sub(known.since.monotonic).as_secs();
        let part = |part: health::Target<'_>| {
            let known = self.parts.get(&part.key);
            PartStatus {
                check: part.key.check.to_string(),
                verdict: known.map_or(Verdict::Unknown, |known| known.verdict).to_string(),
                since_s: known.map(since),
                reason: known.map(|known| known.reason.to_string()).unwrap_or_default(),
                last: None,
                probes: None,
            }
        };
        let keys: Vec<_> = std::iter::once(target.key.clone())
            .chain(target.parts(model).into_iter().map(|part| part.key))
            .collect();
        let from_site = |(site, time): (Box<str>, Duration)| SiteRoundTrip {
            site: site.into(),
            ms: (time.as_secs_f64() * 10_000.0).round() / 10.0,
        };
        let Percent(left) = self.weight_left(model, check, &target.key);
        let is_slow = left < 100 && known.is_some_and(|known| known.verdict == Verdict::Up);
        TargetStatus {
            address: target.address.to_string(),
            verdict: known.map_or(Verdict::Unknown, |known| known.verdict).to_string(),
            since_s: known.map(since),
            reason: known.map(|known| known.reason.to_string()).unwrap_or_default(),
            last: None,
            probes: None,
            degraded: if is_slow { format!("degraded to {left} %") } else { String::new() },
            parts: target.parts(model).into_iter().map(part).collect(),
            brake: self.brake_status(&target.key, now),
            round_trips: self.round_trips_to(&keys).into_iter().map(from_site).collect(),
        }
    }
}

/// Addresses of an endpoint that nobody probes.
pub(super) fn unchecked(endpoint: &Endpoint, resolved: Option<&Resolved>) -> Vec<TargetStatus> {
    let own = Family::BOTH.into_iter().filter_map(|family| endpoint.address(family));
    let all = own.chain(resolved.into_iter().flat_map(Resolved::iter));
    let status = |address: IpAddr| TargetStatus {
        address: address.to_string(),
        verdict: "unchecked".into(),
        since_s: None,
        reason: String::new(),
        last: None,
        probes: None,
        degraded: String::new(),
        parts: Vec::new(),
        brake: None,
        round_trips: Vec::new(),
    };
    all.map(status).collect()
}

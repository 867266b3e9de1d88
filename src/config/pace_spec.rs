//! How often a check probes, how many results count, and how sites agree: as written.

use std::time::Duration;

use crate::config::problem::At;
use crate::model::Step;
use crate::model::Voting;

/// How often is probed, and how many results count.
#[derive(Clone, Debug)]
pub struct PaceSpec {
    /// Between probes.
    pub interval: Duration,
    /// Of one probe.
    pub timeout: At<Duration>,
    /// Failures that take down.
    pub fall: u8,
    /// Successes that bring back.
    pub rise: u8,
    /// Least time down.
    pub hold_down: Duration,
    /// Half-life of the penalty for flaps.
    pub damping: Option<Duration>,
    /// Percent of the interval.
    pub jitter_percent: u8,
    /// Levels of slowness.
    pub degraded: Vec<At<Step>>,
    /// How sites of a cluster agree.
    pub voting: Voting,
}

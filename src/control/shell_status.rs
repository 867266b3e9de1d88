//! What the shell adds to the status, as the controller does not know it.

use serde::Deserialize;
use serde::Serialize;

/// A certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// When the one in force expires.
    pub expires: String,
    /// Whether another one is on disk, which is refused.
    pub is_stale: bool,
}

/// Whether state is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStatus {
    /// Where; `None`: nowhere, a restart forgets everything.
    pub folder: Option<String>,
    /// Why nothing is written now.
    pub fault: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// What else is to be told.
    pub note: Option<String>,
}

/// How the prober keeps up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbingStatus {
    /// Targets that are probed.
    pub targets: u64,
    /// Different probes that are made for them.
    pub probes: u64,
    /// Probes that run.
    pub in_flight: u64,
    /// How late probes began in the last minute, the 99th of a hundred; `None` without a probe.
    pub late_p99_ms: Option<u64>,
    /// Caps that made probes wait in the last minute, with how many.
    pub delayed: Vec<(String, u64)>,
}

/// How the probes of a target go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbesStatus {
    /// Seconds since the last one ended.
    pub ago_s: f64,
    /// Seconds until the next begins; 0 if it is due or runs.
    pub next_s: f64,
    /// Penalty for flaps, as of the last one.
    pub penalty: f64,
    /// Seconds for which that penalty keeps the target down, if it does not fall again.
    #[serde(default)]
    pub suppressed_s: Option<u64>,
}

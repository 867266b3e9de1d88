//! Numbers of the state on disk, and their text for Prometheus.

use prometheus_client::encoding::DescriptorEncoder;

use crate::runtime::exposition::counter;
use crate::runtime::exposition::gauge;

/// Numbers for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether nothing is written.
    pub is_faulty: bool,
    /// Batches that were written.
    pub commits: u64,
    /// Octets of history and files behind it.
    pub octets: u64,
    /// Entries that wait.
    pub waiting: u64,
}

impl Figures {
    /// Their series.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Whether state cannot be written: a restart would forget what changes";
        gauge(encoder, "state_faulty", help, u64::from(self.is_faulty))?;
        counter(encoder, "state_commits", "Batches of state written", self.commits)?;
        let help = "Octets of the history and of the files behind it";
        gauge(encoder, "state_history_octets", help, self.octets)?;
        gauge(encoder, "state_waiting", "Entries that wait to be written", self.waiting)
    }
}

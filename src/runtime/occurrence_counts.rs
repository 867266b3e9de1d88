//! Which occurrences are counted.

use crate::control::Occurrence;
use crate::runtime::metrics::Metrics;

impl Metrics {
    /// Counts what the controller tells of, if it is to be counted.
    pub fn count_occurrence(&self, occurrence: &Occurrence) {
        match occurrence {
            Occurrence::Verdict { .. } => self.count_flip(),
            Occurrence::Reloaded { .. } => self.count_reload(true),
            Occurrence::Refused { .. } | Occurrence::GeoRefused { .. } => {
                self.count_reload(false);
            }
            Occurrence::GeoAccepted
            | Occurrence::Started(_)
            | Occurrence::Disk(_)
            | Occurrence::Degraded { .. }
            | Occurrence::Unchanged
            | Occurrence::Watching
            | Occurrence::StillRefused
            | Occurrence::Resolved { .. }
            | Occurrence::NotResolved { .. }
            | Occurrence::Discovery { .. }
            | Occurrence::TableMade { .. }
            | Occurrence::TableCounts { .. }
            | Occurrence::TablesRefused { .. }
            | Occurrence::TablesAccepted
            | Occurrence::Unheard { .. }
            | Occurrence::Ordered { .. }
            | Occurrence::Withdrawn { .. }
            | Occurrence::Expired { .. }
            | Occurrence::WayBack { .. }
            | Occurrence::BroughtBack { .. }
            | Occurrence::Shed { .. }
            | Occurrence::Laden { .. }
            | Occurrence::Shifted { .. }
            | Occurrence::ShiftEnded { .. }
            | Occurrence::Braked { .. }
            | Occurrence::BrakeEased { .. }
            | Occurrence::BrakeReleased { .. } => {}
        }
    }
}

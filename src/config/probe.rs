//! `[probe]`: what probes may take.

use crate::config::Problems;
use crate::config::keys::PROBE_RATE;
use crate::config::keys::PROBE_RATE_PER_ADDRESS;
use crate::config::reader::Section;
use crate::model::ProbeCaps;

/// What counts when nothing is said.
pub(super) fn default() -> ProbeCaps {
    ProbeCaps { rate: PROBE_RATE, rate_per_address: PROBE_RATE_PER_ADDRESS, in_flight: None }
}

pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> ProbeCaps {
    let defaults = default();
    let in_flight = section.take("in_flight").and_then(|value| value.integer(problems));
    ProbeCaps {
        rate: read_rate(section, "rate", problems).unwrap_or(defaults.rate),
        rate_per_address: read_rate(section, "rate_per_address", problems)
            .unwrap_or(defaults.rate_per_address),
        in_flight: in_flight.and_then(|at| usize::try_from(at.value).ok()),
    }
}

fn read_rate(section: &mut Section<'_>, key: &'static str, problems: &mut Problems) -> Option<u32> {
    u32::try_from(section.take(key)?.integer(problems)?.value).ok()
}

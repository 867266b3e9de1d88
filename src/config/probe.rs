//! `[probe]`: what probes may take.

use crate::config::Problems;
use crate::config::keys::PROBE_RATE;
use crate::config::keys::PROBE_RATE_PER_ADDRESS;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::model::ProbeCaps;

/// What counts when nothing is said.
pub(super) fn default() -> ProbeCaps {
    ProbeCaps { rate: PROBE_RATE, rate_per_address: PROBE_RATE_PER_ADDRESS, in_flight: None }
}

pub(super) fn read(value: &Value<'_>, problems: &mut Problems) -> ProbeCaps {
    let mut caps = default();
    let Some(mut section) = value.section(problems) else { return caps };
    caps.rate = read_rate(&mut section, "rate", problems).unwrap_or(caps.rate);
    let of_address = read_rate(&mut section, "rate_per_address", problems);
    caps.rate_per_address = of_address.unwrap_or(caps.rate_per_address);
    let in_flight = section.take("in_flight").and_then(|value| value.integer(problems));
    caps.in_flight = in_flight.and_then(|at| usize::try_from(at.value).ok());
    section.finish(problems);
    caps
}

fn read_rate(section: &mut Section<'_>, key: &'static str, problems: &mut Problems) -> Option<u32> {
    u32::try_from(section.take(key)?.integer(problems)?.value).ok()
}

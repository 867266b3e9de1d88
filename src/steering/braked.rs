//! What the brake holds up, as a pool's plan and a trace know it.

use crate::model::EndpointId;
use crate::model::Family;
use crate::steering::member_state::MemberState;

/// An endpoint that its probes would take down, and that the brake keeps up: a record of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Braked {
    /// How many of its addresses are down by their probes.
    pub failing: u16,
    /// How many of its addresses pass again, while hold-down or damping still runs.
    pub passing: u16,
    /// Since when the first of them is held, in seconds since 1970.
    pub since_s: u64,
}

/// Enabled endpoints that the brake holds up, by position.
pub(super) fn held_up(states: &[MemberState], family: Family) -> Box<[(EndpointId, Braked)]> {
    let states = states.iter().enumerate();
    let held = states.filter_map(|(at, state)| Some((EndpointId::at(at), state.braked(family)?)));
    held.collect()
}

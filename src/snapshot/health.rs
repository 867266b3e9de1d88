//! What the control plane knows of members, as snapshots ask for it.

use crate::model::Family;
use crate::model::Pool;
use crate::steering::Intake;
use crate::steering::MemberState;
use crate::steering::plan::Remembered;

/// Answers for the state of a pool's members.
pub trait Health {
    /// Order and verdicts of each endpoint of `pool`, in its order.
    fn states(&self, pool: &Pool) -> Vec<MemberState>;

    /// Who was healthy last in `pool`, if now nobody is.
    fn remembered(&self, pool: &Pool, family: Family) -> Option<Remembered>;

    /// Which clients `pool` takes while it qualifies.
    fn intake(&self, _pool: &Pool, _family: Family) -> Intake {
        Intake::All
    }
}

/// Nothing is known and nothing is ordered: every endpoint counts as up.
#[derive(Clone, Copy, Debug)]
pub struct AllUnknown;

impl Health for AllUnknown {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        vec![MemberState::default(); pool.endpoints.len()]
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }
}

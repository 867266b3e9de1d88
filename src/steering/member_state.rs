//! What the control plane says of one member of a pool: verdicts, orders, and what the brake holds.

use crate::model::Admin;
use crate::model::Family;
use crate::model::Verdict;
use crate::steering::braked::Braked;

/// What is known and ordered of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MemberState {
    /// The operator's order.
    pub admin: Admin,
    /// Verdicts by [`Family::index`]; of a pool without a check: `Up`.
    pub verdicts: [Verdict; 2],
    /// By how much of its weight it is degraded, in percent, by [`Family::index`].
    pub lowered: [u8; 2],
    /// By [`Family::index`]: what the brake keeps up; its verdict is the one from before.
    pub braked: [Option<Braked>; 2],
}

impl MemberState {
    /// Whether thresholds count it and fail-open may serve it.
    pub fn is_enabled(self) -> bool {
        match self.admin {
            Admin::Enabled | Admin::ForcedUp | Admin::ForcedDown => true,
            Admin::Drained | Admin::Disabled => false,
        }
    }

    /// What is left of its weight in percent. Whoever forces it up has seen how slow it is.
    pub fn weight_left(self, family: Family) -> u8 {
        match self.admin {
            Admin::Enabled | Admin::Drained | Admin::Disabled => {
                100 - self.lowered[family.index()].min(100)
            }
            Admin::ForcedUp | Admin::ForcedDown => 100,
        }
    }

    /// What counts for `family` after the operator's order.
    pub fn verdict(self, family: Family) -> Verdict {
        match self.admin {
            Admin::Enabled | Admin::Drained | Admin::Disabled => self.verdicts[family.index()],
            Admin::ForcedUp => Verdict::Up,
            Admin::ForcedDown => Verdict::Down,
        }
    }

    /// What the brake keeps up of it; where an operator's order counts it keeps nothing.
    pub fn braked(self, family: Family) -> Option<Braked> {
        match self.admin {
            Admin::Enabled => self.braked[family.index()],
            Admin::Drained | Admin::Disabled | Admin::ForcedUp | Admin::ForcedDown => None,
        }
    }
}

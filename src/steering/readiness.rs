//! Whether a pool answers at once whoever has it as first candidate: settled when its plan is made, so that the query
//! path looks at one bit.

use crate::model::DualStack;
use crate::model::Family;
use crate::steering::plan::FamilyPlan;
use crate::steering::plan::Intake;

/// A bit for each family and way to choose for two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// That of a pool with these sides.
    pub fn of(sides: &[FamilyPlan; 2]) -> Self {
        let is_open = |side: &FamilyPlan| {
            !side.configured || side.standing.qualifies() && side.intake == Intake::All
        };
        let mut bits = 0;
        for family in Family::BOTH {
            let side = &sides[family.index()];
            if side.configured && is_open(side) {
                bits |= bit(DualStack::Independent, family);
            }
            if side.configured && sides.iter().all(is_open) {
                bits |= bit(DualStack::Joint, family);
            }
        }
        Self(bits)
    }

    /// Whether the pool qualifies in pass 1 and stands back for no client.
    #[inline]
    pub fn has(self, dual_stack: DualStack, family: Family) -> bool {
        self.0 & bit(dual_stack, family) != 0
    }
}

/// The bit for names that ask like this.
#[inline]
fn bit(dual_stack: DualStack, family: Family) -> u8 {
    match dual_stack {
        DualStack::Joint => 1 << family.index(),
        DualStack::Independent => 4 << family.index(),
    }
}

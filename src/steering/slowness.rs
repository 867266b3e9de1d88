//! Members that are degraded: up, with less weight. Knows no times and no levels, only what is left in percent.

use crate::model::EndpointId;
use crate::steering::first::Reciprocal;
use crate::steering::plan::Member;

/// Those of whose weight less than all is left.
pub(super) fn slow(left: &[(EndpointId, u8)]) -> Box<[(EndpointId, u8)]> {
    left.iter().copied().filter(|(_, left)| *left < 100).collect()
}

/// Lowers the weights of members that are degraded. To do so in whole numbers all are multiplied by one factor, which
/// changes no order of scores: clients move away from those that are lowered, and between no others.
pub(super) fn lower(members: &mut [Member], left: &[(EndpointId, u8)]) {
    let left = |member: &Member| {
        let found = left.iter().find(|(id, _)| *id == member.endpoint);
        found.map_or(100, |(_, left)| u32::from(*left))
    };
    if members.iter().all(|member| left(member) == 100) {
        return;
    }
    let heaviest = members.iter().map(|member| u32::from(member.weight)).max().unwrap_or(1);
    let factor = (u32::from(u16::MAX) / heaviest.max(1)).clamp(1, 100);
    for member in members.iter_mut() {
        let whole = u32::from(member.weight) * factor;
        // What is up keeps some clients: else nobody would see it get better.
        let weight = (whole * left(member).max(1) / 100).max(1);
        member.weight = u16::try_from(weight).unwrap_or(u16::MAX);
        member.reciprocal = Reciprocal::of(member.weight);
    }
}

//! What a name was resolved to.

use std::net::IpAddr;

use crate::model::Family;
use crate::model::RESOLVED_MAX;

/// Addresses of a name, in ascending order, each once, at most [`RESOLVED_MAX`] a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    families: [Box<[IpAddr]>; 2],
    /// By [`Family::index`]: nobody has said yet whether there are any.
    unheard: [bool; 2],
}

impl Resolved {
    /// Puts addresses in order, so that nodes that resolve alike answer alike.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut all: Vec<IpAddr> = addresses.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        let of = |family: Family| {
            let of_family = all.iter().filter(|address| Family::of(**address) == family);
            of_family.take(RESOLVED_MAX).copied().collect()
        };
        Self { families: Family::BOTH.map(of), unheard: [false; 2] }
    }

    /// The same, of which nobody has said yet whether there are addresses of some families, by [`Family::index`].
    pub fn with_unheard(self, unheard: [bool; 2]) -> Self {
        Self { unheard, ..self }
    }

    /// What is known after a name was resolved anew; families that nothing was heard of stay as they are.
    pub fn replaced_by(&self, addresses: Vec<IpAddr>, unheard: [bool; 2]) -> Self {
        let stays = |family: &Family| unheard[family.index()];
        let kept = Family::BOTH.into_iter().filter(stays).flat_map(|family| self.family(family));
        let still = Family::BOTH.map(|family| stays(&family) && self.is_unknown(family));
        Self::of(addresses.iter().chain(kept).copied()).with_unheard(still)
    }

    /// Whether it may have addresses of a family that nobody has told of: so of both while it has none at all.
    pub fn is_unknown(&self, family: Family) -> bool {
        self.family(family).is_empty() && (self.is_empty() || self.unheard[family.index()])
    }

    /// Its addresses of a family.
    pub fn family(&self, family: Family) -> &[IpAddr] {
        &self.families[family.index()]
    }

    /// Its addresses, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.families.iter().flatten().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.families.iter().all(|addresses| addresses.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_once_each_and_eight_a_family() {
        let v4 = |last: u8| IpAddr::from([192, 0, 2, last]);
        let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        let resolved = Resolved::of((1..=20).rev().chain([3]).map(v4).chain([v6, v6]));
        assert_eq!(resolved.family(Family::V4), (1..=8).map(v4).collect::<Vec<_>>());
        assert_eq!(resolved.family(Family::V6), [v6]);
        assert_eq!(resolved.iter().count(), 9);
        assert!(!resolved.is_empty() && Resolved::default().is_empty());
    }

    #[test]
    fn a_family_that_nothing_was_heard_of_is_unknown_and_keeps_what_it_had() {
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        let unknown = |one: &Resolved| Family::BOTH.map(|family| one.is_unknown(family));
        let nothing = Resolved::default();
        assert_eq!(unknown(&nothing), [true, true]);
        let half = nothing.replaced_by(vec![v4], [false, true]);
        assert_eq!(unknown(&half), [false, true]);
        assert_eq!(unknown(&half.replaced_by(vec![v4], [false, true])), [false, true]);
        assert_eq!(unknown(&half.replaced_by(vec![v4], [false; 2])), [false; 2], "there is none");
        let both = half.replaced_by(vec![v4, v6], [false; 2]);
        assert_eq!(both.replaced_by(vec![v4], [false, true]), both);
    }
}

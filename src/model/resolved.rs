//! What a name was resolved to.

use std::net::IpAddr;

use crate::model::Family;
use crate::model::RESOLVED_MAX;

/// Addresses of a name, in ascending order, each once, at most [`RESOLVED_MAX`] a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    families: [Box<[IpAddr]>; 2],
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
        Self { families: Family::BOTH.map(of) }
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
}

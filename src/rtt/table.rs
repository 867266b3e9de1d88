//! The table of estimates: what has been learnt of each network and group up to one moment. Decides nothing.

use std::collections::BTreeMap;

use crate::rtt::Evidence;
use crate::rtt::Key;
use crate::rtt::Source;
use crate::rtt::Standing;

/// What is known of the way from a network or group to a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What counts, and what may.
    pub standing: Standing,
    /// Round-trip time that a change is compared with, in microseconds; for a group, whose numbers are differences.
    pub level_us: i32,
    /// Samples by [`Source::index`].
    pub evidence: [Evidence; Source::ALL.len()],
}

/// Estimates of one moment. Equal tables are equal text, see [`render`](crate::rtt::render).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// When it was made, in seconds since 1970.
    pub built_s: u64,
    /// From when on it counts, in seconds since 1970.
    pub activates_s: u64,
    /// Names of the sites that rows are about, in order.
    pub sites: Vec<Box<str>>,
    /// By key and position in `sites`.
    pub rows: BTreeMap<(Key, u16), Row>,
}

impl Row {
    /// Weight of all samples, in thousandths.
    pub fn weight_milli(&self) -> u64 {
        self.evidence.iter().map(|evidence| u64::from(evidence.weight_milli)).sum()
    }

    /// `prior_us`, moved towards what each source says, the most trusted one last.
    pub fn estimate_us(&self, prior_us: i64) -> i64 {
        self.evidence.iter().fold(prior_us, |prior, evidence| evidence.shrunk_to(prior))
    }

    /// The most trusted source with at least one sample; else the one with most.
    pub fn main_source(&self) -> Option<Source> {
        let weight = |source: &Source| self.evidence[source.index()].weight_milli;
        let trusted = Source::ALL.into_iter().rev().find(|source| weight(source) >= 1000);
        trusted.or_else(|| Source::ALL.into_iter().filter(|s| weight(s) > 0).max_by_key(weight))
    }
}

impl Table {
    /// Position of a site.
    pub fn site_index(&self, name: &str) -> Option<u16> {
        self.sites.binary_search_by(|site| (**site).cmp(name)).ok().map(|index| index as u16)
    }

    /// The row of a key and a site.
    pub fn find(&self, key: Key, site: &str) -> Option<&Row> {
        self.rows.get(&(key, self.site_index(site)?))
    }

    /// What counts, without how it came about: tables that are alike in it steer alike.
    pub fn counts(&self) -> impl Iterator<Item = (Key, &str, i32)> {
        self.rows.iter().filter_map(|((key, site), row)| {
            Some((*key, &*self.sites[usize::from(*site)], row.standing.counts_us?))
        })
    }
}

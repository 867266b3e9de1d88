//! What a table says of networks and groups, in the form that places are refined by.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::rtt::Group;
use crate::rtt::Key;
use crate::rtt::Table;

impl Table {
    /// Each network with what counts for it in microseconds, by position in `sites`; a wider network first.
    ///
    /// What a network lacks is taken from the narrowest wider one that has it, so that the most specific network of
    /// an address says all that is known of it.
    pub fn networks(&self) -> Vec<(IpNet, Box<[Option<i32>]>)> {
        let mut networks: Vec<(IpNet, Box<[Option<i32>]>)> = Vec::new();
        // Positions in `networks` of those around the current one.
        let mut around: Vec<usize> = Vec::new();
        for ((key, site), row) in &self.rows {
            let (Key::Prefix(network), Some(counts_us)) = (*key, row.standing.counts_us) else {
                continue;
            };
            if networks.last().is_none_or(|(last, _)| *last != network) {
                while around.last().is_some_and(|wide| !networks[*wide].0.contains(&network)) {
                    around.pop();
                }
                let none = || vec![None; self.sites.len()].into();
                let inherited = around.last().map_or_else(none, |wide| networks[*wide].1.clone());
                around.push(networks.len());
                networks.push((network, inherited));
            }
            if let Some((_, values)) = networks.last_mut() {
                values[usize::from(*site)] = Some(counts_us);
            }
        }
        networks
    }

    /// Each group with what counts on top of the prior in microseconds, by position in `sites`.
    pub fn groups(&self) -> BTreeMap<Group, Box<[Option<i32>]>> {
        let mut groups: BTreeMap<Group, Box<[Option<i32>]>> = BTreeMap::new();
        for ((key, site), row) in &self.rows {
            let (Key::Group(group), Some(counts_us)) = (*key, row.standing.counts_us) else {
                continue;
            };
            let values = groups.entry(group).or_insert_with(|| vec![None; self.sites.len()].into());
            values[usize::from(*site)] = Some(counts_us);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtt::Row;
    use crate::rtt::Standing;

    #[test]
    fn a_network_has_what_the_wider_ones_say_where_it_says_nothing() {
        let mut table = Table { sites: ["fra", "iad"].map(Into::into).into(), ..Table::default() };
        for (key, site, ms) in [
            ("10.0.0.0/8", 0, 1),
            ("10.0.0.0/8", 1, 2),
            ("10.1.0.0/16", 1, 3),
            ("10.1.2.0/24", 0, 4),
            ("10.2.0.0/16", 0, 5),
            ("11.0.0.0/8", 0, 6),
            ("DE/AS1", 1, 7),
        ] {
            let row = Row { standing: Standing::settled(ms), ..Row::default() };
            table.rows.insert((Key::find(key).unwrap(), site), row);
        }
        let networks = table.networks();
        let shown: Vec<String> =
            networks.iter().map(|(network, values)| format!("{network} {values:?}")).collect();
        assert_eq!(
            shown,
            [
                "10.0.0.0/8 [Some(1), Some(2)]",
                "10.1.0.0/16 [Some(1), Some(3)]",
                "10.1.2.0/24 [Some(4), Some(3)]",
                "10.2.0.0/16 [Some(5), Some(2)]",
                "11.0.0.0/8 [Some(6), None]",
            ]
        );
        let group = Group { country: *b"DE", asn: 1 };
        assert_eq!(*table.groups()[&group], [None, Some(7)]);
    }
}

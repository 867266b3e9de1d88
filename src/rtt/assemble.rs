//! From one table and new measurements to the next table. Judges no measurement: [`Ground::judge`] has done that.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;

use crate::rtt::Evidence;
use crate::rtt::Ground;
use crate::rtt::Key;
use crate::rtt::ROWS_MAX;
use crate::rtt::Row;
use crate::rtt::Source;
use crate::rtt::Standing;
use crate::rtt::Table;
use crate::rtt::Window;
use crate::rtt::prior;

/// Weight below which a row is forgotten, in thousandths: one sample lasts a day, fifty last a week.
const FORGET_BELOW_MILLI: u64 = 500;

/// Most samples of one network that count for its group, in thousandths: a group is many networks, not one loud one.
const GROUP_SHARE_MILLI: u32 = 50_000;

/// When a table is made, and from when on it counts; seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub built_s: u64,
    /// When every node has it.
    pub activates_s: u64,
}

/// What becomes of estimates that new measurements contradict.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// They stay until a second window says so too.
    Careful,
    /// The operator's word replaces the one before, at once.
    Import,
}

/// New measurements of one row.
#[derive(Clone, Copy, Debug, Default)]
struct Fresh {
    evidence: [Evidence; Source::ALL.len()],
    /// Of whole round-trip times, also where `evidence` is of what comes on top of the prior.
    level: Evidence,
}

type Rows<T> = BTreeMap<(Key, u16), T>;

/// The table after a window, and how many rows it has no room for.
pub fn next_table(
    before: &Table,
    window: &Window,
    ground: &Ground<'_>,
    moment: Moment,
) -> (Table, usize) {
    assemble(before, window, ground, moment, Manner::Careful)
}

/// The table after an import, and how many rows it has no room for. What was imported before is forgotten.
pub fn import_table(
    before: &Table,
    window: &Window,
    ground: &Ground<'_>,
    moment: Moment,
) -> (Table, usize) {
    assemble(before, window, ground, moment, Manner::Import)
}

fn assemble(
    before: &Table,
    window: &Window,
    ground: &Ground<'_>,
    moment: Moment,
    manner: Manner,
) -> (Table, usize) {
    let Moment { built_s, activates_s } = moment;
    let mut sites: Vec<Box<str>> = ground.sites.iter().map(|site| site.name.clone()).collect();
    sites.sort();
    let mut table = Table { built_s, activates_s, sites, rows: BTreeMap::new() };
    let elapsed = Duration::from_secs(built_s.saturating_sub(before.built_s));
    let aged = aged_rows(before, &table, elapsed);
    let fresh = fresh_rows(window, ground, &table);
    let keys: BTreeSet<(Key, u16)> = aged.keys().chain(fresh.keys()).copied().collect();
    let mut left_out = 0;
    // Groups first: networks build on them.
    let (prefixes, groups): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|(key, _)| matches!(key, Key::Prefix(_)));
    let mut wider: Vec<IpNet> = Vec::new();
    for at in groups.into_iter().chain(prefixes) {
        let expected = match at.0 {
            Key::Group(_) => Some(0),
            Key::Prefix(network) => {
                wider.retain(|other| other.contains(&network) && *other != network);
                let expected = find_expected_us(&table, &wider, network, at.1, ground);
                wider.push(network);
                expected
            }
        };
        let row = next_row(aged.get(&at), fresh.get(&at), expected, manner);
        match row {
            Some(_) if table.rows.len() >= ROWS_MAX => left_out += 1,
            Some(row) => drop(table.rows.insert(at, row)),
            None => {}
        }
    }
    (table, left_out)
}

/// The rows of before, older, for the sites that still exist.
fn aged_rows(before: &Table, table: &Table, elapsed: Duration) -> Rows<Row> {
    let index: Vec<Option<u16>> = before.sites.iter().map(|name| table.site_index(name)).collect();
    let rows = before.rows.iter().filter_map(|((key, site), row)| {
        let evidence = row.evidence.map(|evidence| evidence.aged(elapsed));
        Some(((*key, index[usize::from(*site)]?), Row { evidence, ..*row }))
    });
    rows.collect()
}

/// What the window says of each network, and of each group.
fn fresh_rows(window: &Window, ground: &Ground<'_>, table: &Table) -> Rows<Fresh> {
    let mut rows: Rows<Fresh> = BTreeMap::new();
    for (network, name, evidence) in window.cells() {
        let (Some(site), Some(index)) = (ground.find_site(name), table.site_index(name)) else {
            continue; // A site that is gone since.
        };
        let level = evidence.into_iter().fold(Evidence::default(), Evidence::joined);
        rows.insert((Key::Prefix(network), index), Fresh { evidence, level });
        let Some(group) = ground.group_of(network) else { continue };
        let prior_us = ground.prior_us(ground.place(network.network()), site);
        let group = rows.entry((Key::Group(group), index)).or_default();
        let share = |evidence: Evidence| Evidence {
            weight_milli: evidence.weight_milli.min(GROUP_SHARE_MILLI),
            ..evidence
        };
        group.level = group.level.joined(share(level));
        for (sum, one) in group.evidence.iter_mut().zip(evidence) {
            let one = share(one);
            let above_us = i64::from(one.mean_us) - prior_us;
            *sum = sum.joined(Evidence { mean_us: above_us as i32, ..one });
        }
    }
    rows
}

/// What is expected of a network without measurements of its own: what counts for the narrowest wider network that
/// has some, else the prior with what is known of its group. Nothing where nobody knows where it is.
fn find_expected_us(
    table: &Table,
    wider: &[IpNet],
    network: IpNet,
    site: u16,
    ground: &Ground<'_>,
) -> Option<i64> {
    let counts = |key| table.rows.get(&(key, site))?.standing.counts_us.map(i64::from);
    if let Some(wide) = wider.iter().rev().find_map(|wide| counts(Key::Prefix(*wide))) {
        return Some(wide);
    }
    let name = &table.sites[usize::from(site)];
    let place = ground.place(network.network());
    let prior = prior::expected_us(Some(ground.metres(place, ground.find_site(name)?)?));
    let group = ground.group_of(network).and_then(|group| counts(Key::Group(group)));
    Some(prior + group.unwrap_or(0))
}

/// A row after new measurements, or none if it is forgotten.
fn next_row(
    aged: Option<&Row>,
    fresh: Option<&Fresh>,
    expected_us: Option<i64>,
    manner: Manner,
) -> Option<Row> {
    let mut row = aged.copied().unwrap_or_default();
    let import = Source::Import.index();
    let mut is_import = false;
    if manner == Manner::Import {
        let before = std::mem::take(&mut row.evidence[import]);
        let now = fresh.is_some_and(|fresh| fresh.evidence[import].weight_milli > 0);
        is_import = now || before.weight_milli > 0;
    }
    let Fresh { evidence, level } = fresh.copied().unwrap_or_default();
    for (sum, one) in row.evidence.iter_mut().zip(evidence) {
        *sum = sum.joined(one);
    }
    if row.weight_milli() < FORGET_BELOW_MILLI {
        return None;
    }
    if fresh.is_some() {
        row.level_us = level.mean_us;
    }
    let estimate = row.estimate_us(expected_us.unwrap_or(prior::expected_us(None)));
    if is_import {
        row.standing = Standing::settled(estimate);
    } else if fresh.is_some() {
        let newest = evidence.into_iter().fold(Evidence::default(), Evidence::joined);
        let (window, level) = (newest.mean_us.into(), row.level_us.into());
        row.standing = row.standing.after(estimate, window, level, expected_us);
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtt::ground::tests::places;
    use crate::rtt::ground::tests::sites;
    use crate::rtt::render;

    const NEAR: &str = "192.0.2.0/24";
    const BESIDE: &str = "198.51.100.0/24";
    const GROUP: &str = "DE/AS64496";

    fn window(samples: &[(&str, &str, Source, u32, u32)]) -> Window {
        let mut window = Window::default();
        for &(network, site, source, count, rtt_us) in samples {
            window.add(network.parse().unwrap(), site, source, (count, rtt_us)).unwrap();
        }
        window
    }

    fn at(built_s: u64) -> Moment {
        Moment { built_s, activates_s: built_s + 300 }
    }

    fn next(before: &Table, samples: &[(&str, &str, Source, u32, u32)], built_s: u64) -> Table {
        let (places, sites) = (places(), sites());
        let ground = Ground { places: &places, sites: &sites };
        next_table(before, &window(samples), &ground, at(built_s)).0
    }

    fn import(before: &Table, samples: &[(&str, &str, Source, u32, u32)], built_s: u64) -> Table {
        let (places, sites) = (places(), sites());
        let ground = Ground { places: &places, sites: &sites };
        import_table(before, &window(samples), &ground, at(built_s)).0
    }

    fn counts(table: &Table, key: &str, site: &str) -> Option<i32> {
        table.find(Key::find(key).unwrap(), site)?.standing.counts_us
    }

    #[test]
    fn an_import_counts_at_once_shrunk_to_the_prior_and_for_the_group_too() {
        let table = import(&Table::default(), &[(NEAR, "fra", Source::Import, 5, 45_000)], 0);
        // The prior of no distance is 5 ms; five samples move group and network by half each.
        assert_eq!(counts(&table, GROUP, "fra"), Some(20_000));
        assert_eq!(counts(&table, NEAR, "fra"), Some((25_000 + 45_000) / 2));
        assert_eq!(counts(&table, NEAR, "iad"), None);
        let replaced = import(&table, &[(BESIDE, "fra", Source::Import, 5, 5_000)], 0);
        assert_eq!(counts(&replaced, NEAR, "fra"), None, "the import before is forgotten");
        assert_eq!(counts(&replaced, BESIDE, "fra"), Some(5_000));
    }

    #[test]
    fn beacons_count_from_the_second_window_on() {
        let samples = [(NEAR, "fra", Source::Beacon, 50, 60_000)];
        let first = next(&Table::default(), &samples, 0);
        assert_eq!(counts(&first, NEAR, "fra"), None, "what is expected still counts");
        let second = next(&first, &samples, 900);
        let counted = counts(&second, GROUP, "fra");
        assert!(counted.is_some_and(|above| (45_000..=55_000).contains(&above)), "{counted:?}");
        // The network itself is as its group makes expect: nothing of its own counts.
        assert_eq!(counts(&second, NEAR, "fra"), None);
        let quiet = next(&second, &[], 1_800);
        assert_eq!(counts(&quiet, GROUP, "fra"), counted, "silence changes nothing");
    }

    #[test]
    fn one_burst_moves_nobody() {
        let slow = [(NEAR, "fra", Source::Beacon, 50, 60_000)];
        let settled = next(&next(&Table::default(), &slow, 0), &slow, 900);
        let before = counts(&settled, GROUP, "fra");
        assert!(before.is_some());
        let burst = next(&settled, &[(NEAR, "fra", Source::Beacon, 5_000, 1_000)], 1_800);
        let after = next(&burst, &[(NEAR, "fra", Source::Beacon, 1, 60_000)], 2_700);
        assert_eq!([&burst, &after].map(|table| counts(table, GROUP, "fra")), [before, before]);
    }

    #[test]
    fn what_is_not_measured_any_more_is_forgotten() {
        let samples = [(NEAR, "fra", Source::Beacon, 50, 60_000)];
        let table = next(&next(&Table::default(), &samples, 0), &samples, 900);
        let day = 24 * 3600;
        assert!(counts(&next(&table, &[], 6 * day), GROUP, "fra").is_some());
        assert_eq!(next(&table, &[], 9 * day).rows.len(), 0);
    }

    #[test]
    fn the_more_trusted_source_has_the_last_word() {
        let (places, sites) = (places(), sites());
        let ground = Ground { places: &places, sites: &sites };
        let measured = window(&[(NEAR, "fra", Source::Beacon, 50, 90_000)]);
        let before = next_table(&Table::default(), &measured, &ground, at(0)).0;
        let table = import(&before, &[(NEAR, "fra", Source::Import, 1_000, 20_000)], 0);
        let row = table.find(Key::find(NEAR).unwrap(), "fra").unwrap();
        assert!((20_000..21_000).contains(&row.standing.counts_us.unwrap()), "{row:?}");
        assert_eq!(row.main_source(), Some(Source::Import));
        assert!(row.evidence[Source::Beacon.index()].weight_milli > 0, "it is still known");
    }

    #[test]
    fn a_narrow_network_builds_on_the_wide_one_around_it() {
        let rows = [
            ("192.0.0.0/16", "fra", Source::Import, 1_000_000, 80_000),
            (NEAR, "fra", Source::Import, 5, 40_000),
        ];
        let table = import(&Table::default(), &rows, 0);
        assert!((79_990..=80_000).contains(&counts(&table, "192.0.0.0/16", "fra").unwrap()));
        assert!((59_900..=60_000).contains(&counts(&table, NEAR, "fra").unwrap()));
    }

    #[test]
    fn rows_of_a_site_that_is_gone_go_with_it() {
        let both =
            [(NEAR, "fra", Source::Import, 9, 9_000), (NEAR, "iad", Source::Import, 9, 99_000)];
        let table = import(&Table::default(), &both, 0);
        let (places, mut sites) = (places(), sites());
        sites.remove(0);
        let ground = Ground { places: &places, sites: &sites };
        let after = next_table(&table, &Window::default(), &ground, at(1)).0;
        assert_eq!(after.sites, ["iad".into()]);
        assert_eq!(counts(&after, NEAR, "iad"), counts(&table, NEAR, "iad"));
        assert_eq!(after.rows.len(), 2, "the network and its group");
    }

    proptest! {
        #[test]
        fn the_same_measurements_in_any_order_give_the_same_octets(
            samples in prop::collection::vec((0..3_usize, 0..2_usize, 0..3_usize, 1..60_u32, 70_000..200_000_u32), 1..40),
            seed in 0..40_usize,
        ) {
            let rows: Vec<_> = samples.iter().map(|&(network, site, source, count, rtt_us)| {
                let network = [NEAR, BESIDE, "203.0.113.0/24"][network];
                (network, ["fra", "iad"][site], Source::ALL[source], count, rtt_us)
            }).collect();
            let mut turned = rows.clone();
            turned.rotate_left(seed % rows.len());
            let [one, other] = [rows, turned].map(|rows| {
                render(&next(&next(&Table::default(), &rows, 0), &rows, 900))
            });
            prop_assert_eq!(one, other);
        }

        #[test]
        fn slower_samples_never_make_a_site_faster(
            first in 70_000..400_000_u32, more in 0..200_000_u32, count in 1..100_u32,
        ) {
            let imported = |rtt_us| {
                let table = import(&Table::default(), &[(NEAR, "iad", Source::Import, count, rtt_us)], 0);
                counts(&table, NEAR, "iad").unwrap()
            };
            prop_assert!(imported(first + more) >= imported(first));
        }
    }
}

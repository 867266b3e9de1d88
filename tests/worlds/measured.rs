//! Random tables of round-trip times, and their slow twin.

use std::net::IpAddr;

use ipnet::IpNet;
use rhumb::geo::Place;
use rhumb::model::Model;
use rhumb::rtt::Group;
use rhumb::rtt::Key;
use rhumb::rtt::Row;
use rhumb::rtt::Standing;
use rhumb::rtt::Table;
use rhumb::rtt::key::gathered;
use rhumb::steering::round_trip::Measured;

use crate::worlds::flip;
use crate::worlds::random::Random;

/// A table of some networks near `bases` and some groups; half of the worlds have none.
pub fn table(random: &mut Random, model: &Model, bases: &[IpAddr]) -> Table {
    let mut sites: Vec<Box<str>> = model.sites.iter().map(|site| site.name.clone()).collect();
    sites.push("gone".into());
    sites.sort();
    let mut table = Table { sites, ..Table::default() };
    let count = if random.chance(50) { 0 } else { random.below(20) };
    for _ in 0..count {
        let key = match random.below(4) {
            0 => Key::Group(Group {
                country: *random.pick(&[*b"DE", *b"US"]),
                asn: 1 + random.below(4) as u32,
            }),
            _ => {
                let base = *random.pick(bases);
                let address = if random.chance(60) { flip(random, base) } else { base };
                let widths = if base.is_ipv4() { 25 } else { 49 };
                let network =
                    IpNet::new(address, random.below(widths) as u8).expect("a length fits");
                Key::Prefix(gathered(network))
            }
        };
        let site = random.below(table.sites.len() as u64) as u16;
        let ms = random.below(400) as i64;
        let above = if matches!(key, Key::Group(_)) { ms - 150 } else { ms };
        let standing = match random.chance(90) {
            true => Standing::settled(above * 1000 + random.below(3) as i64),
            false => Standing { counts_us: None, pending_us: Some(1_000) },
        };
        table.rows.insert((key, site), Row { standing, ..Row::default() });
    }
    table
}

/// What a table says of a client: for each site the narrowest network that has a row for it, else the client's group.
pub fn slowly(
    table: &Table,
    model: &Model,
    address: Option<IpAddr>,
    place: &Place,
) -> Vec<Measured> {
    let of_site = |name: &str| {
        let rows =
            table.rows.iter().filter(|((_, site), _)| *table.sites[usize::from(*site)] == *name);
        let mut best: Option<(u8, i32)> = None;
        let mut of_group = None;
        for ((key, _), row) in rows {
            let Some(counts_us) = row.standing.counts_us else { continue };
            match key {
                Key::Prefix(network) if address.is_some_and(|one| network.contains(&one)) => {
                    if best.is_none_or(|(len, _)| network.prefix_len() > len) {
                        best = Some((network.prefix_len(), counts_us));
                    }
                }
                Key::Group(group) if Group::of(place) == Some(*group) => of_group = Some(counts_us),
                Key::Prefix(_) | Key::Group(_) => {}
            }
        }
        match (best, of_group) {
            (Some((_, micros)), _) => Measured::Total(micros as u32),
            (None, Some(micros)) => Measured::OnTop(micros),
            (None, None) => Measured::Nothing,
        }
    };
    model.sites.iter().map(|site| of_site(&site.name)).collect()
}

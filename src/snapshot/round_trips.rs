//! A table of round-trip times as policies ask for it: rows of places, columns of sites.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::PlaceMap;
use crate::geo::Refinement;
use crate::geo::Table as PlaceTable;
use crate::model::Model;
use crate::model::SiteId;
use crate::rtt::Ground;
use crate::rtt::Group;
use crate::rtt::Table;
use crate::snapshot::views::RoundTrips;
use crate::steering::round_trip::Measured;

/// What was measured, by row and site. Row 0: nothing.
///
/// A network's row counts before that of its group; what it lacks for a site is taken from its group's.
#[derive(Clone, Debug)]
pub struct Measurements {
    rows: Vec<Box<[Measured]>>,
    groups: HashMap<Group, u32>,
    networks: Vec<(IpNet, u32)>,
}

/// Rows that are kept once however many networks have them.
struct Rows {
    rows: Vec<Box<[Measured]>>,
    known: HashMap<Box<[Measured]>, u32>,
}

impl Rows {
    fn number(&mut self, row: Box<[Measured]>) -> u32 {
        let next = self.rows.len() as u32;
        let number = *self.known.entry(row.clone()).or_insert(next);
        if number == next {
            self.rows.push(row);
        }
        number
    }
}

impl Measurements {
    /// The rows of a table for the sites of a model; without a table nothing is measured.
    pub fn new(table: Option<&Table>, model: &Model, geo: &PlaceMap) -> Self {
        let mut rows = Rows { rows: Vec::new(), known: HashMap::new() };
        rows.number(vec![Measured::Nothing; model.sites.len()].into());
        let mut new = Self { rows: Vec::new(), groups: HashMap::new(), networks: Vec::new() };
        if let Some(table) = table {
            // By site: its column in the table.
            let columns: Vec<Option<usize>> = model
                .sites
                .iter()
                .map(|site| table.site_index(&site.name).map(usize::from))
                .collect();
            let row = |values: &[Option<i32>], make: fn(i32) -> Measured| -> Box<[Measured]> {
                let value = |column: &Option<usize>| {
                    column.and_then(|column| values[column]).map_or(Measured::Nothing, make)
                };
                columns.iter().map(value).collect()
            };
            for (group, values) in table.groups() {
                new.groups.insert(group, rows.number(row(&values, Measured::OnTop)));
            }
            let ground = Ground { places: geo, sites: &model.sites };
            for (network, values) in table.networks() {
                let mut own = row(&values, |micros| Measured::Total(micros.max(0).unsigned_abs()));
                let group = ground.group_of(network).and_then(|group| new.groups.get(&group));
                let wider = &rows.rows[group.copied().unwrap_or(0) as usize];
                for (own, wider) in own.iter_mut().zip(wider) {
                    if *own == Measured::Nothing {
                        *own = *wider;
                    }
                }
                new.networks.push((network, rows.number(own)));
            }
        }
        new.rows = rows.rows;
        new
    }

    /// The networks by which places are split.
    pub fn refinement(&self) -> Refinement {
        Refinement::new(PlaceTable::RoundTrips, self.networks.iter().copied())
    }
}

impl RoundTrips for Measurements {
    fn row(&self, place: &Place) -> u32 {
        match place.rows.row(PlaceTable::RoundTrips) {
            0 => Group::of(place).and_then(|group| self.groups.get(&group)).copied().unwrap_or(0),
            row => row,
        }
    }

    fn estimate(&self, row: u32, site: SiteId, prior: Option<u64>) -> Option<(u64, bool)> {
        let measured = self.rows[row as usize][site.index()];
        Some((measured.estimate(prior)?, measured != Measured::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::geo::Layer;
    use crate::geo::Point;
    use crate::model::Location;
    use crate::model::Site;
    use crate::rtt::Key;
    use crate::rtt::Row;
    use crate::rtt::Standing;

    fn model() -> Model {
        let site = |name: &str, latitude, longitude| Site {
            name: name.into(),
            location: Location { latitude, longitude },
            country: None,
            cost: 1.0,
        };
        // Not in the order of the table, which has them by name.
        let sites = vec![site("iad", 38.95, -77.45), site("fra", 50.11, 8.68)];
        Model { sites, ..Model::default() }
    }

    fn geo() -> Arc<PlaceMap> {
        let mut layer = Layer::new();
        for (network, asn) in [("10.0.0.0/8", 64496), ("172.16.0.0/12", 64497)] {
            let location = Point::from_degrees(50.11, 8.68);
            let place =
                Place { country: Some(*b"DE"), asn: Some(asn), location, ..Place::default() };
            layer.insert(network.parse().unwrap(), place).unwrap();
        }
        Arc::new(PlaceMap::compile(&[layer]))
    }

    fn table(rows: &[(&str, u16, i32)]) -> Table {
        let sites = ["fra", "gone", "iad"].map(Into::into).into();
        let mut table = Table { sites, ..Table::default() };
        for (key, site, ms) in rows {
            let row = Row { standing: Standing::settled(i64::from(*ms) * 1000), ..Row::default() };
            table.rows.insert((Key::find(key).unwrap(), *site), row);
        }
        table
    }

    #[test]
    fn networks_count_before_groups_and_groups_before_distance() {
        let (model, geo) = (model(), geo());
        let table = table(&[
            ("10.1.0.0/16", 0, 40),
            ("10.1.2.0/24", 2, 90),
            ("DE/AS64496", 0, 7),
            ("DE/AS64496", 2, -30),
        ]);
        let measured = Measurements::new(Some(&table), &model, &geo);
        let places = geo.refined(&[measured.refinement()]);
        let estimates = |address: &str| {
            let place = places.place(places.find(address.parse().unwrap()).place);
            let row = measured.row(place);
            [SiteId::at(1), SiteId::at(0)].map(|site| measured.estimate(row, site, Some(100_000)))
        };
        let measured_at = |ms: u64| Some((ms * 1000, true));
        assert_eq!(estimates("10.1.2.3"), [measured_at(40), measured_at(90)], "of both networks");
        assert_eq!(estimates("10.1.3.3"), [measured_at(40), measured_at(70)], "and of the group");
        assert_eq!(estimates("10.2.0.1"), [measured_at(107), measured_at(70)]);
        assert_eq!(estimates("172.16.0.1"), [Some((100_000, false)); 2], "nothing but distance");
    }

    #[test]
    fn rows_of_sites_that_are_gone_say_nothing() {
        let (model, geo) = (model(), geo());
        let measured = Measurements::new(Some(&table(&[("10.1.0.0/16", 1, 40)])), &model, &geo);
        let places = geo.refined(&[measured.refinement()]);
        let place = places.place(places.find("10.1.2.3".parse().unwrap()).place);
        assert_eq!(measured.row(place), 0);
    }
}

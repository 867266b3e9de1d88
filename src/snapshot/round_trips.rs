//! A table of round-trip times as policies ask for it: rows of places, columns of sites.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::PlaceMap;
use crate::geo::Refinement;
use crate::geo::Table as PlaceTable;
use crate::model::Model;
use crate::model::SiteId;
use crate::rtt::Group;
use crate::rtt::Table;
use crate::snapshot::views::RoundTrips;
use crate::steering::round_trip::Measured;

/// The rows of a table, before it is known which of them come together at a place.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// By row, then by site. Row 0: nothing.
    rows: Vec<Box<[Measured]>>,
    groups: HashMap<Group, u32>,
    networks: Vec<(IpNet, u32)>,
}

/// What was measured, by row and site. Row 0: nothing.
///
/// The narrowest network counts that has a row for the site, then the group.
#[derive(Clone, Debug)]
pub struct Measurements {
    rows: Vec<Box<[Measured]>>,
    groups: HashMap<Group, u32>,
    /// By the row of a place's network and that of its group.
    joined: HashMap<(u32, u32), u32>,
}

/// Rows that are kept once however many have them.
#[derive(Default)]
struct Numbered {
    rows: Vec<Box<[Measured]>>,
    known: HashMap<Box<[Measured]>, u32>,
}

impl Numbered {
    fn number(&mut self, row: Box<[Measured]>) -> u32 {
        let next = self.rows.len() as u32;
        let number = *self.known.entry(row.clone()).or_insert(next);
        if number == next {
            self.rows.push(row);
        }
        number
    }
}

impl TableRows {
    /// The rows of a table for the sites of a model; without a table nothing is measured.
    pub fn new(table: Option<&Table>, model: &Model) -> Self {
        let mut rows = Numbered::default();
        rows.number(vec![Measured::Nothing; model.sites.len()].into());
        let (mut groups, mut networks) = (HashMap::new(), Vec::new());
        if let Some(table) = table {
            // By site: its column in the table.
            let sites = model.sites.iter();
            let columns: Vec<Option<usize>> =
                sites.map(|site| table.site_index(&site.name).map(usize::from)).collect();
            let row = |values: &[Option<i32>], make: fn(i32) -> Measured| -> Box<[Measured]> {
                let value = |column: &Option<usize>| {
                    column.and_then(|column| values[column]).map_or(Measured::Nothing, make)
                };
                columns.iter().map(value).collect()
            };
            let total = |micros: i32| Measured::Total(micros.max(0).unsigned_abs());
            let each = table.groups().into_iter();
            groups = each.map(|(key, v)| (key, rows.number(row(&v, Measured::OnTop)))).collect();
            let each = table.networks().into_iter();
            networks = each.map(|(key, v)| (key, rows.number(row(&v, total)))).collect();
        }
        Self { rows: rows.rows, groups, networks }
    }

    /// The networks by which places are split.
    pub fn refinement(&self) -> Refinement {
        Refinement::new(PlaceTable::RoundTrips, self.networks.iter().copied())
    }

    /// What counts at each of these places, which are split by [`TableRows::refinement`].
    pub fn at(self, places: &PlaceMap) -> Measurements {
        let Self { rows, groups, networks: _ } = self;
        let mut numbered = Numbered::default();
        for row in &rows {
            numbered.number(row.clone());
        }
        let mut joined = HashMap::new();
        for place in places.places() {
            let (network, group) = rows_of(place, &groups);
            if network == 0 || group == 0 || joined.contains_key(&(network, group)) {
                continue;
            }
            let own = rows[network as usize].iter().zip(&rows[group as usize]);
            let row = own.map(|(own, group)| if *own == Measured::Nothing { *group } else { *own });
            joined.insert((network, group), numbered.number(row.collect()));
        }
        Measurements { rows: numbered.rows, groups, joined }
    }
}

/// The rows of a place's network and of its group.
fn rows_of(place: &Place, groups: &HashMap<Group, u32>) -> (u32, u32) {
    let group = Group::of(place).and_then(|group| groups.get(&group)).copied();
    (place.rows.row(PlaceTable::RoundTrips), group.unwrap_or(0))
}

impl RoundTrips for Measurements {
    fn row(&self, place: &Place) -> u32 {
        match rows_of(place, &self.groups) {
            (network, 0) => network,
            (0, group) => group,
            both => self.joined.get(&both).copied().unwrap_or(both.0),
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
            region: None,
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
        let rows = TableRows::new(Some(&table), &model);
        let places = geo.refined(&[rows.refinement()]);
        let measured = rows.at(&places);
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
        let rows = TableRows::new(Some(&table(&[("10.1.0.0/16", 1, 40)])), &model);
        let places = geo.refined(&[rows.refinement()]);
        let measured = rows.at(&places);
        let place = places.place(places.find("10.1.2.3".parse().unwrap()).place);
        assert_eq!(measured.row(place), 0);
    }
}

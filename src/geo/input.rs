//! Overlays and databases of one load: all of them read, all of their problems at once. Reads no file itself.

use std::net::IpAddr;
use std::str;
use std::sync::Arc;

use crate::geo::DatabaseInfo;
use crate::geo::GeoFault;
use crate::geo::Layer;
use crate::geo::Place;
use crate::geo::PlaceMap;
use crate::geo::Shape;
use crate::geo::SourceNetwork;
use crate::geo::parse_overlay;
use crate::geo::read_database_as;

/// A MaxMind DB file.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    /// Path, for messages.
    pub name: Box<str>,
    /// The file.
    pub octets: Arc<[u8]>,
    /// How its records are laid out; detected if absent.
    pub shape: Option<Shape>,
}

/// The operator's own networks, in either form of [`parse_overlay`].
#[derive(Clone, Debug)]
pub struct OverlayFile {
    /// Path, for messages.
    pub name: Box<str>,
    /// The file.
    pub octets: Arc<[u8]>,
}

/// All geo data of a load.
#[derive(Clone, Debug, Default)]
pub struct GeoInput {
    /// In order of trust.
    pub databases: Vec<DatabaseFile>,
    /// They win over every database. Of equal networks in two of them the earlier file's counts.
    pub overlays: Vec<OverlayFile>,
}

/// What is wrong with geo data: a place in a file, or a file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoProblem {
    /// Path of the file.
    pub file: Box<str>,
    /// Line and column in characters, from 1; `None` for a file as a whole.
    pub at: Option<(u32, u32)>,
    /// What is wrong.
    pub fault: String,
    /// What to do.
    pub remedy: String,
}

/// All geo data, read.
#[derive(Clone, Debug, Default)]
pub struct GeoTable {
    /// Each overlay's networks.
    pub overlays: Vec<(Box<str>, Vec<SourceNetwork>)>,
    /// Each database with its networks, in order of trust.
    pub databases: Vec<(DatabaseInfo, Box<str>)>,
    /// What is served all the same.
    pub warnings: Vec<GeoProblem>,
    /// All overlays in one, then each database.
    layers: Vec<Layer>,
}

impl GeoInput {
    /// Reads everything.
    ///
    /// # Errors
    /// Every problem of every file; never empty.
    pub fn read(&self) -> Result<GeoTable, Vec<GeoProblem>> {
        let mut problems = Vec::new();
        let mut table = GeoTable::default();
        for overlay in &self.overlays {
            match read_overlay(overlay) {
                Ok(networks) => table.overlays.push((overlay.name.clone(), networks)),
                Err(found) => problems.extend(found),
            }
        }
        table.join_overlays().unwrap_or_else(|fault| {
            problems.push(GeoProblem::of_file("overlays", &fault));
        });
        for DatabaseFile { name, octets, shape } in &self.databases {
            match read_database_as(name, octets, *shape) {
                Ok((layer, info)) => {
                    table.warnings.extend(info.warnings().into_iter().map(|(fault, remedy)| {
                        GeoProblem { file: name.clone(), at: None, fault, remedy: remedy.into() }
                    }));
                    table.databases.push((info, name.clone()));
                    table.layers.push(layer);
                }
                Err(fault) => problems.push(GeoProblem::of_file(name, &fault)),
            }
        }
        if problems.is_empty() { Ok(table) } else { Err(problems) }
    }
}

impl GeoProblem {
    fn of_file(name: &str, fault: &GeoFault) -> Self {
        let text = fault.to_string();
        let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
        let (fault, remedy) = text.rsplit_once("; ").unwrap_or((text, "build it again"));
        Self { file: name.into(), at: None, fault: fault.into(), remedy: remedy.into() }
    }
}

/// `file:line:column: fault; remedy`, or without line and column for a whole file.
impl std::fmt::Display for GeoProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, at, fault, remedy } = self;
        match at {
            Some((line, column)) => write!(f, "{file}:{line}:{column}: {fault}; {remedy}"),
            None => write!(f, "{file}: {fault}; {remedy}"),
        }
    }
}

fn read_overlay(overlay: &OverlayFile) -> Result<Vec<SourceNetwork>, Vec<GeoProblem>> {
    let OverlayFile { name, octets } = overlay;
    let text = str::from_utf8(octets).map_err(|why| {
        let before = String::from_utf8_lossy(&octets[..why.valid_up_to()]);
        let line = before.matches('\n').count() as u32 + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u32 + 1;
        let fault = "this is not UTF-8".into();
        let remedy = "save the file as UTF-8".into();
        vec![GeoProblem { file: name.clone(), at: Some((line, column)), fault, remedy }]
    })?;
    parse_overlay(text).map_err(|problems| {
        let problem = problems.into_iter().map(|problem| GeoProblem {
            file: name.clone(),
            at: Some((problem.line, problem.column)),
            fault: problem.message,
            remedy: problem.remedy,
        });
        problem.collect()
    })
}

/// What one source adds to what those before it say of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution<'a> {
    /// The file; `None` for the centre of a country.
    pub file: Option<&'a str>,
    /// What is known with it.
    pub place: Place,
}

impl GeoTable {
    fn join_overlays(&mut self) -> Result<(), GeoFault> {
        let mut layer = Layer::new();
        // Of equal networks in a layer the last counts, so the earlier files come later.
        for SourceNetwork { network, place } in self.overlays.iter().rev().flat_map(|file| &file.1)
        {
            layer.insert(*network, place.clone())?;
        }
        self.layers.insert(0, layer);
        Ok(())
    }

    /// The table of everything.
    pub fn compile(&self) -> PlaceMap {
        PlaceMap::compile(&self.layers)
    }

    /// The table of everything, with less memory: what was read is freed on the way.
    pub fn into_places(self) -> PlaceMap {
        PlaceMap::compile_owned(self.layers)
    }

    /// One database's layer, by its position.
    pub fn layer(&self, database: usize) -> &Layer {
        &self.layers[database + 1]
    }

    /// What becomes known of an address, source by source; sources that add nothing are left out. Slow: goes through
    /// all networks of every overlay, and compiles nothing.
    pub fn trace(&self, address: IpAddr) -> Vec<Contribution<'_>> {
        let address = address.to_canonical();
        let mut known = Place::default();
        let mut trace = Vec::new();
        let mut add = |file, place: Place| {
            if place != known {
                known = place.clone();
                trace.push(Contribution { file, place });
            }
            known.clone()
        };
        let mut best: Option<(&str, &SourceNetwork)> = None;
        for (name, networks) in &self.overlays {
            for row in networks.iter().filter(|row| row.network.contains(&address)) {
                let len = row.network.prefix_len();
                if best.is_none_or(|(_, other)| len > other.network.prefix_len()) {
                    best = Some((name, row));
                }
            }
        }
        let mut place = Place::default();
        if let Some((name, row)) = best {
            place = add(Some(name), row.place.clone());
        }
        for ((_, name), layer) in self.databases.iter().zip(&self.layers[1..]) {
            if let Some(more) = layer.find(address) {
                place = add(Some(name), place.filled_from(more));
            }
        }
        add(None, place.with_centre());
        trace
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::geo::WriteInfo;
    use crate::geo::write_database;

    type Row = (IpNet, Place);

    fn networks() -> impl Strategy<Value = IpNet> {
        // Crowded into a few bits, so that they nest, touch and repeat.
        (0..32_u32, 0..=5_u8).prop_map(|(bits, len)| {
            let start = 0xc000_0200 | bits << 3;
            IpNet::new(IpAddr::V4(start.into()), 24 + len).unwrap().trunc()
        })
    }

    fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
        let place = (0..4_usize, 0..3_usize, 0..3_u32, any::<bool>());
        let place = place.prop_map(|(country, city, asn, located)| Place {
            country: [None, Some(*b"DE"), Some(*b"FR"), Some(*b"XX")][country],
            city: [None, Some("A"), Some("B")][city].map(Into::into),
            asn: (asn > 0).then_some(asn),
            location: crate::geo::Point::from_degrees(1.0, 2.0).filter(|_| located),
            ..Place::default()
        });
        prop::collection::vec((networks(), place), 0..most).prop_map(|mut rows| {
            rows.sort_by_key(|row| row.0);
            rows.dedup_by_key(|row| row.0);
            rows
        })
    }

    fn overlay(rows: &[Row]) -> OverlayFile {
        let mut text = String::from("network,country,city,asn,latitude,longitude\n");
        for (network, place) in rows {
            let country = place.country.map(crate::geo::place::code_text).unwrap_or_default();
            let asn = place.asn.map(|asn| asn.to_string()).unwrap_or_default();
            let point = if place.location.is_some() { "1.0,2.0" } else { "," };
            let city = place.city.as_deref().unwrap_or("");
            text += &format!("{network},{country},{city},{asn},{point}\n");
        }
        OverlayFile { name: "overlay.csv".into(), octets: text.into_bytes().into() }
    }

    fn file(rows: &[Row]) -> DatabaseFile {
        let rows = rows.iter().cloned();
        let networks: Vec<SourceNetwork> =
            rows.map(|(network, place)| SourceNetwork { network, place }).collect();
        let (database_type, description) = ("Test-City".into(), "test".into());
        let info = WriteInfo { database_type, description, build_epoch: 0 };
        let octets = write_database(&networks, &info).unwrap().into();
        DatabaseFile { name: "city.mmdb".into(), octets, shape: Some(Shape::Nested) }
    }

    /// The rule as documented, word by word: the most specific network of all overlays, the earlier file's if two are
    /// equal; then each database in order fills what is absent; then the centre of the country.
    fn find_slowly(overlays: &[Vec<Row>], databases: &[Vec<Row>], address: IpAddr) -> Place {
        let mut found = Place::default();
        'search: for len in (0..=32).rev() {
            for rows in overlays {
                let is = |row: &&Row| row.0.prefix_len() == len && row.0.contains(&address);
                if let Some((_, place)) = rows.iter().find(is) {
                    found = place.clone();
                    break 'search;
                }
            }
        }
        for rows in databases {
            let holding = rows.iter().filter(|row| row.0.contains(&address));
            if let Some((_, place)) = holding.max_by_key(|row| row.0.prefix_len()) {
                found = found.filled_from(place);
            }
        }
        found.with_centre()
    }

    proptest! {
        #[test]
        fn overlays_win_over_databases_and_what_is_specific_wins_among_overlays(
            overlays in prop::collection::vec(rows(8), 0..3),
            databases in prop::collection::vec(rows(12), 0..3),
        ) {
            let input = GeoInput {
                overlays: overlays.iter().map(|rows| overlay(rows)).collect(),
                databases: databases.iter().map(|rows| file(rows)).collect(),
            };
            let table = input.read().unwrap();
            let map = table.compile();
            for last in 0..=255_u32 {
                let address = IpAddr::V4((0xc000_0200 | last).into());
                let expected = find_slowly(&overlays, &databases, address);
                prop_assert_eq!(map.place(map.find(address).place), &expected, "{}", address);
                let traced = table.trace(address).pop().map(|last| last.place);
                prop_assert_eq!(traced.unwrap_or_default(), expected, "the trace of {}", address);
            }
        }
    }

    #[test]
    fn a_wide_overlay_wins_over_a_narrow_database_and_is_filled_where_they_agree() {
        let row = |network: &str, place: Place| (network.parse().unwrap(), place);
        let country = |code: &[u8; 2]| Place { country: Some(*code), ..Place::default() };
        let city = Place { city: Some("Lyon".into()), asn: Some(64496), ..country(b"FR") };
        let input = GeoInput {
            overlays: vec![overlay(&[
                row("192.0.0.0/16", country(b"DE")),
                row("198.51.100.0/24", country(b"FR")),
            ])],
            databases: vec![file(&[
                row("192.0.2.0/24", city.clone()),
                row("198.51.100.0/25", city),
            ])],
        };
        let map = input.read().unwrap().compile();
        let place = |address: &str| map.place(map.find(address.parse().unwrap()).place).to_string();
        assert_eq!(place("192.0.2.1"), "EU DE 51.100,10.400 ±337 km AS64496", "no Lyon in Germany");
        assert!(
            place("198.51.100.1").starts_with("EU FR Lyon 46.600"),
            "{}",
            place("198.51.100.1")
        );
    }

    #[test]
    fn every_problem_of_every_file_comes_at_once() {
        let overlay =
            |name: &str, text: &[u8]| OverlayFile { name: name.into(), octets: text.into() };
        let input = GeoInput {
            overlays: vec![
                overlay("a.csv", b"192.0.2.0/24,DEU\n192.0.2.0/24,DE\n"),
                overlay("b.csv", b"network,country\n\xff"),
            ],
            databases: vec![DatabaseFile {
                name: "c.mmdb".into(),
                octets: b"no".as_slice().into(),
                shape: None,
            }],
        };
        let problems: Vec<String> =
            input.read().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("a.csv:1:14: `DEU` is not allowed here; "));
        assert!(problems[1].starts_with("a.csv:2:1: 192.0.2.0/24 stands already in line 1; "));
        assert!(problems[2].starts_with("b.csv:2:1: this is not UTF-8; "));
        assert!(problems[3].starts_with("c.mmdb: not a complete MaxMind DB file"));
    }
}

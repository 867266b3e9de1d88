//! `rhumb geo lookup`: where addresses are, and which file says so.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ipnet::IpNet;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::geo::read_file;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::config::Severity;
use crate::control::geo::GeoReport;
use crate::geo::DatabaseFile;
use crate::geo::GeoInput;
use crate::geo::GeoTable;
use crate::geo::OverlayFile;
use crate::geo::Place;
use crate::geo::PlaceMap;
use crate::geo::place::code_text;

/// What gives a location when no file does.
const CENTRE: &str = "centre of the country";

#[derive(Debug, Args)]
pub struct LookupArguments {
    /// Addresses, IPv4 or IPv6
    #[arg(required = true)]
    addresses: Vec<IpAddr>,
    /// Database in MaxMind DB format, the most trusted first [default: those of rhumb.toml, else geodb/*.mmdb]
    #[arg(long, short)]
    database: Vec<PathBuf>,
    /// Overlay, CSV or geofeed [default: those of rhumb.toml]
    #[arg(long)]
    overlay: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigOption,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &LookupArguments) -> Result<String, String> {
    let input = find_input(arguments)?;
    let table =
        input.read().map_err(|found| GeoReport::new(&input, &found, Severity::Error).text())?;
    for warning in &table.warnings {
        eprintln!("warning: {warning}");
    }
    let answers = lookup(&arguments.addresses, &table);
    Ok(if arguments.json { as_json(&answers) } else { as_table(&answers) })
}

/// The named files, else those of the configuration.
fn find_input(arguments: &LookupArguments) -> Result<GeoInput, String> {
    let LookupArguments { database, overlay, config, .. } = arguments;
    let mut input = GeoInput::default();
    if database.is_empty() && overlay.is_empty() {
        let settings = settings::find(config).map_err(|why| format!("{why}\n"))?;
        let mut faults = Vec::new();
        input = settings.sources.read_geo(&mut faults);
        if !faults.is_empty() {
            return Err(faults.iter().map(|fault| format!("{fault}\n")).collect());
        }
        if input.databases.is_empty() && input.overlays.is_empty() {
            let remedy = "set [geo] databases, put a database into ./geodb, or use --database";
            return Err(format!("there is no geo data; {remedy}\n"));
        }
    }
    for path in database {
        let octets: Arc<[u8]> = read_file(path)?.into();
        let name = path.display().to_string().into();
        input.databases.push(DatabaseFile { name, octets, shape: None });
    }
    for path in overlay {
        let octets: Arc<[u8]> = read_file(path)?.into();
        input.overlays.push(OverlayFile { name: path.display().to_string().into(), octets });
    }
    Ok(input)
}

/// What geo data says about one address.
struct Answer {
    address: IpAddr,
    network: String,
    place: Place,
    /// Each known field, and the file that gave it.
    sources: Vec<(&'static str, String)>,
}

fn lookup(addresses: &[IpAddr], table: &GeoTable) -> Vec<Answer> {
    let map = table.compile();
    addresses.iter().map(|address| answer(*address, &map, table)).collect()
}

fn answer(address: IpAddr, map: &PlaceMap, table: &GeoTable) -> Answer {
    let address = address.to_canonical();
    let leaf = map.find(address);
    let mut known = fields(&Place::default());
    let mut sources = Vec::new();
    for step in table.trace(address) {
        let now = fields(&step.place);
        let changed = now.iter().zip(&known).filter(|(now, before)| now != before);
        let file = step.file.unwrap_or(CENTRE);
        sources.extend(changed.map(|((name, _), _)| (*name, file.to_owned())));
        known = now;
    }
    Answer {
        address,
        network: IpNet::new(address, leaf.prefix_len)
            .map_or_else(|_| address.to_string(), |network| network.trunc().to_string()),
        place: map.place(leaf.place).clone(),
        sources,
    }
}

/// Fields by name, as JSON; what is absent is null.
fn fields(place: &Place) -> [(&'static str, Value); 9] {
    let Place {
        continent,
        country,
        subdivision,
        city,
        location,
        accuracy_km,
        asn,
        is_withheld,
        rows: _,
    } = place;
    [
        ("continent", json!(continent.map(code_text))),
        ("country", json!(country.map(code_text))),
        ("subdivision", json!(subdivision.as_deref())),
        ("city", json!(city.as_deref())),
        ("latitude", json!(location.map(|point| point.latitude()))),
        ("longitude", json!(location.map(|point| point.longitude()))),
        ("accuracy_km", json!(accuracy_km)),
        ("asn", json!(asn)),
        ("withheld", json!(is_withheld.then_some(true))),
    ]
}

impl Answer {
    /// Files in the order of their first field, each with its fields.
    fn by_file(&self) -> Vec<(&str, Vec<&'static str>)> {
        let mut files: Vec<(&str, Vec<&'static str>)> = Vec::new();
        for (field, file) in &self.sources {
            match files.iter_mut().find(|(known, _)| known == file) {
                Some((_, fields)) => fields.push(field),
                None => files.push((file, vec![field])),
            }
        }
        files
    }

    /// The file, or each file with its fields.
    fn sources_text(&self) -> String {
        match self.by_file().as_slice() {
            [] => "-".into(),
            [(file, _)] => (*file).into(),
            several => {
                let texts = several.iter().map(|(file, f)| format!("{file}: {}", f.join(", ")));
                texts.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// Columns for people: address, network, place, files.
fn as_table(answers: &[Answer]) -> String {
    let rows: Vec<[String; 4]> = answers
        .iter()
        .map(|answer| {
            let place = answer.place.to_string();
            let (address, network) = (answer.address.to_string(), answer.network.clone());
            [address, network, place, answer.sources_text()]
        })
        .collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (address, network, place) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[a, n, p, files]| format!("{a:address$}  {n:network$}  {p:place$}  {files}\n"))
        .collect()
}

/// One object a line; absent fields are null.
fn as_json(answers: &[Answer]) -> String {
    let object = |answer: &Answer| {
        let mut object = Map::new();
        object.insert("address".into(), json!(answer.address.to_string()));
        object.insert("network".into(), json!(answer.network));
        object.insert("known".into(), json!(!answer.place.is_unknown()));
        object.extend(fields(&answer.place).map(|(name, value)| (name.to_owned(), value)));
        let files: Vec<&str> = answer.by_file().iter().map(|(file, _)| *file).collect();
        object.insert("databases".into(), json!(files));
        let sources = answer.sources.iter().map(|(field, file)| ((*field).into(), json!(file)));
        object.insert("sources".into(), Value::Object(sources.collect()));
        Value::Object(object).to_string() + "\n"
    };
    answers.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const DEMO: &[u8] = include_bytes!("../../../geodb/demo.mmdb");

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        lookup: LookupArguments,
    }

    fn answers(overlay: &str, addresses: &[&str]) -> Vec<Answer> {
        let demo = DatabaseFile { name: "demo.mmdb".into(), octets: DEMO.into(), shape: None };
        let overlays =
            vec![OverlayFile { name: "own.csv".into(), octets: overlay.as_bytes().into() }];
        let table = GeoInput { databases: vec![demo], overlays }.read().unwrap();
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        lookup(&addresses, &table)
    }

    #[test]
    fn a_lookup_shows_address_network_place_and_file_in_columns() {
        let answers = answers("", &["127.1.0.7", "::ffff:192.0.2.250"]);
        let table = as_table(&answers);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[0],
            "127.1.0.7    127.1.0.0/16    EU DE HE Frankfurt 50.111,8.682 ±20 km AS64496  demo.mmdb"
        );
        assert!(lines[1].starts_with("192.0.2.250  192.0.2.") && lines[1].ends_with("  -"));
        let json: Value = serde_json::from_str(as_json(&answers).lines().next().unwrap()).unwrap();
        assert_eq!((&json["city"], &json["asn"]), (&json!("Frankfurt"), &json!(64496)));
        assert_eq!(json["databases"], json!(["demo.mmdb"]));
        assert_eq!(json["sources"]["city"], json!("demo.mmdb"));
    }

    #[test]
    fn each_field_names_the_file_that_gave_it() {
        let answers = answers("127.1.0.0/24,FR\n127.1.1.0/24\n", &["127.1.0.7", "127.1.1.7"]);
        let texts: Vec<String> = answers.iter().map(Answer::sources_text).collect();
        assert_eq!(
            texts[0],
            "own.csv: country; demo.mmdb: asn; centre of the country: continent, latitude, \
             longitude, accuracy_km"
        );
        assert_eq!(texts[1], "own.csv: withheld; demo.mmdb: asn");
        assert_eq!(answers[1].place.to_string(), "AS64496 location withheld");
    }

    #[test]
    fn a_lookup_without_address_is_a_wrong_use() {
        assert!(Command::try_parse_from(["lookup"]).is_err());
        let parsed = Command::try_parse_from(["lookup", "192.0.2.1", "--json"]).unwrap();
        assert!(parsed.lookup.json);
    }
}

//! `rhumb geo inspect`: what a database is, and what can be expected of it.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use clap::Args;
use serde_json::Value;
use serde_json::json;

use crate::cli::geo::now;
use crate::cli::geo::read_file;
use crate::geo::DatabaseInfo;
use crate::geo::Layer;
use crate::geo::Shape;
use crate::geo::read_database_as;

/// Age in days from which a database is called old: vendors publish at least every month.
const OLD_DAYS: u64 = 60;

/// Networks shown.
const EXAMPLES: usize = 5;

#[derive(Debug, Args)]
pub struct InspectArguments {
    /// Database in MaxMind DB format
    file: PathBuf,
    /// Read its records as this shape instead of the detected one
    #[arg(long, value_parser = parse_shape)]
    shape: Option<Shape>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_shape(text: &str) -> Result<Shape, String> {
    Shape::find(text).ok_or_else(|| format!("use {}", Shape::ALL.map(Shape::name).join(", ")))
}

pub(super) fn run(arguments: &InspectArguments) -> Result<String, String> {
    let InspectArguments { file, shape, json } = arguments;
    let octets = read_file(file)?;
    let name = file.display().to_string();
    let (layer, info) =
        read_database_as(&name, &octets, *shape).map_err(|fault| format!("{fault}\n"))?;
    let report = Report { name, size: octets.len(), now_s: now(), layer: &layer, info: &info };
    Ok(if *json { format!("{:#}\n", report.json()) } else { report.text() })
}

/// A database and the moment it is looked at.
struct Report<'a> {
    name: String,
    size: usize,
    now_s: u64,
    layer: &'a Layer,
    info: &'a DatabaseInfo,
}

impl Report<'_> {
    fn age_days(&self) -> u64 {
        self.now_s.saturating_sub(self.info.build_epoch) / 86_400
    }

    /// `2026-11-21`; a date beyond the calendar as it is.
    fn built(&self) -> String {
        let epoch = self.info.build_epoch;
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(epoch));
        let text = time.filter(|_| epoch < 253_402_300_800);
        let text = text.map(|time| humantime::format_rfc3339_seconds(time).to_string());
        text.map_or_else(|| format!("second {epoch}"), |text| text[..10].to_owned())
    }

    fn shares(&self) -> [(&'static str, usize); 7] {
        let fields = self.info.fields;
        [
            ("continent", fields.continent),
            ("country", fields.country),
            ("subdivision", fields.subdivision),
            ("city", fields.city),
            ("coordinates", fields.location),
            ("accuracy radius", fields.accuracy),
            ("AS number", fields.asn),
        ]
    }

    fn warnings(&self) -> Vec<String> {
        let info = self.info;
        let mut warnings: Vec<String> = info
            .warnings()
            .into_iter()
            .map(|(fault, remedy)| format!("{fault}; {remedy}"))
            .collect();
        if info.fields.country > 0 && info.fields.location == 0 {
            warnings.push("no coordinates: the centres of countries are used".into());
        }
        if info.fields.location > 0 && info.fields.accuracy == 0 {
            warnings.push("no accuracy radius: 50 km is taken for all".into());
        }
        if self.age_days() > OLD_DAYS {
            warnings.push(format!("{} days old: networks have moved since", self.age_days()));
        }
        if info.ip_version == 4 {
            warnings.push("IPv4 only: clients with IPv6 have no place".into());
        }
        warnings
    }

    fn text(&self) -> String {
        let info = self.info;
        let mut text = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{key:<12}{value}");
        };
        line("file", format!("{}, {} octets", self.name, self.size));
        line("type", format!("{:?}", info.database_type));
        line("about", format!("{:?}", info.description));
        line("built", format!("{}, {} days ago", self.built(), self.age_days()));
        let families = if info.ip_version == 4 { "IPv4" } else { "IPv4 and IPv6" };
        line("networks", format!("{}, {families}; {} records", info.networks, info.records));
        let shape = info.shape.map_or("none", Shape::name);
        line("shape", format!("{shape}: {}", info.shape_why));
        for (name, count) in self.shares() {
            let percent = 100.0 * count as f64 / info.records.max(1) as f64;
            line("", format!("{name:<16}{percent:>5.1} % of records"));
        }
        for (network, place) in self.layer.examples(EXAMPLES) {
            line("example", format!("{network}  {}", place.clone().with_centre()));
        }
        for warning in self.warnings() {
            line("warning", warning);
        }
        text
    }

    fn json(&self) -> Value {
        let info = self.info;
        let fields = self.shares().map(|(name, count)| (name.replace(' ', "_"), json!(count)));
        let examples = self.layer.examples(EXAMPLES);
        let examples = examples.iter().map(|(network, place)| {
            json!({ "network": network, "place": (*place).clone().with_centre().to_string() })
        });
        json!({
            "file": self.name,
            "octets": self.size,
            "type": info.database_type,
            "description": info.description,
            "build_epoch": info.build_epoch,
            "age_days": self.age_days(),
            "ip_version": info.ip_version,
            "networks": info.networks,
            "records": info.records,
            "shape": info.shape.map(Shape::name),
            "shape_why": info.shape_why,
            "records_with": Value::Object(fields.into_iter().collect()),
            "odd_records": info.odd_records,
            "examples": examples.collect::<Vec<_>>(),
            "warnings": self.warnings(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::WriteInfo;
    use crate::geo::parse_source;
    use crate::geo::read_database;
    use crate::geo::write_database;

    fn report_of(source: &str, days: u64) -> (String, Value) {
        let (database_type, description) = ("Test".into(), "made up".into());
        let info = WriteInfo { database_type, description, build_epoch: 1_767_225_600 };
        let octets = write_database(&parse_source(source).unwrap(), &info).unwrap();
        let (layer, info) = read_database("t.mmdb", &octets).unwrap();
        let now_s = info.build_epoch + days * 86_400;
        let (layer, info) = (&layer, &info);
        let report = Report { name: "t.mmdb".into(), size: octets.len(), now_s, layer, info };
        (report.text(), report.json())
    }

    #[test]
    fn a_report_has_age_shape_shares_examples_and_warnings() {
        let source = "network,country,asn\n192.0.2.0/24,DE,64496\n2001:db8::/32,FR,\n";
        let (text, json) = report_of(source, 90);
        for part in [
            "type        \"Test\"",
            "built       2026-01-01, 90 days ago",
            "networks    2, IPv4 and IPv6; 2 records",
            "shape       nested: 2 of 2 sampled records have",
            "country         100.0 % of records",
            "AS number        50.0 % of records",
            "example     192.0.2.0/24  EU DE 51.100,10.400 ±337 km AS64496",
            "warning     no coordinates: the centres of countries are used",
            "warning     90 days old",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(json["records_with"]["country"], 2);
        assert_eq!(json["warnings"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_fresh_and_whole_database_has_no_warning() {
        let source = "network,country,lat,lon,accuracy_km\n192.0.2.0/24,DE,50.1,8.7,20\n";
        let (text, json) = report_of(source, 1);
        assert!(!text.contains("warning"), "{text}");
        assert_eq!(json["shape"], "nested");
    }
}

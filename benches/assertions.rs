//! Judging assertions over a large place table.
//!
//! Guess, on one core, for 300,000 networks at 30,000 points, 20 sites, 50 names that share 5 policies: a policy has
//! some thousand classes; a decision takes 0.3 us, a class is decided in 2 families and 2 states: 5 policies at 10 ms an
//! assertion, and 20 ms to sort 300,000 places into classes.
//!
//! Run: `cargo bench --bench assertions`
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock and stops at the first fault"
)]

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use ipnet::Ipv4Net;
use rhumb::assertion::judge;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::config::load;
use rhumb::geo::Layer;
use rhumb::geo::Place;
use rhumb::geo::PlaceMap;
use rhumb::geo::Point;
use rhumb::model::NodeTerms;
use rhumb::snapshot::compile;

fn main() {
    let places = Arc::new(places());
    for (what, assertion, is_keyed) in [
        (
            "stays_in, anything down, nearest",
            "stays_in = [\"continent:EU\", \"continent:NA\"]",
            false,
        ),
        ("answers, any one site down, nearest", "answers = true", false),
        ("answers, any one site down, weighted over nearest", "answers = true", true),
        ("within, nothing down, nearest", "within = \"20000km\"", false),
        ("max_load, any one site down", "max_load = \"200%\"\ntraffic = \"t.csv\"", false),
    ] {
        let zone = zone(assertion, is_keyed);
        let mut traffic = String::from("country,name,load\n");
        for name in 0..50 {
            writeln!(traffic, "DE,w{name},1\nUS,w{name},1").unwrap();
        }
        let files = [("zones/a.toml", zone), ("zones/t.csv", traffic)];
        let files = files.iter().map(|(name, text)| SourceFile::new(name, text)).collect();
        let (model, problems) = load(&Files::new(files));
        let model = model.unwrap_or_else(|| panic!("{problems:?}"));
        let compiled = compile(model, Arc::clone(&places), NodeTerms::default()).unwrap();
        let classes: usize = compiled.classes.iter().map(|one| one.trees().len()).sum();
        let started = Instant::now();
        let failures = judge(&compiled).len();
        println!("{what}: {:.2?}, {classes} classes, {failures} failures", started.elapsed());
    }
}

/// 20 sites, 5 policies with an order of their own, 50 names.
fn zone(assertion: &str, is_keyed: bool) -> String {
    let mut zone = String::from("[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n");
    zone += "[check.c]\nkind = \"tcp\"\nport = 80\n";
    for site in 0..20_u32 {
        let (latitude, longitude) =
            (f64::from(site * 37 % 120) - 60.0, f64::from(site * 101 % 360) - 180.0);
        let country = ["DE", "US", "FR", "CA"][site as usize % 4];
        write!(zone, "[site.s{site}]\nlatitude = {latitude:.1}\nlongitude = {longitude:.1}\ncountry = \"{country}\"\n").unwrap();
        write!(zone, "[pool.p{site}]\nsite = \"s{site}\"\ncheck = \"c\"\n").unwrap();
        writeln!(zone, "endpoint.e = {{ addresses = [\"198.18.0.{site}\"], capacity = 1000 }}")
            .unwrap();
    }
    for policy in 0..5 {
        let names: Vec<String> =
            (0..20).map(|site| format!("\"p{}\"", (site + policy) % 20)).collect();
        write!(zone, "[policy.n{policy}]\nkind = \"nearest\"\ntargets = [{}]\n", names.join(", "))
            .unwrap();
        write!(zone, "[policy.w{policy}]\nkind = \"weighted\"\nweights = {{ n{policy} = 90, p{policy} = 10 }}\n").unwrap();
    }
    for name in 0..50 {
        let kind = if is_keyed { "w" } else { "n" };
        write!(zone, "[name.w{name}]\nsteer = \"{kind}{}\"\n", name % 5).unwrap();
    }
    zone + "[[assert]]\n" + assertion + "\n"
}

/// 300,000 networks at 30,000 points with nine radii.
fn places() -> PlaceMap {
    const RADII: [u16; 9] = [1, 5, 10, 20, 50, 100, 200, 500, 1000];
    let mut layer = Layer::new();
    for index in 0..300_000_u32 {
        let point = f64::from(index % 30_000);
        let place = Place {
            country: Some(if index % 2 == 0 { *b"DE" } else { *b"US" }),
            location: Point::from_degrees(point % 173.0 - 86.0, (point * 7.3) % 359.0 - 179.0),
            accuracy_km: Some(RADII[(index / 30_000 + index) as usize % RADII.len()]),
            asn: Some(index + 1),
            ..Place::default()
        };
        let network = Ipv4Net::new(Ipv4Addr::from_bits(index << 10), 22).unwrap();
        layer.insert(IpNet::V4(network), place).unwrap();
    }
    PlaceMap::compile(&[layer])
}

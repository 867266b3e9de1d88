//! A zone with one of everything an answer can be made of.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its own part")]

use std::fmt::Write;
use std::sync::Arc;

use rhumb::geo::Layer;
use rhumb::geo::PlaceMap;
use rhumb::geo::parse_source;
use rhumb::model::Family;
use rhumb::model::NodeTerms;
use rhumb::model::Pool;
use rhumb::model::Verdict;
use rhumb::snapshot::Health;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::compile;
use rhumb::steering::MemberState;
use rhumb::steering::plan::Remembered;

use crate::common;

/// Identity that NSID gives.
pub const IDENTITY: &[u8] = b"ns-test-1";

const ZONE: &str = r#"
[zone]
name = "rich.test"
nameservers = ["ns1.rich.test", "ns2.example.net"]
contact = "hostmaster@rich.test"
records = "rich.records"

[check.web]
kind = "tcp"
port = 443

[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45

[pool.eu]
site = "fra"
check = "web"
[pool.eu.endpoint.a]
addresses = ["198.18.1.1", "2001:db8:f::1"]
[pool.us]
site = "iad"
check = "web"
[pool.us.endpoint.a]
addresses = ["198.18.2.1", "2001:db8:a::1"]
[pool.us-next]
site = "iad"
check = "web"
[pool.us-next.endpoint.a]
addresses = ["198.18.2.9", "2001:db8:a::9"]
[pool.v4only]
site = "fra"
check = "web"
[pool.v4only.endpoint.a]
addresses = ["198.18.4.1"]
[pool.eight]
check = "web"
site = "fra"

[policy.world]
kind = "nearest"
targets = ["eu", "us"]
[policy.split]
kind = "weighted"
weights = { us = 50, us-next = 50 }
[policy.nested]
kind = "nearest"
targets = ["eu", "split"]

[name.www]
steer = "world"
[name.nested]
steer = "nested"
[name.v4only]
steer = "v4only"
[name.eight]
steer = "eight"
answers = "all"
[name.strict]
steer = "world"
on_all_down = "servfail"
[name."*.any"]
steer = "world"
"#;

/// Texts of the zone: the TOML file and the records it names.
pub fn texts() -> (String, String) {
    let mut zone = ZONE.to_owned();
    for n in 1..=8 {
        writeln!(zone, "[pool.eight.endpoint.e{n}]").unwrap();
        writeln!(zone, "addresses = [\"198.18.8.{n}\", \"2001:db8:8::{n}\"]").unwrap();
    }
    let long = long_label();
    writeln!(zone, "[name.\"{long}.{long}.{long}.eight\"]\nsteer = \"eight\"\nanswers = \"all\"")
        .unwrap();
    (zone, records())
}

/// A label of 61 octets: three of them make a name that leaves little room for records.
pub fn long_label() -> String {
    "l".repeat(61)
}

/// Static records as a master file.
fn records() -> String {
    let mut text = String::from(
        r#"$TTL 300
ns1      A     198.18.0.53
ns1      AAAA  2001:db8::53
@        MX    10 mail
@        MX    20 mail.example.net.
@        CAA   0 issue "ca.example.net"
mail     A     198.18.0.25
txt      TXT   "hello" "two words; \"quoted\"" "\000\255"
srv      SRV   1 2 443 mail
ptr      PTR   mail
odd      TYPE65280 \# 3 0a0b0c
"sp ace.dot"  A  198.18.0.77
a\.b     A     198.18.0.78
c1       CNAME c2
c2  60   CNAME c3
c3       CNAME www
to-txt   CNAME txt
to-none  CNAME nowhere
to-nodata CNAME ptr
to-far   CNAME host.example.net.
to-child CNAME host.signed
to-long  CNAME bigtxt
loop-a   CNAME loop-b
loop-b   CNAME loop-a
*.wild   A     198.18.0.99
*.wild   TXT   "wild"
*.walias CNAME c2
not.wild MX    5 mail
a.ent    A     198.18.0.80
signed   NS    ns1.signed
signed   NS    ns2.signed
signed   NS    ns2.example.net.
signed   DS    4711 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
ns1.signed A   198.18.9.1
ns1.signed AAAA 2001:db8:9::1
ns2.signed A   198.18.9.2
plain    NS    ns1
moved    DNAME \# 15 03656e740472696368047465737400
self     DNAME \# 18 01610473656c660472696368047465737400
www      TYPE65 \# 3 000100
smx      MX    10 www
smx      MX    20 mail
wide     NS    a.wide
"#,
    );
    for n in 0..40 {
        writeln!(text, "a.wide AAAA 2001:db8:40::{n:x}").unwrap();
        writeln!(text, "big512 A 198.18.40.{n}").unwrap();
    }
    for n in 0..100 {
        writeln!(text, "big1232 A 198.18.100.{n}").unwrap();
    }
    for n in 0..20 {
        writeln!(text, "bigtxt TXT \"{n} {}\" \"{}\"", "x".repeat(250), "y".repeat(255)).unwrap();
    }
    text
}

/// Geo data of the tests, from [`common::GEO`].
pub fn places() -> PlaceMap {
    let mut layer = Layer::new();
    for network in parse_source(common::GEO).expect("the geo source is right") {
        layer.insert(network.network, network.place).expect("the networks fit");
    }
    PlaceMap::compile(&[layer])
}

/// The zone, with endpoints as `health` says.
pub fn snapshot(health: &impl Health) -> Snapshot {
    let (zone, records) = texts();
    let files = [("zones/rich.toml", &*zone), ("zones/rich.records", &*records)];
    let model = common::model(&files);
    let compiled = compile(model, Arc::new(places()), NodeTerms::of_identity(IDENTITY));
    Snapshot::new(Arc::new(compiled.expect("classes are few")), 1, health)
}

/// Every endpoint of the pools named is down, the rest is up.
pub struct Down(pub &'static [&'static str]);

impl Health for Down {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let verdict = if self.0.contains(&&*pool.name) { Verdict::Down } else { Verdict::Up };
        let state = MemberState { verdicts: [verdict; 2], ..MemberState::default() };
        vec![state; pool.endpoints.len()]
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }
}

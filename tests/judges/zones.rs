//! Zones that our server and the judges serve alike.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;

use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::model::Model;
use rhumb::zonefile;

use crate::question::Owner;
use crate::reply::Record;
use crate::server::Judge;

/// One zone.
pub struct Zone {
    pub apex: &'static str,
    pub text: String,
    /// The judge that cannot read it.
    pub not_for: Option<Judge>,
}

/// All zones that our server can serve.
pub fn zones() -> Vec<Zone> {
    let zone = |apex, text: &str| Zone { apex, text: text.to_owned(), not_for: None };
    let mut zones = vec![
        zone("judge.test", include_str!("zones/judge.test.zone")),
        zone("child.judge.test", include_str!("zones/child.judge.test.zone")),
        zone("other.test", include_str!("zones/other.test.zone")),
        zone("dname.test", include_str!("zones/dname.test.zone")),
        zone("types.test", include_str!("zones/types.test.zone")),
        zone("old.test", include_str!("zones/old.test.zone")),
    ];
    zones[0].text += &big_sets();
    zones[5].not_for = Some(Judge::Knot); // it reads none of these types as text
    zones
}

/// Sets whose replies end a few octets before and behind 512 and 1,232, and larger ones.
fn big_sets() -> String {
    let mut text = String::from("$ORIGIN judge.test.\n$TTL 60\n");
    let mut line = |line: String| writeln!(text, "{line}").expect("text grows");
    for near in (500..=514).chain(1216..=1234) {
        // Header 12, question name and 4, then two records of pointer, 10 octets and strings.
        let owner = format!("s{near}");
        let rest = near - 12 - (1 + owner.len() + 12) - 4 - 12;
        let (full, last) = (rest / 256, rest % 256);
        let strings: Vec<_> = (0..full).map(|_| "f".repeat(255)).collect();
        let last = (last > 0).then(|| "l".repeat(last - 1));
        let strings: Vec<_> = strings.into_iter().chain(last).map(|s| format!("\"{s}\"")).collect();
        line(format!("{owner} TXT {}", strings.join(" ")));
    }
    for n in 0..100 {
        line(format!("a100 A 198.18.100.{n}"));
    }
    for n in 0..28 {
        line(format!("a28 A 198.18.101.{n}"));
        line(format!("mx28 MX {n} mx{n}.a-rather-long-label-in-front"));
        line(format!("mx{n}.a-rather-long-label-in-front A 198.18.102.{n}"));
    }
    for n in 0..13 {
        // Referrals whose glue does not fit 512 octets: in-domain, and of a sibling.
        line(format!("wide NS ns{n}.wide"));
        line(format!("ns{n}.wide A 198.18.103.{n}"));
        line(format!("ns{n}.wide AAAA 2001:db8:103::{n}"));
        line(format!("wide-sib NS ns{n}.wide"));
        line(format!("wide-out NS server-of-a-long-name-{n}.some-provider-{n}.example.net."));
        line(format!("wide-mix NS ns{n}.wide"));
    }
    line("wide-mix NS ns.wide-mix".into());
    line("ns.wide-mix A 198.18.103.53".into());
    for n in 0..6 {
        line(format!("srv6 SRV {n} 0 443 host{n}.srv6"));
        for m in 0..6 {
            line(format!("host{n}.srv6 A 198.18.10{n}.{m}"));
            line(format!("host{n}.srv6 AAAA 2001:db8:{n}::{m}"));
        }
    }
    text
}

/// What our own reader makes of the zones.
fn model(zones: &[Zone]) -> Model {
    let file = |zone: &Zone| SourceFile::new(&format!("zones/{}.zone", zone.apex), &zone.text);
    let (model, _) = config::load(&Files::new(zones.iter().map(file).collect()));
    model.expect("each zone can be read, and no two are one")
}

/// All addresses that the zones hold.
pub fn addresses(zones: &[Zone]) -> BTreeSet<Record> {
    let model = model(zones);
    let records = model.zones.iter().flat_map(|zone| zone.records.iter());
    let addresses = records.filter(|record| matches!(record.rtype.0, 1 | 28));
    let record = |record: zonefile::Record<'_>| Record {
        owner: record.owner.to_vec(),
        rtype: record.rtype.0,
        class: 1,
        ttl: record.ttl,
        rdata: record.rdata.to_vec(),
    };
    addresses.map(record).collect()
}

/// Every name of the zones, with its types.
pub fn owners(zones: &[Zone]) -> Vec<Owner> {
    let model = model(zones);
    let mut owners: BTreeMap<Vec<u8>, Vec<u16>> = BTreeMap::new();
    for record in model.zones.iter().flat_map(|zone| zone.records.iter()) {
        owners.entry(record.owner.to_vec()).or_default().push(record.rtype.0);
    }
    let dedup = |(name, mut types): (Vec<u8>, Vec<u16>)| {
        types.sort_unstable();
        types.dedup();
        Owner { name, types }
    };
    owners.into_iter().map(dedup).collect()
}

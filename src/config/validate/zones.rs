//! Zones: their authority, their records, and what may stand beside what.

use std::collections::HashMap;
use std::collections::HashSet;

use sha2::Digest;
use sha2::Sha256;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::spec::Authority;
use crate::config::spec::FileSpec;
use crate::config::spec::PlacedRecord;
use crate::config::spec::ZoneSpec;
use crate::config::validate::Directory;
use crate::config::validate::names;
use crate::config::validate::names::made;
use crate::config::validate::push_to;
use crate::model::Model;
use crate::model::Record;
use crate::model::Steer;
use crate::model::SteerId;
use crate::model::Zone;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile;
use crate::zonefile::Entry;

/// SOA refresh, retry and expire in seconds: nobody transfers a made zone, so they only look familiar.
const SOA_TIMES: [u32; 3] = [7200, 1800, 1_209_600];

/// Adds every zone with its names. Names in a file without a zone are a problem.
pub(super) fn add_zones(
    files: &Files,
    specs: &[FileSpec],
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) {
    let mut apexes: HashMap<Name, Place> = HashMap::new();
    for spec in specs {
        let Some(zone) = &spec.zone else {
            for name in &spec.names {
                let key = format!("name.\"{}\"", name.name.value);
                let remedy = "add [zone] to this file, or move the name to the zone's file";
                problems.error(&name.name.place, key, "this file has no zone for the name", remedy);
            }
            continue;
        };
        if let Some(first) = apexes.insert(zone.apex.value.clone(), zone.apex.place.clone()) {
            let fault = format!("the zone {} is there twice", zone.apex.value);
            problems.error_with(
                &zone.apex.place,
                "zone.name",
                fault,
                "keep one",
                (first, "first here"),
            );
            continue;
        }
        let zone = build_zone(files, zone, spec, directory, model, problems);
        model.zones.push(zone);
    }
}

fn build_zone(
    files: &Files,
    spec: &ZoneSpec,
    file: &FileSpec,
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) -> Zone {
    let mut records = written_records(files, spec, problems);
    let mut steered: Vec<(At<Name>, SteerId)> = Vec::new();
    for name in &file.names {
        let Some(owner) = names::owner(spec, name, problems) else { continue };
        records.extend(names::records(spec, &owner, name, problems));
        let Some(steer) = &name.steer else { continue };
        let twin = steered.iter().find(|(other, _)| other.value == owner);
        if let Some((first, _)) = twin {
            let key = format!("name.\"{}\"", name.name.value);
            let also = (first.place.clone(), "first here");
            problems.error_with(
                &name.name.place,
                key,
                format!("{owner} is steered twice"),
                "keep one",
                also,
            );
            continue;
        }
        if let Some(steer) = names::steer(spec, &owner, name, steer, directory, model, problems) {
            steered.push((
                At { value: owner, place: name.name.place.clone() },
                add_steer(model, steer),
            ));
        }
    }
    add_authority(spec, &steered, &mut records, problems);
    check_coexistence(&steered, &records, problems);
    check_name_servers(spec, &steered, &records, problems);
    let steered = steered.into_iter().map(|(owner, steer)| (owner.value, steer)).collect();
    let records = records.into_iter().map(|placed| placed.record).collect();
    Zone { apex: spec.apex.value.clone(), records, steered }
}

fn add_steer(model: &mut Model, steer: Steer) -> SteerId {
    model.steers.push(steer);
    SteerId::at(model.steers.len() - 1)
}

/// Records of master files: the zone's own, or the one that `records` names.
fn written_records(files: &Files, spec: &ZoneSpec, problems: &mut Problems) -> Vec<PlacedRecord> {
    let mut records = Vec::new();
    let mut add = |file, entry: &Entry, problems: &mut Problems| {
        let place = Place { file, span: entry.span.clone() };
        if !entry.owner.is_within(&spec.apex.value) {
            let fault = format!("{} is not in the zone {}", entry.owner, spec.apex.value);
            problems.error(
                &place,
                "",
                fault,
                "move it to its own zone, or take the dot from its end",
            );
            return;
        }
        let Entry { owner, rtype, ttl, rdata, span: _ } = entry;
        let ttl = ttl.unwrap_or(spec.record_ttl);
        let record = Record { owner: owner.clone(), rtype: *rtype, ttl, rdata: rdata.clone() };
        records.push(PlacedRecord { record, place });
    };
    spec.entries.iter().for_each(|entry| add(spec.file, entry, problems));
    let Some(name) = &spec.records else { return records };
    let Some((id, file)) = files.find_beside(spec.file, &name.value) else {
        let fault = format!("there is no file \"{}\"", name.value);
        problems.error(&name.place, "zone.records", fault, "put it beside this file");
        return records;
    };
    let parsed = zonefile::parse(&file.text, &spec.apex.value);
    for fault in parsed.faults {
        problems.error(&Place { file: id, span: fault.span }, "", fault.message, fault.remedy);
    }
    for entry in &parsed.entries {
        if entry.rtype == RecordType::SOA {
            let place = Place { file: id, span: entry.span.clone() };
            problems.error(&place, "", "the SOA is made from [zone]", "take it out");
            continue;
        }
        add(id, entry, problems);
    }
    records
}

/// Makes SOA and NS from `[zone]`, or checks that the master file has them once.
fn add_authority(
    spec: &ZoneSpec,
    steered: &[(At<Name>, SteerId)],
    records: &mut Vec<PlacedRecord>,
    problems: &mut Problems,
) {
    let apex = &spec.apex.value;
    match &spec.authority {
        Authority::Made { nameservers, contact, negative_ttl, nameserver_ttl } => {
            let Some(primary) = nameservers.first() else { return };
            for server in nameservers {
                records.push(made(
                    apex,
                    RecordType::NS,
                    *nameserver_ttl,
                    server.value.as_wire(),
                    server,
                ));
            }
            let mut soa = [primary.value.as_wire(), contact.as_wire()].concat();
            let serial = serial_of(records, steered);
            for number in [serial].into_iter().chain(SOA_TIMES).chain([*negative_ttl]) {
                soa.extend_from_slice(&number.to_be_bytes());
            }
            records.push(made(apex, RecordType::SOA, *nameserver_ttl, &soa, &spec.apex));
        }
        Authority::Written => {
            let soas: Vec<_> =
                records.iter().filter(|placed| placed.record.rtype == RecordType::SOA).collect();
            for extra in soas.iter().skip(1) {
                let also = (soas[0].place.clone(), "first here");
                problems.error_with(&extra.place, "", "a second SOA record", "keep one", also);
            }
            let is_ns = |placed: &&PlacedRecord| {
                placed.record.rtype == RecordType::NS && placed.record.owner == *apex
            };
            if !records.iter().any(|placed| is_ns(&placed)) {
                problems.error(
                    &spec.apex.place,
                    "",
                    "the zone has no NS record at its apex",
                    "add: @ NS ns1",
                );
            }
        }
    }
}

/// A serial that equal content gives on every node: the first 32 bits of a digest.
fn serial_of(records: &[PlacedRecord], steered: &[(At<Name>, SteerId)]) -> u32 {
    let mut lines: Vec<Vec<u8>> = records
        .iter()
        .map(|PlacedRecord { record: Record { owner, rtype, ttl, rdata }, .. }| {
            [owner.as_wire(), &rtype.0.to_be_bytes(), &ttl.to_be_bytes(), rdata].concat()
        })
        .chain(steered.iter().map(|(owner, _)| owner.value.as_wire().to_vec()))
        .collect();
    lines.sort_unstable();
    let digest = Sha256::digest(lines.concat());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// What may not stand beside what (RFC 1034 section 3.6.2, RFC 2181 section 5).
fn check_coexistence(
    steered: &[(At<Name>, SteerId)],
    records: &[PlacedRecord],
    problems: &mut Problems,
) {
    let mut by_owner: HashMap<&Name, Vec<&PlacedRecord>> = HashMap::new();
    let mut seen: HashSet<(&Name, RecordType, &[u8])> = HashSet::new();
    for placed in records {
        let record = &placed.record;
        if !seen.insert((&record.owner, record.rtype, &record.rdata)) {
            let fault = format!("this {} record of {} is there twice", record.rtype, record.owner);
            problems.error(&placed.place, "", fault, "take one out");
        }
        push_to(&mut by_owner, &record.owner, placed);
    }
    for (owner, group) in &by_owner {
        let steer = steered.iter().find(|(name, _)| name.value == **owner);
        let alias = group.iter().find(|placed| placed.record.rtype == RecordType::CNAME);
        if let Some(alias) = alias {
            if let Some(other) = group.iter().find(|placed| placed.place != alias.place) {
                let also = (other.place.clone(), "beside this record");
                let fault = format!("{owner} is an alias and has other records");
                problems.error_with(
                    &alias.place,
                    "",
                    fault,
                    "a CNAME stands alone (RFC 1034 section 3.6.2)",
                    also,
                );
            } else if let Some((name, _)) = steer {
                let also = (name.place.clone(), "steered here");
                problems.error_with(
                    &alias.place,
                    "",
                    format!("{owner} is an alias and is steered"),
                    "keep one",
                    also,
                );
            }
        }
        let Some((name, _)) = steer else { continue };
        let fixed = group
            .iter()
            .find(|p| p.record.rtype == RecordType::A || p.record.rtype == RecordType::AAAA);
        if let Some(fixed) = fixed {
            let fault = format!("{owner} is steered and has {} records", fixed.record.rtype);
            let also = (name.place.clone(), "steered here");
            problems.error_with(
                &fixed.place,
                "",
                fault,
                "put the address into a pool, or do not steer the name",
                also,
            );
        }
    }
}

/// Name servers inside the zone need addresses in it, or nobody finds them.
fn check_name_servers(
    spec: &ZoneSpec,
    steered: &[(At<Name>, SteerId)],
    records: &[PlacedRecord],
    problems: &mut Problems,
) {
    let Authority::Made { nameservers, .. } = &spec.authority else { return };
    for server in nameservers.iter().filter(|server| server.value.is_within(&spec.apex.value)) {
        let has_address = records.iter().any(|placed| {
            let Record { owner, rtype, .. } = &placed.record;
            *owner == server.value && (*rtype == RecordType::A || *rtype == RecordType::AAAA)
        });
        let is_steered = steered.iter().any(|(name, _)| name.value == server.value);
        if !has_address && !is_steered {
            let fault =
                format!("the name server {} lies in the zone and has no address", server.value);
            let relative =
                server.value.labels().next().map(String::from_utf8_lossy).unwrap_or_default();
            let remedy = format!("add [name.\"{relative}\".records] with A = [\"…\"]");
            problems.error(&server.place, "zone.nameservers", fault, remedy);
        }
    }
}

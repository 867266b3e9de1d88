//! Zones: their authority, their records, and what may stand beside what.

use std::collections::HashMap;
use std::collections::HashSet;

use sha2::Digest;
use sha2::Sha256;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::dotted;
use crate::config::spec::Authority;
use crate::config::spec::FileSpec;
use crate::config::spec::PlacedRecord;
use crate::config::spec::ZoneSpec;
use crate::config::validate::Directory;
use crate::config::validate::names;
use crate::config::validate::names::made;
use crate::config::validate::pools;
use crate::config::validate::push_to;
use crate::config::validate::strays;
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

/// Octets of a record besides its data, with a compressed owner.
const RECORD_OVERHEAD: usize = 12;

/// Largest set of records of one owner and type, in octets: the rest of a message is for its question and OPT record.
const RRSET_MAX: usize = 64_000;

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
            let names = if spec.broken.zone { &[][..] } else { &spec.names[..] };
            for name in names {
                let key = dotted("name", &name.name.value);
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
        records.extend(names::records(files, spec, &owner, name, problems));
        let Some(steer) = &name.steer else { continue };
        let twin = steered.iter().find(|(other, _)| other.value == owner);
        if let Some((first, _)) = twin {
            let key = dotted("name", &name.name.value);
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
    check_delegations(&spec.apex.value, &steered, &records, problems);
    if spec.is_whole {
        check_name_servers(spec, &steered, &records, problems);
    }
    if !problems.has_errors() {
        strays::warn(file, spec, &steered, &records, problems);
    }
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
        records.push(PlacedRecord { record, place, key: String::new() });
    };
    spec.entries.iter().for_each(|entry| add(spec.file, entry, problems));
    let Some(name) = &spec.records else { return records };
    let Some((id, file)) = files.find_beside(spec.file, &name.value) else {
        let fault = format!("there is no file \"{}\"", name.value);
        let remedy = pools::missing_file_remedy(files, name);
        problems.error(&name.place, "zone.records", fault, remedy);
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
            if spec.is_whole && !records.iter().any(|placed| is_ns(&placed)) {
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

/// A set that no message can hold could never be answered (RFC 1035 section 4.2.2: 65,535 octets over TCP).
fn check_sizes(records: &[PlacedRecord], problems: &mut Problems) {
    let mut sizes: HashMap<(&Name, RecordType), usize> = HashMap::new();
    for placed in records {
        let record = &placed.record;
        let size = sizes.entry((&record.owner, record.rtype)).or_default();
        let before = *size;
        *size += RECORD_OVERHEAD + record.rdata.len();
        // Said once, where the limit is crossed.
        if before <= RRSET_MAX && *size > RRSET_MAX {
            let fault =
                format!("the {} records of {} do not fit a message", record.rtype, record.owner);
            let remedy = format!("keep them below {RRSET_MAX} octets together");
            problems.error(&placed.place, &placed.key, fault, remedy);
        }
    }
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
        let is_new = seen.insert((&record.owner, record.rtype, &record.rdata));
        // A second SOA has been reported as such.
        if !is_new && record.rtype != RecordType::SOA {
            let fault = format!("this {} record of {} is there twice", record.rtype, record.owner);
            problems.error(&placed.place, &placed.key, fault, "take one out");
        }
        push_to(&mut by_owner, &record.owner, placed);
    }
    check_sizes(records, problems);
    for (owner, group) in &by_owner {
        let steer = steered.iter().find(|(name, _)| name.value == **owner);
        let alias = group.iter().find(|placed| placed.record.rtype == RecordType::CNAME);
        if let Some(alias) = alias {
            if let Some(other) = group.iter().find(|placed| placed.place != alias.place) {
                let also = (other.place.clone(), "beside this record");
                let fault = format!("{owner} is an alias and has other records");
                problems.error_with(
                    &alias.place,
                    &alias.key,
                    fault,
                    "a CNAME stands alone (RFC 1034 section 3.6.2)",
                    also,
                );
            } else if let Some((name, _)) = steer {
                let also = (name.place.clone(), "steered here");
                problems.error_with(
                    &alias.place,
                    &alias.key,
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
                &fixed.key,
                fault,
                "put the address into a pool, or do not steer the name",
                also,
            );
        }
    }
}

/// Nobody asks this server for what lies below a delegation (RFC 1034 section 4.2.1).
fn check_delegations(
    apex: &Name,
    steered: &[(At<Name>, SteerId)],
    records: &[PlacedRecord],
    problems: &mut Problems,
) {
    let cuts = records
        .iter()
        .filter(|placed| placed.record.rtype == RecordType::NS && placed.record.owner != *apex);
    let cuts: HashMap<&Name, &PlacedRecord> =
        cuts.map(|placed| (&placed.record.owner, placed)).collect();
    for (owner, _) in steered {
        let mut above = Some(owner.value.clone());
        while let Some(name) = above {
            if let Some(cut) = cuts.get(&name) {
                let fault = format!("{} is steered, but {name} is delegated", owner.value);
                let remedy = "steer it in the zone it is delegated to, or take the NS records out";
                let also = (cut.place.clone(), "delegated here");
                let key = relative_key(&owner.value, apex);
                problems.error_with(&owner.place, key, fault, remedy, also);
                break;
            }
            above = name.parent();
        }
    }
}

/// The key of a name's table, as it is mostly written.
fn relative_key(owner: &Name, apex: &Name) -> String {
    dotted("name", &relative(owner, apex))
}

/// A name without its apex, `@` for the apex itself.
pub(super) fn relative(owner: &Name, apex: &Name) -> String {
    let (whole, apex) = (owner.to_string(), apex.to_string());
    match whole.strip_suffix(&apex).map(|rest| rest.trim_end_matches('.')) {
        Some("") => "@".to_owned(),
        Some(rest) => rest.to_owned(),
        None => whole,
    }
}

/// Name servers inside the zone need addresses in it, or nobody finds them.
fn check_name_servers(
    spec: &ZoneSpec,
    steered: &[(At<Name>, SteerId)],
    records: &[PlacedRecord],
    problems: &mut Problems,
) {
    let apex = &spec.apex.value;
    let servers = records
        .iter()
        .filter(|placed| placed.record.rtype == RecordType::NS && placed.record.owner == *apex);
    for placed in servers {
        let server = Name::from_wire(&placed.record.rdata);
        let Some(server) = server.filter(|server| server.is_within(apex)) else { continue };
        let has_address = records.iter().any(|placed| {
            let Record { owner, rtype, .. } = &placed.record;
            *owner == server && (*rtype == RecordType::A || *rtype == RecordType::AAAA)
        });
        let is_steered = steered.iter().any(|(name, _)| name.value == server);
        if has_address || is_steered {
            continue;
        }
        let fault = format!("the name server {server} lies in the zone and has no address");
        let relative = relative(&server, apex);
        let remedy = match spec.authority {
            Authority::Made { .. } => {
                format!("add [{}.records] with A = [\"…\"]", dotted("name", &relative))
            }
            Authority::Written => format!("add: {relative} A …"),
        };
        problems.error(&placed.place, &placed.key, fault, remedy);
    }
}

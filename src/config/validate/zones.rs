//! Zones: their authority, their records, and what may stand beside what.

use std::collections::HashMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::Place;
use crate::config::read;
use crate::config::reader::dotted;
use crate::config::spec::Authority;
use crate::config::spec::FileSpec;
use crate::config::spec::ZoneSpec;
use crate::config::validate::Directory;
use crate::config::validate::authority;
use crate::config::validate::coexistence;
use crate::config::validate::hints;
use crate::config::validate::hints::Follower;
use crate::config::validate::names;
use crate::config::validate::placed::Placed;
use crate::config::validate::pools;
use crate::config::validate::sets;
use crate::config::validate::strays;
use crate::model;
use crate::model::LeafRecords;
use crate::model::Model;
use crate::model::Steer;
use crate::model::SteerId;
use crate::model::Zone;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile;
use crate::zonefile::Owner;
use crate::zonefile::Owners;
use crate::zonefile::Parsed;
use crate::zonefile::Record;
use crate::zonefile::Records;
use crate::zonefile::Source;

/// SOA refresh, retry and expire in seconds: nobody transfers a made zone, so they only look familiar.
const SOA_TIMES: [u32; 3] = [7200, 1800, 1_209_600];

/// Steered names: where each is written, its steering, and what it answers with.
pub(super) type Steered = HashMap<Name, (Place, SteerId, LeafRecords)>;

/// A zone whose records are there, to be checked as a whole.
pub(super) struct Checked<'a> {
    pub(super) spec: &'a ZoneSpec,
    pub(super) placed: &'a Placed,
    pub(super) owners: &'a Owners,
    pub(super) steered: &'a Steered,
}

impl<'a> Checked<'a> {
    /// The owner of this name in wire form.
    pub(super) fn find(&self, name: &[u8]) -> Option<Owner<'a>> {
        self.owners.find(&self.placed.records, name)
    }

    /// Every owner.
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner<'a>> {
        self.owners.iter(&self.placed.records)
    }

    /// `name` and the names above it, down to the apex, which is left out.
    pub(super) fn ancestors<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'n [u8]> {
        let apex_len = self.spec.apex.value.as_wire().len();
        let is_below = move |name: &&[u8]| name.len() > apex_len;
        std::iter::successors(Some(name), |name| Some(&name[1 + usize::from(name[0])..]))
            .take_while(is_below)
    }
}

/// Adds every zone with its names. Names in a file without a zone are a problem.
pub(super) fn add_zones(
    files: &Files,
    specs: &mut [FileSpec],
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) {
    let mut apexes: HashMap<Name, Place> = HashMap::new();
    let mut followers = Vec::new();
    for spec in specs {
        let written = spec.zone.as_mut().map(|zone| std::mem::take(&mut zone.written));
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
        let written = written.unwrap_or_default();
        let (zone, of_zone) = build_zone(files, (zone, written), spec, directory, model, problems);
        model.zones.push(zone);
        followers.extend(of_zone);
    }
    // What a zone that could not be read has is not known.
    if !problems.has_errors() {
        hints::check(followers, model, problems);
    }
}

fn build_zone(
    files: &Files,
    (spec, written): (&ZoneSpec, Parsed),
    file: &FileSpec,
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) -> (Zone, Vec<Follower>) {
    let mut placed = written_records(files, spec, written, problems);
    let mut steered: Steered = HashMap::new();
    let mut tables: HashMap<Name, Place> = HashMap::new();
    for name in &file.names {
        let Some(owner) = names::owner(spec, name, problems) else { continue };
        let place = &name.name.place;
        if let Some(first) = tables.insert(owner.clone(), place.clone()) {
            let key = dotted("name", &name.name.value);
            let fault = format!("{owner} has a table already");
            let remedy =
                "write one table for a name; case and the zone's own name make no difference";
            problems.error_with(place, key, fault, remedy, (first, "first here"));
            continue;
        }
        names::records(files, spec, &owner, name, &mut placed, problems);
        let Some(steer) = &name.steer else { continue };
        if let Some(steer) = names::steer(spec, &owner, name, steer, directory, model, problems) {
            let records = names::records_of(directory, model, steer.target);
            steered.insert(owner, (place.clone(), add_steer(model, steer), records));
        }
    }
    add_authority(spec, &steered, &mut placed);
    // A master file that has no end says so itself.
    if placed.is_overfull && placed.is_whole {
        problems.error(&spec.apex.place, "zone.name", "the zone is larger than 2 GB", "split it");
    }
    let mut owners = Owners::new(&placed.records);
    sets::check(&mut placed, &mut owners, problems);
    let checked = Checked { spec, placed: &placed, owners: &owners, steered: &steered };
    coexistence::check(&checked, problems);
    authority::check(&checked, problems);
    let followers = hints::collect(&checked, problems);
    if !problems.has_errors() {
        strays::warn(file, &checked, problems);
    }
    let steered = steered.into_iter();
    let mut steered: Vec<_> = steered
        .map(|(owner, (_, steer, records))| model::Steered { owner, steer, records })
        .collect();
    steered.sort_unstable_by_key(|steered| steered.steer);
    let zone = Zone {
        apex: spec.apex.value.clone(),
        records: placed.records,
        owners: owners.into_gathered(),
        steered,
    };
    (zone, followers)
}

fn add_steer(model: &mut Model, steer: Steer) -> SteerId {
    model.steers.push(steer);
    SteerId::at(model.steers.len() - 1)
}

/// Records of master files: the zone's own, or those of the one that `records` names.
fn written_records(
    files: &Files,
    spec: &ZoneSpec,
    written: Parsed,
    problems: &mut Problems,
) -> Placed {
    let Some(name) = &spec.records else {
        return Placed::of(written, spec.is_whole);
    };
    let Some((id, file)) = files.find_beside(spec.file, &name.value) else {
        let fault = format!("there is no file \"{}\"", name.value);
        let remedy = pools::missing_file_remedy(files, name);
        problems.error(&name.place, "zone.records", fault, remedy);
        return Placed::default();
    };
    let source = Source { file: id.0, text: &file.text };
    let mut parsed = zonefile::parse(source, &spec.apex.value, spec.record_ttl, &files);
    let faults = std::mem::take(&mut parsed.faults);
    let placed = Placed::of(parsed, faults.is_empty());
    read::report(faults, problems);
    for (position, record) in placed.records.iter().enumerate() {
        if record.rtype == RecordType::SOA {
            let fault = "the SOA is made from [zone]";
            problems.error(&placed.place(position), "", fault, "take it out");
        }
    }
    placed
}

/// Makes SOA and NS from `[zone]`.
fn add_authority(spec: &ZoneSpec, steered: &Steered, placed: &mut Placed) {
    let apex = &spec.apex.value;
    let Authority::Made { nameservers, contact, negative_ttl, nameserver_ttl } = &spec.authority
    else {
        return;
    };
    let Some(primary) = nameservers.first() else { return };
    let ttl = *nameserver_ttl;
    for server in nameservers {
        let from = (&server.place, "zone.nameservers");
        placed.push(apex, RecordType::NS, ttl, server.value.as_wire(), from);
    }
    let mut soa = [primary.value.as_wire(), contact.as_wire()].concat();
    let serial = serial_of(&placed.records, steered);
    for number in [serial].into_iter().chain(SOA_TIMES).chain([*negative_ttl]) {
        soa.extend_from_slice(&number.to_be_bytes());
    }
    placed.push(apex, RecordType::SOA, ttl, &soa, (&spec.apex.place, "zone.name"));
}

/// A serial that equal content gives on every node, in whatever order it is written.
fn serial_of(records: &Records, steered: &Steered) -> u32 {
    let hash = |parts: &[&[u8]]| {
        let mut hasher = SipHasher24::new();
        parts.iter().for_each(|part| hasher.write(part));
        hasher.finish()
    };
    let written = records.iter().map(|Record { owner, rtype, ttl, rdata }| {
        hash(&[owner, &rtype.0.to_be_bytes(), &ttl.to_be_bytes(), rdata])
    });
    let sum = written
        .chain(steered.keys().map(|owner| hash(&[owner.as_wire()])))
        .fold(0, u64::wrapping_add);
    (sum >> 32) as u32
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

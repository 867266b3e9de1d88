//! `[zone]`, and zones that are a master file.

use std::path::Path;

use crate::config::Files;
use crate::config::Problems;
use crate::config::keys::NAMESERVER_TTL;
use crate::config::keys::NEGATIVE_TTL;
use crate::config::keys::RECORD_TTL;
use crate::config::keys::STEERED_TTL;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::read::name;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::spec::Authority;
use crate::config::spec::Broken;
use crate::config::spec::FileSpec;
use crate::config::spec::ZoneSpec;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile;
use crate::zonefile::Fault;
use crate::zonefile::Parsed;
use crate::zonefile::Source;

pub(super) fn read_zone(value: &Value<'_>, problems: &mut Problems) -> Option<ZoneSpec> {
    let mut section = value.section_like("a table: [zone]", problems)?;
    let apex = section.need("name", problems).and_then(|v| v.parsed(read_domain, problems));
    let nameservers = section.need("nameservers", problems);
    let nameservers =
        nameservers.map(|value| read_nameservers(&value, problems)).unwrap_or_default();
    let contact = section.take("contact").and_then(|value| value.parsed(read_contact, problems));
    let steered_ttl = read_ttl(&mut section, "steered_ttl", STEERED_TTL, problems);
    let record_ttl = read_ttl(&mut section, "record_ttl", RECORD_TTL, problems);
    let negative_ttl = read_ttl(&mut section, "negative_ttl", NEGATIVE_TTL, problems);
    let nameserver_ttl = read_ttl(&mut section, "nameserver_ttl", NAMESERVER_TTL, problems);
    let records = section.take("records").and_then(|value| value.string(problems));
    let file = section.file;
    section.finish(problems);
    let apex = apex?;
    let contact = contact.map(|at| at.value).or_else(|| apex.value.child(b"hostmaster"))?;
    Some(ZoneSpec {
        file,
        authority: Authority::Made {
            nameservers,
            contact,
            negative_ttl: negative_ttl.value,
            nameserver_ttl: nameserver_ttl.value,
        },
        apex,
        steered_ttl,
        record_ttl: record_ttl.value,
        records,
        written: Parsed::default(),
        is_whole: true,
    })
}

fn read_ttl(
    section: &mut Section<'_>,
    key: &'static str,
    default: u32,
    problems: &mut Problems,
) -> At<u32> {
    let ttl = section.take(key).and_then(|value| name::read_ttl(&value, problems));
    ttl.unwrap_or(At { value: default, place: section.place.clone() })
}

fn read_domain(text: &str) -> Result<Name, Refusal> {
    Name::absolute(text).map_err(|why| {
        (format!("\"{text}\": {why}"), "write a name such as \"gtm.example.com\"".into())
    })
}

/// A host's whole name: a single label would be a top-level domain, which nobody means.
fn read_host(text: &str) -> Result<Name, Refusal> {
    match read_domain(text) {
        Ok(name) if name.labels().count() < 2 => Err((
            format!("\"{text}\" is not a whole name"),
            "write it out, as \"ns1.example.net\"".into(),
        )),
        other => other,
    }
}

fn read_nameservers(value: &Value<'_>, problems: &mut Problems) -> Vec<At<Name>> {
    let Some(texts) = value.strings(problems) else { return Vec::new() };
    if texts.is_empty() {
        problems.error(
            &value.place,
            &value.path,
            "no name server is named",
            "name at least one, better two",
        );
    }
    let parse = |text: At<String>| match read_host(&text.value) {
        Ok(name) => Some(At { value: name, place: text.place }),
        Err((fault, remedy)) => {
            problems.error(&text.place, &value.path, fault, remedy);
            None
        }
    };
    texts.into_iter().filter_map(parse).collect()
}

/// A mailbox, `@` or not, as the name an SOA holds (RFC 1035 section 8).
fn read_contact(text: &str) -> Result<Name, Refusal> {
    let escaped = match text.split_once('@') {
        Some((local, domain)) => format!("{}.{domain}", local.replace('.', "\\.")),
        None => text.to_owned(),
    };
    let remedy = || "write a mailbox such as \"hostmaster@example.com\"".to_owned();
    match Name::absolute(&escaped) {
        Ok(name) if name.labels().count() < 2 => {
            Err((format!("\"{text}\" is not a mailbox"), remedy()))
        }
        other => other.map_err(|why| (format!("\"{text}\": {why}"), remedy())),
    }
}

/// Reads a zone that is wholly a master file. Until its SOA says otherwise the file's name is the origin.
pub fn read_zone_file(files: &Files, id: FileId, problems: &mut Problems) -> FileSpec {
    let file = files.get(id);
    let stem = Path::new(&*file.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    let origin = Name::absolute(stem).unwrap_or_else(|_| Name::root());
    let source = Source { file: id.0, text: &file.text };
    let mut parsed = zonefile::parse(source, &origin, RECORD_TTL, &files);
    let is_whole = parsed.faults.is_empty();
    report(std::mem::take(&mut parsed.faults), problems);
    let soa = (0..parsed.records.len())
        .find(|&position| parsed.records.get(position).rtype == RecordType::SOA);
    let Some(soa) = soa else {
        let broken = Broken { zone: true, ..Broken::default() };
        let is_written = file.text.split_whitespace().any(|word| word.eq_ignore_ascii_case("SOA"));
        if is_written && !is_whole {
            return FileSpec { broken, ..FileSpec::default() }; // its fault has been reported
        }
        let remedy = "begin with: @ 3600 SOA ns1 hostmaster 1 2h 30m 2w 30";
        problems.error(&Place { file: id, span: 0..0 }, "", "the zone has no SOA record", remedy);
        return FileSpec { broken, ..FileSpec::default() };
    };
    let owner = parsed.records.get(soa).owner_name();
    let apex = At { value: owner, place: Place::from(parsed.places[soa]) };
    let zone = ZoneSpec {
        file: id,
        steered_ttl: At { value: STEERED_TTL, place: apex.place.clone() },
        apex,
        authority: Authority::Written,
        record_ttl: RECORD_TTL,
        records: None,
        written: parsed,
        is_whole,
    };
    FileSpec { zone: Some(zone), ..FileSpec::default() }
}

/// Reports faults of master files.
pub fn report(faults: Vec<(usize, Fault)>, problems: &mut Problems) {
    for (file, Fault { span, message, remedy }) in faults {
        problems.error(&Place { file: FileId(file), span }, "", message, remedy);
    }
}

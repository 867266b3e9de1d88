//! `[zone]`, and zones that are a master file.

use std::path::Path;

use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::read::name::ttl_range;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::spec::Authority;
use crate::config::spec::FileSpec;
use crate::config::spec::ZoneSpec;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile;

/// TTLs when nothing is said, in seconds.
const STEERED_TTL: u32 = 30;
const RECORD_TTL: u32 = 3600;
const NEGATIVE_TTL: u32 = 30;
const NAMESERVER_TTL: u32 = 86_400;

pub(super) fn read_zone(root: &mut Section<'_>, problems: &mut Problems) -> Option<ZoneSpec> {
    let mut section = root.take("zone")?.section(problems)?;
    let apex = section
        .need("name", "\"gtm.example.com\"", problems)
        .and_then(|v| v.parsed(read_domain, problems));
    let nameservers =
        section.need("nameservers", "[\"ns1.example.net\", \"ns2.example.net\"]", problems);
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
        authority: Authority::Made { nameservers, contact, negative_ttl, nameserver_ttl },
        apex,
        steered_ttl,
        record_ttl,
        records,
        entries: Vec::new(),
    })
}

fn read_ttl(
    section: &mut Section<'_>,
    key: &'static str,
    default: u32,
    problems: &mut Problems,
) -> u32 {
    let ttl = section.take(key).and_then(|value| value.duration(ttl_range(), problems));
    ttl.map_or(default, |at| at.value.as_secs() as u32)
}

fn read_domain(text: &str) -> Result<Name, Refusal> {
    Name::absolute(text).map_err(|why| {
        (format!("\"{text}\": {why}"), "write a name such as \"gtm.example.com\"".into())
    })
}

fn read_nameservers(value: &Value<'_>, problems: &mut Problems) -> Vec<At<Name>> {
    let texts = value.strings(problems).unwrap_or_default();
    if texts.is_empty() {
        problems.error(
            &value.place,
            &value.path,
            "no name server is named",
            "name at least one, better two",
        );
    }
    let parse = |text: At<String>| match read_domain(&text.value) {
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
    Name::absolute(&escaped).map_err(|why| (format!("\"{text}\": {why}"), remedy()))
}

/// Reads a zone that is wholly a master file. Until its SOA says otherwise the file's name is the origin.
pub fn read_zone_file(id: FileId, file: &SourceFile, problems: &mut Problems) -> FileSpec {
    let stem = Path::new(&*file.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    let origin = Name::absolute(stem).unwrap_or_else(|_| Name::root());
    let parsed = zonefile::parse(&file.text, &origin);
    for fault in parsed.faults {
        problems.error(&Place { file: id, span: fault.span }, "", fault.message, fault.remedy);
    }
    let soa = parsed.entries.iter().find(|entry| entry.rtype == RecordType::SOA);
    let Some(soa) = soa else {
        let remedy = "begin with: @ 3600 SOA ns1 hostmaster 1 2h 30m 2w 30";
        problems.error(&Place { file: id, span: 0..0 }, "", "the zone has no SOA record", remedy);
        return FileSpec::default();
    };
    let apex = At { value: soa.owner.clone(), place: Place { file: id, span: soa.span.clone() } };
    let zone = ZoneSpec {
        file: id,
        apex,
        authority: Authority::Written,
        steered_ttl: STEERED_TTL,
        record_ttl: RECORD_TTL,
        records: None,
        entries: parsed.entries,
    };
    FileSpec { zone: Some(zone), ..FileSpec::default() }
}

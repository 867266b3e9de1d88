//! What may stand beside, above and below what (RFC 1034 section 3.6.2, RFC 6672 section 2.4).

use crate::config::Problems;
use crate::config::reader::dotted;
use crate::config::validate::zones::Checked;
use crate::config::validate::zones::relative;
use crate::model::LeafRecords;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Owner;
use crate::zonefile::Record;

/// Types that may stand beside a CNAME: they are about the name, not of it (RFC 4035 section 2.5, RFC 2535).
const BESIDE_ALIAS: [RecordType; 5] =
    [RecordType::RRSIG, RecordType::NSEC, RecordType::SIG, RecordType::KEY, RecordType::NXT];

/// Checks every owner of a zone.
pub(super) fn check(zone: &Checked<'_>, problems: &mut Problems) {
    let mut has_dname = false;
    for owner in zone.owners() {
        if !is_within(owner.name, zone.spec.apex.value.as_wire()) {
            report_stranger(zone, owner, problems);
            continue;
        }
        check_alias(zone, owner, problems);
        check_steered(zone, owner, problems);
        has_dname |= check_dname(zone, owner, problems);
    }
    for owner in zone.steered.keys() {
        check_above_steered(zone, owner, problems);
        check_steered_alias(zone, owner, problems);
    }
    if has_dname {
        zone.owners().for_each(|owner| check_hidden(zone, owner, problems));
    }
}

fn report_stranger(zone: &Checked<'_>, owner: Owner<'_>, problems: &mut Problems) {
    for (at, record) in owner.iter() {
        let fault = format!("{} is not in the zone {}", record.owner_name(), zone.spec.apex.value);
        let remedy = "move it to its own zone, or take the dot from its end";
        problems.error(&zone.placed.place(at), zone.placed.key(at), fault, remedy);
    }
}

/// A CNAME stands alone.
fn check_alias(zone: &Checked<'_>, owner: Owner<'_>, problems: &mut Problems) {
    let Some((at, alias)) = owner.find(RecordType::CNAME) else { return };
    let (place, key) = (zone.placed.place(at), zone.placed.key(at));
    let name = alias.owner_name();
    let other =
        owner.iter().find(|(other, record)| *other != at && !BESIDE_ALIAS.contains(&record.rtype));
    if let Some((other, _)) = other {
        let also = (zone.placed.place(other), "beside this record");
        let fault = format!("{name} is an alias and has other records");
        let remedy = "a CNAME stands alone (RFC 1034 section 3.6.2)";
        problems.error_with(&place, key, fault, remedy, also);
    } else if let Some((steered, ..)) = zone.steered.get(&name) {
        let also = (steered.clone(), "steered here");
        let fault = format!("{name} is an alias and is steered");
        problems.error_with(&place, key, fault, "keep one", also);
    }
}

/// A steered name has no addresses of its own.
fn check_steered(zone: &Checked<'_>, owner: Owner<'_>, problems: &mut Problems) {
    if zone.steered.is_empty() {
        return;
    }
    let fixed = [RecordType::A, RecordType::AAAA, RecordType::SRV];
    let Some((_, fixed)) = fixed.into_iter().find_map(|rtype| owner.find(rtype)) else { return };
    let name = fixed.owner_name();
    let Some((steered, _, records)) = zone.steered.get(&name) else { return };
    let (refused, remedy) = match records {
        // Everything beside it is reported at once.
        LeafRecords::Cname => return,
        LeafRecords::Addresses => (&[RecordType::A, RecordType::AAAA][..], "address"),
        LeafRecords::Srv => (&[RecordType::A, RecordType::AAAA, RecordType::SRV][..], "record"),
    };
    let Some((at, fixed)) = refused.iter().find_map(|&rtype| owner.find(rtype)) else { return };
    let fault = format!("{name} is steered and has {} records", fixed.rtype);
    let remedy = format!("put the {remedy} into a pool, or do not steer the name");
    let also = (steered.clone(), "steered here");
    problems.error_with(&zone.placed.place(at), zone.placed.key(at), fault, remedy, also);
}

/// A name that is steered to CNAME records stands alone, and is no apex.
fn check_steered_alias(zone: &Checked<'_>, owner: &Name, problems: &mut Problems) {
    let (steered, _, records) = &zone.steered[owner];
    if *records != LeafRecords::Cname {
        return;
    }
    let apex = &zone.spec.apex.value;
    let key = dotted("name", &relative(owner, apex));
    if owner == apex {
        let fault =
            format!("{owner} is the zone itself, which has SOA and NS records, and no CNAME");
        let remedy = "use endpoints with `alias` in place of `cname`: their addresses are answered";
        problems.error(steered, key, fault, remedy);
        return;
    }
    let other = zone.find(owner.as_wire());
    let is_beside = |record: &Record<'_>| {
        !BESIDE_ALIAS.contains(&record.rtype) && record.rtype != RecordType::CNAME
    };
    let other = other.and_then(|other| other.iter().find(|(_, record)| is_beside(record)));
    if let Some((at, record)) = other {
        let fault =
            format!("{owner} is steered to CNAME records and has a {} record", record.rtype);
        let remedy = "a CNAME stands alone (RFC 1034 section 3.6.2); `alias` does not need to";
        let also = (steered.clone(), "steered here");
        problems.error_with(&zone.placed.place(at), zone.placed.key(at), fault, remedy, also);
    }
}

/// A name has one DNAME, and not beside a delegation (RFC 6672 sections 2.3 and 2.4); whether it has any.
fn check_dname(zone: &Checked<'_>, owner: Owner<'_>, problems: &mut Problems) -> bool {
    let mut all = owner.iter().filter(|(_, record)| record.rtype == RecordType::DNAME);
    let Some((first, record)) = all.next() else { return false };
    let name = record.owner_name();
    let mut error = |at, other, fault, remedy| {
        let also = (zone.placed.place(other), "beside this record");
        problems.error_with(&zone.placed.place(at), zone.placed.key(at), fault, remedy, also);
    };
    if let Some((second, _)) = all.next() {
        error(second, first, format!("{name} has two DNAME records"), "keep one");
    }
    let is_apex = owner.name == zone.spec.apex.value.as_wire();
    if let Some((ns, _)) = owner.find(RecordType::NS).filter(|_| !is_apex) {
        let fault = format!("{name} is delegated and has a DNAME record");
        error(first, ns, fault, "keep one (RFC 6672 section 2.3)");
    }
    true
}

/// Nobody asks this server for what lies below a delegation or a DNAME (RFC 1034 section 4.2.1).
fn check_above_steered(zone: &Checked<'_>, owner: &Name, problems: &mut Problems) {
    let steered = &zone.steered[owner].0;
    let apex = zone.spec.apex.value.as_wire();
    let key = dotted("name", &relative(owner, &zone.spec.apex.value));
    for name in zone.ancestors(owner.as_wire()).chain([apex]) {
        let Some(above) = zone.find(name) else { continue };
        if let Some((at, cut)) = above.find(RecordType::NS).filter(|_| name != apex) {
            let fault = format!("{owner} is steered, but {} is delegated", cut.owner_name());
            let remedy = "steer it in the zone it is delegated to, or take the NS records out";
            let also = (zone.placed.place(at), "delegated here");
            problems.error_with(steered, key, fault, remedy, also);
            return;
        }
        let dname = above.find(RecordType::DNAME).filter(|_| name != owner.as_wire());
        if let Some((at, dname)) = dname {
            let fault = format!("{owner} is steered, but {} is a DNAME", dname.owner_name());
            let also = (zone.placed.place(at), "everything below it is elsewhere");
            problems.error_with(steered, key, fault, "keep one", also);
            return;
        }
    }
}

/// Nothing stands below a DNAME: it would never be answered (RFC 6672 section 2.4).
fn check_hidden(zone: &Checked<'_>, owner: Owner<'_>, problems: &mut Problems) {
    let apex = zone.spec.apex.value.as_wire();
    let above = zone.ancestors(owner.name).skip(1).chain(Some(apex).filter(|_| owner.name != apex));
    let dname = above.filter_map(|name| zone.find(name)?.find(RecordType::DNAME)).next();
    let (Some((_, dname)), Some((at, record))) = (dname, owner.iter().next()) else { return };
    let fault = format!("{} is hidden by the DNAME of {}", record.owner_name(), dname.owner_name());
    problems.error(&zone.placed.place(at), zone.placed.key(at), fault, "take it out");
}

/// Whether a name in wire form is `apex` or below it.
fn is_within(mut name: &[u8], apex: &[u8]) -> bool {
    while name.len() > apex.len() {
        name = &name[1 + usize::from(name[0])..];
    }
    name == apex
}

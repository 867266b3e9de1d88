//! Warnings about names that lack their last dot, so that the zone's own name is added to them.

use crate::config::Problems;
use crate::config::reader::dotted;
use crate::config::spec::FileSpec;
use crate::config::spec::ZoneSpec;
use crate::config::validate::zones::Checked;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Record;

pub(super) fn warn(file: &FileSpec, zone: &Checked<'_>, problems: &mut Problems) {
    warn_of_owners(file, zone.spec, problems);
    warn_of_targets(zone, problems);
}

/// `[name."www.example.com"]` in the zone example.com is www.example.com.example.com.
fn warn_of_owners(file: &FileSpec, zone: &ZoneSpec, problems: &mut Problems) {
    for name in &file.names {
        let Ok(whole) = Name::absolute(&name.name.value) else { continue };
        if name.name.value.ends_with('.') || !whole.is_within(&zone.apex.value) {
            continue;
        }
        let key = dotted("name", &name.name.value);
        let fault = format!("this is {whole}{}", zone.apex.value);
        problems.warning(&name.name.place, key, fault, "leave the zone's name out");
    }
}

/// A target in the zone that the zone does not have is mostly a whole name without its dot.
fn warn_of_targets(zone: &Checked<'_>, problems: &mut Problems) {
    for (at, record) in zone.placed.records.iter().enumerate() {
        let Some(target) = find_target(record) else { continue };
        let is_ours = target.is_within(&zone.spec.apex.value);
        if !is_ours || is_there(zone, &target) || is_covered(zone, &target) {
            continue;
        }
        let fault = format!("it leads to {target}, which is not there");
        let remedy = "add that name, or end a name of another zone with a dot";
        problems.warning(&zone.placed.place(at), zone.placed.key(at), fault, remedy);
    }
}

/// The name that a record leads to.
fn find_target(record: Record<'_>) -> Option<Name> {
    let skipped = match record.rtype {
        RecordType::CNAME | RecordType::NS => 0,
        RecordType::MX => 2,
        RecordType::SRV => 6,
        _ => return None,
    };
    Name::from_wire(record.rdata.get(skipped..)?)
}

fn is_there(zone: &Checked<'_>, name: &Name) -> bool {
    zone.find(name.as_wire()).is_some() || zone.steered.contains_key(name)
}

/// Whether a wildcard, a delegation or a DNAME above answers for `name`.
fn is_covered(zone: &Checked<'_>, name: &Name) -> bool {
    let mut above = Some(name.clone());
    while let Some(at) = above.filter(|at| at.is_within(&zone.spec.apex.value)) {
        let leads_on =
            |rtype| zone.find(at.as_wire()).is_some_and(|owner| owner.find(rtype).is_some());
        let is_cut = at != zone.spec.apex.value && leads_on(RecordType::NS);
        let is_wild = at.child(b"*").is_some_and(|wildcard| is_there(zone, &wildcard));
        if is_cut || is_wild || leads_on(RecordType::DNAME) {
            return true;
        }
        above = at.parent();
    }
    false
}

//! Warnings about names that lack their last dot, so that the zone's own name is added to them.

use std::collections::HashSet;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::dotted;
use crate::config::spec::FileSpec;
use crate::config::spec::PlacedRecord;
use crate::config::spec::ZoneSpec;
use crate::model::SteerId;
use crate::wire::Name;
use crate::wire::RecordType;

pub(super) fn warn(
    file: &FileSpec,
    zone: &ZoneSpec,
    steered: &[(At<Name>, SteerId)],
    records: &[PlacedRecord],
    problems: &mut Problems,
) {
    warn_of_owners(file, zone, problems);
    warn_of_targets(&zone.apex.value, steered, records, problems);
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
fn warn_of_targets(
    apex: &Name,
    steered: &[(At<Name>, SteerId)],
    records: &[PlacedRecord],
    problems: &mut Problems,
) {
    let mut there: HashSet<Name> = HashSet::new();
    let mut cuts: HashSet<&Name> = HashSet::new();
    let owners = records.iter().map(|placed| &placed.record.owner);
    for owner in owners.chain(steered.iter().map(|(owner, _)| &owner.value)) {
        there.insert(owner.clone());
    }
    for PlacedRecord { record, .. } in records {
        if record.rtype == RecordType::NS && record.owner != *apex {
            cuts.insert(&record.owner);
        }
    }
    for placed in records {
        let Some(target) = target(placed).filter(|target| target.is_within(apex)) else { continue };
        if there.contains(&target) || is_covered(&target, apex, &there, &cuts) {
            continue;
        }
        let fault = format!("it leads to {target}, which is not there");
        let remedy = "add that name, or end a name of another zone with a dot";
        problems.warning(&placed.place, &placed.key, fault, remedy);
    }
}

/// The name that a record leads to.
fn target(placed: &PlacedRecord) -> Option<Name> {
    let skipped = match placed.record.rtype {
        RecordType::CNAME | RecordType::NS => 0,
        RecordType::MX => 2,
        RecordType::SRV => 6,
        _ => return None,
    };
    Name::from_wire(placed.record.rdata.get(skipped..)?)
}

/// Whether a wildcard or a delegation above answers for `name`.
fn is_covered(name: &Name, apex: &Name, there: &HashSet<Name>, cuts: &HashSet<&Name>) -> bool {
    let mut above = Some(name.clone());
    while let Some(at) = above.filter(|at| at.is_within(apex)) {
        let wildcard = at.child(b"*");
        if cuts.contains(&at) || wildcard.is_some_and(|wildcard| there.contains(&wildcard)) {
            return true;
        }
        above = at.parent();
    }
    false
}

//! Hints of SVCB and HTTPS records that follow addresses: there must be addresses of ours to follow.

use std::collections::HashSet;

use crate::config::Problems;
use crate::config::problem::Place;
use crate::config::validate::zones::Checked;
use crate::model::LeafRecords;
use crate::model::Model;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::wire::compress::name_len;
use crate::wire::service::find_auto;

/// A record with hints that follow addresses.
pub(super) struct Follower {
    place: Place,
    key: String,
    /// Whose addresses it follows.
    target: Name,
}

/// The records of a zone whose hints follow addresses.
pub(super) fn collect(zone: &Checked<'_>, problems: &mut Problems) -> Vec<Follower> {
    let mut found = Vec::new();
    for (at, record) in zone.placed.records.iter().enumerate() {
        let has_hints = record.rtype == RecordType::HTTPS || record.rtype == RecordType::SVCB;
        if !has_hints || find_auto(record.rdata, 0).is_none() {
            continue;
        }
        let (place, key) = (zone.placed.place(at), zone.placed.key(at).to_owned());
        if record.rdata[..2] == [0, 0] {
            let fault = "a record of priority 0 only leads to another name, and has no hints";
            problems.error(&place, key, fault, "take them out, or write a priority of 1 or more");
            continue;
        }
        let target = record.rdata.get(2..).and_then(|rest| rest.get(..name_len(rest)?));
        let target = target.and_then(Name::from_wire).filter(|name| name.labels().count() > 0);
        let target = target.unwrap_or_else(|| record.owner_name());
        found.push(Follower { place, key, target });
    }
    found
}

/// Refuses those that follow nothing.
pub(super) fn check(followers: Vec<Follower>, model: &Model, problems: &mut Problems) {
    if followers.is_empty() {
        return;
    }
    let known = names_with_addresses(model);
    let has_addresses = |name: &Name| {
        let above = std::iter::successors(name.parent(), Name::parent);
        let mut wildcards = above.filter_map(|name| name.child(b"*"));
        known.contains(name) || wildcards.any(|wildcard| known.contains(&wildcard))
    };
    for Follower { place, key, target } in followers.iter().filter(|f| !has_addresses(&f.target)) {
        let fault = format!("auto follows the addresses of {target}, and no zone here has any");
        let remedy =
            "write the addresses, or name a target that is steered or has A or AAAA records here";
        problems.error(place, key, fault, remedy);
    }
}

/// Every name of ours that answers A or AAAA with addresses, wildcards as they are written.
fn names_with_addresses(model: &Model) -> HashSet<Name> {
    let mut known = HashSet::new();
    for zone in &model.zones {
        let steered = zone.steered.iter().filter(|one| one.records == LeafRecords::Addresses);
        known.extend(steered.map(|one| one.owner.clone()));
        let fixed = zone.records.iter();
        let fixed = fixed.filter(|one| matches!(one.rtype, RecordType::A | RecordType::AAAA));
        known.extend(fixed.map(|one| one.owner_name()));
    }
    known
}

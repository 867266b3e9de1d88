//! A zone's SOA and name servers.

use crate::config::Problems;
use crate::config::reader::dotted;
use crate::config::spec::Authority;
use crate::config::validate::zones::Checked;
use crate::config::validate::zones::relative;
use crate::model::LeafRecords;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Owner;

/// Checks that a zone has one SOA, name servers, and their addresses where they lie in it.
pub(super) fn check(zone: &Checked<'_>, problems: &mut Problems) {
    if matches!(zone.spec.authority, Authority::Written) {
        check_soa(zone, problems);
    }
    // What seems to be missing may stand in a line that could not be read.
    if zone.placed.is_whole {
        check_name_servers(zone, problems);
        zone.owners().for_each(|owner| check_glue(zone, owner, problems));
    }
}

fn check_soa(zone: &Checked<'_>, problems: &mut Problems) {
    let soas = zone.placed.records.iter().enumerate();
    let mut soas = soas.filter(|(_, record)| record.rtype == RecordType::SOA).map(|(at, _)| at);
    let Some(first) = soas.next() else { return };
    for extra in soas {
        let also = (zone.placed.place(first), "first here");
        let place = zone.placed.place(extra);
        problems.error_with(&place, "", "a second SOA record", "keep one", also);
    }
}

/// Name servers inside the zone need addresses in it, or nobody finds them.
fn check_name_servers(zone: &Checked<'_>, problems: &mut Problems) {
    let apex = &zone.spec.apex.value;
    let is_written = matches!(zone.spec.authority, Authority::Written);
    let Some(owner) = zone.find(apex.as_wire()) else { return };
    if is_written && owner.find(RecordType::NS).is_none() {
        let fault = "the zone has no NS record at its apex";
        problems.error(&zone.spec.apex.place, "", fault, "add: @ NS ns1");
    }
    for (at, record) in owner.iter().filter(|(_, record)| record.rtype == RecordType::NS) {
        let server = Name::from_wire(record.rdata);
        let Some(server) = server.filter(|server| server.is_within(apex)) else { continue };
        let (place, key) = (zone.placed.place(at), zone.placed.key(at));
        let found = zone.find(server.as_wire());
        if let Some((alias, _)) = found.and_then(|found| found.find(RecordType::CNAME)) {
            let fault = format!("the name server {server} is an alias");
            let remedy = "name the server by a name with addresses (RFC 2181 section 10.3)";
            let also = (zone.placed.place(alias), "its alias");
            problems.error_with(&place, key, fault, remedy, also);
            continue;
        }
        let addresses = [RecordType::A, RecordType::AAAA];
        let has_address = found
            .is_some_and(|found| addresses.into_iter().any(|rtype| found.find(rtype).is_some()));
        let steered = zone.steered.get(&server);
        if has_address || steered.is_some_and(|(.., records)| *records == LeafRecords::Addresses) {
            continue;
        }
        let fault = format!("the name server {server} lies in the zone and has no address");
        let relative = relative(&server, apex);
        let remedy = match is_written {
            false => format!("add [{}.records] with A = [\"…\"]", dotted("name", &relative)),
            true => format!("add: {relative} A …"),
        };
        problems.error(&place, key, fault, remedy);
    }
}

/// A delegation to a server at or below the delegated name cannot be followed without its address (RFC 1034 section 4.2.1).
fn check_glue(zone: &Checked<'_>, owner: Owner<'_>, problems: &mut Problems) {
    if owner.name == zone.spec.apex.value.as_wire() {
        return;
    }
    for (at, record) in owner.iter().filter(|(_, record)| record.rtype == RecordType::NS) {
        let (cut, server) = (record.owner_name(), Name::from_wire(record.rdata));
        let Some(server) = server.filter(|server| server.is_within(&cut)) else { continue };
        let addresses = [RecordType::A, RecordType::AAAA];
        let found = zone.find(server.as_wire());
        if found.is_some_and(|found| addresses.into_iter().any(|rtype| found.find(rtype).is_some()))
        {
            continue;
        }
        let fault = format!("{cut} is delegated to {server}, whose address is not here");
        let remedy = "add its A or AAAA record to this zone: glue";
        problems.error(&zone.placed.place(at), zone.placed.key(at), fault, remedy);
    }
}

//! Sets of records: duplicates, sizes, and one TTL for all of a set.

use crate::config::Problems;
use crate::config::validate::placed::Placed;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Owners;
use crate::zonefile::records::HEAD_LEN;

/// Largest set of records of one owner and type, in octets: the rest of a message is for its question and OPT record.
const RRSET_MAX: usize = 64_000;

/// Checks every set; duplicates are taken out of `owners`, and a set gets the lowest of its TTLs.
pub(super) fn check(placed: &mut Placed, owners: &mut Owners, problems: &mut Problems) {
    let mut duplicates = Vec::new();
    let mut ttls = Vec::new();
    for owner in owners.iter(&placed.records) {
        for (rtype, set) in owner.sets() {
            check_size(placed, rtype, set, problems);
            if set.len() == 1 {
                continue;
            }
            find_duplicates(placed, rtype, set, &mut duplicates, problems);
            ttls.extend(find_lowest_ttl(placed, rtype, set, problems));
        }
    }
    for (position, ttl) in ttls {
        placed.records.set_ttl(position, ttl);
    }
    if !duplicates.is_empty() {
        duplicates.sort_unstable();
        owners.remove(&duplicates);
    }
}

/// A record that is there twice counts once (RFC 2181 section 5).
fn find_duplicates(
    placed: &Placed,
    rtype: RecordType,
    set: &[u32],
    duplicates: &mut Vec<u32>,
    problems: &mut Problems,
) {
    if rtype == RecordType::SOA {
        return; // a second one is reported as such
    }
    let rdata = |at: u32| placed.records.get(at as usize).rdata;
    let mut sorted = set.to_vec();
    sorted.sort_by_key(|&at| (rdata(at), at));
    for pair in sorted.windows(2).filter(|pair| rdata(pair[0]) == rdata(pair[1])) {
        let (at, key) = (pair[1] as usize, placed.key(pair[1] as usize));
        let fault = format!("this {rtype} record of {} is there twice", owner(placed, at));
        let add = if key.is_empty() { Problems::warning } else { Problems::error };
        add(problems, &placed.place(at), key.to_owned(), fault, "take one out");
        duplicates.push(pair[1]);
    }
}

/// A set that no message can hold could never be answered (RFC 1035 section 4.2.2: 65,535 octets over TCP).
fn check_size(placed: &Placed, rtype: RecordType, set: &[u32], problems: &mut Problems) {
    let mut size = 0;
    for &at in set {
        let before = size;
        size += HEAD_LEN + placed.records.get(at as usize).rdata.len();
        // Said once, where the limit is crossed.
        if before <= RRSET_MAX && size > RRSET_MAX {
            let owner = owner(placed, at as usize);
            let fault = format!("the {rtype} records of {owner} do not fit a message");
            let remedy = format!("keep them below {RRSET_MAX} octets together");
            problems.error(&placed.place(at as usize), placed.key(at as usize), fault, remedy);
        }
    }
}

/// The records of a set that need another TTL: one set has one TTL (RFC 2181 section 5.2).
fn find_lowest_ttl(
    placed: &Placed,
    rtype: RecordType,
    set: &[u32],
    problems: &mut Problems,
) -> Vec<(usize, u32)> {
    let ttl = |at: u32| placed.records.get(at as usize).ttl;
    // Signatures of one owner sign sets with different TTLs (RFC 4034 section 3).
    if rtype == RecordType::RRSIG {
        return Vec::new();
    }
    let lowest = set.iter().map(|&at| ttl(at)).min().unwrap_or(0);
    let Some(&other) = set.iter().find(|&&at| ttl(at) != ttl(set[0])) else { return Vec::new() };
    let owner = owner(placed, other as usize);
    let fault = format!("the {rtype} records of {owner} have different TTLs; {lowest} is taken");
    let remedy = "give them one TTL (RFC 2181 section 5.2)";
    problems.warning(&placed.place(other as usize), placed.key(other as usize), fault, remedy);
    set.iter().map(|&at| (at as usize, lowest)).collect()
}

fn owner(placed: &Placed, position: usize) -> Name {
    placed.records.get(position).owner_name()
}

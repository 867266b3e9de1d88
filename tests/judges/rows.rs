//! The known differences between our replies and those of NSD 4.6, Knot 3.2 and BIND 9.18.

use crate::differences::Case;
use crate::differences::Part;
use crate::differences::Part::Aa;
use crate::differences::Part::Additional;
use crate::differences::Part::Answer;
use crate::differences::Part::Authority;
use crate::differences::Part::Edns;
use crate::differences::Part::Flags;
use crate::differences::Part::Presence;
use crate::differences::Part::Question;
use crate::differences::Part::Rcode;
use crate::differences::Part::Tc;
use crate::differences::Row;
use crate::reply::AA;
use crate::reply::Record;
use crate::reply::Reply;
use crate::reply::TC;
use crate::server::Judge::Bind;
use crate::server::Judge::Knot;
use crate::server::Judge::Nsd;

/// AD and CD of the header.
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;

const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const HINFO: u16 = 13;
const DNAME: u16 = 39;
const DS: u16 = 43;
const ANY: u16 = 255;

/// Octets that an address with a long name of its own takes: who leaves less room has left one out.
const MORE: usize = 64;

/// Octets of a name that may get too long by a DNAME of the test zones.
const LONG: usize = 200;

/// Everything that the records of a reply can differ in.
const RECORDS: &[Part] = &[Rcode, Aa, Tc, Answer, Authority, Additional];

/// Differences that stay: two ways that the RFCs allow, or a fault of the judge. Tried in this order.
pub const ROWS: &[Row] = &[
    Row {
        judge: None,
        parts: &[Rcode, Tc, Answer, Authority],
        reason: "the longest names in chains of DNAMEs: where one gets too long or fills the reply, judges go on, stop or say TC (RFC 6672 section 3.2)",
        applies: |case, ours, theirs| {
            let is_dname = |record: &Record| record.rtype == DNAME;
            let has_dname = [ours, theirs].iter().any(|reply| reply.answer().iter().any(is_dname));
            case.question.name.len() > LONG && (has_dname || ours.has(TC))
        },
    },
    Row {
        judge: None,
        parts: &[Rcode, Answer, Authority],
        reason: "ANY below a DNAME: NSD and Knot go on to what the alias leads to; ANY at an alias is the alias (RFC 8482 section 4.2)",
        applies: |case, ours, _| {
            case.question.qtype == ANY && ours.answer().iter().any(|record| record.rtype == DNAME)
        },
    },
    Row {
        judge: Some(Bind),
        parts: &[Flags],
        reason: "BIND repeats CD; an authoritative server should clear it (RFC 4035 section 3.1.6)",
        applies: |case, ours, theirs| {
            (ours.flags ^ theirs.flags) & !(AA | TC) == CD && case.question.flags[1] & 0x10 != 0
        },
    },
    Row {
        judge: None,
        parts: &[Presence, Rcode, Aa, Tc, Question, Answer, Authority, Additional, Edns],
        reason: "types that are no data: FORMERR or NOTIMP here, some judges look them up (RFC 6895 section 3.1)",
        applies: |case, ours, _| {
            matches!(case.question.qtype, 0 | 41 | 128..=250 | 253..=254)
                && matches!(ours.rcode, 1 | 4)
        },
    },
    Row {
        judge: None,
        parts: &[Rcode],
        reason: "transfers: refused here whatever the name, NOTAUTH where it is no apex (RFC 5936 section 2.2.1)",
        applies: |case, ours, _| matches!(case.question.qtype, 251 | 252) && ours.rcode == 5,
    },
    Row {
        judge: Some(Nsd),
        parts: &[Aa, Tc, Question, Rcode, Answer, Authority, Additional],
        reason: "ANY by UDP: NSD only says TC (RFC 8482 section 4.4)",
        applies: |case, _, theirs| {
            case.question.qtype == ANY && theirs.has(TC) && theirs.question.is_empty()
        },
    },
    Row {
        judge: None,
        parts: &[Tc, Answer, Additional],
        reason: "ANY: HINFO here, one set or all of them there (RFC 8482 section 4)",
        applies: |case, ours, _| {
            case.question.qtype == ANY && matches!(ours.answer(), [record] if record.rtype == HINFO)
        },
    },
    Row {
        judge: Some(Bind),
        parts: &[Tc, Answer, Authority, Additional],
        reason: "BIND keeps more room back than it uses and says TC; the whole reply fits (RFC 2181 section 9)",
        applies: |_, ours, theirs| theirs.has(TC) && !ours.has(TC),
    },
    Row {
        judge: Some(Bind),
        parts: &[Authority],
        reason: "BIND gives the SOA of a negative answer to SOA a TTL of 0; RFC 2308 section 3 wants the minimum",
        applies: |case, ours, theirs| {
            let ttls =
                |reply: &Reply| reply.authority().iter().map(|soa| soa.ttl).collect::<Vec<_>>();
            case.question.qtype == SOA && ttls(theirs) == [0] && ttls(ours).len() == 1
        },
    },
    Row {
        judge: None,
        parts: &[Authority],
        reason: "referral to a child with DS: here with it (RFC 4035 section 3.1.4), not there as the parent is unsigned",
        applies: |case, ours, theirs| {
            case.question.edns.is_some_and(|edns| edns.dnssec_ok)
                && without(ours.authority(), DS).into_iter().eq(theirs.authority())
        },
    },
    Row {
        judge: Some(Bind),
        parts: &[Rcode, Answer, Authority],
        reason: "an alias loop or a long chain: BIND gives up with SERVFAIL (RFC 1034 section 3.6.2 leaves it open)",
        applies: |_, ours, theirs| theirs.rcode == 2 && starts_with_alias(ours),
    },
    Row {
        judge: None,
        parts: RECORDS,
        reason: "an alias into another zone of ours is followed here; Knot and BIND stay in the zone (RFC 1034 section 4.3.2)",
        applies: |case, ours, theirs| {
            case.judge != Nsd
                && leaves_its_zone(case, ours)
                && is_part(theirs.answer(), ours.answer())
        },
    },
    Row {
        judge: None,
        parts: RECORDS,
        reason: "SIG, KEY, RRSIG, NSEC and NSEC3 may stand beside an alias: NODATA there, followed here (RFC 4035 section 2.5)",
        applies: |case, ours, theirs| {
            matches!(case.question.qtype, 24 | 25 | 46 | 47 | 50)
                && starts_with_alias(ours)
                && theirs.answer().is_empty()
        },
    },
    Row {
        judge: Some(Knot),
        parts: RECORDS,
        reason: "Knot follows at most five aliases (RFC 1034 section 3.6.2 leaves it open)",
        applies: |_, ours, theirs| {
            theirs.answer().len() == 5
                && theirs.answer().iter().all(|record| record.rtype == CNAME)
                && is_part(theirs.answer(), ours.answer())
        },
    },
    Row {
        judge: None,
        parts: &[Additional],
        reason: "a referral's addresses outside the cut: BIND leaves them out, others those of another zone (RFC 9471 section 2.2)",
        applies: |_, ours, theirs| {
            let Some(cut) = ours.authority().iter().find(|record| record.rtype == NS) else {
                return false;
            };
            is_part(theirs.additional(), ours.additional())
                && beyond(ours, theirs).all(|record| !record.owner.ends_with(&cut.owner))
        },
    },
    Row {
        judge: None,
        parts: &[Additional],
        reason: "a referral near the limit: in-domain glue comes first here, which of the rest finds room is open (RFC 9471 section 3)",
        applies: |case, ours, theirs| {
            let Some(cut) = ours.authority().iter().find(|record| record.rtype == NS) else {
                return false;
            };
            ours.len + MORE > case.question.limit()
                && beyond(theirs, ours).all(|record| !record.owner.ends_with(&cut.owner))
        },
    },
    Row {
        judge: None,
        parts: &[Tc, Authority, Additional],
        reason: "in-domain glue does not fit: TC here (RFC 9471 section 3.1), part of it without TC there",
        applies: |case, ours, theirs| {
            ours.has(TC)
                && !theirs.has(TC)
                && theirs.answer().is_empty()
                && theirs.authority().iter().any(|record| record.rtype == NS)
                && theirs.len + MORE > case.question.limit()
        },
    },
    Row {
        judge: None,
        parts: &[Additional],
        reason: "addresses beside an answer: each judge adds fewer, of its own zone or none (RFC 1034 section 4.3.2 leaves it open)",
        applies: |_, ours, theirs| {
            !ours.answer().is_empty()
                && !ours.additional().is_empty()
                && is_part(theirs.additional(), ours.additional())
        },
    },
    Row {
        judge: None,
        parts: &[Additional],
        reason: "addresses beside an answer that do not all find room: which ones do is open (RFC 2181 section 9)",
        applies: |case, ours, _| {
            !ours.answer().is_empty() && ours.len + MORE > case.question.limit()
        },
    },
    Row {
        judge: None,
        parts: &[Additional],
        reason: "addresses of targets are added for NS, MX, SRV, SVCB and HTTPS only; BIND adds them for older types too (RFC 1183)",
        applies: |case, ours, theirs| {
            !matches!(case.question.qtype, NS | 15 | 33 | 64 | 65)
                && ours.additional().is_empty()
                && !ours.answer().is_empty()
                && !theirs.additional().is_empty()
        },
    },
    Row {
        judge: None,
        parts: &[Additional],
        reason: "addresses of many targets: some are enough here (RFC 1034 section 4.3.2 leaves it open)",
        applies: |_, ours, theirs| {
            ours.additional().len() >= 8
                && !ours.answer().is_empty()
                && is_part(ours.additional(), theirs.additional())
        },
    },
    Row {
        judge: Some(Knot),
        parts: &[Answer],
        reason: "Knot repeats the aliases of a DNAME loop; a set has each record once (RFC 2181 section 5)",
        applies: |_, ours, theirs| {
            let mut once = theirs.answer().to_vec();
            once.dedup();
            once.len() < theirs.answer().len() && once == ours.answer()
        },
    },
    Row {
        judge: Some(Nsd),
        parts: &[Question],
        reason: "NSD leaves the question out where it refuses; RFC 1035 section 4.1.2 has it repeated",
        applies: |_, ours, theirs| {
            theirs.question.is_empty() && theirs.rcode == 5 && ours.rcode == 5
        },
    },
    Row {
        judge: Some(Bind),
        parts: &[Flags],
        reason: "BIND sets AD where it says TC; nobody has verified anything (RFC 6840 section 5.8)",
        applies: |_, ours, theirs| {
            theirs.has(TC) && (ours.flags ^ theirs.flags) & !(AA | TC | CD) == AD
        },
    },
    Row {
        judge: None,
        parts: &[Presence, Rcode, Aa, Tc, Question, Answer, Authority, Additional],
        reason: "classes that no zone has: REFUSED here, FORMERR or looked up as ANY there (RFC 8906 section 3.1)",
        applies: |case, ours, _| case.question.class != 1 && ours.rcode == 5,
    },
];

fn lower(name: &[u8]) -> Vec<u8> {
    name.to_ascii_lowercase()
}

/// Additional records that only `one` has.
fn beyond<'a>(one: &'a Reply, other: &Reply) -> impl Iterator<Item = &'a Record> {
    one.additional().iter().filter(|record| !other.additional().contains(record))
}

/// Records of other types.
fn without(records: &[Record], rtype: u16) -> Vec<&Record> {
    records.iter().filter(|record| record.rtype != rtype).collect()
}

fn starts_with_alias(reply: &Reply) -> bool {
    reply.answer().iter().any(|record| record.rtype == CNAME)
}

/// Whether each record of `part` is in `whole`.
fn is_part(part: &[Record], whole: &[Record]) -> bool {
    part.iter().all(|record| whole.contains(record))
}

/// Whether an alias in our answer leads from one of the zones to another.
fn leaves_its_zone(case: &Case<'_>, ours: &Reply) -> bool {
    let zone = |name: &[u8]| {
        let zones = case.apexes.iter().filter(|apex| lower(name).ends_with(apex));
        zones.max_by_key(|apex| apex.len())
    };
    let asked = zone(&case.question.name);
    let mut aliases = ours.answer().iter().filter(|record| record.rtype == CNAME);
    aliases.any(|alias| zone(&alias.rdata).is_some_and(|other| Some(other) != asked))
}

//! Records in presentation format: wire form to the text that a master file holds.
//!
//! Writes data and single records; which records there are is for the layers above.

use std::fmt::Write;

use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::rdata::Octets;
use crate::zonefile::rdata::Readers;
use crate::zonefile::rdata::write_fields;

/// Writes data of `rtype` as the words after the type; data without the type's form as `\# LENGTH HEX` (RFC 3597).
///
/// What has the form can be read again with [`parse_rdata`](crate::zonefile::parse_rdata) and gives the same octets, but
/// for capital letters in names.
pub fn write_rdata(rtype: RecordType, octets: &[u8], out: &mut String) {
    write_for(Readers::Ours, rtype, octets, out);
}

/// Writes one record as a line: owner, TTL, class, type, data.
///
/// What NSD 4.6, Knot 3.2 or BIND 9.18 do not know is written by number, so that each of them loads it.
pub fn write_record(owner: &Name, ttl: u32, rtype: RecordType, rdata: &[u8], out: &mut String) {
    let is_known = is_widely_known(rtype) && is_widely_written(rtype, rdata);
    // A String takes every text.
    let _ = match is_widely_known(rtype) {
        true => write!(out, "{owner} {ttl} IN {rtype} "),
        false => write!(out, "{owner} {ttl} IN TYPE{} ", rtype.0),
    };
    match is_known {
        true => write_for(Readers::Any, rtype, rdata, out),
        false => write_octets(rdata, out),
    }
    out.push('\n');
}

/// Writes data in words if it has the form of its type, else as octets.
fn write_for(readers: Readers, rtype: RecordType, octets: &[u8], out: &mut String) {
    let start = out.len();
    let has_form = write_fields(rtype, &mut Octets::new(octets), readers, out) == Some(true);
    // A list of nothing has no words, and a line that ends after its type looks like a mistake.
    if !has_form || out.len() == start {
        out.truncate(start);
        write_octets(octets, out);
    }
}

/// Whether the words of this record are read by all: NSD 4.6 reads no capital letters in the tag of a CAA record.
fn is_widely_written(rtype: RecordType, rdata: &[u8]) -> bool {
    let tag_len = rdata.get(1).map_or(0, |len| usize::from(*len));
    let tag = rdata.get(2..2 + tag_len).unwrap_or_default();
    rtype != RecordType::CAA || !tag.iter().any(u8::is_ascii_uppercase)
}

/// Writes `\# LENGTH HEX`.
fn write_octets(octets: &[u8], out: &mut String) {
    let _ = write!(out, "\\# {}", octets.len());
    if !octets.is_empty() {
        out.push(' ');
    }
    for octet in octets {
        let _ = write!(out, "{octet:02x}");
    }
}

/// Whether the servers that are widely used read this type in words.
pub(super) fn is_widely_known(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::A
            | RecordType::NS
            | RecordType::CNAME
            | RecordType::SOA
            | RecordType::PTR
            | RecordType::HINFO
            | RecordType::MINFO
            | RecordType::MX
            | RecordType::TXT
            | RecordType::RP
            | RecordType::AFSDB
            | RecordType::RT
            | RecordType::AAAA
            | RecordType::LOC
            | RecordType::SRV
            | RecordType::NAPTR
            | RecordType::KX
            | RecordType::CERT
            | RecordType::DNAME
            | RecordType::APL
            | RecordType::DS
            | RecordType::SSHFP
            | RecordType::IPSECKEY
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::DNSKEY
            | RecordType::DHCID
            | RecordType::NSEC3
            | RecordType::NSEC3PARAM
            | RecordType::TLSA
            | RecordType::SMIMEA
            | RecordType::CDS
            | RecordType::CDNSKEY
            | RecordType::OPENPGPKEY
            | RecordType::CSYNC
            | RecordType::ZONEMD
            | RecordType::SVCB
            | RecordType::HTTPS
            | RecordType::SPF
            | RecordType::NID
            | RecordType::L32
            | RecordType::L64
            | RecordType::LP
            | RecordType::EUI48
            | RecordType::EUI64
            | RecordType::URI
            | RecordType::CAA
    )
}

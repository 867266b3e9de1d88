//! Whether octets have the form of a type's data: for data written as `\# LENGTH HEX`, and for what is transferred.

use std::fmt;

use crate::wire::RecordType;
use crate::zonefile::rdata::Octets;
use crate::zonefile::rdata::Readers;
use crate::zonefile::rdata::write_fields;

/// Takes a text and forgets it.
struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Whether `octets` can be data of `rtype`: what could be written in words. Types whose form is not known here pass
/// (RFC 3597 section 3).
pub fn has_form(rtype: RecordType, octets: &[u8]) -> bool {
    let mut octets = Octets::new(octets);
    write_fields(rtype, &mut octets, Readers::Ours, &mut Nowhere).unwrap_or(true)
}

/// Makes the names in data of `rtype` lower case, as names read from words are.
pub(super) fn lower_names(rtype: RecordType, octets: &mut [u8]) {
    let mut read = Octets::new(octets);
    write_fields(rtype, &mut read, Readers::Ours, &mut Nowhere);
    for name in read.names_to_lower() {
        octets[name].make_ascii_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_in_hexadecimal_must_still_be_data_of_its_type() {
        let soa = [&b"\x02ns\x00\x01h\x00"[..], &[0; 20]].concat();
        for (rtype, good, bad) in [
            (RecordType::A, &[192, 0, 2, 1][..], &[192, 0, 2][..]),
            (RecordType::NS, b"\x02ns\x00", b"\xff"),
            (RecordType::MX, b"\x00\x0a\x00", b"\x00"),
            (RecordType::SOA, &soa, b""),
            (RecordType::TXT, b"\x01a\x00", b"\x02a"),
            (RecordType::CAA, b"\x00\x01ax", b"\x00\x05ax"),
            (RecordType::NSEC, b"\x00\x00\x01\x40", b"\x00\x00\x02\x40\x00"),
            (
                RecordType::SVCB,
                b"\x00\x01\x00\x00\x03\x00\x02\x01\xbb",
                b"\x00\x01\x00\x00\x03\x00\x01\x01",
            ),
            (
                RecordType::LOC,
                &[0, 0x12, 0x16, 0x13, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0],
                &[0; 16],
            ),
            (RecordType::DS, &[0, 1, 13, 9, 1], &[0, 1, 13, 2, 1]),
        ] {
            assert!(has_form(rtype, good), "{rtype}");
            assert!(!has_form(rtype, bad), "{rtype}");
        }
        assert!(has_form(RecordType(4711), b""));
    }

    #[test]
    fn names_are_made_lower_case_and_nothing_else_is() {
        let mut mx = *b"\x00AB\x00";
        lower_names(RecordType::MX, &mut mx);
        assert_eq!(&mx, b"\x00AB\x00", "no name");
        let mut mx = *b"\x41\x42\x02NS\x00";
        lower_names(RecordType::MX, &mut mx);
        assert_eq!(&mx, b"\x41\x42\x02ns\x00");
        let mut text = *b"\x02NS";
        lower_names(RecordType::TXT, &mut text);
        assert_eq!(&text, b"\x02NS");
    }
}

//! Whether octets have the form of a type's data: for data written as `\# LENGTH HEX`.

use crate::wire::Name;
use crate::wire::RecordType;

/// Whether `octets` can be data of `rtype`. Types whose form is not known here pass (RFC 3597 section 3).
pub(super) fn has_form(rtype: RecordType, octets: &[u8]) -> bool {
    match rtype {
        RecordType::A => octets.len() == 4,
        RecordType::AAAA => octets.len() == 16,
        RecordType::NS | RecordType::CNAME | RecordType::PTR => is_name(octets),
        RecordType::MX => octets.get(2..).is_some_and(is_name),
        RecordType::SRV => octets.get(6..).is_some_and(is_name),
        RecordType::SOA => {
            let names = octets.len().checked_sub(20).map(|end| &octets[..end]);
            names.is_some_and(is_two_names)
        }
        RecordType::TXT => !octets.is_empty() && is_strings(octets),
        RecordType::CAA => {
            let tag_len = octets.get(1).map_or(0, |&len| usize::from(len));
            tag_len > 0 && octets.len() >= 2 + tag_len
        }
        RecordType::DS => octets.len() > 4,
        _ => true,
    }
}

fn is_name(octets: &[u8]) -> bool {
    Name::from_wire(octets).is_some()
}

fn is_two_names(octets: &[u8]) -> bool {
    (1..octets.len()).any(|cut| is_name(&octets[..cut]) && is_name(&octets[cut..]))
}

fn is_strings(mut octets: &[u8]) -> bool {
    while let Some((&len, rest)) = octets.split_first() {
        let Some(rest) = rest.get(usize::from(len)..) else { return false };
        octets = rest;
    }
    true
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
        ] {
            assert!(has_form(rtype, good), "{rtype}");
            assert!(!has_form(rtype, bad), "{rtype}");
        }
        assert!(has_form(RecordType(4711), b""));
    }
}

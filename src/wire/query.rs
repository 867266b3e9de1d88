//! Octets of a datagram or frame to a query, or to the fault that names the reply.

use crate::wire::compress::skip_name;
use crate::wire::edns::Edns;
use crate::wire::edns::parse_opt;
use crate::wire::header::HEADER_LEN;
use crate::wire::header::Rcode;
use crate::wire::header::bits;
use crate::wire::header::read_u16;
use crate::wire::qname::Qname;
use crate::wire::rdata::RecordType;
use crate::wire::tsig::CLASS_ANY;
use crate::wire::tsig::TsigPlace;

/// A standard query with one question.
///
/// Owns its name and borrows nothing from the packet, so that the reply may be written over it.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// The question's name, lower case.
    pub qname: Qname,
    /// The question's type.
    pub qtype: RecordType,
    /// The question's class.
    pub qclass: u16,
    /// What the OPT record says, if there is one.
    pub edns: Option<Edns>,
    /// Where the TSIG record is that ends the message, if there is one (RFC 8945).
    pub tsig: Option<TsigPlace>,
    /// Octets of header and question: where the reply's records begin.
    pub question_end: usize,
    /// What is wrong after the question; the reply still repeats the question, and has an OPT record if
    /// one was read (RFC 6891 section 6.1.1).
    pub fault: Option<Fault>,
}

/// Why a packet is not a query we can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Shorter than a header: dropped.
    TooShort,
    /// It is a response: dropped, so that two servers never talk to each other.
    NotAQuery,
    /// An opcode other than QUERY.
    UnknownOpcode,
    /// Not exactly one question, or one that is cut or compressed.
    BadQuestion,
    /// Records where a query has none (RFC 8906 section 3).
    UnexpectedRecords,
    /// The additional section is cut, or octets follow the message.
    BadAdditional,
    /// Two OPT records, one with an owner, or a malformed option (RFC 6891 section 6.1.1).
    BadOpt,
    /// A TSIG record that is not the last or cannot be read (RFC 8945 section 5.1).
    BadTsig,
}

impl Fault {
    /// The code of the reply; `None` where nothing is sent.
    pub fn rcode(self) -> Option<Rcode> {
        match self {
            Self::TooShort | Self::NotAQuery => None,
            Self::UnknownOpcode => Some(Rcode::NotImp),
            Self::BadQuestion
            | Self::UnexpectedRecords
            | Self::BadAdditional
            | Self::BadOpt
            | Self::BadTsig => Some(Rcode::FormErr),
        }
    }
}

impl Query {
    /// A query of nothing, to be filled by [`Query::read`].
    #[inline]
    pub fn blank() -> Self {
        Self {
            qname: Qname::blank(),
            qtype: RecordType(0),
            qclass: 0,
            edns: None,
            tsig: None,
            question_end: HEADER_LEN,
            fault: None,
        }
    }

    /// Reads a packet. `Err` if no question can be read: what is wrong behind it is in [`Query::fault`].
    pub fn parse(packet: &[u8]) -> Result<Self, Fault> {
        let mut query = Self::blank();
        query.read(packet).map(|()| query)
    }

    /// Reads a packet into a blank query, which saves moving its 400 octets about.
    ///
    /// Takes IXFR's SOA in the authority section (RFC 1995 section 3); any other record there is a fault.
    #[inline]
    pub fn read(&mut self, packet: &[u8]) -> Result<(), Fault> {
        let header: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(Fault::TooShort)?;
        if header[2] & bits::QR != 0 {
            return Err(Fault::NotAQuery);
        }
        if header[2] & bits::OPCODE != 0 {
            return Err(Fault::UnknownOpcode);
        }
        if header[4..6] != [0, 1] {
            return Err(Fault::BadQuestion);
        }
        self.qname.read(&packet[HEADER_LEN..]).ok_or(Fault::BadQuestion)?;
        let name_end = HEADER_LEN + self.qname.wire_len();
        let fixed: &[u8; 4] =
            packet.get(name_end..).and_then(|rest| rest.first_chunk()).ok_or(Fault::BadQuestion)?;
        self.qtype = RecordType(u16::from_be_bytes([fixed[0], fixed[1]]));
        self.qclass = u16::from_be_bytes([fixed[2], fixed[3]]);
        self.question_end = name_end + 4;
        if header[6..12] == [0; 6] {
            self.fault = (packet.len() != self.question_end).then_some(Fault::BadAdditional);
        } else {
            self.parse_records(header, packet);
        }
        Ok(())
    }

    /// Reads what follows the question. The first fault counts, but reading goes on: the reply needs to know
    /// of an OPT record.
    fn parse_records(&mut self, header: &[u8; HEADER_LEN], packet: &[u8]) {
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (answers, authorities, additionals) = (count(6), count(8), count(10));
        let mut at = self.question_end;
        let mut soas_left = usize::from(self.qtype == RecordType::IXFR);
        if answers > 0 {
            self.note(Fault::UnexpectedRecords);
        }
        for _ in 0..u32::from(answers) + u32::from(authorities) {
            let Some(record) = RawRecord::parse(packet, at) else {
                return self.note(Fault::BadAdditional);
            };
            at = record.end;
            match record.rtype {
                RecordType::SOA if soas_left > 0 => soas_left -= 1,
                _ => self.note(Fault::UnexpectedRecords),
            }
        }
        for position in 1..=additionals {
            let Some(record) = RawRecord::parse(packet, at) else {
                return self.note(Fault::BadAdditional);
            };
            let owner = at;
            at = record.end;
            match record.rtype {
                RecordType::OPT => self.take_opt(&record),
                // RFC 8945 section 5.1: anywhere but last it is an error.
                RecordType::TSIG if position == additionals => self.take_tsig(&record, owner),
                RecordType::TSIG => self.note(Fault::BadTsig),
                _ => {}
            }
        }
        if at != packet.len() {
            self.note(Fault::BadAdditional);
        }
    }

    /// Reads an OPT record. There is at most one, and the root owns it (RFC 6891 sections 6.1.1 and 6.1.2).
    fn take_opt(&mut self, record: &RawRecord<'_>) {
        if self.edns.is_some() || !record.owner_is_root {
            self.note(Fault::BadOpt);
        }
        let (edns, options) = parse_opt(record.class, record.ttl, record.rdata);
        if options.is_err() {
            self.note(Fault::BadOpt);
        }
        self.edns.get_or_insert(edns);
    }

    /// Reads the TSIG record whose owner begins at `owner` (RFC 8945 section 4.2).
    fn take_tsig(&mut self, record: &RawRecord<'_>, owner: usize) {
        let rdata_start = record.end - record.rdata.len();
        match TsigPlace::new(owner, rdata_start, record.rdata) {
            Some(place) if record.class == CLASS_ANY && record.ttl == [0; 4] => {
                self.tsig = Some(place);
            }
            _ => self.note(Fault::BadTsig),
        }
    }

    /// Keeps the first fault.
    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

/// One record of the packet, owner skipped.
struct RawRecord<'a> {
    owner_is_root: bool,
    rtype: RecordType,
    class: u16,
    ttl: [u8; 4],
    rdata: &'a [u8],
    end: usize,
}

impl<'a> RawRecord<'a> {
    /// Reads the record that starts at `at`; `None` if it is cut.
    fn parse(packet: &'a [u8], at: usize) -> Option<Self> {
        let owner_end = skip_name(packet, at)?;
        let fixed: &[u8; 10] = packet.get(owner_end..)?.first_chunk()?;
        let rdata_start = owner_end + 10;
        let end = rdata_start + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        Some(Self {
            owner_is_root: owner_end == at + 1,
            rtype: RecordType(read_u16(fixed, 0)?),
            class: read_u16(fixed, 2)?,
            ttl: [fixed[4], fixed[5], fixed[6], fixed[7]],
            rdata: packet.get(rdata_start..end)?,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `a.` of type `qtype`, with these counts and this rest.
    fn parsed(qtype: u8, counts: [u8; 3], rest: &[u8]) -> Query {
        let [an, ns, ar] = counts;
        let question = [0, 7, 0, 0, 0, 1, 0, an, 0, ns, 0, ar, 1, b'a', 0, 0, qtype, 0, 1];
        Query::parse(&[&question, rest].concat()).unwrap()
    }

    #[test]
    fn an_opt_record_is_known_of_whatever_is_wrong_around_it() {
        const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        const ADDRESS: [u8; 15] = [0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
        const BAD_ECS: [u8; 19] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 8, 0, 8, 0, 4, 0, 3, 0, 0];
        for (counts, rest, fault) in [
            ([0, 0, 1], [OPT, OPT].concat(), Fault::BadAdditional),
            ([0, 0, 2], [OPT, OPT].concat(), Fault::BadOpt),
            ([0, 0, 1], BAD_ECS.to_vec(), Fault::BadOpt),
            ([1, 0, 1], [&ADDRESS[..], &OPT].concat(), Fault::UnexpectedRecords),
            ([0, 1, 1], [&ADDRESS[..], &OPT].concat(), Fault::UnexpectedRecords),
            ([0, 0, 2], OPT.to_vec(), Fault::BadAdditional),
        ] {
            let query = parsed(1, counts, &rest);
            assert_eq!(query.fault, Some(fault), "{counts:?} {rest:?}");
            assert_eq!(query.edns.map(|edns| edns.udp_size), Some(1232), "{counts:?} {rest:?}");
        }
        assert_eq!(parsed(1, [0, 0, 1], &OPT).fault, None);
    }

    #[test]
    fn only_ixfr_brings_a_record_and_it_is_an_soa() {
        const SOA: [u8; 11] = [0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 0];
        const NS: [u8; 12] = [0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 1, 0];
        let unexpected = Some(Fault::UnexpectedRecords);
        assert_eq!(parsed(251, [0, 1, 0], &SOA).fault, None);
        assert_eq!(parsed(251, [0, 1, 0], &NS).fault, unexpected);
        assert_eq!(parsed(251, [0, 2, 0], &[SOA, SOA].concat()).fault, unexpected);
        assert_eq!(parsed(251, [1, 0, 0], &SOA).fault, unexpected);
        assert_eq!(parsed(252, [0, 1, 0], &SOA).fault, unexpected);
    }
}

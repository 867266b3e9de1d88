//! Writes a reply over the query it answers: the question stays where it is, records follow.
//!
//! Never writes past its limit: what does not fit is refused, and room for the OPT record is kept back.

use crate::wire::edns::Ecs;
use crate::wire::edns::Edns;
use crate::wire::edns::code;
use crate::wire::header::HEADER_LEN;
use crate::wire::header::Rcode;
use crate::wire::header::bits;
use crate::wire::rdata::RecordType;

/// Largest UDP reply we send, in octets, whatever the client offers.
///
/// Source: DNS Flag Day 2020; fits a 1,280-octet IPv6 packet (RFC 8200 section 5) with headers.
pub const UDP_REPLY_MAX: usize = 1232;

/// Largest UDP reply to a client that sends no OPT record (RFC 1035 section 4.2.1).
pub const UDP_REPLY_PLAIN: usize = 512;

/// A compression pointer to the question's name (RFC 1035 section 4.1.4).
pub const QNAME_POINTER: u16 = 0xc000 | HEADER_LEN as u16;

/// Octets of an empty OPT record: root owner, type, class, TTL, length.
const OPT_LEN: usize = 11;

/// Class IN.
const CLASS_IN: [u8; 2] = [0, 1];

/// What goes into the reply's OPT record.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyOptions<'a> {
    /// The client subnet to echo, and the scope of the answer.
    pub ecs: Option<(Ecs, u8)>,
    /// The server's identity, if it was asked for.
    pub nsid: Option<&'a [u8]>,
    /// How long an idle TCP connection is kept, in units of 100 ms, if it was asked for.
    pub keepalive: Option<u16>,
    /// Extended error: info-code and text (RFC 8914).
    pub ede: Option<(u16, &'a str)>,
}

/// Which section a record is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// ANCOUNT.
    Answer,
    /// NSCOUNT.
    Authority,
    /// ARCOUNT.
    Additional,
}

/// The record did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A place in the reply to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: usize,
    counts: [u16; 3],
}

/// A reply being written.
#[derive(Debug)]
pub struct Writer<'a> {
    frame: &'a mut [u8],
    at: usize,
    end: usize,
    question_end: usize,
    counts: [u16; 3],
    flags: u8,
}

impl<'a> Writer<'a> {
    /// Starts a reply over the query in `frame`, keeping its first `question_end` octets.
    ///
    /// At most `limit` octets are written, `reserve` of them by [`Writer::finish`].
    #[inline]
    pub fn new(frame: &'a mut [u8], question_end: usize, limit: usize, reserve: usize) -> Self {
        let end = limit.min(frame.len()).saturating_sub(reserve).max(question_end);
        let flags = bits::QR | (frame[2] & (bits::OPCODE | bits::RD));
        Self { frame, at: question_end, end, question_end, counts: [0; 3], flags }
    }

    /// Marks the answer as authoritative.
    #[inline]
    pub fn set_authoritative(&mut self) {
        self.flags |= bits::AA;
    }

    /// Takes the mark of authority back: referrals do not have it (RFC 1034 section 4.3.2).
    pub fn clear_authoritative(&mut self) {
        self.flags &= !bits::AA;
    }

    /// Drops every record and sets TC: the client asks again over TCP (RFC 2181 section 9).
    pub fn truncate(&mut self) {
        self.at = self.question_end;
        self.counts = [0; 3];
        self.flags |= bits::TC;
    }

    /// The place reached so far.
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, counts: self.counts }
    }

    /// Takes back what was written since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.at = mark.at;
        self.counts = mark.counts;
    }

    /// Where the next record will be written: an offset that a compression pointer can name if below 16,384.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Copies `count` encoded records whose owners are all [`QNAME_POINTER`].
    #[inline]
    pub fn put_encoded(
        &mut self,
        section: Section,
        records: &[u8],
        count: u16,
    ) -> Result<(), Full> {
        let end = self.at + records.len();
        if end > self.end {
            return Err(Full);
        }
        self.frame[self.at..end].copy_from_slice(records);
        self.at = end;
        self.counts[section as usize] += count;
        Ok(())
    }

    /// As [`Writer::put_encoded`], with `owner` as the records' owner, an offset in this message.
    pub fn put_encoded_at(
        &mut self,
        section: Section,
        records: &[u8],
        count: u16,
        owner: usize,
    ) -> Result<(), Full> {
        let mut at = self.at;
        self.put_encoded(section, records, count)?;
        let pointer = (0xc000 | (owner as u16 & 0x3fff)).to_be_bytes();
        for _ in 0..count {
            self.frame[at..at + 2].copy_from_slice(&pointer);
            let rdata_len = u16::from_be_bytes([self.frame[at + 10], self.frame[at + 11]]);
            at += 12 + usize::from(rdata_len);
        }
        Ok(())
    }

    /// As [`Writer::put_encoded`], with the full name `owner` written out before each record.
    ///
    /// Returns the offset of the owner in this message.
    pub fn put_encoded_named(
        &mut self,
        section: Section,
        records: &[u8],
        count: u16,
        owner: &[u8],
    ) -> Result<usize, Full> {
        let start = self.at;
        let mut rest = records;
        for _ in 0..count {
            let record_len = 12 + usize::from(u16::from_be_bytes([rest[10], rest[11]]));
            let end = self.at + owner.len() + record_len - 2;
            if end > self.end {
                return Err(Full);
            }
            self.frame[self.at..self.at + owner.len()].copy_from_slice(owner);
            self.frame[self.at + owner.len()..end].copy_from_slice(&rest[2..record_len]);
            self.at = end;
            rest = &rest[record_len..];
        }
        self.counts[section as usize] += count;
        Ok(start)
    }

    /// Writes one answer record owned by the name at offset `owner` of this message.
    #[inline]
    pub fn put_record(
        &mut self,
        owner: usize,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        let end = self.at + 12 + rdata.len();
        if end > self.end {
            return Err(Full);
        }
        let record = &mut self.frame[self.at..end];
        record[..2].copy_from_slice(&(0xc000 | (owner as u16 & 0x3fff)).to_be_bytes());
        record[2..4].copy_from_slice(&rtype.0.to_be_bytes());
        record[4..6].copy_from_slice(&CLASS_IN);
        record[6..10].copy_from_slice(&ttl.to_be_bytes());
        record[10..12].copy_from_slice(&(rdata.len() as u16).to_be_bytes());
        record[12..].copy_from_slice(rdata);
        self.at = end;
        self.counts[Section::Answer as usize] += 1;
        Ok(())
    }

    /// Completes the header, and the OPT record if the query had one; returns the reply's length.
    #[inline]
    pub fn finish(
        mut self,
        rcode: Rcode,
        edns: Option<&Edns>,
        options: &ReplyOptions<'_>,
    ) -> usize {
        if let Some(edns) = edns {
            self.put_opt(rcode, edns, options);
        }
        self.frame[2] = self.flags;
        self.frame[3] = rcode.low(); // RA, AD and CD are 0: we neither recurse nor validate
        let qdcount = u16::from(self.question_end > HEADER_LEN);
        for (slot, count) in [qdcount].iter().chain(&self.counts).enumerate() {
            self.frame[4 + 2 * slot..6 + 2 * slot].copy_from_slice(&count.to_be_bytes());
        }
        self.at
    }

    /// Octets that [`Writer::finish`] needs for `options`.
    #[inline]
    pub fn reserve(edns: Option<&Edns>, nsid: &[u8]) -> usize {
        let Some(edns) = edns else { return 0 };
        let nsid = if edns.nsid { 4 + nsid.len() } else { 0 };
        let ecs = if edns.ecs.is_some() { Ecs::WIRE_MAX } else { 0 };
        let keepalive = if edns.keepalive { 6 } else { 0 };
        OPT_LEN + nsid + ecs + keepalive
    }

    /// Writes the OPT record into the room kept back. The extended error goes in only if the limit allows.
    fn put_opt(&mut self, rcode: Rcode, edns: &Edns, options: &ReplyOptions<'_>) {
        let start = self.at;
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        let size = (UDP_REPLY_MAX as u16).to_be_bytes();
        self.append(&[0, 0, 41, size[0], size[1], rcode.high(), 0, dnssec_ok, 0, 0, 0]);
        if let Some((ecs, scope)) = options.ecs {
            let mut option = [0; Ecs::WIRE_MAX];
            let len = ecs.write(scope, &mut option);
            self.append(&option[..len]);
        }
        if let Some(nsid) = options.nsid {
            self.append(&code::NSID.to_be_bytes());
            self.append(&(nsid.len() as u16).to_be_bytes());
            self.append(nsid);
        }
        if let Some(timeout) = options.keepalive {
            self.append(&code::KEEPALIVE.to_be_bytes());
            self.append(&[0, 2]);
            self.append(&timeout.to_be_bytes());
        }
        if let Some((info, text)) = options.ede
            && self.at + 6 + text.len() <= self.end
        {
            self.append(&code::EDE.to_be_bytes());
            self.append(&(2 + text.len() as u16).to_be_bytes());
            self.append(&info.to_be_bytes());
            self.append(text.as_bytes());
        }
        let len = (self.at - start - OPT_LEN) as u16;
        self.frame[start + 9..start + 11].copy_from_slice(&len.to_be_bytes());
        self.counts[Section::Additional as usize] += 1;
    }

    /// Appends octets for which room was kept back.
    fn append(&mut self, octets: &[u8]) {
        self.frame[self.at..self.at + octets.len()].copy_from_slice(octets);
        self.at += octets.len();
    }
}

/// Writes a reply of the header alone, for packets whose question cannot be repeated; returns its length.
///
/// `frame` holds at least a header.
pub fn write_header_only(frame: &mut [u8], rcode: Rcode) -> usize {
    frame[2] = bits::QR | (frame[2] & (bits::OPCODE | bits::RD));
    frame[3] = rcode.low();
    frame[4..HEADER_LEN].fill(0);
    HEADER_LEN
}

//! Writes a reply over the query it answers: the question stays where it is, records follow.
//!
//! Never writes past its limit: what does not fit is refused, and room for the OPT record is kept back.

use crate::wire::compress::NAME_MAX;
use crate::wire::compress::Names;
use crate::wire::compress::expand;
use crate::wire::compress::is_name_at;
use crate::wire::compress::name_len;
use crate::wire::compress::skip_name;
use crate::wire::edns::Ecs;
use crate::wire::edns::Edns;
use crate::wire::edns::code;
use crate::wire::extended_error::ExtendedError;
use crate::wire::header::HEADER_LEN;
use crate::wire::header::Rcode;
use crate::wire::header::bits;
use crate::wire::qname::Qname;
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
pub(super) const CLASS_IN: [u8; 2] = [0, 1];

/// Most octets of a character string (RFC 1035 section 3.3).
const STRING_MAX: usize = 255;

/// What goes into the reply's OPT record.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyOptions<'a> {
    /// The client subnet to echo, and the scope of the answer.
    pub ecs: Option<(Ecs, u8)>,
    /// The server's identity, if it was asked for.
    pub nsid: Option<&'a [u8]>,
    /// How long an idle TCP connection is kept, in units of 100 ms, if it was asked for.
    pub keepalive: Option<u16>,
    /// Why the reply is worse than it should be.
    pub ede: Option<ExtendedError<'a>>,
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
    names: u8,
}

/// Whose records are written.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'n> {
    /// The name that begins at this offset of the reply.
    At(usize),
    /// The name of this wire form, as short as the reply so far allows.
    Named(&'n [u8]),
}

/// A reply being written.
#[derive(Debug)]
pub struct Writer<'a> {
    frame: &'a mut [u8],
    names: &'a mut Names,
    pub(super) at: usize,
    end: usize,
    question_end: usize,
    pub(super) counts: [u16; 3],
    flags: u8,
}

impl<'a> Writer<'a> {
    /// Starts a reply over the query in `frame`, keeping its first `question_end` octets.
    ///
    /// At most `limit` octets are written, `reserve` of them by [`Writer::finish`]. `names` is empty.
    #[inline]
    pub fn new(
        frame: &'a mut [u8],
        names: &'a mut Names,
        question_end: usize,
        limit: usize,
        reserve: usize,
    ) -> Self {
        let end = limit.min(frame.len()).saturating_sub(reserve).max(question_end);
        let flags = bits::QR | (frame[2] & (bits::OPCODE | bits::RD));
        Self { frame, names, at: question_end, end, question_end, counts: [0; 3], flags }
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
        self.names.cut(0);
        self.flags |= bits::TC;
    }

    /// The place reached so far.
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, counts: self.counts, names: self.names.count() }
    }

    /// Takes back what was written since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.at = mark.at;
        self.counts = mark.counts;
        self.names.cut(mark.names);
    }

    /// Reads a name of the reply; `None` if there is none at that offset.
    pub fn name_at(&self, start: usize) -> Option<Qname> {
        let mut octets = [0; NAME_MAX];
        let len = expand(&self.frame[..self.at], start, &mut octets)?;
        Qname::parse(&octets[..len])
    }

    /// Whether the reply has records of a name and type already.
    pub fn has(&self, owner: &[u8], rtype: RecordType) -> bool {
        let mut at = self.question_end;
        while at < self.at {
            let Some(head) = skip_name(self.frame, at) else { return false };
            if self.frame[head..head + 2] == rtype.0.to_be_bytes()
                && is_name_at(self.frame, at, owner)
            {
                return true;
            }
            let rdata_len = u16::from_be_bytes([self.frame[head + 8], self.frame[head + 9]]);
            at = head + 10 + usize::from(rdata_len);
        }
        false
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

    /// Writes `count` encoded records with another owner; names in their data are compressed where they may be.
    ///
    /// All of them or none.
    pub fn put_set(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        records: &[u8],
        count: u16,
    ) -> Result<(), Full> {
        let mark = self.mark();
        if let Err(Full) = self.put_each(owner, records, count) {
            self.rewind(mark);
            return Err(Full);
        }
        self.counts[section as usize] += count;
        Ok(())
    }

    /// Writes the SOA of a negative answer, whose owner `apex` begins at `apex_at`: names in the zone point there.
    ///
    /// The most common set with names gets by without the table of names, which costs as much as the look-up, if
    /// there is room for the record in full.
    #[inline]
    pub fn put_soa(&mut self, apex_at: usize, apex: &[u8], record: &[u8]) -> Result<(), Full> {
        let Some(out) = self.frame[..self.end].get_mut(self.at..self.at + record.len()) else {
            return self.put_set(Section::Authority, Owner::At(apex_at), record, 1);
        };
        let pointer = pointer(apex_at);
        out[..2].copy_from_slice(&pointer);
        out[2..10].copy_from_slice(&record[2..10]);
        let (mut from, mut to) = (12, 12);
        for _ in 0..2 {
            let (before, len) = cut_suffix(&record[from..], apex);
            out[to..to + before].copy_from_slice(&record[from..from + before]);
            to += before;
            if before < len {
                out[to..to + 2].copy_from_slice(&pointer);
                to += 2;
            }
            from += len;
        }
        let numbers = record.len() - from;
        out[to..to + numbers].copy_from_slice(&record[from..]);
        to += numbers;
        out[10..12].copy_from_slice(&((to - 12) as u16).to_be_bytes());
        self.at += to;
        self.counts[Section::Authority as usize] += 1;
        Ok(())
    }

    fn put_each(&mut self, owner: Owner<'_>, records: &[u8], count: u16) -> Result<(), Full> {
        let mut rest = records;
        for _ in 0..count {
            let (head, after) = rest.split_at(12);
            let (rdata, after) =
                after.split_at(usize::from(u16::from_be_bytes([head[10], head[11]])));
            rest = after;
            self.put_owner(owner)?;
            self.put(&head[2..])?;
            let start = self.at;
            let rtype = RecordType(u16::from_be_bytes([head[2], head[3]]));
            match rtype.compressible() {
                None => self.put(rdata)?,
                Some((prefix, names)) => self.put_compressed(rdata, prefix, names)?,
            }
            self.set_rdata_len(start);
        }
        Ok(())
    }

    /// Writes data in which `names` names follow `prefix` octets; data of another form goes out as it is.
    fn put_compressed(&mut self, rdata: &[u8], prefix: usize, names: usize) -> Result<(), Full> {
        let (prefix, mut rest) = rdata.split_at(prefix.min(rdata.len()));
        self.put(prefix)?;
        for _ in 0..names {
            let Some(len) = name_len(rest) else { break };
            self.put_name(&rest[..len])?;
            rest = &rest[len..];
        }
        self.put(rest)
    }

    /// Writes a CNAME record; returns where the name it leads to begins.
    ///
    /// Two names that are equal begin at one place, as far as the reply's names are remembered.
    pub fn put_alias(&mut self, owner: usize, ttl: u32, target: &[u8]) -> Result<usize, Full> {
        self.put_owner(Owner::At(owner))?;
        self.put(&head(RecordType::CNAME, CLASS_IN, ttl, 0))?;
        let start = self.at;
        let target_at = self.put_name(target)?;
        self.set_rdata_len(start);
        self.counts[Section::Answer as usize] += 1;
        Ok(target_at)
    }

    /// Writes one record of class IN into a section, its owner as short as may be.
    pub fn put_named(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.put_name(owner)?;
        self.put(&head(rtype, CLASS_IN, ttl, rdata.len()))?;
        self.put(rdata)?;
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// Answers the question with one TXT record of `class` and TTL 0, in strings of at most 255 octets.
    pub fn put_text(&mut self, class: u16, text: &[u8]) -> Result<(), Full> {
        let strings = text.len().div_ceil(STRING_MAX).max(1);
        self.put_owner(Owner::At(HEADER_LEN))?;
        self.put(&head(RecordType::TXT, class.to_be_bytes(), 0, strings + text.len()))?;
        if text.is_empty() {
            self.put(&[0])?;
        }
        for string in text.chunks(STRING_MAX) {
            self.put(&[string.len() as u8])?;
            self.put(string)?;
        }
        self.counts[Section::Answer as usize] += 1;
        Ok(())
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
        record[..2].copy_from_slice(&pointer(owner));
        record[2..12].copy_from_slice(&head(rtype, CLASS_IN, ttl, rdata.len()));
        record[12..].copy_from_slice(rdata);
        self.at = end;
        self.counts[Section::Answer as usize] += 1;
        Ok(())
    }

    pub(super) fn put_owner(&mut self, owner: Owner<'_>) -> Result<(), Full> {
        match owner {
            Owner::At(start) => self.put(&pointer(start)),
            Owner::Named(name) => self.put_name(name).map(|_| ()),
        }
    }

    /// Writes a name, its longest suffix that is in the reply as a pointer; returns where it begins.
    fn put_name(&mut self, name: &[u8]) -> Result<usize, Full> {
        if self.names.count() == 0 && self.question_end > HEADER_LEN {
            self.names.add_question(self.frame, HEADER_LEN);
        }
        let mut before = 0;
        let mut known = None;
        while name[before] != 0 {
            known = self.names.find(self.frame, &name[before..]);
            if known.is_some() {
                break;
            }
            before += 1 + usize::from(name[before]);
        }
        let start = self.at;
        self.put(&name[..before])?;
        match known {
            Some(known) => self.put(&pointer(known))?,
            None => self.put(&[0])?,
        }
        let mut label = 0;
        while label < before {
            self.names.add(start + label, name.len() - label);
            label += 1 + usize::from(name[label]);
        }
        Ok(if before == 0 { known.unwrap_or(start) } else { start })
    }

    /// Appends octets that may not fit.
    pub(super) fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        if self.at + octets.len() > self.end {
            return Err(Full);
        }
        self.append(octets);
        Ok(())
    }

    /// Corrects the length of the data that began at `start`.
    pub(super) fn set_rdata_len(&mut self, start: usize) {
        let len = (self.at - start) as u16;
        self.frame[start - 2..start].copy_from_slice(&len.to_be_bytes());
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
        if let Some(error) = options.ede
            && self.at + 6 + error.text_len() <= self.end
        {
            self.append(&code::EDE.to_be_bytes());
            self.append(&(2 + error.text_len() as u16).to_be_bytes());
            self.append(&error.info.to_be_bytes());
            error.text.iter().for_each(|part| self.append(part.as_bytes()));
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

/// Octets of the labels before `suffix` in the name that `octets` begin with, and of the whole name.
///
/// Both are equal if it does not end in the suffix, or the suffix is the root, which is shorter than a pointer.
#[inline]
fn cut_suffix(octets: &[u8], suffix: &[u8]) -> (usize, usize) {
    let mut at = 0;
    loop {
        let len = usize::from(octets[at]);
        if len == 0 {
            return (at + 1, at + 1);
        }
        if octets[at] == suffix[0] && octets[at..].starts_with(suffix) {
            return (at, at + suffix.len());
        }
        at += 1 + len;
    }
}

/// A pointer to the name at `start`.
#[inline]
fn pointer(start: usize) -> [u8; 2] {
    debug_assert!(start < 0x4000, "a pointer has fourteen bits");
    (0xc000 | start as u16).to_be_bytes()
}

/// What stands between a record's owner and its data.
#[inline]
pub(super) fn head(rtype: RecordType, class: [u8; 2], ttl: u32, rdata_len: usize) -> [u8; 10] {
    let ([t0, t1], [l0, l1]) = (rtype.0.to_be_bytes(), (rdata_len as u16).to_be_bytes());
    let [s0, s1, s2, s3] = ttl.to_be_bytes();
    [t0, t1, class[0], class[1], s0, s1, s2, s3, l0, l1]
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

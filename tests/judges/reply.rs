//! Replies of any server, taken apart: names written out, sets without order, names in lower case.
//!
//! Reads octets by itself, so that neither our own code nor a library judges what it wrote.
#![allow(dead_code, reason = "each test uses its own part")]

use std::fmt;

use rhumb::wire::RecordType;

/// Types whose data begins with that many octets, then holds that many names, which servers may
/// compress (RFC 3597 section 4) and whose case does not count.
const WITH_NAMES: &[(u16, usize, usize)] = &[
    (2, 0, 1),   // NS
    (3, 0, 1),   // MD
    (4, 0, 1),   // MF
    (5, 0, 1),   // CNAME
    (6, 0, 2),   // SOA
    (7, 0, 1),   // MB
    (8, 0, 1),   // MG
    (9, 0, 1),   // MR
    (12, 0, 1),  // PTR
    (14, 0, 2),  // MINFO
    (15, 2, 1),  // MX
    (17, 0, 2),  // RP
    (18, 2, 1),  // AFSDB
    (21, 2, 1),  // RT
    (26, 2, 2),  // PX
    (33, 6, 1),  // SRV
    (36, 2, 1),  // KX
    (39, 0, 1),  // DNAME
    (107, 2, 1), // LP
];

/// A record in a form that two servers agree on if they mean the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub owner: Vec<u8>,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

/// What the OPT record says, version and flags apart from the upper bits of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    pub size: u16,
    pub version: u8,
    pub flags: u16,
    pub options: Vec<(u16, Vec<u8>)>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub len: usize,
    pub id: u16,
    /// The two octets of flags without the code.
    pub flags: u16,
    /// The code, upper bits of the OPT record included.
    pub rcode: u16,
    /// The question section as it came.
    pub question: Vec<u8>,
    /// Answer, authority, additional without OPT; each sorted, with repetitions.
    pub sections: [Vec<Record>; 3],
    pub opt: Option<Opt>,
}

/// Flags of a header.
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Result<u8, String> {
        let octet = self.octets.get(self.at).ok_or("the message is cut")?;
        self.at += 1;
        Ok(*octet)
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A name written out, in lower case. Pointers lead backwards (RFC 1035 section 4.1.4).
    fn name(&mut self) -> Result<Vec<u8>, String> {
        let mut name = Vec::new();
        let (mut at, mut lowest, mut end) = (self.at, self.at, None);
        loop {
            let len = *self.octets.get(at).ok_or("a name is cut")?;
            match len {
                0 => break,
                1..=63 => {
                    let label = self.octets.get(at..at + 1 + usize::from(len));
                    name.extend(label.ok_or("a label is cut")?.to_ascii_lowercase());
                    at += 1 + usize::from(len);
                }
                192..=255 => {
                    let low = *self.octets.get(at + 1).ok_or("a pointer is cut")?;
                    let target = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                    if target >= lowest {
                        return Err(format!("the pointer at {at} leads forward to {target}"));
                    }
                    end.get_or_insert(at + 2);
                    (at, lowest) = (target, target);
                }
                _ => return Err(format!("a label of kind {len:#x}")),
            }
        }
        name.push(0);
        self.at = end.unwrap_or(at + 1);
        if name.len() > 255 { Err("a name is too long".into()) } else { Ok(name) }
    }

    fn record(&mut self) -> Result<Record, String> {
        let owner = self.name()?;
        let (rtype, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let len = usize::from(self.u16()?);
        let end = self.at + len;
        if end > self.octets.len() {
            return Err("a record is cut".into());
        }
        let mut rdata = Vec::new();
        if let Some((_, fixed, names)) = WITH_NAMES.iter().find(|(known, ..)| *known == rtype) {
            for _ in 0..*fixed {
                rdata.push(self.u8()?);
            }
            for _ in 0..*names {
                rdata.extend(self.name()?);
            }
        }
        if self.at > end {
            return Err(format!("data of type {rtype} is longer than it says"));
        }
        rdata.extend_from_slice(&self.octets[self.at..end]);
        self.at = end;
        Ok(Record { owner, rtype, class, ttl, rdata })
    }
}

impl Reply {
    /// Takes a reply apart; says what is wrong with it.
    pub fn parse(octets: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { octets, at: 0 };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = reader.u16()?;
        }
        let start = reader.at;
        for _ in 0..counts[0] {
            reader.name()?;
            reader.u32()?;
        }
        let question = octets[start..reader.at].to_vec();
        let mut reply = Self {
            len: octets.len(),
            id,
            flags: flags & 0xfff0,
            rcode: flags & 15,
            question,
            sections: Default::default(),
            opt: None,
        };
        for (section, count) in counts[1..].iter().enumerate() {
            for _ in 0..*count {
                let record = reader.record()?;
                if record.rtype == RecordType::OPT.0 {
                    reply.take_opt(&record)?;
                } else {
                    reply.sections[section].push(record);
                }
            }
        }
        reply.sections.iter_mut().for_each(|section| section.sort());
        match octets.len() - reader.at {
            0 => Ok(reply),
            more => Err(format!("{more} octets follow the message")),
        }
    }

    fn take_opt(&mut self, record: &Record) -> Result<(), String> {
        let [upper, version, high, low] = record.ttl.to_be_bytes();
        let mut reader = Reader { octets: &record.rdata, at: 0 };
        let mut options = Vec::new();
        while reader.at < record.rdata.len() {
            let (code, len) = (reader.u16()?, usize::from(reader.u16()?));
            let data = record.rdata.get(reader.at..reader.at + len).ok_or("an option is cut")?;
            options.push((code, data.to_vec()));
            reader.at += len;
        }
        let flags = u16::from_be_bytes([high, low]);
        let opt = Opt { size: record.class, version, flags, options };
        self.rcode |= u16::from(upper) << 4;
        match self.opt.replace(opt) {
            Some(_) => Err("two OPT records".into()),
            None => Ok(()),
        }
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub fn answer(&self) -> &[Record] {
        &self.sections[0]
    }

    pub fn authority(&self) -> &[Record] {
        &self.sections[1]
    }

    pub fn additional(&self) -> &[Record] {
        &self.sections[2]
    }
}

/// A name as in a master file.
pub fn show_name(wire: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = wire;
    while let [len, tail @ ..] = rest
        && *len > 0
    {
        for octet in &tail[..usize::from(*len)] {
            match octet {
                b'.' | b'\\' => text.extend(['\\', char::from(*octet)]),
                0x21..=0x7e => text.push(char::from(*octet)),
                _ => text.push_str(&format!("\\{octet:03}")),
            }
        }
        text.push('.');
        rest = &tail[usize::from(*len)..];
    }
    if text.is_empty() { ".".into() } else { text }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, rtype, class, ttl, rdata } = self;
        write!(f, "{} {ttl} CLASS{class} {} ", show_name(owner), RecordType(*rtype))?;
        match (rtype, &rdata[..]) {
            (1, [a, b, c, d]) => write!(f, "{a}.{b}.{c}.{d}"),
            (2 | 5 | 12 | 39, name) => f.write_str(&show_name(name)),
            _ => write!(f, "\\# {} {}", rdata.len(), rdata.escape_ascii()),
        }
    }
}

/// As `dig` shows a reply.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(0x0400, "aa"), (0x0200, "tc"), (0x0100, "rd"), (0x0080, "ra"), (0x0040, "z")];
        let names = names.into_iter().chain([(0x0020, "ad"), (0x0010, "cd"), (0x8000, "qr")]);
        let flags: Vec<_> =
            names.filter(|(flag, _)| self.has(*flag)).map(|(_, name)| name).collect();
        writeln!(f, ";; rcode {}, flags {}, {} octets", self.rcode, flags.join(" "), self.len)?;
        match &self.opt {
            Some(Opt { size, version, flags, options }) => {
                writeln!(f, ";; EDNS {version}, size {size}, flags {flags:#06x}, {options:?}")?;
            }
            None => writeln!(f, ";; no EDNS")?,
        }
        for (title, section) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].iter().zip(&self.sections) {
            if !section.is_empty() {
                writeln!(f, ";; {title}")?;
            }
            for record in section {
                writeln!(f, "{record}")?;
            }
        }
        Ok(())
    }
}

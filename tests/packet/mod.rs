//! Messages as octets, right or wrong: nothing is checked, so that a test can say anything.
#![allow(dead_code, reason = "each test uses its own part")]

/// Type numbers of IANA's registry that tests ask for.
pub mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const TKEY: u16 = 249;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const MAILB: u16 = 253;
    pub const MAILA: u16 = 254;
    pub const ANY: u16 = 255;
}

/// Id of every packet.
pub const ID: u16 = 0xbeef;

/// A message in the making.
#[derive(Clone, Debug)]
pub struct Packet(pub Vec<u8>);

impl Packet {
    /// A header with these two octets of flags and no counts.
    pub fn with_flags(flags: [u8; 2]) -> Self {
        let mut octets = ID.to_be_bytes().to_vec();
        octets.extend_from_slice(&flags);
        octets.extend_from_slice(&[0; 8]);
        Self(octets)
    }

    /// A query with one question of class IN.
    pub fn query(name: &str, rtype: u16) -> Self {
        Self::with_flags([0, 0]).question(&wire_name(name), rtype, 1)
    }

    /// Adds a question and counts it.
    pub fn question(self, name: &[u8], rtype: u16, class: u16) -> Self {
        self.raw(name).raw(&rtype.to_be_bytes()).raw(&class.to_be_bytes()).counted(0)
    }

    /// Adds octets.
    pub fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// Sets the flags.
    pub fn flags(mut self, flags: [u8; 2]) -> Self {
        self.0[2..4].copy_from_slice(&flags);
        self
    }

    /// Sets a count: 0 questions, 1 answers, 2 authorities, 3 additionals.
    pub fn count(mut self, section: usize, count: u16) -> Self {
        self.0[4 + 2 * section..6 + 2 * section].copy_from_slice(&count.to_be_bytes());
        self
    }

    /// Adds one to a count.
    fn counted(self, section: usize) -> Self {
        let at = 4 + 2 * section;
        let count = u16::from_be_bytes([self.0[at], self.0[at + 1]]) + 1;
        self.count(section, count)
    }

    /// Adds a record to a section and counts it; the TTL is 0.
    pub fn record(
        self,
        section: usize,
        owner: &[u8],
        rtype: u16,
        class: u16,
        rdata: &[u8],
    ) -> Self {
        self.raw(owner)
            .raw(&rtype.to_be_bytes())
            .raw(&class.to_be_bytes())
            .raw(&[0; 4])
            .raw(&(rdata.len() as u16).to_be_bytes())
            .raw(rdata)
            .counted(section)
    }

    /// Adds an OPT record of this size, version and flags.
    pub fn opt_of(self, size: u16, version: u8, flags: u16, options: &[u8]) -> Self {
        self.raw(&[0, 0, 41])
            .raw(&size.to_be_bytes())
            .raw(&[0, version])
            .raw(&flags.to_be_bytes())
            .raw(&(options.len() as u16).to_be_bytes())
            .raw(options)
            .counted(3)
    }

    /// Adds an ordinary OPT record with these options.
    pub fn opt(self, options: &[u8]) -> Self {
        self.opt_of(1232, 0, 0, options)
    }

    /// Adds an OPT record with one client subnet option of this data.
    pub fn ecs(self, data: &[u8]) -> Self {
        self.opt(&option(8, data))
    }

    /// Adds a TSIG record: HMAC-SHA256 with a MAC of zeros (RFC 8945 section 4.2).
    pub fn tsig(self) -> Self {
        let mut rdata = wire_name("hmac-sha256");
        rdata.extend_from_slice(&[0, 0, 0x6b, 0x49, 0xd2, 0, 1, 0x2c, 0, 32]);
        rdata.extend_from_slice(&[0; 32]);
        rdata.extend_from_slice(&ID.to_be_bytes());
        rdata.extend_from_slice(&[0; 4]);
        self.record(3, &wire_name("key.test"), rtype::TSIG, 255, &rdata)
    }
}

/// An EDNS option with its header.
pub fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &(data.len() as u16).to_be_bytes(), data].concat()
}

/// A name of plain labels in wire form; case is kept.
pub fn wire_name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

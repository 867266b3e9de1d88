//! Types of resource records.

/// A resource record type (RFC 1035 section 3.2.2 and IANA's registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

/// Mnemonics and numbers of the types that can be written by name.
const MNEMONICS: &[(&str, RecordType)] = &[
    ("A", RecordType::A),
    ("NS", RecordType::NS),
    ("CNAME", RecordType::CNAME),
    ("SOA", RecordType::SOA),
    ("PTR", RecordType::PTR),
    ("MX", RecordType::MX),
    ("TXT", RecordType::TXT),
    ("AAAA", RecordType::AAAA),
    ("SRV", RecordType::SRV),
    ("DNAME", RecordType::DNAME),
    ("DS", RecordType::DS),
    ("SVCB", RecordType::SVCB),
    ("HTTPS", RecordType::HTTPS),
    ("CAA", RecordType::CAA),
    ("ANY", RecordType::ANY),
    ("AXFR", RecordType::AXFR),
    ("IXFR", RecordType::IXFR),
];

#[allow(missing_docs, reason = "the names are the registry's")]
impl RecordType {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const PTR: Self = Self(12);
    pub const HINFO: Self = Self(13);
    pub const MX: Self = Self(15);
    pub const TXT: Self = Self(16);
    pub const AAAA: Self = Self(28);
    pub const SRV: Self = Self(33);
    pub const DNAME: Self = Self(39);
    pub const OPT: Self = Self(41);
    pub const DS: Self = Self(43);
    pub const SVCB: Self = Self(64);
    pub const HTTPS: Self = Self(65);
    pub const TSIG: Self = Self(250);
    pub const IXFR: Self = Self(251);
    pub const AXFR: Self = Self(252);
    pub const ANY: Self = Self(255);
    pub const CAA: Self = Self(257);
}

impl RecordType {
    /// Reads a mnemonic or `TYPE1234` (RFC 3597 section 5), in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        if let Some(&(_, rtype)) = MNEMONICS.iter().find(|(mnemonic, _)| *mnemonic == upper) {
            return Some(rtype);
        }
        upper.strip_prefix("TYPE")?.parse().ok().map(Self)
    }

    /// Whether data of this type have names that replies do something with: compress them, or add their addresses.
    #[inline]
    pub fn has_names(self) -> bool {
        matches!(
            self,
            Self::NS
                | Self::CNAME
                | Self::SOA
                | Self::PTR
                | Self::MX
                | Self::SRV
                | Self::SVCB
                | Self::HTTPS
        )
    }

    /// Octets before the names of this type's data and how many names there are, if they may be compressed in a reply.
    ///
    /// Those of RFC 1035 that zones still have; compressing others would break receivers (RFC 3597 section 4).
    #[inline]
    pub fn compressible(self) -> Option<(usize, usize)> {
        match self {
            Self::NS | Self::CNAME | Self::PTR => Some((0, 1)),
            Self::MX => Some((2, 1)),
            Self::SOA => Some((0, 2)),
            _ => None,
        }
    }
}

impl std::fmt::Display for RecordType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match MNEMONICS.iter().find(|(_, rtype)| rtype == self) {
            Some((mnemonic, _)) => f.write_str(mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

//! Types of resource records.

/// A resource record type (RFC 1035 section 3.2.2 and IANA's registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

#[allow(missing_docs, reason = "the names are the registry's")]
impl RecordType {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const MD: Self = Self(3);
    pub const MF: Self = Self(4);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const MB: Self = Self(7);
    pub const MG: Self = Self(8);
    pub const MR: Self = Self(9);
    pub const NULL: Self = Self(10);
    pub const WKS: Self = Self(11);
    pub const PTR: Self = Self(12);
    pub const HINFO: Self = Self(13);
    pub const MINFO: Self = Self(14);
    pub const MX: Self = Self(15);
    pub const TXT: Self = Self(16);
    pub const RP: Self = Self(17);
    pub const AFSDB: Self = Self(18);
    pub const X25: Self = Self(19);
    pub const ISDN: Self = Self(20);
    pub const RT: Self = Self(21);
    pub const NSAP: Self = Self(22);
    pub const NSAP_PTR: Self = Self(23);
    pub const SIG: Self = Self(24);
    pub const KEY: Self = Self(25);
    pub const PX: Self = Self(26);
    pub const GPOS: Self = Self(27);
    pub const AAAA: Self = Self(28);
    pub const LOC: Self = Self(29);
    pub const NXT: Self = Self(30);
    pub const EID: Self = Self(31);
    pub const NIMLOC: Self = Self(32);
    pub const SRV: Self = Self(33);
    pub const ATMA: Self = Self(34);
    pub const NAPTR: Self = Self(35);
    pub const KX: Self = Self(36);
    pub const CERT: Self = Self(37);
    pub const A6: Self = Self(38);
    pub const DNAME: Self = Self(39);
    pub const SINK: Self = Self(40);
    pub const OPT: Self = Self(41);
    pub const APL: Self = Self(42);
    pub const DS: Self = Self(43);
    pub const SSHFP: Self = Self(44);
    pub const IPSECKEY: Self = Self(45);
    pub const RRSIG: Self = Self(46);
    pub const NSEC: Self = Self(47);
    pub const DNSKEY: Self = Self(48);
    pub const DHCID: Self = Self(49);
    pub const NSEC3: Self = Self(50);
    pub const NSEC3PARAM: Self = Self(51);
    pub const TLSA: Self = Self(52);
    pub const SMIMEA: Self = Self(53);
    pub const HIP: Self = Self(55);
    pub const NINFO: Self = Self(56);
    pub const RKEY: Self = Self(57);
    pub const TALINK: Self = Self(58);
    pub const CDS: Self = Self(59);
    pub const CDNSKEY: Self = Self(60);
    pub const OPENPGPKEY: Self = Self(61);
    pub const CSYNC: Self = Self(62);
    pub const ZONEMD: Self = Self(63);
    pub const SVCB: Self = Self(64);
    pub const HTTPS: Self = Self(65);
    pub const DSYNC: Self = Self(66);
    pub const HHIT: Self = Self(67);
    pub const BRID: Self = Self(68);
    pub const SPF: Self = Self(99);
    pub const UINFO: Self = Self(100);
    pub const UID: Self = Self(101);
    pub const GID: Self = Self(102);
    pub const UNSPEC: Self = Self(103);
    pub const NID: Self = Self(104);
    pub const L32: Self = Self(105);
    pub const L64: Self = Self(106);
    pub const LP: Self = Self(107);
    pub const EUI48: Self = Self(108);
    pub const EUI64: Self = Self(109);
    pub const NXNAME: Self = Self(128);
    pub const TKEY: Self = Self(249);
    pub const TSIG: Self = Self(250);
    pub const IXFR: Self = Self(251);
    pub const AXFR: Self = Self(252);
    pub const MAILB: Self = Self(253);
    pub const MAILA: Self = Self(254);
    pub const ANY: Self = Self(255);
    pub const URI: Self = Self(256);
    pub const CAA: Self = Self(257);
    pub const AVC: Self = Self(258);
    pub const DOA: Self = Self(259);
    pub const AMTRELAY: Self = Self(260);
    pub const RESINFO: Self = Self(261);
    pub const WALLET: Self = Self(262);
    pub const CLA: Self = Self(263);
    pub const IPN: Self = Self(264);
    pub const TA: Self = Self(32768);
    pub const DLV: Self = Self(32769);
}

/// Mnemonics of IANA's registry "Resource Record (RR) TYPEs", in the order of their numbers.
const MNEMONICS: &[(&str, RecordType)] = &[
    ("A", RecordType::A),
    ("NS", RecordType::NS),
    ("MD", RecordType::MD),
    ("MF", RecordType::MF),
    ("CNAME", RecordType::CNAME),
    ("SOA", RecordType::SOA),
    ("MB", RecordType::MB),
    ("MG", RecordType::MG),
    ("MR", RecordType::MR),
    ("NULL", RecordType::NULL),
    ("WKS", RecordType::WKS),
    ("PTR", RecordType::PTR),
    ("HINFO", RecordType::HINFO),
    ("MINFO", RecordType::MINFO),
    ("MX", RecordType::MX),
    ("TXT", RecordType::TXT),
    ("RP", RecordType::RP),
    ("AFSDB", RecordType::AFSDB),
    ("X25", RecordType::X25),
    ("ISDN", RecordType::ISDN),
    ("RT", RecordType::RT),
    ("NSAP", RecordType::NSAP),
    ("NSAP-PTR", RecordType::NSAP_PTR),
    ("SIG", RecordType::SIG),
    ("KEY", RecordType::KEY),
    ("PX", RecordType::PX),
    ("GPOS", RecordType::GPOS),
    ("AAAA", RecordType::AAAA),
    ("LOC", RecordType::LOC),
    ("NXT", RecordType::NXT),
    ("EID", RecordType::EID),
    ("NIMLOC", RecordType::NIMLOC),
    ("SRV", RecordType::SRV),
    ("ATMA", RecordType::ATMA),
    ("NAPTR", RecordType::NAPTR),
    ("KX", RecordType::KX),
    ("CERT", RecordType::CERT),
    ("A6", RecordType::A6),
    ("DNAME", RecordType::DNAME),
    ("SINK", RecordType::SINK),
    ("OPT", RecordType::OPT),
    ("APL", RecordType::APL),
    ("DS", RecordType::DS),
    ("SSHFP", RecordType::SSHFP),
    ("IPSECKEY", RecordType::IPSECKEY),
    ("RRSIG", RecordType::RRSIG),
    ("NSEC", RecordType::NSEC),
    ("DNSKEY", RecordType::DNSKEY),
    ("DHCID", RecordType::DHCID),
    ("NSEC3", RecordType::NSEC3),
    ("NSEC3PARAM", RecordType::NSEC3PARAM),
    ("TLSA", RecordType::TLSA),
    ("SMIMEA", RecordType::SMIMEA),
    ("HIP", RecordType::HIP),
    ("NINFO", RecordType::NINFO),
    ("RKEY", RecordType::RKEY),
    ("TALINK", RecordType::TALINK),
    ("CDS", RecordType::CDS),
    ("CDNSKEY", RecordType::CDNSKEY),
    ("OPENPGPKEY", RecordType::OPENPGPKEY),
    ("CSYNC", RecordType::CSYNC),
    ("ZONEMD", RecordType::ZONEMD),
    ("SVCB", RecordType::SVCB),
    ("HTTPS", RecordType::HTTPS),
    ("DSYNC", RecordType::DSYNC),
    ("HHIT", RecordType::HHIT),
    ("BRID", RecordType::BRID),
    ("SPF", RecordType::SPF),
    ("UINFO", RecordType::UINFO),
    ("UID", RecordType::UID),
    ("GID", RecordType::GID),
    ("UNSPEC", RecordType::UNSPEC),
    ("NID", RecordType::NID),
    ("L32", RecordType::L32),
    ("L64", RecordType::L64),
    ("LP", RecordType::LP),
    ("EUI48", RecordType::EUI48),
    ("EUI64", RecordType::EUI64),
    ("NXNAME", RecordType::NXNAME),
    ("TKEY", RecordType::TKEY),
    ("TSIG", RecordType::TSIG),
    ("IXFR", RecordType::IXFR),
    ("AXFR", RecordType::AXFR),
    ("MAILB", RecordType::MAILB),
    ("MAILA", RecordType::MAILA),
    ("ANY", RecordType::ANY),
    ("URI", RecordType::URI),
    ("CAA", RecordType::CAA),
    ("AVC", RecordType::AVC),
    ("DOA", RecordType::DOA),
    ("AMTRELAY", RecordType::AMTRELAY),
    ("RESINFO", RecordType::RESINFO),
    ("WALLET", RecordType::WALLET),
    ("CLA", RecordType::CLA),
    ("IPN", RecordType::IPN),
    ("TA", RecordType::TA),
    ("DLV", RecordType::DLV),
];

impl RecordType {
    /// Reads a mnemonic or `TYPE1234` (RFC 3597 section 5), in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let is_it = |(mnemonic, _): &&(&str, Self)| mnemonic.eq_ignore_ascii_case(text);
        if let Some(&(_, rtype)) = MNEMONICS.iter().find(is_it) {
            return Some(rtype);
        }
        let (prefix, number) = text.split_at_checked(4)?;
        let is_number = number.bytes().all(|octet| octet.is_ascii_digit());
        (prefix.eq_ignore_ascii_case("TYPE") && is_number).then(|| number.parse().ok().map(Self))?
    }

    /// Every type with a mnemonic, in the order of the numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        MNEMONICS.iter().map(|&(_, rtype)| rtype)
    }

    /// Whether records of this type can stand in a zone: type 0, OPT, and the range of meta and query types
    /// cannot (RFC 6895 section 3.1).
    pub fn is_data(self) -> bool {
        !matches!(self.0, 0 | 41 | 128..=255 | 65_535)
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
        match MNEMONICS.binary_search_by_key(self, |&(_, rtype)| rtype) {
            Ok(position) => f.write_str(MNEMONICS[position].0),
            Err(_) => write!(f, "TYPE{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_and_numbers_are_read_in_any_case_and_written_as_the_registry_does() {
        assert!(MNEMONICS.is_sorted_by_key(|&(_, rtype)| rtype), "Display searches in them");
        for rtype in (0..=u16::MAX).map(RecordType) {
            assert_eq!(RecordType::parse(&rtype.to_string()), Some(rtype));
        }
        for (text, number) in [("nsap-ptr", 23), ("TYPE1", 1), ("type00065", 65), ("Https", 65)] {
            assert_eq!(RecordType::parse(text), Some(RecordType(number)), "{text}");
        }
        for text in ["", "TYPE", "TYPE+1", "TYPE65536", "TYPE 1", "NSAP_PTR", "*", "TYP€1"] {
            assert_eq!(RecordType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn types_of_queries_and_options_are_no_data() {
        for rtype in [RecordType::OPT, RecordType::TSIG, RecordType::ANY, RecordType::NXNAME] {
            assert!(!rtype.is_data(), "{rtype}");
        }
        for rtype in [RecordType::A, RecordType::DLV, RecordType(127), RecordType(65_280)] {
            assert!(rtype.is_data(), "{rtype}");
        }
    }
}

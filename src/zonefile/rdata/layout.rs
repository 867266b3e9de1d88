//! Which fields the data of each type has: the one table that reading, writing and checking share.
//!
//! Does nothing with the fields: `read` and `write` say how each kind looks in a text and on the wire.

use crate::wire::RecordType;

/// One field of a type's data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// How it is written and stored.
    pub kind: Kind,
    /// What it is, for faults: "a preference of 0 to 65535".
    pub what: &'static str,
    /// One that is right.
    pub example: &'static str,
}

/// Words that stand for numbers.
pub(super) type Mnemonics = &'static [(&'static str, u16)];

/// How a field is written and stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A domain name.
    Name,
    /// A number of one octet.
    U8,
    /// A number of two octets.
    U16,
    /// A number of four octets.
    U32,
    /// A number of eight octets.
    U64,
    /// A number of one octet, or a word for it.
    Word8(Mnemonics),
    /// A number of two octets, or a word for it.
    Word16(Mnemonics),
    /// Seconds, or a time with units; four octets.
    Time,
    /// A moment, `YYYYMMDDHHmmSS` or seconds since 1970; four octets (RFC 4034 section 3.2).
    Moment,
    /// A record type.
    Type,
    /// The types of a bitmap to the end (RFC 4034 section 4.1.2); there may be none.
    Types,
    /// A character-string.
    Text,
    /// A character-string that may be left out.
    OptionalText,
    /// Character-strings to the end, at least one.
    Texts,
    /// A character-string of digits only, at least as many.
    Digits(usize),
    /// A character-string of letters and digits, not empty.
    Tag,
    /// The rest of the data as one text without a length before it, with at least as many octets.
    Tail(usize),
    /// Hexadecimal digits to the end, at least one octet.
    Hex,
    /// A digest to the end, in hexadecimal.
    Digest(Digest),
    /// Hexadecimal digits of one word with an octet for their length, `-` for none.
    Salt,
    /// Base32 digits (RFC 4648 section 7, no padding) of one word, with an octet for their length.
    Hash,
    /// Base64 digits to the end, at least one octet.
    Base64,
    /// Base64 digits to the end, or nothing.
    OptionalBase64,
    /// Base64 digits to the end, or `-` for none.
    DashOrBase64,
    /// An IPv4 address.
    Address4,
    /// An IPv6 address.
    Address6,
    /// Four groups of hexadecimal digits with colons (RFC 6742).
    Groups,
    /// As many octets in hexadecimal with hyphens (RFC 7043).
    Hyphened(usize),
    /// `0x` and hexadecimal digits with dots anywhere (RFC 1706).
    Nsap,
    /// An ATM address: `+` and digits, or hexadecimal digits with dots anywhere.
    Atm,
    /// Protocol and ports (RFC 1035 section 3.4.2).
    Services,
    /// All of LOC (RFC 1876).
    Location,
    /// All of APL (RFC 3123).
    Prefixes,
    /// Gateway type, algorithm, gateway (RFC 4025).
    Gateway,
    /// Discovery bit, relay type, relay (RFC 8777).
    Relay,
    /// All of HIP (RFC 8005).
    HostIdentity,
    /// Parameters of SVCB and HTTPS (RFC 9460).
    Parameters,
}

/// A digest whose length follows from an octet before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    /// Where in the data the digest's kind stands.
    pub at: usize,
    /// Lengths in octets by kind.
    pub lens: &'static [(u8, usize)],
    /// Shortest digest of any kind.
    pub min_len: usize,
}

/// DNSSEC algorithms: IANA's names, and those BIND has for some.
const ALGORITHMS: Mnemonics = &[
    ("DELETE", 0),
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("SM2SM3", 17),
    ("ECC-GOST12", 23),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Digests of DS records (IANA, RFC 9157).
const DIGESTS: Mnemonics =
    &[("SHA-1", 1), ("SHA1", 1), ("SHA-256", 2), ("SHA256", 2), ("GOST", 3), ("SHA-384", 4)];

/// Certificates (RFC 4398 section 2.1).
const CERTIFICATES: Mnemonics = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// Protocols of KEY records (RFC 2535 section 3.1.3).
const KEY_PROTOCOLS: Mnemonics =
    &[("NONE", 0), ("TLS", 1), ("EMAIL", 2), ("DNSSEC", 3), ("IPSEC", 4), ("ALL", 255)];

/// Schemes of DSYNC records (RFC 9859).
const SCHEMES: Mnemonics = &[("NOTIFY", 1)];

const fn field(kind: Kind, what: &'static str, example: &'static str) -> Field {
    Field { kind, what, example }
}

const HOST: Field = field(Kind::Name, "a name", "host.example.com.");
const PREFERENCE: Field = field(Kind::U16, "a preference of 0 to 65535", "10");
const OCTET: Field = field(Kind::U8, "a number of 0 to 255", "1");
const FLAGS: Field = field(Kind::U16, "flags of 0 to 65535", "257");
const KEY_TAG: Field = field(Kind::U16, "a key tag of 0 to 65535", "60485");
const ALGORITHM: Field =
    field(Kind::Word8(ALGORITHMS), "a DNSSEC algorithm", "13 or ECDSAP256SHA256");
const TEXT: Field = field(Kind::Text, "a text", "\"hello\"");
const TEXTS: Field = field(Kind::Texts, "a text", "\"hello\"");
const HEX: Field = field(Kind::Hex, "data in hexadecimal", "c0a80001");
const KEY: Field = field(Kind::Base64, "a key in base64", "AQPSKmynfzW4kyBv015MUG2DeIQ3");
const NO_KEY: Field = Field { kind: Kind::OptionalBase64, ..KEY };
const BASE64: Field = field(Kind::Base64, "data in base64", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69");
const TYPES: Field = field(Kind::Types, "a record type", "A or TYPE65280");
const COVERED: Field = field(Kind::Type, "a record type", "A or TYPE65280");
const ITERATIONS: Field = field(Kind::U16, "iterations of 0 to 65535", "0");
const SALT: Field = field(Kind::Salt, "a salt in hexadecimal", "aabbccdd, or - for none");
const PARAMETERS: Field = field(Kind::Parameters, "a parameter", "alpn=h2,h3");

const SOA: &[Field] = &[
    HOST,
    field(Kind::Name, "a mailbox", "hostmaster.example.com."),
    field(Kind::U32, "a serial number", "2026112101"),
    field(Kind::Time, "refresh", "2h"),
    field(Kind::Time, "retry", "30m"),
    field(Kind::Time, "expire", "2w"),
    field(Kind::Time, "minimum", "30"),
];

const SRV: &[Field] = &[
    field(Kind::U16, "a priority of 0 to 65535", "10 5 443 host.example.com."),
    field(Kind::U16, "a weight of 0 to 65535", "10 5 443 host.example.com."),
    field(Kind::U16, "a port of 0 to 65535", "10 5 443 host.example.com."),
    HOST,
];

const NAPTR: &[Field] = &[
    field(Kind::U16, "an order of 0 to 65535", "100"),
    PREFERENCE,
    field(Kind::Text, "flags", "\"u\""),
    field(Kind::Text, "services", "\"E2U+sip\""),
    field(Kind::Text, "a regular expression", "\"!^.*$!sip:info@example.com!\""),
    HOST,
];

const SIGNATURE: &[Field] = &[
    COVERED,
    ALGORITHM,
    field(Kind::U8, "a number of labels", "2"),
    field(Kind::Time, "an original TTL", "3600"),
    field(Kind::Moment, "an expiration", "20261231235959"),
    field(Kind::Moment, "an inception", "20261201000000"),
    KEY_TAG,
    field(Kind::Name, "a signer's name", "example.com."),
    field(Kind::Base64, "a signature in base64", "oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr"),
];

const DS: &[Field] = &[
    KEY_TAG,
    ALGORITHM,
    field(Kind::Word8(DIGESTS), "a digest type", "2 or SHA-256"),
    field(
        Kind::Digest(Digest { at: 3, lens: &[(1, 20), (2, 32), (3, 32), (4, 48)], min_len: 1 }),
        "a digest in hexadecimal",
        "2bb183af5f22588179a53b0a98631fad1a292118",
    ),
];

const ZONEMD: &[Field] = &[
    field(Kind::U32, "a serial number", "2026112101"),
    field(Kind::U8, "a scheme of 0 to 255", "1"),
    field(Kind::U8, "a hash algorithm of 0 to 255", "1"),
    field(
        Kind::Digest(Digest { at: 5, lens: &[(1, 48), (2, 64)], min_len: 12 }),
        "a digest in hexadecimal",
        "a digest of 48 octets (SHA-384)",
    ),
];

const KEYS: &[Field] = &[FLAGS, field(Kind::U8, "a protocol of 0 to 255", "3"), ALGORITHM, KEY];

const OLD_KEYS: &[Field] =
    &[FLAGS, field(Kind::Word8(KEY_PROTOCOLS), "a protocol", "3 or DNSSEC"), ALGORITHM, NO_KEY];

const CERT: &[Field] = &[
    field(Kind::Word16(CERTIFICATES), "a certificate type", "1 or PKIX"),
    KEY_TAG,
    field(Kind::Word8(ALGORITHMS), "an algorithm", "8 or RSASHA256"),
    field(Kind::Base64, "a certificate in base64", "MIICajCCAdOgAwIBAgICBEUwDQYJKoZI"),
];

const NSEC3: &[Field] = &[
    field(Kind::U8, "a hash algorithm of 0 to 255", "1"),
    field(Kind::U8, "flags of 0 to 255", "0 or 1"),
    ITERATIONS,
    SALT,
    field(Kind::Hash, "a hash in base32", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
    TYPES,
];

const TLSA: &[Field] = &[
    field(Kind::U8, "a certificate usage of 0 to 255", "3"),
    field(Kind::U8, "a selector of 0 to 255", "1"),
    field(Kind::U8, "a matching type of 0 to 255", "1"),
    HEX,
];

const DOA: &[Field] = &[
    field(Kind::U32, "an enterprise number", "0"),
    field(Kind::U32, "a type number", "1"),
    field(Kind::U8, "a location of 0 to 255", "2"),
    field(Kind::Text, "a media type", "\"text/plain\""),
    Field { kind: Kind::DashOrBase64, ..BASE64 },
];

const DSYNC: &[Field] = &[
    COVERED,
    field(Kind::Word8(SCHEMES), "a scheme", "1 or NOTIFY"),
    field(Kind::U16, "a port of 0 to 65535", "5300"),
    HOST,
];

const CSYNC: &[Field] = &[
    field(Kind::U32, "a serial number", "2026112101"),
    field(Kind::U16, "flags of 0 to 65535", "3"),
    TYPES,
];

/// The fields of a type's data; `None` where none are known: such data is written as `\# LENGTH HEX` only.
///
/// That holds too for NULL, NXT, A6, SINK, UINFO, UID, GID and UNSPEC, whose texts were never settled or are long dead.
pub(super) fn layout(rtype: RecordType) -> Option<&'static [Field]> {
    Some(match rtype {
        RecordType::A => const { &[field(Kind::Address4, "an IPv4 address", "192.0.2.1")] },
        RecordType::AAAA => const { &[field(Kind::Address6, "an IPv6 address", "2001:db8::1")] },
        RecordType::NS
        | RecordType::CNAME
        | RecordType::PTR
        | RecordType::DNAME
        | RecordType::MD
        | RecordType::MF
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::NSAP_PTR => &[HOST],
        RecordType::TXT => &[TEXTS],
        RecordType::MX | RecordType::AFSDB | RecordType::RT | RecordType::KX | RecordType::LP => {
            &[PREFERENCE, HOST]
        }
        RecordType::SOA => SOA,
        RecordType::SRV => SRV,
        RecordType::CAA => {
            const {
                &[
                    field(Kind::U8, "a flag byte", "0 or 128"),
                    field(Kind::Tag, "a tag", "issue"),
                    field(Kind::Tail(0), "a value", "\"letsencrypt.org\""),
                ]
            }
        }
        RecordType::SVCB | RecordType::HTTPS => {
            const { &[field(Kind::U16, "a priority of 0 to 65535", "1"), HOST, PARAMETERS] }
        }
        RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::TA => DS,
        _ => return seldom(rtype),
    })
}

/// Fields of the types that a zone mostly has few of.
fn seldom(rtype: RecordType) -> Option<&'static [Field]> {
    Some(match rtype {
        RecordType::RRSIG | RecordType::SIG => SIGNATURE,
        RecordType::NSEC => {
            const { &[field(Kind::Name, "a next name", "host.example.com."), TYPES] }
        }
        RecordType::NSEC3 => NSEC3,
        RecordType::NSEC3PARAM => &[OCTET, OCTET, ITERATIONS, SALT],
        RecordType::DNSKEY | RecordType::CDNSKEY | RecordType::RKEY => KEYS,
        RecordType::KEY => OLD_KEYS,
        RecordType::CERT => CERT,
        RecordType::CSYNC => CSYNC,
        RecordType::ZONEMD => ZONEMD,
        RecordType::DSYNC => DSYNC,
        RecordType::TLSA | RecordType::SMIMEA => TLSA,
        RecordType::SSHFP => {
            const {
                &[
                    field(Kind::U8, "an algorithm of 0 to 255", "4"),
                    field(Kind::U8, "a fingerprint type of 0 to 255", "2"),
                    field(Kind::Hex, "a fingerprint in hexadecimal", "123456789abcdef67890"),
                ]
            }
        }
        RecordType::IPSECKEY => {
            const { &[OCTET, field(Kind::Gateway, "a gateway type", "1 2 192.0.2.38"), NO_KEY] }
        }
        RecordType::AMTRELAY => {
            const { &[OCTET, field(Kind::Relay, "a discovery bit", "0 1 203.0.113.15")] }
        }
        RecordType::HIP => {
            const { &[field(Kind::HostIdentity, "a key algorithm", "2 200100107B1A74DF AwEAAbdxyhNu")] }
        }
        RecordType::NAPTR => NAPTR,
        RecordType::URI => {
            const {
                &[
                    field(Kind::U16, "a priority of 0 to 65535", "10"),
                    field(Kind::U16, "a weight of 0 to 65535", "1"),
                    field(Kind::Tail(1), "a target", "\"https://www.example.com/\""),
                ]
            }
        }
        RecordType::LOC => {
            const { &[field(Kind::Location, "a latitude", "52 22 23.000 N 4 53 32 E -2.00m")] }
        }
        RecordType::APL => const { &[field(Kind::Prefixes, "a prefix", "1:192.168.32.0/21")] },
        RecordType::DHCID | RecordType::OPENPGPKEY | RecordType::HHIT | RecordType::BRID => {
            &[BASE64]
        }
        RecordType::SPF
        | RecordType::AVC
        | RecordType::NINFO
        | RecordType::RESINFO
        | RecordType::WALLET
        | RecordType::CLA => &[TEXTS],
        RecordType::DOA => DOA,
        RecordType::IPN => const { &[field(Kind::U64, "a node number", "974848")] },
        _ => return addressing(rtype),
    })
}

/// Fields of types for hosts, networks and mailboxes of other times.
fn addressing(rtype: RecordType) -> Option<&'static [Field]> {
    Some(match rtype {
        RecordType::MINFO | RecordType::RP | RecordType::TALINK => &[HOST, HOST],
        RecordType::PX => &[PREFERENCE, HOST, HOST],
        RecordType::HINFO => &[TEXT, TEXT],
        RecordType::X25 => {
            const { &[field(Kind::Digits(4), "an address of at least four digits", "311061700956")] }
        }
        RecordType::ISDN => {
            const {
                &[
                    field(Kind::Text, "an address", "\"150862028003217\""),
                    field(Kind::OptionalText, "a subaddress", "\"004\""),
                ]
            }
        }
        RecordType::GPOS => {
            const {
                &[
                    field(Kind::Text, "a longitude", "\"-32.6882\""),
                    field(Kind::Text, "a latitude", "\"116.8652\""),
                    field(Kind::Text, "an altitude", "\"10.0\""),
                ]
            }
        }
        RecordType::WKS => {
            const {
                &[
                    field(Kind::Address4, "an IPv4 address", "192.0.2.1"),
                    field(Kind::Services, "a protocol", "TCP 25 53"),
                ]
            }
        }
        RecordType::NSAP => {
            const {
                &[field(
                    Kind::Nsap,
                    "an address",
                    "0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00",
                )]
            }
        }
        RecordType::ATMA => const { &[field(Kind::Atm, "an ATM address", "+358400123123")] },
        RecordType::EID | RecordType::NIMLOC => &[HEX],
        RecordType::NID => {
            const { &[PREFERENCE, field(Kind::Groups, "a node identifier", "14:4fff:ff20:ee64")] }
        }
        RecordType::L64 => {
            const { &[PREFERENCE, field(Kind::Groups, "a locator", "2001:db8:1140:1000")] }
        }
        RecordType::L32 => const { &[PREFERENCE, field(Kind::Address4, "a locator", "10.1.2.0")] },
        RecordType::EUI48 => {
            const { &[field(Kind::Hyphened(6), "an address", "00-00-5e-00-53-2a")] }
        }
        RecordType::EUI64 => {
            const { &[field(Kind::Hyphened(8), "an address", "00-00-5e-ef-10-00-00-2a")] }
        }
        _ => return None,
    })
}

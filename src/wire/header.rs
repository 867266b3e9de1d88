//! The twelve octets every message starts with (RFC 1035 section 4.1.1).
//!
//! ```text
//!   0      2      4        6        8        10       12
//!   | ID   | flags | QDCOUNT| ANCOUNT| NSCOUNT| ARCOUNT|
//!           QR Opcode(4) AA TC RD | RA Z AD CD Rcode(4)
//! ```

use std::fmt;

/// Octets of a header.
pub const HEADER_LEN: usize = 12;

/// Response codes this server gives (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Rcode {
    /// The question is answered, perhaps with no data.
    NoError = 0,
    /// The query is malformed.
    FormErr = 1,
    /// The answer cannot be given now.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// The kind of query is not implemented.
    NotImp = 4,
    /// This server does not answer for that name or class.
    Refused = 5,
    /// A DNAME leads to a name of more than 255 octets (RFC 6672 section 2.2).
    YxDomain = 6,
    /// The query is signed with a key this server does not have (RFC 8945 section 5.2).
    NotAuth = 9,
    /// The EDNS version is not supported; its upper bits go into the OPT record.
    BadVers = 16,
}

impl Rcode {
    /// Every code, for counters; the position is [`Rcode::index`].
    pub const ALL: [Self; 9] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::NotAuth,
        Self::BadVers,
    ];

    /// Position in [`Rcode::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::YxDomain => 6,
            Self::NotAuth => 7,
            Self::BadVers => 8,
        }
    }

    /// The lower four bits, which go into the header.
    pub fn low(self) -> u8 {
        (self as u16 & 0x0f) as u8
    }

    /// The upper eight bits, which go into the OPT record.
    pub fn high(self) -> u8 {
        (self as u16 >> 4) as u8
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::NotAuth => "NOTAUTH",
            Self::BadVers => "BADVERS",
        })
    }
}

/// Bits of octet 2.
pub mod bits {
    /// This is a response.
    pub const QR: u8 = 0x80;
    /// Mask of the opcode.
    pub const OPCODE: u8 = 0x78;
    /// The answer is authoritative.
    pub const AA: u8 = 0x04;
    /// The answer was cut; ask again over TCP.
    pub const TC: u8 = 0x02;
    /// Recursion desired; copied into the reply.
    pub const RD: u8 = 0x01;
}

/// Reads the 16-bit number at `at`, or `None` past the end.
#[inline]
pub fn read_u16(octets: &[u8], at: usize) -> Option<u16> {
    let pair = octets.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

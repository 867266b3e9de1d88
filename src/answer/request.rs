//! What the shell knows of a query besides its octets.

use std::net::IpAddr;

/// Where a query came from, how and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Source address; IPv4-mapped IPv6 addresses are given as IPv4.
    pub client: IpAddr,
    /// Address the query was sent to; some listeners do not know it.
    pub local: Option<IpAddr>,
    /// How it came.
    pub transport: Transport,
    /// The second it is, since 1970.
    pub unix_s: u64,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: replies are limited and may be truncated.
    Udp,
    /// A stream with two-octet length framing (RFC 1035 section 4.2.2, RFC 7766).
    Tcp,
    /// The same inside TLS (RFC 7858).
    Tls,
    /// HTTP/2 inside TLS (RFC 8484).
    Https,
    /// QUIC, one stream a query (RFC 9250).
    Quic,
}

impl Transport {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// What operators call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "dot",
            Self::Https => "doh",
            Self::Quic => "doq",
        }
    }
}

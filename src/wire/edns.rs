//! The OPT pseudo-record (RFC 6891) and the options this server acts on.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::wire::header::read_u16;

/// Option codes of IANA's registry.
pub mod code {
    /// Name server identifier (RFC 5001).
    pub const NSID: u16 = 3;
    /// EDNS client subnet (RFC 7871).
    pub const ECS: u16 = 8;
    /// How long an idle TCP connection is kept (RFC 7828).
    pub const KEEPALIVE: u16 = 11;
    /// Extended DNS error (RFC 8914).
    pub const EDE: u16 = 15;
}

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Largest UDP reply the client takes, in octets, as sent.
    pub udp_size: u16,
    /// Version; only 0 is known.
    pub version: u8,
    /// DNSSEC records are wanted (RFC 3225).
    pub dnssec_ok: bool,
    /// The server's identity is wanted.
    pub nsid: bool,
    /// The client wants to know how long an idle TCP connection is kept.
    pub keepalive: bool,
    /// For which client the resolver asks.
    pub ecs: Option<Ecs>,
}

/// A client subnet option of a query (RFC 7871 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecs {
    /// Family as sent: 1, 2, or 0 with an empty prefix.
    family: u16,
    /// Bits of `address` that are set by the client, 0-128.
    pub source_prefix_len: u8,
    /// The prefix, rest zero.
    pub address: IpAddr,
}

/// The option is malformed (RFC 7871 section 7.1.2 wants FORMERR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOption;

impl Ecs {
    /// Longest option in a reply, with its header: 4 + 4 + 16 octets.
    pub const WIRE_MAX: usize = 24;

    /// An option for tests and tools; `None` if bits are set beyond the prefix or it is too long.
    pub fn new(address: IpAddr, source_prefix_len: u8) -> Option<Self> {
        let (family, octets) = match address {
            IpAddr::V4(v4) => (1u16, v4.octets().to_vec()),
            IpAddr::V6(v6) => (2, v6.octets().to_vec()),
        };
        let used = usize::from(source_prefix_len).div_ceil(8);
        let mut option = family.to_be_bytes().to_vec();
        option.extend_from_slice(&[source_prefix_len, 0]);
        option.extend_from_slice(octets.get(..used)?);
        octets[used..].iter().all(|&octet| octet == 0).then_some(())?;
        Self::parse(&option).ok()
    }

    /// Reads an option's data: family, source and scope length, as many address octets as the prefix needs.
    pub fn parse(data: &[u8]) -> Result<Self, BadOption> {
        let (Some(family), Some(&[source_prefix_len, scope])) = (read_u16(data, 0), data.get(2..4))
        else {
            return Err(BadOption);
        };
        let bits_max = match family {
            // An opt-out without a family, as some stubs send it and BIND takes it: RFC 7871 section 6 leaves other
            // families undefined, and an empty prefix of any says the same. It is echoed as it came.
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return Err(BadOption),
        };
        let prefix = &data[4..];
        if scope != 0
            || source_prefix_len > bits_max
            || prefix.len() != usize::from(source_prefix_len).div_ceil(8)
            || has_bits_beyond(prefix, source_prefix_len)
        {
            return Err(BadOption);
        }
        let address = if family == 2 {
            let mut octets = [0u8; 16];
            octets[..prefix.len()].copy_from_slice(prefix);
            IpAddr::V6(Ipv6Addr::from(octets))
        } else {
            let mut octets = [0u8; 4];
            octets[..prefix.len()].copy_from_slice(prefix);
            IpAddr::V4(Ipv4Addr::from(octets))
        };
        Ok(Self { family, source_prefix_len, address })
    }

    /// Writes the option for a reply, header included; returns its length. Everything but the scope is echoed.
    #[inline]
    pub fn write(&self, scope_prefix_len: u8, out: &mut [u8; Self::WIRE_MAX]) -> usize {
        let prefix_octets = usize::from(self.source_prefix_len).div_ceil(8);
        out[..2].copy_from_slice(&code::ECS.to_be_bytes());
        out[2..4].copy_from_slice(&((4 + prefix_octets) as u16).to_be_bytes());
        out[4..6].copy_from_slice(&self.family.to_be_bytes());
        out[6] = self.source_prefix_len;
        out[7] = scope_prefix_len;
        match self.address {
            IpAddr::V4(v4) => {
                out[8..8 + prefix_octets].copy_from_slice(&v4.octets()[..prefix_octets])
            }
            IpAddr::V6(v6) => {
                out[8..8 + prefix_octets].copy_from_slice(&v6.octets()[..prefix_octets])
            }
        }
        8 + prefix_octets
    }
}

/// Whether a bit after the first `prefix_len` is set in the last octet.
fn has_bits_beyond(prefix: &[u8], prefix_len: u8) -> bool {
    let used = prefix_len % 8;
    used != 0 && prefix.last().is_some_and(|last| last & (0xff >> used) != 0)
}

/// Reads the body of an OPT record: `class` is the size, `ttl` holds version and flags (RFC 6891 section 6.1.3).
///
/// What the fixed part says is there even if an option is malformed: the reply needs it.
pub fn parse_opt(class: u16, ttl: [u8; 4], options: &[u8]) -> (Edns, Result<(), BadOption>) {
    let mut edns = Edns {
        udp_size: class,
        version: ttl[1],
        dnssec_ok: ttl[2] & 0x80 != 0,
        nsid: false,
        keepalive: false,
        ecs: None,
    };
    // Another version may lay its octets out otherwise: BADVERS comes before their faults (RFC 6891 section 6.1.3).
    if edns.version != 0 {
        return (edns, Ok(()));
    }
    let read = edns.read_options(options);
    if read.is_err() {
        edns.ecs = None;
    }
    (edns, read)
}

impl Edns {
    fn read_options(&mut self, mut options: &[u8]) -> Result<(), BadOption> {
        while !options.is_empty() {
            let (Some(option), Some(len)) = (read_u16(options, 0), read_u16(options, 2)) else {
                return Err(BadOption);
            };
            let end = 4 + usize::from(len);
            let data = options.get(4..end).ok_or(BadOption)?;
            match option {
                code::NSID => self.nsid = true,
                // Clients send no timeout (RFC 7828 section 3.2.1); one that does is told ours all the same.
                code::KEEPALIVE => self.keepalive = true,
                code::ECS if self.ecs.is_some() => return Err(BadOption),
                code::ECS => self.ecs = Some(Ecs::parse(data)?),
                _ => {}
            }
            options = &options[end..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_a_client_subnet_with_only_the_scope_changed() {
        let data = [0, 1, 20, 0, 198, 51, 0x60];
        let ecs = Ecs::parse(&data).unwrap();
        assert_eq!((ecs.address, ecs.source_prefix_len), ("198.51.96.0".parse().unwrap(), 20));
        let mut out = [0; Ecs::WIRE_MAX];
        let len = ecs.write(16, &mut out);
        assert_eq!(&out[..len], &[0, 8, 0, 7, 0, 1, 20, 16, 198, 51, 0x60]);
    }

    #[test]
    fn refuses_what_rfc_7871_calls_malformed() {
        for bad in [
            &[0u8, 1, 20][..],                // cut
            &[0, 3, 0, 0],                    // unknown family
            &[0, 1, 33, 0, 1, 2, 3, 4, 5],    // longer than an address
            &[0, 1, 20, 0, 198, 51],          // too few octets
            &[0, 1, 20, 0, 198, 51, 0x60, 0], // too many octets
            &[0, 1, 20, 0, 198, 51, 0x61],    // a bit beyond the prefix
            &[0, 1, 20, 4, 198, 51, 0x60],    // a scope in a query
            &[0, 0, 8, 0, 10],                // a prefix without a family
        ] {
            assert_eq!(Ecs::parse(bad), Err(BadOption), "{bad:?}");
        }
    }

    #[test]
    fn reads_no_options_of_versions_it_does_not_know() {
        let cut = [0, 8, 0, 200];
        assert_eq!(parse_opt(1232, [0, 0, 0, 0], &cut).1, Err(BadOption));
        let (edns, options) = parse_opt(1232, [0, 1, 0, 0], &cut);
        assert_eq!((edns.version, options), (1, Ok(())));
    }
}

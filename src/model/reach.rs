//! Which addresses that somebody else tells of are believed: what a name resolves to, and what is found.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::IpNet;

/// Addresses by which clouds hand secrets to machines: no name of somebody else's may lead probes there.
///
/// Source: documentation of EC2 (IPv6) and of Alibaba Cloud; 169.254.169.254 of all others is link-local.
const METADATA: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
];

/// Why an address is not believed; `None` if it is. Networks in `allow` are, where anybody can connect.
pub fn refusal(allow: &[IpNet], address: IpAddr) -> Option<&'static str> {
    let is_allowed = allow.iter().any(|network| network.contains(&address));
    let reason = match address {
        // Nobody can connect there, whoever allows it.
        _ if address.is_unspecified() => return Some("it is no host"),
        _ if address.is_multicast() => return Some("it is multicast"),
        IpAddr::V4(v4) if v4.is_broadcast() => return Some("it is broadcast"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => return Some("it is IPv4-mapped"),
        _ if METADATA.contains(&address) => "it is a metadata service",
        _ if address.is_loopback() => "it is loopback",
        IpAddr::V4(v4) if v4.octets()[0] == 0 => "it is in 0.0.0.0/8",
        IpAddr::V4(v4) if v4.is_link_local() => "it is link-local",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "it is link-local",
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    (!is_allowed).then_some(reason)
}

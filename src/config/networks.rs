//! Networks as operators write them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::Value;
use crate::config::rules;

/// `["192.0.2.0/24", "2001:db8::1"]`, each once; an address is a network of its own.
pub(super) fn read_networks(value: &Value<'_>, problems: &mut Problems) -> Vec<IpNet> {
    let mut networks: Vec<At<IpNet>> = Vec::new();
    for text in value.strings(problems).unwrap_or_default() {
        let network = match parse_network(&text.value) {
            Ok(network) => network,
            Err(Misread { fault, remedy }) => {
                problems.error(&text.place, &value.path, fault, remedy);
                continue;
            }
        };
        match networks.iter().find(|known| known.value == network) {
            Some(first) => {
                let fault = format!("\"{}\" is named twice", text.value);
                let also = (first.place.clone(), "first named here");
                problems
                    .error_with(&text.place, &value.path, fault, "take one out", also)
                    .rule(&rules::DUPLICATE_VALUE);
            }
            None => networks.push(At { value: network, place: text.place }),
        }
    }
    networks.into_iter().map(|at| at.value).collect()
}

/// Why a text is no network, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misread {
    pub(super) fault: String,
    pub(super) remedy: String,
}

/// A network without bits beyond its prefix, or an address; IPv4-mapped IPv6 addresses are refused.
pub(super) fn parse_network(text: &str) -> Result<IpNet, Misread> {
    let misread = |fault: String, remedy: &str| Misread { fault, remedy: remedy.into() };
    let network = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => network,
        (_, Ok(address)) => IpNet::from(address),
        (Err(_), Err(_)) => {
            let fault = format!("\"{text}\" is not an address or network");
            return Err(misread(fault, "write one such as 192.0.2.0/24 or 2001:db8::/32"));
        }
    };
    if let IpAddr::V6(v6) = network.addr()
        && v6.to_ipv4_mapped().is_some()
    {
        let fault = format!("\"{text}\" is an IPv4 address written as IPv6");
        return Err(misread(fault, "write it as IPv4: clients are compared as such"));
    }
    if network.trunc() != network {
        let fault = format!("\"{text}\" has bits beyond its prefix");
        return Err(misread(fault, &format!("did you mean \"{}\"?", network.trunc())));
    }
    Ok(network)
}

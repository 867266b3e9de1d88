//! What measurements are gathered by: a client network, or a group of networks. Knows no time.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::geo::Place;
use crate::geo::place::code_text;
use crate::geo::place::find_code;
use crate::model::policy::client_prefix_len;

/// Networks of one operator in one country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// ISO 3166-1 alpha-2 code, upper case.
    pub country: [u8; 2],
    /// Autonomous system number.
    pub asn: u32,
}

/// What a row of the table is about. Prefixes come first and in order, a wider one before those inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Clients in a network, at most /24 or /48 long.
    Prefix(IpNet),
    /// Clients of a group; its numbers are what comes on top of the prior.
    Group(Group),
}

impl Group {
    /// The group of a place; `None` unless both country and autonomous system are known.
    pub fn of(place: &Place) -> Option<Self> {
        Some(Self { country: place.country?, asn: place.asn? })
    }
}

impl Key {
    /// Reads a key as [`fmt::Display`] writes it.
    pub fn find(text: &str) -> Option<Self> {
        if let Some((country, asn)) = text.split_once("/AS") {
            let country = find_code(country).filter(|code| code == country.as_bytes())?;
            let asn = asn.parse().ok().filter(|number| *number != 0 && !asn.starts_with('+'))?;
            return Some(Self::Group(Group { country, asn }));
        }
        let network: IpNet = text.parse().ok()?;
        (network == network.trunc() && gathered(network) == network)
            .then_some(Self::Prefix(network))
    }
}

/// `192.0.2.0/24` or `DE/AS64496`
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(network) => f.pad(&network.to_string()),
            Self::Group(Group { country, asn }) => {
                f.pad(&format!("{}/AS{asn}", code_text(*country)))
            }
        }
    }
}

/// The network that a client's measurements are gathered in: its /24 or /48. IPv4-mapped addresses are IPv4.
pub fn network_of(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let network = IpNet::new(address, client_prefix_len(address));
    network.expect("a client prefix fits into its family").trunc()
}

/// The network that measurements of `network` are gathered in: itself, or the /24 or /48 that it is part of.
pub fn gathered(network: IpNet) -> IpNet {
    match network.prefix_len() > client_prefix_len(network.addr()) {
        true => network_of(network.addr()),
        false => network.trunc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_gathered_by_24_and_48() {
        let of = |address: &str| network_of(address.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2::3"), "2001:db8:1::/48");
        let whole = |network: &str| gathered(network.parse().unwrap()).to_string();
        assert_eq!(whole("192.0.2.128/25"), "192.0.2.0/24");
        assert_eq!(whole("192.0.0.0/16"), "192.0.0.0/16");
        assert_eq!(whole("2001:db8:1:2::/64"), "2001:db8:1::/48");
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_nothing_else_is() {
        for text in ["192.0.2.0/24", "10.0.0.0/8", "2001:db8::/48", "DE/AS64496"] {
            assert_eq!(Key::find(text).map(|key| key.to_string()).as_deref(), Some(text));
        }
        for wrong in ["192.0.2.0/25", "192.0.2.1/24", "de/AS1", "DE/AS0", "DE/AS+1", "DE/64496", ""]
        {
            assert_eq!(Key::find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wider_network_comes_before_those_inside_it_and_groups_come_last() {
        let key = |text: &str| Key::find(text).unwrap();
        let mut keys =
            ["DE/AS1", "2001:db8::/48", "10.1.0.0/16", "10.1.0.0/24", "10.0.0.0/8"].map(key);
        keys.sort();
        let shown = keys.map(|key| key.to_string());
        assert_eq!(shown, ["10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/24", "2001:db8::/48", "DE/AS1"]);
    }
}

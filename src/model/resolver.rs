//! How names of endpoints are resolved, and which addresses are believed.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::reach;

/// Settings of `[resolver]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolverSettings {
    /// Resolvers to ask, in this order; those of the system when empty.
    pub servers: Vec<SocketAddr>,
    /// How long one question may take.
    pub timeout: Duration,
    /// A name is resolved again when its records end, and no sooner than this.
    pub min_refresh: Duration,
    /// And no later than this.
    pub max_refresh: Duration,
    /// Networks that are believed although they are in a range that is not.
    pub allow: Vec<IpNet>,
}

impl ResolverSettings {
    /// Why an address that a name resolved to is not believed; `None` if it is.
    pub fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        reach::refusal(&self.allow, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refusal(address: &str, allow: &[&str]) -> Option<&'static str> {
        let settings = ResolverSettings {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            min_refresh: Duration::from_secs(5),
            max_refresh: Duration::from_secs(3600),
            allow: allow.iter().map(|network| network.parse().unwrap()).collect(),
        };
        settings.refusal(address.parse().unwrap())
    }

    #[test]
    fn addresses_inside_the_own_machine_are_not_believed_and_private_ones_are() {
        for address in ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "fd00:ec2::254"] {
            assert!(refusal(address, &[]).is_some(), "{address}");
        }
        for address in ["192.0.2.1", "10.1.2.3", "192.168.0.1", "fd00::1", "2001:db8::1"] {
            assert_eq!(refusal(address, &[]), None, "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_believed_unless_nobody_can_connect_there() {
        let allow = ["0.0.0.0/0", "::/0"];
        assert_eq!(refusal("127.0.0.1", &["127.0.0.0/8"]), None);
        assert_eq!(refusal("127.0.0.1", &["127.0.0.2/32"]), Some("it is loopback"));
        assert_eq!(refusal("::1", &allow), None);
        for address in
            ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:1.2.3.4"]
        {
            assert!(refusal(address, &allow).is_some(), "{address}");
        }
    }
}

//! What a list means for one pool: its targets as endpoints, and those that are refused, each with its reason.
//!
//! The order of targets never matters: of two that cannot stand together the one that sorts first does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::discovery::Entry;
use crate::discovery::name;
use crate::model::Discovery;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::Pool;
use crate::model::PortUse;
use crate::model::Site;
use crate::model::Special;
use crate::model::reach;
use crate::wire::Name;

/// Weight of a target of which nothing is said.
const WEIGHT: u16 = 1;

/// What a list comes to for one pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// Its endpoints by their names in the pool.
    pub endpoints: BTreeMap<Box<str>, Endpoint>,
    /// Targets that cannot be endpoints, sorted.
    pub refused: Vec<Refused>,
    /// How many targets stand at other sites.
    pub elsewhere: usize,
}

/// A target that cannot be an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Which.
    pub target: Box<str>,
    /// Why.
    pub why: Box<str>,
    /// Where it stands in its text, in octets.
    pub offset: usize,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Address(IpAddr),
    Named(Box<str>),
}

/// A target that is understood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    name: Box<str>,
    host: Host,
    port: Option<u16>,
    weight: u16,
    target: Box<str>,
    offset: usize,
}

/// Makes endpoints of a list. `sites` are those of the model, `allow` networks that are believed besides.
pub fn members(
    entries: &[Entry],
    pool: &Pool,
    discovery: &Discovery,
    sites: &[Site],
    allow: &[IpNet],
) -> Members {
    let terms = Terms { pool, discovery, sites, allow };
    let mut members = Members::default();
    let mut candidates = Vec::new();
    for entry in entries {
        match terms.candidate(entry) {
            Ok(Some(candidate)) => candidates.push(candidate),
            Ok(None) => members.elsewhere += 1,
            Err(why) => members.refuse(&entry.target, why, entry.offset),
        }
    }
    candidates.sort();
    for candidate in candidates {
        if let Err(why) = terms.place(&candidate, &mut members.endpoints) {
            members.refuse(&candidate.target, why, candidate.offset);
        }
    }
    members.refused.sort();
    members
}

impl Members {
    pub(super) fn refuse(&mut self, target: &str, why: String, offset: usize) {
        self.refused.push(Refused { target: target.into(), why: why.into(), offset });
    }
}

/// What a pool wants of targets.
struct Terms<'a> {
    pool: &'a Pool,
    discovery: &'a Discovery,
    sites: &'a [Site],
    allow: &'a [IpNet],
}

impl Terms<'_> {
    /// A target, understood; nothing if it stands at another site.
    fn candidate(&self, entry: &Entry) -> Result<Option<Candidate>, String> {
        let (host, port) = split(&entry.target)?;
        let label = |name: &str| entry.labels.get(name).map(|text| &**text);
        if let Some(site_label) = &self.discovery.site_label {
            let site = label(site_label).ok_or_else(|| format!("it has no label {site_label}"))?;
            let known = self.sites.iter().position(|known| &*known.name == site);
            let at = known.ok_or_else(|| format!("there is no site \"{site}\""))?;
            if self.pool.site.is_none_or(|own| own.index() != at) {
                return Ok(None);
            }
        }
        let weight = match label(&self.discovery.weight_label) {
            None => entry.weight.unwrap_or(WEIGHT),
            Some(text) => text.trim().parse().map_err(|_| {
                let label = &self.discovery.weight_label;
                format!("its {label} is \"{text}\"; a weight is 0 to 65535")
            })?,
        };
        if let Host::Address(address) = host {
            check_reach(self.allow, address)?;
        }
        let port = port.filter(|_| self.discovery.port == PortUse::Probe);
        let named = match &self.discovery.name_label {
            None => by_address(&host, port),
            Some(name_label) => {
                label(name_label).ok_or_else(|| format!("it has no label {name_label}"))?.to_owned()
            }
        };
        let name = name::of_text(&named).ok_or_else(|| format!("\"{named}\" makes no name"))?;
        let (name, target) = (name.into(), entry.target.clone());
        Ok(Some(Candidate { name, host, port, weight, target, offset: entry.offset }))
    }

    /// Puts a candidate among the endpoints, or beside the address of another family that has its name.
    fn place(
        &self,
        candidate: &Candidate,
        endpoints: &mut BTreeMap<Box<str>, Endpoint>,
    ) -> Result<(), String> {
        let address = match candidate.host {
            Host::Address(address) => Some(address),
            Host::Named(_) => None,
        };
        check_written(self.pool, self.discovery, &candidate.name, address)?;
        let leaf = leaf(&candidate.host)?;
        let Some(known) = endpoints.get_mut(&candidate.name) else {
            let endpoint = Endpoint {
                key: format!("{}/{}", self.pool.name, candidate.name).into(),
                leaf,
                weight: candidate.weight,
                capacity: None,
                probe: candidate.port.map(special).into_iter().collect(),
                state: None,
            };
            endpoints.insert(candidate.name.clone(), endpoint);
            return Ok(());
        };
        let probe = candidate.port.map(special);
        if known.weight != candidate.weight || known.probe.first() != probe.as_ref() {
            return Err(format!("another target is named \"{}\" too", candidate.name));
        }
        match (&mut known.leaf, leaf) {
            (known, leaf) if *known == leaf => Ok(()),
            (Leaf::Addresses { v6: known @ None, .. }, Leaf::Addresses { v4: None, v6 }) => {
                *known = v6;
                Ok(())
            }
            (Leaf::Addresses { v4: Some(own), .. }, Leaf::Addresses { v4: Some(v4), .. })
                if *own == v4 =>
            {
                Ok(())
            }
            (Leaf::Addresses { v6: Some(own), .. }, Leaf::Addresses { v6: Some(v6), .. })
                if *own == v6 =>
            {
                Ok(())
            }
            _ => Err(format!("another target is named \"{}\" too", candidate.name)),
        }
    }
}

/// Refuses an address in a range that is not believed.
pub(super) fn check_reach(allow: &[IpNet], address: IpAddr) -> Result<(), String> {
    match reach::refusal(allow, address) {
        Some(why) => Err(format!("{why}; [resolver] allow lets it in")),
        None => Ok(()),
    }
}

/// Refuses what the file of the pool has itself, by its name or its address.
pub(super) fn check_written(
    pool: &Pool,
    discovery: &Discovery,
    name: &str,
    address: Option<IpAddr>,
) -> Result<(), String> {
    for endpoint in &pool.endpoints[..discovery.written.min(pool.endpoints.len())] {
        let (_, written) = endpoint.key.split_once('/').unwrap_or(("", &endpoint.key));
        if written.eq_ignore_ascii_case(name) {
            return Err(format!("the file has an endpoint \"{written}\" already"));
        }
        if address.is_some_and(|one| endpoint.address(Family::of(one)) == address) {
            return Err(format!("it is the endpoint \"{written}\" of the file"));
        }
    }
    Ok(())
}

/// What is different for an endpoint with a port of its own, whichever checks its pool is probed by.
pub(crate) fn special(port: u16) -> Special {
    Special { check: None, port: Some(port), host: None, path: None }
}

/// Host and port of `192.0.2.10:8080`, `[2001:db8::1]:8080`, `2001:db8::1`, `host:8080` or `host`.
fn split(target: &str) -> Result<(Host, Option<u16>), String> {
    if let Ok(address) = target.parse::<IpAddr>() {
        return Ok((Host::Address(address), None));
    }
    let wrong = || "it is no address and no name of a host".to_owned();
    let (host, port) = match target.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            let host = host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or_else(wrong)?),
            };
            (Host::Address(host.into()), port)
        }
        None => {
            let (host, port) = match target.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (target, None),
            };
            match host.parse::<IpAddr>() {
                Ok(address) => (Host::Address(address), port),
                Err(_) if is_host(host) => (Host::Named(host.to_ascii_lowercase().into()), port),
                Err(_) => return Err(wrong()),
            }
        }
    };
    let number = |port: &str| {
        let is_number = !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit());
        let number = port.parse::<u16>().ok().filter(|port| is_number && *port > 0);
        number.ok_or_else(|| format!("\"{port}\" is no port"))
    };
    Ok((host, port.map(number).transpose()?))
}

/// Whether a text can be the name of a host: two labels or more, the last of them no number.
fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_word)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.contains('.')
        && text.split('.').all(is_label)
        && !last.bytes().all(|octet| octet.is_ascii_digit())
}

fn by_address(host: &Host, port: Option<u16>) -> String {
    let host = match host {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
        Host::Named(name) => name.trim_end_matches('.').to_owned(),
    };
    port.map_or(host.clone(), |port| format!("{host}:{port}"))
}

fn leaf(host: &Host) -> Result<Leaf, String> {
    Ok(match host {
        Host::Address(IpAddr::V4(v4)) => Leaf::Addresses { v4: Some(*v4), v6: None },
        Host::Address(IpAddr::V6(v6)) => Leaf::Addresses { v4: None, v6: Some(*v6) },
        Host::Named(name) => Leaf::Alias(Name::absolute(name).map_err(|why| why.to_string())?),
    })
}

/// What refused targets come to in a line or two.
pub fn refused_text(refused: &[Refused]) -> String {
    let shown: Vec<String> =
        refused.iter().take(3).map(|one| format!("{}: {}", one.target, one.why)).collect();
    match refused.len().saturating_sub(3) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

/// Endpoints as a pool has them: in the order of their names, behind a shared pointer.
pub fn in_order(endpoints: &BTreeMap<Box<str>, Endpoint>) -> Vec<Endpoint> {
    endpoints.values().cloned().collect()
}

/// A source of entries for tests: targets with equal labels.
#[cfg(test)]
pub(crate) fn entries(targets: &[&str], labels: &[(&str, &str)]) -> Vec<Entry> {
    let labels: crate::discovery::Labels =
        labels.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    let labels = std::sync::Arc::new(labels);
    let entry = |target: &&str| Entry {
        target: (*target).into(),
        labels: std::sync::Arc::clone(&labels),
        weight: None,
        offset: 0,
    };
    targets.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::config::load;
    use crate::model::Model;

    fn model(discover: &str, more: &str) -> Model {
        let text = format!(
            "[zone]\nname = \"a.test\"\nnameservers = [\"ns.example.net\"]\n\
             [site.fra]\nlatitude = 50\nlongitude = 8\n[site.sin]\nlatitude = 1\nlongitude = 103\n\
             [pool.p]\nsite = \"fra\"\ndiscover = {{ file = \"t.json\"{discover} }}\n{more}\n\
             [name.\"@\"]\nsteer = \"p\"\n"
        );
        let (model, problems) = load(&Files::new(vec![SourceFile::new("zones/a.toml", &text)]));
        model.unwrap_or_else(|| panic!("{problems:?}"))
    }

    fn made(model: &Model, entries: &[Entry]) -> Members {
        let pool = &model.pools[0];
        members(entries, pool, pool.discover.as_ref().unwrap(), &model.sites, &[])
    }

    fn shown(members: &Members) -> Vec<String> {
        let endpoint = |one: &Endpoint| {
            let addresses = Family::BOTH.into_iter().filter_map(|family| one.address(family));
            let mut addresses: Vec<String> = addresses.map(|one| one.to_string()).collect();
            addresses.extend(one.target().map(ToString::to_string));
            let port = one.probe.first().and_then(|special| special.port);
            let port = port.map_or(String::new(), |port| format!(" port {port}"));
            format!("{} {} weight {}{port}", one.key, addresses.join("+"), one.weight)
        };
        members.endpoints.values().map(endpoint).collect()
    }

    #[test]
    fn targets_become_endpoints_named_by_address_and_port() {
        let model = model("", "");
        let list = entries(
            &["192.0.2.10:8080", "[2001:db8::1]:8080", "web-1.example.net:80", "192.0.2.11"],
            &[("weight", "3")],
        );
        assert_eq!(
            shown(&made(&model, &list)),
            [
                "p/192-0-2-10_8080 192.0.2.10 weight 3 port 8080",
                "p/192-0-2-11 192.0.2.11 weight 3",
                "p/2001-db8--1_8080 2001:db8::1 weight 3 port 8080",
                "p/web-1-example-net_80 web-1.example.net. weight 3 port 80",
            ]
        );
    }

    #[test]
    fn a_port_that_is_ignored_makes_one_endpoint_of_one_address() {
        let model = model(", port = \"ignore\"", "");
        let found = made(&model, &entries(&["192.0.2.10:8080", "192.0.2.10:9100"], &[]));
        assert_eq!(shown(&found), ["p/192-0-2-10 192.0.2.10 weight 1"]);
        assert!(found.refused.is_empty());
    }

    #[test]
    fn a_label_names_endpoints_and_joins_the_families_of_one() {
        let model = model(", name_label = \"id\"", "");
        let targets = ["[2001:db8::1]:80", "192.0.2.1:80", "192.0.2.1:80", "192.0.2.9:80"];
        let found = made(&model, &entries(&targets, &[("id", "Web 1")]));
        assert_eq!(shown(&found), ["p/web-1 192.0.2.1+2001:db8::1 weight 1 port 80"]);
        assert_eq!(found.refused.len(), 1);
        assert_eq!(&*found.refused[0].why, "another target is named \"web-1\" too");
        let found = made(&model, &entries(&["192.0.2.1:80"], &[]));
        assert_eq!(&*found.refused[0].why, "it has no label id");
    }

    #[test]
    fn a_target_of_another_site_is_not_ours_and_of_an_unknown_one_is_refused() {
        let model = model(", site_label = \"site\"", "");
        let mut list = entries(&["192.0.2.1:80"], &[("site", "fra")]);
        list.extend(entries(&["192.0.2.2:80"], &[("site", "sin")]));
        list.extend(entries(&["192.0.2.3:80"], &[("site", "nyc")]));
        list.extend(entries(&["192.0.2.4:80"], &[]));
        let found = made(&model, &list);
        assert_eq!(shown(&found), ["p/192-0-2-1_80 192.0.2.1 weight 1 port 80"]);
        assert_eq!(found.elsewhere, 1);
        assert_eq!(
            refused_text(&found.refused),
            "192.0.2.3:80: there is no site \"nyc\"; 192.0.2.4:80: it has no label site"
        );
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_refused_with_its_reason() {
        let model = model("", "[pool.p.endpoint.a]\naddresses = [\"192.0.2.7\"]");
        for (target, why) in [
            ("127.0.0.1:80", "it is loopback"),
            ("169.254.169.254:80", "it is link-local"),
            ("[fd00:ec2::254]:80", "it is a metadata service"),
            ("[fe80::1]:80", "it is link-local"),
            ("0.0.0.0:80", "it is no host"),
            ("224.0.0.1:80", "it is multicast"),
            ("[::ffff:10.0.0.1]:80", "it is IPv4-mapped"),
            ("192.0.2.1:0", "\"0\" is no port"),
            ("192.0.2.1:http", "\"http\" is no port"),
            ("192.0.2.1:", "\"\" is no port"),
            ("192.0.2.1:+80", "\"+80\" is no port"),
            ("http://192.0.2.1/", "no address and no name"),
            ("300.0.2.1:80", "no address and no name"),
            ("web:80", "no address and no name"),
            ("[2001:db8::1", "no address and no name"),
            ("", "no address and no name"),
            ("192.0.2.7:80", "it is the endpoint \"a\" of the file"),
        ] {
            let found = made(&model, &entries(&[target], &[]));
            assert!(found.endpoints.is_empty() && found.refused.len() == 1, "{target}");
            assert!(found.refused[0].why.contains(why), "{target}: {:?}", found.refused);
        }
        for weight in ["-1", "65536", "many", ""] {
            let found = made(&model, &entries(&["192.0.2.1:80"], &[("weight", weight)]));
            assert!(found.refused[0].why.contains("a weight is 0 to 65535"), "{weight}");
        }
        let pool = &model.pools[0];
        let allow = ["127.0.0.0/8".parse().unwrap()];
        let list = entries(&["127.0.0.1:80"], &[]);
        let found = members(&list, pool, pool.discover.as_ref().unwrap(), &model.sites, &allow);
        assert_eq!(found.endpoints.len(), 1, "what is allowed is believed");
    }

    proptest! {
        #[test]
        fn the_order_of_targets_never_matters(
            mut list in prop::collection::vec((0..6u8, 79..82u16, 0..3u16, 0..3usize), 0..12),
            seed in any::<u64>(),
        ) {
            let model = model(", name_label = \"id\"", "");
            let entry = |&(host, port, weight, id): &(u8, u16, u16, usize)| {
                let target = match host % 3 {
                    0 => format!("192.0.2.{host}:{port}"),
                    1 => format!("[2001:db8::{host}]:{port}"),
                    _ => format!("h{host}.example.net:{port}"),
                };
                let id = ["a", "b", "A"][id];
                entries(&[&target], &[("weight", &weight.to_string()), ("id", id)]).remove(0)
            };
            let one: Vec<Entry> = list.iter().map(entry).collect();
            list.sort_by_key(|item| {
                use std::hash::Hash;
                use std::hash::Hasher;
                let mut hash = std::hash::DefaultHasher::new();
                (item, seed).hash(&mut hash);
                hash.finish()
            });
            let other: Vec<Entry> = list.iter().map(entry).collect();
            prop_assert_eq!(made(&model, &one), made(&model, &other));
        }
    }
}

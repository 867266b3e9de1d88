//! `[cluster.nats]` of `rhumb.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::rules;
use crate::model::NatsTerms;

/// Longest name of a host, in octets (RFC 1035 section 2.3.4).
const HOST_MAX: usize = 253;

/// Most servers that are named.
const SERVERS_MAX: usize = 16;

/// Reads the table.
pub(super) fn read(value: &Value<'_>, problems: &mut Problems) -> Option<NatsTerms> {
    let mut section = value.section(problems)?;
    let servers = section.need("servers", problems).map(|value| read_servers(&value, problems));
    let ca = read_file(&mut section, "ca", problems);
    let certificate = read_file(&mut section, "certificate", problems);
    let key = read_file(&mut section, "key", problems);
    section.finish(problems);
    Some(NatsTerms { servers: servers?, ca: ca?, certificate: certificate?, key: key? })
}

fn read_file(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let text = section.need(key, problems)?.string(problems)?;
    Some(PathBuf::from(text.value))
}

fn read_servers(value: &Value<'_>, problems: &mut Problems) -> Vec<Box<str>> {
    let Some(texts) = value.strings(problems) else { return Vec::new() };
    if texts.is_empty() || texts.len() > SERVERS_MAX {
        let fault = format!("{} servers are named", texts.len());
        let remedy = format!("name 1 to {SERVERS_MAX}");
        problems.error(&value.place, &value.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
    let mut servers: Vec<At<String>> = Vec::new();
    for text in texts {
        if !is_server(&text.value) {
            let fault = format!("\"{}\" is not a host with a port", text.value);
            let remedy = match text.value.contains("://") {
                true => "leave \"nats://\" or \"tls://\" out: TLS is always spoken",
                false => "write \"192.0.2.9:4222\" or \"nats-1.example.net:4222\"",
            };
            problems.error(&text.place, &value.path, fault, remedy).rule(&rules::BAD_VALUE);
        } else if let Some(first) = servers.iter().find(|first| first.value == text.value) {
            let fault = format!("{} is named twice", text.value);
            let also = (first.place.clone(), "first named here");
            problems
                .error_with(&text.place, &value.path, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        } else {
            servers.push(text);
        }
    }
    servers.into_iter().map(|at| at.value.into()).collect()
}

/// Whether a text is an address with a port, or a name of a host with one.
fn is_server(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_number = !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit());
    let is_end = |octet: Option<u8>| octet.is_some_and(|octet| octet.is_ascii_alphanumeric());
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'.';
    is_number
        && port.parse::<u16>().is_ok_and(|port| port != 0)
        && host.len() <= HOST_MAX
        && host.bytes().all(fits)
        && is_end(host.bytes().next())
        && is_end(host.bytes().next_back())
        && !host.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFile;
    use crate::config::node::load_node;
    use crate::model::Pin;

    /// What is wrong with a node that has so many peers.
    fn faults(peers: u16, bus: &str) -> Vec<String> {
        let mut text =
            "[server]\nsite = \"fra\"\n[cluster]\nname = \"prod\"\nnode = \"own\"\nkey = \"k\"\n"
                .to_owned();
        text += bus;
        for peer in 0..peers {
            let mut octets = [0; 32];
            octets[..2].copy_from_slice(&peer.to_be_bytes());
            let pin = Pin::new(octets);
            text += &format!(
                "[[cluster.peer]]\nnode = \"n{peer}\"\nsite = \"fra\"\npins = [\"{pin}\"]\n"
            );
        }
        let (_, problems, _) = load_node(&SourceFile::new("rhumb.toml", &text));
        problems.iter().map(|problem| format!("{} {}", problem.fault, problem.remedy)).collect()
    }

    #[test]
    fn a_bus_takes_more_nodes_than_links_and_not_any_number() {
        let bus =
            "[cluster.nats]\nservers = [\"n:1\"]\nca = \"a\"\ncertificate = \"b\"\nkey = \"c\"\n";
        let none: [String; 0] = [];
        assert_eq!(faults(64, bus), none);
        assert_eq!(faults(511, bus), none);
        let too_many = faults(512, bus);
        assert!(
            too_many[0].contains("use at most 511: every node hears every other"),
            "{too_many:?}"
        );
        let links = faults(64, "listen = \"[::]:1\"\n");
        assert!(links[0].contains("use at most 63: every node is connected"), "{links:?}");
    }

    #[test]
    fn a_server_is_a_host_with_a_port_and_nothing_else() {
        for text in ["192.0.2.9:4222", "[2001:db8::9]:1", "nats:4222", "nats-1.example.net:65535"] {
            assert!(is_server(text), "{text}");
        }
        for text in [
            "",
            "nats",
            "nats:",
            ":4222",
            "nats:0",
            "nats:65536",
            "nats:+1",
            "192.0.2.9:0",
            "tls://nats:4222",
            "user@nats:4222",
            "na ts:4222",
            "nats..net:1",
            ".nats:1",
            "nats-:1",
            "2001:db8::9:4222",
        ] {
            assert!(!is_server(text), "{text}");
        }
    }
}

//! `[server.tls]`: DNS over TLS, HTTPS and QUIC.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Problems;
use crate::config::keys::DEFAULT_DOH_PATH;
use crate::config::keys::DOH_PATH_MAX;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::model::Encrypted;

/// What a port is taken of: one of TCP and one of UDP may be equal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ports {
    Tcp,
    Udp,
    Both,
}

/// An address in use, and where it was named.
pub(super) struct Taken {
    pub(super) address: SocketAddr,
    pub(super) ports: Ports,
    pub(super) place: Place,
}

impl Taken {
    /// Whether both would receive the same: one port, one family, and one address covers the other.
    fn meets(&self, other: &Taken) -> bool {
        let (one, two) = (self.address, other.address);
        let same_kind =
            self.ports == other.ports || self.ports == Ports::Both || other.ports == Ports::Both;
        let covers = one.ip().is_unspecified() || two.ip().is_unspecified() || one == two;
        same_kind
            && covers
            && one.port() != 0
            && one.port() == two.port()
            && one.is_ipv4() == two.is_ipv4()
    }
}

/// Reads the table; `taken` are the addresses of the rest of the node.
pub(super) fn read(
    table: &Value<'_>,
    taken: Vec<Taken>,
    problems: &mut Problems,
) -> Option<Encrypted> {
    let mut section = table.section(problems)?;
    let certificate = read_file(&mut section, "certificate", problems);
    let key = read_file(&mut section, "key", problems);
    let path_value = section.take("doh_path");
    let doh_path = match &path_value {
        Some(value) => value.parsed(parse_path, problems).map(|at| at.value),
        None => Some(DEFAULT_DOH_PATH.into()),
    };
    let mut lists = Lists { taken, problems };
    let dot = section.take("dot").map(|value| lists.read(&value, Ports::Tcp, "0.0.0.0:853"));
    let doh = section.take("doh").map(|value| lists.read(&value, Ports::Tcp, "0.0.0.0:443"));
    let doq = section.take("doq").map(|value| lists.read(&value, Ports::Udp, "0.0.0.0:853"));
    section.finish(problems);
    if dot.is_none() && doh.is_none() && doq.is_none() {
        let remedy = "add addresses, for example dot = [\"0.0.0.0:853\"], or take the table out";
        problems.error(&table.key_place, &table.path, "the certificate serves no address", remedy);
    }
    if let (Some(value), None) = (&path_value, &doh) {
        let remedy = "add addresses, for example doh = [\"0.0.0.0:443\"], or take it out";
        problems.error(&value.key_place, &value.path, "it serves no address", remedy);
    }
    let [dot, doh, doq] = [dot, doh, doq].map(Option::unwrap_or_default);
    Some(Encrypted { certificate: certificate?, key: key?, dot, doh, doh_path: doh_path?, doq })
}

fn read_file(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let text = section.need(key, problems)?.string(problems)?;
    Some(PathBuf::from(text.value))
}

/// A path as it stands in a URL, without query.
fn parse_path(text: &str) -> Result<Box<str>, Refusal> {
    let fits = |octet: u8| octet.is_ascii_graphic() && !b"?#{}%\"<>".contains(&octet);
    if text.len() <= DOH_PATH_MAX && text.starts_with('/') && text.bytes().all(fits) {
        return Ok(text.into());
    }
    let fault = format!("\"{text}\" is no path of a URL");
    Err((fault, format!("write \"{DEFAULT_DOH_PATH}\", what every client tries")))
}

/// Reads lists of addresses, and remembers which are in use.
struct Lists<'p> {
    taken: Vec<Taken>,
    problems: &'p mut Problems,
}

impl Lists<'_> {
    fn read(&mut self, value: &Value<'_>, ports: Ports, example: &str) -> Vec<SocketAddr> {
        let Some(texts) = value.strings(self.problems) else { return Vec::new() };
        if texts.is_empty() {
            let remedy = format!("write [\"{example}\"], or take the key out");
            self.problems.error(&value.place, &value.path, "no address is named", remedy);
        }
        texts.into_iter().filter_map(|text| self.read_one(value, text, ports, example)).collect()
    }

    fn read_one(
        &mut self,
        value: &Value<'_>,
        text: At<String>,
        ports: Ports,
        example: &str,
    ) -> Option<SocketAddr> {
        let Ok(address) = text.value.parse::<SocketAddr>() else {
            let fault = format!("\"{}\" is not an address with a port", text.value);
            self.problems.error(&text.place, &value.path, fault, format!("write \"{example}\""));
            return None;
        };
        let new = Taken { address, ports, place: text.place };
        match self.taken.iter().find(|other| other.meets(&new)) {
            Some(first) if first.address == address => {
                let fault = format!("{address} is named twice");
                let also = (first.place.clone(), "first named here");
                self.problems.error_with(&new.place, &value.path, fault, "take one out", also);
            }
            Some(first) => {
                let fault = format!("{address} and {} are the same port", first.address);
                let also = (first.place.clone(), "first named here");
                self.problems.error_with(&new.place, &value.path, fault, "take one out", also);
            }
            None => {}
        }
        self.taken.push(new);
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::SourceFile;
    use crate::config::node::load_node;
    use crate::config::render::one_line;
    use crate::model::Encrypted;

    const PAIR: &str = "certificate = \"c.pem\"\nkey = \"k.pem\"\n";

    /// What is read of `[server.tls]`, and the problems.
    fn read(rest: &str) -> (Option<Encrypted>, Vec<String>) {
        let text = format!("[server]\nlisten = [\"127.0.0.1:53\"]\n[server.tls]\n{rest}");
        let (node, problems, files) = load_node(&SourceFile::new("rhumb.toml", &text));
        let lines = problems.iter().map(|problem| one_line(&files, problem)).collect();
        (node.and_then(|node| node.encrypted), lines)
    }

    #[test]
    fn a_table_with_addresses_is_read_and_the_path_has_a_default() {
        let lists = "dot = [\"0.0.0.0:853\", \"[::]:853\"]\ndoh = [\"0.0.0.0:443\"]\ndoq = [\"0.0.0.0:853\"]\n";
        let (read, problems) = read(&format!("{PAIR}{lists}"));
        let read = read.unwrap_or_else(|| panic!("{problems:?}"));
        assert_eq!((read.dot.len(), read.doh.len(), read.doq.len()), (2, 1, 1));
        assert_eq!(&*read.doh_path, "/dns-query");
    }

    #[test]
    fn each_mistake_is_told_with_place_and_remedy() {
        let doh = "doh = [\"0.0.0.0:443\"]\n";
        for (rest, line, words) in [
            (PAIR.to_owned(), 3, "serves no address; add addresses, for example dot ="),
            (doh.to_owned(), 3, "server.tls.certificate: this key is missing"),
            (doh.to_owned(), 3, "server.tls.key: this key is missing"),
            (format!("{PAIR}dot = []\n"), 6, "no address is named"),
            (format!("{PAIR}dot = [\"0.0.0.0\"]\n"), 6, "not an address with a port"),
            (format!("{PAIR}{doh}dot = [\"0.0.0.0:443\"]\n"), 6, "0.0.0.0:443 is named twice"),
            (format!("{PAIR}dot = [\"0.0.0.0:853\", \"127.0.0.1:853\"]\n"), 6, "are the same port"),
            (format!("{PAIR}doq = [\"127.0.0.1:53\"]\n"), 6, "127.0.0.1:53 is named twice"),
            (format!("{PAIR}{doh}doh_path = \"dns\"\n"), 7, "is no path of a URL"),
            (
                format!("{PAIR}dot = [\"0.0.0.0:853\"]\ndoh_path = \"/q\"\n"),
                7,
                "it serves no address",
            ),
            (format!("{PAIR}{doh}certificates = \"x\"\n"), 7, "did you mean \"certificate\"?"),
        ] {
            let (read, problems) = read(&rest);
            let place = format!("rhumb.toml:{line}:");
            let is_told =
                problems.iter().any(|text| text.starts_with(&place) && text.contains(words));
            assert!(is_told && read.is_none(), "{rest}: {problems:#?}");
        }
    }

    #[test]
    fn one_port_may_serve_tls_by_tcp_and_quic_by_udp() {
        let (read, problems) =
            read(&format!("{PAIR}dot = [\"0.0.0.0:853\"]\ndoq = [\"0.0.0.0:853\"]\n"));
        assert!(read.is_some(), "{problems:?}");
    }
}

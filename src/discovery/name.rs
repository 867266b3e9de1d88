//! Names of endpoints that were found: what operators drain and what the rendezvous hash sees.

use sha2::Digest;
use sha2::Sha256;

/// Longest name of an endpoint, in octets.
const NAME_MAX: usize = 63;

/// What is left of a longer one before its digest.
const KEPT: usize = 54;

/// A valid name made of a text: small letters, digits, `-` and `_`; `None` if the text has none of these to begin with.
///
/// `:` between host and port becomes `_`, every other octet `-`: `192.0.2.10:8080` is `192-0-2-10_8080`.
pub fn of_text(text: &str) -> Option<String> {
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address has more than one, unless it stands in brackets.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |part: &str| -> String {
        let octet = |character: char| match character {
            'a'..='z' | '0'..='9' | '-' | '_' => character,
            'A'..='Z' => character.to_ascii_lowercase(),
            _ => '-',
        };
        part.chars().map(octet).collect()
    };
    let mut name = plain(host);
    if let Some(port) = port {
        name = format!("{name}_{}", plain(port));
    }
    if !name.bytes().any(|octet| octet.is_ascii_alphanumeric()) {
        return None;
    }
    // An address such as ::1:2 would begin with a sign, which names must not.
    if !name.as_bytes()[0].is_ascii_alphanumeric() {
        name.insert(0, '0');
    }
    if name.len() > NAME_MAX {
        let digest = Sha256::digest(text.to_ascii_lowercase());
        let end: String = digest[..4].iter().map(|octet| format!("{octet:02x}")).collect();
        name = format!("{}-{end}", &name[..KEPT]);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_its_port_becomes_a_name() {
        for (text, name) in [
            ("192.0.2.10:8080", "192-0-2-10_8080"),
            ("192.0.2.10", "192-0-2-10"),
            ("[2001:db8::1]:8080", "2001-db8--1_8080"),
            ("2001:db8::1", "2001-db8--1"),
            ("[::5]:80", "0--5_80"),
            ("Web-1.Example.net:80", "web-1-example-net_80"),
            ("i-0abc_1", "i-0abc_1"),
            ("_odd", "0_odd"),
        ] {
            assert_eq!(of_text(text).as_deref(), Some(name), "{text}");
        }
        assert_eq!(of_text(""), None);
        assert_eq!(of_text("--"), None);
        assert_eq!(of_text("é"), None);
    }

    #[test]
    fn every_name_is_valid_and_long_ones_stay_apart() {
        let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        let long = |last: char| format!("{}{last}.example.net:80", "a".repeat(80));
        for text in [long('a').as_str(), &long('b'), "x y/z:http", "ÄÖ1"] {
            let name = of_text(text).unwrap();
            assert!(name.len() <= NAME_MAX && name.bytes().all(is_word), "{name}");
            assert!(name.as_bytes()[0].is_ascii_alphanumeric(), "{name}");
        }
        assert_ne!(of_text(&long('a')), of_text(&long('b')));
    }
}

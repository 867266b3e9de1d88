//! Between the messages of `chitchat` 0.11.1 and ours.
//!
//! Outwards the engine's own octets are read, which nobody else has made; inwards its octets are made from what the
//! door has let in. So nothing that a peer has made is ever read by the engine itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use chitchat::ChitchatId;
use chitchat::ChitchatMessage;
use chitchat::Deserializable;
use chitchat::Serializable;
use data_encoding::BASE64URL_NOPAD;
use sha2::Digest;
use sha2::Sha256;

use crate::cluster::Generation;
use crate::cluster::NodeName;
use crate::cluster::door::Admitted;
use crate::cluster::gossip::Gossip;
use crate::cluster::gossip::Known;
use crate::cluster::gossip::News;

/// What its messages begin with, and the version of their form.
const MAGIC: [u8; 3] = [0x53, 0xb0, 0];

/// Octets of a block that is not compressed, at most.
const BLOCK_MAX: usize = 60_000;

/// The address by which the engine knows a node: none that is ever dialled (fd00::/8, RFC 4193).
pub(super) fn address(node: &NodeName) -> SocketAddr {
    let digest = Sha256::digest(node.as_str().as_bytes());
    let mut octets: [u8; 16] = digest[..16].try_into().expect("a digest has 32 octets");
    octets[0] = 0xfd;
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(octets)), 1)
}

/// The engine's name of a node's life.
pub(super) fn id(node: &NodeName, generation: Generation) -> ChitchatId {
    ChitchatId::new(node.as_str(), generation.0, address(node))
}

/// The text by which the engine keeps a value.
pub(super) fn text_of(sealed: &[u8]) -> String {
    BASE64URL_NOPAD.encode(sealed)
}

/// A message of the engine in our form; `None` for what we do not send.
pub(super) fn outwards(message: &ChitchatMessage) -> Option<Gossip> {
    read(&message.serialize_to_vec())
}

fn read(octets: &[u8]) -> Option<Gossip> {
    let mut left = octets.strip_prefix(&MAGIC)?;
    let left = &mut left;
    match take(left, 1)?[0] {
        0 => Some(Gossip::Ask(read_digest(left)?)),
        1 => Some(Gossip::Answer(read_digest(left)?, read_delta(left)?)),
        2 => Some(Gossip::Rest(read_delta(left)?)),
        _ => None,
    }
}

/// A message that was let in, in the engine's form.
pub(super) fn inwards(gossip: &Gossip<Admitted>, cluster: &str) -> Option<ChitchatMessage> {
    ChitchatMessage::deserialize(&mut &write(gossip, cluster)[..]).ok()
}

fn write(gossip: &Gossip<Admitted>, cluster: &str) -> Vec<u8> {
    let mut octets = MAGIC.to_vec();
    match gossip {
        Gossip::Ask(known) => {
            octets.push(0);
            write_digest(&mut octets, known);
            write_text(&mut octets, cluster);
        }
        Gossip::Answer(known, news) => {
            octets.push(1);
            write_digest(&mut octets, known);
            write_delta(&mut octets, news);
        }
        Gossip::Rest(news) => {
            octets.push(2);
            write_delta(&mut octets, news);
        }
    }
    octets
}

fn take<'o>(left: &mut &'o [u8], count: usize) -> Option<&'o [u8]> {
    let (taken, rest) = left.split_at_checked(count)?;
    *left = rest;
    Some(taken)
}

fn u16_of(left: &mut &[u8]) -> Option<u16> {
    take(left, 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u64_of(left: &mut &[u8]) -> Option<u64> {
    take(left, 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn text<'o>(left: &mut &'o [u8]) -> Option<&'o str> {
    let length = u16_of(left)?;
    std::str::from_utf8(take(left, usize::from(length))?).ok()
}

fn read_id(left: &mut &[u8]) -> Option<(NodeName, Generation)> {
    let node = NodeName::parse(text(left)?)?;
    let generation = Generation(u64_of(left)?);
    // Kind of address, address, port: they follow from the name.
    let length = if take(left, 1)?[0] == 4 { 4 } else { 16 };
    take(left, length + 2)?;
    Some((node, generation))
}

fn read_digest(left: &mut &[u8]) -> Option<Vec<Known>> {
    let count = u16_of(left)?;
    let mut known = Vec::new();
    for _ in 0..count {
        let (node, generation) = read_id(left)?;
        let [heartbeat, collected, newest] = [u64_of(left)?, u64_of(left)?, u64_of(left)?];
        known.push(Known { node, generation, heartbeat, collected, newest });
    }
    Some(known)
}

fn read_delta(left: &mut &[u8]) -> Option<Vec<News<Box<[u8]>>>> {
    let operations = unpack(left)?;
    let left = &mut &operations[..];
    let mut news: Vec<News<Box<[u8]>>> = Vec::new();
    while !left.is_empty() {
        match take(left, 1)?[0] {
            0 => {
                let (node, generation) = read_id(left)?;
                let [collected, after] = [u64_of(left)?, u64_of(left)?];
                news.push(News { node, generation, collected, after, values: Vec::new() });
            }
            1 => {
                text(left)?;
                let sealed = BASE64URL_NOPAD.decode(text(left)?.as_bytes()).ok()?;
                // Its version stands in the value; nothing is ever withdrawn.
                take(left, 8 + 1)?;
                news.last_mut()?.values.push(sealed.into());
            }
            // The newest version of a node without values: nobody has signed it.
            _ => drop(take(left, 8)?),
        }
    }
    news.retain(|news| !news.values.is_empty());
    Some(news)
}

/// The blocks of a delta in one piece.
fn unpack(left: &mut &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let kind = take(left, 1)?[0];
        if kind == 0 {
            return Some(whole);
        }
        let length = u16_of(left)?;
        let block = take(left, usize::from(length))?;
        match kind {
            1 => whole.extend(zstd::bulk::decompress(block, usize::from(u16::MAX)).ok()?),
            _ => whole.extend(block),
        }
    }
}

fn write_text(octets: &mut Vec<u8>, text: &str) {
    octets.extend((text.len() as u16).to_le_bytes());
    octets.extend(text.as_bytes());
}

fn write_id(octets: &mut Vec<u8>, node: &NodeName, generation: Generation) {
    id(node, generation).serialize(octets);
}

fn write_digest(octets: &mut Vec<u8>, known: &[Known]) {
    octets.extend((known.len() as u16).to_le_bytes());
    for Known { node, generation, heartbeat, collected, newest } in known {
        write_id(octets, node, *generation);
        [heartbeat, collected, newest]
            .into_iter()
            .for_each(|number| octets.extend(number.to_le_bytes()));
    }
}

fn write_delta(octets: &mut Vec<u8>, news: &[News<Admitted>]) {
    let mut operations = Vec::new();
    for News { node, generation, collected, after, values } in news {
        operations.push(0);
        write_id(&mut operations, node, *generation);
        operations.extend(collected.to_le_bytes());
        operations.extend(after.to_le_bytes());
        for Admitted { slot, sequence, sealed } in values {
            operations.push(1);
            write_text(&mut operations, slot);
            write_text(&mut operations, &text_of(sealed));
            operations.extend(sequence.to_le_bytes());
            operations.push(0);
        }
    }
    for block in operations.chunks(BLOCK_MAX) {
        octets.push(2);
        octets.extend((block.len() as u16).to_le_bytes());
        octets.extend(block);
    }
    octets.push(0);
}

/// The nodes by the addresses that the engine has for them.
pub(super) fn addresses<'n>(
    nodes: impl Iterator<Item = &'n NodeName>,
) -> BTreeMap<SocketAddr, NodeName> {
    nodes.map(|node| (address(node), node.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn known(node: &str) -> Known {
        let node = name(node);
        Known { node, generation: Generation(7), heartbeat: 3, collected: 0, newest: 9 }
    }

    fn news(count: u64) -> News<Admitted> {
        let value = |sequence: u64| Admitted {
            slot: format!("votes/{sequence}"),
            sequence,
            sealed: vec![sequence as u8; 500].into(),
        };
        let (node, generation) = (name("b"), Generation(7));
        News {
            node,
            generation,
            collected: 0,
            after: 4,
            values: (5..5 + count).map(value).collect(),
        }
    }

    fn sealed(news: News<Admitted>) -> News<Box<[u8]>> {
        let News { node, generation, collected, after, values } = news;
        let values = values.into_iter().map(|value| value.sealed).collect();
        News { node, generation, collected, after, values }
    }

    #[test]
    fn a_message_goes_into_the_engine_s_form_and_back() {
        let ask = inwards(&Gossip::Ask(vec![known("a"), known("b")]), "prod").unwrap();
        assert!(matches!(ask, ChitchatMessage::Syn { .. }));
        assert_eq!(outwards(&ask), Some(Gossip::Ask(vec![known("a"), known("b")])));
        for count in [1, 3, 90] {
            let answer = Gossip::Answer(vec![known("a")], vec![news(count)]);
            let read_again = Gossip::Answer(vec![known("a")], vec![sealed(news(count))]);
            assert_eq!(read(&write(&answer, "prod")), Some(read_again), "{count}");
            assert!(matches!(inwards(&answer, "prod"), Some(ChitchatMessage::SynAck { .. })));
            let rest = Gossip::Rest(vec![news(count)]);
            assert_eq!(read(&write(&rest, "prod")), Some(Gossip::Rest(vec![sealed(news(count))])));
            assert!(matches!(inwards(&rest, "prod"), Some(ChitchatMessage::Ack { .. })));
        }
        assert_eq!(outwards(&ChitchatMessage::BadCluster), None);
    }

    #[test]
    fn each_node_has_an_address_of_its_own_that_is_never_dialled() {
        let all: Vec<_> = (0..300).map(|number| name(&format!("n{number}"))).collect();
        let addresses = addresses(all.iter());
        assert_eq!(addresses.len(), 300);
        assert!(addresses.keys().all(|address| match address.ip() {
            IpAddr::V6(address) => address.octets()[0] == 0xfd,
            IpAddr::V4(_) => false,
        }));
    }
}

//! What a message on the bus holds: a sealed value, and before it what the seal does not tell.
//!
//! ```text
//! +------------+-------+----------------+
//! | generation | after | sealed value...|     a value
//! |     8      |   8   |                |
//! +------------+-------+----------------+
//! | generation | since |                      an ask
//! +------------+-------+
//! ```
//!
//! Nobody has signed `after`; a false one hides a value or has it asked for again, which the bus can do by losing it.

use crate::cluster::Generation;
use crate::cluster::envelope::SEALED_MAX;

/// Octets before a value.
const HEAD: usize = 16;

/// Longest message.
pub(super) const MESSAGE_MAX: usize = HEAD + SEALED_MAX;

/// A value as it is on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Of which life of its node.
    pub(super) generation: Generation,
    /// Who knows all that the node has said up to this sequence misses nothing before this value.
    pub(super) after: u64,
    /// The value.
    pub(super) sealed: Box<[u8]>,
}

/// What a node lacks of another: everything after `since` in that life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) generation: Generation,
    pub(super) since: u64,
}

impl Message {
    pub(super) fn write(&self) -> Vec<u8> {
        [&head(self.generation, self.after), &*self.sealed].concat()
    }

    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let (generation, after, sealed) = split(octets)?;
        Some(Self { generation, after, sealed: sealed.into() })
    }
}

impl Ask {
    pub(super) fn write(self) -> Vec<u8> {
        head(self.generation, self.since).to_vec()
    }

    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let (generation, since, rest) = split(octets)?;
        rest.is_empty().then_some(Self { generation, since })
    }
}

fn head(generation: Generation, number: u64) -> [u8; HEAD] {
    let mut octets = [0; HEAD];
    octets[..8].copy_from_slice(&generation.0.to_be_bytes());
    octets[8..].copy_from_slice(&number.to_be_bytes());
    octets
}

fn split(octets: &[u8]) -> Option<(Generation, u64, &[u8])> {
    let (generation, rest) = octets.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    Some((Generation(u64::from_be_bytes(*generation)), u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_not() {
        let message = Message { generation: Generation(5), after: 9, sealed: [1, 2, 3].into() };
        assert_eq!(Message::read(&message.write()), Some(message.clone()));
        let ask = Ask { generation: Generation(u64::MAX), since: 7 };
        assert_eq!(Ask::read(&ask.write()), Some(ask));
        assert_eq!(Ask::read(&message.write()), None);
        assert_eq!(Message::read(&message.write()[..15]), None);
    }
}

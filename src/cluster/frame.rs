//! What goes over a connection between two nodes, after TLS has shown who they are.
//!
//! ```text
//! +------+------------+-------------+
//! | kind | length (3) | content ... |
//! +------+------------+-------------+
//! ```

use std::sync::Arc;

use crate::cluster::envelope::SEALED_MAX;
use crate::cluster::node::Generation;
use crate::cluster::node::NodeName;
use crate::cluster::piece::ID_LEN;
use crate::cluster::piece::PIECE_MAX;
use crate::cluster::piece::PieceId;
use crate::cluster::wire::Reader;
use crate::cluster::wire::put_number;
use crate::cluster::wire::put_short;

/// The protocol's name and version in ALPN (RFC 7301): nodes that speak another one refuse each other.
pub const PROTOCOL: &[u8] = b"rhumb/1";

/// Octets before the content.
pub const HEADER: usize = 4;

/// Values of one frame, at most.
const PUSHED_MAX: usize = 256;

/// Octets of values of one frame, at most, but for one value that may be longer.
pub const PUSHED_OCTETS: usize = 16 * 1024;

/// Nodes of a cluster, at most.
pub const NODES_MAX: usize = 128;

/// Values that are kept of a node, at most: votes on a million targets, their round-trip times, and as many records as there
/// may be at once. A slot is never given back in a life of its node.
pub const SLOTS_MAX: usize = 3 * 4096;

/// Something that one node tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Who I am; the first frame of both.
    Hello(Hello),
    /// Are you there? The number comes back.
    Ping {
        /// Any number.
        number: u64,
        /// One for all values that I have.
        sum: u64,
    },
    /// I am.
    Pong(u64),
    /// What I have: a number for each node.
    Sums(Vec<Sum>),
    /// Values.
    Push(Vec<Pushed>),
    /// What I have of a node; what besides do you have?
    Have(Have),
    /// Whom I hear over connections of our own.
    Near(Vec<NodeName>),
    /// Give me this piece.
    Want(PieceId),
    /// A piece that was asked for; empty if there is none here. What comes may be something else: whoever asked compares.
    Piece(PieceId, Box<[u8]>),
}

/// How much somebody knows of a node, as a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Which node.
    pub node: NodeName,
    /// Its latest life that is known.
    pub generation: Generation,
    /// Equal if the same values of it are known.
    pub sum: u64,
}

/// What somebody knows of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// Which node.
    pub node: NodeName,
    /// Its latest life that is known.
    pub generation: Generation,
    /// Numbers of slots, and of the newest value of each.
    pub slots: Vec<(u64, u64)>,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Name of its cluster.
    pub cluster: Box<str>,
    /// Its name.
    pub node: NodeName,
    /// Its life.
    pub generation: Generation,
}

/// A value on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Whose.
    pub node: NodeName,
    /// Of which life.
    pub generation: Generation,
    /// The value.
    pub sealed: Arc<[u8]>,
}

/// Most octets of a frame's content, by its kind; `None` for a kind that there is not.
pub fn content_max(kind: u8) -> Option<usize> {
    match kind {
        0 => Some(256),
        1 => Some(16),
        2 => Some(8),
        3 => Some(16 * 1024),
        4 => Some(64 * 1024),
        // A number of a slot and one of a value, 20 octets at most.
        5 => Some(SLOTS_MAX * 20),
        6 => Some(16 * 1024),
        8 => Some(ID_LEN),
        9 => Some(ID_LEN + PIECE_MAX),
        _ => None,
    }
}

/// Kind and length of a frame's content, if it is one and no longer than it may be.
pub fn read_header(header: [u8; HEADER]) -> Option<(u8, usize)> {
    let [kind, high, middle, low] = header;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    (length <= content_max(kind)?).then_some((kind, length))
}

impl Frame {
    /// The frame in octets, with its header.
    ///
    /// # Panics
    /// If its content is longer than it may be: whoever makes frames keeps the limits.
    pub fn write(&self) -> Vec<u8> {
        let mut octets = vec![0; HEADER];
        let kind = self.write_content(&mut octets);
        let length = octets.len() - HEADER;
        assert!(content_max(kind).is_some_and(|most| length <= most), "frames are bounded");
        octets[0] = kind;
        octets[1..HEADER].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
        octets
    }

    fn write_content(&self, octets: &mut Vec<u8>) -> u8 {
        match self {
            Self::Hello(Hello { cluster, node, generation }) => {
                put_short(octets, cluster.as_bytes());
                write_node(octets, node, *generation);
                0
            }
            Self::Ping { number, sum } => {
                octets.extend(number.to_be_bytes());
                octets.extend(sum.to_be_bytes());
                1
            }
            Self::Pong(number) => {
                octets.extend(number.to_be_bytes());
                2
            }
            Self::Sums(sums) => {
                put_number(octets, sums.len() as u64);
                for Sum { node, generation, sum } in sums {
                    write_node(octets, node, *generation);
                    octets.extend(sum.to_be_bytes());
                }
                3
            }
            Self::Push(values) => {
                put_number(octets, values.len() as u64);
                for Pushed { node, generation, sealed } in values {
                    write_node(octets, node, *generation);
                    put_number(octets, sealed.len() as u64);
                    octets.extend(&**sealed);
                }
                4
            }
            Self::Have(Have { node, generation, slots }) => {
                write_node(octets, node, *generation);
                put_number(octets, slots.len() as u64);
                for (slot, sequence) in slots {
                    octets.extend(slot.to_be_bytes());
                    put_number(octets, *sequence);
                }
                5
            }
            Self::Near(nodes) => {
                put_number(octets, nodes.len() as u64);
                nodes.iter().for_each(|node| put_short(octets, node.as_str().as_bytes()));
                6
            }
            Self::Want(piece) => {
                octets.extend(piece.octets());
                8
            }
            Self::Piece(piece, content) => {
                octets.extend(piece.octets());
                octets.extend(&**content);
                9
            }
        }
    }

    /// Reads a frame's content; total.
    pub fn read(kind: u8, content: &[u8]) -> Option<Self> {
        if content.len() > content_max(kind)? {
            return None;
        }
        let mut reader = Reader::new(content);
        let frame = match kind {
            0 => {
                let cluster = read_name(&mut reader)?.as_str().into();
                let (node, generation) = read_node(&mut reader)?;
                Self::Hello(Hello { cluster, node, generation })
            }
            1 => Self::Ping { number: reader.u64()?, sum: reader.u64()? },
            2 => Self::Pong(reader.u64()?),
            3 => Self::Sums(read_all(&mut reader, NODES_MAX, read_sum)?),
            4 => Self::Push(read_all(&mut reader, PUSHED_MAX, read_pushed)?),
            5 => {
                let (node, generation) = read_node(&mut reader)?;
                let slots = read_all(&mut reader, SLOTS_MAX, read_slot)?;
                Self::Have(Have { node, generation, slots })
            }
            6 => Self::Near(read_all(&mut reader, NODES_MAX, read_name)?),
            8 => Self::Want(read_piece(&mut reader)?),
            _ => Self::Piece(read_piece(&mut reader)?, reader.rest().into()),
        };
        reader.is_empty().then_some(frame)
    }
}

fn write_node(octets: &mut Vec<u8>, node: &NodeName, generation: Generation) {
    put_short(octets, node.as_str().as_bytes());
    put_number(octets, generation.0);
}

/// As many as a count says, at most `most`.
fn read_all<T>(
    reader: &mut Reader<'_>,
    most: usize,
    read: fn(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = reader.count(most)?;
    // No more room than what is there may need: a count may promise more.
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(read(reader)?);
    }
    Some(all)
}

fn read_name(reader: &mut Reader<'_>) -> Option<NodeName> {
    NodeName::parse(std::str::from_utf8(reader.short()?).ok()?)
}

fn read_piece(reader: &mut Reader<'_>) -> Option<PieceId> {
    reader.take(ID_LEN)?.try_into().ok().map(PieceId::new)
}

fn read_node(reader: &mut Reader<'_>) -> Option<(NodeName, Generation)> {
    Some((read_name(reader)?, Generation(reader.number()?)))
}

fn read_sum(reader: &mut Reader<'_>) -> Option<Sum> {
    let (node, generation) = read_node(reader)?;
    Some(Sum { node, generation, sum: reader.u64()? })
}

fn read_pushed(reader: &mut Reader<'_>) -> Option<Pushed> {
    let (node, generation) = read_node(reader)?;
    let length = reader.count(SEALED_MAX)?;
    Some(Pushed { node, generation, sealed: reader.take(length)?.into() })
}

fn read_slot(reader: &mut Reader<'_>) -> Option<(u64, u64)> {
    Some((reader.u64()?, reader.number()?))
}

/// Whether one of two connections between the same nodes goes before the other: that of the later life, then the one
/// that the node with the smaller name dialled, then the newer.
///
/// Both nodes come to the same end, whichever connection is ready first where.
pub fn goes_before(new: Standing<'_>, old: Standing<'_>, one: &NodeName, two: &NodeName) -> bool {
    let smaller = one.min(two);
    let key = |standing: &Standing<'_>| (standing.generation, standing.dialler == smaller);
    key(&new) >= key(&old)
}

/// What decides between two connections.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'n> {
    /// The life that the peer had when it was made.
    pub generation: Generation,
    /// Who dialled.
    pub dialler: &'n NodeName,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn frames() -> Vec<Frame> {
        let pushed = Pushed {
            node: name("b"),
            generation: Generation(u64::MAX),
            sealed: vec![7; SEALED_MAX].into(),
        };
        vec![
            Frame::Hello(Hello {
                cluster: "x".repeat(63).into(),
                node: name(&"y".repeat(63)),
                generation: Generation(u64::MAX),
            }),
            Frame::Ping { number: 1, sum: 2 },
            Frame::Pong(u64::MAX),
            Frame::Sums(vec![
                Sum {
                    node: name(&"z".repeat(63)),
                    generation: Generation(7),
                    sum: u64::MAX
                };
                NODES_MAX
            ]),
            Frame::Push(vec![pushed.clone(), pushed]),
            Frame::Have(Have {
                node: name("b"),
                generation: Generation(7),
                slots: vec![(u64::MAX, u64::MAX); SLOTS_MAX],
            }),
            Frame::Near(vec![name(&"z".repeat(63)); NODES_MAX]),
            Frame::Want(PieceId::of(b"x")),
            Frame::Piece(PieceId::of(b"x"), vec![7; PIECE_MAX].into()),
            Frame::Piece(PieceId::of(b"x"), [].into()),
        ]
    }

    #[test]
    fn a_frame_is_read_as_it_was_written_and_never_when_cut() {
        for frame in frames() {
            let octets = frame.write();
            let (header, content) = octets.split_first_chunk().unwrap();
            let (kind, length) = read_header(*header).unwrap();
            assert_eq!(length, content.len());
            assert_eq!(Frame::read(kind, content), Some(frame.clone()));
            if !matches!(frame, Frame::Piece(..)) {
                assert_eq!(Frame::read(kind, &content[..length - 1]), None);
                assert_eq!(Frame::read(kind, &[content, &[0]].concat()), None);
            }
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_anything_is_read() {
        assert_eq!(read_header([1, 0, 0, 16]), Some((1, 16)));
        assert_eq!(read_header([1, 0, 0, 17]), None);
        assert_eq!(read_header([3, 0xff, 0xff, 0xff]), None);
        assert_eq!(read_header([7, 0, 0, 0]), None);
        assert_eq!(Frame::read(5, &[1, b'b', 7, 0x80, 0x20]), None, "4,096 slots, and none there");
        assert_eq!(read_header([8, 0, 0, 33]), None);
        assert_eq!(read_header([9, 1, 0, 33]), None);
    }

    #[test]
    fn of_two_connections_both_nodes_keep_the_same() {
        let (a, b) = (name("a"), name("b"));
        let of = |dialler, generation| Standing { generation: Generation(generation), dialler };
        for (one, two) in [(&a, &b), (&b, &a)] {
            assert!(goes_before(of(&a, 1), of(&b, 1), one, two));
            assert!(!goes_before(of(&b, 1), of(&a, 1), one, two));
            assert!(goes_before(of(&a, 1), of(&a, 1), one, two), "the old one is likely dead");
            assert!(goes_before(of(&b, 2), of(&a, 1), one, two), "a restart goes before");
            assert!(!goes_before(of(&a, 1), of(&b, 2), one, two));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(
            kind in any::<u8>(), octets in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Frame::read(kind, &octets);
        }
    }
}

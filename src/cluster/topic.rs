//! What a value is about. Each node has at most one value a topic: the last one it said.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;
use sha2::Sha256;

/// What a value is about; its text is always ASCII.
///
/// ```
/// # use rhumb::cluster::Topic;
/// let topic = Topic::Votes { layout: 0x1f, shard: 7 };
/// assert_eq!(topic.to_string(), "votes/000000000000001f/0000000000000007");
/// assert_eq!("votes/000000000000001f/0000000000000007".parse(), Ok(topic));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// That the node's control loop lives, and how it fares: said each second.
    Beat,
    /// Its votes on a shard of targets; `layout` says which targets stand where.
    Votes {
        /// The first 8 octets of the layout's digest.
        layout: u64,
        /// Which shard: the number of its group and its position in it, which no other shard has.
        shard: u64,
    },
    /// Round-trip times that it measured, one shard of them.
    Rtt {
        /// Which shard: the number of its group and its position in it, which no other shard has.
        shard: u64,
    },
    /// What it is besides: versions, generations, digests.
    State,
    /// Which version of files is in force here, which one is coming, and what this node has to say about it.
    Bundle,
    /// A record: an override, a ramp, a shift, the brake.
    Record {
        /// The first 16 octets of the digest of the record's name.
        id: u128,
    },
}

/// Longest text of a topic, in octets.
pub const TOPIC_MAX: usize = 39;

impl Topic {
    /// The key under which an engine keeps a node's value: one for all layouts, as only its last one counts.
    pub fn slot(self) -> String {
        match self {
            Self::Votes { shard, .. } => format!("votes/{shard:016x}"),
            Self::Beat | Self::Rtt { .. } | Self::State | Self::Bundle | Self::Record { .. } => {
                self.to_string()
            }
        }
    }

    /// Where a node's value about it is kept: in one place for all layouts, as only its last one counts.
    pub fn place(self) -> Slot {
        match self {
            Self::Votes { shard, .. } => Slot(Self::Votes { layout: 0, shard }),
            Self::Beat | Self::Rtt { .. } | Self::State | Self::Record { .. } | Self::Bundle => {
                Slot(self)
            }
        }
    }

    /// Whether it is worth nothing to whoever did not hear it at once.
    pub fn is_fleeting(self) -> bool {
        self == Self::Beat
    }

    /// Whether an agent may speak about it: what it sees, not what is to be done.
    pub fn is_for_agents(self) -> bool {
        match self {
            // Of an agent counts only how it fares with what servers push.
            Self::Beat | Self::Votes { .. } | Self::Rtt { .. } | Self::Bundle => true,
            Self::State | Self::Record { .. } => false,
        }
    }
}

/// Where a value of a node is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(Topic);

impl Slot {
    /// Where beats are kept.
    pub const BEAT: Self = Self(Topic::Beat);

    /// A number for it that all nodes have: the first 8 octets of the SHA-256 of its text.
    pub fn number(self) -> u64 {
        let digest = Sha256::digest(self.0.slot().as_bytes());
        u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 octets"))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beat => f.write_str("beat"),
            Self::Votes { layout, shard } => write!(f, "votes/{layout:016x}/{shard:016x}"),
            Self::Rtt { shard } => write!(f, "rtt/{shard:016x}"),
            Self::State => f.write_str("state"),
            Self::Bundle => f.write_str("bundle"),
            Self::Record { id } => write!(f, "record/{id:032x}"),
        }
    }
}

/// Why a text is no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTopic;

impl FromStr for Topic {
    type Err = NoTopic;

    /// One topic has one text.
    fn from_str(text: &str) -> Result<Self, NoTopic> {
        let topic = find(text).ok_or(NoTopic)?;
        // Signs, leading zeroes and capitals are read by the standard library and must not make a second text.
        if topic.to_string() == text { Ok(topic) } else { Err(NoTopic) }
    }
}

fn find(text: &str) -> Option<Topic> {
    let mut parts = text.split('/');
    let topic = match parts.next()? {
        "beat" => Topic::Beat,
        "state" => Topic::State,
        "bundle" => Topic::Bundle,
        "votes" => {
            let layout = u64::from_str_radix(parts.next()?, 16).ok()?;
            Topic::Votes { layout, shard: u64::from_str_radix(parts.next()?, 16).ok()? }
        }
        "rtt" => Topic::Rtt { shard: u64::from_str_radix(parts.next()?, 16).ok()? },
        "record" => Topic::Record { id: u128::from_str_radix(parts.next()?, 16).ok()? },
        _ => return None,
    };
    parts.next().is_none().then_some(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_one_ascii_text_and_is_read_from_it() {
        for topic in [
            Topic::Beat,
            Topic::State,
            Topic::Bundle,
            Topic::Votes { layout: 0, shard: 0 },
            Topic::Votes { layout: u64::MAX, shard: u64::MAX },
            Topic::Rtt { shard: 12 },
            Topic::Record { id: 1 },
            Topic::Record { id: u128::MAX },
        ] {
            let text = topic.to_string();
            assert!(text.is_ascii() && text.len() <= TOPIC_MAX, "{text}");
            assert_eq!(text.parse(), Ok(topic));
        }
    }

    #[test]
    fn what_is_not_quite_a_topic_is_none() {
        for text in [
            "",
            "Beat",
            "beat/",
            "beat/1",
            "state ",
            "votes",
            "votes/1/1",
            "votes/000000000000001F/0000000000000007",
            "votes/000000000000001f/7",
            "votes/000000000000001f/+000000000000007",
            "votes/000000000000001f/10000000000000000",
            "votes/000000000000001f/0000000000000007/8",
            "rtt/-1",
            "rtt/1",
            "rtt/",
            "record/1",
            "rücken",
            "rtt/000000000000000\u{0661}",
        ] {
            assert_eq!(text.parse::<Topic>(), Err(NoTopic), "{text:?}");
        }
    }

    #[test]
    fn agents_tell_what_they_see_and_decide_nothing() {
        assert!(
            Topic::Votes { layout: 1, shard: 1 }.is_for_agents() && Topic::Beat.is_for_agents()
        );
        assert!(!Topic::Record { id: 1 }.is_for_agents() && !Topic::State.is_for_agents());
    }
}

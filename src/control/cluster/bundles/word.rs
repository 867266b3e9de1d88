//! What a node says about bundles, and what it makes of what others say.

use serde::Deserialize;
use serde::Serialize;

use crate::cluster::NodeName;
use crate::cluster::PAYLOAD_MAX;
use crate::cluster::PieceId;
use crate::cluster::Sealed;
use crate::cluster::Version;

/// Longest word of a node on why it does not take a bundle, in octets; all of it is in that node's log.
const PROBLEMS_MAX: usize = 2_400;

/// Tables of round-trip times that a node tells of, at most: the newest.
pub const TABLES_MAX: usize = 4;

/// All that a node says about bundles: its last word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Whether it takes bundles at all.
    pub takes: bool,
    /// The newest version that was decided, as far as it has it: it counts from the instant in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Active>,
    /// What it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<Version>,
    /// What it pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// How it fares with what is pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Tables of round-trip times that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableWord>,
}

/// A version that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// Which.
    pub sealed: Sealed,
    /// From when on it counts everywhere, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A version that is being pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Which.
    pub sealed: Sealed,
    /// The node that serves it before the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// One node serves a version before the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Which node.
    #[serde(with = "crate::cluster::registry::name")]
    pub node: NodeName,
    /// From when on, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What a node says to a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// To which version.
    pub version: Version,
    /// And to which files.
    pub parcel: PieceId,
    /// What.
    pub state: AnswerState,
    /// Why, if it is refused or takes long.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub why: Box<str>,
}

/// How far a node is with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    /// It gets the files.
    Fetching,
    /// It compiles them.
    Checking,
    /// It could serve them at once.
    Ready,
    /// It serves them before the others.
    Trial,
    /// It cannot serve them.
    Refused,
}

impl AnswerState {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::Trial => "canary",
            Self::Refused => "refused",
        }
    }

    /// Whether it could serve them at once, or does.
    pub fn is_ready(self) -> bool {
        match self {
            Self::Ready | Self::Trial => true,
            Self::Fetching | Self::Checking | Self::Refused => false,
        }
    }
}

/// A table of round-trip times that a node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableWord {
    /// Name of its file, which tells what is in it.
    pub name: Box<str>,
    /// Digest of its index.
    pub parcel: PieceId,
    /// When it counts from, in seconds since 1970.
    pub activates_s: u64,
    /// When it was made.
    pub built_s: u64,
}

impl TableWord {
    /// Of two tables the greater one counts, once both instants have come.
    pub fn rank(&self) -> (u64, u64, &str) {
        (self.activates_s, self.built_s, &self.name)
    }
}

/// Of two versions the greater counts; files decide only where a node gave one number twice, after it was set back.
pub(super) fn rank(sealed: &Sealed) -> (&Version, PieceId) {
    (&sealed.manifest.version, sealed.manifest.parcel)
}

impl Word {
    /// As octets; what a node says of problems is cut until it fits.
    pub fn to_octets(&self) -> Box<[u8]> {
        let mut word = self.clone();
        let mut most = PROBLEMS_MAX;
        loop {
            if let Some(answer) = &mut word.answer {
                answer.why = cut(&answer.why, most);
            }
            let octets = serde_json::to_vec(&word).unwrap_or_default();
            if octets.len() <= PAYLOAD_MAX {
                return octets.into();
            }
            match (most, word.tables.pop()) {
                (0, None) => return Box::default(),
                (_, Some(_)) => {}
                (_, None) => most /= 2,
            }
        }
    }

    /// Of octets; `None` if they are no such word.
    pub fn of_octets(octets: &[u8]) -> Option<Self> {
        let mut word: Self = serde_json::from_slice(octets).ok()?;
        word.tables.truncate(TABLES_MAX);
        let active = word.active.as_ref().is_none_or(|one| one.sealed.manifest.is_sound());
        let offer = word.offer.as_ref().is_none_or(|one| one.sealed.manifest.is_sound());
        (active && offer).then_some(word)
    }
}

/// So many octets of a text at most, whole characters.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let is_end = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=most.min(text.len())).rev().find(is_end).unwrap_or(0);
    &text[..end]
}

/// The first lines of a text, whole ones where there are any.
fn cut(text: &str, most: usize) -> Box<str> {
    if text.len() <= most {
        return text.into();
    }
    let end = beginning(text, most);
    let end = end.rfind('\n').map_or(end.len(), |line| line + 1);
    format!("{}...\n", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Manifest;

    fn sealed(reason: &str) -> Sealed {
        let node = NodeName::parse("fra-1").unwrap();
        let manifest = Manifest {
            version: Version { number: 8, node: node.clone() },
            parcel: PieceId::of(b"x"),
            octets: 1,
            files: 1,
            author: reason.into(),
            reason: reason.into(),
            made_s: 1,
            force: false,
            restores: None,
        };
        Sealed { manifest, by: node, signature: "A".repeat(86).into() }
    }

    #[test]
    fn the_longest_word_fits_and_is_read_as_it_was_said() {
        let long = "\"".repeat(crate::cluster::manifest::WORDS_MAX);
        let version = sealed("").manifest.version;
        let table = |at: u64| TableWord {
            name: "rtt-0123456789abcdef.table".into(),
            parcel: PieceId::of(b"t"),
            activates_s: at,
            built_s: at,
        };
        let why: String =
            (0..500).map(|line| format!("zones/\"a\".toml:{line}:1: wrong\n")).collect();
        let word = Word {
            takes: true,
            active: Some(Active { sealed: sealed(&long), at_ms: u64::MAX }),
            in_force: Some(version.clone()),
            offer: Some(Offer {
                sealed: sealed(&long),
                trial: Some(Trial { node: version.node.clone(), at_ms: 1 }),
            }),
            answer: Some(Answer {
                version,
                parcel: PieceId::of(b"x"),
                state: AnswerState::Refused,
                why: why.as_str().into(),
            }),
            tables: (0..4).map(table).collect(),
        };
        let octets = word.to_octets();
        assert!(octets.len() <= PAYLOAD_MAX, "{}", octets.len());
        let read = Word::of_octets(&octets).expect("it can be read");
        assert_eq!((&read.active, &read.offer), (&word.active, &word.offer));
        let told = read.answer.expect("an answer").why;
        assert!(
            told.ends_with("wrong\n...\n") && why.starts_with(&told[..told.len() - 4]),
            "{told}"
        );
        let small = Word { answer: None, ..word };
        assert_eq!(Word::of_octets(&small.to_octets()), Some(small));
    }

    #[test]
    fn what_is_too_long_or_no_word_is_none() {
        for wrong in [&b""[..], b"{", b"[]", b"{\"takes\":1}"] {
            assert_eq!(Word::of_octets(wrong), None);
        }
        let active = Active { sealed: sealed(&"x".repeat(500)), at_ms: 1 };
        let octets = serde_json::to_vec(&Word { active: Some(active), ..Word::default() }).unwrap();
        assert_eq!(Word::of_octets(&octets), None);
    }
}

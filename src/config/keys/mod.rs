//! Every key of the operator's files: kind, range, default, meaning, and when a change of it counts.
//!
//! The one table that the reader asks, and that schema, reference and completion are made of. Reads no file itself.

mod assertion;
mod check;
mod cluster;
mod degraded;
mod discover;
mod form;
mod list;
mod load;
mod markdown;
mod name;
mod node;
mod pattern;
mod policy;
mod pool;
mod probe;
mod rtt;
mod schema;
mod state;
mod voting;
mod zone;

pub use assertion::ANYTHING_DOWN;
pub use assertion::CLAIMS;
pub use assertion::NOTHING_DOWN;
pub use assertion::ONE_SITE_DOWN;
pub use check::DAMPING;
pub use check::FALL;
pub use check::HOLD_DOWN;
pub use check::INTERVAL;
pub use check::INVERT;
pub use check::JITTER_PERCENT;
pub use check::LEVELS_MAX;
pub use check::LOAD_MAX;
pub use check::METHOD;
pub use check::PARTS_MAX;
pub use check::PATH;
pub use check::RCODE;
pub use check::RECURSION;
pub use check::REDIRECTS;
pub use check::RISE;
pub use check::SERVICE;
pub use check::SILENCE;
pub use check::STATUS;
pub use check::TIMEOUT;
pub use check::TOKENS_MAX;
pub use check::VERIFY;
pub use check::VERSION;
pub use check::WORDS_MAX;
pub use cluster::BUS_PEERS_MAX;
pub use cluster::PEERS_MAX;
pub use discover::DISCOVER_INTERVAL;
pub use discover::DISCOVER_TIMEOUT;
pub use discover::MAX_DROP_PERCENT;
pub use discover::SOURCES;
pub use discover::WEIGHT_LABEL;
pub use form::DOH_PATH_MAX;
pub use form::Form;
pub use form::IDENTITY_MAX;
pub use list::Entry;
pub use list::list;
pub use markdown::reference;
pub use markdown::renew;
pub use name::ANSWERS;
pub use name::PERIOD;
pub use node::DEFAULT_DOH_PATH;
pub use node::MAX_REFRESH;
pub use node::MIN_REFRESH;
pub use node::NODE_FILE;
pub use node::RESOLVER_TIMEOUT;
pub use node::TCP_CONNECTIONS;
pub use node::ZONES_FOLDER;
pub use policy::FENCE;
pub use policy::RULES_MAX;
pub use pool::ENDPOINTS_MAX;
pub use pool::MIN_HEALTHY_PERCENT;
pub use pool::PRIORITY;
pub use pool::WEIGHT;
pub use probe::PROBE_RATE;
pub use probe::PROBE_RATE_PER_ADDRESS;
pub use rtt::DELAY;
pub use rtt::POST_LINES;
pub use rtt::POST_OCTETS;
pub use rtt::POSTS_A_MINUTE;
pub use rtt::WINDOW;
pub use schema::schema;
pub use state::HISTORY;
pub use state::HISTORY_MEGABYTES;
pub use voting::FLEET_INTERVAL;
pub use zone::COST;
pub use zone::NAMESERVER_TTL;
pub use zone::NEGATIVE_TTL;
pub use zone::RECORD_TTL;
pub use zone::STEERED_TTL;
pub use zone::ZONE_FILE;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration::spell;

/// A table of keys.
#[derive(Debug)]
pub struct Table {
    /// Its header as an operator writes it, `pool.NAME.endpoint.NAME`; empty for a whole file.
    pub path: &'static str,
    /// What it is.
    pub about: &'static str,
    /// When a change in it counts, unless a key says otherwise.
    pub applies: Applies,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
    /// What must hold between its keys.
    pub rules: &'static [Rule],
}

impl Table {
    /// A key by name.
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What may stand after it.
    pub kind: Kind,
    /// What counts if it is not there.
    pub absent: Absent,
    /// One line on what it is.
    pub about: &'static str,
    /// A value as an operator may write it, for remedies.
    pub example: &'static str,
    /// Words of the key `kind` beside it for which it is known; empty for all.
    pub only: &'static [&'static str],
    /// Words of the key `kind` beside it that need it.
    pub needed_for: &'static [&'static str],
    /// What others call it, for "did you mean".
    pub like: &'static [&'static str],
    /// When a change of it counts, if not as the table says.
    pub applies: Option<Applies>,
}

impl Key {
    /// A key that may be left out, which means what `absent` says.
    pub const fn new(name: &'static str, kind: Kind, absent: Absent, about: &'static str) -> Self {
        Self {
            name,
            kind,
            absent,
            about,
            example: "",
            only: &[],
            needed_for: &[],
            like: &[],
            applies: None,
        }
    }

    /// A key that must be there.
    pub const fn needed(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self { example, ..Self::new(name, kind, Absent::Needed, about) }
    }

    /// The same for some kinds only.
    pub const fn only(self, kinds: &'static [&'static str]) -> Self {
        Self { only: kinds, ..self }
    }

    /// The same, needed for some kinds.
    pub const fn needed_for(self, kinds: &'static [&'static str], example: &'static str) -> Self {
        Self { needed_for: kinds, example, ..self }
    }

    /// The same, with a value for remedies.
    pub const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// The same, with what others call it.
    pub const fn like(self, words: &'static [&'static str]) -> Self {
        Self { like: words, ..self }
    }

    /// The same, with a change that counts at another moment than the rest of its table.
    pub const fn applies(self, applies: Applies) -> Self {
        Self { applies: Some(applies), ..self }
    }
}

/// What counts if a key is not there.
#[derive(Clone, Copy, Debug)]
pub enum Absent {
    /// It must be there.
    Needed,
    /// A value, as if it were written.
    Default(Literal),
    /// Something that no value says.
    Means(&'static str),
}

/// A default, in the form the reader uses it.
#[derive(Clone, Copy, Debug)]
pub enum Literal {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Integer(i64),
    /// A number with or without a fraction.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A duration.
    Duration(Duration),
    /// A percentage.
    Percent(u8),
    /// A list of texts.
    Texts(&'static [&'static str]),
}

impl Literal {
    /// The value as JSON has it; TOML writes these kinds alike.
    pub fn json(self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Integer(number) => number.into(),
            Self::Number(number) => number.into(),
            Self::Boolean(value) => value.into(),
            Self::Duration(duration) => spell(duration).into(),
            Self::Percent(percent) => format!("{percent}%").into(),
            Self::Texts(texts) => texts.into(),
        }
    }
}

/// When a change of a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// At once, when the file changes.
    Live,
    /// When the process starts.
    Restart,
}

/// What may stand after a key.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text of some form.
    Text(&'static Form),
    /// One of some words.
    Words {
        /// What each of them is, such as "a kind of check".
        what: &'static str,
        /// The words.
        words: &'static [&'static str],
    },
    /// A whole number.
    Integer {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
        /// What the least means, if that is special.
        least: &'static str,
    },
    /// A number with or without a fraction.
    Number {
        /// Least.
        min: f64,
        /// Most.
        max: f64,
    },
    /// True or false.
    Boolean,
    /// A text with units.
    Duration {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
        /// Whether fractions of a second are refused.
        whole_seconds: bool,
    },
    /// A text such as "50%".
    Percent {
        /// Most; the least is 0.
        max: u8,
    },
    /// A list of texts.
    Texts {
        /// Each of them.
        of: &'static Form,
        /// How many.
        count: Count,
        /// Whether one may not stand there twice.
        distinct: bool,
    },
    /// A list of one kind or another.
    Items {
        /// Each of them.
        of: &'static Kind,
        /// How many.
        count: Count,
    },
    /// One IPv4 address, one IPv6 address, or one of each.
    Addresses,
    /// A table whose keys are the operator's names.
    Map {
        /// The names.
        names: &'static Form,
        /// What stands after each.
        of: &'static Kind,
        /// How many.
        count: Count,
        /// Whether one value must be above 0.
        one_above_zero: bool,
    },
    /// A table whose keys are record types.
    Records,
    /// A table of known keys.
    Table(&'static Table),
    /// Any of several.
    AnyOf(&'static [Kind]),
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Least.
    pub min: usize,
    /// Most, if there is a limit.
    pub max: Option<usize>,
}

impl Count {
    /// As many as one likes, or none.
    pub const ANY: Self = Self { min: 0, max: None };
    /// One or more.
    pub const SOME: Self = Self { min: 1, max: None };

    /// One to `max`.
    pub const fn up_to(max: usize) -> Self {
        Self { min: 1, max: Some(max) }
    }
}

impl Kind {
    /// The kinds it may be; itself, if there is no choice.
    pub fn alternatives(&'static self) -> &'static [Self] {
        match self {
            Self::AnyOf(kinds) => kinds,
            _ => std::slice::from_ref(self),
        }
    }

    /// The first of its kinds that `pick` takes.
    ///
    /// # Panics
    /// If there is none: then the reader asks for a value that the table of keys does not have.
    pub fn pick<T>(&'static self, wanted: &str, pick: impl Fn(&'static Self) -> Option<T>) -> T {
        let found = self.alternatives().iter().find_map(pick);
        found.unwrap_or_else(|| panic!("the table of keys has no {wanted} here, but {self:?}"))
    }

    /// The words that may stand here, if any, and what they are.
    pub fn words(&'static self) -> Option<(&'static str, &'static [&'static str])> {
        self.alternatives().iter().find_map(|kind| match kind {
            Self::Words { what, words } => Some((*what, *words)),
            _ => None,
        })
    }

    /// Range of its whole numbers, and what the least of them means.
    pub fn integers(&'static self) -> (RangeInclusive<i64>, &'static str) {
        self.pick("whole number", |kind| match *kind {
            Self::Integer { min, max, least } => Some((min..=max, least)),
            _ => None,
        })
    }

    /// Range of its numbers.
    pub fn numbers(&'static self) -> RangeInclusive<f64> {
        self.pick("number", |kind| match *kind {
            Self::Number { min, max } => Some(min..=max),
            _ => None,
        })
    }

    /// Range of its durations, and whether they are whole seconds.
    pub fn durations(&'static self) -> (RangeInclusive<Duration>, bool) {
        self.pick("duration", |kind| match *kind {
            Self::Duration { min, max, whole_seconds } => Some((min..=max, whole_seconds)),
            _ => None,
        })
    }

    /// Most of its percentages.
    pub fn percent_max(&'static self) -> u8 {
        self.pick("percentage", |kind| match *kind {
            Self::Percent { max } => Some(max),
            _ => None,
        })
    }
}

/// What must hold between the keys of a table.
#[derive(Debug)]
pub enum Rule {
    /// At least one of these must be there.
    OneOf(&'static [&'static str]),
    /// Exactly one of these must be there.
    ExactlyOne(&'static [&'static str]),
    /// Not both.
    Apart([&'static str; 2]),
    /// None of `keys` without `other`.
    Need {
        /// These.
        keys: &'static [&'static str],
        /// That.
        other: &'static str,
    },
    /// No records of these types, under the key `records`, beside another key.
    NoRecords {
        /// The other key.
        beside: &'static str,
        /// The types.
        types: &'static [&'static str],
    },
}

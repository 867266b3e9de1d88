//! A TOML table walked by hand: every fault is collected, every key is either taken or reported.
//!
//! What may stand where is asked of the table of keys; this knows no key itself.

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::NODE_FILE;
use crate::config::keys::Table;
use crate::config::keys::ZONE_FILE;
use crate::config::keys::list;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::problem::Problems;
use crate::config::rules;
pub use crate::config::value::Refusal;
pub use crate::config::value::Value;

/// A table being read. [`Section::finish`] reports the keys that nobody took.
pub struct Section<'t> {
    /// Where its values stand.
    pub file: FileId,
    /// Its key, such as `pool.eu`; empty for a whole file.
    pub path: String,
    /// Where it stands.
    pub place: Place,
    shape: Shape,
    entries: Vec<Entry<'t>>,
    asked: Vec<&'static str>,
}

/// What the keys of a table are.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Known ones.
    Known(&'static Table),
    /// The operator's names, each with a value of one kind.
    Named(&'static Kind),
}

struct Entry<'t> {
    key: &'t str,
    key_place: Place,
    value: &'t Spanned<DeValue<'t>>,
    taken: bool,
}

impl<'t> Section<'t> {
    /// Starts reading a file whose keys are those of `keys`.
    pub fn of_file(file: FileId, table: &'t DeTable<'t>, keys: &'static Table) -> Self {
        Self::new("", table, Shape::Known(keys), Place { file, span: 0..0 })
    }

    /// Starts reading a table whose keys are of this shape.
    pub(super) fn new(path: &str, table: &'t DeTable<'t>, shape: Shape, place: Place) -> Self {
        let file = place.file;
        let entries = table.iter().map(|(key, value)| Entry {
            key: key.get_ref(),
            key_place: Place { file, span: key.span() },
            value,
            taken: false,
        });
        let mut entries: Vec<_> = entries.collect();
        // The parser sorts keys by name; people read them in the order of the file.
        entries.sort_by_key(|entry| entry.key_place.span.start);
        Self { file, path: path.to_owned(), place, shape, entries, asked: Vec::new() }
    }

    /// The value of a key, if it is there.
    ///
    /// # Panics
    /// If the table of keys does not have the key: what is read must be documented.
    pub fn take(&mut self, name: &'static str) -> Option<Value<'t>> {
        let key = self.known(name);
        self.asked.push(name);
        let path = self.key_path(name);
        let file = self.file;
        let entry = self.entries.iter_mut().find(|entry| entry.key == name)?;
        entry.taken = true;
        Some(Value {
            path,
            place: Place { file, span: entry.value.span() },
            key_place: entry.key_place.clone(),
            value: entry.value.get_ref(),
            kind: &key.kind,
        })
    }

    /// The value of a key, if it is there and for tables of this `kind`.
    pub fn take_for(&mut self, kind: Option<&str>, name: &'static str) -> Option<Value<'t>> {
        let only = self.known(name).only;
        let is_for = kind.is_none_or(|kind| only.is_empty() || only.contains(&kind));
        if is_for { self.take(name) } else { None }
    }

    fn known(&self, name: &str) -> &'static Key {
        let known = match self.shape {
            Shape::Known(table) => table.find(name),
            Shape::Named(_) => None,
        };
        known.unwrap_or_else(|| {
            panic!("{} is read, but is not in src/config/keys", self.key_path(name))
        })
    }

    /// Every key with its value: for tables whose keys are the operator's names.
    pub fn take_all(&mut self) -> Vec<(At<String>, Value<'t>)> {
        let Shape::Named(kind) = self.shape else {
            panic!("{} has known keys, but all are taken", self.path)
        };
        let (path, file) = (&self.path, self.file);
        self.entries
            .iter_mut()
            .map(|entry| {
                entry.taken = true;
                let name = At { value: entry.key.to_owned(), place: entry.key_place.clone() };
                let value = Value {
                    path: dotted(path, entry.key),
                    place: Place { file, span: entry.value.span() },
                    key_place: entry.key_place.clone(),
                    value: entry.value.get_ref(),
                    kind,
                };
                (name, value)
            })
            .collect()
    }

    /// Where a key stands that is there, whether or not it has been taken.
    pub fn find_key(&self, key: &str) -> Option<Place> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(entry.key_place.clone())
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, name: &'static str, problems: &mut Problems) -> Option<Value<'t>> {
        let value = self.take(name);
        if value.is_none() {
            self.miss(name, problems);
        }
        value
    }

    /// Reports that a key is not there; if it is, with a typo, that.
    pub fn miss(&mut self, name: &'static str, problems: &mut Problems) {
        if let Some(position) = self.find_typo_of(name) {
            self.entries[position].taken = true;
            self.refuse_key(position, problems);
            return;
        }
        let remedy = format!("add it, for example {name} = {}", self.known(name).example);
        problems
            .error(&self.place, self.key_path(name), "this key is missing", remedy)
            .rule(&rules::MISSING_KEY);
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        let strangers = (0..self.entries.len()).filter(|&position| !self.entries[position].taken);
        strangers.for_each(|position| self.refuse_key(position, problems));
    }

    fn refuse_key(&self, position: usize, problems: &mut Problems) {
        let entry = &self.entries[position];
        let remedy = match self.find_meant(entry.key) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                let elsewhere = self.elsewhere(entry.key);
                format!("{elsewhere}the keys here are: {}", self.asked.join(", "))
            }
        };
        let path = self.key_path(entry.key);
        problems
            .error(&entry.key_place, path, "this key is not known here", remedy)
            .rule(&rules::UNKNOWN_KEY);
    }

    /// Whether a key is there that is not known and likely means `name`.
    pub fn has_typo_of(&self, name: &str) -> bool {
        self.find_typo_of(name).is_some()
    }

    fn find_typo_of(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| {
            let is_known =
                matches!(self.shape, Shape::Known(table) if table.find(entry.key).is_some());
            !entry.taken && !is_known && self.find_meant(entry.key) == Some(name)
        })
    }

    /// The key that was asked for and that `name` likely means: one that is near, or is called so by others.
    fn find_meant(&self, name: &str) -> Option<&'static str> {
        let near = closest(name, &self.asked);
        near.or_else(|| self.asked.iter().find(|key| self.known(key).like.contains(&name)).copied())
    }

    /// Where a key that is not known here belongs, as the beginning of a remedy.
    fn elsewhere(&self, name: &str) -> String {
        let Shape::Known(here) = self.shape else { return String::new() };
        if let Some(key) = here.find(name) {
            let kinds: Vec<_> = key.only.iter().map(|word| format!("\"{word}\"")).collect();
            return format!("it is for kind = {}; ", kinds.join(" or "));
        }
        let file = [&ZONE_FILE, &NODE_FILE]
            .into_iter()
            .find(|file| list(file).iter().any(|entry| std::ptr::eq(entry.table, here)));
        let entries = file.map(list).unwrap_or_default();
        let named = || entries.iter().filter(|entry| entry.key.name == name);
        // One of a table below this one is meant rather than any other.
        let below = named().find(|entry| entry.table.path.starts_with(here.path));
        let there = below.or_else(|| named().next());
        match there.map(|entry| entry.table.path) {
            None => String::new(),
            Some("") => format!("it is a table of the file, [{name}]; "),
            Some(path) => format!("it belongs to [{path}]; "),
        }
    }

    fn key_path(&self, key: &str) -> String {
        dotted(&self.path, key)
    }
}

/// What names of sites, checks, pools, endpoints and policies are made of.
pub const PLAIN: &str =
    "use 1 to 63 letters, digits, \"-\" and \"_\", and begin with a letter or digit";

/// Names of sites, checks, pools, endpoints and policies appear in commands, metrics and hashes: they stay plain.
pub fn is_plain(name: &str) -> bool {
    let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_word)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

/// A key below a path, as TOML writes it: quoted only if it must be.
pub fn dotted(path: &str, key: &str) -> String {
    let is_bare = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    let dot = if path.is_empty() { "" } else { "." };
    match !key.is_empty() && key.bytes().all(is_bare) {
        true => format!("{path}{dot}{key}"),
        false => format!("{path}{dot}{key:?}"),
    }
}

/// The word nearest to `word`, if any is near: at most a third of its letters differ, not counting their case, nor
/// `-` for `_`.
pub fn closest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let wanted = plain(word);
    let near = |other: &&&str| strsim::damerau_levenshtein(&wanted, &plain(other));
    let limit = (word.chars().count() / 3).max(1);
    let exact = |other: &&&str| strsim::damerau_levenshtein(word, other);
    let best = words.iter().min_by_key(|other| (near(other), exact(other)));
    best.filter(|best| near(best) <= limit).copied()
}

//! A TOML table walked by hand: every fault is collected, every key is either taken or reported.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::problem::Problems;

/// A table being read. [`Section::finish`] reports the keys that nobody took.
pub struct Section<'t> {
    /// Where its values stand.
    pub file: FileId,
    /// Its key, such as `pool.eu`; empty for a whole file.
    pub path: String,
    /// Where it stands.
    pub place: Place,
    entries: Vec<Entry<'t>>,
    asked: Vec<&'static str>,
}

struct Entry<'t> {
    key: &'t str,
    key_place: Place,
    value: &'t Spanned<DeValue<'t>>,
    taken: bool,
}

/// A value being read, with its key's path and its place.
#[derive(Clone)]
pub struct Value<'t> {
    /// The key, such as `pool.eu.site`.
    pub path: String,
    /// Where the value stands.
    pub place: Place,
    /// Where the key stands.
    pub key_place: Place,
    value: &'t DeValue<'t>,
}

/// Why a text is refused, and what to write.
pub type Refusal = (String, String);

impl<'t> Section<'t> {
    /// Starts reading a table.
    pub fn new(file: FileId, path: &str, table: &'t DeTable<'t>, place: Place) -> Self {
        let entries = table.iter().map(|(key, value)| Entry {
            key: key.get_ref(),
            key_place: Place { file, span: key.span() },
            value,
            taken: false,
        });
        let mut entries: Vec<_> = entries.collect();
        // The parser sorts keys by name; people read them in the order of the file.
        entries.sort_by_key(|entry| entry.key_place.span.start);
        Self { file, path: path.to_owned(), place, entries, asked: Vec::new() }
    }

    /// The value of a key, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.asked.push(key);
        let path = self.key_path(key);
        let file = self.file;
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        entry.taken = true;
        Some(Value {
            path,
            place: Place { file, span: entry.value.span() },
            key_place: entry.key_place.clone(),
            value: entry.value.get_ref(),
        })
    }

    /// Every key with its value: for tables whose keys are the operator's names.
    pub fn take_all(&mut self) -> Vec<(At<String>, Value<'t>)> {
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
    pub fn need(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Value<'t>> {
        let value = self.take(key);
        if value.is_none() {
            let remedy = format!("add it, for example {key} = {example}");
            problems.error(&self.place, self.key_path(key), "this key is missing", remedy);
        }
        value
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        for entry in self.entries.iter().filter(|entry| !entry.taken) {
            let remedy = match closest(entry.key, &self.asked) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the keys here are: {}", self.asked.join(", ")),
            };
            problems.error(
                &entry.key_place,
                self.key_path(entry.key),
                "this key is not known",
                remedy,
            );
        }
    }

    fn key_path(&self, key: &str) -> String {
        dotted(&self.path, key)
    }
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

/// Refuses a word that is none of `words`, and names the nearest.
pub fn refuse_word(text: &str, what: &str, words: &[&str]) -> Refusal {
    let near = match closest(text, words) {
        Some(near) => format!("did you mean \"{near}\"? "),
        None => String::new(),
    };
    let all: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let (last, others) = all.split_last().expect("there is a word to choose");
    let remedy = format!("{near}use {} or {last}", others.join(", "));
    (format!("\"{text}\" is not {what}"), remedy)
}

/// The word nearest to `word`, if any is near: at most a third of its letters differ.
pub fn closest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let near = |other: &&&str| strsim::damerau_levenshtein(word, other);
    words
        .iter()
        .min_by_key(near)
        .filter(|best| near(best) <= (word.chars().count() / 3).max(1))
        .copied()
}

impl<'t> Value<'t> {
    /// A text.
    pub fn string(&self, problems: &mut Problems) -> Option<At<String>> {
        match self.value.as_str() {
            Some(text) => Some(self.at(text.to_owned())),
            None => self.wrong("a text in double quotes", problems),
        }
    }

    /// A text that `parse` makes something of.
    pub fn parsed<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        let text = self.string(problems)?;
        match parse(&text.value) {
            Ok(value) => Some(self.at(value)),
            Err((fault, remedy)) => {
                problems.error(&self.place, &self.path, fault, remedy);
                None
            }
        }
    }

    /// A whole number of `range`.
    pub fn integer(
        &self,
        range: RangeInclusive<i64>,
        hint: &str,
        problems: &mut Problems,
    ) -> Option<At<i64>> {
        let Some(number) = self.value.as_integer() else {
            return self.wrong(
                &format!(
                    "a whole number of {} to {}{}",
                    range.start(),
                    range.end(),
                    self.unquoted()
                ),
                problems,
            );
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        match parsed.filter(|parsed| range.contains(parsed)) {
            Some(parsed) => Some(self.at(parsed)),
            None => {
                let hint = if hint.is_empty() { String::new() } else { format!("{hint} ") };
                let remedy =
                    format!("use {}{hint}to {}", range.start().to_string() + " ", range.end());
                problems.error(
                    &self.place,
                    &self.path,
                    format!("{} is not allowed", number.as_str()),
                    remedy,
                );
                None
            }
        }
    }

    /// A number with or without a fraction.
    pub fn number(&self, range: RangeInclusive<f64>, problems: &mut Problems) -> Option<At<f64>> {
        let text = match self.value {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => {
                return self.wrong(
                    &format!("a number of {} to {}{}", range.start(), range.end(), self.unquoted()),
                    problems,
                );
            }
        };
        match text.parse::<f64>().ok().filter(|parsed| range.contains(parsed)) {
            Some(parsed) => Some(self.at(parsed)),
            None => {
                let remedy = format!("use {} to {}", range.start(), range.end());
                problems.error(&self.place, &self.path, format!("{text} is not allowed"), remedy);
                None
            }
        }
    }

    /// True or false.
    pub fn boolean(&self, problems: &mut Problems) -> Option<At<bool>> {
        match self.value.as_bool() {
            Some(value) => Some(self.at(value)),
            None => self.wrong(&format!("true or false{}", self.unquoted()), problems),
        }
    }

    /// A duration of `range`, as `"10s"` or `"1h 30m"`.
    pub fn duration(
        &self,
        range: RangeInclusive<Duration>,
        problems: &mut Problems,
    ) -> Option<At<Duration>> {
        match self.value {
            DeValue::Integer(number) => {
                let fault = format!("{} has no unit", number.as_str());
                let remedy = format!("write a text with a unit, as \"{}s\"", number.as_str());
                problems.error(&self.place, &self.path, fault, remedy);
                None
            }
            _ => self.parsed(|text| parse_duration(text, &range), problems),
        }
    }

    /// A list of texts.
    pub fn strings(&self, problems: &mut Problems) -> Option<Vec<At<String>>> {
        let items = self.list("a list of texts, as [\"a\", \"b\"]", problems)?;
        Some(items.iter().filter_map(|item| item.string(problems)).collect())
    }

    /// A list of anything; `wanted` says what to write if it is none.
    pub fn list(&self, wanted: &str, problems: &mut Problems) -> Option<Vec<Value<'t>>> {
        let Some(array) = self.value.as_array() else {
            return self.wrong(wanted, problems);
        };
        let items = array.iter().enumerate().map(|(position, item)| {
            let place = Place { file: self.place.file, span: item.span() };
            let path = format!("{}[{position}]", self.path);
            // A table in a list is where it stands; its key is the list's.
            let key_place =
                if item.get_ref().is_table() { place.clone() } else { self.key_place.clone() };
            Value { path, place, key_place, value: item.get_ref() }
        });
        Some(items.collect())
    }

    /// A table.
    pub fn section(&self, problems: &mut Problems) -> Option<Section<'t>> {
        self.section_like("a table", problems)
    }

    /// A table; `wanted` says what to write if it is none.
    pub fn section_like(&self, wanted: &str, problems: &mut Problems) -> Option<Section<'t>> {
        match self.value.as_table() {
            // A table's own span may be its first line only; the key is what a caret should show.
            Some(table) => {
                Some(Section::new(self.place.file, &self.path, table, self.key_place.clone()))
            }
            None => self.wrong(wanted, problems),
        }
    }

    /// Whether it is a text.
    pub fn is_string(&self) -> bool {
        self.value.is_str()
    }

    fn at<T>(&self, value: T) -> At<T> {
        At { value, place: self.place.clone() }
    }

    /// What to add to a remedy if the value stands in quotes and must not.
    fn unquoted(&self) -> &'static str {
        if self.is_string() { ", without quotes" } else { "" }
    }

    fn wrong<T>(&self, wanted: &str, problems: &mut Problems) -> Option<T> {
        let fault = format!("this is {} {}", article(self.value.type_str()), self.value.type_str());
        problems.error(&self.place, &self.path, fault, format!("write {wanted}"));
        None
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Reads a duration; a bare number is refused, because nobody can tell its unit.
pub fn parse_duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Refusal> {
    match humantime::parse_duration(text) {
        Ok(duration) if range.contains(&duration) => Ok(duration),
        Ok(_) => Err((
            format!("\"{text}\" is not allowed"),
            format!("use \"{}\" to \"{}\"", spell(*range.start()), spell(*range.end())),
        )),
        Err(_) if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) => {
            Err((format!("\"{text}\" has no unit"), format!("add one, as in \"{text}s\"")))
        }
        Err(_) => Err((
            format!("\"{text}\" is not a duration"),
            "write whole numbers with units ms, s, m, h, d or w, as \"10s\" or \"1h 30m\"".into(),
        )),
    }
}

/// A duration in the largest unit that it is a whole number of.
pub fn spell(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    match units.into_iter().find(|&(unit, _)| millis > 0 && millis.is_multiple_of(unit)) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => "0s".to_owned(),
    }
}

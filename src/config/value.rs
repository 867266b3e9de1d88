//! A value of a table: read as the kind that the table of keys says, or refused with a remedy.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::Problems;
use crate::config::duration;
use crate::config::keys::Count;
use crate::config::keys::Form;
use crate::config::keys::Kind;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::PLAIN;
use crate::config::reader::Section;
use crate::config::reader::Shape;
use crate::config::reader::closest;
use crate::config::reader::is_plain;
use crate::config::rules;

/// What stands behind a record type.
static RECORD_TEXTS: Kind = Kind::Texts { of: &Form::ANY, count: Count::ANY, distinct: false };

/// A value being read, with its key's path and its place.
#[derive(Clone)]
pub struct Value<'t> {
    /// The key, such as `pool.eu.site`.
    pub path: String,
    /// Where the value stands.
    pub place: Place,
    /// Where the key stands.
    pub key_place: Place,
    pub(super) value: &'t DeValue<'t>,
    pub(super) kind: &'static Kind,
}

/// Why a text is refused, and what to write.
pub type Refusal = (String, String);

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

    /// A name that stands for something of another file, so that only its form can be judged.
    pub fn plain_name(&self, problems: &mut Problems) -> Option<At<String>> {
        let text = self.string(problems)?;
        if is_plain(&text.value) {
            return Some(text);
        }
        let fault = format!("\"{}\" is not allowed as a name", text.value);
        problems.error(&self.place, &self.path, fault, PLAIN).rule(&rules::BAD_NAME);
        None
    }

    /// One of the words that may stand here.
    pub fn word(&self, problems: &mut Problems) -> Option<At<&'static str>> {
        if let Some(word) = self.find_word() {
            return Some(self.at(word));
        }
        let (what, words) = self.kind.words().expect("the table of keys has words here");
        if !self.is_string() {
            return self.wrong(&(either(words) + &self.table_hint()), problems);
        }
        let text = self.string(problems)?;
        let (fault, remedy) = refuse_word(&text.value, what, words);
        let rule = &rules::UNKNOWN_WORD;
        problems.error(&self.place, &self.path, fault, remedy + &self.table_hint()).rule(rule);
        None
    }

    /// The word that stands here, if it is one of those that may.
    pub fn find_word(&self) -> Option<&'static str> {
        let (_, words) = self.kind.words()?;
        words.iter().find(|word| self.value.as_str() == Some(**word)).copied()
    }

    /// The words that may stand here besides another kind of value, as the end of a remedy.
    fn words_hint(&self) -> String {
        let words = self.kind.words().map_or(&[][..], |(_, words)| words);
        words.iter().map(|word| format!(", or \"{word}\"")).collect()
    }

    /// The table that may stand here besides a word, as the end of a remedy.
    fn table_hint(&self) -> String {
        let needed = self.kind.alternatives().iter().find_map(|kind| match kind {
            Kind::Table(table) => table.keys.first(),
            _ => None,
        });
        needed.map_or_else(String::new, |key| format!(", or {{ {} = {} }}", key.name, key.example))
    }

    /// A whole number.
    pub fn integer(&self, problems: &mut Problems) -> Option<At<i64>> {
        let (range, least) = self.kind.integers();
        let is_foreign_word = self.is_string() && self.kind.words().is_some();
        let Some(number) = self.value.as_integer().filter(|_| !is_foreign_word) else {
            if is_foreign_word {
                let remedy = format!(
                    "write a whole number of {} to {} without quotes{}",
                    range.start(),
                    range.end(),
                    self.words_hint()
                );
                return self.refuse(self.value.as_str().unwrap_or_default(), &remedy, problems);
            }
            let wanted = format!(
                "a whole number of {} to {}{}",
                range.start(),
                range.end(),
                self.unquoted()
            );
            return self.wrong(&(wanted + &self.words_hint()), problems);
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if let Some(parsed) = parsed.filter(|parsed| range.contains(parsed)) {
            return Some(self.at(parsed));
        }
        let least = if least.is_empty() { String::new() } else { format!(" ({least})") };
        let remedy =
            format!("use {}{least} to {}{}", range.start(), range.end(), self.words_hint());
        let fault = format!("{} is not allowed", number.as_str());
        problems.error(&self.place, &self.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
        None
    }

    /// A number with or without a fraction.
    pub fn number(&self, problems: &mut Problems) -> Option<At<f64>> {
        let range = self.kind.numbers();
        let text = match self.value {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => {
                let wanted =
                    format!("a number of {} to {}{}", range.start(), range.end(), self.unquoted());
                return self.wrong(&wanted, problems);
            }
        };
        if let Some(parsed) = text.parse::<f64>().ok().filter(|parsed| range.contains(parsed)) {
            return Some(self.at(parsed));
        }
        let remedy = format!("use {} to {}", range.start(), range.end());
        let fault = format!("{text} is not allowed");
        problems.error(&self.place, &self.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
        None
    }

    /// A percentage, as `"50%"`.
    pub fn percent(&self, problems: &mut Problems) -> Option<At<u8>> {
        let max = self.kind.percent_max();
        let remedy = format!("write \"0%\" to \"{max}%\"");
        if let DeValue::Integer(number) = self.value {
            let fault = format!("{} is not a percentage", number.as_str());
            let remedy = format!("{remedy}, in quotes and with its sign");
            problems.error(&self.place, &self.path, fault, remedy).rule(&rules::BAD_PERCENTAGE);
            return None;
        }
        let text = self.string(problems)?;
        let digits =
            text.value.trim_matches(' ').strip_suffix('%').map(|digits| digits.trim_matches(' '));
        let digits = digits.filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
        let percent = digits.and_then(|digits| digits.parse::<u8>().ok());
        if let Some(percent) = percent.filter(|&percent| percent <= max) {
            return Some(self.at(percent));
        }
        let (fault, rule) = match digits.is_some_and(|digits| !digits.is_empty()) {
            true => ("is not allowed", &rules::OUT_OF_RANGE),
            false => ("is not a percentage", &rules::BAD_PERCENTAGE),
        };
        let fault = format!("\"{}\" {fault}", text.value);
        problems.error(&self.place, &self.path, fault, remedy).rule(rule);
        None
    }

    /// True or false.
    pub fn boolean(&self, problems: &mut Problems) -> Option<At<bool>> {
        match self.value.as_bool() {
            Some(value) => Some(self.at(value)),
            None => self.wrong(&format!("true or false{}", self.unquoted()), problems),
        }
    }

    /// A duration, as `"10s"` or `"1h 30m"`.
    pub fn duration(&self, problems: &mut Problems) -> Option<At<Duration>> {
        let (range, whole_seconds) = self.kind.durations();
        if let DeValue::Integer(number) = self.value {
            let fault = format!("{} has no unit", number.as_str());
            let remedy = format!("write a text with a unit, as \"{}s\"", number.as_str());
            problems.error(&self.place, &self.path, fault, remedy).rule(&rules::BAD_DURATION);
            return None;
        }
        let text = self.string(problems)?;
        let refusal = match duration::parse(&text.value, &range) {
            Ok(duration) if whole_seconds && duration.subsec_nanos() != 0 => {
                let remedy = format!("write \"{}s\"", duration.as_secs());
                ("this counts whole seconds".to_owned(), remedy, &rules::BAD_DURATION)
            }
            Ok(duration) => return Some(self.at(duration)),
            Err((fault, remedy, rule)) => (fault, remedy + &self.words_hint(), rule),
        };
        let (fault, remedy, rule) = refusal;
        problems.error(&self.place, &self.path, fault, remedy).rule(rule);
        None
    }

    /// A list of texts.
    pub fn strings(&self, problems: &mut Problems) -> Option<Vec<At<String>>> {
        let Some(array) = self.value.as_array() else {
            // A text with quotes or escapes of its own would not be shown as it is to be written.
            let text = self.value.as_str().filter(|text| !text.contains(['"', '\\', '\n']));
            let example = text.map_or("\"a\", \"b\"".to_owned(), |text| format!("\"{text}\""));
            return self.wrong(&format!("a list of texts, as [{example}]"), problems);
        };
        let items = array.iter().enumerate();
        let items = items.filter_map(|item| self.item(item, self.kind).string(problems));
        Some(items.collect())
    }

    /// A list of anything; `wanted` says what to write if it is none.
    pub fn list(&self, wanted: &str, problems: &mut Problems) -> Option<Vec<Value<'t>>> {
        let of = self.kind.pick("list", |kind| match kind {
            Kind::Items { of, .. } => Some(*of),
            _ => None,
        });
        match self.value.as_array() {
            Some(array) => Some(array.iter().enumerate().map(|item| self.item(item, of)).collect()),
            None => self.wrong(wanted, problems),
        }
    }

    /// A value in this list.
    fn item(
        &self,
        (position, item): (usize, &'t Spanned<DeValue<'t>>),
        kind: &'static Kind,
    ) -> Value<'t> {
        let place = Place { file: self.place.file, span: item.span() };
        // A table in a list is where it stands; its key is the list's.
        let is_table = item.get_ref().is_table();
        let key_place = if is_table { place.clone() } else { self.key_place.clone() };
        let path = format!("{}[{position}]", self.path);
        Value { path, place, key_place, value: item.get_ref(), kind }
    }

    /// A table.
    pub fn section(&self, problems: &mut Problems) -> Option<Section<'t>> {
        self.section_like("a table", problems)
    }

    /// A table; `wanted` says what to write if it is none.
    pub fn section_like(&self, wanted: &str, problems: &mut Problems) -> Option<Section<'t>> {
        let shape = self.kind.pick("table", |kind| match kind {
            Kind::Table(table) => Some(Shape::Known(table)),
            Kind::Map { of, .. } => Some(Shape::Named(of)),
            Kind::Records => Some(Shape::Named(&RECORD_TEXTS)),
            _ => None,
        });
        match self.value.as_table() {
            // A table's own span may be its first line only; the key is what a caret should show.
            Some(table) => Some(Section::new(&self.path, table, shape, self.key_place.clone())),
            None => self.wrong(wanted, problems),
        }
    }

    /// The text, if it is one.
    pub fn find_text(&self) -> Option<&'t str> {
        self.value.as_str()
    }

    /// The text, if it is a list of one text.
    pub fn find_only_text(&self) -> Option<&'t str> {
        let [only] = &self.value.as_array()?[..] else { return None };
        only.get_ref().as_str()
    }

    /// Whether it is true or false.
    pub fn is_boolean(&self) -> bool {
        self.value.is_bool()
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        self.value.is_integer()
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
        problems
            .error(&self.place, &self.path, fault, format!("write {wanted}"))
            .rule(&rules::WRONG_TYPE);
        None
    }

    /// Refuses a text that stands where it has no meaning.
    fn refuse<T>(&self, text: &str, remedy: &str, problems: &mut Problems) -> Option<T> {
        let fault = format!("\"{text}\" is not allowed");
        problems.error(&self.place, &self.path, fault, remedy).rule(&rules::UNKNOWN_WORD);
        None
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Refuses a word that is none of `words`, and names the nearest.
pub fn refuse_word(text: &str, what: &str, words: &[&str]) -> Refusal {
    let near = match closest(text, words) {
        Some(near) => format!("did you mean \"{near}\"? "),
        None => String::new(),
    };
    (format!("\"{text}\" is not {what}"), format!("{near}use {}", either(words)))
}

/// Words as a choice: `"a", "b" or "c"`.
fn either(words: &[&str]) -> String {
    let all: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match all.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => all.concat(),
    }
}

//! The keys as JSON Schema draft-07, for editors and other tools.
//!
//! Never looser than the reader where a schema can say it, and never narrower than what an operator would write.
//! Names, records and whatever spans tables are judged by the validator only.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::config::keys::Absent;
use crate::config::keys::Count;
use crate::config::keys::Form;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Rule;
use crate::config::keys::Table;
use crate::config::keys::form;
use crate::config::keys::markdown;
use crate::config::keys::pattern;
use crate::wire::RecordType;

/// The schema of a file whose keys are those of `file`.
pub fn schema(file: &'static Table, title: &str) -> Value {
    let mut schema = table(file);
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), title.into());
    schema.into()
}

fn table(table: &'static Table) -> Map<String, Value> {
    let properties: Map<_, _> =
        table.keys.iter().map(|one| (one.name.to_owned(), key(one))).collect();
    let needed = |key: &&Key| matches!(key.absent, Absent::Needed) && key.only.is_empty();
    let needed: Vec<_> = table.keys.iter().filter(needed).map(|key| key.name).collect();
    let mut conditions: Vec<Value> = conditions(table);
    conditions.extend(table.rules.iter().map(rule));
    let mut schema = object(json!({
        "type": "object",
        "description": sentence(table.about),
        "properties": properties,
        "additionalProperties": false,
    }));
    if !needed.is_empty() {
        schema.insert("required".into(), needed.into());
    }
    if !conditions.is_empty() {
        schema.insert("allOf".into(), conditions.into());
    }
    schema
}

fn key(key: &'static Key) -> Value {
    let mut schema = kind(&key.kind);
    let mut about = sentence(&markdown::meaning(key));
    let range = markdown::range(&key.kind);
    if !range.is_empty() {
        about += &format!(" {}", sentence(&range));
    }
    if let Absent::Means(meaning) = key.absent {
        about += &format!(" Default: {}.", markdown::plain(meaning));
    }
    schema.insert("description".into(), about.into());
    if let Absent::Default(literal) = key.absent {
        schema.insert("default".into(), literal.json());
    }
    schema.into()
}

/// A text as a sentence without the marks of Markdown.
fn sentence(text: &str) -> String {
    let text = markdown::plain(text);
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

/// For each word of `kind`: keys that are not for it, and keys that it needs.
fn conditions(table: &'static Table) -> Vec<Value> {
    let Some((_, words)) = table.find("kind").and_then(|key| key.kind.words()) else {
        return Vec::new();
    };
    let condition = |word: &&'static str| {
        let is_foreign = |key: &&Key| !key.only.is_empty() && !key.only.contains(word);
        let is_needed = |key: &&Key| {
            let is_own = matches!(key.absent, Absent::Needed) && key.only.contains(word);
            is_own || key.needed_for.contains(word)
        };
        let foreign: Map<_, _> = table
            .keys
            .iter()
            .filter(is_foreign)
            .map(|key| (key.name.to_owned(), Value::Bool(false)))
            .collect();
        let needed: Vec<_> = table.keys.iter().filter(is_needed).map(|key| key.name).collect();
        json!({
            "if": { "properties": { "kind": { "const": word } }, "required": ["kind"] },
            "then": { "properties": foreign, "required": needed },
        })
    };
    words.iter().map(condition).collect()
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::OneOf(keys) => {
            let each: Vec<_> = keys.iter().map(|key| json!({ "required": [key] })).collect();
            json!({ "anyOf": each })
        }
        Rule::ExactlyOne(keys) => {
            let each: Vec<_> = keys.iter().map(|key| json!({ "required": [key] })).collect();
            json!({ "oneOf": each })
        }
        Rule::Apart(both) => json!({ "not": { "required": both } }),
        Rule::Need { keys, other } => {
            let each: Map<_, _> =
                keys.iter().map(|key| ((*key).to_owned(), json!([other]))).collect();
            json!({ "dependencies": each })
        }
        Rule::NoRecords { beside, types } => {
            let each: Map<_, _> =
                types.iter().map(|name| ((*name).to_owned(), Value::Bool(false))).collect();
            json!({
                "if": { "required": [beside] },
                "then": { "properties": { "records": { "properties": each } } },
            })
        }
    }
}

fn kind(of: &'static Kind) -> Map<String, Value> {
    let schema = match of {
        Kind::Text(form) => return text(form),
        Kind::Words { what: _, words } => json!({ "type": "string", "enum": words }),
        Kind::Integer { min, max, least: _ } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Number { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Duration { min, max, whole_seconds } => {
            let pattern = pattern::duration(&(*min..=*max), *whole_seconds);
            json!({ "type": "string", "pattern": pattern })
        }
        Kind::Percent { max } => json!({ "type": "string", "pattern": pattern::percent(*max) }),
        Kind::Texts { of, count, distinct } => {
            let list = json!({ "type": "array", "items": text(of), "uniqueItems": distinct });
            return counted(list, *count, "minItems", "maxItems");
        }
        Kind::Items { of, count } => {
            let list = json!({ "type": "array", "items": kind(of) });
            return counted(list, *count, "minItems", "maxItems");
        }
        Kind::Addresses => addresses(),
        Kind::Map { names, of, count, one_above_zero } => {
            let mut map = json!({
                "type": "object",
                "propertyNames": text(names),
                "additionalProperties": kind(of),
            });
            if *one_above_zero {
                map["not"] = json!({ "additionalProperties": { "const": 0 } });
            }
            return counted(map, *count, "minProperties", "maxProperties");
        }
        Kind::Records => records(),
        Kind::Table(inner) => return table(inner),
        Kind::AnyOf(kinds) => {
            json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() })
        }
    };
    object(schema)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn text(form: &Form) -> Map<String, Value> {
    let (min, max) = form.length;
    let mut schema = object(json!({ "type": "string" }));
    if !form.pattern.is_empty() {
        schema.insert("pattern".into(), form.pattern.into());
    }
    if min > 0 {
        schema.insert("minLength".into(), min.into());
    }
    if max < usize::MAX {
        schema.insert("maxLength".into(), max.into());
    }
    schema
}

fn counted(schema: Value, count: Count, least: &str, most: &str) -> Map<String, Value> {
    let mut schema = object(schema);
    if count.min > 0 {
        schema.insert(least.into(), count.min.into());
    }
    if let Some(max) = count.max {
        schema.insert(most.into(), max.into());
    }
    schema
}

/// One address, or one of each family in any order.
fn addresses() -> Value {
    let v4 = json!({ "type": "string", "pattern": form::IPV4 });
    let v6 = json!({ "type": "string", "pattern": form::IPV6, "format": "ipv6" });
    json!({
        "type": "array",
        "minItems": 1,
        "maxItems": 2,
        "items": { "type": "string", "anyOf": [v4, v6] },
        "anyOf": [
            { "maxItems": 1 },
            { "items": [v4, v6] },
            { "items": [v6, v4] },
        ],
    })
}

/// Types by name in capitals, so that editors can offer them; in any case, or by number, for all others.
fn records() -> Value {
    let is_own = |rtype: &RecordType| RecordType::is_data(*rtype) && *rtype != RecordType::SOA;
    let types = (0..=u16::MAX).map(RecordType).filter(is_own);
    let names = types.map(|rtype| rtype.to_string()).filter(|name| !name.starts_with("TYPE"));
    let names: Vec<String> = names.collect();
    let texts = json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true });
    let mut offered: Map<_, _> = names.iter().map(|name| (name.clone(), texts.clone())).collect();
    // An alias stands alone (RFC 1034 section 3.6.2).
    offered.insert("CNAME".into(), json!({ "maxItems": 1 }));
    let any_case: Vec<String> = names.iter().map(|name| in_any_case(name)).collect();
    let numbers: Vec<String> = runs(is_own).into_iter().map(pattern::number).collect();
    let by_number = format!("{}(?:{})", in_any_case("TYPE"), numbers.join("|"));
    let all = format!("^(?:{}|{by_number})$", any_case.join("|"));
    json!({
        "type": "object",
        "properties": offered,
        "patternProperties": { all: texts },
        "dependencies": { "CNAME": { "maxProperties": 1 } },
        "additionalProperties": false,
    })
}

/// Pattern of a word in any case.
fn in_any_case(word: &str) -> String {
    let letter = |letter: char| match letter.is_ascii_alphabetic() {
        true => format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase()),
        false => letter.to_string(),
    };
    word.chars().map(letter).collect()
}

/// Runs of type numbers that `is_own` takes.
fn runs(is_own: impl Fn(&RecordType) -> bool) -> Vec<std::ops::RangeInclusive<u64>> {
    let mut runs: Vec<std::ops::RangeInclusive<u64>> = Vec::new();
    for number in (0..=u16::MAX).filter(|number| is_own(&RecordType(*number))).map(u64::from) {
        match runs.last_mut() {
            Some(run) if run.end() + 1 == number => *run = *run.start()..=number,
            _ => runs.push(number..=number),
        }
    }
    runs
}

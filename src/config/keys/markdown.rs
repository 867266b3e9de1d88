//! The keys and the kinds of problems as Markdown, for the reference.

use crate::config::duration::spell;
use crate::config::keys::Absent;
use crate::config::keys::Applies;
use crate::config::keys::Count;
use crate::config::keys::Key;
use crate::config::keys::Kind;
use crate::config::keys::Literal;
use crate::config::keys::NODE_FILE;
use crate::config::keys::Table;
use crate::config::keys::ZONE_FILE;
use crate::config::keys::list::tables;
use crate::config::rules;

/// Begins a part that is made from the tables; then comes what it shows, and ` -->`.
const BEGIN: &str = "<!-- made by rhumb schema: ";

/// Ends such a part.
const END: &str = "<!-- end -->";

/// What the part is called that lists the kinds of problems.
const PROBLEMS: &str = "problems";

/// Every table of both files as Markdown, and the kinds of problems.
pub fn reference() -> String {
    let mut out = String::new();
    for (title, file) in [("rhumb.toml", &NODE_FILE), ("Zone files", &ZONE_FILE)] {
        out += &format!("## {title}\n");
        for table in tables(file).into_iter().filter(|table| !table.path.is_empty()) {
            out += &format!("\n### [{}]\n\n{}", table.path, rows(table));
        }
        out += "\n";
    }
    out + "## Problems\n\n" + &problems()
}

/// Replaces what stands in the made parts of a text. What a table lacks, or has too much, is told.
pub fn renew(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let all: Vec<_> = [&NODE_FILE, &ZONE_FILE].into_iter().flat_map(tables).collect();
    let mut missing: Vec<&str> =
        all.iter().map(|table| table.path).filter(|path| !path.is_empty()).collect();
    missing.push(PROBLEMS);
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, part) = rest.split_at(at);
        let header = part.find(" -->\n").map(|end| &part[BEGIN.len()..end]);
        let (Some(what), Some(end)) = (header, part.find(END)) else {
            return Err(format!("a part after \"{BEGIN}\" has no end"));
        };
        let body = match all.iter().find(|table| table.path == what && !what.is_empty()) {
            Some(table) => rows(table),
            None if what == PROBLEMS => problems(),
            None => return Err(format!("there is no table \"{what}\"")),
        };
        missing.retain(|path| *path != what);
        out += &format!("{before}{BEGIN}{what} -->\n\n{body}\n{END}");
        rest = &part[end + END.len()..];
    }
    match &missing[..] {
        [] => Ok(out + rest),
        [path, ..] => Err(format!("there is no part: {BEGIN}{path} -->")),
    }
}

fn problems() -> String {
    let mut out = String::from("| id | what it is |\n|---|---|\n");
    for rule in rules::ALL {
        out += &format!("| `{}` | {} |\n", rule.id, rule.about);
    }
    out
}

fn rows(table: &'static Table) -> String {
    let mut out = String::from(
        "| key | meaning | default | range | a change counts |\n|---|---|---|---|---|\n",
    );
    for key in table.keys {
        let when = match key.applies.unwrap_or(table.applies) {
            Applies::Live => "at once",
            Applies::Restart => "at the next start",
        };
        let cells =
            [meaning(key), default(key), range(&key.kind)].map(|cell| cell.replace('|', "\\|"));
        out += &format!("| `{}` | {} | {when} |\n", key.name, cells.join(" | "));
    }
    out
}

/// What a key is, and for which kinds.
pub(super) fn meaning(key: &Key) -> String {
    match key.only {
        [] => key.about.to_owned(),
        kinds => format!("{}: {}", kinds.join(", "), key.about),
    }
}

fn default(key: &Key) -> String {
    let default = match key.absent {
        Absent::Needed => "needed".to_owned(),
        Absent::Means(meaning) => meaning.to_owned(),
        Absent::Default(Literal::Texts(texts)) => format!("`{texts:?}`"),
        Absent::Default(literal) => format!("`{}`", literal.json()),
    };
    match key.needed_for {
        [] => default,
        kinds => format!("{default}; needed for {}", kinds.join(", ")),
    }
}

/// What may stand behind a key.
pub(super) fn range(kind: &'static Kind) -> String {
    match kind {
        Kind::Text(form) => form.what.to_owned(),
        Kind::Words { what: _, words } => {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Kind::Integer { min, max, least: "" } => format!("{min} to {max}"),
        Kind::Integer { min, max, least } => format!("{min} ({least}) to {max}"),
        Kind::Number { min, max } => format!("{min} to {max}"),
        Kind::Boolean => "`true`, `false`".to_owned(),
        Kind::Duration { min, max, whole_seconds } => {
            let whole = if *whole_seconds { ", whole seconds" } else { "" };
            format!("`{}` to `{}`{whole}", spell(*min), spell(*max))
        }
        Kind::Percent { max } => format!("`0%` to `{max}%`"),
        Kind::Texts { of, count, distinct } => {
            let once = if *distinct { ", each once" } else { "" };
            format!("list: {}{}{once}", of.what, many(*count))
        }
        Kind::Items { of, count } => format!("list: {}{}", range(of), many(*count)),
        Kind::Addresses => "list; no multicast, no `0.0.0.0`, no `::`".to_owned(),
        Kind::Map { names, of, count, .. } => {
            let of = range(of);
            let colon = if of.is_empty() { "" } else { ": " };
            format!("table by {}{colon}{of}{}", names.what, many(*count))
        }
        Kind::Records => "table by record type: list of texts".to_owned(),
        Kind::Table(table) if table.path.contains("on_all_down") => "`{ pool = \"NAME\" }`".into(),
        Kind::Table(table) if table.path.ends_with(".failback") => "`{ ramp = \"10m\" }`".into(),
        Kind::Table(table) if table.path.ends_with(".load") => "`{ json = \"/load\" }`".into(),
        Kind::Table(table) if table.path.ends_with(".shed") => {
            "`{ start = 0.8, full = 1.0 }`".into()
        }
        Kind::Table(table) if table.path == "geo.databases" => "or `{ file = \"…\" }`".into(),
        Kind::Table(_) => String::new(),
        Kind::AnyOf(kinds) => kinds.iter().map(range).collect::<Vec<_>>().join(", "),
    }
}

fn many(count: Count) -> String {
    match count {
        Count { min: 0, max: None } => String::new(),
        Count { min, max: None } => format!(", {min} or more"),
        Count { min, max: Some(max) } => format!(", {min} to {max}"),
    }
}

/// A text without the marks of Markdown.
pub(super) fn plain(text: &str) -> String {
    text.replace('`', "")
}

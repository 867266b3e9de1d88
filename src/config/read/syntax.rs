//! What the TOML parser says, for people: one problem for each mistake, and what to do.

use std::ops::Range;

use toml::de::Error;

use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::rules;

/// A message of the parser's, our words for it, and the remedy. The first that fits counts.
const MEANINGS: [(&str, &str, &str); 13] = [
    ("duplicate key", "this key or table is there already", "keep one"),
    ("invalid basic string", "this text is never closed", "close it with \" on the same line"),
    ("invalid literal string", "this text is never closed", "close it with ' on the same line"),
    (
        "missing escaped value",
        "a backslash begins an escape",
        "write \\\\ for a backslash, or put the text in 'single quotes'",
    ),
    ("unclosed array", "this list is never closed", "close it with ]"),
    ("unclosed inline table", "this table is never closed", "close it with } on the same line"),
    ("unclosed table", "this header is never closed", "close it with ]"),
    ("key with no value", "this key has no value", "write key = value"),
    ("invalid unquoted key", "this key needs quotes", "put quotes around it, as in \"a b\" = 1"),
    ("string values must be quoted", NO_VALUE, NO_VALUE_REMEDY),
    (
        "unexpected key or value",
        "something stands after the value",
        "begin a new line; a fraction is written with a point, as 38.95",
    ),
    ("invalid boolean", NO_VALUE, NO_VALUE_REMEDY),
    ("invalid float", NO_VALUE, NO_VALUE_REMEDY),
];

const NO_VALUE: &str = "this is neither a text, a number, true nor false";
const NO_VALUE_REMEDY: &str = "put straight quotes around a text, as in \"fra\"";

/// Adds syntax errors. Of several that touch or share a line the rest mostly follow from the first.
pub fn syntax_errors(id: FileId, file: &SourceFile, errors: &[Error], problems: &mut Problems) {
    let mut errors: Vec<(Range<usize>, &str)> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    errors.sort_by_key(|(span, _)| (span.start, span.end));
    let mut rest = &errors[..];
    while let [(first, _), ..] = rest {
        let len = group_len(rest, &file.text);
        let (group, after) = rest.split_at(len);
        // What is never closed explains all that follows it.
        let unclosed = group.iter().find(|(_, message)| message.starts_with("unclosed"));
        let (_, message) = unclosed.unwrap_or(&group[0]);
        let meaning = MEANINGS.iter().find(|(start, ..)| message.starts_with(start));
        let (fault, remedy) = match meaning {
            Some(&(_, fault, remedy)) => (fault, remedy),
            None => (*message, "correct the TOML here; see https://toml.io/en/v1.0.0"),
        };
        let span = match unclosed {
            // The parser notices at the next word; the mistake is at the end of the one before.
            Some(_) => {
                let end = file.text.get(..first.start).unwrap_or_default().trim_end().len();
                end..end
            }
            None => first.clone(),
        };
        problems.error(&Place { file: id, span }, "", fault, remedy).rule(&rules::SYNTAX);
        rest = after;
    }
}

/// How many errors from the first on touch the one before or share its line.
fn group_len(errors: &[(Range<usize>, &str)], text: &str) -> usize {
    let mut end = errors[0].0.end;
    let mut len = 1;
    for (span, _) in &errors[1..] {
        let between = text.as_bytes().get(end..span.start).unwrap_or_default();
        if between.contains(&b'\n') && span.start > end + 1 {
            break;
        }
        end = end.max(span.end);
        len += 1;
    }
    len
}

//! One file of the operator's: its octets as text. Does not know what the text says.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::config::render;
use crate::config::render::LineColumn;

/// Characters of an octet that is written as `\DDD`.
const ESCAPE_LEN: usize = 4;

/// One file of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path as the operator would write it.
    pub name: Arc<str>,
    /// Its text; not `Arc<str>`, which would copy what was read.
    pub text: Arc<String>,
    /// Where `\DDD` stands in `text` for an octet of the file that is no UTF-8; ascending.
    escapes: Arc<[usize]>,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Sites, checks, pools, policies, and at most one zone.
    Toml,
    /// A whole zone as a master file.
    Zone,
    /// Something another file names: certificates, records.
    Attachment,
}

/// Why the octets of a file are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// It begins with the mark of UTF-16.
    #[error("UTF-16, two octets a character")]
    Utf16,
    /// A master file has a NUL besides octets that are no UTF-8.
    #[error("not text: a NUL octet in line {}, column {}", .0.line, .0.column)]
    Nul(LineColumn),
    /// TOML is UTF-8 only.
    #[error("not UTF-8 in line {}, column {}", .0.line, .0.column)]
    NotUtf8(LineColumn),
}

impl NotText {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Utf16 => "save it as UTF-8",
            Self::Nul(_) => {
                "take it out, or write it as \\000; a raw file of BIND is made text by named-compilezone -f raw"
            }
            Self::NotUtf8(_) => "save it as UTF-8",
        }
    }
}

impl SourceFile {
    /// A file of this name and text.
    pub fn new(name: &str, text: &str) -> Self {
        Self::of_text(name, text.to_owned(), Vec::new())
    }

    /// A file of this name and octets.
    ///
    /// In a master file each octet that is no UTF-8 becomes `\DDD` (RFC 1035 section 5.1): old files have Latin-1 in
    /// comments and texts, and their octets are served as they are. TOML has to be UTF-8.
    pub fn from_octets(name: &str, octets: Vec<u8>) -> Result<Self, NotText> {
        let octets = match String::from_utf8(octets) {
            Ok(text) => return Ok(Self::of_text(name, text, Vec::new())),
            Err(why) if role(name) == Role::Toml => {
                let at = why.utf8_error().valid_up_to();
                let octets = why.into_bytes();
                return Err(find_utf16(&octets).unwrap_or(NotText::NotUtf8(place(&octets, at))));
            }
            Err(why) => why.into_bytes(),
        };
        if let Some(fault) = find_utf16(&octets) {
            return Err(fault);
        }
        if let Some(nul) = octets.iter().position(|octet| *octet == 0) {
            return Err(NotText::Nul(place(&octets, nul)));
        }
        let (text, escapes) = escape(&octets);
        Ok(Self::of_text(name, text, escapes))
    }

    fn of_text(name: &str, text: String, escapes: Vec<usize>) -> Self {
        Self { name: name.into(), text: Arc::new(text), escapes: escapes.into() }
    }

    /// What the file is, by the end of its name.
    pub(super) fn role(&self) -> Role {
        role(&self.name)
    }

    /// Line and column of an offset in `text` as an editor counts them: an octet of the file is one column, however
    /// it is written here.
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let LineColumn { line, column } = render::line_column(&self.text, offset);
        let start = self.text.as_bytes()[..offset.min(self.text.len())]
            .iter()
            .rposition(|octet| *octet == b'\n')
            .map_or(0, |at| at + 1);
        let before = self.escapes.iter().filter(|at| (start..offset).contains(at));
        let extra = before.map(|at| (offset - at).min(ESCAPE_LEN - 1)).sum::<usize>();
        LineColumn { line, column: column - extra }
    }

    /// The text with a replacement character for each octet that is no UTF-8, and a span of `text` in it.
    pub(super) fn shown(&self, span: Range<usize>) -> (Cow<'_, str>, Range<usize>) {
        if self.escapes.is_empty() {
            return (Cow::Borrowed(&self.text), span);
        }
        let mut shown = String::with_capacity(self.text.len());
        let mut done = 0;
        for at in self.escapes.iter().copied() {
            shown.push_str(&self.text[done..at]);
            shown.push(char::REPLACEMENT_CHARACTER);
            done = at + ESCAPE_LEN;
        }
        shown.push_str(&self.text[done..]);
        let shorter = ESCAPE_LEN - char::REPLACEMENT_CHARACTER.len_utf8();
        let moved = |offset: usize| {
            let before = self.escapes.iter().take_while(|at| **at < offset);
            let extra = |at: &usize| match offset - at {
                inside @ 1..ESCAPE_LEN => inside,
                _ => shorter,
            };
            offset - before.map(extra).sum::<usize>()
        };
        (Cow::Owned(shown), moved(span.start)..moved(span.end))
    }
}

fn role(name: &str) -> Role {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Role::Toml,
        Some("zone") => Role::Zone,
        _ => Role::Attachment,
    }
}

fn find_utf16(octets: &[u8]) -> Option<NotText> {
    let is_marked = octets.starts_with(&[0xff, 0xfe]) || octets.starts_with(&[0xfe, 0xff]);
    is_marked.then_some(NotText::Utf16)
}

/// Line and column of an octet.
fn place(octets: &[u8], at: usize) -> LineColumn {
    let before = String::from_utf8_lossy(&octets[..at]);
    render::line_column(&before, before.len())
}

/// Writes octets that are no UTF-8 as `\DDD`; says where those are.
fn escape(octets: &[u8]) -> (String, Vec<usize>) {
    let (mut text, mut escapes) = (String::with_capacity(octets.len() + 1024), Vec::new());
    for chunk in octets.utf8_chunks() {
        text.push_str(chunk.valid());
        for octet in chunk.invalid() {
            // After a backslash that escapes it already only the digits are missing.
            let backslashes = text.bytes().rev().take_while(|octet| *octet == b'\\').count();
            if backslashes % 2 == 0 {
                text.push('\\');
            }
            escapes.push(text.len() - 1);
            // A String takes every text.
            let _ = write!(text, "{octet:03}");
        }
    }
    (text, escapes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> SourceFile {
        SourceFile::from_octets("zones/a.test.zone", octets.to_vec()).unwrap()
    }

    #[test]
    fn octets_that_are_no_utf8_are_written_as_digits_and_all_others_stay() {
        for (octets, text) in [
            (&b"t TXT \"caf\xe9\" ; \xe8"[..], "t TXT \"caf\\233\" ; \\232"),
            (b"t TXT \"caf\xc3\xa9 \xe9\"", "t TXT \"café \\233\""),
            (b"t TXT a\\\xe9", "t TXT a\\233"),
            (b"t TXT a\\\\\xe9", "t TXT a\\\\\\233"),
            (b"t TXT \"\xe9\\\"\xe9\"", "t TXT \"\\233\\\"\\233\""),
            // A character that is cut off is its octets.
            (b"\xc3(\xe2\x82", "\\195(\\226\\130"),
        ] {
            assert_eq!(*read(octets).text, text);
        }
    }

    #[test]
    fn what_is_no_text_says_so() {
        let fault = |name: &str, octets: &[u8]| {
            let fault = SourceFile::from_octets(name, octets.to_vec()).unwrap_err();
            format!("{fault}; {}", fault.remedy())
        };
        for name in ["a.toml", "a.zone", "a"] {
            let utf16 = "UTF-16, two octets a character; save it as UTF-8";
            assert_eq!(fault(name, b"\xff\xfea\0\n\0"), utf16);
            assert_eq!(fault(name, b"\xfe\xff\0a\0\n"), utf16);
        }
        assert_eq!(
            fault("a.toml", b"a = 1\nb = \"\xe9\""),
            "not UTF-8 in line 2, column 6; save it as UTF-8"
        );
        let nul = fault("a.zone", b"; \xe9\na\xe9\0");
        assert!(nul.starts_with("not text: a NUL octet in line 2, column 3; take it out"), "{nul}");
    }

    #[test]
    fn columns_count_an_octet_of_the_file_once() {
        let file = read(b"\xe9 a\nt\xe9\xe9 A x\n");
        let column = |what: &str| {
            let LineColumn { line, column } = file.line_column(file.text.find(what).unwrap());
            (line, column)
        };
        assert_eq!([column("a"), column("A"), column("x")], [(1, 3), (2, 5), (2, 7)]);
        // Inside of an escape it is that escape's.
        let second = file.text.rfind("\\233").unwrap();
        let columns: Vec<_> = (second..=second + 4).map(|at| file.line_column(at).column).collect();
        assert_eq!(columns, [3, 3, 3, 3, 4]);
    }

    #[test]
    fn a_span_is_shown_where_it_is() {
        let file = read(b"\xe9 a\nt\xe9\xe9 A caf\xe9 b\n");
        for what in ["a", "A", "b", "t\\233\\233", "caf\\233"] {
            let start = file.text.find(what).unwrap();
            let (shown, span) = file.shown(start..start + what.len());
            assert_eq!(&*shown, "\u{fffd} a\nt\u{fffd}\u{fffd} A caf\u{fffd} b\n");
            assert_eq!(&shown[span], what.replace("\\233", "\u{fffd}"));
        }
        for inside in 0..=file.text.len() {
            let (shown, span) = file.shown(inside..inside);
            assert!(shown.is_char_boundary(span.start), "{inside} is at {span:?}");
        }
    }
}

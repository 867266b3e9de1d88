//! Texts: character-strings and what their escapes mean (RFC 1035 section 5.1).

use std::fmt;

use crate::zonefile::Fault;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::read::Fields;

impl Fields<'_, '_> {
    /// A character-string: an octet for the length, then the octets.
    pub fn text(&mut self, of: &Field, too_long: &str) -> Result<(), Fault> {
        let word = self.next(of.what, of.example)?;
        let at = self.out.len();
        self.out.push(0);
        unescape(word, self.out)?;
        let len = self.out.len() - at - 1;
        self.out[at] = u8::try_from(len).map_err(|_| {
            let message = format!("a text has at most 255 octets, this one has {len}");
            fault(word, message, too_long)
        })?;
        Ok(())
    }

    /// Character-strings to the end, at least one.
    pub fn texts(&mut self, of: &Field) -> Result<(), Fault> {
        let remedy = "split it into several: \"first\" \"second\"";
        self.text(of, remedy)?;
        while !self.words.is_empty() {
            self.text(of, remedy)?;
        }
        Ok(())
    }

    /// A character-string of octets that `is_right` takes, at least `min_len` of them.
    pub fn plain_text(
        &mut self,
        of: &Field,
        min_len: usize,
        is_right: fn(&u8) -> bool,
    ) -> Result<(), Fault> {
        let word = self.words.first();
        let at = self.out.len();
        self.text(of, "shorten it")?;
        let octets = &self.out[at + 1..];
        match word {
            Some(word) if octets.len() < min_len || !octets.iter().all(is_right) => {
                let message = format!("\"{}\" is not {}", word.text, of.what);
                Err(fault(word, message, format!("write it as in {}", of.example)))
            }
            _ => Ok(()),
        }
    }

    /// One text without a length before it.
    pub fn tail(&mut self, of: &Field, min_len: usize) -> Result<(), Fault> {
        let word = self.next(of.what, of.example)?;
        let at = self.out.len();
        unescape(word, self.out)?;
        if self.out.len() - at < min_len {
            let remedy = format!("write one, for example {}", of.example);
            return Err(fault(word, format!("{} cannot be empty", of.what), remedy));
        }
        Ok(())
    }
}

/// Appends the octets of a word whose escapes are `\X` and `\DDD`.
pub(super) fn unescape(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    unescape_text(word.text, out).map_err(|(message, remedy)| fault(word, message, remedy))
}

/// Appends the octets of a text whose escapes are `\X` and `\DDD`, or says what is wrong and what to write.
pub(super) fn unescape_text(
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), (&'static str, &'static str)> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&octet| octet == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = match &rest[at + 1..] {
            [first, second, third, tail @ ..]
                if [first, second, third].iter().all(|digit| digit.is_ascii_digit()) =>
            {
                let value = [first, second, third]
                    .iter()
                    .fold(0u16, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
                let value = u8::try_from(value)
                    .map_err(|_| ("\\DDD is at most 255", "write three digits up to 255"))?;
                out.push(value);
                tail
            }
            [first, ..] if first.is_ascii_digit() => {
                let message = "a backslash before a digit needs three digits up to 255";
                return Err((message, "write three digits, as in \\032"));
            }
            [other, tail @ ..] => {
                out.push(*other);
                tail
            }
            [] => return Err(("a backslash ends the text", "write \\\\ for a backslash")),
        };
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Writes octets as a text in quotes.
pub(super) fn write_quoted(octets: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_char('"')?;
    for &octet in octets {
        match octet {
            b'"' | b'\\' => write!(out, "\\{}", octet as char)?,
            0x20..=0x7e => out.write_char(octet as char)?,
            _ => write!(out, "\\{octet:03}")?,
        }
    }
    out.write_char('"')
}

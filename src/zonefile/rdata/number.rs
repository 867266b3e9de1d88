//! Numbers, words for numbers, and times.

use std::str::FromStr;

use crate::wire::RecordType;
use crate::zonefile::Fault;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::layout::Mnemonics;
use crate::zonefile::rdata::read::Fields;

/// Longest TTL in seconds (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

impl<'a, 't> Fields<'a, 't> {
    /// A decimal number that fits `T`.
    pub fn number<T: FromStr>(&mut self, what: &str, example: &str) -> Result<T, Fault> {
        let word = self.token(what, example)?;
        decimal(word.text).ok_or_else(|| is_not(word, what, example))
    }

    /// A number of at most `max`, or a word for one.
    pub fn number_or_word(&mut self, of: &Field, words: Mnemonics, max: u16) -> Result<u16, Fault> {
        let word = self.token(of.what, of.example)?;
        let named = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.text));
        let number = match named {
            Some(&(_, number)) => Some(number),
            None => decimal(word.text).filter(|&number| number <= max),
        };
        number.ok_or_else(|| is_not(word, of.what, of.example))
    }

    /// Seconds, or a time with units.
    pub fn time(&mut self, of: &Field) -> Result<u32, Fault> {
        let word = self.token(of.what, "a time such as 1h")?;
        parse_time(word.text).ok_or_else(|| {
            let message = format!("{} is not a time", of.what);
            fault(word, message, "write seconds, or a time such as 1h30m")
        })
    }

    /// A record type by mnemonic or number.
    pub fn record_type(&mut self, of: &Field) -> Result<RecordType, Fault> {
        let word = self.token(of.what, of.example)?;
        RecordType::parse(word.text).ok_or_else(|| is_not(word, of.what, of.example))
    }
}

/// A word is not what it should be.
pub(super) fn is_not(word: &Word<'_>, what: &str, example: &str) -> Fault {
    fault(word, format!("\"{}\" is not {what}", word.text), format!("write it as in {example}"))
}

/// A number of digits only: Rust's parsers take a sign that master files do not have.
pub(super) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Seconds of a TTL: as [`parse_time`], but at most 2^31 - 1 (RFC 2181 section 8).
pub fn parse_ttl(text: &str) -> Option<u32> {
    parse_time(text).filter(|&seconds| seconds <= TTL_MAX)
}

/// Seconds of a time: a number, or numbers with the units s, m, h, d, w (as BIND and NSD read them).
fn parse_time(text: &str) -> Option<u32> {
    if let Some(seconds) = decimal(text) {
        return Some(seconds);
    }
    let mut total = 0u64;
    let mut number: Option<u64> = None;
    for character in text.bytes() {
        if character.is_ascii_digit() {
            let digit = u64::from(character - b'0');
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(())?;
    u32::try_from(total).ok()
}

//! Moments of signatures: `YYYYMMDDHHmmSS` or seconds since 1970 (RFC 4034 section 3.2).

use std::fmt;

use crate::zonefile::Fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::number::decimal;
use crate::zonefile::rdata::number::is_not;
use crate::zonefile::rdata::read::Fields;

/// Seconds of a day.
const DAY: u64 = 86_400;

impl Fields<'_, '_> {
    /// A moment that seconds in four octets can hold.
    pub fn moment(&mut self, of: &Field) -> Result<u32, Fault> {
        let word = self.token(of.what, of.example)?;
        let seconds = match word.text.len() {
            14 => parse_date(word.text),
            1..=10 => decimal(word.text),
            _ => None,
        };
        seconds.ok_or_else(|| is_not(word, of.what, of.example))
    }
}

fn parse_date(text: &str) -> Option<u32> {
    let part = |from: usize, to: usize| decimal::<u64>(text.get(from..to)?);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let is_date = (1970..=2106).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    let days = years + months + day - 1;
    u32::try_from(days * DAY + hour * 3600 + minute * 60 + second).ok()
}

/// Writes seconds since 1970 as a date.
pub(super) fn write_date(seconds: u32, out: &mut dyn fmt::Write) -> fmt::Result {
    let (mut days, rest) = (u64::from(seconds) / DAY, u64::from(seconds) % DAY);
    let mut year = 1970;
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if days < len {
            break;
        }
        days -= len;
        year += 1;
    }
    let mut month = 1;
    while days >= days_of(year, month) {
        days -= days_of(year, month);
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    write!(out, "{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}", days + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_as_the_calendar_does() {
        // Seconds from `date -u -d ... +%s`.
        for (text, seconds) in [
            ("19700101000000", 0),
            ("20000229235959", 951_868_799),
            ("20040509183619", 1_084_127_779),
            ("20260228120000", 1_772_280_000),
            ("21060207062815", u32::MAX),
        ] {
            assert_eq!(parse_date(text), Some(seconds), "{text}");
            let mut written = String::new();
            write_date(seconds, &mut written).unwrap();
            assert_eq!(written, text);
        }
        for text in ["20260229000000", "20261301000000", "20260101240000", "21060207062816"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}

//! Durations as operators write them: whole numbers with units, as `10s` or `1h 30m`.
//!
//! Not those of the command line, where more is understood, nor the TTLs of master files.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::rules;
use crate::config::rules::Rule;

/// Units, longest first, each with its milliseconds.
pub const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is no duration: fault, remedy, rule.
pub type Refusal = (String, String, &'static Rule);

/// Reads a duration of `range`; a bare number is refused, because nobody can tell its unit.
pub fn parse(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Refusal> {
    match find_duration(text) {
        Some(duration) if range.contains(&duration) => Ok(duration),
        Some(_) => Err((
            format!("\"{text}\" is not allowed"),
            format!("use \"{}\" to \"{}\"", spell(*range.start()), spell(*range.end())),
            &rules::OUT_OF_RANGE,
        )),
        None if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) => Err((
            format!("\"{text}\" has no unit"),
            format!("add one, as in \"{text}s\""),
            &rules::BAD_DURATION,
        )),
        None => Err((
            format!("\"{text}\" is not a duration"),
            "write whole numbers with units ms, s, m, h, d or w, as \"10s\" or \"1h 30m\"".into(),
            &rules::BAD_DURATION,
        )),
    }
}

/// The sum of all numbers with their units; more than a `u64` of milliseconds is the most there is.
fn find_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim_matches(' ');
    let mut sum: Option<u64> = None;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = &rest[..digits];
        rest = rest[digits..].trim_start_matches(' ');
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (_, millis) = UNITS.into_iter().find(|(unit, _)| *unit == &rest[..letters])?;
        rest = rest[letters..].trim_start_matches(' ');
        if number.is_empty() {
            return None;
        }
        let part = number.parse().unwrap_or(u64::MAX).saturating_mul(millis);
        sum = Some(sum.unwrap_or(0).saturating_add(part));
    }
    sum.map(Duration::from_millis)
}

/// A duration in the largest unit, weeks aside, that it is a whole number of.
pub fn spell(duration: Duration) -> String {
    let millis = duration.as_millis();
    let mut units = UNITS.into_iter().skip(1);
    match units.find(|&(_, unit)| millis > 0 && millis.is_multiple_of(unit.into())) {
        Some((name, unit)) => format!("{}{name}", millis / u128::from(unit)),
        None => "0s".to_owned(),
    }
}

/// A duration for people: as [`spell`], but never in milliseconds from a second on: `33.5s`.
pub fn tell(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 || millis.is_multiple_of(1000) {
        return spell(duration);
    }
    let fraction = format!("{:03}", millis % 1000);
    format!("{}.{}s", millis / 1000, fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_no_thousands_of_milliseconds() {
        for (millis, text) in
            [(0, "0s"), (500, "500ms"), (33_500, "33.5s"), (1_050, "1.05s"), (90_000, "90s")]
        {
            assert_eq!(tell(Duration::from_millis(millis)), text);
        }
    }

    fn read(text: &str) -> Result<u128, String> {
        let all = Duration::ZERO..=Duration::MAX;
        parse(text, &all).map(|duration| duration.as_millis()).map_err(|(fault, ..)| fault)
    }

    #[test]
    fn numbers_with_units_add_up() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            (" 2 w ", 1_209_600_000),
            ("1m 1m", 120_000),
        ] {
            assert_eq!(read(text), Ok(millis), "{text}");
        }
        assert_eq!(read("99999999999999999999w"), Ok(u64::MAX.into()), "it is out of every range");
    }

    #[test]
    fn what_could_mean_something_else_is_refused() {
        for text in ["", " ", "s", "1.5h", "-1s", "5M", "3y", "1 month", "10 seconds", "1s2", "ü"]
        {
            assert_eq!(read(text), Err(format!("\"{text}\" is not a duration")));
        }
        assert_eq!(read("10"), Err("\"10\" has no unit".to_owned()));
    }

    #[test]
    fn a_duration_is_spelt_as_it_is_read() {
        for text in ["0s", "100ms", "90s", "1h", "7d", "365d"] {
            let all = Duration::ZERO..=Duration::MAX;
            assert_eq!(spell(parse(text, &all).expect("it is one")), text);
        }
    }
}

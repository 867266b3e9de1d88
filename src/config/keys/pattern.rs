//! Ranges of numbers as ECMA 262 patterns, for what a schema can only say of texts.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration::UNITS;

/// Pattern of decimal whole numbers of `range`, with or without zeros before them.
pub(super) fn number(range: RangeInclusive<u64>) -> String {
    let (min, max) = range.into_inner();
    let mut parts = Vec::new();
    let mut low = min;
    while low <= max {
        // All numbers of as many digits as `low` has.
        let digits = low.to_string().len() as u32;
        let high = 10u64.checked_pow(digits).map_or(u64::MAX, |power| power - 1).min(max);
        same_length(&low.to_string(), &high.to_string(), "", &mut parts);
        let Some(next) = high.checked_add(1) else { break };
        low = next;
    }
    format!("0*(?:{})", parts.join("|"))
}

/// Patterns of the numbers from `low` to `high`, which have equally many digits, after `before`.
fn same_length(low: &str, high: &str, before: &str, parts: &mut Vec<String>) {
    let rest = low.len().saturating_sub(1);
    let zeros = low.bytes().all(|digit| digit == b'0');
    if low.is_empty() || (zeros && high.bytes().all(|digit| digit == b'9')) {
        let tail = match low.len() {
            0 => String::new(),
            1 => "[0-9]".to_owned(),
            len => format!("[0-9]{{{len}}}"),
        };
        parts.push(format!("{before}{tail}"));
        return;
    }
    let (first, last) = (low.as_bytes()[0], high.as_bytes()[0]);
    if first == last {
        let before = format!("{before}{}", first as char);
        return same_length(&low[1..], &high[1..], &before, parts);
    }
    let (nines, zeros) = ("9".repeat(rest), "0".repeat(rest));
    // Digits whose whole decade lies in the range are one class.
    let from = if low[1..] == zeros { first } else { first + 1 };
    let to = if high[1..] == nines { last } else { last - 1 };
    if from > first {
        same_length(&low[1..], &nines, &format!("{before}{}", first as char), parts);
    }
    if from <= to {
        let class = match from == to {
            true => (from as char).to_string(),
            false => format!("[{}-{}]", from as char, to as char),
        };
        same_length(&zeros, &nines, &format!("{before}{class}"), parts);
    }
    if to < last {
        same_length(&zeros, &high[1..], &format!("{before}{}", last as char), parts);
    }
}

/// Pattern of durations of `range`: exact for one unit; of several only the units are judged, since a pattern
/// cannot add them up.
pub(super) fn duration(range: &RangeInclusive<Duration>, whole_seconds: bool) -> String {
    let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (min, max) = (millis(range.start()), millis(range.end()));
    let mut one = Vec::new();
    let mut units = Vec::new();
    for (unit, len) in UNITS {
        if len > max {
            continue;
        }
        units.push(unit);
        // Milliseconds that are whole seconds end with three zeros.
        let (len, zeros) = if len == 1 && whole_seconds { (1000, "000") } else { (len, "") };
        let (low, high) = (min.div_ceil(len), max / len);
        if low <= high {
            one.push(format!("{}{zeros} *{unit}", number(low..=high)));
        }
    }
    format!("^ *(?:{}|(?:[0-9]+ *(?:{}) *){{2,}}) *$", one.join("|"), units.join("|"))
}

/// Pattern of percentages from 0 to `max`.
pub(super) fn percent(max: u8) -> String {
    format!("^ *{} *% *$", number(0..=max.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `text` matches a pattern of the few kinds that [`number`] writes.
    fn matches(pattern: &str, text: &str) -> bool {
        let inner = pattern.trim_start_matches("0*(?:").trim_end_matches(')');
        inner.split('|').any(|part| takes(part, text.trim_start_matches('0')) || takes(part, text))
    }

    fn takes(part: &str, text: &str) -> bool {
        let mut digits = text.chars();
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let (low, high) = match first {
                '[' => (rest.as_bytes()[1] as char, rest.as_bytes()[3] as char),
                digit => (digit, digit),
            };
            rest = &rest[if first == '[' { 5 } else { 1 }..];
            let mut times = 1;
            if let Some((count, tail)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
                times = count.parse().expect("a count");
                rest = tail;
            }
            for _ in 0..times {
                if !digits.next().is_some_and(|digit| (low..=high).contains(&digit)) {
                    return false;
                }
            }
        }
        digits.next().is_none()
    }

    #[test]
    fn a_number_matches_if_it_is_in_the_range() {
        for (min, max) in
            [(0, 0), (0, 9), (0, 50), (0, 100), (1, 256), (5, 7), (10, 19), (42, 127), (199, 1203)]
        {
            let pattern = number(min..=max);
            for value in 0..3000u64 {
                let expected = (min..=max).contains(&value);
                assert_eq!(matches(&pattern, &value.to_string()), expected, "{value} {pattern}");
            }
        }
        assert_eq!(number(256..=65535).matches("6553[0-5]").count(), 1);
    }
}

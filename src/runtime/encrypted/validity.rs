//! From when to when a certificate holds: the two times of X.509, and nothing else of it.

use std::ops::RangeInclusive;

/// DER tags (X.690) that stand on the way to the times.
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Seconds since 1970 in which a certificate holds (RFC 5280 section 4.1.2.5); `None` if it is not one.
pub(in crate::runtime) fn read(certificate: &[u8]) -> Option<RangeInclusive<i64>> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (to_be_signed, _) = element(certificate, SEQUENCE)?;
    let mut rest = to_be_signed;
    if rest.first() == Some(&EXPLICIT_VERSION) {
        rest = any_element(rest)?.2;
    }
    for _serial_algorithm_issuer in 0..3 {
        rest = any_element(rest)?.2;
    }
    let (times, _) = element(rest, SEQUENCE)?;
    let (tag, from, rest) = any_element(times)?;
    let from = seconds(tag, from)?;
    let (tag, until, _) = any_element(rest)?;
    Some(from..=seconds(tag, until)?)
}

/// The content of an element of this tag, and what follows it.
fn element(octets: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = any_element(octets)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag, content, rest.
fn any_element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = octets.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        short if short < 0x80 => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), rest.get(2..)?),
        _ => return None, // no certificate is longer than 64 KiB
    };
    Some((tag, rest.get(..len)?, rest.get(len..)?))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days_since_1970(year, part(0)?, part(2)?);
    Some(days * DAY_S + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

/// Days of the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::GENERALIZED_TIME;
    use super::UTC_TIME;
    use super::read;
    use super::seconds;

    #[test]
    fn times_of_both_kinds_are_seconds_since_1970() {
        assert_eq!(seconds(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, b"240229235959Z"), Some(1_709_251_199));
        assert_eq!(seconds(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(seconds(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        assert_eq!(seconds(GENERALIZED_TIME, b"19991231235959Z"), Some(946_684_799));
        assert_eq!(seconds(UTC_TIME, b"2402292359"), None);
        assert_eq!(seconds(UTC_TIME, "\u{e9}\u{e9}0229235959Z".as_bytes()), None);
    }

    #[test]
    fn a_certificate_tells_its_times_and_a_cut_one_tells_nothing() {
        let mut params = rcgen::CertificateParams::new(vec!["ns.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2055, 6, 7);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        assert_eq!(read(made.der()), Some(1_709_164_800..=2_695_939_200));
        // The times stand well before the end; up to them nothing is read from half a certificate.
        for len in 0..made.der().len() {
            assert_eq!(read(&made.der()[..len]), None, "the outer length covers all");
        }
    }
}

//! Places on earth (LOC, RFC 1876).

use std::fmt;

use crate::zonefile::Fault;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::number::decimal;
use crate::zonefile::rdata::number::is_not;
use crate::zonefile::rdata::read::Fields;
use crate::zonefile::rdata::write::Octets;
use crate::zonefile::rdata::write::Words;

/// The equator and the prime meridian: angles are counted from here in thousandths of a second of arc.
const ZERO_ANGLE: u32 = 1 << 31;

/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;

/// Altitudes are counted from here: 100,000 m below the WGS 84 spheroid, in centimetres.
const LOWEST_CM: i64 = -10_000_000;

/// Size, horizontal and vertical precision where they are not given: 1 m, 10,000 m, 10 m.
const PRECISIONS: [u8; 3] = [0x12, 0x16, 0x13];

/// An example of the whole.
const EXAMPLE: &str = "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m";

impl Fields<'_, '_> {
    /// Latitude, longitude, altitude, and up to three precisions.
    pub fn location(&mut self) -> Result<(), Fault> {
        let latitude = self.angle("a latitude", 90, ["N", "S"])?;
        let longitude = self.angle("a longitude", 180, ["E", "W"])?;
        let word = self.token("an altitude", EXAMPLE)?;
        let what = "an altitude of -100000.00m to 42849672.95m";
        let altitude = altitude(word.text).ok_or_else(|| is_not(word, what, "-2.00m"))?;
        let mut precisions = PRECISIONS;
        for precision in &mut precisions {
            let Some((word, rest)) = self.words.split_first() else { break };
            self.words = rest;
            let what = "a size or precision of 0m to 90000000m";
            *precision = parse_metres(word.text)
                .and_then(encode)
                .ok_or_else(|| is_not(word, what, "10m"))?;
        }
        self.out.push(0);
        self.out.extend_from_slice(&precisions);
        for number in [latitude, longitude, altitude] {
            self.out.extend_from_slice(&number.to_be_bytes());
        }
        Ok(())
    }

    /// Degrees, perhaps minutes, perhaps seconds, and a direction.
    fn angle(&mut self, what: &str, max: u32, directions: [&str; 2]) -> Result<u32, Fault> {
        let mut angle = 0u32;
        for (limit, unit, decimals) in [(max, DEGREE, 0), (59, 60_000, 0), (59_999, 1, 3)] {
            let word = self.token(what, EXAMPLE)?;
            let number = parse_fixed(word.text, decimals);
            let number = number.and_then(|number| u32::try_from(number).ok());
            let number = number.filter(|number| *number <= limit);
            let number = number.ok_or_else(|| is_not(word, what, EXAMPLE))?;
            angle += number * unit;
            if angle > max * DEGREE {
                return Err(fault(word, format!("{what} is at most {max} degrees"), "correct it"));
            }
            let direction = self.words.first().map_or("", |word| word.text);
            if directions.iter().any(|known| known.eq_ignore_ascii_case(direction)) {
                break;
            }
        }
        let word = self.token("a direction", directions[0])?;
        match directions.iter().position(|known| known.eq_ignore_ascii_case(word.text)) {
            Some(0) => Ok(ZERO_ANGLE + angle),
            Some(_) => Ok(ZERO_ANGLE - angle),
            None => {
                let what = format!("a direction, {} or {}", directions[0], directions[1]);
                Err(is_not(word, &what, EXAMPLE))
            }
        }
    }
}

/// A decimal fraction as a whole number of its last place.
fn parse_fixed(text: &str, decimals: u32) -> Option<u64> {
    let (whole, part) = match text.split_once('.') {
        Some((whole, part)) if decimals > 0 && !part.is_empty() => (whole, part),
        Some(_) => return None,
        None => (text, ""),
    };
    let missing = decimals.checked_sub(u32::try_from(part.len()).ok()?)?;
    let whole: u64 = if whole.is_empty() && !part.is_empty() { 0 } else { decimal(whole)? };
    let part: u64 = if part.is_empty() { 0 } else { decimal(part)? };
    whole.checked_mul(10u64.pow(decimals))?.checked_add(part * 10u64.pow(missing))
}

/// Metres with two places as centimetres.
fn parse_metres(text: &str) -> Option<u64> {
    parse_fixed(text.strip_suffix(['m', 'M']).unwrap_or(text), 2)
}

/// Centimetres above the lowest altitude.
fn altitude(text: &str) -> Option<u32> {
    let centimetres = match text.strip_prefix('-') {
        Some(text) => -i64::try_from(parse_metres(text)?).ok()?,
        None => i64::try_from(parse_metres(text.strip_prefix('+').unwrap_or(text))?).ok()?,
    };
    u32::try_from(centimetres.checked_sub(LOWEST_CM)?).ok()
}

/// One digit and a power of ten, in centimetres; further digits are dropped, as RFC 1876 appendix A does.
fn encode(centimetres: u64) -> Option<u8> {
    let (mut digit, mut power) = (centimetres, 0u8);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (power <= 9).then_some(())?;
    Some(u8::try_from(digit).ok()? << 4 | power)
}

/// Centimetres of a digit and a power of ten; `None` if RFC 1876 does not have the octet.
fn decode(octet: u8) -> Option<u64> {
    let (digit, power) = (octet >> 4, octet & 0xf);
    let is_right = digit <= 9 && power <= 9 && (digit > 0 || power == 0);
    is_right.then(|| u64::from(digit) * 10u64.pow(power.into()))
}

impl Words<'_> {
    /// Version 0 only: no other has a form.
    pub fn location(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let [version, size, horizontal, vertical] = octets.array()?;
        (version == 0).then_some(())?;
        let (latitude, longitude, altitude) = (octets.u32()?, octets.u32()?, octets.u32()?);
        self.angle(latitude, 90, ["N", "S"])?;
        self.angle(longitude, 180, ["E", "W"])?;
        let altitude = i64::from(altitude) + LOWEST_CM;
        let sign = if altitude < 0 { "-" } else { "" };
        write_metres(altitude.unsigned_abs(), self.begin()?, sign)?;
        for octet in [size, horizontal, vertical] {
            write_metres(decode(octet)?, self.begin()?, "")?;
        }
        Some(())
    }

    fn angle(&mut self, angle: u32, max: u32, directions: [&str; 2]) -> Option<()> {
        let size = angle.abs_diff(ZERO_ANGLE);
        (size <= max * DEGREE).then_some(())?;
        let direction = directions[usize::from(angle < ZERO_ANGLE)];
        let (degrees, minutes, rest) = (size / DEGREE, size / 60_000 % 60, size % 60_000);
        let (seconds, part) = (rest / 1000, rest % 1000);
        self.word(format_args!("{degrees} {minutes} {seconds}.{part:03} {direction}"))
    }
}

fn write_metres(centimetres: u64, out: &mut dyn fmt::Write, sign: &str) -> Option<()> {
    write!(out, "{sign}{}.{:02}m", centimetres / 100, centimetres % 100).ok()
}

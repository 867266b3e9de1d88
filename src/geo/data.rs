//! Reads the data section of a MaxMind DB file, value by value, within a budget of steps. Knows no field.
//!
//! Not `maxminddb`'s decoder: it bounds one record, but not a file in which 100,000 records share one huge value.
//! Here every header read is a step, and the steps of a whole file are bounded by its size.
//!
//! Format: <https://maxmind.github.io/MaxMind-DB/>, "Output Data Section".

/// Steps allowed for each octet of a file. An honest record takes at least 20 octets with its tree node and at most
/// about 150 steps, most of them in parts that it shares with others.
const STEPS_PER_OCTET: u64 = 16;

/// Steps that any file may take.
const STEPS_ALWAYS: u64 = 1 << 20;

/// Why a value cannot be read: the file contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::geo) struct Damage(pub &'static str);

/// A value; containers are read on by whoever wants what is in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::geo) enum Value<'a> {
    /// Should be UTF-8.
    Text(&'a [u8]),
    Number(f64),
    /// `count` keys, each followed by its value; the first key is at `at`.
    Map {
        count: usize,
        at: usize,
    },
    /// `count` values from `at` on.
    Array {
        count: usize,
        at: usize,
    },
    /// Octets, booleans and numbers of 128 bits: nothing that a place is made of.
    Other,
}

/// Kind of a value by its number in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pointer,
    Text,
    Double,
    Float,
    Unsigned,
    Signed,
    Map,
    Array,
    Boolean,
    Opaque,
}

/// What stands before a value.
struct Header {
    kind: Kind,
    /// Octets of a scalar, entries of a container, where a pointer leads.
    size: usize,
    /// Where the value itself begins; after a pointer, what follows it.
    at: usize,
}

/// A data section and what is left of its budget.
#[derive(Clone, Debug)]
pub(in crate::geo) struct Data<'a> {
    bytes: &'a [u8],
    steps_left: u64,
}

impl<'a> Data<'a> {
    /// The data section `bytes` of a file of `file_len` octets.
    pub fn new(bytes: &'a [u8], file_len: usize) -> Self {
        Self { bytes, steps_left: file_len as u64 * STEPS_PER_OCTET + STEPS_ALWAYS }
    }

    /// The value at `at`, and where the next one begins; `None` if that takes going through a container.
    pub fn value(&mut self, at: usize) -> Result<(Value<'a>, Option<usize>), Damage> {
        let header = self.header(at)?;
        if header.kind != Kind::Pointer {
            let value = self.read(&header)?;
            let is_open = matches!(value, Value::Map { .. } | Value::Array { .. });
            return Ok((value, (!is_open).then(|| header.end())));
        }
        let target = self.header(header.size)?;
        if target.kind == Kind::Pointer {
            return Err(Damage("a pointer to a pointer"));
        }
        Ok((self.read(&target)?, Some(header.at)))
    }

    /// Where the value after the one at `at` begins; pointers are not followed.
    pub fn skip(&mut self, mut at: usize) -> Result<usize, Damage> {
        let mut values_left = 1_usize;
        while values_left > 0 {
            let header = self.header(at)?;
            values_left -= 1;
            match header.kind {
                Kind::Map => values_left += header.size * 2,
                Kind::Array => values_left += header.size,
                Kind::Pointer | Kind::Text | Kind::Double | Kind::Float | Kind::Unsigned => {}
                Kind::Signed | Kind::Boolean | Kind::Opaque => {}
            }
            at = header.end();
        }
        Ok(at)
    }

    fn read(&self, header: &Header) -> Result<Value<'a>, Damage> {
        let &Header { kind, size, at } = header;
        if kind == Kind::Map {
            return Ok(Value::Map { count: size, at });
        }
        if kind == Kind::Array {
            return Ok(Value::Array { count: size, at });
        }
        let end = header.end();
        let octets = self.bytes.get(at..end).ok_or(Damage("a value beyond the end of the data"))?;
        let unsigned =
            || octets.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        Ok(match kind {
            Kind::Text => Value::Text(octets),
            Kind::Double => {
                let octets = octets.try_into().map_err(|_| Damage("a double not of 8 octets"))?;
                Value::Number(f64::from_be_bytes(octets))
            }
            Kind::Float => {
                let octets = octets.try_into().map_err(|_| Damage("a float not of 4 octets"))?;
                Value::Number(f32::from_be_bytes(octets).into())
            }
            Kind::Unsigned if size <= 8 => Value::Number(unsigned() as f64),
            // Shorter ones have no sign bit: leading zeros are left out.
            Kind::Signed if size <= 4 => Value::Number(f64::from(unsigned() as u32 as i32)),
            Kind::Unsigned | Kind::Signed => return Err(Damage("a number of too many octets")),
            Kind::Pointer | Kind::Map | Kind::Array | Kind::Boolean | Kind::Opaque => Value::Other,
        })
    }

    fn header(&mut self, at: usize) -> Result<Header, Damage> {
        let spent = Damage("its records take more steps than a file of this size may");
        self.steps_left = self.steps_left.checked_sub(1).ok_or(spent)?;
        let beyond = Damage("a value beyond the end of the data");
        let mut rest = self.bytes.get(at..).ok_or(beyond)?.iter().copied();
        let control = rest.next().ok_or(beyond)?;
        let mut number = match control >> 5 {
            0 => rest.next().ok_or(beyond)?.checked_add(7).ok_or(Damage("an unknown type"))?,
            number => number,
        };
        let used = if control >> 5 == 0 { 2 } else { 1 };
        let mut take = |count: usize| {
            (0..count).try_fold(0_usize, |sum, _| Some(sum << 8 | usize::from(rest.next()?)))
        };
        if number == 1 {
            let more = usize::from(control >> 3 & 3) + 1;
            let high = if more == 4 { 0 } else { usize::from(control & 7) << (8 * more) };
            let base = [0, 2048, 526_336, 0][more - 1];
            let size = high + take(more).ok_or(beyond)? + base;
            return Ok(Header { kind: Kind::Pointer, size, at: at + used + more });
        }
        if control >> 5 == 0 && number < 8 {
            number = u8::MAX;
        }
        let (more, base) = match control & 31 {
            29 => (1, 29),
            30 => (2, 285),
            31 => (3, 65_821),
            size => (0, usize::from(size)),
        };
        let size = take(more).ok_or(beyond)? + base;
        Ok(Header { kind: kind(number)?, size, at: at + used + more })
    }
}

impl Header {
    /// Where the value after a scalar begins, or the first one in a container.
    fn end(&self) -> usize {
        match self.kind {
            Kind::Pointer | Kind::Map | Kind::Array | Kind::Boolean => self.at,
            Kind::Text | Kind::Double | Kind::Float => self.at + self.size,
            Kind::Unsigned | Kind::Signed | Kind::Opaque => self.at + self.size,
        }
    }
}

fn kind(number: u8) -> Result<Kind, Damage> {
    Ok(match number {
        2 => Kind::Text,
        3 => Kind::Double,
        4 | 10 => Kind::Opaque,
        5 | 6 | 9 => Kind::Unsigned,
        7 => Kind::Map,
        8 => Kind::Signed,
        11 => Kind::Array,
        14 => Kind::Boolean,
        15 => Kind::Float,
        _ => return Err(Damage("an unknown type")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> Result<(Value<'_>, Option<usize>), Damage> {
        Data::new(bytes, bytes.len()).value(0)
    }

    #[test]
    fn reads_each_type_as_the_format_says() {
        assert_eq!(value(b"\x42DE"), Ok((Value::Text(b"DE"), Some(3))));
        assert_eq!(value(b"\x68\x40\x09\0\0\0\0\0\0"), Ok((Value::Number(3.125), Some(9))));
        assert_eq!(value(b"\xa2\x01\x00"), Ok((Value::Number(256.0), Some(3))));
        assert_eq!(value(b"\x04\x01\xff\xff\xff\xfe"), Ok((Value::Number(-2.0), Some(6))));
        assert_eq!(value(b"\x01\x07"), Ok((Value::Other, Some(2))), "true");
        assert_eq!(value(b"\xe1\x41a\x41b"), Ok((Value::Map { count: 1, at: 1 }, None)));
        assert_eq!(value(b"\x20\x02\x41x"), Ok((Value::Text(b"x"), Some(2))), "by a pointer");
        let long = [b"\x5d\x01".as_slice(), &[b'x'; 30]].concat();
        assert_eq!(value(&long), Ok((Value::Text(&[b'x'; 30]), Some(32))));
    }

    #[test]
    fn contradictions_are_damage() {
        for bytes in [
            b"".as_slice(),
            b"\x43DE",
            b"\x20\x00",
            b"\x67\0\0\0\0\0\0\0",
            b"\x00\x05",
            b"\x00\xff",
        ] {
            assert!(value(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn skips_what_is_nested_and_leaves_pointers_alone() {
        let bytes = b"\xe1\x41a\x02\x04\x20\x00\x41b\x42DE";
        assert_eq!(Data::new(bytes, bytes.len()).skip(0), Ok(9));
    }

    #[test]
    fn the_budget_ends_what_would_never_end() {
        let bytes = b"\x41x";
        let mut data = Data::new(bytes, bytes.len());
        let spent = (0..2 * STEPS_ALWAYS).find(|_| data.skip(0).is_err());
        assert_eq!(spent, Some(STEPS_ALWAYS + 2 * STEPS_PER_OCTET));
    }
}

//! Domain names in canonical wire form.

use std::fmt;

/// An absolute domain name: lower-case labels in wire form, the root octet included; 1 to 255 octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// The text is empty.
    Empty,
    /// A label has no octets, as in `a..b`.
    EmptyLabel,
    /// A label has more than 63 octets (RFC 1035 section 2.3.4).
    LabelTooLong,
    /// The name has more than 255 octets (RFC 1035 section 2.3.4).
    NameTooLong,
    /// A backslash is not followed by a character or three digits up to 255.
    BadEscape,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty text is not a name",
            Self::EmptyLabel => "two dots in a row leave an empty label",
            Self::LabelTooLong => "a label is longer than 63 octets",
            Self::NameTooLong => "the name is longer than 255 octets",
            Self::BadEscape => "a backslash needs a character or three digits up to 255 after it",
        })
    }
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads a name in presentation format (RFC 1035 section 5.1).
    ///
    /// Without a trailing dot it is relative to `origin`; `@` alone is `origin`. Letters are made lower case.
    pub fn parse(text: &str, origin: &Self) -> Result<Self, NameFault> {
        let mut wire = Vec::with_capacity(text.len() + origin.0.len() + 1);
        Self::parse_into(text, origin, &mut wire)?;
        Ok(Self(wire.into_boxed_slice()))
    }

    /// Reads a name as [`Name::parse`] does and appends its wire octets to `out`; nothing is appended on a fault.
    pub fn parse_into(text: &str, origin: &Self, out: &mut Vec<u8>) -> Result<(), NameFault> {
        let start = out.len();
        let result = match text {
            "" => Err(NameFault::Empty),
            "@" => {
                out.extend_from_slice(&origin.0);
                Ok(())
            }
            "." => {
                out.push(0);
                Ok(())
            }
            _ => append_labels(text.as_bytes(), origin, out),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Reads an absolute name; a missing trailing dot is taken as there.
    pub fn absolute(text: &str) -> Result<Self, NameFault> {
        Self::parse(text, &Self::root())
    }

    /// The name of wire octets, which must hold exactly one uncompressed name.
    pub fn from_wire(octets: &[u8]) -> Option<Self> {
        let mut at = 0;
        loop {
            let len = usize::from(*octets.get(at)?);
            if len > 63 {
                return None;
            }
            at += 1 + len;
            if len == 0 {
                break;
            }
        }
        (at == octets.len() && at <= 255)
            .then(|| Self(octets.to_ascii_lowercase().into_boxed_slice()))
    }

    /// Wire octets, root octet included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Labels from the left, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let len = usize::from(rest[0]);
            if len == 0 {
                return None;
            }
            let label = &rest[1..=len];
            rest = &rest[1 + len..];
            Some(label)
        })
    }

    /// Whether this name is `apex` or below it.
    pub fn is_within(&self, apex: &Self) -> bool {
        let Some(cut) = self.0.len().checked_sub(apex.0.len()) else { return false };
        let mut at = 0;
        while at < cut {
            at += 1 + usize::from(self.0[at]);
        }
        at == cut && self.0[cut..] == apex.0[..]
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let len = usize::from(self.0[0]);
        (len != 0).then(|| Self(self.0[1 + len..].into()))
    }

    /// This name with `label` put before it, or `None` if it gets too long.
    pub fn child(&self, label: &[u8]) -> Option<Self> {
        if label.is_empty() || label.len() > 63 || self.0.len() + label.len() + 1 > 255 {
            return None;
        }
        let mut wire = Vec::with_capacity(self.0.len() + label.len() + 1);
        wire.push(u8::try_from(label.len()).expect("a label has at most 63 octets"));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
        wire.extend_from_slice(&self.0);
        Some(Self(wire.into_boxed_slice()))
    }
}

/// Appends the labels of `text`, and those of `origin` unless a dot ends it.
fn append_labels(text: &[u8], origin: &Name, out: &mut Vec<u8>) -> Result<(), NameFault> {
    let start = out.len();
    let mut label_at = start;
    let mut rest = text;
    out.push(0);
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match octet {
            b'.' => {
                end_label(out, label_at)?;
                label_at = out.len();
                out.push(0);
            }
            b'\\' => {
                let (octet, tail) = unescape(rest)?;
                out.push(octet.to_ascii_lowercase());
                rest = tail;
            }
            _ => out.push(octet.to_ascii_lowercase()),
        }
    }
    // After a dot at the end the octet that waits for a label's length is the root.
    if label_at + 1 < out.len() || label_at == start {
        end_label(out, label_at)?;
        out.extend_from_slice(&origin.0);
    }
    if out.len() - start > 255 { Err(NameFault::NameTooLong) } else { Ok(()) }
}

/// Writes the length of the label that starts behind `label_at`.
fn end_label(out: &mut [u8], label_at: usize) -> Result<(), NameFault> {
    match out.len() - label_at - 1 {
        0 => Err(NameFault::EmptyLabel),
        len @ 1..=63 => {
            out[label_at] = len as u8;
            Ok(())
        }
        _ => Err(NameFault::LabelTooLong),
    }
}

/// Reads what follows a backslash: `DDD` or one character.
fn unescape(rest: &[u8]) -> Result<(u8, &[u8]), NameFault> {
    let (&first, tail) = rest.split_first().ok_or(NameFault::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok((first, tail));
    }
    let digits =
        rest.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit)).ok_or(NameFault::BadEscape)?;
    let value = digits.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Ok((u8::try_from(value).map_err(|_| NameFault::BadEscape)?, &rest[3..]))
}

/// Writes the name that `wire` starts with in presentation format, with a trailing dot.
///
/// Escapes what RFC 1035 section 5.1 gives a meaning. `wire` must start with an uncompressed name.
pub(crate) fn write_name(wire: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    if wire[0] == 0 {
        return out.write_char('.');
    }
    let mut rest = wire;
    while rest[0] != 0 {
        let (label, tail) = rest[1..].split_at(usize::from(rest[0]));
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    write!(out, "\\{}", octet as char)?
                }
                0x21..=0x7e => out.write_char(octet as char)?,
                _ => write!(out, "\\{octet:03}")?,
            }
        }
        out.write_char('.')?;
        rest = tail;
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_relative_absolute_and_escaped_names() {
        let origin = Name::absolute("Example.COM").unwrap();
        assert_eq!(Name::parse("www", &origin).unwrap().to_string(), "www.example.com.");
        assert_eq!(Name::parse("www.", &origin).unwrap().to_string(), "www.");
        assert_eq!(Name::parse("@", &origin).unwrap(), origin);
        let escaped = Name::parse(r"a\.b\032c", &origin).unwrap();
        assert_eq!(escaped.labels().next().unwrap(), b"a.b c");
        assert_eq!(Name::parse(&escaped.to_string(), &Name::root()).unwrap(), escaped);
    }

    #[test]
    fn refuses_what_rfc_1035_refuses() {
        let root = Name::root();
        assert_eq!(Name::parse("a..b", &root), Err(NameFault::EmptyLabel));
        assert_eq!(Name::parse(&"a".repeat(64), &root), Err(NameFault::LabelTooLong));
        assert_eq!(Name::parse(&"a.".repeat(128), &root), Err(NameFault::NameTooLong));
        assert!(Name::parse(&"a.".repeat(127), &root).is_ok());
        assert_eq!(Name::parse(r"a\999", &root), Err(NameFault::BadEscape));
        assert_eq!(Name::parse(r"a\", &root), Err(NameFault::BadEscape));
    }

    #[test]
    fn within_compares_whole_labels() {
        let apex = Name::absolute("le.com").unwrap();
        assert!(Name::absolute("le.com").unwrap().is_within(&apex));
        assert!(Name::absolute("a.le.com").unwrap().is_within(&apex));
        assert!(!Name::absolute("examp\\002le.com").unwrap().is_within(&apex));
        assert!(!Name::absolute("example.com").unwrap().is_within(&apex));
    }
}

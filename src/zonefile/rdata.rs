//! Record data as people write it, to wire form without compression.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Fault;
use crate::zonefile::form::has_form;
use crate::zonefile::lexer::Word;

/// Reads the data of a record of type `rtype`; relative names end in `origin`.
///
/// The octets are appended to `out`; after a fault it may hold part of them. Any type can be written as
/// `\# LENGTH HEX` (RFC 3597 section 5). `end` is where a missing word would stand.
pub fn parse_rdata(
    rtype: RecordType,
    words: &[Word<'_>],
    origin: &Name,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    let mut fields = Fields { words, origin, end, out, start };
    if words.first().is_some_and(|word| word.text == "\\#" && !word.is_quoted) {
        fields.generic(rtype)?;
    } else {
        fields.typed(rtype)?;
    }
    if let Some(extra) = fields.words.first() {
        return Err(fault(
            extra,
            format!("{rtype} has nothing after its last field"),
            "take it out",
        ));
    }
    if fields.out.len() - start > usize::from(u16::MAX) {
        return Err(Fault {
            span: words[0].span.clone(),
            message: "the data is longer than 65,535 octets".into(),
            remedy: "split the record".into(),
        });
    }
    Ok(())
}

/// A fault at a word.
pub(super) fn fault(
    word: &Word<'_>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Fault {
    Fault { span: word.span.clone(), message: message.into(), remedy: remedy.into() }
}

/// Words still to be read, and octets written so far.
struct Fields<'a, 't> {
    words: &'a [Word<'t>],
    origin: &'a Name,
    end: usize,
    out: &'a mut Vec<u8>,
    /// Octets of `out` before this record's data.
    start: usize,
}

impl<'a, 't> Fields<'a, 't> {
    fn typed(&mut self, rtype: RecordType) -> Result<(), Fault> {
        match rtype {
            RecordType::A => {
                let address: Ipv4Addr = self.parsed("an IPv4 address", "192.0.2.1")?;
                self.out.extend_from_slice(&address.octets());
            }
            RecordType::AAAA => {
                let address: Ipv6Addr = self.parsed("an IPv6 address", "2001:db8::1")?;
                self.out.extend_from_slice(&address.octets());
            }
            RecordType::NS | RecordType::CNAME | RecordType::PTR => self.name()?,
            RecordType::MX => {
                self.u16("a preference of 0 to 65535", "10 mail.example.com.")?;
                self.name()?;
            }
            RecordType::SRV => {
                for field in ["a priority", "a weight", "a port"] {
                    self.u16(&format!("{field} of 0 to 65535"), "10 5 443 host.example.com.")?;
                }
                self.name()?;
            }
            RecordType::SOA => self.soa()?,
            RecordType::TXT => self.strings()?,
            RecordType::CAA => {
                let flags: u8 = self.parsed("a flag byte", "0 or 128")?;
                self.out.push(flags);
                self.string("a tag", "issue")?;
                let value = self.next("a value", "\"letsencrypt.org\"")?;
                let octets = unescape(value)?;
                self.out.extend_from_slice(&octets);
            }
            RecordType::DS => {
                self.u16("a key tag of 0 to 65535", "60485")?;
                for _ in 0..2 {
                    let number: u8 = self.parsed("a number of 0 to 255", "13")?;
                    self.out.push(number);
                }
                self.hex("a digest in hexadecimal")?;
            }
            _ => {
                let word = self.words.first();
                return Err(Fault {
                    span: word.map_or(self.end..self.end, |word| word.span.clone()),
                    message: format!("{rtype} data cannot be written in words"),
                    remedy: "write it as \\# LENGTH HEX (RFC 3597)".into(),
                });
            }
        }
        Ok(())
    }

    /// SOA: two names and five numbers, of which four are times (RFC 1035 section 3.3.13).
    fn soa(&mut self) -> Result<(), Fault> {
        self.name()?;
        self.name()?;
        let serial: u32 = self.parsed("a serial number", "2026112101")?;
        self.out.extend_from_slice(&serial.to_be_bytes());
        for field in ["refresh", "retry", "expire", "minimum"] {
            let word = self.next(field, "a time such as 1h")?;
            let Some(seconds) = parse_ttl(word.text) else {
                return Err(fault(
                    word,
                    format!("{field} is not a time"),
                    "write seconds, or a time such as 1h30m",
                ));
            };
            self.out.extend_from_slice(&seconds.to_be_bytes());
        }
        Ok(())
    }

    /// `\# LENGTH HEX...`
    fn generic(&mut self, rtype: RecordType) -> Result<(), Fault> {
        self.words = &self.words[1..];
        let at = self.words.first().cloned();
        let len: u16 = self.parsed("a length in octets", "4")?;
        if len > 0 {
            self.hex("data in hexadecimal")?;
        }
        match at {
            Some(word) if usize::from(len) != self.out.len() - self.start => Err(fault(
                &word,
                format!("the length is {len}, but {} octets follow", self.out.len() - self.start),
                "make them agree",
            )),
            Some(word) if !has_form(rtype, &self.out[self.start..]) => Err(fault(
                &word,
                format!("these octets are not data of type {rtype}"),
                "correct them, or write the data in words",
            )),
            _ => Ok(()),
        }
    }

    fn next(&mut self, what: &str, example: &str) -> Result<&'a Word<'t>, Fault> {
        let Some((word, rest)) = self.words.split_first() else {
            return Err(Fault {
                span: self.end..self.end,
                message: format!("{what} is missing"),
                remedy: format!("add it, for example {example}"),
            });
        };
        self.words = rest;
        Ok(word)
    }

    fn parsed<T: std::str::FromStr>(&mut self, what: &str, example: &str) -> Result<T, Fault> {
        let word = self.next(what, example)?;
        // Rust's parsers take a sign that master files do not have.
        let digits = if word.text.starts_with('+') { "" } else { word.text };
        digits.parse().map_err(|_| {
            fault(
                word,
                format!("\"{}\" is not {what}", word.text),
                format!("write it as in {example}"),
            )
        })
    }

    fn u16(&mut self, what: &str, example: &str) -> Result<(), Fault> {
        let number: u16 = self.parsed(what, example)?;
        self.out.extend_from_slice(&number.to_be_bytes());
        Ok(())
    }

    fn name(&mut self) -> Result<(), Fault> {
        let word = self.next("a name", "host.example.com.")?;
        let name = Name::parse(word.text, self.origin).map_err(|why| {
            fault(word, why.to_string(), "write a name such as host.example.com.")
        })?;
        self.out.extend_from_slice(name.as_wire());
        Ok(())
    }

    fn string(&mut self, what: &str, example: &str) -> Result<(), Fault> {
        let word = self.next(what, example)?;
        let octets = unescape(word)?;
        let Ok(len) = u8::try_from(octets.len()) else {
            return Err(fault(
                word,
                "a string has at most 255 octets",
                "split it into several: \"first\" \"second\"",
            ));
        };
        self.out.push(len);
        self.out.extend_from_slice(&octets);
        Ok(())
    }

    fn strings(&mut self) -> Result<(), Fault> {
        self.string("a text", "\"hello\"")?;
        while !self.words.is_empty() {
            self.string("a text", "\"hello\"")?;
        }
        Ok(())
    }

    fn hex(&mut self, what: &str) -> Result<(), Fault> {
        let first = self.next(what, "c0a80001")?;
        let mut digits = first.text.to_owned();
        while let Some((word, rest)) = self.words.split_first() {
            digits.push_str(word.text);
            self.words = rest;
        }
        let pairs = digits.as_bytes().chunks(2);
        for pair in pairs {
            let is_pair = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            let octet = std::str::from_utf8(pair).ok().filter(|_| is_pair);
            let octet = octet.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            let Some(octet) = octet else {
                return Err(fault(
                    first,
                    "not an even number of hexadecimal digits",
                    "write two digits an octet",
                ));
            };
            self.out.push(octet);
        }
        Ok(())
    }
}

/// Octets of a word whose escapes are `\X` and `\DDD`.
fn unescape(word: &Word<'_>) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(word.text.len());
    let mut rest = word.text.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'\\' {
            out.push(octet);
            continue;
        }
        match rest {
            [first, second, third, tail @ ..] if first.is_ascii_digit() => {
                let digits = [*first, *second, *third];
                let value =
                    std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<u8>().ok());
                out.push(value.ok_or_else(|| {
                    fault(word, "\\DDD is at most 255", "write three digits up to 255")
                })?);
                rest = tail;
            }
            [other, tail @ ..] if !other.is_ascii_digit() => {
                out.push(*other);
                rest = tail;
            }
            _ => {
                return Err(fault(word, "a backslash ends the text", "write \\\\ for a backslash"));
            }
        }
    }
    Ok(out)
}

/// Seconds of a time: a number, or numbers with the units s, m, h, d, w (as BIND and NSD read them).
pub fn parse_ttl(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse::<u32>() {
        return (seconds <= i32::MAX as u32).then_some(seconds); // RFC 2181 section 8
    }
    let mut total = 0u64;
    let mut number: Option<u64> = None;
    for character in text.bytes() {
        if character.is_ascii_digit() {
            number = Some(
                number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(character - b'0'))?,
            );
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
    u32::try_from(total).ok().filter(|&seconds| seconds <= i32::MAX as u32)
}

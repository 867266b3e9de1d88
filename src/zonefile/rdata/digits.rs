//! Octets as hexadecimal, base32 and base64 digits (RFC 4648), both ways.

use std::fmt;

use crate::zonefile::Fault;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::layout::Digest;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::read::Fields;

/// Digits of base32 with extended hexadecimal alphabet (RFC 4648 section 7), lower case as in RFC 5155.
const BASE32: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Digits of base64 (RFC 4648 section 4).
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Digits that wait to become octets.
#[derive(Default)]
struct Bits {
    value: u32,
    count: u32,
}

impl Bits {
    /// Adds a digit of `width` bits.
    fn push(&mut self, digit: u8, width: u32, out: &mut Vec<u8>) {
        self.value = self.value << width | u32::from(digit);
        self.count += width;
        if self.count >= 8 {
            self.count -= 8;
            out.push((self.value >> self.count) as u8);
            self.value &= (1 << self.count) - 1;
        }
    }

    /// Whether no digit is missing, and none holds bits that are lost.
    fn is_done(&self, width: u32) -> bool {
        self.count < width && self.value == 0
    }
}

impl<'a, 't> Fields<'a, 't> {
    /// Hexadecimal digits to the end, at least one octet.
    pub fn hex(&mut self, what: &str, example: &str) -> Result<(), Fault> {
        let start = self.out.len();
        let mut last = self.token(what, example)?;
        let mut bits = Bits::default();
        loop {
            push_hex(last, last.text.bytes(), &mut bits, self.out)?;
            if self.words.is_empty() {
                break;
            }
            last = self.token(what, example)?;
        }
        end_hex(last, &bits)?;
        if self.out.len() == start {
            return Err(fault(last, "no digits", format!("write it as in {example}")));
        }
        Ok(())
    }

    /// A digest whose length its kind says.
    pub fn digest(&mut self, of: &Field, digest: Digest) -> Result<(), Fault> {
        let word = self.words.first();
        let at = self.out.len();
        self.hex(of.what, of.example)?;
        let kind = self.out.get(self.start + digest.at).copied().unwrap_or_default();
        let len = self.out.len() - at;
        match (digest.fault(kind, len), word) {
            (Some(wanted), Some(word)) => {
                let message = format!("this digest has {len} octets, type {kind} has {wanted}");
                Err(fault(word, message, "copy it again, or correct the type before it"))
            }
            _ => Ok(()),
        }
    }

    /// One word of hexadecimal digits with an octet for their length, `-` for none.
    pub fn salt(&mut self, of: &Field) -> Result<(), Fault> {
        let word = self.token(of.what, of.example)?;
        let at = self.out.len();
        self.out.push(0);
        if word.text != "-" {
            self.hex_word(word, word.text)?;
        }
        self.measure(word, at)
    }

    /// Hexadecimal digits that stand in a word.
    pub fn hex_word(&mut self, word: &Word<'_>, digits: &str) -> Result<(), Fault> {
        let mut bits = Bits::default();
        push_hex(word, digits.bytes(), &mut bits, self.out)?;
        end_hex(word, &bits)
    }

    /// Hexadecimal digits that stand in a word, in which dots mean nothing.
    pub fn dotted_hex(&mut self, word: &Word<'_>, digits: &str) -> Result<(), Fault> {
        let mut bits = Bits::default();
        push_hex(word, digits.bytes().filter(|digit| *digit != b'.'), &mut bits, self.out)?;
        end_hex(word, &bits)
    }

    /// One word of base32 digits with an octet for their length, at least one octet.
    pub fn hash(&mut self, of: &Field) -> Result<(), Fault> {
        let word = self.token(of.what, of.example)?;
        let at = self.out.len();
        self.out.push(0);
        let mut bits = Bits::default();
        for character in word.text.bytes() {
            let digit = match character.to_ascii_lowercase() {
                octet @ b'0'..=b'9' => octet - b'0',
                octet @ b'a'..=b'v' => octet - b'a' + 10,
                _ => {
                    let message = format!("\"{}\" is not {}", word.text, of.what);
                    return Err(fault(word, message, "use the digits 0 to 9 and A to V"));
                }
            };
            bits.push(digit, 5, self.out);
        }
        if !bits.is_done(5) || self.out.len() == at + 1 {
            let message = "the last base32 digits are missing or wrong";
            return Err(fault(word, message, format!("write it as in {}", of.example)));
        }
        self.measure(word, at)
    }

    /// Writes the length of what follows the octet `at`.
    fn measure(&mut self, word: &Word<'_>, at: usize) -> Result<(), Fault> {
        let len = u8::try_from(self.out.len() - at - 1);
        self.out[at] = len.map_err(|_| fault(word, "more than 255 octets", "shorten it"))?;
        Ok(())
    }

    /// Base64 digits to the end, at least one octet.
    pub fn base64(&mut self, of: &Field) -> Result<(), Fault> {
        let mut digits = Base64::default();
        let mut last = self.token(of.what, of.example)?;
        let at = self.out.len();
        loop {
            digits.push(last, self.out)?;
            if self.words.is_empty() {
                break;
            }
            last = self.token(of.what, of.example)?;
        }
        digits.end(last)?;
        if self.out.len() == at {
            return Err(fault(last, "no digits", format!("write it as in {}", of.example)));
        }
        Ok(())
    }

    /// Base64 digits of one word.
    pub fn base64_word(&mut self, word: &Word<'_>) -> Result<(), Fault> {
        base64_of(word, word.text, self.out)
    }
}

/// Appends the octets of base64 digits that stand in `word`.
pub(super) fn base64_of(word: &Word<'_>, digits: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut read = Base64::default();
    read.push(&Word { text: digits, ..word.clone() }, out)?;
    read.end(word)
}

impl Digest {
    /// The length a digest of this kind must have, if `len` is another.
    pub fn fault(&self, kind: u8, len: usize) -> Option<String> {
        match self.lens.iter().find(|(other, _)| *other == kind) {
            Some((_, wanted)) => (len != *wanted).then(|| wanted.to_string()),
            None => (len < self.min_len).then(|| format!("at least {}", self.min_len)),
        }
    }
}

/// Adds hexadecimal digits that stand in `word`.
fn push_hex(
    word: &Word<'_>,
    digits: impl Iterator<Item = u8>,
    bits: &mut Bits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    for character in digits {
        let Some(digit) = (character as char).to_digit(16) else {
            let shown = word.text.chars().find(|c| !c.is_ascii_hexdigit()).unwrap_or('?');
            let message = format!("\"{shown}\" is no hexadecimal digit");
            return Err(fault(word, message, "use the digits 0 to 9 and A to F"));
        };
        bits.push(digit as u8, 4, out);
    }
    Ok(())
}

/// No digit may be left over.
fn end_hex(word: &Word<'_>, bits: &Bits) -> Result<(), Fault> {
    if bits.count == 0 {
        return Ok(());
    }
    Err(fault(word, "not an even number of hexadecimal digits", "write two digits an octet"))
}

/// Base64 digits, perhaps of several words.
#[derive(Default)]
struct Base64 {
    bits: Bits,
    padding: u32,
}

impl Base64 {
    /// Adds the digits of a word.
    fn push(&mut self, word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        for character in word.text.chars() {
            let digit = match character {
                'A'..='Z' => character as u8 - b'A',
                'a'..='z' => character as u8 - b'a' + 26,
                '0'..='9' => character as u8 - b'0' + 52,
                '+' => 62,
                '/' => 63,
                '=' => {
                    self.padding += 1;
                    continue;
                }
                _ => {
                    let message = format!("\"{character}\" is no base64 digit");
                    return Err(fault(word, message, "use letters, digits, + and /"));
                }
            };
            if self.padding > 0 {
                return Err(fault(word, "digits after the padding", "end with = or =="));
            }
            self.bits.push(digit, 6, out);
        }
        Ok(())
    }

    /// Digits come in fours, with `=` for each that is missing.
    fn end(&self, word: &Word<'_>) -> Result<(), Fault> {
        if self.bits.is_done(6) && self.padding * 2 == self.bits.count {
            return Ok(());
        }
        let message = "the last base64 digits or their padding are missing or wrong";
        Err(fault(word, message, "write four digits for three octets, the last filled up with ="))
    }
}

/// Writes hexadecimal digits.
pub(super) fn write_hex(octets: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}

/// Writes base32 digits without padding.
pub(super) fn write_base32(octets: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    for group in octets.chunks(5) {
        let value = number_of(group, 5);
        let digits = (group.len() * 8).div_ceil(5);
        for digit in 0..digits {
            out.write_char(BASE32[(value >> (35 - 5 * digit) & 31) as usize] as char)?;
        }
    }
    Ok(())
}

/// Writes base64 digits with padding.
pub(super) fn write_base64(octets: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    for group in octets.chunks(3) {
        let value = number_of(group, 3);
        for digit in 0..4 {
            let character = match digit <= group.len() {
                true => BASE64[(value >> (18 - 6 * digit) & 63) as usize],
                false => b'=',
            };
            out.write_char(character as char)?;
        }
    }
    Ok(())
}

/// The number that `group` starts, filled up with zeros to `len` octets.
fn number_of(group: &[u8], len: usize) -> u64 {
    (0..len).fold(0, |sum, at| sum << 8 | u64::from(group.get(at).copied().unwrap_or(0)))
}

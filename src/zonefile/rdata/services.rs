//! Addresses and services of other times: WKS, NSAP, ATMA, and the plain octets of EUI, NID and L64.

use crate::zonefile::Fault;
use crate::zonefile::rdata::digits::write_hex;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::layout::Mnemonics;
use crate::zonefile::rdata::number::is_not;
use crate::zonefile::rdata::read::Fields;
use crate::zonefile::rdata::write::Octets;
use crate::zonefile::rdata::write::Words;

/// IP protocols that have ports, or had in 1987.
const PROTOCOLS: Mnemonics = &[("ICMP", 1), ("TCP", 6), ("UDP", 17)];

/// Ports that RFC 1010 names, under the names that are still known.
const PORTS: Mnemonics = &[
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("nameserver", 42),
    ("nicname", 43),
    ("whois", 43),
    ("domain", 53),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("hostname", 101),
    ("pop3", 110),
    ("sunrpc", 111),
    ("auth", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("imap", 143),
    ("snmp", 161),
    ("irc", 194),
    ("https", 443),
];

/// An ATM end system address.
const AESA: u8 = 0;

/// An ATM address of digits (ITU-T E.164).
const E164: u8 = 1;

impl Fields<'_, '_> {
    /// Protocol and ports as a bitmap without zeros at its end.
    pub fn services(&mut self, of: &Field) -> Result<(), Fault> {
        let protocol = self.number_or_word(of, PROTOCOLS, 255)?;
        self.out.push(protocol.to_be_bytes()[1]);
        let field =
            Field { what: "a port of 0 to 65535, or a service", example: "25 or smtp", ..*of };
        let at = self.out.len();
        while !self.words.is_empty() {
            let port = usize::from(self.number_or_word(&field, PORTS, u16::MAX)?);
            let len = self.out.len().max(at + port / 8 + 1);
            self.out.resize(len, 0);
            self.out[at + port / 8] |= 0x80 >> (port % 8);
        }
        Ok(())
    }

    /// `0x` and digits, dots ignored.
    pub fn nsap(&mut self, of: &Field) -> Result<(), Fault> {
        let word = self.token(of.what, of.example)?;
        let digits = word.text.strip_prefix("0x").or_else(|| word.text.strip_prefix("0X"));
        match digits {
            Some(digits) if digits.contains(|c: char| c != '.') => self.dotted_hex(word, digits),
            _ => Err(is_not(word, of.what, of.example)),
        }
    }

    /// `+` and decimal digits, or hexadecimal digits with dots ignored.
    pub fn atm(&mut self, of: &Field) -> Result<(), Fault> {
        let word = self.token(of.what, of.example)?;
        match word.text.strip_prefix('+') {
            Some(digits) => {
                if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                    return Err(is_not(word, of.what, of.example));
                }
                self.out.push(E164);
                self.out.extend_from_slice(digits.as_bytes());
                Ok(())
            }
            None if word.text.contains(|c: char| c != '.') => {
                self.out.push(AESA);
                self.dotted_hex(word, word.text)
            }
            None => Err(is_not(word, of.what, of.example)),
        }
    }

    /// Four groups of one to four hexadecimal digits.
    pub fn groups(&mut self, of: &Field) -> Result<(), Fault> {
        let word = self.token(of.what, of.example)?;
        let mut groups = 0;
        for group in word.text.split(':') {
            let is_group = group.len() <= 4 && group.bytes().all(|digit| digit.is_ascii_hexdigit());
            let value = u16::from_str_radix(group, 16).ok().filter(|_| is_group && groups < 4);
            let value = value.ok_or_else(|| is_not(word, of.what, of.example))?;
            self.out.extend_from_slice(&value.to_be_bytes());
            groups += 1;
        }
        if groups == 4 { Ok(()) } else { Err(is_not(word, of.what, of.example)) }
    }

    /// `len` pairs of hexadecimal digits with hyphens.
    pub fn hyphened(&mut self, of: &Field, len: usize) -> Result<(), Fault> {
        let word = self.token(of.what, of.example)?;
        let pairs = word.text.split('-');
        let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|o| o.is_ascii_hexdigit());
        let is_right = pairs.clone().count() == len && pairs.clone().all(is_pair);
        if !is_right {
            let message = format!("\"{}\" is not {} of {len} octets", word.text, of.what);
            return Err(fault(word, message, format!("write it as in {}", of.example)));
        }
        pairs.into_iter().try_for_each(|pair| self.hex_word(word, pair))
    }
}

impl Words<'_> {
    /// Protocol and ports in numbers.
    pub fn services(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        self.word(format_args!("{}", octets.u8()?))?;
        let bits = octets.take_rest();
        (bits.len() <= 8192 && bits.last().is_none_or(|last| *last != 0)).then_some(())?;
        for (position, octet) in (0..).step_by(8).zip(bits) {
            for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                self.word(format_args!("{}", position + bit))?;
            }
        }
        Some(())
    }

    /// `0x` and digits.
    pub fn nsap(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        (!octets.rest.is_empty()).then_some(())?;
        let out = self.begin()?;
        out.write_str("0x").ok()?;
        write_hex(octets.take_rest(), out).ok()
    }

    /// The two formats that can be written.
    pub fn atm(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let format = octets.u8()?;
        match (format, octets.take_rest()) {
            (AESA, address) => self.hex(address),
            (E164, digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                let digits = std::str::from_utf8(digits).ok()?;
                self.word(format_args!("+{digits}"))
            }
            _ => None,
        }
    }

    /// Four groups of four digits.
    pub fn groups(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let [a, b, c, d] = [octets.u16()?, octets.u16()?, octets.u16()?, octets.u16()?];
        self.word(format_args!("{a:04x}:{b:04x}:{c:04x}:{d:04x}"))
    }

    /// `len` pairs of digits.
    pub fn hyphened(&mut self, octets: &mut Octets<'_>, len: usize) -> Option<()> {
        let address = octets.take(len)?;
        let out = self.begin()?;
        for (position, octet) in address.iter().enumerate() {
            let hyphen = if position > 0 { "-" } else { "" };
            write!(out, "{hyphen}{octet:02x}").ok()?;
        }
        Some(())
    }
}

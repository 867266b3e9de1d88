//! Words of a record's data to wire form: one arm a kind of field.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::wire::Name;
use crate::zonefile::Fault;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::layout::Kind;
use crate::zonefile::rdata::number::is_not;

/// Words still to be read, and octets written so far.
pub(super) struct Fields<'a, 't> {
    pub words: &'a [Word<'t>],
    pub origin: &'a Name,
    /// Where a missing word would stand.
    pub end: usize,
    pub out: &'a mut Vec<u8>,
    /// Octets of `out` before this record's data.
    pub start: usize,
}

impl<'a, 't> Fields<'a, 't> {
    /// Reads one field of the layout.
    pub fn field(&mut self, of: &Field) -> Result<(), Fault> {
        match of.kind {
            Kind::Name => self.name(of.what, of.example)?,
            Kind::U8 => {
                let number: u8 = self.number(of.what, of.example)?;
                self.out.push(number);
            }
            Kind::U16 => {
                let number: u16 = self.number(of.what, of.example)?;
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Kind::U32 => {
                let number: u32 = self.number(of.what, of.example)?;
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Kind::U64 => {
                let number: u64 = self.number(of.what, of.example)?;
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Kind::Word8(words) => {
                let number = self.number_or_word(of, words, 255)?;
                self.out.push(number.to_be_bytes()[1]);
            }
            Kind::Word16(words) => {
                let number = self.number_or_word(of, words, u16::MAX)?;
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Kind::Time => {
                let seconds = self.time(of)?;
                self.out.extend_from_slice(&seconds.to_be_bytes());
            }
            Kind::Moment => {
                let seconds = self.moment(of)?;
                self.out.extend_from_slice(&seconds.to_be_bytes());
            }
            Kind::Type => {
                let rtype = self.record_type(of)?;
                self.out.extend_from_slice(&rtype.0.to_be_bytes());
            }
            Kind::Address4 => {
                let address: Ipv4Addr = self.parsed(of)?;
                self.out.extend_from_slice(&address.octets());
            }
            Kind::Address6 => {
                let address: Ipv6Addr = self.parsed(of)?;
                self.out.extend_from_slice(&address.octets());
            }
            _ => self.long_field(of)?,
        }
        Ok(())
    }

    /// Reads a field that is more than a number, an address or a name.
    fn long_field(&mut self, of: &Field) -> Result<(), Fault> {
        match of.kind {
            Kind::Text => self.text(of, "shorten it"),
            Kind::OptionalText if self.words.is_empty() => Ok(()),
            Kind::OptionalText => self.text(of, "shorten it"),
            Kind::Texts => self.texts(of),
            Kind::Digits(min_len) => self.plain_text(of, min_len, u8::is_ascii_digit),
            Kind::Tag => self.plain_text(of, 1, u8::is_ascii_alphanumeric),
            Kind::Tail(min_len) => self.tail(of, min_len),
            Kind::Hex => self.hex(of.what, of.example),
            Kind::Digest(digest) => self.digest(of, digest),
            Kind::Salt => self.salt(of),
            Kind::Hash => self.hash(of),
            Kind::Base64 => self.base64(of),
            Kind::OptionalBase64 if self.words.is_empty() => Ok(()),
            Kind::OptionalBase64 => self.base64(of),
            Kind::DashOrBase64 if self.words.first().is_some_and(|word| word.text == "-") => {
                self.token(of.what, of.example).map(drop)
            }
            Kind::DashOrBase64 => self.base64(of),
            Kind::Types => self.types(of),
            Kind::Groups => self.groups(of),
            Kind::Hyphened(len) => self.hyphened(of, len),
            Kind::Nsap => self.nsap(of),
            Kind::Atm => self.atm(of),
            Kind::Services => self.services(of),
            Kind::Location => self.location(),
            Kind::Prefixes => self.prefixes(of),
            Kind::Gateway => self.gateway(),
            Kind::Relay => self.relay(),
            Kind::HostIdentity => self.host_identity(),
            Kind::Parameters => self.parameters(of),
            Kind::Name
            | Kind::U8
            | Kind::U16
            | Kind::U32
            | Kind::U64
            | Kind::Word8(_)
            | Kind::Word16(_)
            | Kind::Time
            | Kind::Moment
            | Kind::Type
            | Kind::Address4
            | Kind::Address6 => unreachable!("field() reads these"),
        }
    }

    /// The next word, quoted or not.
    pub fn next(&mut self, what: &str, example: &str) -> Result<&'a Word<'t>, Fault> {
        let Some((word, rest)) = self.words.split_first() else {
            let remedy = format!("add it, for example {example}");
            return Err(self.fault_here(format!("{what} is missing"), remedy));
        };
        self.words = rest;
        Ok(word)
    }

    /// The next word, which must not be quoted: quotes are for texts.
    pub fn token(&mut self, what: &str, example: &str) -> Result<&'a Word<'t>, Fault> {
        let word = self.next(what, example)?;
        if word.is_quoted {
            let message = format!("{what} stands without quotes");
            return Err(fault(word, message, "take the quotes away"));
        }
        Ok(word)
    }

    /// A word that Rust can parse.
    pub fn parsed<T: FromStr>(&mut self, of: &Field) -> Result<T, Fault> {
        let word = self.token(of.what, of.example)?;
        word.text.parse().map_err(|_| is_not(word, of.what, of.example))
    }

    /// A domain name, made absolute.
    pub fn name(&mut self, what: &str, example: &str) -> Result<(), Fault> {
        let word = self.token(what, example)?;
        Name::parse_into(word.text, self.origin, self.out)
            .map_err(|why| fault(word, why.to_string(), "write a name such as host.example.com."))
    }

    /// A fault at the next word, or where it would stand.
    pub fn fault_here(&self, message: impl Into<String>, remedy: impl Into<String>) -> Fault {
        let span = self.words.first().map_or(self.end..self.end, |word| word.span.clone());
        Fault { span, message: message.into(), remedy: remedy.into() }
    }
}

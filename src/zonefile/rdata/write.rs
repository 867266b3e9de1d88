//! Wire form to words: one arm a kind of field. What cannot be written so does not have the form of its type.

use std::fmt;
use std::fmt::Arguments;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::ops::Range;

use crate::wire::RecordType;
use crate::wire::write_name;
use crate::zonefile::rdata::digits::write_base32;
use crate::zonefile::rdata::digits::write_base64;
use crate::zonefile::rdata::digits::write_hex;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::layout::Kind;
use crate::zonefile::rdata::layout::layout;
use crate::zonefile::rdata::moment::write_date;
use crate::zonefile::rdata::text::write_quoted;
use crate::zonefile::text::is_widely_known;

/// Writes data of `rtype` in words; `None` if the type has none, else whether `octets` have its form.
///
/// If they do not, `out` holds part of them.
pub(in crate::zonefile) fn write_fields(
    rtype: RecordType,
    octets: &mut Octets<'_>,
    readers: Readers,
    out: &mut dyn fmt::Write,
) -> Option<bool> {
    let layout = layout(rtype)?;
    let mut out = Words { out, readers, is_first: true };
    let is_written = layout.iter().try_for_each(|field| out.field(field, octets));
    Some(is_written.is_some() && octets.rest.is_empty())
}

/// For whom words are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zonefile) enum Readers {
    /// People, and this program.
    Ours,
    /// Servers that may not know the names of younger types and parameters: those are written as numbers.
    Any,
}

/// Octets of a record's data that are still to be written.
pub(in crate::zonefile) struct Octets<'a> {
    whole: &'a [u8],
    pub(super) rest: &'a [u8],
    to_lower: Vec<Range<usize>>,
}

impl<'a> Octets<'a> {
    /// All of a record's data.
    pub fn new(whole: &'a [u8]) -> Self {
        Self { whole, rest: whole, to_lower: Vec::new() }
    }

    /// Where names with capital letters were read.
    pub fn names_to_lower(self) -> Vec<Range<usize>> {
        self.to_lower
    }

    /// The next `len` octets.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// All that is left.
    pub(super) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `N` octets.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A character-string without its length.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// A name without compression.
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        let mut len = 0;
        loop {
            let label = usize::from(*self.rest.get(len)?);
            len += 1 + label;
            if label > 63 || len > 255 {
                return None;
            }
            if label == 0 {
                break;
            }
        }
        let at = self.whole.len() - self.rest.len();
        let name = self.take(len)?;
        if name.iter().any(u8::is_ascii_uppercase) {
            self.to_lower.push(at..at + len);
        }
        Some(name)
    }
}

/// Words with blanks between them.
pub(super) struct Words<'a> {
    out: &'a mut dyn fmt::Write,
    pub(super) readers: Readers,
    is_first: bool,
}

impl Words<'_> {
    /// Begins a word.
    pub fn begin(&mut self) -> Option<&mut dyn fmt::Write> {
        if !std::mem::take(&mut self.is_first) {
            self.out.write_char(' ').ok()?;
        }
        Some(self.out)
    }

    /// Writes a word.
    pub fn word(&mut self, word: Arguments<'_>) -> Option<()> {
        self.begin()?.write_fmt(word).ok()
    }

    /// Writes a name.
    pub fn name(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let name = octets.name()?;
        write_name(name, self.begin()?).ok()
    }

    /// Writes a type in data.
    pub fn record_type(&mut self, rtype: RecordType) -> Option<()> {
        match self.readers == Readers::Ours || is_widely_known(rtype) {
            true => self.word(format_args!("{rtype}")),
            false => self.word(format_args!("TYPE{}", rtype.0)),
        }
    }

    /// Writes octets, at least one, in hexadecimal.
    pub fn hex(&mut self, octets: &[u8]) -> Option<()> {
        (!octets.is_empty()).then_some(())?;
        write_hex(octets, self.begin()?).ok()
    }

    /// Writes octets, at least one, in base64.
    pub fn base64(&mut self, octets: &[u8]) -> Option<()> {
        (!octets.is_empty()).then_some(())?;
        write_base64(octets, self.begin()?).ok()
    }

    /// Writes one field of the layout.
    fn field(&mut self, of: &Field, octets: &mut Octets<'_>) -> Option<()> {
        match of.kind {
            Kind::Name => self.name(octets),
            Kind::U8 | Kind::Word8(_) => self.word(format_args!("{}", octets.u8()?)),
            Kind::U16 | Kind::Word16(_) => self.word(format_args!("{}", octets.u16()?)),
            Kind::U32 | Kind::Time => self.word(format_args!("{}", octets.u32()?)),
            Kind::U64 => self.word(format_args!("{}", u64::from_be_bytes(octets.array()?))),
            Kind::Moment => write_date(octets.u32()?, self.begin()?).ok(),
            Kind::Type => self.record_type(RecordType(octets.u16()?)),
            Kind::Address4 => self.word(format_args!("{}", Ipv4Addr::from(octets.u32()?))),
            Kind::Address6 => self.word(format_args!("{}", Ipv6Addr::from(octets.array::<16>()?))),
            Kind::Text => write_quoted(octets.text()?, self.begin()?).ok(),
            Kind::OptionalText if octets.rest.is_empty() => Some(()),
            Kind::OptionalText => write_quoted(octets.text()?, self.begin()?).ok(),
            Kind::Texts => loop {
                write_quoted(octets.text()?, self.begin()?).ok()?;
                if octets.rest.is_empty() {
                    break Some(());
                }
            },
            Kind::Digits(min_len) => {
                let text = octets.text()?;
                let is_right = text.len() >= min_len && text.iter().all(u8::is_ascii_digit);
                is_right.then_some(())?;
                write_quoted(text, self.begin()?).ok()
            }
            Kind::Tag => {
                let tag = std::str::from_utf8(octets.text()?).ok()?;
                let is_tag = !tag.is_empty() && tag.bytes().all(|o| o.is_ascii_alphanumeric());
                is_tag.then_some(())?;
                self.word(format_args!("{tag}"))
            }
            Kind::Tail(min_len) => {
                let text = octets.take_rest();
                (text.len() >= min_len).then_some(())?;
                write_quoted(text, self.begin()?).ok()
            }
            _ => self.long_field(of, octets),
        }
    }

    /// Writes digits and what has a grammar of its own.
    fn long_field(&mut self, of: &Field, octets: &mut Octets<'_>) -> Option<()> {
        match of.kind {
            Kind::Hex => self.hex(octets.take_rest()),
            Kind::Digest(digest) => {
                let octets = (octets.whole, octets.take_rest());
                let kind = *octets.0.get(digest.at)?;
                digest.fault(kind, octets.1.len()).is_none().then_some(())?;
                self.hex(octets.1)
            }
            Kind::Salt => match octets.text()? {
                [] => self.word(format_args!("-")),
                salt => self.hex(salt),
            },
            Kind::Hash => match octets.text()? {
                [] => None,
                hash => write_base32(hash, self.begin()?).ok(),
            },
            Kind::Base64 => self.base64(octets.take_rest()),
            Kind::OptionalBase64 if octets.rest.is_empty() => Some(()),
            Kind::OptionalBase64 => self.base64(octets.take_rest()),
            Kind::DashOrBase64 if octets.rest.is_empty() => self.word(format_args!("-")),
            Kind::DashOrBase64 => self.base64(octets.take_rest()),
            Kind::Types => self.types(octets),
            Kind::Groups => self.groups(octets),
            Kind::Hyphened(len) => self.hyphened(octets, len),
            Kind::Nsap => self.nsap(octets),
            Kind::Atm => self.atm(octets),
            Kind::Services => self.services(octets),
            Kind::Location => self.location(octets),
            Kind::Prefixes => self.prefixes(octets),
            Kind::Gateway => self.gateway(octets),
            Kind::Relay => self.relay(octets),
            Kind::HostIdentity => self.host_identity(octets),
            Kind::Parameters => self.parameters(octets),
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
            | Kind::Text
            | Kind::OptionalText
            | Kind::Texts
            | Kind::Digits(_)
            | Kind::Tag
            | Kind::Tail(_)
            | Kind::Address4
            | Kind::Address6 => unreachable!("field() writes these"),
        }
    }
}

//! The head of a response: its status, its fields, and what it says of the end of the body.

use std::mem::MaybeUninit;

use httparse::Header;
use httparse::ParserConfig;
use httparse::Response;

use crate::http1::Fault;

/// Most fields of a head, and of a trailer.
pub(super) const FIELDS_MAX: usize = 100;

/// A whole head.
#[derive(Clone, Debug)]
pub struct Head {
    /// As it came, but that folded lines are unfolded.
    octets: Vec<u8>,
    status: u16,
    announced: Announced,
}

/// What a head says of the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// Nothing, or a coding that is not chunked: it ends with the connection.
    Nothing,
    /// So many octets.
    Length(u64),
    /// Chunks.
    Chunks,
    /// What cannot be, or not together.
    Nonsense(Fault),
}

impl Head {
    /// Reads a head that is whole; `empty` octets of empty lines are before it.
    pub(super) fn parse(mut octets: Vec<u8>, empty: usize) -> Result<Self, Fault> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut response = Response::new(&mut []);
        let parsed = parse(&octets, &mut response, &mut fields)?;
        let (true, Some(status @ 100..), Some(version)) =
            (parsed.is_complete(), response.code, response.version)
        else {
            return Err(Fault::StatusLine);
        };
        let announced = announced(response.headers, version);
        octets.drain(..empty);
        Ok(Self { octets, status, announced })
    }

    /// Its status; 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first value of a field, without blanks at its ends.
    pub fn find(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
    }

    /// Names and values in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.octets.split(|octet| *octet == b'\n').skip(1);
        lines.filter_map(|line| {
            let colon = line.iter().position(|octet| *octet == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// Whether another response follows for the same request.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    pub(super) fn announced(&self) -> Announced {
        self.announced
    }
}

/// Refuses what cannot become a head, whatever follows.
pub(super) fn read_part(octets: &[u8]) -> Result<(), Fault> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    parse(octets, &mut Response::new(&mut []), &mut fields)?;
    Ok(())
}

/// Refuses trailers that are no fields, or more of them than lines: a line feed alone ends none here.
pub(super) fn read_trailer(octets: &[u8], lines: usize) -> Result<(), Fault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let fields = &mut fields[..lines.min(FIELDS_MAX)];
    let is_whole = httparse::parse_headers(octets, fields).is_ok_and(|read| read.is_complete());
    if is_whole { Ok(()) } else { Err(Fault::Trailer) }
}

fn parse<'fields, 'octets>(
    octets: &'octets [u8],
    response: &mut Response<'fields, 'octets>,
    fields: &'fields mut [MaybeUninit<Header<'octets>>],
) -> Result<httparse::Status<usize>, Fault> {
    let config = ParserConfig::default();
    Ok(config.parse_response_with_uninit_headers(response, octets, fields)?)
}

/// RFC 9112 section 6.3, from the fields alone.
fn announced(fields: &[Header<'_>], version: u8) -> Announced {
    let of = |name: &'static str| {
        let named = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value.trim_ascii())
    };
    let mut lengths = of("content-length").peekable();
    match of("transfer-encoding").next_back() {
        Some(_) if version == 0 => Announced::Nonsense(Fault::CodingOfOldVersion),
        Some(_) if lengths.peek().is_some() => Announced::Nonsense(Fault::LengthAndCoding),
        Some(codings) if is_chunked_last(codings) => Announced::Chunks,
        Some(_) => Announced::Nothing,
        None if lengths.peek().is_none() => Announced::Nothing,
        None => length(lengths).map_or(Announced::Nonsense(Fault::Length), Announced::Length),
    }
}

fn is_chunked_last(codings: &[u8]) -> bool {
    let last = codings.rsplit(|octet| *octet == b',').next();
    last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// The one number that all of these say; a list in one field counts as several fields.
fn length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut numbers = values.flat_map(|value| value.split(|octet| *octet == b',')).map(number);
    let first = numbers.next()??;
    numbers.all(|other| other == Some(first)).then_some(first)
}

/// Digits alone: no sign, and not nothing.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

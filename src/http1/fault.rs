//! Why what came is no response that is accepted.

use std::fmt;

use crate::http1::chunks::EXTENSIONS_MAX;
use crate::http1::chunks::TRAILER_MAX;
use crate::http1::gathering::HEAD_MAX;
use crate::http1::gathering::INTERIM_MAX;
use crate::http1::head::FIELDS_MAX;

/// Why what came is no response that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin with a status line.
    StatusLine,
    /// The name of a field has octets that may not stand in it, or it has none.
    FieldName,
    /// The value of a field has octets that may not stand in it.
    FieldValue,
    /// A carriage return without a line feed.
    LineEnd,
    /// The head has too many fields.
    Fields,
    /// The head is too long.
    HeadTooLong,
    /// Too many interim responses.
    Interim,
    /// The length is no number, too large, or several.
    Length,
    /// Two words on where the body ends (RFC 9112 section 6.3).
    LengthAndCoding,
    /// A word that HTTP/1.0 does not have.
    CodingOfOldVersion,
    /// A chunk does not begin with its size.
    ChunkSize,
    /// A chunk does not end where its size says.
    ChunkEnd,
    /// Too many octets of extensions.
    Extensions,
    /// What follows the chunks are no fields.
    Trailer,
    /// Too many octets follow the chunks.
    TrailerTooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatusLine => f.write_str("it does not begin with a status line of HTTP/1.1"),
            Self::FieldName => f.write_str("a line of its head has no valid name before a colon"),
            Self::FieldValue => {
                f.write_str("the value of a header has octets that may not be in it")
            }
            Self::LineEnd => f.write_str("a line of its head ends in a carriage return alone"),
            Self::Fields => write!(f, "more than {FIELDS_MAX} headers"),
            Self::HeadTooLong => write!(f, "its head is longer than {HEAD_MAX} octets"),
            Self::Interim => write!(f, "more than {INTERIM_MAX} interim responses"),
            Self::Length => f.write_str("its Content-Length is no number, or two different ones"),
            Self::LengthAndCoding => {
                f.write_str("both Content-Length and Transfer-Encoding (RFC 9112 section 6.3)")
            }
            Self::CodingOfOldVersion => f.write_str("Transfer-Encoding in HTTP/1.0"),
            Self::ChunkSize => f.write_str("a chunk does not begin with its size"),
            Self::ChunkEnd => f.write_str("a chunk does not end where its size says"),
            Self::Extensions => write!(f, "more than {EXTENSIONS_MAX} octets of chunk extensions"),
            Self::Trailer => f.write_str("what follows its chunks are no trailers"),
            Self::TrailerTooLong => write!(f, "trailers of more than {TRAILER_MAX} octets"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<httparse::Error> for Fault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::Version | httparse::Error::Status | httparse::Error::Token => {
                Self::StatusLine
            }
            httparse::Error::HeaderName => Self::FieldName,
            httparse::Error::HeaderValue => Self::FieldValue,
            httparse::Error::NewLine => Self::LineEnd,
            httparse::Error::TooManyHeaders => Self::Fields,
        }
    }
}

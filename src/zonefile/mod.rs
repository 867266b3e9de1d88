//! Master files (RFC 1035 section 5) and single records: text to wire form, with the place of every fault, and back.
//!
//! Knows no zone: whether records fit together is for the layer above.
#![forbid(unsafe_code)]

mod form;
mod generate;
pub mod lexer;
pub mod master;
pub mod owners;
pub mod rdata;
pub mod records;
mod text;

pub use form::has_form;
pub use master::FindIncluded;
pub use master::NoIncludes;
pub use master::Parsed;
pub use master::Source;
pub use master::parse;
pub use owners::Gathered;
pub use owners::Owner;
pub use owners::Owners;
pub use rdata::parse_rdata;
pub use records::Record;
pub use records::Records;
pub use text::write_rdata;
pub use text::write_record;

/// What to write where a word is no record type.
pub const TYPES_REMEDY: &str = "use a type of IANA's list such as A, MX or HTTPS, or TYPE and its number with \\# data (RFC 3597)";

/// What is wrong at one place of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Octets of the text that are wrong.
    pub span: std::ops::Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

//! Record data as people write it, to wire form without compression, and back.
//!
//! `layout` says which fields a type has; `read` and `write` do the kinds of fields, with one file for each
//! kind that has a grammar of its own.

mod bitmap;
mod digits;
mod gateway;
mod layout;
mod location;
mod moment;
mod number;
mod parameters;
mod prefixes;
mod read;
mod services;
mod text;
mod write;

use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::Fault;
use crate::zonefile::form::has_form;
use crate::zonefile::form::lower_names;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::layout::layout;
use crate::zonefile::rdata::read::Fields;

pub use number::parse_ttl;
pub(super) use write::Octets;
pub(super) use write::Readers;
pub(super) use write::write_fields;

/// Longest data a record can have: its length is a number of two octets.
const RDATA_MAX: usize = 65_535;

/// Reads the data of a record of type `rtype`; relative names end in `origin`.
///
/// The octets are appended to `out`; after a fault it may hold part of them. Names are made lower case. Any type
/// can be written as `\# LENGTH HEX` (RFC 3597 section 5). `end` is where a missing word would stand.
pub fn parse_rdata(
    rtype: RecordType,
    words: &[Word<'_>],
    origin: &Name,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    let mut fields = Fields { words, origin, end, out, start };
    if !rtype.is_data() {
        return Err(fields.fault_here(format!("{rtype} is no type of data"), "take the record out"));
    }
    if words.first().is_some_and(|word| word.text == "\\#" && !word.is_quoted) {
        fields.generic(rtype)?;
    } else if let Some(layout) = layout(rtype) {
        for field in layout {
            fields.field(field)?;
        }
    } else {
        let message = format!("{rtype} data cannot be written in words");
        return Err(fields.fault_here(message, "write it as \\# LENGTH HEX (RFC 3597)"));
    }
    if let Some(extra) = fields.words.first() {
        let message = format!("{rtype} has nothing after its last field");
        return Err(fault(extra, message, "take it out"));
    }
    if fields.out.len() - start > RDATA_MAX {
        let span = words.first().map_or(end..end, |word| word.span.clone());
        let message = "the data is longer than 65,535 octets".into();
        return Err(Fault { span, message, remedy: "split the record".into() });
    }
    Ok(())
}

impl Fields<'_, '_> {
    /// `\# LENGTH HEX...`; the octets must be data of `rtype` all the same.
    fn generic(&mut self, rtype: RecordType) -> Result<(), Fault> {
        self.words = &self.words[1..];
        let at = self.words.first();
        let len: u16 = self.number("a length in octets", "4")?;
        if len > 0 {
            self.hex("data in hexadecimal", "c0a80001")?;
        }
        let octets = &mut self.out[self.start..];
        let (message, remedy) = if usize::from(len) != octets.len() {
            (format!("the length is {len}, but {} octets follow", octets.len()), "make them agree")
        } else if !has_form(rtype, octets) {
            let remedy = "correct them, or write the data in words";
            (format!("these octets are not data of type {rtype}"), remedy)
        } else {
            lower_names(rtype, octets);
            return Ok(());
        };
        Err(match at {
            Some(word) => fault(word, message, remedy),
            None => self.fault_here(message, remedy),
        })
    }
}

/// A fault at a word.
pub(super) fn fault(
    word: &Word<'_>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Fault {
    Fault { span: word.span.clone(), message: message.into(), remedy: remedy.into() }
}

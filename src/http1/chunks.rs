//! The chunked coding (RFC 9112 section 7.1), as strict as hyper has it: line ends are two octets, and what is ignored is bounded.

use crate::http1::Fault;
use crate::http1::Fed;
use crate::http1::Progress;
use crate::http1::head;

/// Most octets of chunk extensions in one body.
pub(super) const EXTENSIONS_MAX: usize = 16 * 1024;

/// Most octets of trailers.
pub(super) const TRAILER_MAX: usize = 16 * 1024;

/// Chunks that are not over yet.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    step: Step,
    /// The size of the present chunk, or what is left of it.
    left: u64,
    /// Octets of extensions so far.
    extensions: usize,
    trailer: Vec<u8>,
    /// Line ends in it.
    lines: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// The first digit of a size.
    #[default]
    Start,
    /// More of it, or what ends it.
    Size,
    /// Blanks behind it.
    Blank,
    Extension,
    /// The second octet of the line end behind a size.
    SizeEnd,
    Data,
    /// The line end behind the data.
    DataCr,
    DataLf,
    /// A trailer, or the empty line behind them.
    Line,
    Trailer,
    TrailerLf,
    LastLf,
    Over,
}

impl Chunks {
    /// Takes octets up to the end of a piece of data, or of the whole.
    pub(super) fn feed<'a>(&mut self, octets: &'a [u8]) -> Result<Fed<'a>, Fault> {
        let mut rest = octets;
        loop {
            match (self.step, rest) {
                (Step::Over, _) => return Ok((Progress::End, rest)),
                (_, []) => return Ok((Progress::More, rest)),
                (Step::Data, _) => {
                    let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.step = Step::DataCr;
                    }
                    let (piece, rest) = rest.split_at(len);
                    return Ok((Progress::Body(piece), rest));
                }
                (step, [octet, behind @ ..]) => {
                    self.step = self.take(step, *octet)?;
                    rest = behind;
                }
            }
        }
    }

    /// Whether the last chunk and all behind it are there.
    pub(super) fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// Takes one octet of what is around the data; what comes next.
    fn take(&mut self, step: Step, octet: u8) -> Result<Step, Fault> {
        Ok(match (step, octet) {
            (Step::Start | Step::Size, octet) if octet.is_ascii_hexdigit() => {
                self.add_digit(octet)?;
                Step::Size
            }
            (Step::Size | Step::Blank, b' ' | b'\t') => Step::Blank,
            (Step::Size | Step::Blank, b';') => Step::Extension,
            (Step::Size | Step::Blank | Step::Extension, b'\r') => Step::SizeEnd,
            // Some take it for the end of the line, and would see other chunks than we do.
            (Step::Extension, b'\n') => return Err(Fault::ChunkSize),
            (Step::Extension, _) => {
                self.extensions += 1;
                if self.extensions > EXTENSIONS_MAX {
                    return Err(Fault::Extensions);
                }
                Step::Extension
            }
            (Step::SizeEnd, b'\n') if self.left == 0 => Step::Line,
            (Step::SizeEnd, b'\n') => Step::Data,
            (Step::Start | Step::Size | Step::Blank | Step::SizeEnd, _) => {
                return Err(Fault::ChunkSize);
            }
            (Step::DataCr, b'\r') => Step::DataLf,
            (Step::DataLf, b'\n') => Step::Start,
            (Step::Data | Step::DataCr | Step::DataLf, _) => return Err(Fault::ChunkEnd),
            (Step::Line | Step::Trailer | Step::TrailerLf | Step::LastLf | Step::Over, octet) => {
                self.take_behind(step, octet)?
            }
        })
    }

    /// Takes one octet of what is behind the last chunk.
    fn take_behind(&mut self, step: Step, octet: u8) -> Result<Step, Fault> {
        let next = match (step, octet) {
            (Step::Line, b'\r') => Step::LastLf,
            (Step::Trailer, b'\r') => Step::TrailerLf,
            (Step::TrailerLf, b'\n') => {
                self.lines += 1;
                Step::Line
            }
            (Step::LastLf, b'\n') => Step::Over,
            (Step::TrailerLf | Step::LastLf, _) => return Err(Fault::Trailer),
            _ => Step::Trailer,
        };
        let is_bare = self.trailer.is_empty() && matches!(next, Step::LastLf | Step::Over);
        if !is_bare {
            self.trailer.push(octet);
            if self.trailer.len() > TRAILER_MAX {
                return Err(Fault::TrailerTooLong);
            }
            if next == Step::Over {
                head::read_trailer(&self.trailer, self.lines)?;
            }
        }
        Ok(next)
    }

    fn add_digit(&mut self, octet: u8) -> Result<(), Fault> {
        let digit = char::from(octet).to_digit(16).map(u64::from).ok_or(Fault::ChunkSize)?;
        let left = self.left.checked_mul(16).and_then(|left| left.checked_add(digit));
        self.left = left.ok_or(Fault::ChunkSize)?;
        Ok(())
    }
}

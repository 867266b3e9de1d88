//! Reads one response of HTTP/1.1 (RFC 9112) as its octets come, for whoever has asked once over a fresh connection.
//!
//! Knows no socket and no time, keeps nothing of a body, and never looks at what follows the response. However the octets
//! are cut into pieces, the same comes out. Start lines and fields are read by httparse; where a response ends is decided here.
#![forbid(unsafe_code)]

mod chunks;
mod fault;
mod gathering;
mod head;

pub use fault::Fault;
pub use gathering::HEAD_MAX;
pub use gathering::INTERIM_MAX;
pub use head::Head;

use crate::http1::chunks::Chunks;
use crate::http1::gathering::Gathering;
use crate::http1::head::Announced;

/// What was asked: it decides whether a response has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The head alone: what it says of a body is not about this response.
    Head,
    /// All of it.
    Whole,
}

/// What some octets came to.
#[derive(Debug)]
pub enum Progress<'a> {
    /// They are used up, and the response goes on.
    More,
    /// The head of the response is there; those of interim responses before it are passed over.
    Head(Head),
    /// A piece of its body.
    Body(&'a [u8]),
    /// It is over.
    End,
}

/// What octets came to, and those of them that are not used up.
type Fed<'a> = (Progress<'a>, &'a [u8]);

/// Reads one response.
///
/// ```text
///  Head ── its head is there ──▶ Left, Chunked ── all came ──▶ End
///                           └──▶ UntilClose
/// ```
///
/// ```
/// use rhumb::http1::{Asked, Progress, Reader};
///
/// let mut reader = Reader::new(Asked::Whole);
/// let (progress, rest) = reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
/// assert!(matches!(progress, Progress::Head(head) if head.status() == 200));
/// let (progress, rest) = reader.feed(rest)?;
/// assert!(matches!(progress, Progress::Body(b"ok")));
/// assert!(matches!(reader.feed(rest)?, (Progress::End, [])));
/// # Ok::<(), rhumb::http1::Fault>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    asked: Asked,
    state: State,
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// A head, perhaps that of an interim response.
    Head(Gathering),
    /// So many octets of a body.
    Left(u64),
    /// Chunks.
    Chunked(Box<Chunks>),
    /// A body that ends with the connection.
    UntilClose,
}

impl Reader {
    /// Nothing has come yet.
    pub fn new(asked: Asked) -> Self {
        Self { asked, state: State::Head(Gathering::default()) }
    }

    /// Takes what came next: as much of it as one step of progress needs, and gives back the rest.
    ///
    /// To be called again with the rest, an empty one too, until it says [`Progress::More`] or [`Progress::End`]. After a
    /// fault nothing sensible comes.
    pub fn feed<'a>(&mut self, octets: &'a [u8]) -> Result<Fed<'a>, Fault> {
        match &mut self.state {
            State::Head(gathering) => {
                let (head, rest) = gathering.feed(octets)?;
                let Some(head) = head else { return Ok((Progress::More, rest)) };
                self.state = State::behind(&head, self.asked)?;
                Ok((Progress::Head(head), rest))
            }
            State::Left(0) => Ok((Progress::End, octets)),
            State::Left(_) | State::UntilClose if octets.is_empty() => Ok((Progress::More, octets)),
            State::Left(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= len as u64;
                let (piece, rest) = octets.split_at(len);
                Ok((Progress::Body(piece), rest))
            }
            State::UntilClose => Ok((Progress::Body(octets), &[])),
            State::Chunked(chunks) => chunks.feed(octets),
        }
    }

    /// Whether a connection that ends now ends the response; else it is cut off, unless it was none.
    pub fn ends_with_connection(&self) -> Result<bool, Fault> {
        match &self.state {
            State::UntilClose | State::Left(0) => Ok(true),
            State::Chunked(chunks) => Ok(chunks.is_over()),
            State::Left(_) => Ok(false),
            State::Head(gathering) => gathering.end().map(|()| false),
        }
    }
}

impl State {
    /// What follows a head (RFC 9112 section 6.3).
    fn behind(head: &Head, asked: Asked) -> Result<Self, Fault> {
        // 101 is never asked for; whoever sends it all the same speaks something else from here on.
        let has_body = asked == Asked::Whole && !matches!(head.status(), 101 | 204 | 304);
        Ok(match head.announced() {
            _ if !has_body => Self::Left(0),
            Announced::Length(length) => Self::Left(length),
            Announced::Chunks => Self::Chunked(Box::default()),
            Announced::Nothing => Self::UntilClose,
            Announced::Nonsense(fault) => return Err(fault),
        })
    }
}

#[cfg(test)]
mod tests;

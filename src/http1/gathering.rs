//! Gathers a head from the pieces in which it comes, and passes over interim responses.

use crate::http1::Fault;
use crate::http1::Head;
use crate::http1::head;

/// Longest head of a response, in octets.
///
/// Source: common servers send at most 16 KiB (Node's default limit).
pub const HEAD_MAX: usize = 16 * 1024;

/// Most interim responses (RFC 9110 section 15.2) before the final one: one is usual, a few come with early hints.
pub const INTERIM_MAX: u8 = 16;

/// A head that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    octets: Vec<u8>,
    /// Empty lines before it, in octets.
    empty: usize,
    /// Up to where its end has been looked for.
    searched: usize,
    /// Whether its first line is whole.
    has_line: bool,
    /// At which length what is there is read the next time, so that nonsense is refused before it ends.
    read_at: usize,
    /// Interim responses that have passed.
    interim: u8,
}

impl Gathering {
    /// Takes octets up to the end of the final response's head.
    pub(super) fn feed<'a>(
        &mut self,
        mut octets: &'a [u8],
    ) -> Result<(Option<Head>, &'a [u8]), Fault> {
        loop {
            let before = self.octets.len();
            let room = HEAD_MAX + 1 - before;
            self.octets.extend_from_slice(&octets[..octets.len().min(room)]);
            let end = self.find_end().filter(|end| *end <= HEAD_MAX);
            let Some(end) = end else {
                self.read_so_far()?;
                return Ok((None, &[]));
            };
            octets = &octets[end - before..];
            self.octets.truncate(end);
            let head = Head::parse(std::mem::take(&mut self.octets), self.empty)?;
            if !head.is_interim() {
                return Ok((Some(head), octets));
            }
            if self.interim == INTERIM_MAX {
                return Err(Fault::Interim);
            }
            *self = Self { interim: self.interim + 1, ..Self::default() };
        }
    }

    /// The end of the head, if it is there: that of its first empty line. Folded lines up to it are unfolded.
    fn find_end(&mut self) -> Option<usize> {
        let octets = &mut self.octets;
        let is_empty_line = |octet: &&u8| matches!(octet, b'\r' | b'\n');
        self.empty += octets[self.empty..].iter().take_while(is_empty_line).count();
        let mut at = self.searched.max(self.empty);
        while let Some(found) = octets[at..].iter().position(|octet| *octet == b'\n') {
            let line_end = at + found;
            match octets[line_end + 1..] {
                [] | [b'\r'] => {
                    self.searched = line_end;
                    return None;
                }
                [b'\n', ..] => return Some(line_end + 2),
                [b'\r', b'\n', ..] => return Some(line_end + 3),
                // RFC 9112 section 5.2: the line before goes on.
                [b' ' | b'\t', ..] if self.has_line => {
                    octets[line_end] = b' ';
                    if octets[line_end - 1] == b'\r' {
                        octets[line_end - 1] = b' ';
                    }
                }
                _ => {}
            }
            self.has_line = true;
            at = line_end + 1;
        }
        self.searched = octets.len();
        None
    }

    /// Refuses what would have become no head, where nothing more comes.
    pub(super) fn end(&self) -> Result<(), Fault> {
        head::read_part(&self.octets)
    }

    /// Refuses what can become no head any more. Looks each time twice as much is there, so that drips cost little.
    fn read_so_far(&mut self) -> Result<(), Fault> {
        let is_full = self.octets.len() > HEAD_MAX;
        if is_full || self.octets.len() >= self.read_at {
            head::read_part(&self.octets)?;
            self.read_at = self.octets.len() * 2;
        }
        if is_full { Err(Fault::HeadTooLong) } else { Ok(()) }
    }
}

//! Looks for a text in a body that arrives in pieces, and keeps no more of it than it must.

use crate::model::check::BODY_MAX;

/// A search over the first [`BODY_MAX`] octets.
pub(in crate::runtime::probe) struct Search<'a> {
    text: &'a [u8],
    /// The end of what was seen: a match may begin in it. Shorter than `text`.
    tail: Vec<u8>,
    seen: usize,
}

/// What a search says after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::probe) enum Progress {
    /// The text is there.
    Found,
    /// The octets that count are over, without it.
    Exhausted,
    /// Not there yet.
    More,
}

impl<'a> Search<'a> {
    pub(in crate::runtime::probe) fn new(text: &'a [u8]) -> Self {
        Self { text, tail: Vec::new(), seen: 0 }
    }

    /// Octets looked at so far, at most [`BODY_MAX`].
    pub(in crate::runtime::probe) fn seen(&self) -> usize {
        self.seen
    }

    /// Looks at the next piece.
    pub(in crate::runtime::probe) fn push(&mut self, piece: &[u8]) -> Progress {
        let piece = &piece[..piece.len().min(BODY_MAX - self.seen)];
        self.seen += piece.len();
        self.tail.extend_from_slice(piece);
        if self.text.is_empty() || self.tail.windows(self.text.len()).any(|w| w == self.text) {
            return Progress::Found;
        }
        let kept = self.tail.len().min(self.text.len() - 1);
        self.tail.drain(..self.tail.len() - kept);
        if self.seen == BODY_MAX { Progress::Exhausted } else { Progress::More }
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use super::Search;
    use crate::model::check::BODY_MAX;

    #[test]
    fn a_match_may_straddle_pieces_of_any_size() {
        let body = b"all systems are ok today";
        for size in 1..body.len() {
            let mut search = Search::new(b"are ok");
            assert!(body.chunks(size).any(|piece| search.push(piece) == Progress::Found), "{size}");
            let mut search = Search::new(b"are not ok");
            assert!(body.chunks(size).all(|piece| search.push(piece) == Progress::More), "{size}");
            assert_eq!(search.seen(), body.len());
        }
    }

    #[test]
    fn only_the_first_64_kib_count_to_the_octet() {
        for (at, progress) in [(BODY_MAX - 2, Progress::Found), (BODY_MAX - 1, Progress::Exhausted)]
        {
            let mut body = vec![b'.'; BODY_MAX + 10];
            body[at..at + 2].copy_from_slice(b"ok");
            let mut search = Search::new(b"ok");
            assert_eq!(search.push(&body), progress);
            assert_eq!(search.seen(), BODY_MAX);
        }
    }

    #[test]
    fn keeps_less_than_the_text() {
        let mut search = Search::new(b"abcdef");
        search.push(&[b'a'; 5000]);
        assert_eq!(search.tail.len(), 5);
    }
}

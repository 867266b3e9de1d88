//! One row of the history: when, which publication, what happened, and what to put back to undo it.
//!
//! ```text
//!  8 octets  when, in microseconds since 1970          8 octets  generation
//!  8 octets  since when nothing is known before it, or all ones
//!  then lines:  e{"at_ms":…}          an event
//!               u key TAB {"kind":…}  the value before; nothing after the TAB: there was none
//!  or, if they are many, one octet z and the lines, compressed by zlib
//! ```
//!
//! Lines of one moment are much alike: a thousand verdicts take a tenth of their room.

use std::borrow::Cow;
use std::io;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::control::event_record::EventRecord;

/// Octets before the lines.
const HEAD: usize = 24;

/// Lines from so many octets on are compressed: less than that is gained by none.
const COMPRESS_FROM: usize = 512;

/// Octets that lines may have: a damaged row is not followed for ever. A moment with a million changes has less.
const LINES_MAX: u64 = 1 << 30;

/// First octet behind the head of a row with compressed lines.
const COMPRESSED: u8 = b'z';

/// No gap.
const NONE: u64 = u64::MAX;

/// The head of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub at: Duration,
    pub generation: u64,
    pub gap_since: Option<Duration>,
}

/// Builds a row.
pub(super) struct RowWriter {
    octets: Vec<u8>,
}

fn micros(instant: Duration) -> u64 {
    u64::try_from(instant.as_micros()).unwrap_or(NONE - 1)
}

impl RowWriter {
    pub(super) fn new(head: Head) -> Self {
        let gap = head.gap_since.map_or(NONE, micros);
        let words = [micros(head.at), head.generation, gap];
        Self { octets: words.into_iter().flat_map(u64::to_le_bytes).collect() }
    }

    pub(super) fn event(&mut self, event: &EventRecord) {
        // A record of texts and numbers can always be written.
        if let Ok(text) = serde_json::to_string(event) {
            self.octets.push(b'e');
            self.octets.extend_from_slice(text.as_bytes());
            self.octets.push(b'\n');
        }
    }

    pub(super) fn undo(&mut self, key: &str, before: Option<&[u8]>) {
        self.octets.push(b'u');
        self.octets.extend_from_slice(key.as_bytes());
        self.octets.push(b'\t');
        self.octets.extend_from_slice(before.unwrap_or_default());
        self.octets.push(b'\n');
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.len() == HEAD
    }

    /// The row as it is written.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let (head, lines) = self.octets.split_at(HEAD);
        if lines.len() < COMPRESS_FROM {
            return Ok(self.octets);
        }
        let mut octets = head.to_vec();
        octets.push(COMPRESSED);
        let mut encoder = ZlibEncoder::new(octets, Compression::fast());
        encoder.write_all(lines)?;
        encoder.finish()
    }
}

/// A row as it was written; `None` of its parts are not as they should be.
pub(super) struct Row<'a> {
    octets: &'a [u8],
}

impl<'a> Row<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    pub(super) fn head(&self) -> Option<Head> {
        let (words, _) = self.octets.get(..HEAD)?.as_chunks::<8>();
        let [at, generation, gap] = [0, 1, 2].map(|at| u64::from_le_bytes(words[at]));
        let gap_since = Some(gap).filter(|gap| *gap != NONE).map(Duration::from_micros);
        Some(Head { at: Duration::from_micros(at), generation, gap_since })
    }

    /// All lines; of compressed ones as much as is whole.
    fn lines(&self) -> Cow<'a, [u8]> {
        let lines = self.octets.get(HEAD..).unwrap_or_default();
        let Some((&COMPRESSED, compressed)) = lines.split_first() else { return lines.into() };
        let mut octets = Vec::new();
        // What cannot be read is like a row that was cut off: its lines are none.
        let _ = ZlibDecoder::new(compressed).take(LINES_MAX).read_to_end(&mut octets);
        octets.into()
    }

    pub(super) fn events(&self) -> Vec<EventRecord> {
        let lines = self.lines();
        let events = lines.split(is_end).filter_map(|line| line.strip_prefix(b"e"));
        events.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Keys with their values before.
    pub(super) fn undo(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let lines = self.lines();
        let undo = lines.split(is_end).filter_map(|line| line.strip_prefix(b"u"));
        let pair = |line: &[u8]| {
            let at = line.iter().position(|octet| *octet == b'\t')?;
            let value = Some(&line[at + 1..]).filter(|value| !value.is_empty());
            Some((std::str::from_utf8(&line[..at]).ok()?.to_owned(), value.map(<[u8]>::to_vec)))
        };
        undo.filter_map(pair).collect()
    }
}

fn is_end(octet: &u8) -> bool {
    *octet == b'\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let head = Head {
            at: Duration::from_micros(1_234_567),
            generation: 9,
            gap_since: Some(Duration::from_secs(1)),
        };
        let mut writer = RowWriter::new(head);
        assert!(writer.is_empty());
        let event =
            EventRecord { event: "verdict".into(), text: "a\nb".into(), ..EventRecord::default() };
        writer.event(&event);
        writer.undo("order pool eu", Some(b"{}"));
        writer.undo("shift canary", None);
        let octets = writer.finish().unwrap();
        let row = Row::new(&octets);
        assert_eq!(row.head(), Some(head));
        assert_eq!(row.events(), [event]);
        let undo = [("order pool eu".into(), Some(b"{}".to_vec())), ("shift canary".into(), None)];
        assert_eq!(row.undo(), undo);
        assert_eq!(Row::new(b"short").head(), None);
    }

    #[test]
    fn a_row_of_many_lines_is_compressed_and_a_damaged_one_has_no_head_too_much() {
        let head = Head { at: Duration::from_secs(1), generation: 9, gap_since: None };
        let mut writer = RowWriter::new(head);
        let event = |number: u64| EventRecord {
            at_ms: number,
            event: "verdict".into(),
            text: format!("pool/{number} is up"),
            ..EventRecord::default()
        };
        (0..1000).for_each(|number| writer.event(&event(number)));
        (0..1000).for_each(|number| writer.undo(&format!("verdict pool/{number}"), None));
        let len = writer.octets.len();
        let octets = writer.finish().unwrap();
        assert!(octets.len() < len / 5, "{} of {len}", octets.len());
        let row = Row::new(&octets);
        assert_eq!(row.head(), Some(head));
        assert_eq!(row.events(), (0..1000).map(event).collect::<Vec<_>>());
        assert_eq!(row.undo().len(), 1000);
        for cut in [HEAD, HEAD + 1, octets.len() / 2] {
            let row = Row::new(&octets[..cut]);
            assert_eq!(row.head(), Some(head));
            assert!(row.undo().is_empty() && row.events().len() < 1000, "{cut}");
        }
    }
}

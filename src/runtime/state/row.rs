//! One row of the history: when, which publication, what happened, and what to put back to undo it.
//!
//! ```text
//!  8 octets  when, in microseconds since 1970          8 octets  generation
//!  8 octets  since when nothing is known before it, or all ones
//!  then lines:  e{"at_ms":…}          an event
//!               u key TAB {"kind":…}  the value before; nothing after the TAB: there was none
//! ```

use std::time::Duration;

use crate::control::event_record::EventRecord;

/// Octets before the lines.
const HEAD: usize = 24;

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

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
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

    fn lines(&self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.octets.get(HEAD..).unwrap_or_default().split(|octet| *octet == b'\n');
        lines.filter(|line| !line.is_empty())
    }

    pub(super) fn events(&self) -> impl Iterator<Item = EventRecord> {
        let lines = self.lines().filter_map(|line| line.strip_prefix(b"e"));
        lines.filter_map(|line| serde_json::from_slice(line).ok())
    }

    /// Keys with their values before.
    pub(super) fn undo(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let lines = self.lines().filter_map(|line| line.strip_prefix(b"u"));
        lines.filter_map(|line| {
            let at = line.iter().position(|octet| *octet == b'\t')?;
            let value = Some(&line[at + 1..]).filter(|value| !value.is_empty());
            Some((std::str::from_utf8(&line[..at]).ok()?, value))
        })
    }
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
        let row = Row::new(writer.octets());
        assert_eq!(row.head(), Some(head));
        assert_eq!(row.events().collect::<Vec<_>>(), [event]);
        let undo: Vec<_> = row.undo().collect();
        assert_eq!(undo, [("order pool eu", Some(&b"{}"[..])), ("shift canary", None)]);
        assert_eq!(Row::new(b"short").head(), None);
    }
}

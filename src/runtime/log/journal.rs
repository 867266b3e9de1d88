//! Lines for the journal of systemd: each begins with its weight, as `<4>` (sd-daemon(3)).

use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use tracing::Level;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Says whether standard error goes to the journal: systemd names that stream by device and inode.
pub(super) fn receives_stderr() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let stderr = std::fs::metadata("/proc/self/fd/2").ok();
    let Some((named, stderr)) = named.zip(stderr) else { return false };
    named == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// Makes a [`LineWriter`] for each event.
pub(super) struct JournalWriter;

impl<'w> MakeWriter<'w> for JournalWriter {
    type Writer = LineWriter<io::Stderr>;

    fn make_writer(&'w self) -> Self::Writer {
        LineWriter { weight: weight(Level::INFO), sink: io::stderr() }
    }

    fn make_writer_for(&'w self, event: &Metadata<'_>) -> Self::Writer {
        LineWriter { weight: weight(*event.level()), sink: io::stderr() }
    }
}

/// The weight of syslog(3).
fn weight(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Writes one event, whose lines all have the same weight; it comes in one piece.
pub(super) struct LineWriter<W> {
    weight: u8,
    sink: W,
}

impl<W: Write> Write for LineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut weighted = Vec::with_capacity(event.len() + 16);
        for line in event.split_inclusive(|octet| *octet == b'\n') {
            weighted.extend_from_slice(&[b'<', b'0' + self.weight, b'>']);
            weighted.extend_from_slice(line);
        }
        self.sink.write_all(&weighted)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_an_event_has_its_weight() {
        let mut writer = LineWriter { weight: weight(Level::ERROR), sink: Vec::new() };
        writer.write_all(b"files refused\nerror: zones/a.toml\n").unwrap();
        assert_eq!(writer.sink, b"<3>files refused\n<3>error: zones/a.toml\n");
    }
}

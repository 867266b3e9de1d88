//! Compression over a whole connection (RFC 1951): what one message says, the next one mostly repeats.

use flate2::Compress;
use flate2::Compression;
use flate2::Decompress;
use flate2::FlushCompress;
use flate2::FlushDecompress;

use crate::cluster::gossip::GOSSIP_MAX;

/// What goes out of one connection.
pub(super) struct Deflate(Compress);

/// What comes in by one connection.
pub(super) struct Inflate(Decompress);

impl Deflate {
    pub(super) fn new() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }

    /// The next message, so that the other end can read it whole.
    pub(super) fn press(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() / 2 + 128);
        let mut rest = message;
        loop {
            let before = self.0.total_in();
            // It fails only after the end of the stream, which never comes.
            let _ = self.0.compress_vec(rest, &mut out, FlushCompress::Sync);
            rest = &rest[(self.0.total_in() - before) as usize..];
            if rest.is_empty() && out.len() < out.capacity() {
                return out;
            }
            out.reserve(out.capacity().max(1024));
        }
    }
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// The next message; `None` if it is broken or longer than one may be.
    pub(super) fn unfold(&mut self, content: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity((content.len() * 4).clamp(1024, GOSSIP_MAX));
        let mut rest = content;
        loop {
            let (read, written) = (self.0.total_in(), self.0.total_out());
            self.0.decompress_vec(rest, &mut out, FlushDecompress::Sync).ok()?;
            rest = &rest[(self.0.total_in() - read) as usize..];
            if out.len() > GOSSIP_MAX {
                return None;
            }
            if rest.is_empty() && out.len() < out.capacity() {
                return Some(out);
            }
            let is_stuck = self.0.total_in() == read && self.0.total_out() == written;
            if is_stuck && out.len() < out.capacity() {
                return None;
            }
            out.reserve(out.capacity().min(GOSSIP_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_and_repeats_cost_little() {
        let (mut deflate, mut inflate) = (Deflate::new(), Inflate::new());
        let message: Vec<u8> =
            (0..3000u32).flat_map(|number| (number * number).to_le_bytes()).collect();
        let first = deflate.press(&message);
        assert_eq!(inflate.unfold(&first).unwrap(), message);
        let second = deflate.press(&message);
        assert_eq!(inflate.unfold(&second).unwrap(), message);
        assert!(second.len() * 10 < first.len(), "{} then {}", first.len(), second.len());
        for length in [0, 1, 100, GOSSIP_MAX] {
            let message = vec![7; length];
            let pressed = deflate.press(&message);
            assert_eq!(inflate.unfold(&pressed).map(|out| out.len()), Some(length));
        }
    }

    #[test]
    fn a_bomb_and_nonsense_are_refused() {
        let bomb = Deflate::new().press(&vec![0; 50 * GOSSIP_MAX]);
        assert!(bomb.len() < GOSSIP_MAX);
        assert_eq!(Inflate::new().unfold(&bomb), None);
        assert_eq!(Inflate::new().unfold(&[0xff; 50]), None);
    }
}

//! Bitmaps of record types (RFC 4034 section 4.1.2).

use crate::wire::RecordType;
use crate::zonefile::Fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::read::Fields;
use crate::zonefile::rdata::write::Octets;
use crate::zonefile::rdata::write::Words;

/// Most octets of one window: 256 types.
const WINDOW_MAX: usize = 32;

impl Fields<'_, '_> {
    /// Types to the end, in any order; there may be none.
    pub fn types(&mut self, of: &Field) -> Result<(), Fault> {
        let mut types = Vec::with_capacity(self.words.len());
        while !self.words.is_empty() {
            types.push(self.record_type(of)?.0);
        }
        types.sort_unstable();
        for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
            let mut bits = [0u8; WINDOW_MAX];
            let mut len = 0;
            for rtype in window {
                let [_, low] = rtype.to_be_bytes();
                bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
                len = low / 8 + 1;
            }
            self.out.extend_from_slice(&[window[0].to_be_bytes()[0], len]);
            self.out.extend_from_slice(&bits[..len.into()]);
        }
        Ok(())
    }
}

impl Words<'_> {
    /// Windows in ascending order, none empty, none with zeros at its end.
    pub fn types(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let mut least = 0;
        while !octets.rest.is_empty() {
            let window = octets.u8()?;
            let bits = octets.text()?;
            let is_right = u16::from(window) >= least
                && bits.len() <= WINDOW_MAX
                && bits.last().is_some_and(|last| *last != 0);
            is_right.then_some(())?;
            least = u16::from(window) + 1;
            for (position, octet) in (0u16..).step_by(8).zip(bits) {
                for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                    self.record_type(RecordType(u16::from(window) << 8 | (position + bit)))?;
                }
            }
        }
        Some(())
    }
}

//! The reply to a signed query when no key is known: a TSIG record without a signature (RFC 8945 section 5.2.1).
//!
//! Knows no keys and signs nothing.

use crate::wire::compress::NAME_MAX;
use crate::wire::compress::expand;
use crate::wire::compress::name_len;
use crate::wire::header::read_u16;
use crate::wire::rdata::RecordType;

/// Error "key not recognized" (RFC 8945 section 3).
const BADKEY: u16 = 17;

/// Class ANY, in which TSIG records stand (RFC 8945 section 4.2).
pub const CLASS_ANY: u16 = 255;

/// Octets of a TSIG record besides its names: fixed part, time, fudge, and four numbers.
const FIXED_LEN: usize = 10 + 16;

/// Longest record: both names are as long as names can be.
const RECORD_MAX: usize = 2 * NAME_MAX + FIXED_LEN;

/// Where a query's TSIG record is in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TsigPlace {
    owner: u16,
    rdata: u16,
}

impl TsigPlace {
    /// The place of a record whose owner and data begin at these offsets; `None` if the data is malformed.
    ///
    /// The algorithm is a name in full, the lengths of signature and other data fit (RFC 8945 section 4.2).
    pub fn new(owner: usize, rdata_start: usize, rdata: &[u8]) -> Option<Self> {
        let algorithm = name_len(rdata)?;
        let mac_len = usize::from(read_u16(rdata, algorithm + 8)?);
        let other_at = algorithm + 10 + mac_len + 4;
        let other_len = usize::from(read_u16(rdata, other_at)?);
        (other_at + 2 + other_len == rdata.len()).then_some(())?;
        Some(Self { owner: u16::try_from(owner).ok()?, rdata: u16::try_from(rdata_start).ok()? })
    }
}

/// A TSIG record that says BADKEY, taken from a query before the reply is written over it.
#[derive(Clone, Copy, Debug)]
pub struct UnsignedTsig {
    octets: [u8; RECORD_MAX],
    len: usize,
}

impl UnsignedTsig {
    /// Repeats key, algorithm, time and fudge of the record at `place`; `None` if the key's name cannot be read.
    pub fn of(packet: &[u8], place: TsigPlace) -> Option<Self> {
        let mut key = [0; NAME_MAX];
        let key_len = expand(packet, usize::from(place.owner), &mut key)?;
        let rdata = packet.get(usize::from(place.rdata)..)?;
        let algorithm = rdata.get(..name_len(rdata)?)?;
        let times = rdata.get(algorithm.len()..algorithm.len() + 8)?;
        let rdata_len = (algorithm.len() + 16) as u16;
        let mut record = Self { octets: [0; RECORD_MAX], len: 0 };
        record.append(&key[..key_len]);
        record.append(&RecordType::TSIG.0.to_be_bytes());
        record.append(&CLASS_ANY.to_be_bytes());
        record.append(&[0; 4]);
        record.append(&rdata_len.to_be_bytes());
        record.append(algorithm);
        record.append(times);
        record.append(&[0, 0]); // no signature
        record.append(packet.get(..2)?);
        record.append(&BADKEY.to_be_bytes());
        record.append(&[0, 0]); // nothing else
        Some(record)
    }

    /// Adds the record to a finished reply of `len` octets, if `limit` allows; returns the new length.
    pub fn append_to(&self, frame: &mut [u8], len: usize, limit: usize) -> usize {
        let end = len + self.len;
        if end > limit.min(frame.len()) {
            return len;
        }
        frame[len..end].copy_from_slice(&self.octets[..self.len]);
        let count = u16::from_be_bytes([frame[10], frame[11]]) + 1;
        frame[10..12].copy_from_slice(&count.to_be_bytes());
        end
    }

    fn append(&mut self, octets: &[u8]) {
        self.octets[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rdata with a signature of three octets.
    const RDATA: &[u8] =
        b"\x03alg\x00\x01\x02\x03\x04\x05\x06\x01\x2c\x00\x03mac\xbe\xef\x00\x00\x00\x00";

    #[test]
    fn a_record_is_one_only_if_its_lengths_fit() {
        assert!(TsigPlace::new(12, 22, RDATA).is_some());
        for len in 0..RDATA.len() {
            assert_eq!(TsigPlace::new(12, 22, &RDATA[..len]), None, "{len}");
        }
        assert_eq!(TsigPlace::new(12, 22, &[RDATA, b"x"].concat()), None);
        assert_eq!(TsigPlace::new(12, 22, &[b"\xc0\x0c", &RDATA[5..]].concat()), None);
    }

    #[test]
    fn the_reply_repeats_the_key_and_says_badkey() {
        let packet = [&b"\xbe\xef\0\0\0\0\0\0\0\0\0\0\x01k\0"[..], RDATA].concat();
        let place = TsigPlace::new(12, 15, RDATA).unwrap();
        let record = UnsignedTsig::of(&packet, place).unwrap();
        let mut frame = [0; 100];
        let len = record.append_to(&mut frame, 12, 100);
        assert_eq!(
            &frame[12..len],
            b"\x01k\0\x00\xfa\x00\xff\0\0\0\0\x00\x15\x03alg\0\x01\x02\x03\x04\x05\x06\x01\x2c\0\0\xbe\xef\x00\x11\0\0"
        );
        assert_eq!(frame[10..12], [0, 1]);
        assert_eq!(record.append_to(&mut frame, 12, len - 1), 12, "no room");
    }
}

//! Numbers and short texts in octets, as frames and values have them. Reading is total: what is not there is `None`.

/// Octets being read.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'o> {
    left: &'o [u8],
}

impl<'o> Reader<'o> {
    pub(crate) fn new(octets: &'o [u8]) -> Self {
        Self { left: octets }
    }

    /// So many octets.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'o [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (octets, left) = self.left.split_first_chunk::<8>()?;
        self.left = left;
        Some(u64::from_be_bytes(*octets))
    }

    /// A number of seven bits an octet, low ones first (LEB128), in its shortest form.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = self.u8()?;
            let bits = u64::from(octet & 0x7f);
            let placed = bits << shift;
            if placed >> shift != bits {
                return None;
            }
            number |= placed;
            if octet & 0x80 == 0 {
                return (octet != 0 || shift == 0).then_some(number);
            }
        }
        None
    }

    /// A number that counts something, at most `most`.
    pub(crate) fn count(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= most)
    }

    /// Octets after their length in one octet.
    pub(crate) fn short(&mut self) -> Option<&'o [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'o [u8] {
        std::mem::take(&mut self.left)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

/// Writes a number as [`Reader::number`] reads it.
pub(crate) fn put_number(octets: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        octets.push(number as u8 | 0x80);
        number >>= 7;
    }
    octets.push(number as u8);
}

/// Writes octets after their length.
///
/// # Panics
/// If there are more than 255: names and topics are shorter.
pub(crate) fn put_short(octets: &mut Vec<u8>, text: &[u8]) {
    octets.push(u8::try_from(text.len()).expect("names and topics are shorter than 256 octets"));
    octets.extend(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_one_form() {
        for wrong in [&[][..], &[0x80], &[0x80, 0], &[0xff; 10], &[0xff; 11]] {
            assert_eq!(Reader::new(wrong).number(), None, "{wrong:?}");
        }
        let most = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(Reader::new(&most).number(), Some(u64::MAX));
        assert_eq!(Reader::new(&[5]).count(4), None);
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(number in any::<u64>(), shift in 0..64u32) {
            let number = number >> shift;
            let mut octets = Vec::new();
            put_number(&mut octets, number);
            let mut reader = Reader::new(&octets);
            prop_assert_eq!(reader.number(), Some(number));
            prop_assert!(reader.is_empty());
        }
    }
}

//! Names that a reply has already, so that later ones can point to them (RFC 1035 section 4.1.4).
//!
//! Writes nothing itself. Compares octets, not meaning: letters are equal in either case (RFC 4343).

/// Most names remembered, suffixes included: 13 servers of three labels each, and the question's.
const NAMES_MAX: usize = 64;

/// Of the question's name: itself, and its shortest suffixes. An address written backwards has 34.
const QUESTION_NAMES_MAX: usize = 16;

/// Furthest offset that a pointer can name, in octets (RFC 1035 section 4.1.4).
const POINTER_MAX: usize = 0x3fff;

/// Longest name in wire form, in octets (RFC 1035 section 2.3.4).
pub const NAME_MAX: usize = 255;

/// The names of a reply, longest first of each. Most replies have none to remember, and make no table.
#[derive(Clone, Debug, Default)]
pub struct Names(Option<Table>);

#[derive(Clone, Debug)]
struct Table {
    starts: [u16; NAMES_MAX],
    /// Octets each name has when it is written in full: most comparisons end here.
    lens: [u8; NAMES_MAX],
    count: u8,
}

impl Names {
    /// How many are remembered.
    pub fn count(&self) -> u8 {
        self.0.as_ref().map_or(0, |table| table.count)
    }

    /// Forgets all but the first `count`.
    pub fn cut(&mut self, count: u8) {
        if let Some(table) = &mut self.0 {
            table.count = count;
        }
    }

    /// Remembers an uncompressed name of the message and its suffixes, as far as there is room.
    pub fn add_question(&mut self, message: &[u8], start: usize) {
        let name = &message[start..];
        let mut len = 1;
        let mut label_count = 0usize;
        while name[len - 1] != 0 {
            len += 1 + usize::from(name[len - 1]);
            label_count += 1;
        }
        let skipped = label_count.saturating_sub(QUESTION_NAMES_MAX - 1).max(1);
        let mut at = 0;
        for label in 0..label_count {
            if label == 0 || label >= skipped {
                self.add(start + at, len - at);
            }
            at += 1 + usize::from(name[at]);
        }
    }

    /// Remembers the name of `len` octets that begins at `start`, unless no pointer can get there.
    pub fn add(&mut self, start: usize, len: usize) {
        let empty = || Table { starts: [0; NAMES_MAX], lens: [0; NAMES_MAX], count: 0 };
        let table = self.0.get_or_insert_with(empty);
        let slot = usize::from(table.count);
        if slot < NAMES_MAX && start <= POINTER_MAX {
            table.starts[slot] = start as u16;
            table.lens[slot] = len as u8;
            table.count += 1;
        }
    }

    /// Where `name`, in wire form, begins in the message.
    pub fn find(&self, message: &[u8], name: &[u8]) -> Option<usize> {
        let table = self.0.as_ref()?;
        let lens = &table.lens[..usize::from(table.count)];
        let all = lens.iter().zip(&table.starts);
        let same_len = all.filter(|(len, _)| usize::from(**len) == name.len());
        let mut starts = same_len.map(|(_, &start)| usize::from(start));
        starts.find(|&start| is_name_at(message, start, name))
    }
}

/// Whether the name at `at` is `name`; `message` is one of our own, whose pointers lead back.
pub fn is_name_at(message: &[u8], mut at: usize, mut name: &[u8]) -> bool {
    loop {
        let octet = message[at];
        if octet >= 0xc0 {
            at = usize::from(octet & 0x3f) << 8 | usize::from(message[at + 1]);
            continue;
        }
        let end = 1 + usize::from(octet);
        // A length is below 64, so it is no letter.
        if name.len() < end || !message[at..at + end].eq_ignore_ascii_case(&name[..end]) {
            return false;
        }
        if octet == 0 {
            return true;
        }
        at += end;
        name = &name[end..];
    }
}

/// Writes the name at `at` of a message into `out`, in full and with its case; returns its length.
///
/// `None` if it is cut or too long, or a pointer does not lead back: so it ends, whoever wrote the message.
pub fn expand(message: &[u8], mut at: usize, out: &mut [u8; NAME_MAX]) -> Option<usize> {
    let mut len = 0;
    let mut before = at;
    loop {
        match *message.get(at)? {
            0 => {
                *out.get_mut(len)? = 0;
                return Some(len + 1);
            }
            octet @ 1..=63 => {
                let label = message.get(at..=at + usize::from(octet))?;
                out.get_mut(len..len + label.len())?.copy_from_slice(label);
                len += label.len();
                at += label.len();
            }
            octet @ 192..=255 => {
                at = usize::from(octet & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                if at >= before {
                    return None;
                }
                before = at;
            }
            64..=191 => return None,
        }
    }
}

/// Octets of the uncompressed name that `octets` begin with; `None` if there is none.
pub fn name_len(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match usize::from(*octets.get(at)?) {
            0 => return (at < NAME_MAX).then_some(at + 1),
            len @ 1..=63 => at += 1 + len,
            _ => return None,
        }
    }
}

/// Where the name at `start` ends; a compression pointer ends it (RFC 1035 section 4.1.4) and is not followed.
pub fn skip_name(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            // 254: as in a question's name, the root octet still has to fit.
            len @ 1..=63 if at + 1 + usize::from(len) - start <= 254 => at += 1 + usize::from(len),
            1..=63 => return None,
            192..=255 => return packet.get(at + 1).map(|_| at + 2),
            64..=191 => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"\x01A\x03bcd\x00\x02xy\xc0\x02\xc0\x07\xc0\x0e\x41";

    fn expanded(at: usize) -> Option<Vec<u8>> {
        let mut out = [0; NAME_MAX];
        expand(MESSAGE, at, &mut out).map(|len| out[..len].to_vec())
    }

    #[test]
    fn names_are_found_by_themselves_and_by_suffix_in_any_case() {
        let mut names = Names::default();
        names.add_question(MESSAGE, 0);
        names.add(7, 8);
        assert_eq!(names.find(MESSAGE, b"\x01a\x03BCD\x00"), Some(0));
        assert_eq!(names.find(MESSAGE, b"\x03bcd\x00"), Some(2));
        assert_eq!(names.find(MESSAGE, b"\x02xy\x03bcd\x00"), Some(7));
        assert_eq!(names.find(MESSAGE, b"\x02xz\x03bcd\x00"), None);
        assert_eq!(names.find(MESSAGE, b"\x00"), None, "the root costs one octet, a pointer two");
        names.cut(2);
        assert_eq!(names.find(MESSAGE, b"\x02xy\x03bcd\x00"), None);
    }

    #[test]
    fn a_name_of_many_labels_is_remembered_by_its_ends() {
        let name = [&b"\x01x".repeat(100)[..], b"\0"].concat();
        let mut names = Names::default();
        names.add_question(&name, 0);
        assert_eq!(usize::from(names.count()), QUESTION_NAMES_MAX);
        assert_eq!(names.find(&name, &name), Some(0));
        assert_eq!(names.find(&name, &name[2..]), None);
        assert_eq!(names.find(&name, &name[198..]), Some(198));
        assert_eq!(names.find(&name, &name[170..]), Some(170));
    }

    #[test]
    fn nothing_is_remembered_where_no_pointer_gets_to_or_no_room_is_left() {
        let mut names = Names::default();
        names.add(POINTER_MAX + 1, 3);
        assert_eq!(names.count(), 0);
        (0..100).for_each(|start| names.add(start, 3));
        assert_eq!(usize::from(names.count()), NAMES_MAX);
    }

    #[test]
    fn pointers_are_followed_back_and_no_further() {
        assert_eq!(expanded(0).unwrap(), b"\x01A\x03bcd\x00");
        assert_eq!(expanded(7).unwrap(), b"\x02xy\x03bcd\x00");
        assert_eq!(expanded(12).unwrap(), b"\x02xy\x03bcd\x00");
        assert_eq!(expanded(14), None, "a pointer to itself");
        assert_eq!(expanded(16), None, "a label that is cut or of a type nobody knows");
        assert_eq!(expanded(17), None);
        let forward = [&[0xc0, 2, 0xc0, 0][..], &[0]].concat();
        assert_eq!(expand(&forward, 0, &mut [0; NAME_MAX]), None);
        let long = [&[63; 64][..], &[63; 64], &[63; 64], &[63; 64], &[0]].concat();
        assert_eq!(expand(&long, 0, &mut [0; NAME_MAX]), None);
        assert_eq!(expand(&long[64..], 0, &mut [0; NAME_MAX]), Some(193));
    }

    #[test]
    fn the_length_of_a_name_is_known_only_if_it_is_one() {
        assert_eq!(name_len(b"\x01a\x00more"), Some(3));
        assert_eq!(name_len(b"\x00"), Some(1));
        for bad in [&b""[..], b"\x01a", b"\xc0\x0c", b"\x40"] {
            assert_eq!(name_len(bad), None);
        }
    }
}

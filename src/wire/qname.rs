//! The name of a question: a copy on the stack, lower case, with the place of each label.

use crate::wire::Name;

/// Most labels a name can have without its root: 127 of one octet each (RFC 1035 section 2.3.4).
const LABELS_MAX: usize = 127;

/// A question's name, lower case, in wire form.
#[derive(Clone, Copy)]
pub struct Qname {
    octets: [u8; 255],
    len: u8,
    label_count: u8,
    starts: [u8; LABELS_MAX],
}

impl Qname {
    /// The root, to be filled by [`Qname::read`].
    #[inline]
    pub fn blank() -> Self {
        Self { octets: [0; 255], len: 1, label_count: 0, starts: [0; LABELS_MAX] }
    }

    /// Reads the uncompressed name at the start of `octets`; `None` if it is none, or has a compression pointer.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let mut name = Self::blank();
        name.read(octets).map(|()| name)
    }

    /// As [`Qname::parse`], into a blank name; [`Qname::wire_len`] tells how many octets it took.
    #[inline]
    pub fn read(&mut self, octets: &[u8]) -> Option<()> {
        let mut at = 0usize;
        let mut label_count = 0u8;
        loop {
            let len = usize::from(*octets.get(at)?);
            if len == 0 {
                break;
            }
            // 254: the root octet still has to fit.
            if len > 63 || at + 1 + len > 254 {
                return None;
            }
            self.starts[usize::from(label_count)] = at as u8;
            label_count += 1;
            at += 1 + len;
        }
        let source = octets.get(..=at)?;
        for (to, from) in self.octets[..=at].iter_mut().zip(source) {
            *to = from.to_ascii_lowercase(); // a label's length is below 64 and stays as it is
        }
        self.label_count = label_count;
        self.len = (at + 1) as u8;
        Some(())
    }

    /// Wire octets, root octet included.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Octets the name takes in a message.
    #[inline]
    pub fn wire_len(&self) -> usize {
        usize::from(self.len)
    }

    /// Labels without the root.
    #[inline]
    pub fn label_count(&self) -> usize {
        usize::from(self.label_count)
    }

    /// Where the suffix of the last `labels` labels starts in [`Qname::as_wire`].
    #[inline]
    pub fn suffix_start(&self, labels: usize) -> usize {
        if labels == 0 {
            return usize::from(self.len) - 1;
        }
        usize::from(self.starts[usize::from(self.label_count) - labels])
    }

    /// The suffix of the last `labels` labels, in wire form.
    #[inline]
    pub fn suffix(&self, labels: usize) -> &[u8] {
        &self.as_wire()[self.suffix_start(labels)..]
    }

    /// The name as an owned value, for cold paths.
    pub fn to_name(&self) -> Name {
        Name::from_wire(self.as_wire()).expect("a question's name was checked when it was parsed")
    }
}

impl std::fmt::Debug for Qname {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.to_name())
    }
}

impl From<&Name> for Qname {
    fn from(name: &Name) -> Self {
        Self::parse(name.as_wire()).expect("a Name is in wire form")
    }
}

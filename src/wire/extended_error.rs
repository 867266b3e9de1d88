//! What a reply says of why it is worse than it should be (RFC 8914).

/// An extended error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtendedError<'a> {
    /// What kind it is.
    pub info: u16,
    /// What to tell people, in parts.
    pub text: [&'a str; 4],
}

impl ExtendedError<'_> {
    /// Octets of the text.
    pub(super) fn text_len(&self) -> usize {
        self.text.iter().map(|part| part.len()).sum()
    }
}

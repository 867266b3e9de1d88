//! Hints in the data of SVCB and HTTPS records that are still to be filled in (RFC 9460 section 7.3).
//!
//! `ipv4hint=auto` is kept as a hint of no octets, which no record on the wire may have.

use crate::wire::compress::name_len;

/// Key of `ipv4hint`.
pub const IPV4_HINT: u16 = 4;

/// Key of `ipv6hint`.
pub const IPV6_HINT: u16 = 6;

/// Octets of a parameter's key and length.
pub const PARAMETER_HEAD_LEN: usize = 4;

/// Where the first hint stands that is to be filled in, and its key; at `from` or behind it.
///
/// `from` is 0, or where a parameter ends. ```ipv4hint=auto``` is `00 04 00 00`:
///
/// ```
/// use rhumb::wire::service::IPV4_HINT;
/// use rhumb::wire::service::find_auto;
/// assert_eq!(find_auto(&[0, 1, 0, 0, 4, 0, 0], 0), Some((3, IPV4_HINT)));
/// assert_eq!(find_auto(&[0, 1, 0, 0, 4, 0, 4, 192, 0, 2, 1], 0), None);
/// ```
pub fn find_auto(rdata: &[u8], from: usize) -> Option<(usize, u16)> {
    let mut at = match from {
        0 => 2 + name_len(rdata.get(2..)?)?,
        from => from,
    };
    loop {
        let head = rdata.get(at..at + PARAMETER_HEAD_LEN)?;
        let (key, len) =
            (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
        if len == 0 && (key == IPV4_HINT || key == IPV6_HINT) {
            return Some((at, key));
        }
        at += PARAMETER_HEAD_LEN + usize::from(len);
    }
}

//! Records and EDNS options of any message, found without reading rdata: padding, and the TTL of a whole reply.
//!
//! For transports that act on a finished message; the answer path does not come here.

use std::ops::Range;

use crate::wire::RecordType;
use crate::wire::compress::skip_name;
use crate::wire::header::HEADER_LEN;
use crate::wire::header::read_u16;

/// Padding (RFC 7830).
pub const PADDING: u16 = 12;

/// TCP keepalive (RFC 7828); forbidden in QUIC (RFC 9250 section 5.5.2).
pub const TCP_KEEPALIVE: u16 = 11;

/// Replies are padded to a multiple of this many octets (RFC 8467 section 4.1).
const PADDING_BLOCK: usize = 468;

/// Octets of an option's code and length.
const OPTION_HEADER: usize = 4;

/// Section of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// What stands between a record's owner and its rdata, and where its rdata is.
struct Record {
    section: Section,
    rtype: RecordType,
    ttl: u32,
    rdata: Range<usize>,
}

/// Whether a message has an option in its OPT record.
pub fn has_option(message: &[u8], code: u16) -> bool {
    let Some(opt) = find_opt(message) else { return false };
    let mut at = opt.rdata.start;
    while let (Some(found), Some(len)) = (read_u16(message, at), read_u16(message, at + 2)) {
        if at + OPTION_HEADER > opt.rdata.end {
            break;
        }
        if found == code {
            return true;
        }
        at += OPTION_HEADER + usize::from(len);
    }
    false
}

/// The least TTL of a reply's answers and authorities; `None` if it has neither.
pub fn least_ttl(message: &[u8]) -> Option<u32> {
    let counted = |record: &Record| record.section != Section::Additional;
    records(message).filter(counted).map(|record| record.ttl).min()
}

/// Pads the reply in `frame[..len]` to a whole block, or as far as `frame` goes; returns its new length.
///
/// Only a reply that ends with its OPT record is padded; ours do.
pub fn pad(frame: &mut [u8], len: usize) -> usize {
    let Some(opt) = find_opt(&frame[..len]).filter(|opt| opt.rdata.end == len) else { return len };
    let block_end = (len + OPTION_HEADER).next_multiple_of(PADDING_BLOCK);
    let end = block_end.min(frame.len()).min(usize::from(u16::MAX));
    let Some(padding) = end.checked_sub(len + OPTION_HEADER) else { return len };
    let rdata_len = opt.rdata.len() + OPTION_HEADER + padding;
    let Ok(rdata_len) = u16::try_from(rdata_len) else { return len };
    frame[opt.rdata.start - 2..opt.rdata.start].copy_from_slice(&rdata_len.to_be_bytes());
    frame[len..len + 2].copy_from_slice(&PADDING.to_be_bytes());
    frame[len + 2..len + OPTION_HEADER].copy_from_slice(&(padding as u16).to_be_bytes());
    frame[len + OPTION_HEADER..end].fill(0);
    end
}

fn find_opt(message: &[u8]) -> Option<Record> {
    let is_opt =
        |record: &Record| record.section == Section::Additional && record.rtype == RecordType::OPT;
    records(message).find(is_opt)
}

/// Every record up to the first that is cut short.
fn records(message: &[u8]) -> impl Iterator<Item = Record> + '_ {
    let count = |at| usize::from(read_u16(message, at).unwrap_or(0));
    let mut at = (0..count(4)).try_fold(HEADER_LEN, |at, _| Some(skip_name(message, at)? + 4));
    let sections = [Section::Answer, Section::Authority, Section::Additional];
    let counts = [count(6), count(8), count(10)];
    let all = sections.into_iter().zip(counts);
    let all = all.flat_map(|(section, count)| std::iter::repeat_n(section, count));
    all.map_while(move |section| {
        let start = skip_name(message, at?)?;
        let ttl = message.get(start + 4..start + 8)?.first_chunk::<4>()?;
        let end = start + 10 + usize::from(read_u16(message, start + 8)?);
        at = (end <= message.len()).then_some(end);
        Some(Record {
            section,
            rtype: RecordType(read_u16(message, start)?),
            ttl: u32::from_be_bytes(*ttl),
            rdata: start + 10..at?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::HEADER_LEN;
    use super::PADDING;
    use super::TCP_KEEPALIVE;
    use super::has_option;
    use super::least_ttl;
    use super::pad;

    /// A question for `a.` A, answers with these TTLs, and an OPT with these options.
    fn message(ttls: &[u32], options: Option<&[u8]>) -> Vec<u8> {
        let mut octets = vec![0; HEADER_LEN];
        octets[5] = 1;
        octets[7] = ttls.len() as u8;
        octets[11] = u8::from(options.is_some());
        octets.extend([1, b'a', 0, 0, 1, 0, 1]);
        for ttl in ttls {
            octets.extend([0xc0, 12, 0, 1, 0, 1]);
            octets.extend(ttl.to_be_bytes());
            octets.extend([0, 4, 192, 0, 2, 1]);
        }
        if let Some(options) = options {
            octets.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
            octets.extend((options.len() as u16).to_be_bytes());
            octets.extend(options);
        }
        octets
    }

    fn padded(message: &[u8], room: usize) -> Vec<u8> {
        let mut frame = vec![0xff; room];
        frame[..message.len()].copy_from_slice(message);
        let len = pad(&mut frame, message.len());
        frame.truncate(len);
        frame
    }

    #[test]
    fn options_are_found_behind_others_and_not_in_their_data() {
        let options = [0, 3, 0, 2, 0, 11, 0, 12, 0, 0];
        assert!(has_option(&message(&[], Some(&options)), PADDING));
        assert!(!has_option(&message(&[], Some(&options)), TCP_KEEPALIVE));
        assert!(!has_option(&message(&[], None), PADDING));
        assert!(!has_option(&[], PADDING));
    }

    #[test]
    fn a_reply_is_padded_to_whole_blocks_of_468_octets_and_still_reads_the_same() {
        for answers in [0, 1, 26, 27, 28, 60] {
            let plain = message(&vec![30; answers], Some(&[0, 3, 0, 1, b'x']));
            let long = padded(&plain, 65_535);
            assert_eq!(long.len() % 468, 0, "{answers} answers");
            assert!(long.len() - plain.len() < 468 + 4);
            assert!(has_option(&long, PADDING) && has_option(&long, 3));
            assert_eq!(least_ttl(&long), least_ttl(&plain));
        }
    }

    #[test]
    fn what_cannot_be_padded_stays_as_it_is() {
        let without_opt = message(&[30], None);
        assert_eq!(padded(&without_opt, 2000), without_opt);
        let plain = message(&[30], Some(&[]));
        assert_eq!(padded(&plain, plain.len() + 3), plain, "no room for an option");
        assert_eq!(padded(&plain, plain.len() + 9).len(), plain.len() + 9, "as far as it goes");
    }

    #[test]
    fn the_least_ttl_counts_and_the_flags_of_opt_do_not() {
        assert_eq!(least_ttl(&message(&[300, 30, 60], Some(&[]))), Some(30));
        assert_eq!(least_ttl(&message(&[], Some(&[]))), None);
    }

    #[test]
    fn messages_cut_anywhere_are_survived() {
        let whole = message(&[1, 2, 3], Some(&[0, 12, 0, 3, 0, 0, 0]));
        for len in 0..=whole.len() {
            let mut cut = whole[..len].to_vec();
            has_option(&cut, PADDING);
            least_ttl(&cut);
            assert!(pad(&mut cut, len) <= len.max(12));
        }
        assert_eq!(least_ttl(&[0xff; 40]), None, "pointers and counts that lead nowhere");
    }
}

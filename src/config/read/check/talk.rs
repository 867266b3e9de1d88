//! What is sent and what must come back, of `kind = "tcp"` and others like it.

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::read::check::read_needle;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::rules;
use crate::model::Talk;

/// Most octets that are sent or looked for.
const OCTETS_MAX: usize = 1024;

/// `send`, `expect` and their siblings; nothing if one of them is said twice.
pub(super) fn read_talk(section: &mut Section<'_>, problems: &mut Problems) -> Option<Talk> {
    let send = read_octets(section, ["send", "send_hex"], problems);
    let expect = read_octets(section, ["expect", "expect_hex"], problems);
    Some(Talk { send: send?, expect: expect? })
}

/// The same for datagrams, of which one must be sent: nobody speaks first.
pub(super) fn read_datagrams(section: &mut Section<'_>, problems: &mut Problems) -> Option<Talk> {
    let has_typo = ["send", "send_hex"].iter().any(|key| section.has_typo_of(key));
    let talk = read_talk(section, problems)?;
    if talk.send.is_none() && !has_typo {
        let path = format!("{}.send", section.path);
        let remedy = "add send = \"…\", or send_hex = \"…\"";
        problems
            .error(&section.place, path, "nothing is sent, so nothing can come back", remedy)
            .rule(&rules::MISSING_KEY);
        return None;
    }
    Some(talk)
}

/// Octets as a text or in hexadecimal, not both.
fn read_octets(
    section: &mut Section<'_>,
    [plain, hex]: [&'static str; 2],
    problems: &mut Problems,
) -> Option<Option<Box<[u8]>>> {
    let (of_text, of_hex) = (section.take(plain), section.take(hex));
    match (of_text, of_hex) {
        (Some(first), Some(second)) => {
            let fault = format!("{plain} and {hex} say the same thing");
            let also = (first.key_place.clone(), "the other is here");
            problems
                .error_with(&second.key_place, &second.path, fault, "keep one of them", also)
                .rule(&rules::DUPLICATE_VALUE);
            None
        }
        (Some(value), None) => {
            let text: Option<At<String>> = value.parsed(read_needle, problems);
            text.map(|at| Some(at.value.into_bytes().into()))
        }
        (None, Some(value)) => value.parsed(read_hex, problems).map(|at| Some(at.value)),
        (None, None) => Some(None),
    }
}

/// `"0a0b 0c"`
fn read_hex(text: &str) -> Result<Box<[u8]>, Refusal> {
    let pairs = text.split(' ').flat_map(|run| run.as_bytes().chunks(2));
    let octet = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8);
            Some(digit(*high)? << 4 | digit(*low)?)
        }
        _ => None,
    };
    let octets: Option<Vec<u8>> = pairs.map(octet).collect();
    match octets {
        Some(octets) if (1..=OCTETS_MAX).contains(&octets.len()) => Ok(octets.into()),
        Some(octets) => {
            Err((format!("these are {} octets", octets.len()), "use 1 to 1024 octets".into()))
        }
        None => Err((
            format!("\"{text}\" is not hexadecimal"),
            "write two digits for each octet, as \"0d0a\"".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::read_hex;

    #[test]
    fn octets_are_pairs_of_digits_with_blanks_between_them() {
        assert_eq!(read_hex("0d0A").unwrap()[..], [13, 10]);
        assert_eq!(read_hex(" ff 00 7f80 ").unwrap()[..], [255, 0, 127, 128]);
        for wrong in ["", " ", "0", "0d0", "0d 0", "zz", "+1", "0x0d", "é"] {
            assert!(read_hex(wrong).is_err(), "{wrong}");
        }
        assert!(read_hex(&"00".repeat(1025)).is_err());
    }
}

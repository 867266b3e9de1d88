//! 256 words in 128 octets: four bits each, the first word in the low bits.
//!
//! ```text
//!   0 unknown   1 up   2..=8 up at level 1..=7   9 held   10 down   11 abstains   others: unknown
//! ```

use crate::model::LEVEL_MAX;
use crate::model::Word;

/// Targets of a full shard.
pub const SHARD_LEN: usize = 256;

/// Packs at most [`SHARD_LEN`] words.
pub fn pack(words: &[Word]) -> Box<[u8]> {
    let pair = |pair: &[Word]| {
        let high = pair.get(1).map_or(0, |word| nibble(*word));
        nibble(pair[0]) | high << 4
    };
    words.chunks(2).map(pair).collect()
}

/// The word at a place of a packed shard; unknown beyond its end.
pub fn word_at(shard: &[u8], place: usize) -> Word {
    let Some(octet) = shard.get(place / 2) else { return Word::Unknown };
    let nibble = if place.is_multiple_of(2) { octet & 15 } else { octet >> 4 };
    match nibble {
        1 => Word::Up(0),
        2..=8 => Word::Up(nibble - 1),
        9 => Word::Held,
        10 => Word::Down,
        11 => Word::Abstain,
        _ => Word::Unknown,
    }
}

/// Whether these octets are the words of `count` targets, and nothing more.
pub fn is_shard(octets: &[u8], count: usize) -> bool {
    octets.len() == count.div_ceil(2)
}

/// Places below `count` at which two packed shards differ.
pub fn differing(one: &[u8], other: &[u8], count: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |place| {
        one.get(place / 2) != other.get(place / 2) && word_at(one, *place) != word_at(other, *place)
    })
}

fn nibble(word: Word) -> u8 {
    match word {
        Word::Unknown => 0,
        Word::Up(level) => 1 + level.min(LEVEL_MAX),
        Word::Held => 9,
        Word::Down => 10,
        Word::Abstain => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_word() -> impl Strategy<Value = Word> {
        (0u8..12).prop_map(|nibble| word_at(&[nibble], 0))
    }

    #[test]
    fn the_twelve_words_have_a_nibble_each() {
        let words: Vec<Word> = (0..12).map(|nibble| word_at(&[nibble], 0)).collect();
        for (number, word) in words.iter().enumerate() {
            assert_eq!(usize::from(nibble(*word)), number);
            assert_eq!(words.iter().filter(|other| *other == word).count(), 1, "{word:?}");
        }
        assert_eq!(words[8], Word::Up(LEVEL_MAX));
        assert_eq!(pack(&[Word::Down, Word::Held, Word::Up(2)])[..], [0x9a, 0x03]);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read(words in prop::collection::vec(any_word(), 0..=SHARD_LEN)) {
            let packed = pack(&words);
            prop_assert!(is_shard(&packed, words.len()));
            let read: Vec<Word> = (0..words.len()).map(|place| word_at(&packed, place)).collect();
            prop_assert_eq!(read, words);
        }

        #[test]
        fn any_octets_are_words(octets in prop::collection::vec(any::<u8>(), 0..200), place in 0usize..600) {
            let word = word_at(&octets, place);
            prop_assert!(place < octets.len() * 2 || word == Word::Unknown);
        }

        #[test]
        fn differences_are_where_words_differ(
            one in prop::collection::vec(any::<u8>(), 0..6),
            other in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let found: Vec<usize> = differing(&one, &other, 10).collect();
            let is_other = |place: &usize| word_at(&one, *place) != word_at(&other, *place);
            prop_assert_eq!(found, (0..10).filter(is_other).collect::<Vec<_>>());
        }
    }
}

//! Nodes of one site to one vote of the site.

use crate::model::Anchors;
use crate::model::Word;

/// What a site says: what most of its nodes that vote say. Where two answers have as many it abstains.
///
/// As for sites, a node that does not trust a target yet counts with those that say down against it being up. The level
/// is the lower median of those that say up.
pub fn word_of_site(words: impl Iterator<Item = Word> + Clone) -> Word {
    let count = |wanted: fn(Word) -> bool| words.clone().filter(|word| wanted(*word)).count();
    let voting = count(Word::is_vote);
    if voting == 0 {
        let is_silent = words.clone().all(|word| word == Word::Unknown);
        return if is_silent { Word::Unknown } else { Word::Abstain };
    }
    let down = count(|word| word == Word::Down);
    let distrusted = count(|word| matches!(word, Word::Down | Word::Held));
    if down * 2 > voting {
        Word::Down
    } else if down * 2 == voting || distrusted * 2 == voting {
        Word::Abstain
    } else if distrusted * 2 > voting {
        Word::Held
    } else {
        Word::Up(lower_median(words))
    }
}

/// The lower median of the levels of those that say up; 0 if nobody does.
pub fn lower_median(words: impl Iterator<Item = Word>) -> u8 {
    let level = |word: Word| match word {
        Word::Up(level) => Some(level),
        Word::Unknown | Word::Held | Word::Down | Word::Abstain => None,
    };
    let mut levels: Vec<u8> = words.filter_map(level).collect();
    levels.sort_unstable();
    let middle = levels.len().saturating_sub(1) / 2;
    levels.get(middle).copied().unwrap_or(0)
}

/// Whether a site's own network works: what more of its nodes say that have anchors.
pub fn anchors_of_site(nodes: impl Iterator<Item = Anchors> + Clone) -> Anchors {
    let count = |wanted| nodes.clone().filter(|anchors| *anchors == wanted).count();
    let (pass, fail) = (count(Anchors::Pass), count(Anchors::Fail));
    match (pass, fail) {
        (0, 0) => Anchors::Unset,
        _ if pass > fail => Anchors::Pass,
        _ => Anchors::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Word = Word::Up(0);

    fn merged(words: &[Word]) -> Word {
        word_of_site(words.iter().copied())
    }

    #[test]
    fn most_nodes_speak_for_their_site_and_a_tie_for_nobody() {
        use Word::*;
        for (words, word) in [
            (&[][..], Unknown),
            (&[Unknown, Unknown], Unknown),
            (&[Unknown, Abstain], Abstain),
            (&[Down], Down),
            (&[Down, Unknown, Abstain], Down),
            (&[Down, UP], Abstain),
            (&[Down, Down, UP], Down),
            (&[Down, UP, UP], UP),
            (&[Held], Held),
            (&[Held, UP], Abstain),
            (&[Held, Held, UP], Held),
            (&[Down, Held, UP], Held),
            (&[Down, Held], Abstain),
            (&[Down, Down, UP, UP], Abstain),
        ] {
            assert_eq!(merged(words), word, "{words:?}");
        }
    }

    #[test]
    fn the_level_is_the_lower_median_of_the_nodes_that_say_up() {
        assert_eq!(merged(&[Word::Up(3), Word::Up(1)]), Word::Up(1));
        assert_eq!(merged(&[Word::Up(3), Word::Up(1), Word::Up(2)]), Word::Up(2));
        assert_eq!(merged(&[Word::Up(3), Word::Up(2), Word::Down]), Word::Up(2));
    }

    #[test]
    fn anchors_of_a_site_pass_if_more_nodes_say_so() {
        use Anchors::*;
        for (nodes, site) in [
            (&[][..], Unset),
            (&[Unset], Unset),
            (&[Pass, Unset], Pass),
            (&[Pass, Fail], Fail),
            (&[Pass, Pass, Fail], Pass),
            (&[Fail], Fail),
        ] {
            assert_eq!(anchors_of_site(nodes.iter().copied()), site, "{nodes:?}");
        }
    }
}

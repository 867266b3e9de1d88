//! What the loss of voters alone may do to a verdict.
//!
//! By the design a majority is one of the sites that vote, so where sites differ a loss may decide between them. Three things hold
//! always: where all say the same nobody's loss says otherwise, who is lost takes no target his own way, and if as many
//! sites as a number asks for cannot vote, nothing is decided.

use rhumb::model::Anchors;
use rhumb::model::Percent;
use rhumb::model::Quorum;
use rhumb::model::Verdict;
use rhumb::model::Word;
use rhumb::quorum::Decision;
use rhumb::quorum::SiteVote;
use rhumb::quorum::Terms;
use rhumb::quorum::decide;

use crate::any_word;
use crate::random::Random;
use crate::random::for_each_seed_of;

fn verdict(votes: &[SiteVote], terms: Terms) -> Option<Verdict> {
    match decide(votes, terms) {
        Decision::Agreed { verdict, .. } => Some(verdict),
        Decision::TooFew { .. } => None,
    }
}

pub fn any_quorum(random: &mut Random) -> Quorum {
    match random.below(4) {
        0 => Quorum::AtLeast(1 + random.below(9) as u8),
        1 => Quorum::Share(Percent(random.below(101) as u8)),
        _ => Quorum::Majority,
    }
}

#[test]
fn the_loss_of_voters_alone_turns_no_verdict_that_those_who_are_left_agree_on() {
    for_each_seed_of(20_000, 1_000_000, |seed| {
        let mut random = Random::new(seed);
        let sites = 1 + random.below(7) as usize;
        let quorum = any_quorum(&mut random);
        let word = any_word(&mut random);
        let is_unanimous = random.chance(50);
        let anchors = [Anchors::Unset, Anchors::Pass, Anchors::Fail];
        let vote = |_| SiteVote {
            word: if is_unanimous { word } else { any_word(&mut random) },
            anchors: *random.pick(&anchors),
            is_at_home: false,
        };
        let before: Vec<SiteVote> = (0..sites).map(vote).collect();
        let mut after = before.clone();
        for vote in &mut after {
            if random.chance(40) {
                (vote.word, vote.anchors) = (Word::Unknown, Anchors::Unset);
            }
        }
        let terms = Terms { quorum, sites };
        let (Some(was), Some(is)) = (verdict(&before, terms), verdict(&after, terms)) else {
            return;
        };
        if is_unanimous {
            assert_eq!(is, was, "{before:?}, {after:?}, {quorum:?}");
        }
        let lost = |is_of: fn(Word) -> bool| {
            let all = before.iter().zip(&after);
            let mut lost = all.filter(|(before, after)| before.word != after.word);
            lost.all(|(before, _)| is_of(before.word) || !before.word.is_vote())
        };
        if lost(|word| word == Word::Down) && was != Verdict::Down {
            assert_ne!(is, Verdict::Down, "who said down is lost: {before:?}, {quorum:?}");
        }
        if lost(|word| matches!(word, Word::Up(_))) && was != Verdict::Up {
            assert_ne!(is, Verdict::Up, "who said up is lost: {before:?}, {quorum:?}");
        }
    });
}

#[test]
fn as_many_sites_as_a_number_asks_for_must_vote() {
    let vote = |word| SiteVote { word, anchors: Anchors::Unset, is_at_home: false };
    let terms = |count| Terms { quorum: Quorum::AtLeast(count), sites: 3 };
    let two_left = [vote(Word::Down), vote(Word::Down), vote(Word::Unknown)];
    assert_eq!(decide(&two_left, terms(3)), Decision::TooFew { voting: 2, needed: 3 });
    assert_eq!(decide(&two_left, terms(9)), Decision::TooFew { voting: 2, needed: 3 });
    assert_eq!(verdict(&two_left, terms(2)), Some(Verdict::Down));
    let two_up = [vote(Word::Up(0)), vote(Word::Up(0)), vote(Word::Unknown)];
    assert_eq!(verdict(&two_up, terms(3)), None, "it cannot come up for want of voters either");
}

//! Votes of nodes to votes of sites, and votes of sites to one verdict.
//!
//! Pure arithmetic: who may vote and whose vote is alive is settled before, and so is what holds while too few vote.
#![forbid(unsafe_code)]

pub mod site;

use crate::model::Anchors;
use crate::model::Quorum;
use crate::model::Verdict;
use crate::model::Word;

pub use site::anchors_of_site;
pub use site::lower_median;
pub use site::word_of_site;

/// What one site says of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteVote {
    /// What it says, its nodes taken together.
    pub word: Word,
    /// Whether its own network works.
    pub anchors: Anchors,
    /// Whether the target stands at this very site.
    pub is_at_home: bool,
}

/// What a verdict needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How many sites must agree.
    pub quorum: Quorum,
    /// How many sites have a vote by the configuration, whether they live or not.
    pub sites: usize,
}

/// What votes come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Fewer sites vote than must: what held before goes on.
    TooFew {
        /// How many vote.
        voting: usize,
        /// How many must.
        needed: usize,
    },
    /// They agree.
    Agreed {
        /// On what.
        verdict: Verdict,
        /// How slow the target is where it is up, as a level of its check.
        level: u8,
        /// How many vote.
        voting: usize,
    },
}

/// What sites agree on.
///
/// A target is down if as many of the voting sites as the quorum wants say so. It is held if as many say that it is
/// down or not to be trusted yet; else it is up, as slow as the lower median of the sites that say so. Sites that
/// do not vote count nowhere but in the least number of voters.
pub fn decide(votes: &[SiteVote], terms: Terms) -> Decision {
    let heeded: Vec<&SiteVote> = votes.iter().filter(|vote| is_heeded(vote, votes)).collect();
    let voting = heeded.len();
    let needed = voters_needed(terms.sites, &heeded);
    if voting < needed {
        return Decision::TooFew { voting, needed };
    }
    // Where fewer vote than must agree, nobody has said that the target is up: those are lost who would have to say more.
    let agreeing = sites_needed(terms, voting);
    let all = votes.iter().filter(|vote| vote.word.is_vote()).count();
    if all < agreeing {
        return Decision::TooFew { voting: all, needed: agreeing };
    }
    let count = |word: Word| heeded.iter().filter(|vote| vote.word == word).count();
    let (down, held) = (count(Word::Down), count(Word::Held));
    let verdict = if down >= agreeing {
        Verdict::Down
    } else if down + held >= agreeing {
        Verdict::Held
    } else {
        Verdict::Up
    };
    let level = match verdict {
        Verdict::Up => lower_median(heeded.iter().map(|vote| vote.word)),
        Verdict::Unknown | Verdict::Held | Verdict::Down => 0,
    };
    Decision::Agreed { verdict, level, voting }
}

/// Whether a vote counts. A site's good word for what stands at the site itself is no veto: what a site whose network
/// works cannot reach from outside is of no use to clients.
pub fn is_heeded(vote: &SiteVote, votes: &[SiteVote]) -> bool {
    let passes = matches!(vote.word, Word::Up(_) | Word::Held);
    let is_contradicted = || {
        votes.iter().any(|other| {
            !other.is_at_home && other.word == Word::Down && other.anchors == Anchors::Pass
        })
    };
    vote.word.is_vote() && !(vote.is_at_home && passes && is_contradicted())
}

/// How many sites must vote: more than half of those configured. Of two one is enough if its anchors say that it is the
/// other one that is lost.
fn voters_needed(sites: usize, heeded: &[&SiteVote]) -> usize {
    match (sites, heeded) {
        (2, [only]) if only.anchors == Anchors::Pass => 1,
        _ => sites / 2 + 1,
    }
}

/// How many of the voting sites must agree.
fn sites_needed(terms: Terms, voting: usize) -> usize {
    match terms.quorum {
        Quorum::Majority => voting / 2 + 1,
        Quorum::AtLeast(count) => usize::from(count).min(terms.sites).max(1),
        Quorum::Share(share) => {
            let share = (voting * usize::from(share.0)).div_ceil(100);
            share.max(voting.min(2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Percent;

    const UP: Word = Word::Up(0);
    const DOWN: Word = Word::Down;
    const HELD: Word = Word::Held;

    fn votes(words: &[Word]) -> Vec<SiteVote> {
        let vote =
            |word: &Word| SiteVote { word: *word, anchors: Anchors::Unset, is_at_home: false };
        words.iter().map(vote).collect()
    }

    fn verdict_of(quorum: Quorum, sites: usize, votes: &[SiteVote]) -> Option<Verdict> {
        match decide(votes, Terms { quorum, sites }) {
            Decision::Agreed { verdict, .. } => Some(verdict),
            Decision::TooFew { .. } => None,
        }
    }

    fn by_majority(words: &[Word]) -> Option<Verdict> {
        verdict_of(Quorum::Majority, words.len(), &votes(words))
    }

    #[test]
    fn one_site_decides_alone_and_of_two_both_must_agree() {
        assert_eq!(by_majority(&[DOWN]), Some(Verdict::Down));
        assert_eq!(by_majority(&[HELD]), Some(Verdict::Held));
        assert_eq!(by_majority(&[DOWN, UP]), Some(Verdict::Up));
        assert_eq!(by_majority(&[DOWN, DOWN]), Some(Verdict::Down));
    }

    #[test]
    fn a_majority_of_those_that_vote_decides() {
        assert_eq!(by_majority(&[DOWN, DOWN, UP]), Some(Verdict::Down));
        assert_eq!(by_majority(&[DOWN, UP, UP]), Some(Verdict::Up));
        assert_eq!(by_majority(&[DOWN, DOWN, UP, UP]), Some(Verdict::Up));
        assert_eq!(by_majority(&[DOWN, DOWN, Word::Unknown]), Some(Verdict::Down));
        assert_eq!(by_majority(&[DOWN, UP, Word::Abstain]), Some(Verdict::Up));
    }

    #[test]
    fn what_a_majority_does_not_trust_yet_is_held() {
        assert_eq!(by_majority(&[DOWN, HELD, UP]), Some(Verdict::Held));
        assert_eq!(by_majority(&[HELD, HELD, UP]), Some(Verdict::Held));
        assert_eq!(by_majority(&[HELD, UP, UP]), Some(Verdict::Up));
        assert_eq!(by_majority(&[DOWN, DOWN, HELD]), Some(Verdict::Down));
    }

    #[test]
    fn too_few_voters_decide_nothing() {
        for (sites, voting, decides) in
            [(1, 1, true), (2, 1, false), (3, 1, false), (3, 2, true), (5, 2, false), (5, 3, true)]
        {
            let mut words = vec![Word::Abstain; sites];
            words[..voting].fill(DOWN);
            let verdict = verdict_of(Quorum::Majority, sites, &votes(&words));
            assert_eq!(verdict.is_some(), decides, "{voting} of {sites}");
        }
        let none =
            decide(&votes(&[Word::Unknown; 3]), Terms { quorum: Quorum::Majority, sites: 3 });
        assert_eq!(none, Decision::TooFew { voting: 0, needed: 2 });
        assert_eq!(verdict_of(Quorum::AtLeast(1), 3, &votes(&[DOWN])), None);
    }

    #[test]
    fn of_two_sites_one_is_enough_if_its_anchors_pass() {
        for (anchors, verdict) in
            [(Anchors::Pass, Some(Verdict::Down)), (Anchors::Fail, None), (Anchors::Unset, None)]
        {
            let mut votes = votes(&[DOWN, Word::Unknown]);
            votes[0].anchors = anchors;
            assert_eq!(verdict_of(Quorum::Majority, 2, &votes), verdict, "{anchors:?}");
            assert_eq!(verdict_of(Quorum::Majority, 3, &votes), None, "of three two are needed");
        }
    }

    #[test]
    fn a_good_word_for_ones_own_is_no_veto() {
        let mut two = votes(&[UP, DOWN]);
        two[0].is_at_home = true;
        assert_eq!(verdict_of(Quorum::Majority, 2, &two), Some(Verdict::Up), "no anchors agree");
        two[1].anchors = Anchors::Fail;
        assert_eq!(verdict_of(Quorum::Majority, 2, &two), Some(Verdict::Up));
        two[1].anchors = Anchors::Pass;
        assert_eq!(verdict_of(Quorum::Majority, 2, &two), Some(Verdict::Down));
        two[0].is_at_home = false;
        assert_eq!(verdict_of(Quorum::Majority, 2, &two), Some(Verdict::Up), "it is not its own");
        let mut three = votes(&[UP, DOWN, UP]);
        three[0].is_at_home = true;
        three[1].anchors = Anchors::Pass;
        assert_eq!(
            verdict_of(Quorum::Majority, 3, &three),
            Some(Verdict::Up),
            "another one says up"
        );
        three[2].word = Word::Abstain;
        assert_eq!(verdict_of(Quorum::Majority, 3, &three), None, "one of three is too few");
        let mut own = votes(&[DOWN, UP, UP]);
        own[0] = SiteVote { is_at_home: true, anchors: Anchors::Pass, ..own[0] };
        own[1].is_at_home = true;
        assert_eq!(verdict_of(Quorum::Majority, 3, &own), Some(Verdict::Up), "its own bad word");
    }

    #[test]
    fn a_check_may_want_another_quorum() {
        let one_of_three = votes(&[DOWN, UP, UP]);
        assert_eq!(verdict_of(Quorum::AtLeast(1), 3, &one_of_three), Some(Verdict::Down));
        assert_eq!(verdict_of(Quorum::AtLeast(2), 3, &one_of_three), Some(Verdict::Up));
        let two_of_three = votes(&[DOWN, DOWN, UP]);
        assert_eq!(verdict_of(Quorum::AtLeast(3), 3, &two_of_three), Some(Verdict::Up));
        assert_eq!(verdict_of(Quorum::AtLeast(9), 1, &votes(&[DOWN])), Some(Verdict::Down));
        let share = |percent| Quorum::Share(Percent(percent));
        assert_eq!(verdict_of(share(60), 3, &two_of_three), Some(Verdict::Down));
        assert_eq!(verdict_of(share(67), 3, &two_of_three), Some(Verdict::Up));
        assert_eq!(verdict_of(share(10), 3, &one_of_three), Some(Verdict::Up), "two at least");
        assert_eq!(verdict_of(share(10), 3, &two_of_three), Some(Verdict::Down));
        assert_eq!(verdict_of(share(100), 1, &votes(&[DOWN])), Some(Verdict::Down));
    }

    #[test]
    fn slowness_is_the_lower_median_of_the_sites_that_say_up() {
        let level = |words: &[Word]| match decide(
            &votes(words),
            Terms { quorum: Quorum::Majority, sites: words.len() },
        ) {
            Decision::Agreed { verdict, level, .. } => Some((verdict, level)),
            Decision::TooFew { .. } => None,
        };
        let ups = |levels: &[u8]| levels.iter().map(|level| Word::Up(*level)).collect::<Vec<_>>();
        assert_eq!(level(&ups(&[0, 3, 2])), Some((Verdict::Up, 2)));
        assert_eq!(level(&ups(&[3, 1, 2, 0])), Some((Verdict::Up, 1)));
        assert_eq!(level(&[Word::Up(4), DOWN, Word::Up(1)]), Some((Verdict::Up, 1)));
        assert_eq!(level(&[DOWN, DOWN, Word::Up(4)]), Some((Verdict::Down, 0)));
    }
}

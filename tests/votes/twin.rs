//! The quorum rule once more: slow, and word by word as the design has it.

use rhumb::model::Anchors;
use rhumb::model::Quorum;
use rhumb::model::Verdict;
use rhumb::model::Word;
use rhumb::quorum::SiteVote;

/// What votes come to; `None`: too few vote, what held before goes on.
///
/// "One vote a site. Down if a majority of voting sites say so, and at least two when two or more vote. A site's up for its
/// own endpoints does not veto when another site votes down and its anchors pass. min_voters = floor(n/2) + 1 of the
/// configured sites; for two sites 1, if its own anchors pass. Too few voters: hold. A lost peer link never marks an endpoint
/// down." Where a check wants a number of sites, fewer voters than these are too few: they could never say down, and their
/// silence would say up.
pub fn verdict(votes: &[SiteVote], quorum: Quorum, configured: usize) -> Option<(Verdict, u8)> {
    let mut voters: Vec<SiteVote> = Vec::new();
    for (position, vote) in votes.iter().enumerate() {
        match vote.word {
            Word::Unknown | Word::Abstain => continue,
            Word::Up(_) | Word::Held | Word::Down => {}
        }
        let mut is_vetoing_for_itself = vote.is_at_home && vote.word != Word::Down;
        if is_vetoing_for_itself {
            is_vetoing_for_itself = false;
            for (other_position, other) in votes.iter().enumerate() {
                let is_another = other_position != position && !other.is_at_home;
                if is_another && other.word == Word::Down && other.anchors == Anchors::Pass {
                    is_vetoing_for_itself = true;
                }
            }
        }
        if !is_vetoing_for_itself {
            voters.push(*vote);
        }
    }
    let mut voters_min = configured / 2 + 1;
    if configured == 2 && voters.len() == 1 && voters[0].anchors == Anchors::Pass {
        voters_min = 1;
    }
    if voters.len() < voters_min {
        return None;
    }
    let who_vote = votes.iter().filter(|vote| !matches!(vote.word, Word::Unknown | Word::Abstain));
    if let Quorum::AtLeast(count) = quorum
        && who_vote.count() < usize::from(count).min(configured)
    {
        return None;
    }
    let mut down = 0;
    let mut down_or_held = 0;
    let mut levels = Vec::new();
    for vote in &voters {
        match vote.word {
            Word::Down => {
                down += 1;
                down_or_held += 1;
            }
            Word::Held => down_or_held += 1,
            Word::Up(level) => levels.push(level),
            Word::Unknown | Word::Abstain => {}
        }
    }
    let agree = |sites: usize| match quorum {
        Quorum::Majority => sites * 2 > voters.len(),
        Quorum::AtLeast(count) if usize::from(count) >= configured => sites >= configured.max(1),
        Quorum::AtLeast(count) => sites >= usize::from(count),
        Quorum::Share(share) => {
            let is_share = sites * 100 >= usize::from(share.0) * voters.len();
            is_share && (voters.len() < 2 || sites >= 2) && sites >= 1
        }
    };
    if agree(down) {
        return Some((Verdict::Down, 0));
    }
    if agree(down_or_held) {
        return Some((Verdict::Held, 0));
    }
    levels.sort_unstable();
    let lower_median = if levels.is_empty() { 0 } else { levels[(levels.len() - 1) / 2] };
    Some((Verdict::Up, lower_median))
}

/// What nodes of one site come to: what most of those that vote say; a tie abstains.
pub fn word_of_site(nodes: &[Word]) -> Word {
    let votes: Vec<Word> = nodes.iter().copied().filter(|word| word.is_vote()).collect();
    if votes.is_empty() {
        let all_silent = nodes.iter().all(|word| *word == Word::Unknown);
        return if all_silent { Word::Unknown } else { Word::Abstain };
    }
    // Two questions: is it down, and is it trusted? Either may end in a tie.
    let down = votes.iter().filter(|word| **word == Word::Down).count();
    let not_down = votes.len() - down;
    let trusted = votes.iter().filter(|word| matches!(word, Word::Up(_))).count();
    let not_trusted = votes.len() - trusted;
    if down > not_down {
        return Word::Down;
    }
    if down == not_down || trusted == not_trusted {
        return Word::Abstain;
    }
    if not_trusted > trusted {
        return Word::Held;
    }
    let mut levels: Vec<u8> = Vec::new();
    for vote in votes {
        if let Word::Up(level) = vote {
            levels.push(level);
        }
    }
    levels.sort_unstable();
    Word::Up(levels[(levels.len() - 1) / 2])
}

//! Votes of sites to one verdict.
//!
//! Pure arithmetic: who may vote and whose vote is fresh is settled before.
#![forbid(unsafe_code)]

use crate::model::Verdict;

/// What the voting sites agree on; with no vote at all, what held before.
///
/// Down needs a majority of the voting sites, and at least two of them when two or more vote: a lone site that lost
/// its network takes nothing down. `Unknown` abstains.
pub fn decide(votes: impl IntoIterator<Item = Verdict>, before: Verdict) -> Verdict {
    let (mut up, mut held, mut down) = (0u32, 0u32, 0u32);
    for vote in votes {
        match vote {
            Verdict::Unknown => {}
            Verdict::Up => up += 1,
            Verdict::Held => held += 1,
            Verdict::Down => down += 1,
        }
    }
    let voting = up + held + down;
    if voting == 0 {
        before
    } else if down * 2 > voting && (down >= 2 || voting == 1) {
        Verdict::Down
    } else if held > up {
        Verdict::Held
    } else {
        Verdict::Up
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::*;
    use super::*;

    #[test]
    fn one_site_decides_alone_and_two_must_agree() {
        assert_eq!(decide([Down], Up), Down);
        assert_eq!(decide([Down, Up], Up), Up);
        assert_eq!(decide([Down, Down], Up), Down);
        assert_eq!(decide([Down, Down, Up], Up), Down);
        assert_eq!(decide([Down, Up, Unknown], Up), Up);
        assert_eq!(decide([Down, Unknown, Unknown], Up), Down);
    }

    #[test]
    fn without_votes_the_verdict_stays() {
        assert_eq!(decide([], Down), Down);
        assert_eq!(decide([Unknown], Up), Up);
    }
}

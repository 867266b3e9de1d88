//! Members of the chosen pool: the best few by rendezvous.

use crate::model::ANSWERS_MAX;
use crate::steering::first::Alternative;
use crate::steering::first::Reciprocal;
use crate::steering::first::first_of;
use crate::steering::plan::Member;
use crate::steering::rendezvous::Bar;
use crate::steering::rendezvous::ClientKey;
use crate::steering::rendezvous::NameSeed;
use crate::steering::rendezvous::Score;

impl Alternative for Member {
    #[inline]
    fn seed(&self) -> NameSeed {
        self.seed
    }

    #[inline]
    fn weight(&self) -> u16 {
        self.weight
    }

    #[inline]
    fn reciprocal(&self) -> Reciprocal {
        self.reciprocal
    }
}

/// Members to answer with, best first.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    members: [Option<&'a Member>; ANSWERS_MAX],
}

impl<'a> Chosen<'a> {
    /// The members, best first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a Member> + '_ {
        self.members.iter().map_while(|member| *member)
    }
}

/// Takes the best `answers` of `members` for one client, 1 to [`ANSWERS_MAX`].
#[inline]
pub fn choose(members: &[Member], answers: u8, key: ClientKey) -> Chosen<'_> {
    let mut chosen = Chosen { members: [None; ANSWERS_MAX] };
    if let Some(only) = only(members, answers, || key) {
        chosen.members[0] = Some(only);
        return chosen;
    }
    let wanted = usize::from(answers).clamp(1, ANSWERS_MAX);
    let mut scores: [Option<Score>; ANSWERS_MAX] = [None; ANSWERS_MAX];
    let mut bar: Option<Bar> = None;
    for member in members {
        let score = match bar {
            None => Some(Score::of(key, member.seed, member.weight)),
            Some(bar) => bar.beaten_by(key, member.seed, member.weight),
        };
        let Some(score) = score else { continue };
        // The place to put it: before the first that it beats.
        let place =
            scores[..wanted].iter().position(|other| other.is_none_or(|other| score.beats(other)));
        let Some(place) = place else { continue };
        scores[place..wanted].rotate_right(1);
        chosen.members[place..wanted].rotate_right(1);
        scores[place] = Some(score);
        chosen.members[place] = Some(member);
        bar = scores[wanted - 1].and_then(Bar::new);
    }
    chosen
}

/// The member that answers if it is but one; `key` is asked for only where it matters.
#[inline]
pub fn only(members: &[Member], answers: u8, key: impl FnOnce() -> ClientKey) -> Option<&Member> {
    match members {
        [only] => Some(only),
        _ if answers <= 1 => first_of(members, key()),
        _ => None,
    }
}

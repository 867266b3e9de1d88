//! This node's own words: when they count, when they are withdrawn, and when they are said.

use std::collections::HashMap;
use std::time::Duration;

use crate::cluster::Layout;
use crate::cluster::Say;
use crate::cluster::Topic;
use crate::cluster::shard::pack;
use crate::control::cluster::isolation::Outlook;
use crate::control::cluster::seats::Terms;
use crate::health::Penalty;
use crate::model::TargetKey;
use crate::model::Word;

/// A shard is said at most so often: work is bounded by shards, not by flips.
pub const SAY_EVERY: Duration = Duration::from_millis(200);

/// Intervals after which a word without a new result is withdrawn.
///
/// Source: design, section 5.10.
const INTERVALS_MAX: u32 = 3;

/// What this node says of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OwnWord {
    /// What it says.
    pub(super) word: Word,
    /// The probe result behind it.
    pub(super) reason: Box<str>,
    /// What its flaps have added up to when it was said.
    pub(super) penalty: Penalty,
    /// When the last result came.
    heard_at: Option<Duration>,
    failing_since: Option<Duration>,
    /// Results in a row: above 0 passes, below 0 failures.
    run: i64,
    /// Its shard came to this node from another: its thresholds must pass before it has a word.
    awaits_run: bool,
    /// Whether it is probed here.
    pub(super) is_ours: bool,
}

/// What was said of a shard.
#[derive(Clone, Debug, Default)]
struct Said {
    payload: Box<[u8]>,
    at: Option<Duration>,
    is_due: bool,
}

/// All of this node's words.
#[derive(Debug, Default)]
pub(super) struct OwnWords {
    words: Vec<OwnWord>,
    said: Vec<Said>,
    /// Topics that this node speaks about no more.
    taken_back: Vec<Topic>,
}

impl OwnWords {
    pub(super) fn at(&self, place: usize) -> &OwnWord {
        &self.words[place]
    }

    /// Moves to another layout: words on targets that are still what they were go along.
    pub(super) fn reseat(&mut self, before: &Layout, next: &Layout) {
        let mut known: HashMap<&TargetKey, OwnWord> = HashMap::new();
        for (target, word) in before.targets().iter().zip(std::mem::take(&mut self.words)) {
            let is_same = |place: usize| {
                let other = &next.targets()[place];
                (other.address, other.port) == (target.address, target.port)
            };
            if next.place_of(&target.key).is_some_and(is_same) {
                known.insert(&target.key, word);
            }
        }
        let mut word = |key| known.remove(key).unwrap_or_default();
        self.words = next.targets().iter().map(|target| word(&target.key)).collect();
        let mut said: HashMap<Topic, Said> = HashMap::new();
        for (shard, one) in before.shards().iter().zip(std::mem::take(&mut self.said)) {
            said.insert(shard.topic, one);
        }
        let mut due = |topic| Said { is_due: true, ..said.remove(&topic).unwrap_or_default() };
        self.said = next.shards().iter().map(|shard| due(shard.topic)).collect();
        let left = said.into_iter().filter(|(_, said)| !said.payload.is_empty());
        self.taken_back.extend(left.map(|(topic, _)| topic));
        self.taken_back.sort_unstable();
    }

    /// Whether a word would be news.
    pub(super) fn wants(&self, place: usize, word: Word) -> bool {
        self.words[place].word != word
    }

    /// Whether a target's thresholds must pass here first.
    pub(super) fn awaits_run(&self, place: usize) -> bool {
        self.words[place].awaits_run
    }

    /// Takes the tracker's word; true if this node says something else now. `others_vote` says whether somebody else has a
    /// word on the target.
    pub(super) fn set(
        &mut self,
        place: usize,
        word: Word,
        reason: &str,
        terms: &Terms,
        others_vote: bool,
    ) -> bool {
        let own = &mut self.words[place];
        let needed = if word == Word::Down { -i64::from(terms.fall) } else { terms.rise.into() };
        let has_run = if needed < 0 { own.run <= needed } else { own.run >= needed };
        if !own.is_ours || (own.awaits_run && others_vote && !has_run) {
            return false;
        }
        own.awaits_run = false;
        own.reason = reason.into();
        std::mem::replace(&mut own.word, word) != word
    }

    /// Keeps what flaps have added up to.
    pub(super) fn set_penalty(&mut self, place: usize, penalty: Penalty) {
        self.words[place].penalty = penalty;
    }

    /// Takes in that a probe ended.
    pub(super) fn note_result(&mut self, place: usize, passed: bool, now: Duration) {
        let own = &mut self.words[place];
        own.heard_at = Some(now);
        (own.run, own.failing_since) = match passed {
            true => (own.run.max(0) + 1, None),
            false => (own.run.min(0) - 1, Some(own.failing_since.unwrap_or(now))),
        };
    }

    /// Whether a target is probed here from now on; true if that is new. Not probed, it has no word.
    pub(super) fn set_ours(&mut self, place: usize, is_ours: bool, is_move: bool) -> bool {
        let own = &mut self.words[place];
        if own.is_ours == is_ours {
            return false;
        }
        *own = OwnWord { is_ours, awaits_run: is_ours && is_move, ..OwnWord::default() };
        true
    }

    /// Withdraws the word on a target that is not probed any more.
    pub(super) fn clear(&mut self, place: usize) -> bool {
        let own = &mut self.words[place];
        (own.heard_at, own.failing_since, own.run) = (None, None, 0);
        std::mem::take(&mut own.word) != Word::Unknown
    }

    /// Withdraws words without a new result; returns where, and how many targets wait for results in all.
    pub(super) fn withdraw_old(&mut self, terms: &[Terms], now: Duration) -> (Vec<usize>, usize) {
        let (mut withdrawn, mut waiting) = (Vec::new(), 0);
        for (place, (own, terms)) in self.words.iter_mut().zip(terms).enumerate() {
            let is_old = |at: Duration| now > at + terms.interval * INTERVALS_MAX;
            if !own.is_ours || !terms.is_open || !own.heard_at.is_some_and(is_old) {
                continue;
            }
            waiting += 1;
            (own.failing_since, own.run) = (None, 0);
            if std::mem::take(&mut own.word) != Word::Unknown {
                withdrawn.push(place);
            }
        }
        (withdrawn, waiting)
    }

    /// How the targets look from here, those of which anything is known.
    pub(super) fn outlooks<'a>(&'a self, terms: &'a [Terms]) -> impl Iterator<Item = Outlook> + 'a {
        let known = self
            .words
            .iter()
            .zip(terms)
            .filter(|(own, terms)| own.is_ours && terms.is_open && own.run != 0);
        known.map(|(own, terms)| Outlook {
            site: terms.site,
            failing_since: own.failing_since,
            interval: terms.interval,
        })
    }

    /// On how many targets this node has a vote.
    pub(super) fn votes(&self) -> usize {
        self.words.iter().filter(|own| own.word.is_vote()).count()
    }

    /// Notes that something in a shard changed.
    pub(super) fn touch(&mut self, shard: usize) {
        self.said[shard].is_due = true;
    }

    /// When the next shard may be said.
    pub(super) fn next_say(&self) -> Option<Duration> {
        let due = self.said.iter().filter(|said| said.is_due);
        due.map(|said| said.at.map_or(Duration::ZERO, |at| at + SAY_EVERY)).min()
    }

    /// What is to be said now: shards that changed, each at most every 200 ms.
    pub(super) fn say(&mut self, layout: &Layout, now: Duration) -> Vec<Say> {
        let empty = |topic| Say { topic, payload: Box::default(), urgent: false };
        let mut says: Vec<Say> = self.taken_back.drain(..).map(empty).collect();
        for (shard, said) in layout.shards().iter().zip(&mut self.said) {
            if !said.is_due || said.at.is_some_and(|at| now < at + SAY_EVERY) {
                continue;
            }
            said.is_due = false;
            let words = &self.words[shard.start..shard.start + shard.count];
            let words: Vec<Word> = words.iter().map(|own| own.word).collect();
            let payload = pack(&words);
            let is_nothing = said.payload.is_empty() && payload.iter().all(|octet| *octet == 0);
            if is_nothing || payload == said.payload {
                continue;
            }
            (said.payload, said.at) = (payload.clone(), Some(now));
            says.push(Say { topic: shard.topic, payload, urgent: true });
        }
        says
    }
}

//! How long it takes from here to each target: smoothed, said seldom and slowly, for people.
//!
//! No answer and no verdict depends on it.

use std::collections::HashMap;
use std::time::Duration;

use crate::cluster::Layout;
use crate::cluster::Say;
use crate::cluster::Topic;
use crate::cluster::layout::Shard;
use crate::cluster::round_trips::code;
use crate::cluster::round_trips::is_news;
use crate::cluster::round_trips::pack;
use crate::cluster::round_trips::time_of;
use crate::cluster::round_trips::unpack;
use crate::control::cluster::panel::Panel;
use crate::model::TargetKey;

/// A shard is said at most so often.
pub const SAY_EVERY: Duration = Duration::from_secs(60);

/// Between two shards, whichever they are: a large fleet takes longer to tell, not more of the network.
pub const SAY_GAP: Duration = Duration::from_secs(2);

/// Weight of the newest time: an eighth, as TCP smooths its round trips (RFC 6298 section 2).
const NEWEST: f64 = 0.125;

/// What was said of a shard.
#[derive(Clone, Debug, Default)]
struct Said {
    codes: Box<[u8]>,
    at: Option<Duration>,
}

/// Round-trip times of this node.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Smoothed seconds by place.
    times: Vec<Option<f64>>,
    said: HashMap<Topic, Said>,
    next: Duration,
}

/// The layout of a shard, and under what its round-trip times are said.
fn topic_of(shard: &Shard) -> Option<(u64, Topic)> {
    match shard.topic {
        Topic::Votes { layout, shard } => Some((layout, Topic::Rtt { shard })),
        Topic::Beat | Topic::Rtt { .. } | Topic::State | Topic::Bundle | Topic::Record { .. } => {
            None
        }
    }
}

impl Paths {
    /// Moves to another layout; times of targets that stay go along.
    pub(super) fn reseat(&mut self, before: &Layout, next: &Layout) {
        let mut times = vec![None; next.targets().len()];
        for (target, time) in before.targets().iter().zip(&self.times) {
            if let Some(place) = next.place_of(&target.key) {
                times[place] = *time;
            }
        }
        self.times = times;
    }

    /// Takes in how long a probe took there and back.
    pub(super) fn note(&mut self, place: usize, time: Duration) {
        let Some(smoothed) = self.times.get_mut(place) else { return };
        let time = time.as_secs_f64();
        *smoothed = Some(smoothed.map_or(time, |before| before + (time - before) * NEWEST));
    }

    fn at(&self, place: usize) -> Option<Duration> {
        self.times.get(place).copied().flatten().map(Duration::from_secs_f64)
    }

    /// The next shard that says something else than before, if one may be said now.
    pub(super) fn say(
        &mut self,
        layout: &Layout,
        is_ours: impl Fn(usize) -> bool,
        now: Duration,
    ) -> Option<Say> {
        if now < self.next {
            return None;
        }
        let last = |topic: &Topic| self.said.get(topic).and_then(|said| said.at);
        let mut shards: Vec<_> = layout
            .shards()
            .iter()
            .filter_map(|shard| Some((shard, topic_of(shard)?)))
            .filter(|(_, (_, topic))| last(topic).is_none_or(|at| now >= at + SAY_EVERY))
            .collect();
        // Who waits longest is first.
        shards.sort_by_key(|(_, (_, topic))| last(topic));
        for (shard, (digest, topic)) in shards {
            let places = shard.start..shard.start + shard.count;
            let codes =
                places.map(|place| self.at(place).filter(|_| is_ours(place)).map_or(0, code));
            let codes: Box<[u8]> = codes.collect();
            let before = self.said.get(&topic);
            let is_same = match before {
                Some(said) if said.codes.len() == codes.len() => {
                    !said.codes.iter().zip(&codes).any(|(before, after)| is_news(*before, *after))
                }
                Some(_) => false,
                None => codes.iter().all(|code| *code == 0),
            };
            if !is_same {
                let payload = pack(digest, &codes);
                self.said.insert(topic, Said { codes, at: Some(now) });
                self.next = now + SAY_GAP;
                return Some(Say { topic, payload, urgent: false });
            }
        }
        None
    }
}

impl Panel {
    /// Takes in how long a probe of this node took there and back.
    pub fn note_round_trip(&mut self, key: &TargetKey, time: Duration) {
        if let Some(place) = self.layout.place_of(key) {
            self.paths.note(place, time);
        }
    }

    /// How long it takes from each site to a target, by name of the site: the lower median of its nodes that live.
    pub fn round_trips(&self, key: &TargetKey) -> Vec<(Box<str>, Duration)> {
        let Some(place) = self.layout.place_of(key) else { return Vec::new() };
        let shard = &self.layout.shards()[self.layout.shard_of_place(place)];
        let Some((digest, topic)) = topic_of(shard) else { return Vec::new() };
        let of_node = |voter: &crate::control::cluster::panel::Voter| match voter.is_own {
            true => self.paths.at(place).filter(|_| self.own.at(place).is_ours),
            false => {
                let words = self.book.page(&voter.node)?.words(topic);
                time_of(unpack(words, digest, shard.count)?[place - shard.start])
            }
        };
        let sites = 0..self.roster.sites().len();
        let of_site = |site: usize| {
            let nodes = self.voters.iter().filter(|voter| voter.is_live && voter.site == site);
            let mut times: Vec<Duration> = nodes.filter_map(of_node).collect();
            times.sort_unstable();
            let middle = times.len().checked_sub(1)? / 2;
            Some((self.roster.sites()[site].clone(), times[middle]))
        };
        sites.filter_map(of_site).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Placed;
    use crate::model::Family;

    fn layout(count: usize) -> Layout {
        let placed = |number: usize| Placed {
            group: "".into(),
            key: TargetKey {
                endpoint: format!("p/{number:05}").into(),
                check: "web".into(),
                family: Family::V4,
                address: None,
            },
            address: [192, 0, 2, 1].into(),
            port: 80,
        };
        Layout::new((0..count).map(placed).collect())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_shard_is_said_once_a_minute_and_only_if_it_says_something_else() {
        let layout = layout(3);
        let mut paths = Paths::default();
        paths.reseat(&Layout::default(), &layout);
        let say = |paths: &mut Paths, second| {
            paths.say(&layout, |_| true, Duration::from_secs(second)).is_some()
        };
        assert!(!say(&mut paths, 100), "nothing is known");
        paths.note(1, ms(20));
        assert!(say(&mut paths, 101));
        (0..50).for_each(|_| paths.note(1, ms(200)));
        assert!(!say(&mut paths, 160), "a minute is not over");
        assert!(say(&mut paths, 161));
        (0..50).for_each(|_| paths.note(1, ms(205)));
        assert!(!say(&mut paths, 300), "that is noise");
    }

    #[test]
    fn many_shards_are_said_one_after_the_other_and_all_come_up() {
        let layout = layout(256 * 40);
        let mut paths = Paths::default();
        paths.reseat(&Layout::default(), &layout);
        let mut said = std::collections::BTreeMap::new();
        for second in 0..600u64 {
            // Everything changes all the time.
            for place in 0..256 * 40 {
                paths.times[place] = Some(0.01 * (1.0 + (second / 5 % 7) as f64));
            }
            if let Some(say) = paths.say(&layout, |_| true, Duration::from_secs(second)) {
                *said.entry(say.topic).or_insert(0) += 1;
                assert!(say.payload.len() <= crate::cluster::PAYLOAD_MAX);
            }
        }
        assert_eq!(said.len(), layout.shards().len());
        let sum: i32 = said.values().sum();
        assert!(sum <= 300 && said.values().all(|times| (4..=9).contains(times)), "{said:?}");
    }

    #[test]
    fn what_is_not_probed_here_any_more_has_no_time() {
        let layout = layout(2);
        let mut paths = Paths::default();
        paths.reseat(&Layout::default(), &layout);
        paths.note(0, ms(20));
        paths.note(1, ms(20));
        let said = paths.say(&layout, |place| place == 1, Duration::from_secs(9)).unwrap();
        assert_eq!(said.payload[9..], [0, code(ms(20))]);
    }
}

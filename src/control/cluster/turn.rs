//! What time asks for: beats, words that are due, nodes that live no more, verdicts that were held for long.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Beat;
use crate::cluster::Digests;
use crate::cluster::Say;
use crate::cluster::Topic;
use crate::control::cluster::judgement::HOLD_MAX;
use crate::control::cluster::news::NewsKind;
use crate::control::cluster::news::NodeNews;
use crate::control::cluster::panel::Hold;
use crate::control::cluster::panel::Panel;

/// How often a node says that it lives.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);

/// How long too few voters are borne before they are told of.
const TOO_FEW_TOLD: Duration = Duration::from_secs(5);

impl Panel {
    /// What happened since the last time.
    pub fn take_news(&mut self) -> Vec<NodeNews> {
        std::mem::take(&mut self.news)
    }

    /// Does what time asks for; returns what is to be said, and whether other targets are to be probed here.
    pub fn advance(
        &mut self,
        digests: impl FnOnce() -> Digests,
        now: Duration,
    ) -> (Vec<Say>, bool) {
        for voter in 0..self.voters.len() {
            if !self.voters[voter].is_own {
                self.refresh(voter, now);
            }
        }
        let is_second = self.next_beat.is_none_or(|at| now >= at);
        if is_second || std::mem::take(&mut self.has_results) {
            self.mind_isolation(now);
        }
        if is_second {
            self.withdraw_old(now);
            self.mind_holds(now);
        }
        let live = self.voters.iter().filter(|voter| voter.is_live);
        let live: BTreeSet<usize> = live.map(|voter| voter.site).collect();
        let is_moved = self.stable.observe(live, now) && self.assign(true);
        let mut says = self.own.say(&self.layout, now);
        // Isolation may have changed just now: that is said at once.
        if self.next_beat.is_none_or(|at| now >= at) {
            self.next_beat = Some(now + BEAT_EVERY);
            let beat = Beat {
                is_isolated: self.isolation.is_isolated(),
                anchors: self.anchors,
                digests: digests(),
                votes: u32::try_from(self.own.votes()).unwrap_or(u32::MAX),
            };
            says.push(Say { topic: Topic::Beat, payload: beat.to_octets(), urgent: false });
        }
        (says, is_moved)
    }

    /// When it wants to be woken, at the latest.
    pub fn next_wake(&self) -> Duration {
        let live = self.voters.iter().filter(|voter| voter.is_live && !voter.is_own);
        let dies = live.filter_map(|voter| self.book.page(&voter.node)?.dies_at());
        let says = self.own.next_say().into_iter().chain(self.next_beat);
        let first = dies.chain(says).min().unwrap_or_default();
        if self.next_beat.is_none() { Duration::ZERO } else { first }
    }

    fn mind_isolation(&mut self, now: Duration) {
        if !self.isolation.observe(self.own.outlooks(&self.terms), self.anchors, now) {
            return;
        }
        self.next_beat = None;
        self.tell_own(match self.isolation.is_isolated() {
            true => NewsKind::Isolated(self.isolation.why().into()),
            false => NewsKind::Connected,
        });
        self.refresh_own();
    }

    fn withdraw_old(&mut self, now: Duration) {
        let (withdrawn, waiting) = self.own.withdraw_old(&self.terms, now);
        for place in withdrawn {
            self.own.touch(self.layout.shard_of_place(place));
            self.dirty.insert(place);
        }
        match (self.unprobed, waiting) {
            (0, targets @ 1..) => self.tell_own(NewsKind::Unprobed { targets }),
            (1.., 0) => self.tell_own(NewsKind::ProbedAgain),
            _ => {}
        }
        self.unprobed = waiting;
    }

    /// Tells of too few voters once that lasts, and has verdicts looked at that were held for long.
    fn mind_holds(&mut self, now: Duration) {
        let is_late = |hold: &Hold| !hold.is_over && now >= hold.since + HOLD_MAX;
        let late = self.held.iter().filter(|(_, hold)| is_late(hold));
        self.dirty.extend(late.map(|(place, _)| *place));
        match (self.held.len(), self.too_few) {
            (0, Some((_, is_told))) => {
                self.too_few = None;
                if is_told {
                    self.tell_own(NewsKind::EnoughVoters);
                }
            }
            (1.., None) => self.too_few = Some((now, false)),
            (targets, Some((since, false))) if now >= since + TOO_FEW_TOLD => {
                self.too_few = Some((since, true));
                self.tell_own(NewsKind::TooFewVoters { targets });
            }
            _ => {}
        }
    }
}

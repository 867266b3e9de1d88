//! The machine that turns words of nodes into verdicts: all votes in, what changed out.
//!
//! Pure, and as large as the question: it knows no pools, snapshots or brakes. Whoever drives it tells it of time, probe
//! results and what was heard, says what it wants said, and takes its judgements.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Beat;
use crate::cluster::Book;
use crate::cluster::Change;
use crate::cluster::Heard;
use crate::cluster::Layout;
use crate::cluster::NodeName;
use crate::cluster::Role;
use crate::cluster::Roster;
use crate::cluster::Topic;
use crate::cluster::assignment::Stable;
use crate::cluster::shard::differing;
use crate::control::cluster::clocks::Clocks;
use crate::control::cluster::drift::Drifts;
use crate::control::cluster::isolation::Isolation;
use crate::control::cluster::news::NewsKind;
use crate::control::cluster::news::NodeNews;
use crate::control::cluster::own::OwnWords;
use crate::control::cluster::paths::Paths;
use crate::control::cluster::seats::Terms;
use crate::control::cluster::withdrawal::Presence;
use crate::control::cluster::withdrawal::Withdrawal;
use crate::health::Penalty;
use crate::model::Anchors;
use crate::model::Now;
use crate::model::TargetKey;
use crate::model::Word;

/// A node with a vote, as it counts now.
#[derive(Clone, Debug)]
pub(super) struct Voter {
    pub(super) node: NodeName,
    pub(super) site: usize,
    pub(super) is_own: bool,
    pub(super) is_live: bool,
    pub(super) is_isolated: bool,
    pub(super) told: Told,
    pub(super) anchors: Anchors,
}

/// What was told last of a node's isolation, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    is_isolated: bool,
    at: Option<Duration>,
}

/// Of a node's isolation at most one change is told in so long; it counts at once.
const ISOLATED_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Since when too few vote on a target, and whether its verdict has been given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) since: Duration,
    pub(super) is_over: bool,
}

/// All votes, and what they come to.
#[derive(Debug)]
pub struct Panel {
    pub(super) roster: Roster,
    pub(super) book: Book,
    pub(super) layout: Layout,
    pub(super) terms: Vec<Terms>,
    pub(super) own: OwnWords,
    pub(super) voters: Vec<Voter>,
    /// Sites whose votes count, by scope; the first is all of them.
    pub(super) scopes: Vec<Vec<usize>>,
    /// Regions of the sites.
    pub(super) regions: Vec<Option<Box<str>>>,
    /// Places to be judged anew.
    pub(super) dirty: BTreeSet<usize>,
    pub(super) held: BTreeMap<usize, Hold>,
    pub(super) isolation: Isolation,
    /// What differs between nodes.
    pub(super) drifts: Drifts,
    /// The node that serves other files before the others, as an operator wants it to.
    pub(super) on_trial: Option<NodeName>,
    /// How far wall clocks are apart.
    pub(super) clocks: Clocks,
    /// How long it takes from here to targets.
    pub(super) paths: Paths,
    /// Whether clients are led to this node.
    pub(super) withdrawal: Withdrawal,
    pub(super) hook_order: Option<Presence>,
    pub(super) anchors: Anchors,
    pub(super) stable: Stable,
    /// Whether members changed and targets were not seated since.
    pub(super) is_roster_new: bool,
    pub(super) next_beat: Option<Duration>,
    pub(super) news: Vec<NodeNews>,
    /// Since when too few vote on anything, and whether that was told.
    pub(super) too_few: Option<(Duration, bool)>,
    pub(super) unprobed: usize,
    /// Whether a result came since isolation was looked at.
    pub(super) has_results: bool,
}

impl Panel {
    /// One that has heard nobody and knows no target.
    pub fn new(roster: Roster) -> Self {
        let voters = Voter::all(&roster);
        let sites = roster.sites().len();
        Self {
            roster,
            book: Book::default(),
            layout: Layout::default(),
            terms: Vec::new(),
            own: OwnWords::default(),
            voters,
            scopes: vec![(0..sites).collect()],
            regions: vec![None; sites],
            dirty: BTreeSet::new(),
            held: BTreeMap::new(),
            isolation: Isolation::default(),
            drifts: Drifts::default(),
            on_trial: None,
            clocks: Clocks::default(),
            paths: Paths::default(),
            withdrawal: Withdrawal::default(),
            hook_order: None,
            anchors: Anchors::Unset,
            stable: Stable::new(sites),
            is_roster_new: false,
            next_beat: None,
            news: Vec::new(),
            too_few: None,
            unprobed: 0,
            has_results: false,
        }
    }

    /// Whether a target is probed here.
    pub fn is_ours(&self, key: &TargetKey) -> bool {
        self.layout.place_of(key).is_some_and(|place| self.own.at(place).is_ours)
    }

    /// How often a target is probed.
    pub fn interval(&self, key: &TargetKey) -> Option<Duration> {
        self.layout.place_of(key).map(|place| self.terms[place].interval)
    }

    /// This node's word on a target.
    pub fn own_word(&self, key: &TargetKey) -> Word {
        self.layout.place_of(key).map_or(Word::Unknown, |place| self.own.at(place).word)
    }

    /// Whether a tracker's word must be told.
    pub fn wants(&self, key: &TargetKey, word: Word) -> bool {
        self.layout.place_of(key).is_some_and(|place| self.own.wants(place, word))
    }

    /// Takes the word of this node's tracker.
    pub fn set_word(&mut self, key: &TargetKey, word: Word, reason: &str) {
        let Some(place) = self.layout.place_of(key) else { return };
        let others_vote = self.own.awaits_run(place) && self.others_vote(place);
        if self.own.set(place, word, reason, &self.terms[place], others_vote) {
            self.own.touch(self.layout.shard_of_place(place));
            self.dirty.insert(place);
        }
    }

    /// What flaps of a target have added up to at this node.
    pub fn penalty(&self, key: &TargetKey) -> Penalty {
        let place = self.layout.place_of(key);
        place.map_or_else(Penalty::default, |place| self.own.at(place).penalty)
    }

    /// Keeps what flaps of a target have added up to, for who probes it after a restart.
    pub fn set_penalty(&mut self, key: &TargetKey, penalty: Penalty) {
        if let Some(place) = self.layout.place_of(key) {
            self.own.set_penalty(place, penalty);
        }
    }

    /// Takes in that a probe of this node ended.
    pub fn note_result(&mut self, key: &TargetKey, passed: bool, now: Duration) {
        if let Some(place) = self.layout.place_of(key) {
            self.own.note_result(place, passed, now);
            self.has_results = true;
        }
    }

    /// Takes in what this node's anchors tell.
    pub fn set_anchors(&mut self, anchors: Anchors) {
        if std::mem::replace(&mut self.anchors, anchors) != anchors {
            self.next_beat = None;
            self.has_results = true;
            self.refresh_own();
        }
    }

    /// Takes in what an engine heard, and what it tells of a clock.
    pub fn hear_at(&mut self, heard: Heard, now: Now) {
        let node = heard.node().clone();
        let is_beat = matches!(&heard, Heard::Value { topic: Topic::Beat, .. });
        self.hear(heard, now.monotonic);
        if let Some(page) = self.book.page(&node).filter(|_| is_beat) {
            let way = page.round_trip().unwrap_or_default() / 2;
            self.clocks.observe(&node, page.beat().unix, way, now);
        }
    }

    /// Takes in what an engine heard.
    pub fn hear(&mut self, heard: Heard, now: Duration) {
        let (node, topic) = match &heard {
            Heard::Value { node, topic, .. } => (node, Some(*topic)),
            Heard::Link { node, .. } | Heard::Forgotten { node } => (node, None),
        };
        let is_forgotten = matches!(heard, Heard::Forgotten { .. });
        if matches!(topic, Some(Topic::Bundle | Topic::Record { .. })) {
            return;
        }
        let Some(voter) = self.voters.iter().position(|voter| voter.node == *node) else {
            // The engine may know of a new member a moment earlier than this does; its words are not said twice.
            self.book.hear(heard, now);
            return;
        };
        if self.voters[voter].is_own {
            return;
        }
        let change = self.book.hear(heard, now);
        if is_forgotten {
            return self.refresh(voter, now);
        }
        match (change, topic) {
            (Change::Nothing, _) | (Change::Words { .. }, None) => {}
            (Change::Beat { is_reborn, .. }, _) => {
                if is_reborn {
                    self.dirty_all();
                }
                self.refresh(voter, now);
            }
            (Change::Words { is_reborn: true, .. }, Some(_)) => {
                self.dirty_all();
                self.refresh(voter, now);
            }
            (Change::Words { before, is_reborn: false }, Some(topic)) => {
                // Other files begin: what was said by those before is over.
                if let Some((other, words)) = before.as_ref().filter(|(other, _)| *other != topic) {
                    self.dirty_where(*other, words, voter);
                }
                let words = before.filter(|(other, _)| *other == topic);
                self.dirty_where(topic, &words.map(|(_, words)| words).unwrap_or_default(), voter);
            }
        }
    }

    /// Has those targets of a shard judged anew on which a node said something else `before`.
    fn dirty_where(&mut self, topic: Topic, before: &[u8], voter: usize) {
        let Some(shard) = self.layout.shard_of_topic(topic) else { return };
        let shard = &self.layout.shards()[shard];
        let Some(page) = self.book.page(&self.voters[voter].node) else { return };
        let changed = differing(before, page.words(topic), shard.count);
        self.dirty.extend(changed.map(|offset| shard.start + offset));
    }

    fn dirty_all(&mut self) {
        self.dirty.extend(0..self.terms.len());
    }

    /// Looks at what a node says of itself, and whether it lives.
    pub(super) fn refresh(&mut self, at: usize, now: Duration) {
        let voter = &mut self.voters[at];
        let Some(page) = self.book.page(&voter.node) else { return };
        let is_live = page.is_alive(now);
        let Beat { is_isolated, anchors, .. } = *page.beat();
        let is_due = voter.told.at.is_none_or(|at| now >= at + ISOLATED_TOLD_EVERY);
        if voter.told.is_isolated != is_isolated && is_due {
            voter.told = Told { is_isolated, at: Some(now) };
            self.news.push(NodeNews {
                node: voter.node.clone(),
                site: self.roster.sites()[voter.site].clone(),
                kind: match is_isolated {
                    true => NewsKind::Isolated(Box::default()),
                    false => NewsKind::Connected,
                },
            });
        }
        let before = (voter.is_live, voter.is_isolated, voter.anchors);
        if before == (is_live, is_isolated, anchors) {
            return;
        }
        (voter.is_live, voter.is_isolated, voter.anchors) = (is_live, is_isolated, anchors);
        if before.0 != is_live {
            let (node, site) = (voter.node.clone(), self.roster.sites()[voter.site].clone());
            let kind = if is_live { NewsKind::Seen } else { NewsKind::Lost };
            self.news.push(NodeNews { node, site, kind });
        }
        self.dirty_all();
    }

    /// The same of this node.
    pub(super) fn refresh_own(&mut self) {
        let is_isolated = self.isolation.is_isolated();
        for voter in self.voters.iter_mut().filter(|voter| voter.is_own) {
            (voter.is_isolated, voter.anchors) = (is_isolated, self.anchors);
        }
        self.dirty_all();
    }

    /// What is told about this node.
    pub(super) fn news_of_own(&self, kind: NewsKind) -> NodeNews {
        let site = self.roster.sites()[self.roster.own_site()].clone();
        NodeNews { node: self.roster.own().clone(), site, kind }
    }

    /// Tells something about this node.
    pub(super) fn tell_own(&mut self, kind: NewsKind) {
        self.news.push(self.news_of_own(kind));
    }

    /// Name of this node.
    pub(super) fn own_name(&self) -> &NodeName {
        self.roster.own()
    }

    /// Servers that live, as far as this node knows.
    pub(super) fn living_servers(&self) -> BTreeSet<NodeName> {
        let is_server = |node: &NodeName| {
            self.roster.members().get(node).is_some_and(|member| member.role == Role::Server)
        };
        let living = self.voters.iter().filter(|voter| voter.is_live && is_server(&voter.node));
        living.map(|voter| voter.node.clone()).collect()
    }
}

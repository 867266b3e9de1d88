//! What time asks for: beats, words that are due, nodes that live no more, verdicts that were held for long.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Beat;
use crate::cluster::Digests;
use crate::cluster::NodeName;
use crate::cluster::Say;
use crate::cluster::Served;
use crate::cluster::Topic;
use crate::control::cluster::clocks::ClockNews;
use crate::control::cluster::drift::DriftNews;
use crate::control::cluster::drift::Said;
use crate::control::cluster::judgement::HOLD_MAX;
use crate::control::cluster::news::NewsKind;
use crate::control::cluster::news::NodeNews;
use crate::control::cluster::panel::Hold;
use crate::control::cluster::panel::Panel;
use crate::control::cluster::panel::Voter;
use crate::control::cluster::withdrawal::HookReport;
use crate::control::cluster::withdrawal::Presence;
use crate::model::Role;

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
    pub fn advance(&mut self, served: impl FnOnce() -> Served, now: Duration) -> (Vec<Say>, bool) {
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
            self.mind_withdrawal(now);
        }
        let live = self.voters.iter().filter(|voter| voter.is_live);
        let live: BTreeSet<usize> = live.map(|voter| voter.site).collect();
        let is_moved = self.stable.observe(live, now) && self.assign(true);
        let mut says = self.own.say(&self.layout, now);
        if is_second {
            let is_ours = |place: usize| self.own.at(place).is_ours;
            says.extend(self.paths.say(&self.layout, is_ours, now));
        }
        // Isolation may have changed just now: that is said at once.
        if self.next_beat.is_none_or(|at| now >= at) {
            self.next_beat = Some(now + BEAT_EVERY);
            let Served { digests, generation, unix } = served();
            self.mind_drift(&digests, now);
            self.mind_clocks(now);
            let beat = Beat {
                is_isolated: self.isolation.is_isolated(),
                anchors: self.anchors,
                digests,
                votes: u32::try_from(self.own.votes()).unwrap_or(u32::MAX),
                is_withdrawn: self.is_withdrawn(),
                generation,
                said_at: now,
                unix,
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

    /// Decides whether clients are to be led to this node.
    fn mind_withdrawal(&mut self, now: Duration) {
        let is_server = |voter: &Voter| {
            let member = self.roster.members().get(&voter.node);
            member.is_some_and(|member| member.role == Role::Server)
        };
        let has_withdrawn = |voter: &Voter| {
            self.book.page(&voter.node).is_some_and(|page| page.beat().is_withdrawn)
        };
        let is_well = |voter: &&Voter| voter.is_live && !voter.is_isolated && !has_withdrawn(voter);
        let servers = self.voters.iter().filter(|voter| is_server(voter));
        if !servers.clone().any(|voter| voter.is_own) {
            return; // an agent answers nobody
        }
        let others = servers.filter(|voter| !voter.is_own).filter(is_well).count();
        let order = self.withdrawal.observe(self.is_isolated(), others, now);
        self.hook_order = order.or(self.hook_order);
    }

    /// What the hook is to be asked for, if that is news.
    pub fn take_hook_order(&mut self) -> Option<Presence> {
        self.hook_order.take()
    }

    /// Takes in how the hook ended.
    pub fn take_hook_report(&mut self, report: &HookReport) {
        if !self.withdrawal.take(report) {
            return;
        }
        self.next_beat = None;
        let is = report.presence;
        self.tell_own(match (&report.fault, is) {
            (Some(why), _) => NewsKind::HookFailed { why: why.clone() },
            (None, Presence::Withdrawn) => NewsKind::Withdrawn,
            (None, Presence::Announced) => NewsKind::Announced,
        });
    }

    /// Whether clients are led to others.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawal.is_withdrawn()
    }

    /// Compares what this node has with what the others say.
    fn mind_drift(&mut self, digests: &Digests, now: Duration) {
        let said = |voter: &Voter| {
            let role = self.roster.members().get(&voter.node)?.role;
            let digests = match voter.is_own {
                true => *digests,
                false => self.book.page(&voter.node)?.beat().digests,
            };
            let is_on_trial = self.on_trial.as_ref() == Some(&voter.node);
            Some(Said { node: voter.node.clone(), role, is_on_trial, digests })
        };
        let living = self.voters.iter().filter(|voter| voter.is_live);
        let said: Vec<Said> = living.filter_map(said).collect();
        for news in self.drifts.observe(self.roster.own(), &said, now) {
            self.tell_own(match news {
                DriftNews::Begun(what, who) => NewsKind::Drift { what: what.word(), who },
                DriftNews::Over(what) => NewsKind::DriftOver { what: what.word() },
            });
        }
    }

    /// Tells of clocks that are off.
    fn mind_clocks(&mut self, now: Duration) {
        let voters = &self.voters;
        let is_live = |node: &NodeName| voters.iter().any(|one| one.is_live && one.node == *node);
        for news in self.clocks.advance(is_live, now) {
            let (node, kind) = match news {
                ClockNews::Off(node, ahead_ms) => (node, NewsKind::ClockOff { ahead_ms }),
                ClockNews::Right(node) => (node, NewsKind::ClockRight),
            };
            let voter = self.voters.iter().find(|voter| voter.node == node);
            if let Some(site) = voter.map(|voter| self.roster.sites()[voter.site].clone()) {
                self.news.push(NodeNews { node, site, kind });
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Placed;
    use crate::cluster::Roster;
    use crate::control::cluster::Seat;
    use crate::model::ClusterTerms;
    use crate::model::Family;
    use crate::model::NodeName;
    use crate::model::Peer;
    use crate::model::Role;
    use crate::model::TargetKey;
    use crate::model::Vantage;
    use crate::model::Voting;
    use crate::model::Word;
    use std::collections::BTreeMap;

    fn key(number: usize) -> TargetKey {
        let endpoint = format!("p/{number:05}").into();
        TargetKey { endpoint, check: "web".into(), family: Family::V4, address: None }
    }

    fn seat(number: usize, vantage: Vantage) -> Seat {
        Seat {
            placed: Placed {
                group: "".into(),
                key: key(number),
                address: [192, 0, 2, 1].into(),
                port: 80,
            },
            voting: Voting { vantage, ..Voting::default() },
            site: None,
            region: None,
            interval: Duration::from_secs(10),
            fall: 3,
            rise: 5,
            is_open: true,
        }
    }

    fn panel(sites: &[&str], targets: usize, vantage: Vantage) -> Panel {
        let name = |site: &str| NodeName::parse(&format!("{site}-1")).unwrap();
        let peer = |site: &&str| Peer {
            node: name(site),
            address: None,
            pins: Vec::new(),
            site: (*site).into(),
            role: Role::Server,
        };
        let terms = ClusterTerms {
            name: "c".into(),
            node: name(sites[0]),
            listen: None,
            key: "k".into(),
            role: Role::Server,
            bundles: false,
            anchors: Vec::new(),
            withdraw: Box::default(),
            peers: sites[1..].iter().map(peer).collect(),
            nats: None,
        };
        let mut panel = Panel::new(Roster::new(&terms, sites[0]));
        let seats = (0..targets).map(|number| seat(number, vantage)).collect();
        panel.set_seats(seats, &BTreeMap::new());
        panel
    }

    fn votes(panel: &mut Panel, ms: u64) -> usize {
        let (says, _) = panel.advance(Served::default, Duration::from_millis(ms));
        says.iter().filter(|say| matches!(say.topic, Topic::Votes { .. })).count()
    }

    #[test]
    fn a_shard_is_said_five_times_a_second_however_much_flips_in_it() {
        let mut panel = panel(&["fra", "sin"], 1000, Vantage::All);
        let mut said = 0;
        for ms in 0..1000usize {
            for number in 0..1000 {
                let word =
                    if usize::is_multiple_of(ms + number, 2) { Word::Down } else { Word::Up(0) };
                panel.set_word(&key(number), word, "");
            }
            said += votes(&mut panel, 10_000 + ms as u64);
        }
        assert_eq!(said, 4 * 5, "a million flips in four shards");
        assert!(panel.next_wake() <= Duration::from_millis(11_050), "the rest is due");
        assert_eq!(votes(&mut panel, 11_050), 4);
        assert_eq!(votes(&mut panel, 11_300), 0, "nothing has changed since");
        panel.set_word(&key(0), Word::Held, "");
        panel.set_word(&key(0), Word::Up(0), "");
        assert_eq!(votes(&mut panel, 11_400), 0, "there and back is nothing");
    }

    #[test]
    fn a_beat_is_said_each_second_and_a_change_of_anchors_at_once() {
        let mut panel = panel(&["fra", "sin"], 1, Vantage::All);
        let mut beats = |ms: u64, anchors| {
            panel.set_anchors(anchors);
            let (says, _) = panel.advance(Served::default, Duration::from_millis(ms));
            let beats = says.into_iter().filter(|say| say.topic == Topic::Beat);
            beats.map(|say| Beat::of_octets(&say.payload).unwrap()).collect::<Vec<_>>()
        };
        use crate::model::Anchors;
        assert_eq!(beats(1000, Anchors::Unset).len(), 1);
        assert_eq!(beats(1999, Anchors::Unset).len(), 0);
        assert_eq!(beats(2000, Anchors::Unset).len(), 1);
        let said = beats(2001, Anchors::Fail);
        assert!(said.len() == 1 && said[0].is_isolated && said[0].anchors == Anchors::Fail);
        assert_eq!(beats(2002, Anchors::Fail).len(), 0);
    }

    #[test]
    fn a_node_that_is_isolated_by_turns_counts_so_at_once_and_is_told_every_ten_seconds() {
        use crate::cluster::Generation;
        use crate::cluster::Heard;
        let mut panel = panel(&["fra", "sin"], 1, Vantage::All);
        let mut told = Vec::new();
        for beat in 0..600u64 {
            let now = Duration::from_millis(10_000 + beat * 200);
            let is_isolated = beat < 550 && beat % 2 == 1;
            let said = Beat { is_isolated, ..Beat::default() };
            panel.hear(
                Heard::Value {
                    node: NodeName::parse("sin-1").unwrap(),
                    generation: Generation(1),
                    topic: Topic::Beat,
                    sequence: beat + 1,
                    payload: said.to_octets(),
                },
                now,
            );
            assert_eq!(panel.voters[1].is_isolated, is_isolated, "it counts at once");
            panel.advance(Served::default, now);
            told.extend(panel.take_news().into_iter().map(|news| news.kind));
        }
        let changes =
            |kind: &&NewsKind| matches!(kind, NewsKind::Isolated(_) | NewsKind::Connected);
        let changes: Vec<_> = told.iter().filter(changes).collect();
        assert!((8..=12).contains(&changes.len()), "two minutes: {changes:?}");
        assert_eq!(changes.last(), Some(&&NewsKind::Connected), "what it is in the end is told");
    }

    #[test]
    fn each_shard_of_a_check_of_two_sites_is_probed_by_two() {
        let sites = ["ams", "fra", "iad", "sin", "syd"];
        let mut count = 0;
        for own in 0..sites.len() {
            let mut turned = sites;
            turned.rotate_left(own);
            let panel = panel(&turned, 256 * 40, Vantage::Sites(2));
            let is_first = |shard: &usize| panel.is_ours(&key(shard * 256));
            let ours: Vec<usize> = (0..40).filter(is_first).collect();
            for shard in 0..40 {
                let whole = (0..256)
                    .all(|at| panel.is_ours(&key(shard * 256 + at)) == ours.contains(&shard));
                assert!(whole, "a shard is probed as a whole");
            }
            count += ours.len();
        }
        assert_eq!(count, 40 * 2);
    }

    #[test]
    fn what_stands_in_files_no_more_is_taken_back() {
        let mut panel = panel(&["fra", "sin"], 300, Vantage::All);
        (0..300).for_each(|number| panel.set_word(&key(number), Word::Up(0), ""));
        assert_eq!(votes(&mut panel, 1000), 2);
        let seats = (0..299).map(|number| seat(number, Vantage::All)).collect();
        panel.set_seats(seats, &BTreeMap::new());
        let (says, _) = panel.advance(Served::default, Duration::from_millis(1500));
        let votes: Vec<usize> = says.iter().map(|say| say.payload.len()).collect();
        assert_eq!(
            votes,
            [0, 22],
            "the old shard is empty, the new one has 43 words, the first stays"
        );
        assert_eq!(panel.own_word(&key(298)), Word::Up(0));
    }
}

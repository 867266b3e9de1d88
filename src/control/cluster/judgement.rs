//! Votes of all nodes on a target to its verdict, with the reason in words.

use std::fmt::Write;
use std::time::Duration;

use crate::cluster::Layout;
use crate::cluster::NodeName;
use crate::cluster::Topic;
use crate::cluster::layout::Shard;
use crate::cluster::shard::is_shard;
use crate::cluster::shard::word_at;
use crate::config::duration::spell;
use crate::control::cluster::panel::Hold;
use crate::control::cluster::panel::Panel;
use crate::model::Anchors;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::model::Word;
use crate::quorum;
use crate::quorum::Decision;
use crate::quorum::SiteVote;
use crate::quorum::anchors_of_site;
use crate::quorum::word_of_site;

/// How long a verdict holds while too few vote; then nobody knows whether what was up still is.
///
/// Source: design, section 5.10.
pub const HOLD_MAX: Duration = Duration::from_secs(600);

/// What became of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Which.
    pub key: TargetKey,
    /// What it is now.
    pub verdict: Verdict,
    /// How slow it is, as a level of its check.
    pub level: u8,
    /// Who says so.
    pub reason: Box<str>,
}

/// What the nodes of a site say of the targets of one shard.
pub(super) struct Bench<'a> {
    panel: &'a Panel,
    shard: &'a Shard,
    /// By site.
    sites: Vec<Vec<Speaker<'a>>>,
}

/// What one node says of the targets of one shard.
#[derive(Clone, Copy)]
struct Speaker<'a> {
    is_own: bool,
    is_isolated: bool,
    anchors: Anchors,
    words: &'a [u8],
}

impl<'a> Bench<'a> {
    /// Everybody who lives, on one shard.
    pub(super) fn new(panel: &'a Panel, shard: usize) -> Self {
        let shard = &panel.layout.shards()[shard];
        let mut sites = vec![Vec::new(); panel.roster.sites().len()];
        for voter in panel.voters.iter().filter(|voter| voter.is_live) {
            let words = match panel.book.page(&voter.node).map(|page| page.words(shard.topic)) {
                Some(words) if is_shard(words, shard.count) => words,
                // Of another length they are not about these targets, whatever their digest.
                Some(_) | None => &[],
            };
            let speaker = Speaker {
                is_own: voter.is_own,
                is_isolated: voter.is_isolated,
                anchors: voter.anchors,
                words,
            };
            sites[voter.site].push(speaker);
        }
        Self { panel, shard, sites }
    }

    fn word(&self, speaker: Speaker<'_>, place: usize) -> Word {
        match speaker {
            Speaker { is_isolated: true, .. } => Word::Abstain,
            Speaker { is_own: true, .. } => self.panel.own.at(place).word,
            Speaker { words, .. } => word_at(words, place - self.shard.start),
        }
    }

    /// What each site in the scope of a target says, by the position of the site.
    pub(super) fn votes(&self, place: usize) -> Vec<(usize, SiteVote)> {
        let terms = &self.panel.terms[place];
        let vote = |&site: &usize| {
            let speakers = self.sites[site].iter().copied();
            let vote = SiteVote {
                word: word_of_site(speakers.clone().map(|one| self.word(one, place))),
                anchors: anchors_of_site(speakers.map(|one| one.anchors)),
                is_at_home: terms.home == Some(site),
            };
            (site, vote)
        };
        self.panel.scopes[terms.scope].iter().map(vote).collect()
    }

    fn decide(&self, place: usize, votes: &[(usize, SiteVote)]) -> Decision {
        let votes: Vec<SiteVote> = votes.iter().map(|(_, vote)| *vote).collect();
        let quorum = self.panel.terms[place].voting.quorum;
        quorum::decide(&votes, quorum::Terms { quorum, sites: self.panel.sites_voting(place) })
    }

    /// What the votes come to, in words.
    pub(super) fn why(&self, place: usize, votes: &[(usize, SiteVote)]) -> String {
        match self.decide(place, votes) {
            Decision::Agreed { verdict, .. } => self.reason(place, verdict, votes).into(),
            Decision::TooFew { voting, needed } => {
                format!("too few sites vote, {voting} of {needed}: it stays as it was")
            }
        }
    }

    /// `down at 3 of 4 sites: fra, iad, sin; up at syd`
    fn reason(&self, place: usize, verdict: Verdict, votes: &[(usize, SiteVote)]) -> Box<str> {
        let all: Vec<SiteVote> = votes.iter().map(|(_, vote)| *vote).collect();
        let names = |wanted: Verdict, is_heeded: bool| {
            let fits = |vote: &SiteVote| {
                vote.word.verdict() == wanted && quorum::is_heeded(vote, &all) == is_heeded
            };
            let sites = votes.iter().filter(|(_, vote)| fits(vote));
            let names = sites.map(|(site, _)| &*self.panel.roster.sites()[*site]);
            names.collect::<Vec<_>>()
        };
        let voting = all.iter().filter(|vote| quorum::is_heeded(vote, &all)).count();
        let mut agreeing: Vec<String> =
            names(verdict, true).into_iter().map(str::to_owned).collect();
        // What most do not trust yet is not trusted by those either that say it is down.
        if verdict == Verdict::Held {
            let down = names(Verdict::Down, true).into_iter();
            agreeing.extend(down.map(|site| format!("{site} ({})", Verdict::Down)));
        }
        let mut text = format!("{verdict} at {} of {voting} ", agreeing.len());
        text += if voting == 1 { "site" } else { "sites" };
        if !agreeing.is_empty() {
            // Writing to a text cannot fail.
            let _ = write!(text, ": {}", agreeing.join(", "));
        }
        for other in [Verdict::Down, Verdict::Held, Verdict::Up] {
            let others = names(other, true);
            let is_told = (verdict, other) == (Verdict::Held, Verdict::Down);
            if other != verdict && !is_told && !others.is_empty() {
                let _ = write!(text, "; {other} at {}", others.join(", "));
            }
        }
        for at_home in [Verdict::Held, Verdict::Up] {
            let own = names(at_home, false);
            if !own.is_empty() {
                let _ = write!(text, "; {at_home} at {}, where it stands", own.join(", "));
            }
        }
        let own = self.panel.own.at(place);
        if own.word.verdict() == verdict && !own.reason.is_empty() {
            let _ = write!(text, "; here: {}", own.reason);
        }
        text.into()
    }
}

impl Panel {
    /// Whether another node that lives has a word on a target.
    pub(super) fn others_vote(&self, place: usize) -> bool {
        let bench = Bench::new(self, self.layout.shard_of_place(place));
        let mut others = bench.sites.iter().flatten().filter(|speaker| !speaker.is_own);
        others.any(|speaker| bench.word(*speaker, place).is_vote())
    }

    /// Judges every target on which a word changed, and tells what became of them.
    ///
    /// `known` is what holds now; `None` has a target told of even if that is what it comes to.
    pub fn judge(
        &mut self,
        known: impl Fn(&TargetKey) -> Option<(Verdict, u8)>,
        now: Duration,
    ) -> Vec<Judgement> {
        let dirty = std::mem::take(&mut self.dirty);
        let (mut told, mut holds) = (Vec::new(), Vec::new());
        let mut bench: Option<(usize, Bench<'_>)> = None;
        for place in dirty.into_iter().filter(|place| self.terms[*place].is_open) {
            let shard = self.layout.shard_of_place(place);
            let bench = match &mut bench {
                Some((of, bench)) if *of == shard => bench,
                other => &mut other.insert((shard, Bench::new(self, shard))).1,
            };
            let votes = bench.votes(place);
            let key = &self.layout.targets()[place].key;
            let before = known(key);
            match bench.decide(place, &votes) {
                Decision::Agreed { verdict, level, voting: _ } => {
                    holds.push((place, None));
                    if before != Some((verdict, level)) {
                        let reason = bench.reason(place, verdict, &votes);
                        told.push(Judgement { key: key.clone(), verdict, level, reason });
                    }
                }
                Decision::TooFew { voting, needed } => {
                    let hold = self.held.get(&place).copied();
                    let Hold { since, .. } = hold.unwrap_or(Hold { since: now, is_over: false });
                    let is_over = now >= since + HOLD_MAX;
                    holds.push((place, Some(Hold { since, is_over })));
                    if is_over && before.is_some_and(|(verdict, _)| verdict == Verdict::Up) {
                        let reason = given_up(voting, needed);
                        let (key, verdict) = (key.clone(), Verdict::Unknown);
                        told.push(Judgement { key, verdict, level: 0, reason });
                    }
                }
            }
        }
        for (place, hold) in holds {
            match hold {
                Some(hold) => drop(self.held.insert(place, hold)),
                None => drop(self.held.remove(&place)),
            }
        }
        told
    }

    /// Whether too few sites vote on a target.
    pub fn is_held(&self, key: &TargetKey) -> bool {
        self.layout.place_of(key).is_some_and(|place| self.held.contains_key(&place))
    }

    /// On how many targets too few sites vote.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// What each site says of a target, by the order of their names.
    pub fn votes_on(&self, key: &TargetKey) -> Vec<SiteVote> {
        let Some(place) = self.layout.place_of(key) else { return Vec::new() };
        let bench = Bench::new(self, self.layout.shard_of_place(place));
        bench.votes(place).into_iter().map(|(_, vote)| vote).collect()
    }

    /// What a node said last about a topic, as far as this one has heard.
    pub fn words_of(&self, node: &NodeName, topic: Topic) -> &[u8] {
        self.book.page(node).map_or(&[], |page| page.words(topic))
    }

    /// Which target stands where.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

fn given_up(voting: usize, needed: usize) -> Box<str> {
    let vote = if voting == 1 { "site votes" } else { "sites vote" };
    format!("for {} only {voting} {vote}, {needed} must", spell(HOLD_MAX)).into()
}

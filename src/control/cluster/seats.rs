//! Which targets there are, who probes them, and whose votes count.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Layout;
use crate::cluster::Placed;
use crate::cluster::assignment::Candidate;
use crate::cluster::assignment::assigned;
use crate::control::cluster::panel::Hold;
use crate::control::cluster::panel::Panel;
use crate::model::TargetKey;
use crate::model::Vantage;
use crate::model::VoteScope;
use crate::model::Voting;
use crate::model::Word;

/// A target with all that decides about it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Name and place of it.
    pub placed: Placed,
    /// Who probes it and how many must agree.
    pub voting: Voting,
    /// Where it stands.
    pub site: Option<Box<str>>,
    /// In which part of the world.
    pub region: Option<Box<str>>,
    /// Between its probes.
    pub interval: Duration,
    /// Failures in a row that take it down.
    pub fall: u8,
    /// Successes in a row that bring it back.
    pub rise: u8,
    /// Whether it is to be probed at all: it is not disabled.
    pub is_open: bool,
}

/// The same, as far as it is looked at again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) voting: Voting,
    /// Its site as a number; 0 without one.
    pub(super) site: u16,
    /// The same site among those of the cluster.
    pub(super) home: Option<usize>,
    /// Whose votes count: a position among [`Panel::scopes`].
    pub(super) scope: usize,
    pub(super) interval: Duration,
    pub(super) fall: u8,
    pub(super) rise: u8,
    pub(super) is_open: bool,
}

impl Panel {
    /// Takes other targets, and the regions of sites by name. What was said of targets that stay goes on.
    pub fn set_seats(&mut self, seats: Vec<Seat>, regions: &BTreeMap<Box<str>, Box<str>>) {
        let sites = self.roster.sites().iter();
        self.regions = sites.map(|name| regions.get(name).cloned()).collect();
        let held: Vec<(TargetKey, Hold)> = std::mem::take(&mut self.held)
            .into_iter()
            .map(|(place, hold)| (self.layout.targets()[place].key.clone(), hold))
            .collect();
        let layout = Layout::new(seats.iter().map(|seat| seat.placed.clone()).collect());
        self.own.reseat(&self.layout, &layout);
        self.paths.reseat(&self.layout, &layout);
        self.layout = layout;
        self.set_terms(seats);
        for (key, hold) in held {
            let place = self.layout.place_of(&key);
            if let Some(place) = place.filter(|place| self.terms[*place].is_open) {
                self.held.insert(place, hold);
            }
        }
        self.dirty = (0..self.terms.len()).collect();
        // Of sites that are members no more, others take the shards.
        let is_move = std::mem::take(&mut self.is_roster_new);
        self.assign(is_move);
    }

    fn set_terms(&mut self, seats: Vec<Seat>) {
        let all: Vec<usize> = (0..self.roster.sites().len()).collect();
        self.scopes = vec![all];
        let mut regional: BTreeMap<Box<str>, usize> = BTreeMap::new();
        let mut sites: BTreeMap<Box<str>, u16> = BTreeMap::new();
        let mut terms: Vec<Option<Terms>> = vec![None; self.layout.targets().len()];
        for seat in seats {
            let Some(place) = self.layout.place_of(&seat.placed.key) else { continue };
            let home =
                seat.site.as_ref().and_then(|site| self.roster.sites().binary_search(site).ok());
            let scope = match (seat.voting.scope, seat.region) {
                (VoteScope::Region, Some(region)) => {
                    let near = || Self::sites_of(&self.regions, &region);
                    let scopes = &mut self.scopes;
                    *regional.entry(region.clone()).or_insert_with(|| match near() {
                        // Nobody is there who could vote: all do.
                        sites if sites.is_empty() => 0,
                        sites => {
                            scopes.push(sites);
                            scopes.len() - 1
                        }
                    })
                }
                (VoteScope::Region, None) | (VoteScope::Global, _) => 0,
            };
            let next = u16::try_from(sites.len() + 1).unwrap_or(u16::MAX);
            let site = seat.site.map_or(0, |site| *sites.entry(site).or_insert(next));
            terms[place].get_or_insert(Terms {
                voting: seat.voting,
                site,
                home,
                scope,
                interval: seat.interval,
                fall: seat.fall,
                rise: seat.rise,
                is_open: seat.is_open,
            });
        }
        self.terms = terms.into_iter().flatten().collect();
        for (place, terms) in self.terms.iter().enumerate() {
            if !terms.is_open && self.own.clear(place) {
                self.own.touch(self.layout.shard_of_place(place));
            }
        }
    }

    fn sites_of(regions: &[Option<Box<str>>], region: &str) -> Vec<usize> {
        let is_there = |(_, other): &(usize, &Option<Box<str>>)| other.as_deref() == Some(region);
        regions.iter().enumerate().filter(is_there).map(|(site, _)| site).collect()
    }

    /// Decides anew which targets are probed here; true if these became others. `is_move`: shards come from another site.
    pub(super) fn assign(&mut self, is_move: bool) -> bool {
        let mut known: BTreeMap<(usize, usize, u8), bool> = BTreeMap::new();
        let mut is_new = false;
        for place in 0..self.terms.len() {
            let Terms { voting, scope, .. } = self.terms[place];
            let shard = self.layout.shard_of_place(place);
            let is_ours = match voting.vantage {
                Vantage::All => self.scopes[scope].contains(&self.roster.own_site()),
                Vantage::Sites(count) => *known
                    .entry((shard, scope, count))
                    .or_insert_with(|| self.probers(place).contains(&self.roster.own_site())),
            };
            let had_word = self.own.at(place).word != Word::Unknown;
            if self.own.set_ours(place, is_ours, is_move) {
                is_new = true;
                if had_word {
                    self.own.touch(shard);
                    self.dirty.insert(place);
                }
            }
        }
        is_new
    }

    /// Sites that probe a target.
    pub(super) fn probers(&self, place: usize) -> BTreeSet<usize> {
        let Terms { voting, scope, .. } = self.terms[place];
        let scope = &self.scopes[scope];
        let Vantage::Sites(count) = voting.vantage else { return scope.iter().copied().collect() };
        let live = scope.iter().filter(|site| self.stable.believed().contains(site));
        let candidate = |&site: &usize| Candidate {
            site,
            name: &self.roster.sites()[site],
            region: self.regions[site].as_deref(),
        };
        let candidates: Vec<Candidate<'_>> = live.map(candidate).collect();
        let seed = self.layout.shards()[self.layout.shard_of_place(place)].seed;
        assigned(seed, count.into(), &candidates)
    }

    /// How many sites have a vote on a target by the configuration.
    pub(super) fn sites_voting(&self, place: usize) -> usize {
        let Terms { voting, scope, .. } = self.terms[place];
        let sites = self.scopes[scope].len();
        match voting.vantage {
            Vantage::All => sites,
            Vantage::Sites(count) => sites.min(count.into()),
        }
    }
}

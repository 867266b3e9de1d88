//! What makes the trees of an entry differ from place to place, in a few words: places with equal words have equal trees.
//!
//! A tree costs microseconds and there are a hundred thousand places; so trees are grown for new words only. Knows which
//! target comes where, and nothing of what becomes of it.

use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::SiteId;
use crate::model::TARGETS_MAX;
use crate::model::Target;
use crate::model::policy::Bias;
use crate::snapshot::grow::Grower;
use crate::snapshot::views::View;
use crate::steering::distance;
use crate::steering::interpreter::NEAREST_DEPTH;
use crate::steering::rank;
use crate::steering::rank::Cheap;
use crate::steering::round_trip;

/// An entry, prepared for many places.
#[derive(Debug)]
pub struct Sketch {
    root: Part,
}

/// A target and what is below it.
#[derive(Debug)]
enum Part {
    /// The same tree everywhere, with pools at these sites.
    Fixed(Box<[SiteId]>),
    /// Parts in an order that no place changes.
    Each(Box<[Part]>),
    /// Parts that are ranked.
    Ranked { by: By, parts: Box<[Part]>, cheap_within: Option<u64> },
    /// A list for each rule, the last for those that none fits.
    Ruled { policy: PolicyId, lists: Box<[Box<[Part]>]> },
}

/// What parts are ranked by.
#[derive(Debug)]
enum By {
    /// Distance, with the bias of each.
    Distance(Box<[Bias]>),
    /// Round-trip time; those that are as good as each other share their clients.
    RoundTrip,
}

/// Ends a group of targets that share their clients.
const GROUP_END: u16 = u16::MAX;

impl Sketch {
    /// Prepares an entry.
    pub fn new(model: &Model, entry: Target) -> Self {
        Self { root: Part::new(model, entry) }
    }

    /// Writes the words for clients with this view.
    pub fn write(&self, grower: Grower<'_>, view: View<'_>, words: &mut Vec<u16>) {
        words.clear();
        self.root.write(grower, view, words);
    }
}

impl Part {
    fn new(model: &Model, target: Target) -> Self {
        let policy = match target {
            Target::Pool(pool) => {
                return Self::Fixed(model.sites_of(pool).into_iter().collect());
            }
            Target::Policy(policy) => policy,
        };
        let kind = &model.policies[policy.index()].kind;
        let mut lists = kind.lists().into_iter().map(|list| {
            let parts: Box<[Self]> = list.into_iter().map(|t| Self::new(model, t)).collect();
            parts
        });
        match kind {
            PolicyKind::Geo(_) | PolicyKind::Networks(_) => {
                Self::Ruled { policy, lists: lists.collect() }
            }
            PolicyKind::All { targets: _, pool } => {
                Self::Fixed(model.sites_of(*pool).into_iter().collect())
            }
            PolicyKind::Failover(_) | PolicyKind::Weighted(_) => {
                Self::joined(lists.next().unwrap_or_default())
            }
            PolicyKind::Nearest { targets, cheap_within } => Self::Ranked {
                by: By::Distance(targets.iter().map(|(_, bias)| *bias).collect()),
                parts: lists.next().unwrap_or_default(),
                cheap_within: *cheap_within,
            },
            PolicyKind::Fastest { targets: _, cheap_within } => Self::Ranked {
                by: By::RoundTrip,
                parts: lists.next().unwrap_or_default(),
                cheap_within: *cheap_within,
            },
        }
    }

    /// Parts in an order that no place changes: one, if no place changes any of them.
    fn joined(parts: Box<[Self]>) -> Self {
        let mut sites = Vec::new();
        for part in &parts {
            match part {
                Self::Fixed(of_part) => sites.extend_from_slice(of_part),
                Self::Each(_) | Self::Ranked { .. } | Self::Ruled { .. } => {
                    return Self::Each(parts);
                }
            }
        }
        Self::Fixed(sites.into())
    }

    fn write(&self, grower: Grower<'_>, view: View<'_>, words: &mut Vec<u16>) {
        match self {
            Self::Fixed(_) => {}
            Self::Each(parts) => parts.iter().for_each(|part| part.write(grower, view, words)),
            Self::Ranked { by, parts, cheap_within } => {
                write_ranks(grower, view, (by, parts, *cheap_within), words);
                parts.iter().for_each(|part| part.write(grower, view, words));
            }
            Self::Ruled { policy, lists } => {
                let list = list_of(grower, *policy, lists, view);
                words.push(list as u16);
                lists[list].iter().for_each(|part| part.write(grower, view, words));
            }
        }
    }

    /// Every site below it that clients with this view may be sent to.
    fn for_each_site(&self, grower: Grower<'_>, view: View<'_>, visit: &mut impl FnMut(SiteId)) {
        match self {
            Self::Fixed(sites) => sites.iter().for_each(|site| visit(*site)),
            Self::Each(parts) | Self::Ranked { parts, .. } => {
                parts.iter().for_each(|part| part.for_each_site(grower, view, visit));
            }
            Self::Ruled { policy, lists } => {
                let list = &lists[list_of(grower, *policy, lists, view)];
                list.iter().for_each(|part| part.for_each_site(grower, view, visit));
            }
        }
    }
}

/// Which list is that of clients with this view.
fn list_of(grower: Grower<'_>, policy: PolicyId, lists: &[Box<[Part]>], view: View<'_>) -> usize {
    grower.matching(policy, Some(view)).0.map_or(lists.len() - 1, usize::from)
}

/// Writes which positions are ranked first; with groups where those of one group share their clients.
fn write_ranks(
    grower: Grower<'_>,
    view: View<'_>,
    (by, parts, cheap_within): (&By, &[Part], Option<u64>),
    words: &mut Vec<u16>,
) {
    let mut values = [0; TARGETS_MAX];
    let mut sites = [None; TARGETS_MAX];
    let (values, sites) = (&mut values[..parts.len()], &mut sites[..parts.len()]);
    for (position, part) in parts.iter().enumerate() {
        let (worth, site) = best_of(grower, view, by, part);
        values[position] = match by {
            // Most have none, and a division is slow.
            By::Distance(biases) if biases[position] != Bias::NONE && site.is_some() => {
                distance::biased(worth, biases[position])
            }
            By::Distance(_) | By::RoundTrip => worth,
        };
        sites[position] = site;
    }
    if sites.iter().all(Option::is_none) {
        // Nobody knows better: as written, and nobody shares.
        return words.push(GROUP_END);
    }
    let (slack, is_spread) = match (by, view.spot) {
        (By::Distance(_), spot) => (spot.map_or(0, |(_, radius)| radius.slack()), false),
        (By::RoundTrip, _) => (round_trip::TIE_US - 1, true),
    };
    if cheap_within.is_none() && !is_spread {
        return write_nearest(values, slack, words);
    }
    let costs: Vec<f64> = sites.iter().map(|site| grower.cost_at(*site)).collect();
    let cheap = cheap_within.map(|within| Cheap { within, costs: &costs });
    let mut written = 0;
    for group in rank::groups(values, slack, cheap) {
        if written >= NEAREST_DEPTH {
            break;
        }
        written += group.len();
        words.extend(group.into_iter().map(|position| position as u16));
        words.push(GROUP_END);
    }
}

/// The nearest or fastest site of a part, the lower of equals, and how far or slow it is; the most if nobody knows.
#[inline]
fn best_of(grower: Grower<'_>, view: View<'_>, by: &By, part: &Part) -> (u64, Option<SiteId>) {
    let mut best = (u64::MAX, None);
    part.for_each_site(grower, view, &mut |site| {
        let worth = raw_worth(grower, view, by, site);
        if worth < best.0 || (worth == best.0 && best.1.is_some_and(|other| site < other)) {
            best = (worth, Some(site));
        }
    });
    best
}

/// How far or slow a site is, before bias; the most if nobody knows.
#[inline]
fn raw_worth(grower: Grower<'_>, view: View<'_>, by: &By, site: SiteId) -> u64 {
    let metres = view.spot.map(|(metres, _)| metres[site.index()]);
    match by {
        By::Distance(_) => metres.unwrap_or(u64::MAX),
        By::RoundTrip => {
            let prior = metres.map(round_trip::prior);
            let estimate = grower.round_trips.estimate(view.round_trips, site, prior);
            estimate.map_or(u64::MAX, |(micros, _)| micros)
        }
    }
}

/// Writes the positions of the first [`NEAREST_DEPTH`], in the order of [`rank::groups`], without sorting the others.
///
/// The value of what is written is lost.
fn write_nearest(values: &mut [u64], slack: u64, words: &mut Vec<u16>) {
    let mut left = NEAREST_DEPTH.min(values.len());
    let start = words.len();
    while left > 0 {
        let nearest = values.iter().copied().min().unwrap_or(u64::MAX);
        if nearest == u64::MAX {
            // Only those are left of which nothing is known.
            for position in 0..values.len() as u16 {
                if left > 0 && !words[start..].contains(&position) {
                    words.push(position);
                    left -= 1;
                }
            }
            return;
        }
        for (position, value) in values.iter_mut().enumerate() {
            if *value - nearest <= slack && left > 0 {
                words.push(position as u16);
                *value = u64::MAX;
                left -= 1;
            }
        }
    }
}

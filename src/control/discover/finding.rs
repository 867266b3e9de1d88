//! What a pool makes of a list: who comes, who goes, and who may not go yet.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::control::discover::News;
use crate::control::effect::count;
use crate::control::restart::short;
use crate::discovery::Floor;
use crate::discovery::Members;
use crate::discovery::Refused;
use crate::discovery::members::refused_text;
use crate::model::Discovery;
use crate::model::ENDPOINTS_MAX;
use crate::model::Endpoint;
use crate::model::Now;
use crate::model::Source;

/// What a pool made of a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding {
    /// Digest of the settings that judged it; `None` before the first list.
    pub(super) judged: Option<u64>,
    /// Endpoints by their names in the pool.
    pub(super) endpoints: BTreeMap<Box<str>, Endpoint>,
    /// Which of them the source has dropped, and the floor holds.
    pub(super) held: BTreeSet<Box<str>>,
    /// Targets that are none.
    pub(super) refused: Vec<Refused>,
    /// Why nothing of the last list can be used, if that is so.
    pub(super) useless: Option<Box<str>>,
    pub(super) floor: Floor,
    /// It was found before this start, and no list has come since.
    pub(super) is_kept: bool,
}

/// Names the settings that judge lists: a list that is judged by others is another list, for an operator has spoken.
///
/// How often and how safely the source is asked judges nothing.
pub(super) fn digest(settings: &Discovery) -> u64 {
    let Discovery { source, max_drop, weight_label, name_label, site_label, port, written } =
        settings;
    let labels = format!("{weight_label:?} {name_label:?} {site_label:?}");
    short(format!("{source} {} {labels} {port:?} {written}", max_drop.0).as_bytes())
}

/// Whether the floor counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Drop {
    /// Yes.
    Guarded,
    /// An operator has spoken.
    Accepted,
}

/// Takes endpoints out for which the pool has no room.
fn leave_out<'a>(
    surplus: impl Iterator<Item = &'a Box<str>>,
    endpoints: &mut BTreeMap<Box<str>, Endpoint>,
    refused: &mut Vec<Refused>,
) {
    for name in surplus {
        endpoints.remove(name);
        let why = format!("the pool is full: {ENDPOINTS_MAX} endpoints").into();
        refused.push(Refused { target: name.clone(), why, offset: 0 });
    }
}

impl Finding {
    /// What the pool has of a list from now on. `room` is how many endpoints may be found.
    pub(super) fn take(
        &self,
        settings: &Discovery,
        Members { endpoints: mut next, mut refused, elsewhere }: Members,
        room: usize,
        how: Drop,
        now: Now,
    ) -> Self {
        let judged = Some(digest(settings));
        if next.is_empty() {
            let why = match (refused.first(), elsewhere) {
                (Some(_), _) => format!("no target can be used: {}", refused_text(&refused)),
                (None, 0) => "the list is empty".into(),
                (None, others) => {
                    format!("all of {} stand at other sites", count(others, "target"))
                }
            };
            return Self { refused, useless: Some(why.into()), ..self.clone() };
        }
        let is_comparable = self.judged == judged && how == Drop::Guarded;
        let going = self.endpoints.keys().filter(|name| !next.contains_key(*name));
        let going: BTreeSet<Box<str>> = going.cloned().collect();
        let size = self.endpoints.len();
        let may_go = !is_comparable
            || self.floor.allows(now.monotonic, size, going.len(), settings.max_drop);
        let mut floor = self.floor.clone();
        let held = if may_go { BTreeSet::new() } else { going.clone() };
        if is_comparable && may_go {
            floor.note(now.monotonic, going.len());
        }
        let coming = next.keys().filter(|name| !self.endpoints.contains_key(*name));
        let coming: Vec<Box<str>> = coming.cloned().collect();
        let staying = next.len() - coming.len() + held.len();
        leave_out(coming.iter().skip(room.saturating_sub(staying)), &mut next, &mut refused);
        let stay = self.endpoints.iter().filter(|(name, _)| held.contains(*name));
        next.extend(stay.map(|(name, endpoint)| (name.clone(), endpoint.clone())));
        let is_kept = false;
        Self { judged, endpoints: next, held, refused, useless: None, floor, is_kept }
    }

    /// What the pool has of what was found before the start, while no list has come since.
    pub(super) fn again(
        &self,
        settings: &Discovery,
        Members { mut endpoints, mut refused, elsewhere: _ }: Members,
        room: usize,
        how: Drop,
        now: Now,
    ) -> Self {
        let names: Vec<Box<str>> = endpoints.keys().cloned().collect();
        leave_out(names.iter().skip(room), &mut endpoints, &mut refused);
        let mut floor = self.floor.clone();
        let (size, going) = (self.endpoints.len(), self.held.len());
        let is_guarded = how == Drop::Guarded;
        let may_go = floor.allows(now.monotonic, size, going, settings.max_drop);
        let mut held = self.held.clone();
        if may_go || !is_guarded {
            endpoints.retain(|name, _| !held.contains(name));
            held.clear();
            floor.note(now.monotonic, if is_guarded { going } else { 0 });
        }
        held.retain(|name| endpoints.contains_key(name));
        // Whatever the settings are by now, the next list is compared with what those of then made.
        Self { endpoints, held, refused, floor, ..self.clone() }
    }

    /// What differs from what was, for people.
    pub(super) fn news(&self, before: &Self, source: &Source) -> Vec<News> {
        let mut news = Vec::new();
        if self.useless != before.useless {
            let (source, kept) = (source.to_string().into(), self.endpoints.len());
            news.push(match &self.useless {
                Some(reason) => News::Failing { source, reason: reason.clone(), kept },
                None => News::Recovered { source },
            });
        }
        if self.endpoints != before.endpoints {
            let without = |one: &Self, other: &Self| -> Vec<Box<str>> {
                let names = one.endpoints.keys();
                names.filter(|name| !other.endpoints.contains_key(*name)).cloned().collect()
            };
            let (added, removed) = (without(self, before), without(before, self));
            let (source, found) = (source.to_string().into(), self.endpoints.len());
            news.push(News::Changed { source, added, removed, found });
        }
        if self.held != before.held {
            news.push(match self.held.is_empty() {
                true => News::Eased,
                false => News::Held {
                    names: self.held.iter().cloned().collect(),
                    found: self.endpoints.len(),
                },
            });
        }
        let plain = |refused: &[Refused]| -> Vec<(Box<str>, Box<str>)> {
            refused.iter().map(|one| (one.target.clone(), one.why.clone())).collect()
        };
        if self.useless.is_none() && plain(&self.refused) != plain(&before.refused) {
            let (count, text) = (self.refused.len(), refused_text(&self.refused).into());
            news.push(News::Refused { count, text });
        }
        news
    }
}

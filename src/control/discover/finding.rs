//! What a pool makes of a list: who comes, who goes, and who may not go yet.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::control::discover::News;
use crate::control::effect::count;
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
    /// By these settings; `None` before the first list.
    pub(super) settings: Option<Discovery>,
    /// Endpoints by their names in the pool.
    pub(super) endpoints: BTreeMap<Box<str>, Endpoint>,
    /// Which of them the source has dropped, and the floor holds.
    pub(super) held: BTreeSet<Box<str>>,
    /// Targets that are none.
    pub(super) refused: Vec<Refused>,
    /// Why nothing of the last list can be used, if that is so.
    pub(super) useless: Option<Box<str>>,
    pub(super) floor: Floor,
}

/// Whether the floor counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Drop {
    /// Yes.
    Guarded,
    /// An operator has spoken.
    Accepted,
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
        let settings = Some(settings.clone());
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
        // What is judged by other settings is another list: an operator has just spoken.
        let is_comparable = self.settings == settings && how == Drop::Guarded;
        let going = self.endpoints.keys().filter(|name| !next.contains_key(*name));
        let going: BTreeSet<Box<str>> = going.cloned().collect();
        let (max_drop, size) = (settings.as_ref().map(|one| one.max_drop), self.endpoints.len());
        let may_go = !is_comparable
            || max_drop.is_none_or(|max| self.floor.allows(now.monotonic, size, going.len(), max));
        let mut floor = self.floor.clone();
        let held = if may_go { BTreeSet::new() } else { going.clone() };
        if is_comparable && may_go {
            floor.note(now.monotonic, going.len());
        }
        let coming = next.keys().filter(|name| !self.endpoints.contains_key(*name));
        let coming: Vec<Box<str>> = coming.cloned().collect();
        let staying = next.len() - coming.len() + held.len();
        for name in coming.iter().skip(room.saturating_sub(staying)) {
            next.remove(name);
            let why = format!("the pool is full: {ENDPOINTS_MAX} endpoints").into();
            refused.push(Refused { target: name.clone(), why, offset: 0 });
        }
        let stay = self.endpoints.iter().filter(|(name, _)| held.contains(*name));
        next.extend(stay.map(|(name, endpoint)| (name.clone(), endpoint.clone())));
        Self { settings, endpoints: next, held, refused, useless: None, floor }
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
            news.push(News::Changed { added, removed, found: self.endpoints.len() });
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

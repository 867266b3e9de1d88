//! What survives a restart: every verdict and every record, each under a key of its own, in a form that later versions read.
//!
//! The form is a mirror of the controller's types, so that a type may change and files stay readable. Writes no file.

mod form;
mod found;
mod load;

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

pub use form::AdminForm;
pub use form::FamilyForm;
pub use form::FlapsForm;
pub use form::TargetForm;
pub use form::VerdictForm;
pub use form::WrittenForm;
pub use found::FindingForm;
pub use found::FoundForm;
pub(super) use found::finding_key;
pub(super) use found::found_key;
pub use load::Kept;
pub use load::NetworksForm;
pub use load::NodeForm;
pub use load::PartForm;
pub use load::ServedForm;

use crate::control::Known;
use crate::control::Memory;
use crate::control::Order;
use crate::control::Scope;
use crate::control::Shift;
use crate::control::event_record::EventRecord;
use crate::control::failback::Side;
use crate::control::failback::Stage;
use crate::control::failback::WayBack;
use crate::control::shed::Record;
use crate::control::stored::form::instant_ms;
use crate::control::weights::Billionths;
use crate::model::Family;
use crate::model::Resolved;
use crate::model::TargetKey;
use crate::wire::Name;

/// One thing that is kept. A new kind is a variant here, its [`Stored::key`], a line in
/// [`note_changes`](crate::control::Controller) and one where it is restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stored {
    /// What is known of a target.
    Verdict {
        /// Which.
        target: TargetForm,
        /// What.
        verdict: VerdictForm,
        /// Since when.
        since_ms: u64,
        /// Why.
        reason: Box<str>,
        /// Digest of how and where it is probed: it holds for no other probe.
        probe: u64,
        /// How slow it is, as a level of its check.
        #[serde(default, skip_serializing_if = "is_zero")]
        degraded: u8,
        /// For its flaps, as it was when the verdict began.
        #[serde(default, skip_serializing_if = "FlapsForm::is_none")]
        flaps: FlapsForm,
    },
    /// An order of an operator.
    Order {
        /// For what.
        scope: Scope,
        /// Which.
        order: AdminForm,
        /// Why.
        reason: Box<str>,
        /// Who.
        author: Box<str>,
        /// Since when.
        since_ms: u64,
        /// Until when; `None`: until it is taken back.
        until_ms: Option<u64>,
    },
    /// A pool that has not got all its clients back.
    WayBack {
        /// Which.
        pool: Box<str>,
        /// Which side of it.
        family: FamilyForm,
        /// Who, why and when.
        written: WrittenForm,
        /// Since when its clients come back, and how many tenths have; `None`: none comes back.
        ramp: Option<(u64, u8)>,
    },
    /// Weights of a policy that differ from those of the files.
    Shift {
        /// Which.
        policy: Box<str>,
        /// Who, why and when.
        written: WrittenForm,
        /// Whose share moves.
        target: Box<str>,
        /// From where, in billionths.
        from: u32,
        /// To where, in billionths.
        to: u32,
        /// How long that takes.
        over_ms: u64,
        /// How long after that it may be taken back.
        watch_ms: u64,
        /// When it ends.
        until_ms: Option<u64>,
        /// Hundredths of the way that are done.
        step: u8,
    },
    /// Who of a pool was healthy last.
    LastGood {
        /// Which.
        pool: Box<str>,
        /// Which side of it.
        family: FamilyForm,
        /// Higher is later.
        stamp: u64,
        /// `pool/endpoint` of each.
        endpoints: Vec<Box<str>>,
    },
    /// The last good addresses of a name.
    Name {
        /// Which.
        name: String,
        /// Its addresses.
        addresses: Vec<IpAddr>,
        /// IPv4, IPv6: nobody has said yet whether there are any.
        #[serde(default)]
        unheard: [bool; 2],
    },
    /// What a pool sheds for its load.
    Shed {
        /// Which.
        pool: Box<str>,
        /// Who, why and when.
        written: WrittenForm,
        /// What its law remembers, as [`crate::control::shed::law::Course::octets`] has it.
        course: [u8; 8],
        /// In which window of 30 s since 1970 that was so.
        #[serde(default)]
        window: u64,
    },
    /// A loss that counts against the budget of the brake.
    Loss {
        /// What is gone.
        target: TargetForm,
        /// Since when.
        at_ms: u64,
    },
    /// What the brake holds.
    Held {
        /// What is down by its probes.
        target: TargetForm,
        /// Since when.
        since_ms: u64,
        /// Why.
        reason: Box<str>,
        /// Its probes pass again.
        passes: bool,
    },
    /// An endpoint that a pool has found.
    Found(FoundForm),
    /// How a pool judges what is found.
    Finding(FindingForm),
    /// What is served.
    Served(ServedForm),
}

/// Key of what is served: there is one.
pub const SERVED_KEY: &str = "served";

impl Stored {
    /// The key it is kept under.
    pub fn key(&self) -> String {
        match self {
            Self::Verdict { target, .. } => verdict_key(&TargetKey::from(target)),
            Self::Order { scope, .. } => order_key(scope),
            Self::WayBack { pool, family, .. } => way_back_key(&(pool.clone(), (*family).into())),
            Self::Shift { policy, .. } => shift_key(policy),
            Self::LastGood { pool, family, .. } => last_good_key(&(pool.clone(), (*family).into())),
            Self::Name { name, .. } => format!("name {name}"),
            Self::Shed { pool, .. } => shed_key(pool),
            Self::Loss { target, .. } => loss_key(&TargetKey::from(target)),
            Self::Held { target, .. } => held_key(&TargetKey::from(target)),
            Self::Found(FoundForm { pool, name, .. }) => found_key(pool, name),
            Self::Finding(FindingForm { pool, .. }) => finding_key(pool),
            Self::Served(_) => SERVED_KEY.into(),
        }
    }

    pub(super) fn verdict(key: &TargetKey, known: &Known, probe: u64) -> Self {
        Self::Verdict {
            target: key.into(),
            verdict: known.verdict.into(),
            since_ms: instant_ms(known.since.unix),
            reason: known.reason.clone(),
            probe,
            degraded: known.degraded,
            flaps: known.penalty.into(),
        }
    }

    pub(super) fn order(scope: &Scope, order: &Order) -> Self {
        let Order { admin, reason, author, since, until } = order;
        Self::Order {
            scope: scope.clone(),
            order: (*admin).into(),
            reason: reason.clone(),
            author: author.clone(),
            since_ms: instant_ms(*since),
            until_ms: until.map(instant_ms),
        }
    }

    pub(super) fn way_back((pool, family): &Side, WayBack { written, stage }: &WayBack) -> Self {
        let ramp = match *stage {
            Stage::Away => None,
            Stage::Ramp { since, tenths } => Some((instant_ms(since), tenths)),
        };
        let (pool, family) = (pool.clone(), (*family).into());
        Self::WayBack { pool, family, written: written.into(), ramp }
    }

    pub(super) fn shift(policy: &str, shift: &Shift) -> Self {
        let Shift { written, target, from, to, over, watch, until, step } = shift;
        Self::Shift {
            policy: policy.into(),
            written: written.into(),
            target: target.clone(),
            from: from.0,
            to: to.0,
            over_ms: instant_ms(*over),
            watch_ms: instant_ms(*watch),
            until_ms: until.map(instant_ms),
            step: *step,
        }
    }

    pub(super) fn last_good((pool, family): &Side, Memory { stamp, endpoints }: &Memory) -> Self {
        let endpoints = endpoints.iter().map(|key| (**key).into()).collect();
        Self::LastGood { pool: pool.clone(), family: (*family).into(), stamp: *stamp, endpoints }
    }

    pub(super) fn name(name: &Name, addresses: &Resolved) -> Self {
        let unheard = Family::BOTH.map(|family| addresses.is_unknown(family));
        Self::Name { name: name.to_string(), addresses: addresses.iter().collect(), unheard }
    }

    pub(super) fn shed(pool: &str, Record { written, noted, .. }: &Record) -> Self {
        let (written, course) = (written.into(), noted.course.octets());
        Self::Shed { pool: pool.into(), written, course, window: noted.window }
    }
}

/// Whether a level is none: most are, and nothing is written of them.
fn is_zero(level: &u8) -> bool {
    *level == 0
}

pub(super) fn verdict_key(key: &TargetKey) -> String {
    format!("verdict {key}")
}

pub(super) fn order_key(scope: &Scope) -> String {
    format!("order {scope}")
}

pub(super) fn way_back_key((pool, family): &Side) -> String {
    format!("way_back {pool} {family}")
}

pub(super) fn shift_key(policy: &str) -> String {
    format!("shift {policy}")
}

pub(super) fn last_good_key((pool, family): &Side) -> String {
    format!("last_good {pool} {family}")
}

pub(super) fn name_key(name: &Name) -> String {
    format!("name {name}")
}

pub(super) fn shed_key(pool: &str) -> String {
    format!("shed {pool}")
}

pub(super) fn loss_key(key: &TargetKey) -> String {
    format!("loss {key}")
}

pub(super) fn held_key(key: &TargetKey) -> String {
    format!("held {key}")
}

impl Shift {
    pub(super) fn of_form(stored: Stored) -> Option<(Box<str>, Self)> {
        let Stored::Shift { policy, written, target, from, to, over_ms, watch_ms, until_ms, step } =
            stored
        else {
            return None;
        };
        let shift = Self {
            written: written.into(),
            target,
            from: Billionths(from.min(Billionths::ALL.0)),
            to: Billionths(to.min(Billionths::ALL.0)),
            over: Duration::from_millis(over_ms),
            watch: Duration::from_millis(watch_ms),
            until: until_ms.map(Duration::from_millis),
            step: step.min(crate::control::shift::STEPS),
        };
        Some((policy, shift))
    }
}

/// A key that has another value now, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: Box<str>,
    /// Its value; `None`: it is gone.
    pub value: Option<Stored>,
}

/// What one moment changed: written as a whole, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// When, since 1970.
    pub at: Duration,
    /// The publication it is in.
    pub generation: u64,
    /// Version of the record written last.
    pub version: u64,
    /// What is known holds at this moment: to be written though nothing has changed.
    pub is_sign_of_life: bool,
    /// State that may have changed; whoever writes it leaves out what has not.
    pub changes: Vec<Change>,
    /// What happened, for people.
    pub events: Vec<EventRecord>,
    /// Since when nothing is known of what was before this entry: the server did not run, or could not write.
    pub gap_since: Option<Duration>,
    /// Events that are left out for want of room.
    pub events_lost: u64,
}

/// Most events of one entry that stands for several.
const MERGED_EVENTS_MAX: usize = 10_000;

impl Entry {
    /// Makes one entry of this and the next.
    pub fn absorb(&mut self, next: Self) {
        let Self { at, generation, version, changes, events, gap_since, events_lost, .. } = next;
        self.is_sign_of_life |= next.is_sign_of_life;
        self.gap_since = Some(self.gap_since.or(gap_since).unwrap_or(self.at).min(self.at));
        (self.at, self.generation, self.version) = (at, generation, version);
        self.changes.extend(changes);
        self.events.extend(events);
        let surplus = self.events.len().saturating_sub(MERGED_EVENTS_MAX);
        self.events.drain(..surplus);
        self.events_lost += events_lost + surplus as u64;
    }

    /// Drops all but the last change of each key.
    pub fn compact(&mut self) {
        let mut seen = std::collections::HashSet::new();
        let mut kept: Vec<Change> = Vec::new();
        for change in std::mem::take(&mut self.changes).into_iter().rev() {
            if seen.insert(change.key.clone()) {
                kept.push(change);
            }
        }
        kept.reverse();
        self.changes = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::record::Written;
    use crate::health::Penalty;
    use crate::model::Now;
    use crate::model::Verdict;

    #[test]
    fn the_form_on_disk_is_what_it_was() {
        let key = TargetKey {
            endpoint: "eu/fra-1".into(),
            check: "web".into(),
            family: Family::V4,
            address: Some([192, 0, 2, 1].into()),
        };
        let since = Now { unix: Duration::from_millis(1_500), ..Now::default() };
        let (reason, penalty) = ("refused".into(), Penalty::default());
        let known = Known { verdict: Verdict::Down, since, reason, degraded: 0, penalty };
        let slow = Known { verdict: Verdict::Up, degraded: 2, ..known.clone() };
        let damped =
            Known { penalty: Penalty { value: 3.9, is_suppressed: true }, ..known.clone() };
        let written = Written {
            version: 7,
            author: "ann".into(),
            reason: "canary".into(),
            at: Duration::from_secs(2),
        };
        let way = WayBack {
            written: written.clone(),
            stage: Stage::Ramp { since: Duration::from_secs(3), tenths: 4 },
        };
        let shift = Shift {
            written,
            target: "next".into(),
            from: Billionths(5),
            to: Billionths(9),
            over: Duration::from_secs(60),
            watch: Duration::from_secs(30),
            until: None,
            step: 17,
        };
        let side: Side = ("eu".into(), Family::V6);
        for (stored, key, text) in [
            (
                Stored::verdict(&key, &known, 3),
                "verdict eu/fra-1 web IPv4 192.0.2.1",
                r#"{"kind":"verdict","target":{"endpoint":"eu/fra-1","check":"web","family":"ipv4","address":"192.0.2.1"},"verdict":"down","since_ms":1500,"reason":"refused","probe":3}"#,
            ),
            (
                Stored::verdict(&key, &slow, 3),
                "verdict eu/fra-1 web IPv4 192.0.2.1",
                r#"{"kind":"verdict","target":{"endpoint":"eu/fra-1","check":"web","family":"ipv4","address":"192.0.2.1"},"verdict":"up","since_ms":1500,"reason":"refused","probe":3,"degraded":2}"#,
            ),
            (
                Stored::verdict(&key, &damped, 3),
                "verdict eu/fra-1 web IPv4 192.0.2.1",
                r#"{"kind":"verdict","target":{"endpoint":"eu/fra-1","check":"web","family":"ipv4","address":"192.0.2.1"},"verdict":"down","since_ms":1500,"reason":"refused","probe":3,"flaps":{"thousandths":3900,"damped":true}}"#,
            ),
            (
                Stored::way_back(&side, &way),
                "way_back eu IPv6",
                r#"{"kind":"way_back","pool":"eu","family":"ipv6","written":{"version":7,"author":"ann","reason":"canary","at_ms":2000},"ramp":[3000,4]}"#,
            ),
            (
                Stored::shift("canary", &shift),
                "shift canary",
                r#"{"kind":"shift","policy":"canary","written":{"version":7,"author":"ann","reason":"canary","at_ms":2000},"target":"next","from":5,"to":9,"over_ms":60000,"watch_ms":30000,"until_ms":null,"step":17}"#,
            ),
        ] {
            assert_eq!(stored.key(), key);
            assert_eq!(serde_json::to_string(&stored).unwrap(), text);
            assert_eq!(serde_json::from_str::<Stored>(text).unwrap(), stored);
        }
        let stored = Stored::shift("canary", &shift);
        assert_eq!(Shift::of_form(stored), Some(("canary".into(), shift)));
    }

    #[test]
    fn entries_that_become_one_say_so_and_keep_the_last_of_each_key() {
        let change = |key: &str, seconds: u64| Change {
            key: key.into(),
            value: Some(Stored::Name {
                name: seconds.to_string(),
                addresses: Vec::new(),
                unheard: [false; 2],
            }),
        };
        let entry = |seconds: u64, keys: &[&str]| Entry {
            at: Duration::from_secs(seconds),
            generation: seconds,
            changes: keys.iter().map(|key| change(key, seconds)).collect(),
            ..Entry::default()
        };
        let mut first = entry(1, &["a", "b"]);
        first.absorb(entry(2, &["b"]));
        first.absorb(entry(3, &["c", "a"]));
        first.compact();
        assert_eq!((first.at.as_secs(), first.generation), (3, 3));
        assert_eq!(first.gap_since, Some(Duration::from_secs(1)));
        assert_eq!(first.changes, [change("b", 2), change("c", 3), change("a", 3)]);
    }
}

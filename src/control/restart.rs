//! What a restart needs: notes what changed at each publication, and takes it up again at the start.
//!
//! Nothing here writes or reads: [`Effect::Persist`] says what to keep, [`Event::Restored`](crate::control::Event) brings it back.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use crate::control::Controller;
use crate::control::Effect;
use crate::control::Job;
use crate::control::Known;
use crate::control::Memory;
use crate::control::Occurrence;
use crate::control::Order;
use crate::control::Shift;
use crate::control::event_record::EventRecord;
use crate::control::failback::Stage;
use crate::control::failback::WayBack;
use crate::control::health::Target;
use crate::control::parts::Base;
use crate::control::parts::Parts;
use crate::control::shed::Noted;
use crate::control::shed::Record;
use crate::control::shed::law::Course;
use crate::control::shift::STEPS;
use crate::control::started::TakenUp;
use crate::control::stored;
use crate::control::stored::Change;
use crate::control::stored::Entry;
use crate::control::stored::NodeForm;
use crate::control::stored::ServedForm;
use crate::control::stored::Stored;
use crate::control::stored::VerdictForm;
use crate::model::Check;
use crate::model::CheckKind;
use crate::model::Model;
use crate::model::Now;
use crate::model::Resolved;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::rtt::Table;
use crate::steering::Shedding;
use crate::wire::Name;

/// Verdicts of before a restart are believed if the server was alive so lately.
///
/// Source: design, section 5.13.
pub const VERDICTS_MAX_AGE: Duration = Duration::from_secs(3600);

/// How often it is noted that what is known still holds, when nothing changes.
///
/// A twelfth of [`VERDICTS_MAX_AGE`]: verdicts are believed after at least 55 minutes of standstill.
pub const ALIVE: Duration = Duration::from_secs(300);

/// What was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Everything, in any order.
    pub stored: Vec<Stored>,
    /// When the server was alive last, since 1970; `None`: never before.
    pub alive: Option<Duration>,
    /// The last publication.
    pub generation: u64,
    /// Version of the record written last.
    pub version: u64,
    /// What was learnt of round-trip times.
    pub latest: Option<Arc<Table>>,
}

/// What the controller knows of keeping state.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Whether anybody keeps it.
    is_on: bool,
    /// Verdicts that wait for the first files, and when they held.
    waiting: Option<(Vec<Stored>, Option<Duration>)>,
    /// Events since the last entry.
    events: Vec<EventRecord>,
    /// When the server was alive before this start, for the first entry.
    alive_before: Option<Duration>,
    /// When the last sign of life was given, on the monotonic clock.
    noted: Option<Duration>,
    /// What is served.
    served: Option<ServedForm>,
    /// Whether that is to be noted.
    is_served_new: bool,
}

/// How long before `now` something was, of which the wall clock is known; nothing if the clock was set back since.
fn age(unix: Duration, now: Now) -> Duration {
    now.unix.saturating_sub(unix)
}

/// The same moment on both clocks.
pub(super) fn moment(unix_ms: u64, now: Now) -> Now {
    let unix = Duration::from_millis(unix_ms);
    Now { monotonic: now.monotonic.saturating_sub(age(unix, now)), unix }
}

/// Digest of where and how a target is probed: what is known holds for nothing else.
///
/// A check that is made of others finds out nothing itself: its parts decide whether what is known of it holds.
fn probe_digest(target: &Target<'_>) -> u64 {
    let (address, check) = (target.address, target.check());
    let Check { kind, port, invert, .. } = &*check;
    let text = match kind {
        CheckKind::Composite(_) => format!("{address} made of others"),
        _ => format!("{address} {port} {invert} {kind:?}"),
    };
    short(text.as_bytes())
}

/// A digest of eight octets, to compare with.
pub(super) fn short(octets: &[u8]) -> u64 {
    let digest = Sha256::digest(octets);
    digest[..8].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

/// Hexadecimal of a digest.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl Controller {
    /// Takes up what was kept; from now on it is told what to keep. Verdicts wait for the files: they say who is probed.
    pub(super) fn take_restored(&mut self, restored: Restored, now: Now) {
        let Restored { stored, alive, generation, version, latest } = restored;
        latest.into_iter().for_each(|table| self.restore_table(table));
        self.keeping.is_on = true;
        (self.generation, self.version) = (generation, version);
        let is_fresh = is_fresh(alive, now);
        let mut verdicts = Vec::new();
        for one in stored {
            match one {
                Stored::Verdict { .. } => verdicts.push(one),
                Stored::Loss { .. } | Stored::Held { .. } => self.restore_brake(one, is_fresh, now),
                Stored::Finding(form) => self.restore_finding(form, now),
                other => self.restore_record(other),
            }
        }
        self.age_sheds(now);
        self.keeping.waiting = Some((verdicts, alive));
        self.keeping.alive_before = alive;
    }

    /// Puts a record back as it was. Its key counts as touched: what does not come back is kept no longer.
    pub(super) fn restore_record(&mut self, stored: Stored) {
        match stored {
            Stored::Order { scope, order, reason, author, since_ms, until_ms } => {
                let since = Duration::from_millis(since_ms);
                let until = until_ms.map(Duration::from_millis);
                let order = Order { admin: order.into(), reason, author, since, until };
                self.orders.insert(scope, order);
            }
            Stored::WayBack { pool, family, written, ramp } => {
                let stage = ramp.map_or(Stage::Away, |(since_ms, tenths)| Stage::Ramp {
                    since: Duration::from_millis(since_ms),
                    tenths,
                });
                let way = WayBack { written: written.into(), stage };
                self.ways_back.insert((pool, family.into()), way);
            }
            Stored::LastGood { pool, family, stamp, endpoints } => {
                self.stamp = self.stamp.max(stamp);
                let endpoints = endpoints.into_iter().map(Arc::from).collect();
                self.remembered.insert((pool, family.into()), Memory { stamp, endpoints });
            }
            Stored::Name { name, addresses, unheard } => {
                if let Ok(name) = Name::absolute(&name) {
                    self.resolutions.restore(name, Resolved::of(addresses).with_unheard(unheard));
                }
            }
            writing @ Stored::Writing { .. } => self.restore_writing(writing),
            Stored::Served(served) => self.keeping.served = Some(served),
            Stored::Shed { pool, written, course, window } => {
                let course = Course::of_octets(course);
                let noted = Noted { window, course };
                self.sheds.insert(pool, Record { written: written.into(), course, noted });
            }
            shift @ Stored::Shift { .. } => {
                let shift = Shift::of_form(shift);
                shift
                    .into_iter()
                    .for_each(|(policy, shift)| drop(self.shifts.insert(policy, shift)));
            }
            Stored::Found(form) => self.restore_found(form),
            Stored::Verdict { .. }
            | Stored::Loss { .. }
            | Stored::Held { .. }
            | Stored::Finding(_) => {}
        }
    }

    /// Puts back what the brake counts and holds. With verdicts that are too old it has nothing to hold.
    fn restore_brake(&mut self, stored: Stored, is_fresh: bool, now: Now) {
        match stored {
            Stored::Loss { target, at_ms } => {
                let at = moment(at_ms, now).monotonic;
                self.brake.restore_loss((&target).into(), at, is_fresh);
            }
            Stored::Held { target, since_ms, reason, passes } => {
                let since = moment(since_ms, now);
                self.brake.restore_held((&target).into(), since, (reason, passes), is_fresh);
            }
            _ => {}
        }
    }

    /// Targets of the first files of which something is known from before the restart: the verdicts are put back.
    ///
    /// `None` if nothing waits for that: these are not the first files.
    pub(super) fn restore_verdicts(
        &mut self,
        model: &Model,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Option<HashSet<TargetKey>> {
        let (verdicts, alive) = self.keeping.waiting.take()?;
        let wholes = self.targets_in(model).into_iter();
        let wholes: HashSet<TargetKey> = wholes.map(|one| one.key).collect();
        let all = self.told_in(model).into_iter();
        let probed: HashMap<TargetKey, u64> = all
            .map(|one| {
                let digest = probe_digest(&one);
                (one.key, digest)
            })
            .collect();
        let (mut kept, mut left_out) = (0, 0);
        for stored in verdicts {
            let Stored::Verdict { target, verdict, since_ms, reason, probe, degraded, flaps } =
                stored
            else {
                continue;
            };
            let key = TargetKey::from(&target);
            let is_same = probed.get(&key).is_some_and(|digest| *digest == probe);
            // Written again in any case, or forgotten.
            self.verdicts.touch(key.clone());
            if !is_same || !is_fresh(alive, now) || verdict == VerdictForm::Unknown {
                left_out += 1;
                continue;
            }
            let since = moment(since_ms, now);
            let (verdict, penalty) = (verdict.into(), flaps.into());
            let known = Known { verdict, since, reason, degraded, penalty };
            match wholes.contains(&key) {
                true => self.verdicts.insert(key, known),
                false => self.parts.insert(key, known),
            };
            kept += 1;
        }
        let records = self.orders.len() + self.ways_back.len() + self.shifts.len();
        let sheds = self.sheds.values().filter(|one| one.course.shedding != Shedding::default());
        let taken = TakenUp {
            verdicts: kept,
            left_out,
            records: records + sheds.count() + self.brake.held_count(),
            found: self.found_count(),
            written: alive.map(|alive| age(alive, now)),
        };
        effects.push(Effect::Record(Occurrence::Started(taken)));
        Some(probed.into_keys().collect())
    }

    /// Whether anybody keeps state.
    pub(super) fn keeps_state(&self) -> bool {
        self.keeping.is_on
    }

    /// Has everything written once more.
    pub(super) fn touch_all(&mut self) {
        self.orders.touch_all();
        self.ways_back.touch_all();
        self.shifts.touch_all();
        self.remembered.touch_all();
        self.sheds.touch_all();
        self.verdicts.touch_all();
        self.parts.touch_all();
        self.resolutions.touch_all();
        self.touch_found();
        self.brake.touch_all();
        self.touch_writings();
        self.keeping.is_served_new = self.keeping.served.is_some();
        // What was told is not told again.
        self.keeping.noted = None;
    }

    /// Notes what is served, and has its files kept.
    pub(super) fn note_served(&mut self, job: &Job, base: &Base, effects: &mut Vec<Effect>) {
        if !self.keeping.is_on {
            return;
        }
        let Parts { zones, geo, table } = base.parts;
        let served = ServedForm {
            files: hex(&zones).into(),
            geo: hex(&geo).into(),
            table: table.map(|digest| hex(&digest).into()),
            node: NodeForm::from(&base.compiled.node),
        };
        effects.push(Effect::Keep(job.kept(served.clone(), base)));
        self.keeping.is_served_new = true;
        self.keeping.served = Some(served);
    }

    /// Collects what of `effects` the history tells.
    pub(super) fn note_events(&mut self, effects: &[Effect], now: Now) {
        if !self.keeping.is_on {
            return;
        }
        for effect in effects {
            if let Effect::Record(occurrence) = effect {
                self.keeping.events.extend(EventRecord::of(occurrence, now.unix));
            }
        }
    }

    /// Says what has changed since the last time, as one entry.
    pub(super) fn note_changes(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut changes = Vec::new();
        let mut steps = Vec::new();
        let mut note = |key: String, value: Option<Stored>| {
            changes.push(Change { key: key.into(), value });
        };
        for scope in self.orders.take_touched() {
            note(
                stored::order_key(&scope),
                self.orders.get(&scope).map(|one| Stored::order(&scope, one)),
            );
        }
        for side in self.ways_back.take_touched() {
            let way = self.ways_back.get(&side);
            if let Some(Stage::Ramp { tenths: tenths @ 1.., .. }) = way.map(|way| way.stage) {
                steps.push(EventRecord::ramp_step(&side, tenths, now.unix));
            }
            note(stored::way_back_key(&side), way.map(|way| Stored::way_back(&side, way)));
        }
        for policy in self.shifts.take_touched() {
            let shift = self.shifts.get(&policy);
            if let Some(shift) = shift.filter(|shift| (1..STEPS).contains(&shift.step)) {
                steps.push(EventRecord::shift_step(&policy, shift, now.unix));
            }
            note(stored::shift_key(&policy), shift.map(|shift| Stored::shift(&policy, shift)));
        }
        for side in self.remembered.take_touched() {
            let memory = self.remembered.get(&side).map(|one| Stored::last_good(&side, one));
            note(stored::last_good_key(&side), memory);
        }
        for (name, addresses) in self.resolutions.take_touched() {
            note(stored::name_key(&name), addresses.map(|found| Stored::name(&name, &found)));
        }
        for pool in self.sheds.take_touched() {
            let record = self.sheds.get(&pool).map(|record| Stored::shed(&pool, record));
            note(stored::shed_key(&pool), record);
        }
        self.note_found(now, &mut note);
        self.brake.take_touched(now, &mut note);
        let mut touched = self.verdicts.take_touched();
        touched.append(&mut self.parts.take_touched());
        if self.keeping.is_on {
            self.note_verdicts(touched.into_iter().collect(), &mut note);
        }
        if std::mem::take(&mut self.keeping.is_served_new) {
            let served = self.keeping.served.clone().map(Stored::Served);
            note(stored::SERVED_KEY.into(), served);
        }
        self.share(&changes, now, effects);
        for (record, writing) in self.take_touched_writings() {
            let writing = writing.as_ref().map(Stored::writing);
            changes.push(Change { key: stored::writing_key(&record).into(), value: writing });
        }
        let mut events = std::mem::take(&mut self.keeping.events);
        if !self.keeping.is_on {
            return;
        }
        // A record that was only put back makes no step.
        if self.keeping.noted.is_some() {
            events.extend(steps);
        }
        let is_due = self.keeping.noted.is_none_or(|noted| now.monotonic >= noted + ALIVE);
        if changes.is_empty() && events.is_empty() && !is_due {
            return;
        }
        if is_due {
            self.keeping.noted = Some(now.monotonic);
        }
        let generation = self.generation;
        events.iter_mut().for_each(|event| event.generation = generation);
        let (at, version) = (now.unix, self.version);
        let gap_since = self.keeping.alive_before.take();
        effects.push(Effect::Persist(Entry {
            at,
            generation,
            version,
            is_sign_of_life: is_due,
            changes,
            events,
            gap_since,
            events_lost: 0,
        }));
    }

    /// Verdicts with how they were come by; of what is no target any more nothing is kept.
    fn note_verdicts(&self, keys: Vec<TargetKey>, note: &mut impl FnMut(String, Option<Stored>)) {
        for key in keys {
            let known = self.known(&key).filter(|known| known.verdict != Verdict::Unknown);
            let value = known.and_then(|known| {
                Some(Stored::verdict(&key, known, probe_digest(&self.find_target(&key)?)))
            });
            note(stored::verdict_key(&key), value);
        }
    }
}

/// Whether verdicts of then count now. A clock that was set back makes them look as if they were of the future: then
/// nobody knows how old they are, and as far as they may count on this side of now they count on the other.
fn is_fresh(alive: Option<Duration>, now: Now) -> bool {
    alive.is_some_and(|alive| alive.abs_diff(now.unix) < VERDICTS_MAX_AGE)
}

//! All probes, and how they follow a new set of targets.
//!
//! Targets that ask the same thing of the same address as often share one probe; each counts its results by itself.

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::TargetKey;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::slot::History;
use crate::runtime::probe::slot::Slot;
use crate::runtime::probe::slot::SlotId;
use crate::runtime::probe::slot::State;
use crate::runtime::probe::slot::Turn;

/// Never-known targets are probed within this, unless they are many.
const FIRST_PROBES: Duration = Duration::from_secs(1);

/// First probes a second of many never-known targets.
///
/// Source: half of what a core does at 60 us a probe is 8,000; with the 5,000 of a full node beside them, 2,500 more.
const FIRST_PROBES_A_SECOND: u32 = 2500;

/// The slots of all probes.
#[derive(Debug, Default)]
pub(super) struct Roster {
    slots: Vec<Option<Slot>>,
    /// Positions that are free.
    free: Vec<u32>,
    /// The newest stamp.
    stamp: u64,
}

/// What a new set of targets comes to.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Probes whose next moment is new, with it.
    pub(super) moved: Vec<(Turn, Duration)>,
    /// Probes that ran and are not wanted any more.
    pub(super) stopped: Vec<Slot>,
    /// Targets of which what was known stays true.
    pub(super) kept: HashSet<TargetKey>,
}

/// What was known of a target: its history, and by which slot.
type Known = HashMap<TargetKey, (History, SlotId)>;

impl Roster {
    /// The slot in the state that `turn` names, if it still is.
    pub(super) fn find(&mut self, turn: Turn) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(turn.slot.0 as usize)?.as_mut()?;
        (slot.stamp == turn.stamp).then_some(slot)
    }

    /// Whether a slot still is in the state that `turn` names.
    pub(super) fn is_live(&self, turn: Turn) -> bool {
        let slot = self.slots.get(turn.slot.0 as usize).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.stamp == turn.stamp)
    }

    /// How many probes there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Names the next state of a slot, before it is entered by [`Roster::enter_as`].
    pub(super) fn next_turn(&mut self, id: SlotId) -> Turn {
        self.stamp += 1;
        Turn { slot: id, stamp: self.stamp }
    }

    /// Puts a slot in a state that was named before.
    pub(super) fn enter_as(&mut self, turn: Turn, state: State) {
        if let Some(slot) = self.slots.get_mut(turn.slot.0 as usize).and_then(Option::as_mut) {
            (slot.state, slot.stamp) = (state, turn.stamp);
        }
    }

    /// Keeps what stays, removes what goes, adds what is new.
    pub(super) fn replace(&mut self, targets: &[ProbeTarget], now: Duration) -> Change {
        let mut change = Change::default();
        let (mut known, mut places) = self.empty();
        let (mut added, mut unknown) = (HashSet::new(), HashSet::new());
        for target in targets {
            let history = self.take_known(target, &mut known);
            if history.is_some() {
                change.kept.insert(target.key.clone());
            }
            let history = history.unwrap_or_else(|| History::new(target));
            let at_place = places.entry((target.address, target.check.port)).or_default();
            let serving =
                at_place.iter().find(|id| self.slot(**id).is_some_and(|s| s.serves(target)));
            let id = serving.copied().unwrap_or_else(|| {
                let id = self.add(target);
                at_place.push(id);
                added.insert(id);
                id
            });
            if !history.is_known() && !change.kept.contains(&target.key) {
                unknown.insert(id);
            }
            if let Some(slot) = self.slot(id) {
                slot.watch(target, history, now);
            }
        }
        change.stopped = self.remove_unwatched();
        self.place(added, &unknown, now, &mut change);
        change
    }

    fn slot(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    /// Takes all targets from their slots: what is known of them, and which slots are where.
    fn empty(&mut self) -> (Known, HashMap<(IpAddr, u16), Vec<SlotId>>) {
        let (mut known, mut places) = (HashMap::new(), HashMap::<_, Vec<SlotId>>::new());
        for (position, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            let id = SlotId(position as u32);
            places.entry((slot.address, slot.check.port)).or_default().push(id);
            let watchers = slot.take_watchers().into_iter();
            known.extend(watchers.map(|watcher| (watcher.key, (watcher.history, id))));
        }
        (known, places)
    }

    /// What is known of a target, if the same was asked of the same place.
    fn take_known(&mut self, target: &ProbeTarget, known: &mut Known) -> Option<History> {
        let (history, id) = known.remove(&target.key)?;
        self.slot(id)?.is_same_probe(target).then_some(history)
    }

    fn add(&mut self, target: &ProbeTarget) -> SlotId {
        self.stamp += 1;
        let slot = Some(Slot::new(target, self.stamp));
        match self.free.pop() {
            Some(position) => {
                self.slots[position as usize] = slot;
                SlotId(position)
            }
            None => {
                self.slots.push(slot);
                SlotId(u32::try_from(self.slots.len() - 1).expect("memory ends before 2^32 slots"))
            }
        }
    }

    fn remove_unwatched(&mut self) -> Vec<Slot> {
        let mut removed = Vec::new();
        for (position, place) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = place.take_if(|slot| slot.is_unwatched()) {
                removed.push(slot);
                self.free.push(position as u32);
            }
        }
        removed
    }

    /// Says when new probes begin: those of never-known targets soon, the others in their place on the grid.
    ///
    /// A probe that is there already comes sooner for a never-known target that joins it.
    fn place(
        &mut self,
        added: HashSet<SlotId>,
        unknown: &HashSet<SlotId>,
        now: Duration,
        change: &mut Change,
    ) {
        let many = Duration::from_secs(1) * unknown.len() as u32 / FIRST_PROBES_A_SECOND;
        let window = FIRST_PROBES.max(many);
        for id in added.union(unknown).copied() {
            let turn = self.next_turn(id);
            let Some(slot) = self.slot(id) else { continue };
            let is_waiting = matches!(slot.state, State::Waiting);
            if !is_waiting {
                continue;
            }
            let due = match unknown.contains(&id) {
                true => slot.schedule.first_within(window, now),
                false => slot.schedule.first(now),
            };
            if added.contains(&id) || due < slot.due {
                (slot.due, slot.stamp) = (due, turn.stamp);
                change.moved.push((turn, due));
            }
        }
    }
}

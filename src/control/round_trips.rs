//! Round-trip times in the controller: which table counts, what is being gathered, when the next table is made.
//!
//! A table takes one way only, on the node that makes it too: into the folder, from there into a job, and at its
//! instant into force. So all nodes that have the file do the same at the same second.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::control::Controller;
use crate::control::Effect;
use crate::control::Occurrence;
use crate::model::Now;
use crate::rtt::Ground;
use crate::rtt::Moment;
use crate::rtt::Shelved;
use crate::rtt::Source;
use crate::rtt::Table;
use crate::rtt::Window;
use crate::rtt::file_name;
use crate::rtt::next_table;
use crate::rtt::render;
use crate::snapshot::Compiled;

/// How often a table is written that steers as the one before, for what was learnt since: so much a restart forgets.
const CHECKPOINT: Duration = Duration::from_secs(3600);

/// How this node makes tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Making {
    /// How long measurements are gathered.
    pub window: Duration,
    /// How long after it is made a table counts.
    pub delay: Duration,
}

/// One measured round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// From where.
    pub network: IpNet,
    /// To where.
    pub site: Box<str>,
    /// By whom.
    pub source: Source,
    /// In microseconds.
    pub rtt_us: u32,
}

/// What the controller knows of round-trip times.
#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    /// How this node makes tables; it makes none if absent.
    making: Option<Making>,
    /// Name of the table that counts.
    counting: Option<Box<str>>,
    window: Window,
    /// When the window ends, in seconds since 1970.
    ends_s: Option<u64>,
    /// What is known with the newest window, whether it was written or not.
    latest: Option<Arc<Table>>,
    /// The table that a worker makes.
    being_made: Option<Arc<TableJob>>,
    /// Measurements of this window that were not believed or had no room.
    unheard: u64,
}

/// A table to be made, a pure function that the shell runs on a worker.
#[derive(Clone, Debug)]
pub struct TableJob {
    before: Arc<Table>,
    window: Window,
    compiled: Arc<Compiled>,
    moment: Moment,
    /// When the last table was written.
    written_s: Option<u64>,
}

/// A table that was made.
#[derive(Debug)]
pub struct MadeTable {
    /// What is known now.
    pub table: Arc<Table>,
    /// Name and text of its file, if it is worth one.
    pub file: Option<(String, String)>,
    /// Rows that the table has no room for.
    pub left_out: usize,
}

impl TableJob {
    /// Does the work: about a second for a million rows.
    pub fn run(&self) -> MadeTable {
        let Self { before, window, compiled, moment, written_s } = self;
        let ground = Ground { places: &compiled.geo, sites: &compiled.model.sites };
        let (table, left_out) = next_table(before, window, &ground, *moment);
        let is_due = written_s.is_none_or(|at| moment.built_s >= at + CHECKPOINT.as_secs());
        let is_worth = !before.counts().eq(table.counts()) || (is_due && !window.is_empty());
        let file = is_worth.then(|| {
            let text = render(&table);
            (file_name(&text), text)
        });
        MadeTable { table: Arc::new(table), file, left_out }
    }
}

impl Controller {
    /// Has this node make tables of what is measured.
    pub fn make_tables(&mut self, making: Making) {
        self.round_trips.making = Some(making);
    }

    /// Tells which table is in force, once.
    pub(super) fn note_table(&mut self, counting: Option<&Shelved>, effects: &mut Vec<Effect>) {
        let known = &mut self.round_trips.counting;
        let name = counting.map(|shelved| shelved.name.clone());
        if name == *known {
            return;
        }
        *known = name;
        if let Some(Shelved { name, table, .. }) = counting {
            let rows = table.rows.len();
            effects.push(Effect::Record(Occurrence::TableCounts { name: name.clone(), rows }));
        }
    }

    /// Adds measurements to the window. Those that cannot be true are not heard.
    pub(super) fn take_measurements(&mut self, measurements: &[Measurement]) {
        let Some(snapshot) = self.snapshot.as_ref().filter(|_| self.round_trips.making.is_some())
        else {
            return;
        };
        let compiled = &snapshot.compiled;
        let ground = Ground { places: &compiled.geo, sites: &compiled.model.sites };
        for Measurement { network, site, source, rtt_us } in measurements {
            let rtt = i32::try_from(*rtt_us).unwrap_or(i32::MAX);
            let is_heard = ground.judge(*network, site, rtt).is_ok()
                && self.round_trips.window.add(*network, site, *source, (1, *rtt_us)).is_ok();
            if !is_heard {
                self.round_trips.unheard += 1;
            }
        }
    }

    /// Has a table made of a window that is over.
    pub(super) fn mind_windows(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let now_s = now.unix.as_secs();
        let Some(Making { window, delay }) = self.round_trips.making else { return };
        let length_s = window.as_secs().max(1);
        let next_end = (now_s / length_s + 1) * length_s;
        let ends_s = *self.round_trips.ends_s.get_or_insert(next_end);
        // A clock that was set back must not make the window last for ever.
        let is_over = now_s >= ends_s || ends_s > next_end;
        if is_over && self.round_trips.being_made.is_none() {
            self.round_trips.ends_s = Some(next_end);
            let moment = Moment { built_s: now_s, activates_s: now_s + delay.as_secs() };
            self.make_table(moment, effects);
        }
    }

    fn make_table(&mut self, moment: Moment, effects: &mut Vec<Effect>) {
        let Some(snapshot) = &self.snapshot else { return };
        let compiled = Arc::clone(&snapshot.compiled);
        let shelf = Arc::clone(self.shelf());
        let known = &mut self.round_trips;
        let written = shelf.newest().map(|shelved| Arc::clone(&shelved.table));
        let written_s = written.as_ref().map(|table| table.built_s);
        // An import may have written a newer one than we have made.
        let newest = [known.latest.take(), written].into_iter().flatten();
        let before = newest.max_by_key(|table| table.built_s).unwrap_or_default();
        let window = std::mem::take(&mut known.window);
        let unheard = std::mem::take(&mut known.unheard);
        if unheard > 0 {
            effects.push(Effect::Record(Occurrence::Unheard { measurements: unheard }));
        }
        if window.is_empty() && before.rows.is_empty() {
            return;
        }
        let job = Arc::new(TableJob { before, window, compiled, moment, written_s });
        known.being_made = Some(Arc::clone(&job));
        effects.push(Effect::MakeTable(job));
    }

    /// Takes what a worker made; `None` if it failed: then what was measured waits for the next window.
    pub(super) fn take_table(&mut self, made: Option<MadeTable>, effects: &mut Vec<Effect>) {
        let job = self.round_trips.being_made.take();
        let Some(MadeTable { table, file, left_out }) = made else {
            if let Some(job) = job {
                self.round_trips.window.absorb(&job.window);
                self.round_trips.latest = Some(Arc::clone(&job.before));
            }
            return;
        };
        if let Some((name, text)) = file {
            effects.push(Effect::Record(Occurrence::TableMade {
                name: name.as_str().into(),
                rows: table.rows.len(),
                left_out,
                activates_s: table.activates_s,
            }));
            effects.push(Effect::WriteTable { name, text });
        }
        if self.keeps_state() {
            effects.push(Effect::KeepTable(Arc::clone(&table)));
        }
        self.round_trips.latest = Some(table);
    }

    /// Takes up what was learnt before a restart; a table in the folder that was made later goes before it.
    pub(super) fn restore_table(&mut self, table: Arc<Table>) {
        self.round_trips.latest = Some(table);
    }

    /// Name of the table that counts.
    pub(super) fn counting_table(&self) -> Option<String> {
        self.round_trips.counting.as_ref().map(ToString::to_string)
    }

    /// Tables that can go now.
    pub fn superfluous_tables(&self, now: Now) -> Vec<Box<str>> {
        let counting = self.round_trips.counting.as_deref();
        self.shelf().superfluous(now.unix.as_secs(), counting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::control::Event;
    use crate::control::Job;
    use crate::control::job::GeoFiles;
    use crate::model::NodeTerms;

    const ZONE: &str = "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
        [site.fra]\nlatitude = 50.1\nlongitude = 8.7\n\
        [pool.eu]\nsite = \"fra\"\nendpoint.a.addresses = [\"192.0.2.10\"]\n\
        [name.www]\nsteer = \"eu\"\n";

    #[test]
    fn what_was_measured_waits_for_the_next_window_if_making_a_table_fails() {
        let mut controller = Controller::default();
        let (window, delay) = (Duration::from_secs(60), Duration::ZERO);
        controller.make_tables(Making { window, delay });
        let files = Files::new(vec![SourceFile::new("zones/a.toml", ZONE)]);
        let job = Job::new(files, GeoFiles::default(), NodeTerms::default());
        let at = |s| Now { monotonic: Duration::from_secs(s), unix: Duration::from_secs(s) };
        let product = job.run();
        let mut effects = Vec::new();
        controller.handle(Event::Files(job), at(1), &mut effects);
        controller.handle(Event::Compiled(product), at(1), &mut effects);
        let measured = |rtt_us: u32| {
            let network = "192.0.2.0/24".parse().expect("a network");
            let (site, source) = ("fra".into(), Source::Beacon);
            Event::Measured(vec![Measurement { network, site, source, rtt_us }])
        };
        let made = |effects: &mut Vec<Effect>| {
            effects.drain(..).find_map(|effect| match effect {
                Effect::MakeTable(job) => Some(job),
                Effect::Publish(_)
                | Effect::Compile(_)
                | Effect::Probe(_)
                | Effect::Resolve(_)
                | Effect::Discover(_)
                | Effect::Record(_)
                | Effect::Say(_)
                | Effect::Hook(_)
                | Effect::Bundle(_)
                | Effect::Reply(_)
                | Effect::Persist(_)
                | Effect::Keep(_)
                | Effect::KeepTable(_)
                | Effect::WriteTable { .. } => None,
            })
        };
        controller.handle(measured(10_000), at(2), &mut effects);
        controller.handle(Event::Settle, at(60), &mut effects);
        assert_eq!(made(&mut effects).expect("a window is over").window.len(), 1);
        controller.handle(measured(30_000), at(61), &mut effects);
        controller.handle(Event::TableMade(None), at(62), &mut effects);
        controller.handle(Event::Settle, at(120), &mut effects);
        let job = made(&mut effects).expect("another window is over");
        let table = job.run().table;
        let key = crate::rtt::Key::find("192.0.2.0/24").expect("a key");
        let row = table.find(key, "fra").expect("the network was measured");
        assert_eq!(row.evidence[Source::Beacon.index()].weight_milli, 2_000, "both are in it");
    }
}

//! What is read, what is being compiled, and what is in force of it: by part, each with the last that was good.
//!
//! A table of round-trip times that counts later is compiled when it comes, is held, and is published at its instant:
//! so nodes that compile for longer than others do not follow later than others. What it is made of may change in
//! between; then it is made anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::control::Controller;
use crate::control::Effect;
use crate::control::Job;
use crate::control::Occurrence;
use crate::control::Product;
use crate::control::effect::Change;
use crate::control::job::Faults;
use crate::control::job::Settled;
use crate::control::parts::Base;
use crate::control::parts::Parts;
use crate::control::parts::ZoneFiles;
use crate::control::rejection::Rejection;
use crate::model::Model;
use crate::model::Now;
use crate::rtt::Shelf;
use crate::snapshot::Compiled;
use crate::snapshot::Snapshot;

/// What the controller knows of loads.
#[derive(Debug, Default)]
pub(super) struct Loading {
    /// What is being compiled.
    wanted: Option<Arc<Job>>,
    /// What was tried last, whether it is in force or was refused.
    tried: Option<Parts>,
    /// What is in force.
    base: Option<Arc<Base>>,
    /// What is there and not in force.
    refused: Refusals,
    /// The tables of round-trip times that were read last.
    shelf: Arc<Shelf>,
    /// When the next of them counts, in seconds since 1970.
    next_s: Option<u64>,
    ahead: Ahead,
}

/// What is made ahead for the instant of a table.
#[derive(Debug, Default)]
enum Ahead {
    /// Nothing.
    #[default]
    Nothing,
    /// A worker was asked for the product of the job with that digest.
    Asked([u8; 32]),
    /// It is here.
    Held(Box<Product>),
}

/// What is there and not in force, by part.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    pub(super) zones: Option<Refused>,
    pub(super) geo: Option<Refused>,
    pub(super) tables: Option<Refused>,
}

/// A part that is there but not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Digest of the part.
    pub(crate) digest: [u8; 32],
    pub(crate) since: Now,
    pub(crate) why: Rejection,
}

/// How a refusal differs from the one before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing was refused, nothing is.
    Fine,
    /// It is another one.
    New,
    /// It is the same.
    Same,
    /// It is over.
    Over,
}

/// Puts a fault in the place of the one before it. What is refused again is told once, though it may read otherwise beside
/// other parts.
fn replace(
    before: &mut Option<Refused>,
    fault: Option<Rejection>,
    digest: [u8; 32],
    now: Now,
) -> Step {
    let Some(why) = fault else {
        return if before.take().is_some() { Step::Over } else { Step::Fine };
    };
    let same = before.as_ref().filter(|before| before.digest == digest);
    let (since, step) = same.map_or((now, Step::New), |same| (same.since, Step::Same));
    *before = Some(Refused { digest, since, why });
    step
}

impl Controller {
    /// Whether files are being compiled.
    pub fn is_compiling(&self) -> bool {
        self.loading.wanted.is_some()
    }

    /// What is there and not in force: files, geo data, tables of round-trip times, as people call them.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, &Rejection)> {
        let Refusals { zones, geo, tables } = &self.loading.refused;
        let named = [("files", zones), ("geo data", geo), ("round-trip times", tables)];
        named.into_iter().filter_map(|(what, refused)| Some((what, &refused.as_ref()?.why)))
    }

    /// As [`Controller::refused`], since when.
    pub(super) fn refusals(&self) -> &Refusals {
        &self.loading.refused
    }

    /// What is in force, part by part.
    pub(super) fn base(&self) -> Option<&Arc<Base>> {
        self.loading.base.as_ref()
    }

    /// The tables of round-trip times that were read last.
    pub(super) fn shelf(&self) -> &Arc<Shelf> {
        &self.loading.shelf
    }

    /// When the next table of round-trip times counts, in seconds since 1970: to be woken then.
    pub fn next_instant(&self) -> Option<u64> {
        self.loading.next_s
    }

    /// Compiles what was read, unless it is being compiled, in force, or refused already: equal files compile to equal
    /// results, so that one fault is told once, however often the files are read.
    pub(super) fn take_files(&mut self, job: Job, now: Now, effects: &mut Vec<Effect>) {
        let now_s = now.unix.as_secs();
        let job = job.at(now_s).with_base(self.loading.base.clone());
        self.set_shelf(&job, now_s);
        let parts = *job.parts();
        let is_first_look = std::mem::take(&mut self.is_look_due);
        if self.loading.wanted.as_ref().is_some_and(|wanted| wanted.digest() == job.digest()) {
            effects.push(Effect::Record(Occurrence::Unchanged));
        } else if self.loading.tried == Some(parts) {
            self.loading.wanted = None;
            let is_refused = self.loading.refused.zones.is_some();
            self.note_tables(&job, now, effects);
            effects.push(Effect::Record(match (is_refused, is_first_look) {
                (true, _) => Occurrence::StillRefused,
                (false, true) => Occurrence::Watching,
                (false, false) => Occurrence::Unchanged,
            }));
        } else if self.loading.base.as_ref().is_some_and(|base| base.parts == parts) {
            // Whatever was tried meanwhile has been taken back.
            (self.loading.wanted, self.loading.tried) = (None, Some(parts));
            self.loading.refused.zones = None;
            self.note_geo(None, parts.geo, now, effects);
            self.note_tables(&job, now, effects);
            effects.push(Effect::Record(Occurrence::Unchanged));
        } else {
            self.want(job, effects);
        }
        self.compile_ahead(effects);
    }

    fn set_shelf(&mut self, job: &Job, now_s: u64) {
        self.loading.shelf = Arc::clone(&job.shelf);
        self.loading.next_s = job.shelf.next_instant(now_s);
    }

    /// Has a worker compile a job. It may do so instead of what it was asked for ahead.
    fn want(&mut self, job: Job, effects: &mut Vec<Effect>) {
        let job = Arc::new(job);
        self.loading.wanted = Some(Arc::clone(&job));
        if matches!(self.loading.ahead, Ahead::Asked(_)) {
            self.loading.ahead = Ahead::Nothing;
        }
        effects.push(Effect::Compile(job));
    }

    /// Has the tables made that count from the next instant on, if nothing more urgent is being made.
    fn compile_ahead(&mut self, effects: &mut Vec<Effect>) {
        if self.loading.wanted.is_some() {
            return;
        }
        let Some(job) = self.loading.next_s.and_then(|at_s| self.standing(at_s)) else {
            self.loading.ahead = Ahead::Nothing;
            return;
        };
        let is_in_force = self.loading.base.as_ref().is_some_and(|base| base.parts == *job.parts());
        let is_made = match &self.loading.ahead {
            Ahead::Nothing => false,
            Ahead::Asked(digest) => *digest == job.digest(),
            Ahead::Held(product) => product.digest == job.digest(),
        };
        if !is_in_force && !is_made {
            self.loading.ahead = Ahead::Asked(job.digest());
            effects.push(Effect::Compile(Arc::new(job)));
        }
    }

    /// Other files beside the geo data in force, for now; `None` if nothing is in force yet.
    pub(super) fn job_beside(&self, zones: &Arc<ZoneFiles>, now: Now) -> Option<Job> {
        let base = Arc::clone(self.loading.base.as_ref()?);
        let (zones, shelf) = (Arc::clone(zones), Arc::clone(&self.loading.shelf));
        Some(Job::beside(zones, base, shelf, now.unix.as_secs()))
    }

    /// Puts files in force that were compiled ahead; if geo data or round-trip times are others by now, once they are
    /// compiled with those.
    pub(super) fn put_ready(
        &mut self,
        zones: &Arc<ZoneFiles>,
        product: Option<Product>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.job_beside(zones, now) else { return };
        let is_in_force = self.loading.base.as_ref().is_some_and(|base| base.parts == *job.parts());
        match product {
            _ if is_in_force => {}
            Some(product) if product.digest == job.digest() => {
                self.loading.wanted = Some(Arc::new(job));
                self.take_product(product, now, effects);
            }
            Some(_) | None => self.want(job, effects),
        }
    }

    /// What is in force, for another second.
    fn standing(&self, at_s: u64) -> Option<Job> {
        let base = Arc::clone(self.loading.base.as_ref()?);
        Some(Job::standing(base, Arc::clone(&self.loading.shelf), at_s))
    }

    /// Puts in force what was made for an instant that has come.
    pub(super) fn mind_instants(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let now_s = now.unix.as_secs();
        if self.loading.next_s.take_if(|at_s| *at_s <= now_s).is_none() {
            return;
        }
        self.loading.next_s = self.loading.shelf.next_instant(now_s);
        let waiting = self.loading.wanted.take();
        if let Some(job) = self.standing(now_s) {
            self.count_from_now_on(job, waiting.is_some(), now, effects);
        }
        // What is being compiled has the table before it.
        if let Some(waiting) = waiting {
            let job = (*waiting).clone().at(now_s).with_base(self.loading.base.clone());
            self.want(job, effects);
        }
        self.compile_ahead(effects);
    }

    /// Publishes what is held for this instant. If it is not here it is put in force when it comes, unless something
    /// else is coming that has the table, too.
    fn count_from_now_on(&mut self, job: Job, is_other: bool, now: Now, effects: &mut Vec<Effect>) {
        let is_in_force = self.loading.base.as_ref().is_some_and(|base| base.parts == *job.parts());
        match std::mem::take(&mut self.loading.ahead) {
            // A table that steers as the one before needs no new snapshot.
            _ if is_in_force => self.note_tables(&job, now, effects),
            Ahead::Held(product) if product.digest == job.digest() => {
                self.loading.wanted = Some(Arc::new(job));
                self.take_product(*product, now, effects);
            }
            _ if is_other => {}
            Ahead::Asked(digest) if digest == job.digest() => {
                self.loading.wanted = Some(Arc::new(job));
            }
            Ahead::Nothing | Ahead::Asked(_) | Ahead::Held(_) => self.want(job, effects),
        }
    }

    /// Puts what was compiled in force, or says why not. A product of files that were replaced meanwhile is dropped, and
    /// so is one that came before; one of a table that does not count yet is held.
    pub(super) fn take_product(&mut self, product: Product, now: Now, effects: &mut Vec<Effect>) {
        let wanted = self.loading.wanted.take_if(|wanted| wanted.digest() == product.digest);
        let Some(job) = wanted else {
            if matches!(&self.loading.ahead, Ahead::Asked(digest) if *digest == product.digest) {
                self.loading.ahead = Ahead::Held(Box::new(product));
            }
            return;
        };
        let Product { digest: _, settled, faults, read: _ } = product;
        let mut tried = *job.parts();
        if let Some(before) = self.loading.tried.filter(|_| job.zones.is_none()) {
            (tried.zones, tried.geo) = (before.zones, before.geo);
        }
        self.loading.tried = Some(tried);
        let Some(settled) = settled else {
            self.note_nothing_served(&job, faults, now, effects);
            return;
        };
        let before = self.loading.base.replace(Arc::clone(&settled.base));
        self.note_faults(&job, faults, now, effects);
        self.note_table(settled.base.table.as_deref(), effects);
        if !settled.is_as_before {
            self.loading.ahead = Ahead::Nothing;
            self.note_served(&job, &settled.base, effects);
            self.put_in_force(settled, before.as_deref(), now, effects);
        }
        self.compile_ahead(effects);
    }

    /// Tells why there is nothing to serve, or nothing else than before.
    fn note_nothing_served(
        &mut self,
        job: &Job,
        faults: Faults,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.loading.base.is_some() {
            return self.note_faults(job, faults, now, effects);
        }
        let Faults { zones, geo, tables: _ } = faults;
        let why = match (zones, geo) {
            (Some(zones), geo) => Some(zones.and(geo)),
            (None, geo) => geo,
        };
        self.note_zones(why, job.parts().zones, now, effects);
    }

    /// Tells what of a job is refused, each once.
    fn note_faults(&mut self, job: &Job, faults: Faults, now: Now, effects: &mut Vec<Effect>) {
        let Faults { zones, geo, tables } = faults;
        let parts = job.parts();
        if job.zones.is_some() {
            self.note_zones(zones, parts.zones, now, effects);
        }
        if job.geo.is_some() {
            self.note_geo(geo, parts.geo, now, effects);
        }
        self.note_refused_tables(tables, job, now, effects);
    }

    fn note_zones(
        &mut self,
        fault: Option<Rejection>,
        digest: [u8; 32],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let told = fault.clone();
        match (replace(&mut self.loading.refused.zones, fault, digest, now), told) {
            (Step::New, Some(Rejection { text, problems, list: _ })) => {
                effects.push(Effect::Record(Occurrence::Refused { text, problems }));
            }
            (Step::Same, _) => effects.push(Effect::Record(Occurrence::StillRefused)),
            (Step::New | Step::Fine | Step::Over, _) => {}
        }
    }

    fn note_geo(
        &mut self,
        fault: Option<Rejection>,
        digest: [u8; 32],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let told = fault.clone();
        match (replace(&mut self.loading.refused.geo, fault, digest, now), told) {
            (Step::New, Some(Rejection { text, problems, list: _ })) => {
                effects.push(Effect::Record(Occurrence::GeoRefused { text, problems }));
            }
            (Step::Over, _) => effects.push(Effect::Record(Occurrence::GeoAccepted)),
            (Step::New | Step::Fine | Step::Same, _) => {}
        }
    }

    fn note_refused_tables(
        &mut self,
        fault: Option<Rejection>,
        job: &Job,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let told = fault.clone();
        let digest = job.tables_digest();
        match (replace(&mut self.loading.refused.tables, fault, digest, now), told) {
            (Step::New, Some(Rejection { text, problems, list: _ })) => {
                effects.push(Effect::Record(Occurrence::TablesRefused { text, problems }));
            }
            (Step::Over, _) => effects.push(Effect::Record(Occurrence::TablesAccepted)),
            (Step::New | Step::Fine | Step::Same, _) => {}
        }
    }

    /// Tells of the tables of a job that needs no compiling: which counts, and which files are damaged.
    fn note_tables(&mut self, job: &Job, now: Now, effects: &mut Vec<Effect>) {
        let in_force = self.loading.base.as_ref().map(|base| base.parts.table);
        if in_force == Some(job.parts().table) {
            self.note_refused_tables(job.damaged(), job, now, effects);
            self.note_table(job.table(), effects);
        }
    }

    /// Serves what was compiled.
    fn put_in_force(
        &mut self,
        settled: Settled,
        before: Option<&Base>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Settled { base, is_as_before: _, warnings, warning_text } = settled;
        let compiled = self.with_found(Arc::clone(&base.compiled), now, effects);
        let names = self.want_names(&compiled.model);
        let known = self.restore_verdicts(&compiled.model, now, effects);
        let known = known.unwrap_or_else(|| self.unchanged_targets(&compiled.model));
        self.verdicts.retain(|key, _| known.contains(key));
        self.parts.retain(|key, _| known.contains(key));
        self.review_sheds(&compiled.model);
        self.review_memories(&compiled.model);
        self.changed.clear();
        let change = before.map(|before| change(before, &base)).unwrap_or_default();
        self.generation += 1;
        self.brake.set_model(&compiled.model, |key| known.contains(key));
        let mut reviewed = Vec::new();
        self.weigh_parts(&compiled.model, now, &mut reviewed);
        let health = self.health(&compiled.model);
        let snapshot = Arc::new(Snapshot::new(Arc::clone(&compiled), self.generation, &health));
        self.snapshot = Some(Arc::clone(&snapshot));
        self.review_ways_back(now, &mut reviewed);
        self.review_shifts(&mut reviewed);
        self.advance_ways_back(now, &mut reviewed);
        self.advance_shifts(now, &mut reviewed);
        // What the review changed is in this publication, not in one of its own.
        let snapshot = self.with_changes(snapshot);
        self.snapshot = Some(Arc::clone(&snapshot));
        effects.push(names);
        self.order_probes(now, effects);
        effects.push(Effect::Record(Occurrence::Reloaded {
            generation: self.generation,
            digest: base.parts.digest(),
            zones: snapshot.compiled.model.zones.len(),
            warnings,
            warning_text,
            change,
        }));
        effects.append(&mut reviewed);
        effects.push(Effect::Publish(snapshot));
    }
}

/// What files change that are about to be put in force.
fn change(before: &Base, next: &Base) -> Change {
    let apexes = |compiled: &Compiled| -> BTreeSet<Box<str>> {
        let model: &Model = &compiled.model;
        model.zones.iter().map(|zone| zone.apex.to_string().into()).collect()
    };
    let geo = before.parts.geo != next.parts.geo;
    let (before, after) = (apexes(&before.compiled), apexes(&next.compiled));
    Change {
        added: after.difference(&before).cloned().collect(),
        removed: before.difference(&after).cloned().collect(),
        geo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Files;
    use crate::config::SourceFile;
    use crate::control::Event;
    use crate::control::effect;
    use crate::control::job::GeoFiles;
    use crate::geo::GeoInput;
    use crate::geo::OverlayFile;

    fn job(text: &str) -> Job {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", text)]);
        Job::new(files, GeoFiles::default(), crate::model::NodeTerms::default())
    }

    fn zone(name: &str) -> String {
        format!("[zone]\nname = \"{name}\"\nnameservers = [\"ns1.example.net\"]\n")
    }

    /// What comes of files, compiled if the controller asks for it: occurrences and publications.
    fn read(controller: &mut Controller, text: &str) -> Vec<String> {
        read_job(controller, job(text))
    }

    fn read_job(controller: &mut Controller, job: Job) -> Vec<String> {
        let mut effects = Vec::new();
        controller.handle(Event::Files(job), Now::default(), &mut effects);
        if let Some(Effect::Compile(job)) = effects.first() {
            let product = job.run();
            effects.clear();
            controller.handle(Event::Compiled(product), Now::default(), &mut effects);
        }
        let tell = |effect: Effect| match effect {
            Effect::Record(Occurrence::Reloaded { generation, .. }) => {
                format!("reloaded {generation}")
            }
            Effect::Record(Occurrence::Refused { .. }) => "refused".into(),
            Effect::Record(Occurrence::GeoRefused { problems, .. }) => format!("geo {problems}"),
            Effect::Record(occurrence) => occurrence.to_string(),
            Effect::Publish(_) => "published".into(),
            Effect::Compile(_) => "compiling".into(),
            Effect::Probe(_) | Effect::Resolve(_) | Effect::Discover(_) | Effect::Reply(_) => {
                String::new()
            }
            Effect::MakeTable(_) | Effect::WriteTable { .. } => String::new(),
            Effect::Say(_) | Effect::Hook(_) | Effect::Bundle(_) => String::new(),
            Effect::Persist(_) | Effect::Keep(_) | Effect::KeepTable(_) => String::new(),
        };
        effects.into_iter().map(tell).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn bad_files_are_refused_once_and_the_ones_in_force_are_not_compiled_again() {
        let mut controller = Controller::default();
        let good = zone("shop.test");
        let digest = short_digest_of(&good);
        assert_eq!(read(&mut controller, &good), ["reloaded 1", "published"]);
        assert_eq!(read(&mut controller, &good), ["the files have not changed"]);
        assert_eq!(read(&mut controller, "[zone]"), ["refused"]);
        assert!(read(&mut controller, "[zone]")[0].starts_with("the files are still the refused"));
        assert_eq!(controller.status(Now::default()).config, digest, "what is served");
        assert_eq!(read(&mut controller, &good), ["the files have not changed"]);
        assert_eq!(read(&mut controller, "[zone]"), ["refused"], "it is a new attempt");
        assert_eq!(read(&mut controller, &zone("other.test")), ["reloaded 2", "published"]);
    }

    fn job_with_geo(text: &str, overlay: &str) -> Job {
        let overlay = OverlayFile { name: "feed.csv".into(), octets: overlay.as_bytes().into() };
        let geo = GeoFiles::of(GeoInput { overlays: vec![overlay], ..GeoInput::default() });
        let files = Files::new(vec![SourceFile::new("zones/a.toml", text)]);
        Job::new(files, geo, crate::model::NodeTerms::default())
    }

    #[test]
    fn damaged_geo_data_is_told_once_and_holds_back_no_zone() {
        let (one, two) = (zone("shop.test"), zone("other.test"));
        let (good, bad) = ("192.0.2.0/24,DE\n", "192.0.2.0/24,Germany\n192.0.2.1/24,DE\n");
        let mut controller = Controller::default();
        let mut read = |text: &str, overlay: &str| {
            let job = job_with_geo(text, overlay);
            let told = read_job(&mut controller, job);
            let status = controller.status(Now::default());
            (told, status.config, status.places, status.refused_geo.map(|geo| geo.problems))
        };
        let back = ["the geo data is right again", "the files have not changed"];
        let told = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(read(&one, bad).0, ["refused"], "there are no places before it");
        let (first, first_digest, places, _) = read(&one, good);
        assert_eq!(first, ["reloaded 1", "published"]);
        let same = (first_digest.clone(), places, Some(2));
        let (damaged, digest, seen, refused) = read(&one, bad);
        assert_eq!((damaged, (digest, seen, refused)), (told(&["geo 2"]), same));
        assert_eq!(read(&one, bad).0, ["the files have not changed"]);
        let (changed, digest, seen, refused) = read(&two, bad);
        assert_eq!(changed, ["reloaded 2", "published"], "the zone counts, the fault is known");
        assert_eq!((seen, refused), (places, Some(2)));
        let (right, again, _, refused) = read(&two, good);
        assert_eq!((right, refused), (told(&back), None));
        assert_eq!(again, digest, "what is served has one digest, whatever was refused beside it");
        assert_ne!(again, first_digest);
        assert_eq!(read("[zone]", bad).0, ["refused", "geo 2"]);
        assert_eq!(read(&two, good).0, back);
    }

    /// Files with one pool after the other in `targets`, and an assertion about Germany.
    fn asserting(targets: &str) -> String {
        zone("shop.test")
            + &format!(
                "[site.fra]\nlatitude = 50\nlongitude = 9\ncountry = \"DE\"\n\
                 [site.iad]\nlatitude = 39\nlongitude = -77\ncountry = \"US\"\n\
                 [pool.eu]\nsite = \"fra\"\nendpoint.a.addresses = [\"192.0.2.1\"]\n\
                 [pool.us]\nsite = \"iad\"\nendpoint.a.addresses = [\"192.0.2.2\"]\n\
                 [policy.p]\nkind = \"geo\"\ndefault = \"us\"\n\
                 [[policy.p.rule]]\nwhere = [{targets}]\nto = \"eu\"\n\
                 [name.www]\nsteer = \"p\"\n\
                 [[assert]]\nclients = \"country:DE\"\nstays_in = \"site:fra\"\n"
            )
    }

    #[test]
    fn of_zones_and_geo_data_that_do_not_hold_together_zones_come_first() {
        let mut controller = Controller::default();
        let (country, state) = (asserting("\"country:DE\""), asserting("\"subdivision:DE-HE\""));
        let (one, two) = ("192.0.2.0/24,DE\n", "192.0.2.0/24,DE\n198.51.100.0/24,DE\n");
        let (own, other) = ("192.0.2.0/24,DE,DE-HE\n", "192.0.2.0/24,DE,DE-BY\n");
        let mut read = |text: &str, overlay: &str| {
            let told = read_job(&mut controller, job_with_geo(text, overlay));
            let status = controller.status(Now::default());
            (told, status.refused.is_some(), status.refused_geo.is_some(), status.parts)
        };
        let (told, _, _, first) = read(&country, one);
        assert_eq!(told, ["reloaded 1", "published"]);
        // Both are new, and neither would go with the other one before.
        let (told, zones, geo, parts) = read(&state, own);
        assert_eq!((told.len(), zones, geo), (2, false, false), "they go together");
        assert!(parts.zones != first.zones && parts.geo != first.geo);
        let (told, zones, geo, now) = read(&state, other);
        assert_eq!((told, zones, geo), (vec!["geo 1".to_owned()], false, true));
        assert_eq!(now, parts, "all as before");
        // Zones that go with neither are refused; the geo data counts by itself if it goes with those in force.
        let (told, zones, geo, now) = read(&country, two);
        assert_eq!((zones, geo), (false, false), "{told:?}");
        let (told, zones, geo, bad) = read(&state, one);
        assert_eq!((zones, geo), (true, false), "{told:?}");
        assert_eq!(bad.zones, now.zones);
        assert_eq!(bad.geo, first.geo, "geo data is not held back by zones");
    }

    fn short_digest_of(text: &str) -> String {
        effect::short_digest(&job(text).digest())
    }

    #[test]
    fn files_without_a_zone_replace_none() {
        let mut controller = Controller::default();
        assert_eq!(
            read(&mut controller, ""),
            ["reloaded 1", "published"],
            "at the start it is fine"
        );
        assert_eq!(read(&mut controller, &zone("shop.test")), ["reloaded 2", "published"]);
        assert_eq!(read(&mut controller, ""), ["refused"]);
    }

    #[test]
    fn a_product_of_files_that_were_taken_back_is_dropped() {
        let mut controller = Controller::default();
        read(&mut controller, &zone("shop.test"));
        let mut effects = Vec::new();
        let slow = job(&zone("other.test"));
        let product = slow.run();
        controller.handle(Event::Files(slow), Now::default(), &mut effects);
        controller.handle(Event::Files(job(&zone("shop.test"))), Now::default(), &mut effects);
        effects.clear();
        controller.handle(Event::Compiled(product), Now::default(), &mut effects);
        assert!(effects.is_empty());
        assert_eq!(controller.snapshot().map(|snapshot| snapshot.generation), Some(1));
    }
}

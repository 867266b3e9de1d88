//! Compilation: files, geo data and round-trip times to tables, a pure function that the shell runs on a worker.
//!
//! What is compiled of which parts, and which part is at fault, is decided in [`crate::control::attempt`].

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::config::Files;
use crate::config::render::FileProblem;
use crate::control::attempt;
use crate::control::parts::Base;
use crate::control::stored::Kept;
use crate::control::stored::ServedForm;
use crate::geo::PlaceMap;
use crate::model::NodeTerms;
use crate::rtt::Shelf;
use crate::rtt::Shelved;
use crate::snapshot::Compiled;

pub use crate::control::parts::GeoDigest;
pub use crate::control::parts::GeoFiles;
pub use crate::control::parts::Parts;
pub use crate::control::parts::ZoneFiles;
pub use crate::control::rejection::Rejection;

/// Everything a snapshot's expensive half is made of.
#[derive(Clone, Debug)]
pub struct Job {
    /// Files that were read; `None`: those in force.
    pub(super) zones: Option<Arc<ZoneFiles>>,
    /// Geo data that was read; `None`: that in force.
    pub(super) geo: Option<GeoFiles>,
    /// Every table of round-trip times there is.
    pub(super) shelf: Arc<Shelf>,
    /// The second that the tables are for, since 1970.
    pub(super) at_s: u64,
    /// What is in force.
    pub(super) base: Option<Arc<Base>>,
    /// Places of geo data with that digest, so that a change of zones does not read databases again.
    pub(super) known: Option<(GeoDigest, Arc<PlaceMap>)>,
    /// Whether what does not hold of its assertions refuses it.
    pub(super) is_judged: bool,
    parts: Parts,
}

/// What a worker brings back.
#[derive(Debug)]
pub struct Product {
    /// Digest of the job.
    pub digest: [u8; 32],
    /// What is to be served from now on; `None` if there is nothing.
    pub settled: Option<Settled>,
    /// What is not in it of what the job has.
    pub faults: Faults,
    /// Places of the job's geo data, whether they are to be served or not.
    pub read: Option<(GeoDigest, Arc<PlaceMap>)>,
}

/// What a job comes to: of each part the newest that is good.
#[derive(Debug)]
pub struct Settled {
    /// What is in force then.
    pub base: Arc<Base>,
    /// Whether it is what was in force before.
    pub is_as_before: bool,
    /// How many warnings there were.
    pub warnings: usize,
    /// Every warning, as `rhumb check` shows it.
    pub warning_text: String,
}

/// Why parts of a job are not served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of the operator's files.
    pub zones: Option<Rejection>,
    /// Of geo data.
    pub geo: Option<Rejection>,
    /// Of tables of round-trip times.
    pub tables: Option<Rejection>,
}

impl Product {
    /// The product of a job that came to nothing.
    pub fn failed(job: &Job, why: Rejection) -> Self {
        let mut faults = Faults::default();
        match job.zones {
            Some(_) => faults.zones = Some(why),
            None => faults.tables = Some(why),
        }
        Self { digest: job.digest(), settled: None, faults, read: None }
    }

    /// The tables, or everything that is wrong.
    pub fn compiled(&self) -> Result<&Arc<Compiled>, Rejection> {
        let Faults { zones, geo, tables } = &self.faults;
        match &self.settled {
            Some(settled) => Ok(&settled.base.compiled),
            None => Err([zones, geo, tables]
                .into_iter()
                .fold(Rejection::default(), |all, fault| all.and(fault.clone()))),
        }
    }
}

impl Job {
    /// A job for these inputs.
    pub fn new(files: Files, geo: GeoFiles, node: NodeTerms) -> Self {
        Self::with_unread(files, Vec::new(), geo, node)
    }

    /// A job of which some files of zones could not be read: they are refused.
    pub fn with_unread(
        files: Files,
        unread: Vec<FileProblem>,
        geo: GeoFiles,
        node: NodeTerms,
    ) -> Self {
        let zones = ZoneFiles::new(files, unread, node);
        let parts = Parts { zones: zones.digest, geo: geo.digest(), table: None };
        Self {
            zones: Some(Arc::new(zones)),
            geo: Some(geo),
            shelf: Arc::default(),
            at_s: 0,
            base: None,
            known: None,
            is_judged: true,
            parts,
        }
    }

    /// What is in force, for another second.
    pub(super) fn standing(base: Arc<Base>, shelf: Arc<Shelf>, at_s: u64) -> Self {
        let parts = base.parts;
        let base = Some(base);
        Self { zones: None, geo: None, shelf, at_s, base, known: None, is_judged: true, parts }
            .at(at_s)
    }

    /// Other files beside the geo data in force.
    pub(super) fn beside(
        zones: Arc<ZoneFiles>,
        base: Arc<Base>,
        shelf: Arc<Shelf>,
        at_s: u64,
    ) -> Self {
        let parts = Parts { zones: zones.digest, ..base.parts };
        let (zones, base) = (Some(zones), Some(base));
        Self { zones, geo: None, shelf, at_s, base, known: None, is_judged: true, parts }.at(at_s)
    }

    /// This job, with tables of round-trip times to choose from.
    pub fn with_shelf(self, shelf: Shelf) -> Self {
        let at_s = self.at_s;
        Self { shelf: Arc::new(shelf), ..self }.at(at_s)
    }

    /// This job, with the table that counts at this second since 1970.
    pub fn at(mut self, now_s: u64) -> Self {
        self.at_s = now_s;
        self.parts.table = self.table().map(|shelved| shelved.digest);
        self
    }

    /// This job, which falls back to what is in force, part by part.
    pub(super) fn with_base(self, base: Option<Arc<Base>>) -> Self {
        Self { base, ..self }
    }

    /// This job, which need not read geo data with this digest again.
    pub fn knowing(self, digest: GeoDigest, places: Arc<PlaceMap>) -> Self {
        Self { known: Some((digest, places)), ..self }
    }

    /// This job, whatever its files assert: for whoever asks why an assertion does not hold.
    pub fn unjudged(self) -> Self {
        Self { is_judged: false, ..self }
    }

    /// The table that counts, if nothing speaks against it.
    pub fn table(&self) -> Option<&Shelved> {
        self.shelf.in_force(self.at_s)
    }

    /// Tables that cannot be read.
    pub(super) fn damaged(&self) -> Option<Rejection> {
        Rejection::of_tables(&self.shelf)
    }

    /// SHA-256 of the table that is to count, and of what is damaged beside it.
    pub(super) fn tables_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.parts.table.unwrap_or_default());
        hash.update(self.damaged().map_or_else(String::new, |damaged| damaged.text));
        hash.finalize().into()
    }

    /// Digest of each part that is to be in force.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// SHA-256 of everything in the job: equal jobs give equal answers.
    pub fn digest(&self) -> [u8; 32] {
        self.parts.digest()
    }

    /// The operator's files with their digests, if they were read.
    pub fn zones_read(&self) -> Option<&ZoneFiles> {
        self.zones.as_deref()
    }

    /// The operator's files that were read.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let files = self.zones.iter().flat_map(|zones| zones.files.iter());
        files.map(|(_, file)| &*file.name)
    }

    /// What `served` is made of, to be kept: as far as it is in this job, the rest was kept before.
    pub(super) fn kept(&self, served: ServedForm, base: &Base) -> Box<Kept> {
        let files = self.zones.as_ref().filter(|zones| zones.digest == base.parts.zones);
        let geo = self.geo.as_ref().filter(|geo| geo.digest() == base.parts.geo);
        Box::new(Kept {
            served,
            files: files.map(|zones| zones.files.clone()),
            geo: geo.map(|geo| geo.input().clone()),
            table: base.table.as_ref().map(|shelved| Arc::clone(&shelved.table)),
        })
    }

    /// Every file that could not be read.
    pub fn unread(&self) -> impl Iterator<Item = &FileProblem> {
        let of_zones = self.zones.iter().flat_map(|zones| &zones.unread);
        of_zones.chain(self.geo.iter().flat_map(GeoFiles::unread))
    }

    /// Does the work. Takes a second for a large geo database.
    ///
    /// A part that is refused holds back no other: the one before it stays.
    pub fn run(&self) -> Product {
        attempt::run(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;
    use crate::config::SourceFile;
    use crate::config::rules;
    use crate::geo::GeoInput;
    use crate::geo::OverlayFile;

    #[test]
    fn files_and_geo_data_are_refused_together_with_every_problem() {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", "[pool.x]\nwieght = 1\n")]);
        let feed = OverlayFile { name: "feed.csv".into(), octets: b"192.0.2.1/24,DE\n"[..].into() };
        let geo = GeoFiles::of(GeoInput { overlays: vec![feed], ..GeoInput::default() });
        let alone = Job::new(files.clone(), GeoFiles::default(), NodeTerms::default()).run();
        let alone = alone.compiled().expect_err("the pool has mistakes");
        let both = Job::new(files, geo, NodeTerms::default())
            .run()
            .compiled()
            .expect_err("both are wrong");
        assert_eq!(both.problems, alone.problems + 1);
        assert!(both.text.contains("zones/a.toml:2:1"), "{}", both.text);
        assert!(both.text.contains("feed.csv:1:1"), "{}", both.text);
    }

    #[test]
    fn every_file_that_cannot_be_read_is_named_with_every_other_problem() {
        let unread = |file: &str| FileProblem {
            severity: Severity::Error,
            rule: &rules::UNREADABLE_FILE,
            file: file.into(),
            fault: "permission denied".into(),
            remedy: "check it".into(),
        };
        let files = Files::new(vec![SourceFile::new("zones/a.toml", "[pool.x]\nwieght = 1\n")]);
        let alone = Job::new(files.clone(), GeoFiles::default(), NodeTerms::default());
        let geo = GeoFiles::with_unread(GeoInput::default(), vec![unread("city.mmdb")]);
        let of_zones = vec![unread("zones/b.toml"), unread("zones/c.zone")];
        let job = Job::with_unread(files, of_zones, geo, NodeTerms::default());
        assert_ne!(job.digest(), alone.digest());
        let (alone, all) = (alone.run().compiled().unwrap_err(), job.run().compiled().unwrap_err());
        assert_eq!(all.problems, alone.problems + 3);
        for name in ["zones/b.toml", "zones/c.zone", "city.mmdb"] {
            let line = format!("error[unreadable-file]: {name}: permission denied; check it\n");
            assert!(all.text.contains(&line), "{}", all.text);
        }
        let good = Files::new(Vec::new());
        let job =
            Job::with_unread(good, vec![unread("b")], GeoFiles::default(), NodeTerms::default());
        assert_eq!(job.run().compiled().unwrap_err().problems, 1, "nothing is served without it");
    }
}

//! Compilation: files and geo data to tables, a pure function that the shell runs on a worker.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::assertion;
use crate::config;
use crate::config::Files;
use crate::config::Problem;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::render;
use crate::config::render::FileProblem;
use crate::control::geo::GeoReport;
use crate::geo::DatabaseFile;
use crate::geo::GeoInput;
use crate::geo::PlaceMap;
use crate::model::Model;
use crate::model::NodeTerms;
use crate::rtt::Shelf;
use crate::rtt::Shelved;
use crate::rtt::Table;
use crate::snapshot::Compiled;
use crate::snapshot::compile_measured;

/// Everything a snapshot's expensive half is made of.
#[derive(Clone, Debug)]
pub struct Job {
    files: Files,
    /// Files of zones that could not be read.
    unread: Vec<FileProblem>,
    geo: GeoFiles,
    /// What this node's own file says of answers.
    node: NodeTerms,
    /// Every table of round-trip times there is.
    shelf: Arc<Shelf>,
    /// The one that counts.
    table: Option<Arc<Shelved>>,
    digest: [u8; 32],
    /// Whether what does not hold of its assertions refuses it.
    is_judged: bool,
}

/// Overlays and geo databases, and the map that was made of them before, if any.
#[derive(Clone, Debug, Default)]
pub struct GeoFiles {
    input: GeoInput,
    /// What could not be read of it.
    unread: Vec<FileProblem>,
    digest: GeoDigest,
    /// Places of geo data with that digest, so that a change of zones does not read them again.
    known: Option<(GeoDigest, Arc<PlaceMap>)>,
}

/// SHA-256 of geo data.
pub type GeoDigest = [u8; 32];

impl GeoFiles {
    /// Databases by name and octets, without overlays; fields of earlier ones win.
    pub fn new(databases: Vec<(Box<str>, Arc<[u8]>)>) -> Self {
        let databases = databases.into_iter();
        let databases = databases.map(|(name, octets)| DatabaseFile { name, octets, shape: None });
        Self::of(GeoInput { databases: databases.collect(), overlays: Vec::new() })
    }

    /// All geo data. Hashes it: a second for a gigabyte.
    pub fn of(input: GeoInput) -> Self {
        Self::with_unread(input, Vec::new())
    }

    /// Geo data of which some could not be read: it is refused.
    pub fn with_unread(input: GeoInput, unread: Vec<FileProblem>) -> Self {
        let mut hash = Sha256::new();
        hash.update((input.overlays.len() as u64).to_le_bytes());
        for overlay in &input.overlays {
            hash.update(Sha256::digest(&overlay.octets));
        }
        for database in &input.databases {
            hash.update(Sha256::digest(&database.octets));
            let shape = database.shape.map_or("", |shape| shape.name());
            hash.update(Sha256::digest(shape));
        }
        hash.update(list(&unread));
        Self { input, unread, digest: hash.finalize().into(), known: None }
    }

    /// The table with its warnings, or every problem.
    fn compile(&self) -> Result<(Arc<PlaceMap>, GeoReport), Rejection> {
        if let Some((known, places)) = &self.known
            && *known == self.digest
        {
            return Ok((Arc::clone(places), GeoReport::default()));
        }
        let (unread, problems) = (list(&self.unread), self.unread.len());
        match self.input.read() {
            Err(found) => {
                let report = GeoReport::new(&self.input, &found, Severity::Error);
                let (text, problems) = (unread + &report.text(), problems + report.len());
                Err(Rejection { text, problems })
            }
            Ok(_) if problems > 0 => Err(Rejection { text: unread, problems }),
            Ok(table) => {
                let report = GeoReport::new(&self.input, &table.warnings, Severity::Warning);
                Ok((Arc::new(table.into_places()), report))
            }
        }
    }
}

/// A line for each problem.
fn list(problems: &[FileProblem]) -> String {
    problems.iter().map(|problem| problem.for_people() + "\n").collect()
}

/// What a worker brings back.
#[derive(Debug)]
pub struct Product {
    /// Digest of the job.
    pub digest: [u8; 32],
    /// Digest of the geo data in the tables.
    pub geo: GeoDigest,
    /// Digest of what is in the tables: that of the job, unless its geo data is refused.
    pub served: [u8; 32],
    /// Tables, or every problem.
    pub result: Result<Arc<Compiled>, Rejection>,
    /// Why the tables have the geo data before that of the job, if they do.
    pub geo_fault: Option<Rejection>,
    /// The table of round-trip times of the job.
    pub table: Option<Shelved>,
    /// With that table the files would be refused, so the tables are without it.
    pub is_table_left_out: bool,
    /// How many warnings there were.
    pub warnings: usize,
    /// Every warning, as `rhumb check` shows it; empty if the files were refused: the rejection has them.
    pub warning_text: String,
}

/// Why files are not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Every problem, as `rhumb check` shows it.
    pub text: String,
    /// How many there are.
    pub problems: usize,
}

impl Rejection {
    /// One problem.
    pub fn one(text: String) -> Self {
        Self { text, problems: 1 }
    }

    /// This one, then another.
    fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        Self { text: self.text + &other.text, problems: self.problems + other.problems }
    }
}

impl Product {
    /// The product of a job that came to nothing.
    pub fn failed(job: &Job, why: Rejection) -> Self {
        Self {
            digest: job.digest(),
            geo: job.geo.digest,
            served: job.digest(),
            result: Err(why),
            geo_fault: None,
            table: None,
            is_table_left_out: false,
            warnings: 0,
            warning_text: String::new(),
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
        let (shelf, table, digest) = (Arc::default(), None, [0; 32]);
        Self { files, unread, geo, node, shelf, table, digest, is_judged: true }.digested()
    }

    /// This job, with tables of round-trip times to choose from.
    pub fn with_shelf(self, shelf: Shelf) -> Self {
        Self { shelf: Arc::new(shelf), ..self }.digested()
    }

    /// This job, with the table that counts at this second since 1970.
    pub fn at(self, now_s: u64) -> Self {
        let table = self.shelf.in_force(now_s).cloned().map(Arc::new);
        Self { table, ..self }.digested()
    }

    /// The tables to choose from.
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// The table that counts.
    pub fn table(&self) -> Option<&Shelved> {
        self.table.as_deref()
    }

    fn digested(mut self) -> Self {
        self.digest = self.digest_with(self.geo.digest, self.table.as_deref());
        self
    }

    /// SHA-256 of everything in the job, with this geo data and table.
    fn digest_with(&self, geo: GeoDigest, table: Option<&Shelved>) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.files.digest());
        hash.update(geo);
        hash.update(list(&self.unread));
        // Which programs may be run decides whether files are taken, not what they come to.
        let NodeTerms { identity, explain, ecs_from, exec: _ } = &self.node;
        hash.update(identity);
        hash.update(format!("{explain:?}{ecs_from:?}"));
        // What is wrong with tables is told once, by a load of its own.
        for (name, problem) in &self.shelf.problems {
            hash.update(format!("{name}:{problem}"));
        }
        if let Some(Shelved { digest, .. }) = table {
            hash.update(digest);
        }
        hash.finalize().into()
    }

    /// SHA-256 of everything in the job: equal jobs give equal answers.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The operator's files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Every file that could not be read.
    pub fn unread(&self) -> impl Iterator<Item = &FileProblem> {
        self.unread.iter().chain(&self.geo.unread)
    }

    /// This job, which need not read geo data with this digest again, and keeps it if its own is refused.
    pub fn knowing(mut self, digest: GeoDigest, places: Arc<PlaceMap>) -> Self {
        self.geo.known = Some((digest, places));
        self
    }

    /// This job, whatever its files assert: for whoever asks why an assertion does not hold.
    pub fn unjudged(self) -> Self {
        Self { is_judged: false, ..self }
    }

    /// Does the work. Takes a second for a large geo database.
    ///
    /// Geo data that is damaged holds back no change of zones: they are served with the places known before.
    pub fn run(&self) -> Product {
        let (model, problems) = config::load(&self.files);
        let geo = self.geo.compile();
        let Some(model) = model.filter(|_| self.unread.is_empty()) else {
            return Product::failed(self, self.reject(&problems).and(geo.err()));
        };
        let (digest, places, of_geo, geo_fault) = match (geo, &self.geo.known) {
            (Ok((places, of_geo)), _) => (self.geo.digest, places, of_geo, None),
            (Err(fault), Some((known, places))) => {
                (*known, Arc::clone(places), GeoReport::default(), Some(fault))
            }
            (Err(fault), None) => return Product::failed(self, fault),
        };
        let is_warning = |problem: &&Problem| problem.severity == Severity::Warning;
        let warnings = problems.iter().filter(is_warning).count();
        let warning_text = match warnings {
            0 => String::new(),
            _ => render::for_people(&self.files, &problems, false),
        };
        let tables = self.shelf.problems.len();
        let of_tables =
            self.shelf.problems.iter().map(|(name, problem)| {
                format!("warning: {name}:{problem}; the table is left out\n")
            });
        let compile = |model: Model, table: Option<&Table>| {
            compile_measured(model, Arc::clone(&places), self.node.clone(), table)
                .map_err(|why| Rejection::one(format!("{why}; use fewer targets\n")))
                .and_then(|compiled| self.judge(compiled, &problems))
        };
        // What was measured never decides whether files are served.
        let mut table = self.table.as_deref();
        let mut compiled = compile(model, table.map(|shelved| &*shelved.table));
        if compiled.is_err() && table.take().is_some() {
            // The first try took the records out of the model; this is too rare to keep a copy for it.
            let model = config::load(&self.files).0.expect("the same files were sound just now");
            compiled = compile(model, None);
        }
        match compiled {
            Err(why) => Product::failed(self, why.and(geo_fault)),
            Ok(compiled) => Product {
                digest: self.digest,
                geo: digest,
                served: self.digest_with(digest, table),
                result: Ok(Arc::new(compiled)),
                geo_fault,
                table: self.table.as_deref().cloned(),
                is_table_left_out: table.is_none() && self.table.is_some(),
                warnings: warnings + of_geo.len() + tables,
                warning_text: warning_text + &of_geo.text() + &of_tables.collect::<String>(),
            },
        }
    }

    /// The tables, unless an assertion of theirs does not hold.
    fn judge(&self, compiled: Compiled, problems: &Problems) -> Result<Compiled, Rejection> {
        let failures = if self.is_judged { assertion::judge(&compiled) } else { Vec::new() };
        if failures.is_empty() {
            return Ok(compiled);
        }
        let mut problems = problems.clone();
        assertion::report(&compiled, &failures, &mut problems);
        problems.sort();
        Err(self.reject(&problems))
    }

    /// What is wrong with the files of zones: all at once, first what could not be read, for the rest may follow from it.
    fn reject(&self, problems: &Problems) -> Rejection {
        Rejection {
            text: list(&self.unread) + &render::for_people(&self.files, problems, false),
            problems: self.unread.len() + problems.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFile;
    use crate::config::rules;
    use crate::geo::OverlayFile;

    #[test]
    fn files_and_geo_data_are_refused_together_with_every_problem() {
        let files = Files::new(vec![SourceFile::new("zones/a.toml", "[pool.x]\nwieght = 1\n")]);
        let feed = OverlayFile { name: "feed.csv".into(), octets: b"192.0.2.1/24,DE\n"[..].into() };
        let geo = GeoFiles::of(GeoInput { overlays: vec![feed], ..GeoInput::default() });
        let alone = Job::new(files.clone(), GeoFiles::default(), NodeTerms::default()).run();
        let alone = alone.result.expect_err("the pool has mistakes");
        let both =
            Job::new(files, geo, NodeTerms::default()).run().result.expect_err("both are wrong");
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
        let (alone, all) = (alone.run().result.unwrap_err(), job.run().result.unwrap_err());
        assert_eq!(all.problems, alone.problems + 3);
        for name in ["zones/b.toml", "zones/c.zone", "city.mmdb"] {
            let line = format!("error[unreadable-file]: {name}: permission denied; check it\n");
            assert!(all.text.contains(&line), "{}", all.text);
        }
        let good = Files::new(Vec::new());
        let job =
            Job::with_unread(good, vec![unread("b")], GeoFiles::default(), NodeTerms::default());
        assert_eq!(job.run().result.unwrap_err().problems, 1, "nothing is served without it");
    }
}

//! Compilation: files and geo data to tables, a pure function that the shell runs on a worker.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::config;
use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::render;
use crate::control::geo::GeoReport;
use crate::geo::DatabaseFile;
use crate::geo::GeoInput;
use crate::geo::PlaceMap;
use crate::model::NodeTerms;
use crate::rtt::Shelf;
use crate::rtt::Shelved;
use crate::snapshot::Compiled;
use crate::snapshot::compile_measured;

/// Everything a snapshot's expensive half is made of.
#[derive(Clone, Debug)]
pub struct Job {
    files: Files,
    geo: GeoFiles,
    /// What this node's own file says of answers.
    node: NodeTerms,
    /// Every table of round-trip times there is.
    shelf: Arc<Shelf>,
    /// The one that counts.
    table: Option<Shelved>,
    /// Of everything but the table.
    base_digest: [u8; 32],
    digest: [u8; 32],
}

/// Overlays and geo databases, and the map that was made of them before, if any.
#[derive(Clone, Debug, Default)]
pub struct GeoFiles {
    input: GeoInput,
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
        Self { input, digest: hash.finalize().into(), known: None }
    }

    /// The table with its warnings, or every problem.
    fn compile(&self) -> Result<(Arc<PlaceMap>, GeoReport), Rejection> {
        if let Some((known, places)) = &self.known
            && *known == self.digest
        {
            return Ok((Arc::clone(places), GeoReport::default()));
        }
        let table = self.input.read().map_err(|found| {
            let report = GeoReport::new(&self.input, &found, Severity::Error);
            Rejection { text: report.text(), problems: report.len() }
        })?;
        let report = GeoReport::new(&self.input, &table.warnings, Severity::Warning);
        Ok((Arc::new(table.compile()), report))
    }
}

/// What a worker brings back.
#[derive(Debug)]
pub struct Product {
    /// Digest of the job.
    pub digest: [u8; 32],
    /// Digest of its geo data.
    pub geo: GeoDigest,
    /// Tables, or every problem.
    pub result: Result<Arc<Compiled>, Rejection>,
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
    fn one(text: String) -> Self {
        Self { text, problems: 1 }
    }
}

impl Job {
    /// A job for these inputs.
    pub fn new(files: Files, geo: GeoFiles, node: NodeTerms) -> Self {
        let mut hash = Sha256::new();
        hash.update(files.digest());
        hash.update(geo.digest);
        hash.update(&node.identity);
        let NodeTerms { identity: _, explain } = &node;
        hash.update(format!("{explain:?}"));
        let digest = hash.finalize().into();
        let (shelf, table) = (Arc::default(), None);
        Self { files, geo, node, shelf, table, base_digest: digest, digest }
    }

    /// This job, with tables of round-trip times to choose from.
    pub fn with_shelf(self, shelf: Shelf) -> Self {
        let mut hash = Sha256::new().chain_update(self.base_digest);
        // What is wrong with them is told once, by a load of its own.
        shelf.problems.iter().for_each(|(name, problem)| hash.update(format!("{name}:{problem}")));
        let digest = match shelf.problems.is_empty() {
            true => self.base_digest,
            false => hash.finalize().into(),
        };
        Self { shelf: Arc::new(shelf), base_digest: digest, digest, ..self }
    }

    /// The tables to choose from.
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// This job, with the table that counts at this second since 1970.
    pub fn at(self, now_s: u64) -> Self {
        let table = self.shelf.in_force(now_s).cloned();
        self.with_table(table)
    }

    /// This job, with the table that counts.
    fn with_table(self, table: Option<Shelved>) -> Self {
        let digest = match &table {
            Some(Shelved { digest, .. }) => {
                Sha256::new().chain_update(self.base_digest).chain_update(digest).finalize().into()
            }
            None => self.base_digest,
        };
        Self { table, digest, ..self }
    }

    /// The table that counts.
    pub fn table(&self) -> Option<&Shelved> {
        self.table.as_ref()
    }

    /// SHA-256 of everything in the job: equal jobs give equal answers.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The operator's files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Digest of its geo data.
    pub fn geo_digest(&self) -> GeoDigest {
        self.geo.digest
    }

    /// This job, which need not read geo data with this digest again.
    pub fn knowing(mut self, digest: GeoDigest, places: Arc<PlaceMap>) -> Self {
        self.geo.known = Some((digest, places));
        self
    }

    /// Does the work. Takes a second for a large geo database.
    pub fn run(&self) -> Product {
        let (model, problems) = config::load(&self.files);
        let mut warnings = self.shelf.problems.len();
        warnings += problems.iter().filter(|problem| problem.severity == Severity::Warning).count();
        let has_text = model.is_some() && warnings > self.shelf.problems.len();
        let mut warning_text = match has_text {
            true => render::for_people(&self.files, &problems, false),
            false => String::new(),
        };
        for (name, problem) in &self.shelf.problems {
            warning_text += &format!("warning: {name}:{problem}; the table is left out\n");
        }
        let result = match model {
            None => Err(self.reject(&problems)),
            Some(model) => self.geo.compile().and_then(|(places, of_geo)| {
                warnings += of_geo.len();
                warning_text += &of_geo.text();
                let table = self.table.as_ref().map(|shelved| &*shelved.table);
                compile_measured(model, places, self.node.clone(), table)
                    .map(Arc::new)
                    .map_err(|why| Rejection::one(format!("{why}; use fewer targets")))
            }),
        };
        Product { digest: self.digest, geo: self.geo.digest, result, warnings, warning_text }
    }

    /// What is wrong with the files, and with geo data beside them: all at once.
    fn reject(&self, problems: &Problems) -> Rejection {
        let of_files = render::for_people(&self.files, problems, false);
        match self.geo.compile() {
            Ok(_) => Rejection { text: of_files, problems: problems.len() },
            Err(of_geo) => Rejection {
                text: of_files + &of_geo.text,
                problems: problems.len() + of_geo.problems,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFile;
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
}

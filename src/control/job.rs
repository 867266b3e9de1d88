//! Compilation: files and geo data to tables, a pure function that the shell runs on a worker.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::config;
use crate::config::Files;
use crate::config::Severity;
use crate::config::render;
use crate::geo::PlaceMap;
use crate::geo::read_database;
use crate::snapshot::Compiled;
use crate::snapshot::compile;

/// Everything a snapshot's expensive half is made of.
#[derive(Clone, Debug)]
pub struct Job {
    files: Files,
    geo: GeoFiles,
    /// What NSID says; empty if nothing.
    identity: Box<[u8]>,
    digest: [u8; 32],
}

/// Geo databases in order of trust, and the map that was made of them before, if any.
#[derive(Clone, Debug, Default)]
pub struct GeoFiles {
    /// Name and octets of each.
    databases: Vec<(Box<str>, Arc<[u8]>)>,
    digest: GeoDigest,
    /// Places of databases with that digest, so that a change of zones does not read them again.
    known: Option<(GeoDigest, Arc<PlaceMap>)>,
}

/// SHA-256 of geo databases.
pub type GeoDigest = [u8; 32];

impl GeoFiles {
    /// Databases by name and octets; fields of earlier ones win. Hashes them: a second for a gigabyte.
    pub fn new(databases: Vec<(Box<str>, Arc<[u8]>)>) -> Self {
        let mut hash = Sha256::new();
        for (_, octets) in &databases {
            hash.update(Sha256::digest(octets));
        }
        Self { databases, digest: hash.finalize().into(), known: None }
    }
}

/// What a worker brings back.
#[derive(Debug)]
pub struct Product {
    /// Digest of the job.
    pub digest: [u8; 32],
    /// Digest of its geo databases.
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
    pub fn new(files: Files, geo: GeoFiles, identity: Box<[u8]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(files.digest());
        hash.update(geo.digest);
        hash.update(&identity);
        Self { files, geo, identity, digest: hash.finalize().into() }
    }

    /// SHA-256 of everything in the job: equal jobs give equal answers.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The operator's files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Digest of its geo databases.
    pub fn geo_digest(&self) -> GeoDigest {
        self.geo.digest
    }

    /// This job, which need not read databases with this digest again.
    pub fn knowing(mut self, digest: GeoDigest, places: Arc<PlaceMap>) -> Self {
        self.geo.known = Some((digest, places));
        self
    }

    /// Does the work. Takes a second for a large geo database.
    pub fn run(&self) -> Product {
        let (model, problems) = config::load(&self.files);
        let warnings =
            problems.iter().filter(|problem| problem.severity == Severity::Warning).count();
        let has_text = model.is_some() && warnings > 0;
        let warning_text = match has_text {
            true => render::for_people(&self.files, &problems, false),
            false => String::new(),
        };
        let result = match model {
            None => Err(Rejection {
                text: render::for_people(&self.files, &problems, false),
                problems: problems.len(),
            }),
            Some(model) => self.places().and_then(|places| {
                compile(model, places, self.identity.clone())
                    .map(Arc::new)
                    .map_err(|why| Rejection::one(format!("{why}; use fewer targets")))
            }),
        };
        Product { digest: self.digest, geo: self.geo.digest, result, warnings, warning_text }
    }

    fn places(&self) -> Result<Arc<PlaceMap>, Rejection> {
        if let Some((known, places)) = &self.geo.known
            && *known == self.geo.digest
        {
            return Ok(Arc::clone(places));
        }
        let read = |(name, octets): &(Box<str>, Arc<[u8]>)| {
            read_database(name, octets)
                .map(|(layer, _)| layer)
                .map_err(|fault| Rejection::one(fault.to_string()))
        };
        let layers = self.geo.databases.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(PlaceMap::compile(&layers)))
    }
}

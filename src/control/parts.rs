//! What a load is made of, part by part: zones, geo data, round-trip times. Each has its own digest, and of each the
//! last that was good stays in force while a newer one is refused. Compiles nothing.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::config::Files;
use crate::config::Severity;
use crate::config::SourceFile;
use crate::config::render::FileProblem;
use crate::control::geo::GeoReport;
use crate::control::rejection::Rejection;
use crate::geo::DatabaseFile;
use crate::geo::GeoInput;
use crate::geo::PlaceMap;
use crate::model::NodeTerms;
use crate::rtt::Shelved;
use crate::snapshot::Compiled;

/// SHA-256 of geo data.
pub type GeoDigest = [u8; 32];

/// Digests of all parts: tables with equal ones give equal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Of zones, what they share, and what the node's own file says of answers.
    pub zones: [u8; 32],
    /// Of databases and overlays.
    pub geo: GeoDigest,
    /// Of what counts in the table of round-trip times; `None` without one.
    pub table: Option<[u8; 32]>,
}

impl Parts {
    /// SHA-256 of everything.
    pub fn digest(&self) -> [u8; 32] {
        let Self { zones, geo, table } = self;
        let mut hash = Sha256::new();
        hash.update(zones);
        hash.update(geo);
        if let Some(table) = table {
            hash.update(table);
        }
        hash.finalize().into()
    }
}

/// What is in force of each part: what stays if the one that was read is refused.
#[derive(Clone, Debug)]
pub struct Base {
    /// Digest of each part.
    pub parts: Parts,
    /// SHA-256 of the files that all nodes are to have alike, wherever they keep them.
    pub config: [u8; 32],
    /// The tables without changed weights.
    pub compiled: Arc<Compiled>,
    /// The table of round-trip times in them.
    pub table: Option<Arc<Shelved>>,
    /// The operator's files, to show what stands in them; those of zones without their text, which is long.
    pub files: Files,
}

/// The operator's files, and what this node's own file says of answers.
#[derive(Clone, Debug)]
pub struct ZoneFiles {
    /// What could be read.
    pub files: Files,
    /// What could not.
    pub unread: Vec<FileProblem>,
    /// What this node's own file says of answers.
    pub node: NodeTerms,
    /// SHA-256 of all that.
    pub digest: [u8; 32],
    /// SHA-256 of what all nodes are to have alike: no paths, and nothing of this node's own file.
    pub config: [u8; 32],
}

impl ZoneFiles {
    /// Hashes them.
    pub fn new(files: Files, unread: Vec<FileProblem>, node: NodeTerms) -> Self {
        let mut hash = Sha256::new();
        hash.update(files.digest());
        hash.update(list(&unread));
        // Which programs may be run decides whether files are taken, not what they come to.
        let NodeTerms { identity, explain, ecs_from, exec: _ } = &node;
        hash.update(identity);
        hash.update(format!("{explain:?}{ecs_from:?}"));
        let config = files.contents_digest();
        Self { files, unread, node, digest: hash.finalize().into(), config }
    }

    /// The files as problems of policies and assertions are shown in them: records have none later on.
    pub fn without_records(&self) -> Files {
        let files = self.files.iter().map(|(_, file)| match file.name.ends_with(".toml") {
            true => file.clone(),
            false => SourceFile::new(&file.name, ""),
        });
        Files::new(files.collect())
    }
}

/// Overlays and geo databases, and the map that was made of them before, if any.
#[derive(Clone, Debug, Default)]
pub struct GeoFiles {
    input: GeoInput,
    /// What could not be read of it.
    unread: Vec<FileProblem>,
    digest: GeoDigest,
}

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
        Self { input, unread, digest: hash.finalize().into() }
    }

    /// SHA-256 of all of it.
    pub fn digest(&self) -> GeoDigest {
        self.digest
    }

    /// All of it that could be read.
    pub(super) fn input(&self) -> &GeoInput {
        &self.input
    }

    /// What could not be read of it.
    pub(super) fn unread(&self) -> &[FileProblem] {
        &self.unread
    }

    /// The places with the warnings, or every problem.
    pub(super) fn compile(&self) -> Result<(Arc<PlaceMap>, GeoReport), Rejection> {
        match self.input.read() {
            Err(found) => {
                let report = GeoReport::new(&self.input, &found, Severity::Error);
                Err(Rejection::of_geo(&report, &self.unread))
            }
            Ok(_) if !self.unread.is_empty() => {
                Err(Rejection::of_geo(&GeoReport::default(), &self.unread))
            }
            Ok(table) => {
                let report = GeoReport::new(&self.input, &table.warnings, Severity::Warning);
                Ok((Arc::new(table.into_places()), report))
            }
        }
    }
}

/// A line for each problem.
pub(super) fn list(problems: &[FileProblem]) -> String {
    problems.iter().map(|problem| problem.for_people() + "\n").collect()
}

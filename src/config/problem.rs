//! What is wrong with the operator's files: collected, never stopped at the first.

use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;

use crate::config::rules;
use crate::config::rules::Rule;
use crate::zonefile::master;

/// Which file of a load, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);

/// Octets of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which file.
    pub file: FileId,
    /// Which octets.
    pub span: Range<usize>,
}

impl From<master::Place> for Place {
    fn from(place: master::Place) -> Self {
        let master::Place { file, start, end } = place;
        Self { file: FileId(file as usize), span: start as usize..end as usize }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// Whether a problem blocks a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The load is refused; the running snapshot stays.
    Error,
    /// The load goes on.
    Warning,
}

/// One problem: where, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it blocks.
    pub severity: Severity,
    /// What kind of problem it is.
    pub rule: &'static Rule,
    /// Where it is.
    pub place: Place,
    /// The key it is about, such as `pool.eu.endpoint.fra-2.weight`; may be empty.
    pub key: String,
    /// What is wrong.
    pub fault: String,
    /// What to write instead.
    pub remedy: String,
    /// Another place that has to do with it, and what stands there.
    pub also: Option<(Place, String)>,
    /// Further lines that show why, such as the steps of a decision.
    pub notes: Vec<String>,
}

impl Problem {
    /// Says what kind of problem it is, where that is not [`default_rule`].
    pub fn rule(&mut self, rule: &'static Rule) {
        self.rule = rule;
    }
}

/// The kind of a problem of which nothing more is said.
fn default_rule(severity: Severity, key: &str) -> &'static Rule {
    match (severity, key) {
        (Severity::Warning, _) => &rules::LIKELY_MISTAKE,
        (Severity::Error, "") => &rules::ZONE_DATA,
        (Severity::Error, key) if key.starts_with("name.") => &rules::ZONE_DATA,
        (Severity::Error, _) => &rules::BAD_VALUE,
    }
}

/// Every problem found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds an error.
    pub fn error(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Error, place, key.into(), fault.into(), remedy.into(), None)
    }

    /// Adds an error that has to do with another place too.
    pub fn error_with(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        fault: impl Into<String>,
        remedy: impl Into<String>,
        also: (Place, &str),
    ) -> &mut Problem {
        let also = Some((also.0, also.1.to_owned()));
        self.add(Severity::Error, place, key.into(), fault.into(), remedy.into(), also)
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Warning, place, key.into(), fault.into(), remedy.into(), None)
    }

    fn add(
        &mut self,
        severity: Severity,
        place: &Place,
        key: String,
        fault: String,
        remedy: String,
        also: Option<(Place, String)>,
    ) -> &mut Problem {
        let rule = default_rule(severity, &key);
        let (place, notes) = (place.clone(), Vec::new());
        self.list.push(Problem { severity, rule, place, key, fault, remedy, also, notes });
        self.list.last_mut().expect("it has just been added")
    }

    /// Whether any blocks the load.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Every problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many block the load.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Orders problems by file and place, errors before warnings of one place.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| {
            (problem.place.file, problem.place.span.start, problem.severity)
        });
    }
}

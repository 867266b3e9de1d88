//! Why something is not served, for people and for machines.

use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::render;
use crate::config::render::FileProblem;
use crate::config::render::ProblemReport;
use crate::config::rules;
use crate::control::geo::GeoReport;
use crate::control::parts::list;
use crate::rtt::Shelf;

/// Why something is not served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejection {
    /// Every problem and warning, as `rhumb check` shows it.
    pub text: String,
    /// How many problems there are; warnings do not count.
    pub problems: usize,
    /// Every problem and warning, for machines.
    pub list: Vec<ProblemReport>,
}

impl Rejection {
    /// One problem that no file is to blame for.
    pub fn one(text: String) -> Self {
        let fault = text.trim_end().to_owned();
        Self { text, problems: 1, list: vec![whole(String::new(), fault, String::new())] }
    }

    /// Every problem of files, first what could not be read, for the rest may follow from it.
    pub(super) fn of_files(files: &Files, problems: &Problems, unread: &[FileProblem]) -> Self {
        Self {
            text: list(unread) + &render::for_people(files, problems, false),
            problems: unread.len() + problems.errors(),
            list: machines(unread).chain(render::for_machines(files, problems)).collect(),
        }
    }

    /// Every problem of geo data.
    pub(super) fn of_geo(report: &GeoReport, unread: &[FileProblem]) -> Self {
        Self {
            text: list(unread) + &report.text(),
            problems: unread.len() + report.len(),
            list: machines(unread).chain(report.for_machines()).collect(),
        }
    }

    /// Every table of round-trip times that cannot be read; `None` if there is none.
    pub(super) fn of_tables(shelf: &Shelf) -> Option<Self> {
        let problems = &shelf.problems;
        let text = problems.iter().map(|(name, problem)| format!("{name}:{problem}\n")).collect();
        let report = |(name, problem): &(Box<str>, crate::rtt::RttProblem)| ProblemReport {
            line: problem.line as usize,
            column: problem.column as usize,
            ..whole(name.to_string(), problem.fault.clone(), problem.remedy.clone())
        };
        let list = problems.iter().map(report).collect();
        (!problems.is_empty()).then_some(Self { text, problems: problems.len(), list })
    }

    /// This one, then another.
    pub(super) fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        Self {
            text: self.text + &other.text,
            problems: self.problems + other.problems,
            list: self.list.into_iter().chain(other.list).collect(),
        }
    }
}

/// Each problem for machines.
fn machines(problems: &[FileProblem]) -> impl Iterator<Item = ProblemReport> + '_ {
    problems.iter().map(FileProblem::for_machines)
}

/// A problem of a file as a whole, or of none.
fn whole(file: String, fault: String, remedy: String) -> ProblemReport {
    let rule = &rules::UNREADABLE_FILE;
    FileProblem { severity: Severity::Error, rule, file, fault, remedy }.for_machines()
}

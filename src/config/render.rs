//! Problems as people and machines read them.

use annotate_snippets::AnnotationKind;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;
use serde::Deserialize;
use serde::Serialize;

use crate::config::Files;
use crate::config::Problem;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::problem::Place;
use crate::config::rules::Rule;

/// A place as editors count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

/// Line and column of an offset; one past the end counts as the end.
pub fn line_column(text: &str, offset: usize) -> LineColumn {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|&&octet| octet == b'\n').count() + 1;
    let line_start = before.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
    LineColumn { line, column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1 }
}

/// A problem of a whole file: one that cannot be read, or that has no lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// Whether it blocks.
    pub severity: Severity,
    /// What kind of problem it is.
    pub rule: &'static Rule,
    /// Path as the operator would write it.
    pub file: String,
    /// What is wrong.
    pub fault: String,
    /// What to do.
    pub remedy: String,
}

impl FileProblem {
    /// One line for people.
    pub fn for_people(&self) -> String {
        let Self { severity, rule, file, fault, remedy } = self;
        visible(&format!("{}[{}]: {file}: {fault}; {remedy}", severity_name(*severity), rule.id))
    }

    /// For machines; line and column are 0.
    pub fn for_machines(&self) -> ProblemReport {
        let Self { severity, rule, file, fault, remedy } = self;
        ProblemReport {
            severity: *severity,
            rule: rule.id.to_owned(),
            file: file.clone(),
            line: 0,
            column: 0,
            key: String::new(),
            fault: fault.clone(),
            remedy: remedy.clone(),
            also: None,
            notes: Vec::new(),
        }
    }
}

pub(super) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One line: `file:line:col: key: fault; remedy`.
pub fn one_line(files: &Files, problem: &Problem) -> String {
    let file = files.get(problem.place.file);
    let LineColumn { line, column } = file.line_column(problem.place.span.start);
    let line = format!("{}:{line}:{column}: {}; {}", file.name, title(problem), problem.remedy);
    visible(&line)
}

/// Key and fault.
pub(super) fn title(problem: &Problem) -> String {
    match &*problem.key {
        "" => problem.fault.clone(),
        key => format!("{key}: {}", problem.fault),
    }
}

/// A text whose control characters are written as escapes: what a file says must not steer a terminal or a log.
pub(super) fn visible(text: &str) -> String {
    let escape = |character: char| match character.is_control() {
        true => character.escape_default().collect(),
        false => String::from(character),
    };
    text.chars().map(escape).collect()
}

/// Every problem with its line, a caret and the remedy, as rustc shows errors.
pub fn for_people(files: &Files, problems: &Problems, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    problems.iter().map(|problem| snippet(files, problem, &renderer) + "\n\n").collect()
}

fn snippet(files: &Files, problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let (title, remedy) = (visible(&title(problem)), visible(&problem.remedy));
    let at = |place: &Place| {
        let file = files.get(place.file);
        let end = place.span.end.min(file.text.len());
        let (text, span) = file.shown(place.span.start.min(end)..end);
        (&*file.name, text, span)
    };
    let (name, text, span) = at(&problem.place);
    let primary = Snippet::source(text)
        .path(name)
        .annotation(AnnotationKind::Primary.span(span).label(&remedy));
    let mut group = level.primary_title(&title).id(problem.rule.id).element(primary);
    if let Some((place, label)) = &problem.also {
        let (name, text, span) = at(place);
        let other = Snippet::source(text).path(name);
        group = group.element(other.annotation(AnnotationKind::Context.span(span).label(label)));
    }
    let notes: Vec<String> = problem.notes.iter().map(|note| visible(note)).collect();
    if !notes.is_empty() {
        group = group.element(Level::NOTE.message(notes.join("\n")));
    }
    renderer.render(&[group])
}

/// One problem for machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemReport {
    /// Whether it blocks.
    pub severity: Severity,
    /// What kind of problem it is.
    pub rule: String,
    /// Path as the operator would write it.
    pub file: String,
    /// From 1; 0 if it is about the file as a whole.
    pub line: usize,
    /// From 1, in characters; 0 if it is about the file as a whole.
    pub column: usize,
    /// The key it is about; may be empty.
    pub key: String,
    /// What is wrong.
    pub fault: String,
    /// What to do.
    pub remedy: String,
    /// Another place that it has to do with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<PlaceReport>,
    /// Further lines that show why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Another place that a problem has to do with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceReport {
    /// Path as the operator would write it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What stands there.
    pub what: String,
}

/// Every problem for machines, in order.
pub fn for_machines(files: &Files, problems: &Problems) -> Vec<ProblemReport> {
    let report = |problem: &Problem| {
        let file = files.get(problem.place.file);
        let LineColumn { line, column } = file.line_column(problem.place.span.start);
        let Problem { severity, rule, place: _, key, fault, remedy, also, notes } = problem;
        let also = also.as_ref().map(|(place, what)| {
            let file = files.get(place.file);
            let LineColumn { line, column } = file.line_column(place.span.start);
            PlaceReport { file: file.name.to_string(), line, column, what: what.clone() }
        });
        ProblemReport {
            severity: *severity,
            rule: rule.id.to_owned(),
            file: file.name.to_string(),
            line,
            column,
            key: key.clone(),
            fault: fault.clone(),
            remedy: remedy.clone(),
            also,
            notes: notes.clone(),
        }
    };
    problems.iter().map(report).collect()
}

//! Problems of geo data, shown as those of every other file: with line, caret and remedy. Finds none itself.

use crate::config::Files;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::SourceFile;
use crate::config::problem::Place;
use crate::config::render;
use crate::config::render::FileProblem;
use crate::config::render::ProblemReport;
use crate::config::rules;
use crate::geo::GeoInput;
use crate::geo::input::GeoProblem;

/// Problems of geo data by what they are about.
#[derive(Clone, Debug, Default)]
pub struct GeoReport {
    /// Overlays that have problems.
    pub files: Files,
    /// What is wrong in them.
    pub problems: Problems,
    /// What is wrong with whole files.
    pub others: Vec<FileProblem>,
}

impl GeoReport {
    /// Sorts problems found in `input`; each has this severity.
    pub fn new(input: &GeoInput, found: &[GeoProblem], severity: Severity) -> Self {
        let is_named = |name: &str| found.iter().any(|problem| *problem.file == *name);
        let overlays = input.overlays.iter().filter(|overlay| is_named(&overlay.name));
        let files = overlays.map(|overlay| {
            SourceFile::new(&overlay.name, &String::from_utf8_lossy(&overlay.octets))
        });
        let mut report = Self { files: Files::new(files.collect()), ..Self::default() };
        for problem in found {
            let GeoProblem { file, at, fault, remedy } = problem;
            let named = report.files.iter().find(|(_, known)| *known.name == **file);
            match (*at, named) {
                (Some((line, column)), Some((id, source))) => {
                    let span = value_at(&source.text, line as usize, column as usize);
                    report.problems.error(&Place { file: id, span }, "", fault, remedy);
                }
                (Some(_) | None, _) => report.others.push(FileProblem {
                    severity,
                    rule: &rules::UNREADABLE_FILE,
                    file: file.to_string(),
                    fault: fault.clone(),
                    remedy: remedy.clone(),
                }),
            }
        }
        report
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = render::for_people(&self.files, &self.problems, false);
        for problem in &self.others {
            text += &(problem.for_people() + "\n");
        }
        text
    }

    /// For machines.
    pub fn for_machines(&self) -> Vec<ProblemReport> {
        let mut all = render::for_machines(&self.files, &self.problems);
        all.extend(self.others.iter().map(FileProblem::for_machines));
        all
    }

    /// How many problems there are.
    pub fn len(&self) -> usize {
        self.problems.len() + self.others.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Octets of the value that begins at this line and column, up to its comma or the end of the line.
fn value_at(text: &str, line: usize, column: usize) -> std::ops::Range<usize> {
    let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let start = starts.nth(line - 1).unwrap_or(text.len());
    let rest = &text[start..];
    let rest = &rest[..rest.find(['\r', '\n']).unwrap_or(rest.len())];
    let skipped = rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at);
    let value = &rest[skipped..];
    let len = value.find([',', '#']).unwrap_or(value.len());
    start + skipped..start + skipped + value[..len].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::OverlayFile;

    #[test]
    fn problems_of_an_overlay_are_shown_with_a_caret_all_at_once() {
        let text = "# feed\n192.0.2.1/24,DE\n198.51.100.0/24,Gërmany,DE-HE\n";
        let overlays =
            vec![OverlayFile { name: "feed.csv".into(), octets: text.as_bytes().into() }];
        let input = GeoInput { overlays, ..GeoInput::default() };
        let found = input.read().unwrap_err();
        let report = GeoReport::new(&input, &found, Severity::Error);
        assert_eq!((report.len(), report.others.len()), (2, 0));
        let shown = report.text();
        assert!(shown.contains("feed.csv:2:1") && shown.contains("feed.csv:3:17"), "{shown}");
        assert!(shown.contains("^^^^^^^"), "{shown}");
        assert_eq!(&text[value_at(text, 3, 17)], "Gërmany");
    }
}

//! Problems as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of a change.
//!
//! Only what viewers use: rules, results, places. Paths stay as the operator would write them.

use serde_json::Value;
use serde_json::json;

use crate::config::Files;
use crate::config::Problem;
use crate::config::Problems;
use crate::config::problem::Place;
use crate::config::render::FileProblem;
use crate::config::render::LineColumn;
use crate::config::render::severity_name;
use crate::config::render::title;
use crate::config::render::visible;
use crate::config::rules;
use crate::config::rules::Rule;

/// Where the schema of the format is.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run of `rhumb check` as a log. `sources` are groups of files with what is wrong in them.
pub fn log(sources: &[(&Files, &Problems)], others: &[FileProblem]) -> Value {
    let in_files = sources
        .iter()
        .flat_map(|(files, problems)| problems.iter().map(|problem| result(files, problem)));
    let results: Vec<Value> = in_files.chain(others.iter().map(file_result)).collect();
    let rules: Vec<Value> = rules::ALL.iter().map(|rule| descriptor(rule)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "rhumb",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            // Columns of all our output count characters.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({ "id": rule.id, "shortDescription": { "text": rule.about } })
}

fn result(files: &Files, problem: &Problem) -> Value {
    let Problem { severity, rule, place, key: _, fault: _, remedy, also } = problem;
    let message = visible(&format!("{}; {remedy}", title(problem)));
    let mut result = json!({
        "ruleId": rule.id,
        "ruleIndex": index(rule),
        "level": severity_name(*severity),
        "message": { "text": message },
        "locations": [{ "physicalLocation": physical(files, place) }],
    });
    if let Some((place, what)) = also {
        result["relatedLocations"] = json!([{
            "id": 1,
            "physicalLocation": physical(files, place),
            "message": { "text": visible(what) },
        }]);
    }
    result
}

/// A problem of a whole file has no region.
fn file_result(problem: &FileProblem) -> Value {
    let FileProblem { severity, rule, file, fault, remedy } = problem;
    json!({
        "ruleId": rule.id,
        "ruleIndex": index(rule),
        "level": severity_name(*severity),
        "message": { "text": visible(&format!("{fault}; {remedy}")) },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } }],
    })
}

fn index(rule: &Rule) -> usize {
    let found = rules::ALL.iter().position(|other| *other == rule);
    found.expect("every rule is in the list")
}

fn physical(files: &Files, place: &Place) -> Value {
    let file = files.get(place.file);
    let LineColumn { line: start_line, column: start_column } = file.line_column(place.span.start);
    // The end column is that of the character after the region.
    let LineColumn { line: end_line, column: end_column } =
        file.line_column(place.span.end.max(place.span.start));
    json!({
        "artifactLocation": { "uri": uri(&file.name) },
        "region": {
            "startLine": start_line,
            "startColumn": start_column,
            "endLine": end_line,
            "endColumn": end_column,
        },
    })
}

/// A path as a URI reference (RFC 3986): absolute paths as `file:`, others relative to the folder of the run.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for octet in path.trim_start_matches("./").bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(octet.into());
            }
            _ => uri += &format!("%{octet:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("zones/a.toml"), "zones/a.toml");
        assert_eq!(uri("./zones/ü b#.toml"), "zones/%C3%BC%20b%23.toml");
        assert_eq!(uri("/etc/rhumb/a:b.toml"), "file:///etc/rhumb/a%3Ab.toml");
    }
}

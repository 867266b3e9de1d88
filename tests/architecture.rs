//! Keeps the layers and the house rules that a text search can keep.
//!
//! Reads source files as text, up to their tests; does not understand Rust beyond that.
#![allow(clippy::disallowed_methods, reason = "reads the source files")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Layers, lowest first. A module imports from itself and from lower layers only: never sideways, never up.
///
/// `answer` stands below `control`: the operator's command `explain` is handled by `control` and asks
/// `answer::explain` for the reason of an answer, while `answer` knows nothing of commands. `lib` only names
/// the modules, and `main` is allowed everything. `assertion` stands between: it runs the passes of an answer and words
/// its steps as `explain` does, and is asked by whoever compiles.
const LAYERS: [&[&str]; 11] = [
    &["wire", "geo", "http1"],
    &["zonefile"],
    &["model"],
    &["config", "zone", "steering", "health", "quorum", "cluster", "discovery"],
    &["rtt"],
    &["snapshot"],
    &["answer"],
    &["assertion"],
    &["control"],
    &["runtime"],
    &["cli"],
];

/// Modules that touch the world; every other one is pure. `cli` forbids unsafe code all the same.
const SHELL: [&str; 1] = ["runtime"];

/// Where unsafe code may stand.
const UNSAFE: [&str; 2] = ["src/runtime/udp/socket/", "tests/no_allocation.rs"];

/// Most lines of a file before its tests.
const LINES_MAX: usize = 500;

/// Names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["util", "common", "helpers", "manager", "context"];

/// Macros and marks of unfinished work. Kept in two parts, so that this file does not have them itself.
const UNFINISHED: [(&str, &str); 4] =
    [("TO", "DO"), ("todo", "!"), ("unimplemented", "!"), ("dbg", "!")];

/// A file of ours.
struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Lines before the tests, numbered from 1, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.before_tests().map(|(number, line)| (number, without_comment(line)))
    }

    fn before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(number, line)| (number + 1, line));
        lines.take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }

    /// The module right under the root: `zone` for `src/zone/tree.rs`.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/");
        path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
    }

    fn at(&self, number: usize, fault: impl std::fmt::Display) -> String {
        format!("{}:{number}: {fault}", self.path)
    }
}

/// A line up to its comment; `//` in a string ends it too, which hides nothing that matters here.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Modules of this crate that a line names, in `use` or inline.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    let paths = line.match_indices("crate::").filter(|(at, _)| !line[..*at].ends_with(is_word));
    paths.map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        &rest[..rest.find(|character| !is_word(character)).unwrap_or(rest.len())]
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `word` stands in `line` as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

/// Imports that do not point down.
fn wrong_imports(source: &Source) -> Vec<String> {
    let own = source.module();
    if ["lib", "main"].contains(&own) {
        return Vec::new();
    }
    let Some(own_layer) = layer(own) else {
        return vec![source.at(1, format!("{own} has no layer: give it one in this test"))];
    };
    let mut faults = Vec::new();
    for (number, line) in source.code() {
        for other in imported(line).filter(|other| *other != own) {
            let fault = match layer(other) {
                Some(below) if below < own_layer => continue,
                Some(same) if same == own_layer => format!("{own} imports {other}: sideways"),
                Some(_) => format!("{own} imports {other}: up"),
                None => format!("{own} imports {other}, which is no module with a layer"),
            };
            faults.push(source.at(number, fault));
        }
    }
    faults
}

/// Paths that jump, and `use` with braces.
fn wrong_paths(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let mut in_use = false;
    for (number, line) in source.text.lines().enumerate() {
        let code = without_comment(line).trim();
        let jump = ["super", "super"].join("::");
        if has_word(code, &jump) {
            faults.push(source.at(number + 1, format!("{jump}: write the path from crate")));
        }
        let visible = code.strip_prefix("pub(crate) ").or_else(|| code.strip_prefix("pub "));
        in_use |= visible.unwrap_or(code).starts_with("use ");
        if in_use && code.contains('{') {
            faults.push(source.at(number + 1, "braces in use: one module a line"));
        }
        in_use &= !code.ends_with(';');
    }
    faults
}

/// Unsafe code where it may not be, and pure folders that do not forbid it.
fn wrong_safety(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if !UNSAFE.iter().any(|place| source.path.starts_with(place)) {
        let uses = source.text.lines().enumerate().filter(|(_, line)| {
            let code = without_comment(line);
            has_word(code, "unsafe") && !code.contains('"')
        });
        faults
            .extend(uses.map(|(number, _)| source.at(number + 1, "unsafe outside of udp/socket")));
    }
    let folder = source.path.strip_prefix("src/").and_then(|path| path.strip_suffix("/mod.rs"));
    let is_pure = folder.is_some_and(|folder| !folder.contains('/') && !SHELL.contains(&folder));
    if is_pure && !source.code().any(|(_, line)| line.trim() == "#![forbid(unsafe_code)]") {
        faults.push(source.at(1, "a pure folder forbids unsafe code in its mod.rs"));
    }
    faults
}

/// Head line, length, unfinished work, empty names.
fn wrong_form(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if !source.text.starts_with("//! ") {
        faults.push(source.at(1, "the first line says what the module is: //!"));
    }
    let lines = source.before_tests().count();
    if lines > LINES_MAX {
        faults
            .push(source.at(lines, format!("{lines} lines before the tests, at most {LINES_MAX}")));
    }
    for (number, line) in source.text.lines().enumerate() {
        for (first, second) in UNFINISHED {
            let mark = format!("{first}{second}");
            let has_issue = line.contains(&format!("{mark}(#"));
            if line.contains(&mark) && !has_issue {
                faults.push(source.at(number + 1, format!("{mark}: finish it, or name an issue")));
            }
        }
    }
    let names = source.path.split('/').map(|name| name.trim_end_matches(".rs"));
    for name in names.filter(|name| EMPTY_NAMES.contains(name)) {
        faults.push(source.at(1, format!("{name} is no name for a module: say what is in it")));
    }
    faults
}

fn read(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a folder can be listed").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("it is below the root");
                let text = fs::read_to_string(&path).expect("a source file is text");
                sources.push(Source { path: name.display().to_string(), text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!sources.is_empty(), "{folder} has sources");
    sources
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} fault(s):\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn imports_point_down() {
    assert_none(&read("src").iter().flat_map(wrong_imports).collect::<Vec<_>>());
}

#[test]
fn paths_are_plain() {
    let all = ["src", "tests", "benches"].map(read);
    assert_none(&all.iter().flatten().flat_map(wrong_paths).collect::<Vec<_>>());
}

#[test]
fn unsafe_code_is_in_one_place() {
    let all = ["src", "tests", "benches"].map(read);
    assert_none(&all.iter().flatten().flat_map(wrong_safety).collect::<Vec<_>>());
}

#[test]
fn files_keep_their_form() {
    assert_none(&read("src").iter().flat_map(wrong_form).collect::<Vec<_>>());
}

#[test]
fn the_reader_finds_imports_and_nothing_else() {
    let names = |line: &'static str| imported(line).collect::<Vec<_>>();
    assert_eq!(names("use crate::zone::Found;"), ["zone"]);
    assert_eq!(names("fn f(a: crate::geo::Place) -> crate::wire::Name {"), ["geo", "wire"]);
    assert_eq!(names("pub(crate) fn g() {}"), [""; 0]);
    assert_eq!(names("use mycrate::zone::Found;"), [""; 0]);
}

#[test]
fn wrong_layers_are_found() {
    let faults = |path, text| wrong_imports(&Source::new(path, text));
    assert_eq!(
        faults("src/zone/tree.rs", "use crate::model::Zone;\nuse crate::zone::Found;"),
        [""; 0]
    );
    assert_eq!(
        faults("src/zone/tree.rs", "\nuse crate::steering::Tree;"),
        ["src/zone/tree.rs:2: zone imports steering: sideways"]
    );
    assert_eq!(
        faults("src/answer/mod.rs", "fn f() { crate::control::Command::Status }"),
        ["src/answer/mod.rs:1: answer imports control: up"]
    );
    assert_eq!(faults("src/zone/tree.rs", "// like crate::runtime::udp"), [""; 0]);
    assert_eq!(faults("src/zone/tree.rs", "#[cfg(test)]\nuse crate::cli::run;"), [""; 0]);
    assert_eq!(faults("src/extra.rs", "").len(), 1, "a module without a layer");
    assert_eq!(faults("src/zone/tree.rs", "use crate::extra::X;").len(), 1);
    assert_eq!(faults("src/main.rs", "use crate::cli::run;"), [""; 0]);
}

#[test]
fn wrong_form_is_found() {
    let paths = |text: &str| wrong_paths(&Source::new("src/zone/tree.rs", text)).len();
    assert_eq!(paths("use crate::model::Zone;\nfn f() { let a = [1]; }"), 0);
    assert_eq!(paths("use crate::model::{Pool, Zone};"), 1);
    assert_eq!(paths("pub(crate) use std::{\n    fmt,\n};"), 1);
    let jump = format!("use {}::Zone;", ["super", "super"].join("::"));
    assert_eq!(paths(&jump), 1);
    assert_eq!(paths("use super::supervise;"), 0);

    let safety = |path, text| wrong_safety(&Source::new(path, text)).len();
    assert_eq!(safety("src/zone/mod.rs", "//! Zones.\n#![forbid(unsafe_code)]"), 0);
    assert_eq!(safety("src/zone/mod.rs", "//! Zones."), 1);
    assert_eq!(safety("src/zone/tree.rs", "fn f() { unsafe { g() } }"), 1);
    assert_eq!(safety("src/runtime/udp/socket/batch.rs", "fn f() { unsafe { g() } }"), 0);

    let form = |path, text: &str| wrong_form(&Source::new(path, text)).len();
    assert_eq!(form("src/zone/tree.rs", "//! A tree."), 0);
    assert_eq!(form("src/zone/tree.rs", "use crate::model::Zone;"), 1);
    assert_eq!(form("src/zone/tree.rs", &format!("//! A tree.\n{}", "\n".repeat(500))), 1);
    assert_eq!(
        form("src/zone/tree.rs", &format!("//! A tree.\n#[cfg(test)]{}", "\n".repeat(500))),
        0
    );
    assert_eq!(form("src/zone/tree.rs", &format!("//! A tree.\n{}!(1);", "dbg")), 1);
    assert_eq!(form("src/zone/util.rs", "//! A tree."), 1);
    assert_eq!(form("src/context/mod.rs", "//! A tree."), 1);
}

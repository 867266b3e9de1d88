//! Good and bad master files, judged by us and by the checkers of BIND, Knot and NSD; and what we export, read by all.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "zonefiles/rows.rs"]
mod rows;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use rhumb::config;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rows::ROWS;

/// The zone that each file of the corpus is.
const APEX: &str = "z.test";

/// Who says whether a file is a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checker {
    /// `named-checkzone`.
    Bind,
    /// `kzonecheck`.
    Knot,
    /// `nsd-checkzone`.
    Nsd,
}

impl Checker {
    const ALL: [Self; 3] = [Self::Bind, Self::Knot, Self::Nsd];

    fn name(self) -> &'static str {
        match self {
            Self::Bind => "named-checkzone",
            Self::Knot => "kzonecheck",
            Self::Nsd => "nsd-checkzone",
        }
    }

    /// Where the program is: Debian puts some where the search path of users does not lead.
    fn find(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
        folders.map(|folder| folder.join(self.name())).find(|program| program.is_file())
    }

    /// Runs the checker on a file; `None` if it is not installed.
    fn run(self, apex: &str, file: &Path) -> Option<Output> {
        let mut command = Command::new(self.find()?);
        match self {
            Self::Bind => command.args(["-i", "local", apex]),
            Self::Knot => command.args(["-o", apex]),
            Self::Nsd => command.arg(apex),
        };
        command.arg(file.file_name()?).current_dir(file.parent()?);
        Some(command.output().expect("an installed program starts"))
    }
}

/// A file of the corpus: `good/minimal` and where it is.
struct Case {
    name: String,
    path: PathBuf,
    is_good: bool,
}

fn corpus() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zonefiles");
    let cases = |folder: &'static str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let zones = entries.map(|entry| entry.unwrap().path());
        zones.filter(|path| path.extension().is_some_and(|end| end == "zone")).map(move |path| {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            Case { name: format!("{folder}/{stem}"), path, is_good: folder == "good" }
        })
    };
    let mut all: Vec<_> = cases("good").chain(cases("bad")).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(all.len() > 100, "the corpus is there");
    all
}

/// What we say of a file: its records as text, or our problems.
fn ours(apex: &str, path: &Path) -> Result<Vec<String>, String> {
    let read = |name: &str, path: &Path| {
        let file = SourceFile::from_octets(&format!("zones/{name}"), fs::read(path).unwrap());
        file.map_err(|why| format!("{name}: {why}; {}", why.remedy()))
    };
    let mut files = vec![read(&format!("{apex}.zone"), path)?];
    // What a file may include stands beside it.
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let beside = entry.unwrap().path();
        if beside.extension().is_some_and(|end| end == "inc") {
            files.push(read(beside.file_name().unwrap().to_str().unwrap(), &beside)?);
        }
    }
    let files = Files::new(files);
    let (model, problems) = config::load(&files);
    let Some(model) = model else {
        return Err(config::render::for_people(&files, &problems, false));
    };
    let owners = model.zones.iter().flat_map(|zone| zone.owners.iter(&zone.records));
    let records = owners.flat_map(|owner| owner.iter().map(|(_, record)| record));
    let mut records: Vec<_> = records.map(|record| format!("{record:?}")).collect();
    records.sort();
    Ok(records)
}

#[test]
fn files_are_good_or_bad_as_the_corpus_says() {
    let mut faults = Vec::new();
    let corpus = corpus();
    for Case { name, path, is_good } in &corpus {
        let said = ours(APEX, path);
        let is_right = said.is_ok() == *is_good;
        if !is_right {
            faults.push(match said {
                Ok(records) => format!("{name} is taken: {records:#?}"),
                Err(problems) => format!("{name} is refused:\n{problems}"),
            });
        }
    }
    println!("{} files", corpus.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn checkers_of_bind_knot_and_nsd_say_the_same_or_differ_for_a_reason() {
    let corpus = &corpus();
    std::thread::scope(|threads| {
        for checker in Checker::ALL {
            threads.spawn(move || println!("{}", judge_corpus(checker, corpus)));
        }
    });
}

/// Lets one checker judge all files; says how often it agrees.
fn judge_corpus(checker: Checker, corpus: &[Case]) -> String {
    if checker.find().is_none() {
        return format!("skipped: {} is not installed", checker.name());
    }
    let mut counts = [0; 2];
    for Case { name, path, is_good } in corpus {
        let output = checker.run(APEX, path).unwrap();
        let agrees = output.status.success() == *is_good;
        let is_known = ROWS.iter().any(|(row, who, _)| row == name && who.contains(&checker));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(agrees || is_known, "{}: {name}: {}\n{said}", checker.name(), output.status);
        counts[usize::from(agrees)] += 1;
    }
    format!("{}: {} alike, {} differ for a reason", checker.name(), counts[1], counts[0])
}

#[test]
fn the_corpus_is_never_against_all_checkers() {
    let against =
        |name: &str| ROWS.iter().filter(|row| row.0 == name).map(|row| row.1.len()).sum::<usize>();
    for Case { name, .. } in corpus() {
        assert!(against(&name) < Checker::ALL.len(), "{name} has nobody on its side");
    }
    for (name, _, reason) in ROWS {
        assert!(corpus().iter().any(|case| case.name == *name) && !reason.is_empty(), "{name}");
    }
}

/// Exports a zone with our command.
fn export(apex: &str, text: &[u8]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("zones")).unwrap();
    fs::write(folder.path().join(format!("zones/{apex}.zone")), text).unwrap();
    fs::write(folder.path().join("rhumb.toml"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.args(["zone", "export", apex, "--config", "rhumb.toml"]);
    command.current_dir(folder.path()).output().unwrap()
}

/// Standard output as text.
fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_is_exported_is_read_by_all_with_equal_content() {
    let zones = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/zones");
    let zones = fs::read_dir(zones).unwrap().map(|entry| entry.unwrap().path());
    let zones = zones.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path));
    let good = corpus().into_iter().filter(|case| case.is_good && !case.name.contains("include"));
    let good = good.map(|case| (APEX.to_owned(), case.path));
    let mut count = 0;
    for (apex, path) in zones.chain(good) {
        let Ok(before) = ours(&apex, &path) else { continue };
        let output = export(&apex, &fs::read(&path).unwrap());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", path.display());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("exported.zone");
        fs::write(&file, &output.stdout).unwrap();
        assert_eq!(ours(&apex, &file), Ok(before), "{}:\n{}", path.display(), printed(&output));
        for checker in Checker::ALL {
            judge_export(checker, &apex, &path, &file);
        }
        count += 1;
    }
    assert!(count > 40, "only {count} zones made the round trip");
    println!("{count} zones made the round trip");
}

/// A checker that reads the original reads what is exported, and prints both alike if it can print.
fn judge_export(checker: Checker, apex: &str, original: &Path, exported: &Path) {
    let Some(before) = checker.run(apex, original) else { return };
    if !before.status.success() {
        return; // it does not know a type or directive of the original
    }
    let after = checker.run(apex, exported).unwrap();
    let text = fs::read_to_string(exported).unwrap();
    let said = String::from_utf8_lossy(&after.stderr).into_owned() + &printed(&after);
    assert!(after.status.success(), "{checker:?}: {}:\n{said}\n{text}", original.display());
    let canonical = |file: &Path| {
        let mut command = Command::new("named-compilezone");
        command.args(["-q", "-i", "none", "-D", "-o", "-", apex]).arg(file);
        // The case of names is not content, and exporting may lose it; that of texts has been compared above.
        printed(&command.output().expect("it comes with named-checkzone")).to_lowercase()
    };
    if checker == Checker::Bind {
        assert_eq!(canonical(original), canonical(exported), "{}:\n{text}", original.display());
    }
}

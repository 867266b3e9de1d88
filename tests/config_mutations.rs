//! Good files made bad at random: reading them never panics, and every problem shows a place that exists.
#![allow(clippy::disallowed_methods, reason = "tests read the files that they are about")]

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use rhumb::config;
use rhumb::config::Files;
use rhumb::config::Problems;
use rhumb::config::Severity;
use rhumb::config::SourceFile;
use rhumb::config::keys;
use rhumb::config::node::load_node;
use rhumb::config::problem::Place;
use rhumb::config::render;

/// The examples, in which mutations are made.
static EXAMPLES: LazyLock<Vec<SourceFile>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["zones", "zones/shared"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_file() {
                let name = path.strip_prefix(root).expect("it lies below").to_string_lossy();
                let text = std::fs::read_to_string(&path).expect("it is text");
                files.push(SourceFile::new(&name, &text));
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
});

/// The schemas of zone files and of `rhumb.toml`.
static SCHEMAS: LazyLock<[Validator; 2]> = LazyLock::new(|| {
    [&keys::ZONE_FILE, &keys::NODE_FILE].map(|file| {
        let schema = keys::schema(file, "test");
        jsonschema::options().should_validate_formats(true).build(&schema).expect("it is a schema")
    })
});

const NODE: &str = "[server]\nsite = \"fra\"\nlisten = [\"0.0.0.0:53\", \"[::]:53\"]\nidentity = \"ns\"\n\
                    workers = 4\n[config]\nzones = \"zones\"\n[geo]\ndatabases = [\"a.mmdb\"]\n\
                    [admin]\nlisten = \"127.0.0.1:8053\"\nsocket = \"/run/rhumb\"\n";

/// Characters that mean something to TOML, to master files or to editors.
const CHARACTERS: [char; 24] = [
    '"', '\'', '\\', '[', ']', '{', '}', '=', '.', ',', '#', ';', '(', ')', '\n', '\r', '\t', '-',
    '0', 'x', '%', 'ü', '東', '\u{feff}',
];

#[derive(Clone, Debug)]
enum Mutation {
    DeleteLine(prop::sample::Index),
    DuplicateLine(prop::sample::Index, prop::sample::Index),
    SwapLines(prop::sample::Index, prop::sample::Index),
    ChangeCharacter(prop::sample::Index, char),
    InsertCharacter(prop::sample::Index, char),
    DeleteCharacter(prop::sample::Index),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    let character = || prop::sample::select(&CHARACTERS[..]);
    prop_oneof![
        at().prop_map(Mutation::DeleteLine),
        (at(), at()).prop_map(|(from, to)| Mutation::DuplicateLine(from, to)),
        (at(), at()).prop_map(|(a, b)| Mutation::SwapLines(a, b)),
        (at(), character()).prop_map(|(at, to)| Mutation::ChangeCharacter(at, to)),
        (at(), character()).prop_map(|(at, new)| Mutation::InsertCharacter(at, new)),
        at().prop_map(Mutation::DeleteCharacter),
        at().prop_map(Mutation::Cut),
    ]
}

fn mutate(text: &str, mutation: &Mutation) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut characters: Vec<char> = text.chars().collect();
    if characters.is_empty() {
        return String::new();
    }
    match mutation {
        Mutation::DeleteLine(at) => {
            lines.remove(at.index(lines.len()));
            return lines.concat();
        }
        Mutation::DuplicateLine(from, to) => {
            let line = lines[from.index(lines.len())];
            lines.insert(to.index(lines.len()), line);
            return lines.concat();
        }
        Mutation::SwapLines(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            return lines.concat();
        }
        Mutation::ChangeCharacter(at, to) => {
            let at = at.index(characters.len());
            characters[at] = *to;
        }
        Mutation::InsertCharacter(at, new) => characters.insert(at.index(characters.len()), *new),
        Mutation::DeleteCharacter(at) => {
            characters.remove(at.index(characters.len()));
        }
        Mutation::Cut(at) => characters.truncate(at.index(characters.len())),
    }
    characters.into_iter().collect()
}

/// Every place lies in its file and between characters, and every problem can be shown.
fn judge(files: &Files, problems: &Problems) -> Result<(), TestCaseError> {
    for problem in problems.iter() {
        let also = problem.also.iter().map(|(place, _)| place);
        for Place { file, span } in std::iter::once(&problem.place).chain(also) {
            let text = &files.get(*file).text;
            prop_assert!(text.get(span.clone()).is_some(), "{span:?} of {problem:?}");
        }
        prop_assert!(!problem.fault.is_empty() && !problem.remedy.is_empty(), "{problem:?}");
        prop_assert!(!render::one_line(files, problem).contains('\n'), "{problem:?}");
    }
    render::for_people(files, problems, false);
    Ok(())
}

/// A TOML file without an error passes its schema: a schema is never narrower than the validator.
fn judge_by_schema(
    validator: &Validator,
    name: &str,
    files: &Files,
    problems: &Problems,
) -> Result<(), TestCaseError> {
    let (id, file) = files.iter().find(|(_, file)| &*file.name == name).expect("the file is there");
    let is_own = |place: &Place| place.file == id;
    let has_errors = problems.iter().any(|problem| {
        let also = problem.also.as_ref().is_some_and(|(place, _)| is_own(place));
        problem.severity == Severity::Error && (is_own(&problem.place) || also)
    });
    if has_errors || !name.ends_with(".toml") {
        return Ok(());
    }
    let text = file.text.trim_start_matches('\u{feff}');
    let table: toml::Table = toml::from_str(text).expect("it has no error");
    let value = serde_json::to_value(table).expect("TOML fits JSON");
    let faults: Vec<_> = validator
        .iter_errors(&value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    prop_assert!(faults.is_empty(), "{faults:?}\n{text}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_zone_files_never_panic_and_problems_lie_in_them(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..5),
    ) {
        let mut files = EXAMPLES.clone();
        let file = &mut files[which.index(EXAMPLES.len())];
        let name = file.name.clone();
        let text = mutations.iter().fold(file.text.to_string(), |text, one| mutate(&text, one));
        *file = SourceFile::new(&file.name, &text);
        let files = Files::new(files);
        let (model, problems) = config::load(&files);
        prop_assert_eq!(model.is_none(), problems.has_errors());
        judge(&files, &problems)?;
        judge_by_schema(&SCHEMAS[0], &name, &files, &problems)?;
    }

    #[test]
    fn mutated_node_files_never_panic_and_problems_lie_in_them(
        mutations in prop::collection::vec(mutation(), 1..5),
    ) {
        let text = mutations.iter().fold(NODE.to_owned(), |text, one| mutate(&text, one));
        let (node, problems, files) = load_node(&SourceFile::new("rhumb.toml", &text));
        prop_assert_eq!(node.is_none(), problems.has_errors());
        judge(&files, &problems)?;
        judge_by_schema(&SCHEMAS[1], "rhumb.toml", &files, &problems)?;
    }
}

#[test]
fn wide_and_deep_policies_are_read_in_no_time() {
    let mut text = String::from("[pool.p]\nendpoint.a.addresses = [\"192.0.2.1\"]\n");
    for layer in 0..60 {
        let targets: Vec<String> = (layer + 1..=60).map(|next| format!("\"q{next}\"")).collect();
        text +=
            &format!("[policy.q{layer}]\nkind = \"failover\"\ntargets = [{}]\n", targets.join(","));
    }
    text += "[policy.q60]\nkind = \"failover\"\ntargets = [\"p\"]\n";
    let files = Files::new(vec![SourceFile::new("zones/wide.toml", &text)]);
    let (model, problems) = config::load(&files);
    assert!(model.is_none());
    let faults: Vec<_> = problems.iter().map(|problem| problem.fault.as_str()).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("61 deep") && faults[1].contains("candidates"), "{faults:?}");
}

//! `[list.NAME]`, and what `networks` policies make of lists.

use std::collections::HashMap;
use std::collections::HashSet;

use ipnet::IpNet;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::read::condition;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::ListSource;
use crate::config::spec::ListSpec;
use crate::config::spec::NetworkSpec;
use crate::config::spec::RulesSpec;
use crate::config::validate::Directory;
use crate::config::validate::pools::missing_file_remedy;
use crate::model::List;
use crate::model::ListId;
use crate::model::Model;
use crate::model::policy::Network;
use crate::model::policy::Rules;

/// Most entries of a list.
const ENTRIES_MAX: usize = 1_000_000;

pub(super) fn add_lists(
    files: &Files,
    specs: &[&ListSpec],
    directory: &mut Directory,
    model: &mut Model,
    problems: &mut Problems,
) {
    for spec in specs {
        directory.lists.add("list", &spec.name, Some(ListId::at(model.lists.len())), problems);
        let key = dotted("list", &spec.name.value);
        let mut list = List {
            name: spec.name.value.as_str().into(),
            prefixes: Vec::new(),
            systems: Vec::new(),
        };
        let entries = match &spec.source {
            ListSource::Entries(entries) => entries.clone(),
            ListSource::File(file) => read_file(files, file, &key, problems),
        };
        if entries.len() > ENTRIES_MAX {
            let fault = format!("a list of {} entries", entries.len());
            let remedy = format!("use at most {ENTRIES_MAX}, and several lists");
            problems.error(&spec.name.place, &key, fault, remedy);
        }
        add_entries(&mut list, &entries, &key, problems);
        model.lists.push(list);
    }
}

/// The lines of a file that are not empty, without comments.
fn read_file(
    files: &Files,
    name: &At<String>,
    key: &str,
    problems: &mut Problems,
) -> Vec<At<String>> {
    let Some((id, file)) = files.find_beside(name.place.file, &name.value) else {
        let remedy = missing_file_remedy(files, name);
        let fault = format!("there is no file \"{}\"", name.value);
        problems
            .error(&name.place, format!("{key}.file"), fault, remedy)
            .rule(&rules::MISSING_FILE);
        return Vec::new();
    };
    let mut start = 0;
    let mut entries = Vec::new();
    for line in file.text.split_inclusive('\n') {
        let text = line.split('#').next().unwrap_or_default();
        let entry = text.trim();
        if !entry.is_empty() {
            let first = start + (text.len() - text.trim_start().len());
            let place = Place { file: id, span: first..first + entry.len() };
            entries.push(At { value: entry.to_owned(), place });
        }
        start += line.len();
    }
    if entries.is_empty() {
        let remedy = "add a network, as 203.0.113.0/24";
        problems.warning(&name.place, format!("{key}.file"), "the file has no entry", remedy);
    }
    entries
}

fn add_entries(list: &mut List, entries: &[At<String>], key: &str, problems: &mut Problems) {
    let mut seen: HashMap<NetworkSpec, &Place> = HashMap::new();
    for entry in entries {
        let parsed = match condition::entry(&entry.value) {
            Ok(parsed) => parsed,
            Err((fault, remedy)) => {
                problems.error(&entry.place, key, fault, remedy).rule(&rules::BAD_VALUE);
                continue;
            }
        };
        if let Some(first) = seen.insert(parsed.clone(), &entry.place) {
            let also = (first.clone(), "the first is here");
            let fault = format!("\"{}\" stands there twice", entry.value);
            problems
                .error_with(&entry.place, key, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
            continue;
        }
        match parsed {
            NetworkSpec::Prefix(prefix) => list.prefixes.push(prefix),
            NetworkSpec::System(number) => list.systems.push(number),
            NetworkSpec::List(_) => {}
        }
    }
}

/// One network in the lists of two rules would not decide; one that a rule has itself counts there.
pub(super) fn check_overlaps(
    path: &str,
    spec: &RulesSpec<NetworkSpec>,
    policy: &Rules<Network>,
    model: &Model,
    problems: &mut Problems,
) {
    #[derive(PartialEq, Eq, Hash)]
    enum Entry {
        Prefix(IpNet),
        System(u32),
    }
    let all = || policy.rules.iter().flat_map(|rule| &rule.conditions);
    let own: HashSet<Entry> = all()
        .filter_map(|condition| match condition {
            Network::Prefix(prefix) => Some(Entry::Prefix(*prefix)),
            Network::System(number) => Some(Entry::System(*number)),
            Network::List(_) => None,
        })
        .collect();
    let mut seen: HashMap<Entry, (usize, &At<NetworkSpec>)> = HashMap::new();
    for (position, (rule, written)) in policy.rules.iter().zip(&spec.rules).enumerate() {
        for (condition, at) in rule.conditions.iter().zip(&written.conditions) {
            let Network::List(list) = condition else { continue };
            let list = &model.lists[list.index()];
            let entries = list.prefixes.iter().map(|prefix| Entry::Prefix(*prefix));
            let entries = entries.chain(list.systems.iter().map(|number| Entry::System(*number)));
            for entry in entries.filter(|entry| !own.contains(entry)) {
                let shown = match &entry {
                    Entry::Prefix(prefix) => prefix.to_string(),
                    Entry::System(number) => format!("AS{number}"),
                };
                let Some((first, other)) = seen.insert(entry, (position, at)) else { continue };
                if first == position {
                    continue;
                }
                let fault = format!("{shown} is in the list of another rule too: {}", other.value);
                let remedy = "take it out of one list, or name it in where of the rule that counts";
                let also = (other.place.clone(), "that rule");
                let key = format!("{path}.rule.where");
                problems
                    .error_with(&at.place, key, fault, remedy, also)
                    .rule(&rules::DUPLICATE_VALUE);
                break;
            }
        }
    }
}

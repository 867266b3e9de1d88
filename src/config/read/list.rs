//! `[list.NAME]`

use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::Section;
use crate::config::rules;
use crate::config::spec::ListSource;
use crate::config::spec::ListSpec;

pub(super) fn read_list(
    name: At<String>,
    mut section: Section<'_>,
    problems: &mut Problems,
) -> Option<ListSpec> {
    let file = section.take("file");
    let entries = section.take("entries");
    let (path, place) = (section.path.clone(), section.place.clone());
    let has_typo = ["file", "entries"].iter().any(|key| section.has_typo_of(key));
    section.finish(problems);
    let source = match (file, entries) {
        (Some(file), None) => ListSource::File(file.string(problems)?),
        (None, Some(value)) => {
            let entries = value.strings(problems)?;
            if entries.is_empty() {
                let remedy = "add a network, as \"203.0.113.0/24\"";
                problems.error(&value.place, &value.path, "the list is empty", remedy);
            }
            ListSource::Entries(entries)
        }
        (Some(file), Some(entries)) => {
            let fault = "a list is a file or entries, not both";
            let also = (entries.key_place.clone(), "entries are here");
            problems.error_with(&file.key_place, &file.path, fault, "make two lists", also);
            return None;
        }
        (None, None) if has_typo => return None,
        (None, None) => {
            let remedy = "add file = \"…\", or entries = [\"203.0.113.0/24\"]";
            problems
                .error(&place, path, "nothing is said of this list", remedy)
                .rule(&rules::MISSING_KEY);
            return None;
        }
    };
    Some(ListSpec { name, source })
}

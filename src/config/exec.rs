//! `[probe] exec`: which programs probes may run on this node.

use std::path::Component;
use std::path::Path;

use crate::config::Problems;
use crate::config::reader::Section;

/// Folders whose programs checks may run.
pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Vec<Box<str>> {
    let Some(exec) = section.take("exec") else { return Vec::new() };
    let mut folders = Vec::new();
    for text in exec.strings(problems).unwrap_or_default() {
        let path = Path::new(&text.value);
        let is_whole = path.is_absolute()
            && text.value.len() > 1
            && !path.components().any(|part| part == Component::ParentDir);
        if !is_whole {
            let fault = format!("\"{}\" is no whole path of a folder", text.value);
            let remedy = "begin with \"/\", without \"..\", and do not name the root";
            problems.error(&text.place, &exec.path, fault, remedy);
            continue;
        }
        folders.push(text.value.into());
    }
    folders
}

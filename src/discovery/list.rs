//! Lists of target groups as Prometheus has them for files and over HTTP: JSON to entries, or every mistake with its place.
//!
//! Knows the form only: what a target or a label means is asked elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::discovery::Entry;
use crate::discovery::LIST_OCTETS_MAX;
use crate::discovery::Labels;
use crate::discovery::TARGETS_MAX;

/// What is wrong with the form of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Where, in octets.
    pub offset: usize,
    /// What.
    pub fault: String,
    /// What to write.
    pub remedy: &'static str,
}

/// What a list looks like, for remedies.
const FORM: &str =
    "write [{ \"targets\": [\"192.0.2.10:8080\"], \"labels\": { \"weight\": \"3\" } }]";

/// Reads a list. It is wrong as a whole if anything of its form is: half a list is a short one.
///
/// # Errors
/// Every mistake, in the order of the text; of broken JSON only the first can be known.
pub fn read(text: &str) -> Result<Vec<Entry>, Vec<Misread>> {
    let misread = |offset: usize, fault: String, remedy| Misread { offset, fault, remedy };
    if text.len() > LIST_OCTETS_MAX {
        let fault = format!("the list has {} octets, over {LIST_OCTETS_MAX}", text.len());
        return Err(vec![misread(0, fault, "use several sources")]);
    }
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err(vec![misread(0, "the list has no text".into(), FORM)]);
    }
    if let Err(why) = serde_json::from_str::<&RawValue>(text) {
        let remedy = match text.trim_start().starts_with(['[', '{']) {
            true => "mend it; a file that is being written is put in place by renaming it",
            false => "write JSON; YAML becomes JSON by yq -o json",
        };
        return Err(vec![misread(offset_of(text, &why), format!("not JSON: {why}"), remedy)]);
    }
    let Ok(groups) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return Err(vec![misread(0, "this is no list of target groups".into(), FORM)]);
    };
    let mut reader = Reader { text, entries: Vec::new(), faults: Vec::new() };
    groups.into_iter().for_each(|group| reader.group(group));
    if reader.entries.len() > TARGETS_MAX {
        let fault = format!("{} targets, over {TARGETS_MAX}", reader.entries.len());
        reader.refuse(text, fault, "use several sources");
    }
    match reader.faults.is_empty() {
        true => Ok(reader.entries),
        false => Err(reader.faults),
    }
}

/// Where serde says that a text is wrong, in octets.
fn offset_of(text: &str, why: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(why.line().saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    (start + why.column().saturating_sub(1)).min(text.len())
}

/// A list being read.
struct Reader<'t> {
    text: &'t str,
    entries: Vec<Entry>,
    faults: Vec<Misread>,
}

impl<'t> Reader<'t> {
    /// Where a part of the text stands in it.
    fn place(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    fn refuse(&mut self, part: &str, fault: String, remedy: &'static str) {
        let offset = self.place(part);
        self.faults.push(Misread { offset, fault, remedy });
    }

    fn group(&mut self, raw: &'t RawValue) {
        let Ok(group) = serde_json::from_str::<BTreeMap<String, &'t RawValue>>(raw.get()) else {
            return self.refuse(raw.get(), "this is no target group".into(), FORM);
        };
        let labels = match group.get("labels") {
            None => Arc::default(),
            Some(raw) => Arc::new(self.labels(raw)),
        };
        for (key, value) in &group {
            if key != "targets" && key != "labels" {
                let fault = format!("\"{key}\" is not known here");
                self.refuse(value.get(), fault, "a group has targets and labels");
            }
        }
        match group.get("targets") {
            None => self.refuse(raw.get(), "the group has no targets".into(), FORM),
            Some(targets) => self.targets(targets, &labels),
        }
    }

    fn labels(&mut self, raw: &'t RawValue) -> Labels {
        if raw.get() == "null" {
            return Labels::new();
        }
        let Ok(all) = serde_json::from_str::<BTreeMap<Box<str>, &'t RawValue>>(raw.get()) else {
            self.refuse(raw.get(), "labels are a table of texts".into(), FORM);
            return Labels::new();
        };
        let mut labels = Labels::new();
        for (name, value) in all {
            match serde_json::from_str::<Box<str>>(value.get()) {
                Ok(text) => drop(labels.insert(name, text)),
                Err(_) => {
                    let fault = format!("the label \"{name}\" is no text");
                    self.refuse(value.get(), fault, "write it in quotes, numbers too");
                }
            }
        }
        labels
    }

    fn targets(&mut self, raw: &'t RawValue, labels: &Arc<Labels>) {
        let Ok(targets) = serde_json::from_str::<Vec<&'t RawValue>>(raw.get()) else {
            return self.refuse(raw.get(), "targets are a list of texts".into(), FORM);
        };
        for target in targets {
            let Ok(text) = serde_json::from_str::<Box<str>>(target.get()) else {
                self.refuse(target.get(), "this target is no text".into(), FORM);
                continue;
            };
            let offset = self.place(target.get());
            let labels = Arc::clone(labels);
            self.entries.push(Entry { target: text, labels, weight: None, offset });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_groups_becomes_one_entry_a_target() {
        let text = r#"[
  { "targets": ["192.0.2.10:8080", "[2001:db8::1]:8080"], "labels": { "weight": "3" } },
  { "targets": ["web\u002d1.example.net:80"], "labels": null },
  { "targets": [] }
]"#;
        let entries = read(text).unwrap();
        let targets: Vec<&str> = entries.iter().map(|entry| &*entry.target).collect();
        assert_eq!(targets, ["192.0.2.10:8080", "[2001:db8::1]:8080", "web-1.example.net:80"]);
        assert_eq!(entries[0].labels.get("weight").map(|text| &**text), Some("3"));
        assert!(entries[2].labels.is_empty());
        assert!(text[entries[1].offset..].starts_with("\"[2001"));
        assert_eq!(read("[]"), Ok(Vec::new()));
    }

    #[test]
    fn every_mistake_of_form_is_told_with_its_place() {
        let text = "[\n  {\"targets\": [1, \"a\"], \"label\": {}},\n  {\"targets\": \"a\", \"labels\": {\"weight\": 3}},\n  7, {}]";
        let faults = read(text).unwrap_err();
        let shown: Vec<(&str, &str)> =
            faults.iter().map(|one| (&text[one.offset..][..1], &*one.fault)).collect();
        assert_eq!(
            shown,
            [
                ("{", "\"label\" is not known here"),
                ("1", "this target is no text"),
                ("3", "the label \"weight\" is no text"),
                ("\"", "targets are a list of texts"),
                ("7", "this is no target group"),
                ("{", "the group has no targets"),
            ]
        );
    }

    #[test]
    fn what_is_no_list_is_refused_as_a_whole() {
        for (text, words) in [
            ("", "no text"),
            ("  \n", "no text"),
            ("[{\"targets\": [\"192.0.2.1:80\"", "not JSON: EOF"),
            ("- targets: [a]\n", "not JSON"),
            ("{\"targets\": []}", "no list"),
            ("[] trailing", "not JSON"),
            ("null", "no list"),
        ] {
            let faults = read(text).unwrap_err();
            assert!(faults.len() == 1 && faults[0].fault.contains(words), "{text}: {faults:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(&deep).is_err(), "depth is bounded");
    }

    #[test]
    fn a_list_cut_short_anywhere_is_no_list() {
        let text = r#"[{"targets":["192.0.2.1:80","192.0.2.2:80"],"labels":{"weight":"3"}}]"#;
        for end in 0..text.len() {
            assert!(read(&text[..end]).is_err(), "{}", &text[..end]);
        }
        assert!(read(text).is_ok());
    }

    #[test]
    fn too_many_targets_and_too_much_text_are_refused() {
        let many = vec!["\"192.0.2.1:80\""; TARGETS_MAX + 1].join(",");
        let faults = read(&format!("[{{\"targets\":[{many}]}}]")).unwrap_err();
        assert!(faults[0].fault.contains("10001 targets"), "{faults:?}");
        let faults = read(&" ".repeat(LIST_OCTETS_MAX + 1)).unwrap_err();
        assert!(faults[0].fault.contains("octets"), "{faults:?}");
    }
}

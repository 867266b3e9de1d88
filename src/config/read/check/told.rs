//! Keys of kinds that are told what is up: by a command, by reports, by a file.

use std::path::Component;
use std::path::Path;

use crate::config::Problems;
use crate::config::keys;
use crate::config::problem::At;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::rules;
use crate::model::FileCheck;
use crate::model::PushCheck;

/// `command = ["/usr/lib/nagios/plugins/check_ssh", "{address}"]`
pub(super) fn read_exec(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<Vec<At<String>>> {
    let Some(value) = section.take("command") else {
        section.miss("command", problems);
        return None;
    };
    let words = value.strings(problems)?;
    let refusal = if words.is_empty() {
        Some("there is no program".to_owned())
    } else if words.len() > keys::WORDS_MAX {
        Some(format!("these are {} words, at most {} are taken", words.len(), keys::WORDS_MAX))
    } else if words.iter().any(|word| word.value.len() > 1024 || word.value.contains('\0')) {
        Some("a word has more than 1024 octets, or a NUL".to_owned())
    } else {
        None
    };
    if let Some(fault) = refusal {
        let remedy = "write [\"/usr/lib/nagios/plugins/check_ssh\", \"{address}\"]";
        problems.error(&value.place, &value.path, fault, remedy);
        return None;
    }
    let is_whole = read_whole_path(&words[0].value).is_ok();
    if !is_whole {
        let fault = format!("\"{}\" is no whole path of a program", words[0].value);
        let remedy = "begin with \"/\", without \"..\"";
        problems.error(&words[0].place, &value.path, fault, remedy);
        return None;
    }
    Some(words)
}

/// `token_sha256` and `silence`
pub(super) fn read_push(section: &mut Section<'_>, problems: &mut Problems) -> Option<PushCheck> {
    let silence = section.take("silence").and_then(|value| value.duration(problems));
    let Some(value) = section.take("token_sha256") else {
        section.miss("token_sha256", problems);
        return None;
    };
    let texts = value.strings(problems)?;
    if texts.is_empty() || texts.len() > keys::TOKENS_MAX {
        let fault = format!("these are {} tokens", texts.len());
        let remedy = format!("name 1 to {}", keys::TOKENS_MAX);
        problems.error(&value.place, &value.path, fault, remedy);
        return None;
    }
    let mut tokens: Vec<[u8; 32]> = Vec::new();
    let mut is_whole = true;
    for text in &texts {
        let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(text.value.as_bytes());
        let digest = digest.ok().and_then(|octets| <[u8; 32]>::try_from(octets).ok());
        let refusal = match digest {
            Some(digest) if tokens.contains(&digest) => Some("this stands here twice"),
            Some(digest) => {
                tokens.push(digest);
                None
            }
            None => Some("this is no SHA-256 in hexadecimal"),
        };
        if let Some(fault) = refusal {
            is_whole = false;
            let remedy = "write the 64 digits of printf %s TOKEN | sha256sum, each once";
            problems.error(&text.place, &value.path, fault, remedy);
        }
    }
    let silence = silence.map_or(keys::SILENCE, |at| at.value);
    is_whole.then_some(PushCheck { tokens, silence })
}

/// `state_file` and `silence`
pub(super) fn read_file(section: &mut Section<'_>, problems: &mut Problems) -> Option<FileCheck> {
    let silence = section.take("silence").and_then(|value| value.duration(problems));
    let Some(value) = section.take("state_file") else {
        section.miss("state_file", problems);
        return None;
    };
    let path = value.parsed(read_whole_path, problems)?;
    Some(FileCheck { path: path.value.into(), silence: silence.map(|at| at.value) })
}

/// A path from the root on, without detours.
fn read_whole_path(text: &str) -> Result<String, Refusal> {
    let path = Path::new(text);
    let is_whole = (2..=4096).contains(&text.len())
        && path.is_absolute()
        && !text.contains('\0')
        && !path.components().any(|part| part == Component::ParentDir);
    match is_whole {
        true => Ok(text.to_owned()),
        false => {
            Err((format!("\"{text}\" is no whole path"), "begin with \"/\", without \"..\"".into()))
        }
    }
}

/// Refuses a program that is in none of the folders that the node allows.
pub(in crate::config) fn refuse_program(
    key: String,
    program: &At<String>,
    folders: &[Box<str>],
    problems: &mut Problems,
) {
    let path = Path::new(&program.value);
    if folders.iter().any(|folder| path.starts_with(&**folder)) {
        return;
    }
    let (fault, remedy) = match folders {
        [] => (
            "commands are not allowed on this node".to_owned(),
            "allow them in the node's own file: [probe] exec = [\"/usr/lib/nagios/plugins\"]"
                .to_owned(),
        ),
        _ => (
            format!("\"{}\" is in no folder of [probe] exec", program.value),
            format!("use a program in {}", folders.join(", ")),
        ),
    };
    problems.error(&program.place, key, fault, remedy).rule(&rules::NOT_ALLOWED);
}

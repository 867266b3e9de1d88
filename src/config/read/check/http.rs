//! Keys of `kind = "http"` and `kind = "https"`.

use std::ops::RangeInclusive;

use regex::RegexBuilder;

use crate::config::Problems;
use crate::config::keys;
use crate::config::problem::At;
use crate::config::read::check::read_host;
use crate::config::read::check::read_needle;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::rules;
use crate::model::HttpCheck;
use crate::model::HttpVersion;
use crate::model::JsonField;
use crate::model::JsonValue;
use crate::model::LoadSource;
use crate::model::check::REGEX_SIZE_MAX;

/// Headers that the probe makes itself, or that would change what a request is.
const OWN_HEADERS: [&str; 7] =
    ["host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect"];

/// Most further headers of a request, and most fields of a JSON document.
const FEW: usize = 32;

pub(super) fn read_http(section: &mut Section<'_>, problems: &mut Problems) -> HttpCheck {
    let method = section.take("method").and_then(|value| value.word(problems));
    let host = section.take("host").and_then(|value| value.parsed(read_host, problems));
    let path = section.take("path").and_then(|value| value.parsed(read_path, problems));
    let headers = section.take("headers").map(|value| read_headers(&value, problems));
    let version = section.take("http_version").and_then(|value| value.word(problems));
    let status = section.take("status").and_then(|value| value.parsed(read_status, problems));
    let redirects = section.take("redirects").and_then(|value| value.integer(problems));
    let load = section.take("load").and_then(|value| read_load(&value, problems));
    let on_body = ["body", "body_regex", "json"].map(|key| section.find_key(key));
    let body = section.take("body").and_then(|value| value.parsed(read_needle, problems));
    let body_regex = section.take("body_regex");
    let body_regex = body_regex.and_then(|value| value.parsed(read_regex, problems));
    let json = section.take("json").map(|value| read_json(&value, problems));
    if let (Some(At { value: "HEAD", place }), Some(on_body)) =
        (&method, on_body.into_iter().flatten().next())
    {
        let path = format!("{}.method", section.path);
        let fault = "a reply to HEAD has no body to look into";
        let also = (on_body, "this looks into it");
        problems.error_with(place, path, fault, "use GET", also);
    }
    HttpCheck {
        method: method.map_or(keys::METHOD, |at| at.value),
        host: host.map(|at| at.value.into()),
        path: path.map_or_else(|| keys::PATH.into(), |at| at.value.into()),
        headers: headers.unwrap_or_default(),
        version: match version.map_or(keys::VERSION, |at| at.value) {
            "2" => HttpVersion::Two,
            _ => HttpVersion::One,
        },
        status: status.map_or_else(default_status, |at| at.value),
        redirects: redirects
            .map_or(keys::REDIRECTS, |at| u8::try_from(at.value).unwrap_or(u8::MAX)),
        body: body.map(|at| at.value.into()),
        body_regex: body_regex.map(|at| at.value.into()),
        json: json.unwrap_or_default(),
        load,
    }
}

/// What begins with a slash, as it stands in a request.
pub(in crate::config::read) fn read_path(text: &str) -> Result<String, Refusal> {
    let is_path = text.starts_with('/')
        && text.len() <= 2048
        && text.bytes().all(|octet| (0x21..0x7f).contains(&octet));
    match is_path {
        true => Ok(text.to_owned()),
        false => Err((
            format!("\"{text}\" is not a path"),
            "begin with \"/\", use at most 2048 ASCII characters, no blanks; escape the rest as %20".into(),
        )),
    }
}

fn default_status() -> Vec<RangeInclusive<u16>> {
    read_status(keys::STATUS).expect("the default is a list of status codes")
}

/// `"200-299, 401"`
fn read_status(text: &str) -> Result<Vec<RangeInclusive<u16>>, Refusal> {
    let one = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high): (u16, u16) =
            (low.trim_matches(' ').parse().ok()?, high.trim_matches(' ').parse().ok()?);
        (100 <= low && low <= high && high <= 599).then_some(low..=high)
    };
    let ranges: Option<Vec<_>> = text.split(',').map(one).collect();
    ranges.ok_or_else(|| {
        (
            format!("\"{text}\" is not a list of status codes"),
            "write codes of 100 to 599, as \"200-299, 401\"".into(),
        )
    })
}

/// Compiles it, so that a probe never meets one that cannot be.
fn read_regex(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > 1024 {
        let fault = format!("a regular expression of {} octets", text.len());
        return Err((fault, "use 1 to 1024 octets".into()));
    }
    match RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build() {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => {
            // The last line of several says what is wrong; the others draw where.
            let why = why.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let fault = format!("this is not a regular expression: {why}");
            Err((
                fault,
                "see docs.rs/regex for the syntax; back-references and look-around are not known"
                    .into(),
            ))
        }
    }
}

/// `{ Authorization = "…" }`
fn read_headers(value: &Value<'_>, problems: &mut Problems) -> Vec<(Box<str>, Box<str>)> {
    let mut headers: Vec<(Box<str>, Box<str>)> = Vec::new();
    let wanted = "a table, as { Accept = \"text/plain\" }";
    let Some(mut table) = value.section_like(wanted, problems) else { return headers };
    let all = table.take_all();
    refuse_many(value, all.len(), "headers", problems);
    for (name, value) in all {
        let lower = name.value.to_ascii_lowercase();
        let is_name = (1..=64).contains(&name.value.len())
            && name
                .value
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet));
        let refusal = if OWN_HEADERS.contains(&&*lower) {
            Some((
                format!("\"{}\" is made by the probe", name.value),
                "leave it out; the key host says the host",
            ))
        } else if !is_name {
            Some((
                format!("\"{}\" is no name of a header", name.value),
                "use letters, digits and \"-\", up to 64",
            ))
        } else if headers.iter().any(|(other, _)| **other == *lower) {
            Some((format!("there is a header \"{lower}\" already"), "keep one of them"))
        } else {
            None
        };
        if let Some((fault, remedy)) = refusal {
            problems.error(&name.place, &value.path, fault, remedy);
            continue;
        }
        if let Some(text) = value.parsed(read_header_value, problems) {
            headers.push((lower.into(), text.value.into()));
        }
    }
    headers
}

fn read_header_value(text: &str) -> Result<String, Refusal> {
    let is_value = text.len() <= 1024
        && text.bytes().all(|octet| (0x20..0x7f).contains(&octet))
        && text.trim_matches(' ') == text;
    match is_value {
        true => Ok(text.to_owned()),
        false => Err((
            "this cannot stand in a header".into(),
            "use up to 1024 printable ASCII characters, without blanks at the ends".into(),
        )),
    }
}

/// `{ "/status" = "ok", "/replicas" = 3 }`
fn read_json(value: &Value<'_>, problems: &mut Problems) -> Vec<JsonField> {
    let wanted = "a table, as { \"/status\" = \"ok\" }";
    let Some(mut table) = value.section_like(wanted, problems) else { return Vec::new() };
    let all = table.take_all();
    refuse_many(value, all.len(), "fields", problems);
    let mut fields = Vec::new();
    for (pointer, value) in all {
        if !is_pointer(&pointer.value) {
            let fault = format!("\"{}\" is no JSON pointer", pointer.value);
            let remedy = "begin with \"/\", as \"/checks/0/status\"; write \"~\" as ~0";
            problems.error(&pointer.place, &value.path, fault, remedy);
            continue;
        }
        let pointer = pointer.value.into();
        let value = match () {
            () if value.is_boolean() => {
                value.boolean(problems).map(|at| JsonValue::Boolean(at.value))
            }
            () if value.is_integer() => {
                value.integer(problems).map(|at| JsonValue::Integer(at.value))
            }
            () => read_json_text(&value, problems),
        };
        fields.extend(value.map(|value| JsonField { pointer, value }));
    }
    fields
}

fn read_json_text(value: &Value<'_>, problems: &mut Problems) -> Option<JsonValue> {
    let parse = |text: &str| match text.len() {
        0..=1024 => Ok(JsonValue::Text(text.into())),
        len => Err((format!("a text of {len} octets"), "use at most 1024".into())),
    };
    value.parsed(parse, problems).map(|at| at.value)
}

/// `"orca"` or `{ json = "/path", max = 100 }`
fn read_load(value: &Value<'_>, problems: &mut Problems) -> Option<LoadSource> {
    if value.is_string() {
        return value.word(problems).map(|_| LoadSource::Orca);
    }
    let wanted = "\"orca\" or { json = \"/load\" }";
    let mut section = value.section_like(wanted, problems)?;
    let pointer =
        section.need("json", problems).and_then(|value| value.parsed(read_pointer, problems));
    let max = section.take("max").and_then(|value| value.number(problems));
    section.finish(problems);
    let max = max.map_or(keys::LOAD_MAX, |at| at.value);
    pointer.map(|at| LoadSource::Json { pointer: at.value.into(), max })
}

fn read_pointer(text: &str) -> Result<String, Refusal> {
    match is_pointer(text) {
        true => Ok(text.to_owned()),
        false => Err((
            format!("\"{text}\" is not a JSON pointer"),
            "begin with \"/\", as \"/system/load\", use at most 256 octets; write ~ as ~0 and / in a name as ~1".into(),
        )),
    }
}

/// RFC 6901 section 3.
fn is_pointer(text: &str) -> bool {
    let mut tilde = false;
    let escapes = text.bytes().all(|octet| {
        let is_right = !tilde || octet == b'0' || octet == b'1';
        tilde = octet == b'~';
        is_right
    });
    text.len() <= 256 && (text.is_empty() || text.starts_with('/')) && escapes && !tilde
}

fn refuse_many(value: &Value<'_>, count: usize, what: &str, problems: &mut Problems) {
    if count > FEW {
        let fault = format!("these are {count} {what}");
        let remedy = format!("use at most {FEW}");
        problems.error(&value.place, &value.path, fault, remedy).rule(&rules::OUT_OF_RANGE);
    }
}

#[cfg(test)]
mod tests {
    use super::is_pointer;

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for good in ["", "/", "/a", "/a/0/b~0c~1d", "/é"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["a", "a/b", "/~", "/~2", "/a~"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}

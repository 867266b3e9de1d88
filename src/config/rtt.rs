//! `[rtt]` of `rhumb.toml`.

use std::path::PathBuf;

use crate::config::Problems;
use crate::config::keys;
use crate::config::node::read_address;
use crate::config::problem::At;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::rules;
use crate::model::Rtt;

/// What counts where only the folder is named.
pub(super) fn defaults(folder: PathBuf) -> Rtt {
    Rtt {
        folder,
        build: false,
        window: keys::WINDOW,
        delay: keys::DELAY,
        handshakes: false,
        listen: None,
        origins: Vec::new(),
        token_file: None,
        post_octets: keys::POST_OCTETS,
        post_lines: keys::POST_LINES,
        posts_a_minute: keys::POSTS_A_MINUTE,
    }
}

/// Reads the table. `has_site`: whether `[server]` says where this node stands.
pub(super) fn read(value: &Value<'_>, has_site: bool, problems: &mut Problems) -> Option<Rtt> {
    let mut section = value.section(problems)?;
    let folder = section.need("folder", problems).and_then(|value| value.string(problems));
    let mut rtt = defaults(PathBuf::from(folder.as_ref().map_or("", |at| at.value.as_str())));
    if let Some(build) = section.take("build").and_then(|value| value.boolean(problems)) {
        rtt.build = build.value;
    }
    for (key, slot) in [("window", &mut rtt.window), ("delay", &mut rtt.delay)] {
        if let Some(at) = section.take(key).and_then(|value| value.duration(problems)) {
            *slot = at.value;
        }
    }
    if let Some(value) = section.take("handshakes")
        && let Some(At { value: handshakes, place }) = value.boolean(problems)
    {
        rtt.handshakes = handshakes;
        let lacks = match (handshakes, has_site, rtt.build) {
            (true, false, _) => {
                Some(("name this node's site in [server] site", "nobody knows to which site"))
            }
            (true, true, false) => Some(("set build = true", "this node makes no table")),
            (true, true, true) | (false, ..) => None,
        };
        if let Some((remedy, why)) = lacks {
            let fault = format!("handshakes are not measured: {why}");
            problems.warning(&place, &value.path, fault, remedy).rule(&rules::LIKELY_MISTAKE);
        }
    }
    if let Some(value) = section.take("listen") {
        rtt.listen = read_address(&value, problems);
        if let (Some(at), false) = (value.string(&mut Problems::default()), rtt.build) {
            let fault = "nobody posts there: this node makes no table";
            let remedy = "set build = true, or take it out";
            problems.warning(&at.place, &value.path, fault, remedy).rule(&rules::LIKELY_MISTAKE);
        }
    }
    if let Some(origins) = section.take("origins") {
        rtt.origins = read_origins(&origins, problems);
    }
    let token = section.take("token_file").and_then(|value| value.string(problems));
    rtt.token_file = token.map(|at| PathBuf::from(at.value));
    read_limits(&mut section, &mut rtt, problems);
    section.finish(problems);
    folder.map(|_| rtt)
}

fn read_limits(section: &mut Section<'_>, rtt: &mut Rtt, problems: &mut Problems) {
    let mut number = |key| section.take(key).and_then(|value| value.integer(problems));
    if let Some(at) = number("post_octets") {
        rtt.post_octets = at.value as usize;
    }
    if let Some(at) = number("post_lines") {
        rtt.post_lines = at.value as usize;
    }
    if let Some(at) = number("posts_a_minute") {
        rtt.posts_a_minute = at.value as u32;
    }
}

fn read_origins(value: &Value<'_>, problems: &mut Problems) -> Vec<Box<str>> {
    let mut origins: Vec<At<Box<str>>> = Vec::new();
    for At { value: text, place } in value.strings(problems).unwrap_or_default() {
        if !is_origin(&text) {
            let fault = format!("\"{text}\" is not an origin");
            let remedy = "write scheme and host as a browser sends them, such as \
                          \"https://www.example.com\"";
            problems.error(&place, &value.path, fault, remedy).rule(&rules::BAD_VALUE);
        } else if let Some(first) = origins.iter().find(|known| *known.value == *text) {
            let fault = format!("\"{text}\" is named twice");
            let also = (first.place.clone(), "first named here");
            problems
                .error_with(&place, &value.path, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        } else {
            origins.push(At { value: text.into(), place });
        }
    }
    origins.into_iter().map(|at| at.value).collect()
}

/// `*`, or scheme and host in small letters, with a port if it is not the usual one (RFC 6454 section 6.2).
fn is_origin(text: &str) -> bool {
    let host = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_host = |octet: u8| {
        octet.is_ascii_lowercase() || octet.is_ascii_digit() || b".-_:[]".contains(&octet)
    };
    text == "*" || host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_host))
}

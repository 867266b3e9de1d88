//! What an HTTP response must be: its status, and what its body holds.

use std::future::poll_fn;
use std::pin::Pin;

use hyper::Response;
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use regex::bytes::Regex;
use regex::bytes::RegexBuilder;
use serde_json::Value;

use crate::health::LoadWord;
use crate::health::load;
use crate::health::load::LoadFault;
use crate::model::HttpCheck;
use crate::model::JsonField;
use crate::model::JsonValue;
use crate::model::LoadSource;
use crate::model::check::BODY_MAX;
use crate::model::check::REGEX_SIZE_MAX;
use crate::runtime::probe::body::Progress;
use crate::runtime::probe::body::Search;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::progress::Phase;

/// Judges responses; made once and shared by the targets of a check.
#[derive(Debug)]
pub(super) struct Judge {
    check: HttpCheck,
    regex: Option<Regex>,
}

impl Judge {
    pub(super) fn new(check: &HttpCheck) -> Result<Self, ProbeFailure> {
        let regex = check.body_regex.as_deref().map(|text| {
            let regex = RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build();
            regex.map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))
        });
        Ok(Self { check: check.clone(), regex: regex.transpose()? })
    }

    /// Whether two checks judge responses alike, whatever they ask.
    pub(super) fn is_same(one: &HttpCheck, other: &HttpCheck) -> bool {
        (&one.status, &one.body, &one.body_regex, &one.json, &one.load)
            == (&other.status, &other.body, &other.body_regex, &other.json, &other.load)
    }

    /// Judges a response; reads no more of it than it must.
    pub(super) async fn judge(
        &self,
        response: Response<Incoming>,
    ) -> Result<LoadWord, ProbeFailure> {
        let got = response.status().as_u16();
        if !self.check.status.iter().any(|range| range.contains(&got)) {
            return Err(ProbeFailure::Status { got, wanted: self.check.status.clone() });
        }
        let load = match &self.check.load {
            Some(LoadSource::Orca) => {
                let headers = response.headers();
                load::of_headers(|name| headers.get(name).map(HeaderValue::as_bytes))
            }
            Some(LoadSource::Json { .. }) | None => LoadWord::Unasked,
        };
        let body = response.into_body();
        match (&self.check.body, &self.regex, &self.check.json[..], &self.check.load) {
            (None, None, [], None | Some(LoadSource::Orca)) => Ok(load),
            (Some(text), None, [], None | Some(LoadSource::Orca)) => {
                find(text, body).await.map(|()| load)
            }
            (_, _, _, source) => {
                let read = BodyRead::of(body).await;
                match (self.judge_body(&read), &read.broken, source) {
                    // What it had to hold may have been in the part that is missing.
                    (Err(_), Some(failure), _) => Err(failure.clone()),
                    (Err(failure), None, _) => Err(failure),
                    (Ok(()), _, Some(LoadSource::Json { pointer, max })) => {
                        Ok(read.load(pointer, *max))
                    }
                    (Ok(()), _, Some(LoadSource::Orca) | None) => Ok(load),
                }
            }
        }
    }

    fn judge_body(&self, read: &BodyRead) -> Result<(), ProbeFailure> {
        self.check.body.as_deref().map_or(Ok(()), |text| read.holds(text))?;
        self.regex.as_ref().map_or(Ok(()), |regex| read.matches(regex))?;
        let is_json = !self.check.json.is_empty();
        if is_json { read.has_fields(&self.check.json) } else { Ok(()) }
    }
}

/// The next piece of a body; `None` after the last.
async fn next_piece(body: &mut Incoming) -> Result<Option<hyper::body::Bytes>, ProbeFailure> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|error| ProbeFailure::from_hyper(&error, Phase::ReadingBody))?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
}

/// Reads the body until the text is found or cannot be found any more.
async fn find(text: &str, mut body: Incoming) -> Result<(), ProbeFailure> {
    let mut search = Search::new(text.as_bytes());
    let lacks = |octets, whole| ProbeFailure::BodyLacks { text: text.into(), octets, whole };
    // An empty text is in every body, an empty one too.
    let mut progress = search.push(&[]);
    while progress == Progress::More {
        let Some(piece) = next_piece(&mut body).await? else {
            return Err(lacks(search.seen(), true));
        };
        progress = search.push(&piece);
    }
    match progress {
        Progress::Found => Ok(()),
        Progress::Exhausted | Progress::More => Err(lacks(search.seen(), false)),
    }
}

/// The first octets of a body.
struct BodyRead {
    octets: Vec<u8>,
    /// Whether that is all of it.
    is_whole: bool,
    /// Why no more of it came, if it broke off.
    broken: Option<ProbeFailure>,
}

impl BodyRead {
    async fn of(mut body: Incoming) -> Self {
        let mut octets = Vec::new();
        loop {
            let piece = match next_piece(&mut body).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Self { octets, is_whole: true, broken: None },
                Err(failure) => return Self { octets, is_whole: false, broken: Some(failure) },
            };
            let room = BODY_MAX - octets.len();
            octets.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                return Self { octets, is_whole: false, broken: None };
            }
        }
    }

    /// What it says of load. Whatever is wrong with that, the probe is not.
    fn load(&self, pointer: &str, max: f64) -> LoadWord {
        match (&self.broken, self.is_whole) {
            (Some(ProbeFailure::TooMuch(_)), _) => LoadWord::Faulty(LoadFault::TooLong),
            (Some(_), _) => LoadWord::Faulty(LoadFault::Unreadable),
            (None, false) => LoadWord::Faulty(LoadFault::TooLong),
            (None, true) => load::of_body(&self.octets, pointer, max),
        }
    }

    fn holds(&self, text: &str) -> Result<(), ProbeFailure> {
        let (octets, whole) = (self.octets.len(), self.is_whole);
        match Search::new(text.as_bytes()).push(&self.octets) {
            Progress::Found => Ok(()),
            Progress::Exhausted | Progress::More => {
                Err(ProbeFailure::BodyLacks { text: text.into(), octets, whole })
            }
        }
    }

    fn matches(&self, regex: &Regex) -> Result<(), ProbeFailure> {
        let (octets, whole) = (self.octets.len(), self.is_whole);
        match regex.is_match(&self.octets) {
            true => Ok(()),
            false => {
                Err(ProbeFailure::BodyUnmatched { regex: regex.as_str().into(), octets, whole })
            }
        }
    }

    fn has_fields(&self, fields: &[JsonField]) -> Result<(), ProbeFailure> {
        let failed = |text: String| Err(ProbeFailure::Answer(text.into()));
        if !self.is_whole {
            return failed(format!("body is longer than {BODY_MAX} octets, too long for JSON"));
        }
        let document: Value = match serde_json::from_slice(&self.octets) {
            Ok(document) => document,
            Err(why) => return failed(format!("body is not JSON: {why}")),
        };
        for JsonField { pointer, value } in fields {
            match document.pointer(pointer) {
                None => return failed(format!("JSON has no {}", shown(pointer))),
                Some(found) if !is_equal(found, value) => {
                    let found = brief(found);
                    return failed(format!("JSON {} is {found}, wanted {value}", shown(pointer)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn is_equal(found: &Value, wanted: &JsonValue) -> bool {
    match wanted {
        JsonValue::Text(text) => found.as_str() == Some(text),
        // 3.0 is 3 to JSON, and some programs write it so.
        JsonValue::Integer(number) => {
            found.as_i64() == Some(*number) || found.as_f64() == Some(*number as f64)
        }
        JsonValue::Boolean(value) => found.as_bool() == Some(*value),
    }
}

/// A pointer for people; the whole document has an empty one.
fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "(the whole document)" } else { pointer }
}

/// A value for people; what is large is only named.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) if text.len() > ProbeFailure::SHOWN_MAX => {
            let cut: String = text.chars().take(ProbeFailure::SHOWN_MAX / 2).collect();
            format!("{cut:?}...")
        }
        other => other.to_string(),
    }
}

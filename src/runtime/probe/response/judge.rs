//! What an HTTP response must be: its status, and what its body holds.

use regex::bytes::Regex;
use regex::bytes::RegexBuilder;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::health::LoadWord;
use crate::health::load;
use crate::health::load::LoadFault;
use crate::model::HttpCheck;
use crate::model::JsonField;
use crate::model::JsonValue;
use crate::model::LoadSource;
use crate::model::check::BODY_MAX;
use crate::model::check::REGEX_SIZE_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::response::Appetite;
use crate::runtime::probe::response::Body;
use crate::runtime::probe::response::End;
use crate::runtime::probe::response::Response;
use crate::runtime::probe::response::search::Progress;
use crate::runtime::probe::response::search::Search;

/// Judges responses; made once and shared by the targets of a check.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Judge {
    check: HttpCheck,
    regex: Option<Regex>,
}

impl Judge {
    pub(in crate::runtime::probe) fn new(check: &HttpCheck) -> Result<Self, ProbeFailure> {
        let regex = check.body_regex.as_deref().map(|text| {
            let regex = RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build();
            regex.map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))
        });
        Ok(Self { check: check.clone(), regex: regex.transpose()? })
    }

    /// Whether two checks judge responses alike, whatever they ask.
    pub(in crate::runtime::probe) fn is_same(one: &HttpCheck, other: &HttpCheck) -> bool {
        (&one.status, &one.body, &one.body_regex, &one.json, &one.load)
            == (&other.status, &other.body, &other.body_regex, &other.json, &other.load)
    }

    /// Judges a response; reads no more of it than it must.
    pub(in crate::runtime::probe) async fn judge<S>(
        &self,
        Response { head, body }: Response<S>,
    ) -> Result<LoadWord, ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let got = head.status();
        if !self.check.status.iter().any(|range| range.contains(&got)) {
            return Err(ProbeFailure::Status { got, wanted: self.check.status.clone() });
        }
        let load = match &self.check.load {
            Some(LoadSource::Orca) => load::of_headers(|name| head.find(name)),
            Some(LoadSource::Json { .. }) | None => LoadWord::Unasked,
        };
        drop(head);
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

/// Reads the body until the text is found or cannot be found any more.
async fn find<S>(text: &str, body: Body<S>) -> Result<(), ProbeFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut search = Search::new(text.as_bytes());
    // An empty text is in every body, an empty one too.
    let mut progress = search.push(&[]);
    let end = match progress {
        Progress::More => {
            body.read(|piece| {
                progress = search.push(piece);
                if progress == Progress::More { Appetite::More } else { Appetite::Enough }
            })
            .await?
        }
        Progress::Found | Progress::Exhausted => End::Enough,
    };
    match progress {
        Progress::Found => Ok(()),
        Progress::Exhausted | Progress::More => {
            let (octets, whole) = (search.seen(), end == End::Whole);
            Err(ProbeFailure::BodyLacks { text: text.into(), octets, whole })
        }
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
    async fn of<S: AsyncRead + AsyncWrite + Unpin>(body: Body<S>) -> Self {
        let mut octets = Vec::new();
        let end = body.read(|piece| {
            let room = BODY_MAX - octets.len();
            octets.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room { Appetite::Enough } else { Appetite::More }
        });
        match end.await {
            Ok(end) => Self { octets, is_whole: end == End::Whole, broken: None },
            Err(failure) => Self { octets, is_whole: false, broken: Some(failure) },
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

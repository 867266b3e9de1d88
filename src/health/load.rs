//! What an endpoint's answer says of its load: headers of Open Request Cost Aggregation (ORCA), or a number in JSON.
//!
//! A load of 1 is all that the endpoint can carry. Nothing here makes a probe fail: who says nothing, or nonsense, is
//! healthy all the same.

use std::fmt;

use serde_json::Value;

/// Largest load that is believed: nobody answers at a hundred times what it can carry.
const LOAD_MAX: f64 = 100.0;

/// Most octets of a header that are looked at.
const HEADER_MAX: usize = 4096;

/// Names of the header, the older ones too; lower case.
const HEADERS: [(&str, Form); 6] = [
    ("endpoint-load-metrics", Form::Prefixed),
    ("endpoint-load-metrics-bin", Form::Binary),
    ("endpoint-load-metrics-json", Form::Json),
    ("x-endpoint-load-metrics", Form::Prefixed),
    ("x-endpoint-load-metrics-bin", Form::Binary),
    ("x-endpoint-load-metrics-json", Form::Json),
];

/// What an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LoadWord {
    /// It was not asked.
    #[default]
    Unasked,
    /// So much; 0 to 100.
    Says(f64),
    /// Nothing that counts.
    Faulty(LoadFault),
}

/// Probes without load.
impl From<()> for LoadWord {
    fn from((): ()) -> Self {
        Self::Unasked
    }
}

/// Why what an answer says does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadFault {
    /// It says nothing.
    Missing,
    /// It is not of the form that is wanted.
    Unreadable,
    /// The body is longer than is read.
    TooLong,
    /// No load is less than 0, more than 100, or no number.
    NotBelieved(f64),
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the answer says none"),
            Self::Unreadable => f.write_str("the answer's word cannot be read"),
            Self::TooLong => f.write_str("the body is too long to be read"),
            Self::NotBelieved(load) => write!(f, "{load} is not believed"),
        }
    }
}

impl LoadWord {
    /// Adds to what is told of a probe; nothing where nobody asked.
    pub fn text(&self) -> String {
        match self {
            Self::Unasked => String::new(),
            Self::Says(load) => format!("; load {load:.2}"),
            Self::Faulty(fault) => format!("; no load: {fault}"),
        }
    }

    /// A load, if it can be one.
    fn of(load: f64) -> Self {
        match load.is_finite() && (0.0..=LOAD_MAX).contains(&load) {
            true => Self::Says(load),
            false => Self::Faulty(LoadFault::NotBelieved(load)),
        }
    }
}

/// How a header is written.
#[derive(Clone, Copy)]
enum Form {
    /// `TEXT `, `JSON ` or `BIN ` says how the rest is; without a word it is text.
    Prefixed,
    /// Base64 of a protobuf message.
    Binary,
    /// JSON.
    Json,
}

/// What ORCA calls the utilization of an endpoint.
#[derive(Clone, Copy, Default)]
struct Report {
    application: Option<f64>,
    processor: Option<f64>,
}

impl Report {
    /// What the application says of itself if it is more than 0, else the processor.
    fn word(self) -> LoadWord {
        let wrong = |load: &f64| !matches!(LoadWord::of(*load), LoadWord::Says(_));
        let said = || self.application.into_iter().chain(self.processor);
        if let Some(load) = said().find(wrong) {
            return LoadWord::of(load);
        }
        let application = self.application.filter(|load| *load > 0.0);
        let load = application.or(self.processor).or(self.application);
        load.map_or(LoadWord::Faulty(LoadFault::Missing), LoadWord::of)
    }
}

/// The word of an answer's headers; `find` gives the first header of a name in lower case.
pub fn of_headers<'a>(find: impl Fn(&str) -> Option<&'a [u8]>) -> LoadWord {
    let found = HEADERS.iter().find_map(|(name, form)| Some((find(name)?, *form)));
    let Some((octets, form)) = found else { return LoadWord::Faulty(LoadFault::Missing) };
    let report = std::str::from_utf8(octets).ok().filter(|text| text.len() <= HEADER_MAX);
    let report = report.and_then(|text| match form {
        Form::Prefixed => read_prefixed(text.trim()),
        Form::Binary => read_binary(text.trim()),
        Form::Json => read_json(text),
    });
    report.map_or(LoadWord::Faulty(LoadFault::Unreadable), Report::word)
}

fn read_prefixed(text: &str) -> Option<Report> {
    let (word, rest) = text.split_once(' ').unwrap_or(("", text));
    match word {
        "TEXT" => read_text(rest),
        "JSON" => read_json(rest),
        "BIN" => read_binary(rest.trim()),
        _ => read_text(text),
    }
}

/// `cpu_utilization=0.3, application_utilization=0.5`: pairs, of which the others are not looked at.
fn read_text(text: &str) -> Option<Report> {
    let mut report = Report::default();
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let slot = match name.trim() {
            "application_utilization" => &mut report.application,
            "cpu_utilization" => &mut report.processor,
            _ => continue,
        };
        // Nobody knows which of two is meant.
        if slot.replace(value.trim().parse().ok()?).is_some() {
            return None;
        }
    }
    Some(report)
}

/// `{"cpu_utilization": 0.3}`; the JSON of protobuf writes `cpuUtilization`.
fn read_json(text: &str) -> Option<Report> {
    let value: Value = serde_json::from_str(text).ok()?;
    let fields = value.as_object()?;
    let number = |names: [&str; 2]| -> Option<Option<f64>> {
        let found = names.into_iter().find_map(|name| fields.get(name));
        found.map_or(Some(None), |value| value.as_f64().map(Some))
    };
    Some(Report {
        application: number(["application_utilization", "applicationUtilization"])?,
        processor: number(["cpu_utilization", "cpuUtilization"])?,
    })
}

/// Base64 of a message `xds.data.orca.v3.OrcaLoadReport`: field 1 is the processor, field 9 the application, both double.
fn read_binary(text: &str) -> Option<Report> {
    let octets = base64(text)?;
    let mut rest = &octets[..];
    let mut report = Report::default();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => drop(varint(&mut rest)?),
            1 => {
                let value = f64::from_le_bytes(*take(&mut rest, 8)?.first_chunk()?);
                match tag >> 3 {
                    1 => report.processor = Some(value),
                    9 => report.application = Some(value),
                    _ => {}
                }
            }
            2 => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                take(&mut rest, len)?;
            }
            5 => drop(take(&mut rest, 4)?),
            _ => return None,
        }
    }
    Some(report)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

/// Seven bits an octet, the lowest first; the top bit says that more follow.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let octet = take(rest, 1)?[0];
        value |= u64::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return Some(value);
        }
    }
    None
}

/// RFC 4648 section 4, with padding or without.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut value, mut bits) = (Vec::new(), 0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let digit = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (value, bits) = (value << 6 | u32::from(digit), bits + 6);
        if bits >= 8 {
            bits -= 8;
            octets.push((value >> bits) as u8);
            value &= (1 << bits) - 1;
        }
    }
    Some(octets)
}

/// The word of a body that is JSON: the number at a pointer (RFC 6901), as a share of `max`.
pub fn of_body(body: &[u8], pointer: &str, max: f64) -> LoadWord {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return LoadWord::Faulty(LoadFault::Unreadable);
    };
    match value.pointer(pointer) {
        None | Some(Value::Null) => LoadWord::Faulty(LoadFault::Missing),
        Some(value) => value
            .as_f64()
            .map_or(LoadWord::Faulty(LoadFault::Unreadable), |load| LoadWord::of(load / max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, value: &'static str) -> LoadWord {
        of_headers(|wanted| (wanted == name).then_some(value.as_bytes()))
    }

    fn orca(value: &'static str) -> LoadWord {
        header("endpoint-load-metrics", value)
    }

    const UNREADABLE: LoadWord = LoadWord::Faulty(LoadFault::Unreadable);

    #[test]
    fn every_form_of_the_header_is_read() {
        for text in [
            "TEXT application_utilization=0.5, cpu_utilization=0.3",
            "cpu_utilization=0.3,application_utilization=0.5",
            "TEXT cpu_utilization=0.5,named_metrics.queue=7",
            "JSON {\"cpu_utilization\": 0.5, \"named_metrics\": {\"queue\": 7}}",
            "JSON {\"cpuUtilization\": 0.3, \"applicationUtilization\": 0.5}",
            "application_utilization=0,cpu_utilization=0.5",
        ] {
            assert_eq!(orca(text), LoadWord::Says(0.5), "{text}");
            let older =
                of_headers(|name| (name == "x-endpoint-load-metrics").then_some(text.as_bytes()));
            assert_eq!(older, LoadWord::Says(0.5), "{text}");
        }
        let json = header("endpoint-load-metrics-json", "{\"cpu_utilization\":0.25}");
        assert_eq!(json, LoadWord::Says(0.25));
    }

    #[test]
    fn the_binary_form_is_read_with_and_without_padding() {
        // 09 double 0.1; 31 double rps; 42 a map entry: the example of the specification.
        let example = "CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=";
        assert_eq!(header("endpoint-load-metrics-bin", example), LoadWord::Says(0.1));
        assert_eq!(orca("BIN CZqZmZmZmbk/"), LoadWord::Says(0.1));
        // 49 is field 9, double: 0.5.
        assert_eq!(orca("BIN CZqZmZmZmbk/SQAAAAAAAOA/"), LoadWord::Says(0.5));
        for cut in ["CZqZ", "CZqZmZmZmbk/MQ", "Qv////////////8B", "gA", "CZqZ!", "DA=="] {
            assert_eq!(header("endpoint-load-metrics-bin", cut), UNREADABLE, "{cut}");
        }
    }

    #[test]
    fn what_no_endpoint_can_carry_is_not_believed() {
        for lie in ["-0.1", "NaN", "inf", "-inf", "1e9", "100.1"] {
            let text: &'static str = format!("TEXT cpu_utilization={lie}").leak();
            let word = orca(text);
            assert!(matches!(word, LoadWord::Faulty(LoadFault::NotBelieved(_))), "{lie}: {word:?}");
        }
        let word = orca("application_utilization=0.5,cpu_utilization=-1");
        assert_eq!(word, LoadWord::Faulty(LoadFault::NotBelieved(-1.0)), "one lie is enough");
        assert_eq!(orca("cpu_utilization=1.7"), LoadWord::Says(1.7), "overload is a load");
    }

    #[test]
    fn a_header_that_says_nothing_of_load_is_missing_or_unreadable() {
        assert_eq!(orca("mem_utilization=0.5"), LoadWord::Faulty(LoadFault::Missing));
        assert_eq!(of_headers(|_| None), LoadWord::Faulty(LoadFault::Missing));
        for text in [
            "",
            "TEXT",
            "high",
            "cpu_utilization=high",
            "JSON [0.5]",
            "JSON {",
            "XML <a/>",
            "JSON {\"cpu_utilization\":\"0.5\"}",
            "cpu_utilization=0.1,cpu_utilization=0.2",
        ] {
            assert_eq!(orca(text), UNREADABLE, "{text}");
        }
        let long: &'static str = format!("cpu_utilization=0.5,a={}", "1".repeat(5000)).leak();
        assert_eq!(orca(long), UNREADABLE);
    }

    #[test]
    fn a_number_of_a_body_is_a_share_of_the_most() {
        let body = br#"{"a/b": {"m~n": [1, 50]}, "text": "5", "null": null, "lie": -5}"#;
        assert_eq!(of_body(body, "/a~1b/m~0n/1", 200.0), LoadWord::Says(0.25));
        assert_eq!(of_body(b"0.75\n", "", 1.0), LoadWord::Says(0.75), "the body is the number");
        assert_eq!(of_body(body, "/lie", 1.0), LoadWord::Faulty(LoadFault::NotBelieved(-5.0)));
        for (pointer, fault) in [
            ("/nothing", LoadFault::Missing),
            ("/null", LoadFault::Missing),
            ("/text", LoadFault::Unreadable),
            ("/a~1b", LoadFault::Unreadable),
        ] {
            assert_eq!(of_body(body, pointer, 1.0), LoadWord::Faulty(fault), "{pointer}");
        }
        assert_eq!(of_body(b"<html>", "/load", 1.0), UNREADABLE);
        let deep = "[".repeat(60_000);
        assert_eq!(of_body(deep.as_bytes(), "/0", 1.0), UNREADABLE, "depth has a limit");
    }
}

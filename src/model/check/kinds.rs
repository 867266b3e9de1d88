//! What each kind of probe asks, and what must come back.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::CheckId;
use crate::wire::Name;
use crate::wire::RecordType;

/// What is said over a connection or in a datagram, and what must come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Talk {
    /// Octets to send.
    pub send: Option<Box<[u8]>>,
    /// Octets that the first [`BODY_MAX`](crate::model::check::BODY_MAX) of the reply must hold.
    pub expect: Option<Box<[u8]>>,
}

/// What is asked and what must come back.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCheck {
    /// Method of the request.
    pub method: &'static str,
    /// `Host` header; the endpoint's address when absent.
    pub host: Option<Box<str>>,
    /// Path and query, starting with `/`.
    pub path: Box<str>,
    /// Further headers of the request, in lower case.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Version of HTTP that is spoken.
    pub version: HttpVersion,
    /// Status codes that count as success.
    pub status: Vec<RangeInclusive<u16>>,
    /// Redirects that are followed, one after another.
    pub redirects: u8,
    /// Text that the body must hold within [`BODY_MAX`](crate::model::check::BODY_MAX) octets of the response.
    pub body: Option<Box<str>>,
    /// Regular expression that must match somewhere in them.
    pub body_regex: Option<Box<str>>,
    /// Fields of the body, which must be JSON if there are any.
    pub json: Vec<JsonField>,
    /// Where the answer says how much load the endpoint has.
    pub load: Option<LoadSource>,
}

/// Where an answer says how much load an endpoint has.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadSource {
    /// In a header of Open Request Cost Aggregation: what the application uses, else what the processor does.
    Orca,
    /// In a number of a JSON body.
    Json {
        /// Where it is (RFC 6901).
        pointer: Box<str>,
        /// What all the load is that the endpoint can carry, in the same unit.
        max: f64,
    },
}

impl Default for HttpCheck {
    /// GET `/`, any status of success.
    fn default() -> Self {
        Self {
            method: "GET",
            host: None,
            path: "/".into(),
            headers: Vec::new(),
            version: HttpVersion::One,
            status: vec![200..=299],
            redirects: 0,
            body: None,
            body_regex: None,
            json: Vec::new(),
            load: None,
        }
    }
}

/// Version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2: by ALPN behind TLS, else with prior knowledge.
    Two,
}

/// A field of a JSON document and the value that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonField {
    /// Where it is (RFC 6901), such as `/checks/0/status`.
    pub pointer: Box<str>,
    /// What it must be.
    pub value: JsonValue,
}

/// A value that a field of a JSON document must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonValue {
    /// A text.
    Text(Box<str>),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

/// As JSON.
impl fmt::Display for JsonValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}

/// How the endpoint's certificate is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsCheck {
    /// Name sent as SNI and looked for in the certificate; the HTTP host when absent.
    pub server_name: Option<Box<str>>,
    /// PEM text of certificates trusted besides the public ones; trusted alone when given.
    pub ca_pem: Option<Box<str>>,
    /// Whether the certificate must be valid. Off only by explicit `verify = false`.
    pub verify: bool,
    /// How long the certificate must hold at least from now on; zero: until now, if it is judged at all.
    pub min_validity: Duration,
}

impl Default for TlsCheck {
    /// The certificate must be valid by what the system trusts.
    fn default() -> Self {
        Self { server_name: None, ca_pem: None, verify: true, min_validity: Duration::ZERO }
    }
}

/// What is asked by the health protocol of gRPC (`grpc.health.v1.Health/Check`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcCheck {
    /// `:authority`; the endpoint's address when absent.
    pub host: Option<Box<str>>,
    /// Name of the service; empty for the server as a whole.
    pub service: Box<str>,
}

/// A question to a name server, and what must come back.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsCheck {
    /// The name that is asked for.
    pub qname: Name,
    /// The type.
    pub qtype: RecordType,
    /// Whether recursion is desired.
    pub recursion: bool,
    /// Mnemonic of the response code that must come.
    pub rcode: &'static str,
    /// Data that one record of the answer must have, as dig shows it.
    pub answer: Option<Box<str>>,
}

/// A command that is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecCheck {
    /// The program, then its arguments; `{address}` and `{endpoint}` in them are replaced.
    pub command: Vec<Box<str>>,
}

/// Reports that somebody else makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushCheck {
    /// SHA-256 of the tokens of those who may.
    pub tokens: Vec<[u8; 32]>,
    /// How long a report counts; silence after it is a failure.
    pub silence: Duration,
}

/// A file that says which endpoints are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// Where it is.
    pub path: Box<str>,
    /// How old it may become; for ever when absent.
    pub silence: Option<Duration>,
}

/// A check that is made of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// Its parts, each once.
    pub of: Vec<CheckId>,
    /// How many of them must pass, at least 1.
    pub need: usize,
    /// Those of them that must pass in any case.
    pub must: Vec<CheckId>,
}

//! What each kind of probe asks, and what must come back.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

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
    /// Text that the first [`BODY_MAX`](crate::model::check::BODY_MAX) octets of the body must hold.
    pub body: Option<Box<str>>,
    /// Regular expression that must match somewhere in them.
    pub body_regex: Option<Box<str>>,
    /// Fields of the body, which must be JSON if there are any.
    pub json: Vec<JsonField>,
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
            body: None,
            body_regex: None,
            json: Vec::new(),
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

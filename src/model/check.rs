//! How an endpoint is probed, and how many results make a verdict.

use std::ops::RangeInclusive;
use std::time::Duration;

/// One kind of probe with its thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The operator's name.
    pub name: Box<str>,
    /// What one probe does.
    pub kind: CheckKind,
    /// TCP port that is probed.
    pub port: u16,
    /// From the start of one probe to the start of the next, before jitter.
    pub interval: Duration,
    /// The whole probe must end within this.
    pub timeout: Duration,
    /// Failures in a row that take an endpoint down.
    pub fall: u8,
    /// Successes in a row that bring it back.
    pub rise: u8,
    /// Least time between going down and coming back.
    pub hold_down: Duration,
    /// Half-life of the penalty for flaps; `None`: flaps are not damped.
    pub damping: Option<Duration>,
    /// Share of the interval, in percent, by which each probe is moved at random (0-50).
    pub jitter_percent: u8,
}

/// What one probe does.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// A TCP connection is accepted.
    Tcp,
    /// An HTTP request gets an expected answer.
    Http(HttpCheck),
    /// The same behind TLS.
    Https(HttpCheck, TlsCheck),
}

/// What is asked and what must come back.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCheck {
    /// `Host` header; the endpoint's address when absent.
    pub host: Option<Box<str>>,
    /// Path and query, starting with `/`.
    pub path: Box<str>,
    /// Status codes that count as success.
    pub status: Vec<RangeInclusive<u16>>,
    /// Text that the first [`BODY_MAX`] octets of the body must hold.
    pub body: Option<Box<str>>,
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

/// How the endpoint's certificate is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsCheck {
    /// Name sent as SNI and looked for in the certificate; the HTTP host when absent.
    pub server_name: Option<Box<str>>,
    /// PEM text of certificates trusted besides the public ones; trusted alone when given.
    pub ca_pem: Option<Box<str>>,
    /// Whether the certificate must be valid. Off only by explicit `verify = false`.
    pub verify: bool,
}

/// Octets of a response body that are read, at most; the rest is never fetched.
///
/// Source: the first 64 KiB, as the survey of peers has it (5 KiB Route 53, 8 KiB Akamai).
pub const BODY_MAX: usize = 64 * 1024;

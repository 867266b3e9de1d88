//! How an endpoint is probed, and how many results make a verdict.

pub mod kinds;

use std::borrow::Cow;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

pub use kinds::Composite;
pub use kinds::DnsCheck;
pub use kinds::ExecCheck;
pub use kinds::FileCheck;
pub use kinds::GrpcCheck;
pub use kinds::HttpCheck;
pub use kinds::HttpVersion;
pub use kinds::JsonField;
pub use kinds::JsonValue;
pub use kinds::LoadSource;
pub use kinds::PushCheck;
pub use kinds::Talk;
pub use kinds::TlsCheck;

use crate::model::CheckId;
use crate::model::Family;
use crate::model::Percent;

/// One kind of probe with its thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The operator's name.
    pub name: Arc<str>,
    /// What one probe does.
    pub kind: CheckKind,
    /// Port that is probed; 0 for kinds without one.
    pub port: u16,
    /// From where it is probed.
    pub source: Sources,
    /// Whether a probe that passes counts as failed, and the other way round.
    pub invert: bool,
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
    /// What slowness does: level 1 is the first of these.
    pub degraded: Vec<Step>,
}

/// One level of slowness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Probes that take longer than this are of this level, or of a higher one.
    pub over: Duration,
    /// What is left of an endpoint's weight.
    pub weight: Percent,
}

impl Check {
    /// What is left of an endpoint's weight at a level; 0 is none.
    pub fn weight_at(&self, level: u8) -> Percent {
        let step = usize::from(level).checked_sub(1).and_then(|at| {
            // Files may have fewer levels than when it was measured.
            self.degraded.get(at).or(self.degraded.last())
        });
        step.map_or(Percent(100), |step| step.weight)
    }

    /// The level of a probe that took so long.
    pub fn level_of(&self, took: Duration) -> u8 {
        self.degraded.iter().filter(|step| took > step.over).count() as u8
    }

    /// Whether both ask the same thing in the same way, so that what one has found out is true for the other.
    pub fn is_same_probe(&self, other: &Self) -> bool {
        (&self.kind, self.port, self.invert) == (&other.kind, other.port, other.invert)
    }

    /// The check as it is for an endpoint that differs in some things.
    pub fn with(&self, special: Option<&Special>) -> Cow<'_, Self> {
        let Some(Special { check: _, port, host, path }) = special else {
            return Cow::Borrowed(self);
        };
        let mut check = self.clone();
        check.port = port.unwrap_or(check.port);
        match &mut check.kind {
            CheckKind::Http(http) | CheckKind::Https(http, _) => {
                http.host = host.clone().or(http.host.take());
                http.path = path.clone().unwrap_or_else(|| http.path.clone());
            }
            CheckKind::Tls(tls) => tls.server_name = host.clone().or(tls.server_name.take()),
            CheckKind::Grpc(grpc) | CheckKind::Grpcs(grpc, _) => {
                grpc.host = host.clone().or(grpc.host.take());
            }
            CheckKind::Tcp(_)
            | CheckKind::Dns(_)
            | CheckKind::Udp(_)
            | CheckKind::Icmp
            | CheckKind::Exec(_)
            | CheckKind::Push(_)
            | CheckKind::File(_)
            | CheckKind::Composite(_) => {}
        }
        Cow::Owned(check)
    }
}

/// What one probe does.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// A TCP connection is accepted, and what is said over it is answered as expected.
    Tcp(Talk),
    /// A TLS handshake brings a good certificate.
    Tls(TlsCheck),
    /// An HTTP request gets an expected answer.
    Http(HttpCheck),
    /// The same behind TLS.
    Https(HttpCheck, TlsCheck),
    /// A gRPC service says that it serves.
    Grpc(GrpcCheck),
    /// The same behind TLS.
    Grpcs(GrpcCheck, TlsCheck),
    /// A name server gives the expected answer.
    Dns(DnsCheck),
    /// A datagram is answered as expected.
    Udp(Talk),
    /// An ICMP echo request is answered.
    Icmp,
    /// A command ends well.
    Exec(ExecCheck),
    /// Somebody else reports.
    Push(PushCheck),
    /// A file says what is up.
    File(FileCheck),
    /// Other checks pass: nothing is probed for it.
    Composite(Composite),
}

impl CheckKind {
    /// Whether a probe depends on whose address it is, and not on the address alone: it is never shared by two endpoints.
    pub fn is_of_endpoint(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Push(_) | Self::File(_))
    }
}

/// In what one endpoint differs from a check by which it is probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Special {
    /// Which check; `None`: every one by which it is probed and of which nothing else is said.
    pub check: Option<CheckId>,
    /// Its own port.
    pub port: Option<u16>,
    /// Its own host.
    pub host: Option<Box<str>>,
    /// Its own path.
    pub path: Option<Box<str>>,
}

/// Addresses of this host from which probes go out, by the family of what is probed; `None`: the system chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// To IPv4.
    pub v4: Option<Ipv4Addr>,
    /// To IPv6.
    pub v6: Option<Ipv6Addr>,
}

impl Sources {
    /// From where an address of a family is probed.
    pub fn of(self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

/// Octets that a probe reads, at most, headers, TLS and all that it is redirected to included; the rest is never fetched.
///
/// Source: what a hostile backend may cost by the requirements; peers search 5 KiB (Route 53) to 8 KiB (Akamai) of a body.
pub const BODY_MAX: usize = 64 * 1024;

/// Largest compiled regular expression, in octets: what one check may take of memory.
///
/// Source: a tenth of the library's own default of 10 MB, which endpoints by the thousand do not bear.
pub const REGEX_SIZE_MAX: usize = 1024 * 1024;

//! Why a probe failed, in the words an operator wants at three in the morning.
//!
//! Finds the real reason under the layers of hyper, I/O and rustls errors.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;
use std::time::SystemTime;

use rustls::CertificateError;
use thiserror::Error;

use crate::http1::Fault;
use crate::runtime::probe::progress::Phase;

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProbeFailure {
    /// Nothing listens on the port, or a firewall says so.
    #[error("connect refused")]
    Refused,
    /// No connection for another reason: no route, host down, network down.
    #[error("connect failed: {0}")]
    Unreachable(Box<str>),
    /// The deadline passed.
    #[error("timed out after {after:?}, {phase}")]
    TimedOut {
        /// The check's timeout.
        after: Duration,
        /// What was not over by then.
        phase: Phase,
    },
    /// The backend closed or reset the connection too early.
    #[error("connection closed early, {0}")]
    Closed(Phase),
    /// The status is none of those wanted.
    #[error("status {got}, wanted {}", Ranges(.wanted))]
    Status {
        /// What the backend sent.
        got: u16,
        /// What the check accepts.
        wanted: Vec<RangeInclusive<u16>>,
    },
    /// The body lacks the text.
    #[error("body lacks {text:?} in its {} octets", Searched(*.octets, *.whole))]
    BodyLacks {
        /// What was looked for.
        text: Box<str>,
        /// How much of the body was searched.
        octets: usize,
        /// Whether that was all of it.
        whole: bool,
    },
    /// The backend's certificate is not good.
    #[error("certificate: {0}")]
    Certificate(Box<str>),
    /// The TLS handshake or a record failed for another reason.
    #[error("TLS: {0}")]
    Tls(Box<str>),
    /// The body does not match the regular expression.
    #[error("body does not match /{regex}/ in its {} octets", Searched(*.octets, *.whole))]
    BodyUnmatched {
        /// What was looked for.
        regex: Box<str>,
        /// How much of the body was searched.
        octets: usize,
        /// Whether that was all of it.
        whole: bool,
    },
    /// A reply lacks what it must hold.
    #[error("reply lacks {wanted}, it begins with {got}")]
    ReplyLacks {
        /// What was looked for, as shown to people.
        wanted: Box<str>,
        /// The beginning of what came.
        got: Box<str>,
    },
    /// What came back says in its own way that it is not as it must be.
    #[error("{0}")]
    Answer(Box<str>),
    /// A redirect leads where no probe goes.
    #[error("{0}")]
    Redirect(Box<str>),
    /// What a redirect led to failed.
    #[error("redirected to {url}: {failure}")]
    Behind {
        /// Where it led.
        url: Box<str>,
        /// What came up there.
        failure: Box<Self>,
    },
    /// The probe passed, and the check is inverted.
    #[error("passed, and the check is inverted")]
    Inverted,
    /// What came back is not an HTTP response we accept.
    #[error("not a valid HTTP response: {0}")]
    NotHttp(Box<str>),
    /// The backend sent more octets than a probe ever reads, and they did not settle it.
    #[error("backend sent more than {0} octets, and no probe reads more")]
    TooMuch(usize),
    /// The check cannot be run as it is written.
    #[error("check cannot be run: {0}")]
    BadCheck(Box<str>),
    /// This machine ran out of something; says nothing about the backend.
    #[error("this host cannot probe: {0}")]
    Local(Box<str>),
    /// Nobody can know yet; says nothing about the backend either.
    #[error("{0}")]
    Waiting(Box<str>),
    /// A bug in the probe.
    #[error("probe panicked: {0}")]
    Panicked(Box<str>),
}

impl ProbeFailure {
    /// Tells whether it is this machine's fault, or nobody's, so that it is no evidence against the target.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_) | Self::Waiting(_))
    }

    /// Most octets of a reply that are shown.
    pub(super) const SHOWN_MAX: usize = 64;

    /// A reply that began with `got` and did not hold `wanted`.
    pub(super) fn reply_lacks(wanted: &[u8], got: &[u8]) -> Self {
        Self::ReplyLacks { wanted: readable_octets(wanted), got: readable_octets(got) }
    }

    /// The failure behind an I/O error that came up in `phase`.
    pub(super) fn from_io(error: &io::Error, phase: Phase) -> Self {
        if is_local(error) {
            return Self::Local(error.to_string().into());
        }
        if let Some(failure) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return failure.clone();
        }
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::from_tls(tls);
        }
        match (phase, error.kind()) {
            (Phase::Connecting, io::ErrorKind::ConnectionRefused) => Self::Refused,
            (Phase::Connecting, _) => Self::Unreachable(error.to_string().into()),
            (
                Phase::Resolving
                | Phase::Handshake
                | Phase::AwaitingResponse
                | Phase::ReadingBody
                | Phase::Running,
                _,
            ) => Self::Closed(phase),
        }
    }

    /// The failure behind an error of hyper that came up in `phase`.
    pub(super) fn from_hyper(error: &hyper::Error, phase: Phase) -> Self {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return Self::from_io(io, phase);
            }
            source = error.source();
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::Closed(phase);
        }
        Self::NotHttp(error.to_string().into())
    }

    fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(reason) => {
                Self::Certificate(certificate_text(reason).into())
            }
            other => Self::Tls(other.to_string().into()),
        }
    }
}

impl From<Fault> for ProbeFailure {
    fn from(fault: Fault) -> Self {
        Self::NotHttp(fault.to_string().into())
    }
}

/// Tells whether the error is about this machine's own files, memory or ports.
fn is_local(error: &io::Error) -> bool {
    let ours = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| ours.contains(&code))
}

/// A moment in seconds since 1970, for people.
pub(super) fn date(at_s: u64) -> String {
    // The last second that four digits of a year can say.
    let at_s = at_s.min(253_402_300_799);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Octets as a text with escapes, cut if they are many.
fn readable_octets(octets: &[u8]) -> Box<str> {
    let shown = &octets[..octets.len().min(ProbeFailure::SHOWN_MAX)];
    let more = if shown.len() < octets.len() { "..." } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii()).into()
}

fn certificate_text(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired {}", date(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("not valid before {}", date(not_before.as_secs()))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().map(|name| readable(name)).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "no name at all" } else { &names };
            format!("not valid for {}, only for {names}", expected.to_str())
        }
        CertificateError::UnknownIssuer => "its issuer is not trusted".to_owned(),
        other => other.to_string(),
    }
}

/// A name of a certificate without webpki's wrapping: `DnsName("shop.test")` is `shop.test`.
fn readable(name: &str) -> &str {
    let inner = name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")"));
    inner.unwrap_or(name)
}

/// `200-299, 301`.
struct Ranges<'a>(&'a [RangeInclusive<u16>]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let (first, last) = (range.start(), range.end());
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// `first 65536` of a longer body, `whole 12` of a short one.
struct Searched(usize, bool);

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(octets, whole) = self;
        write!(f, "{} {octets}", if *whole { "whole" } else { "first" })
    }
}

#[cfg(test)]
mod tests {
    use super::Phase;
    use super::ProbeFailure;
    use std::io;
    use std::time::Duration;

    #[test]
    fn failures_read_like_a_sentence() {
        let text = |failure: ProbeFailure| failure.to_string();
        assert_eq!(
            text(ProbeFailure::Status { got: 503, wanted: vec![200..=299, 301..=301] }),
            "status 503, wanted 200-299, 301"
        );
        let lacks = |whole| ProbeFailure::BodyLacks { text: "ok".into(), octets: 65_536, whole };
        assert_eq!(text(lacks(false)), "body lacks \"ok\" in its first 65536 octets");
        assert_eq!(text(lacks(true)), "body lacks \"ok\" in its whole 65536 octets");
        let late =
            ProbeFailure::TimedOut { after: Duration::from_secs(2), phase: Phase::Handshake };
        assert_eq!(text(late), "timed out after 2s, in the TLS handshake");
    }

    #[test]
    fn running_out_of_files_is_no_evidence_but_no_route_is() {
        let failure =
            |code| ProbeFailure::from_io(&io::Error::from_raw_os_error(code), Phase::Connecting);
        assert!(failure(libc::EMFILE).is_local());
        assert!(failure(libc::EADDRNOTAVAIL).is_local());
        assert!(!failure(libc::ENETUNREACH).is_local());
        assert_eq!(failure(libc::ECONNREFUSED), ProbeFailure::Refused);
    }
}

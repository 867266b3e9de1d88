//! How far a probe has come, how long each part of it took, and what it saw on its way.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::probe::tap::Ear;
use crate::runtime::probe::tap::Tap;

/// How far a probe has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking a name up that a redirect leads to.
    Resolving,
    /// Opening the connection.
    Connecting,
    /// In the TLS handshake.
    Handshake,
    /// The request is on its way, nothing complete has come back.
    AwaitingResponse,
    /// Reading the body.
    ReadingBody,
    /// A command runs.
    Running,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "resolving a name",
            Self::Connecting => "connecting",
            Self::Handshake => "in the TLS handshake",
            Self::AwaitingResponse => "waiting for the response",
            Self::ReadingBody => "reading the body",
            Self::Running => "running the command",
        })
    }
}

/// How long the parts of a probe took; `None` for those it did not come to, or has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Until a name was resolved. Names of endpoints are resolved in the background: only redirects lead to others.
    pub dns: Option<Duration>,
    /// Until the connection stood.
    pub connect: Option<Duration>,
    /// From then until the TLS handshake was over.
    pub tls: Option<Duration>,
    /// From the request until the first of the response: for HTTP, its header block.
    pub first_byte: Option<Duration>,
}

impl Phases {
    /// Each that was measured, with its name, in the order in which they come.
    fn named(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let Self { dns, connect, tls, first_byte } = *self;
        let parts = [("dns", dns), ("connect", connect), ("tls", tls), ("first byte", first_byte)];
        parts.into_iter().filter_map(|(name, took)| Some((name, took?)))
    }
}

/// As `connect 1.2 ms, tls 8.0 ms, first byte 3.4 ms`; empty if nothing was measured.
impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, took)) in self.named().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {:.1} ms", took.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// What a probe saw on its way, whatever came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Status of the last HTTP response.
    pub status: Option<u16>,
    /// Where that response leads, if it is a redirect.
    pub location: Option<Box<[u8]>>,
    /// When the certificate seen last expires, in seconds since 1970; none was shown where a session was resumed.
    pub certificate_until_s: Option<u64>,
    /// URLs that redirects led to, each with its address.
    pub redirects: Vec<Box<str>>,
}

/// The clock of one probe: what it is at, since when, and what is behind it.
#[derive(Debug)]
pub(super) struct Progress {
    phase: Phase,
    since: Instant,
    phases: Phases,
    /// What it saw.
    pub(super) seen: Seen,
    ear: Option<Ear>,
}

impl Progress {
    /// A probe begins; who wants to hear what the backend says has an ear.
    pub(super) fn start(ear: Option<Ear>) -> Self {
        Self {
            phase: Phase::Connecting,
            since: Instant::now(),
            phases: Phases::default(),
            seen: Seen::default(),
            ear,
        }
    }

    /// Whether anybody wants to hear it.
    pub(super) fn is_heard(&self) -> bool {
        self.ear.is_some()
    }

    /// Has whoever wants to hear it hear what comes over a stream.
    pub(super) fn tap<S>(&self, stream: S) -> Tap<S> {
        Tap::new(stream, self.ear.clone())
    }

    /// Has whoever wants to hear it hear these octets.
    pub(super) fn hear(&self, octets: &[u8]) {
        if let Some(ear) = &self.ear {
            ear.hear(octets);
        }
    }

    /// A redirect leads there: what comes from now on is said by somebody else.
    pub(super) fn redirected(&mut self, place: Box<str>) {
        self.seen.redirects.push(place);
        if let Some(ear) = &self.ear {
            ear.forget();
        }
    }

    /// The head of an HTTP response has come; `location` is its header of that name.
    pub(super) fn saw_head(&mut self, status: u16, location: Option<&[u8]>) {
        let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        self.seen.status = Some(status);
        self.seen.location = location.filter(|_| is_redirect).map(Into::into);
    }

    /// What it is at.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// What was measured so far.
    pub(super) fn phases(&self) -> Phases {
        self.phases
    }

    /// The phase before is over, and this one begins. Of what is done twice the times add up.
    pub(super) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        let took = now - self.since;
        let more = |before: Option<Duration>| Some(before.unwrap_or_default() + took);
        match self.phase {
            Phase::Resolving => self.phases.dns = more(self.phases.dns),
            Phase::Connecting => self.phases.connect = more(self.phases.connect),
            Phase::Handshake => self.phases.tls = more(self.phases.tls),
            Phase::AwaitingResponse => self.phases.first_byte = more(self.phases.first_byte),
            Phase::ReadingBody | Phase::Running => {}
        }
        (self.phase, self.since) = (phase, now);
    }
}

#[cfg(test)]
mod tests {
    use super::Phase;
    use super::Progress;
    use std::time::Duration;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_time_and_one_that_was_not_over_has_none() {
        let mut progress = Progress::start(None);
        advance(Duration::from_millis(2)).await;
        progress.enter(Phase::Handshake);
        advance(Duration::from_millis(30)).await;
        assert_eq!(progress.phases().to_string(), "connect 2.0 ms");
        progress.enter(Phase::AwaitingResponse);
        advance(Duration::from_millis(4)).await;
        progress.enter(Phase::ReadingBody);
        advance(Duration::from_millis(500)).await;
        assert_eq!(progress.phases().to_string(), "connect 2.0 ms, tls 30.0 ms, first byte 4.0 ms");
        assert_eq!(progress.phase(), Phase::ReadingBody);
    }
}

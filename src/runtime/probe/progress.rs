//! How far a probe has come, and how long each part of it took.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How far a probe has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
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
    /// Until the connection stood.
    pub connect: Option<Duration>,
    /// From then until the TLS handshake was over.
    pub tls: Option<Duration>,
    /// From the request until the first of the response: for HTTP, its header block.
    pub first_byte: Option<Duration>,
}

/// As `connect 1.2 ms, tls 8.0 ms, first byte 3.4 ms`; empty if nothing was measured.
impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("connect", self.connect), ("tls", self.tls), ("first byte", self.first_byte)];
        let known = parts.into_iter().filter_map(|(name, took)| Some((name, took?)));
        for (position, (name, took)) in known.enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {:.1} ms", took.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// The clock of one probe: what it is at, since when, and what is behind it.
#[derive(Debug)]
pub(super) struct Progress {
    phase: Phase,
    since: Instant,
    phases: Phases,
}

impl Progress {
    /// A probe begins.
    pub(super) fn start() -> Self {
        Self { phase: Phase::Connecting, since: Instant::now(), phases: Phases::default() }
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
        let mut progress = Progress::start();
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

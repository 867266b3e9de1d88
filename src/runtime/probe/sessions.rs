//! TLS sessions that probes of one target resume, without losing sight of its certificate.
//!
//! A resumed handshake shows no certificate. So a session is resumed only until [`FULL_EVERY`] after its last full
//! handshake, and only if the certificate of that one is good until then: one that expires, or is not valid for another
//! reason of time, is seen at the first probe after that moment, and one that was replaced within [`FULL_EVERY`]. TLS 1.3
//! only (RFC 8446 section 2.2), with a key exchange of its own each time.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustls::NamedGroup;
use rustls::client::ClientSessionStore;
use rustls::client::Tls12ClientSessionValue;
use rustls::client::Tls13ClientSessionValue;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;

/// Longest time from one full handshake to the next.
///
/// Source: certificates are replaced days before they expire, by hand within minutes; at an interval of 10 s one probe in 60.
pub(super) const FULL_EVERY: Duration = Duration::from_secs(600);

/// Octets that a connection may have read when its ticket comes, or the ticket is not kept: it holds the chain of
/// certificates and the ticket, which a hostile backend chooses.
const SESSION_MAX: usize = 16 * 1024;

/// The session of one target, if there is one to resume.
#[derive(Default)]
pub(super) struct Tickets {
    kept: Mutex<Kept>,
    /// Octets that the present connection has read.
    read: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Kept {
    ticket: Option<Tls13ClientSessionValue>,
    group: Option<NamedGroup>,
    /// Until when a session is resumed: nothing before its certificate was judged.
    resume_until: Duration,
}

impl Tickets {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins; a session whose time is over is forgotten.
    pub(super) fn begin(&self, now: UnixTime) {
        self.read.store(0, Relaxed);
        let mut kept = self.kept();
        let left = kept.resume_until.checked_sub(Duration::from_secs(now.as_secs()));
        // A clock that was set back must not make it longer.
        if left.is_none_or(|left| left.is_zero() || left > FULL_EVERY) {
            (kept.ticket, kept.resume_until) = (None, Duration::ZERO);
        }
    }

    /// Where a connection counts the octets that it reads.
    pub(super) fn tally(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.read)
    }

    /// Whether the backend gave a ticket.
    pub(super) fn has_ticket(&self) -> bool {
        self.kept().ticket.is_some()
    }

    /// A full handshake is over, and its certificate is good for [`FULL_EVERY`] from `now` on, or not.
    pub(super) fn judge(&self, is_good: bool, now: UnixTime) {
        let mut kept = self.kept();
        match is_good {
            true => kept.resume_until = Duration::from_secs(now.as_secs()) + FULL_EVERY,
            false => (kept.ticket, kept.resume_until) = (None, Duration::ZERO),
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("has_ticket", &self.has_ticket()).finish_non_exhaustive()
    }
}

/// One target, so that the name does not matter.
impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        if self.read.load(Relaxed) <= SESSION_MAX {
            self.kept().ticket = Some(ticket);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().ticket.take()
    }
}

//! Tells systemd how the server fares: ready, reloading, stopping, alive (sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment all of it does nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// A handle on whoever started us.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    /// Whether there is somebody to tell.
    is_there: bool,
    /// How long systemd waits for a sign of life, if it waits for any.
    watchdog: Option<Duration>,
    /// Whether the start is over: only then is there something to reload.
    has_started: Arc<AtomicBool>,
}

impl ServiceManager {
    /// What the environment names.
    pub fn from_environment() -> Self {
        Self {
            is_there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: sd_notify::watchdog_enabled(),
            has_started: Arc::default(),
        }
    }

    /// Says that queries are answered.
    pub fn say_ready(&self) {
        self.has_started.store(true, Ordering::Release);
        self.tell(&[NotifyState::Ready]);
    }

    /// Whether the start is over.
    pub fn has_started(&self) -> bool {
        self.has_started.load(Ordering::Acquire)
    }

    /// Says that files are being read again.
    pub fn say_reloading(&self) {
        // From systemd 253 on it wants the time with it, to know which of several reloads this is.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// Says that the files are in force, or refused.
    pub fn say_reloaded(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Says that it is about to end.
    pub fn say_stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Says in a line how things stand.
    pub fn say_status(&self, text: &str) {
        self.tell(&[NotifyState::Status(text)]);
    }

    /// A watchdog to be kept by the loop whose life counts.
    pub fn watchdog(&self) -> Watchdog {
        Watchdog { manager: self.clone(), last: None }
    }

    /// Who does not listen to us cannot be told of it either.
    fn tell(&self, states: &[NotifyState<'_>]) {
        if self.is_there {
            let _ = sd_notify::notify(states);
        }
    }
}

/// Signs of life, no more often than needed.
#[derive(Debug)]
pub struct Watchdog {
    manager: ServiceManager,
    last: Option<Instant>,
}

impl Watchdog {
    /// Gives a sign of life if the last one is a third of systemd's patience old.
    pub fn keep(&mut self) {
        let Some(patience) = self.manager.watchdog else { return };
        if self.last.is_none_or(|last| last.elapsed() >= patience / 3) {
            self.last = Some(Instant::now());
            self.manager.tell(&[NotifyState::Watchdog]);
        }
    }
}

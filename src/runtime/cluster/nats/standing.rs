//! How this node stands with the bus: reachable or not, since when and why, and how long there and back takes.
//!
//! For people, and to know when it is worth speaking. Who is alive comes from beats.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::control::cluster::status::BusStatus;

/// A value of this node's own that has not come back after so long: the bus does not carry what it says.
const ECHO_MAX: Duration = Duration::from_secs(5);

/// Least time between two lines of the log that give the same reason why the bus cannot be reached.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Most lines in that time, whatever reasons there are.
const TOLD_MAX: usize = 4;

/// How this node stands with the bus.
#[derive(Debug)]
pub(super) struct Standing {
    /// Whether there is a connection.
    connected: watch::Sender<bool>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Why it is not reachable; `None` if it is.
    why: Option<String>,
    since: Instant,
    since_unix: Duration,
    /// Which reasons were told of late, and when.
    told: Vec<(String, Instant)>,
    /// Which was told last.
    last_told: String,
    /// The value that is to come back, and when it was said.
    echo: Option<(Vec<u8>, Instant)>,
    round_trip: Option<Duration>,
}

impl Default for Standing {
    fn default() -> Self {
        let inner = Inner {
            why: Some("it was not dialled yet".to_owned()),
            since: Instant::now(),
            since_unix: unix(),
            told: Vec::new(),
            last_told: String::new(),
            echo: None,
            round_trip: None,
        };
        Self { connected: watch::channel(false).0, inner: Mutex::new(inner) }
    }
}

impl Standing {
    /// Waits for a connection.
    pub(super) async fn until_connected(&self) {
        // It lives as long as the bus does, so this cannot fail.
        let _ = self.connected.subscribe().wait_for(|connected| *connected).await;
    }

    /// There is a connection.
    pub(super) fn connect(&self) {
        self.connected.send_replace(true);
        self.reach();
    }

    /// There is none.
    pub(super) fn lose(&self, why: &str) {
        self.connected.send_replace(false);
        let mut inner = self.lock();
        inner.echo = None;
        inner.round_trip = None;
        inner.lose(why);
    }

    /// Something is said; if nothing is awaited, it is to come back.
    pub(super) fn sent(&self, octets: &[u8]) {
        self.lock().echo.get_or_insert_with(|| (octets.to_vec(), Instant::now()));
    }

    /// Something of this node's own came.
    pub(super) fn came_back(&self, octets: &[u8]) {
        let mut inner = self.lock();
        let is_it = inner.echo.as_ref().is_some_and(|(awaited, _)| awaited == octets);
        if let Some((_, sent)) = inner.echo.take_if(|_| is_it) {
            inner.round_trip = Some(sent.elapsed());
            drop(inner);
            self.reach();
        }
    }

    /// Notes if what was said does not come back. `refused`: what the server has last said against it.
    pub(super) fn check_echo(&self, refused: Option<&str>) {
        let mut inner = self.lock();
        let Some((_, sent)) = inner.echo.as_ref() else { return };
        if sent.elapsed() < ECHO_MAX {
            return;
        }
        // The next value is to come back.
        inner.echo = None;
        inner.round_trip = None;
        let why = refused.unwrap_or("may it publish and subscribe there?");
        inner.lose(&format!("it does not give back what this node says: {why}"));
    }

    /// How it stands.
    pub(super) fn status(&self) -> BusStatus {
        let inner = self.lock();
        BusStatus {
            is_reachable: inner.why.is_none(),
            since_unix_s: inner.since_unix.as_secs(),
            why: inner.why.clone().unwrap_or_default(),
            round_trip_ms: inner.round_trip.map(|time| time.as_secs_f64() * 1000.0),
        }
    }

    fn reach(&self) {
        let mut inner = self.lock();
        if inner.why.take().is_some() {
            let after = inner.since.elapsed();
            tracing::info!(target: "rhumb::cluster", ?after, "the bus is reachable");
            (inner.since, inner.since_unix) = (Instant::now(), unix());
            (inner.told, inner.last_told) = (Vec::new(), String::new());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with the lock")
    }
}

impl Inner {
    fn lose(&mut self, why: &str) {
        if self.why.is_none() {
            (self.since, self.since_unix) = (Instant::now(), unix());
        }
        self.why = Some(why.to_owned());
        if self.may_tell(why) {
            let since = humantime::format_rfc3339_seconds(UNIX_EPOCH + self.since_unix);
            tracing::warn!(
                target: "rhumb::cluster", %since, why,
                "bus unreachable: verdicts that need votes of other sites hold, answers go on"
            );
        }
    }
}

impl Inner {
    /// Whether a reason is to be told: another than was told last, that was not told within a minute either. What is seen first,
    /// a lost connection, is seldom the true one.
    fn may_tell(&mut self, why: &str) -> bool {
        if why == self.last_told {
            return false;
        }
        self.told.retain(|(_, at)| at.elapsed() < TELL_EVERY);
        let may_tell = self.told.len() < TOLD_MAX && self.told.iter().all(|(told, _)| told != why);
        if may_tell {
            self.told.push((why.to_owned(), Instant::now()));
            self.last_told = why.to_owned();
        }
        may_tell
    }
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_back_is_measured_and_what_does_not_is_told() {
        let standing = Standing::default();
        assert!(!standing.status().is_reachable);
        standing.connect();
        assert!(standing.status().is_reachable);
        standing.sent(b"one");
        standing.sent(b"two");
        tokio::time::advance(Duration::from_millis(7)).await;
        standing.came_back(b"two");
        assert_eq!(standing.status().round_trip_ms, None, "one is awaited");
        standing.came_back(b"one");
        assert_eq!(standing.status().round_trip_ms, Some(7.0));
        standing.sent(b"three");
        tokio::time::advance(ECHO_MAX).await;
        standing.check_echo(Some("Permissions Violation"));
        let status = standing.status();
        assert!(!status.is_reachable && status.why.contains("Permissions Violation"), "{status:?}");
        standing.sent(b"four");
        standing.came_back(b"four");
        assert!(standing.status().is_reachable, "it does again");
    }

    #[tokio::test(start_paused = true)]
    async fn each_reason_is_told_once_a_minute_and_the_true_one_is_not_kept_back_by_the_first() {
        let standing = Standing::default();
        standing.connect();
        let tell = |why: &str| {
            let before = standing.lock().last_told.clone();
            standing.lose(why);
            standing.lock().last_told != before
        };
        assert!(tell("the connection is lost"));
        assert!(tell("certificate expired"), "a second later the true one is known");
        assert!(!tell("the connection is lost") && !tell("certificate expired"));
        tokio::time::advance(TELL_EVERY).await;
        let told: Vec<bool> = (0..9).map(|number| tell(&format!("reason {number}"))).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), TOLD_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_connection_goes_on_when_there_is_one() {
        let standing = Standing::default();
        standing.connect();
        standing.until_connected().await;
        standing.lose("gone");
        assert_eq!(standing.status().why, "gone");
        let waits = tokio::time::timeout(Duration::from_secs(60), standing.until_connected());
        assert!(waits.await.is_err());
    }
}

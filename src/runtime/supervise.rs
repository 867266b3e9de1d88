//! Keeps long tasks alive: restarts one that panics or returns, with back-off.
//!
//! Does not know what the tasks do, and passes no state from one life to the next.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Wait before the first restart; doubles from one to the next.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);

/// Longest wait before a restart.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// A life at least this long makes the next back-off start from the least again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Runs `make`'s task until `stop`, and makes a new one whenever it ends.
///
/// `restarts` is called with `name` at each restart, to count it. At `stop` the task is dropped where
/// it stands; a task that wants to end in order watches the same token.
pub async fn supervise<M, F>(
    name: &'static str,
    stop: CancellationToken,
    mut restarts: impl FnMut(&'static str),
    mut make: M,
) where
    M: FnMut() -> F,
    F: Future<Output = ()>,
{
    let mut back_off = BACK_OFF_MIN;
    loop {
        let born = Instant::now();
        let reason = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            reason = life(&mut make) => reason,
        };
        if stop.is_cancelled() {
            return;
        }
        if born.elapsed() >= HEALTHY_AFTER {
            back_off = BACK_OFF_MIN;
        }
        tracing::error!(task = name, reason, restart_in = ?back_off, "task ended, restarting it");
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(back_off) => {}
        }
        back_off = (back_off * 2).min(BACK_OFF_MAX);
        restarts(name);
    }
}

/// Lives one life of the task and tells why it ended.
async fn life<F: Future<Output = ()>>(make: &mut impl FnMut() -> F) -> String {
    let task = AssertUnwindSafe(async { make().await });
    match task.catch_unwind().await {
        Ok(()) => "returned".to_owned(),
        Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
    }
}

/// The message of a caught panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&'static str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::supervise;
    use std::cell::Cell;
    use std::cell::RefCell;
    use std::time::Duration;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Runs `lives` under a supervisor; tells when each life began and how many restarts were counted.
    ///
    /// A life is how long it lasts and whether it ends by a panic; after the last one it stops.
    async fn births(lives: &[(Duration, bool)]) -> (Vec<Duration>, usize) {
        let (start, stop) = (Instant::now(), CancellationToken::new());
        let (births, restarts) = (RefCell::new(Vec::new()), Cell::new(0));
        let count = |name| {
            assert_eq!(name, "patient");
            restarts.set(restarts.get() + 1);
        };
        supervise("patient", stop.clone(), count, || async {
            let life = births.borrow().len();
            births.borrow_mut().push(start.elapsed());
            let Some((length, panics)) = lives.get(life) else {
                stop.cancel();
                return std::future::pending().await;
            };
            tokio::time::sleep(*length).await;
            assert!(!panics, "life {life} went wrong");
        })
        .await;
        (births.into_inner(), restarts.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_twice_is_restarted_and_goes_on() {
        let (births, restarts) = births(&[(ms(10), true), (ms(10), true)]).await;
        assert_eq!(births, [ms(0), ms(110), ms(320)]);
        assert_eq!(restarts, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_returns_is_restarted_too() {
        let (births, restarts) = births(&[(ms(0), false)]).await;
        assert_eq!((births.len(), restarts), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn back_off_doubles_to_thirty_seconds_and_starts_again_after_a_healthy_minute() {
        let mut lives = vec![(ms(0), true); 11];
        lives.push((ms(60_000), true));
        let (births, _) = births(&lives).await;
        let waits: Vec<_> = births.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let doubled = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
        assert_eq!(waits[..11], doubled.map(ms));
        assert_eq!(waits[11], ms(60_100));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_restarted_after_stop() {
        let stop = CancellationToken::new();
        let lives = Cell::new(0);
        supervise(
            "patient",
            stop.clone(),
            |_| panic!("restarted"),
            || async {
                lives.set(lives.get() + 1);
                stop.cancel();
            },
        )
        .await;
        assert_eq!(lives.get(), 1);
    }
}

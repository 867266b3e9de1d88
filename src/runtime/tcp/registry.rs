//! The open connections in the order in which they were last used.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::runtime::tcp::counters::TcpCounters;

/// What a connection's task tells of itself.
pub(crate) struct Activity {
    number: u64,
    clock: Arc<AtomicU64>,
    last_used: AtomicU64,
    writing: AtomicBool,
}

impl Activity {
    /// Notes that a complete query came: of all connections this is now the one used last.
    pub(crate) fn touch(&self) {
        self.last_used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes whether replies wait to be written.
    pub(crate) fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::SeqCst);
    }
}

/// A connection in the registry, filed under the time of use that was last looked at.
struct Filed {
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// Keys are (last use as filed, number); a filed use is never later than the true one.
#[derive(Default)]
struct Order {
    filed: BTreeMap<(u64, u64), Filed>,
    keys: BTreeMap<u64, u64>,
}

/// The open connections.
pub(crate) struct Registry {
    order: Mutex<Order>,
    clock: Arc<AtomicU64>,
    closing: AtomicBool,
    closed: CancellationToken,
    tasks: TaskTracker,
    counters: TcpCounters,
}

impl Registry {
    /// With no connections.
    pub(crate) fn new(counters: TcpCounters) -> Registry {
        let (order, clock, closing) = (Mutex::default(), Arc::default(), AtomicBool::new(false));
        let (closed, tasks) = (CancellationToken::new(), TaskTracker::new());
        Registry { order, clock, closing, closed, tasks, counters }
    }

    /// Runs a connection's task and keeps it in the registry for as long as it runs.
    pub(crate) fn spawn<F>(&self, make: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let number = self.clock.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity {
            number,
            clock: Arc::clone(&self.clock),
            last_used: AtomicU64::new(number),
            writing: AtomicBool::new(false),
        });
        self.counters.cells.accepted.add(1);
        let future = make(Arc::clone(&activity));
        // Locked until it is filed, so that a task which ends at once is not filed after its end. The
        // future must not lock when it is dropped unpolled: a runtime that shuts down does so here.
        let mut order = self.lock();
        let task = self.tasks.spawn(future).abort_handle();
        order.filed.insert((number, number), Filed { activity, task });
        order.keys.insert(number, number);
    }

    /// Takes a connection out; its task calls this last, however it ends.
    pub(crate) fn remove(&self, activity: &Activity) {
        if self.lock().take(activity.number).is_some() {
            self.counters.cells.closed.add(1);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().keys.len()
    }

    /// Closes the connection whose last complete query is longest ago; false if there is none.
    pub(crate) fn evict_oldest(&self) -> bool {
        let mut order = self.lock();
        let Some(oldest) = order.take_oldest() else { return false };
        drop(order);
        oldest.task.abort();
        self.counters.cells.closed.add(1);
        self.counters.cells.evicted.add(1);
        true
    }

    /// Tells whether connections should end as soon as their replies are written.
    ///
    /// Ordered against [`Activity::set_writing`]: a task that [`Registry::close_all`] saw writing finds
    /// this true when it has written.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Waits until connections should end; asking [`Registry::is_closing`] is cheaper.
    pub(crate) async fn wait_for_closing(&self) {
        self.closed.cancelled().await;
    }

    /// Closes all: those that write get `patience` to finish.
    pub(crate) async fn close_all(&self, patience: Duration) {
        self.closing.store(true, Ordering::SeqCst);
        self.closed.cancel();
        self.tasks.close();
        self.abort_if(|activity| !activity.writing.load(Ordering::SeqCst));
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            self.abort_if(|_| true);
            self.tasks.wait().await;
        }
        // A task that was aborted before it ran has not taken itself out.
        let left = std::mem::take(&mut *self.lock());
        self.counters.cells.closed.add(left.keys.len() as u64);
    }

    /// Aborts the tasks that `choose` picks.
    fn abort_if(&self, choose: impl Fn(&Activity) -> bool) {
        let order = self.lock();
        order.filed.values().filter(|one| choose(&one.activity)).for_each(|one| one.task.abort());
    }

    /// Nothing under the lock panics halfway.
    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Removes the one used longest ago.
    ///
    /// A use is not filed when it happens, that would need the lock; it is made good here. As filed
    /// uses are never too late, the first one found to be true is the oldest.
    fn take_oldest(&mut self) -> Option<Filed> {
        while let Some(((filed_use, number), one)) = self.filed.pop_first() {
            let true_use = one.activity.last_used.load(Ordering::Relaxed);
            if true_use == filed_use {
                self.keys.remove(&number);
                return Some(one);
            }
            self.filed.insert((true_use, number), one);
            self.keys.insert(number, true_use);
        }
        None
    }

    /// Removes one by its number.
    fn take(&mut self, number: u64) -> Option<Filed> {
        let filed_use = self.keys.remove(&number)?;
        self.filed.remove(&(filed_use, number))
    }
}

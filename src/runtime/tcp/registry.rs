//! The open connections in the order in which they were last used.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::net::IpAddr;
use std::net::Ipv6Addr;
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
use crate::runtime::tcp::limits::TcpLimits;

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

/// Whose connection it is: an IPv4 address, or the /64 that one IPv6 host has to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Who has this address.
    pub(crate) fn of(address: IpAddr) -> Client {
        Client(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }
}

/// A connection in the registry, filed under the time of use that was last looked at.
struct Filed {
    client: Client,
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// Last use as filed, and number; a filed use is never later than the true one.
type Key = (u64, u64);

/// Connections by last use, all of them and those of each client.
#[derive(Default)]
struct Order {
    filed: BTreeMap<Key, Filed>,
    /// Last use as filed, by number.
    uses: HashMap<u64, u64>,
    clients: HashMap<Client, BTreeSet<Key>>,
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
    pub(crate) fn spawn<F>(&self, client: Client, make: impl FnOnce(Arc<Activity>) -> F)
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
        order.file((number, number), Filed { client, activity, task });
    }

    /// Takes a connection out; its task calls this last, however it ends.
    pub(crate) fn remove(&self, activity: &Activity) {
        if self.lock().take(activity.number).is_some() {
            self.counters.cells.closed.add(1);
        }
    }

    /// Closes connections that were used longest ago until there is room for one more of this client's.
    pub(crate) fn make_room(&self, client: Client, limits: &TcpLimits) {
        let mut order = self.lock();
        let of_client = |order: &Order| order.clients.get(&client).map_or(0, BTreeSet::len);
        let mut oldest = Vec::new();
        while of_client(&order) >= limits.max_per_client.max(1) {
            oldest.extend(order.take_oldest(Some(client)));
        }
        while order.filed.len() >= limits.max_connections.max(1) {
            oldest.extend(order.take_oldest(None));
        }
        // Unlocked before: a task may be dropped by its abort, and locks when it is.
        drop(order);
        oldest.into_iter().for_each(|one| self.evict(one));
    }

    /// Closes the connection whose last complete query is longest ago; false if there is none.
    pub(crate) fn evict_oldest(&self) -> bool {
        let oldest = self.lock().take_oldest(None);
        oldest.map(|oldest| self.evict(oldest)).is_some()
    }

    /// Closes a connection that has been taken out.
    fn evict(&self, one: Filed) {
        one.task.abort();
        self.counters.cells.closed.add(1);
        self.counters.cells.evicted.add(1);
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().filed.len()
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
        self.counters.cells.closed.add(left.filed.len() as u64);
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
    /// Puts one in.
    fn file(&mut self, key: Key, one: Filed) {
        self.uses.insert(key.1, key.0);
        self.clients.entry(one.client).or_default().insert(key);
        self.filed.insert(key, one);
    }

    /// Removes the one used longest ago, of all or of one client.
    ///
    /// A use is not filed when it happens, that would need the lock; it is made good here. As filed
    /// uses are never too late, the first one found to be true is the oldest.
    fn take_oldest(&mut self, of: Option<Client>) -> Option<Filed> {
        loop {
            let (filed_use, number) = match of {
                None => *self.filed.first_key_value()?.0,
                Some(client) => *self.clients.get(&client)?.first()?,
            };
            let one = self.take(number)?;
            let true_use = one.activity.last_used.load(Ordering::Relaxed);
            if true_use == filed_use {
                return Some(one);
            }
            self.file((true_use, number), one);
        }
    }

    /// Removes one by its number.
    fn take(&mut self, number: u64) -> Option<Filed> {
        let key = (self.uses.remove(&number)?, number);
        let one = self.filed.remove(&key)?;
        if let Entry::Occupied(mut keys) = self.clients.entry(one.client) {
            keys.get_mut().remove(&key);
            if keys.get().is_empty() {
                keys.remove();
            }
        }
        Some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn hosts_of_one_ipv6_network_are_one_client() {
        let client = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}

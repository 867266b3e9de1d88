//! Asks the sources of endpoints in the background, each at its own pace.
//!
//! Tells what they say; what a list means, and what is kept when there is none, is for the controller to say.

mod file;
mod http;
mod srv;

pub use file::read_octets;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::control::Discovered;
use crate::control::Event;
use crate::discovery::Entry;
use crate::discovery::list;
use crate::model::ResolverSettings;
use crate::model::Source;
use crate::runtime::supervise::supervise;

/// Sources that are asked at once; the others wait for their turn.
const AT_ONCE: usize = 8;

/// Lists that wait for the controller, at most: each may have thousands of targets.
const LISTS_MAX: usize = 4;

/// Handle of the task that asks; dropping it stops it.
#[derive(Debug)]
pub struct Discoverer {
    sources: watch::Sender<Arc<[Arc<Source>]>>,
    /// What sources said and the controller has not heard yet.
    lists: mpsc::Receiver<Discovered>,
    _stop: DropGuard,
}

impl Discoverer {
    /// Starts without sources, under a supervisor, on the current tokio runtime. `restarts` counts restarts.
    pub fn spawn(
        resolver: ResolverSettings,
        restarts: impl FnMut(&'static str) + Send + 'static,
    ) -> Self {
        let (sources, wanted) = watch::channel(Arc::from([]));
        let (results, lists) = mpsc::channel(LISTS_MAX);
        let teller = Teller { results, permits: Arc::new(Semaphore::new(AT_ONCE)) };
        let resolver = Arc::new(resolver);
        let make = move || follow_all(Arc::clone(&resolver), wanted.clone(), teller.clone());
        let stop = CancellationToken::new();
        tokio::spawn(supervise("discovery", stop.clone(), restarts, make));
        Self { sources, lists, _stop: stop.drop_guard() }
    }

    /// What a source said next, once one did. Nothing is lost if this is not waited for to the end.
    pub async fn next(&mut self) -> Event {
        match self.lists.recv().await {
            Some(discovered) => Event::Discovered(discovered),
            None => std::future::pending().await, // nobody asks any more: the process is stopping
        }
    }

    /// Replaces the set of sources; those that stay are not asked anew.
    pub fn set_sources(&self, sources: Vec<Arc<Source>>) {
        self.sources.send_if_modified(|now| {
            let is_other = **now != *sources;
            *now = sources.into();
            is_other
        });
    }
}

/// Where lists go, and who may ask.
#[derive(Clone)]
struct Teller {
    results: mpsc::Sender<Discovered>,
    permits: Arc<Semaphore>,
}

/// What a source said, or why it said nothing.
type Said = Result<Vec<Entry>, Box<str>>;

impl Teller {
    /// Tells what a source said; `Err` if nobody listens any more.
    async fn tell(&self, source: &Arc<Source>, result: Said) -> Result<(), ()> {
        let discovered = Discovered { source: Arc::clone(source), result };
        self.results.send(discovered).await.map_err(|_| ())
    }
}

/// Keeps one task for each source that is wanted.
async fn follow_all(
    resolver: Arc<ResolverSettings>,
    mut wanted: watch::Receiver<Arc<[Arc<Source>]>>,
    teller: Teller,
) {
    // Dropped with this future, and every task with it.
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Arc<Source>, AbortHandle> = HashMap::new();
    loop {
        let sources = Arc::clone(&wanted.borrow_and_update());
        running.retain(|source, task| {
            let stays = sources.contains(source) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for source in sources.iter() {
            if !running.contains_key(source) {
                let follow = follow(Arc::clone(source), Arc::clone(&resolver), teller.clone());
                running.insert(Arc::clone(source), tasks.spawn(follow));
            }
        }
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return std::future::pending().await; // the handle is gone: so will we be
                }
            }
            // One that panicked is begun again with the next turn.
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Asks one source again and again until nobody listens.
async fn follow(source: Arc<Source>, resolver: Arc<ResolverSettings>, teller: Teller) {
    let _ = match &*source {
        Source::File { path } => file::follow(&source, path, &teller).await,
        Source::Http { .. } => http::follow(&source, &teller).await,
        Source::Srv { service, interval } => {
            srv::follow(&source, service, *interval, &resolver, &teller).await
        }
    };
}

/// A text to its targets; the first mistake in words, with its line, and how many more there are.
fn read(octets: Vec<u8>) -> Said {
    let text = String::from_utf8(octets).map_err(|_| Box::<str>::from("the list is not UTF-8"))?;
    list::read(&text).map_err(|faults| {
        let Some(first) = faults.first() else { return "the list cannot be read".into() };
        let line = text[..first.offset.min(text.len())].matches('\n').count() + 1;
        let more = match faults.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!("line {line}: {}; {}{more}", first.fault, first.remedy).into()
    })
}

/// An error with its causes, for libraries that show only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let said = read(b"[\n  {\"targets\": [1]},\n  {\"target\": []}\n]".to_vec()).unwrap_err();
        assert!(said.starts_with("line 2: this target is no text"), "{said}");
        assert!(said.ends_with("; and 2 more"), "{said}");
        assert_eq!(&*read(vec![0xff]).unwrap_err(), "the list is not UTF-8");
    }
}

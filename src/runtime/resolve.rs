//! Resolves the names of endpoints in the background, each again when its records end.
//!
//! Tells what it finds; what is kept when a name stops resolving is for the controller to say.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::NameServerConfig;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name as ProtoName;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::RecordType;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::control::Resolution;
use crate::model::Family;
use crate::model::ResolverSettings;
use crate::runtime::supervise::supervise;
use crate::wire::Name;

/// Names that are resolved at once; the others wait for their turn.
const AT_ONCE: usize = 16;

/// How soon a name that could not be resolved is tried again, within the limits of the settings.
const RETRY: Duration = Duration::from_secs(10);

/// Handle of the task that resolves; dropping it stops it.
#[derive(Debug)]
pub struct NameResolver {
    names: watch::Sender<Arc<[Name]>>,
    _stop: DropGuard,
}

impl NameResolver {
    /// Starts without names, under a supervisor, on the current tokio runtime. `restarts` counts restarts.
    pub fn spawn(
        settings: ResolverSettings,
        results: mpsc::Sender<Resolution>,
        restarts: impl FnMut(&'static str) + Send + 'static,
    ) -> Self {
        let (names, wanted) = watch::channel(Arc::from([]));
        let settings = Arc::new(settings);
        let make = move || follow_all(Arc::clone(&settings), wanted.clone(), results.clone());
        let stop = CancellationToken::new();
        tokio::spawn(supervise("resolver", stop.clone(), restarts, make));
        Self { names, _stop: stop.drop_guard() }
    }

    /// Replaces the set of names; those that stay are not asked for anew.
    pub fn set_names(&self, names: Vec<Name>) {
        self.names.send_replace(names.into());
    }
}

/// Keeps one task for each name that is wanted.
async fn follow_all(
    settings: Arc<ResolverSettings>,
    mut wanted: watch::Receiver<Arc<[Name]>>,
    results: mpsc::Sender<Resolution>,
) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    // Dropped with this future, and every task with it.
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Name, AbortHandle> = HashMap::new();
    loop {
        let names = Arc::clone(&wanted.borrow_and_update());
        running.retain(|name, task| {
            let stays = names.contains(name) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for name in names.iter() {
            if running.contains_key(name) {
                continue;
            }
            let follower = Follower {
                name: name.clone(),
                settings: Arc::clone(&settings),
                last: Default::default(),
                unheard: [true; 2],
                refused: Vec::new(),
            };
            let task = tasks.spawn(follower.follow(Arc::clone(&permits), results.clone()));
            running.insert(name.clone(), task);
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

/// What came of asking for both families of a name.
pub struct LookUp([Found; 2]);

impl LookUp {
    /// Every address, IPv4 first; why there is none, if nobody tells of one.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let (mut all, mut why) = (Vec::new(), Vec::new());
        for found in &self.0 {
            match found {
                Found::Addresses(addresses, _) => all.extend(addresses),
                Found::None(text) => why.push((*text).to_owned()),
                Found::Failed(text) => why.push(text.clone()),
            }
        }
        why.dedup();
        if all.is_empty() { Err(why.join("; ")) } else { Ok(all) }
    }
}

/// Asks once for both families of a name, which is absolute if it ends with a dot. Whether what comes is believed, is
/// for [`ResolverSettings::refusal`] to say.
pub async fn look_up(settings: &ResolverSettings, name: &str) -> LookUp {
    let failed = |why: String| LookUp([Found::Failed(why.clone()), Found::Failed(why)]);
    let resolver = match build(settings) {
        Ok(resolver) => resolver,
        Err(why) => return failed(format!("no resolver: {why}")),
    };
    let name = match ProtoName::from_ascii(name) {
        Ok(name) => name,
        Err(why) => return failed(why.to_string()),
    };
    let (v4, v6) = tokio::join!(
        ask(&resolver, name.clone(), RecordType::A),
        ask(&resolver, name, RecordType::AAAA)
    );
    LookUp([v4, v6])
}

/// Resolves one name again and again.
struct Follower {
    name: Name,
    settings: Arc<ResolverSettings>,
    /// What each family had last: a question without an answer does not take it away.
    last: [Vec<IpAddr>; 2],
    /// By [`Family::index`]: no question for it has been answered yet.
    unheard: [bool; 2],
    /// What was not believed the last time; told once.
    refused: Vec<IpAddr>,
}

/// What came of asking for one family.
enum Found {
    Addresses(Vec<IpAddr>, Duration),
    /// There is none, by the word of those who must know.
    None(&'static str),
    /// Nobody knows.
    Failed(String),
}

impl Follower {
    async fn follow(mut self, permits: Arc<Semaphore>, results: mpsc::Sender<Resolution>) {
        loop {
            let (result, wait) = {
                let _permit = permits.acquire().await;
                self.resolve().await
            };
            let resolution = Resolution { name: self.name.clone(), result, unheard: self.unheard };
            if results.send(resolution).await.is_err() {
                return;
            }
            let ResolverSettings { min_refresh, max_refresh, .. } = *self.settings;
            tokio::time::sleep(wait.min(max_refresh).max(min_refresh)).await;
        }
    }

    /// Asks for both families at once; returns when to ask again, too.
    async fn resolve(&mut self) -> (Result<Vec<IpAddr>, Box<str>>, Duration) {
        let LookUp([v4, v6]) = look_up(&self.settings, &self.name.to_string()).await;
        let (mut wait, mut why) = (Duration::MAX, Vec::new());
        let mut is_known = false;
        for (family, found) in [(Family::V4, v4), (Family::V6, v6)] {
            self.unheard[family.index()] &= matches!(found, Found::Failed(_));
            match found {
                Found::Addresses(addresses, ttl) => {
                    self.last[family.index()] = addresses;
                    wait = wait.min(ttl);
                    is_known = true;
                }
                Found::None(text) => {
                    self.last[family.index()].clear();
                    why.push(text.to_owned());
                }
                Found::Failed(text) => {
                    wait = wait.min(RETRY);
                    why.push(text);
                }
            }
        }
        if !is_known {
            why.dedup();
            return (Err(why.join("; ").into()), wait.min(RETRY));
        }
        (self.believed(), wait)
    }

    /// The addresses that are not refused; an error if all are.
    fn believed(&mut self) -> Result<Vec<IpAddr>, Box<str>> {
        let all = || self.last.iter().flatten().copied();
        let refusal = |address: IpAddr| Some((address, self.settings.refusal(address)?));
        let refused: Vec<(IpAddr, &str)> = all().filter_map(refusal).collect();
        let believed: Vec<IpAddr> =
            all().filter(|one| refused.iter().all(|(address, _)| address != one)).collect();
        let addresses: Vec<IpAddr> = refused.iter().map(|(address, _)| *address).collect();
        if addresses != self.refused {
            for (address, reason) in &refused {
                let name = &self.name;
                tracing::warn!(
                    target: "rhumb::resolve", %name, %address, reason,
                    "{name} resolves to {address}, which is refused: {reason}; [resolver] allow lets it in"
                );
            }
            self.refused = addresses;
        }
        match refused.first() {
            Some((address, reason)) if believed.is_empty() => {
                let text = format!("{address} is refused: {reason}; [resolver] allow lets it in");
                Err(text.into())
            }
            _ => Ok(believed),
        }
    }
}

/// A resolver for one round, so that a changed `/etc/resolv.conf` counts with the next.
pub(super) fn build(settings: &ResolverSettings) -> Result<TokioResolver, NetError> {
    let mut builder = match settings.servers.as_slice() {
        [] => TokioResolver::builder_tokio()?,
        servers => {
            let servers = servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout;
    options.attempts = 2;
    options.cache_size = 0;
    // What a chain of aliases leads to is true for as long as its shortest link.
    options.preserve_intermediates = true;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = true;
    builder.build()
}

async fn ask(resolver: &TokioResolver, name: ProtoName, rtype: RecordType) -> Found {
    let lookup = match resolver.lookup(name, rtype).await {
        Ok(lookup) => lookup,
        Err(why) if why.is_nx_domain() => return Found::None("the name does not exist"),
        Err(why) if why.is_no_records_found() => return Found::None("it has no addresses"),
        Err(why) => return Found::Failed(why.to_string()),
    };
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    let addresses = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    let addresses: Vec<IpAddr> = addresses.collect();
    match addresses.is_empty() {
        true => Found::None("it has no addresses"),
        false => Found::Addresses(addresses, Duration::from_secs(ttl.into())),
    }
}

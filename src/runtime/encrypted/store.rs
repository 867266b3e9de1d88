//! The certificate in force: looked up at each handshake, read again when its files change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Notify;

use crate::runtime::answerer::unix_s;
use crate::runtime::encrypted::certificate::CertificateFault;
use crate::runtime::encrypted::certificate::CertificateFiles;
use crate::runtime::encrypted::certificate::Pair;

/// How often the files are looked at. Looking is two calls of `stat`, and sees what a watch of folders
/// may not: symbolic links that were turned anywhere on the way, bind mounts, network file systems.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The certificate in force and what became of its files.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    certified: ArcSwap<CertifiedKey>,
    expires_unix_s: AtomicI64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Whether what lies on disk is another pair than the one in force, because it is faulty.
    is_stale: AtomicBool,
}

/// What metrics show of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// When the one in force expires, in seconds since 1970.
    pub expires_unix_s: i64,
    /// Pairs that were put in force, the first included.
    pub accepted: u64,
    /// Times that the files were refused.
    pub refused: u64,
    /// Whether the files on disk are refused now.
    pub is_stale: bool,
}

impl Certificates {
    /// With the pair that was read from `files`.
    pub fn new(files: CertificateFiles, first: &Pair) -> Arc<Self> {
        Arc::new(Self {
            files,
            certified: ArcSwap::new(Arc::clone(&first.certified)),
            expires_unix_s: AtomicI64::new(*first.validity.end()),
            accepted: AtomicU64::new(1),
            refused: AtomicU64::new(0),
            is_stale: AtomicBool::new(false),
        })
    }

    /// What became of it so far.
    pub fn state(&self) -> CertificateState {
        CertificateState {
            expires_unix_s: self.expires_unix_s.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            is_stale: self.is_stale.load(Relaxed),
        }
    }

    /// Reads the files again when they changed, at SIGHUP and when `reload` says so, until dropped.
    pub async fn follow(self: Arc<Self>, reload: Arc<Notify>) {
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        // Not what `new` was given: who changed them since then is noticed at the second look.
        let mut read = None;
        let mut seen = None;
        let mut told = None;
        loop {
            let is_asked = tokio::select! {
                _ = looks.tick() => false,
                () = reload.notified() => true,
                () = next(&mut hangups) => true,
            };
            let now = Some(self.identify().await);
            // Whoever writes several files takes a moment: they count when they rest.
            let rests = std::mem::replace(&mut seen, now) == now;
            if is_asked || (rests && read != now) {
                read = now;
                self.read_again(&mut told).await;
            }
        }
    }

    /// What tells the files from others of their names.
    async fn identify(&self) -> [Option<Identity>; 2] {
        let CertificateFiles { certificate, key } = self.files.clone();
        let both = move || [identify(&certificate), identify(&key)];
        tokio::task::spawn_blocking(both).await.unwrap_or_default()
    }

    /// Reads the files; puts them in force or says once why not.
    async fn read_again(&self, told: &mut Option<Vec<CertificateFault>>) {
        let files = self.files.clone();
        let Ok(result) = tokio::task::spawn_blocking(move || files.read()).await else { return };
        let pair = match result {
            Ok(pair) => pair,
            Err(faults) => {
                self.refused.fetch_add(1, Relaxed);
                self.is_stale.store(true, Relaxed);
                if told.as_ref() != Some(&faults) {
                    for fault in &faults {
                        tracing::error!(target: "rhumb::tls", "{fault}; the certificate in force stays");
                    }
                    *told = Some(faults);
                }
                return;
            }
        };
        *told = None;
        let was_stale = self.is_stale.swap(false, Relaxed);
        if pair.certified.cert == self.certified.load().cert && !was_stale {
            return;
        }
        self.put_in_force(&pair);
    }

    fn put_in_force(&self, pair: &Pair) {
        self.certified.store(Arc::clone(&pair.certified));
        self.expires_unix_s.store(*pair.validity.end(), Relaxed);
        self.accepted.fetch_add(1, Relaxed);
        let file = self.files.certificate.display();
        tracing::info!(target: "rhumb::tls", %file, "a new certificate is in force");
        self.warn_if_untimely(pair);
    }

    /// Says that clients will refuse a pair by its dates.
    pub(super) fn warn_if_untimely(&self, pair: &Pair) {
        let now = i64::try_from(unix_s()).unwrap_or(i64::MAX);
        if let Some(warning) = pair.find_warning(&self.files.certificate, now) {
            tracing::warn!(target: "rhumb::tls", "{warning}");
        }
    }
}

impl ResolvesServerCert for Certificates {
    /// One certificate for every name: resolvers check the one they were configured with.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.load_full())
    }
}

/// Device, inode, size, and when content and inode changed.
type Identity = (u64, u64, u64, [i64; 4]);

/// Follows links, so that a link turned to another file is a change.
fn identify(file: &Path) -> Option<Identity> {
    let found: Metadata = std::fs::metadata(file).ok()?;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    Some((found.dev(), found.ino(), found.size(), times))
}

/// The next signal; never, if signals cannot be heard.
async fn next(signals: &mut Option<tokio::signal::unix::Signal>) {
    let heard = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

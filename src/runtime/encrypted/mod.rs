//! DNS over TLS, HTTPS and QUIC: the same answers behind a certificate.
//!
//! DoT is the TCP engine over TLS; DoH and DoQ share its limits and registry of connections, and reach
//! `answer()` through hickory-server's request handler. Knows nothing of zones.
#![forbid(unsafe_code)]

pub mod certificate;
mod doh;
mod doq;
mod gate;
mod http;
mod padded;
pub mod store;
mod tls;
pub(super) mod validity;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::answer::Transport;
use crate::model::Encrypted;
use crate::runtime::encrypted::certificate::CertificateFault;
use crate::runtime::encrypted::certificate::CertificateFiles;
use crate::runtime::encrypted::doh::Doh;
use crate::runtime::encrypted::doq::Doq;
use crate::runtime::encrypted::padded::Padded;
use crate::runtime::encrypted::store::Certificates;
use crate::runtime::encrypted::tls::OverTls;
use crate::runtime::respond::Respond;
use crate::runtime::supervise::supervise;
use crate::runtime::tcp::Service;
use crate::runtime::tcp::TcpCounters;
use crate::runtime::tcp::TcpLimits;
use crate::runtime::tcp::TcpSockets;
use crate::runtime::tcp::door::Door;
use crate::runtime::tcp::door::Host;
use crate::runtime::udp::BindError;

/// TLS versions of streams; older ones are broken (RFC 8996).
const STREAM_VERSIONS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Why encrypted transports do not start.
#[derive(Debug, thiserror::Error)]
pub enum EncryptedError {
    /// Certificate or key cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Certificate(Vec<CertificateFault>),
    /// An address cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The library refuses its settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The runtime cannot watch the sockets.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Sockets that are bound, and the certificate for them.
pub struct EncryptedSockets {
    certificates: Arc<Certificates>,
    dot: TcpSockets,
    doh: TcpSockets,
    doh_path: Box<str>,
    doq: Vec<UdpSocket>,
    addresses: Vec<(Transport, SocketAddr)>,
}

impl EncryptedSockets {
    /// Reads the certificate and binds every address; port 0 is chosen by the kernel. Blocks.
    pub fn bind(settings: &Encrypted) -> Result<Self, EncryptedError> {
        let Encrypted { certificate, key, dot, doh, doh_path, doq } = settings;
        let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let pair = files.read().map_err(EncryptedError::Certificate)?;
        let certificates = Certificates::new(files, &pair);
        certificates.warn_if_untimely(&pair);
        let (dot, doh) = (TcpSockets::bind(dot)?, TcpSockets::bind(doh)?);
        let doq = doq.iter().map(|address| doq::bind(*address)).collect::<Result<Vec<_>, _>>()?;
        let of = |transport| move |address| (transport, address);
        let mut addresses: Vec<_> = dot.local_addrs().into_iter().map(of(Transport::Tls)).collect();
        addresses.extend(doh.local_addrs().into_iter().map(of(Transport::Https)));
        for socket in &doq {
            addresses.push((Transport::Quic, socket.local_addr()?));
        }
        Ok(Self { certificates, dot, doh, doh_path: doh_path.clone(), doq, addresses })
    }

    /// Where which transport is served.
    pub fn local_addrs(&self) -> Vec<(Transport, SocketAddr)> {
        self.addresses.clone()
    }

    /// What handshakes show.
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Readies the services on the current tokio runtime; nothing runs before [`EncryptedServer::run`].
    ///
    /// Each transport has `limits` of its own. Panics outside of a tokio runtime.
    pub fn serve<R: Respond>(
        self,
        respond: &R,
        limits: TcpLimits,
    ) -> Result<EncryptedServer, EncryptedError> {
        let Self { certificates, dot, doh, doh_path, doq, .. } = self;
        let mut server = EncryptedServer { counters: Vec::new(), services: Vec::new() };
        let acceptor = |protocol: &[u8]| -> Result<TlsAcceptor, rustls::Error> {
            Ok(TlsAcceptor::from(Arc::new(tls::config(&certificates, protocol, STREAM_VERSIONS)?)))
        };
        if !dot.local_addrs().is_empty() {
            let padded = Padded(respond.clone());
            let service = dot.serve_upgraded(padded, OverTls(acceptor(b"dot")?), limits)?;
            server.add(Transport::Tls, service);
        }
        if !doh.local_addrs().is_empty() {
            let door = Door::new(limits);
            let host = Doh::new(Arc::clone(&door), respond.clone(), acceptor(b"h2")?, doh_path);
            let service = doh.serve_by(host)?;
            server.add(Transport::Https, service);
        }
        if !doq.is_empty() {
            let door = Door::new(limits);
            let tls = tls::config(&certificates, b"doq", &[&rustls::version::TLS13])?;
            let host = Arc::new(Doq::new(Arc::clone(&door), respond.clone(), tls)?);
            server.counters.push((Transport::Quic, door.counters.clone()));
            let run = |stop, count| Box::pin(run_doq(host, doq, stop, count)) as Running;
            server.services.push(Box::new(run));
        }
        Ok(server)
    }
}

/// Counts restarts by name.
type Count = Arc<dyn Fn(&'static str) + Send + Sync>;

/// A service at work.
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A service that is ready to run.
type Ready = Box<dyn FnOnce(CancellationToken, Count) -> Running + Send>;

/// Services ready to run.
pub struct EncryptedServer {
    counters: Vec<(Transport, TcpCounters)>,
    services: Vec<Ready>,
}

impl EncryptedServer {
    /// Handles on the counters of each transport.
    pub fn counters(&self) -> Vec<(Transport, TcpCounters)> {
        self.counters.clone()
    }

    /// Adds one of the services over TCP.
    fn add<H: Host>(&mut self, transport: Transport, service: Service<H>) {
        self.counters.push((transport, service.counters()));
        self.services
            .push(Box::new(|stop, count| Box::pin(service.run(stop, move |name| count(name)))));
    }

    /// Serves until `stop` is cancelled; then queries under way are answered and connections closed.
    pub async fn run(self, stop: CancellationToken, restarts: Count) {
        let start = |service: Ready| tokio::spawn(service(stop.clone(), Arc::clone(&restarts)));
        for task in self.services.into_iter().map(start).collect::<Vec<_>>() {
            if let Err(error) = task.await {
                tracing::error!(%error, "an encrypted transport failed");
            }
        }
    }
}

/// Runs the accept loops of DNS over QUIC until `stop`, then ends its connections.
async fn run_doq<R: Respond>(
    host: Arc<Doq<R>>,
    sockets: Vec<UdpSocket>,
    stop: CancellationToken,
    count: Count,
) {
    let loops = sockets.into_iter().map(|socket| {
        let (host, socket, count) = (Arc::clone(&host), Arc::new(socket), Arc::clone(&count));
        let make = move || Arc::clone(&host).run(Arc::clone(&socket));
        supervise("doq", stop.clone(), move |name| count(name), make)
    });
    futures_util::future::join_all(loops).await;
    host.door.registry.close_all(host.door.limits.write).await;
}

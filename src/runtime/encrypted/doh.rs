//! DNS over HTTPS: HTTP/2 connections on the accept loop of the TCP engine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::runtime::encrypted::gate::Gate;
use crate::runtime::encrypted::http;
use crate::runtime::encrypted::http::Refusal;
use crate::runtime::respond::Respond;
use crate::runtime::tcp::door::Door;
use crate::runtime::tcp::door::Host;
use crate::runtime::tcp::door::Leave;
use crate::runtime::tcp::registry::Activity;

/// Requests of one connection at once.
const STREAMS_MAX: u32 = 100;

/// Octets of a request's header fields: a query by GET with room for what browsers add. Longer queries
/// come by POST.
const HEADERS_MAX: u32 = 16 * 1024;

/// Octets of a body that a client may send ahead of our reading.
const WINDOW: u32 = 64 * 1024;

/// Octets that wait for one stream's client to read them: one reply.
const SEND_BUFFER_MAX: usize = 64 * 1024;

/// How long a connection that we end may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// What all connections share.
pub(super) struct Doh<R> {
    door: Arc<Door>,
    gate: Gate<R>,
    acceptor: TlsAcceptor,
    path: Box<str>,
}

impl<R: Respond> Doh<R> {
    /// Answers at `path` behind the TLS of `acceptor`.
    pub(super) fn new(door: Arc<Door>, respond: R, acceptor: TlsAcceptor, path: Box<str>) -> Self {
        let gate = Gate::new(respond, door.counters.clone());
        Self { door, gate, acceptor, path }
    }
}

impl<R: Respond> Host for Doh<R> {
    const NAME: &'static str = "doh";

    fn door(&self) -> &Arc<Door> {
        &self.door
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, activity: Arc<Activity>) {
        let leave = Leave { door: Arc::clone(&self.door), activity };
        let handshake = timeout(self.door.limits.handshake, self.acceptor.accept(stream));
        match handshake.await {
            Ok(Ok(stream)) => serve_requests(self, stream, peer, &leave).await,
            Ok(Err(_)) | Err(_) => self.door.counters.cells.handshake_failed.add(1),
        }
    }
}

/// Serves a connection until the client leaves, asks nothing for too long, or the service stops.
async fn serve_requests<R: Respond>(
    doh: Arc<Doh<R>>,
    stream: TlsStream<TcpStream>,
    peer: SocketAddr,
    leave: &Leave,
) {
    let door = Arc::clone(&doh.door);
    let used = Arc::new(LastUse(Mutex::new(Instant::now())));
    let service = {
        let (used, activity) = (Arc::clone(&used), Arc::clone(&leave.activity));
        service_fn(move |request| {
            used.touch();
            activity.touch();
            answer(Arc::clone(&doh), request, peer)
        })
    };
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_MAX)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_send_buf_size(SEND_BUFFER_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    // From here on a stop leaves it to us to end: requests under way are answered.
    leave.activity.set_writing(true);
    loop {
        let idle_end = used.get() + door.limits.idle;
        tokio::select! {
            // How a client's connection breaks is nobody's concern.
            _ = connection.as_mut() => return,
            () = door.registry.wait_for_closing() => break,
            () = sleep_until(idle_end) => {
                if used.get() + door.limits.idle <= Instant::now() {
                    door.counters.cells.timed_out.add(1);
                    break;
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}

/// One request. No error ends the connection.
async fn answer<R: Respond>(
    doh: Arc<Doh<R>>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let reply = match http::read_query(request, &doh.path, doh.door.limits.write).await {
        Ok(query) => doh.gate.ask(query, peer, Protocol::Https).await.ok_or_else(Refusal::no_query),
        Err(refusal) => Err(refusal),
    };
    Ok(match reply {
        Ok(reply) => http::response(reply),
        Err(refusal) => {
            doh.door.counters.cells.malformed.add(1);
            refusal.response()
        }
    })
}

/// When the last request came.
struct LastUse(Mutex<Instant>);

impl LastUse {
    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

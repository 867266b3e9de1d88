//! DNS over QUIC (RFC 9250): every handshake and every stream is a task of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use quinn::Connection;
use quinn::Endpoint;
use quinn::EndpointConfig;
use quinn::IdleTimeout;
use quinn::Incoming;
use quinn::RecvStream;
use quinn::SendStream;
use quinn::ServerConfig;
use quinn::TransportConfig;
use quinn::VarInt;
use quinn::crypto::rustls::QuicServerConfig;
use socket2::Domain;
use socket2::Protocol as IpProtocol;
use socket2::Socket;
use socket2::Type;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;

use crate::runtime::encrypted::gate::Gate;
use crate::runtime::respond::Respond;
use crate::runtime::tcp::desk::MESSAGE_MAX;
use crate::runtime::tcp::desk::PREFIX;
use crate::runtime::tcp::door::Door;
use crate::runtime::tcp::door::Leave;
use crate::runtime::tcp::registry::Activity;
use crate::runtime::tcp::registry::Client;
use crate::runtime::udp::BindError;
use crate::wire::options;

/// Queries of one connection at once.
const STREAMS_MAX: u32 = 100;

/// Octets of one connection that are read ahead: some queries of full length, or very many short ones.
const WINDOW: u32 = 256 * 1024;

/// Longest wait for a client to take the last replies when we end its connection.
const GRACE: Duration = Duration::from_secs(2);

/// Error codes of RFC 9250 section 4.3.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// A client broke the protocol; its connection ends.
struct Breach;

/// What all connections share.
pub(super) struct Doq<R> {
    pub(super) door: Arc<Door>,
    pub(super) gate: Gate<R>,
    config: ServerConfig,
}

impl<R: Respond> Doq<R> {
    /// Answers behind the TLS of `tls`.
    pub(super) fn new(
        door: Arc<Door>,
        respond: R,
        tls: rustls::ServerConfig,
    ) -> Result<Self, io::Error> {
        let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        let idle = IdleTimeout::try_from(door.limits.idle).map_err(io::Error::other)?;
        transport
            .max_idle_timeout(Some(idle))
            .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32((PREFIX + MESSAGE_MAX) as u32))
            .receive_window(VarInt::from_u32(WINDOW))
            .send_window(u64::from(WINDOW))
            .datagram_receive_buffer_size(None);
        config.transport_config(Arc::new(transport));
        let gate = Gate::new(respond, door.counters.clone());
        Ok(Self { door, gate, config })
    }

    /// Serves a socket until dropped.
    pub(super) async fn run(self: Arc<Self>, socket: Arc<std::net::UdpSocket>) {
        let endpoint = socket.try_clone().and_then(|socket| {
            let runtime = Arc::new(quinn::TokioRuntime);
            let config = Some(self.config.clone());
            Endpoint::new(EndpointConfig::default(), config, socket, runtime)
        });
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(error) => return tracing::error!(%error, "QUIC does not start"),
        };
        while let Some(incoming) = endpoint.accept().await {
            self.admit(incoming);
        }
    }

    /// Starts a connection, or has the client prove its address first.
    fn admit(self: &Arc<Self>, incoming: Incoming) {
        // Datagrams with false senders must not push out who is connected (RFC 9000 section 8.1.2).
        let is_busy = self.door.registry.len() >= self.door.limits.max_connections / 4;
        if is_busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // It fails only for who may not retry.
            let _ = incoming.retry();
            return;
        }
        let client = Client::of(incoming.remote_address().ip());
        self.door.admit(client, |activity| Arc::clone(self).serve(incoming, activity));
    }

    async fn serve(self: Arc<Self>, incoming: Incoming, activity: Arc<Activity>) {
        let leave = Leave { door: Arc::clone(&self.door), activity };
        let handshake = async { incoming.accept()?.await };
        match timeout(self.door.limits.handshake, handshake).await {
            Ok(Ok(connection)) => self.serve_streams(&connection, &leave).await,
            Ok(Err(_)) | Err(_) => self.door.counters.cells.handshake_failed.add(1),
        }
    }

    /// Answers until the client leaves, asks nothing for too long, breaks a rule, or the service stops.
    async fn serve_streams(self: &Arc<Self>, connection: &Connection, leave: &Leave) {
        let idle = self.door.limits.idle;
        let mut idle_end = Instant::now() + idle;
        let mut streams = JoinSet::new();
        // From here on a stop leaves it to us to end: queries under way are answered.
        leave.activity.set_writing(true);
        loop {
            tokio::select! {
                stream = connection.accept_bi() => {
                    let Ok((reply, query)) = stream else { return };
                    idle_end = Instant::now() + idle;
                    leave.activity.touch();
                    let doq = Arc::clone(self);
                    let client = connection.remote_address();
                    streams.spawn(async move { doq.answer(reply, query, client).await });
                }
                Some(done) = streams.join_next() => {
                    if let Ok(Err(Breach)) = done {
                        self.door.counters.cells.malformed.add(1);
                        return connection.close(PROTOCOL_ERROR, b"");
                    }
                }
                () = self.door.registry.wait_for_closing() => break,
                () = sleep_until(idle_end) => {
                    self.door.counters.cells.timed_out.add(1);
                    break;
                }
            }
        }
        let _ = timeout(GRACE, async { while streams.join_next().await.is_some() {} }).await;
        connection.close(NO_ERROR, b"");
    }

    /// One stream: one query, one reply.
    async fn answer(
        &self,
        mut reply: SendStream,
        query: RecvStream,
        client: SocketAddr,
    ) -> Result<(), Breach> {
        let query = match self.read_query(query).await {
            Ok(query) => query,
            Err(unread) => {
                // It fails only for a stream that is over. A stream that is merely dropped looks finished.
                let _ = reply.reset(unread.code());
                return if matches!(unread, Unread::Breach) { Err(Breach) } else { Ok(()) };
            }
        };
        let answer = self.gate.ask(query, client, Protocol::Quic).await;
        let Some((answer, len)) = answer.and_then(|answer| {
            let len = u16::try_from(answer.len()).ok()?;
            Some((answer, len))
        }) else {
            let _ = reply.reset(NO_ERROR);
            return Ok(());
        };
        let framed = [&len.to_be_bytes(), &answer[..]].concat();
        let sent = async {
            reply.write_all(&framed).await.ok()?;
            reply.finish().ok()?;
            // Until the client has it: a connection that closes takes back what is under way.
            reply.stopped().await.ok()
        };
        if timeout(self.door.limits.write, sent).await.is_err() {
            self.door.counters.cells.write_timed_out.add(1);
            let _ = reply.reset(EXCESSIVE_LOAD);
        }
        Ok(())
    }

    async fn read_query(&self, mut stream: RecvStream) -> Result<Vec<u8>, Unread> {
        let whole = stream.read_to_end(PREFIX + MESSAGE_MAX);
        match timeout(self.door.limits.write, whole).await {
            Ok(Ok(framed)) => unframe(&framed),
            Ok(Err(quinn::ReadToEndError::TooLong)) => Err(Unread::Breach),
            Ok(Err(quinn::ReadToEndError::Read(_))) => Err(Unread::Gone),
            Err(_) => Err(Unread::TooSlow),
        }
    }
}

/// Why a stream has no query.
#[derive(Clone, Copy)]
enum Unread {
    /// The client broke the protocol.
    Breach,
    /// The client took its query back, or is gone.
    Gone,
    /// It did not come to its end in time.
    TooSlow,
}

impl Unread {
    fn code(self) -> VarInt {
        match self {
            Self::Breach => PROTOCOL_ERROR,
            Self::Gone => NO_ERROR,
            Self::TooSlow => EXCESSIVE_LOAD,
        }
    }
}

/// The one query of a stream (RFC 9250 sections 4.2, 4.2.1 and 5.5.2).
fn unframe(framed: &[u8]) -> Result<Vec<u8>, Unread> {
    let (length, query) = framed.split_first_chunk::<PREFIX>().ok_or(Unread::Breach)?;
    let is_whole = usize::from(u16::from_be_bytes(*length)) == query.len();
    let has_id = query.first_chunk::<2>().is_none_or(|id| *id != [0, 0]);
    if !is_whole || has_id || options::has_option(query, options::TCP_KEEPALIVE) {
        return Err(Unread::Breach);
    }
    Ok(query.to_vec())
}

/// A bound socket; nobody else may have its port.
pub(super) fn bind(address: SocketAddr) -> Result<std::net::UdpSocket, BindError> {
    let bound = || -> io::Result<std::net::UdpSocket> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(IpProtocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    bound().map_err(|source| BindError::from_io(address, source))
}

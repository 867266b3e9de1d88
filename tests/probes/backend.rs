//! Backends on loopback that do as they are told, for good or ill.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::HandshakeKind;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// What a backend does with each request.
#[derive(Clone)]
pub enum Reply {
    /// Sends this and closes.
    Full(String),
    /// Sends the pieces, each in a packet of its own.
    Pieces(Vec<String>),
    /// Says nothing and keeps the connection.
    Stall,
    /// Sends the first and then the second for ever, as fast as it can.
    Endless(String, String),
    /// Sends the first and then a dot for ever, one each 5 ms.
    Drip(String),
}

/// What a backend saw.
#[derive(Debug)]
pub enum Seen {
    /// A request with the server name of its TLS handshake.
    Request { head: String, server_name: Option<String>, resumed: bool },
    /// The client closed the connection.
    Closed,
}

/// A running backend; dropping it closes the port and all connections.
pub struct Backend {
    pub address: SocketAddr,
    pub seen: mpsc::UnboundedReceiver<Seen>,
    _task: AbortOnDropHandle<()>,
}

impl Backend {
    pub async fn start(reply: Reply) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), None, reply).await
    }

    pub async fn start_tls(acceptor: TlsAcceptor, reply: Reply) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), Some(acceptor), reply).await
    }

    pub async fn listen(address: SocketAddr, tls: Option<TlsAcceptor>, reply: Reply) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (saw, seen) = mpsc::unbounded_channel();
        let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, tls, reply, saw)));
        Self { address, seen, _task: task }
    }

    /// The next request's header block and server name.
    pub async fn request(&mut self) -> (String, Option<String>) {
        loop {
            if let Seen::Request { head, server_name, .. } = self.seen.recv().await.unwrap() {
                return (head, server_name);
            }
        }
    }

    /// Whether the next request came over a resumed TLS session.
    pub async fn resumed(&mut self) -> bool {
        loop {
            if let Seen::Request { resumed, .. } = self.seen.recv().await.unwrap() {
                return resumed;
            }
        }
    }

    pub async fn closed(&mut self) {
        while !matches!(self.seen.recv().await.unwrap(), Seen::Closed) {}
    }
}

/// A port where nothing listens: it was free a moment ago.
pub async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    reply: Reply,
    saw: mpsc::UnboundedSender<Seen>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let (tls, reply, saw) = (tls.clone(), reply.clone(), saw.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, (None, false), reply, saw).await,
                Some(acceptor) => {
                    // A client that does not like the certificate hangs up: no request.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let tls = stream.get_ref().1;
                    let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
                    let name = tls.server_name().map(str::to_owned);
                    serve(stream, (name, resumed), reply, saw).await;
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    (server_name, resumed): (Option<String>, bool),
    reply: Reply,
    saw: mpsc::UnboundedSender<Seen>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let _ = saw.send(Seen::Request { head, server_name, resumed });
    // Writing fails once the client has heard enough.
    let _ = send(&mut stream, reply).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_u8().await;
    let _ = saw.send(Seen::Closed);
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    reply: Reply,
) -> std::io::Result<()> {
    match reply {
        Reply::Full(text) => stream.write_all(text.as_bytes()).await,
        Reply::Pieces(pieces) => {
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        Reply::Stall => stream.read_u8().await.map(drop),
        Reply::Endless(first, more) => {
            stream.write_all(first.as_bytes()).await?;
            loop {
                stream.write_all(more.as_bytes()).await?;
            }
        }
        Reply::Drip(first) => {
            stream.write_all(first.as_bytes()).await?;
            loop {
                stream.write_all(b".").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

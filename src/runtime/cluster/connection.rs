//! One connection with a peer, from the end of its TLS handshake on.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;

use crate::cluster::Heard;
use crate::cluster::NodeName;
use crate::cluster::Pin;
use crate::cluster::frame::Frame;
use crate::cluster::frame::HEADER;
use crate::cluster::frame::Hello;
use crate::cluster::frame::read_header;
use crate::runtime::cluster::core::Core;
use crate::runtime::cluster::counters::Counters;
use crate::runtime::cluster::links::Link;

/// How often a peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A ping goes with other frames if one is nearly due.
const PING_EARLY: Duration = Duration::from_millis(900);

/// Silence after which a connection is cut; long before that others pass on what the peer says.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// How long a peer may take to read what is written at once.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer closed it, or the network broke.
    Closed(io::Error),
    /// What came is no frame, or one that may not come.
    Malformed,
    /// It is another cluster.
    OtherCluster(Box<str>),
    /// The key is that of another node.
    OtherNode(NodeName),
    /// Nothing came for [`SILENCE_MAX`].
    Silent,
    /// It did not read for [`WRITE_MAX`].
    Slow,
    /// Too much of what it sent was refused.
    Flood,
    /// There is another connection between the two.
    Double,
    /// It was replaced by a newer connection, or its key is no member's any more.
    Cut,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(error) => write!(f, "the connection ended: {error}"),
            Self::Malformed => f.write_str("it sent what is no frame"),
            Self::OtherCluster(name) => {
                write!(f, "it is of cluster \"{name}\": compare [cluster] name")
            }
            Self::OtherNode(node) => write!(f, "it says it is {node}, whose key it has not"),
            Self::Silent => write!(f, "it was silent for {SILENCE_MAX:?}"),
            Self::Slow => write!(f, "it did not read for {WRITE_MAX:?}"),
            Self::Flood => f.write_str("it passed on too many values that nobody signed who may"),
            Self::Double => f.write_str("there is another connection with it"),
            Self::Cut => f.write_str("it was replaced, or its pin was taken out"),
        }
    }
}

/// What TLS has shown.
pub(super) struct Shown {
    /// Who it is.
    pub(super) node: NodeName,
    /// By which key.
    pub(super) pin: Pin,
    /// Who dialled.
    pub(super) dialler: NodeName,
}

/// Says hello to each other and takes the connection up.
pub(super) async fn meet<S>(core: &Core, stream: &mut S, shown: Shown) -> Result<Arc<Link>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello = Frame::Hello(core.hello());
    stream.write_all(&hello.write()).await.map_err(Ended::Closed)?;
    stream.flush().await.map_err(Ended::Closed)?;
    let Frame::Hello(Hello { cluster, node, generation }) = read_frame(stream).await? else {
        return Err(Ended::Malformed);
    };
    if *cluster != *core.cluster() {
        return Err(Ended::OtherCluster(cluster));
    }
    if node != shown.node {
        return Err(Ended::OtherNode(node));
    }
    let link = Arc::new(Link::new(node, shown.pin, generation, shown.dialler));
    if core.links.take_up(&link).is_err() {
        // If it is not the one that is heard in its name, it is told so before it goes.
        if let Some(proof) = core.proof_of_double(&link) {
            stream.write_all(&proof.write()).await.map_err(Ended::Closed)?;
            stream.flush().await.map_err(Ended::Closed)?;
        }
        return Err(Ended::Double);
    }
    // The pin may have been taken out while the handshake went on. Whoever takes it out looks at links that are taken up, so one
    // of both sees it.
    if core.live().members.find_peer(&link.pin) != Some(&link.node) {
        core.links.forget(&link);
        return Err(Ended::Cut);
    }
    Ok(link)
}

/// Runs a connection to its end.
pub(super) async fn run<S>(core: &Core, stream: S, link: &Arc<Link>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Counters::count(&core.counters.connections);
    // However this ends: by itself, or because its task is dropped.
    let taken = Taken { core, link };
    core.connect(link);
    let (reader, writer) = tokio::io::split(stream);
    let ended = tokio::select! {
        biased;
        () = link.cut.cancelled() => Ended::Cut,
        ended = read_all(core, reader, link) => ended,
        ended = write_all(core, writer, link) => ended,
    };
    drop(taken);
    if matches!(ended, Ended::Slow | Ended::Silent) {
        Counters::count(&core.counters.cut_slow);
    }
    ended
}

/// A connection that was taken up, until it is dropped.
struct Taken<'c> {
    core: &'c Core,
    link: &'c Arc<Link>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Self { core, link } = self;
        core.links.forget(link);
        core.disconnect(link);
        // Whoever waits for a piece by it asks another one.
        link.cut.cancel();
        if core.links.find(&link.node).is_none() {
            core.mailbox.put(vec![Heard::Link { node: link.node.clone(), round_trip: None }]);
        }
    }
}

async fn read_all<R: AsyncRead + Unpin>(core: &Core, mut reader: R, link: &Arc<Link>) -> Ended {
    loop {
        let frame = match timeout(SILENCE_MAX, read_frame(&mut reader)).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::Silent,
        };
        Counters::count(&core.counters.frames_in);
        match &frame {
            Frame::Hello(_) => return Ended::Malformed,
            Frame::Ping { number, .. } => link.outbox.put_frame(Frame::Pong(*number)),
            Frame::Pong(number) => core.measure(link, *number),
            Frame::Want(piece) => link.outbox.put_wanted(*piece),
            Frame::Sums(_)
            | Frame::Push(_)
            | Frame::Have(_)
            | Frame::Near(_)
            | Frame::Piece(..) => {}
        }
        if let Frame::Piece(piece, octets) = frame {
            core.exchange.take(&link.node, piece, octets);
        } else if !core.take(link, frame) {
            return Ended::Flood;
        }
    }
}

async fn write_all<W: AsyncWrite + Unpin>(core: &Core, mut writer: W, link: &Arc<Link>) -> Ended {
    let mut pinged = Instant::now();
    let mut octets = core.ping().write();
    loop {
        while let Some(frame) = link.outbox.take() {
            octets.extend_from_slice(&frame.write());
        }
        for frame in core.next_frames(link) {
            octets.extend_from_slice(&frame.write());
        }
        let age = pinged.elapsed();
        if age >= PING_EVERY || age >= PING_EARLY && !octets.is_empty() {
            octets.extend_from_slice(&core.ping().write());
            pinged = Instant::now();
        }
        // A piece goes when there is nothing else.
        if octets.is_empty()
            && let Some(piece) = link.outbox.take_wanted()
        {
            octets = core.exchange.answer(piece, &core.counters).await.write();
        }
        if octets.is_empty() {
            tokio::select! {
                biased;
                () = link.outbox.ready() => {}
                () = sleep_until(pinged + PING_EVERY) => {}
            }
            continue;
        }
        let written = async {
            writer.write_all(&octets).await?;
            writer.flush().await
        };
        match timeout(WRITE_MAX, written).await {
            Ok(Ok(())) => Counters::count(&core.counters.writes),
            Ok(Err(error)) => return Ended::Closed(error),
            Err(_) => return Ended::Slow,
        };
        octets.clear();
    }
}

async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Frame, Ended> {
    let mut header = [0; HEADER];
    reader.read_exact(&mut header).await.map_err(Ended::Closed)?;
    let (kind, length) = read_header(header).ok_or(Ended::Malformed)?;
    let mut content = vec![0; length];
    reader.read_exact(&mut content).await.map_err(Ended::Closed)?;
    Frame::read(kind, &content).ok_or(Ended::Malformed)
}

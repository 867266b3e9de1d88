//! A long line between two nodes on loopback: a TCP forwarder that delays what passes, keeps its order, and can be
//! stalled, one way or both, and cut.
//!
//! Delays are of one direction: a round trip takes both. As over a real line a connection takes a round trip before
//! anything passes. What a line holds is bounded: a sender that is faster waits.
#![allow(dead_code, reason = "each test uses its own part")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "it is the network that a test stands in"
)]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Octets that are read at once.
const CHUNK: usize = 16 * 1024;

/// Chunks under way in one direction, at most: 1 MB.
const CHUNKS_MAX: usize = 64;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever dials to whoever is dialled.
    Out,
    /// The other.
    Back,
}

/// A line to one address; it ends with what goes over it when it is dropped.
pub struct Line {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

/// How it is with a line.
#[derive(Clone, Copy, Debug)]
struct State {
    target: SocketAddr,
    delays: [Duration; 2],
    stalled: [bool; 2],
    is_cut: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    /// A line to `target` that takes `delay` each way. Needs a runtime of tokio around it.
    pub fn start(target: SocketAddr, delay: Duration) -> Self {
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a socket can be told not to block");
        let address = listener.local_addr().expect("it is bound");
        let listener = TcpListener::from_std(listener).expect("a runtime is around it");
        let state = State { target, delays: [delay; 2], stalled: [false; 2], is_cut: false };
        let (state, follow) = watch::channel(state);
        let task = tokio::spawn(serve(listener, follow));
        Self { address, state, task }
    }

    /// Where it is dialled.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is read from now on takes so long, each way by its own.
    pub fn delay(&self, out: Duration, back: Duration) {
        self.state.send_modify(|state| state.delays = [out, back]);
    }

    /// Connections that are made from now on lead there.
    pub fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Nothing passes one way until it is opened; what is said waits, as with lost packets that are sent again.
    pub fn stall_way(&self, way: Way) {
        self.state.send_modify(|state| state.stalled[way as usize] = true);
    }

    /// Nothing passes either way until it is opened, and nobody is told: a partition.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.stalled = [true; 2]);
    }

    /// Its connections end at once, and new ones too until it is opened.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.is_cut = true);
    }

    /// Everything passes again.
    pub fn open(&self) {
        self.state.send_modify(|state| (state.stalled, state.is_cut) = ([false; 2], false));
    }
}

async fn serve(listener: TcpListener, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((dialler, _)) = accepted else { continue };
                let mut cut = state.clone();
                let state = state.clone();
                connections.spawn(async move {
                    tokio::select! {
                        _ = cut.wait_for(|state| state.is_cut) => {}
                        _ = carry(dialler, state) => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until both its ends have ended.
async fn carry(dialler: TcpStream, mut state: watch::Receiver<State>) -> std::io::Result<()> {
    let round_trip: Duration = state.borrow().delays.iter().sum();
    tokio::time::sleep(round_trip).await;
    // Neither the first packet nor the answer to it would pass.
    let opened = state.wait_for(|state| state.stalled == [false; 2]).await;
    let Ok(target) = opened.map(|state| state.target) else { return Ok(()) };
    let first = match first_octets(&dialler)? {
        Some(first) => first,
        // It has given up meanwhile: over a real line the other end would have heard nothing of it.
        None => return Ok(()),
    };
    let dialled = TcpStream::connect(target).await?;
    dialler.set_nodelay(true)?;
    dialled.set_nodelay(true)?;
    let (near_read, near_write) = dialler.into_split();
    let (far_read, far_write) = dialled.into_split();
    tokio::join!(
        pass(first, near_read, far_write, Way::Out, state.clone()),
        pass(Vec::new(), far_read, near_write, Way::Back, state),
    );
    Ok(())
}

/// What was said already; `None` if that was all.
fn first_octets(stream: &TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut octets = vec![0; CHUNK];
    let mut count = 0;
    loop {
        match stream.try_read(&mut octets[count..]) {
            Ok(0) if count < CHUNK => return Ok(None),
            Ok(read) if read > 0 => count += read,
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    octets.truncate(count);
    Ok(Some(octets))
}

/// Passes on one direction, each octet so much later than it came; an empty chunk is the end.
async fn pass(
    first: Vec<u8>,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mut state: watch::Receiver<State>,
) {
    let (put, mut take) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let delays = state.clone();
    let delay = || delays.borrow().delays[way as usize];
    let reading = async {
        let mut octets = first;
        if octets.is_empty() {
            octets = read_some(&mut from).await;
        }
        loop {
            let is_end = octets.is_empty();
            if put.send((Instant::now() + delay(), octets)).await.is_err() || is_end {
                return;
            }
            octets = read_some(&mut from).await;
        }
    };
    let writing = async {
        while let Some((due, octets)) = take.recv().await {
            tokio::time::sleep_until(due).await;
            if state.wait_for(|state| !state.stalled[way as usize]).await.is_err()
                || octets.is_empty()
                || to.write_all(&octets).await.is_err()
            {
                break;
            }
        }
        let _ = to.shutdown().await;
        // Whoever reads on would wait for room that never comes.
        take.close();
    };
    tokio::join!(reading, writing);
}

async fn read_some(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut octets = vec![0; CHUNK];
    let count = from.read(&mut octets).await.unwrap_or(0);
    octets.truncate(count);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(40);

    /// A line, and both ends of a connection over it.
    async fn connected() -> (Line, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Line::start(listener.local_addr().unwrap(), DELAY);
        let near = TcpStream::connect(line.address()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (line, near, far)
    }

    #[tokio::test]
    async fn octets_come_in_order_and_not_before_their_time() {
        let (_line, mut near, mut far) = connected().await;
        let sent: Vec<u8> = (0..3_000_000u32).map(|number| (number >> 3) as u8).collect();
        let start = Instant::now();
        let (_, read) = tokio::join!(near.write_all(&sent), async {
            let mut read = vec![0; sent.len()];
            far.read_exact(&mut read[..1]).await.unwrap();
            assert!(start.elapsed() >= DELAY);
            far.read_exact(&mut read[1..]).await.unwrap();
            read
        });
        assert!(read == sent);
        far.write_all(b"back").await.unwrap();
        drop(far);
        let start = Instant::now();
        let mut back = Vec::new();
        near.read_to_end(&mut back).await.unwrap();
        assert!(back == b"back" && start.elapsed() >= DELAY / 2);
    }

    #[tokio::test]
    async fn a_stalled_way_passes_when_it_is_opened_and_the_other_one_meanwhile() {
        let (line, mut near, mut far) = connected().await;
        line.stall_way(Way::Out);
        near.write_all(b"x").await.unwrap();
        far.write_all(b"y").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'y');
        let early = tokio::time::timeout(DELAY * 3, far.read_u8()).await;
        assert!(early.is_err());
        line.open();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_lets_none_in() {
        let (line, mut near, mut far) = connected().await;
        line.cut();
        assert!(matches!(near.read(&mut [0]).await, Ok(0) | Err(_)));
        assert!(matches!(far.read(&mut [0]).await, Ok(0) | Err(_)));
        let mut again = TcpStream::connect(line.address()).await.unwrap();
        assert!(matches!(again.read(&mut [0]).await, Ok(0) | Err(_)));
    }
}

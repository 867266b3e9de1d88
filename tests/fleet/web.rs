//! A web server that probes reach: it can be stopped, started again, hang, and hang for the probes of one node only.

use std::collections::BTreeSet;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

/// A web server with an address of its own, running or not.
pub struct Web {
    pub address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    is_over: AtomicBool,
    /// Paths that get no answer; `/` stands for all.
    deaf_to: Mutex<BTreeSet<String>>,
}

impl Web {
    /// Starts one on each of these addresses of loopback, all on one port.
    pub fn start_all<const N: usize>(hosts: [&str; N]) -> [Self; N] {
        loop {
            let first = Self::start(format!("{}:0", hosts[0]).parse().unwrap()).unwrap();
            let port = first.address.port();
            let rest = hosts[1..]
                .iter()
                .map(|host| Self::start(format!("{host}:{port}").parse().unwrap()));
            // Somebody else may have the port on one of them.
            let Ok(rest) = rest.collect::<std::io::Result<Vec<_>>>() else { continue };
            let all: Vec<Self> = std::iter::once(first).chain(rest).collect();
            return all.try_into().ok().unwrap();
        }
    }

    fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let (address, state) = (listener.local_addr()?, Arc::<State>::default());
        let thread = Some(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, thread })
    }

    /// Its process ends: connections are refused.
    pub fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.state.is_over.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
        thread.join().unwrap();
    }

    /// It is there again.
    pub fn start_again(&mut self) {
        assert!(self.thread.is_none(), "it was stopped");
        self.state.is_over.store(false, Relaxed);
        let listener = TcpListener::bind(self.address).unwrap();
        self.thread = Some(serve(listener, Arc::clone(&self.state)));
    }

    /// From now on it takes connections and answers nothing below a path; `/` is all of them.
    pub fn set_deaf(&self, path: &str, is_deaf: bool) {
        let mut deaf_to = self.state.deaf_to.lock().unwrap();
        match is_deaf {
            true => deaf_to.insert(path.to_owned()),
            false => deaf_to.remove(path),
        };
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(listener: TcpListener, state: Arc<State>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if state.is_over.load(Relaxed) {
                return;
            }
            let state = Arc::clone(&state);
            std::thread::spawn(move || answer(stream, &state));
        }
    })
}

/// Answers one request, or waits until the client gives up.
fn answer(mut stream: TcpStream, state: &State) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(len @ 1..) => request.extend_from_slice(&buffer[..len]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_deaf = {
        let deaf_to = state.deaf_to.lock().unwrap();
        deaf_to.iter().any(|start| path.starts_with(start.as_str()))
    };
    if is_deaf {
        while let Ok(1..) = stream.read(&mut buffer) {}
        return;
    }
    let _ =
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
}

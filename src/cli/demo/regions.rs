//! Three fake regions: HTTP servers on loopback that can be stopped and started.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::cli::output::print;

/// Name, address and key of each region.
const REGIONS: [(&str, Ipv4Addr, u8); 3] = [
    ("eu", Ipv4Addr::new(127, 0, 1, 1), b'1'),
    ("us", Ipv4Addr::new(127, 0, 1, 2), b'2'),
    ("asia", Ipv4Addr::new(127, 0, 1, 3), b'3'),
];

/// Where regions are stopped and started from another terminal.
const CONTROL: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 250);

/// How often a free port is looked for: it must be free on four addresses.
const TRIES: usize = 20;

/// The regions; a stopped one has no server.
#[derive(Clone)]
pub(super) struct Regions {
    port: u16,
    running: Arc<Mutex<[Option<JoinHandle<()>>; 3]>>,
}

impl Regions {
    /// Starts all regions on one free port.
    pub(super) async fn start() -> io::Result<Self> {
        let mut last = io::Error::other("no port was tried");
        for _ in 0..TRIES {
            match Self::try_start().await {
                Ok(regions) => return Ok(regions),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn try_start() -> io::Result<Self> {
        let control = TcpListener::bind((CONTROL, 0)).await?;
        let port = control.local_addr()?.port();
        let mut listeners = Vec::new();
        for (_, address, _) in REGIONS {
            listeners.push(TcpListener::bind((address, port)).await?);
        }
        let mut running = [None, None, None];
        for (slot, (listener, (name, ..))) in
            running.iter_mut().zip(listeners.into_iter().zip(REGIONS))
        {
            *slot = Some(serve(listener, name));
        }
        let regions = Self { port, running: Arc::new(Mutex::new(running)) };
        let router = Router::new()
            .route("/stop/{name}", post(stop_by_name))
            .route("/start/{name}", post(start_by_name))
            .with_state(regions.clone());
        // Ends with the process; a demo without its remote control still has its keys.
        drop(tokio::spawn(async move { axum::serve(control, router).await }));
        Ok(regions)
    }

    /// The port of every region.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Where `/stop/NAME` and `/start/NAME` are.
    pub(super) fn control_url(&self) -> String {
        format!("http://{CONTROL}:{}", self.port)
    }

    /// A line for each region.
    pub(super) fn describe(&self) -> Vec<String> {
        let line = |(name, address, key): (&str, Ipv4Addr, u8)| {
            format!("    {}  {name:<5} {address}", key as char)
        };
        REGIONS.map(line).to_vec()
    }

    /// Stops the region of a key, or starts it; other keys do nothing.
    pub(super) async fn toggle(&self, key: u8) {
        let Some(position) = REGIONS.iter().position(|&(_, _, other)| other == key) else { return };
        let is_running = self.running.lock().await[position].is_some();
        self.set(position, !is_running).await;
    }

    async fn set(&self, position: usize, run: bool) {
        let (name, address, _) = REGIONS[position];
        let mut running = self.running.lock().await;
        match (running[position].take(), run) {
            (None, true) => match TcpListener::bind((address, self.port)).await {
                Ok(listener) => {
                    running[position] = Some(serve(listener, name));
                    print(format!("* region {name} is started"));
                }
                Err(why) => print(format!("* region {name} does not start: {why}")),
            },
            (Some(server), false) => {
                server.abort();
                // Waits until the listener is closed, so that connections are refused from now on.
                let _ = server.await;
                print(format!("* region {name} is stopped"));
            }
            (before, _) => running[position] = before,
        }
    }
}

fn serve(listener: TcpListener, name: &'static str) -> JoinHandle<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/", get(move || async move { format!("hello from {name}\n") }));
    tokio::spawn(async move {
        // Ends when it is aborted.
        let _ = axum::serve(listener, router).await;
    })
}

async fn stop_by_name(State(regions): State<Regions>, Path(name): Path<String>) -> StatusCode {
    set_by_name(&regions, &name, false).await
}

async fn start_by_name(State(regions): State<Regions>, Path(name): Path<String>) -> StatusCode {
    set_by_name(&regions, &name, true).await
}

async fn set_by_name(regions: &Regions, name: &str, run: bool) -> StatusCode {
    match REGIONS.iter().position(|&(other, ..)| other == name) {
        Some(position) => {
            regions.set(position, run).await;
            StatusCode::NO_CONTENT
        }
        None => StatusCode::NOT_FOUND,
    }
}

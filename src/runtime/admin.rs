//! HTTP pages for machines: `/metrics`, `/healthz`, `/readyz`, `/push` for reports on endpoints, and `/rtt` where
//! round-trip times are gathered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::runtime::beacons;
use crate::runtime::beacons::BeaconDesk;
use crate::runtime::metrics::Metrics;
use crate::runtime::probe::Board;
use crate::runtime::pushes;

/// What OpenMetrics text is served as.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A listener that outlives a restart of what serves on it.
struct Shared(Arc<TcpListener>);

impl axum::serve::Listener for Shared {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                // Out of descriptors, most likely: trying again at once fails too.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves the pages until dropped.
pub async fn serve(
    listener: Arc<TcpListener>,
    metrics: Arc<Metrics>,
    desk: Option<Arc<BeaconDesk>>,
    board: Arc<Board>,
) {
    let pages = router(metrics, desk).merge(pushes::router(board));
    let pages = pages.into_make_service_with_connect_info::<Peer>();
    if let Err(why) = axum::serve(Shared(listener), pages).await {
        tracing::error!(%why, "metrics and health pages failed");
    }
}

/// The pages.
fn router(metrics: Arc<Metrics>, desk: Option<Arc<BeaconDesk>>) -> Router {
    let pages = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_readiness))
        .with_state(metrics);
    match desk {
        Some(desk) => pages.merge(beacons::router(desk)),
        None => pages,
    }
}

/// Who is connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Shared>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Shared>) -> Self {
        Self(*stream.remote_addr())
    }
}

async fn show_metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(CONTENT_TYPE, OPENMETRICS)], metrics.render()).into_response()
}

async fn show_readiness(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.is_ready() {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "waiting for the first round of probes\n")
            .into_response(),
    }
}

/// Binds the address of the pages.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

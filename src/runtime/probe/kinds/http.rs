//! The HTTP exchange of a probe: one request on a fresh connection, one response judged.
//!
//! HTTP/1.1 or HTTP/2; no proxies, cookies or decompression, and redirects are answers like others: `redirect` follows them. The caller opens
//! the stream, in clear or behind TLS, and sets the deadline. Built on hyper rather than reqwest, which cannot bound
//! the header block, reads the system's roots for each client and resumes TLS sessions.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::Request;
use hyper::Response;
use hyper::Version;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http2;
use hyper::header;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::health::LoadWord;
use crate::model::HttpCheck;
use crate::model::HttpVersion;
use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
pub(in crate::runtime::probe) use crate::runtime::probe::judge::Judge;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;

/// What backends see in their logs.
pub(super) const USER_AGENT: &str = concat!("rhumb/", env!("CARGO_PKG_VERSION"), " (health check)");

/// Largest header block of a response, in octets; also the most that is buffered of a body.
///
/// Source: common servers send at most 16 KiB (Node's default limit); hyper's own default is 400 KiB.
pub(super) const HEAD_MAX: u32 = 16 * 1024;

/// Whether HTTP is spoken in clear or behind TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::probe) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a `Host` header leaves out.
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// What a request says of the host at an address.
    pub(super) fn authority(self, host: Option<&str>, address: SocketAddr) -> String {
        match host {
            Some(host) => host.to_owned(),
            None if address.port() == self.default_port() => bracketed(address.ip()),
            None => address.to_string(),
        }
    }
}

/// A request made ready once, and what is expected of its response.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Exchange {
    request: Request<Empty<Bytes>>,
    judge: Arc<Judge>,
}

impl Exchange {
    /// Builds the request for one address.
    pub(in crate::runtime::probe) fn new(
        check: &HttpCheck,
        judge: Arc<Judge>,
        address: SocketAddr,
        scheme: Scheme,
    ) -> Result<Self, ProbeFailure> {
        let authority = scheme.authority(check.host.as_deref(), address);
        let mut request = Request::builder()
            .method(check.method)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*");
        request = match check.version {
            HttpVersion::One => request
                .uri(&*check.path)
                .header(header::HOST, authority)
                .header(header::CONNECTION, "close"),
            HttpVersion::Two => request.version(Version::HTTP_2).uri(format!(
                "{}://{authority}{}",
                scheme.text(),
                check.path
            )),
        };
        let mut request = request
            .body(Empty::new())
            .map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))?;
        for (name, value) in &check.headers {
            let bad = |text: String| ProbeFailure::BadCheck(text.into());
            let name = header::HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|error| bad(error.to_string()))?;
            let value = header::HeaderValue::from_str(value);
            let value = value.map_err(|error| bad(error.to_string()))?;
            // One of the operator's replaces one of ours.
            request.headers_mut().insert(name, value);
        }
        Ok(Self { request, judge })
    }

    /// Asks over a fresh connection and judges the response.
    pub(super) async fn run<S>(
        &self,
        stream: S,
        progress: &mut Progress,
    ) -> Result<LoadWord, ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        progress.enter(Phase::AwaitingResponse);
        let failed =
            |error: hyper::Error| ProbeFailure::from_hyper(&error, Phase::AwaitingResponse);
        match self.request.version() {
            Version::HTTP_2 => {
                let (mut sender, connection) =
                    http_2().handshake(TokioIo::new(stream)).await.map_err(failed)?;
                let response = sender.send_request(self.request.clone());
                alongside(connection, self.judge(response, progress)).await
            }
            _ => {
                let (mut sender, connection) = http1::Builder::new()
                    .max_buf_size(HEAD_MAX as usize)
                    .handshake(TokioIo::new(stream))
                    .await
                    .map_err(failed)?;
                let response = sender.send_request(self.request.clone());
                alongside(connection, self.judge(response, progress)).await
            }
        }
    }

    async fn judge(
        &self,
        response: impl Future<Output = hyper::Result<Response<Incoming>>>,
        progress: &mut Progress,
    ) -> Result<LoadWord, ProbeFailure> {
        let response =
            response.await.map_err(|error| ProbeFailure::from_hyper(&error, progress.phase()))?;
        progress.enter(Phase::ReadingBody);
        let location = response.headers().get(header::LOCATION);
        progress.saw_head(response.status().as_u16(), location.map(header::HeaderValue::as_bytes));
        self.judge.judge(response).await
    }
}

/// A client of HTTP/2 that buffers little, whatever comes.
pub(super) fn http_2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .max_header_list_size(HEAD_MAX)
        .initial_stream_window_size(BODY_MAX as u32)
        .initial_connection_window_size(BODY_MAX as u32);
    builder
}

/// Runs `talk` over a connection, which needs to be driven meanwhile.
pub(super) async fn alongside<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    talk: impl Future<Output = Result<T, ProbeFailure>>,
) -> Result<T, ProbeFailure> {
    let (mut talk, connection) = (pin!(talk), pin!(connection));
    tokio::select! {
        biased;
        outcome = &mut talk => return outcome,
        // The connection may be over before all it brought is read; its errors reach `talk` too.
        _ = connection => {}
    }
    talk.await
}

/// An address as a URL and a `Host` header write it.
fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

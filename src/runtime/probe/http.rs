//! The HTTP exchange of a probe: one request on a fresh connection, one response judged.
//!
//! HTTP/1.1 only; no redirects, proxies, cookies or decompression. The caller opens the stream, in
//! clear or behind TLS, and sets the deadline. Built on hyper rather than reqwest, which cannot bound
//! the header block, reads the system's roots for each client and resumes TLS sessions.

use std::future::poll_fn;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::pin::pin;

use hyper::Request;
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper::header;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::model::HttpCheck;
use crate::runtime::probe::body::Progress;
use crate::runtime::probe::body::Search;
use crate::runtime::probe::failure::Phase;
use crate::runtime::probe::failure::ProbeFailure;

/// What backends see in their logs.
const USER_AGENT: &str = concat!("rhumb/", env!("CARGO_PKG_VERSION"), " (health check)");

/// Largest header block of a response, in octets; also the most that is buffered of a body.
///
/// Source: common servers send at most 16 KiB (Node's default limit); hyper's own default is 400 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// A request, and what is expected of its response.
#[derive(Debug)]
pub(super) struct Exchange {
    request: Request<String>,
    check: HttpCheck,
}

impl Exchange {
    /// Builds the request for one address. `default_port` is left out of the `Host` header.
    pub(super) fn new(
        check: &HttpCheck,
        address: SocketAddr,
        default_port: u16,
    ) -> Result<Self, ProbeFailure> {
        let host = match &check.host {
            Some(host) => host.to_string(),
            None if address.port() == default_port => bracketed(address.ip()),
            None => address.to_string(),
        };
        let request = Request::get(&*check.path)
            .header(header::HOST, host)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close")
            .body(String::new())
            .map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))?;
        Ok(Self { request, check: check.clone() })
    }

    /// Asks over a fresh connection and judges the response; `phase` tells how far it came.
    pub(super) async fn run<S>(self, stream: S, phase: &mut Phase) -> Result<(), ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        *phase = Phase::AwaitingResponse;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ProbeFailure::from_hyper(&error, Phase::AwaitingResponse))?;
        let mut talk = pin!(self.talk(sender, phase));
        let connection = pin!(connection);
        tokio::select! {
            biased;
            outcome = &mut talk => return outcome,
            // The connection may be over before all it brought is read; its errors reach `talk` too.
            _ = connection => {}
        }
        talk.await
    }

    async fn talk(
        self,
        mut sender: SendRequest<String>,
        phase: &mut Phase,
    ) -> Result<(), ProbeFailure> {
        let response = sender
            .send_request(self.request)
            .await
            .map_err(|error| ProbeFailure::from_hyper(&error, *phase))?;
        let got = response.status().as_u16();
        if !self.check.status.iter().any(|range| range.contains(&got)) {
            return Err(ProbeFailure::Status { got, wanted: self.check.status });
        }
        match &self.check.body {
            Some(text) => {
                *phase = Phase::ReadingBody;
                find(text, response.into_body()).await
            }
            None => Ok(()),
        }
    }
}

/// Reads the body until the text is found or cannot be found any more.
async fn find(text: &str, mut body: Incoming) -> Result<(), ProbeFailure> {
    let mut search = Search::new(text);
    let lacks = |octets, whole| ProbeFailure::BodyLacks { text: text.into(), octets, whole };
    // An empty text is in every body, an empty one too.
    let mut progress = search.push(&[]);
    while progress == Progress::More {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
            return Err(lacks(search.seen(), true));
        };
        let frame = frame.map_err(|error| ProbeFailure::from_hyper(&error, Phase::ReadingBody))?;
        if let Some(piece) = frame.data_ref() {
            progress = search.push(piece);
        }
    }
    match progress {
        Progress::Found => Ok(()),
        Progress::Exhausted | Progress::More => Err(lacks(search.seen(), false)),
    }
}

/// An address as a URL and a `Host` header write it.
fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

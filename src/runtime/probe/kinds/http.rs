//! The HTTP exchange of a probe: one request on a fresh connection, one response judged.
//!
//! HTTP/1.1 or HTTP/2; no proxies, cookies or decompression, and redirects are answers like others: `redirect` follows
//! them. The caller opens the stream, in clear or behind TLS, and sets the deadline. HTTP/1.1 is our own
//! (docs/decisions/0030), HTTP/2 hyper's.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::Request;
use hyper::Version;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::health::LoadWord;
use crate::http1::Asked;
use crate::model::HttpCheck;
use crate::model::HttpVersion;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Writes;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::response;
use crate::runtime::probe::response::Body;
use crate::runtime::probe::response::Head;
use crate::runtime::probe::response::Response;
use crate::runtime::probe::response::judge::Judge;

/// What backends see in their logs.
pub(super) const USER_AGENT: &str = concat!("rhumb/", env!("CARGO_PKG_VERSION"), " (health check)");

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

/// A request made ready, and what is expected of its response.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Exchange {
    request: Asking,
    judge: Arc<Judge>,
}

/// A request of one version.
#[derive(Debug)]
enum Asking {
    /// Its octets, and what they ask for.
    One(Vec<u8>, Asked),
    Two(Box<Request<Empty<Bytes>>>),
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
        let request = match check.version {
            HttpVersion::One => request_one(check, &authority)?,
            HttpVersion::Two => Asking::Two(Box::new(request_two(check, &authority, scheme)?)),
        };
        Ok(Self { request, judge })
    }

    /// How often it writes in clear before it hears anything.
    pub(super) fn writes(&self) -> Writes {
        match &self.request {
            Asking::One(..) => Writes::Once,
            Asking::Two(_) => Writes::Often,
        }
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
        let response = self.ask(stream, progress).await?;
        self.judge.judge(response).await
    }

    /// Asks over a fresh connection: the head of the response, and behind it the body, which nobody has read yet.
    ///
    /// Dropping the response closes the connection.
    pub(super) async fn ask<S>(
        &self,
        stream: S,
        progress: &mut Progress,
    ) -> Result<Response<S>, ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        progress.enter(Phase::AwaitingResponse);
        let response = match &self.request {
            Asking::One(request, asked) => {
                let (head, body) = response::ask_one(stream, request, *asked).await?;
                Response { head: Head::One(head), body: Body::One(body) }
            }
            Asking::Two(request) => {
                // Large, and seldom: it must not make every probe as large.
                let asked = Box::pin(response::ask_two(stream, Request::clone(request)));
                let (status, headers, body) = asked.await?;
                Response { head: Head::Two(status, headers), body: Body::Two(body) }
            }
        };
        progress.enter(Phase::ReadingBody);
        progress.saw_head(response.head.status(), response.head.find("location"));
        Ok(response)
    }
}

/// The request as HTTP/1.1 has it: one write.
fn request_one(check: &HttpCheck, authority: &str) -> Result<Asking, ProbeFailure> {
    let HttpCheck { method, path, headers, .. } = check;
    let is_path = path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic());
    let is_host = authority.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_path || !is_host {
        let text = format!("{path:?} of host {authority:?} cannot be asked for");
        return Err(ProbeFailure::BadCheck(text.into()));
    }
    let mut text = String::with_capacity(256);
    text.extend([method, " ", path, " HTTP/1.1\r\nhost: ", authority, "\r\nconnection: close\r\n"]);
    // RFC 9110 section 8.6: whoever could have said something says that it is nothing.
    if matches!(*method, "POST" | "PUT" | "PATCH") {
        text.push_str("content-length: 0\r\n");
    }
    let own = [("user-agent", USER_AGENT), ("accept", "*/*")];
    // One of the operator's replaces one of ours.
    let own =
        own.into_iter().filter(|(name, _)| headers.iter().all(|(other, _)| **other != **name));
    let further = headers.iter().map(|(name, value)| (&**name, &**value));
    for (name, value) in own.chain(further) {
        let is_field = HeaderName::from_bytes(name.as_bytes()).is_ok()
            && value.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic());
        if !is_field {
            let text = format!("{name:?}: {value:?} is no header");
            return Err(ProbeFailure::BadCheck(text.into()));
        }
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    let asked = if *method == "HEAD" { Asked::Head } else { Asked::Whole };
    Ok(Asking::One(text.into_bytes(), asked))
}

/// The request as hyper takes it.
fn request_two(
    check: &HttpCheck,
    authority: &str,
    scheme: Scheme,
) -> Result<Request<Empty<Bytes>>, ProbeFailure> {
    let bad = |text: String| ProbeFailure::BadCheck(text.into());
    let request = Request::builder()
        .method(check.method)
        .version(Version::HTTP_2)
        .uri(format!("{}://{authority}{}", scheme.text(), check.path))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .body(Empty::new());
    let mut request = request.map_err(|error| bad(error.to_string()))?;
    for (name, value) in &check.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|error| bad(error.to_string()))?;
        let value = header::HeaderValue::from_str(value);
        let value = value.map_err(|error| bad(error.to_string()))?;
        // One of the operator's replaces one of ours.
        request.headers_mut().insert(name, value);
    }
    Ok(request)
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

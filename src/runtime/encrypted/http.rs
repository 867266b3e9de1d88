//! DNS over HTTPS as requests and responses (RFC 8484); knows no connections.

use std::borrow::Cow;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use crate::runtime::tcp::desk::MESSAGE_MAX;
use crate::wire::options;

/// What a query and a reply are served as (RFC 8484 section 6).
const DNS_MESSAGE: &str = "application/dns-message";

/// Octets of a body too long that are read and dropped before it is refused.
const DISCARD_MAX: usize = 1024 * 1024;

/// Shortest query: a header.
const QUERY_MIN: usize = 12;

/// The query in a request, or the response that says why there is none.
///
/// The body is read in any case: who is refused while still sending takes it for a broken stream.
pub(super) async fn read_query<B>(
    request: Request<B>,
    path: &str,
    patience: Duration,
) -> Result<Vec<u8>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(patience, read_body(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(refusal(StatusCode::BAD_REQUEST, "the body broke off\n")),
        Err(_) => return Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
    };
    if parts.uri.path() != path {
        return Err(refusal(StatusCode::NOT_FOUND, format!("DNS is at {path}\n")));
    }
    let query = match parts.method {
        Method::GET => query_of_get(parts.uri.query().unwrap_or(""))?,
        Method::POST => query_of_post(&parts, body)?,
        _ => return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "use GET or POST\n")),
    };
    if query.len() < QUERY_MIN {
        return Err(refusal(StatusCode::BAD_REQUEST, "this is no DNS message\n"));
    }
    Ok(query)
}

/// `dns=`, base64url without padding.
fn query_of_get(parameters: &str) -> Result<Vec<u8>, Refusal> {
    let text = parameters.split('&').find_map(|parameter| parameter.strip_prefix("dns="));
    let Some(text) = text else {
        return Err(refusal(StatusCode::BAD_REQUEST, "the parameter dns is missing\n"));
    };
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .ok()
        .filter(|query| query.len() <= MESSAGE_MAX)
        .ok_or_else(|| {
            refusal(StatusCode::BAD_REQUEST, "dns is not base64url without padding (RFC 8484)\n")
        })
}

/// The body, if it is called what it should be; `None` is one that was too long.
fn query_of_post(parts: &Parts, body: Option<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or(kind).trim());
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case(DNS_MESSAGE)) {
        let text = format!("send {DNS_MESSAGE}\n");
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    body.ok_or_else(|| {
        let text = "a DNS message has 65535 octets at most\n";
        refusal(StatusCode::PAYLOAD_TOO_LARGE, text)
    })
}

/// The whole body; none if it is longer than a message.
async fn read_body<B>(mut body: B) -> Result<Option<Vec<u8>>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut whole, mut len) = (Vec::new(), 0);
    while len <= DISCARD_MAX {
        let Some(frame) = body.frame().await.transpose()? else { break };
        let Some(data) = frame.data_ref() else { continue };
        len += data.len();
        if len <= MESSAGE_MAX {
            whole.extend_from_slice(data);
        }
    }
    Ok((len <= MESSAGE_MAX).then_some(whole))
}

/// Why a request gets no reply.
pub(super) struct Refusal {
    status: StatusCode,
    text: Cow<'static, str>,
}

fn refusal(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { status, text: text.into() }
}

impl Refusal {
    /// For a message that deserves no reply.
    pub(super) fn no_query() -> Self {
        refusal(StatusCode::BAD_REQUEST, "this is no DNS query\n")
    }

    /// A few words instead of a reply.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.text.into_owned())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }
}

/// The response that carries a reply.
pub(super) fn response(reply: Vec<u8>) -> Response<Full<Bytes>> {
    // Private, for the answer is this client's; no longer than the data lives (RFC 8484 section 5.1).
    let age = format!("private, max-age={}", options::least_ttl(&reply).unwrap_or(0));
    let mut response = Response::new(Full::new(Bytes::from(reply)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    if let Ok(age) = HeaderValue::from_str(&age) {
        headers.insert(header::CACHE_CONTROL, age);
    }
    response
}

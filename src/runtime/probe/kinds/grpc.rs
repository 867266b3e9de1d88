//! The gRPC health protocol (`grpc.health.v1.Health/Check`): one unary call over HTTP/2.
//!
//! Its two messages have one field each, so that they are written and read here and no code is generated.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::Version;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::model::GrpcCheck;
use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::kinds::http::Scheme;
use crate::runtime::probe::kinds::http::USER_AGENT;
use crate::runtime::probe::kinds::http::alongside;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;
use crate::runtime::probe::response;

/// The method that every server of the protocol has.
const METHOD: &str = "/grpc.health.v1.Health/Check";

/// Octets before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// `SERVING` of `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;

/// A call made ready once.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Call {
    request: Request<Full<Bytes>>,
    service: Box<str>,
}

impl Call {
    /// Builds the call for one address.
    pub(in crate::runtime::probe) fn new(
        check: &GrpcCheck,
        address: SocketAddr,
        scheme: Scheme,
    ) -> Result<Self, ProbeFailure> {
        let authority = scheme.authority(check.host.as_deref(), address);
        let request = Request::post(format!("{}://{authority}{METHOD}", scheme.text()))
            .version(Version::HTTP_2)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, USER_AGENT)
            .body(Full::new(request_of(&check.service)))
            .map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))?;
        Ok(Self { request, service: check.service.clone() })
    }

    /// Calls over a fresh connection and judges what comes back.
    pub(super) async fn run<S>(
        &self,
        stream: S,
        progress: &mut Progress,
    ) -> Result<(), ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        progress.enter(Phase::AwaitingResponse);
        let (mut sender, connection) = response::two_client()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ProbeFailure::from_hyper(&error, Phase::AwaitingResponse))?;
        let response = sender.send_request(self.request.clone());
        let talk = async {
            let response = response
                .await
                .map_err(|error| ProbeFailure::from_hyper(&error, Phase::AwaitingResponse))?;
            progress.enter(Phase::ReadingBody);
            self.judge(response).await
        };
        alongside(connection, talk).await
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<(), ProbeFailure> {
        let failed = |text: String| Err(ProbeFailure::Answer(text.into()));
        let (head, mut body) = response.into_parts();
        if head.status != hyper::StatusCode::OK {
            return failed(format!("HTTP status {}, not gRPC", head.status.as_u16()));
        }
        // A call that fails at once has its status in the headers.
        let mut trailers = head.headers;
        let mut message = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| ProbeFailure::from_hyper(&error, Phase::ReadingBody))?;
            match frame.into_data() {
                Ok(piece) => message.extend_from_slice(&piece),
                Err(frame) => trailers.extend(frame.into_trailers().ok().into_iter().flatten()),
            }
            if message.len() > BODY_MAX {
                return Err(ProbeFailure::TooMuch(BODY_MAX));
            }
        }
        if let Some(status) = failure_of(&trailers, &self.service) {
            return failed(status);
        }
        match status_of(&message) {
            Some(SERVING) => Ok(()),
            Some(other) => failed(format!("gRPC: {} is {}", shown(&self.service), word(other))),
            None => failed("gRPC: the reply is no HealthCheckResponse".into()),
        }
    }
}

/// `HealthCheckRequest { service = 1 }` with its prefix.
fn request_of(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    Bytes::from(framed)
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Field 1 of `HealthCheckResponse`; one that is left out is 0.
fn status_of(framed: &[u8]) -> Option<u64> {
    let (prefix, mut message) = framed.split_at_checked(PREFIX)?;
    let is_whole = prefix[0] == 0 && prefix[1..] == (message.len() as u32).to_be_bytes();
    if !is_whole {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = read_varint(&mut message)?;
                status = if key >> 3 == 1 { value } else { status };
            }
            // A field of a later version: it is passed over.
            2 => {
                let len = usize::try_from(read_varint(&mut message)?).ok()?;
                message = message.get(len..)?;
            }
            1 => message = message.get(8..)?,
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn read_varint(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&octet, rest) = octets.split_first()?;
        *octets = rest;
        number |= u64::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

/// What a status of the protocol is called.
fn word(status: u64) -> &'static str {
    match status {
        0 => "UNKNOWN",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "in a state that is not known",
    }
}

/// A service for people.
fn shown(service: &str) -> String {
    if service.is_empty() { "the server".into() } else { format!("{service:?}") }
}

/// Why a call failed; `None` if it did not.
fn failure_of(trailers: &HeaderMap, service: &str) -> Option<String> {
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
    let message = text("grpc-message").unwrap_or_default();
    let message: String = message.chars().take(ProbeFailure::SHOWN_MAX).collect();
    let more = if message.is_empty() { String::new() } else { format!(": {message}") };
    Some(match text("grpc-status") {
        Some("0") => return None,
        Some("5") => format!("gRPC: {} is not known to it", shown(service)),
        Some("12") => "gRPC: it does not speak the health protocol".to_owned(),
        Some(code) => format!("gRPC status {code}{more}"),
        None => "gRPC: the reply has no status".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_protocol_buffers_write_them() {
        assert_eq!(request_of("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(request_of("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request_of(&"x".repeat(200));
        assert_eq!(long[..9], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1, b'x']);
    }

    #[test]
    fn replies_are_read_with_fields_of_later_versions() {
        let framed = |message: &[u8]| {
            let mut all = vec![0, 0, 0, 0, message.len() as u8];
            all.extend_from_slice(message);
            all
        };
        assert_eq!(status_of(&framed(&[8, 1])), Some(1));
        assert_eq!(status_of(&framed(&[])), Some(0));
        assert_eq!(status_of(&framed(&[0x12, 2, 9, 9, 8, 2, 0x1d, 1, 2, 3, 4])), Some(2));
        for wrong in [&[8][..], &[0x12, 9, 1], &[0x0b], &[0x80; 11]] {
            assert_eq!(status_of(&framed(wrong)), None, "{wrong:?}");
        }
        assert_eq!(status_of(&[1, 0, 0, 0, 2, 8, 1]), None, "compressed");
        assert_eq!(status_of(&[0, 0, 0, 0, 3, 8, 1]), None, "cut");
    }
}

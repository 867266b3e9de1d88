//! A response as a probe sees it, of whichever version: its head, and its body piece by piece.
//!
//! Sends nothing but the one request, follows nothing and judges nothing: that is the business of `judge`.

pub(super) mod judge;
mod one;
pub(super) mod search;
mod two;

use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::http1;
use crate::runtime::probe::failure::ProbeFailure;

pub(super) use one::ask as ask_one;
pub(super) use two::ask as ask_two;
pub(super) use two::client as two_client;

/// What came back for one request.
pub(super) struct Response<S> {
    pub(super) head: Head,
    pub(super) body: Body<S>,
}

/// Status and headers.
#[derive(Debug)]
pub(super) enum Head {
    One(http1::Head),
    Two(StatusCode, HeaderMap),
}

/// A body that is still to be read; dropping it closes the connection.
pub(super) enum Body<S> {
    One(one::Body<S>),
    Two(Box<two::Body>),
}

/// Whether whoever looks at a body has seen enough of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    More,
    Enough,
}

/// How the reading of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of it was seen.
    Whole,
    /// Whoever looked had seen enough.
    Enough,
}

impl Head {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::One(head) => head.status(),
            Self::Two(status, _) => status.as_u16(),
        }
    }

    /// The first value of a header, by its name in lower case.
    pub(super) fn find(&self, name: &str) -> Option<&[u8]> {
        match self {
            Self::One(head) => head.find(name),
            Self::Two(_, headers) => headers.get(name).map(HeaderValue::as_bytes),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Body<S> {
    /// Shows piece after piece, as they come, until whoever looks has seen enough.
    pub(super) async fn read(
        self,
        look: impl FnMut(&[u8]) -> Appetite,
    ) -> Result<End, ProbeFailure> {
        match self {
            Self::One(body) => body.read(look).await,
            Self::Two(body) => body.read(look).await,
        }
    }
}

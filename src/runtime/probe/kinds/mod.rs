//! One file for each kind of probe: what it asks once, made ready, and how it judges what comes back.
//!
//! A kind opens its own connection over a [`Line`], tells its [`Progress`], and knows no deadline, schedule or verdict.

pub(super) mod dns;
pub(super) mod exec;
pub(super) mod file;
pub(super) mod grpc;
pub(super) mod http;
pub(super) mod icmp;
pub(super) mod push;
pub(super) mod redirect;
pub(super) mod tcp;
pub(super) mod tls;
pub(super) mod udp;

use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Progress;

/// A probe of one kind, made ready.
#[derive(Debug)]
pub(super) enum Kind {
    Tcp(tcp::Conversation),
    Tls(tls::Handshake),
    Http(http::Exchange),
    Https(http::Exchange, tls::Handshake),
    /// Either, and what it redirects to.
    Walk(Box<redirect::Walk>),
    Grpc(grpc::Call),
    Grpcs(grpc::Call, tls::Handshake),
    Dns(dns::Question),
    Udp(udp::Datagrams),
    Icmp(icmp::Echo),
    Exec(exec::Run),
    Push(push::Listen),
    File(file::LineOf),
    /// Each probe fails with this reason.
    Broken(ProbeFailure),
}

impl Kind {
    /// Runs one probe; whoever calls sets the deadline.
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        match self {
            Self::Tcp(conversation) => conversation.run(line, progress).await,
            Self::Tls(handshake) => handshake.run(line, progress).await,
            Self::Http(exchange) => {
                let stream = line.connect().await?;
                let load = exchange.run(progress.tap(stream), progress).await?;
                Ok(Success { load, ..Success::default() })
            }
            Self::Https(exchange, handshake) => {
                let stream = line.connect().await?;
                let (stream, success, chain) = handshake.shake(stream, progress).await?.split();
                let outcome = exchange.run(progress.tap(stream), progress).await;
                handshake.settle(chain);
                outcome.map(|load| Success { load, ..success })
            }
            Self::Walk(walk) => walk.run(line, progress).await,
            Self::Grpc(call) => {
                let stream = line.connect().await?;
                call.run(stream, progress).await.map(|()| Success::default())
            }
            Self::Grpcs(call, handshake) => {
                let stream = line.connect().await?;
                let (stream, success, chain) = handshake.shake(stream, progress).await?.split();
                let outcome = call.run(stream, progress).await;
                handshake.settle(chain);
                outcome.map(|()| success)
            }
            Self::Dns(question) => question.run(line, progress).await,
            Self::Udp(datagrams) => datagrams.run(line, progress).await,
            Self::Icmp(echo) => echo.run(line, progress).await,
            Self::Exec(command) => command.run(line, progress).await,
            Self::Push(listen) => listen.run(),
            Self::File(line_of) => line_of.run(line).await,
            Self::Broken(failure) => Err(failure.clone()),
        }
    }
}

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
use crate::runtime::probe::line::Writes;
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
    ///
    /// What runs has room for the largest kind of those that are not boxed: of many that stall it would be ten times as much.
    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        match self {
            Self::Tcp(conversation) => conversation.run(line, progress).await,
            Self::Http(exchange) => {
                let stream = line.connect(exchange.writes()).await?;
                let load = exchange.run(progress.tap(stream), progress).await?;
                Ok(Success { load, ..Success::default() })
            }
            Self::Tls(handshake) => Box::pin(handshake.run(line, progress)).await,
            Self::Https(exchange, handshake) => {
                Box::pin(https(exchange, handshake, line, progress)).await
            }
            Self::Walk(walk) => Box::pin(walk.run(line, progress)).await,
            Self::Grpc(call) => Box::pin(grpc(call, line, progress)).await,
            Self::Grpcs(call, handshake) => Box::pin(grpcs(call, handshake, line, progress)).await,
            Self::Dns(question) => Box::pin(question.run(line, progress)).await,
            Self::Udp(datagrams) => Box::pin(datagrams.run(line, progress)).await,
            Self::Icmp(echo) => Box::pin(echo.run(line, progress)).await,
            Self::Exec(command) => Box::pin(command.run(line, progress)).await,
            Self::Push(listen) => listen.run(),
            Self::File(line_of) => Box::pin(line_of.run(line)).await,
            Self::Broken(failure) => Err(failure.clone()),
        }
    }
}

async fn https(
    exchange: &http::Exchange,
    handshake: &tls::Handshake,
    line: Line,
    progress: &mut Progress,
) -> Result<Success, ProbeFailure> {
    let stream = line.connect(Writes::Often).await?;
    let (stream, success, chain) = handshake.shake(stream, progress).await?.split();
    let outcome = exchange.run(progress.tap(stream), progress).await;
    handshake.settle(chain);
    outcome.map(|load| Success { load, ..success })
}

async fn grpc(
    call: &grpc::Call,
    line: Line,
    progress: &mut Progress,
) -> Result<Success, ProbeFailure> {
    let stream = line.connect(Writes::Often).await?;
    call.run(stream, progress).await.map(|()| Success::default())
}

async fn grpcs(
    call: &grpc::Call,
    handshake: &tls::Handshake,
    line: Line,
    progress: &mut Progress,
) -> Result<Success, ProbeFailure> {
    let stream = line.connect(Writes::Often).await?;
    let (stream, success, chain) = handshake.shake(stream, progress).await?.split();
    let outcome = call.run(stream, progress).await;
    handshake.settle(chain);
    outcome.map(|()| success)
}

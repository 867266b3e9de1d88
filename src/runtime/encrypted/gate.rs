//! The handler behind DNS over HTTPS and QUIC: hickory-server's request in, our answer out.
//!
//! `answer()` sees the very octets of the query, but a [`ResponseHandler`] takes a typed message: our reply
//! is read by hickory and written again. What hickory cannot read goes around it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use hickory_server::net::NetError;
use hickory_server::net::runtime::Time;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::Header;
use hickory_server::proto::op::HeaderCounts;
use hickory_server::proto::op::Message;
use hickory_server::proto::op::Metadata;
use hickory_server::proto::rr::Record;
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::server::RequestHandler;
use hickory_server::server::ResponseHandler;
use hickory_server::server::ResponseInfo;
use hickory_server::zone_handler::MessageResponse;
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::answer::Request;
use crate::answer::Transport;
use crate::runtime::respond::Respond;
use crate::runtime::tcp::TcpCounters;
use crate::runtime::tcp::desk::Desks;
use crate::runtime::tcp::desk::MESSAGE_MAX;
use crate::runtime::tcp::desk::PREFIX;
use crate::runtime::tcp::desk::Pause;
use crate::wire::options;

/// A query of hickory's.
type Asked = hickory_server::server::Request;

/// Answers queries of every connection of a service.
pub(super) struct Gate<R> {
    /// Boxed, for the trait wants what can be moved.
    desks: Box<Desks<R>>,
    counters: TcpCounters,
}

impl<R: Respond> Gate<R> {
    /// Answers by clones of `respond`, counted in `counters`.
    pub(super) fn new(respond: R, counters: TcpCounters) -> Self {
        Self { desks: Box::new(Desks::new(respond)), counters }
    }

    /// The reply to a query of at most 65,535 octets; `None` if there is to be none.
    pub(super) async fn ask(
        &self,
        query: Vec<u8>,
        client: SocketAddr,
        protocol: Protocol,
    ) -> Option<Vec<u8>> {
        let is_padded = options::has_option(&query, options::PADDING);
        let reply = match Asked::from_bytes(query.clone(), client, protocol) {
            Ok(asked) => {
                let mail = Mailbox::default();
                self.handle_request::<_, TokioTime>(&asked, mail.clone()).await;
                // Rdata that the operator wrote as octets may be more than hickory understands, and its
                // replies are longer: a full one would be truncated, and lose its OPT.
                let whole = mail.take().filter(|reply| !is_truncated(reply));
                whole.or_else(|| self.answer(&query, client, transport(protocol)))
            }
            // Ours knows which code it deserves.
            Err(_) => self.answer(&query, client, transport(protocol)),
        };
        let mut reply = reply?;
        if is_padded {
            let len = reply.len();
            reply.resize(MESSAGE_MAX.min(len + PADDING_ROOM), 0);
            let len = options::pad(&mut reply, len);
            reply.truncate(len);
        }
        Some(reply)
    }

    /// Answers by a desk of the TCP engine.
    fn answer(&self, query: &[u8], client: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        let query_len = u16::try_from(query.len()).ok()?;
        let framed = [&query_len.to_be_bytes(), query].concat();
        let request = Request { client: client.ip(), local: None, transport, unix_s: 0 };
        let cells = &self.counters.cells;
        let (pause, reply) = self.desks.with(|desk| {
            let turn = desk.answer(request, &framed, 1);
            (turn.pause, desk.replies().get(PREFIX..).map(<[u8]>::to_vec))
        });
        cells.received.add(1);
        match pause {
            Pause::NeedInput | Pause::EnoughReplies => {
                cells.replies.add(1);
                reply
            }
            Pause::Malformed | Pause::Dropped => {
                cells.dropped.add(1);
                None
            }
            Pause::Panicked => {
                self.count_panic(transport);
                None
            }
        }
    }

    /// Counts a panic; logs the 1st, 2nd, 4th, 8th and so on.
    fn count_panic(&self, transport: Transport) {
        let cells = &self.counters.cells;
        cells.dropped.add(1);
        cells.panics.add(1);
        let panics = cells.panics.get();
        if panics.is_power_of_two() {
            let service = transport.name();
            tracing::error!(panics, service, "answering a query panicked; it gets no reply");
        }
    }
}

/// Room that padding may need: a block and an option's header.
const PADDING_ROOM: usize = 472;

/// Whether a message has TC.
fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Quic => Transport::Quic,
        _ => Transport::Https,
    }
}

#[async_trait::async_trait]
impl<R: Respond> RequestHandler for Gate<R> {
    async fn handle_request<H: ResponseHandler, T: Time>(
        &self,
        asked: &Asked,
        mut respond: H,
    ) -> ResponseInfo {
        let nothing = || {
            let (id, op_code) = (asked.metadata.id, asked.metadata.op_code);
            let metadata = Metadata::new(id, asked.metadata.message_type, op_code);
            ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
        };
        let reply = self.answer(asked.as_slice(), asked.src(), transport(asked.protocol()));
        let Some(Ok(reply)) = reply.map(|octets| Message::from_vec(&octets)) else {
            return nothing();
        };
        let mut builder = MessageResponseBuilder::from_message_request(asked);
        if let Some(edns) = &reply.edns {
            builder.edns(edns);
        }
        let response = builder.build(
            reply.metadata,
            &reply.answers,
            &reply.authorities,
            &[],
            &reply.additionals,
        );
        // It breaks if the client has gone.
        respond.send_response(response).await.unwrap_or_else(|_| nothing())
    }
}

/// Where a reply is left for whoever asked.
#[derive(Clone, Default)]
struct Mailbox(Arc<Mutex<Option<Vec<u8>>>>);

impl Mailbox {
    fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait::async_trait]
impl ResponseHandler for Mailbox {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut octets = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut octets);
        encoder.set_max_size(u16::MAX);
        let info = response.destructive_emit(&mut encoder)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(octets);
        Ok(info)
    }
}

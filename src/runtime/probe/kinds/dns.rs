//! The DNS probe: one question over UDP, again over TCP if the reply is cut; its code and its data are judged.

use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::model::DnsCheck;
use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::kinds::udp::receive;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::line::Writes;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;

/// Records of a reply that are shown.
const SHOWN_MAX: usize = 16;

/// Most strange datagrams that are heard while waiting for the reply.
const STRANGERS_MAX: usize = 16;

/// A question made ready once, and what is expected.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Question {
    query: Query,
    recursion: bool,
    rcode: &'static str,
    answer: Option<Box<str>>,
}

impl Question {
    pub(in crate::runtime::probe) fn new(check: &DnsCheck) -> Result<Self, ProbeFailure> {
        let name = Name::from_ascii(check.qname.to_string())
            .map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))?;
        let query = Query::query(name, RecordType::from(check.qtype.0));
        let DnsCheck { qname: _, qtype: _, recursion, rcode, answer } = check.clone();
        Ok(Self { query, recursion, rcode, answer })
    }

    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        // A new id each time, and a new port: nobody else can answer.
        let mut question = Message::query();
        question.metadata.recursion_desired = self.recursion;
        question.add_query(self.query.clone());
        let octets =
            question.to_vec().map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))?;
        let reply = self.ask_udp(&question, &octets, line, progress).await?;
        let reply = match reply.metadata.truncation {
            true => self.ask_tcp(&question, &octets, line, progress).await?,
            false => reply,
        };
        if progress.is_heard() {
            progress.hear(shown(&reply).as_bytes());
        }
        self.judge(&reply).map_err(|text| ProbeFailure::Answer(text.into()))?;
        Ok(Success::default())
    }

    async fn ask_udp(
        &self,
        question: &Message,
        octets: &[u8],
        line: Line,
        progress: &mut Progress,
    ) -> Result<Message, ProbeFailure> {
        let socket = line.datagrams().await?;
        progress.enter(Phase::AwaitingResponse);
        let sent = socket.send(octets).await;
        sent.map_err(|error| ProbeFailure::from_io(&error, Phase::Connecting))?;
        let mut datagram = vec![0; BODY_MAX];
        for _ in 0..STRANGERS_MAX {
            let len = receive(&socket, &mut datagram).await?;
            if let Some(reply) = self.reply_to(question, &datagram[..len]) {
                progress.enter(Phase::ReadingBody);
                return Ok(reply);
            }
        }
        Err(ProbeFailure::Answer("what comes back is no reply to the question".into()))
    }

    async fn ask_tcp(
        &self,
        question: &Message,
        octets: &[u8],
        line: Line,
        progress: &mut Progress,
    ) -> Result<Message, ProbeFailure> {
        let mut stream = line.connect(Writes::Often).await?;
        progress.enter(Phase::AwaitingResponse);
        let talk = async {
            let mut framed = (octets.len() as u16).to_be_bytes().to_vec();
            framed.extend_from_slice(octets);
            stream.write_all(&framed).await?;
            let len = stream.read_u16().await?;
            let mut reply = vec![0; usize::from(len)];
            stream.read_exact(&mut reply).await?;
            Ok(reply)
        };
        let reply: Vec<u8> = talk.await.map_err(|error: std::io::Error| {
            ProbeFailure::from_io(&error, Phase::AwaitingResponse)
        })?;
        progress.enter(Phase::ReadingBody);
        self.reply_to(question, &reply).ok_or_else(|| {
            ProbeFailure::Answer("what comes back over TCP is no reply to the question".into())
        })
    }

    /// A message, if it is the reply to the question (RFC 5452 section 4.2).
    fn reply_to(&self, question: &Message, octets: &[u8]) -> Option<Message> {
        let reply = Message::from_vec(octets).ok()?;
        let is_reply = reply.metadata.message_type == MessageType::Response
            && reply.metadata.id == question.metadata.id;
        // Some servers leave the question out of an error.
        let is_same = match &reply.queries[..] {
            [] => reply.metadata.response_code != ResponseCode::NoError,
            [query] => *query == self.query,
            _ => false,
        };
        (is_reply && is_same).then_some(reply)
    }

    fn judge(&self, reply: &Message) -> Result<(), String> {
        let got = mnemonic(reply.metadata.response_code);
        if got != self.rcode {
            return Err(format!("{got}, wanted {}", self.rcode));
        }
        let Some(wanted) = &self.answer else { return Ok(()) };
        let data = reply.answers.iter().map(|record| &record.data);
        let data: Vec<&RData> =
            data.filter(|data| data.record_type() == self.query.query_type()).collect();
        if data.iter().any(|data| has(data, wanted)) {
            return Ok(());
        }
        let (name, rtype) = (self.query.name(), self.query.query_type());
        match &data[..] {
            [] => Err(format!("no {rtype} record of {name}, wanted {wanted}")),
            [first, others @ ..] => {
                let first: String = first.to_string().chars().take(100).collect();
                let more = if others.is_empty() { "" } else { " and others" };
                Err(format!("{rtype} of {name} is {first}{more}, wanted {wanted}"))
            }
        }
    }
}

/// A reply for people, as dig has it: the code, then each record of the answer.
fn shown(reply: &Message) -> String {
    let records = reply.answers.iter().take(SHOWN_MAX);
    let records = records.map(|record| format!("\n{record}")).collect::<String>();
    format!(
        "{}, {} records{records}\n",
        mnemonic(reply.metadata.response_code),
        reply.answers.len()
    )
}

/// Whether data is what an operator wrote; names are the same in any case, with and without their last dot.
fn has(data: &RData, wanted: &str) -> bool {
    if let (Some(found), Ok(wanted)) = (data.ip_addr(), wanted.parse::<IpAddr>()) {
        return found == wanted;
    }
    let plain = |text: &str| text.trim_end_matches('.').replace('"', "").to_ascii_lowercase();
    plain(&data.to_string()) == plain(wanted)
}

/// What dig calls a response code.
fn mnemonic(code: ResponseCode) -> String {
    let known = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::NotAuth => "NOTAUTH",
        other => return format!("RCODE{}", u16::from(other)),
    };
    known.to_owned()
}

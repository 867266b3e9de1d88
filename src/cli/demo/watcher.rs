//! Asks the server as a few clients would, over real UDP, and shows each answer that changed.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::ClientSubnet;
use hickory_proto::rr::rdata::opt::EdnsOption;
use tokio::net::UdpSocket;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::cli::output::print;

/// Networks of the demo's geo data, and their cities.
pub(super) const CLIENTS: [(&str, &str); 4] = [
    ("198.18.3.0/24", "Paris"),
    ("198.18.8.0/24", "New York"),
    ("198.18.14.0/24", "Sao Paulo"),
    ("198.18.23.0/24", "Tokyo"),
];

/// How often clients ask.
const EVERY: Duration = Duration::from_millis(250);

/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The clients and what they got last.
pub(super) struct Watcher {
    server: SocketAddr,
    last: [String; CLIENTS.len()],
}

impl Watcher {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server, last: Default::default() }
    }

    /// Waits a moment, has every client ask, and shows what changed.
    pub(super) async fn look(&mut self) {
        sleep(EVERY).await;
        for (position, (network, city)) in CLIENTS.into_iter().enumerate() {
            let answer = match timeout(PATIENCE, ask(self.server, network)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(why)) => why.to_string(),
                Err(_) => "no answer".into(),
            };
            if answer != self.last[position] {
                print(format!("www.demo.test from {city:<10} {network:<15} -> {answer}"));
                self.last[position] = answer;
            }
        }
    }
}

async fn ask(server: SocketAddr, network: &str) -> Result<String, io::Error> {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("www.demo.test.").map_err(io::Error::other)?;
    message.add_query(Query::query(name, RecordType::A));
    let mut edns = Edns::new();
    let subnet = ClientSubnet::from_str(network).map_err(|_| io::Error::other("not a network"))?;
    edns.options_mut().insert(EdnsOption::Subnet(subnet));
    message.set_edns(edns);
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
    socket.connect(server).await?;
    socket.send(&message.to_vec().map_err(io::Error::other)?).await?;
    let mut octets = [0; 1232];
    let len = socket.recv(&mut octets).await?;
    let reply = Message::from_vec(&octets[..len]).map_err(io::Error::other)?;
    let answers: Vec<String> = reply
        .answers
        .iter()
        .map(|record| format!("{} (TTL {})", record.data, record.ttl))
        .collect();
    match answers.is_empty() {
        true => Ok(reply.metadata.response_code.to_string()),
        false => Ok(answers.join(", ")),
    }
}

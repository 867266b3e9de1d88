//! A real server in a scratch folder, and real clients of it.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::status::Status;
use rhumb::model::NodeTerms;
use rhumb::runtime::control_socket;
use rhumb::runtime::files::Sources;
use rhumb::runtime::serve::Options;
use rhumb::runtime::serve::Server;
use rhumb::runtime::serve::StartError;
use rhumb::runtime::service_manager::ServiceManager;
use rhumb::runtime::tcp::TcpLimits;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest wait for what must come, on however busy a machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Polls until something holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Files of a server.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("zones")).unwrap();
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file in place at once, as a careful editor does.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        let draft =
            path.with_file_name(format!(".{}.draft", path.file_name().unwrap().to_str().unwrap()));
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, path).unwrap();
    }

    /// Answers on a port that the kernel chooses.
    pub fn options(&self) -> Options {
        let sources = Sources {
            zones: self.path("zones"),
            shared: None,
            databases: Vec::new(),
            overlays: Vec::new(),
            rtt: None,
            database_folder: None,
            terms: NodeTerms::default(),
        };
        Options {
            state: None,
            encrypted: None,
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            workers: 2,
            sources,
            rtt: None,
            site: None,
            admin: Some("127.0.0.1:0".parse().unwrap()),
            socket: Some(self.path("rhumb.sock")),
            watch: false,
            probe: rhumb::runtime::probe::Limits::default(),
            cluster: None,
            resolver: rhumb::config::node::default_node().resolver,
            tcp: TcpLimits::default(),
            node_file: None,
            manager: ServiceManager::default(),
        }
    }
}

/// A running server.
pub struct Live {
    pub runtime: Runtime,
    pub server: Server,
}

impl Live {
    pub fn start(options: &Options) -> Self {
        let runtime = runtime();
        let server = start_in(&runtime, options).unwrap();
        Self { runtime, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub fn command(&self, command: Command) -> Reply {
        self.runtime.block_on(control_socket::ask(self.server.commands(), command))
    }

    pub fn status(&self) -> Status {
        match self.command(Command::Status) {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Reads the files again; returns once they are in force, or refused.
    pub fn reload(&self) {
        let reply = self.command(Command::Reload);
        assert!(matches!(reply, Reply::Done { .. } | Reply::Failed { .. }), "{reply:?}");
    }

    /// The value of one series of the metrics.
    pub fn metric(&self, series: &str) -> Option<f64> {
        find_metric(&self.server.metrics().render(), series)
    }

    /// Verdict and reason of an endpoint's only target.
    pub fn verdict(&self, endpoint: &str) -> (String, String) {
        let status = self.status();
        let mut endpoints = status.pools.into_iter().flat_map(|pool| pool.endpoints);
        let mut found = endpoints.find(|other| other.key == endpoint).unwrap();
        let target = found.targets.remove(0);
        (target.verdict, target.reason)
    }

    pub fn stop(self) {
        let Self { runtime, server } = self;
        let stopped = async { tokio::time::timeout(PATIENCE, server.stop()).await };
        runtime.block_on(stopped).expect("the server stops");
    }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Starts a server; tries again if somebody has just taken the TCP port of the UDP port that was chosen.
pub fn start_in(runtime: &Runtime, options: &Options) -> Result<Server, StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match runtime.block_on(Server::start(options.clone())) {
            Err(StartError::Bind(_)) if tries < 20 && options.listen[0].port() == 0 => {}
            result => return result,
        }
    }
}

pub fn find_metric(text: &str, series: &str) -> Option<f64> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    values.next().and_then(|value| value.parse().ok())
}

/// A reply, as far as these tests look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub rcode: String,
    pub ttls: Vec<u32>,
    pub addresses: Vec<IpAddr>,
}

pub fn query(id: u16, name: &str, rtype: RecordType) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    message.to_vec().unwrap()
}

pub fn read_answer(id: u16, octets: &[u8]) -> Answer {
    let message = Message::from_vec(octets).unwrap();
    assert_eq!(message.metadata.id, id);
    let address = |record: &hickory_proto::rr::Record| record.data.to_string().parse().unwrap();
    Answer {
        rcode: message.metadata.response_code.to_string(),
        ttls: message.answers.iter().map(|record| record.ttl).collect(),
        addresses: message.answers.iter().map(address).collect(),
    }
}

/// A client with a socket of its own; a lost reply is a panic.
pub struct UdpClient {
    socket: UdpSocket,
    id: u16,
}

impl UdpClient {
    pub fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, id: 0 }
    }

    pub fn ask(&mut self, name: &str) -> Answer {
        self.id = self.id.wrapping_add(1);
        self.socket.send(&query(self.id, name, RecordType::A)).unwrap();
        let mut reply = [0; 4096];
        let len = self.socket.recv(&mut reply).expect("no reply is lost");
        read_answer(self.id, &reply[..len])
    }
}

/// A client that keeps its connection.
pub struct TcpClient {
    stream: TcpStream,
    id: u16,
}

impl TcpClient {
    pub fn new(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, id: 0 }
    }

    pub fn ask(&mut self, name: &str) -> Answer {
        self.id = self.id.wrapping_add(1);
        let query = query(self.id, name, RecordType::A);
        let length = u16::try_from(query.len()).unwrap();
        self.stream.write_all(&[&length.to_be_bytes(), &query[..]].concat()).unwrap();
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).expect("no reply is lost");
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut reply).unwrap();
        read_answer(self.id, &reply)
    }
}

/// Asks once.
pub fn ask(server: SocketAddr, name: &str) -> Answer {
    UdpClient::new(server).ask(name)
}

/// One HTTP exchange: status code, header block, body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: rhumb\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// Whether a socket file is there.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

//! `rhumb demo` as a visitor uses it, without a terminal: a region stops, answers move, it starts, they come back.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::Mutex;
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
use live::PATIENCE;
use live::wait_until;

/// Paris in the demo's geo data, and the region next to it.
const PARIS: &str = "198.18.3.0/24";
const EU: &str = "127.0.1.1";

/// A running demo; killed when dropped.
struct Demo {
    child: Child,
    /// What it prints and logs.
    output: Arc<Mutex<Vec<String>>>,
}

impl Demo {
    fn start(temporary: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rhumb"))
            .args(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().unwrap());
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().unwrap());
        for stream in [stdout, stderr] {
            let lines = Arc::clone(&output);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    lines.lock().unwrap().push(line);
                }
            });
        }
        Self { child, output }
    }

    /// Starts one that answers; tries again if the TCP port of its UDP port has just been taken.
    fn start_answering(temporary: &Path) -> Self {
        loop {
            let mut demo = Self::start(temporary);
            let mut ended = false;
            wait_until("the demo has introduced itself", || {
                ended = demo.child.try_wait().unwrap().is_some();
                ended || demo.find_after("The zone is ").is_some()
            });
            if !ended {
                return demo;
            }
            assert!(demo.find_after("Rhumb answers").is_none(), "{:?}", demo.output);
        }
    }

    /// What follows the text on the first line that has it, up to a comma or a space.
    fn find_after(&self, text: &str) -> Option<String> {
        let output = self.output.lock().unwrap();
        let rest = output.iter().find_map(|line| Some(line.split_once(text)?.1))?;
        Some(rest.split([',', ' ']).next()?.to_owned())
    }

    fn address(&self) -> SocketAddr {
        self.find_after("for demo.test on ").unwrap().parse().unwrap()
    }

    /// Stops or starts a region.
    fn post(&self, action: &str) {
        let url = self.find_after("curl -X POST http://").unwrap();
        let control: SocketAddr = url.split('/').next().unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(control).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "POST {action} HTTP/1.1\r\nHost: demo\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 204 "), "{reply}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that a client in Paris gets.
fn ask_from_paris(server: SocketAddr) -> String {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii("www.demo.test.").unwrap(), RecordType::A));
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::from_str(PARIS).unwrap()));
    message.set_edns(edns);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send(&message.to_vec().unwrap()).unwrap();
    let mut octets = [0; 1232];
    let len = socket.recv(&mut octets).unwrap();
    let reply = Message::from_vec(&octets[..len]).unwrap();
    assert_eq!(reply.answers.len(), 1, "{reply:?}");
    reply.answers[0].data.to_string()
}

#[test]
fn a_stopped_region_loses_its_clients_and_gets_them_back() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Demo::start_answering(temporary.path());
    let address = demo.address();
    assert_ne!(address.port(), 0);
    wait_until("the region is known to be up", || demo.find_after("eu/fra-1 is up").is_some());
    wait_until("Paris is served by its region", || ask_from_paris(address) == EU);
    let folder = temporary.path().join(format!("rhumb-demo-{}", demo.child.id()));
    assert!(folder.is_dir());

    demo.post("/stop/eu");
    wait_until("Paris is served by another region", || ask_from_paris(address) != EU);
    let other = ask_from_paris(address);
    assert!(["127.0.1.2", "127.0.1.3"].contains(&&*other), "{other}");
    demo.post("/start/eu");
    wait_until("Paris is back", || ask_from_paris(address) == EU);

    let kill = Command::new("kill").args(["-TERM", &demo.child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    wait_until("the demo ends", || demo.child.try_wait().unwrap().is_some());
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    assert!(!folder.exists(), "its folder goes with it");
}

//! TCP of the whole server: real answers, odd frames, keepalive, and descriptors that run out.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::rdata::opt::EdnsOption;
use live::Folder;
use live::Live;
use live::PATIENCE;
use live::TcpClient;
use live::ask;
use live::wait_until;
use process::Process;
use rhumb::runtime::tcp::TcpLimits;
use rustix::process::Pid;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::prlimit;

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[pool.all]
endpoint.a.addresses = ["198.18.1.1"]
[name.www]
steer = "all"
"#;

/// Option code of edns-tcp-keepalive (RFC 7828).
const KEEPALIVE: u16 = 11;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("zones/shop.toml", ZONE);
    let node =
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nsocket = \"rhumb.sock\"\n";
    folder.write("rhumb.toml", node);
    folder
}

fn framed(query: &[u8]) -> Vec<u8> {
    [&u16::try_from(query.len()).unwrap().to_be_bytes(), query].concat()
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut frame).unwrap();
    frame
}

#[test]
fn a_frame_too_short_for_a_header_closes_its_connection_after_the_answers_before_it() {
    let folder = folder();
    let live = Live::start(&folder.options());
    let good = live::query(7, "www.shop.test.", RecordType::A);
    for length in 0..12_u8 {
        let mut stream = connect(live.address());
        let bad = [vec![0, length], vec![0xff; usize::from(length)]].concat();
        stream.write_all(&[framed(&good), bad, framed(&good)].concat()).unwrap();
        assert_eq!(live::read_answer(7, &read_frame(&mut stream)).addresses.len(), 1);
        let mut rest = Vec::new();
        // A reset is as good as an end: what came after the bad frame is not read.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "nothing is sent after a frame of {length} octets");
    }
    assert_eq!(ask(live.address(), "www.shop.test.").addresses.len(), 1);
    live.stop();
}

/// The keepalive option of a reply.
fn keepalive(reply: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_vec(reply).unwrap();
    let edns = message.edns.expect("the query had an OPT record");
    match edns.options().get(EdnsCode::Keepalive)? {
        EdnsOption::Unknown(KEEPALIVE, data) => Some(data.clone()),
        other => panic!("{other:?}"),
    }
}

fn query_with_keepalive() -> Vec<u8> {
    let query = live::query(9, "www.shop.test.", RecordType::A);
    let mut message = Message::from_vec(&query).unwrap();
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    edns.options_mut().insert(EdnsOption::Unknown(KEEPALIVE, Vec::new()));
    message.set_edns(edns);
    message.to_vec().unwrap()
}

#[test]
fn who_asks_over_tcp_is_told_how_long_an_idle_connection_is_kept() {
    let folder = folder();
    let live = Live::start(&folder.options());
    let query = query_with_keepalive();
    let mut stream = connect(live.address());
    stream.write_all(&framed(&query)).unwrap();
    let tenths = u16::try_from(TcpLimits::default().idle.as_millis() / 100).unwrap();
    assert_eq!(keepalive(&read_frame(&mut stream)), Some(tenths.to_be_bytes().to_vec()));

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(live.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(&query).unwrap();
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply).unwrap();
    assert_eq!(keepalive(&reply[..length]), None, "a datagram has no connection to keep");
    live.stop();
}

/// CPU time that a process has used.
fn cpu_time(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms; the first two are cut off.
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// Sets the soft limit of descriptors of a running process; returns the limits from before.
fn limit_descriptors(process: &Process, limit: Rlimit) -> Rlimit {
    let pid = Pid::from_raw(i32::try_from(process.child.id()).unwrap());
    prlimit(pid, Resource::Nofile, limit).unwrap()
}

/// Opens 200 connections that each ask once and then send half a query; an old client asks after each of them.
fn crowd(server: SocketAddr) {
    let mut old = TcpClient::new(server);
    let query = framed(&live::query(1, "www.shop.test.", RecordType::A));
    let mut half_sent = Vec::new();
    for number in 0..200 {
        let mut stream = connect(server);
        stream.write_all(&query).unwrap();
        assert_eq!(live::read_answer(1, &read_frame(&mut stream)).addresses.len(), 1);
        stream.write_all(&query[..9]).unwrap();
        half_sent.push(stream);
        assert_eq!(old.ask("www.shop.test.").addresses.len(), 1, "after {number} others");
    }
    assert_eq!(ask(server, "www.shop.test.").addresses.len(), 1);
}

#[test]
fn started_with_forty_eight_descriptors_it_takes_fewer_connections_and_says_so() {
    let folder = folder();
    let process = Process::start_by(|| {
        let mut command = Command::new("sh");
        let script = "ulimit -n 48; exec \"$0\" serve --config \"$1\"";
        command.args(["-c", script, process::RHUMB]).arg(folder.path("rhumb.toml"));
        command
    });
    crowd(process.address());
    assert!(process.has_logged("fewer TCP connections than wanted"), "{:?}", process.lines());
    assert!(!process.has_logged("TCP connections wait"), "it never comes to that");
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn when_descriptors_run_out_idle_connections_give_theirs_to_new_ones() {
    let folder = folder();
    let process = Process::start(&folder);
    let maximum = getrlimit(Resource::Nofile).maximum;
    limit_descriptors(&process, Rlimit { current: Some(40), maximum });
    crowd(process.address());
    assert!(process.has_logged("TCP connections wait"), "{:?}", process.lines());
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn a_server_without_descriptors_does_not_spin_and_recovers() {
    let folder = folder();
    let process = Process::start(&folder);
    // No descriptor is free, and no connection is there that could be closed.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let before = limit_descriptors(&process, Rlimit { current: Some(3), maximum });
    let mut waiting: Vec<TcpClient> = (0..20).map(|_| TcpClient::new(process.address())).collect();
    process.wait_for_log("TCP connections wait");
    let (start, cpu) = (Instant::now(), cpu_time(&process));
    wait_until("a second has passed, and UDP is answered all the time", || {
        assert_eq!(ask(process.address(), "www.shop.test.").addresses.len(), 1);
        start.elapsed() > Duration::from_secs(1)
    });
    let (used, passed) = (cpu_time(&process) - cpu, start.elapsed());
    assert!(used < passed / 4, "{used:?} of CPU time in {passed:?}: it spins");
    let complaints =
        process.lines().iter().filter(|line| line.contains("TCP connections wait")).count();
    assert_eq!(complaints, 1, "it is told once, not at each try");
    limit_descriptors(&process, before);
    for client in &mut waiting {
        assert_eq!(client.ask("www.shop.test.").addresses.len(), 1, "who waited is served");
    }
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

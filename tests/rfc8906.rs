//! The questions of RFC 8906 section 8, asked of a running server over UDP and TCP; the headers are the RFC's.
//!
//! hickory-proto reads each reply; `dig`, where it is installed, asks the same in its own words.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod packet;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::process::Command;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsCode;
use live::Folder;
use live::Live;
use live::PATIENCE;
use packet::Packet;
use packet::option;
use packet::rtype;
use packet::wire_name;

const APEX: &str = "zone.test";

const ZONE: &str =
    "$ORIGIN zone.test.\n$TTL 300\n@ SOA ns host 1 2h 30m 2w 30\n@ NS ns\nns A 198.18.0.53\n";

/// A question and the header it must get.
struct Row {
    /// Section of RFC 8906, or of the RFC that is named.
    section: &'static str,
    packet: Packet,
    /// The same for dig.
    dig: &'static str,
    /// As dig says it.
    status: &'static str,
    /// Of qr, aa, tc, rd, ra, ad, cd: those that are set.
    flags: &'static str,
    answers: usize,
    authorities: usize,
    /// Whether an OPT record comes back; always of version 0, with no flags but DO.
    opt: bool,
    /// DO in the reply.
    dnssec_ok: bool,
}

fn soa() -> Packet {
    Packet::query(APEX, rtype::SOA)
}

fn typed(rtype: u16) -> Packet {
    Packet::query(APEX, rtype)
}

/// A row about the SOA, which is answered.
fn answered(section: &'static str, packet: Packet, dig: &'static str, flags: &'static str) -> Row {
    let opt = packet.0[11] > 0;
    let (status, dnssec_ok) = ("NOERROR", false);
    Row { section, packet, dig, status, flags, answers: 1, authorities: 0, opt, dnssec_ok }
}

/// A row that gets a code and no records.
fn declined(
    section: &'static str,
    packet: Packet,
    dig: &'static str,
    status: &'static str,
    flags: &'static str,
) -> Row {
    Row { status, answers: 0, ..answered(section, packet, dig, flags) }
}

#[rustfmt::skip] // a row a line
fn basic() -> Vec<Row> {
    vec![
        answered("8.1.1", soa(), "+noedns +noad +norec soa zone.test", "qr aa"),
        Row { authorities: 1, ..declined("8.1.2", typed(1000), "+noedns +noad +norec type1000 zone.test", "NOERROR", "qr aa") },
        answered("8.1.3.1", soa().flags([0, 0x10]), "+noedns +noad +norec +cd soa zone.test", "qr aa"),
        answered("8.1.3.2", soa().flags([0, 0x40]), "+noedns +noad +norec +zflag soa zone.test", "qr aa"),
        answered("8.1.3.3", soa().flags([0, 0x20]), "+noedns +ad +norec soa zone.test", "qr aa"),
        answered("8.1.3.4", soa().flags([1, 0]), "+noedns +noad +rec soa zone.test", "qr aa rd"),
        declined("8.1.4", Packet::with_flags([15 << 3, 0]), "+noedns +noad +opcode=15 +norec +header-only", "NOTIMP", "qr"),
        declined("3.1.4 IQUERY", Packet::with_flags([1 << 3, 0]), "+noedns +noad +opcode=1 +norec +header-only", "NOTIMP", "qr"),
        declined("3.1.4 STATUS", Packet::with_flags([2 << 3, 0]), "+noedns +noad +opcode=2 +norec +header-only", "NOTIMP", "qr"),
        declined("3.1.4 NOTIFY", soa().flags([4 << 3, 0]), "+noedns +noad +opcode=4 +norec soa zone.test", "NOTIMP", "qr"),
        declined("3.1.4 UPDATE", soa().flags([5 << 3, 0]), "+noedns +noad +opcode=5 +norec soa zone.test", "NOTIMP", "qr"),
        declined("3.1.4 DSO", Packet::with_flags([6 << 3, 0]), "+noedns +noad +opcode=6 +norec +header-only", "NOTIMP", "qr"),
        declined("3.1.2 meta type", typed(rtype::MAILA), "+noedns +noad +norec type254 zone.test", "NOTIMP", "qr"),
        declined("not ours", Packet::query("other.test", rtype::SOA), "+noedns +noad +norec soa other.test", "REFUSED", "qr"),
    ]
}

#[rustfmt::skip] // a row a line
fn edns() -> Vec<Row> {
    let opt = |version: u8, flags: u16, options: &[u8]| soa().opt_of(1232, version, flags, options);
    let unknown = option(100, b"");
    let known = [option(3, b""), option(10, &[1, 2, 3, 4, 5, 6, 7, 8]), option(8, &[0, 1, 0, 0]), option(9, b"")].concat();
    let keepalive = [option(11, b""), option(12, &[0; 8])].concat();
    vec![
        answered("8.2.1", opt(0, 0, b""), "+nocookie +edns=0 +noad +norec soa zone.test", "qr aa"),
        declined("8.2.2", opt(1, 0, b""), "+nocookie +edns=1 +noednsneg +noad +norec soa zone.test", "BADVERS", "qr"),
        answered("8.2.3", opt(0, 0, &unknown), "+nocookie +edns=0 +noad +norec +ednsopt=100 soa zone.test", "qr aa"),
        answered("8.2.4", opt(0, 0x40, b""), "+nocookie +edns=0 +noad +norec +ednsflags=0x40 soa zone.test", "qr aa"),
        declined("8.2.5", opt(1, 0x40, b""), "+nocookie +edns=1 +noednsneg +noad +norec +ednsflags=0x40 soa zone.test", "BADVERS", "qr"),
        declined("8.2.6", opt(1, 0, &unknown), "+nocookie +edns=1 +noednsneg +noad +norec +ednsopt=100 soa zone.test", "BADVERS", "qr"),
        Row { authorities: 1, dnssec_ok: true, ..declined("8.2.7", typed(48).opt_of(512, 0, 0x8000, b""), "+nocookie +norec +noad +dnssec +bufsize=512 +ignore dnskey zone.test", "NOERROR", "qr aa") },
        Row { dnssec_ok: true, ..answered("8.2.8", opt(0, 0x8000, b""), "+nocookie +edns=0 +noad +norec +dnssec soa zone.test", "qr aa") },
        Row { dnssec_ok: true, ..declined("8.2.9", opt(1, 0x8000, b""), "+nocookie +edns=1 +noednsneg +noad +norec +dnssec soa zone.test", "BADVERS", "qr") },
        answered("8.2.10", opt(0, 0, &known), "+edns=0 +noad +norec +cookie +nsid +subnet=0.0.0.0/0 +expire soa zone.test", "qr aa"),
        answered("RFC 7828, 7830", opt(0, 0, &keepalive), "+nocookie +edns=0 +noad +norec +keepalive +padding=64 soa zone.test", "qr aa"),
        declined("RFC 6891 6.1.1", opt(0, 0, b"").opt(b""), "", "FORMERR", "qr"),
        Row { dnssec_ok: true, ..declined("8.2.2 not ours", Packet::query("other.test", 6).opt_of(1232, 7, 0x8000, b""), "+nocookie +edns=7 +noednsneg +noad +norec +dnssec soa other.test", "BADVERS", "qr") },
    ]
}

fn rows() -> Vec<Row> {
    basic().into_iter().chain(edns()).collect()
}

fn ask_udp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(query).unwrap();
    let mut reply = vec![0; 4096];
    let len = socket.recv(&mut reply).expect("a reply comes");
    reply.truncate(len);
    reply
}

fn ask_tcp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let len = u16::try_from(query.len()).unwrap();
    stream.write_all(&[&len.to_be_bytes(), query].concat()).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a reply comes");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

/// Flags by dig's names.
fn flags_of(octets: &[u8]) -> String {
    let flags = u16::from_be_bytes([octets[2], octets[3]]);
    let names =
        [(15, "qr"), (10, "aa"), (9, "tc"), (8, "rd"), (7, "ra"), (6, "z"), (5, "ad"), (4, "cd")];
    let set: Vec<_> =
        names.iter().filter(|(bit, _)| flags >> bit & 1 == 1).map(|&(_, name)| name).collect();
    set.join(" ")
}

/// What is wrong with a reply, as hickory-proto reads it.
fn faults(row: &Row, octets: &[u8]) -> Vec<String> {
    let message = Message::from_vec(octets).expect("hickory-proto reads the reply");
    let mut faults = Vec::new();
    let mut differ = |what: &str, got: String, wanted: String| {
        if got != wanted {
            faults.push(format!("{}: {what} is {got}, not {wanted}", row.section));
        }
    };
    let code = match u16::from(message.metadata.response_code) {
        0 => "NOERROR",
        1 => "FORMERR",
        4 => "NOTIMP",
        5 => "REFUSED",
        16 => "BADVERS",
        _ => "another",
    };
    differ("the code", code.into(), row.status.into());
    differ("the flags", flags_of(octets), row.flags.into());
    let opcode = |octets: &[u8]| (octets[2] >> 3 & 15).to_string();
    differ("the opcode", opcode(octets), opcode(&row.packet.0));
    differ("the answers", message.answers.len().to_string(), row.answers.to_string());
    differ("the authorities", message.authorities.len().to_string(), row.authorities.to_string());
    if row.answers > 0 {
        let rtype = message.answers[0].record_type();
        differ("the answer", rtype.to_string(), RecordType::SOA.to_string());
    }
    differ("OPT", message.edns.is_some().to_string(), row.opt.to_string());
    if let Some(edns) = &message.edns {
        differ("the version", edns.version().to_string(), "0".into());
        differ("DO", edns.flags().dnssec_ok.to_string(), row.dnssec_ok.to_string());
        differ("Z of OPT", edns.flags().z.to_string(), "0".into());
        let unknown = edns.option(EdnsCode::Unknown(100)).is_some();
        differ("option 100", unknown.to_string(), "false".into());
    }
    faults
}

/// What is wrong with a reply, as dig reads it.
fn faults_by_dig(row: &Row, server: SocketAddr, transport: &str) -> Vec<String> {
    let output = Command::new("dig")
        .args(["-r", "@127.0.0.1", "-p", &server.port().to_string(), "+tries=1", "+time=20"])
        .args([transport, "+qr"])
        .args(row.dig.split(' '))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The query comes first, for +qr.
    let Some((_, reply)) = text.split_once(";; Got answer:") else {
        return vec![format!("{} {transport}: dig says {text}", row.section)];
    };
    let mut wanted = vec![format!("status: {},", row.status), format!(";; flags: {};", row.flags)];
    wanted.push(format!("ANSWER: {}, AUTHORITY: {},", row.answers, row.authorities));
    if row.opt {
        let dnssec_ok = if row.dnssec_ok { " do" } else { "" };
        wanted.push(format!("; EDNS: version: 0, flags:{dnssec_ok}; udp: 1232"));
    } else if reply.contains("; EDNS:") {
        return vec![format!("{} {transport}: an OPT record: {reply}", row.section)];
    }
    let missing = wanted.iter().filter(|wanted| !reply.contains(&**wanted));
    missing.map(|wanted| format!("{} {transport}: no \"{wanted}\": {reply}", row.section)).collect()
}

fn server() -> (Folder, Live) {
    let folder = Folder::new();
    folder.write("zones/zone.test.zone", ZONE);
    let mut options = folder.options();
    options.sources.terms = rhumb::model::NodeTerms::of_identity(b"ns-test-1");
    let live = Live::start(&options);
    (folder, live)
}

#[test]
fn every_question_gets_the_header_the_rfc_wants() {
    let (_folder, live) = server();
    let server = live.address();
    let rows = rows();
    let mut faults_found = Vec::new();
    for row in &rows {
        faults_found.extend(faults(row, &ask_udp(server, &row.packet.0)));
        faults_found.extend(faults(row, &ask_tcp(server, &row.packet.0)));
    }
    live.stop();
    assert!(faults_found.is_empty(), "{} rows:\n{}", rows.len(), faults_found.join("\n"));
}

#[test]
fn dig_sees_the_same() {
    if Command::new("dig").arg("-v").output().is_err() {
        println!("skipped: dig is not installed");
        return;
    }
    let (_folder, live) = server();
    let rows = rows();
    let mut faults = Vec::new();
    for row in rows.iter().filter(|row| !row.dig.is_empty()) {
        for transport in ["+notcp", "+tcp"] {
            faults.extend(faults_by_dig(row, live.address(), transport));
        }
    }
    live.stop();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn dig_reads_the_server_s_names_and_a_key_it_does_not_know() {
    if Command::new("dig").arg("-v").output().is_err() {
        println!("skipped: dig is not installed");
        return;
    }
    let (_folder, live) = server();
    let port = live.address().port().to_string();
    let dig = |args: &[&str]| {
        let server = ["-r", "@127.0.0.1", "-p", &port, "+tries=1", "+time=20"];
        let output = Command::new("dig").args(server).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for name in ["id.server", "hostname.bind"] {
        assert_eq!(dig(&["+short", "ch", "txt", name]), "\"ns-test-1\"\n");
    }
    for name in ["version.server", "version.bind"] {
        assert!(dig(&["+short", "ch", "txt", name]).starts_with("\"Rhumb "), "{name}");
    }
    assert!(dig(&["ch", "txt", "authors.bind"]).contains("status: REFUSED"));
    let signed = dig(&["-y", "hmac-sha256:nobody:c2VjcmV0", "soa", APEX]);
    assert!(signed.contains("status: NOTAUTH"), "{signed}");
    assert!(signed.contains("nobody.") && signed.contains("BADKEY"), "{signed}");
    live.stop();
}

#[test]
fn a_wrong_header_is_found() {
    let row = answered("8.1.1", soa(), "", "qr aa");
    let right = [&soa().flags([0x84, 0]).count(1, 1).0[..], &wire_name(APEX)].concat();
    let record = [&[0, 6, 0, 1, 0, 0, 0, 9, 0, 22, 0, 0][..], &[0; 20]].concat();
    let right = [right, record].concat();
    assert_eq!(faults(&row, &right), [""; 0]);
    let mut wrong = right.clone();
    wrong[3] = 0x40; // Z
    assert_eq!(faults(&row, &wrong).len(), 1);
    wrong[3] = 5;
    assert_eq!(faults(&row, &wrong).len(), 1);
    wrong[2] |= 8;
    assert_eq!(faults(&row, &wrong).len(), 2);
}

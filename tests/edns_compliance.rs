//! The 34 checks of ISC's EDNS compliance tester, with the outcome that each must have (RFC 8906 section 8).
//!
//! Asked as octets, by UDP and TCP, and once more by `dig` where it is installed and can say it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod packet;
#[path = "judges/reply.rs"]
mod reply;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::process::Command;

use live::Folder;
use live::Live;
use live::PATIENCE;
use packet::Packet;
use packet::option;
use packet::wire_name;
use reply::AA;
use reply::Reply;
use reply::TC;

const ZONE: &str = "$TTL 3600\n@ SOA ns1 hostmaster 1 2h 30m 2w 300\n@ NS ns1\nns1 A 192.0.2.53\n";

/// Bits of the header.
const QR: u16 = 0x8000;
const OPCODE_15: u16 = 0x7800;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const Z: u16 = 0x0040;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;

/// Bit of the OPT record.
const DO: u16 = 0x8000;

const SOA: u16 = 6;
const DNSKEY: u16 = 48;

const NOERROR: u16 = 0;
const NOTIMP: u16 = 4;
const NOTAUTH: u16 = 9;
const BADVERS: u16 = 16;

/// The OPT record of a question.
#[derive(Clone)]
struct Opt {
    size: u16,
    version: u8,
    flags: u16,
    options: Vec<u8>,
}

/// What a reply must say.
struct Expected {
    rcode: u16,
    /// All bits of the header but the code.
    flags: u16,
    /// Whether the SOA is the answer; else there is none.
    soa: bool,
    /// Bits of the OPT record's flags; no OPT record if `None`.
    opt: Option<u16>,
    /// Codes of the options.
    options: &'static [u16],
}

struct Check {
    name: &'static str,
    reference: &'static str,
    packet: Packet,
    tcp: bool,
    /// How `dig` says it, if it can.
    dig: Option<&'static str>,
    expected: Expected,
}

/// A question of the SOA with these bits of the header.
fn soa(flags: u16) -> Packet {
    Packet::with_flags(flags.to_be_bytes()).question(&wire_name("z.test"), SOA, 1)
}

/// A check without EDNS.
fn plain(
    name: &'static str,
    reference: &'static str,
    packet: Packet,
    dig: Option<&'static str>,
    (rcode, flags, soa): (u16, u16, bool),
) -> Check {
    let expected = Expected { rcode, flags, soa, opt: None, options: &[] };
    Check { name, reference, packet, tcp: false, dig, expected }
}

/// A check of the SOA with an OPT record; of another version than 0 nothing but the code comes back.
fn edns(
    name: &'static str,
    reference: &'static str,
    opt: Opt,
    dig: &'static str,
    options: &'static [u16],
) -> Check {
    let is_known = opt.version == 0;
    let expected = Expected {
        rcode: if is_known { NOERROR } else { BADVERS },
        flags: if is_known { QR | AA } else { QR },
        soa: is_known,
        opt: Some(opt.flags & DO),
        options,
    };
    let packet = with_opt(soa(0), &opt);
    Check { name, reference, packet, tcp: false, dig: Some(dig), expected }
}

fn with_opt(packet: Packet, opt: &Opt) -> Packet {
    packet.opt_of(opt.size, opt.version, opt.flags, &opt.options)
}

fn opt(version: u8, flags: u16, options: &[(u16, &[u8])]) -> Opt {
    let options = options.iter().flat_map(|(code, data)| option(*code, data)).collect();
    Opt { size: 4096, version, flags, options }
}

#[rustfmt::skip] // a row a line
fn basic() -> Vec<Check> {
    let header = |flags: u16| Packet::with_flags(flags.to_be_bytes());
    let ok = (NOERROR, QR | AA, true);
    let not_there = Packet::with_flags([0, 0]).question(&wire_name("z.test"), 666, 1);
    let key = soa(0).tsig();
    let mut tcp = plain("tcp", "RFC 8906 8.1.5", soa(0), Some("+noedns +noad +norec +tcp SOA z.test"), ok);
    tcp.tcp = true;
    vec![
        plain("dns", "RFC 8906 8.1.1", soa(0), Some("+noedns +noad +norec SOA z.test"), ok),
        plain("aa", "RFC 8906 8.1.3.2", soa(AA), Some("+noedns +noad +norec +aaflag SOA z.test"), ok),
        plain("ad", "RFC 8906 8.1.3.6", soa(AD), Some("+noedns +ad +norec SOA z.test"), ok),
        plain("cd", "RFC 4035 3.1.6", soa(CD), Some("+noedns +noad +norec +cd SOA z.test"), ok),
        plain("ra", "RFC 8906 8.1.3.4", soa(RA), None, ok),
        plain("rd", "RFC 8906 8.1.3.3", soa(RD), Some("+noedns +noad +rec SOA z.test"), (NOERROR, QR | AA | RD, true)),
        plain("tc", "RFC 8906 8.1.3.5", soa(TC), None, ok),
        plain("zflag", "RFC 8906 8.1.3.1", soa(Z), Some("+noedns +noad +norec +zflag SOA z.test"), ok),
        plain("opcode", "RFC 8906 8.1.4", header(OPCODE_15), Some("+noedns +noad +norec +header-only +opcode=15"), (NOTIMP, QR | OPCODE_15, false)),
        plain("opcodeflg", "RFC 8906 8.1.4", header(OPCODE_15 | AA | TC | RD | RA | Z | AD | CD), None, (NOTIMP, QR | OPCODE_15 | RD, false)),
        plain("type666", "RFC 8906 8.1.2", not_there, Some("+noedns +noad +norec TYPE666 z.test"), (NOERROR, QR | AA, false)),
        tcp,
        plain("dnswkk", "RFC 8945 5.2", key, None, (NOTAUTH, QR, false)),
    ]
}

#[rustfmt::skip] // a row a line
fn extended() -> Vec<Check> {
    const NSID: (u16, &[u8]) = (3, b"");
    const ECS: (u16, &[u8]) = (8, &[0, 1, 0, 0]);
    const EXPIRE: (u16, &[u8]) = (9, b"");
    const COOKIE: (u16, &[u8]) = (10, &[1, 2, 3, 4, 5, 6, 7, 8]);
    const UNKNOWN: (u16, &[u8]) = (100, b"");
    let mut checks = vec![
        edns("edns", "RFC 8906 8.2.1", opt(0, 0, &[]), "+edns=0 +nocookie +noad +norec SOA z.test", &[]),
        edns("edns1", "RFC 8906 8.2.2", opt(1, 0, &[]), "+edns=1 +noednsneg +nocookie +noad +norec SOA z.test", &[]),
        edns("ednsopt", "RFC 8906 8.2.3", opt(0, 0, &[UNKNOWN]), "+edns=0 +nocookie +noad +norec +ednsopt=100 SOA z.test", &[]),
        edns("edns1opt", "RFC 8906 8.2.6", opt(1, 0, &[UNKNOWN]), "+edns=1 +noednsneg +nocookie +noad +norec +ednsopt=100 SOA z.test", &[]),
        edns("do", "RFC 8906 8.2.8", opt(0, DO, &[]), "+edns=0 +nocookie +noad +norec +dnssec SOA z.test", &[]),
        edns("edns1do", "RFC 8906 8.2.9", opt(1, DO, &[]), "+edns=1 +noednsneg +nocookie +noad +norec +dnssec SOA z.test", &[]),
        edns("ednsflags", "RFC 8906 8.2.4", opt(0, 0x0080, &[]), "+edns=0 +nocookie +noad +norec +ednsflags=0x0080 SOA z.test", &[]),
        edns("optlist", "RFC 8906 8.2.10", opt(0, 0, &[NSID, ECS, EXPIRE, COOKIE]), "+edns=0 +noad +norec +nsid +subnet=0.0.0.0/0 +expire +cookie=0102030405060708 SOA z.test", &[3, 8]),
        edns("ednsnsid", "RFC 5001 2.2", opt(0, 0, &[NSID]), "+edns=0 +nocookie +noad +norec +nsid SOA z.test", &[3]),
        edns("ednscookie", "RFC 7873 5.2", opt(0, 0, &[COOKIE]), "+edns=0 +noad +norec +cookie=0102030405060708 SOA z.test", &[]),
        edns("ednsexpire", "RFC 7314 3", opt(0, 0, &[EXPIRE]), "+edns=0 +nocookie +noad +norec +expire SOA z.test", &[]),
        edns("ednssubnet", "RFC 7871 7.2.1", opt(0, 0, &[ECS]), "+edns=0 +nocookie +noad +norec +subnet=0.0.0.0/0 SOA z.test", &[8]),
        edns("edns1nsid", "RFC 6891 6.1.3", opt(1, 0, &[NSID]), "+edns=1 +noednsneg +nocookie +noad +norec +nsid SOA z.test", &[]),
        edns("edns1cookie", "RFC 6891 6.1.3", opt(1, 0, &[COOKIE]), "+edns=1 +noednsneg +noad +norec +cookie=0102030405060708 SOA z.test", &[]),
        edns("edns1expire", "RFC 6891 6.1.3", opt(1, 0, &[EXPIRE]), "+edns=1 +noednsneg +nocookie +noad +norec +expire SOA z.test", &[]),
        edns("edns1subnet", "RFC 6891 6.1.3", opt(1, 0, &[ECS]), "+edns=1 +noednsneg +nocookie +noad +norec +subnet=0.0.0.0/0 SOA z.test", &[]),
        edns("bind11", "RFC 7873 5.2", opt(0, DO, &[COOKIE]), "+edns=0 +cookie=0102030405060708 +noad +norec +dnssec SOA z.test", &[]),
    ];
    checks.extend(with_header_bits(COOKIE));
    checks.extend(of_keys());
    checks
}

/// Checks with EDNS and bits of the header.
#[rustfmt::skip] // a row a line
fn with_header_bits(cookie: (u16, &[u8])) -> [Check; 2] {
    let mut docd = edns("docd", "RFC 4035 3.1.6", opt(0, DO, &[]), "+edns=0 +nocookie +noad +norec +cd +dnssec SOA z.test", &[]);
    docd.packet = with_opt(soa(CD), &opt(0, DO, &[]));
    let mut dig11 = edns("dig11", "RFC 7873 5.2", opt(0, 0, &[cookie]), "+edns=0 +cookie=0102030405060708 +ad +rec SOA z.test", &[]);
    dig11.packet = with_opt(soa(AD | RD), &opt(0, 0, &[cookie]));
    dig11.expected.flags |= RD;
    [docd, dig11]
}

/// Checks that ask for keys, which the zone does not have, in as little room as there can be.
#[rustfmt::skip] // a row a line
fn of_keys() -> [Check; 2] {
    let keys = || Packet::query("z.test", DNSKEY).opt_of(512, 0, DO, &[]);
    let expected = || Expected { rcode: NOERROR, flags: QR | AA, soa: false, opt: Some(DO), options: &[] };
    [
        Check { name: "edns@512", reference: "RFC 8906 8.2.7", packet: keys(), tcp: false, expected: expected(),
            dig: Some("+edns=0 +nocookie +noad +norec +dnssec +ignore +bufsize=512 DNSKEY z.test") },
        Check { name: "ednstcp", reference: "RFC 8906 8.2.11", packet: keys(), tcp: true, expected: expected(),
            dig: Some("+edns=0 +nocookie +noad +norec +dnssec +bufsize=512 +tcp DNSKEY z.test") },
    ]
}

fn checks() -> Vec<Check> {
    let mut checks = basic();
    checks.extend(extended());
    checks
}

fn ask(server: SocketAddr, packet: &Packet, tcp: bool) -> Reply {
    let mut octets = vec![0; 65_535];
    if tcp {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = u16::try_from(packet.0.len()).unwrap();
        stream.write_all(&[&length.to_be_bytes(), &packet.0[..]].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("a reply");
        octets.truncate(usize::from(u16::from_be_bytes(length)));
        stream.read_exact(&mut octets).unwrap();
    } else {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(&packet.0).unwrap();
        let len = socket.recv(&mut octets).expect("a reply");
        octets.truncate(len);
    }
    Reply::parse(&octets).expect("a message")
}

fn start() -> (Folder, Live) {
    let folder = Folder::new();
    folder.write("zones/z.test.zone", ZONE);
    let mut options = folder.options();
    options.sources.terms = rhumb::model::NodeTerms::of_identity(b"compliant");
    let live = Live::start(&options);
    (folder, live)
}

/// In what a reply is not what is expected.
fn faults(expected: &Expected, reply: &Reply) -> Vec<String> {
    let Expected { rcode, flags, soa, opt, options } = expected;
    let answers: Vec<_> = reply.answer().iter().map(|record| record.rtype).collect();
    let wanted = if *soa { vec![SOA] } else { Vec::new() };
    let got_opt = reply.opt.as_ref().map(|opt| (opt.version, opt.flags));
    let codes =
        reply.opt.iter().flat_map(|opt| &opt.options).map(|(code, _)| *code).collect::<Vec<_>>();
    let mut faults = Vec::new();
    let mut check = |is_right: bool, what: &str| (!is_right).then(|| faults.push(what.to_owned()));
    check(reply.rcode == *rcode, "code");
    check(reply.flags == *flags, "flags");
    check(answers == wanted, "answer");
    check(got_opt == opt.map(|flags| (0, flags)), "OPT record");
    check(
        codes.len() == options.len() && options.iter().all(|code| codes.contains(code)),
        "options",
    );
    faults
}

#[test]
fn all_34_checks_have_the_outcome_they_must_have() {
    let (_folder, live) = start();
    let checks = checks();
    assert_eq!(checks.len(), 34);
    let mut wrong = Vec::new();
    for check in &checks {
        // By TCP nothing is different (RFC 7766 section 5).
        for tcp in [check.tcp, true] {
            let reply = ask(live.address(), &check.packet, tcp);
            let faults = faults(&check.expected, &reply);
            if !faults.is_empty() {
                wrong.push(format!("{} ({}): {faults:?}\n{reply}", check.name, check.reference));
            }
        }
    }
    live.stop();
    println!("{} checks, {} replies wrong", checks.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `dig` calls a code.
fn status(rcode: u16) -> &'static str {
    match rcode {
        NOERROR => "NOERROR",
        NOTIMP => "NOTIMP",
        NOTAUTH => "NOTAUTH",
        BADVERS => "BADVERS",
        other => panic!("code {other} is not expected of anything"),
    }
}

#[test]
fn dig_sees_the_same() {
    let Ok(version) = Command::new("dig").arg("-v").output() else {
        println!("skipped: dig is not installed");
        return;
    };
    let (_folder, live) = start();
    let port = live.address().port().to_string();
    let mut count = 0;
    for Check { name, dig, expected, .. } in checks() {
        let Some(arguments) = dig else { continue };
        let mut command = Command::new("dig");
        command.args(["-r", "+tries=1", "@127.0.0.1", "-p", &port]).args(arguments.split(' '));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let shown = format!("{name}: dig {arguments}\n{text}");
        assert!(text.contains(&format!("status: {},", status(expected.rcode))), "{shown}");
        assert_eq!(
            text.contains("\tIN\tSOA\t") && text.contains("ANSWER: 1,"),
            expected.soa,
            "{shown}"
        );
        assert_eq!(text.contains("EDNS: version: 0,"), expected.opt.is_some(), "{shown}");
        assert!(
            !text.contains("MBZ") && !text.contains("OPT=100") && !text.contains("malformed"),
            "{shown}"
        );
        count += 1;
    }
    live.stop();
    assert_eq!(count, 30, "the rest cannot be said with dig");
    println!("{count} checks by {}", String::from_utf8_lossy(&version.stderr).trim());
}

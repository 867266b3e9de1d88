//! What comes beside an answer: addresses of what it points to, glue; and how short names are written.
#![allow(clippy::unwrap_used, reason = "a test stops at the first fault")]

mod common;
mod packet;
mod shown;

use std::fmt::Write;

use common::answer_octets;
use common::request;
use hickory_proto::op::Message;
use packet::Packet;
use packet::option;
use packet::rtype;
use packet::wire_name;
use rhumb::answer::Transport;
use rhumb::model::Family;
use rhumb::model::Pool;
use rhumb::model::Verdict;
use rhumb::snapshot::Health;
use rhumb::snapshot::Snapshot;
use rhumb::steering::MemberState;
use rhumb::steering::plan::Remembered;
use shown::lines;
use shown::show;
use shown::show_by_tcp;

const SHOP: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.shop.test", "ns2.other.test", "ns.example.net"]
records = "shop.records"

[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45

[check.web]
kind = "tcp"
port = 443

[pool.eu]
site = "fra"
check = "web"
endpoint.a.addresses = ["198.18.1.1", "2001:db8:f::1"]
[pool.us]
site = "iad"
check = "web"
endpoint.a.addresses = ["198.18.2.1", "2001:db8:a::1"]
[pool.pair]
site = "fra"
endpoint.a.addresses = ["198.18.3.1"]
endpoint.b.addresses = ["198.18.3.2"]

[policy.world]
kind = "nearest"
targets = ["us", "eu"]

[name.www]
steer = "world"
[name.solo]
steer = "eu"
[name.pair]
steer = "pair"
[name.strict]
steer = "us"
on_all_down = "servfail"
"#;

const RECORDS: &str = r"$TTL 300
ns1     A     198.18.0.53
mail    A     198.18.0.25
mail    AAAA  2001:db8::25
six     AAAA  2001:db8::26
mx      MX    10 mail
mx      MX    20 mail
mx      MX    30 six
mx      MX    40 mail.other.test.
mx      MX    50 mail.example.net.
mx      MX    60 alias
mx      MX    70 nowhere
mx      MX    80 host.child
null    MX    0 .
alias   CNAME mail
to-mx   CNAME mx
wmx     MX    10 any.wild
*.wild  A     198.18.0.26
srv     SRV   1 2 443 mail
nosrv   SRV   0 0 0 .
txt     TXT   mail
ptr     PTR   mail
near    MX    10 www
near    MX    20 mail
one     MX    10 solo
two     MX    10 pair
broken  MX    10 strict
child   NS    ns.child
ns.child A    198.18.0.99
www     TYPE65 \# 3 000100
closed  TYPE65 \# 3 000000
svc     TYPE64 \# 18 0001046d61696c0473686f70047465737400
";

fn shop() -> Snapshot {
    let mut records = RECORDS.to_owned();
    let alias = |target: &str| {
        let wire = [&[0, 0][..], &wire_name(target)].concat();
        let hex: String = wire.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("TYPE65 \\# {} {hex}", wire.len())
    };
    writeln!(records, "moved {}", alias("www.shop.test")).unwrap();
    writeln!(records, "self {}\nself A 198.18.0.88", alias("self.shop.test")).unwrap();
    for n in 0..20 {
        writeln!(records, "many MX {n} host-{n}\nhost-{n} A 198.18.9.{n}").unwrap();
    }
    let other = "$ORIGIN other.test.\n$TTL 300\n@ SOA ns2 host 1 2h 30m 2w 30\n@ NS ns2\n\
                 ns2 A 198.18.7.53\nmail A 198.18.7.25\n";
    common::snapshot_of(&[
        ("zones/shop.toml", SHOP),
        ("zones/shop.records", &records),
        ("zones/other.test.zone", other),
    ])
}

fn asked(name: &str, rtype: u16) -> Packet {
    Packet::query(&format!("{name}.shop.test"), rtype).opt(&[])
}

/// The lines of the additional section.
#[track_caller]
fn beside(snapshot: &Snapshot, packet: &Packet) -> Vec<String> {
    let lines = show(snapshot, packet);
    assert!(lines[0] == "NOERROR aa", "{lines:#?}");
    lines.iter().filter_map(|line| line.strip_prefix("ar ")).map(Into::into).collect()
}

#[test]
fn mail_servers_of_ours_come_with_their_addresses_once() {
    let snapshot = shop();
    let expected = [
        "mail.shop.test. 300 A 198.18.0.25",
        "mail.shop.test. 300 AAAA 2001:db8::25",
        "six.shop.test. 300 AAAA 2001:db8::26",
        "mail.other.test. 300 A 198.18.7.25",
    ];
    assert_eq!(beside(&snapshot, &asked("mx", rtype::MX)), expected);
    assert_eq!(beside(&snapshot, &asked("to-mx", rtype::MX)), expected, "behind an alias");
    let wild = ["any.wild.shop.test. 300 A 198.18.0.26"];
    assert_eq!(beside(&snapshot, &asked("wmx", rtype::MX)), wild);
    assert_eq!(beside(&snapshot, &asked("null", rtype::MX)), [""; 0], "RFC 7505");
}

#[test]
fn each_type_that_points_to_hosts_comes_with_them_and_no_other() {
    let snapshot = shop();
    let mail = ["mail.shop.test. 300 A 198.18.0.25", "mail.shop.test. 300 AAAA 2001:db8::25"];
    assert_eq!(beside(&snapshot, &asked("srv", rtype::SRV)), mail);
    assert_eq!(beside(&snapshot, &asked("svc", rtype::SVCB)), mail);
    let servers = ["ns1.shop.test. 300 A 198.18.0.53", "ns2.other.test. 300 A 198.18.7.53"];
    let packet = Packet::query("shop.test", rtype::NS).opt(&[]);
    assert_eq!(beside(&snapshot, &packet), servers);
    for (name, rtype) in [("txt", rtype::TXT), ("ptr", 12), ("alias", rtype::CNAME), ("mail", 1)] {
        assert_eq!(beside(&snapshot, &asked(name, rtype)), [""; 0], "{name}");
    }
    assert_eq!(beside(&snapshot, &asked("nosrv", rtype::SRV)), [""; 0]);
    assert_eq!(beside(&snapshot, &Packet::query("shop.test", rtype::SOA)), [""; 0]);
}

#[test]
fn service_bindings_come_with_their_owner_s_or_target_s_addresses() {
    let snapshot = shop();
    let www = ["www.shop.test. 30 A 198.18.1.1", "www.shop.test. 30 AAAA 2001:db8:f::1"];
    assert_eq!(beside(&snapshot, &asked("www", rtype::HTTPS)), www, "ServiceMode at \".\"");
    assert_eq!(beside(&snapshot, &asked("closed", rtype::HTTPS)), [""; 0], "AliasMode to \".\"");
    let moved = beside(&snapshot, &asked("moved", rtype::HTTPS));
    assert!(
        moved[0].starts_with("www.shop.test. 300 HTTPS 1 ."),
        "RFC 9460 section 4.1: {moved:?}"
    );
    assert_eq!(moved[1..], www);
    let itself = ["self.shop.test. 300 A 198.18.0.88"];
    assert_eq!(beside(&snapshot, &asked("self", rtype::HTTPS)), itself, "its HTTPS is the answer");
}

/// As the client would get by asking: A, then AAAA.
#[track_caller]
fn steered(snapshot: &Snapshot, client: &str, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    for rtype in [rtype::A, rtype::AAAA] {
        let (_, octets) = answer_octets(snapshot, &request(client), &asked(name, rtype).0);
        let reply = lines(&Message::from_vec(&octets).unwrap());
        all.extend(reply.iter().filter_map(|line| line.strip_prefix("an ")).map(String::from));
    }
    all
}

#[test]
fn a_steered_target_has_the_addresses_that_the_client_would_get() {
    let snapshot = shop();
    let mut seen = Vec::new();
    for client in ["192.0.2.7", "192.0.2.200", "198.51.100.1", "203.0.113.9", "2001:db8:2::1"] {
        for (mx, name) in [("near", "www"), ("one", "solo"), ("two", "pair")] {
            let (_, octets) = answer_octets(&snapshot, &request(client), &asked(mx, rtype::MX).0);
            let reply = lines(&Message::from_vec(&octets).unwrap());
            let wanted = steered(&snapshot, client, name);
            assert!(!wanted.is_empty());
            let start = format!("ar {name}.");
            let got: Vec<_> = reply.iter().filter(|line| line.starts_with(&start)).collect();
            let wanted_here: Vec<String> = wanted.iter().map(|line| format!("ar {line}")).collect();
            assert_eq!(got, wanted_here.iter().collect::<Vec<_>>());
            seen.extend(wanted);
        }
    }
    for address in ["198.18.1.1", "198.18.2.1", "198.18.3.1", "198.18.3.2"] {
        assert!(seen.iter().any(|line| line.ends_with(address)), "no client gets {address}");
    }
}

#[test]
fn additional_data_are_the_same_for_all_subnets_and_the_scope_stays_0() {
    let snapshot = shop();
    let with = |name: &str, data: &[u8]| asked_with(name, &option(8, data));
    let subnets: [&[u8]; 3] =
        [&[0, 1, 24, 0, 192, 0, 2], &[0, 1, 25, 0, 192, 0, 2, 128], &[0, 1, 0, 0]];
    for data in subnets {
        // Where the choice looks at the client it is left out: RFC 7871 section 7.3.1.
        let mail = ["mail.shop.test. 300 A 198.18.0.25", "mail.shop.test. 300 AAAA 2001:db8::25"];
        assert_eq!(beside(&snapshot, &with("near", data)), mail);
        assert_eq!(beside(&snapshot, &with("two", data)), [""; 0]);
        let solo = ["solo.shop.test. 30 A 198.18.1.1", "solo.shop.test. 30 AAAA 2001:db8:f::1"];
        assert_eq!(beside(&snapshot, &with("one", data)), solo);
        let (_, octets) = answer_octets(&snapshot, &request("192.0.2.7"), &with("one", data).0);
        let echoed = [&data[..3], &[0], &data[4..]].concat();
        assert!(octets.ends_with(&echoed), "scope 0: {octets:02x?}");
    }
}

fn asked_with(name: &str, options: &[u8]) -> Packet {
    Packet::query(&format!("{name}.shop.test"), rtype::MX).opt(options)
}

/// Every endpoint is down.
struct AllDown;

impl Health for AllDown {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        let state = MemberState { verdicts: [Verdict::Down; 2], ..MemberState::default() };
        vec![state; pool.endpoints.len()]
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }
}

#[test]
fn a_target_with_nothing_to_serve_fails_nothing() {
    let snapshot = Snapshot::new(shop().compiled, 2, &AllDown);
    assert_eq!(show(&snapshot, &asked("strict", rtype::A))[0], "SERVFAIL aa");
    assert_eq!(beside(&snapshot, &asked("broken", rtype::MX)), [""; 0]);
    let degraded = ["solo.shop.test. 15 A 198.18.1.1", "solo.shop.test. 15 AAAA 2001:db8:f::1"];
    assert_eq!(beside(&snapshot, &asked("one", rtype::MX)), degraded);
}

#[test]
fn additional_data_are_cut_by_sets_and_never_set_tc() {
    let snapshot = shop();
    let name = "many.shop.test";
    let mut counts = Vec::new();
    for size in 620..=1232 {
        let packet = Packet::query(name, rtype::MX).opt_of(size, 0, 0, &[]);
        let (len, message) = shown::reply(&snapshot, &packet, Transport::Udp);
        let reply = lines(&message);
        assert!(len <= usize::from(size), "{size}: {len}");
        assert_eq!((reply[0].as_str(), message.answers.len()), ("NOERROR aa", 20), "{size}");
        counts.push(message.additionals.len());
    }
    assert!(counts.is_sorted() && counts[0] < 16, "{counts:?}");
    // The named limit of targets.
    assert_eq!(counts.last(), Some(&16));
    let by_tcp = show_by_tcp(&snapshot, &Packet::query(name, rtype::MX));
    assert_eq!(by_tcp.iter().filter(|line| line.starts_with("ar ")).count(), 16);
}

/// A zone like the root's or a top-level domain's.
fn top() -> Snapshot {
    let mut zone = String::from(
        "$ORIGIN .\n$TTL 86400\n@ SOA a.root-servers.net. nstld.example. 1 30m 15m 7d 1d\n",
    );
    for letter in 'a'..='m' {
        let host = letter as u32 - 'a' as u32 + 1;
        writeln!(zone, "@ NS {letter}.root-servers.net.").unwrap();
        writeln!(zone, "{letter}.root-servers.net. A 198.18.0.{host}").unwrap();
        writeln!(zone, "{letter}.root-servers.net. AAAA 2001:db8::{host}").unwrap();
        writeln!(zone, "net. NS {letter}.gtld-servers.net.").unwrap();
        writeln!(zone, "com. NS {letter}.gtld-servers.net.").unwrap();
        writeln!(zone, "{letter}.gtld-servers.net. A 198.18.1.{host}").unwrap();
        writeln!(zone, "{letter}.gtld-servers.net. AAAA 2001:db8:1::{host}").unwrap();
    }
    common::snapshot_of(&[("zones/root.zone", &zone)])
}

#[test]
fn a_referral_to_thirteen_servers_fits_with_all_glue() {
    let snapshot = top();
    for name in ["www.example.net", "net"] {
        let packet = Packet::query(name, rtype::A).opt(&[]);
        let (len, message) = shown::reply(&snapshot, &packet, Transport::Udp);
        assert_eq!((message.authorities.len(), message.additionals.len()), (13, 26));
        assert!(!message.metadata.authoritative && !message.metadata.truncation);
        println!("{name}: {len} octets");
        assert!(len < 860, "{len}; 1,500 with names in full");
    }
    // In-domain glue that does not fit sets TC (RFC 9471 section 3.1) ...
    assert_eq!(show(&snapshot, &Packet::query("www.example.net", rtype::A)), ["NOERROR tc"]);
    // ... and glue of a sibling does not (section 3.2).
    let com = show(&snapshot, &Packet::query("www.example.com", rtype::A));
    let count = |section: &str| com.iter().filter(|line| line.starts_with(section)).count();
    assert_eq!((com[0].as_str(), count("ns ")), ("NOERROR", 13));
    assert!((1..26).contains(&count("ar ")), "{com:#?}");
    let (_, whole) = shown::reply(&snapshot, &Packet::query("com", 2).opt(&[]), Transport::Udp);
    assert_eq!(whole.additionals.len(), 26);
}

#[test]
fn the_root_answers_for_itself_and_for_what_is_not_there() {
    let snapshot = top();
    let priming = Packet::with_flags([0, 0]).question(&[0], rtype::NS, 1).opt(&[]);
    let (len, message) = shown::reply(&snapshot, &priming, Transport::Udp);
    assert_eq!((message.answers.len(), message.additionals.len()), (13, 26), "RFC 9609 section 4");
    assert!(message.metadata.authoritative && len < 1232);
    let lines = show(&snapshot, &Packet::query("no.such", rtype::A));
    assert_eq!(lines[0], "NXDOMAIN aa");
    assert!(lines[1].starts_with("ns . 86400 SOA a.root-servers.net. "), "{lines:?}");
    let ds = Packet::with_flags([0, 0]).question(&[0], rtype::DS, 1);
    assert_eq!(show(&snapshot, &ds)[0], "NOERROR aa", "nobody is above the root");
}

#[test]
fn in_domain_glue_goes_before_a_sibling_s() {
    let zone = "$ORIGIN z.test.\n$TTL 60\n@ SOA ns host 1 2h 30m 2w 30\n@ NS ns\nns A 198.18.0.1\n\
        sub NS aa.sibling\nsub NS ns.sub\nsibling NS ns.sub\nns.sub AAAA 2001:db8::1\n";
    let mut zone = zone.to_owned();
    for n in 1..=24 {
        writeln!(zone, "aa.sibling A 198.18.4.{n}").unwrap();
    }
    let snapshot = common::snapshot_of(&[("zones/z.test.zone", &zone)]);
    let lines = show(&snapshot, &Packet::query("x.sub.z.test", rtype::A));
    assert_eq!(lines.len(), 4 + 24, "{lines:#?}");
    assert_eq!(lines[3], "ar ns.sub.z.test. 60 AAAA 2001:db8::1");
    // A longer name leaves no room for the sibling: it goes whole, and TC stays clear.
    let long = format!("{}.sub.z.test", "l".repeat(60));
    let lines = show(&snapshot, &Packet::query(&long, rtype::A));
    assert_eq!(lines[3..], ["ar ns.sub.z.test. 60 AAAA 2001:db8::1"]);
    assert_eq!(lines[0], "NOERROR");
}

#[test]
fn names_are_compressed_where_rfc_1035_has_them_and_nowhere_else() {
    let snapshot = shop();
    let octets = |name: &str, rtype: u16| {
        let packet = Packet::query(name, rtype);
        answer_octets(&snapshot, &request("192.0.2.7"), &packet.0).1
    };
    let has =
        |octets: &[u8], wanted: &[u8]| octets.windows(wanted.len()).any(|part| part == wanted);
    // "shop.test" begins at 12 + len("mx") + 1.
    assert!(has(&octets("mx.shop.test", rtype::MX), b"\x00\x09\x00\x0a\x04mail\xc0\x0f"));
    assert!(has(&octets("ptr.shop.test", 12), b"\x00\x07\x04mail\xc0\x10"));
    assert!(has(&octets("alias.shop.test", rtype::CNAME), b"\x00\x07\x04mail\xc0\x12"));
    assert!(has(&octets("shop.test", rtype::NS), b"\x00\x06\x03ns1\xc0\x0c"));
    assert!(has(&octets("no.shop.test", rtype::A), b"\x03ns1\xc0\x0f\x0ahostmaster\xc0\x0f"));
    assert!(has(&octets("shop.test", rtype::SOA), b"\x03ns1\xc0\x0c\x0ahostmaster\xc0\x0c"));
    // RFC 3597 section 4, RFC 9460 section 2.2: in full.
    assert!(has(&octets("srv.shop.test", rtype::SRV), b"\x04mail\x04shop\x04test\x00"));
    assert!(has(&octets("svc.shop.test", rtype::SVCB), b"\x04mail\x04shop\x04test\x00"));
    assert!(has(&octets("moved.shop.test", rtype::HTTPS), b"\x03www\x04shop\x04test\x00"));
}

#[test]
fn the_question_keeps_its_case_and_answers_point_to_it() {
    let snapshot = shop();
    for (name, rtype) in [
        ("WwW.sHoP.tEsT", rtype::A),
        ("mAiL.ShOp.tEsT", rtype::AAAA),
        ("AnY.wIlD.sHoP.tEsT", rtype::A),
        ("aLiAs.ShOp.tEsT", rtype::A),
        ("mX.sHoP.TeSt", rtype::MX),
    ] {
        let packet = Packet::query(name, rtype);
        let (_, octets) = answer_octets(&snapshot, &request("192.0.2.7"), &packet.0);
        assert_eq!(octets[12..packet.0.len()], packet.0[12..], "{name}");
        assert_eq!(octets[packet.0.len()..][..2], [0xc0, 12], "{name}");
        let message = Message::from_vec(&octets).unwrap();
        assert_eq!(message.answers[0].name.to_ascii(), format!("{name}."));
        assert_eq!(message.metadata.response_code.to_string(), "No Error");
    }
    let packet = Packet::query("nO.sHoP.tEsT", rtype::A);
    let (_, octets) = answer_octets(&snapshot, &request("192.0.2.7"), &packet.0);
    let soa = &Message::from_vec(&octets).unwrap().authorities[0];
    assert!(soa.name.to_ascii() == "sHoP.tEsT." && soa.data.to_string().starts_with("ns1.sHoP"));
}

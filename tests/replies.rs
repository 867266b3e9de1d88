//! Every kind of reply, as hickory-proto reads it: records, sections, flags, size.
#![allow(clippy::unwrap_used)]

mod common;
mod packet;
mod rich;

use common::request;
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::rdata::opt::EdnsOption;
use packet::Packet;
use packet::option;
use packet::rtype;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::snapshot::Snapshot;
use rich::Down;

/// How a query comes: the UDP size it offers, if any, or by TCP.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Plain,
    Edns(u16),
    Dnssec(u16),
    Tcp,
}

/// Asks by name and type; checks what holds of every reply; returns it.
#[track_caller]
fn ask(snapshot: &Snapshot, client: &str, name: &str, rtype: u16, by: By) -> Message {
    let packet = Packet::query(name, rtype);
    let packet = match by {
        By::Plain | By::Tcp => packet,
        By::Edns(size) => packet.opt_of(size, 0, 0, &[]),
        By::Dnssec(size) => packet.opt_of(size, 0, 0x8000, &[]),
    };
    ask_packet(snapshot, client, &packet, by)
}

#[track_caller]
fn ask_packet(snapshot: &Snapshot, client: &str, packet: &Packet, by: By) -> Message {
    let mut request: Request = request(client);
    let limit = match by {
        By::Plain => 512,
        By::Edns(size) | By::Dnssec(size) => usize::from(size.clamp(512, 1232)),
        By::Tcp => {
            request.transport = Transport::Tcp;
            65_535
        }
    };
    let (outcome, octets) = common::answer_octets(snapshot, &request, &packet.0);
    assert!(octets.len() <= limit, "{} octets for {by:?}", octets.len());
    let message = Message::from_vec(&octets).expect("hickory-proto reads the reply");
    let has_opt = matches!(by, By::Edns(_) | By::Dnssec(_));
    assert_eq!(message.edns.is_some(), has_opt, "{message}");
    assert_eq!(message.metadata.id, packet::ID);
    assert_eq!(message.metadata.truncation, outcome.truncated);
    assert!(!message.metadata.recursion_available);
    assert_eq!(message.queries.len(), 1);
    if let Some(edns) = &message.edns {
        assert_eq!((edns.version(), edns.max_payload()), (0, 1232));
        assert_eq!(edns.flags().dnssec_ok, matches!(by, By::Dnssec(_)));
    }
    message
}

fn lines(records: &[Record]) -> Vec<String> {
    records.iter().map(ToString::to_string).collect()
}

/// Code, flags and the number of records in each section.
fn summary(message: &Message) -> String {
    let metadata = &message.metadata;
    let flags = [(metadata.authoritative, " aa"), (metadata.truncation, " tc")];
    let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
    let counts = [&message.answers, &message.authorities, &message.additionals].map(Vec::len);
    format!("{:?}{flags} {counts:?}", metadata.response_code)
}

/// The zone's SOA as negative answers have it.
fn soa(snapshot: &Snapshot) -> String {
    let message = ask(snapshot, "192.0.2.7", "rich.test", rtype::SOA, By::Plain);
    let line = message.answers[0].to_string();
    assert!(line.starts_with("rich.test. 86400 IN SOA ns1.rich.test. hostmaster.rich.test. "));
    line.replace(" 86400 ", " 30 ")
}

#[test]
fn static_sets_come_whole_and_in_order() {
    let snapshot = rich::snapshot(&Down(&[]));
    let answers = |name: &str, rtype: u16| {
        let name = format!("{name}rich.test");
        let message = ask(&snapshot, "192.0.2.7", &name, rtype, By::Edns(1232));
        let seen = summary(&message);
        assert!(seen.starts_with(&format!("NoError aa [{}, 0, ", message.answers.len())), "{seen}");
        lines(&message.answers)
    };
    assert_eq!(
        answers("", 15),
        ["rich.test. 300 IN MX 10 mail.rich.test.", "rich.test. 300 IN MX 20 mail.example.net."]
    );
    assert_eq!(
        answers("", rtype::NS),
        ["rich.test. 86400 IN NS ns1.rich.test.", "rich.test. 86400 IN NS ns2.example.net."]
    );
    assert_eq!(answers("", 257), ["rich.test. 300 IN CAA 0 issue \"ca.example.net\""]);
    assert_eq!(answers("srv.", 33), ["srv.rich.test. 300 IN SRV 1 2 443 mail.rich.test."]);
    assert_eq!(answers("ptr.", 12), ["ptr.rich.test. 300 IN PTR mail.rich.test."]);
    // hickory-proto calls the type unknown, and shows the data in base 64.
    assert_eq!(answers("odd.", 65_280), ["odd.rich.test. 300 IN Unknown CgsM"]);
    assert_eq!(answers("sp ace.dot.", 1).len(), 1);
    assert_eq!(answers("a.ent.", 1), ["a.ent.rich.test. 300 IN A 198.18.0.80"]);
    let dotted = Packet::with_flags([0, 0]).question(b"\x03a.b\x04rich\x04test\x00", 1, 1);
    let message = ask_packet(&snapshot, "192.0.2.7", &dotted, By::Plain);
    assert_eq!(lines(&message.answers), ["a\\.b.rich.test. 300 IN A 198.18.0.78"]);
    assert_eq!(answers("any.thing.wild.", 1), ["any.thing.wild.rich.test. 300 IN A 198.18.0.99"]);
}

#[test]
fn texts_keep_their_strings_and_octets() {
    let snapshot = rich::snapshot(&Down(&[]));
    let message = ask(&snapshot, "192.0.2.7", "txt.rich.test", rtype::TXT, By::Plain);
    let hickory_proto::rr::RData::TXT(txt) = &message.answers[0].data else { panic!("{message}") };
    let strings: Vec<&[u8]> = txt.txt_data.iter().map(|string| &**string).collect();
    assert_eq!(strings, [&b"hello"[..], b"two words; \"quoted\"", b"\0\xff"]);
}

#[test]
fn aliases_are_followed_as_far_as_the_zones_go() {
    let snapshot = rich::snapshot(&Down(&[]));
    let soa = soa(&snapshot);
    let asked = |name: &str, rtype: u16| {
        let name = format!("{name}.rich.test");
        let message = ask(&snapshot, "192.0.2.7", &name, rtype, By::Edns(1232));
        (summary(&message), lines(&message.answers), lines(&message.authorities))
    };
    let (seen, answers, _) = asked("c1", rtype::A);
    assert_eq!(seen, "NoError aa [4, 0, 0]");
    assert_eq!(
        answers,
        [
            "c1.rich.test. 300 IN CNAME c2.rich.test.",
            "c2.rich.test. 60 IN CNAME c3.rich.test.",
            "c3.rich.test. 300 IN CNAME www.rich.test.",
            "www.rich.test. 30 IN A 198.18.1.1",
        ]
    );
    let (seen, answers, _) = asked("x.walias", rtype::AAAA);
    assert_eq!(seen, "NoError aa [4, 0, 0]");
    assert_eq!(answers[0], "x.walias.rich.test. 300 IN CNAME c2.rich.test.");
    assert_eq!(answers[3], "www.rich.test. 30 IN AAAA 2001:db8:f::1");
    let (seen, answers, _) = asked("c1", 5);
    assert_eq!((seen.as_str(), answers.len()), ("NoError aa [1, 0, 0]", 1));
    let (seen, _, _) = asked("to-txt", rtype::TXT);
    assert_eq!(seen, "NoError aa [2, 0, 0]");
    // RFC 6604 section 3: the code is the last name's.
    let (seen, answers, authorities) = asked("to-none", rtype::A);
    assert_eq!((seen.as_str(), authorities), ("NXDomain aa [1, 1, 0]", vec![soa.clone()]));
    assert_eq!(answers, ["to-none.rich.test. 300 IN CNAME nowhere.rich.test."]);
    let (seen, _, authorities) = asked("to-nodata", rtype::A);
    assert_eq!((seen.as_str(), authorities), ("NoError aa [1, 1, 0]", vec![soa]));
    let (seen, answers, _) = asked("to-far", rtype::A);
    assert_eq!(seen, "NoError aa [1, 0, 0]");
    assert_eq!(answers, ["to-far.rich.test. 300 IN CNAME host.example.net."]);
    // A referral behind an alias: AA is of the first owner (RFC 1034 section 4.3.2, RFC 2181 section 3).
    let (seen, _, authorities) = asked("to-child", rtype::A);
    assert_eq!(seen, "NoError aa [1, 3, 3]");
    assert!(authorities[0].starts_with("signed.rich.test. 300 IN NS "), "{authorities:?}");
    let (seen, answers, _) = asked("loop-a", rtype::A);
    assert!(seen.starts_with("NoError aa") && answers.len() <= 9, "{seen} {answers:?}");
}

#[test]
fn negative_answers_have_the_soa_at_its_owner() {
    let snapshot = rich::snapshot(&Down(&[]));
    let soa = soa(&snapshot);
    for (name, rtype, expected) in [
        ("no.rich.test", rtype::A, "NXDomain aa [0, 1, 0]"),
        ("deep.er.no.rich.test", rtype::A, "NXDomain aa [0, 1, 0]"),
        ("x.txt.rich.test", rtype::A, "NXDomain aa [0, 1, 0]"),
        ("txt.rich.test", rtype::A, "NoError aa [0, 1, 0]"),
        ("ent.rich.test", rtype::A, "NoError aa [0, 1, 0]"),
        ("x.wild.rich.test", rtype::AAAA, "NoError aa [0, 1, 0]"),
        ("x.not.wild.rich.test", rtype::TXT, "NXDomain aa [0, 1, 0]"), // RFC 4592 section 2.2.1
        ("v4only.rich.test", rtype::AAAA, "NoError aa [0, 1, 0]"),
        ("www.rich.test", rtype::TXT, "NoError aa [0, 1, 0]"),
        ("signed.rich.test", 43, "NoError aa [1, 0, 0]"),
        ("plain.rich.test", 43, "NoError aa [0, 1, 0]"), // RFC 4035 section 3.1.4.1
    ] {
        let message = ask(&snapshot, "192.0.2.7", name, rtype, By::Edns(1232));
        assert_eq!(summary(&message), expected, "{name}");
        if !message.authorities.is_empty() {
            assert_eq!(lines(&message.authorities), [soa.as_str()], "{name}");
        }
    }
}

#[test]
fn referrals_have_name_servers_glue_and_signers() {
    let snapshot = rich::snapshot(&Down(&[]));
    for name in ["signed.rich.test", "a.b.signed.rich.test", "ns1.signed.rich.test"] {
        let message = ask(&snapshot, "192.0.2.7", name, rtype::A, By::Edns(1232));
        assert_eq!(summary(&message), "NoError [0, 3, 3]");
        assert_eq!(
            lines(&message.authorities),
            ["ns1.signed.rich.test.", "ns2.signed.rich.test.", "ns2.example.net."]
                .map(|server| format!("signed.rich.test. 300 IN NS {server}"))
        );
        assert_eq!(
            lines(&message.additionals),
            [
                "ns1.signed.rich.test. 300 IN A 198.18.9.1",
                "ns1.signed.rich.test. 300 IN AAAA 2001:db8:9::1",
                "ns2.signed.rich.test. 300 IN A 198.18.9.2",
            ]
        );
    }
    let message = ask(&snapshot, "192.0.2.7", "x.signed.rich.test", rtype::A, By::Dnssec(1232));
    assert_eq!(summary(&message), "NoError [0, 4, 3]");
    assert!(lines(&message.authorities)[3].starts_with("signed.rich.test. 300 IN DS "));
    let message = ask(&snapshot, "192.0.2.7", "x.plain.rich.test", rtype::A, By::Dnssec(1232));
    assert_eq!(summary(&message), "NoError [0, 1, 2]");
    // In-domain glue that does not fit sets TC (RFC 9471 section 3.1).
    let message = ask(&snapshot, "192.0.2.7", "x.wide.rich.test", rtype::A, By::Edns(1100));
    assert_eq!(summary(&message), "NoError tc [0, 0, 0]");
    let message = ask(&snapshot, "192.0.2.7", "x.wide.rich.test", rtype::A, By::Edns(1232));
    assert_eq!(summary(&message), "NoError [0, 1, 40]");
    let message = ask(&snapshot, "192.0.2.7", "x.wide.rich.test", rtype::A, By::Tcp);
    assert_eq!(summary(&message), "NoError [0, 1, 40]");
}

#[test]
fn what_does_not_fit_is_cut_and_comes_whole_over_tcp() {
    let snapshot = rich::snapshot(&Down(&[]));
    for (name, rtype, by, expected) in [
        ("big512", rtype::A, By::Plain, "NoError aa tc [0, 0, 0]"),
        ("big512", rtype::A, By::Edns(0), "NoError aa tc [0, 0, 0]"),
        ("big512", rtype::A, By::Edns(600), "NoError aa tc [0, 0, 0]"),
        ("big512", rtype::A, By::Edns(1232), "NoError aa [40, 0, 0]"),
        ("big512", rtype::A, By::Edns(65_535), "NoError aa [40, 0, 0]"),
        ("big1232", rtype::A, By::Edns(1232), "NoError aa tc [0, 0, 0]"),
        ("big1232", rtype::A, By::Edns(65_535), "NoError aa tc [0, 0, 0]"),
        ("big1232", rtype::A, By::Tcp, "NoError aa [100, 0, 0]"),
        ("bigtxt", rtype::TXT, By::Dnssec(1232), "NoError aa tc [0, 0, 0]"),
        ("bigtxt", rtype::TXT, By::Tcp, "NoError aa [20, 0, 0]"),
        ("to-long", rtype::TXT, By::Edns(1232), "NoError aa tc [0, 0, 0]"),
        ("to-long", rtype::TXT, By::Tcp, "NoError aa [21, 0, 0]"),
    ] {
        let message = ask(&snapshot, "192.0.2.7", &format!("{name}.rich.test"), rtype, by);
        assert_eq!(summary(&message), expected, "{name} {by:?}");
    }
    let message = ask(&snapshot, "192.0.2.7", "big1232.rich.test", rtype::A, By::Tcp);
    let expected: Vec<_> =
        (0..100).map(|n| format!("big1232.rich.test. 300 IN A 198.18.100.{n}")).collect();
    assert_eq!(lines(&message.answers), expected);
}

#[test]
fn each_size_is_kept_to_the_octet() {
    let snapshot = rich::snapshot(&Down(&[]));
    let name = "big512.rich.test";
    let whole = Packet::query(name, rtype::A).0.len() + 40 * 16 + 11;
    for size in (500..1300).chain([0, 1, 4096, u16::MAX]) {
        let message = ask(&snapshot, "192.0.2.7", name, rtype::A, By::Edns(size));
        let fits = usize::from(size.clamp(512, 1232)) >= whole;
        assert_eq!(message.metadata.truncation, !fits, "{size}");
        assert_eq!(message.answers.len(), if fits { 40 } else { 0 }, "{size}");
    }
}

#[test]
fn steered_names_answer_in_both_families() {
    let snapshot = rich::snapshot(&Down(&[]));
    for (client, v4, v6) in [
        ("192.0.2.7", "198.18.1.1", "2001:db8:f::1"),
        ("192.0.2.200", "198.18.2.1", "2001:db8:a::1"),
        ("2001:db8:2::1", "198.18.2.1", "2001:db8:a::1"),
    ] {
        for name in ["www.rich.test", "x.y.any.rich.test"] {
            let message = ask(&snapshot, client, name, rtype::A, By::Plain);
            assert_eq!(lines(&message.answers), [format!("{name}. 30 IN A {v4}")]);
            let message = ask(&snapshot, client, name, rtype::AAAA, By::Edns(1232));
            assert_eq!(lines(&message.answers), [format!("{name}. 30 IN AAAA {v6}")]);
        }
    }
    for (rtype, prefix) in [(rtype::A, "A 198.18.8."), (rtype::AAAA, "AAAA 2001:db8:8::")] {
        let message = ask(&snapshot, "192.0.2.7", "eight.rich.test", rtype, By::Plain);
        let mut answers = lines(&message.answers);
        answers.sort();
        let expected: Vec<_> =
            (1..=8).map(|n| format!("eight.rich.test. 30 IN {prefix}{n}")).collect();
        assert_eq!(answers, expected);
    }
    let long = rich::long_label();
    let name = format!("{long}.{long}.{long}.eight.rich.test");
    let message = ask(&snapshot, "192.0.2.7", &name, rtype::AAAA, By::Plain);
    assert_eq!(summary(&message), "NoError aa [8, 0, 0]");
}

#[test]
fn a_degraded_answer_says_so_and_lives_half_as_long() {
    let snapshot = rich::snapshot(&Down(&["eu", "us"]));
    let message = ask(&snapshot, "192.0.2.7", "www.rich.test", rtype::A, By::Edns(1232));
    assert_eq!(lines(&message.answers), ["www.rich.test. 15 IN A 198.18.1.1"]);
    let text = b"rhumb: all down, first pool served (fail_open)";
    let data = [&[0, 0][..], text].concat();
    let edns = message.edns.unwrap();
    assert_eq!(
        edns.option(EdnsCode::Unknown(15)),
        Some(&EdnsOption::Unknown(15, data)),
        "{edns:?}"
    );
    let message = ask(&snapshot, "192.0.2.7", "strict.rich.test", rtype::A, By::Edns(1232));
    assert!(summary(&message).starts_with("ServFail"), "{message}");
    assert!(message.edns.unwrap().option(EdnsCode::Unknown(15)).is_some());
}

#[test]
fn subnets_are_echoed_with_a_scope_that_is_no_longer() {
    let snapshot = rich::snapshot(&Down(&[]));
    let names = ["www", "nested", "eight", "v4only", "txt", "no", "c1", "host.signed", "big1232"];
    for name in names {
        for rtype in [rtype::A, rtype::AAAA] {
            let query = Packet::query(&format!("{name}.rich.test"), rtype);
            for len in 0..=128u8 {
                for family in [1u8, 2].into_iter().filter(|&family| family == 2 || len <= 32) {
                    let address: &[u8] = match family {
                        1 => &[192, 0, 2, 129],
                        _ => &[0x20, 1, 0xd, 0xb8, 0, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11],
                    };
                    check_echo(&snapshot, &query, family, len, address);
                }
            }
        }
    }
}

/// Asks with a subnet; checks that all but the scope comes back.
#[track_caller]
fn check_echo(snapshot: &Snapshot, query: &Packet, family: u8, len: u8, address: &[u8]) {
    let mut data = vec![0, family, len, 0];
    data.extend_from_slice(&address[..usize::from(len).div_ceil(8)]);
    if !len.is_multiple_of(8) {
        *data.last_mut().unwrap() &= !(0xff >> (len % 8));
    }
    let packet = query.clone().opt(&option(8, &data));
    let message = ask_packet(snapshot, "198.51.100.7", &packet, By::Edns(1232));
    let edns = message.edns.as_ref().unwrap();
    let Some(EdnsOption::Subnet(echo)) = edns.option(EdnsCode::Subnet) else {
        panic!("{family} /{len}: {edns:?}")
    };
    let mut echoed: Vec<u8> = Vec::try_from(echo).unwrap();
    assert!(echoed[3] <= len, "{family} /{len}: scope {}", echoed[3]);
    echoed[3] = 0;
    assert_eq!(echoed, data, "{family} /{len}");
}

#[test]
fn nsid_comes_when_asked_and_only_then() {
    let snapshot = rich::snapshot(&Down(&[]));
    for name in ["txt", "no", "www", "big1232", "x.signed"] {
        let query = Packet::query(&format!("{name}.rich.test"), rtype::A);
        for (options, is_asked) in [(option(3, b""), true), (Vec::new(), false)] {
            let packet = query.clone().opt(&options);
            let message = ask_packet(&snapshot, "192.0.2.7", &packet, By::Edns(1232));
            let edns = message.edns.unwrap();
            let nsid = match edns.option(EdnsCode::NSID) {
                Some(EdnsOption::NSID(nsid)) => Some(nsid.as_ref()),
                _ => None,
            };
            assert_eq!(nsid, is_asked.then_some(rich::IDENTITY), "{name}");
        }
    }
}

#[test]
fn an_unknown_version_gets_badvers_and_an_opt_record() {
    let snapshot = rich::snapshot(&Down(&[]));
    let packet = Packet::query("txt.rich.test", rtype::TXT).opt_of(1232, 1, 0, &[]);
    let message = ask_packet(&snapshot, "192.0.2.7", &packet, By::Edns(1232));
    assert_eq!(u16::from(message.metadata.response_code), 16);
    assert_eq!(message.edns.unwrap().rcode_high(), 1);
    assert_eq!(message.answers.len(), 0);
}

//! What is sent for packets that are wrong, odd or unusual: one row a rule, judged by the RFC it names.

mod common;
mod packet;
mod rich;

use common::answer_octets;
use common::request;
use packet::ID;
use packet::Packet;
use packet::option;
use packet::rtype;
use packet::wire_name;
use rhumb::snapshot::Snapshot;
use rhumb::snapshot::health::AllUnknown;

/// What must be seen of the reply besides its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The question is repeated, octet by octet.
    Question,
    /// It is the header alone.
    HeaderOnly,
    /// An OPT record of version 0.
    Opt,
    /// No OPT record.
    NoOpt,
    /// Exactly these two octets of flags.
    Flags([u8; 2]),
    /// That many answers.
    Answers(u16),
    /// These octets, somewhere behind the question.
    Octets(&'static [u8]),
    /// These octets nowhere behind the question.
    NoOctets(&'static [u8]),
    /// TC is set, and the reply has at most so many octets.
    TruncatedTo(usize),
    /// No TC, and the reply has more octets than that.
    LongerThan(usize),
}

use Seen::Answers;
use Seen::Flags;
use Seen::HeaderOnly;
use Seen::LongerThan;
use Seen::NoOctets;
use Seen::NoOpt;
use Seen::Octets;
use Seen::Opt;
use Seen::Question;
use Seen::TruncatedTo;

/// The reply's code, the OPT record's upper bits included; `None` if nothing may be sent.
type Code = Option<u16>;

const DROP: Code = None;
const NOERROR: Code = Some(0);
const FORMERR: Code = Some(1);
const NXDOMAIN: Code = Some(3);
const NOTIMP: Code = Some(4);
const REFUSED: Code = Some(5);
const NOTAUTH: Code = Some(9);
const BADVERS: Code = Some(16);

/// Title, the RFC's section, the packet, the code, what else is seen.
type Row = (&'static str, &'static str, Packet, Code, &'static [Seen]);

/// The TSIG record of a reply to `Packet::tsig`: key, algorithm, times, no signature, the query's id, error 17.
const BADKEY: &[u8] =
    b"\x03key\x04test\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x1d\x0bhmac-sha256\x00\
    \x00\x00\x6b\x49\xd2\x00\x01\x2c\x00\x00\xbe\xef\x00\x11\x00\x00";

/// Data of a TSIG record with a MAC of two octets.
const TSIG: &[u8] =
    b"\x03alg\x00\x00\x00\x6b\x49\xd2\x00\x01\x2c\x00\x02\xaa\xbb\xbe\xef\x00\x00\x00\x00";

/// A query that is right, to be spoiled.
fn good() -> Packet {
    Packet::query("txt.rich.test", rtype::TXT)
}

/// A question of type A whose name is these octets.
fn named(wire: &[u8]) -> Packet {
    Packet::with_flags([0, 0]).question(wire, rtype::A, 1)
}

fn ixfr() -> Packet {
    Packet::query("rich.test", rtype::IXFR)
}

fn soa(packet: Packet) -> Packet {
    let rdata = [&[0, 0][..], &[0; 20]].concat();
    packet.record(2, &[0xc0, 12], rtype::SOA, 1, &rdata)
}

fn address(packet: Packet, section: usize) -> Packet {
    packet.record(section, &[0xc0, 12], rtype::A, 1, &[192, 0, 2, 1])
}

/// A name of `octets` octets in wire form: 255 are the most.
fn name_of(octets: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    while octets - wire.len() > 1 {
        let len = (octets - wire.len() - 2).min(63);
        wire.push(len as u8);
        wire.resize(wire.len() + len, b'n');
    }
    wire.push(0);
    wire
}

#[rustfmt::skip] // a row a line
fn headers() -> Vec<Row> {
    let mut rows: Vec<Row> = vec![
        ("nothing at all", "RFC 1035 4.1.1", Packet(vec![]), DROP, &[]),
        ("one octet", "RFC 1035 4.1.1", Packet(vec![0xbe]), DROP, &[]),
        ("one octet less than a header", "RFC 1035 4.1.1", Packet(good().0[..11].to_vec()), DROP, &[]),
        ("a response", "RFC 1035 4.1.1", good().flags([0x80, 0]), DROP, &[]),
        ("a response with an opcode", "RFC 1035 4.1.1", good().flags([0xa0, 0]), DROP, &[]),
        ("a response of the header alone", "RFC 1035 4.1.1", Packet::with_flags([0x80, 1]), DROP, &[]),
        ("the header alone", "RFC 9619 4", Packet::with_flags([0, 0]), FORMERR, &[HeaderOnly]),
        ("no question, but OPT", "RFC 7873 5.4", Packet::with_flags([0, 0]).opt(&[]), FORMERR, &[HeaderOnly]),
        ("two questions", "RFC 9619 4", good().question(&wire_name("txt.rich.test"), 16, 1), FORMERR, &[HeaderOnly]),
        ("two questions counted, one there", "RFC 9619 4", good().count(0, 2), FORMERR, &[HeaderOnly]),
        ("65,535 questions counted", "RFC 9619 4", good().count(0, 65_535), FORMERR, &[HeaderOnly]),
        ("an answer in a query", "RFC 1035 4.1.1", address(good(), 1), FORMERR, &[Question, NoOpt, Answers(0)]),
        ("an answer in a query with OPT", "RFC 6891 6.1.1", address(good(), 1).opt(&[]), FORMERR, &[Question, Opt]),
        ("an authority record in a query", "RFC 1035 4.1.1", address(good(), 2), FORMERR, &[Question]),
        ("answers counted, none there", "RFC 1035 4.1.1", good().count(1, 65_535), FORMERR, &[Question]),
        ("authorities counted, none there", "RFC 1035 4.1.1", good().count(2, 1), FORMERR, &[Question]),
        ("additionals counted, none there", "RFC 1035 4.1.1", good().count(3, 1), FORMERR, &[Question, NoOpt]),
        ("65,535 additionals counted, one there", "RFC 6891 6.1.1", good().opt(&[]).count(3, 65_535), FORMERR, &[Question, Opt]),
        ("octets behind the question", "RFC 1035 4.1", good().raw(&[0]), FORMERR, &[Question]),
        ("octets behind the OPT record", "RFC 6891 6.1.1", good().opt(&[]).raw(b"more"), FORMERR, &[Question, Opt]),
        ("an OPT record that is not counted", "RFC 1035 4.1", good().opt(&[]).count(3, 0), FORMERR, &[Question]),
        ("a record of any type beside", "RFC 1035 4.1", address(good(), 3), NOERROR, &[Question, Answers(1)]),
        ("RD is copied, RA is not set", "RFC 1035 4.1.1", good().flags([1, 0]), NOERROR, &[Flags([0x85, 0])]),
        ("no RD", "RFC 1035 4.1.1", good(), NOERROR, &[Flags([0x84, 0])]),
        ("RD in a refusal", "RFC 1035 4.1.1", Packet::query("other.test", 1).flags([1, 0]), REFUSED, &[Flags([0x81, 5])]),
        ("Z is cleared", "RFC 8906 8.1.3.1", good().flags([0, 0x40]), NOERROR, &[Flags([0x84, 0]), Answers(1)]),
        ("AD is cleared", "RFC 4035 3.1.6", good().flags([0, 0x20]), NOERROR, &[Flags([0x84, 0]), Answers(1)]),
        ("CD is cleared", "RFC 4035 3.1.6", good().flags([0, 0x10]), NOERROR, &[Flags([0x84, 0]), Answers(1)]),
        ("AA, TC, RA and a code mean nothing in a query", "RFC 1035 4.1.1", good().flags([0x06, 0x8f]), NOERROR, &[Flags([0x84, 0]), Answers(1)]),
    ];
    let opcodes: [&'static str; 15] = [
        "opcode IQUERY", "opcode STATUS", "opcode 3", "opcode NOTIFY", "opcode UPDATE", "opcode DSO",
        "opcode 7", "opcode 8", "opcode 9", "opcode 10", "opcode 11", "opcode 12", "opcode 13",
        "opcode 14", "opcode 15",
    ];
    for (title, opcode) in opcodes.into_iter().zip(1u8..) {
        // RFC 3425 section 3 for IQUERY, RFC 8490 section 5.1.1 for DSO, RFC 2136 section 3.1 for UPDATE say so too.
        rows.push((title, "RFC 8906 3.1.4", good().flags([opcode << 3, 0]), NOTIMP, &[HeaderOnly]));
    }
    rows.push(("an opcode, header alone", "RFC 8906 8.1.4", Packet::with_flags([0x78, 0]), NOTIMP, &[Flags([0xf8, 4])]));
    rows.push(("an opcode keeps RD", "RFC 1035 4.1.1", good().flags([0x11, 0]), NOTIMP, &[Flags([0x91, 4])]));
    rows
}

#[rustfmt::skip] // a row a line
fn questions() -> Vec<Row> {
    let cut = |octets: usize| Packet(good().0[..octets].to_vec());
    let whole = good().0.len();
    let forward = Packet::with_flags([0, 0]).question(&[0xc0, 18], rtype::A, 1).raw(&[1, b'a', 0]);
    vec![
        ("the name is cut", "RFC 1035 4.1.2", cut(15), FORMERR, &[HeaderOnly]),
        ("the name has no end", "RFC 1035 3.1", cut(whole - 5), FORMERR, &[HeaderOnly]),
        ("cut behind the name", "RFC 1035 4.1.2", cut(whole - 4), FORMERR, &[HeaderOnly]),
        ("cut inside the type", "RFC 1035 4.1.2", cut(whole - 3), FORMERR, &[HeaderOnly]),
        ("cut behind the type", "RFC 1035 4.1.2", cut(whole - 2), FORMERR, &[HeaderOnly]),
        ("cut inside the class", "RFC 1035 4.1.2", cut(whole - 1), FORMERR, &[HeaderOnly]),
        ("label type 0x40", "RFC 6891 5", named(&[0x41, 0, 0]), FORMERR, &[HeaderOnly]),
        ("a label of 64 octets", "RFC 1035 2.3.4", named(&[&[64][..], &[b'a'; 64], &[0]].concat()), FORMERR, &[HeaderOnly]),
        ("label type 0x80", "RFC 1035 4.1.4", named(&[0x80, 0, 0]), FORMERR, &[HeaderOnly]),
        ("a pointer to itself", "RFC 1035 4.1.4", named(&[0xc0, 12]), FORMERR, &[HeaderOnly]),
        ("a pointer forward", "RFC 1035 4.1.4", forward, FORMERR, &[HeaderOnly]),
        ("a pointer back into the header", "RFC 1035 4.1.4", named(&[0xc0, 4]), FORMERR, &[HeaderOnly]),
        ("a pointer behind a label", "RFC 1035 4.1.4", named(&[1, b'a', 0xc0, 12]), FORMERR, &[HeaderOnly]),
        ("a pointer out of the packet", "RFC 1035 4.1.4", named(&[0xff, 0xff]), FORMERR, &[HeaderOnly]),
        ("a name of 255 octets", "RFC 1035 2.3.4", named(&name_of(255)), REFUSED, &[Question]),
        ("a name of 256 octets", "RFC 1035 2.3.4", named(&name_of(256)), FORMERR, &[HeaderOnly]),
        ("a name of 300 octets", "RFC 1035 2.3.4", named(&name_of(300)), FORMERR, &[HeaderOnly]),
        ("the root", "RFC 1035 3.1", named(&[0]), REFUSED, &[Question, Flags([0x80, 5])]),
        ("labels of any octets", "RFC 2181 11", named(&[4, 0, 0xff, b'.', b' ', 0]), REFUSED, &[Question]),
        ("upper case", "RFC 4343 3", Packet::query("TXT.Rich.TEST", rtype::TXT), NOERROR, &[Question, Answers(1)]),
        ("a name that is not there", "RFC 1034 4.3.2", Packet::query("no.rich.test", 1), NXDOMAIN, &[Question, Flags([0x84, 3])]),
        ("class CH", "RFC 1035 3.2.4", good_in(3), REFUSED, &[Question, Flags([0x80, 5]), Answers(0)]),
        ("class CH, id.server", "RFC 4892 2", chaos("ID.Server", rtype::TXT), NOERROR,
            &[Question, Flags([0x84, 0]), Answers(1), Octets(b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00\x0a\x09ns-test-1")]),
        ("class CH, hostname.bind", "RFC 4892 2", chaos("hostname.bind", rtype::TXT), NOERROR, &[Answers(1), Octets(b"\x09ns-test-1")]),
        ("class CH, hostname.bind, ANY", "RFC 4892 2", chaos("hostname.bind", rtype::ANY), NOERROR, &[Answers(1), Octets(b"\x09ns-test-1")]),
        ("class CH, version.bind", "RFC 4892 3.1", chaos("version.bind", rtype::TXT), NOERROR, &[Question, Answers(1), Octets(b"Rhumb ")]),
        ("class CH, version.server", "RFC 4892 3.1", chaos("version.server", rtype::TXT), NOERROR, &[Question, Answers(1), Octets(b"Rhumb ")]),
        ("class CH, another type", "RFC 4892 2", chaos("id.server", rtype::A), REFUSED, &[Question, Flags([0x80, 5]), Answers(0)]),
        ("class CH, another name", "RFC 4892 2", chaos("authors.bind", rtype::TXT), REFUSED, &[Question, Answers(0)]),
        ("class CH, below a name", "RFC 4892 2", chaos("x.id.server", rtype::TXT), REFUSED, &[Question, Answers(0)]),
        ("class CH with version 1", "RFC 6891 6.1.3", chaos("id.server", rtype::TXT).opt_of(1232, 1, 0, &[]), BADVERS, &[Opt, Answers(0)]),
        ("id.server in class IN", "RFC 4892 2", Packet::query("id.server", rtype::TXT), REFUSED, &[Answers(0)]),
        ("class HS", "RFC 1035 3.2.4", good_in(4), REFUSED, &[Question, Flags([0x80, 5])]),
        ("class NONE", "RFC 2136 2.4", good_in(254), REFUSED, &[Question, Answers(0)]),
        ("class ANY", "RFC 1035 3.2.5", good_in(255), REFUSED, &[Question, Answers(0)]),
        ("class 0", "RFC 6895 3.2", good_in(0), REFUSED, &[Question, Answers(0)]),
        ("type 0", "RFC 6895 3.1", asked(0), FORMERR, &[Question, Answers(0)]),
        ("type OPT", "RFC 6891 6.1.1", asked(rtype::OPT), FORMERR, &[Question, Answers(0)]),
        ("type TSIG", "RFC 8945 4.2", asked(rtype::TSIG), NOTIMP, &[Question]),
        ("type TKEY", "RFC 2930 2", asked(rtype::TKEY), NOTIMP, &[Question]),
        ("type MAILB", "RFC 1035 3.2.3", asked(rtype::MAILB), NOTIMP, &[Question]),
        ("type MAILA", "RFC 1035 3.2.3", asked(rtype::MAILA), NOTIMP, &[Question]),
        ("the first reserved meta type", "RFC 6895 3.1", asked(128), NOTIMP, &[Question]),
        ("the last reserved meta type", "RFC 6895 3.1", asked(248), NOTIMP, &[Question]),
        ("a type nobody knows", "RFC 8906 3.1.2", asked(1000), NOERROR, &[Question, Answers(0)]),
        ("a type nobody knows, high", "RFC 3597 5", asked(65_534), NOERROR, &[Question, Answers(0)]),
        ("a type nobody knows at a name that is not there", "RFC 8906 3.1.2", Packet::query("no.rich.test", 1000), NXDOMAIN, &[Question]),
        ("AXFR over UDP", "RFC 5936 4.2", Packet::query("rich.test", rtype::AXFR), REFUSED, &[Question, Answers(0)]),
        ("IXFR over UDP", "RFC 1995 2", soa(ixfr()), REFUSED, &[Question, Answers(0)]),
        ("IXFR without an SOA", "RFC 1995 3", ixfr(), REFUSED, &[Question, Answers(0)]),
        ("IXFR with two SOAs", "RFC 1995 3", soa(soa(ixfr())), FORMERR, &[Question]),
        ("IXFR with an address", "RFC 1995 3", address(ixfr(), 2), FORMERR, &[Question]),
        ("IXFR with a cut SOA", "RFC 1995 3", ixfr().count(2, 1).raw(&[0xc0, 12, 0, 6]), FORMERR, &[Question]),
        ("ANY", "RFC 8482 4.2", Packet::query("rich.test", rtype::ANY), NOERROR,
            &[Question, Answers(1), Octets(b"\x00\x0d\x00\x01\x00\x00\x0e\x10\x00\x09\x07RFC8482\x00")]),
        ("ANY of nothing", "RFC 8482 4", Packet::query("no.rich.test", rtype::ANY), NXDOMAIN, &[Answers(0)]),
        ("ANY between names", "RFC 8020 2", Packet::query("ent.rich.test", rtype::ANY), NOERROR, &[Answers(0)]),
    ]
}

fn good_in(class: u16) -> Packet {
    Packet::with_flags([0, 0]).question(&wire_name("txt.rich.test"), rtype::TXT, class)
}

fn chaos(name: &str, rtype: u16) -> Packet {
    Packet::with_flags([0, 0]).question(&wire_name(name), rtype, 3)
}

fn asked(rtype: u16) -> Packet {
    Packet::query("txt.rich.test", rtype)
}

#[rustfmt::skip] // a row a line
fn edns() -> Vec<Row> {
    let owned = good().record(3, &wire_name("x"), rtype::OPT, 1232, &[]);
    let pointed = good().record(3, &[0xc0, 12], rtype::OPT, 1232, &[]);
    let nsid = option(3, b"");
    let cookie = option(10, &[7; 8]);
    let beyond = good().raw(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 200]).raw(&nsid).count(3, 1);
    let big512 = || Packet::query("big512.rich.test", rtype::A);
    let big1232 = || Packet::query("big1232.rich.test", rtype::A);
    let bad_ecs = option(8, &[0, 3, 0, 0]);
    vec![
        ("an OPT record", "RFC 6891 6.1.1", good().opt(&[]), NOERROR, &[Question, Opt, Answers(1)]),
        ("no OPT record", "RFC 6891 7", good(), NOERROR, &[Question, NoOpt, Answers(1)]),
        ("OPT in a refusal", "RFC 6891 6.1.1", Packet::query("other.test", 1).opt(&[]), REFUSED, &[Opt]),
        ("OPT in a negative answer", "RFC 6891 6.1.1", Packet::query("no.rich.test", 1).opt(&[]), NXDOMAIN, &[Opt]),
        ("OPT for a class of nobody", "RFC 6891 6.1.1", good_in(3).opt(&[]), REFUSED, &[Opt]),
        ("OPT for a meta type", "RFC 6891 6.1.1", asked(rtype::MAILA).opt(&[]), NOTIMP, &[Opt]),
        ("OPT before another record", "RFC 6891 6.1.1", address(good().opt(&[]), 3), NOERROR, &[Opt, Answers(1)]),
        ("OPT behind another record", "RFC 6891 6.1.1", address(good(), 3).opt(&[]), NOERROR, &[Opt, Answers(1)]),
        ("two OPT records", "RFC 6891 6.1.1", good().opt(&[]).opt(&[]), FORMERR, &[Question, Opt, Answers(0)]),
        ("OPT owned by a name", "RFC 6891 6.1.2", owned, FORMERR, &[Question, Opt]),
        ("OPT owned by a pointer", "RFC 6891 6.1.2", pointed, FORMERR, &[Question, Opt]),
        ("OPT longer than the packet", "RFC 6891 6.1.2", beyond, FORMERR, &[Question, Answers(0)]),
        ("OPT cut in its header", "RFC 6891 6.1.2", good().raw(&[0, 0, 41, 4]).count(3, 1), FORMERR, &[Question]),
        ("an option longer than the record", "RFC 6891 6.1.2", good().opt(&[0, 3, 0, 1]), FORMERR, &[Question, Opt]),
        ("an option cut in its header", "RFC 6891 6.1.2", good().opt(&[0, 3, 0]), FORMERR, &[Question, Opt]),
        ("OPT among the answers", "RFC 6891 6.1.1", good().record(1, &[0], rtype::OPT, 1232, &[]), FORMERR, &[Question]),
        ("version 1", "RFC 6891 6.1.3", good().opt_of(1232, 1, 0, &[]), BADVERS, &[Question, Opt, Answers(0), Flags([0x80, 0])]),
        ("version 1 with an unknown option", "RFC 8906 8.2.5", good().opt_of(1232, 1, 0, &option(100, b"x")), BADVERS, &[Opt, Answers(0)]),
        ("version 1 with NSID", "RFC 6891 6.1.3", good().opt_of(1232, 1, 0, &nsid), BADVERS, &[Opt, NoOctets(rich::IDENTITY)]),
        ("version 255 with a malformed subnet", "RFC 6891 6.1.3", good().opt_of(1232, 255, 0, &bad_ecs), BADVERS, &[Question, Opt]),
        ("version 255 with cut options", "RFC 6891 6.1.3", good().opt_of(1232, 255, 0, &[0, 8, 9]), BADVERS, &[Question, Opt]),
        ("version 1 for a name of nobody", "RFC 6891 6.1.3", Packet::query("other.test", 1).opt_of(1232, 1, 0, &[]), BADVERS, &[Opt]),
        ("an upper code in a query", "RFC 6891 6.1.3", good().raw(&[0, 0, 41, 4, 208, 9, 0, 0, 0, 0, 0]).count(3, 1), NOERROR, &[Opt, Answers(1)]),
        ("DO is copied", "RFC 3225 3", good().opt_of(1232, 0, 0x8000, &[]), NOERROR, &[Octets(&[0, 0, 41, 4, 208, 0, 0, 0x80, 0])]),
        ("unknown flags are not copied", "RFC 6891 6.1.4", good().opt_of(1232, 0, 0x7fff, &[]), NOERROR, &[Octets(&[0, 0, 41, 4, 208, 0, 0, 0, 0])]),
        ("an unknown option is ignored", "RFC 6891 6.1.2", good().opt(&option(65_001, b"zzzz")), NOERROR, &[Opt, Answers(1), NoOctets(b"zzzz")]),
        ("a cookie is ignored", "RFC 7873 5.2.1", good().opt(&cookie), NOERROR, &[Opt, Answers(1), NoOctets(&[7; 8])]),
        ("padding is ignored", "RFC 7830 4", good().opt(&option(12, &[0; 64])), NOERROR, &[Opt, Answers(1), NoOctets(&[0; 64])]),
        ("NSID is answered", "RFC 5001 2.1", good().opt(&nsid), NOERROR, &[Octets(b"\x00\x03\x00\x09ns-test-1")]),
        ("NSID with data is answered", "RFC 5001 2.1", good().opt(&option(3, b"?")), NOERROR, &[Octets(b"\x00\x03\x00\x09ns-test-1")]),
        ("no NSID unasked", "RFC 5001 2.2", good().opt(&[]), NOERROR, &[NoOctets(rich::IDENTITY)]),
        ("size 0 is 512", "RFC 6891 6.2.3", big512().opt_of(0, 0, 0, &[]), NOERROR, &[Opt, TruncatedTo(512)]),
        ("size 511 is 512", "RFC 6891 6.2.3", big512().opt_of(511, 0, 0, &[]), NOERROR, &[Opt, TruncatedTo(512)]),
        ("size 0 has room for 512", "RFC 6891 6.2.3", Packet::query("signed.rich.test", 1).opt_of(0, 0, 0x8000, &[]), NOERROR, &[Opt, LongerThan(200)]),
        ("size 512", "RFC 6891 6.2.3", big512().opt_of(512, 0, 0, &[]), NOERROR, &[Opt, TruncatedTo(512)]),
        ("no OPT is 512", "RFC 1035 4.2.1", big512(), NOERROR, &[NoOpt, TruncatedTo(512)]),
        ("size 1232", "RFC 6891 6.2.3", big512().opt_of(1232, 0, 0, &[]), NOERROR, &[Opt, LongerThan(512), Answers(40)]),
        ("size 1232 is not enough for all", "RFC 2181 9", big1232().opt_of(1232, 0, 0, &[]), NOERROR, &[Opt, TruncatedTo(1232)]),
        ("size 65,535 is 1,232", "RFC 9715 3.1", big1232().opt_of(65_535, 0, 0, &[]), NOERROR, &[Opt, TruncatedTo(1232)]),
        ("TSIG at the end", "RFC 8945 5.2.1", good().tsig(), NOTAUTH, &[Question, Answers(0), Flags([0x80, 9]), Octets(BADKEY)]),
        ("TSIG behind OPT", "RFC 8945 5.2.1", good().opt(&[]).tsig(), NOTAUTH, &[Question, Opt, Octets(BADKEY)]),
        ("TSIG whose owner is a pointer", "RFC 8945 4.2", good().record(3, &[0xc0, 12], rtype::TSIG, 255, TSIG), NOTAUTH, &[Question, Octets(b"\x03txt\x04rich\x04test\x00\x00\xfa\x00\xff")]),
        ("TSIG whose owner points to itself", "RFC 8945 4.2", good().record(3, &[0xc0, 31], rtype::TSIG, 255, TSIG), NOTAUTH, &[Question, NoOctets(&[0, 250])]),
        ("TSIG of class IN", "RFC 8945 4.2", good().record(3, &wire_name("key"), rtype::TSIG, 1, TSIG), FORMERR, &[Question, NoOctets(&[0, 250])]),
        ("TSIG cut", "RFC 8945 5.2", good().record(3, &wire_name("key"), rtype::TSIG, 255, &TSIG[..20]), FORMERR, &[Question, NoOctets(&[0, 250])]),
        ("TSIG with more than its data", "RFC 8945 5.2", good().record(3, &wire_name("key"), rtype::TSIG, 255, &[TSIG, b"x"].concat()), FORMERR, &[Question]),
        ("TSIG in a query for nobody's zone", "RFC 8945 5.2.1", Packet::query("other.test", 1).tsig(), NOTAUTH, &[Octets(BADKEY)]),
        ("no TSIG unasked", "RFC 8945 5.1", good(), NOERROR, &[NoOctets(&[0, 250, 0, 255])]),
        ("TSIG before OPT", "RFC 8945 5.1", good().tsig().opt(&[]), FORMERR, &[Question, Opt]),
        ("two TSIG records", "RFC 8945 5.1", good().tsig().tsig(), FORMERR, &[Question]),
        ("TSIG among the authorities", "RFC 8945 5.1", good().record(2, &[0], rtype::TSIG, 255, &[]), FORMERR, &[Question]),
        ("a name of 256 octets beside", "RFC 1035 2.3.4", good().record(3, &name_of(256), rtype::A, 1, &[1, 2, 3, 4]), FORMERR, &[Question]),
        ("label type 0x40 beside", "RFC 6891 5", good().record(3, &[0x41, 0, 0], rtype::A, 1, &[1, 2, 3, 4]), FORMERR, &[Question]),
    ]
}

/// Client subnets, all asked of a name that is steered.
#[rustfmt::skip] // a row a line
fn subnets() -> Vec<Row> {
    let ecs = |data: &[u8]| Packet::query("www.rich.test", rtype::A).ecs(data);
    let option_of = |data: &[u8]| option(8, data);
    let v6 = |len: u8, octets: usize| [&[0, 2, len, 0][..], &[0x20, 1, 0xd, 0xb8, 0, 2, 0, 0], &[0; 16]].concat()[..4 + octets].to_vec();
    let two = Packet::query("www.rich.test", rtype::A).opt(&option_of(&[0, 1, 8, 0, 192]).repeat(2));
    let formerr: &[Seen] = &[Question, Opt, Answers(0), NoOctets(&[0, 8, 0])];
    vec![
        ("a /24", "RFC 7871 7.2.1", ecs(&[0, 1, 24, 0, 192, 0, 2]), NOERROR, &[Answers(1), Octets(&[0, 8, 0, 7, 0, 1, 24, 24, 192, 0, 2])]),
        ("a /32", "RFC 7871 7.2.1", ecs(&[0, 1, 32, 0, 192, 0, 2, 200]), NOERROR, &[Answers(1), Octets(&[0, 8, 0, 8, 0, 1, 32, 25, 192, 0, 2, 200])]),
        ("a /48", "RFC 7871 7.2.1", ecs(&v6(48, 6)), NOERROR, &[Answers(1), Octets(&[0, 8, 0, 10, 0, 2, 48, 48, 0x20, 1, 0xd, 0xb8, 0, 2])]),
        ("a /0 opts out", "RFC 7871 7.1.2", ecs(&[0, 1, 0, 0]), NOERROR, &[Answers(1), Octets(&[0, 8, 0, 4, 0, 1, 0, 0])]),
        ("a /0 of IPv6 opts out", "RFC 7871 7.1.2", ecs(&[0, 2, 0, 0]), NOERROR, &[Answers(1), Octets(&[0, 8, 0, 4, 0, 2, 0, 0])]),
        ("family 0 with /0", "RFC 7871 7.1.2", ecs(&[0, 0, 0, 0]), NOERROR, &[Answers(1), Octets(&[0, 8, 0, 4, 0, 0, 0, 0])]),
        ("family 0 with /8", "RFC 7871 7.1.2", ecs(&[0, 0, 8, 0, 10]), FORMERR, formerr),
        ("family 3", "RFC 7871 7.1.2", ecs(&[0, 3, 0, 0]), FORMERR, formerr),
        ("/33 of IPv4", "RFC 7871 7.1.2", ecs(&[0, 1, 33, 0, 192, 0, 2, 1, 0]), FORMERR, formerr),
        ("/129 of IPv6", "RFC 7871 7.1.2", ecs(&v6(129, 17)), FORMERR, formerr),
        ("a bit behind the prefix", "RFC 7871 6", ecs(&[0, 1, 23, 0, 192, 0, 3]), FORMERR, formerr),
        ("too few octets", "RFC 7871 6", ecs(&[0, 1, 24, 0, 192, 0]), FORMERR, formerr),
        ("too many octets", "RFC 7871 6", ecs(&[0, 1, 24, 0, 192, 0, 2, 0]), FORMERR, formerr),
        ("a scope in a query", "RFC 7871 7.1.2", ecs(&[0, 1, 24, 24, 192, 0, 2]), FORMERR, formerr),
        ("an empty subnet", "RFC 7871 6", ecs(&[]), FORMERR, formerr),
        ("a subnet of three octets", "RFC 7871 6", ecs(&[0, 1, 0]), FORMERR, formerr),
        ("two subnets", "RFC 7871 6", two, FORMERR, formerr),
        ("a subnet for a static name", "RFC 7871 7.2.1", good().ecs(&[0, 1, 24, 0, 192, 0, 2]), NOERROR, &[Octets(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])]),
        ("a subnet for a type that is not there", "RFC 7871 7.4", Packet::query("www.rich.test", rtype::TXT).ecs(&[0, 1, 24, 0, 192, 0, 2]), NOERROR,
            &[Octets(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])]),
        ("a subnet for a name of nobody", "RFC 7871 7.2.1", Packet::query("other.test", 1).ecs(&[0, 1, 24, 0, 192, 0, 2]), REFUSED,
            &[Octets(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])]),
        ("a subnet with version 1", "RFC 6891 6.1.3", good().opt_of(1232, 1, 0, &option(8, &[0, 1, 24, 0, 192, 0, 2])), BADVERS, &[Opt, NoOctets(&[0, 8, 0])]),
        ("a subnet in class CH", "RFC 7871 7.2.1", chaos("id.server", rtype::TXT).ecs(&[0, 1, 24, 0, 192, 0, 2]), NOERROR,
            &[Answers(1), Octets(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])]),
        ("a subnet for a referral", "RFC 7871 7.4", Packet::query("x.plain.rich.test", 1).ecs(&[0, 1, 24, 0, 192, 0, 2]), NOERROR,
            &[Octets(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])]),
        ("a subnet behind an alias", "RFC 7871 7.2.1", Packet::query("c1.rich.test", 1).ecs(&[0, 1, 24, 0, 192, 0, 2]), NOERROR,
            &[Answers(4), Octets(&[0, 8, 0, 7, 0, 1, 24, 24, 192, 0, 2])]),
        ("a /128 of IPv6", "RFC 7871 7.2.1", ecs(&v6(128, 16)), NOERROR, &[Answers(1), Octets(&[0, 2, 128, 48, 0x20, 1, 0xd, 0xb8])]),
        ("a subnet for a name that is not there", "RFC 7871 7.4", Packet::query("no.rich.test", 1).ecs(&[0, 1, 24, 0, 192, 0, 2]), NXDOMAIN,
            &[Octets(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])]),
    ]
}

/// A reply, cut into what rows speak of.
struct Reply<'a> {
    octets: &'a [u8],
    /// Where the question ends.
    body: usize,
    /// The OPT record's first nine octets, found by its fixed ones: it is the last record we write.
    opt: Option<&'a [u8]>,
}

impl<'a> Reply<'a> {
    fn of(octets: &'a [u8], question: &[u8]) -> Self {
        let body = if octets[5] == 0 { 12 } else { 12 + question.len() };
        let rest = &octets[body..];
        let at = rest.windows(5).rposition(|window| window == [0, 0, 41, 4, 208]);
        Self { octets, body, opt: at.map(|at| &rest[at..at + 9]) }
    }

    fn count(&self, section: usize) -> u16 {
        u16::from_be_bytes([self.octets[4 + 2 * section], self.octets[5 + 2 * section]])
    }

    fn code(&self) -> u16 {
        u16::from(self.octets[3] & 15) | self.opt.map_or(0, |opt| u16::from(opt[5]) << 4)
    }

    fn has(&self, octets: &[u8]) -> bool {
        self.octets[self.body..].windows(octets.len()).any(|window| window == octets)
    }

    fn shows(&self, seen: Seen, question: &[u8]) -> bool {
        let is_cut = self.octets[2] & 2 != 0;
        match seen {
            Question => self.count(0) == 1 && self.octets[12..].starts_with(question),
            HeaderOnly => self.octets.len() == 12 && self.octets[4..] == [0; 8],
            Opt => self.count(3) > 0 && self.opt.is_some_and(|opt| opt[6] == 0),
            NoOpt => self.opt.is_none(),
            Flags(flags) => self.octets[2..4] == flags,
            Answers(count) => self.count(1) == count,
            Octets(octets) => self.has(octets),
            NoOctets(octets) => !self.has(octets),
            TruncatedTo(most) => is_cut && self.octets.len() <= most && self.count(1) == 0,
            LongerThan(least) => !is_cut && self.octets.len() > least,
        }
    }
}

/// What a row's reply lacks; empty if it is right.
fn faults(snapshot: &Snapshot, row: &Row) -> Vec<String> {
    let (title, section, packet, code, seen) = row;
    let name = |fault: String| format!("{title} ({section}): {fault}");
    let (outcome, octets) = answer_octets(snapshot, &request("192.0.2.7"), &packet.0);
    let Some(code) = code else {
        return if octets.is_empty() {
            vec![]
        } else {
            vec![name(format!("not dropped: {octets:02x?}"))]
        };
    };
    if octets.len() < 12 || octets[..2] != ID.to_be_bytes() || octets[2] & 0x80 == 0 {
        return vec![name(format!("no reply: {octets:02x?}"))];
    }
    let name_end = packet.0[12..].iter().position(|&octet| octet == 0).map_or(0, |at| 12 + at + 5);
    let question = packet.0.get(12..name_end).unwrap_or(&[]);
    let reply = Reply::of(&octets, question);
    let mut faults = Vec::new();
    if reply.code() != *code || outcome.rcode.map(|rcode| rcode as u16) != Some(*code) {
        faults.push(name(format!("code {}, counted as {:?}", reply.code(), outcome.rcode)));
    }
    for &seen in *seen {
        if !reply.shows(seen, question) {
            faults.push(name(format!("expected {seen:02x?}")));
        }
    }
    if !faults.is_empty() {
        faults.push(format!("    {octets:02x?}"));
    }
    faults
}

#[test]
fn each_odd_packet_gets_the_reply_its_rfc_wants() {
    let snapshot = rich::snapshot(&AllUnknown);
    let rows = [headers(), questions(), edns(), subnets()].concat();
    let faults: Vec<String> = rows.iter().flat_map(|row| faults(&snapshot, row)).collect();
    assert!(faults.is_empty(), "{} rows:\n{}", rows.len(), faults.join("\n"));
    assert!(rows.len() >= 45);
}

#[test]
fn every_prefix_of_a_packet_is_dropped_or_malformed() {
    let snapshot = rich::snapshot(&AllUnknown);
    let nsid_and_ecs = [option(3, b""), option(8, &[0, 1, 24, 0, 192, 0, 2])].concat();
    let packets = [
        good(),
        good().opt(&[]),
        Packet::query("www.rich.test", rtype::A).opt(&nsid_and_ecs),
        good().opt(&option(12, &[0; 64])).tsig(),
        soa(ixfr()).opt(&[]),
        named(&name_of(255)).opt(&[]),
    ];
    for packet in packets {
        let whole = packet.0.len();
        for len in 0..=whole {
            let (outcome, reply) =
                answer_octets(&snapshot, &request("192.0.2.7"), &packet.0[..len]);
            let code = outcome.rcode.map(|rcode| rcode as u16);
            match len {
                0..12 => assert!(reply.is_empty() && code == DROP, "{len} of {packet:02x?}"),
                _ if len < whole => assert_eq!(code, FORMERR, "{len} of {packet:02x?}"),
                _ => assert!(code.is_some() && code != FORMERR, "{packet:02x?}"),
            }
        }
    }
}

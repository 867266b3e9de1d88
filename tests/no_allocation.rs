//! The answer path allocates nothing, whatever the answer is; reading common record data does not either.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

mod common;
mod packet;
mod rich;

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use common::request;
use packet::Packet;
use packet::option;
use packet::rtype;
use packet::wire_name;
use rhumb::answer::Happened;
use rhumb::answer::Outcome;
use rhumb::answer::answer;
use rhumb::model::Family;
use rhumb::model::Pool;
use rhumb::model::Resolved;
use rhumb::snapshot::Cached;
use rhumb::snapshot::Health;
use rhumb::snapshot::Snapshot;
use rhumb::steering::MemberState;
use rhumb::steering::Pass;
use rhumb::steering::plan::Remembered;
use rhumb::wire::Fault;
use rhumb::wire::Name;
use rhumb::wire::Rcode;
use rhumb::wire::RecordType;
use rhumb::zonefile::lexer;
use rhumb::zonefile::parse_rdata;
use rich::Down;

/// Counts what each thread asks of the system's allocator.
struct Counting;

thread_local! {
    /// Allocations of this thread; `const`, so that the counter itself needs none.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // A thread that ends may free after its counter is gone.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(); // nothing may be freed on the path either
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Allocations and deallocations of `work` on this thread.
fn allocations_of<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let done = work();
    (ALLOCATIONS.get() - before, done)
}

/// Answers a packet and checks that nothing was allocated.
#[track_caller]
fn answered(snapshot: &Snapshot, client: &str, packet: Packet) -> Outcome {
    let request = request(client);
    let mut frame = vec![0; 65_535];
    frame[..packet.0.len()].copy_from_slice(&packet.0);
    let (allocations, outcome) =
        allocations_of(|| answer(snapshot, &request, &mut frame, packet.0.len()));
    assert_eq!(allocations, 0, "{outcome:?} of {packet:02x?}");
    outcome
}

fn a(name: &str) -> Packet {
    Packet::query(&format!("{name}.rich.test"), rtype::A)
}

#[test]
fn the_counter_sees_one_box_and_its_end() {
    assert_eq!(allocations_of(|| ()).0, 0);
    let (allocations, boxed) = allocations_of(|| Box::new(std::hint::black_box(7)));
    assert_eq!(allocations, 1);
    assert_eq!(allocations_of(|| drop(boxed)).0, 1);
}

#[test]
fn the_counter_sees_no_other_thread() {
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10_000 {
                drop(std::hint::black_box(Box::new(7)));
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
        let wait = || {
            while made.load(Ordering::Relaxed) < 10_000 {
                std::hint::spin_loop();
            }
        };
        assert_eq!(allocations_of(wait).0, 0);
    });
}

#[test]
fn static_answers_allocate_nothing() {
    let snapshot = rich::snapshot(&Down(&[]));
    for packet in [
        Packet::query("txt.rich.test", rtype::TXT),
        Packet::query("txt.rich.test", rtype::TXT).opt(&option(3, b"")),
        Packet::query("rich.test", rtype::ANY),
        a("deep.below.wild"),
        a("no.such.name"),
        a("no").opt_of(1232, 0, 0x8000, &[]),
        a("txt"),
        a("ent"),
        a("to-txt"),
        a("to-far"),
        a("to-none"),
        a("loop-a"),
        a("a.moved"),
        a("b.self"),
        a(&format!("{}.{}.{}.moved", "x".repeat(63), "y".repeat(63), "z".repeat(63))),
        a("a.moved").opt(&option(8, &[0, 1, 24, 0, 192, 0, 2])),
        Packet::query("rich.test", rtype::NS),
        Packet::query("rich.test", rtype::MX),
        Packet::query("rich.test", rtype::DS),
        Packet::query("smx.rich.test", rtype::MX),
        Packet::query("srv.rich.test", rtype::SRV),
        Packet::query("www.rich.test", rtype::HTTPS),
        Packet::with_flags([0, 0]).question(&wire_name("id.server"), rtype::TXT, 3),
        Packet::with_flags([0, 0]).question(&wire_name("version.bind"), rtype::TXT, 3),
    ] {
        assert_eq!(answered(&snapshot, "192.0.2.7", packet).happened, Happened::Static);
    }
    let outcome = answered(&snapshot, "192.0.2.7", Packet::query("other.test", rtype::A));
    assert_eq!(outcome.happened, Happened::NotOurs);
}

#[test]
fn referrals_allocate_nothing() {
    let snapshot = rich::snapshot(&Down(&[]));
    for packet in [a("host.signed"), a("signed").opt_of(1232, 0, 0x8000, &[]), a("x.plain")] {
        assert_eq!(answered(&snapshot, "192.0.2.7", packet).happened, Happened::Referral);
    }
}

#[test]
fn steered_answers_allocate_nothing() {
    let snapshot = rich::snapshot(&Down(&[]));
    let v6 = option(8, &[0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 2]);
    let wide = option(8, &[0, 1, 8, 0, 192]);
    for client in ["192.0.2.7", "192.0.2.200", "2001:db8:3::1"] {
        for name in ["www", "c1", "nested", "eight", "v4only", "x.any"] {
            for rtype in [rtype::A, rtype::AAAA] {
                let query = || Packet::query(&format!("{name}.rich.test"), rtype);
                let no_family = name == "v4only" && rtype == rtype::AAAA;
                for packet in [query(), query().opt(&v6), query().opt(&wide)] {
                    let happened = answered(&snapshot, client, packet).happened;
                    let expected = if no_family {
                        Happened::Static
                    } else {
                        Happened::Steered(Pass::Qualified)
                    };
                    assert_eq!(happened, expected, "{name} {rtype} for {client}");
                }
            }
        }
    }
}

/// Names as targets of every kind, and hints that follow addresses.
const NAMES: &str = r#"
[zone]
name = "names.test"
nameservers = ["ns1.example.net"]
[pool.cdn.endpoint.a]
cname = "web.names.test"
[pool.cdn.endpoint.b]
cname = "web.names.test"
[pool.sip.endpoint.a]
srv = { target = "web.names.test", port = 5060 }
[pool.sip.endpoint.b]
srv = { target = "sip.example.net", port = 5060 }
[pool.web.endpoint.a]
alias = "edge.example.net"
[pool.web.endpoint.b]
alias = "edge.example.org"
[name.www]
steer = "cdn"
[name."_sip._tcp"]
steer = "sip"
[name.web]
steer = "web"
answers = "all"
[name.web.records]
HTTPS = ["1 . alpn=h2 ipv4hint=auto ipv6hint=auto", "2 web ipv4hint=auto"]
[name."@".records]
HTTPS = ["0 web"]
"#;

/// Every alias has five addresses of each family, or none.
struct Resolves(bool);

impl Health for Resolves {
    fn states(&self, pool: &Pool) -> Vec<MemberState> {
        vec![MemberState::default(); pool.endpoints.len()]
    }

    fn remembered(&self, _: &Pool, _: Family) -> Option<Remembered> {
        None
    }

    fn resolved(&self, pool: &Pool) -> Vec<Resolved> {
        let v4 = (1..=5).map(|n| IpAddr::from([203, 0, 113, n]));
        let v6 = (1..=5).map(|n| IpAddr::from([n; 16]));
        let resolved = Resolved::of(v4.chain(v6).filter(|_| self.0));
        vec![resolved; pool.endpoints.len()]
    }
}

#[test]
fn answers_of_names_and_hints_allocate_nothing() {
    let compiled = common::snapshot(NAMES).compiled;
    let [resolved, unresolved] =
        [true, false].map(|is| Snapshot::new(Arc::clone(&compiled), 1, &Resolves(is)));
    let subnet = option(8, &[0, 1, 24, 0, 192, 0, 2]);
    let steered = Happened::Steered(Pass::Qualified);
    for (name, rtype, with, without) in [
        ("www", rtype::A, steered, Happened::NothingToServe),
        ("www", rtype::AAAA, steered, Happened::NothingToServe),
        ("www", rtype::ANY, steered, steered),
        ("_sip._tcp", rtype::SRV, steered, steered),
        ("web", rtype::A, steered, Happened::NothingToServe),
        ("web", rtype::HTTPS, Happened::Static, Happened::Static),
    ] {
        let query = || Packet::query(&format!("{name}.names.test"), rtype);
        for packet in [query(), query().opt(&[]), query().opt(&subnet)] {
            let packets = [(&resolved, with), (&unresolved, without)];
            for (snapshot, expected) in packets {
                let packet = Packet(packet.0.clone());
                let outcome = answered(snapshot, "192.0.2.7", packet);
                assert_eq!(outcome.happened, expected, "{name} {rtype}");
            }
        }
    }
    let apex = || Packet::query("names.test", rtype::HTTPS);
    for packet in [apex(), apex().opt(&[]), apex().opt(&subnet)] {
        assert_eq!(answered(&resolved, "192.0.2.7", packet).happened, Happened::Static);
    }
}

#[test]
fn degraded_answers_allocate_nothing() {
    let down = rich::snapshot(&Down(&["eu", "us", "us-next", "eight"]));
    // Nothing is decided ahead of these queries: each of them runs the passes.
    for name in ["www", "eight", "strict"] {
        let owner = Name::absolute(&format!("{name}.rich.test")).unwrap();
        let steer = down.compiled.model.steers.iter().position(|steer| steer.owner == owner);
        let route = down.compiled.steers[steer.unwrap()].route;
        let classes = &down.compiled.classes[down.compiled.routes[route].classes];
        for class in 0..classes.trees().len() as u16 {
            assert_eq!(down.cached(route, class, Family::V4), Cached::Late, "{name}");
        }
    }
    for (name, expected) in [
        ("www", Happened::Steered(Pass::FailOpen)),
        ("nested", Happened::Steered(Pass::FailOpen)),
        ("eight", Happened::Steered(Pass::FailOpen)),
        ("strict", Happened::NothingToServe),
    ] {
        for packet in [a(name), a(name).ecs(&[0, 1, 24, 0, 192, 0, 2])] {
            assert_eq!(answered(&down, "192.0.2.200", packet).happened, expected, "{name}");
        }
    }
    let one_down = rich::snapshot(&Down(&["us"]));
    let outcome = answered(&one_down, "192.0.2.200", a("nested").opt(&[]));
    assert_eq!(outcome.happened, Happened::Steered(Pass::Qualified));
}

#[test]
fn truncated_and_refused_packets_allocate_nothing() {
    let snapshot = rich::snapshot(&Down(&[]));
    let truncated = [a("big512"), a("big1232").opt(&option(3, b"")), a("x.wide")];
    for packet in truncated {
        assert!(answered(&snapshot, "192.0.2.7", packet).truncated);
    }
    for (packet, rcode) in [
        (a("txt").opt(&[0, 8, 0]), Some(Rcode::FormErr)),
        (a("txt").opt_of(1232, 1, 0, &[]), Some(Rcode::BadVers)),
        (a("txt").tsig(), Some(Rcode::NotAuth)),
        (a("txt").opt(&[]).tsig(), Some(Rcode::NotAuth)),
        (
            Packet::with_flags([0, 0]).question(&wire_name("no.bind"), rtype::TXT, 3),
            Some(Rcode::Refused),
        ),
        (a("txt").flags([0x28, 0]), Some(Rcode::NotImp)),
        (a("txt").flags([0x80, 0]), None),
        (Packet(vec![1, 2, 3]), None),
    ] {
        assert_eq!(answered(&snapshot, "192.0.2.7", packet).rcode, rcode);
    }
    let outcome = answered(&snapshot, "192.0.2.7", a("txt").raw(b"more"));
    assert_eq!(outcome.happened, Happened::Malformed(Fault::BadAdditional));
}

#[test]
fn data_that_zones_have_much_of_is_read_without_allocation() {
    let origin = Name::absolute("z.test").unwrap();
    let mut out = Vec::with_capacity(65_536);
    for (mnemonic, text) in [
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("NS", "ns1"),
        ("CNAME", "a\\.b.example.net."),
        ("PTR", "host.example.net."),
        ("MX", "10 mail"),
        ("SRV", "0 5 443 host"),
        ("TXT", "\"v=spf1 -all\" \"\\034more\\\"\""),
        ("SOA", "ns1 host 1 2h 30m 2w 30"),
        ("CAA", "0 issue \"ca.example.net\""),
        ("DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
        ("DNSKEY", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="),
    ] {
        let words = lexer::words(text).unwrap();
        let (allocations, done) = allocations_of(|| {
            let rtype = RecordType::parse(mnemonic).unwrap();
            parse_rdata(rtype, &words, &origin, text.len(), &mut out)
        });
        assert_eq!((allocations, done), (0, Ok(())), "{mnemonic} {text}");
    }
}

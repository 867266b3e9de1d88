//! Names that lead elsewhere: DNAME (RFC 6672), chains and loops, cuts between zones that are all ours.

mod common;
mod packet;
mod shown;

use packet::Packet;
use packet::rtype;
use packet::wire_name;
use rhumb::snapshot::Snapshot;
use shown::show;

/// Data of a DNAME to `target`, as RFC 3597 writes it.
fn to(target: &str) -> String {
    let wire = wire_name(target);
    let hex: String = wire.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("DNAME \\# {} {hex}", wire.len())
}

/// A name of labels of 60 octets.
fn long(labels: usize) -> String {
    vec!["l".repeat(60); labels].join(".")
}

fn soa(apex: &str) -> String {
    format!(
        "$ORIGIN {apex}.\n$TTL 300\n@ SOA ns.example.net. host 1 2h 30m 2w 30\n@ NS ns.example.net.\n"
    )
}

/// Zones that lead to each other.
fn snapshot() -> Snapshot {
    let old = soa("old.test")
        + &format!("dept 600 {}\ndept TXT \"itself\"\n", to("new.test"))
        + &format!("far {}\n", to("example.net"))
        + &format!("long {}\n", to(&format!("{}.new.test", long(3))))
        + &format!("self {}\n", to("a.self.old.test"))
        + &format!("ping {}\n", to("pong.new.test"))
        + &format!("*.wild {}\n", to("new.test"))
        + "in-dept CNAME www.dept\n*.stars CNAME www.dept\nloop CNAME loop2\nloop2 CNAME loop3\n\
           loop3 CNAME loop2\nmyself CNAME myself\nto-loop CNAME loop\n\
           dept2 NS ns.dept2\nns.dept2 A 198.18.0.1\nto-child CNAME www.dept2\n";
    let new = soa("new.test")
        + "www A 198.18.0.80\n*.w A 198.18.0.81\nback CNAME www.dept.old.test.\nent.ent A 198.18.0.82\n"
        + &format!("pong {}\n", to("ping.old.test"));
    let whole =
        soa("whole.test") + &to("new.test").replace("DNAME", "@ DNAME") + "\n@ TXT \"apex\"\n";
    common::snapshot_of(&[
        ("zones/old.test.zone", &old),
        ("zones/new.test.zone", &new),
        ("zones/whole.test.zone", &whole),
    ])
}

#[track_caller]
fn shows(name: &str, rtype: u16, expected: &[&str]) {
    let packet = Packet::query(name, rtype).opt(&[]);
    let lines: Vec<String> = show(&snapshot(), &packet)
        .into_iter()
        .map(|line| line.split_once(" hostmaster").map_or(line.clone(), |(start, _)| start.into()))
        .collect();
    assert_eq!(lines, expected, "{name} {rtype}");
}

const DEPT: &str = "an dept.old.test. 600 DNAME new.test.";
const NEW_SOA: &str = "ns new.test. 30 SOA ns.example.net. host.new.test. 1 7200 1800 1209600 30";
const OLD_SOA: &str = "ns old.test. 30 SOA ns.example.net. host.old.test. 1 7200 1800 1209600 30";

#[test]
fn a_name_below_a_dname_gets_the_record_a_cname_and_the_answer() {
    let cname = "an www.dept.old.test. 600 CNAME www.new.test.";
    let address = "an www.new.test. 300 A 198.18.0.80";
    shows("www.dept.old.test", rtype::A, &["NOERROR aa", DEPT, cname, address]);
    shows("www.dept.old.test", rtype::TXT, &["NOERROR aa", DEPT, cname, NEW_SOA]);
    // The CNAME is of the name itself: what asks for it ends there, as at any alias.
    for rtype in [rtype::ANY, rtype::CNAME] {
        shows("www.dept.old.test", rtype, &["NOERROR aa", DEPT, cname]);
    }
    let none = "an no.dept.old.test. 600 CNAME no.new.test.";
    shows("no.dept.old.test", rtype::A, &["NXDOMAIN aa", DEPT, none, NEW_SOA]);
    let ent = "an ent.dept.old.test. 600 CNAME ent.new.test.";
    shows("ent.dept.old.test", rtype::A, &["NOERROR aa", DEPT, ent, NEW_SOA]);
    let wild = "an a.b.w.dept.old.test. 600 CNAME a.b.w.new.test.";
    let answer = "an a.b.w.new.test. 300 A 198.18.0.81";
    shows("a.b.w.dept.old.test", rtype::A, &["NOERROR aa", DEPT, wild, answer]);
}

#[test]
fn the_owner_of_a_dname_is_not_redirected() {
    shows("dept.old.test", rtype::DNAME, &["NOERROR aa", DEPT]);
    shows("dept.old.test", rtype::TXT, &["NOERROR aa", "an dept.old.test. 300 TXT itself"]);
    shows("dept.old.test", rtype::A, &["NOERROR aa", OLD_SOA]);
    shows("dept3.old.test", rtype::A, &["NXDOMAIN aa", OLD_SOA]);
}

#[test]
fn a_dname_at_the_apex_redirects_all_but_the_apex() {
    let dname = "an whole.test. 300 DNAME new.test.";
    let cname = "an www.whole.test. 300 CNAME www.new.test.";
    let address = "an www.new.test. 300 A 198.18.0.80";
    shows("www.whole.test", rtype::A, &["NOERROR aa", dname, cname, address]);
    shows("whole.test", rtype::DNAME, &["NOERROR aa", dname]);
    shows("whole.test", rtype::TXT, &["NOERROR aa", "an whole.test. 300 TXT apex"]);
    shows("whole.test", rtype::NS, &["NOERROR aa", "an whole.test. 300 NS ns.example.net."]);
}

#[test]
fn a_dname_that_leads_out_of_our_zones_ends_the_answer() {
    let dname = "an far.old.test. 300 DNAME example.net.";
    let cname = "an x.far.old.test. 300 CNAME x.example.net.";
    shows("x.far.old.test", rtype::A, &["NOERROR aa", dname, cname]);
}

#[test]
fn a_wildcard_dname_is_data_and_redirects_only_below_itself() {
    // RFC 6672 section 3.3: the wildcard is matched after DNAMEs are looked for.
    let found = "an x.wild.old.test. 300 DNAME new.test.";
    shows("x.wild.old.test", rtype::DNAME, &["NOERROR aa", found]);
    shows("x.wild.old.test", rtype::A, &["NOERROR aa", OLD_SOA]);
    let (dname, cname) = (
        "an *.wild.old.test. 300 DNAME new.test.",
        "an www.*.wild.old.test. 300 CNAME www.new.test.",
    );
    let address = "an www.new.test. 300 A 198.18.0.80";
    shows("www.*.wild.old.test", rtype::A, &["NOERROR aa", dname, cname, address]);
}

#[test]
fn names_that_get_too_long_are_yxdomain_and_no_longer_ones() {
    // 61 * 3 + 9 octets of the target and its root leave 62 for the labels before it.
    let dname = format!("an long.old.test. 300 DNAME {}.new.test.", long(3));
    let label = |octets: usize| "x".repeat(octets);
    let fits = format!("{}.long.old.test", label(61));
    let lines = show(&snapshot(), &Packet::query(&fits, rtype::A).opt(&[]));
    assert_eq!(
        (lines[0].as_str(), &lines[1], lines.len()),
        ("NXDOMAIN aa", &dname, 4),
        "{lines:?}"
    );
    assert_eq!(lines[2].split_whitespace().last().unwrap().len(), 254);
    for octets in [62, 63] {
        let name = format!("{}.long.old.test", label(octets));
        let lines = show(&snapshot(), &Packet::query(&name, rtype::A).opt(&[]));
        assert_eq!(lines, ["YXDOMAIN aa".to_owned(), dname.clone()], "RFC 6672 section 2.2");
    }
}

#[test]
fn chains_of_cname_and_dname_go_through_our_zones() {
    let (dname, cname) = (DEPT, "an www.dept.old.test. 600 CNAME www.new.test.");
    let address = "an www.new.test. 300 A 198.18.0.80";
    let first = "an in-dept.old.test. 300 CNAME www.dept.old.test.";
    shows("in-dept.old.test", rtype::A, &["NOERROR aa", first, dname, cname, address]);
    let first = "an x.stars.old.test. 300 CNAME www.dept.old.test.";
    shows("x.stars.old.test", rtype::A, &["NOERROR aa", first, dname, cname, address]);
    let (first, second) = (
        "an back.dept.old.test. 600 CNAME back.new.test.",
        "an back.new.test. 300 CNAME www.dept.old.test.",
    );
    let expected = ["NOERROR aa", DEPT, first, second, cname, address];
    shows("back.dept.old.test", rtype::A, &expected);
}

#[test]
fn loops_end_at_the_name_that_was_there_before() {
    let names = ["loop", "loop2", "loop3"].map(|name| format!("{name}.old.test."));
    let links = [(0, 1), (1, 2), (2, 1)]
        .map(|(from, to)| format!("an {} 300 CNAME {}", names[from], names[to]));
    let first = "an to-loop.old.test. 300 CNAME loop.old.test.";
    shows("loop.old.test", rtype::A, &["NOERROR aa", &links[0], &links[1], &links[2]]);
    shows("to-loop.old.test", rtype::A, &["NOERROR aa", first, &links[0], &links[1], &links[2]]);
    let myself = "an myself.old.test. 300 CNAME myself.old.test.";
    shows(
        "MySelf.old.test",
        rtype::A,
        &[
            "NOERROR aa",
            &myself.replace("an myself", "an MySelf").replace("CNAME myself", "CNAME MySelf"),
        ],
    );
    let lines = show(&snapshot(), &Packet::query("x.ping.old.test", rtype::A).opt(&[]));
    assert_eq!((lines[0].as_str(), lines.len()), ("NOERROR aa", 5), "{lines:#?}");
}

#[test]
fn a_dname_into_itself_ends_at_the_limit() {
    let lines = show(&snapshot(), &Packet::query("x.self.old.test", rtype::A).opt(&[]));
    let count = |rtype: &str| lines.iter().filter(|line| line.contains(rtype)).count();
    let (dnames, cnames) = (count(" DNAME "), count(" CNAME "));
    assert_eq!((lines[0].as_str(), dnames, cnames), ("NOERROR aa", 1, 9), "{lines:#?}");
}

#[test]
fn a_referral_behind_a_chain_keeps_aa() {
    let expected = [
        "NOERROR aa",
        "an to-child.old.test. 300 CNAME www.dept2.old.test.",
        "ns dept2.old.test. 300 NS ns.dept2.old.test.",
        "ar ns.dept2.old.test. 300 A 198.18.0.1",
    ];
    shows("to-child.old.test", rtype::A, &expected);
}

/// Parent and child, both ours; `signed` is delegated, `bare` is not.
fn family() -> Snapshot {
    let parent = soa("p.test")
        + "signed NS ns.signed\nsigned NS ns2.example.net.\nns.signed A 198.18.0.53\n\
           signed DS 4711 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\
           plain NS ns.signed\ncut NS ns.cut\nns.cut A 198.18.0.54\n";
    let child = |apex| soa(apex) + "@ NS ns\nns A 198.18.0.99\nwww A 198.18.0.80\n";
    let signed = child("signed.p.test");
    let bare = child("bare.p.test");
    let deep = child("x.cut.p.test");
    common::snapshot_of(&[
        ("zones/p.test.zone", &parent),
        ("zones/signed.p.test.zone", &signed),
        ("zones/bare.p.test.zone", &bare),
        ("zones/x.cut.p.test.zone", &deep),
    ])
}

#[test]
fn the_parent_answers_for_ds_and_the_child_for_the_rest() {
    let snapshot = family();
    let ask = |name: &str, rtype: u16| show(&snapshot, &Packet::query(name, rtype).opt(&[]));
    let p_soa = "ns p.test. 30 SOA ns.example.net. host.p.test. 1 7200 1800 1209600 30";
    let ds = ask("signed.p.test", rtype::DS);
    assert_eq!(ds.len(), 2);
    assert!(ds[0] == "NOERROR aa" && ds[1].starts_with("an signed.p.test. 300 DS "));
    assert_eq!(ask("plain.p.test", rtype::DS), ["NOERROR aa", p_soa]);
    // The parent does not delegate it, but it is there: never NXDOMAIN (RFC 8020 section 2).
    assert_eq!(ask("bare.p.test", rtype::DS), ["NOERROR aa", p_soa]);
    // Its parent's side is below somebody else's cut.
    let cut =
        ["NOERROR", "ns cut.p.test. 300 NS ns.cut.p.test.", "ar ns.cut.p.test. 300 A 198.18.0.54"];
    assert_eq!(ask("x.cut.p.test", rtype::DS), cut);
    // The apex of p.test has no parent here.
    assert_eq!(ask("p.test", rtype::DS), ["NOERROR aa", p_soa]);
    let child_soa =
        "ns signed.p.test. 30 SOA ns.example.net. host.signed.p.test. 1 7200 1800 1209600 30";
    assert_eq!(ask("www.signed.p.test", rtype::DS), ["NOERROR aa", child_soa]);
    assert_eq!(ask("signed.p.test", rtype::TXT), ["NOERROR aa", child_soa]);
    let servers = [
        "NOERROR aa",
        "an signed.p.test. 300 NS ns.example.net.",
        "an signed.p.test. 300 NS ns.signed.p.test.",
        "ar ns.signed.p.test. 300 A 198.18.0.99",
    ];
    assert_eq!(ask("signed.p.test", rtype::NS), servers, "the child's own, and its own address");
    assert_eq!(ask("www.signed.p.test", rtype::A)[1], "an www.signed.p.test. 300 A 198.18.0.80");
    assert_eq!(ask("www.bare.p.test", rtype::A)[1], "an www.bare.p.test. 300 A 198.18.0.80");
    let child_of_cut = ask("www.x.cut.p.test", rtype::A);
    assert_eq!(
        child_of_cut[0], "NOERROR aa",
        "the longest apex is asked, whatever is cut above it"
    );
    // Glue of a sibling comes from the zone that has authority for it.
    let plain = [
        "NOERROR",
        "ns plain.p.test. 300 NS ns.signed.p.test.",
        "ar ns.signed.p.test. 300 A 198.18.0.99",
    ];
    assert_eq!(ask("www.plain.p.test", rtype::A), plain);
}

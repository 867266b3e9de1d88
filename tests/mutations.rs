//! A million broken packets: nothing panics, what is sent is a reply, memory stays where it was.
//!
//! Alone in its file, so that no other test's memory is measured.
#![allow(clippy::disallowed_methods, reason = "the process's memory is read from /proc")]

mod common;
mod packet;
mod rich;

use std::net::IpAddr;

use common::NOON;
use hickory_proto::op::Message;
use packet::Packet;
use packet::option;
use packet::rtype;
use rhumb::answer::Request;
use rhumb::answer::Transport;
use rhumb::answer::answer;
use rich::Down;

/// Packets tried after the warm-up.
const CASES: u64 = 1_000_000;

/// Packets tried before memory is measured: buffers have their size then.
const WARM_UP: u64 = 20_000;

/// Every so many replies one is read by hickory-proto, which costs more than all the rest.
const READ_EVERY: u64 = 97;

/// Most octets the resident set may grow by.
const GROWTH_MAX: i64 = 1 << 20;

/// Same packets in every run.
const SEED: u64 = 0x7268_756d_6221;

/// SplitMix64 (Steele, Lea, Flood 2014): a case's packets depend on its number alone.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Packets that are right, one of each shape.
fn seeds() -> Vec<Vec<u8>> {
    let long = rich::long_label();
    let nsid = option(3, b"");
    let v4 = option(8, &[0, 1, 24, 0, 192, 0, 2]);
    let v6 = option(8, &[0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 2]);
    let mut seeds: Vec<Packet> = Vec::new();
    for name in ["www", "nested", "eight", "c1", "host.signed", "x.wild", "no", "bigtxt", "txt", ""]
    {
        let name = format!("{name}.rich.test");
        for rtype in [rtype::A, rtype::AAAA, rtype::TXT, rtype::ANY] {
            seeds.push(Packet::query(&name, rtype));
            seeds.push(Packet::query(&name, rtype).opt(&[&nsid[..], &v4].concat()));
            seeds.push(Packet::query(&name, rtype).opt_of(512, 0, 0x8000, &v6));
        }
    }
    seeds.push(Packet::query(&format!("{long}.{long}.{long}.eight.rich.test"), rtype::AAAA));
    seeds.push(Packet::query("rich.test", rtype::AXFR).tsig());
    let soa = [0; 22];
    seeds.push(Packet::query("rich.test", rtype::IXFR).record(2, &[0xc0, 12], rtype::SOA, 1, &soa));
    seeds.push(Packet::query("loop-a.rich.test", rtype::A).opt_of(4096, 1, 0, &v4));
    seeds.into_iter().map(|packet| packet.0).collect()
}

/// Breaks a packet in one way.
fn mutate(packet: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    if packet.is_empty() {
        packet.push(random.next() as u8);
    }
    let at = random.below(packet.len());
    // Half are single bits, so that much of what is tried still looks like a query.
    match random.below(14) {
        0..=6 => packet[at] ^= 1 << random.below(8),
        7 => packet[at] = random.next() as u8,
        8 => packet[at] = [0, 1, 12, 41, 63, 64, 127, 192, 255][random.below(9)],
        9 => packet.insert(at, random.next() as u8),
        10 => {
            packet.remove(at);
        }
        11 => packet.truncate(at),
        12 => {
            let other = &seeds[random.below(seeds.len())];
            packet.truncate(at);
            packet.extend_from_slice(&other[random.below(other.len())..]);
        }
        _ if packet.len() >= 12 => {
            let count = [0, 1, 2, 3, 255, 65_535][random.below(6)] as u16;
            let slot = 4 + 2 * random.below(4);
            packet[slot..slot + 2].copy_from_slice(&count.to_be_bytes());
        }
        _ => {}
    }
    packet.truncate(2048);
}

/// Resident memory of this process, in octets.
fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages: i64 = text.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("a number");
    pages * 4096
}

/// What is tried, made once.
struct Trial {
    snapshots: [rhumb::snapshot::Snapshot; 2],
    seeds: Vec<Vec<u8>>,
    clients: [IpAddr; 3],
    packet: Vec<u8>,
    frame: Vec<u8>,
}

impl Trial {
    /// Tries the packets of one case.
    fn run(&mut self, case: u64) {
        let mut random = Random(SEED ^ case.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let Self { snapshots, seeds, clients, packet, frame } = self;
        packet.clear();
        packet.extend_from_slice(&seeds[random.below(seeds.len())]);
        for _ in 0..=random.below(3) {
            mutate(packet, seeds, &mut random);
        }
        let is_tcp = random.below(8) == 0;
        let request = Request {
            client: clients[random.below(clients.len())],
            local: None,
            transport: if is_tcp { Transport::Tcp } else { Transport::Udp },
            unix_s: NOON + random.next() % 100_000,
        };
        frame[..packet.len()].copy_from_slice(packet);
        let snapshot = &snapshots[random.below(snapshots.len())];
        let outcome = answer(snapshot, &request, frame, packet.len());
        let reply = &frame[..outcome.reply_len];
        let Some(rcode) = outcome.rcode else {
            assert!(reply.is_empty(), "case {case}: {packet:02x?}");
            return;
        };
        let limit = if is_tcp { 65_535 } else { 1232 };
        assert!((12..=limit).contains(&reply.len()), "case {case}: {packet:02x?}");
        assert_eq!(reply[..2], packet[..2], "case {case}: another id: {packet:02x?}");
        assert_eq!(reply[2] & 0x80, 0x80, "case {case}: not a response: {packet:02x?}");
        assert_eq!(reply[3] & 0xf0, 0, "case {case}: RA, Z, AD or CD is set: {packet:02x?}");
        assert_eq!(reply[2] & 2 != 0, outcome.truncated, "case {case}: {packet:02x?}");
        // hickory-proto does not read opcodes it does not know.
        if case.is_multiple_of(READ_EVERY) && rcode != rhumb::wire::Rcode::NotImp {
            let read = Message::from_vec(reply);
            assert!(read.is_ok(), "case {case}: {read:?} of {reply:02x?} for {packet:02x?}");
        }
    }
}

#[test]
fn a_million_broken_packets_get_replies_or_nothing_and_take_no_memory() {
    let mut trial = Trial {
        snapshots: [rich::snapshot(&Down(&[])), rich::snapshot(&Down(&["eu", "us", "eight"]))],
        seeds: seeds(),
        clients: ["192.0.2.7", "192.0.2.200", "2001:db8:3::7"].map(|text| text.parse().unwrap()),
        packet: Vec::with_capacity(8192),
        frame: vec![0xa5; 65_535],
    };
    println!("seed {SEED:#x}");
    (0..WARM_UP).for_each(|case| trial.run(case));
    let before = resident();
    (WARM_UP..WARM_UP + CASES).for_each(|case| trial.run(case));
    let growth = resident() - before;
    assert!(growth < GROWTH_MAX, "the resident set grew by {growth} octets");
}

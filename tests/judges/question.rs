//! Questions worth asking of a zone, one a seed.

use std::fmt;

use rhumb::wire::Name;
use rhumb::wire::RecordType;

use crate::packet::Packet;
use crate::random::Random;
use crate::reply::show_name;

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// The OPT record of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    pub size: u16,
    pub dnssec_ok: bool,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in wire form, its case as sent.
    pub name: Vec<u8>,
    pub qtype: u16,
    pub class: u16,
    /// Second and third octet of flags.
    pub flags: [u8; 2],
    pub edns: Option<Edns>,
    pub transport: Transport,
}

/// A name that a zone has, and the types it has there.
#[derive(Clone, Debug)]
pub struct Owner {
    pub name: Vec<u8>,
    pub types: Vec<u16>,
}

/// Types asked for at any name; some of them no zone here has.
const TYPES: [u16; 29] = [
    1, 2, 5, 6, 12, 13, 15, 16, 17, 18, 28, 33, 35, 39, 43, 46, 47, 48, 50, 51, 52, 64, 65, 99,
    255, 256, 257, 999, 65_280,
];

/// Types that ask for something other than data (RFC 6895 section 3.1), and those that are no data.
const META_TYPES: [u16; 13] = [0, 41, 128, 200, 248, 249, 250, 251, 252, 253, 254, 255, 65_535];

/// Classes that no zone here has. Not CHAOS: BIND answers it three times a second.
const CLASSES: [u16; 6] = [0, 2, 4, 254, 255, 1000];

/// UDP sizes that clients offer, the least and the sizes of the sets made for it among them.
const SIZES: [u16; 8] = [0, 511, 512, 513, 1220, 1232, 4096, 65_535];

impl Question {
    /// A question of class IN without anything else.
    pub fn plain(name: &str, qtype: u16) -> Self {
        Self {
            name: Name::absolute(name).expect("a name").as_wire().to_vec(),
            qtype,
            class: 1,
            flags: [0, 0],
            edns: None,
            transport: Transport::Udp,
        }
    }

    /// The question of a seed.
    pub fn of_seed(seed: u64, owners: &[Owner]) -> Self {
        let mut random = Random::new(seed);
        let owner = random.pick(owners);
        let mut name = name_near(&mut random, owner, owners);
        if random.chance(30) {
            mix_case(&mut random, &mut name);
        }
        let qtype = match random.below(100) {
            0..45 => *random.pick(&owner.types),
            45..93 => *random.pick(&TYPES),
            93..96 => *random.pick(&META_TYPES),
            _ => random.below(70) as u16,
        };
        let edns = random
            .chance(60)
            .then(|| Edns { size: *random.pick(&SIZES), dnssec_ok: random.chance(40) });
        let flag = |random: &mut Random, flag: u8| if random.chance(25) { flag } else { 0 };
        let flags = [
            flag(&mut random, 0x01),                           // RD
            flag(&mut random, 0x20) | flag(&mut random, 0x10), // AD, CD
        ];
        let class = if random.chance(1) { *random.pick(&CLASSES) } else { 1 };
        let transport = if random.chance(15) { Transport::Tcp } else { Transport::Udp };
        Self { name, qtype, class, flags, edns, transport }
    }

    /// The question's octets.
    pub fn packet(&self, id: u16) -> Vec<u8> {
        let mut packet =
            Packet::with_flags(self.flags).question(&self.name, self.qtype, self.class);
        if let Some(Edns { size, dnssec_ok }) = self.edns {
            packet = packet.opt_of(size, 0, if dnssec_ok { 0x8000 } else { 0 }, &[]);
        }
        packet.0[..2].copy_from_slice(&id.to_be_bytes());
        packet.0
    }

    /// The question section, as it is sent and must come back.
    pub fn section(&self) -> Vec<u8> {
        [&self.name[..], &self.qtype.to_be_bytes(), &self.class.to_be_bytes()].concat()
    }

    /// Octets of a reply that this client takes from these servers.
    pub fn limit(&self) -> usize {
        match (self.transport, self.edns) {
            (Transport::Tcp, _) => 65_535,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.size.clamp(512, 1232)),
        }
    }
}

/// A name that the owner is, has above it, below it or beside it.
fn name_near(random: &mut Random, owner: &Owner, owners: &[Owner]) -> Vec<u8> {
    let name = &owner.name;
    let parent = || name[1 + usize::from(name[0])..].to_vec();
    let made = match random.below(100) {
        0..55 => name.clone(),
        55..65 => with_label(&random_label(random), name),
        65..70 => with_label(&random_label(random), &with_label(&random_label(random), name)),
        70..76 => with_label(b"*", name),
        76..82 => with_label(&random_label(random), &parent()),
        82..90 => parent(),
        90..95 => {
            let other = &random.pick(owners).name;
            with_label(&other[1..1 + usize::from(other[0])], name)
        }
        95..97 => as_long_as_can_be(random, name),
        97..99 => with_label(b"*", &parent()),
        _ => with_label(&random_label(random), b"\x04test\0"),
    };
    if made.len() > 255 || made.len() < 2 { name.clone() } else { made }
}

fn with_label(label: &[u8], name: &[u8]) -> Vec<u8> {
    [&[label.len() as u8], label, name].concat()
}

/// A label of letters, of anything, or of a name that means something in these zones.
fn random_label(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => random
            .pick(&["a", "www", "ns", "any", "*", "w", "ent", "_tcp", "x"])
            .as_bytes()
            .to_vec(),
        1 => (0..=random.below(6)).map(|_| random.below(256) as u8).collect(),
        _ => (0..=random.below(9)).map(|_| b'a' + random.below(26) as u8).collect(),
    }
}

/// Labels before a name until it has 255 octets.
fn as_long_as_can_be(random: &mut Random, name: &[u8]) -> Vec<u8> {
    let mut long = name.to_vec();
    while long.len() < 254 {
        let len = (255 - long.len() - 1).min(63);
        long = with_label(&vec![b'a' + random.below(26) as u8; len], &long);
    }
    long
}

/// As resolvers do that hide bits in the case of letters.
fn mix_case(random: &mut Random, name: &mut [u8]) {
    let mut at = 0;
    while name[at] != 0 {
        let end = at + 1 + usize::from(name[at]);
        for octet in &mut name[at + 1..end] {
            if octet.is_ascii_alphabetic() && random.chance(50) {
                *octet ^= 0x20;
            }
        }
        at = end;
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, qtype, class, flags, edns, transport } = self;
        write!(f, "{} CLASS{class} {}", show_name(name), RecordType(*qtype))?;
        write!(f, ", flags {:02x}{:02x}, {edns:?}, {transport:?}", flags[0], flags[1])
    }
}

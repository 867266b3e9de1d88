//! Our reading of queries and names against hickory-proto's writing of them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test; RHUMB_CASES is read")]

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query as Question;
use hickory_proto::rr;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::opt::ClientSubnet;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::opt::NSIDPayload;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rhumb::wire::Ecs;
use rhumb::wire::Name;
use rhumb::wire::Qname;
use rhumb::wire::Query;

/// Every run tries the same; a failure prints its input whole.
const SEED: u64 = 7;

/// Queries tried where `RHUMB_CASES` is not `full`: 1 %.
const CASES: u32 = 1_000;

fn config() -> ProptestConfig {
    let is_full = std::env::var("RHUMB_CASES").is_ok_and(|cases| cases == "full");
    let cases = if is_full { CASES * 100 } else { CASES };
    let rng_seed = RngSeed::Fixed(SEED);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

type Labels = Vec<Vec<u8>>;

/// Octets of a name in wire form.
fn wire_len(labels: &Labels) -> usize {
    labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1
}

/// Names of any octets, cut to what a name can hold; some are of 255 octets, some have 127 labels.
fn names() -> impl Strategy<Value = Labels> {
    let octet = || prop_oneof![4 => b'a'..=b'z', 2 => b'A'..=b'Z', 1 => any::<u8>()];
    let short = vec(vec(octet(), 1..16), 0..8);
    let long = vec(vec(octet(), 40..=63), 3..=5);
    let many = vec(vec(octet(), 1..=1), 100..=127);
    let full = vec(octet(), 251).prop_map(|octets| {
        let cuts = [0..63, 63..126, 126..189, 189..250];
        cuts.map(|cut| octets[cut].to_vec()).to_vec()
    });
    prop_oneof![6 => short, 2 => long, 1 => many, 1 => full].prop_map(|mut labels| {
        while wire_len(&labels) > 255 {
            labels.pop();
        }
        labels
    })
}

fn hickory_name(labels: &Labels) -> rr::Name {
    rr::Name::from_labels(labels.iter().map(Vec::as_slice)).expect("labels are short")
}

/// A name in wire form, lower case.
fn lower_wire(labels: &Labels) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(label.len() as u8);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    wire
}

/// The address with only its first bits.
fn masked(address: IpAddr, prefix_len: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// A client subnet, its address masked.
fn subnets() -> impl Strategy<Value = (IpAddr, u8)> {
    let v4 = (any::<u32>(), 0..=32u8).prop_map(|(bits, len)| (Ipv4Addr::from(bits).into(), len));
    let v6 = (any::<u128>(), 0..=128u8).prop_map(|(bits, len)| (Ipv6Addr::from(bits).into(), len));
    prop_oneof![v4, v6].prop_map(|(address, len)| (masked(address, len), len))
}

/// What an OPT record of a query says.
#[derive(Clone, Debug)]
struct Said {
    size: u16,
    version: u8,
    dnssec_ok: bool,
    z: u16,
    nsid: bool,
    ecs: Option<(IpAddr, u8)>,
    /// Cookies, padding and options of nobody.
    others: Vec<(u16, Vec<u8>)>,
}

fn opt_records() -> impl Strategy<Value = Said> {
    let code = prop_oneof![Just(10u16), Just(12), Just(15), 100..60_000u16];
    let others = vec((code, vec(any::<u8>(), 0..40)), 0..4);
    let version = prop_oneof![9 => Just(0u8), 1 => any::<u8>()];
    let flags = (any::<bool>(), 0..0x8000u16);
    (512..=u16::MAX, version, flags, any::<bool>(), prop::option::of(subnets()), others).prop_map(
        |(size, version, (dnssec_ok, z), nsid, ecs, others)| Said {
            size,
            version,
            dnssec_ok,
            z,
            nsid,
            ecs,
            others,
        },
    )
}

fn hickory_edns(said: &Said) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(said.size).set_version(said.version).set_dnssec_ok(said.dnssec_ok);
    edns.flags_mut().z = said.z;
    let options = edns.options_mut();
    for (code, data) in &said.others {
        options.insert(EdnsOption::Unknown(*code, data.clone()));
    }
    if let Some((address, len)) = said.ecs {
        options.insert(EdnsOption::Subnet(ClientSubnet::new(address, len, 0)));
    }
    if said.nsid {
        options.insert(EdnsOption::NSID(NSIDPayload::new(Vec::new()).expect("nothing is short")));
    }
    edns
}

fn hickory_soa(owner: &rr::Name) -> Record {
    let soa = SOA::new(owner.clone(), rr::Name::root(), 7, 1, 1, 1, 1);
    Record::from_rdata(owner.clone(), 0, RData::SOA(soa))
}

fn hickory_tsig() -> Box<Record<TSIG>> {
    let tsig = TSIG::new(TsigAlgorithm::HmacSha256, 7, 300, vec![9; 32], 7, None, Vec::new());
    let mut record = Record::from_rdata(rr::Name::from_ascii("key.test.").unwrap(), 0, tsig);
    record.dns_class = DNSClass::ANY;
    Box::new(record)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn queries_are_read_as_they_were_written(
        labels in names(),
        qtype in any::<u16>(),
        qclass in prop_oneof![4 => Just(1u16), 1 => any::<u16>()],
        said in prop::option::of(opt_records()),
        is_signed in any::<bool>(),
    ) {
        let name = hickory_name(&labels);
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        let mut question = Question::query(name.clone(), RecordType::from(qtype));
        question.set_query_class(DNSClass::from(qclass));
        message.add_query(question);
        if qtype == u16::from(RecordType::IXFR) {
            message.add_authority(hickory_soa(&name));
        }
        if let Some(said) = &said {
            message.set_edns(hickory_edns(said));
        }
        if is_signed {
            message.signature = Some(hickory_tsig());
        }
        let octets = message.to_vec().expect("a query can be written");

        let query = Query::parse(&octets).expect("a query can be read");
        prop_assert_eq!(query.fault, None, "{:02x?}", octets);
        prop_assert_eq!(query.qname.as_wire(), lower_wire(&labels));
        prop_assert_eq!(query.qname.label_count(), labels.len());
        prop_assert_eq!((query.qtype.0, query.qclass), (qtype, qclass));
        prop_assert_eq!(query.question_end, 12 + wire_len(&labels) + 4);
        prop_assert_eq!(query.tsig.is_some(), is_signed);
        prop_assert_eq!(query.edns.is_some(), said.is_some());
        let (Some(edns), Some(said)) = (query.edns, said) else { return Ok(()) };
        prop_assert_eq!((edns.udp_size, edns.version), (said.size, said.version));
        prop_assert_eq!(edns.dnssec_ok, said.dnssec_ok);
        // Options of other versions are not read.
        let known = said.version == 0;
        prop_assert_eq!(edns.nsid, said.nsid && known);
        let ecs = said.ecs.filter(|_| known);
        prop_assert_eq!(edns.ecs.map(|ecs| (ecs.address, ecs.source_prefix_len)), ecs);
        prop_assert_eq!(edns.ecs, ecs.map(|(address, len)| Ecs::new(address, len).unwrap()));
    }

    #[test]
    fn an_ixfr_query_brings_its_soa(labels in names()) {
        let name = hickory_name(&labels);
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Question::query(name.clone(), RecordType::IXFR));
        message.add_authority(hickory_soa(&name));
        let query = Query::parse(&message.to_vec().unwrap()).expect("a query can be read");
        prop_assert_eq!((query.fault, query.qtype.0), (None, 251));
    }

    #[test]
    fn suffixes_of_a_question_s_name_are_its_parents(labels in names()) {
        let name = Name::from_wire(&lower_wire(&labels)).unwrap();
        let qname = Qname::from(&name);
        for count in 0..=labels.len() {
            let parent = labels[labels.len() - count..].to_vec();
            prop_assert_eq!(qname.suffix(count), lower_wire(&parent));
        }
        prop_assert_eq!(qname.to_name(), name);
    }

    #[test]
    fn a_name_s_text_is_read_back(labels in names()) {
        let name = Name::from_wire(&lower_wire(&labels)).unwrap();
        let read = Name::parse(&name.to_string(), &Name::root());
        prop_assert_eq!(read, Ok(name.clone()));
        prop_assert_eq!(Name::from_wire(name.as_wire()), Some(name));
    }

    /// hickory-proto writes `\DDD` in octal, so only octets that need no digits are compared.
    #[test]
    fn texts_of_printable_names_are_hickory_s(
        labels in vec(vec(0x21..0x7fu8, 1..=20), 1..8),
    ) {
        let theirs = hickory_name(&labels);
        let ours = Name::parse(&theirs.to_ascii(), &Name::root()).unwrap();
        prop_assert_eq!(ours.as_wire(), lower_wire(&labels));
    }

    /// hickory-proto's texts take letters, digits, hyphens and underscores only.
    #[test]
    fn hickory_reads_texts_of_host_names(
        labels in vec("[a-z0-9_][a-z0-9_-]{0,62}", 1..4),
    ) {
        let labels: Labels = labels.into_iter().map(String::into_bytes).collect();
        let ours = Name::from_wire(&lower_wire(&labels)).unwrap();
        prop_assert_eq!(rr::Name::from_ascii(ours.to_string()).unwrap(), hickory_name(&labels));
    }

    /// A text is a name, or it is refused; and a name of it is read back.
    #[test]
    fn any_text_is_a_name_or_is_refused(text in "[a.\\\\0-9@\"\u{e9} ]{0,24}") {
        if let Ok(name) = Name::absolute(&text) {
            prop_assert_eq!(Name::from_wire(name.as_wire()), Some(name.clone()));
            prop_assert_eq!(Name::absolute(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn a_subnet_with_bits_behind_its_prefix_is_none(
        (address, len) in subnets(),
        bit in 0..128u32,
    ) {
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let bit = bit % width;
        prop_assume!(bit >= u32::from(len));
        let spoiled: IpAddr = match address {
            IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4) | 1 << (31 - bit)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) | 1 << (127 - bit)).into(),
        };
        prop_assert!(Ecs::new(address, len).is_some());
        prop_assert_eq!(Ecs::new(spoiled, len), None);
    }
}

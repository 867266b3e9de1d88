//! A server with a certificate, and the zone that its tests ask for.

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::path::PathBuf;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::date_time_ymd;
use rhumb::answer::Transport;
use rhumb::model::Encrypted;
use rhumb::runtime::serve::Options;

use crate::clients::NAME;
use crate::clients::PATIENCE;
use crate::live::Folder;
use crate::live::Live;

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "spread"
[name.static.records]
A = ["192.0.2.1"]
"#;

/// A certificate authority that no system trusts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key as PEM, valid until the end of `last_year`.
    pub fn issue(&self, last_year: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A running server and what its clients need.
pub struct World {
    pub folder: Folder,
    pub authority: Authority,
    pub live: Live,
}

/// Files of zones, and a certificate in `tls/`.
pub fn folder(authority: &Authority) -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("tls")).unwrap();
    let (certificate, key) = authority.issue(2999);
    folder.write("tls/fullchain.pem", certificate);
    folder.write("tls/privkey.pem", key);
    folder.write("authority.pem", authority.pem());
    let mut zone = ZONE.to_owned();
    let text = |number: u32| format!("\"{number:03}{}\"", "x".repeat(197));
    let texts: Vec<_> = (0..40).map(|number| format!("'{}'", text(number))).collect();
    zone += &format!("[name.long.records]\nTXT = [{}]\n[pool.spread]\n", texts.join(", "));
    for number in 1..=16 {
        zone +=
            &format!("[pool.spread.endpoint.e{number}]\naddresses = [\"198.51.100.{number}\"]\n");
    }
    folder.write("zones/shop.toml", zone);
    folder
}

/// Listens with every transport on ports that the kernel chooses.
pub fn options(folder: &Folder) -> Options {
    let any: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap()];
    let encrypted = Encrypted {
        certificate: folder.path("tls/fullchain.pem"),
        key: folder.path("tls/privkey.pem"),
        dot: any.clone(),
        doh: any.clone(),
        doh_path: "/dns-query".into(),
        doq: any,
    };
    Options { encrypted: Some(encrypted), ..folder.options() }
}

impl World {
    pub fn start() -> Self {
        let authority = Authority::new();
        let folder = folder(&authority);
        let live = Live::start(&options(&folder));
        Self { folder, authority, live }
    }

    pub fn at(&self, transport: Transport) -> SocketAddr {
        let all = self.live.server.encrypted_addresses();
        all.iter().find(|(other, _)| *other == transport).unwrap().1
    }

    pub fn authority_file(&self) -> PathBuf {
        self.folder.path("authority.pem")
    }

    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(PATIENCE, work).await };
        self.live.runtime.block_on(bounded).expect("it ends in time")
    }

    pub fn ask_by_udp(&self, query: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.live.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(query).unwrap();
        let mut reply = vec![0; 65_535];
        let len = socket.recv(&mut reply).unwrap();
        reply.truncate(len);
        reply
    }
}

/// A query with EDNS and these options; the id is 0, as QUIC wants it.
pub fn query(name: &str, rtype: RecordType, options: Vec<EdnsOption>) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    options.into_iter().for_each(|option| edns.options_mut().insert(option));
    message.set_edns(edns);
    message.to_vec().unwrap()
}

pub fn read(reply: &[u8]) -> Message {
    Message::from_vec(reply).unwrap()
}

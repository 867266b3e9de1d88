//! Endpoints that are found, over real files, web servers and resolvers: no internet, no fixed ports.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests have servers of their own"
)]

#[path = "probes/backend.rs"]
#[allow(dead_code, reason = "tests of probes need the rest")]
mod backend;
#[path = "probes/certificate.rs"]
#[allow(dead_code, reason = "tests of probes need the rest")]
mod certificate;
mod live;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use backend::Backend;
use backend::Reply as Says;
use backend::closed_port;
use certificate::Authority;
use certificate::self_signed;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::SRV;
use live::Folder;
use live::Live;
use live::PATIENCE;
use live::ask;
use live::wait_until;
use proptest::prelude::*;
use rhumb::config::Files;
use rhumb::config::SourceFile;
use rhumb::config::node::default_node;
use rhumb::control::Command;
use rhumb::control::Controller;
use rhumb::control::Discovered;
use rhumb::control::Effect;
use rhumb::control::Event;
use rhumb::control::Job;
use rhumb::control::Reply;
use rhumb::control::job::GeoFiles;
use rhumb::model::NodeTerms;
use rhumb::model::Now;
use rhumb::model::ResolverSettings;
use rhumb::model::Source;
use rhumb::runtime::discover::Discoverer;
use rhumb::runtime::serve::Options;
use rhumb::runtime::state::Retention;
use rhumb::runtime::state::Settings;

const LIST: &str = r#"[{"targets": ["192.0.2.1:80", "192.0.2.2:80"]}]"#;

fn zone(discover: &str) -> String {
    format!(
        "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
         [pool.eu]\ndiscover = {{ {discover} }}\n\
         [name.\"@\"]\nsteer = \"eu\"\nanswers = \"all\"\n"
    )
}

fn served(live: &Live) -> Vec<String> {
    let answer = ask(live.address(), "shop.test.");
    let mut served: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
    served.sort();
    served
}

fn told(live: &Live) -> String {
    live.status().pools[0].discovery.join("\n")
}

#[test]
fn a_file_counts_whether_it_is_renamed_or_written_in_place_and_half_of_it_never_does() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone("file = \"parts/eu.json\", max_drop = \"100%\""));
    std::fs::create_dir(folder.path("zones/parts")).unwrap();
    let live = Live::start(&folder.options());
    wait_until("it is missed", || told(&live).contains("FAILING"));
    assert_eq!(ask(live.address(), "shop.test.").rcode, "Server Failure");

    folder.write("zones/parts/eu.json", LIST);
    wait_until("it is read", || served(&live) == ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(live.metric("rhumb_discovery_targets{pool=\"eu\"}"), Some(2.0));
    assert_eq!(live.metric("rhumb_discovery_failing{pool=\"eu\"}"), Some(0.0));
    assert!(live.metric("rhumb_discovery_last_success_seconds{pool=\"eu\"}").unwrap() > 1e9);

    // In place: somebody writes half of it and is slow with the rest.
    let path = folder.path("zones/parts/eu.json");
    let list = r#"[{"targets": ["192.0.2.3:80"]}]"#;
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&list.as_bytes()[..20]).unwrap();
    file.flush().unwrap();
    wait_until("half of it is refused", || told(&live).contains("not JSON"));
    assert_eq!(served(&live), ["192.0.2.1", "192.0.2.2"], "the last good list stays");
    assert!(live.metric("rhumb_discovery_failures_total{pool=\"eu\"}").unwrap() >= 1.0);
    file.write_all(&list.as_bytes()[20..]).unwrap();
    drop(file);
    wait_until("the rest is there", || served(&live) == ["192.0.2.3"]);

    std::fs::remove_file(&path).unwrap();
    wait_until("it is missed again", || told(&live).contains("No such file"));
    assert_eq!(served(&live), ["192.0.2.3"]);
    live.stop();
}

#[test]
fn a_list_beside_zone_files_is_no_part_of_them() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone("file = \"eu.json\", max_drop = \"100%\""));
    folder.write("zones/eu.json", LIST);
    let live = Live::start(&folder.options());
    wait_until("it is read", || served(&live) == ["192.0.2.1", "192.0.2.2"]);
    let config = live.status().config;
    folder.write("zones/eu.json", r#"[{"targets": ["192.0.2.3:80"]}]"#);
    live.reload();
    wait_until("the new one is read", || served(&live) == ["192.0.2.3"]);
    assert_eq!(live.status().config, config, "the configuration is the same");
    live.stop();
}

/// A web server whose answer can be changed.
struct Web {
    url: String,
    body: Arc<Mutex<String>>,
}

impl Web {
    fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/sd", listener.local_addr().unwrap());
        let body = Arc::new(Mutex::new(body.to_owned()));
        let said = Arc::clone(&body);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let body = said.lock().unwrap().clone();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
                let mut request = [0; 4096];
                let _ = std::io::Read::read(&mut stream, &mut request);
                let _ =
                    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
            }
        });
        Self { url, body }
    }

    fn say(&self, body: &str) {
        body.clone_into(&mut self.body.lock().unwrap());
    }
}

fn list(last: &[u8]) -> String {
    let targets: Vec<String> = last.iter().map(|last| format!("\"192.0.2.{last}:80\"")).collect();
    format!("[{{\"targets\": [{}]}}]", targets.join(","))
}

#[test]
fn a_web_server_that_changes_its_mind_takes_nothing_away_until_somebody_agrees() {
    let web = Web::start(&list(&[1, 2, 3, 4]));
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(&format!("http = \"{}\", interval = \"1s\"", web.url)));
    let live = Live::start(&folder.options());
    let whole = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    wait_until("it is asked", || served(&live) == whole);

    web.say("[]");
    wait_until("it says nothing", || told(&live).contains("the list is empty"));
    assert_eq!(served(&live), whole);

    web.say(&list(&[1]));
    wait_until("it says little", || told(&live).contains("HELD"));
    assert_eq!(served(&live), whole);
    assert_eq!(live.metric("rhumb_discovery_held{pool=\"eu\"}"), Some(3.0));

    web.say(&list(&[1, 2, 3, 4]));
    wait_until("it says all again", || !told(&live).contains("HELD"));
    assert_eq!(served(&live), whole);

    // Between two lists it flaps: both count.
    web.say(&list(&[5, 6]));
    wait_until("the other list is read", || served(&live).len() == 6);
    web.say(&list(&[1, 2, 3, 4]));
    wait_until("the first is read again", || told(&live).contains("192-0-2-5_80"));
    assert_eq!(served(&live).len(), 6);

    let accept = |pool: &str| {
        let (reason, author) = ("they are gone".into(), "ann".into());
        live.command(Command::AcceptDiscovery { pool: pool.into(), reason, author })
    };
    assert!(matches!(accept("eu"), Reply::Done { .. }));
    assert_eq!(served(&live), whole);
    assert!(matches!(accept("eu"), Reply::Failed { .. }), "nothing is held any more");
    live.stop();
}

/// What comes of asking one source once.
async fn ask_once(source: Source) -> Result<Vec<String>, String> {
    let mut discoverer = Discoverer::spawn(default_node().resolver, |_| {});
    discoverer.set_sources(vec![Arc::new(source)]);
    let told = tokio::time::timeout(PATIENCE, discoverer.next()).await.unwrap();
    let Event::Discovered(Discovered { result, .. }) = told else { panic!("{told:?}") };
    let targets = |entries: Vec<rhumb::discovery::Entry>| {
        entries.into_iter().map(|entry| entry.target.into()).collect()
    };
    result.map(targets).map_err(Into::into)
}

fn http(url: String) -> Source {
    Source::Http {
        url: url.into(),
        interval: Duration::from_secs(3600),
        timeout: Duration::from_secs(1),
        authorization: None,
        ca: None,
    }
}

fn good(body: &str) -> Says {
    Says::Full(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

#[tokio::test]
async fn a_web_server_that_lies_stalls_drips_or_never_ends_is_bounded_and_named() {
    let endless = |head: &str| Says::Endless(format!("{head}\r\n\r\n"), " ".repeat(65_536));
    let cases = [
        (good(LIST), Ok(2)),
        (good("<html>"), Err("line 1: not JSON")),
        (good("[{\"targets\": [7]}]"), Err("this target is no text")),
        (good(""), Err("no text")),
        (Says::Stall, Err("no whole list within 1 s")),
        (Says::Drip("HTTP/1.1 200 OK\r\n\r\n".into()), Err("no whole list within 1 s")),
        (endless("HTTP/1.1 200 OK"), Err("more than 4194304 octets")),
        (endless("HTTP/1.1 200 OK\r\nContent-Length: 1073741824"), Err("more than 4194304 octets")),
        (Says::Endless("HTTP/1.1 200 OK\r\n".into(), "X-More: 1\r\n".repeat(1000)), Err("")),
        (
            Says::Full("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[{\"targets\":".into()),
            Err("body"),
        ),
        (
            Says::Full("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".into()),
            Err("redirects are not followed"),
        ),
        (
            Says::Full("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".into()),
            Err("the answer is 503"),
        ),
        (Says::Full("220 mail.example.net ESMTP\r\n".into()), Err("")),
    ];
    for (says, expected) in cases {
        let backend = Backend::start(says).await;
        let found = ask_once(http(format!("http://{}/sd", backend.address))).await;
        match (expected, &found) {
            (Ok(count), Ok(targets)) => assert_eq!(targets.len(), count),
            (Err(words), Err(why)) => assert!(why.contains(words), "{words}: {why}"),
            _ => panic!("{expected:?}: {found:?}"),
        }
    }
    let nobody = ask_once(http(format!("http://{}/sd", closed_port().await))).await;
    assert!(nobody.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn what_is_sent_and_whom_is_trusted_is_in_files_beside() {
    let folder = Folder::new();
    let authority = Authority::new();
    folder.write("ca.pem", authority.pem().as_bytes());
    folder.write("token", "Bearer s3cret\n");
    let of =
        |address: std::net::SocketAddr, ca: Option<PathBuf>, authorization: Option<PathBuf>| {
            let Source::Http { url, interval, timeout, .. } =
                http(format!("https://localhost:{}/sd?site=fra", address.port()))
            else {
                panic!("it is one");
            };
            Source::Http { url, interval, timeout: timeout * 10, authorization, ca }
        };
    let listen = "127.0.0.1:0".parse().unwrap();
    let tls = authority.acceptor("localhost", 2090);
    let mut backend = Backend::listen(listen, Some(tls), good(LIST)).await;
    let (ca, token) = (folder.path("ca.pem"), folder.path("token"));
    let found = ask_once(of(backend.address, Some(ca.clone()), Some(token))).await;
    assert_eq!(found.unwrap().len(), 2);
    let (head, _) = backend.request().await;
    assert!(head.starts_with("GET /sd?site=fra HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer s3cret\r\n"), "{head}");
    assert!(head.to_lowercase().contains("x-prometheus-refresh-interval-seconds: 3600"), "{head}");

    let unknown = ask_once(of(backend.address, None, None)).await.unwrap_err();
    assert!(!unknown.contains("s3cret"), "{unknown}");
    let missing = of(backend.address, Some(ca.clone()), Some(folder.path("nothing")));
    assert!(ask_once(missing).await.unwrap_err().contains("No such file"));
    for bad in [self_signed("localhost"), authority.acceptor("localhost", 2001)] {
        let backend = Backend::listen(listen, Some(bad), good(LIST)).await;
        ask_once(of(backend.address, Some(ca.clone()), None)).await.unwrap_err();
    }
    let other = Backend::listen(listen, Some(authority.acceptor("other.test", 2090)), good(LIST));
    ask_once(of(other.await.address, Some(ca), None)).await.unwrap_err();
}

#[tokio::test]
async fn a_file_that_is_no_file_or_too_large_is_named() {
    let folder = Folder::new();
    let of = |name: &str| Source::File { path: folder.path(name) };
    assert!(ask_once(of("zones")).await.unwrap_err().contains("no regular file"));
    let large = std::fs::File::create(folder.path("large.json")).unwrap();
    large.set_len(1 << 30).unwrap();
    assert!(ask_once(of("large.json")).await.unwrap_err().contains("more than 4194304 octets"));
    folder.write("bad.json", [b'[', 0xff, b']']);
    assert!(ask_once(of("bad.json")).await.unwrap_err().contains("not UTF-8"));
}

/// SRV records by priority, weight and host; nothing is NXDOMAIN.
type Services = Arc<Mutex<Vec<(u16, u16, &'static str)>>>;

/// A resolver that knows one service, and an address for each of its hosts.
fn resolver(services: Services) -> ResolverSettings {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut packet) {
            let Ok(query) = Message::from_vec(&packet[..len]) else { continue };
            let reply = answer(&query, &services.lock().unwrap());
            let _ = socket.send_to(&reply.to_vec().unwrap(), from);
        }
    });
    ResolverSettings {
        servers: vec![address],
        timeout: Duration::from_millis(500),
        min_refresh: Duration::from_secs(1),
        ..default_node().resolver
    }
}

fn answer(query: &Message, services: &[(u16, u16, &'static str)]) -> Message {
    let question = query.queries[0].clone();
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    let name = question.name().to_string();
    if services.is_empty() {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    for (at, (priority, weight, host)) in services.iter().enumerate() {
        let data = match question.query_type() {
            RecordType::SRV if name == "_web._tcp.example.net." => {
                let target = Name::from_ascii(host).unwrap();
                RData::SRV(SRV::new(*priority, *weight, 8080, target))
            }
            RecordType::A if name == *host => {
                RData::A(std::net::Ipv4Addr::new(192, 0, 2, at as u8 + 1).into())
            }
            _ => continue,
        };
        reply.add_answer(Record::from_rdata(question.name().clone(), 0, data));
    }
    reply
}

#[test]
fn srv_records_are_endpoints_and_stay_when_their_name_is_gone() {
    let services: Services = Arc::new(Mutex::new(vec![
        (10, 1, "a.example.net."),
        (10, 0, "b.example.net."),
        (20, 9, "c.example.net."),
    ]));
    let folder = Folder::new();
    let discover = "srv = \"_web._tcp.example.net\", interval = \"1s\"";
    folder.write("zones/shop.toml", zone(discover));
    let mut options = folder.options();
    options.resolver = resolver(Arc::clone(&services));
    let live = Live::start(&options);
    // The third stands by.
    wait_until("hosts are resolved", || served(&live) == ["192.0.2.1", "192.0.2.2"]);
    let weights = |live: &Live| -> Vec<u16> {
        live.status().pools[0].endpoints.iter().map(|endpoint| endpoint.weight).collect()
    };
    assert_eq!(weights(&live), [1, 1, 0]);
    services.lock().unwrap().clear();
    wait_until("it is gone", || told(&live).contains("the name does not exist"));
    assert_eq!(served(&live), ["192.0.2.1", "192.0.2.2"]);
    *services.lock().unwrap() = vec![(5, 1, ".")];
    wait_until("there is no such service", || told(&live).contains("no such service"));
    assert_eq!(served(&live), ["192.0.2.1", "192.0.2.2"]);
    *services.lock().unwrap() =
        vec![(10, 7, "a.example.net."), (10, 1, "b.example.net."), (20, 9, "c.example.net.")];
    wait_until("it is back", || weights(&live) == [7, 1, 0]);
    live.stop();
}

/// What a controller finds for its one pool, and when.
struct Finder {
    controller: Controller,
    sources: Vec<Arc<Source>>,
    now: Now,
}

impl Finder {
    fn new(max_drop: u8) -> Self {
        let text = zone(&format!("file = \"eu.json\", max_drop = \"{max_drop}%\""));
        let files = Files::new(vec![SourceFile::new("zones/shop.toml", &text)]);
        let controller = Controller::default();
        let mut finder = Self { controller, sources: Vec::new(), now: Now::default() };
        finder.handle(Event::Files(Job::new(files, GeoFiles::default(), NodeTerms::default())));
        finder
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.controller.handle(event, self.now, &mut effects);
        for effect in effects {
            if let Effect::Compile(job) = effect {
                self.handle(Event::Compiled(job.run()));
            } else if let Effect::Discover(sources) = effect {
                self.sources = sources;
            }
        }
    }

    fn told(&mut self, result: Result<Vec<rhumb::discovery::Entry>, Box<str>>) {
        let source = Arc::clone(&self.sources[0]);
        self.handle(Event::Discovered(Discovered { source, result }));
    }

    fn wait(&mut self, seconds: u64) {
        self.now.monotonic += Duration::from_secs(seconds);
        self.now.unix += Duration::from_secs(seconds);
        self.handle(Event::Settle);
    }

    /// The last octets of the addresses in the pool that is served.
    fn found(&self) -> BTreeSet<u8> {
        let snapshot = self.controller.snapshot().unwrap();
        let endpoints = snapshot.compiled.model.pools[0].endpoints.iter();
        let last = |key: &str| key.strip_prefix("eu/192-0-2-")?.strip_suffix("_80")?.parse().ok();
        endpoints.map(|endpoint| last(&endpoint.key).unwrap()).collect()
    }
}

/// The same law, in the plainest words: who is there, what went when, and what was told last.
#[derive(Default)]
struct Twin {
    there: BTreeSet<u8>,
    told: BTreeSet<u8>,
    went: Vec<(u64, usize)>,
}

impl Twin {
    fn judge(&mut self, now: u64, percent: usize) {
        let going = self.there.difference(&self.told).count();
        let lately = self.went.iter().filter(|(at, _)| now - at < 600);
        let lately: usize = lately.map(|(_, count)| count).sum();
        let mut most = (self.there.len() + lately) * percent / 100;
        if percent > 0 && most == 0 {
            most = 1;
        }
        if self.there.is_empty() || going == 0 || lately + going <= most {
            self.went.push((now, if self.there.is_empty() { 0 } else { going }));
            self.there = self.told.clone();
        } else {
            self.there.extend(&self.told);
        }
    }
}

/// What a source does next.
#[derive(Clone, Debug)]
enum Step {
    Tell(u16),
    Fail,
    Wait(u64),
    Accept,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<u16>().prop_map(|bits| Step::Tell(bits & 0xfff)),
        1 => Just(Step::Fail),
        3 => (1..700u64).prop_map(Step::Wait),
        1 => Just(Step::Accept),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_pool_has_what_the_law_says_and_is_never_empty_again(
        steps in prop::collection::vec(step(), 1..40),
        percent in prop_oneof![Just(0u8), Just(30), Just(50), Just(100), 0..=100u8],
    ) {
        let (mut finder, mut twin) = (Finder::new(percent), Twin::default());
        let mut now = 0;
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Tell(bits) => {
                    let mut last: Vec<u8> = (0..12).filter(|bit| bits >> bit & 1 == 1).collect();
                    if !last.is_empty() {
                        twin.told = last.iter().copied().collect();
                        twin.judge(now, percent.into());
                    }
                    if at % 2 == 1 {
                        last.reverse();
                    }
                    finder.told(Ok(rhumb::discovery::list::read(&list(&last)).unwrap()));
                }
                Step::Fail => finder.told(Err("it fails".into())),
                Step::Wait(seconds) => {
                    now += seconds;
                    finder.wait(seconds);
                    if !twin.told.is_empty() {
                        twin.judge(now, percent.into());
                    }
                }
                Step::Accept => {
                    let (reason, author) = ("it is true".into(), "ann".into());
                    let pool = "eu".into();
                    finder.handle(Event::Command(Command::AcceptDiscovery { pool, reason, author }));
                    twin.there = twin.told.clone();
                }
            }
            prop_assert_eq!(&finder.found(), &twin.there);
            prop_assert!(twin.told.is_empty() || !twin.there.is_empty());
        }
    }
}

#[test]
fn a_restart_without_its_source_serves_the_last_good_list() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone("file = \"parts/eu.json\""));
    std::fs::create_dir(folder.path("zones/parts")).unwrap();
    folder.write("zones/parts/eu.json", LIST);
    let retention = Retention { age: Duration::from_secs(86_400), octets: 100_000_000 };
    let settings = Settings { folder: folder.path("state"), retention };
    let options = Options { state: Some(settings), ..folder.options() };
    let live = Live::start(&options);
    wait_until("it is read", || served(&live) == ["192.0.2.1", "192.0.2.2"]);
    live.stop();
    std::fs::remove_file(folder.path("zones/parts/eu.json")).unwrap();
    let live = Live::start(&options);
    assert_eq!(served(&live), ["192.0.2.1", "192.0.2.2"], "from the first answer on");
    wait_until("it is missed", || told(&live).contains("FAILING"));
    assert!(told(&live).contains("before this start, not told since"), "{}", told(&live));
    assert_eq!(served(&live), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(live.metric("rhumb_discovery_targets{pool=\"eu\"}"), Some(2.0));
    // An empty list is none, and one that has hardly anybody left is held: as if there had been no restart.
    folder.write("zones/parts/eu.json", list(&[1, 2, 3, 4, 5]));
    wait_until("it is back", || served(&live).len() == 5);
    live.stop();
    folder.write("zones/parts/eu.json", list(&[1]));
    let live = Live::start(&options);
    wait_until("it says little", || told(&live).contains("HELD"));
    assert_eq!(served(&live).len(), 5);
    live.stop();
}

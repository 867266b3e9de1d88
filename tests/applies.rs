//! When a change of a key counts: the reference's word against a server whose files change.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::net::SocketAddr;
use std::net::UdpSocket;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use live::Folder;
use live::PATIENCE;
use live::find_metric;
use live::get;
use live::wait_until;
use process::Process;
use rhumb::config::keys;
use rhumb::config::keys::Applies;
use rhumb::config::keys::NODE_FILE;
use rhumb::config::keys::Table;
use rhumb::config::keys::ZONE_FILE;

const NODE: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\nidentity = \"one\"\n[config]\nzones = \"zones\"\n\
                    [admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"rhumb.sock\"\n[log]\nlevel = \"info\"\n";

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
record_ttl = "1h"
[pool.eu]
endpoint.a.addresses = ["198.18.1.1"]
[pool.us]
endpoint.a.addresses = ["198.18.2.1"]
[policy.order]
kind = "failover"
targets = ["eu", "us"]
[name.www]
steer = "order"
[name.static.records]
A = ["192.0.2.1"]
"#;

/// What a change of a key changes, as a client sees it.
struct Case {
    pattern: &'static str,
    /// The line of the key, and what replaces it.
    change: (&'static str, &'static str),
    /// Class, name, type of the question that shows it.
    question: (DNSClass, &'static str, RecordType),
    /// A piece of the answer before the change, and after.
    answers: (&'static str, &'static str),
}

const WWW: (DNSClass, &str, RecordType) = (DNSClass::IN, "www.shop.test.", RecordType::A);
const STATIC: (DNSClass, &str, RecordType) = (DNSClass::IN, "static.shop.test.", RecordType::A);

const OF_ZONES: [Case; 4] = [
    Case {
        pattern: "zone.record_ttl",
        change: ("record_ttl = \"1h\"", "record_ttl = \"2h\""),
        question: STATIC,
        answers: (" 3600 ", " 7200 "),
    },
    Case {
        pattern: "pool.*.endpoint.*.addresses",
        change: ("\"198.18.1.1\"", "\"198.18.1.7\""),
        question: WWW,
        answers: ("198.18.1.1", "198.18.1.7"),
    },
    Case {
        pattern: "policy.*.targets",
        change: ("[\"eu\", \"us\"]", "[\"us\", \"eu\"]"),
        question: WWW,
        answers: ("198.18.1.1", "198.18.2.1"),
    },
    Case {
        pattern: "name.*.steer",
        change: ("steer = \"order\"", "steer = \"us\""),
        question: WWW,
        answers: ("198.18.1.1", "198.18.2.1"),
    },
];

const OF_THE_NODE: [Case; 2] = [
    Case {
        pattern: "server.identity",
        change: ("identity = \"one\"", "identity = \"two\""),
        question: (DNSClass::CH, "id.server.", RecordType::TXT),
        answers: (" one", " two"),
    },
    Case {
        pattern: "config.zones",
        change: ("zones = \"zones\"", "zones = \"others\""),
        question: STATIC,
        answers: ("192.0.2.1", "192.0.2.9"),
    },
];

/// The answers of a server as text: a record a line.
fn ask(server: SocketAddr, (class, name, rtype): (DNSClass, &str, RecordType)) -> String {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let mut query = Query::query(Name::from_ascii(name).unwrap(), rtype);
    query.set_query_class(class);
    message.add_query(query);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).unwrap();
    let mut reply = [0; 4096];
    let len = socket.recv(&mut reply).expect("no reply is lost");
    let reply = Message::from_vec(&reply[..len]).unwrap();
    reply.answers.iter().map(|record| format!("{record}\n")).collect()
}

fn folder() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("others")).unwrap();
    folder.write("others/shop.toml", ZONE.replace("192.0.2.1", "192.0.2.9"));
    write(&folder, NODE, ZONE);
    folder
}

fn write(folder: &Folder, node: &str, zone: &str) {
    let socket = format!("\"{}\"", folder.path("rhumb.sock").display());
    folder.write("rhumb.toml", node.replace("\"rhumb.sock\"", &socket));
    folder.write("zones/shop.toml", zone);
}

fn replace(text: &str, (before, after): (&str, &str)) -> String {
    assert_eq!(text.matches(before).count(), 1, "{before}");
    text.replace(before, after)
}

/// The table's word on a key.
fn said(file: &'static Table, pattern: &str) -> Applies {
    let found = keys::list(file).into_iter().find(|entry| entry.pattern() == pattern);
    found.expect("the key is in the table").applies()
}

impl Case {
    #[track_caller]
    fn assert_answer(&self, process: &Process, piece: &str) {
        let answer = ask(process.address(), self.question);
        assert!(answer.contains(piece), "{}: {piece} is not in {answer}", self.pattern);
    }
}

/// Reads the files again, and waits until that is over.
fn reload(process: &Process, done: &str) {
    process.signal("HUP");
    process.wait_for_log(done);
}

#[test]
fn keys_of_zone_files_count_at_once_as_the_reference_says() {
    for case in OF_ZONES {
        assert_eq!(said(&ZONE_FILE, case.pattern), Applies::Live, "{}", case.pattern);
        let folder = folder();
        let process = Process::start(&folder);
        case.assert_answer(&process, case.answers.0);
        write(&folder, NODE, &replace(ZONE, case.change));
        reload(&process, "generation=2");
        case.assert_answer(&process, case.answers.1);
    }
}

#[test]
fn keys_of_the_node_count_at_the_next_start_as_the_reference_says() {
    for case in OF_THE_NODE {
        assert_eq!(said(&NODE_FILE, case.pattern), Applies::Restart, "{}", case.pattern);
        let folder = folder();
        let process = Process::start(&folder);
        write(&folder, &replace(NODE, case.change), ZONE);
        reload(&process, "the settings have changed; they count after a restart");
        case.assert_answer(&process, case.answers.0);
        drop(process);
        case.assert_answer(&Process::start(&folder), case.answers.1);
    }
}

#[test]
fn pages_and_log_of_the_node_change_at_the_next_start_as_the_reference_says() {
    for pattern in ["admin.listen", "log.level"] {
        assert_eq!(said(&NODE_FILE, pattern), Applies::Restart, "{pattern}");
    }
    let folder = folder();
    let process = Process::start(&folder);
    let pages = |process: &Process| -> SocketAddr {
        let lines = process.lines();
        let rest = lines.iter().find_map(|line| Some(line.split_once("on http://")?.1)).unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    };
    let page = pages(&process);
    let node = replace(NODE, ("level = \"info\"", "level = \"warn\""));
    let node = replace(&node, ("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]"));
    write(&folder, &node, &replace(ZONE, ("\"1h\"", "\"2h\"")));
    reload(&process, "the settings have changed; they count after a restart");
    wait_until("the zone is in force", || {
        find_metric(&get(page, "/metrics").2, "rhumb_generation") == Some(2.0)
    });
    process.wait_for_log("generation=2"); // a line of weight info
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
    let log = serve_quietly(&folder);
    let has = |piece: &str| log.iter().any(|line| line.contains(piece));
    assert!(!has("INFO") && !has("http://"), "{log:?}");
}

/// Starts a server that says nothing at its start, and stops it; its log.
fn serve_quietly(folder: &Folder) -> Vec<String> {
    loop {
        let mut quiet = Process::run(&mut process::serve(folder));
        let mut has_ended = false;
        wait_until("it serves", || {
            has_ended = quiet.child.try_wait().unwrap().is_some();
            has_ended || folder.path("rhumb.sock").exists()
        });
        // If not, somebody has just taken the TCP port of its UDP port.
        if !has_ended {
            quiet.signal("TERM");
            let log = std::sync::Arc::clone(&quiet.log);
            assert_eq!(quiet.wait(), Some(0));
            return log.lock().unwrap().clone();
        }
    }
}

#[test]
fn the_reference_prints_the_tables_word() {
    let reference = keys::reference();
    for (section, key, word) in [
        ("zone", "record_ttl", "at once"),
        ("pool.NAME.endpoint.NAME", "addresses", "at once"),
        ("log", "level", "at the next start"),
        ("server", "identity", "at the next start"),
    ] {
        let text = reference.split_once(&format!("### [{section}]\n")).unwrap().1;
        let line = text.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        assert!(line.ends_with(&format!("| {word} |")), "{line}");
    }
}

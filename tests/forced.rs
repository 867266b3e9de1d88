//! A state that an operator gives an endpoint is shown wherever somebody may look for it, with its reason, its author and its
//! end, before and after a restart and a reload. A real server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command as Program;

use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::op::OpCode;
use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use live::Folder;
use live::wait_until;
use process::Process;
use process::RHUMB;

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[pool.eu]
endpoint.a.addresses = ["192.0.2.1"]
endpoint.b = { addresses = ["192.0.2.2"], state = "drained", state_reason = "no disks yet" }
[name.www]
steer = "eu"
"#;

fn rhumb(folder: &Folder, arguments: &[&str]) -> String {
    let mut command = Program::new(RHUMB);
    command.args(arguments).arg("--config").arg(folder.path("rhumb.toml")).env("USER", "ada");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    text.into_owned()
}

/// The lines of `_explain` TXT.
fn why(process: &Process) -> String {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("_explain.www.shop.test.").unwrap();
    message.add_query(Query::query(name, RecordType::TXT));
    let query = message.to_vec().unwrap();
    let mut stream = TcpStream::connect(process.address()).unwrap();
    stream.set_read_timeout(Some(live::PATIENCE)).unwrap();
    let len = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream.write_all(&[&len, &query[..]].concat()).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).unwrap();
    let reply = Message::from_vec(&reply).unwrap();
    reply.answers.iter().map(|record| format!("{}\n", record.data)).collect()
}

/// Everywhere: an endpoint, its state, who, why and until when.
#[track_caller]
fn is_shown_everywhere(folder: &Folder, process: &Process) {
    let words = ["eu/a", "forced down", "ada", "smells of smoke", "(until 20"];
    let has_all = |what: &str, text: &str| {
        for word in words.iter().chain(&["eu/b", "drained by its file: no disks yet"]) {
            assert!(text.contains(word), "{what} lacks {word}: {text}");
        }
    };
    has_all("status", &rhumb(folder, &["status"]));
    let ask = ["www.shop.test", "--client", "198.51.100.7"];
    has_all("explain", &rhumb(folder, &[&["explain"][..], &ask].concat()));
    has_all("_explain TXT", &why(process));
    let json = rhumb(folder, &["status", "--json"]);
    for field in ["\"author\":\"ada\"", "\"reason\":\"smells of smoke\"", "\"until"] {
        assert!(json.replace(": ", ":").contains(field), "{field}: {json}");
    }
    let events = rhumb(folder, &["events", "--json", "--endpoint", "eu/a"]);
    let order = events.lines().find(|line| line.contains("\"event\":\"order\"")).unwrap();
    for field in ["\"by\":\"ada\"", "\"reason\":\"smells of smoke\"", "forced down", "(until 20"] {
        assert!(order.contains(field), "{field}: {order}");
    }
    let lines = process.lines();
    let admin =
        lines.iter().find_map(|line| Some(line.split_once("health on http://")?.1)).unwrap();
    let admin = admin.split('/').next().unwrap().parse().unwrap();
    let (_, _, metrics) = live::get(admin, "/metrics");
    for series in [
        "rhumb_endpoint_state{endpoint=\"eu/a\",state=\"forced down\",by=\"order\"}",
        "rhumb_endpoint_state{endpoint=\"eu/b\",state=\"drained\",by=\"file\"}",
    ] {
        assert_eq!(live::find_metric(&metrics, series), Some(1.0), "{series}: {metrics}");
    }
}

#[test]
fn a_forced_state_is_shown_everywhere_with_who_why_and_until_when() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", ZONE);
    folder.write(
        "rhumb.toml",
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         socket = \"rhumb.sock\"\n[state]\nfolder = \"state\"\n[explain]\nfull = [\"127.0.0.0/8\"]\n",
    );
    let process = Process::start(&folder);
    let target = ["force", "eu/a", "--as", "down", "--reason", "smells of smoke", "--until", "2h"];
    rhumb(&folder, &target);
    is_shown_everywhere(&folder, &process);
    rhumb(&folder, &["reload"]);
    is_shown_everywhere(&folder, &process);
    process.signal("KILL");
    drop(process);
    let process = Process::start(&folder);
    process.wait_for_log("1 record from before");
    is_shown_everywhere(&folder, &process);
    rhumb(&folder, &["undrain", "eu/a"]);
    wait_until("it is over", || !why(&process).contains("smells of smoke"));
    let kinds = rhumb(&folder, &["events", "--json", "--endpoint", "eu/a"]);
    assert!(kinds.contains("\"event\":\"order_withdrawn\""), "{kinds}");
}

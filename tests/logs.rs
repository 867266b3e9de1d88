//! The log of `rhumb serve`: a line for each change of state, for people and for machines, and none for a query.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Stdio;
use std::time::SystemTime;

use live::Folder;
use live::UdpClient;
use live::wait_until;
use process::Process;
use process::RHUMB;
use process::serve;
use rhumb::geo::WriteInfo;
use rhumb::geo::parse_source;
use rhumb::geo::write_database;
use serde_json::Map;
use serde_json::Value;

fn zone(name: &str, port: u16, ttl: &str) -> String {
    format!(
        r#"
[zone]
name = "{name}"
nameservers = ["ns1.example.net"]
steered_ttl = "{ttl}"
[check.alive]
kind = "tcp"
port = {port}
interval = "100ms"
timeout = "100ms"
fall = 2
[pool.eu]
check = "alive"
endpoint.a.addresses = ["127.0.0.1"]
[name.www]
steer = "eu"
"#
    )
}

fn database(city: &str) -> Vec<u8> {
    let text = format!(
        "network,continent,country,subdivision,city,latitude,longitude\n\
         192.0.2.0/24,EU,DE,HE,{city},50.11,8.68\n"
    );
    let info = WriteInfo {
        database_type: "Test".into(),
        description: "test".into(),
        build_epoch: 1_700_000_000,
    };
    write_database(&parse_source(&text).unwrap(), &info).unwrap()
}

/// A node's files, and a backend that is up while this lives.
fn node(log: &str) -> (Folder, TcpListener) {
    let folder = Folder::new();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    folder.write("zones/shop.toml", zone("shop.test", port, "30s"));
    folder.write("city.mmdb", database("Frankfurt"));
    folder.write("rhumb.toml", settings(log));
    (folder, backend)
}

fn settings(log: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nsocket = \"rhumb.sock\"\n\
         [geo]\ndatabases = [\"city.mmdb\"]\n[log]\n{log}\n"
    )
}

fn rhumb(folder: &Folder, arguments: &[&str]) {
    let mut command = Command::new(RHUMB);
    command.args(arguments).arg("--config").arg(folder.path("rhumb.toml")).env("USER", "ada");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Every line as an object; panics if one is none, or lacks what all have.
fn objects(process: &Process) -> Vec<Map<String, Value>> {
    let read = |line: String| {
        let object: Map<String, Value> = serde_json::from_str(&line).expect(&line);
        let keys = line.match_indices("\":").count();
        assert!(keys >= object.len(), "no key stands twice: {line}");
        for key in ["timestamp", "level", "target", "message"] {
            assert!(object[key].is_string(), "{key}: {line}");
        }
        let time = object["timestamp"].as_str().unwrap();
        assert!(
            time.ends_with('Z') && humantime::parse_rfc3339(time).unwrap() <= SystemTime::now()
        );
        let levels = ["ERROR", "WARN", "INFO", "DEBUG"];
        assert!(levels.contains(&object["level"].as_str().unwrap()), "{line}");
        object
    };
    process.lines().into_iter().map(read).collect()
}

/// Waits for a line with this level whose fields have these values.
#[track_caller]
fn wait_for(process: &Process, level: &str, message: &str, fields: &[(&str, &str)]) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_it = |object: &Map<String, Value>| {
        object["level"] == level
            && text(&object["message"]).contains(message)
            && fields
                .iter()
                .all(|(key, part)| object.get(*key).is_some_and(|value| text(value).contains(part)))
    };
    wait_until(
        &format!("{level} {message:?} {fields:?} is logged; there is {:#?}", process.lines()),
        || objects(process).iter().any(is_it),
    );
}

#[test]
fn every_change_of_state_is_a_line_with_fields() {
    let (folder, backend) = node("format = \"json\"");
    let process = Process::start(&folder);
    let port = backend.local_addr().unwrap().port();
    let config = folder.path("rhumb.toml").display().to_string();
    wait_for(&process, "INFO", "configuration: ", &[("file", &config), ("version", "0.")]);
    wait_for(&process, "INFO", "serving 1 zone", &[("generation", "1"), ("zones", "1")]);
    let address = process.address().to_string();
    wait_for(&process, "INFO", "answering on ", &[("address", &address)]);

    let target = [("pool", "eu"), ("endpoint", "a"), ("check", "alive"), ("family", "IPv4")];
    let flip = |from, to, reason| {
        [&target[..], &[("from", from), ("to", to), ("reason", reason)]].concat()
    };
    wait_for(&process, "INFO", "eu/a is up", &flip("unknown", "up", "passed in "));
    drop(backend);
    wait_for(&process, "WARN", "eu/a is down", &flip("up", "down", "connect refused (2 in a row)"));
    let backend = TcpListener::bind(("127.0.0.1", port)).unwrap();
    wait_for(&process, "INFO", "eu/a is held", &flip("down", "held", "passed in "));

    let order = ["force", "eu/a", "--as", "up", "--reason", "I know better", "--until"];
    rhumb(&folder, &[&order[..], &["1h"]].concat());
    let fields = [("scope", "endpoint"), ("name", "eu/a"), ("order", "forced up"), ("by", "ada")];
    let with_reason = [&fields[..], &[("reason", "I know better"), ("until", "Z")]].concat();
    wait_for(&process, "WARN", "endpoint eu/a is forced up", &with_reason);
    rhumb(&folder, &["undrain", "eu/a"]);
    wait_for(&process, "WARN", "endpoint eu/a is no longer forced up", &fields);
    rhumb(&folder, &[&order[..], &["1s"]].concat());
    wait_for(&process, "WARN", "the order has expired", &fields[..3]);

    folder.write("zones/shop.toml", "nonsense = 1");
    process.signal("HUP");
    let problem = [("problems", "1"), ("text", "nonsense")];
    wait_for(&process, "ERROR", "files refused, 1 problem; the old ones stay in force", &problem);
    folder.write("zones/shop.toml", zone("other.test", port, "10m"));
    process.signal("HUP");
    let warning = [("warnings", "1"), ("text", "steered_ttl")];
    wait_for(&process, "WARN", "the files gave 1 warning", &warning);
    wait_for(&process, "INFO", "is served from now on", &[("zone", "other.test")]);
    wait_for(&process, "INFO", "is served no more", &[("zone", "shop.test")]);
    folder.write("city.mmdb", database("Berlin"));
    process.signal("HUP");
    wait_for(&process, "INFO", "geo data replaced", &[("generation", "")]);
    folder.write("rhumb.toml", settings("format = \"json\"\nlevel = \"warn\""));
    process.signal("HUP");
    wait_for(
        &process,
        "WARN",
        "they count after a restart",
        &[("tables", "[log]"), ("file", &config)],
    );

    process.signal("TERM");
    wait_for(&process, "INFO", "stopping", &[("signal", "SIGTERM")]);
    wait_for(&process, "INFO", "stopped", &[]);
    drop(backend);
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn a_thousand_queries_are_no_line_whatever_the_level() {
    let folder = Folder::new();
    folder.write(
        "zones/shop.toml",
        "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n\
         [pool.eu]\nendpoint.a.addresses = [\"198.18.1.1\"]\n[name.www]\nsteer = \"eu\"\n",
    );
    folder.write(
        "rhumb.toml",
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nsocket = \"rhumb.sock\"\n[log]\nlevel = \"debug\"\n",
    );
    let process = Process::start(&folder);
    // The reading that follows each start is over, and so is what it logs.
    process.wait_for_log("changes of files are noticed from now on");
    let before = process.lines();
    let mut udp = UdpClient::new(process.address());
    let mut tcp = live::TcpClient::new(process.address());
    for _ in 0..500 {
        assert_eq!(udp.ask("www.shop.test.").addresses.len(), 1);
        assert_eq!(tcp.ask("www.shop.test.").addresses.len(), 1);
    }
    process.signal("TERM");
    process.wait_for_log("stopped");
    let added: Vec<_> = process.lines().into_iter().skip(before.len()).collect();
    assert_eq!(added.len(), 2, "stopping and stopped: {added:#?}");
}

#[test]
fn text_has_utc_times_and_no_colours_where_no_terminal_is() {
    let (folder, _backend) = node("format = \"text\"");
    let process = Process::start(&folder);
    for line in process.lines() {
        assert!(!line.contains('\u{1b}'), "{line:?}");
        let time = line.split(' ').next().unwrap();
        assert!(time.ends_with('Z') && humantime::parse_rfc3339(time).is_ok(), "{line}");
    }
}

#[test]
fn the_command_line_goes_before_the_file() {
    let (folder, _backend) = node("format = \"json\"\nlevel = \"debug\"");
    let process = Process::start_by(|| {
        let mut command = serve(&folder);
        command.args(["--log-format", "text", "--log-level", "info"]);
        command
    });
    process.wait_for_log(" INFO rhumb::health: eu/a is up");
    assert!(!process.has_logged("DEBUG"));
}

#[test]
fn a_mistake_in_the_filter_of_the_environment_is_told_and_silences_nothing() {
    let (folder, _backend) = node("format = \"text\"");
    folder.write("zones/shop.toml", "nonsense = 1\n");
    let log = |filter: &str| {
        let output = serve(&folder).env("RUST_LOG", filter).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for (filter, said) in [
        ("bogus", "\"bogus\" is no level and no part of rhumb; write "),
        ("rhumb=inof", "error parsing level filter"),
    ] {
        let log = log(filter);
        assert!(log.contains("RUST_LOG is no filter") && log.contains(said), "{log}");
        assert!(log.contains("used=\"warn,async_nats=off,rhumb=info\""), "{log}");
        assert!(log.contains(" INFO ") && log.contains("configuration: "), "{log}");
    }
    let log = log("rhumb=warn");
    assert!(!log.contains("INFO") && !log.contains("RUST_LOG"), "{log}");
}

/// What a server that does not start says to the journal.
fn last_words(folder: &Folder) -> String {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = std::fs::File::from(OwnedFd::from(theirs));
    let stream = theirs.metadata().map(|it| format!("{}:{}", it.dev(), it.ino())).unwrap();
    let mut command = serve(folder);
    command.env("JOURNAL_STREAM", stream).env_remove("RUST_LOG");
    let mut child = command.stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
    // Its own end is closed with it, so that the log has an end.
    drop(command);
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    text
}

#[test]
fn for_the_journal_each_line_has_a_weight_and_no_time() {
    let (folder, _backend) = node("format = \"text\"");
    folder.write("zones/shop.toml", "nonsense = 1\n");
    let mut text = last_words(&folder);
    while text.contains("already in use") {
        // The TCP port of its UDP port has just been taken.
        text = last_words(&folder);
    }
    assert!(text.starts_with("<6> INFO rhumb::"), "{text}");
    assert!(text.contains("\n<3>1 | nonsense = 1"), "problems are shown as lines: {text}");
    let weights: BTreeSet<&str> = text.lines().map(|line| &line[..3]).collect();
    assert_eq!(weights, BTreeSet::from(["<3>", "<6>"]), "{text}");
}

#[test]
fn a_server_that_does_not_start_says_so_as_json_too() {
    let (folder, _backend) = node("format = \"json\"");
    folder.write("zones/shop.toml", "nonsense = 1\n");
    loop {
        let process = Process::spawn(&folder);
        process.wait_for_log("does not start");
        // Unless the TCP port of its UDP port has just been taken.
        if !process.has_logged("already in use") {
            wait_for(&process, "ERROR", "the server does not start", &[("reason", "nonsense")]);
            assert_eq!(process.wait(), Some(1));
            return;
        }
    }
}

//! The `rhumb` command as an operator uses it: serve, ask, order, reload, stop.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::process::Output;

use live::Folder;
use live::ask;
use live::exists;
use live::wait_until;
use process::Process;
use process::RHUMB;
use serde_json::Value;

fn zone(ttl: u32, port: u16) -> String {
    format!(
        r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[site.fra]
latitude = 50.11
longitude = 8.68
[check.alive]
kind = "tcp"
port = {port}
interval = "200ms"
timeout = "200ms"
[pool.eu]
site = "fra"
check = "alive"
endpoint.a.addresses = ["127.0.0.1"]
[pool.us]
endpoint.a.addresses = ["198.18.2.1"]
[policy.home]
kind = "failover"
targets = ["eu", "us"]
[name.www]
steer = "home"
ttl = "{ttl}s"
"#
    )
}

/// A node's files with a backend that is up while this lives.
fn node(listen: &str) -> (Folder, TcpListener) {
    let folder = Folder::new();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    folder.write("zones/shop.toml", zone(30, backend.local_addr().unwrap().port()));
    let node = format!(
        "[server]\nlisten = [\"{listen}\"]\nworkers = 2\n[admin]\nsocket = \"rhumb.sock\"\n"
    );
    folder.write("rhumb.toml", node);
    (folder, backend)
}

/// Runs a command on the folder's node; exit code, standard output and error.
fn rhumb(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    let config = folder.path("rhumb.toml");
    let mut command = Command::new(RHUMB);
    command.args(arguments).arg("--config").arg(config).env("USER", "ada").env_remove("SUDO_USER");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[track_caller]
fn rhumb_json(folder: &Folder, arguments: &[&str]) -> Value {
    let (code, output, error) = rhumb(folder, &[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{output}{error}");
    serde_json::from_str(&output).unwrap()
}

fn served(process: &Process) -> String {
    ask(process.address(), "www.shop.test.").addresses[0].to_string()
}

#[test]
fn an_operator_sees_orders_and_explanations_take_effect() {
    let (folder, _backend) = node("127.0.0.1:0");
    let process = Process::start(&folder);
    process.wait_for_log("eu/a");
    wait_until("the backend is up", || {
        rhumb_json(&folder, &["status"])["pools"][0]["endpoints"][0]["targets"][0]["verdict"]
            == "up"
    });
    assert_eq!(served(&process), "127.0.0.1");
    assert!(rhumb(&folder, &["status"]).1.contains("pool eu  (fra, check alive)  qualifies"));
    if let Ok(dig) = Command::new("dig")
        .args(["@127.0.0.1", "-p", &process.address().port().to_string()])
        .args(["www.shop.test", "A", "+short", "+tries=1", "+time=20"])
        .output()
    {
        assert_eq!(String::from_utf8_lossy(&dig.stdout), "127.0.0.1\n");
    }

    let why = ["--reason", "a disk is swapped", "--until", "1h"];
    let (code, output, _) = rhumb(&folder, &[&["drain", "eu/a"], &why[..]].concat());
    assert_eq!(code, 0);
    assert!(output.contains("by ada: a disk is swapped (until 2"), "{output}");
    wait_until("the drain is in answers", || served(&process) == "198.18.2.1");
    let order = &rhumb_json(&folder, &["status"])["orders"][0];
    assert_eq!((&order["scope"], &order["author"]), (&"endpoint eu/a".into(), &"ada".into()));
    let (code, _, error) = rhumb(&folder, &[&["drain", "us"], &why[..]].concat());
    assert_eq!(code, 1, "nothing would be left");
    assert!(error.contains("--force"), "{error}");
    assert_eq!(rhumb(&folder, &["undrain", "eu/a"]).0, 0);
    wait_until("it is over", || served(&process) == "127.0.0.1");
    assert_eq!(rhumb(&folder, &["undrain", "eu/a"]).0, 1, "there is nothing to undo");

    let force = ["force", "site:fra", "--as", "down"];
    assert_eq!(rhumb(&folder, &[&force[..], &why[..]].concat()).0, 0);
    wait_until("the force is in answers", || served(&process) == "198.18.2.1");
    assert_eq!(rhumb(&folder, &["undrain", "site:fra"]).0, 0);
    wait_until("it is over", || served(&process) == "127.0.0.1");

    let why = ["--reason", "nothing waits"];
    for (order, refusal) in [
        (&["failback", "eu"][..], "has all its clients already"),
        (&["release-brake"], "the brake holds nothing"),
        (&["shift", "home", "us=5%", "--over", "30m"], "has no weights"),
    ] {
        let (code, _, error) = rhumb(&folder, &[order, &why[..]].concat());
        assert_eq!(code, 1, "{order:?}");
        assert!(error.contains(refusal), "{error}");
    }
    let (code, _, error) = rhumb(&folder, &["shift", "home", "--back"]);
    assert!(code == 1 && error.contains("is not shifted"), "{error}");
    assert_eq!(rhumb(&folder, &["shift", "home"]).0, 2, "what to shift is not said");

    let explain = ["explain", "www.shop.test", "A", "--client", "192.0.2.7"];
    let explained = rhumb_json(&folder, &explain);
    assert_eq!(explained["steering"]["pool"], "eu");
    assert!(explained["records"][0].as_str().unwrap().ends_with("A 127.0.0.1"), "{explained}");
    let explained = rhumb_json(&folder, &[&explain[..], &["--down", "eu"]].concat());
    assert_eq!(explained["steering"]["pool"], "us");
    assert_eq!(served(&process), "127.0.0.1", "what is supposed changes nothing");
    assert!(rhumb(&folder, &explain).1.contains("live health of the running server"));
    assert_eq!(rhumb(&folder, &[&explain[..], &["--down", "nobody"]].concat()).0, 1);

    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
    assert!(!exists(&folder.path("rhumb.sock")));
    let (code, _, error) = rhumb(&folder, &["status"]);
    assert_eq!(code, 1);
    assert!(error.contains("is the server running?"), "{error}");
    assert!(error.contains("rhumb.sock: nothing is there"), "{error}");
    let (code, output, _) = rhumb(&folder, &explain);
    assert_eq!(code, 0);
    assert!(output.contains("files only, "), "{output}");
    assert!(output.contains("(no server at "), "{output}");
}

#[test]
fn files_are_read_again_on_hangup_and_by_command() {
    let (folder, backend) = node("127.0.0.1:0");
    let port = backend.local_addr().unwrap().port();
    let process = Process::start(&folder);
    let ttl = || ask(process.address(), "www.shop.test.").ttls[0];
    assert_eq!(ttl(), 30);
    // The watch may be first; what counts is that neither ends the process.
    folder.write("zones/shop.toml", zone(40, port));
    process.signal("HUP");
    wait_until("the files are in force", || ttl() == 40);
    folder.write("zones/shop.toml", "nonsense = 1");
    let (code, _, error) = rhumb(&folder, &["reload"]);
    assert_eq!(code, 1);
    assert!(error.contains("files refused, 1 problem; serving 1 zone, generation "), "{error}");
    assert!(error.contains("zones/shop.toml:1:1\n"), "{error}");
    process.wait_for_log("files refused, ");
    assert_eq!(ttl(), 40);
    let (_, status, _) = rhumb(&folder, &["status"]);
    assert!(status.contains("REFUSED: files on disk since "), "{status}");
    assert!(status.contains("zones/shop.toml:1:1\n"), "{status}");
    let (code, output, _) = rhumb(&folder, &["reload", "--json"]);
    let reply: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &reply["reply"]), (1, &"failed".into()));
    let problem = &reply["problems"][0];
    let shown = ["severity", "rule", "key", "fault"].map(|key| problem[key].as_str().unwrap());
    assert_eq!(shown, ["error", "unknown-key", "nonsense", "this key is not known here"]);
    assert!(problem["file"].as_str().unwrap().ends_with("zones/shop.toml"), "{problem}");
    assert_eq!((&problem["line"], &problem["column"]), (&1.into(), &1.into()));
    assert!(problem["remedy"].as_str().unwrap().starts_with("the keys here are: "), "{problem}");
    folder.write("zones/shop.toml", zone(50, port));
    let (code, output, _) = rhumb(&folder, &["reload"]);
    assert_eq!((code, ttl()), (0, 50), "it is in force when the command ends");
    assert!(output.starts_with("serving 1 zone, generation "), "{output}");
    let (code, output, _) = rhumb(&folder, &["reload", "--json"]);
    assert!(code == 0 && output.contains("\"reply\": \"done\""), "{output}");
    assert!(!rhumb(&folder, &["status"]).1.contains("REFUSED"));
    assert_eq!(rhumb(&folder, &["reload", "--wait", "soon"]).0, 2);
    process.signal("INT");
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn check_tells_by_its_exit_code() {
    let (folder, _backend) = node("127.0.0.1:0");
    let (code, output, _) = rhumb(&folder, &["check"]);
    assert_eq!(code, 0);
    assert!(output.contains("fine: 1 zone, 1 steered name, "), "{output}");
    assert_eq!(rhumb(&folder, &["check", "--nonsense"]).0, 2);
    folder.write("zones/shop.toml", "nonsense = 1");
    let (code, output, _) = rhumb(&folder, &["check"]);
    assert_eq!(code, 1);
    assert!(output.contains("nonsense"), "{output}");
    assert_eq!(rhumb(&folder, &["check", "--json"]).0, 1);
    folder.write("rhumb.toml", "[server]\nlisten = 1");
    assert_eq!(rhumb(&folder, &["check"]).0, 1);
}

#[test]
fn a_second_server_says_what_is_taken() {
    let (folder, _backend) = node("127.0.0.1:0");
    let process = Process::start(&folder);
    // Another node on the same port.
    let (other, _other_backend) = node(&process.address().to_string());
    let second = Process::spawn(&other);
    second.wait_for_log("rhumb: address already in use: another server answers on 127.0.0.1:");
    assert_eq!(second.wait(), Some(1));
    assert!(!exists(&other.path("rhumb.sock")));
    // The same node again, on another port.
    let second = Process::spawn(&folder);
    wait_until("it is told", || {
        // Its own port is the kernel's choice, and may be taken for TCP.
        second.has_logged("rhumb: another server uses the control socket")
            || second.has_logged("already in use")
    });
    assert_eq!(second.wait(), Some(1));
    assert_eq!(rhumb(&folder, &["status"]).0, 0, "the first goes on");

    // A server that had no time to tidy up.
    process.signal("KILL");
    process.wait();
    assert!(exists(&folder.path("rhumb.sock")), "it is left behind");
    let process = Process::start(&folder);
    assert_eq!(rhumb(&folder, &["status"]).0, 0);
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

#[test]
fn the_server_is_found_where_systemd_puts_its_socket() {
    let (folder, _backend) = node("127.0.0.1:0");
    let _process = Process::start(&folder);
    let zones = format!("[config]\nzones = \"{}\"\n", folder.path("zones").display());
    folder.write("plain.toml", zones);
    let run = |arguments: &[&str], runtime: &str| {
        let mut command = Command::new(RHUMB);
        command.args(arguments).arg("--config").arg(folder.path("plain.toml"));
        command.env_remove("XDG_RUNTIME_DIR").env("RUNTIME_DIRECTORY", folder.path(runtime));
        let output = command.output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, output, error) = run(&["status"], "");
    assert_eq!(code, Some(0), "{error}");
    assert!(output.contains("pool eu"), "{output}");

    // A socket that a dead server left behind: nobody answers.
    std::fs::create_dir(folder.path("dead")).unwrap();
    drop(UnixListener::bind(folder.path("dead/rhumb.sock")).unwrap());
    let (code, _, error) = run(&["status"], "dead");
    assert_eq!(code, Some(1));
    assert!(error.contains("dead/rhumb.sock: nobody answers"), "{error}");
    let explain = ["explain", "www.shop.test", "--client", "192.0.2.7"];
    let (code, output, error) = run(&explain, "dead");
    assert_eq!(code, Some(0), "{error}");
    assert!(output.contains("dead/rhumb.sock: nobody answers)"), "{output}");

    // A socket that is no socket's name is no absence of a server.
    folder.write("file", "");
    let (code, _, error) = run(&explain, "file");
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("control socket "), "{error}");
}

#[test]
fn a_faulty_configuration_does_not_block_who_names_the_socket() {
    let (folder, _backend) = node("127.0.0.1:0");
    let _process = Process::start(&folder);
    folder.write("rhumb.toml", "[server]\nlisten = 1");
    let socket = folder.path("rhumb.sock").display().to_string();
    assert_eq!(rhumb(&folder, &["status", "--socket", &socket]).0, 0);
    let explain = ["explain", "www.shop.test", "--client", "192.0.2.7"];
    let (code, output, _) = rhumb(&folder, &[&explain[..], &["--socket", &socket]].concat());
    assert_eq!(code, 0);
    assert!(output.contains("live health of the running server"), "{output}");
    for arguments in [&["status"][..], &explain] {
        let (code, _, error) = rhumb(&folder, arguments);
        assert_eq!(code, 1);
        assert!(error.contains("rhumb.toml has problems"), "{error}");
        assert!(error.contains("--socket"), "{error}");
    }
}

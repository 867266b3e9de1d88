//! `rhumb probe` and `rhumb status` as an operator uses them at three in the morning, with and without a server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "probes/certificate.rs"]
#[allow(dead_code, reason = "the tests of probes need the rest")]
mod certificate;
mod live;
mod process;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::process::Command;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use certificate::Authority;
use hickory_proto::op::Message;
use hickory_proto::op::MessageType;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::A;
use live::Folder;
use live::Live;
use live::wait_until;
use process::Process;
use process::RHUMB;
use serde_json::Value;

/// A backend of HTTP that answers by path until it is dropped.
struct Backend {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Backend {
    fn start(at: &str, answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let mut head = [0; 4096];
                let len = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..len]);
                let path = head.split(' ').nth(1).unwrap_or_default();
                let _ = stream.write_all(answer(path).as_bytes());
            }
        });
        Self { address, is_over }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        // Wakes it, so that the port is closed when this is over.
        let _ = TcpStream::connect(self.address);
        wait_until("nobody listens", || TcpStream::connect(self.address).is_err());
    }
}

fn ok(_: &str) -> String {
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nall is ok".into()
}

/// A node's files around pools and checks.
fn node(rest: &str, node: &str) -> Folder {
    let folder = Folder::new();
    let zone = format!(
        "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n[name.www]\nsteer = \"eu\"\n{rest}"
    );
    folder.write("zones/shop.toml", zone);
    let listen =
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nsocket = \"rhumb.sock\"\n";
    folder.write("rhumb.toml", format!("{listen}{node}"));
    folder
}

/// Runs a command on the folder's node; exit code, standard output and error.
fn rhumb(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(RHUMB);
    command.args(arguments).arg("--config").arg(folder.path("rhumb.toml"));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[track_caller]
fn json(folder: &Folder, arguments: &[&str], wanted_code: i32) -> Value {
    let (code, output, error) = rhumb(folder, &[arguments, &["--json"]].concat());
    assert_eq!(code, wanted_code, "{output}{error}");
    serde_json::from_str(&output).unwrap()
}

fn two(one: &Backend, other: &Backend) -> String {
    format!(
        "[check.web]\nkind = \"http\"\nport = {}\nbody = \"ok\"\ninterval = \"300ms\"\ntimeout = \"300ms\"\nrise = 1\nhold_down = \"0s\"\n\
         degraded = [{{ over = \"250ms\", weight = \"50%\" }}]\n\
         [pool.eu]\ncheck = \"web\"\nendpoint.fra-1.addresses = [\"127.0.0.1\"]\n\
         endpoint.fra-2.addresses = [\"127.0.0.1\"]\nendpoint.fra-2.probe.web = {{ port = {} }}\n",
        one.port(),
        other.port()
    )
}

#[test]
fn a_probe_by_hand_needs_no_server_and_tells_all_it_saw() {
    let (one, other) = (Backend::start("127.0.0.1:0", ok), Backend::start("127.0.0.1:0", ok));
    let folder = node(&two(&one, &other), "");
    let (code, output, error) = rhumb(&folder, &["probe", "eu/fra-1"]);
    assert_eq!(code, 0, "{output}{error}");
    let port = one.port();
    for line in [
        "eu/fra-1 at 127.0.0.1, check web: PASSES".to_owned(),
        format!("  asks       GET http://127.0.0.1:{port}/ at 127.0.0.1:{port}, from 127.0.0.1"),
        "  wants      status 200-299; \"ok\" in the body".to_owned(),
        "  received   status 200, 73 octets".to_owned(),
        "             | all is ok".to_owned(),
        "  degraded   no, level 1 begins above 250ms".to_owned(),
    ] {
        assert!(output.lines().any(|one| one == line), "{line} is not in\n{output}");
    }
    assert!(output.contains("  phases     connect "), "{output}");
    assert!(output.contains(" ms, first byte ") && output.contains(" ms of 300ms\n"), "{output}");
    assert!(output.contains("  server     no server at "), "{output}");

    let told = json(&folder, &["probe", "fra-2"], 0);
    assert_eq!((&told["endpoint"], &told["outcome"]), (&"eu/fra-2".into(), &"passes".into()));
    let probe = &told["targets"][0]["tree"]["probe"];
    assert_eq!(probe["port"], other.port());
    assert_eq!((&probe["status"], &probe["source"]), (&200.into(), &"127.0.0.1".into()));
    assert_eq!((&probe["degraded_level"], &probe["weight_left_percent"]), (&0.into(), &100.into()));
    assert!(probe["total_ms"].as_f64().unwrap() > 0.0);
    assert!(probe["phases_ms"]["first_byte"].as_f64().unwrap() > 0.0, "{probe}");
    assert!(probe["phases_ms"]["tls"].is_null(), "{probe}");

    drop(other);
    let (code, output, _) = rhumb(&folder, &["probe", "eu/fra-2"]);
    assert_eq!(code, 1);
    assert!(output.starts_with("eu/fra-2 at 127.0.0.1, check web: FAILS\n"), "{output}");
    assert!(output.contains("\n  said       connect refused\n"), "{output}");
    assert!(output.contains("\n  received   nothing\n"), "{output}");
}

#[test]
fn what_cannot_be_meant_is_usage_and_files_with_problems_are_told() {
    let backend = Backend::start("127.0.0.1:0", ok);
    let folder = node(&two(&backend, &backend), "");
    for (arguments, why) in [
        (&["probe", "eu/fra-3"][..], "there is no endpoint eu/fra-3; did you mean eu/fra-1?"),
        (&["probe", "eu"], "eu is a pool; name one of its endpoints: eu/fra-1, eu/fra-2"),
        (&["probe", "fra-1", "--check", "wed"], "there is no check wed; did you mean web?"),
    ] {
        let (code, output, error) = rhumb(&folder, arguments);
        assert_eq!((code, &*output), (2, ""), "{error}");
        assert_eq!(error.trim_end(), format!("rhumb: {why}"));
    }
    folder.write("zones/shop.toml", "[zone]\nname = 1\n");
    let (code, _, error) = rhumb(&folder, &["probe", "eu/fra-1"]);
    assert_eq!(code, 1);
    assert!(error.contains("so that nothing is probed; `rhumb check` shows them"), "{error}");
}

#[test]
fn the_servers_word_stands_beside_and_status_tells_when_it_probes_again() {
    let (one, other) = (Backend::start("127.0.0.1:0", ok), Backend::start("127.0.0.1:0", ok));
    let folder = node(&two(&one, &other), "");
    let process = Process::start(&folder);
    let target = |key: &str| {
        let status = json(&folder, &["status", key], 0);
        assert_eq!(status["pools"][0]["endpoints"].as_array().unwrap().len(), 1, "{status}");
        status["pools"][0]["endpoints"][0]["targets"][0].clone()
    };
    wait_until("both are up", || {
        target("eu/fra-1")["verdict"] == "up" && target("eu/fra-2")["verdict"] == "up"
    });
    let probes = &target("eu/fra-1")["probes"];
    assert!((0.0..=30.0).contains(&probes["next_s"].as_f64().unwrap()), "{probes}");
    assert!((0.0..=30.0).contains(&probes["ago_s"].as_f64().unwrap()), "{probes}");
    assert_eq!(probes["penalty"], 0.0);
    let (_, output, _) = rhumb(&folder, &["probe", "eu/fra-1"]);
    assert!(output.contains("\n  server     up for "), "{output}");
    assert!(output.contains("; last: passed in "), "{output}");
    assert!(output.contains(" ago, next "), "{output}");

    drop(other);
    wait_until("it is down", || target("eu/fra-2")["verdict"] == "down");
    assert!(target("eu/fra-2")["probes"]["penalty"].as_f64().unwrap() > 0.9, "it fell once");
    let (_, output, _) = rhumb(&folder, &["status"]);
    let summary = "1 pool, 1 DOES NOT QUALIFY; 2 addresses: 1 up, 1 down";
    let half = "1 pool; 2 addresses: 1 up, 1 down";
    assert!(output.lines().any(|line| line == summary || line == half), "{output}");
    assert!(output.contains("penalty 1.0"), "{output}");
    let (code, output, _) = rhumb(&folder, &["status", "--state", "down"]);
    assert_eq!(code, 0);
    assert!(output.contains("eu/fra-2 ") && !output.contains("eu/fra-1 "), "{output}");
    let chosen = json(&folder, &["status", "eu", "--state", "up"], 0);
    assert_eq!(chosen["pools"][0]["endpoints"][0]["key"], "eu/fra-1");
    let (code, _, error) = rhumb(&folder, &["status", "eu/fra-9"]);
    assert_eq!(code, 1);
    assert!(error.contains("there is no endpoint eu/fra-9; "), "{error}");
    let told = json(&folder, &["probe", "eu/fra-2"], 1);
    let server = &told["targets"][0]["tree"]["server"];
    assert_eq!(server["verdict"], "down");
    assert!(server["last"].as_str().unwrap().starts_with("connect refused"), "{server}");

    // An endpoint that the files have and the server does not: it was not read again.
    let zone = std::fs::read_to_string(folder.path("zones/shop.toml")).unwrap();
    drop(process);
    folder.write("zones/shop.toml", zone + "endpoint.fra-3.addresses = [\"127.0.0.1\"]\n");
    assert_eq!(json(&folder, &["probe", "fra-3"], 0)["endpoint"], "eu/fra-3");
}

#[test]
fn of_a_check_made_of_others_each_part_is_probed_and_the_tree_is_shown() {
    let backend = Backend::start("127.0.0.1:0", ok);
    let states = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(states.path(), "eu/a down new disk\n").unwrap();
    let rest = format!(
        "[check.web]\nkind = \"http\"\nport = {}\n\
         [check.maintenance]\nkind = \"file\"\nstate_file = \"{}\"\n\
         [check.report]\nkind = \"push\"\ntoken_sha256 = [\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]\n\
         [check.inner]\nkind = \"any_of\"\nof = [\"maintenance\", \"web\"]\n\
         [check.whole]\nkind = \"at_least\"\nn = 1\nof = [\"inner\", \"report\"]\nmust = [\"inner\"]\n\
         [pool.eu]\ncheck = \"whole\"\nendpoint.a.addresses = [\"127.0.0.1\"]\n",
        backend.port(),
        states.path().display()
    );
    let folder = node(&rest, "");
    let (code, output, error) = rhumb(&folder, &["probe", "eu/a"]);
    assert_eq!(code, 0, "{output}{error}");
    let lines: Vec<&str> = output.lines().collect();
    for line in [
        "eu/a at 127.0.0.1, check whole: PASSES",
        "  wants      1 of 2 parts, among them inner",
        "  inner (any_of): PASSES",
        "    maintenance (file): FAILS",
        "      said       down by file: new disk",
        "    web (http): PASSES",
        "  report (push): NOT KNOWN",
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{output}");
    }
    assert!(output.contains("there is nothing to probe"), "{output}");
    let (code, output, _) = rhumb(&folder, &["probe", "eu/a", "--check", "maintenance"]);
    assert_eq!(code, 1);
    assert!(output.starts_with("eu/a at 127.0.0.1, check maintenance: FAILS\n"), "{output}");
    assert_eq!(json(&folder, &["probe", "eu/a", "--check", "report"], 1)["outcome"], "unknown");
}

/// A name server that says of every name that it is at 127.0.0.1 and at 127.0.0.9, until the process ends.
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut heard = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut heard) {
            let mut reply = Message::from_vec(&heard[..len]).unwrap();
            reply.metadata.message_type = MessageType::Response;
            reply.metadata.recursion_available = true;
            let query = reply.queries[0].clone();
            if query.query_type() == RecordType::A {
                for last in [1, 9] {
                    let data = RData::A(A::new(127, 0, 0, last));
                    reply.add_answer(Record::from_rdata(query.name().clone(), 30, data));
                }
            }
            let _ = socket.send_to(&reply.to_vec().unwrap(), from);
        }
    });
    address
}

#[test]
fn a_name_is_resolved_as_the_server_does_and_its_redirects_are_told() {
    let answer = |path: &str| match path {
        "/" => "HTTP/1.1 302 Found\r\nLocation: /home\r\n\r\n".to_owned(),
        path => ok(path),
    };
    let backend = Backend::start("127.0.0.1:0", answer);
    let rest = format!(
        "[check.web]\nkind = \"http\"\nport = {}\nredirects = 1\n\
         [pool.eu]\ncheck = \"web\"\nendpoint.a.alias = \"lb.example.net.\"\n",
        backend.port()
    );
    let resolver =
        format!("[resolver]\nservers = [\"{}\"]\nallow = [\"127.0.0.1/32\"]\n", name_server());
    let folder = node(&rest, &resolver);
    let (code, output, error) = rhumb(&folder, &["probe", "a"]);
    assert_eq!(code, 0, "{output}{error}");
    let (first, rest) = output.split_once('\n').unwrap();
    assert!(first.starts_with("eu/a is lb.example.net., resolved in "), "{output}");
    assert!(first.ends_with(" ms: 127.0.0.1"), "{output}");
    let refused =
        "  REFUSED    127.0.0.9 is refused: it is loopback; [resolver] allow lets it in\n";
    assert!(rest.starts_with(refused), "{output}");
    let place = format!("127.0.0.1:{}", backend.port());
    assert!(
        output.contains(&format!("\n  redirected to http://{place}/home at {place}\n")),
        "{output}"
    );
    let told = json(&folder, &["probe", "a"], 0);
    assert!(told["name"]["dns_ms"].as_f64().unwrap() > 0.0, "{told}");
}

#[test]
fn a_certificate_is_told_with_its_days_even_where_the_rest_fails() {
    let authority = Authority::new();
    let acceptor = authority.acceptor_for("shop.test", 30);
    let runtime = live::runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut head = [0; 4096];
                tokio::io::AsyncReadExt::read(&mut stream, &mut head).await?;
                let reply = b"HTTP/1.1 503 Gone\r\nContent-Length: 0\r\n\r\n";
                tokio::io::AsyncWriteExt::write_all(&mut stream, reply).await?;
                tokio::io::AsyncWriteExt::shutdown(&mut stream).await
            });
        }
    });
    let rest = format!(
        "[check.web]\nkind = \"https\"\nport = {port}\nhost = \"shop.test\"\nca = \"ca.pem\"\n\
         [pool.eu]\ncheck = \"web\"\nendpoint.a.addresses = [\"127.0.0.1\"]\n"
    );
    let folder = node(&rest, "");
    folder.write("zones/ca.pem", &*authority.pem());
    let (code, output, _) = rhumb(&folder, &["probe", "eu/a"]);
    assert_eq!(code, 1);
    let received =
        |days| format!("  received   status 503, a certificate with {days} days left, 40 octets\n");
    assert!([29, 30].into_iter().any(|days| output.contains(&received(days))), "{output}");
    assert!(output.contains("  said       status 503, wanted 200-299\n"), "{output}");
    assert!(output.contains(" ms, tls ") && output.contains("| HTTP/1.1 503 Gone"), "{output}");
}

#[test]
fn an_endpoint_that_a_source_tells_of_is_probed_at_its_own_port() {
    let backend = Backend::start("127.0.0.1:0", ok);
    let folder = node("", "[resolver]\nallow = [\"127.0.0.0/8\"]\n");
    let list =
        format!(r#"[{{"targets": ["127.0.0.1:{}"], "labels": {{"id": "b"}}}}]"#, backend.port());
    folder.write("targets.json", list);
    let zone = format!(
        "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n[name.www]\nsteer = \"eu\"\n\
         [check.web]\nkind = \"http\"\n\
         [pool.eu]\ncheck = \"web\"\ndiscover = {{ file = \"{}\", name_label = \"id\" }}\n",
        folder.path("targets.json").display()
    );
    folder.write("zones/shop.toml", zone);
    let (code, output, error) = rhumb(&folder, &["probe", "eu/b"]);
    assert_eq!(code, 0, "{output}{error}");
    assert!(
        output.contains(&format!(" at 127.0.0.1:{}, from 127.0.0.1", backend.port())),
        "{output}"
    );
    let (code, _, error) = rhumb(&folder, &["probe", "eu/c"]);
    assert_eq!(code, 2);
    assert!(error.contains("there is no endpoint eu/c"), "{error}");
}

#[test]
fn of_what_is_reported_the_servers_word_counts() {
    let rest = "[check.report]\nkind = \"push\"\ninterval = \"200ms\"\n\
        token_sha256 = [\"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"]\n\
        [pool.eu]\ncheck = \"report\"\nendpoint.a.addresses = [\"127.0.0.1\"]\n";
    let folder = node(rest, "");
    let told = json(&folder, &["probe", "eu/a"], 1);
    assert_eq!(told["outcome"], "unknown", "nobody knows it without the server");
    let live = Live::start(&folder.options());
    let pages = live.server.admin_address().unwrap();
    wait_until("it is known", || json(&folder, &["status"], 0)["pools"][0]["name"] == "eu");
    let mut stream = TcpStream::connect(pages).unwrap();
    let request = "POST /push/report/eu/a?state=up&reason=build+7 HTTP/1.1\r\nHost: rhumb\r\n\
        Authorization: Bearer secret\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 20"), "{reply}");
    wait_until("it counts", || rhumb(&folder, &["probe", "eu/a"]).0 == 0);
    let (_, output, _) = rhumb(&folder, &["probe", "eu/a"]);
    live.stop();
    assert!(output.starts_with("eu/a at 127.0.0.1, check report: PASSES\n"), "{output}");
    assert!(output.contains("there is nothing to probe; it is as that has it\n"), "{output}");
    assert!(
        output.contains("  server     up for ") && output.contains("reported: build"),
        "{output}"
    );
}

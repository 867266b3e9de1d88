//! Pages for machines and the control socket, as strangers see them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::thread;

use live::Folder;
use live::Live;
use live::PATIENCE;
use live::TcpClient;
use live::ask;
use live::exists;
use live::find_metric;
use live::get;
use live::wait_until;
use rhumb::control::status::PoolStatus;
use rhumb::runtime::serve::StartError;

fn zone(port: u16, timing: &str) -> String {
    format!(
        r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[check.alive]
kind = "http"
port = {port}
{timing}
[pool.eu]
check = "alive"
endpoint.a.addresses = ["127.0.0.1"]
[name.www]
steer = "eu"
"#
    )
}

#[test]
fn a_server_is_ready_once_every_target_has_a_result() {
    // Nobody accepts until the test does: the probe waits.
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(port, "interval = \"60s\"\ntimeout = \"60s\""));
    let live = Live::start(&folder.options());
    let admin = live.server.admin_address().unwrap();
    let (status, _, body) = get(admin, "/readyz");
    assert_eq!((status, body.as_str()), (503, "waiting for the first round of probes\n"));
    assert_eq!(get(admin, "/healthz").0, 200, "it lives all the same");
    assert_eq!(ask(live.address(), "www.shop.test.").addresses.len(), 1, "and answers");
    assert_eq!(get(admin, "/else").0, 404);

    let (mut stream, _) = backend.accept().unwrap();
    let mut request = [0; 1024];
    assert!(stream.read(&mut request).unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    wait_until("it is ready", || get(admin, "/readyz").0 == 200);
    assert_eq!(live.verdict("eu/a").0, "up");
    live.stop();
}

#[test]
fn readiness_does_not_wait_for_ever() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(port, "interval = \"60s\"\ntimeout = \"60s\""));
    let live = Live::start(&folder.options());
    let admin = live.server.admin_address().unwrap();
    assert_eq!(get(admin, "/readyz").0, 503);
    wait_until("it is ready without a result", || get(admin, "/readyz").0 == 200);
    assert_eq!(live.verdict("eu/a").0, "unknown");
    live.stop();
}

/// Families and series of OpenMetrics text; panics where it breaks the format.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let lines: Vec<&str> = text.lines().collect();
    assert!(text.ends_with('\n'));
    assert_eq!(lines.last(), Some(&"# EOF"));
    let (mut helped, mut kinds) = (BTreeSet::new(), BTreeMap::new());
    let mut series = BTreeMap::new();
    let mut family = "";
    for line in &lines[..lines.len() - 1] {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name), "{name} is described twice");
            assert!(!help.is_empty(), "{line}");
            family = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kinds.insert(name, kind).is_none(), "{name} has two types");
            assert_eq!(name, family, "HELP and TYPE stand together");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(value >= 0.0, "{line}");
            let bare = name.split('{').next().unwrap();
            let expected: &[&str] = match kinds[family] {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_count", "_sum"],
                _ => &[""],
            };
            let ending = bare.strip_prefix(family);
            assert!(ending.is_some_and(|ending| expected.contains(&ending)), "{line}");
            assert!(bare.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'));
            if name.len() > bare.len() {
                assert_labels(&name[bare.len()..]);
            }
            assert!(series.insert(name.to_owned(), value).is_none(), "{name} stands twice");
        }
    }
    assert!(kinds.keys().all(|name| name.starts_with("rhumb_")));
    series
}

/// `{a="b",c="d"}`
fn assert_labels(text: &str) {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap();
    for label in inner.split("\",") {
        let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(key.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'), "{text}");
        assert!(!value.trim_end_matches('"').contains('"'), "{text}");
    }
}

#[test]
#[should_panic(expected = "stands twice")]
fn the_parser_of_these_tests_finds_faults() {
    parse("# HELP rhumb_a A.\n# TYPE rhumb_a gauge\nrhumb_a 1\nrhumb_a 2\n# EOF\n");
}

#[test]
fn metrics_show_what_happened() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    drop(backend);
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(port, "interval = \"200ms\"\ntimeout = \"200ms\""));
    let live = Live::start(&folder.options());
    let admin = live.server.admin_address().unwrap();
    wait_until("it is down", || live.verdict("eu/a").0 == "down");
    for _ in 0..3 {
        ask(live.address(), "www.shop.test.");
    }
    ask(live.address(), "nope.shop.test.");
    let mut tcp = TcpClient::new(live.address());
    tcp.ask("www.shop.test.");
    tcp.ask("www.other.test.");
    folder.write("zones/shop.toml", "nonsense = 1");
    live.reload();
    let scrape = || parse(&get(admin, "/metrics").2);
    wait_until("the fault is counted", || {
        scrape()["rhumb_reloads_total{result=\"refused\"}"] == 1.0
    });

    let (status, head, text) = get(admin, "/metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let series = parse(&text);
    let replies = |transport: &str, rcode: &str| {
        let labels = format!("{{transport=\"{transport}\",rcode=\"{rcode}\"}}");
        series[&format!("rhumb_replies_total{labels}")]
    };
    assert_eq!(replies("udp", "NOERROR"), 3.0);
    assert_eq!(replies("udp", "NXDOMAIN"), 1.0);
    assert_eq!(replies("tcp", "NOERROR"), 1.0);
    assert_eq!(replies("tcp", "REFUSED"), 1.0);
    let outcome = |name: &str| series[&format!("rhumb_queries_total{{outcome=\"{name}\"}}")];
    assert_eq!((outcome("fail_open"), outcome("static"), outcome("not_ours")), (4.0, 1.0, 1.0));
    assert!(series["rhumb_probes_total{result=\"fail\"}"] >= 1.0);
    assert_eq!(series["rhumb_probes_total{result=\"pass\"}"], 0.0);
    assert_eq!(series["rhumb_verdict_changes_total"], 1.0);
    assert_eq!(series["rhumb_reloads_total{result=\"accepted\"}"], 1.0);
    assert_eq!(series["rhumb_generation"], 2.0, "the files, then a verdict");
    assert_eq!(series["rhumb_ready"], 1.0);
    assert_eq!(series["rhumb_tcp_accepted_total"], 1.0);
    let target = "rhumb_target{endpoint=\"eu/a\",check=\"alive\",family=\"IPv4\",address=\"\",verdict=\"down\"}";
    let targets: Vec<_> = series.keys().filter(|name| name.starts_with("rhumb_target{")).collect();
    assert_eq!(targets, [target]);
    live.stop();
}

#[test]
fn what_the_brake_holds_up_has_a_metric_and_a_status_of_its_own() {
    let backends: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut text =
        String::from("[zone]\nname = \"shop.test\"\nnameservers = [\"ns.example.net\"]\n");
    for (n, backend) in backends.iter().enumerate() {
        let port = backend.local_addr().unwrap().port();
        text += &format!(
            "[site.s{n}]\nlatitude = {n}\nlongitude = 1\n\
             [check.c{n}]\nkind = \"tcp\"\nport = {port}\ninterval = \"200ms\"\ntimeout = \"200ms\"\n\
             [pool.p{n}]\nsite = \"s{n}\"\ncheck = \"c{n}\"\nendpoint.a.addresses = [\"127.0.0.1\"]\n\
             [name.n{n}]\nsteer = \"p{n}\"\n"
        );
    }
    let folder = Folder::new();
    folder.write("zones/shop.toml", text);
    let live = Live::start(&folder.options());
    let admin = live.server.admin_address().unwrap();
    let verdicts = |word: &str| {
        (0..3).filter(|n| live.verdict(&format!("p{n}/a")).0 == word).collect::<Vec<_>>()
    };
    wait_until("all are up", || verdicts("up").len() == 3);
    drop(backends);
    let held = |pools: &[PoolStatus]| {
        let targets = pools.iter().flat_map(|pool| &pool.endpoints[0].targets);
        targets.filter(|target| target.verdict_text() == "up (brake)").count()
    };
    wait_until("the brake holds two of three", || held(&live.status().pools) == 2);
    let down = verdicts("down")[0];
    wait_until("metrics say so", || parse(&get(admin, "/metrics").2)["rhumb_brake_held"] == 2.0);
    let series = parse(&get(admin, "/metrics").2);
    for n in 0..3 {
        let labels = format!("endpoint=\"p{n}/a\",check=\"c{n}\",family=\"IPv4\",address=\"\"");
        let braked = series.get(&format!("rhumb_target_braked{{{labels}}}")).copied();
        assert_eq!(braked, (n != down).then_some(1.0), "p{n}");
        let verdict = if n == down { "down" } else { "up" };
        assert_eq!(series[&format!("rhumb_target{{{labels},verdict=\"{verdict}\"}}")], 1.0);
    }
    live.stop();
}

/// Sends octets to the control socket; returns the lines that come back until it closes or `lines` came.
fn talk(live: &Folder, octets: &[u8], lines: usize) -> Vec<String> {
    let mut stream = UnixStream::connect(live.path("rhumb.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may hang up before it has read all.
    let _ = stream.write_all(octets);
    let reader = BufReader::new(stream);
    reader.lines().map_while(Result::ok).take(lines).collect()
}

#[test]
fn the_control_socket_takes_anything_and_goes_on() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(9, ""));
    let live = Live::start(&folder.options());
    let mode = std::fs::metadata(folder.path("rhumb.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let ok = b"{\"command\":\"status\"}\n";
    for wrong in ["nonsense", "{", "{\"command\":\"fly\"}", "[1]", ""] {
        let octets = [wrong.as_bytes(), b"\n", ok].concat();
        let replies = talk(&folder, &octets, 2);
        assert!(
            replies[0].starts_with("{\"reply\":\"failed\",\"error\":\"not a command"),
            "{replies:?}"
        );
        assert!(replies[1].starts_with("{\"reply\":\"status\""), "the connection goes on");
    }
    let replies = talk(&folder, &[&vec![b'x'; 140_000][..], b"\n"].concat(), 1);
    assert!(replies.is_empty() || replies[0].contains("at most 131072 octets"), "{replies:?}");
    assert!(talk(&folder, b"\xff\xfe\n", 2).len() <= 1, "no text, no status");
    assert_eq!(talk(&folder, ok, 1).len(), 1, "others are served");

    // Some say nothing, all at once the others ask.
    let silent: Vec<_> =
        (0..20).map(|_| UnixStream::connect(folder.path("rhumb.sock")).unwrap()).collect();
    thread::scope(|scope| {
        for _ in 0..60 {
            scope.spawn(|| {
                let replies = talk(&folder, &ok.repeat(5), 5);
                assert_eq!(replies.len(), 5);
                assert!(replies.iter().all(|reply| reply.starts_with("{\"reply\":\"status\"")));
            });
        }
    });
    drop(silent);
    live.stop();
    assert!(!exists(&folder.path("rhumb.sock")), "the socket is taken away");
}

#[test]
fn a_stop_does_not_wait_for_clients_that_say_nothing() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(9, ""));
    let live = Live::start(&folder.options());
    let mut half = std::net::TcpStream::connect(live.server.admin_address().unwrap()).unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: rh").unwrap();
    let _silent = TcpClient::new(live.address());
    let _waiting = UnixStream::connect(folder.path("rhumb.sock")).unwrap();
    live.stop();
}

#[test]
fn a_start_that_fails_leaves_nothing_and_takes_nothing_away() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", "nonsense = 1");
    let runtime = live::runtime();
    let start = |options: &_| live::start_in(&runtime, options).err().unwrap();
    let error = start(&folder.options());
    assert!(matches!(error, StartError::Refused { .. }), "{error}");
    assert!(!exists(&folder.path("rhumb.sock")));

    folder.write("zones/shop.toml", zone(9, ""));
    folder.write("rhumb.sock", "precious");
    let error = start(&folder.options());
    assert!(error.to_string().contains("a file of another kind is there"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path("rhumb.sock")).unwrap(), "precious");
    std::fs::remove_file(folder.path("rhumb.sock")).unwrap();

    let live = Live::start(&folder.options());
    let mut taken = folder.options();
    taken.admin = live.server.admin_address();
    taken.socket = Some(folder.path("other.sock"));
    let error = start(&taken);
    assert!(error.to_string().starts_with("admin address 127.0.0.1:"), "{error}");
    assert!(!exists(&folder.path("other.sock")));
    let error = start(&folder.options());
    assert!(error.to_string().contains("another server uses the control socket"), "{error}");
    assert_eq!(talk(&folder, b"{\"command\":\"status\"}\n", 1).len(), 1, "the first goes on");
    assert_eq!(find_metric(&live.server.metrics().render(), "rhumb_orders"), Some(0.0));
    live.stop();
}

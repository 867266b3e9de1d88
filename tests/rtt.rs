//! Round-trip times from the outside: beacons over HTTP, handshakes, tables in a folder, the command.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::time::Duration;

use live::Folder;
use live::Live;
use live::PATIENCE;
use live::get;
use live::wait_until;
use rhumb::config::SourceFile;
use rhumb::config::node::load_node;
use rhumb::model::Rtt;
use rhumb::rtt::Key;
use rhumb::rtt::Shelf;
use rhumb::rtt::Source;
use rhumb::runtime::rtt_folder::read_tables;
use rhumb::runtime::serve::Options;
use rhumb::runtime::serve::StartError;
use serde_json::Value;

const RHUMB: &str = env!("CARGO_BIN_EXE_rhumb");

const ORIGIN: &str = "https://www.example.com";

const TOKEN: &str = "a-token-of-enough-octets";

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45
[pool.eu]
site = "fra"
endpoint.a.addresses = ["192.0.2.10"]
[pool.us]
site = "iad"
endpoint.a.addresses = ["198.51.100.10"]
[policy.world]
kind = "failover"
targets = ["eu", "us"]
[name.www]
steer = "world"
"#;

/// Clients in Frankfurt, and everybody on loopback.
const OVERLAY: &str = "network,country,latitude,longitude,accuracy_km,asn\n\
    203.0.113.0/24,DE,50.11,8.68,20,64496\n127.0.0.0/24,DE,50.11,8.68,20,64497\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("zones/shop.toml", ZONE);
    folder.write("own.csv", OVERLAY);
    folder.write("token", format!("{TOKEN}\n"));
    folder
}

/// What a `[rtt]` table says, beside what the server needs to run.
fn options(folder: &Folder, more: &str) -> Options {
    let text = format!("[rtt]\nfolder = 'rtt'\nbuild = true\norigins = ['{ORIGIN}']\n{more}\n");
    let (node, problems, _) = load_node(&SourceFile::new("rhumb.toml", &text));
    let rtt = node.unwrap_or_else(|| panic!("{problems:?}")).rtt.unwrap();
    // Shorter than an operator may write, for the test not to take minutes.
    let (window, delay) = (Duration::from_secs(1), Duration::ZERO);
    let token_file = Some(folder.path("token"));
    let mut options = folder.options();
    options.sources.rtt = Some(folder.path("rtt"));
    options.sources.overlays = vec![folder.path("own.csv")];
    options.rtt = Some(Rtt { window, delay, token_file, ..rtt });
    options
}

/// Status, head and body of a request with these header lines.
fn request(
    address: SocketAddr,
    method: &str,
    fields: &[String],
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("{method} /rtt HTTP/1.1\r\nHost: rhumb\r\nConnection: close\r\n");
    let length = format!("Content-Length: {}\r\n", body.len());
    let text = format!("{head}{}{length}\r\n{body}", fields.concat());
    // Who refuses a long body may close before it has read all of it.
    let _ = stream.write_all(text.as_bytes());
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{reply:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

fn origin() -> String {
    format!("Origin: {ORIGIN}\r\n")
}

fn token() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

fn rows(folder: &Folder, key: &str, site: &str) -> Option<(Option<i32>, [u32; 3])> {
    let shelf = Shelf::read(read_tables(&folder.path("rtt")).unwrap());
    assert_eq!(shelf.problems, [], "every table can be read");
    let row = *shelf.newest()?.table.find(Key::find(key)?, site)?;
    Some((row.standing.counts_us, row.evidence.map(|evidence| evidence.weight_milli)))
}

#[test]
fn beacons_of_allowed_pages_become_a_table_after_two_windows() {
    let folder = folder();
    let live = Live::start(&options(&folder, "posts_a_minute = 100000"));
    let admin = live.server.admin_address().unwrap();
    let line = "{\"site\":\"fra\",\"rtt_ms\":80}\n";
    wait_until("two windows have counted", || {
        let (status, head, body) = request(admin, "POST", &[origin()], line);
        assert_eq!(status, 200, "{body}");
        assert!(head.contains("access-control-allow-origin: https://www.example.com"), "{head}");
        let outcome: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&outcome["taken"], &outcome["refused"]), (&1.into(), &0.into()));
        rows(&folder, "DE/AS64497", "fra").is_some_and(|(counts, _)| counts.is_some())
    });
    let (_, weights) = rows(&folder, "127.0.0.0/24", "fra").unwrap();
    assert!(weights[Source::Beacon.index()] > 0 && weights[Source::Import.index()] == 0);
    live.stop();
}

#[test]
fn posts_are_refused_with_a_reason_and_nothing_is_taken_from_strangers() {
    let folder = folder();
    let live =
        Live::start(&options(&folder, "post_octets = 256\npost_lines = 3\nposts_a_minute = 6"));
    let admin = live.server.admin_address().unwrap();
    let line = "{\"site\":\"fra\",\"rtt_ms\":12}\n";
    let post = |fields: &[String], body: &str| {
        let (status, _, body) = request(admin, "POST", fields, body);
        (status, body)
    };
    assert_eq!(post(&[], line).0, 403, "neither page nor token");
    assert_eq!(post(&["Origin: https://evil.example\r\n".into()], line).0, 403);
    assert_eq!(post(&["Authorization: Bearer wrong\r\n".into()], line).0, 401);
    assert_eq!(post(&[origin()], &line.repeat(4)).0, 413, "too many lines");
    assert_eq!(post(&[origin()], &"x".repeat(300)).0, 413, "too many octets");
    let (status, body) = post(&[origin()], "{\"site\":\"iad\",\"rtt_ms\":1}\nnonsense\n");
    assert_eq!(status, 400);
    let outcome: Value = serde_json::from_str(&body).unwrap();
    assert!(outcome["faults"][0]["reason"].as_str().unwrap().starts_with("impossible: "), "{body}");
    assert_eq!(outcome["faults"][1]["line"], 2);
    let mixed = post(&[origin()], &format!("nonsense\n{line}"));
    assert_eq!(mixed.0, 200, "what can be true is taken: {}", mixed.1);
    let other = "{\"site\":\"fra\",\"rtt_ms\":12,\"client\":\"203.0.113.5\"}\n";
    assert_eq!(post(&[origin()], other).0, 400, "a page speaks of itself");
    assert_eq!(post(&[origin()], line).0, 200, "the sixth of this minute");
    let (status, head, _) = request(admin, "POST", &[origin()], line);
    assert_eq!((status, head.contains("retry-after: 60")), (429, true));
    assert_eq!(post(&[token()], other).0, 200, "the token has no such limit");
    live.stop();
}

#[test]
fn who_has_the_token_speaks_for_others_and_a_proxy_names_its_client() {
    let folder = folder();
    let live = Live::start(&options(&folder, ""));
    let admin = live.server.admin_address().unwrap();
    let named = "{\"site\":\"iad\",\"rtt_ms\":99,\"client\":\"203.0.113.5\"}\n";
    assert_eq!(request(admin, "POST", &[token()], named).0, 200);
    let forwarded = "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n".to_owned();
    let line = "{\"site\":\"fra\",\"rtt_ms\":30}\n";
    assert_eq!(request(admin, "POST", &[token(), forwarded.clone()], line).0, 200);
    assert_eq!(request(admin, "POST", &[origin(), forwarded], line).0, 200, "it is not believed");
    wait_until("all have come into a table", || {
        let is_there = |key, site| rows(&folder, key, site).is_some();
        is_there("203.0.113.0/24", "iad")
            && is_there("203.0.113.0/24", "fra")
            && is_there("127.0.0.0/24", "fra")
    });
    assert!(rows(&folder, "198.51.100.0/24", "fra").is_none(), "anybody can write the first word");
    live.stop();
}

#[test]
fn browsers_are_told_before_they_post() {
    let folder = folder();
    let live = Live::start(&options(&folder, ""));
    let admin = live.server.admin_address().unwrap();
    let wanted = "Access-Control-Request-Method: POST\r\n".to_owned();
    let (status, head, _) = request(admin, "OPTIONS", &[origin(), wanted.clone()], "");
    assert_eq!(status, 204);
    for field in
        ["allow-methods: post", "allow-headers: content-type", "allow-origin: https://www."]
    {
        assert!(head.contains(&format!("access-control-{field}")), "{head}");
    }
    let foreign = "Origin: https://evil.example\r\n".to_owned();
    let (status, head, _) = request(admin, "OPTIONS", &[foreign, wanted], "");
    assert_eq!(status, 403);
    assert!(!head.contains("access-control"), "{head}");
    live.stop();
    let live = Live::start(&folder.options());
    let admin = live.server.admin_address().unwrap();
    assert_eq!(get(admin, "/rtt").0, 404, "a node that makes no table takes none");
    live.stop();
}

#[test]
fn posts_may_have_an_address_of_their_own_that_shows_nothing_else() {
    let folder = folder();
    let live = Live::start(&options(&folder, "listen = '127.0.0.1:0'"));
    let (posts, admin) =
        (live.server.posts_address().unwrap(), live.server.admin_address().unwrap());
    let line = "{\"site\":\"fra\",\"rtt_ms\":80}\n";
    let (status, _, body) = request(posts, "POST", &[origin()], line);
    assert_eq!(status, 200, "{body}");
    let (status, _, script) = get(posts, "/beacon.js");
    assert_eq!((status, script.as_str()), (200, include_str!("../deploy/beacon.js")));
    for page in ["/metrics", "/healthz", "/readyz", "/"] {
        assert_eq!(get(posts, page).0, 404, "{page}");
    }
    assert_eq!(get(admin, "/metrics").0, 200);
    assert_eq!(request(admin, "POST", &[origin()], line).0, 404, "not in two places");
    live.stop();
}

#[test]
fn handshakes_of_resolvers_are_measured_to_the_site_of_the_node() {
    let folder = folder();
    let mut options = options(&folder, "handshakes = true");
    options.site = Some("fra".into());
    let live = Live::start(&options);
    wait_until("a table has handshakes", || {
        drop(TcpStream::connect(live.address()).unwrap());
        rows(&folder, "127.0.0.0/24", "fra")
            .is_some_and(|(_, weights)| weights[Source::Handshake.index()] > 0)
    });
    live.stop();
}

#[test]
fn a_token_that_anybody_could_guess_stops_the_start() {
    let folder = folder();
    let options = options(&folder, "");
    folder.write("token", "short\n");
    let runtime = live::runtime();
    let why = match live::start_in(&runtime, &options) {
        Err(StartError::Token { why, .. }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it starts"),
    };
    assert_eq!(why, "5 octets; write 16 to 256 into it");
}

fn rhumb(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(RHUMB).args(arguments).current_dir(folder.path("")).output().unwrap()
}

fn with_settings(folder: &Folder) -> PathBuf {
    folder.write("rhumb.toml", "[geo]\noverlays = ['own.csv']\n[rtt]\nfolder = 'rtt'\n");
    folder.path("rtt")
}

#[test]
fn an_import_is_judged_whole_and_shown_as_it_counts() {
    let folder = folder();
    let tables = with_settings(&folder);
    folder.write(
        "bad.csv",
        "prefix,site,rtt_ms,samples\n203.0.113.0/24,iad,20,5\n203.0.113.0/24,ams,20,5\n",
    );
    let refused = rhumb(&folder, &["rtt", "import", "bad.csv"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    for part in
        ["2 problems", "bad.csv:2:20", "impossible: 6553 km", "bad.csv:3:16", "no site `ams`"]
    {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(!tables.exists(), "nothing is written");

    folder.write(
        "good.csv",
        "prefix,site,rtt_ms,samples\n203.0.113.0/24,fra,180,500\n203.0.113.0/24,iad,95,500\n",
    );
    let imported = rhumb(&folder, &["rtt", "import", "good.csv", "--json"]);
    let imported: Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!((&imported["lines"], &imported["rows"]), (&2.into(), &4.into()));
    let shown = rhumb(&folder, &["rtt", "show", "203.0.113.7", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let sites: Vec<&str> =
        shown["rows"].as_array().unwrap().iter().map(|row| row["site"].as_str().unwrap()).collect();
    assert_eq!(sites, ["iad", "fra"], "the fastest first: {shown}");
    assert_eq!(shown["rows"][0]["source"], "import");
    assert_eq!(shown["rows"][1]["prior_ms"], "5.000");

    let later = rhumb(&folder, &["rtt", "import", "good.csv", "--at", "1h"]);
    assert!(later.status.success());
    let shown = rhumb(&folder, &["rtt", "show", "--site", "iad"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("coming: rtt-") && text.contains("DE/AS64496"), "{text}");
    assert!(!text.contains("fra"), "{text}");
    assert_eq!(
        rhumb(&folder, &["rtt", "import", "good.csv", "--at", "soon"]).status.code(),
        Some(2)
    );
    assert_eq!(rhumb(&folder, &["rtt", "show", "--site", "ams"]).status.code(), Some(1));
}

#[test]
fn a_damaged_table_is_told_and_left_out() {
    let folder = folder();
    let tables = with_settings(&folder);
    folder.write("good.csv", "prefix,site,rtt_ms,samples\n203.0.113.0/24,fra,18,500\n");
    assert!(rhumb(&folder, &["rtt", "import", "good.csv"]).status.success());
    std::fs::write(tables.join("rtt-0123456789abcdef.table"), "rhumb-rtt 1\n").unwrap();
    let shown = rhumb(&folder, &["rtt", "show"]);
    assert!(shown.status.success());
    let warnings = String::from_utf8(shown.stderr).unwrap();
    assert!(
        warnings.contains("rtt-0123456789abcdef.table:2:1: the line is not `built `"),
        "{warnings}"
    );
    assert!(String::from_utf8(shown.stdout).unwrap().contains("203.0.113.0/24"));
}

//! Certificates of encrypted transports: what is wrong with them, and how they are replaced.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "encrypted/clients.rs"]
#[allow(dead_code, reason = "these tests connect by TLS alone")]
mod clients;
mod live;
mod process;
#[path = "encrypted/world.rs"]
#[allow(dead_code, reason = "these tests connect by TLS alone")]
mod world;

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;

use clients::Dot;
use clients::trusting;
use hickory_proto::rr::RecordType;
use live::Live;
use live::find_metric;
use live::get;
use live::runtime;
use live::wait_until;
use process::Process;
use rhumb::answer::Transport;
use world::Authority;
use world::World;
use world::query;

impl World {
    fn dot(&self) -> Dot {
        let config = trusting(&self.authority.pem(), b"dot");
        self.run(Dot::connect(self.at(Transport::Tls), config)).unwrap()
    }

    /// The certificate that a new client is shown.
    fn shown(&self) -> Vec<u8> {
        self.dot().certificate()
    }

    fn loads(&self, result: &str) -> Option<f64> {
        self.live.metric(&format!("rhumb_certificate_loads_total{{result=\"{result}\"}}"))
    }

    fn is_stale(&self) -> bool {
        self.live.metric("rhumb_certificate_stale") == Some(1.0)
    }
}

#[test]
fn a_new_certificate_is_shown_to_new_clients_and_old_connections_go_on() {
    let world = World::start();
    let asked = query("static.shop.test.", RecordType::A, vec![]);
    let mut old = world.dot();
    let before = old.certificate();
    world.run(old.ask(&asked)).unwrap();
    let (certificate, key) = world.authority.issue(2998);
    world.folder.write("tls/privkey.pem", key);
    world.folder.write("tls/fullchain.pem", certificate);
    wait_until("the new certificate is shown", || world.shown() != before);
    world.run(old.ask(&asked)).unwrap();
    assert_eq!(world.loads("accepted"), Some(2.0));
    world.live.stop();
}

#[test]
fn a_bad_pair_keeps_the_old_one_until_a_good_one_comes() {
    let world = World::start();
    let before = world.shown();
    let (certificate, key) = world.authority.issue(2998);
    world.folder.write("tls/fullchain.pem", &certificate);
    wait_until("the pair that does not fit is refused", || world.is_stale());
    assert_eq!(world.shown(), before);
    world.folder.write("tls/fullchain.pem", "no certificate");
    wait_until("it is refused again", || world.loads("refused") >= Some(2.0));
    assert_eq!(world.shown(), before);
    world.folder.write("tls/fullchain.pem", certificate);
    world.folder.write("tls/privkey.pem", key);
    wait_until("the good pair is shown", || world.shown() != before);
    assert!(!world.is_stale());
    world.live.stop();
}

#[test]
fn links_that_are_turned_are_followed() {
    let authority = Authority::new();
    let folder = world::folder(&authority);
    // As Kubernetes mounts a secret: names lead through a link to a folder that is replaced.
    for (version, year) in [("one", 2990), ("two", 2991)] {
        std::fs::create_dir(folder.path(version)).unwrap();
        let (certificate, key) = authority.issue(year);
        folder.write(&format!("{version}/tls.crt"), certificate);
        folder.write(&format!("{version}/tls.key"), key);
    }
    symlink("one", folder.path("data")).unwrap();
    std::fs::remove_dir_all(folder.path("tls")).unwrap();
    std::fs::create_dir(folder.path("tls")).unwrap();
    symlink("../data/tls.crt", folder.path("tls/fullchain.pem")).unwrap();
    symlink("../data/tls.key", folder.path("tls/privkey.pem")).unwrap();
    let live = Live::start(&world::options(&folder));
    let world = World { folder, authority, live };
    let before = world.shown();
    symlink("two", world.folder.path("data.new")).unwrap();
    std::fs::rename(world.folder.path("data.new"), world.folder.path("data")).unwrap();
    wait_until("the other folder's certificate is shown", || world.shown() != before);
    assert!(!world.is_stale());
    world.live.stop();
}

#[test]
fn a_reload_reads_the_files_though_nothing_tells_of_a_change() {
    let world = World::start();
    // The second look reads the files once; refusals after that come of reloads alone.
    world.folder.write("tls/privkey.pem", "no key");
    wait_until("the missing key is refused", || world.loads("refused") == Some(1.0));
    world.live.reload();
    wait_until("the reload has read them", || world.loads("refused") == Some(2.0));
    world.live.stop();
}

/// The address in a log line, between these pieces of it.
fn logged(process: &Process, before: &str, after: &str) -> SocketAddr {
    let lines = process.lines();
    let mut rests = lines.iter().filter_map(|line| Some(line.split_once(before)?.1));
    let address = rests.find_map(|rest| Some(rest.split_once(after)?.0)).expect("it is logged");
    address.parse().unwrap()
}

#[test]
fn a_hangup_signal_has_the_program_read_the_certificate_again() {
    let authority = Authority::new();
    let folder = world::folder(&authority);
    let socket = folder.path("rhumb.sock");
    let node = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[server.tls]\ncertificate = \"tls/fullchain.pem\"\n\
         key = \"tls/privkey.pem\"\ndot = [\"127.0.0.1:0\"]\n\
         [admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\n",
        socket.display()
    );
    folder.write("rhumb.toml", node);
    let process = Process::start(&folder);
    let dot = logged(&process, "answering on ", ", dot");
    let pages = logged(&process, "on http://", "/metrics");
    let shown = || {
        let connect = Dot::connect(dot, trusting(&authority.pem(), b"dot"));
        runtime().block_on(connect).unwrap().certificate()
    };
    let loads = |result: &str| {
        let series = format!("rhumb_certificate_loads_total{{result=\"{result}\"}}");
        find_metric(&get(pages, "/metrics").2, &series)
    };
    let before = shown();
    // The second look reads the files once; refusals after that come of signals alone.
    folder.write("tls/privkey.pem", "no key");
    wait_until("the missing key is refused", || loads("refused") == Some(1.0));
    process.signal("HUP");
    wait_until("the signal has them read", || loads("refused") == Some(2.0));
    assert_eq!(shown(), before, "the old pair stays");
    let status = || {
        let mut command = Command::new(process::RHUMB);
        let output = command.arg("status").arg("--socket").arg(&socket).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = "certificate: expires 2999-12-31T00:00:00Z; REFUSED: the one on disk";
    assert!(status().contains(refused), "{}", status());
    let (certificate, key) = authority.issue(2998);
    folder.write("tls/fullchain.pem", certificate);
    folder.write("tls/privkey.pem", key);
    process.signal("HUP");
    wait_until("the new certificate is shown", || shown() != before);
    let in_force = "certificate: expires 2998-12-31T00:00:00Z\n";
    assert!(status().contains(in_force), "{}", status());
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
}

/// Names and texts of files.
type Written<'a> = &'a [(&'a str, &'a str)];

/// Exit code and output of `rhumb check` beside a `rhumb.toml` with these files.
fn check(files: Written<'_>) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("zones")).unwrap();
    let zone = "[zone]\nname = \"shop.test\"\nnameservers = [\"ns1.example.net\"]\n";
    std::fs::write(folder.path().join("zones/shop.toml"), zone).unwrap();
    let node =
        "[server.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\ndot = [\"127.0.0.1:1853\"]\n";
    std::fs::write(folder.path().join("rhumb.toml"), node).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    command.args(["check", "--config", "rhumb.toml"]).current_dir(folder.path());
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_shows_every_fault_of_certificate_and_key() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(2999);
    let (_, other_key) = authority.issue(2999);
    let cut = &certificate[..certificate.len() / 2];
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases: [(Written<'_>, &[&str]); 7] = [
        (&[], &["]: c.pem: No such file", "]: k.pem: No such file", "this user may read it"]),
        (&[("c.pem", "hello"), ("k.pem", &key)], &["c.pem: there is no certificate in this file"]),
        (
            &[("c.pem", cut), ("k.pem", "hello")],
            &["c.pem: this is no whole PEM", "k.pem: there is no private key"],
        ),
        (&[("c.pem", not_x509), ("k.pem", &key)], &["c.pem: the first certificate is malformed"]),
        (
            &[("c.pem", &certificate), ("k.pem", &other_key)],
            &["k.pem: this key does not fit c.pem"],
        ),
        (
            &[("c.pem", &certificate), ("k.pem", locked)],
            &["k.pem: the key is locked by a passphrase"],
        ),
        (&[("c.pem", &certificate), ("k.pem", &certificate)], &["k.pem: there is no private key"]),
    ];
    for (files, words) in cases {
        let (code, output) = check(files);
        assert_eq!(code, 1, "{output}");
        for part in words {
            assert!(output.contains(part), "{part}: {output}");
        }
    }
    assert_eq!(check(&[("c.pem", &certificate), ("k.pem", &key)]).0, 0);
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let (certificate, key) = Authority::new().issue(2020);
    let (code, output) = check(&[("c.pem", &certificate), ("k.pem", &key)]);
    assert_eq!(code, 0, "{output}");
    let words = "warning[likely-mistake]: c.pem: the certificate expired at 2020-12-31T00:00:00Z; clients refuse it";
    assert!(output.contains(words), "{output}");
}

//! State on disk: what a kill, a full or read-only disk, a damaged file and time do to it. Real files, real processes.
//!
//! `RHUMB_CASES=full cargo test --test state` kills a server a hundred times, `RHUMB_SEED=7` chooses other moments.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;
mod process;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use live::Folder;
use live::Live;
use live::UdpClient;
use live::wait_until;
use process::Process;
use process::RHUMB;
use rhumb::control::Command;
use rhumb::control::Reply;
use rhumb::control::Restored;
use rhumb::control::command::Action;
use rhumb::control::event_record::EventRecord;
use rhumb::control::status::Status;
use rhumb::control::stored::Change;
use rhumb::control::stored::Entry;
use rhumb::control::stored::Stored;
use rhumb::runtime::control_socket;
use rhumb::runtime::serve::Options;
use rhumb::runtime::state::FILE_NAME;
use rhumb::runtime::state::Fault;
use rhumb::runtime::state::Retention;
use rhumb::runtime::state::Settings;
use rhumb::runtime::state::State;
use rhumb::runtime::state::Store;
use rhumb::runtime::state::Wanted;
use serde_json::Value;

const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[pool.eu]
endpoint.a.addresses = ["192.0.2.1"]
[pool.us]
endpoint.a.addresses = ["192.0.2.2"]
[policy.order]
kind = "failover"
targets = ["eu", "us"]
[name.www]
steer = "order"
"#;

const KEPT: Retention = Retention { age: Duration::from_secs(86_400), octets: 100_000_000 };

fn settings(folder: &Path) -> Settings {
    Settings { folder: folder.to_path_buf(), retention: KEPT }
}

fn node() -> Folder {
    let folder = Folder::new();
    folder.write("zones/shop.toml", ZONE);
    folder.write(
        "rhumb.toml",
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[admin]\nsocket = \"rhumb.sock\"\n\
         [state]\nfolder = \"state\"\n",
    );
    folder
}

fn options(folder: &Folder, state: &Path) -> Options {
    Options { state: Some(settings(state)), ..folder.options() }
}

fn drain(reason: &str) -> Command {
    Command::Order {
        target: "eu".into(),
        action: Action::Drain,
        reason: reason.into(),
        author: "ann".into(),
        until_s: None,
        force: false,
    }
}

fn send(folder: &Folder, command: &Command) -> Reply {
    let path = folder.path("rhumb.sock");
    live::runtime().block_on(control_socket::send(&path, command)).unwrap()
}

fn status(folder: &Folder) -> Status {
    match send(folder, &Command::Status) {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

/// The reason of the only order, as a number.
fn order_of(status: &Status) -> Option<u64> {
    assert!(status.orders.len() <= 1, "{:?}", status.orders);
    status.orders.first().map(|order| order.reason.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("RHUMB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// The next number of a sequence without order.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*random ^ (*random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)) >> 16
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_state_or_the_new_one() {
    let is_full = std::env::var("RHUMB_CASES").is_ok_and(|cases| cases == "full");
    let (folder, mut random) = (node(), seed());
    let (mut known, mut sent, mut number) = (None, None, 0);
    for round in 0..if is_full { 100 } else { 3 } {
        let what = format!("round {round} of seed {}", seed());
        let process = Process::start(&folder);
        let found = order_of(&status(&folder));
        assert!(found == known || found == sent, "{what}: {found:?}, not {known:?} or {sent:?}");
        assert!(!process.has_logged("damaged"), "{what}: {:?}", process.lines());
        known = found;
        for _ in 0..next(&mut random) % 4 {
            number += 1;
            let reply = send(&folder, &drain(&number.to_string()));
            assert!(
                matches!(&reply, Reply::Done { text } if !text.contains("WARNING")),
                "{reply:?}"
            );
            known = Some(number);
        }
        // One more, and nobody waits for the reply: it may be written, or not.
        number += 1;
        sent = Some(number);
        let mut stream = UnixStream::connect(folder.path("rhumb.sock")).unwrap();
        let line = serde_json::to_string(&drain(&number.to_string())).unwrap() + "\n";
        stream.write_all(line.as_bytes()).unwrap();
        let mut spins = next(&mut random) % 40;
        while spins > 0 {
            // A moment that differs from round to round, up to a few commits long.
            spins -= 1;
            std::thread::yield_now();
            let _ = folder.path("state").join(FILE_NAME).metadata();
        }
        drop(process);
    }
}

#[test]
fn a_restart_keeps_orders_and_goes_on_counting() {
    let folder = node();
    let process = Process::start(&folder);
    assert!(matches!(send(&folder, &drain("1")), Reply::Done { .. }));
    let before = status(&folder);
    process.signal("TERM");
    assert_eq!(process.wait(), Some(0));
    let process = Process::start(&folder);
    let mut client = UdpClient::new(process.address());
    assert_eq!(
        client.ask("www.shop.test").addresses[0].to_string(),
        "192.0.2.2",
        "the first answer"
    );
    let after = status(&folder);
    assert_eq!(order_of(&after), Some(1));
    assert!(after.generation > before.generation, "{} {}", before.generation, after.generation);
    process.wait_for_log("1 record from before");
    assert!(after.state.fault.is_none() && after.state.folder.is_some(), "{:?}", after.state);
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (_state, _) = State::start(settings(folder.path())).unwrap();
    assert_eq!(State::start(settings(folder.path())).err(), Some(Fault::InUse));
}

#[test]
fn a_file_that_is_not_ours_is_moved_aside_and_the_start_goes_on() {
    const OTHER: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("other");
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("text", |path| std::fs::write(path, "not a database".repeat(1000)).unwrap()),
        ("cut off", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("zeros", |path| {
            let len = path.metadata().unwrap().len() as usize;
            std::fs::write(path, vec![0; len]).unwrap();
        }),
        ("flipped octets", |path| {
            let mut octets = std::fs::read(path).unwrap();
            octets[4096..].iter_mut().for_each(|octet| *octet ^= 0x55);
            std::fs::write(path, octets).unwrap();
        }),
        ("a database of another program", |path| {
            std::fs::remove_file(path).unwrap();
            let database = redb::Database::create(path).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(OTHER).unwrap().insert("a", 1).unwrap();
            transaction.commit().unwrap();
        }),
    ];
    for (what, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        drop(State::start(settings(folder.path())).unwrap());
        let store = Store::open(folder.path()).unwrap();
        store.write(&[entry(1, &[("a", 1)])]).unwrap();
        drop(store);
        damage(&folder.path().join(FILE_NAME));
        let (state, restored) = State::start(settings(folder.path())).unwrap();
        assert_eq!(restored, Restored::default(), "{what}");
        let status = state.status();
        assert!(status.fault.is_none(), "{what}: {status:?}");
        assert!(status.note.is_some_and(|note| note.contains("it is now")), "{what}");
        let names =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let aside = names.filter(|name| name.to_string_lossy().contains(".damaged-")).count();
        assert_eq!(aside, 1, "{what}");
        state.persist(entry(2, &[("b", 1)]));
        assert_eq!(live::runtime().block_on(state.saved()).unwrap(), Ok(()), "{what}");
    }
}

#[test]
fn a_file_of_a_later_version_is_left_as_it_is() {
    const META: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let path = folder.path().join(FILE_NAME);
    {
        let database = redb::Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", 99).unwrap();
        transaction.commit().unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    let (state, restored) = State::start(settings(folder.path())).unwrap();
    assert_eq!(restored, Restored::default());
    let fault = state.status().fault.unwrap();
    assert!(fault.contains("its format is 99, this version knows formats up to 1"), "{fault}");
    state.persist(entry(2, &[("b", 1)]));
    assert!(live::runtime().block_on(state.saved()).unwrap().is_err());
    state.stop();
    let database = redb::ReadOnlyDatabase::open(&path).unwrap();
    drop(database);
    assert_eq!(std::fs::read(&path).unwrap().len(), before.len());
    assert!(matches!(Store::open(folder.path()), Err(Fault::Newer { found: 99, known: 1 })));
}

/// A file system in memory of its own; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None`, and why, if this user may not mount.
    fn new(path: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Program::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(path)),
            Ok(output) => {
                println!("skipped: mount: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(why) => {
                println!("skipped: mount: {why}");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let status = Program::new("mount").args(["-o", options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Program::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_raises_an_alarm_and_heals_when_there_is_room() {
    let folder = node();
    let Some(mount) = Mount::new(folder.path("disk"), "size=4m") else { return };
    let disk = mount.0.clone();
    let live = Live::start(&options(&folder, &disk));
    assert!(matches!(live.command(drain("1")), Reply::Done { .. }));
    let filler = disk.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // Texts of a kilobyte do not fit into what the file has left for long.
    let mut number = 1;
    wait_until("the disk is found full", || {
        number += 1;
        let text = format!("{number}{}", " of many words".repeat(300));
        live.command(drain(&text));
        live.status().state.fault.is_some()
    });
    assert_eq!(live.metric("rhumb_state_faulty"), Some(1.0));
    let Reply::Done { text } = live.command(drain("7")) else { panic!("serving goes on") };
    assert!(text.contains("WARNING: a restart would forget it"), "{text}");
    let answer = live::ask(live.address(), "www.shop.test");
    assert_eq!(answer.addresses[0].to_string(), "192.0.2.2");
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    wait_until("it heals by itself", || live.status().state.fault.is_none());
    assert_eq!(live.metric("rhumb_state_faulty"), Some(0.0));
    live.stop();
    let live = Live::start(&options(&folder, &disk));
    assert_eq!(order_of(&live.status()), Some(7));
    live.stop();
}

#[test]
fn a_read_only_folder_raises_an_alarm_and_heals_when_it_can_be_written() {
    let folder = node();
    let Some(mount) = Mount::new(folder.path("disk"), "size=8m,ro") else { return };
    let disk = mount.0.clone();
    let live = Live::start(&options(&folder, &disk));
    let fault = live.status().state.fault.expect("nothing can be written");
    assert!(fault.contains("Read-only file system"), "{fault}");
    let Reply::Done { text } = live.command(drain("5")) else { panic!("orders are taken") };
    assert!(text.contains("WARNING"), "{text}");
    assert_eq!(live::ask(live.address(), "www.shop.test").addresses[0].to_string(), "192.0.2.2");
    mount.remount("remount,rw");
    wait_until("it heals by itself", || live.status().state.fault.is_none());
    live.stop();
    mount.remount("remount,ro");
    let live = Live::start(&options(&folder, &disk));
    assert!(live.status().state.fault.is_some());
    assert_eq!(order_of(&live.status()), Some(5), "it can be read");
    assert!(matches!(live.command(drain("6")), Reply::Done { .. }));
    mount.remount("remount,rw");
    wait_until("it heals by itself", || live.status().state.fault.is_none());
    live.stop();
    let live = Live::start(&options(&folder, &disk));
    assert_eq!(order_of(&live.status()), Some(6), "what was written is there");
    live.stop();
}

/// An entry of a second, with values of keys.
fn entry(second: u64, values: &[(&str, u64)]) -> Entry {
    let change = |(key, value): &(&str, u64)| Change {
        key: (*key).into(),
        value: Some(Stored::Name {
            name: value.to_string(),
            addresses: Vec::new(),
            unheard: [false; 2],
        }),
    };
    let text = format!("event of second {second}");
    let event =
        EventRecord { at_ms: second * 1000, event: "test".into(), text, ..EventRecord::default() };
    Entry {
        at: Duration::from_secs(second),
        generation: second,
        changes: values.iter().map(change).collect(),
        events: vec![event],
        ..Entry::default()
    }
}

fn all() -> Wanted {
    Wanted { until_ms: u64::MAX, ..Wanted::default() }
}

fn size_of(folder: &Path) -> u64 {
    folder.join(FILE_NAME).metadata().unwrap().len()
}

#[test]
fn retention_bounds_the_size_and_the_age() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let retention = Retention { age: Duration::from_secs(5_000), octets: 400_000 };
    let mut largest = 0;
    for batch in 0..100u64 {
        let entries: Vec<Entry> =
            (0..100).map(|at| entry(batch * 100 + at + 1, &[("a", at), ("b", batch)])).collect();
        let written = store.write(&entries).unwrap();
        largest = largest.max(written.octets);
        let now = Duration::from_secs(batch * 100 + 100);
        if store.has_surplus(retention, now).unwrap() {
            while store.prune(retention, now).unwrap() {}
        }
    }
    assert!(largest < 500_000, "{largest}: the limit, and one batch");
    assert!(size_of(folder.path()) < 4_000_000, "{}", size_of(folder.path()));
    let rows = store.reader().unwrap().rows().unwrap();
    assert!((100..5_000).contains(&rows), "{rows} of 10,000 are left");
    let events = store.reader().unwrap().events(&all()).unwrap().events;
    assert_eq!(events.last().unwrap().text, "event of second 10000", "the newest stay");
    let tight = Retention { age: Duration::from_secs(50), ..retention };
    while store.prune(tight, Duration::from_secs(10_000)).unwrap() {}
    let events = store.reader().unwrap().events(&all()).unwrap().events;
    assert_eq!(events.first().unwrap().text, "event of second 9950");
    assert_eq!(store.reader().unwrap().restore().unwrap().0.stored.len(), 2, "state is no history");
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let quiet = |second| Entry { events: Vec::new(), ..entry(second, &[("a", 1)]) };
    assert!(store.write(&[quiet(1)]).unwrap().anything);
    assert!(!store.write(&[quiet(2), quiet(3)]).unwrap().anything, "the value is there");
    drop(store);
    let files = node();
    let live = Live::start(&options(&files, &files.path("state")));
    assert!(matches!(live.command(drain("1")), Reply::Done { .. }));
    let before = live.metric("rhumb_state_commits_total");
    for _ in 0..20 {
        live.reload();
        live.status();
    }
    assert_eq!(live.metric("rhumb_state_commits_total"), before);
    live.stop();
}

fn rhumb(folder: &Folder, arguments: &[&str]) -> (bool, String) {
    let mut command = Program::new(RHUMB);
    command.args(arguments).arg("--config").arg(folder.path("rhumb.toml")).env("USER", "ada");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn instant(at: Duration) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string()
}

#[test]
fn events_are_told_by_the_running_server_and_by_its_folder() {
    let folder = node();
    let process = Process::start(&folder);
    let (done, text) = rhumb(&folder, &["drain", "eu/a", "--reason", "new disks", "--until", "2h"]);
    assert!(done, "{text}");
    let drained = now();
    let (done, text) = rhumb(&folder, &["undrain", "eu/a"]);
    assert!(done, "{text}");
    let lines = |arguments: &[&str]| {
        let (done, text) = rhumb(&folder, &[&["events", "--json"], arguments].concat());
        assert!(done, "{text}");
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let kinds = |lines: &[Value]| {
        lines.iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let check = || {
        let everything = lines(&[]);
        let all = kinds(&everything);
        assert_eq!(all[..4], ["start", "reload", "order", "order_withdrawn"], "{everything:#?}");
        let order = &everything[2];
        let (by, reason, endpoint) = (&order["by"], &order["reason"], &order["endpoint"]);
        assert_eq!((by, reason, endpoint), (&"ada".into(), &"new disks".into(), &"eu/a".into()));
        assert!(order["at"].as_str().unwrap().ends_with('Z') && order["generation"].is_u64());
        assert_eq!(kinds(&lines(&["--endpoint", "us/a"])), [""; 0]);
        assert_eq!(kinds(&lines(&["--endpoint", "eu/a"])), ["order", "order_withdrawn"]);
        assert!(kinds(&lines(&["--name", "www.shop.test"])).contains(&"order".into()));
        let until = instant(drained);
        assert!(!kinds(&lines(&["--until", &until])).contains(&"order_withdrawn".into()));
        let since = kinds(&lines(&["--since", &until]));
        assert!(since.contains(&"order_withdrawn".into()) && !since.contains(&"order".into()));
        let at = instant(drained);
        let ask = ["explain", "www.shop.test", "--client", "198.51.100.7", "--at", &at];
        let (done, text) = rhumb(&folder, &ask);
        assert!(
            done && text.contains("192.0.2.2") && text.contains("eu/a: endpoint eu/a: drained"),
            "{text}"
        );
        let (done, text) = rhumb(&folder, &[&ask[..5], &["2020-01-01T00:00:00Z"]].concat());
        assert!(!done && text.contains("the history does not reach back to 2020-01-01"), "{text}");
    };
    check();
    process.signal("KILL");
    drop(process);
    check();
    let (done, text) = rhumb(&folder, &["events", "--since", "soon"]);
    assert!(!done && text.contains("write how long ago"), "{text}");
    let _process = Process::start(&folder);
    let (done, text) = rhumb(&folder, &["events"]);
    assert!(done && text.matches("started").count() == 2, "{text}");
}

#[test]
fn without_a_folder_nothing_is_kept_and_that_is_told() {
    let folder = node();
    let live = Live::start(&folder.options());
    assert_eq!(live.status().state.folder, None);
    let command =
        Command::Events { since_ms: 0, until_ms: 1, name: None, endpoint: None, from: None };
    let Reply::Failed { error, .. } = live.command(command) else { panic!("there is no history") };
    assert!(error.contains("set folder in [state]"), "{error}");
    assert!(matches!(live.command(drain("1")), Reply::Done { text } if !text.contains("WARNING")));
    live.stop();
}

#[test]
fn a_past_between_two_lives_is_not_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let started = Entry { gap_since: Some(Duration::from_secs(20)), ..entry(50, &[("a", 2)]) };
    store.write(&[entry(10, &[("a", 1)]), entry(20, &[("b", 1)]), started]).unwrap();
    let reading = store.reader().unwrap();
    let why = |second| reading.at(Duration::from_secs(second)).err().unwrap();
    assert!(why(30).contains("the server did not run, or could not write"), "{}", why(30));
    assert!(
        why(9).contains("does not reach back") && why(9).contains("it begins at"),
        "{}",
        why(9)
    );
    assert!(why(15).contains("nothing was served"), "{}", why(15));
}

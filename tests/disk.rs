//! What a disk does to state while the server runs: errors, a full disk, octets that are not what was written; and how many
//! octets state costs. A database on a backend that does as it is told, no server.
//!
//! `RHUMB_CASES=full cargo test --release --test disk -- --nocapture` measures 50,000 targets.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use live::wait_until;
use redb::StorageBackend;
use rhumb::control::DiskNews;
use rhumb::control::event_record::EventRecord;
use rhumb::control::stored::Change;
use rhumb::control::stored::Entry;
use rhumb::control::stored::FamilyForm;
use rhumb::control::stored::FlapsForm;
use rhumb::control::stored::Stored;
use rhumb::control::stored::TargetForm;
use rhumb::control::stored::VerdictForm;
use rhumb::runtime::state::FILE_NAME;
use rhumb::runtime::state::Reading;
use rhumb::runtime::state::Retention;
use rhumb::runtime::state::Settings;
use rhumb::runtime::state::State;
use rhumb::runtime::state::Store;
use rhumb::runtime::state::Wanted;

/// What the disk does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Fine,
    /// No octet is written.
    WriteError,
    /// Octets are taken, and not put on the disk.
    SyncError,
    /// There is no room.
    Full,
    /// Nothing can be read.
    ReadError,
    /// What is read is not what was written.
    Garbage,
}

/// A disk that does as it is told.
#[derive(Clone, Debug, Default)]
struct Disk {
    mood: Arc<AtomicU8>,
    written: Arc<AtomicU64>,
}

impl Disk {
    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Relaxed);
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Relaxed) == mood as u8
    }

    fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Opens the file of state on it; without a cache, so that what is read is read from it.
    fn open(&self, folder: &Path, cache: usize) -> Result<Store, rhumb::runtime::state::Fault> {
        std::fs::create_dir_all(folder).unwrap();
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(folder.join(FILE_NAME)).unwrap();
        Store::open_on(OnDisk { disk: self.clone(), file }, cache, folder)
    }

    fn start(&self, folder: &Path) -> State {
        let disk = self.clone();
        let opener = move |folder: &Path| disk.open(folder, 0);
        State::start_with(settings(folder), Box::new(opener)).unwrap().0
    }
}

#[derive(Debug)]
struct OnDisk {
    disk: Disk,
    file: File,
}

fn system(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.disk.is(Mood::ReadError) {
            return Err(system(EIO));
        }
        self.file.read_exact_at(out, offset)?;
        if self.disk.is(Mood::Garbage) {
            out.iter_mut().for_each(|octet| *octet ^= 0x5a);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.disk.is(Mood::Full) && len > self.len()? {
            return Err(system(ENOSPC));
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.disk.is(Mood::SyncError) {
            true => Err(system(EIO)),
            false => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.disk.is(Mood::WriteError) {
            return Err(system(EIO));
        }
        if self.disk.is(Mood::Full) {
            return Err(system(ENOSPC));
        }
        self.disk.written.fetch_add(data.len() as u64, Relaxed);
        self.file.write_all_at(data, offset)
    }
}

fn settings(folder: &Path) -> Settings {
    let retention = Retention { age: Duration::from_secs(1 << 40), octets: 1 << 40 };
    Settings { folder: folder.to_path_buf(), retention }
}

fn name(key: &str, value: u64) -> Change {
    let (name, addresses) = (value.to_string(), Vec::new());
    let value = Some(Stored::Name { name, addresses, unheard: [false; 2] });
    Change { key: key.into(), value }
}

fn entry(second: u64, changes: Vec<Change>) -> Entry {
    let text = format!("event of second {second}");
    let event =
        EventRecord { at_ms: second * 1000, event: "test".into(), text, ..EventRecord::default() };
    let at = Duration::from_secs(second);
    Entry { at, generation: second, changes, events: vec![event], ..Entry::default() }
}

fn saved(state: &State) -> Result<(), String> {
    live::runtime().block_on(state.saved()).unwrap()
}

/// The number of each key, as the folder has it when nobody runs.
fn kept(folder: &Path) -> Vec<String> {
    let (restored, unread) = Reading::open(folder).unwrap().restore().unwrap();
    assert_eq!(unread, 0);
    let names = restored.stored.into_iter().map(|one| match one {
        Stored::Name { name, .. } => name,
        other => panic!("{other:?}"),
    });
    names.collect()
}

#[test]
fn an_error_in_the_middle_raises_an_alarm_loses_nothing_and_is_over_by_itself() {
    for (mood, words) in [
        (Mood::WriteError, "Input/output error"),
        (Mood::SyncError, "Input/output error"),
        (Mood::ReadError, "Input/output error"),
        (Mood::Full, "No space left on device"),
    ] {
        let (folder, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let state = disk.start(folder.path());
        state.persist(entry(1, vec![name("a", 1), name("b", 1)]));
        assert_eq!(saved(&state), Ok(()), "{mood:?}");
        assert!(!state.figures().is_faulty && state.take_news().is_empty());
        disk.set(mood);
        state.persist(entry(2, vec![name("a", 2)]));
        let why = saved(&state).expect_err("the disk does not take it");
        assert!(why.contains(words), "{mood:?}: {why}");
        assert!(state.figures().is_faulty && state.figures().waiting == 1, "{mood:?}");
        assert!(state.status().fault.is_some_and(|fault| fault.contains(words)), "{mood:?}");
        let news = state.take_news();
        assert!(matches!(&news[..], [DiskNews::Faulty(why)] if why.contains(words)), "{news:?}");
        // Nobody waits for the disk, and nothing is told twice.
        state.persist(entry(3, vec![name("b", 3)]));
        assert!(saved(&state).is_err());
        assert!(state.take_news().is_empty());
        disk.set(Mood::Fine);
        wait_until("it is tried again", || !state.figures().is_faulty);
        assert_eq!(saved(&state), Ok(()), "{mood:?}");
        assert_eq!(state.take_news(), [DiskNews::Kept], "{mood:?}");
        assert!(state.status().note.is_none() && !state.take_wants_all(), "nothing was lost");
        let wanted = Wanted { until_ms: u64::MAX, ..Wanted::default() };
        let events = state.reader().read().unwrap().events(&wanted).unwrap().events;
        assert_eq!(events.len(), 3, "{mood:?}: the history is whole");
        state.stop();
        assert_eq!(kept(folder.path()), ["2", "3"], "{mood:?}");
    }
}

#[test]
fn a_database_found_damaged_while_it_runs_is_put_aside_and_everything_is_written_anew() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let state = disk.start(folder.path());
    let many = (0..2000).map(|number| name(&format!("key {number}"), number)).collect();
    state.persist(entry(1, many));
    assert_eq!(saved(&state), Ok(()));
    disk.set(Mood::Garbage);
    // Reading it fails in words, and not by a panic of whoever asks.
    let wanted = Wanted { until_ms: u64::MAX, ..Wanted::default() };
    let reader = state.reader();
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        reader.read().map(|reading| reading.events(&wanted).map(|page| page.events.len()))
    }));
    println!("reading came to {read:?}");
    state.persist(entry(2, vec![name("key 7", 8)]));
    assert!(saved(&state).is_err());
    assert!(state.figures().is_faulty);
    disk.set(Mood::Fine);
    // As the loop does: what it was told is lost, so that it tells all once more.
    wait_until("all is asked for", || state.take_wants_all());
    state.persist(entry(3, vec![name("key 7", 8), name("key 8", 9)]));
    wait_until("it goes on", || !state.figures().is_faulty);
    assert_eq!(saved(&state), Ok(()));
    let news = state.take_news();
    assert!(
        matches!(&news[..], [DiskNews::Faulty(_), DiskNews::Lost(what), DiskNews::Kept] if what.contains("it is now")),
        "{news:?}"
    );
    assert!(state.status().note.is_some_and(|note| note.contains(".damaged-")));
    state.stop();
    assert_eq!(kept(folder.path()), ["8", "9"], "what is written anew is all there is");
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside = names.filter(|name| name.to_string_lossy().contains(".damaged-")).count();
    assert_eq!(aside, 1);
}

/// A first round of probes: each target's verdict with its event, in an order without order, some at each settling.
fn first_round(targets: u64, at_once: u64) -> Vec<Entry> {
    let target = |number: u64| TargetForm {
        endpoint: format!("pool-{:04}/server-{:03}", number / 100, number % 100).into(),
        check: "web".into(),
        family: FamilyForm::V4,
        address: None,
    };
    let one = |number: u64, at_ms: u64| {
        let target = target(number);
        let reason: Box<str> = format!("200 in {} ms (1 in a row)", number % 90).into();
        let event = EventRecord {
            at_ms,
            event: "verdict".into(),
            endpoint: Some(target.endpoint.clone()),
            check: Some(target.check.clone()),
            family: Some("IPv4".into()),
            before: Some("unknown".into()),
            after: Some("up".into()),
            reason: Some(reason.clone()),
            text: format!("{} web IPv4: unknown -> up: {reason}", target.endpoint),
            ..EventRecord::default()
        };
        let probe = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let flaps = FlapsForm::default();
        let verdict = VerdictForm::Up;
        let value =
            Stored::Verdict { target, verdict, since_ms: at_ms, reason, probe, degraded: 0, flaps };
        (Change { key: value.key().into(), value: Some(value) }, event)
    };
    // 7919 is prime: each once, far from its neighbours.
    let order: Vec<u64> = (0..targets).map(|at| at * 7919 % targets).collect();
    let entries = order.chunks(at_once as usize).enumerate().map(|(at, numbers)| {
        let at_ms = 1_795_000_000_000 + at as u64 * 10;
        let (changes, events) = numbers.iter().map(|number| one(*number, at_ms)).unzip();
        let at = Duration::from_millis(at_ms);
        Entry { at, generation: at_ms, changes, events, ..Entry::default() }
    });
    entries.collect()
}

#[test]
fn a_first_round_of_probes_costs_little_room_and_few_octets() {
    let is_full = std::env::var("RHUMB_CASES").is_ok_and(|cases| cases == "full");
    let targets: u64 = if is_full { 50_000 } else { 5_000 };
    let (folder, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = disk.open(folder.path(), 16 << 20).unwrap();
    // The loop settles about every 10 ms; a round takes 10 s, and the thread gathers.
    let entries = first_round(targets, targets / 1000);
    let mut octets = 0;
    for batch in entries.chunks(BATCH) {
        octets = store.write(batch).unwrap().octets;
    }
    let (written, after) =
        (disk.written(), folder.path().join(FILE_NAME).metadata().unwrap().len());
    let each = |octets: u64| octets / targets;
    println!(
        "{targets} targets: file {} kB ({} a target), history {} kB ({}), written {} kB ({})",
        after / 1000,
        each(after),
        octets / 1000,
        each(octets),
        written / 1000,
        each(written)
    );
    drop(store);
    // Plain rows had 312 octets a target, and a file of 67 MB for 50,000.
    assert!(each(octets) < 100, "history");
    assert!(after < 2_500_000 + targets * 1300, "file");
}

/// Settlings that one transaction takes: 200 ms of them. Ten times as many write a tenth less and double the file, for a
/// transaction keeps what it replaces until it is through.
const BATCH: usize = 20;

//! Files change under load: every reply is of one generation, none is lost, none goes back.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use live::Answer;
use live::Folder;
use live::Live;
use live::TcpClient;
use live::UdpClient;
use live::ask;
use live::wait_until;
use rhumb::geo::WriteInfo;
use rhumb::geo::parse_source;
use rhumb::geo::write_database;

/// Times that files are rewritten under load.
const GENERATIONS: u32 = 36;

/// Octet and TTL of a generation: 198.18.g.0/24 and 30 + g seconds.
fn zone(generation: u32) -> String {
    let endpoints: String = (1..=4)
        .map(|last| format!("endpoint.e{last}.addresses = [\"198.18.{generation}.{last}\"]\n"))
        .collect();
    format!(
        r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]

[pool.all]
{endpoints}
[name.www]
steer = "all"
answers = "all"
ttl = "{}s"
"#,
        30 + generation
    )
}

/// The generation that a reply is of; panics if it is of two.
#[track_caller]
fn generation(answer: &Answer) -> u32 {
    assert_eq!(answer.rcode, "No Error");
    assert_eq!(answer.addresses.len(), 4, "{answer:?}");
    let generation = answer.ttls[0] - 30;
    for (address, ttl) in answer.addresses.iter().zip(&answer.ttls) {
        let IpAddr::V4(address) = address else { panic!("{answer:?}") };
        let [a, b, c, _] = address.octets();
        assert_eq!((a, b, u32::from(c), ttl - 30), (198, 18, generation, generation), "{answer:?}");
    }
    generation
}

/// Asks in a closed loop until told to stop; returns how many replies came.
fn ask_on(stop: &AtomicBool, newest: &AtomicU32, mut ask: impl FnMut(&str) -> Answer) -> u32 {
    let (mut last, mut replies, mut is_last) = (0, 0, false);
    while !is_last {
        // Asked once more after the end, which the question before may have missed.
        is_last = stop.load(SeqCst);
        let written = newest.load(SeqCst);
        let seen = generation(&ask("www.shop.test."));
        assert!(seen >= last, "generation {seen} came after {last}");
        assert!(seen <= newest.load(SeqCst), "{seen} is not written yet; {written} was");
        (last, replies) = (seen, replies + 1);
        thread::yield_now();
    }
    assert_eq!(last, newest.load(SeqCst), "the client has seen the end");
    replies
}

#[test]
fn under_load_every_reply_is_of_one_generation_and_none_is_lost() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(0));
    let live = Live::start(&folder.options());
    let address = live.address();
    let (stop, newest) = (&AtomicBool::new(false), &AtomicU32::new(0));
    let replies: Vec<u32> = thread::scope(|scope| {
        let mut clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut client = UdpClient::new(address);
                    ask_on(stop, newest, |name| client.ask(name))
                })
            })
            .collect();
        clients.push(scope.spawn(move || {
            let mut client = TcpClient::new(address);
            ask_on(stop, newest, |name| client.ask(name))
        }));
        // Whatever goes wrong here, the clients end.
        let rewriting = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            rewrite(&folder, &live, newest);
        }));
        stop.store(true, SeqCst);
        let replies = clients.into_iter().map(|client| client.join().unwrap()).collect();
        if let Err(panic) = rewriting {
            std::panic::resume_unwind(panic);
        }
        replies
    });
    assert!(replies.iter().all(|replies| *replies >= GENERATIONS), "{replies:?}");
    let counted = live.metric("rhumb_reloads_total{result=\"refused\"}");
    assert_eq!(counted, Some(2.0), "each bad file is told once");
    live.stop();
}

/// Rewrites the files again and again; every few times with a fault first, which changes nothing.
fn rewrite(folder: &Folder, live: &Live, newest: &AtomicU32) {
    let refused = || live.metric("rhumb_reloads_total{result=\"refused\"}").unwrap();
    for generation in 1..=GENERATIONS {
        if generation % 15 == 0 {
            let before = refused();
            folder.write("zones/shop.toml", format!("{}\nnonsense = {generation}", zone(200)));
            live.reload();
            wait_until("it is refused", || refused() > before);
            // Reading the same fault again tells nothing new.
            live.reload();
            live.reload();
        }
        newest.store(generation, SeqCst);
        folder.write("zones/shop.toml", zone(generation));
        live.reload();
        if generation % 3 != 0 || generation == GENERATIONS {
            wait_until("it is in force", || {
                self::generation(&ask(live.address(), "www.shop.test.")) == generation
            });
        }
    }
    wait_until("the gauge shows it", || {
        live.metric("rhumb_generation") == Some(live.status().generation as f64)
    });
}

#[test]
fn files_of_every_kind_of_change_are_seen() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(1));
    let options = rhumb::runtime::serve::Options { watch: true, ..folder.options() };
    let live = Live::start(&options);
    let in_force =
        |generation: u32| self::generation(&ask(live.address(), "www.shop.test.")) == generation;
    wait_until("the first is in force", || in_force(1));

    folder.write("zones/shop.toml", zone(2));
    wait_until("a file renamed into place is seen", || in_force(2));

    std::fs::write(folder.path("zones/shop.toml"), zone(3)).unwrap();
    wait_until("a file written in place is seen", || in_force(3));

    std::fs::rename(folder.path("zones"), folder.path("old")).unwrap();
    std::fs::create_dir(folder.path("zones")).unwrap();
    // With luck the empty folder is read: it takes no zone away.
    folder.write("zones/shop.toml", zone(4));
    wait_until("another folder of the name is seen", || in_force(4));
    folder.write("zones/shop.toml", zone(5));
    wait_until("and is watched", || in_force(5));

    let refused = || live.metric("rhumb_reloads_total{result=\"refused\"}").unwrap();
    let before = refused();
    std::fs::remove_file(folder.path("zones/shop.toml")).unwrap();
    wait_until("an empty folder is refused", || refused() > before);
    assert!(in_force(5), "what was in force stays");
    let before = refused();
    std::fs::remove_dir(folder.path("zones")).unwrap();
    wait_until("a missing folder is refused", || refused() > before);
    assert!(in_force(5), "what was in force stays");
    std::fs::create_dir(folder.path("zones")).unwrap();
    folder.write("zones/shop.toml", zone(6));
    wait_until("a folder made again is seen", || in_force(6));
    live.stop();
}

#[test]
fn a_change_of_an_included_file_is_seen_wherever_it_is() {
    let folder = Folder::new();
    folder.write(
        "zones/parts.test.zone",
        "@ 60 SOA ns1.example.net. h 1 1 1 1 1\n@ 60 NS ns1.example.net.\n$INCLUDE ../parts/hosts\n",
    );
    std::fs::create_dir(folder.path("parts")).unwrap();
    folder.write("parts/hosts", "www 60 A 192.0.2.1\n");
    let options = rhumb::runtime::serve::Options { watch: true, ..folder.options() };
    let live = Live::start(&options);
    let has = |address: &str| {
        let answer = ask(live.address(), "www.parts.test.");
        answer.addresses.iter().any(|got| got.to_string() == address)
    };
    wait_until("the included file is read", || has("192.0.2.1"));
    folder.write("parts/hosts", "www 60 A 192.0.2.2\n");
    wait_until("its change is seen", || has("192.0.2.2"));
    live.stop();
}

/// A database that has all of loopback at one place.
fn database(place: &str) -> Vec<u8> {
    let text = format!(
        "network,continent,country,subdivision,city,latitude,longitude,accuracy_km,asn\n\
         127.0.0.0/8,{place},20,64496\n"
    );
    let info = WriteInfo {
        database_type: "Rhumb-City".into(),
        description: "test".into(),
        build_epoch: 1_700_000_000,
    };
    write_database(&parse_source(&text).unwrap(), &info).unwrap()
}

/// A pool in Frankfurt, one in Ashburn, and a name that takes the nearer one.
const TWO_REGIONS: &str = r#"
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
endpoint.a.addresses = ["198.18.1.1"]
[pool.us]
site = "iad"
endpoint.a.addresses = ["198.18.2.1"]
[policy.world]
kind = "nearest"
targets = ["us", "eu"]
[name.www]
steer = "world"
"#;

const FRANKFURT: &str = "EU,DE,HE,Frankfurt,50.11,8.68";
const ASHBURN: &str = "NA,US,VA,Ashburn,39.04,-77.49";

/// A server of two regions that watches its files, with a database and an overlay.
fn start_with_geo(folder: &Folder, first: &str) -> Live {
    std::fs::create_dir(folder.path("geodb")).unwrap();
    folder.write("geodb/city.mmdb", database(first));
    folder.write("geodb/feed.csv", "# nothing yet\n");
    folder.write("zones/shop.toml", TWO_REGIONS);
    let mut options = folder.options();
    options.watch = true;
    options.sources.databases = vec![folder.path("geodb/city.mmdb").into()];
    options.sources.overlays = vec![folder.path("geodb/feed.csv")];
    Live::start(&options)
}

fn serves(live: &Live, address: &str) -> bool {
    ask(live.address(), "www.shop.test.").addresses[0].to_string() == address
}

fn refused(live: &Live) -> f64 {
    live.metric("rhumb_reloads_total{result=\"refused\"}").unwrap()
}

#[test]
fn a_geo_database_renamed_into_place_is_read() {
    let folder = Folder::new();
    let live = start_with_geo(&folder, FRANKFURT);
    wait_until("the client is near Frankfurt", || serves(&live, "198.18.1.1"));
    folder.write("geodb/city.mmdb", database(ASHBURN));
    wait_until("the client is near Ashburn", || serves(&live, "198.18.2.1"));
    live.stop();
}

#[test]
fn broken_geo_databases_are_refused_and_the_old_one_serves_on() {
    let folder = Folder::new();
    let live = start_with_geo(&folder, ASHBURN);
    wait_until("the client is near Ashburn", || serves(&live, "198.18.2.1"));
    let new = database(FRANKFURT);
    let cut = new[..new.len() - 20].to_vec();
    let mut flipped = new.clone();
    // The size of the country's record: a map of far more keys than there are octets.
    let key = new.windows(8).position(|octets| octets == b"iso_code").unwrap();
    flipped[key - 2] = 0xfe;
    for (count, broken) in (1..).zip([b"no database".to_vec(), cut, flipped]) {
        folder.write("geodb/city.mmdb", broken);
        wait_until("it is refused", || refused(&live) == f64::from(count));
        assert!(serves(&live, "198.18.2.1"), "{count}");
    }
    folder.write("zones/shop.toml", TWO_REGIONS.replace("198.18.2.1", "198.18.2.2"));
    wait_until("a change of zones is served all the same", || serves(&live, "198.18.2.2"));
    std::fs::remove_file(folder.path("geodb/city.mmdb")).unwrap();
    wait_until("a missing database is refused", || refused(&live) == 4.0);
    assert_eq!(live.metric("rhumb_geo_refused"), Some(1.0));
    let shown = live.status().refused_geo.unwrap();
    assert!(
        shown.problems == 1 && shown.text.contains("geodb/city.mmdb: No such file"),
        "{shown:?}"
    );
    folder.write("geodb/city.mmdb", new);
    wait_until("the client is near Frankfurt", || serves(&live, "198.18.1.1"));
    wait_until("nothing is refused", || live.metric("rhumb_geo_refused") == Some(0.0));
    assert!(live.status().refused_geo.is_none());
    live.stop();
}

#[test]
fn an_overlay_wins_when_it_changes_and_a_bad_one_changes_nothing() {
    let folder = Folder::new();
    let live = start_with_geo(&folder, ASHBURN);
    wait_until("the client is near Ashburn", || serves(&live, "198.18.2.1"));
    folder.write("geodb/feed.csv", "127.0.0.0/9,DE,DE-HE,Frankfurt,\n");
    wait_until("the feed says Germany", || serves(&live, "198.18.1.1"));
    folder.write("geodb/feed.csv", "127.0.0.0/9,Germany\n127.0.0.1/9,US\n");
    wait_until("a feed with problems is refused", || refused(&live) == 1.0);
    assert!(serves(&live, "198.18.1.1"));
    folder.write("geodb/feed.csv", "");
    wait_until("without a feed the database counts", || serves(&live, "198.18.2.1"));
    live.stop();
}

#[test]
fn all_files_that_cannot_be_read_are_told_at_once_with_all_other_problems() {
    let folder = Folder::new();
    folder.write("zones/shop.toml", zone(1));
    let live = Live::start(&folder.options());
    for (name, octets) in [
        ("zones/a.toml", &b"# caf\xe9\n"[..]),
        ("zones/b.test.zone", b"\xff\xfe@\0"),
        ("zones/c.toml", b"nonsense = 1\n"),
    ] {
        folder.write(name, octets);
    }
    live.reload();
    wait_until("they are refused", || refused(&live) == 1.0);
    wait_until("it is shown", || live.metric("rhumb_files_refused") == Some(1.0));
    let shown = live.status().refused.unwrap();
    assert_eq!(shown.problems, 3, "{}", shown.text);
    for text in ["a.toml: not UTF-8 in line 1, column 6; ", "b.test.zone: UTF-16", "c.toml:1:1"] {
        assert!(shown.text.contains(text), "{}", shown.text);
    }
    assert_eq!(generation(&ask(live.address(), "www.shop.test.")), 1, "what was there stays");
    for name in ["a.toml", "b.test.zone", "c.toml"] {
        std::fs::remove_file(folder.path("zones").join(name)).unwrap();
    }
    live.reload();
    wait_until("nothing is refused", || live.metric("rhumb_files_refused") == Some(0.0));
    assert!(live.status().refused.is_none());
    live.stop();
}

#[test]
fn octets_of_texts_go_to_the_wire_as_they_are_in_the_file() {
    let folder = Folder::new();
    folder.write(
        "zones/old.test.zone",
        b"; caf\xe9\n@ 60 SOA ns1.example.net. h 1 1 1 1 1\n@ 60 NS ns1.example.net.\n\
          t 60 TXT \"caf\xe9 caf\xc3\xa9\" \xff\n",
    );
    let live = Live::start(&folder.options());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(live::PATIENCE)).unwrap();
    let query = live::query(7, "t.old.test.", hickory_proto::rr::RecordType::TXT);
    socket.send_to(&query, live.address()).unwrap();
    let mut reply = [0; 512];
    let len = socket.recv(&mut reply).unwrap();
    assert!(
        reply[..len].ends_with(b"\0\x0d\x0acaf\xe9 caf\xc3\xa9\x01\xff"),
        "{:?}",
        &reply[..len]
    );
    live.stop();
}

//! `deploy/beacon.js` in a real browser, against a real server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod live;

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use live::Folder;
use live::Live;
use live::wait_until;
use rhumb::config::SourceFile;
use rhumb::config::node::load_node;
use rhumb::model::Rtt;
use rhumb::rtt::Key;
use rhumb::rtt::Shelf;
use rhumb::runtime::rtt_folder::read_tables;

const SCRIPT: &str = include_str!("../deploy/beacon.js");

/// `fra` tells its times, `sin` does not.
const ZONE: &str = r#"
[zone]
name = "shop.test"
nameservers = ["ns1.example.net"]
[site.fra]
latitude = 50.11
longitude = 8.68
[site.sin]
latitude = 50.12
longitude = 8.69
[pool.eu]
site = "fra"
endpoint.a.addresses = ["192.0.2.10"]
[name.www]
steer = "eu"
"#;

/// Ends the browser, whatever happens.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A browser that runs without a screen, if there is one.
fn find_browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    let paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

/// Answers every request on a port of its own: `head` holds further fields.
fn serve(page: impl Fn(&str) -> (String, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            answer(stream, &page);
        }
    });
    address
}

fn answer(mut stream: TcpStream, page: &impl Fn(&str) -> (String, String)) {
    let (mut text, mut octets) = (String::new(), [0; 4096]);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    while !text.contains("\r\n\r\n") {
        match stream.read(&mut octets) {
            Ok(count @ 1..) => text += &String::from_utf8_lossy(&octets[..count]),
            Ok(0) | Err(_) => return, // a connection that a browser opens just in case
        }
    }
    let (head, body) = page(text.split(' ').nth(1).unwrap_or("/"));
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{head}\r\n{body}"
    );
}

#[test]
fn a_page_with_the_script_posts_times_of_sites_that_allow_it() {
    let Some(browser) = find_browser() else {
        println!("skipped: there is no chromium");
        return;
    };
    let told = serve(|_| ("Timing-Allow-Origin: *\r\n".into(), "ok".into()));
    let silent = serve(|_| (String::new(), "ok".into()));

    let folder = Folder::new();
    folder.write("zones/shop.toml", ZONE);
    folder.write(
        "own.csv",
        "network,country,latitude,longitude,asn\n127.0.0.0/24,DE,50.11,8.68,64497\n",
    );
    let mut options = folder.options();
    // Any page may post here: its port is not known before the server's, which stands in the page.
    let text = "[rtt]\nfolder = 'rtt'\nbuild = true\norigins = ['*']\nposts_a_minute = 100000\n";
    let rtt = load_node(&SourceFile::new("rhumb.toml", text)).0.unwrap().rtt.unwrap();
    let (window, delay) = (Duration::from_secs(1), Duration::ZERO);
    options.rtt = Some(Rtt { window, delay, ..rtt });
    options.sources.rtt = Some(folder.path("rtt"));
    options.sources.overlays = vec![folder.path("own.csv")];
    let live = Live::start(&options);
    let post = live.server.admin_address().unwrap();

    let page = serve(move |path| match path {
        "/beacon.js" => ("Content-Type: text/javascript\r\n".into(), SCRIPT.into()),
        "/" => {
            let sites =
                format!(r#"{{"fra": "http://{told}/rtt.txt", "sin": "http://{silent}/rtt.txt"}}"#);
            let tag = format!(
                "<script src='beacon.js' data-post='http://{post}/rtt' data-sites='{sites}'></script>"
            );
            ("Content-Type: text/html\r\n".into(), format!("<!doctype html><p>shop</p>{tag}"))
        }
        _ => (String::new(), String::new()),
    });
    let profile = folder.path("profile");
    let child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--no-proxy-server"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--remote-debugging-port=0") // without it the browser ends when the page is loaded
        .arg(format!("http://{page}/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let browser = Browser(child);
    let find = |site: &str| {
        let shelf = Shelf::read(read_tables(&folder.path("rtt")).unwrap());
        let key = Key::find("127.0.0.0/24").unwrap();
        shelf.newest().and_then(|shelved| shelved.table.find(key, site).copied())
    };
    wait_until("the browser has posted", || find("fra").is_some());
    assert!(find("sin").is_none(), "its times are hidden from the page");
    let beacon = find("fra").unwrap().evidence[rhumb::rtt::Source::Beacon.index()];
    assert!((1..1_000_000).contains(&beacon.mean_us), "{beacon:?}");
    drop(browser);
    live.stop();
}

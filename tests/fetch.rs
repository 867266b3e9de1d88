//! `rhumb geo fetch` against a server of our own that errs in every way: what is there stays unless what comes is right.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::Digest;
use md5::Md5;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rhumb::geo::WriteInfo;
use rhumb::geo::parse_source;
use rhumb::geo::read_database;
use rhumb::geo::write_database;
use rhumb::runtime::fetch;
use rhumb::runtime::fetch::FetchFault;
use rhumb::runtime::fetch::Fetched;
use rhumb::runtime::fetch::conf;
use rhumb::runtime::fetch::conf::Conf;
use rhumb::runtime::fetch::conf::Flags;
use rhumb::runtime::fetch::download::Downloader;
use rhumb::runtime::fetch::download::Options;
use rhumb::runtime::fetch::download::Retry;
use rhumb::runtime::fetch::unpack::UnpackFault;
use rhumb::runtime::fetch::update;
use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::pki_types::PrivateKeyDer;
use sha2::Sha256;
use tempfile::TempDir;

/// `42:secret` in base64.
const AUTHORIZATION: &str = "authorization: basic ndi6c2vjcmv0";

/// When the server's database was made.
const LAST_MODIFIED: &str = "Sat, 21 Nov 2026 10:00:00 GMT";

/// What the server answers to one request.
#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Octets that are announced but never sent.
    missing: usize,
}

impl Answer {
    fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), missing: 0 }
    }

    fn status(status: u16) -> Self {
        Self { status, ..Self::ok("") }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn octets(&self) -> Vec<u8> {
        let len = self.body.len() + self.missing;
        let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {len}\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"connection: close\r\n\r\n", &self.body].concat()
    }
}

/// Answers by path, in order, the last one for ever; and every request that came.
#[derive(Default)]
struct Script {
    answers: BTreeMap<String, Vec<Answer>>,
    requests: Vec<String>,
}

/// A server on a port that the kernel chose. Its thread ends with the test's process.
struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &shared);
            }
        });
        Self { address, script }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(&self, path: &str, answers: &[Answer]) {
        self.script.lock().unwrap().answers.insert(path.into(), answers.to_vec());
    }

    /// Requests since the last call, in lower case.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().requests)
    }
}

fn serve(mut stream: impl Read + Write, script: &Mutex<Script>) {
    let mut request = Vec::new();
    let mut octet = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut octet).unwrap_or(0) == 1 {
        request.push(octet[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap_or("").to_owned();
    let mut script = script.lock().unwrap();
    script.requests.push(request.to_lowercase());
    let answer = match script.answers.get_mut(&path) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0].clone(),
        None => Answer::status(404),
    };
    // The client may have gone; that is its business.
    let _ = stream.write_all(&answer.octets());
}

fn database(country: &str) -> Vec<u8> {
    let text = format!("network,country\n192.0.2.0/24,{country}\n");
    let (database_type, description) = ("Test-City".into(), "test".into());
    let info = WriteInfo { database_type, description, build_epoch: 1_700_000_000 };
    write_database(&parse_source(&text).unwrap(), &info).unwrap()
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn archive(octets: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(octets.len() as u64);
    builder.append_data(&mut header, "A_20261121/A.mmdb", octets).unwrap();
    gzip(&builder.into_inner().unwrap())
}

fn md5(octets: &[u8]) -> String {
    Md5::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Retries at once, and not for long.
fn patient(tries: u32) -> Retry {
    let pause = Duration::from_millis(1);
    let total = if tries == 1 { Duration::ZERO } else { Duration::from_secs(20) };
    Retry { pause, total }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn fetch_with(url: &str, output: &Path, retry: Retry) -> Result<Fetched, FetchFault> {
    let downloader = Downloader::new(Options { retry, ..Options::default() })?;
    run(fetch::fetch(&downloader, url, output))
}

/// A folder with a database that must survive.
fn folder_with_old() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("A.mmdb");
    std::fs::write(&output, database("FR")).unwrap();
    (folder, output)
}

#[track_caller]
fn assert_untouched(folder: &TempDir) {
    let names = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name != ".geoipupdate.lock");
    assert_eq!(names, ["A.mmdb"], "nothing is left lying about");
    assert!(std::fs::read(folder.path().join("A.mmdb")).unwrap() == database("FR"));
}

#[test]
fn a_plain_address_gives_the_database_as_it_is_in_gzip_or_in_a_tar() {
    let server = Server::new();
    let new = database("DE");
    for (path, body) in
        [("/a.mmdb", new.clone()), ("/a.mmdb.gz", gzip(&new)), ("/a.tar.gz", archive(&new))]
    {
        let (_folder, output) = folder_with_old();
        server.answer(path, &[Answer::ok(body).with("last-modified", LAST_MODIFIED)]);
        let done = fetch_with(&server.url(path), &output, patient(1)).unwrap();
        assert!(matches!(done, Fetched::Replaced(info) if info.networks == 1), "{path}");
        assert!(std::fs::read(&output).unwrap() == new, "{path}");
    }
}

#[test]
fn an_unchanged_database_is_not_sent_and_not_written() {
    let server = Server::new();
    let (_folder, output) = folder_with_old();
    let answer = Answer::ok(database("DE")).with("last-modified", LAST_MODIFIED);
    server.answer("/a.mmdb", &[answer.clone(), Answer::status(304), answer]);
    assert!(matches!(
        fetch_with(&server.url("/a.mmdb"), &output, patient(1)).unwrap(),
        Fetched::Replaced(_)
    ));
    server.requests();
    let second = fetch_with(&server.url("/a.mmdb"), &output, patient(1)).unwrap();
    assert_eq!(second, Fetched::Unchanged);
    let condition = format!("if-modified-since: {}", LAST_MODIFIED.to_lowercase());
    assert!(server.requests()[0].contains(&condition), "the server's own time is asked with");
    let third = fetch_with(&server.url("/a.mmdb"), &output, patient(1)).unwrap();
    assert_eq!(third, Fetched::Unchanged, "equal octets are not written again");
}

#[test]
fn another_address_is_asked_without_the_time_of_the_file() {
    let server = Server::new();
    let (_folder, output) = folder_with_old();
    let (first, second) = (database("DE"), database("FR"));
    server.answer("/a.mmdb", &[Answer::ok(first).with("last-modified", LAST_MODIFIED)]);
    server.answer("/b.mmdb", &[Answer::ok(second.clone()).with("last-modified", LAST_MODIFIED)]);
    fetch_with(&server.url("/a.mmdb"), &output, patient(1)).unwrap();
    server.requests();
    let done = fetch_with(&server.url("/b.mmdb"), &output, patient(1)).unwrap();
    assert!(matches!(done, Fetched::Replaced(_)));
    assert!(!server.requests()[0].contains("if-modified-since"));
    assert!(std::fs::read(&output).unwrap() == second);
}

#[test]
fn whatever_is_wrong_leaves_the_old_file() {
    let server = Server::new();
    let (folder, output) = folder_with_old();
    let new = database("DE");
    let mut cut = Answer::ok(new[..new.len() / 2].to_vec());
    cut.missing = new.len() / 2;
    let mut huge = Answer::ok("");
    huge.missing = 2 << 30;
    let bomb = gzip(&vec![0; 64 << 20]);
    let half = gzip(&new)[..new.len() / 4].to_vec();
    type Judge = fn(&FetchFault) -> bool;
    let cases: [(&str, Answer, Judge); 9] = [
        ("/401", Answer::status(401), |fault| matches!(fault, FetchFault::Credentials(401))),
        ("/404", Answer::status(404), |fault| matches!(fault, FetchFault::NotFound)),
        ("/500", Answer::status(500), |fault| matches!(fault, FetchFault::Status(500))),
        ("/cut", cut, |fault| matches!(fault, FetchFault::Http(_))),
        ("/huge", huge, |fault| matches!(fault, FetchFault::TooLarge)),
        ("/bomb", Answer::ok(bomb), |f| matches!(f, FetchFault::Unpack(UnpackFault::Bomb(_)))),
        ("/half", Answer::ok(half), |f| matches!(f, FetchFault::Unpack(UnpackFault::Damaged(_)))),
        ("/page", Answer::ok("<html>"), |fault| matches!(fault, FetchFault::Refused(_))),
        ("/short", Answer::ok(&new[..new.len() - 9]), |f| matches!(f, FetchFault::Refused(_))),
    ];
    for (path, answer, is_right) in cases {
        server.answer(path, &[answer]);
        let fault = fetch_with(&server.url(path), &output, patient(1)).unwrap_err();
        assert!(is_right(&fault), "{path}: {fault}");
        assert_untouched(&folder);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = fetch_with(&format!("http://{nobody}/a"), &output, patient(1)).unwrap_err();
    assert!(matches!(refused, FetchFault::Http(_)), "{refused}");
    assert_untouched(&folder);
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let server = Server::new();
    let (_folder, output) = folder_with_old();
    let mut cut = Answer::ok("half");
    cut.missing = 100;
    let tries = [Answer::status(503), Answer::status(429), cut, Answer::ok(database("DE"))];
    server.answer("/a", &tries);
    assert!(fetch_with(&server.url("/a"), &output, patient(9)).is_ok());
    assert_eq!(server.requests().len(), 4);
    server.answer("/b", &[Answer::status(401), Answer::ok(database("DE"))]);
    assert!(fetch_with(&server.url("/b"), &output, patient(9)).is_err());
    assert_eq!(server.requests().len(), 1, "a wrong key stays wrong");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = Server::new();
    let (folder, output) = folder_with_old();
    server.answer("/loop", &[Answer::status(302).with("location", "/loop")]);
    let fault = fetch_with(&server.url("/loop"), &output, patient(9)).unwrap_err().to_string();
    assert!(fault.contains("too many redirects"), "{fault}");
    assert_untouched(&folder);
    server.answer("/a", &[Answer::status(302).with("location", "/b")]);
    server.answer("/b", &[Answer::ok(database("DE"))]);
    assert!(fetch_with(&server.url("/a"), &output, patient(1)).is_ok());
}

#[test]
fn the_checksum_beside_an_archive_of_maxmind_is_checked() {
    let server = Server::new();
    let (folder, output) = folder_with_old();
    let body = archive(&database("DE"));
    let sum: String = Sha256::digest(&body).iter().map(|octet| format!("{octet:02x}")).collect();
    let path = "/geoip/databases/A/download?suffix=tar.gz";
    server.answer(path, &[Answer::ok(body)]);
    let zeros = format!("{}  A.tar.gz\n", "0".repeat(64));
    server.answer(&format!("{path}.sha256"), &[Answer::ok(zeros)]);
    let fault = fetch_with(&server.url(path), &output, patient(1)).unwrap_err();
    assert!(matches!(&fault, FetchFault::Checksum { found, .. } if *found == sum), "{fault}");
    assert_untouched(&folder);
    server.answer(&format!("{path}.sha256"), &[Answer::ok(format!("{sum}  A.tar.gz\n"))]);
    assert!(fetch_with(&server.url(path), &output, patient(1)).is_ok());
}

/// Settings as a file says them, for a server of ours.
fn settings(server: &Server, folder: &TempDir) -> Conf {
    let text = format!(
        "AccountID 42\nLicenseKey secret\nEditionIDs A\nHost http://{}\nDatabaseDirectory {}\n\
         PreserveFileTimes 1\nRetryFor 0\n",
        server.address,
        folder.path().display()
    );
    conf::load(&Flags::default(), |_| None, |_| Ok(text.clone())).unwrap()
}

fn update_with(conf: &Conf) -> Result<Fetched, FetchFault> {
    let options =
        Options { account: Some(conf.account.clone()), retry: conf.retry, ..Options::default() };
    let downloader = Downloader::new(options)?;
    let mut editions = run(update::update(conf, &downloader))?;
    assert_eq!(editions.len(), conf.editions.len());
    editions.remove(0).1
}

const METADATA: &str = "/geoip/updates/metadata?edition_id=A";
const DOWNLOAD: &str = "/geoip/databases/A/download?date=20261121&suffix=tar.gz";

fn metadata(octets: &[u8]) -> Answer {
    let md5 = md5(octets);
    Answer::ok(format!(
        r#"{{"databases":[{{"edition_id":"A","date":"2026-11-21","md5":"{md5}"}}]}}"#
    ))
}

#[test]
fn an_edition_is_brought_up_to_date_as_geoipupdate_does_it() {
    let server = Server::new();
    let (folder, output) = folder_with_old();
    let new = database("DE");
    server.answer(METADATA, &[metadata(&new)]);
    let body = Answer::ok(archive(&new)).with("last-modified", LAST_MODIFIED);
    server.answer(DOWNLOAD, &[body]);
    let conf = settings(&server, &folder);
    assert!(matches!(update_with(&conf).unwrap(), Fetched::Replaced(_)));
    assert!(std::fs::read(&output).unwrap() == new);
    let modified = output.metadata().unwrap().modified().unwrap();
    assert_eq!(httpdate::fmt_http_date(modified), LAST_MODIFIED);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.contains(AUTHORIZATION)), "{requests:?}");

    assert_eq!(update_with(&conf).unwrap(), Fetched::Unchanged);
    assert_eq!(server.requests().len(), 1, "the metadata is enough");
}

#[test]
fn editions_that_cannot_be_had_leave_their_file() {
    let server = Server::new();
    let (folder, _) = folder_with_old();
    let new = database("DE");
    let conf = settings(&server, &folder);
    server.answer(METADATA, &[Answer::status(401)]);
    let fault = update_with(&conf).unwrap_err().to_string();
    assert!(fault.contains("account or licence key"), "{fault}");
    assert!(!fault.contains("secret"), "{fault}");
    server.answer(METADATA, &[Answer::ok("{}")]);
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::Metadata { .. }));
    server.answer(METADATA, &[metadata(&new)]);
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::NotFound));
    server.answer(DOWNLOAD, &[Answer::ok(archive(&database("GB")))]);
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::Checksum { .. }));
    let no_database = b"no database".as_slice();
    server.answer(METADATA, &[metadata(no_database)]);
    server.answer(DOWNLOAD, &[Answer::ok(archive(no_database))]);
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::Refused(_)));
    assert_untouched(&folder);
}

#[test]
fn a_second_update_at_once_is_refused() {
    let server = Server::new();
    let (folder, _) = folder_with_old();
    let conf = settings(&server, &folder);
    let held = std::fs::File::create(&conf.lock_file).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::Locked { .. }));
    drop(held);
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::NotFound));
}

#[test]
fn several_editions_come_beside_each_other_and_one_failure_stops_no_other() {
    let server = Server::new();
    let folder = tempfile::tempdir().unwrap();
    let mut conf = settings(&server, &folder);
    conf.editions = ["A", "gone", "B"].map(String::from).to_vec();
    conf.parallelism = 3;
    for edition in ["A", "B"] {
        let new = database("DE");
        let answer = metadata(&new);
        let text =
            String::from_utf8(answer.body).unwrap().replace("\"A\"", &format!("{edition:?}"));
        server.answer(&METADATA.replace("=A", &format!("={edition}")), &[Answer::ok(text)]);
        let path = DOWNLOAD.replace("/A/", &format!("/{edition}/"));
        server.answer(&path, &[Answer::ok(archive(&new))]);
    }
    let downloader = Downloader::new(Options {
        account: Some(conf.account.clone()),
        retry: patient(1),
        ..Options::default()
    });
    let done = run(update::update(&conf, &downloader.unwrap())).unwrap();
    let names: Vec<_> = done.iter().map(|(name, done)| (name.as_str(), done.is_ok())).collect();
    assert_eq!(names, [("A", true), ("gone", false), ("B", true)]);
    assert!(read_database("B", &std::fs::read(folder.path().join("B.mmdb")).unwrap()).is_ok());
}

#[test]
fn a_licence_key_does_not_leave_the_machine_in_the_clear() {
    let server = Server::new();
    let folder = tempfile::tempdir().unwrap();
    let mut conf = settings(&server, &folder);
    conf.server = "http://updates.example.net".into();
    assert!(matches!(update_with(&conf).unwrap_err(), FetchFault::Unencrypted(_)));
}

/// A server behind a certificate, and the authority to trust; answers as the plain one does.
fn start_tls(script: &Arc<Mutex<Script>>) -> (SocketAddr, String) {
    rhumb::runtime::probe::install_crypto();
    let authority = CertificateParams::new(vec![]).map(|mut params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    });
    let (authority, key) = (authority.unwrap(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::clone(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(session, stream.unwrap()), &script);
        }
    });
    (address, authority.pem())
}

#[test]
fn a_redirect_from_https_to_http_is_refused_and_nothing_is_asked_in_the_clear() {
    let plain = Server::new();
    let (address, authority) = start_tls(&plain.script);
    let tls = format!("https://localhost:{}", address.port());
    let redirect = |to: String| Answer::status(302).with("location", &to);
    plain.answer("/down", &[redirect(plain.url("/database"))]);
    plain.answer("/by-a-detour", &[redirect(format!("{tls}/down"))]);
    plain.answer("/along", &[redirect(format!("{tls}/database"))]);
    plain.answer("/database", &[Answer::ok(database("DE"))]);
    let (folder, output) = folder_with_old();
    let trusted = folder.path().join("authority.pem");
    std::fs::write(&trusted, authority).unwrap();
    let fetch = |path: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rhumb"));
        command.args(["geo", "fetch", &format!("{tls}{path}"), "--output"]).arg(&output);
        // The authorities of the system are taken from where OpenSSL has them.
        let outcome = command.env("SSL_CERT_FILE", &trusted).output().unwrap();
        (outcome.status.code(), String::from_utf8_lossy(&outcome.stderr).into_owned())
    };
    let old = std::fs::read(&output).unwrap();
    for (path, requests) in [("/down", 1), ("/by-a-detour", 2)] {
        let (code, said) = fetch(path);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("a redirect from https to http is not followed"), "{said}");
        assert_eq!(plain.requests().len(), requests, "all by TLS");
        assert_eq!(std::fs::read(&output).unwrap(), old, "the old file stays");
    }
    let (code, said) = fetch("/along");
    assert_eq!(code, Some(0), "{said}");
    assert_ne!(std::fs::read(&output).unwrap(), old);
}

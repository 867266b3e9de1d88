//! A real `nats-server` on a port that the system chose, and the certificates of who may use it.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rhumb::model::NatsTerms;

/// Where Debian puts it.
const NATS_SERVER: &str = "/usr/sbin/nats-server";

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// Whether there is a server; if not, the test says so and is over.
pub fn is_missing() -> bool {
    let is_missing = !std::path::Path::new(NATS_SERVER).exists();
    if is_missing {
        println!("skipped: {NATS_SERVER} is not installed (Debian: nats-server)");
    }
    is_missing
}

/// An authority and the files that it has signed, in a folder of their own.
pub struct Certificates {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { folder, authority }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key for a name, made if they are not there.
    pub fn files(&self, name: &str) -> [PathBuf; 2] {
        let [certificate, key] = ["pem", "key"].map(|end| self.path(&format!("{name}.{end}")));
        if !certificate.exists() {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let own = KeyPair::generate().unwrap();
            let signed = params.signed_by(&own, &self.authority).unwrap();
            std::fs::write(&certificate, signed.pem()).unwrap();
            std::fs::write(&key, own.serialize_pem()).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&key, mode).unwrap();
        }
        [certificate, key]
    }

    /// How `name` reaches `server`.
    pub fn terms(&self, name: &str, server: &NatsServer) -> NatsTerms {
        let [certificate, key] = self.files(name);
        let servers = vec![server.address().into()];
        NatsTerms { servers, ca: self.path("ca.pem"), certificate, key }
    }
}

/// A server; killed when dropped.
pub struct NatsServer {
    folder: tempfile::TempDir,
    process: Option<Child>,
    tls: String,
    more: String,
    port: u16,
    leaf_port: u16,
}

impl NatsServer {
    /// Starts one that takes clients of these certificates only.
    pub fn start(certificates: &Certificates) -> Self {
        Self::start_with(certificates, "")
    }

    /// The same, with more lines in its file.
    pub fn start_with(certificates: &Certificates, more: &str) -> Self {
        Self::started(certificates, "verify: true", more)
    }

    /// One whose users are those that certificates name.
    pub fn start_mapped(certificates: &Certificates, users: &str) -> Self {
        Self::started(certificates, "verify_and_map: true", users)
    }

    fn started(certificates: &Certificates, verify: &str, more: &str) -> Self {
        let [certificate, key] = certificates.files("server");
        let tls = format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {:?}, {verify}, timeout: 10 }}\n",
            certificates.path("ca.pem")
        );
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Self { folder, process: None, tls, more: more.to_owned(), port: 0, leaf_port: 0 };
        server.restart();
        server
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port for servers that are leaves of this one, if its file has `LEAF_PORT`.
    pub fn leaf_port(&self) -> u16 {
        self.leaf_port
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Number of its process.
    pub fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Has it receive a signal.
    pub fn signal(&self, name: &str) {
        let process = self.id();
        let command = format!("kill -{name} {process}");
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Starts it where it was; the first time on a port of the system's choice.
    pub fn restart(&mut self) {
        self.kill();
        let start = Instant::now();
        while !self.try_start() {
            assert!(start.elapsed() < START_MAX, "the server does not start: {}", self.log());
        }
    }

    fn try_start(&mut self) -> bool {
        let [port, leaf_port] = [self.port, self.leaf_port]
            .map(|port| if port == 0 { "-1".to_owned() } else { port.to_string() });
        let more = self.more.replace("LEAF_PORT", &leaf_port);
        let text = format!("listen: \"127.0.0.1:{port}\"\n{}{more}", self.tls);
        let ports = self.folder.path().join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir(&ports).unwrap();
        std::fs::write(self.folder.path().join("nats.conf"), text).unwrap();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(NATS_SERVER);
        command.arg("-c").arg(self.folder.path().join("nats.conf"));
        command.arg("--ports_file_dir").arg(&ports);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().unwrap();
        let start = Instant::now();
        while start.elapsed() < START_MAX {
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            let written = std::fs::read_dir(&ports).unwrap().next();
            let text = written.and_then(|file| std::fs::read_to_string(file.unwrap().path()).ok());
            let text = text.unwrap_or_default();
            if let Some(found) = port_of(&text, "://127.0.0.1:") {
                (self.port, self.process) = (found, Some(process));
                // The file of ports does not have this one, and it listens before the other.
                let told = "leafnode connections on 127.0.0.1:";
                self.leaf_port = port_of(&self.log(), told).unwrap_or(0);
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = process.kill();
        let _ = process.wait();
        false
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The port that stands behind something.
fn port_of(text: &str, before: &str) -> Option<u16> {
    let rest = text.split_once(before)?.1;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// What a process has had of the processors, in steps of 10 ms.
pub fn processor_time(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the name in brackets: field 14 and 15 of proc(5), in hundredths of a second.
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    Duration::from_millis(fields.map(|field| field.parse::<u64>().unwrap() * 10).sum())
}

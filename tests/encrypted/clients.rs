//! Clients of encrypted transports: libraries for octets, programs for what people use.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Name in the certificates.
pub const NAME: &str = "ns.test";

/// Longest wait for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The client's side, trusting one authority.
pub fn trusting(authority: &str, protocol: &[u8]) -> ClientConfig {
    rhumb::runtime::probe::install_crypto();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

/// A connection of DNS over TLS.
pub struct Dot(pub TlsStream<TcpStream>);

impl Dot {
    pub async fn connect(server: SocketAddr, config: ClientConfig) -> std::io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME).unwrap();
        Ok(Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }

    pub async fn ask(&mut self, query: &[u8]) -> std::io::Result<Vec<u8>> {
        self.0.write_all(&framed(query)).await?;
        self.0.flush().await?;
        let len = self.0.read_u16().await?;
        let mut reply = vec![0; usize::from(len)];
        self.0.read_exact(&mut reply).await?;
        Ok(reply)
    }

    /// The certificate that the server showed.
    pub fn certificate(&self) -> Vec<u8> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// A connection of DNS over QUIC.
pub struct Doq {
    pub connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Doq {
    pub async fn connect(server: SocketAddr, config: ClientConfig) -> Self {
        let endpoint = endpoint(config);
        let connection = endpoint.connect(server, NAME).unwrap().await.unwrap();
        Self { connection, _endpoint: endpoint }
    }

    /// Sends octets as a stream; the octets of the reply's stream.
    pub async fn exchange(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let (mut send, mut receive) = self.connection.open_bi().await.ok()?;
        send.write_all(octets).await.ok()?;
        send.finish().ok()?;
        receive.read_to_end(70_000).await.ok()
    }

    pub async fn ask(&self, query: &[u8]) -> Vec<u8> {
        let reply = self.exchange(&framed(query)).await.unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([reply[0], reply[1]])), reply.len() - 2);
        reply[2..].to_vec()
    }
}

pub fn endpoint(config: ClientConfig) -> quinn::Endpoint {
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let crypto = QuicClientConfig::try_from(config).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    endpoint
}

pub fn framed(query: &[u8]) -> Vec<u8> {
    [&u16::try_from(query.len()).unwrap().to_be_bytes(), query].concat()
}

/// Standard output of a program that must succeed; `None` if it is not there.
pub fn output_of(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(why) => {
            eprintln!("skipped: {program}: {why}");
            return None;
        }
    };
    // A program that wants no input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program} {arguments:?}: {error}{text}");
    Some(output.stdout)
}

/// What `kdig` prints; `None` if it is not there.
pub fn kdig(server: SocketAddr, authority: &Path, arguments: &[&str]) -> Option<String> {
    let (at, port) = (format!("@{}", server.ip()), server.port().to_string());
    let (name, authority) =
        (format!("+tls-hostname={NAME}"), format!("+tls-ca={}", authority.display()));
    let mut all = vec![at.as_str(), "-p", &port, "+timeout=20", &name, &authority];
    all.extend(arguments);
    output_of("kdig", &all, &[]).map(|output| String::from_utf8(output).unwrap())
}

/// Status, header block and body of one exchange by `curl`; `None` if it is not there.
pub fn curl(
    server: SocketAddr,
    authority: &Path,
    path: &str,
    arguments: &[&str],
    body: &[u8],
) -> Option<(u16, String, Vec<u8>)> {
    let url = format!("https://{NAME}:{}{path}", server.port());
    let resolve = format!("{NAME}:{}:{}", server.port(), server.ip());
    let authority = authority.display().to_string();
    let mut all = vec!["-sS", "-i", "-m", "30", "--http2", "--cacert", &authority];
    all.extend(["--resolve", &resolve, &url]);
    all.extend(arguments);
    let output = output_of("curl", &all, body)?;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..end]).to_lowercase();
    assert!(head.starts_with("http/2 "), "{head}");
    let status = head[7..10].parse().unwrap();
    Some((status, head, output[end + 4..].to_vec()))
}

/// What a client of QUIC sends first: it begins a handshake.
pub fn first_datagram(authority: &str) -> Vec<u8> {
    let catcher = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    catcher.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = endpoint(trusting(authority, b"doq"));
        let to = catcher.local_addr().unwrap();
        let _connecting = endpoint.connect(to, NAME).unwrap();
        let catcher = tokio::net::UdpSocket::from_std(catcher).unwrap();
        let mut datagram = vec![0; 2000];
        let len = catcher.recv(&mut datagram).await.unwrap();
        datagram.truncate(len);
        datagram
    })
}

/// Whether `kdig` was built with QUIC: then its help has the option.
pub fn kdig_has_quic() -> bool {
    let help = output_of("kdig", &["--help"], &[]).unwrap_or_default();
    let has_quic = String::from_utf8_lossy(&help).contains("quic");
    if !has_quic {
        eprintln!("skipped: kdig has no QUIC");
    }
    has_quic
}

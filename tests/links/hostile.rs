//! Whoever has a key and speaks TLS, but not as a node does.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rhumb::cluster::Generation;
use rhumb::cluster::NodeName;
use rhumb::cluster::frame::Frame;
use rhumb::cluster::frame::HEADER;
use rhumb::cluster::frame::Hello;
use rhumb::cluster::frame::read_header;
use rhumb::runtime::cluster::key::NodeKey;
use rustls::DigitallySignedStruct;
use rustls::Error;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Believes whoever answers.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A connection whose TLS handshake is done, as far as this side can tell.
pub struct Foreign {
    stream: TlsStream<TcpStream>,
}

impl Foreign {
    /// Dials with the key of that file, and this version of the protocol.
    pub async fn dial(address: SocketAddr, key: &Path, protocol: &[u8]) -> std::io::Result<Self> {
        let key = NodeKey::read(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let own = rustls::client::AlwaysResolvesClientRawPublicKeys::new(key.certified);
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous))
            .with_client_cert_resolver(Arc::new(own));
        config.alpn_protocols = vec![protocol.to_vec()];
        // Little waits in the kernel for one that does not read.
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(64 * 1024)?;
        let stream = socket.connect(address).await?;
        let server = ServerName::IpAddress(address.ip().into());
        let stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await?;
        Ok(Self { stream })
    }

    pub async fn send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    pub async fn greet(&mut self, cluster: &str, node: &NodeName, generation: u64) {
        let (cluster, node) = (cluster.into(), node.clone());
        let hello = Hello { cluster, node, generation: Generation(generation) };
        self.send(&Frame::Hello(hello).write()).await.unwrap();
    }

    /// The next frame; `None` when the other side has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).await.ok()?;
        let (kind, length) = read_header(header)?;
        let mut content = vec![0; length];
        self.stream.read_exact(&mut content).await.ok()?;
        Frame::read(kind, &content)
    }

    /// How many octets come until the other side closes.
    pub async fn octets_until_closed(&mut self) -> usize {
        let mut octets = Vec::new();
        let read = self.stream.read_to_end(&mut octets);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        let _ = read.expect("it is closed");
        octets.len()
    }
}

//! TLS settings of probes: the provider, whom we trust, and what is checked.
//!
//! Which sessions are resumed, and what that hides, is the business of `sessions`.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::ClientSessionStore;
use rustls::client::Resumption;
use rustls::client::Tls12Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;

use crate::model::TlsCheck;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::sessions::FULL_EVERY;
use crate::runtime::probe::sessions::Tickets;

/// Makes aws-lc-rs the process's cryptography; later calls do nothing.
pub fn install_crypto() {
    // An error says that one is installed already, which is all we want.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The roots that the system trusts, read from its files once for a set of targets.
#[derive(Default)]
pub(super) struct SystemRoots(Option<Arc<RootCertStore>>);

impl SystemRoots {
    /// Reads the system's certificates at the first call: some milliseconds of file access.
    fn get(&mut self) -> Result<Arc<RootCertStore>, ProbeFailure> {
        let roots = self.0.get_or_insert_with(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        });
        if roots.is_empty() {
            let text = "no root certificates found; install ca-certificates or set ca_pem";
            return Err(ProbeFailure::Local(text.into()));
        }
        Ok(Arc::clone(roots))
    }
}

/// The client side of one check's TLS, shared by all its targets.
#[derive(Debug)]
pub(super) struct Client {
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Client {
    /// The same for one target, whose sessions are resumed.
    pub(super) fn resuming(&self, tickets: &Arc<Tickets>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        let store = Resumption::store(Arc::clone(tickets) as Arc<dyn ClientSessionStore>);
        config.resumption = store.tls12_resumption(Tls12Resumption::Disabled);
        Arc::new(config)
    }

    /// The protocol that it offers to speak, if any.
    pub(super) fn offered(&self) -> Option<&[u8]> {
        self.config.alpn_protocols.first().map(Vec::as_slice)
    }

    /// The client of a connection that neither resumes a session nor remembers its own.
    pub(super) fn fresh(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Whether a chain that was good at `now` is good for as long as its session may be resumed.
    pub(super) fn is_good_ahead(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> bool {
        let then = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + FULL_EVERY);
        let Some((own, others)) = chain.split_first() else { return false };
        self.verifier.verify_server_cert(own, others, name, &[], then).is_ok()
    }
}

/// The client side of one check's TLS, shared by all its targets; it offers to speak `alpn`, if that is not empty.
pub(super) fn client(
    check: &TlsCheck,
    alpn: &[u8],
    system: &mut SystemRoots,
) -> Result<Arc<Client>, ProbeFailure> {
    let verifier: Arc<dyn ServerCertVerifier> = match (check.verify, &check.ca_pem) {
        (false, _) => {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            Arc::new(AcceptAny(algorithms.supported_schemes()))
        }
        (true, Some(pem)) => verifier(Arc::new(roots_of(pem)?))?,
        (true, None) => verifier(system.get()?)?,
    };
    let builder = ClientConfig::builder().dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::clone(&verifier));
    let mut config = builder.with_no_client_auth();
    config.resumption = Resumption::disabled();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    Ok(Arc::new(Client { config: Arc::new(config), verifier }))
}

/// What trusts these roots, as browsers do; revocation is not looked at.
fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, ProbeFailure> {
    let built = WebPkiServerVerifier::builder(roots).build();
    built.map_err(|error| ProbeFailure::BadCheck(error.to_string().into()))
}

fn roots_of(pem: &str) -> Result<RootCertStore, ProbeFailure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate
            .map_err(|error| ProbeFailure::BadCheck(format!("ca_pem: {error}").into()))?;
        roots
            .add(certificate)
            .map_err(|error| ProbeFailure::BadCheck(format!("ca_pem: {error}").into()))?;
    }
    if roots.is_empty() {
        return Err(ProbeFailure::BadCheck("ca_pem holds no certificate".into()));
    }
    Ok(roots)
}

/// Takes every certificate and every signature: `verify = false`.
#[derive(Debug)]
struct AcceptAny(Vec<SignatureScheme>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Arc;
    use super::RootCertStore;
    use super::SystemRoots;
    use super::client;
    use super::install_crypto;
    use crate::model::TlsCheck;
    use crate::runtime::probe::failure::ProbeFailure;

    #[test]
    fn pem_without_a_certificate_is_a_fault_of_the_check() {
        install_crypto();
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            let check = TlsCheck { ca_pem: Some(pem.into()), ..TlsCheck::default() };
            let failure = client(&check, b"", &mut SystemRoots::default()).unwrap_err();
            assert!(matches!(failure, ProbeFailure::BadCheck(_)), "{failure}");
        }
    }

    #[test]
    fn without_a_check_of_the_certificate_no_roots_are_read() {
        install_crypto();
        let check = TlsCheck { verify: false, ..TlsCheck::default() };
        let mut system = SystemRoots::default();
        client(&check, b"", &mut system).unwrap();
        assert!(system.0.is_none());
    }

    #[test]
    fn a_machine_without_roots_says_so_and_blames_no_backend() {
        install_crypto();
        let mut system = SystemRoots(Some(Arc::new(RootCertStore::empty())));
        let check = TlsCheck::default();
        let failure = client(&check, b"", &mut system).unwrap_err();
        assert!(failure.is_local(), "{failure}");
    }
}

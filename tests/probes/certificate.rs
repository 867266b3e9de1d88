//! Certificates for backends, made in memory.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::date_time_ymd;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// A certificate authority that no system trusts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> Box<str> {
        self.0.pem().into()
    }

    /// A backend's side for `name`, valid until the end of `last_year`.
    pub fn acceptor(&self, name: &str, last_year: i32) -> TlsAcceptor {
        self.made(name, |params| params.not_after = date_time_ymd(last_year, 12, 31), b"")
    }

    /// A backend's side for `name`, valid for so many days from now on.
    pub fn acceptor_for(&self, name: &str, days: u32) -> TlsAcceptor {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let until = date_time_ymd(1970, 1, 1) + now + Duration::from_secs(u64::from(days) * 86_400);
        self.made(name, |params| params.not_after = until, b"")
    }

    /// A backend's side for `name`, valid for so many seconds from now on.
    pub fn acceptor_for_seconds(&self, name: &str, seconds: u64) -> TlsAcceptor {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let until = date_time_ymd(1970, 1, 1) + Duration::from_secs(now + seconds);
        self.made(name, |params| params.not_after = until, b"")
    }

    /// A backend's side for `name` and so many others, so that the certificate is large.
    pub fn acceptor_with_names(&self, name: &str, more: usize) -> TlsAcceptor {
        let others = (0..more).map(|number| format!("other-name-{number:06}.example.test"));
        let names: Vec<String> = [name.to_owned()].into_iter().chain(others).collect();
        let until = date_time_ymd(2100, 12, 31);
        let more = move |params: &mut CertificateParams| {
            let named = CertificateParams::new(names).unwrap();
            (params.subject_alt_names, params.not_after) = (named.subject_alt_names, until);
        };
        self.made(name, more, b"")
    }

    /// A backend's side for `name` that speaks a protocol.
    pub fn acceptor_speaking(&self, name: &str, protocol: &[u8]) -> TlsAcceptor {
        self.made(name, |params| params.not_after = date_time_ymd(2100, 12, 31), protocol)
    }

    fn made(
        &self,
        name: &str,
        until: impl FnOnce(&mut CertificateParams),
        protocol: &[u8],
    ) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        until(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        acceptor(certificate.der().clone(), &key, protocol)
    }
}

/// A backend's side with a certificate that it signed itself.
pub fn self_signed(name: &str) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    acceptor(made.cert.der().clone(), &made.signing_key, b"")
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair, protocol: &[u8]) -> TlsAcceptor {
    rhumb::runtime::probe::install_crypto();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    if !protocol.is_empty() {
        config.alpn_protocols = vec![protocol.to_vec()];
    }
    TlsAcceptor::from(Arc::new(config))
}

//! Certificates for backends, made in memory.

use std::sync::Arc;
use std::time::Duration;
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
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 12, 31);
        self.sign(params)
    }

    /// The same, valid for so long from now on.
    pub fn acceptor_for(&self, name: &str, valid: Duration) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let now = UNIX_EPOCH.elapsed().unwrap();
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs((now + valid).as_secs());
        self.sign(params)
    }

    /// The same with so many names more, so that the certificate is large.
    pub fn acceptor_with_names(&self, name: &str, more: usize) -> TlsAcceptor {
        let others = (0..more).map(|number| format!("other-name-{number:06}.example.test"));
        let names: Vec<String> = [name.to_owned()].into_iter().chain(others).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(2100, 12, 31);
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> TlsAcceptor {
        params.not_before = date_time_ymd(2000, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        acceptor(certificate.der().clone(), &key)
    }
}

/// A backend's side with a certificate that it signed itself.
pub fn self_signed(name: &str) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    acceptor(made.cert.der().clone(), &made.signing_key)
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    rhumb::runtime::probe::install_crypto();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

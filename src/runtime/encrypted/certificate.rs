//! A certificate chain and its key, read from PEM files and held against each other.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use crate::runtime::encrypted::validity;

/// Largest file that is read: a chain is some kilobytes.
const FILE_MAX: u64 = 1024 * 1024;

/// The two files of a node's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the server's certificate first, then those that lead to the root.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

/// A pair that fits.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What TLS uses.
    pub certified: Arc<CertifiedKey>,
    /// Seconds since 1970 in which the server's certificate holds.
    pub validity: RangeInclusive<i64>,
}

/// What is wrong with a file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}; {remedy}", file.display())]
pub struct CertificateFault {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong.
    pub fault: String,
    /// What to do.
    pub remedy: &'static str,
}

impl CertificateFault {
    fn new(file: &Path, fault: impl Into<String>, remedy: &'static str) -> Self {
        Self { file: file.to_owned(), fault: fault.into(), remedy }
    }
}

impl CertificateFiles {
    /// Reads both; says everything that is wrong with them. Blocks.
    pub fn read(&self) -> Result<Pair, Vec<CertificateFault>> {
        let (chain, key) = match (read_chain(&self.certificate), read_key(&self.key)) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
        };
        self.join(chain, key).map_err(|fault| vec![fault])
    }

    fn join(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Pair, CertificateFault> {
        let unreadable = |why: &str| {
            let remedy = "put the server's X.509 certificate first in the file";
            CertificateFault::new(&self.certificate, why, remedy)
        };
        let validity = chain.first().and_then(|first| validity::read(first));
        let validity = validity.ok_or_else(|| unreadable("the first certificate is malformed"))?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let fault = format!("this key does not fit {}", self.certificate.display());
                CertificateFault::new(&self.key, fault, "give the key of the first certificate")
            }
            rustls::Error::InvalidCertificate(why) => {
                unreadable(&format!("the first certificate is malformed: {why:?}"))
            }
            other => {
                let fault = format!("this key cannot be used: {other}");
                CertificateFault::new(&self.key, fault, "use an ECDSA P-256, Ed25519 or RSA key")
            }
        })?;
        Ok(Pair { certified: Arc::new(certified), validity })
    }
}

impl Pair {
    /// What clients will object to at this second.
    pub fn find_warning(&self, file: &Path, unix_s: i64) -> Option<CertificateFault> {
        let date = |unix_s: i64| {
            let since = std::time::Duration::from_secs(unix_s.max(0).cast_unsigned());
            humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since)
        };
        let (from, until) = (*self.validity.start(), *self.validity.end());
        if unix_s > until {
            let fault = format!("the certificate expired at {}", date(until));
            let remedy = "clients refuse it: renew it, it is read again by itself";
            return Some(CertificateFault::new(file, fault, remedy));
        }
        if unix_s < from {
            let fault = format!("the certificate holds from {} only", date(from));
            let remedy = "clients refuse it until then: check this machine's clock";
            return Some(CertificateFault::new(file, fault, remedy));
        }
        None
    }
}

/// Reads certificates; at least one. Blocks.
pub fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateFault> {
    let text = read_file(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => {
            let fault = "there is no certificate in this file";
            let remedy = "it has to hold PEM: -----BEGIN CERTIFICATE-----";
            Err(CertificateFault::new(file, fault, remedy))
        }
        Err(why) => {
            let remedy = "write the file anew, as the authority sent it";
            Err(CertificateFault::new(file, format!("this is no whole PEM: {why}"), remedy))
        }
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateFault> {
    let text = read_file(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|why| {
        if text.windows(9).any(|found| found == b"ENCRYPTED") {
            let remedy = "take the passphrase off: openssl pkey -in KEY -out KEY";
            return CertificateFault::new(file, "the key is locked by a passphrase", remedy);
        }
        let (fault, remedy) = match why {
            rustls::pki_types::pem::Error::NoItemsFound => {
                ("there is no private key in this file".into(), "it has to hold a PEM private key")
            }
            why => (format!("this is no whole PEM: {why}"), "write the file anew"),
        };
        CertificateFault::new(file, fault, remedy)
    })
}

fn read_file(file: &Path) -> Result<Vec<u8>, CertificateFault> {
    let refused = |error: io::Error| {
        let remedy = "check that it exists and that this user may read it";
        CertificateFault::new(file, error.to_string(), remedy)
    };
    if std::fs::metadata(file).map_err(refused)?.len() > FILE_MAX {
        let remedy = "name a PEM file";
        return Err(CertificateFault::new(file, "the file has more than 1 MiB", remedy));
    }
    std::fs::read(file).map_err(refused)
}

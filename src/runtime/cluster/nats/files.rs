//! Files that tell the bus who this node is, looked at before it starts; the client reads them at each connection, so
//! that certificates are renewed by writing the files anew.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustls::RootCertStore;

use crate::model::NatsTerms;
use crate::runtime::encrypted::certificate::CertificateFault;
use crate::runtime::encrypted::certificate::CertificateFiles;
use crate::runtime::encrypted::certificate::read_chain;

/// Why this node cannot show itself to a bus.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// A file does not hold what it has to hold.
    #[error("[cluster.nats] {}", words(.0))]
    File(Vec<CertificateFault>),
    /// No certificate in it is one by which servers can be known.
    #[error(
        "[cluster.nats] ca: {}: no certificate in it can be used: name the one of the authority", .0.display()
    )]
    NoAuthority(PathBuf),
    /// Others than its owner and group may read the key.
    #[error(
        "[cluster.nats] key: {}: others may read this key (mode {mode:04o}): chmod 600 it", path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

fn words(faults: &[CertificateFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n[cluster.nats] ")
}

/// Whether the files are what they have to be. Blocks.
pub(in crate::runtime::cluster) fn check(terms: &NatsTerms) -> Result<(), NatsError> {
    let NatsTerms { servers: _, ca, certificate, key } = terms;
    let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
    let (pair, authorities) = match (files.read(), read_chain(ca)) {
        (Ok(pair), Ok(authorities)) => (pair, authorities),
        (pair, authorities) => {
            let faults = pair.err().unwrap_or_default().into_iter().chain(authorities.err());
            return Err(NatsError::File(faults.collect()));
        }
    };
    if RootCertStore::empty().add_parsable_certificates(authorities).0 == 0 {
        return Err(NatsError::NoAuthority(ca.clone()));
    }
    let mode = std::fs::metadata(key).map_or(0, |data| data.permissions().mode() & 0o7777);
    if mode & 0o007 != 0 {
        return Err(NatsError::Exposed { path: key.clone(), mode });
    }
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let unix_s = unix.map_or(0, |unix| unix.as_secs().cast_signed());
    if let Some(warning) = pair.find_warning(certificate, unix_s) {
        tracing::warn!(target: "rhumb::cluster", "[cluster.nats] {warning}");
    }
    Ok(())
}

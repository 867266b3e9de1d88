//! Why there is no connection with a peer, in words that say what to do.

use std::fmt;
use std::io;

use rustls::AlertDescription;
use rustls::CertificateError;
use rustls::Error;

use crate::cluster::NodeName;
use crate::runtime::cluster::connection::Ended;

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no TCP connection.
    Unreachable(io::Error),
    /// Nobody answered in time.
    TooSlow,
    /// It speaks another version of the protocol, or none.
    OtherVersion,
    /// It does not know this node's key.
    NotKnownThere,
    /// Its key is not among the pins.
    NotKnownHere,
    /// Its key is that of another node than the one at this address.
    Another(NodeName),
    /// It closed the connection in the middle of the handshake.
    HungUp,
    /// TLS failed otherwise.
    Tls(io::Error),
    /// It ended after TLS.
    Ended(Ended),
}

impl Failure {
    /// What an error of TLS means here.
    pub(super) fn of_tls(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match inner {
            Some(
                Error::NoApplicationProtocol
                | Error::AlertReceived(
                    AlertDescription::NoApplicationProtocol | AlertDescription::ProtocolVersion,
                ),
            ) => Self::OtherVersion,
            Some(Error::AlertReceived(
                AlertDescription::AccessDenied | AlertDescription::CertificateUnknown,
            )) => Self::NotKnownThere,
            Some(
                Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
                | Error::NoCertificatesPresented,
            ) => Self::NotKnownHere,
            _ if error.kind() == io::ErrorKind::UnexpectedEof => Self::HungUp,
            _ => Self::Tls(error),
        }
    }

    /// What an error right after TLS means: the other side judges our key only then.
    pub(super) fn of_hello(ended: Ended) -> Self {
        match ended {
            Ended::Closed(error) => match Self::of_tls(error) {
                Self::Tls(error) => Self::Ended(Ended::Closed(error)),
                Self::HungUp => Self::NotKnownThere,
                known => known,
            },
            other => Self::Ended(other),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "it cannot be reached: {error}"),
            Self::TooSlow => f.write_str("it did not finish the handshake in time"),
            Self::OtherVersion => f.write_str(
                "it does not speak rhumb/1, the cluster protocol of this version: run one version of rhumb on all nodes",
            ),
            Self::NotKnownThere => f.write_str(
                "it does not know the key of this node: add what rhumb cluster pin prints here to the pins there",
            ),
            Self::NotKnownHere => f.write_str(
                "its key is not among the pins here: compare with what rhumb cluster pin prints there",
            ),
            Self::Another(node) => {
                write!(f, "node {node} is at this address: compare the addresses of the peers")
            }
            Self::HungUp => f.write_str(
                "it closed the connection during the handshake: it speaks another version than rhumb/1 (run one version \
                 of rhumb on all nodes), or is no node, or has too many handshakes under way",
            ),
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::Ended(ended) => ended.fmt(f),
        }
    }
}

//! Downloads a geo database, and puts it in place only if it can be read.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::geo::DatabaseInfo;
use crate::geo::read_database;
use crate::runtime::probe::install_crypto;

/// Largest download, in octets: over three times the largest databases sold.
const DOWNLOAD_MAX: usize = 1 << 30;

/// How long a connection may take, and a download as a whole.
const CONNECT_MAX: Duration = Duration::from_secs(20);
const WHOLE_MAX: Duration = Duration::from_secs(1800);

/// Why a database was not replaced; the old one is untouched.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// The server, the network or the URL.
    #[error("download: {0}")]
    Http(#[from] reqwest::Error),
    /// More than a database can be.
    #[error("the download has more than {DOWNLOAD_MAX} octets")]
    TooLarge,
    /// What came is no database.
    #[error("what was downloaded is refused: {0}")]
    Refused(String),
    /// The new file cannot be written.
    #[error("writing: {0}")]
    Io(#[from] io::Error),
}

/// Downloads `url` to `output`: complete and readable, or not at all. A running server that watches the folder takes
/// it up by itself.
pub async fn fetch(url: &str, output: &Path) -> Result<DatabaseInfo, FetchFault> {
    install_crypto();
    let client = reqwest::Client::builder()
        .user_agent(concat!("rhumb/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_MAX)
        .timeout(WHOLE_MAX)
        .build()?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut octets = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if octets.len() + chunk.len() > DOWNLOAD_MAX {
            return Err(FetchFault::TooLarge);
        }
        octets.extend_from_slice(&chunk);
    }
    let name = output.display().to_string();
    let (_, info) =
        read_database(&name, &octets).map_err(|fault| FetchFault::Refused(fault.to_string()))?;
    // Renamed into place, so that no reader ever sees half a file.
    let partial = output.with_extension("mmdb.part");
    std::fs::write(&partial, &octets)?;
    std::fs::rename(&partial, output)?;
    Ok(info)
}

//! Downloads geo databases, and puts each in place only if it is whole, right and readable.
//!
//! Two ways in: [`fetch`] takes any URL; [`update::update`] speaks geoipupdate's protocol. Neither knows the server.

pub mod conf;
pub mod download;
pub mod unpack;
pub mod update;

use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::Url;
use sha2::Digest;
use sha2::Sha256;

use crate::geo::DatabaseInfo;
use crate::geo::read_database;
use crate::runtime::fetch::download::Downloaded;
use crate::runtime::fetch::download::Downloader;
use crate::runtime::fetch::unpack::unpack;

/// Why a database was not replaced; the old one is untouched.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// The address makes no sense.
    #[error("{0} is not an http or https address")]
    BadUrl(String),
    /// The network, or the server broke off.
    #[error("download: {0}")]
    Http(String),
    /// The server does not know who asks, or refuses it.
    #[error(
        "the server refuses the account or licence key (HTTP {0}); check AccountID and LicenseKey"
    )]
    Credentials(u16),
    /// There is nothing at that address.
    #[error("the server has no such database (HTTP 404); check the edition or the address")]
    NotFound,
    /// Any other answer than success.
    #[error("the server answers HTTP {0}")]
    Status(u16),
    /// Credentials would go over the network in the clear.
    #[error("{0} is not encrypted: the licence key is not sent there; use https")]
    Unencrypted(String),
    /// More than a database can be.
    #[error("the download has more than {} octets", download::DOWNLOAD_MAX)]
    TooLarge,
    /// Not what the server said it would be.
    #[error("the checksum is {found}, the server says {expected}; try again later")]
    Checksum {
        /// Of what came.
        found: String,
        /// Of what should have come.
        expected: String,
    },
    /// The server's metadata cannot be understood.
    #[error("the server's answer about {edition} cannot be read: {detail}")]
    Metadata {
        /// Which edition was asked for.
        edition: String,
        /// Why.
        detail: String,
    },
    /// The archive is damaged, a bomb, or holds no database.
    #[error("what was downloaded is refused: {0}")]
    Unpack(#[from] unpack::UnpackFault),
    /// What came is no database.
    #[error("what was downloaded is refused: {0}")]
    Refused(String),
    /// Somebody else is at work.
    #[error("{} is locked: another update runs", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The new file cannot be written.
    #[error("{}: {source}; check that its folder is there and that this user may write to it", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What became of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The file there is what the server has.
    Unchanged,
    /// The file is new.
    Replaced(Box<DatabaseInfo>),
}

/// Downloads `url` to `output`: complete and readable, or not at all. A running server that watches the folder takes
/// it up by itself.
///
/// `.gz` and `.tar.gz` are unpacked, whatever their names. The file's time is the server's, so that the next fetch asks
/// only for something newer. Of MaxMind's addresses (`/geoip/databases/...suffix=tar.gz`) the SHA-256 is checked.
///
/// # Errors
/// [`FetchFault`]; the old file is as it was.
pub async fn fetch(
    downloader: &Downloader,
    url: &str,
    output: &Path,
) -> Result<Fetched, FetchFault> {
    let url = parse_url(url)?;
    let label = output.file_name().map_or_else(String::new, |name| name.display().to_string());
    let origin = Origin::new(&url, output);
    // The file's time says something only of the address it came from.
    let since = output.metadata().and_then(|metadata| metadata.modified()).ok();
    let since = since.filter(|_| origin.is_known());
    let expected = match checksum_url(&url) {
        Some(checksum) => Some(first_word(&downloader.get(checksum, &label, None).await?)),
        None => None,
    };
    let Downloaded { octets, modified } = match downloader.get(url, &label, since).await? {
        Some(downloaded) => downloaded,
        None => return Ok(Fetched::Unchanged),
    };
    if let Some(expected) = expected {
        check_sum(hex(&Sha256::digest(&octets)), expected)?;
    }
    let fetched = install(output, unpack(octets)?, modified)?;
    origin.remember();
    Ok(fetched)
}

/// Which address a file came from: a digest of it, for addresses may hold keys, in a hidden file beside it.
struct Origin {
    path: PathBuf,
    digest: String,
}

impl Origin {
    fn new(url: &Url, output: &Path) -> Self {
        let name = output.file_name().map_or_else(String::new, |name| name.display().to_string());
        let path = output.with_file_name(format!(".{name}.from"));
        Self { path, digest: hex(&Sha256::digest(url.as_str())) }
    }

    fn is_known(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|known| known == self.digest)
    }

    /// If this fails, the next fetch downloads what it has already.
    fn remember(&self) {
        let _ = std::fs::write(&self.path, &self.digest);
    }
}

/// An http or https address.
pub(crate) fn parse_url(text: &str) -> Result<Url, FetchFault> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    url.ok_or_else(|| FetchFault::BadUrl(text.into()))
}

/// The host of an address.
pub fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(String::from)
}

/// Where the checksum of one of MaxMind's archives is.
fn checksum_url(url: &Url) -> Option<Url> {
    let query = url.query().filter(|_| url.path().starts_with("/geoip/databases/"))?;
    let is_suffix = |part: &str| part == "suffix=tar.gz";
    if !query.split('&').any(is_suffix) {
        return None;
    }
    let parts = query.split('&');
    let parts = parts.map(|part| if is_suffix(part) { "suffix=tar.gz.sha256" } else { part });
    let mut checksum = url.clone();
    checksum.set_query(Some(&parts.collect::<Vec<_>>().join("&")));
    Some(checksum)
}

/// The checksum in the output of `sha256sum`.
fn first_word(downloaded: &Option<Downloaded>) -> String {
    let octets = downloaded.as_ref().map_or(&[][..], |downloaded| &downloaded.octets);
    let text = String::from_utf8_lossy(&octets[..octets.len().min(256)]).to_lowercase();
    text.split_whitespace().next().unwrap_or("").into()
}

fn check_sum(found: String, expected: String) -> Result<(), FetchFault> {
    if found == expected { Ok(()) } else { Err(FetchFault::Checksum { found, expected }) }
}

/// Octets as lower-case hexadecimal digits.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Puts a database in place by rename, if it can be read and differs from the file there.
pub(crate) fn install(
    output: &Path,
    octets: Vec<u8>,
    modified: Option<SystemTime>,
) -> Result<Fetched, FetchFault> {
    let (_, info) = read_database(&output.display().to_string(), &octets)
        .map_err(|fault| FetchFault::Refused(fault.to_string()))?;
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FetchFault::Io { path, source }
    };
    if std::fs::read(output).is_ok_and(|old| old == octets) {
        if let Some(modified) = modified {
            let file = File::options().write(true).open(output).map_err(at(output))?;
            file.set_modified(modified).map_err(at(output))?;
        }
        return Ok(Fetched::Unchanged);
    }
    let name = output.file_name().map_or_else(String::new, |name| name.display().to_string());
    let draft = output.with_file_name(format!(".{name}.part"));
    let written = write_whole(&draft, &octets, modified)
        .map_err(at(&draft))
        .and_then(|()| std::fs::rename(&draft, output).map_err(at(output)));
    if written.is_err() {
        // What is left of it is of no use to anybody; the fault itself is told.
        let _ = std::fs::remove_file(&draft);
    }
    written.map(|()| Fetched::Replaced(Box::new(info)))
}

fn write_whole(path: &Path, octets: &[u8], modified: Option<SystemTime>) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(octets)?;
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_archives_of_maxmind_have_a_checksum_beside_them() {
        let sum = |url: &str| checksum_url(&Url::parse(url).unwrap()).map(String::from);
        let archive = "https://download.maxmind.com/geoip/databases/A/download?suffix=tar.gz";
        assert_eq!(sum(archive), Some(format!("{archive}.sha256")));
        assert_eq!(sum("https://example.net/city.mmdb.gz?suffix=tar.gz"), None);
        assert_eq!(sum("https://download.maxmind.com/geoip/databases/A/download?suffix=zip"), None);
    }

    #[test]
    fn what_is_no_http_address_is_said_so() {
        assert!(matches!(parse_url("city.mmdb"), Err(FetchFault::BadUrl(_))));
        assert!(matches!(parse_url("file:///etc/passwd"), Err(FetchFault::BadUrl(_))));
    }
}

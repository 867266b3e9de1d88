//! geoipupdate's protocol: asks which build of an edition is the newest, and downloads it if it is another one.

use std::fs::File;
use std::fs::OpenOptions;
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream;
use md5::Digest;
use md5::Md5;
use reqwest::Url;
use rustix::fs::FlockOperation;
use rustix::fs::flock;
use serde::Deserialize;

use crate::runtime::fetch::FetchFault;
use crate::runtime::fetch::Fetched;
use crate::runtime::fetch::check_sum;
use crate::runtime::fetch::conf::Conf;
use crate::runtime::fetch::download::Downloader;
use crate::runtime::fetch::hex;
use crate::runtime::fetch::install;
use crate::runtime::fetch::parse_url;
use crate::runtime::fetch::unpack::unpack;

/// What the server says of editions.
#[derive(Deserialize)]
struct Metadata {
    databases: Vec<Build>,
}

/// The newest build of an edition.
#[derive(Deserialize)]
struct Build {
    edition_id: String,
    /// As `2026-11-20`.
    date: String,
    /// Of the database as it is unpacked, in hexadecimal digits.
    md5: String,
}

/// Brings every edition up to date; what became of each, in their order.
///
/// # Errors
/// [`FetchFault::Locked`] while another update runs, [`FetchFault::Io`] if the lock cannot be made.
pub async fn update(
    conf: &Conf,
    downloader: &Downloader,
) -> Result<Vec<(String, Result<Fetched, FetchFault>)>, FetchFault> {
    let _lock = lock(&conf.lock_file)?;
    let one = |edition: &String| {
        let edition = edition.clone();
        async move {
            let done = update_one(conf, downloader, &edition).await;
            (edition, done)
        }
    };
    Ok(stream::iter(&conf.editions).map(one).buffered(conf.parallelism).collect().await)
}

/// Locks a file until it is dropped.
fn lock(path: &Path) -> Result<File, FetchFault> {
    let fault = |source| FetchFault::Io { path: path.to_path_buf(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(fault)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(why) if why == rustix::io::Errno::WOULDBLOCK => {
            Err(FetchFault::Locked { path: path.to_path_buf() })
        }
        Err(why) => Err(fault(why.into())),
    }
}

async fn update_one(
    conf: &Conf,
    downloader: &Downloader,
    edition: &str,
) -> Result<Fetched, FetchFault> {
    let output = conf.folder.join(format!("{edition}.mmdb"));
    let build = newest(conf, downloader, edition).await?;
    let md5 = build.md5.to_lowercase();
    if std::fs::read(&output).is_ok_and(|old| hex(&Md5::digest(old)) == md5) {
        return Ok(Fetched::Unchanged);
    }
    let mut url = address(conf, &format!("/geoip/databases/{edition}/download"))?;
    let date = build.date.replace('-', "");
    url.query_pairs_mut().append_pair("date", &date).append_pair("suffix", "tar.gz");
    let downloaded = downloader.get(url, edition, None).await?.ok_or(FetchFault::NotFound)?;
    let octets = unpack(downloaded.octets)?;
    check_sum(hex(&Md5::digest(&octets)), md5)?;
    install(&output, octets, downloaded.modified.filter(|_| conf.preserve_file_times))
}

async fn newest(conf: &Conf, downloader: &Downloader, edition: &str) -> Result<Build, FetchFault> {
    let mut url = address(conf, "/geoip/updates/metadata")?;
    url.query_pairs_mut().append_pair("edition_id", edition);
    let downloaded = downloader.get(url, edition, None).await?.ok_or(FetchFault::NotFound)?;
    let fault = |detail: String| FetchFault::Metadata { edition: edition.to_owned(), detail };
    let metadata: Metadata =
        serde_json::from_slice(&downloaded.octets).map_err(|why| fault(why.to_string()))?;
    let build = metadata.databases.into_iter().find(|build| build.edition_id == edition);
    build.ok_or_else(|| fault("the edition is not in it".into()))
}

fn address(conf: &Conf, path: &str) -> Result<Url, FetchFault> {
    parse_url(&format!("{}{path}", conf.server))
}

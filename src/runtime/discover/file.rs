//! A file of target groups: read when it has changed and is left alone, in place or by renaming.

use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::discovery::LIST_OCTETS_MAX;
use crate::model::Source;
use crate::runtime::discover::Said;
use crate::runtime::discover::Teller;
use crate::runtime::discover::read;

/// How often a file is looked at: one `stat`.
const LOOK: Duration = Duration::from_millis(500);

/// What tells one state of a file from another: device, inode, length, change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

/// Looks at the file again and again; tells its list at once, and when it is another one.
///
/// A change counts when two looks see the same: who writes in place is let finish.
pub(super) async fn follow(source: &Arc<Source>, path: &Path, teller: &Teller) -> Result<(), ()> {
    let mut told: Option<Result<Stamp, io::ErrorKind>> = None;
    let mut seen = None;
    loop {
        let now = stamp(path);
        let is_still = told.is_none() || seen == Some(now);
        if told != Some(now) && is_still {
            let result = load(path.to_owned()).await;
            // What was written meanwhile is seen by the next look.
            if told.is_none() || stamp(path) == now {
                told = Some(now);
                teller.tell(source, result).await?;
            }
        }
        seen = Some(now);
        tokio::time::sleep(LOOK).await;
    }
}

fn stamp(path: &Path) -> Result<Stamp, io::ErrorKind> {
    let found = path.metadata().map_err(|why| why.kind())?;
    Ok((found.dev(), found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
}

/// Reads a file on a thread that may wait for a disk.
async fn load(path: PathBuf) -> Said {
    let octets = tokio::task::spawn_blocking(move || read_octets(&path)).await;
    let octets = octets.map_err(io::Error::other).and_then(|octets| octets);
    read(octets.map_err(|why| Box::<str>::from(why.to_string()))?)
}

/// The octets of a regular file that is not too large, whatever its length is said to be.
pub fn read_octets(path: &Path) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut octets = Vec::new();
    let most = LIST_OCTETS_MAX as u64 + 1;
    std::fs::File::open(path)?.take(most).read_to_end(&mut octets)?;
    match octets.len() > LIST_OCTETS_MAX {
        true => Err(io::Error::other(format!("it has more than {LIST_OCTETS_MAX} octets"))),
        false => Ok(octets),
    }
}

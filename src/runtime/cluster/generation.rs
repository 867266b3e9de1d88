//! This node's life, higher than the one before it even if the clock was set back in between.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::cluster::Generation;

/// File in the folder of state.
const FILE: &str = "cluster-generation";

/// The life that begins now; it is remembered in `folder`, if there is one. Blocks.
pub(super) fn begin(folder: Option<&Path>) -> Generation {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
    let path = folder.map(|folder| folder.join(FILE));
    let last = path.as_deref().and_then(|path| std::fs::read_to_string(path).ok());
    let last = last.and_then(|text| text.trim().parse().ok()).map(Generation);
    let generation = Generation::at_start(unix_ms, last);
    if let Some(path) = path
        && let Err(error) = keep(&path, generation)
    {
        let path = path.display();
        tracing::warn!(target: "rhumb::cluster", %path, %error, "the generation is not kept: set the clock back and peers will not listen");
    }
    generation
}

/// Writes beside and renames, so that a crash leaves the old number or the new one.
fn keep(path: &Path, generation: Generation) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    writeln!(file, "{generation}")?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_life_is_higher_than_the_last_even_after_a_clock_of_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not there yet");
        let first = begin(Some(&folder));
        let second = begin(Some(&folder));
        assert!(second > first);
        std::fs::write(folder.join(FILE), "9000000000000000000\n").unwrap();
        assert_eq!(begin(Some(&folder)), Generation(9_000_000_000_000_000_001));
        std::fs::write(folder.join(FILE), "nonsense").unwrap();
        assert!(begin(Some(&folder)) > first);
    }
}

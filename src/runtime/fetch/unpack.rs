//! A database out of what was downloaded: as it is, in gzip, or as the one `.mmdb` of a tar in gzip. Writes no file.

use std::io;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use tar::Archive;

/// Largest database, in octets: over three times the largest that are sold.
pub const UNPACKED_MAX: u64 = 4 << 30;

/// How many times larger than its archive a database may be. Real ones are 2 to 6 times; gzip can do 1,000.
pub const RATIO_MAX: u64 = 50;

/// Size below which the ratio does not count, in octets.
const RATIO_FREE: u64 = 1 << 20;

/// Most members of an archive that are looked at for the database.
const MEMBERS_MAX: usize = 64;

/// Why there is no database in it.
#[derive(Debug, thiserror::Error)]
pub enum UnpackFault {
    /// Not whole, or not what it seems.
    #[error("the archive is damaged or cut short ({0})")]
    Damaged(#[from] io::Error),
    /// Out of all proportion.
    #[error("the archive unpacks to more than {0} octets, which no database does")]
    Bomb(u64),
    /// Nothing of use inside.
    #[error("the archive holds no .mmdb file")]
    NoDatabase,
}

/// The database in `octets`.
///
/// # Errors
/// [`UnpackFault`]. At most `RATIO_MAX` times the octets are ever held.
pub fn unpack(octets: Vec<u8>) -> Result<Vec<u8>, UnpackFault> {
    if !octets.starts_with(&[0x1f, 0x8b]) {
        return Ok(octets);
    }
    let most = (octets.len() as u64 * RATIO_MAX).clamp(RATIO_FREE, UNPACKED_MAX);
    let mut inner = Vec::new();
    // One octet more than may be shows that there is more.
    MultiGzDecoder::new(octets.as_slice()).take(most + 1).read_to_end(&mut inner)?;
    if inner.len() as u64 > most {
        return Err(UnpackFault::Bomb(most));
    }
    if inner.get(257..262) == Some(b"ustar") { find_member(&inner) } else { Ok(inner) }
}

fn find_member(tar: &[u8]) -> Result<Vec<u8>, UnpackFault> {
    for member in Archive::new(tar).entries()?.take(MEMBERS_MAX) {
        let mut member = member?;
        let is_file = member.header().entry_type().is_file();
        if !is_file || member.path()?.extension().is_none_or(|extension| extension != "mmdb") {
            continue;
        }
        let size = member.size();
        let mut octets = Vec::new();
        member.read_to_end(&mut octets)?;
        if octets.len() as u64 != size {
            return Err(UnpackFault::Damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        return Ok(octets);
    }
    Err(UnpackFault::NoDatabase)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(octets: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, octets) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(octets.len() as u64);
            builder.append_data(&mut header, name, *octets).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn finds_the_database_as_it_is_in_gzip_and_in_a_tar() {
        assert_eq!(unpack(b"database".to_vec()).unwrap(), b"database");
        assert_eq!(unpack(gzip(b"database")).unwrap(), b"database");
        let archive = tar(&[("A_1/COPYRIGHT.txt", b"(c)"), ("A_1/A.mmdb", b"database")]);
        assert_eq!(unpack(gzip(&archive)).unwrap(), b"database");
    }

    #[test]
    fn archives_without_a_database_or_cut_short_are_refused() {
        let none = gzip(&tar(&[("README", b"mmdb")]));
        assert!(matches!(unpack(none), Err(UnpackFault::NoDatabase)));
        let whole = gzip(&tar(&[("A.mmdb", &[7; 5_000])]));
        for len in [10, whole.len() / 2, whole.len() - 1] {
            assert!(matches!(unpack(whole[..len].to_vec()), Err(UnpackFault::Damaged(_))), "{len}");
        }
        let mut cut = tar(&[("A.mmdb", &[7; 5_000])]);
        cut.truncate(2_000);
        assert!(matches!(unpack(gzip(&cut)), Err(UnpackFault::Damaged(_))));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 1 << 20);
        let Err(UnpackFault::Bomb(most)) = unpack(bomb) else { panic!("it is a bomb") };
        assert!(most < 64 << 20);
    }
}

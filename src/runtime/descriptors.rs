//! How many descriptors this process may open: as many as the system lets it, and enough left for probes.

use rustix::process::Resource;
use rustix::process::getrlimit;
use rustix::process::setrlimit;

/// Raises the soft limit to the hard one, which the system means for us; returns what holds then, if there is a limit.
pub fn raise_limit() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // What is refused here was good enough for a start without it.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current
}

/// Connections of each of so many services that leave half of the descriptors to probes, files and sockets.
///
/// A service closes its own connections only when descriptors run out, so none may take those of the others.
pub fn connections_within(wanted: usize, limit: Option<u64>, services: usize) -> usize {
    let half = limit.map_or(usize::MAX, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
    wanted.min(half / services.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::connections_within;

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        assert_eq!(connections_within(1000, Some(65_536), 1), 1000);
        assert_eq!(connections_within(1000, Some(1024), 1), 512);
        assert_eq!(connections_within(1000, Some(1024), 3), 170, "TCP, DoT and DoH");
        assert_eq!(connections_within(1000, None, 3), 1000);
        assert_eq!(connections_within(1000, Some(0), 1), 1);
    }
}

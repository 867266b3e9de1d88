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

/// TCP connections that leave half of the descriptors to probes, files and sockets.
pub fn connections_within(wanted: usize, limit: Option<u64>) -> usize {
    let half = limit.map_or(usize::MAX, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
    wanted.min(half).max(1)
}

#[cfg(test)]
mod tests {
    use super::connections_within;

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        assert_eq!(connections_within(1000, Some(65_536)), 1000);
        assert_eq!(connections_within(1000, Some(1024)), 512);
        assert_eq!(connections_within(1000, None), 1000);
        assert_eq!(connections_within(1000, Some(0)), 1);
    }
}

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

/// Probes that run at once, if nobody wants fewer: with the half of the connections, an eighth is left to files and sockets.
///
/// At most 32,768: what 50,000 targets that all time out after half of their intervals come to, and more.
pub fn probes_within(wanted: Option<usize>, limit: Option<u64>) -> usize {
    const PROBES_MAX: usize = 32_768;
    let share =
        limit.map_or(usize::MAX, |limit| usize::try_from(limit / 8 * 3).unwrap_or(usize::MAX));
    wanted.unwrap_or(PROBES_MAX).min(share).max(1)
}

#[cfg(test)]
mod tests {
    use super::connections_within;
    use super::probes_within;

    #[test]
    fn probes_take_what_descriptors_allow_and_no_more_than_is_wanted() {
        assert_eq!(probes_within(None, Some(1024)), 384);
        assert_eq!(probes_within(None, Some(1_048_576)), 32_768);
        assert_eq!(probes_within(None, None), 32_768);
        assert_eq!(probes_within(Some(50), Some(1024)), 50);
        assert_eq!(probes_within(Some(5000), Some(1024)), 384);
        assert_eq!(probes_within(None, Some(0)), 1);
        for limit in [100, 1024, 65_536] {
            let both =
                connections_within(usize::MAX, Some(limit), 1) + probes_within(None, Some(limit));
            assert!(both as u64 <= limit / 8 * 7 + 4, "{limit}");
        }
    }

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        assert_eq!(connections_within(1000, Some(65_536), 1), 1000);
        assert_eq!(connections_within(1000, Some(1024), 1), 512);
        assert_eq!(connections_within(1000, Some(1024), 3), 170, "TCP, DoT and DoH");
        assert_eq!(connections_within(1000, None, 3), 1000);
        assert_eq!(connections_within(1000, Some(0), 1), 1);
    }
}

//! What a file says of an endpoint that differs from a check by which it is probed.

use crate::config::problem::At;

/// `[pool.NAME.endpoint.NAME.probe.CHECK]`
#[derive(Clone, Debug)]
pub struct SpecialSpec {
    /// Which check.
    pub check: At<String>,
    /// Its own port.
    pub port: Option<At<u16>>,
    /// Its own host.
    pub host: Option<At<String>>,
    /// Its own path.
    pub path: Option<At<String>>,
}

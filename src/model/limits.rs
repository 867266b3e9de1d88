//! Limits that files are checked against and that tables rely on.

/// Most addresses in one answer.
pub const ANSWERS_MAX: usize = 8;

/// Most targets of one policy.
pub const TARGETS_MAX: usize = 64;

/// Most addresses of one family that are taken from what a name resolves to.
pub const RESOLVED_MAX: usize = 8;

/// Most endpoints of one pool: a query looks at each of them.
pub const ENDPOINTS_MAX: usize = 256;

/// How long endpoints that a source dropped count against the next ones.
pub const DROP_WINDOW: std::time::Duration = std::time::Duration::from_secs(600);

//! What is known of one address of one endpoint, and what an operator ordered for it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Address family of a question, an address or a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Family {
    /// Both families, in the order of [`Family::index`].
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Position in a two-element array.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What a site says of a target, and after quorum what all agree on.
///
/// ```text
///            first result ok / rise          fall failures
///  Unknown ───────────────────────▶ Up ───────────────────▶ Down
///                                   ▲                        │ rise successes, but
///                                   │ nothing holds it       ▼ hold-down or damping holds
///                                   └──────────────────── Held
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Verdict {
    /// Nothing is known; served like up.
    #[default]
    Unknown,
    /// Probes pass.
    Up,
    /// Probes pass again, but hold-down or damping holds: served only where nothing else is healthy.
    Held,
    /// Probes fail.
    Down,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Held => "held",
            Self::Down => "down",
        })
    }
}

/// What an operator ordered for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Admin {
    /// Verdicts decide.
    #[default]
    Enabled,
    /// Takes no new clients; leaves the denominator of thresholds.
    Drained,
    /// As drained, and not probed either: it is not there.
    Disabled,
    /// Counts as healthy whatever probes say.
    ForcedUp,
    /// Counts as down whatever probes say; stays in the denominator.
    ForcedDown,
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enabled => "enabled",
            Self::Drained => "drained",
            Self::Disabled => "disabled",
            Self::ForcedUp => "forced up",
            Self::ForcedDown => "forced down",
        })
    }
}

/// Names what is probed: one address family of one endpoint by one check.
///
/// Stable over reloads, so that verdicts are carried over by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKey {
    /// `pool/endpoint`.
    pub endpoint: Arc<str>,
    /// Name of the check.
    pub check: Arc<str>,
    /// Which address of the endpoint.
    pub family: Family,
    /// The address itself, if the endpoint is a name that may have several.
    pub address: Option<IpAddr>,
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.endpoint, self.check, self.family)?;
        match self.address {
            Some(address) => write!(f, " {address}"),
            None => Ok(()),
        }
    }
}

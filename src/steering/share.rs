//! How much of a pool's weight is healthy. Weighs nothing itself.

/// A part of a whole, both in weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Share {
    /// Healthy weight.
    pub healthy: u32,
    /// Enabled weight.
    pub enabled: u32,
}

impl Share {
    /// Whether this share is larger than `other`; nothing of nothing is the smallest.
    pub fn exceeds(self, other: Self) -> bool {
        u64::from(self.healthy) * u64::from(other.enabled.max(1))
            > u64::from(other.healthy) * u64::from(self.enabled.max(1))
    }

    /// Both families together.
    pub fn plus(self, other: Self) -> Self {
        Self { healthy: self.healthy + other.healthy, enabled: self.enabled + other.enabled }
    }
}

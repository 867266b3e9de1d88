//! Whom a pool that qualifies takes, and whom it sends elsewhere: what records of the control plane say of a pool.

use crate::steering::band::BANDS;
use crate::steering::band::Band;
use crate::steering::order::Rank;
use crate::steering::rendezvous::NameSeed;

/// Which clients a pool that qualifies takes in pass 1: a record, kept by the control plane. Those it does not take
/// are served all the same if nobody else qualifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intake {
    /// All.
    #[default]
    All,
    /// So many tenths of them, the same ones while the number grows.
    Tenths(u8),
    /// None until an operator brings them back.
    AwaitsFailback,
}

impl Intake {
    /// Whether a client is taken; `seed` is that of the pool.
    #[inline]
    pub fn takes(self, key: impl Rank, seed: NameSeed) -> bool {
        match self {
            Self::All => true,
            Self::Tenths(tenths) => key.is_within_tenths(seed, tenths),
            Self::AwaitsFailback => false,
        }
    }
}

/// Whom a pool that qualifies sends elsewhere in pass 1 for its load: a record, kept by the control plane. Those it sends
/// away are served all the same if nobody else takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shedding {
    /// How many sixteenths of its clients, the farthest ones; 0 to 15.
    pub level: u8,
    /// It takes nobody whom another pool sheds.
    pub is_closed: bool,
}

impl Shedding {
    /// Whether clients of a band are sent elsewhere.
    #[inline]
    pub fn sheds(self, band: Band) -> bool {
        band.0 + self.level >= BANDS
    }
}

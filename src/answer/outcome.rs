//! What became of a query, as a value: the shell counts it.

use crate::steering::Pass;
use crate::wire::Fault;
use crate::wire::Rcode;

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Octets of the reply; 0 if nothing is sent.
    pub reply_len: usize,
    /// Its code; `None` if nothing is sent.
    pub rcode: Option<Rcode>,
    /// TC is set: the client is to ask again over TCP.
    pub truncated: bool,
    /// What was found.
    pub happened: Happened,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The packet is not a query.
    Malformed(Fault),
    /// A version, class or type that no zone can answer.
    Unanswerable,
    /// The name is in no zone of ours.
    NotOurs,
    /// Static data, or its proven absence.
    Static,
    /// A referral.
    Referral,
    /// A pool was chosen for the client.
    Steered(Pass),
    /// As `Steered`, but so little of the pool is healthy that all of it was served.
    Panic(Pass),
    /// A steered name has nothing to serve: SERVFAIL.
    NothingToServe,
    /// The reason of an answer.
    Explained,
}

impl Happened {
    /// Names for counters, by [`Happened::index`].
    pub const NAMES: [&'static str; 13] = [
        "malformed",
        "unanswerable",
        "not_ours",
        "static",
        "referral",
        "steered",
        "best_share",
        "fail_open",
        "named_pool",
        "last_good",
        "panic",
        "nothing_to_serve",
        "explained",
    ];

    /// Position in [`Happened::NAMES`].
    pub fn index(self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::Unanswerable => 1,
            Self::NotOurs => 2,
            Self::Static => 3,
            Self::Referral => 4,
            Self::Steered(Pass::Qualified) => 5,
            Self::Steered(Pass::BestShare) => 6,
            Self::Steered(Pass::FailOpen) => 7,
            Self::Steered(Pass::NamedPool) => 8,
            Self::Steered(Pass::LastGood) => 9,
            Self::Panic(_) => 10,
            Self::NothingToServe => 11,
            Self::Explained => 12,
        }
    }
}

//! What can happen to the control plane.

use crate::control::command::Command;
use crate::control::job::Job;
use crate::control::job::Product;
use crate::control::resolve::Resolution;
use crate::control::round_trips::MadeTable;
use crate::control::round_trips::Measurement;
use crate::model::TargetKey;
use crate::model::Verdict;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Files were read, changed or not.
    Files(Job),
    /// A worker is done with a [`Job`].
    Compiled(Product),
    /// This site's word on a target changed.
    Vote(Vote),
    /// A name of an endpoint was resolved, or could not be.
    Resolved(Resolution),
    /// An operator asks for something.
    Command(Command),
    /// Round-trip times were measured.
    Measured(Vec<Measurement>),
    /// A worker is done with a table; `None` if it failed.
    TableMade(Option<MadeTable>),
    /// Nothing more is waiting: publish what changed. Also what a timer says.
    Settle,
}

/// A site's word on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// About what.
    pub key: TargetKey,
    /// What it says.
    pub verdict: Verdict,
    /// How slow the target is, as a level of its check; 0 is none.
    pub degraded: u8,
    /// The probe result behind it, for people.
    pub reason: Box<str>,
}

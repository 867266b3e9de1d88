//! What can happen to the control plane.

use crate::cluster::Heard;
use crate::control::cluster::bundles::BundleNews;
use crate::control::cluster::withdrawal::HookReport;
use crate::control::command::Command;
use crate::control::discover::Discovered;
use crate::control::job::Job;
use crate::control::job::Product;
use crate::control::resolve::Resolution;
use crate::control::restart::Restored;
use crate::control::round_trips::MadeTable;
use crate::control::round_trips::Measurement;
use crate::control::shed::LoadReport;
use crate::health::Penalty;
use crate::model::Anchors;
use crate::model::ClusterTerms;
use crate::model::TargetKey;
use crate::model::Verdict;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// What was kept from before the start; the first event, if state is kept at all.
    Restored(Restored),
    /// Files were read, changed or not.
    Files(Job),
    /// A worker is done with a [`Job`].
    Compiled(Product),
    /// This site's word on a target changed.
    Vote(Vote),
    /// Another node said something, or how it is reached became known.
    Heard(Heard),
    /// Who belongs to the cluster, as the node's file says now; the same members as before change nothing.
    Members(ClusterTerms),
    /// The shell did what bundles asked for.
    Bundle(BundleNews),
    /// This node's anchors were asked.
    Anchors(Anchors),
    /// The hook that withdraws this node, or announces it, was run.
    Hooked(HookReport),
    /// A name of an endpoint was resolved, or could not be.
    Resolved(Resolution),
    /// A source told of endpoints, or could not be asked.
    Discovered(Discovered),
    /// An operator asks for something.
    Command(Command),
    /// Endpoints said how much load they have.
    Loads(Vec<LoadReport>),
    /// Round-trip times were measured.
    Measured(Vec<Measurement>),
    /// A worker is done with a table; `None` if it failed.
    TableMade(Option<MadeTable>),
    /// What is kept is lost: keep everything anew.
    KeepAll,
    /// State is not written any more, or is again.
    Disk(DiskNews),
    /// Nothing more is waiting: publish what changed. Also what a timer says.
    Settle,
}

/// What the disk does that state is kept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskNews {
    /// It does not take it.
    Faulty(Box<str>),
    /// It does again.
    Kept,
    /// What was there could not be used and was put aside.
    Lost(Box<str>),
}

/// A site's word on a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// About what.
    pub key: TargetKey,
    /// What it says.
    pub verdict: Verdict,
    /// How slow the target is, as a level of its check; 0 is none.
    pub degraded: u8,
    /// The probe result behind it, for people.
    pub reason: Box<str>,
    /// For its flaps, now.
    pub penalty: Penalty,
}

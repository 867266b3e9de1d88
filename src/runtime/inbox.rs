//! What reaches the control loop: a channel for each kind of event.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::cluster::Heard;
use crate::control::Command;
use crate::control::Job;
use crate::control::Product;
use crate::control::Reply;
use crate::control::Resolution;
use crate::runtime::measuring::Measuring;
use crate::runtime::node_file::NodeFile;
use crate::runtime::probe::ProbeReport;

/// Resolved names that wait for the controller, at most.
const RESOLUTIONS_MAX: usize = 64;

/// What other nodes said and waits for the controller, at most.
pub(super) const HEARD_MAX: usize = 1024;

/// A command and who waits for the reply.
pub type Asked = (Command, oneshot::Sender<Reply>);

/// What reaches the loop.
pub struct Inbox {
    /// Commands of operators.
    pub commands: mpsc::Receiver<Asked>,
    /// Probe results.
    pub reports: mpsc::Receiver<ProbeReport>,
    /// Files may have changed.
    pub changes: mpsc::Receiver<()>,
    /// Told when an operator asks to reload: for what is read besides.
    pub reloads: Arc<Notify>,
    /// What names of endpoints resolve to.
    pub(super) resolutions: mpsc::Receiver<Resolution>,
    resolutions_sender: mpsc::Sender<Resolution>,
    /// What other nodes say.
    pub(super) heard: mpsc::Receiver<Heard>,
    heard_sender: mpsc::Sender<Heard>,
    /// For asking for a reading ourselves.
    pub(super) changes_sender: mpsc::Sender<()>,
    /// Files that were read.
    pub(super) readings: mpsc::Receiver<Readings>,
    pub(super) readings_sender: mpsc::Sender<Readings>,
    /// What workers compiled.
    pub(super) products: mpsc::Receiver<Product>,
    pub(super) products_sender: mpsc::Sender<Product>,
    /// Measured round-trip times, and tables made of them.
    pub measuring: Measuring,
}

/// Files that were read, or that reading them panicked, and the node's settings compared.
pub(super) type Readings = (Result<Job, String>, Option<NodeFile>);

/// Whether files are being read. One reading at a time; what changes meanwhile is read after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// No.
    #[default]
    Idle,
    /// Yes.
    Busy,
    /// Yes, and they have to be read again.
    BusyAndStale,
}

impl Inbox {
    /// Puts the channels together.
    pub fn new(
        commands: mpsc::Receiver<Asked>,
        reports: mpsc::Receiver<ProbeReport>,
        (changes_sender, changes): (mpsc::Sender<()>, mpsc::Receiver<()>),
    ) -> Self {
        let (readings_sender, readings) = mpsc::channel(1);
        let (products_sender, products) = mpsc::channel(4);
        let (resolutions_sender, resolutions) = mpsc::channel(RESOLUTIONS_MAX);
        let (heard_sender, heard) = mpsc::channel(HEARD_MAX);
        Self {
            commands,
            reports,
            changes,
            reloads: Arc::default(),
            resolutions,
            resolutions_sender,
            heard,
            heard_sender,
            changes_sender,
            readings,
            readings_sender,
            products,
            products_sender,
            measuring: Measuring::default(),
        }
    }

    /// Where what names resolve to goes.
    pub fn resolutions_sender(&self) -> mpsc::Sender<Resolution> {
        self.resolutions_sender.clone()
    }

    /// Where what other nodes say goes.
    pub fn heard_sender(&self) -> mpsc::Sender<Heard> {
        self.heard_sender.clone()
    }

    /// What asks for a reading of the files.
    pub fn changes_sender(&self) -> mpsc::Sender<()> {
        self.changes_sender.clone()
    }
}

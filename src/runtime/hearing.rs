//! What other nodes said reaches the controller.

use crate::cluster::Heard;
use crate::control::Event;
use crate::runtime::cluster::Cluster;
use crate::runtime::control_loop::Core;
use crate::runtime::inbox::HEARD_MAX;
use crate::runtime::probe::ProbeReport;

impl Core {
    /// Takes its place in a cluster.
    pub(super) fn join(&mut self, cluster: &Cluster) {
        self.anchors = cluster.anchors();
        self.hook_reports = cluster.hook_reports();
        self.cluster = Some(cluster.clone());
    }

    /// Tells how far a target is, if the probe has measured it.
    pub(super) fn note_round_trip(&mut self, report: &ProbeReport) {
        let phases = &report.result.phases;
        if let Some(time) = phases.connect.or(phases.first_byte) {
            self.controller.note_round_trip(&report.key, time);
        }
    }

    /// Takes in how the hook ended that withdraws this node, or announces it.
    pub(super) fn take_hook_report(&mut self) {
        let report = self.hook_reports.borrow_and_update().clone();
        report.into_iter().for_each(|report| self.handle(Event::Hooked(report)));
    }

    /// Takes in what other nodes said, with all else of them that is waiting.
    pub(super) fn hear(&mut self, first: Heard) {
        let mut next = Some(first);
        for _ in 0..HEARD_MAX {
            let Some(heard) = next else { return };
            self.handle(Event::Heard(heard));
            next = self.inbox.heard.try_recv().ok();
        }
        // The last one that was taken off is not to be lost.
        if let Some(heard) = next {
            self.handle(Event::Heard(heard));
        }
    }
}

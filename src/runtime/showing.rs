//! Shows what holds: to metrics, to the service manager, to `readyz`.

use std::time::Duration;

use crate::control::effect::count;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::runtime::control_loop::Core;

/// How long `readyz` waits for the first round of probes, at most.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(15);

impl Core {
    /// Shows what was published.
    pub(super) fn show_state(&self) {
        let Some(snapshot) = self.controller.snapshot() else { return };
        let (orders, verdicts) = (self.controller.order_count(), self.controller.verdicts());
        let is_down = |(_, verdict): &&(TargetKey, Verdict)| *verdict == Verdict::Down;
        let down = verdicts.iter().filter(is_down).count();
        let zones = count(snapshot.compiled.model.zones.len(), "zone");
        let orders_in_force = count(orders, "order");
        self.manager.say_status(&format!(
            "Serving {zones}, generation {}; {down} of {} down; {orders_in_force}",
            snapshot.generation,
            count(verdicts.len(), "target"),
        ));
        self.metrics.set_state(snapshot.generation, orders, verdicts);
        self.metrics.set_admin(self.controller.admin_states());
        self.metrics.set_names(self.controller.names());
        self.metrics.set_sources(self.controller.sources());
    }

    /// Ready when every target has a result, or when that takes too long.
    pub(super) fn note_readiness(&self) {
        if self.metrics.is_ready() {
            return;
        }
        let targets = self.controller.probed_count();
        let is_over = self.last_results.len() >= targets && self.controller.has_tried_all();
        if is_over || self.start.elapsed() > FIRST_ROUND_MAX {
            self.metrics.set_ready();
            tracing::info!(target: "rhumb::health", targets, "ready: the first round of probes is over");
        }
    }
}

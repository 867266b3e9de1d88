//! Shows what holds: to metrics, to the service manager, to `readyz`.
//!
//! A flip is shown as one: lists of all targets are made anew only when the targets are others.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::Effect;
use crate::control::Occurrence;
use crate::control::effect::count;
use crate::runtime::control_loop::Core;

/// How long `readyz` waits for the first round of probes, at most.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(15);

/// How old numbers that change with time or with each result may be where they are shown.
const RECORDS_AGE_MAX: Duration = Duration::from_millis(100);

/// What has happened since it was shown last.
#[derive(Debug, Default)]
pub struct News {
    /// A snapshot was published.
    is_published: bool,
    /// Other targets are probed.
    are_targets_others: bool,
    /// Something that is seldom, as an order or a reload.
    is_seldom: bool,
    /// When records were shown last.
    records_shown: Option<Instant>,
}

impl Core {
    /// Remembers what an effect changes in what is shown.
    pub(super) fn note_news(&mut self, effect: &Effect) {
        match effect {
            Effect::Publish(_) => self.news.is_published = true,
            Effect::Probe(_) => {
                self.news.are_targets_others = true;
                self.news.is_seldom = true;
            }
            Effect::Record(Occurrence::Verdict { key, after, .. }) => {
                self.metrics.verdicts().set(key, *after);
            }
            Effect::Record(Occurrence::Degraded { .. })
            | Effect::Persist(_)
            | Effect::Keep(_)
            | Effect::KeepTable(_)
            | Effect::MakeTable(_)
            | Effect::Say(_)
            | Effect::WriteTable { .. } => {}
            Effect::Record(_)
            | Effect::Compile(_)
            | Effect::Hook(_)
            | Effect::Bundle(_)
            | Effect::Resolve(_)
            | Effect::Discover(_)
            | Effect::Reply(_) => self.news.is_seldom = true,
        }
    }

    /// Shows what was published, and what has changed with it.
    pub(super) fn show_news(&mut self) {
        if std::mem::take(&mut self.news.are_targets_others) {
            self.metrics.verdicts().replace(self.controller.verdicts());
        }
        let is_published = std::mem::take(&mut self.news.is_published);
        let is_seldom = std::mem::take(&mut self.news.is_seldom);
        if is_seldom {
            self.metrics.set_admin(self.controller.admin_states());
            self.metrics.set_names(self.controller.names());
            self.metrics.set_sources(self.controller.sources());
            self.metrics.set_records(self.controller.gauges());
        }
        let Some(snapshot) = self.controller.snapshot().filter(|_| is_published || is_seldom)
        else {
            return;
        };
        debug_assert!(
            self.metrics.verdicts().are(self.controller.verdicts()),
            "each change of a verdict is told"
        );
        let orders = self.controller.order_count();
        self.metrics.set_state(snapshot.generation, orders);
        if is_published {
            let (down, targets) = self.metrics.verdicts().down_of_all();
            let zones = count(snapshot.compiled.model.zones.len(), "zone");
            let (targets, orders) = (count(targets, "target"), count(orders, "order"));
            let generation = snapshot.generation;
            self.manager.say_status(&format!(
                "Serving {zones}, generation {generation}; {down} of {targets} down; {orders}"
            ));
        }
    }

    /// Shows numbers that change with time or with each result.
    pub(super) fn show_records(&mut self) {
        if self.news.records_shown.is_none_or(|shown| shown.elapsed() >= RECORDS_AGE_MAX) {
            self.news.records_shown = Some(Instant::now());
            self.metrics.set_records(self.controller.gauges());
        }
    }

    /// Ready when every target has a result, or when that takes too long.
    pub(super) fn note_readiness(&self) {
        if self.metrics.is_ready() {
            return;
        }
        let is_over = self.last_results.are_complete() && self.controller.has_tried_all();
        if is_over || self.start.elapsed() > FIRST_ROUND_MAX {
            self.metrics.set_ready();
            let targets = self.last_results.targets();
            tracing::info!(target: "rhumb::health", targets, "ready: the first round of probes is over");
        }
    }
}

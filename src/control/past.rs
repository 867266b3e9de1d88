//! Makes a past answer again: the same tables, the same health, the same code. Knows no clock: all is as it was.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::explain::Explanation;
use crate::answer::explain::Question;
use crate::control::Controller;
use crate::control::Known;
use crate::control::Product;
use crate::control::stored::Stored;
use crate::model::Now;
use crate::model::PolicyId;
use crate::model::TargetKey;
use crate::snapshot::Snapshot;

/// What held at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The publication that was in force.
    pub generation: u64,
    /// Everything that was known.
    pub stored: Vec<Stored>,
}

/// Explains an answer of then; `product` is what was served, compiled again.
pub fn explain_past(
    product: Product,
    Past { generation, stored }: Past,
    question: &Question,
    down: &[String],
) -> Result<Explanation, String> {
    let compiled = product.compiled().map(Arc::clone).map_err(|why| {
        format!("the files of then are refused by this version of the program:\n{}", why.text)
    })?;
    let mut controller = Controller { generation, ..Controller::default() };
    for one in stored {
        match one {
            // Those of parts go with the others: an answer is made of both alike.
            Stored::Verdict { target, verdict, reason, degraded, flaps, .. } => {
                let since = Now::default();
                let (verdict, penalty) = (verdict.into(), flaps.into());
                let known = Known { verdict, since, reason, degraded, penalty };
                controller.verdicts.insert(TargetKey::from(&target), known);
            }
            Stored::Held { target, since_ms, reason, passes } => {
                let since = Now { unix: Duration::from_millis(since_ms), ..Now::default() };
                let key = TargetKey::from(&target);
                controller.brake.restore_held(key, since, (reason, passes), true);
            }
            other => controller.restore_record(other),
        }
    }
    let found = controller.found();
    let compiled = match found.is_empty() {
        true => compiled,
        false => Arc::new(compiled.with_found(&found)),
    };
    let health = controller.health(&compiled.model);
    let snapshot = Snapshot::new(compiled.clone(), generation, &health);
    controller.snapshot = Some(snapshot.into());
    let policies = compiled.model.policies.iter().enumerate();
    let shifted = policies.filter(|(_, policy)| controller.shifts.contains_key(&policy.name));
    let shifted: Vec<PolicyId> = shifted.map(|(at, _)| PolicyId::at(at)).collect();
    controller.reweighed.extend(shifted);
    let snapshot = controller.snapshot.clone().ok_or("nothing was served")?;
    controller.snapshot = Some(controller.with_changes(snapshot));
    controller.explain(question, down)
}

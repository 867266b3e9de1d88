//! Makes a past answer again: the same tables, the same health, the same code. Knows no clock: all is as it was.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::explain::Explanation;
use crate::answer::explain::Question;
use crate::answer::words::target_name;
use crate::control::Controller;
use crate::control::Known;
use crate::control::Product;
use crate::control::stored::Stored;
use crate::model::Model;
use crate::model::Now;
use crate::model::PolicyId;
use crate::model::Steer;
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
            Stored::Verdict { target, verdict, reason, degraded, .. } => {
                let since = Now::default();
                let known = Known { verdict: verdict.into(), since, reason, degraded };
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
    let health = controller.health(&compiled.model);
    let snapshot = Snapshot::new(compiled.clone(), generation, &health);
    controller.snapshot = Some(snapshot.into());
    let policies = compiled.model.policies.iter().enumerate();
    let shifted = policies.filter(|(_, policy)| controller.shifts.contains_key(&policy.name));
    let shifted: Vec<PolicyId> = shifted.map(|(at, _)| PolicyId::at(at)).collect();
    controller.reweighed.extend(shifted);
    let snapshot = controller.snapshot.clone().ok_or("nothing was served")?;
    controller.snapshot = Some(controller.with_changes(snapshot));
    let explanation = controller.explain(question, down)?;
    match pool_that_finds(&compiled.model, &explanation) {
        None => Ok(explanation),
        Some(pool) => Err(format!(
            "endpoints of pool {pool} are found while the server runs, and what was found then is not kept: this answer \
             cannot be made again; `rhumb events` tells what was found when"
        )),
    }
}

/// A pool below what the name steers to whose endpoints no file tells.
fn pool_that_finds<'a>(model: &'a Model, explanation: &Explanation) -> Option<&'a str> {
    let Explanation { steering, hints, .. } = explanation;
    let steerings = steering.iter().chain(hints.iter().filter_map(|hint| hint.steering.as_ref()));
    let entries: Vec<&str> = steerings.map(|steering| &*steering.entry).collect();
    let is_asked = |steer: &&Steer| entries.contains(&&*target_name(model, steer.target));
    let below = model.steers.iter().filter(is_asked);
    let mut below = below.flat_map(|steer| model.pools_below(steer.target));
    let found = below.find(|pool| model.pools[pool.index()].discover.is_some())?;
    Some(&model.pools[found.index()].name)
}

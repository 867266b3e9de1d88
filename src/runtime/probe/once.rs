//! One probe of each target now, for a person: planned and run by the code of the prober, and all that it saw is told.
//!
//! Without schedule, turns or caps, and without TLS sessions of before: the certificate is looked at each time.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::model::CheckKind;
use crate::model::ResolverSettings;
use crate::runtime::probe::ProbeResult;
use crate::runtime::probe::ProbeTarget;
use crate::runtime::probe::Seen;
use crate::runtime::probe::deadline::Deadline;
use crate::runtime::probe::outcome::Probed;
use crate::runtime::probe::plan::Plan;
use crate::runtime::probe::plan::Planner;
use crate::runtime::probe::plan::probe_and_tell;
use crate::runtime::probe::tap::Ear;
use crate::runtime::probe::tap::Heard;
use crate::runtime::probe::tls::install_crypto;

/// What came of one probe.
#[derive(Clone, Debug)]
pub struct Told {
    /// How it ended.
    pub result: ProbeResult,
    /// What it saw on its way.
    pub seen: Seen,
    /// What the backend said, behind TLS in clear.
    pub heard: Heard,
    /// From where it went; `None` where there is no way, or none is needed.
    pub source: Option<IpAddr>,
}

/// Probes each target once, all at the same time; what comes back stands in their order.
pub async fn probe_once(resolver: ResolverSettings, targets: &[ProbeTarget]) -> Vec<Told> {
    install_crypto();
    let mut planner = Planner::default().with_resolver(Arc::new(resolver));
    let plans = targets.iter().map(|one| (planner.plan(one.address, &one.check, &one.key), one));
    let plans: Vec<_> = plans.collect();
    join_all(plans.into_iter().map(|(plan, target)| run(plan, target))).await
}

async fn run(plan: Plan, target: &ProbeTarget) -> Told {
    let source = if is_sent(&target.check.kind) { plan.line().find_source() } else { None };
    let ear = Ear::default();
    let (alarm, deadline) = Deadline::new();
    let begun = Instant::now();
    let probing = probe_and_tell(plan, deadline, Some(ear.clone()));
    let timeout = target.check.timeout;
    let ring = async {
        sleep(timeout).await;
        drop(alarm);
        pending().await
    };
    let (Probed { outcome, phases }, seen) = tokio::select! {
        told = probing => told,
        told = ring => told,
    };
    let result = ProbeResult { outcome, duration: begun.elapsed(), phases };
    Told { result, seen, heard: ear.take(), source }
}

/// Whether something goes over the network.
fn is_sent(kind: &CheckKind) -> bool {
    match kind {
        CheckKind::Tcp(_)
        | CheckKind::Tls(_)
        | CheckKind::Http(_)
        | CheckKind::Https(..)
        | CheckKind::Grpc(_)
        | CheckKind::Grpcs(..)
        | CheckKind::Dns(_)
        | CheckKind::Udp(_)
        | CheckKind::Icmp => true,
        CheckKind::Exec(_) | CheckKind::Push(_) | CheckKind::File(_) | CheckKind::Composite(_) => {
            false
        }
    }
}

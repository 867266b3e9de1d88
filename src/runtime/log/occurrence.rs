//! Log lines of what the controller tells: one target a subject, and fields for machines.

use crate::control::Occurrence;
use crate::control::Order;
use crate::control::Scope;
use crate::control::discover::News;
use crate::control::effect::Change;
use crate::control::effect::count;
use crate::control::effect::laden_text;
use crate::control::effect::shed_text;
use crate::control::effect::short_digest;
use crate::control::effect::way_back_text;
use crate::control::order::instant;
use crate::control::started::TakenUp;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::rtt::text::spell_instant;

/// Zones named one by one when they come or go; of more only the number is told.
const ZONES_NAMED: usize = 20;

/// Logs what happened.
pub fn log(occurrence: &Occurrence) {
    match occurrence {
        Occurrence::Verdict { key, before, after, reason } => {
            log_verdict(key, *before, *after, reason)
        }
        Occurrence::Reloaded { generation, digest, zones, warnings, warning_text, change } => {
            let digest = short_digest(digest);
            let served = count(*zones, "zone");
            tracing::info!(target: "rhumb::config", generation, zones, digest, warnings, "serving {served}");
            log_change(change, *generation);
            if *warnings > 0 {
                let text = warning_text.trim_end();
                let counted = count(*warnings, "warning");
                tracing::warn!(target: "rhumb::config", generation, warnings, %text, "the files gave {counted}");
            }
        }
        Occurrence::Started(TakenUp { verdicts, left_out, records, found, written: _ }) => {
            tracing::info!(target: "rhumb::state", verdicts, left_out, records, found, "{occurrence}");
        }
        // The thread that writes has said so, with the file.
        Occurrence::Disk(_) => {}
        Occurrence::Refused { text, problems } => {
            let (text, counted) = (text.trim_end(), count(*problems, "problem"));
            tracing::error!(
                target: "rhumb::config", problems, %text,
                "files refused, {counted}; the old ones stay in force"
            );
        }
        Occurrence::TableMade { name, rows, left_out, activates_s } => {
            let at = spell_instant(*activates_s);
            if *left_out > 0 {
                tracing::warn!(target: "rhumb::rtt", table = %name, rows, left_out, %at, "{occurrence}");
            } else {
                tracing::info!(target: "rhumb::rtt", table = %name, rows, %at, "{occurrence}");
            }
        }
        Occurrence::TableCounts { name, rows } => {
            tracing::info!(target: "rhumb::rtt", table = %name, rows, "{occurrence}");
        }
        Occurrence::TablesRefused { text, problems } => {
            let (text, counted) = (text.trim_end(), count(*problems, "problem"));
            tracing::warn!(
                target: "rhumb::rtt", problems, %text,
                "round-trip times refused, {counted}; the table before stays in force"
            );
        }
        Occurrence::TablesAccepted => tracing::info!(target: "rhumb::rtt", "{occurrence}"),
        Occurrence::Unheard { measurements } => {
            tracing::info!(target: "rhumb::rtt", measurements, "{occurrence}");
        }
        Occurrence::GeoRefused { text, problems } => {
            let (text, counted) = (text.trim_end(), count(*problems, "problem"));
            tracing::error!(
                target: "rhumb::config", problems, %text,
                "geo data refused, {counted}; the places before it stay in force"
            );
        }
        Occurrence::GeoAccepted => tracing::info!(target: "rhumb::config", "{occurrence}"),
        Occurrence::Unchanged | Occurrence::Watching => {
            tracing::info!(target: "rhumb::config", "{occurrence}");
        }
        Occurrence::StillRefused => tracing::warn!(target: "rhumb::config", "{occurrence}"),
        Occurrence::Resolved { name, .. } => {
            tracing::info!(target: "rhumb::resolve", %name, "{occurrence}");
        }
        Occurrence::NotResolved { name, reason, kept } => {
            tracing::warn!(target: "rhumb::resolve", %name, %reason, kept, "{occurrence}");
        }
        Occurrence::Discovery { pool, news } => log_discovery(pool, news, occurrence),
        Occurrence::Degraded {
            key: TargetKey { endpoint, check, family, .. },
            level,
            reason,
            ..
        } => {
            tracing::warn!(target: "rhumb::health", %endpoint, %check, %family, level, %reason, "{occurrence}");
        }
        Occurrence::Ordered { scope, order } => {
            log_order(scope, order, &order.author, &format!("{scope} is {}", order.admin));
        }
        Occurrence::Withdrawn { scope, order, by } => {
            log_order(scope, order, by, &format!("{scope} is no longer {}", order.admin));
        }
        Occurrence::WayBack { pool, family, failback, stage } => {
            let text = way_back_text(*failback, *stage);
            tracing::warn!(target: "rhumb::change", %pool, %family, "pool {pool}: {text}");
        }
        Occurrence::BroughtBack { pool, by, reason } => {
            tracing::warn!(target: "rhumb::change", %pool, %by, %reason, "pool {pool}: all clients brought back");
        }
        Occurrence::Shed { pool, before, level, load } => {
            let (text, load) = (shed_text(*level, *load), load.map(in_hundredths));
            if *before == 0 {
                tracing::warn!(target: "rhumb::change", %pool, before, level, load, "pool {pool}: {text}");
            } else {
                tracing::info!(target: "rhumb::change", %pool, before, level, load, "pool {pool}: {text}");
            }
        }
        Occurrence::Laden { pool, is_closed, load } => {
            let (text, load) = (laden_text(*is_closed, *load), load.map(in_hundredths));
            tracing::warn!(target: "rhumb::change", %pool, is_closed, load, "pool {pool}: {text}");
        }
        Occurrence::Shifted { policy, shift } => {
            let (target, share) = (&shift.target, f64::from(shift.share().0) / 1e9);
            let (by, reason) = (&shift.written.author, &shift.written.reason);
            tracing::warn!(target: "rhumb::change", %policy, shifted = %target, share, %by, %reason, "{occurrence}");
        }
        Occurrence::ShiftEnded { policy, shift, why } => {
            let shifted = &shift.target;
            tracing::warn!(target: "rhumb::change", %policy, %shifted, %why, "{occurrence}");
        }
        Occurrence::Braked { key: TargetKey { endpoint, check, family, address: _ }, reason } => {
            tracing::error!(
                target: "rhumb::brake", %endpoint, %check, %family, %reason,
                "{endpoint} is down by its probes and served all the same: too much has gone at once"
            );
        }
        Occurrence::BrakeEased { key: TargetKey { endpoint, check, family, address: _ } } => {
            tracing::info!(target: "rhumb::brake", %endpoint, %check, %family, "{endpoint} passes again");
        }
        Occurrence::BrakeReleased { count, by, reason } => {
            tracing::warn!(target: "rhumb::brake", targets = count, %by, %reason, "brake released");
        }
        Occurrence::Expired { scope, order } => {
            let text = format!("{scope} is no longer {}: the order has expired", order.admin);
            log_order(scope, order, "", &text);
        }
    }
}

/// Down is a warning; everything else is a change for the better, or none that needs a hand.
fn log_verdict(key: &TargetKey, from: Verdict, to: Verdict, reason: &str) {
    let TargetKey { endpoint: whole, check, family, address } = key;
    let address = address.map(tracing::field::display);
    let (pool, endpoint) = whole.split_once('/').unwrap_or(("", whole));
    if to == Verdict::Down {
        tracing::warn!(
            target: "rhumb::health", pool, endpoint, %check, %family, address, %from, %to, reason,
            "{whole} is {to}"
        );
    } else {
        tracing::info!(
            target: "rhumb::health", pool, endpoint, %check, %family, address, %from, %to, reason,
            "{whole} is {to}"
        );
    }
}

/// What stays only because something holds it is an alarm; other endpoints are no news for the night.
fn log_discovery(pool: &str, news: &News, occurrence: &Occurrence) {
    match news {
        News::Held { names, found } => {
            let held = names.len();
            tracing::error!(target: "rhumb::discovery", %pool, held, found, "{occurrence}");
        }
        News::Failing { source, reason, kept } => {
            tracing::warn!(target: "rhumb::discovery", %pool, %source, %reason, kept, "{occurrence}");
        }
        News::Refused { count, .. } if *count > 0 => {
            tracing::warn!(target: "rhumb::discovery", %pool, refused = count, "{occurrence}");
        }
        News::Accepted { count, by, reason } => {
            tracing::warn!(target: "rhumb::discovery", %pool, held = count, %by, %reason, "{occurrence}");
        }
        News::Changed { source: _, added, removed, found } => {
            let (added, removed) = (added.len(), removed.len());
            tracing::info!(target: "rhumb::discovery", %pool, added, removed, found, "{occurrence}");
        }
        News::Recovered { .. } | News::Eased | News::Refused { .. } => {
            tracing::info!(target: "rhumb::discovery", %pool, "{occurrence}");
        }
    }
}

fn log_change(Change { added, removed, geo }: &Change, generation: u64) {
    for (zones, what) in [(added, "is served from now on"), (removed, "is served no more")] {
        for zone in zones.iter().take(ZONES_NAMED) {
            tracing::info!(target: "rhumb::config", generation, %zone, "zone {zone} {what}");
        }
        if zones.len() > ZONES_NAMED {
            let others = zones.len() - ZONES_NAMED;
            tracing::info!(target: "rhumb::config", generation, others, "the same holds for others");
        }
    }
    if *geo {
        tracing::info!(target: "rhumb::config", generation, "geo data replaced");
    }
}

fn log_order(scope: &Scope, order: &Order, by: &str, text: &str) {
    let (kind, name) = match scope {
        Scope::Site(name) => ("site", name),
        Scope::Pool(name) => ("pool", name),
        Scope::Endpoint(name) => ("endpoint", name),
    };
    let until = order.until.map_or_else(|| "taken back".to_owned(), instant);
    let (order, reason) = (order.admin, &order.reason);
    tracing::warn!(
        target: "rhumb::orders", scope = kind, %name, %order, by, %reason, until, "{text}"
    );
}

/// A load as people read it: means of means have no more digits than this that say anything.
fn in_hundredths(load: f64) -> f64 {
    (load * 100.0).round() / 100.0
}

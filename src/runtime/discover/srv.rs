//! SRV records as a source of endpoints: asked for again when they end.

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::Name as ProtoName;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::RecordType;

use crate::discovery::srv;
use crate::discovery::srv::Record;
use crate::model::ResolverSettings;
use crate::model::Source;
use crate::runtime::discover::Said;
use crate::runtime::discover::Teller;
use crate::runtime::resolve;
use crate::wire::Name;

/// How soon records that could not be had are asked for again, if the interval is not shorter.
const RETRY: Duration = Duration::from_secs(10);

/// Asks again and again: when the records end, within the limits of the resolver and of the interval.
pub(super) async fn follow(
    source: &Arc<Source>,
    service: &Name,
    interval: Duration,
    settings: &ResolverSettings,
    teller: &Teller,
) -> Result<(), ()> {
    loop {
        let (result, wait) = {
            let _permit = teller.permits.acquire().await;
            ask(service, settings).await
        };
        teller.tell(source, result).await?;
        tokio::time::sleep(wait.max(settings.min_refresh).min(interval)).await;
    }
}

/// The records, and how long they hold.
async fn ask(service: &Name, settings: &ResolverSettings) -> (Said, Duration) {
    let resolver = match resolve::build(settings) {
        Ok(resolver) => resolver,
        Err(why) => return (Err(format!("no resolver: {why}").into()), RETRY),
    };
    let name = match ProtoName::from_ascii(service.to_string()) {
        Ok(name) => name,
        Err(why) => return (Err(why.to_string().into()), RETRY),
    };
    let lookup = match resolver.lookup(name, RecordType::SRV).await {
        Ok(lookup) => lookup,
        Err(why) if why.is_nx_domain() => {
            return (Err("the name does not exist".into()), RETRY);
        }
        Err(why) if why.is_no_records_found() => {
            return (Err("it has no SRV records".into()), RETRY);
        }
        Err(why) => return (Err(why.to_string().into()), RETRY),
    };
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    let records = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => Some(Record {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: Name::absolute(&srv.target.to_string()).ok()?,
        }),
        _ => None,
    });
    let entries = srv::entries(&records.collect::<Vec<_>>());
    match entries.is_empty() {
        true => (Err("it says that there is no such service".into()), RETRY),
        false => (Ok(entries), Duration::from_secs(ttl.into())),
    }
}

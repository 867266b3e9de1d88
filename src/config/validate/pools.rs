//! Pools.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use crate::config::Files;
use crate::config::Problems;
use crate::config::problem::At;
use crate::config::reader::closest;
use crate::config::reader::dotted;
use crate::config::spec::EndpointSpec;
use crate::config::spec::LeafSpec;
use crate::config::spec::PoolSpec;
use crate::config::validate::Directory;
use crate::config::validate::checks::specials;
use crate::model::Endpoint;
use crate::model::Leaf;
use crate::model::LeafRecords;
use crate::model::MinHealthy;
use crate::model::Model;
use crate::model::Percent;
use crate::model::Pool;

/// `panic_below` when nothing is said, unless `min_healthy` is lower.
const PANIC_BELOW: Percent = Percent(25);

/// What to do about a file that is not beside the one that names it.
pub(super) fn missing_file_remedy(files: &Files, name: &At<String>) -> String {
    let folder = Path::new(&*files.get(name.place.file).name).parent();
    let beside: Vec<&str> = files
        .iter()
        .map(|(_, file)| Path::new(&*file.name))
        .filter(|path| path.parent() == folder)
        .filter_map(|path| path.file_name()?.to_str())
        .collect();
    match closest(&name.value, &beside) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "put it in the folder of this file, and name it relative to it".to_owned(),
    }
}

pub(super) fn add_pools(
    pools: &[&PoolSpec],
    directory: &Directory,
    model: &mut Model,
    problems: &mut Problems,
) {
    for spec in pools {
        let key = |key: &str| format!("pool.{}.{key}", spec.name.value);
        let site = spec.site.as_ref();
        let site = site.and_then(|name| directory.sites.find("site", &key("site"), name, problems));
        let check = spec.check.as_ref();
        let check =
            check.and_then(|name| directory.checks.find("check", &key("check"), name, problems));
        warn_of_twins(spec, problems);
        refuse_mixture(spec, problems);
        let endpoints = spec.endpoints.iter();
        let endpoints = endpoints.map(|one| {
            let name = spec.name.value.as_str();
            Endpoint {
                probe: specials((name, check), one, directory, model, problems),
                ..endpoint(name, one)
            }
        });
        let endpoints = endpoints.collect();
        model.pools.push(Pool {
            name: spec.name.value.as_str().into(),
            site,
            check,
            min_healthy: min_healthy(spec, problems),
            panic_below: panic_below(spec, problems),
            failback: spec.failback,
            endpoints,
            parts: Vec::new(),
        });
    }
}

fn endpoint(pool: &str, spec: &EndpointSpec) -> Endpoint {
    let EndpointSpec { name, leaf, weight, capacity, probe: _ } = spec;
    let leaf = leaf.as_ref().map_or(Leaf::Addresses { v4: None, v6: None }, self::leaf);
    Endpoint {
        key: format!("{pool}/{}", name.value).into(),
        leaf,
        weight: *weight,
        capacity: *capacity,
        probe: Vec::new(),
    }
}

fn leaf(spec: &LeafSpec) -> Leaf {
    match spec {
        LeafSpec::Addresses(addresses) => {
            let (mut v4, mut v6) = (None, None);
            for address in addresses {
                match address.value {
                    IpAddr::V4(address) => v4 = Some(address),
                    IpAddr::V6(address) => v6 = Some(address),
                }
            }
            Leaf::Addresses { v4, v6 }
        }
        LeafSpec::Alias(target) => Leaf::Alias(target.value.clone()),
        LeafSpec::Cname(target) => Leaf::Cname(target.value.clone()),
        LeafSpec::Srv(service) => Leaf::Srv(service.value.clone()),
    }
}

/// What an endpoint becomes, if it could be read.
fn records(spec: &EndpointSpec) -> Option<LeafRecords> {
    spec.leaf.as_ref().map(|spec| leaf(spec).records())
}

/// One pool answers with one kind of records, as one name does.
fn refuse_mixture(spec: &PoolSpec, problems: &mut Problems) {
    let known = || spec.endpoints.iter().filter_map(|one| Some((one, records(one)?)));
    let Some((first, wanted)) = known().next() else { return };
    for (other, found) in known().filter(|(_, found)| *found != wanted) {
        let path = dotted(&dotted("pool", &spec.name.value), "endpoint");
        let fault =
            format!("this endpoint answers with {}, another with {}", found.text(), wanted.text());
        let also = (first.name.place.clone(), "this one");
        let path = dotted(&path, &other.name.value);
        problems.error_with(&other.name.place, path, fault, MIXTURE_REMEDY, also);
    }
}

/// What to do about leaves of several kinds under one name.
pub(super) const MIXTURE_REMEDY: &str =
    "use one kind under a name; `alias` answers with the addresses of another name";

fn min_healthy(spec: &PoolSpec, problems: &mut Problems) -> MinHealthy {
    let count = spec.endpoints.len();
    match spec.min_healthy.value {
        MinHealthy::Members(members) if usize::from(members) > count => {
            let key = format!("{}.min_healthy", dotted("pool", &spec.name.value));
            let endpoints = if count == 1 { "endpoint" } else { "endpoints" };
            let fault = format!("the pool has {count} {endpoints}, fewer than {members}");
            problems.error(&spec.min_healthy.place, key, fault, "ask for fewer members");
        }
        MinHealthy::Members(_) | MinHealthy::Share(_) => {}
    }
    spec.min_healthy.value
}

fn panic_below(spec: &PoolSpec, problems: &mut Problems) -> Percent {
    let MinHealthy::Share(limit) = spec.min_healthy.value else {
        return spec.panic_below.as_ref().map_or(PANIC_BELOW, |at| at.value);
    };
    match &spec.panic_below {
        Some(panic) if panic.value > limit => {
            let key = format!("pool.{}.panic_below", spec.name.value);
            let remedy = format!("use at most {}%, so that other pools are tried before", limit.0);
            problems.error(&panic.place, key, "panic_below is above min_healthy", remedy);
            limit
        }
        Some(panic) => panic.value,
        None => PANIC_BELOW.min(limit),
    }
}

/// Two endpoints of one pool with one address are one machine counted twice.
fn warn_of_twins(spec: &PoolSpec, problems: &mut Problems) {
    let mut seen: HashMap<IpAddr, &str> = HashMap::new();
    for endpoint in &spec.endpoints {
        let Some(LeafSpec::Addresses(addresses)) = &endpoint.leaf else { continue };
        for address in addresses.iter().filter(|at| !at.value.is_unspecified()) {
            if let Some(first) = seen.insert(address.value, &endpoint.name.value) {
                let key =
                    format!("pool.{}.endpoint.{}.addresses", spec.name.value, endpoint.name.value);
                let fault = format!("{} is an address of \"{first}\" too", address.value);
                problems.warning(
                    &address.place,
                    key,
                    fault,
                    "give each endpoint its own, or raise a weight",
                );
            }
        }
    }
}

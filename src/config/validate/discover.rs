//! `discover` of pools: what it means beside the rest, and the files that it names.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Files;
use crate::config::Problems;
use crate::config::path_beside;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::reader::dotted;
use crate::config::spec::DiscoverSpec;
use crate::config::spec::PoolSpec;
use crate::config::spec::SourceSpec;
use crate::model::Discovery;
use crate::model::LeafRecords;
use crate::model::Source;

/// Settings of a pool's `discover`, if it has one. `records` is what its written endpoints become.
pub(super) fn discovery(
    files: &Files,
    pool: &PoolSpec,
    records: Option<LeafRecords>,
    problems: &mut Problems,
) -> Option<Discovery> {
    let DiscoverSpec { place, source, max_drop, weight_label, name_label, site_label, port } =
        pool.discover.as_ref()?;
    let path = dotted(&dotted("pool", &pool.name.value), "discover");
    if let Some(records) = records.filter(|records| *records != LeafRecords::Addresses) {
        let fault =
            format!("endpoints that are found are addresses, those written {}", records.text());
        problems.error(place, &path, fault, "make two pools of them");
    }
    if let (Some(label), None) = (site_label, &pool.site) {
        let fault = "the pool has no site, so that no target would be at its site";
        let remedy = "add site = \"…\" to the pool, or take site_label out";
        problems.error(&label.place, dotted(&path, "site_label"), fault, remedy);
    }
    Some(Discovery {
        source: Arc::new(source_of(files, place.file, source)),
        max_drop: *max_drop,
        weight_label: weight_label.as_str().into(),
        name_label: name_label.as_deref().map(Into::into),
        site_label: site_label.as_ref().map(|label| label.value.as_str().into()),
        port: *port,
        written: pool.endpoints.len(),
    })
}

fn source_of(files: &Files, by: FileId, spec: &SourceSpec) -> Source {
    let at = |name: &str| -> PathBuf { path_beside(Path::new(&*files.get(by).name), name) };
    let of = |name: &Option<At<String>>| name.as_ref().map(|name| at(&name.value));
    match spec {
        SourceSpec::File(name) => Source::File { path: at(&name.value) },
        SourceSpec::Http { url, interval, timeout, authorization, ca } => Source::Http {
            url: url.as_str().into(),
            interval: *interval,
            timeout: *timeout,
            authorization: of(authorization),
            ca: of(ca),
        },
        SourceSpec::Srv { service, interval } => {
            Source::Srv { service: service.clone(), interval: *interval }
        }
    }
}

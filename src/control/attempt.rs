//! Which parts of a job are served: of zones, geo data and round-trip times the newest that hold together.
//!
//! ```text
//! zones that were read ── with geo data that was read ── with the newest table whose instant has come
//!                      └─ with geo data in force      ── and so on
//! zones in force       ── with geo data that was read ── and so on
//!                      └─ with geo data in force      ── and so on
//! ```
//!
//! The first pair of zones and geo data that holds is served. Files have to hold without any table, too: what was
//! measured never decides whether files are served. If they do not hold with the newest table, the newest that they do
//! hold with counts: that depends on files and tables only, so that a node that starts comes to the same.

use std::sync::Arc;

use crate::assertion;
use crate::config;
use crate::config::Files;
use crate::config::Problem;
use crate::config::Problems;
use crate::config::Severity;
use crate::config::render;
use crate::control::geo::GeoReport;
use crate::control::job::Faults;
use crate::control::job::Job;
use crate::control::job::Product;
use crate::control::job::Settled;
use crate::control::parts::Base;
use crate::control::parts::GeoDigest;
use crate::control::parts::Parts;
use crate::control::parts::ZoneFiles;
use crate::control::rejection::Rejection;
use crate::geo::PlaceMap;
use crate::model::NodeTerms;
use crate::rtt::Shelved;
use crate::snapshot::Compiled;
use crate::snapshot::Contents;
use crate::snapshot::compile_measured;
use crate::snapshot::looks_at_round_trips;

/// Zones that are sound by themselves.
struct Zones {
    digest: [u8; 32],
    /// The same of what all nodes are to have alike.
    config: [u8; 32],
    contents: Contents,
    node: NodeTerms,
    /// To show problems in.
    files: Files,
    /// To keep: as `files`, with less in it.
    kept: Files,
    warnings: Problems,
    is_read: bool,
}

/// Geo data that is sound by itself.
struct Geo {
    digest: GeoDigest,
    places: Arc<PlaceMap>,
    report: GeoReport,
    is_read: bool,
}

/// What zones and geo data come to, with the table they hold with.
struct Match {
    /// `None`: what is in force.
    compiled: Option<Compiled>,
    table: Option<Arc<Shelved>>,
    /// Why the newest table is not in it.
    fault: Option<Rejection>,
}

/// Does the work of a job.
pub(super) fn run(job: &Job) -> Product {
    let (all_zones, unsound_zones) = zones_of(job);
    let (all_geo, unsound_geo) = geo_of(job);
    let read = all_geo.iter().find(|geo| geo.is_read);
    let read = read.map(|geo| (geo.digest, Arc::clone(&geo.places)));
    let mut faults = Faults { zones: unsound_zones, geo: unsound_geo, tables: job.damaged() };
    let settled = search(job, &all_zones, &all_geo, &mut faults);
    Product { digest: job.digest(), settled, faults, read }
}

/// The first zones and geo data that hold together; what was tried before them is a fault.
fn search(job: &Job, all_zones: &[Zones], all_geo: &[Geo], faults: &mut Faults) -> Option<Settled> {
    for zones in all_zones {
        // Why the geo data that was read does not go with these zones.
        let mut refused = None;
        for geo in all_geo {
            match find_match(job, zones, geo) {
                Ok(mut found) => {
                    if zones.is_read {
                        faults.zones = None;
                    }
                    if !geo.is_read {
                        faults.geo = faults.geo.take().or(refused);
                    }
                    let others = faults.tables.take();
                    faults.tables = match found.fault.take() {
                        Some(fault) => Some(fault.and(others)),
                        None => others,
                    };
                    return Some(settle(job, zones, geo, found));
                }
                Err(why) => {
                    if zones.is_read {
                        // Of several reasons the first is that of all that was read together.
                        faults.zones.get_or_insert_with(|| why.clone());
                    }
                    refused.get_or_insert(why);
                }
            }
        }
    }
    None
}

/// Zones that were read, then those in force; and why those that were read are refused, if they are.
fn zones_of(job: &Job) -> (Vec<Zones>, Option<Rejection>) {
    let (mut all, mut fault) = (Vec::new(), None);
    let base = job.base.as_deref();
    let is_in_force = |digest| base.is_some_and(|base| base.parts.zones == digest);
    match &job.zones {
        Some(read) if is_in_force(read.digest) => {}
        Some(read) => match Zones::read(read, base) {
            Ok(zones) => all.push(zones),
            Err(why) => fault = Some(why),
        },
        None => {}
    }
    all.extend(base.map(|base| Zones {
        digest: base.parts.zones,
        config: base.config,
        contents: base.compiled.contents(),
        node: base.compiled.node.clone(),
        files: base.files.clone(),
        kept: base.files.clone(),
        warnings: Problems::default(),
        is_read: all.is_empty() && fault.is_none(),
    }));
    (all, fault)
}

/// As [`zones_of`], of geo data.
fn geo_of(job: &Job) -> (Vec<Geo>, Option<Rejection>) {
    let (mut all, mut fault) = (Vec::new(), None);
    let in_force = job.base.as_deref().map(|base| (base.parts.geo, &base.compiled.geo));
    let known = job.known.as_ref().map(|(digest, places)| (*digest, places));
    let none = GeoReport::default;
    if let Some(read) = &job.geo {
        let digest = read.digest();
        let seen = [in_force, known].into_iter().flatten().find(|(known, _)| *known == digest);
        let made = match seen {
            Some((_, places)) => Ok((Arc::clone(places), none())),
            None => read.compile(),
        };
        match made {
            Ok((places, report)) => all.push(Geo { digest, places, report, is_read: true }),
            Err(why) => fault = Some(why),
        }
    }
    let is_read = job.geo.is_none();
    all.extend(in_force.filter(|(digest, _)| all.iter().all(|geo| geo.digest != *digest)).map(
        |(digest, places)| Geo { digest, places: Arc::clone(places), report: none(), is_read },
    ));
    (all, fault)
}

impl Zones {
    /// What was read, or every problem, first what could not be read, for the rest may follow from it.
    fn read(read: &ZoneFiles, base: Option<&Base>) -> Result<Self, Rejection> {
        let (model, problems) = config::load(&read.files);
        let unread = &read.unread;
        let Some(model) = model.filter(|_| unread.is_empty()) else {
            return Err(Rejection::of_files(&read.files, &problems, unread));
        };
        if model.zones.is_empty() {
            refuse_emptiness(base)?;
        }
        Ok(Self {
            digest: read.digest,
            config: read.config,
            contents: Contents::new(model),
            node: read.node.clone(),
            files: read.files.clone(),
            kept: read.without_records(),
            warnings: problems,
            is_read: true,
        })
    }
}

/// Refuses files without a zone while zones are served: a folder that is just being replaced, or a disk that is
/// not mounted, must not take every name away.
fn refuse_emptiness(base: Option<&Base>) -> Result<(), Rejection> {
    let before = base.map_or(0, |base| base.compiled.model.zones.len());
    let served = match before {
        0 => return Ok(()),
        1 => "1 zone is".to_owned(),
        _ => format!("{before} zones are"),
    };
    Err(Rejection::one(format!(
        "no file has a zone, but {served} served: add a zone, or stop the server to serve none\n"
    )))
}

/// The tables of zones and geo data with the newest table that they hold with, or why they do not hold.
fn find_match(job: &Job, zones: &Zones, geo: &Geo) -> Result<Match, Rejection> {
    let newest = job.table();
    let base = job.base.as_deref();
    let base = base.filter(|base| base.parts.zones == zones.digest && base.parts.geo == geo.digest);
    let digest = newest.map(|shelved| shelved.digest);
    let stay = |base: &Base, fault| {
        // The same table under another name counts by the name it has now.
        let is_same = base.parts.table == digest;
        let table = if is_same { newest.cloned().map(Arc::new) } else { base.table.clone() };
        Ok(Match { compiled: None, table, fault })
    };
    if let Some(base) = base.filter(|base| base.parts.table == digest) {
        return stay(base, None);
    }
    let with = |table: Option<&Shelved>| attempt(job, zones, geo, table);
    let why = match with(newest) {
        Ok(compiled) => {
            let table = newest.cloned().map(Arc::new);
            return Ok(Match { compiled: Some(compiled), table, fault: None });
        }
        Err(why) => why,
    };
    let Some(newest) = newest.filter(|_| looks_at_round_trips(&zones.contents.model)) else {
        // What is in force stays even if it holds no longer without a table that was taken away.
        return base.map_or(Err(why.clone()), |base| stay(base, Some(why)));
    };
    let fault = Some(left_out(newest, &why));
    if let Some(base) = base.filter(|base| {
        // Those between it and the newest did not hold either: each was tried at its instant.
        let is_there = |table: &Shelved| Some(table.digest) == base.parts.table;
        base.table.is_none() || job.shelf.come(job.at_s).any(is_there)
    }) {
        return stay(base, fault);
    }
    let without = with(None)?;
    let mut tried = vec![newest.digest];
    for older in job.shelf.come(job.at_s) {
        if tried.contains(&older.digest) {
            continue;
        }
        tried.push(older.digest);
        if let Ok(compiled) = with(Some(older)) {
            let table = Some(Arc::new(older.clone()));
            return Ok(Match { compiled: Some(compiled), table, fault });
        }
    }
    Ok(Match { compiled: Some(without), table: None, fault })
}

/// The tables of one choice of parts, unless they cannot be made or an assertion does not hold.
fn attempt(
    job: &Job,
    zones: &Zones,
    geo: &Geo,
    table: Option<&Shelved>,
) -> Result<Compiled, Rejection> {
    let (contents, places) = (zones.contents.clone(), Arc::clone(&geo.places));
    let table = table.map(|shelved| &*shelved.table);
    let compiled = compile_measured(contents, places, zones.node.clone(), table)
        .map_err(|why| Rejection::one(format!("{why}; use fewer targets\n")))?;
    let failures = if job.is_judged { assertion::judge(&compiled) } else { Vec::new() };
    if failures.is_empty() {
        return Ok(compiled);
    }
    let mut problems = zones.warnings.clone();
    assertion::report(&compiled, &failures, &mut problems);
    problems.sort();
    Err(Rejection::of_files(&zones.files, &problems, &[]))
}

/// Why a table does not count.
fn left_out(table: &Shelved, why: &Rejection) -> Rejection {
    let text = format!("{}: with it these files would be refused:\n{}", table.name, why.text);
    Rejection { text, problems: why.problems, list: why.list.clone() }
}

/// What is in force once these parts are.
fn settle(job: &Job, zones: &Zones, geo: &Geo, found: Match) -> Settled {
    let Match { compiled, table, fault: _ } = found;
    let is_warning = |problem: &&Problem| problem.severity == Severity::Warning;
    let warnings = zones.warnings.iter().filter(is_warning).count();
    let warning_text = match warnings {
        0 => String::new(),
        _ => render::for_people(&zones.files, &zones.warnings, false),
    };
    let digest = table.as_deref().map(|shelved| shelved.digest);
    let config = zones.config;
    let parts = Parts { zones: zones.digest, geo: geo.digest, table: digest };
    let is_as_before = compiled.is_none();
    let in_force = || job.base.as_ref().map(|base| Arc::clone(&base.compiled));
    let compiled = compiled.map(Arc::new).or_else(in_force);
    let compiled = compiled.expect("find_match() compiles all but what is in force");
    Settled {
        base: Arc::new(Base { parts, config, compiled, table, files: zones.kept.clone() }),
        is_as_before,
        warnings: warnings + geo.report.len(),
        warning_text: warning_text + &geo.report.text(),
    }
}

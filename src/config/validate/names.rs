//! `[name.*]`: owners, their steering and their records.

use std::ops::Range;

use crate::config::Files;
use crate::config::Problems;
use crate::config::keys::ANSWERS;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::AllDownSpec;
use crate::config::spec::NameSpec;
use crate::config::spec::SteerSpec;
use crate::config::spec::ZoneSpec;
use crate::config::validate::Directory;
use crate::config::validate::families;
use crate::config::validate::placed::Placed;
use crate::config::validate::pools::MIXTURE_REMEDY;
use crate::model::ANSWERS_MAX;
use crate::model::AllDown;
use crate::model::Family;
use crate::model::LeafRecords;
use crate::model::Model;
use crate::model::PolicyId;
use crate::model::PolicyKind;
use crate::model::Pool;
use crate::model::Steer;
use crate::model::Target;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::zonefile::lexer;
use crate::zonefile::lexer::Word;
use crate::zonefile::parse_rdata;

/// The absolute owner of a `[name.…]` table.
pub(super) fn owner(zone: &ZoneSpec, name: &NameSpec, problems: &mut Problems) -> Option<Name> {
    let key = dotted("name", &name.name.value);
    match Name::parse(&name.name.value, &zone.apex.value) {
        Ok(owner) if owner.is_within(&zone.apex.value) => Some(owner),
        Ok(owner) => {
            let fault = format!("{owner} is not in the zone {}", zone.apex.value);
            problems.error(
                &name.name.place,
                key,
                fault,
                "write a name relative to the zone, without a dot at its end",
            );
            None
        }
        Err(why) => {
            problems.error(
                &name.name.place,
                key,
                why.to_string(),
                "write a name such as \"www\" or \"@\"",
            );
            None
        }
    }
}

/// A name's static records.
pub(super) fn records(
    files: &Files,
    zone: &ZoneSpec,
    owner: &Name,
    name: &NameSpec,
    placed: &mut Placed,
    problems: &mut Problems,
) {
    for (rtype, texts) in &name.records {
        let path = format!("{}.records", dotted("name", &name.name.value));
        let key = dotted(&path, &rtype.value.to_string());
        if matches!(rtype.value, RecordType::SOA) {
            problems.error(&rtype.place, key, "the SOA is made from [zone]", "take it out");
            continue;
        }
        for text in texts {
            let mut rdata = Vec::new();
            let parsed = lexer::words(&text.value).and_then(|words| {
                warn_of_split_text(rtype.value, &words, text, &key, problems);
                let end = text.value.len();
                parse_rdata(rtype.value, &words, &zone.apex.value, end, &mut rdata)
            });
            match parsed {
                Ok(()) => {
                    let from = (&text.place, key.as_str());
                    placed.push(owner, rtype.value, zone.record_ttl, &rdata, from);
                }
                Err(fault) => {
                    let place = inside(files, text, fault.span);
                    problems.error(&place, &key, fault.message, fault.remedy);
                    placed.is_whole = false;
                }
            }
        }
    }
}

/// Octets of a text as octets of its file; the whole text if it is written with escapes.
fn inside(files: &Files, text: &At<String>, span: Range<usize>) -> Place {
    let Place { file, span: outer } = &text.place;
    let written = files.get(*file).text.get(outer.clone()).unwrap_or_default();
    let is_plain = written.len() == text.value.len() + 2 && written[1..].starts_with(&text.value);
    if !is_plain {
        return text.place.clone();
    }
    let start = outer.start + 1;
    Place { file: *file, span: start + span.start..start + span.end }
}

/// Strings of one TXT record are joined without a blank, so that an SPF rule falls apart.
fn warn_of_split_text(
    rtype: RecordType,
    words: &[Word<'_>],
    text: &At<String>,
    key: &str,
    problems: &mut Problems,
) {
    if rtype != RecordType::TXT || words.len() < 2 || words.iter().all(|word| word.is_quoted) {
        return;
    }
    let fault = format!("these are {} strings, which readers join without a blank", words.len());
    let remedy = "put quotes around the whole, as in '\"v=spf1 -all\"'";
    problems.warning(&text.place, key, fault, remedy);
}

/// A name's steering.
pub(super) fn steer(
    zone: &ZoneSpec,
    owner: &Name,
    name: &NameSpec,
    spec: &SteerSpec,
    directory: &Directory,
    model: &Model,
    problems: &mut Problems,
) -> Option<Steer> {
    let key = |key: &str| dotted(&dotted("name", &name.name.value), key);
    let target = directory.targets.find("pool or policy", &key("steer"), &spec.target, problems);
    let on_all_down = all_down(spec, &key("on_all_down"), directory, problems);
    let SteerSpec {
        target: _,
        answers,
        period,
        key: by,
        affinity,
        on_all_down: _,
        dual_stack,
        ecs,
        ttl,
    } = spec;
    let is_all =
        |policy: PolicyId| matches!(model.policies[policy.index()].kind, PolicyKind::All { .. });
    let default_answers = match target {
        Some(Target::Policy(policy)) if is_all(policy) => ANSWERS_MAX as u8,
        Some(Target::Policy(_) | Target::Pool(_)) | None => ANSWERS,
    };
    let records = target.map(|target| records_of(directory, model, target));
    // Clients of SRV choose by priority and weight themselves.
    let default_answers = match records {
        Some(LeafRecords::Srv) => ANSWERS_MAX as u8,
        Some(LeafRecords::Addresses | LeafRecords::Cname) | None => default_answers,
    };
    let steer = Steer {
        owner: owner.clone(),
        target: target?,
        answers: answers.unwrap_or(default_answers),
        period: *period,
        key: *by,
        affinity: affinity.as_deref().map(Into::into),
        on_all_down: on_all_down?,
        dual_stack: *dual_stack,
        ecs: *ecs,
        ttl: ttl.as_ref().unwrap_or(&zone.steered_ttl).value,
    };
    if directory.is_sound {
        check_mixture(model, steer.target, directory, &key("steer"), problems);
        let (target, written) = (steer.target, &spec.target);
        families::check(model, target, written, directory, &key("steer"), problems);
        check_sorry_pool(model, &steer, spec, directory, &key("on_all_down"), problems);
    }
    Some(steer)
}

fn all_down(
    spec: &SteerSpec,
    key: &str,
    directory: &Directory,
    problems: &mut Problems,
) -> Option<AllDown> {
    let pool = match &spec.on_all_down {
        AllDownSpec::FailOpen => return Some(AllDown::FailOpen),
        AllDownSpec::LastGood => return Some(AllDown::LastGood),
        AllDownSpec::ServFail => return Some(AllDown::ServFail),
        AllDownSpec::Pool(pool) => pool,
    };
    match directory.targets.find("pool", key, pool, problems)? {
        Target::Pool(id) => Some(AllDown::Pool(id)),
        Target::Policy(_) => {
            let fault = format!("\"{}\" is a policy", pool.value);
            problems.error(&pool.place, key, fault, "name a pool").rule(&rules::UNKNOWN_NAME);
            None
        }
    }
}

/// What a target's pools answer with; addresses, if that cannot be told.
pub(super) fn records_of(directory: &Directory, model: &Model, target: Target) -> LeafRecords {
    let pools = if directory.is_sound { model.pools_below(target) } else { Vec::new() };
    pools.first().map_or(LeafRecords::Addresses, |pool| model.pools[pool.index()].records())
}

/// All leaves under one name answer with the same kind of records.
fn check_mixture(
    model: &Model,
    entry: Target,
    directory: &Directory,
    key: &str,
    problems: &mut Problems,
) {
    let mut pools = model.pools_below(entry).into_iter().map(|pool| &model.pools[pool.index()]);
    let Some(first) = pools.next() else { return };
    let Some(other) = pools.find(|other| other.records() != first.records()) else { return };
    let place = |pool: &Pool| directory.targets.find_place(&pool.name).cloned();
    let (Some(place_of_first), Some(place_of_other)) = (place(first), place(other)) else { return };
    let fault = format!(
        "this pool answers with {}, pool \"{}\" with {}, and the name leads to both",
        other.records().text(),
        first.name,
        first.records().text(),
    );
    let also = (place_of_first, "the other pool");
    problems.error_with(&place_of_other, key, fault, MIXTURE_REMEDY, also);
}

/// Families that a target's pools have by configuration.
fn families(model: &Model, target: Target) -> [bool; 2] {
    Family::BOTH.map(|family| model.has_family(target, family))
}

/// The pool of `on_all_down` must be able to answer whatever the name answers.
fn check_sorry_pool(
    model: &Model,
    steer: &Steer,
    spec: &SteerSpec,
    directory: &Directory,
    key: &str,
    problems: &mut Problems,
) {
    let (AllDown::Pool(pool), AllDownSpec::Pool(name)) = (steer.on_all_down, &spec.on_all_down)
    else {
        return;
    };
    let wanted = records_of(directory, model, steer.target);
    let found = model.pools[pool.index()].records();
    if found != wanted {
        let fault = format!(
            "pool \"{}\" answers with {}, but the name with {}",
            name.value,
            found.text(),
            wanted.text()
        );
        problems.error(&name.place, key, fault, MIXTURE_REMEDY);
        return;
    }
    let (whole, sorry) = (families(model, steer.target), families(model, Target::Pool(pool)));
    for family in Family::BOTH.into_iter().filter(|f| whole[f.index()] && !sorry[f.index()]) {
        let fault = format!(
            "pool \"{}\" has no {family} address, but the name answers with some",
            name.value
        );
        problems.error(&name.place, key, fault, "give the pool one");
    }
}

//! What a version would take away: zones that vanish, steered names that lose all addresses of a family.
//!
//! Health has no part in it: what counts is what the files say.

use std::fmt;

use crate::model::Family;
use crate::model::Model;
use crate::snapshot::Compiled;
use crate::wire::Name;
use crate::wire::Qname;
use crate::wire::RecordType;
use crate::zone::Found;

/// Losses that are told by name, at most.
const TOLD_MAX: usize = 20;

/// Something that was answered and would be no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A zone.
    Zone(Name),
    /// All addresses of a family of a steered name.
    Addresses(Name, Family),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(apex) => write!(f, "zone {apex} is served, and is not in the new files"),
            Self::Addresses(owner, family) => {
                let family = match family {
                    Family::V4 => "IPv4",
                    Family::V6 => "IPv6",
                };
                write!(f, "{owner} has {family} addresses, and none in the new files")
            }
        }
    }
}

/// Everything that `after` takes away of `before`.
///
/// A name keeps its addresses if it is steered to something that may have such ones, has records of that type, or is an
/// alias, is delegated or is below a DNAME: then somebody else answers.
pub fn losses(before: &Compiled, after: &Compiled) -> Vec<Loss> {
    let apexes =
        |model: &Model| -> Vec<Name> { model.zones.iter().map(|zone| zone.apex.clone()).collect() };
    let left = apexes(&after.model);
    let gone = apexes(&before.model).into_iter().filter(|apex| !left.contains(apex));
    let gone: Vec<Loss> = gone.map(Loss::Zone).collect();
    let of_steer = |steer: &crate::model::Steer| {
        let had = Family::BOTH
            .into_iter()
            .filter(|family| before.model.has_family(steer.target, *family));
        let lost = had.filter(|family| !has_addresses(after, &steer.owner, *family));
        lost.map(|family| Loss::Addresses(steer.owner.clone(), family)).collect::<Vec<_>>()
    };
    let names = before.model.steers.iter().flat_map(of_steer);
    // Whoever takes a zone away is told of the zone, not of each name in it.
    let is_told = |loss: &Loss| match loss {
        Loss::Zone(_) => false,
        Loss::Addresses(owner, _) => gone.iter().any(|other| match other {
            Loss::Zone(apex) => owner.is_within(apex),
            Loss::Addresses(..) => false,
        }),
    };
    let names: Vec<Loss> = names.filter(|loss| !is_told(loss)).collect();
    gone.iter().cloned().chain(names).collect()
}

fn has_addresses(compiled: &Compiled, owner: &Name, family: Family) -> bool {
    let qname = Qname::from(owner);
    let Some(within) = compiled.zones.find(&qname) else { return false };
    let rtype = match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    };
    match within.zone.find(&qname, within.hash, rtype) {
        Found::Steered(steer) => {
            let steer = &compiled.model.steers[steer.index()];
            compiled.model.has_family(steer.target, family)
        }
        Found::Records(_)
        | Found::SteeredAlias(_)
        | Found::SteeredServices(_)
        | Found::Alias(_)
        | Found::Delegation(_)
        | Found::Redirected(_) => true,
        Found::AnyType | Found::NoData | Found::NxDomain => false,
    }
}

/// The losses for people, with what to do; `None` if there are none.
pub fn told(losses: &[Loss]) -> Option<String> {
    if losses.is_empty() {
        return None;
    }
    let mut text: String = losses.iter().take(TOLD_MAX).map(|loss| format!("{loss}\n")).collect();
    if losses.len() > TOLD_MAX {
        text += &format!("and {} more\n", losses.len() - TOLD_MAX);
    }
    Some(
        text + "nothing is taken away by a push unless that is said: push with --force if it is meant\n",
    )
}

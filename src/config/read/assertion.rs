//! `[[assert]]`

use crate::config::Problems;
use crate::config::keys::CLAIMS;
use crate::config::keys::NOTHING_DOWN;
use crate::config::keys::ONE_SITE_DOWN;
use crate::config::problem::At;
use crate::config::problem::Place;
use crate::config::read::clients::parse_area;
use crate::config::read::clients::parse_clients;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::reader::dotted;
use crate::config::rules;
use crate::config::spec::AreaSpec;
use crate::config::spec::AssertSpec;
use crate::config::spec::ClaimSpec;
use crate::model::Losses;
use crate::model::Percent;

/// Half the way around the earth, in kilometres: no two points are farther apart.
const KILOMETRES_MAX: u64 = 20_040;

/// Reads every assertion of a file; one with a mistake is left out.
pub(super) fn read_assertions(value: &Value<'_>, problems: &mut Problems) -> Vec<AssertSpec> {
    let wanted = "tables of their own: [[assert]]";
    let Some(items) = value.list(wanted, problems) else { return Vec::new() };
    let read = |item: Value<'_>| {
        let section = item.section_like("a table: [[assert]]", problems)?;
        read_assertion(section, problems)
    };
    items.into_iter().filter_map(read).collect()
}

fn read_assertion(mut section: Section<'_>, problems: &mut Problems) -> Option<AssertSpec> {
    let before = problems.len();
    let name = section.take("name");
    let names = name.map(|value| texts(&value, problems));
    let clients = section.take("clients");
    let clients_place = clients.as_ref().map(|value| value.key_place.clone());
    let clients = clients.map(|value| parsed(&value, parse_clients, problems)).unwrap_or_default();
    let is_everybody = clients.iter().any(|clients| clients.value.is_none());
    let claim = read_claim(&mut section, problems);
    let losses = section.take("with").and_then(|value| read_losses(&value, &claim, problems));
    let (path, place) = (section.path.clone(), section.place.clone());
    let mut claimed: Vec<_> =
        CLAIMS.iter().filter_map(|key| Some((*key, section.find_key(key)?))).collect();
    claimed.sort_by_key(|(_, place)| place.span.start);
    section.finish(problems);
    check_claims(&path, &place, &claimed, problems.len() == before, problems);
    if let (Some(ClaimSpec::MaxLoad { .. }), Some(place)) = (&claim, &clients_place) {
        let remedy = "take it out: every site carries what all clients bring";
        let key = dotted(&path, "clients");
        problems.error(place, key, "max_load is about all clients", remedy);
    }
    let claim = claim.filter(|_| problems.len() == before)?;
    let clients = if is_everybody { Vec::new() } else { clients };
    Some(AssertSpec {
        path,
        place,
        names,
        clients: clients.into_iter().filter_map(|clients| clients.value).collect(),
        losses: losses.unwrap_or(match claim {
            ClaimSpec::StaysIn(_) => Losses::Anything,
            ClaimSpec::Within(_) => Losses::Nothing,
            ClaimSpec::Answers | ClaimSpec::MaxLoad { .. } => Losses::OneSite,
        }),
        claim,
    })
}

/// An assertion claims one thing, so that a refusal says which.
fn check_claims(
    path: &str,
    place: &Place,
    claimed: &[(&str, Place)],
    is_fine: bool,
    problems: &mut Problems,
) {
    if let [_, (second, at), ..] = claimed {
        let fault = format!("{} and {second} are two claims", claimed[0].0);
        let also = (claimed[0].1.clone(), "the first claim");
        let remedy = "write an [[assert]] for each";
        problems.error_with(at, dotted(path, second), fault, remedy, also);
    }
    if claimed.is_empty() && is_fine {
        let remedy = format!("add one of {}, as answers = true", CLAIMS.join(", "));
        let rule = &rules::MISSING_KEY;
        problems.error(place, path, "nothing is asserted", remedy).rule(rule);
    }
}

fn read_claim(section: &mut Section<'_>, problems: &mut Problems) -> Option<ClaimSpec> {
    let traffic = section.take("traffic");
    let traffic_key = traffic.as_ref().map(|value| value.key_place.clone());
    let traffic = traffic.and_then(|value| value.string(problems));
    let mut claims = Vec::new();
    if let Some(value) = section.take("stays_in") {
        let areas: Vec<At<AreaSpec>> = parsed(&value, parse_area, problems);
        claims.push(Some(ClaimSpec::StaysIn(areas)));
    }
    if let Some(value) = section.take("within") {
        let metres = value.parsed(parse_kilometres, problems);
        claims.push(metres.map(|at| ClaimSpec::Within(at.value)));
    }
    if let Some(value) = section.take("answers") {
        let says = value.boolean(problems);
        if says.as_ref().is_some_and(|at| !at.value) {
            let remedy = "write true, or take it out";
            problems.error(&value.place, &value.path, "this asserts nothing", remedy);
        }
        claims.push(says.map(|_| ClaimSpec::Answers));
    }
    if let Some(value) = section.take("max_load") {
        let limit = value.percent(problems);
        if traffic_key.is_none() {
            section.miss("traffic", problems);
        }
        claims.push(
            limit.zip(traffic).map(|(limit, traffic)| ClaimSpec::MaxLoad {
                limit: Percent(limit.value),
                traffic,
            }),
        );
    } else if let Some(place) = traffic_key {
        let key = dotted(&section.path, "traffic");
        let remedy = "add max_load = \"100%\", or take it out";
        problems.error(&place, key, "traffic is for max_load only", remedy);
    }
    claims.into_iter().next().flatten()
}

fn read_losses(
    value: &Value<'_>,
    claim: &Option<ClaimSpec>,
    problems: &mut Problems,
) -> Option<Losses> {
    let losses = match value.word(problems)?.value {
        NOTHING_DOWN => Losses::Nothing,
        ONE_SITE_DOWN => Losses::OneSite,
        _ => Losses::Anything,
    };
    let key = match claim {
        Some(ClaimSpec::Answers) => "answers",
        Some(ClaimSpec::MaxLoad { .. }) => "max_load",
        Some(ClaimSpec::StaysIn(_) | ClaimSpec::Within(_)) | None => return Some(losses),
    };
    if losses == Losses::Anything {
        let fault = format!("{key} cannot hold whatever is down");
        let remedy = format!("write \"{ONE_SITE_DOWN}\" or \"{NOTHING_DOWN}\"");
        problems.error(&value.place, &value.path, fault, remedy);
    }
    Some(losses)
}

/// A text, or a list of them.
fn texts(value: &Value<'_>, problems: &mut Problems) -> Vec<At<String>> {
    if value.is_string() {
        return value.string(problems).into_iter().collect();
    }
    let before = problems.len();
    let texts = value.strings(problems).unwrap_or_default();
    if texts.is_empty() && problems.len() == before {
        let remedy = "name at least one, or take the key out";
        problems.error(&value.place, &value.path, "the list is empty", remedy);
    }
    for (position, text) in texts.iter().enumerate() {
        if let Some(first) = texts[..position].iter().find(|first| first.value == text.value) {
            let fault = format!("\"{}\" is named twice", text.value);
            let also = (first.place.clone(), "first named here");
            problems
                .error_with(&text.place, &value.path, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        }
    }
    texts
}

/// The same, each made something of.
fn parsed<T>(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Result<T, Refusal>,
    problems: &mut Problems,
) -> Vec<At<T>> {
    let mut all = Vec::new();
    for text in texts(value, problems) {
        match parse(&text.value) {
            Ok(value) => all.push(At { value, place: text.place }),
            Err((fault, remedy)) => {
                problems.error(&text.place, &value.path, fault, remedy);
            }
        }
    }
    all
}

/// `"1500km"`, in metres.
fn parse_kilometres(text: &str) -> Result<u64, Refusal> {
    let number = text.trim_matches(' ').strip_suffix("km").map(|number| number.trim_matches(' '));
    let number = number.filter(|number| number.bytes().all(|octet| octet.is_ascii_digit()));
    let kilometres = number.and_then(|number| number.parse::<u64>().ok());
    match kilometres.filter(|kilometres| (1..=KILOMETRES_MAX).contains(kilometres)) {
        Some(kilometres) => Ok(kilometres * 1000),
        None => {
            let remedy = format!("write \"1km\" to \"{KILOMETRES_MAX}km\"");
            Err((format!("\"{text}\" is not a distance"), remedy))
        }
    }
}

//! Failed assertions as problems of the operator's files: at the `[[assert]]`, with the client, the way and a remedy.

use crate::answer::words::step_text;
use crate::assertion::Carried;
use crate::assertion::CounterExample;
use crate::assertion::Failure;
use crate::assertion::Overload;
use crate::assertion::Proof;
use crate::assertion::State;
use crate::assertion::WAYS_MAX;
use crate::assertion::Why;
use crate::assertion::assumed;
use crate::assertion::states::endpoints_of;
use crate::assertion::states::home;
use crate::config::Problems;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::rules;
use crate::model::Area;
use crate::model::Assertion;
use crate::model::Claim;
use crate::model::Clients;
use crate::model::Family;
use crate::model::Model;
use crate::model::Period;
use crate::model::PoolId;
use crate::model::SiteId;
use crate::model::SteerId;
use crate::model::policy::client_prefix_len;
use crate::snapshot::Compiled;
use crate::steering::Decision;
use crate::steering::MemberState;
use crate::steering::Step;
use crate::wire::Name;

/// Most sites that are shown with their loads.
const SITES_MAX: usize = 12;

/// Most names that are listed besides the first.
const NAMES_MAX: usize = 8;

/// Adds a problem for each failure.
pub fn report(compiled: &Compiled, failures: &[Failure], problems: &mut Problems) {
    let compiled = &*assumed(compiled);
    for failure in failures {
        let assertion = &compiled.model.assertions[failure.assertion];
        let written = assertion.written;
        let place = Place { file: FileId(written.file), span: written.start..written.end };
        let (fault, remedy, notes) = match &failure.proof {
            Proof::Client(example) => of_client(compiled, assertion, example),
            Proof::Load(overload) => of_load(&compiled.model, overload),
            Proof::TooManyWays(steer) => too_many(&compiled.model, *steer),
        };
        let problem = problems.error(&place, "assert", fault, remedy);
        problem.rule(&rules::ASSERTION);
        problem.notes = notes;
    }
}

fn of_client(
    compiled: &Compiled,
    assertion: &Assertion,
    example: &CounterExample,
) -> (String, String, Vec<String>) {
    let model = &compiled.model;
    let place = compiled.places.place(example.example.place);
    let place = match place.is_unknown() {
        true => "of whom nothing is known".to_owned(),
        false => format!("({place})"),
    };
    let whom = match example.share < 1.0 - 1e-9 {
        true => format!("{} of the clients in", percent(example.share)),
        false => "clients in".to_owned(),
    };
    let network = example.example.network;
    let fault = format!(
        "{}: {whom} {network} {place} get {} with {}",
        owner(model, example.steer),
        what(model, example),
        state_text(model, example.state),
    );
    let mut steps = growth(compiled, example);
    steps.extend(&example.steps);
    let mut notes: Vec<String> = steps.iter().map(|step| step_text(model, step)).collect();
    notes.extend(others(model, &example.others));
    notes.extend(command(compiled, example));
    (fault, remedy(model, assertion, example), notes)
}

/// How the candidates of the client came to be.
fn growth(compiled: &Compiled, example: &CounterExample) -> Vec<Step> {
    let target = compiled.model.steers[example.steer.index()].target;
    compiled.explain(target, example.example.place)
}

/// What the client gets, and what is wrong with it.
fn what(model: &Model, example: &CounterExample) -> String {
    let pool = match example.decision {
        Decision::Serve(selection) => &*model.pools[selection.pool.index()].name,
        Decision::NoFamily | Decision::Nothing => "",
    };
    match example.why {
        Why::Outside(site) => {
            let country = match model.sites[site.index()].country {
                Some(code) => format!(" in {}", crate::geo::place::code_text(code)),
                None => ", which has no country".to_owned(),
            };
            format!("pool \"{pool}\" at site {}{country}", site_name(model, site))
        }
        Why::TooFar(site, metres) => {
            let site = site_name(model, site);
            format!("pool \"{pool}\" at site {site}, {} km away", metres / 1000)
        }
        Why::Nowhere(_) => format!("pool \"{pool}\", which has no site"),
        Why::NotHealthy => format!("pool \"{pool}\", where nothing is healthy"),
        Why::Unseen(_) => {
            format!("pool \"{pool}\", whose loss nobody sees, as it has no check")
        }
        Why::NoAnswer => "SERVFAIL".to_owned(),
    }
}

fn remedy(model: &Model, assertion: &Assertion, example: &CounterExample) -> String {
    let clients = match &assertion.clients[..] {
        [] => "all clients".to_owned(),
        clients => join(clients.iter().map(Clients::to_string)),
    };
    match (&assertion.claim, example.why) {
        (_, Why::Nowhere(pool)) => {
            format!("add site = \"…\" to [pool.{}]", model.pools[pool.index()].name)
        }
        (_, Why::Unseen(pool)) => {
            format!("add check = \"…\" to [pool.{}]", model.pools[pool.index()].name)
        }
        (Claim::StaysIn(areas), Why::Outside(site)) => {
            let areas = join(areas.iter().map(|area| area_text(model, *area)));
            match model.sites[site.index()].country {
                None => format!("add country = \"…\" to [site.{}]", site_name(model, site)),
                Some(_) => format!(
                    "{clients} must stay in {areas}: give them a policy with fence = true that has only such pools"
                ),
            }
        }
        (Claim::Within(metres), _) => {
            format!(
                "{clients} must get answers within {} km: add a site nearer to them",
                metres / 1000
            )
        }
        _ => "give the policy a pool at another site, with a check, that takes these clients"
            .to_owned(),
    }
}

/// Names that fail alike.
fn others(model: &Model, steers: &[SteerId]) -> Option<String> {
    let shown = steers.iter().take(NAMES_MAX).map(|steer| owner(model, *steer).to_string());
    let shown = join(shown);
    match steers.len().saturating_sub(NAMES_MAX) {
        _ if steers.is_empty() => None,
        0 => Some(format!("nor does it hold for {shown}")),
        more => Some(format!("nor does it hold for {shown} and {more} more")),
    }
}

/// What to type to see the same, if the client gets it at any moment.
fn command(compiled: &Compiled, example: &CounterExample) -> Option<String> {
    let model = &compiled.model;
    let is_steady =
        compiled.steer(example.steer).period == Period::Forever || example.share > 1.0 - 1e-9;
    if !is_steady || example.example.unix_s.is_none() {
        return None;
    }
    let rtype = match example.family {
        Family::V4 => "A",
        Family::V6 => "AAAA",
    };
    let down: String = match example.state {
        State::AllUp => String::new(),
        State::SiteLost(site) => format!(" --down {}", site_name(model, site)),
        State::OnlyUp(_) | State::AllDown => down_pools(compiled, example),
    };
    let (client, network) = (example.example.client, example.example.network);
    // A resolver would not send so long a prefix.
    let is_long = network.prefix_len() > client_prefix_len(client);
    let direct = if is_long { " --direct" } else { "" };
    let owner = owner(model, example.steer);
    Some(format!("rhumb explain {owner} {rtype} --offline --client {client}{direct}{down}"))
}

/// Pools that are down in a state, of those that the name can reach.
fn down_pools(compiled: &Compiled, example: &CounterExample) -> String {
    let model = &compiled.model;
    let route = &compiled.routes[compiled.steer(example.steer).route];
    let endpoints = route
        .pools
        .iter()
        .flat_map(|&pool| endpoints_of(model, pool).map(move |endpoint| (pool, endpoint)));
    let down = endpoints.filter(|&(pool, endpoint)| {
        example.state.of(model, pool, endpoint) != MemberState::default()
    });
    let mut pools: Vec<PoolId> =
        down.map(|(pool, endpoint)| home(model, pool, endpoint).0).collect();
    pools.sort_unstable();
    pools.dedup();
    pools.iter().map(|pool| format!(" --down {}", model.pools[pool.index()].name)).collect()
}

fn of_load(model: &Model, overload: &Overload) -> (String, String, Vec<String>) {
    let Overload { state, family, limit, carried } = overload;
    let Some(first) = carried.first() else { return Default::default() };
    let fault = format!(
        "site {} carries {} of its capacity with {}, more than {}%",
        site_name(model, first.site),
        percent(first.ratio()),
        state_text(model, *state),
        limit.0,
    );
    let width =
        carried.iter().map(|one| site_name(model, one.site).len()).max().unwrap_or(0).max(4);
    let mut notes =
        vec![format!("{:width$} {:>12} {:>12} {:>8}", "site", "load", "capacity", "full")];
    notes.extend(carried.iter().take(SITES_MAX).map(|one| {
        let Carried { site, load, capacity } = one;
        let full = percent(one.ratio());
        format!("{:width$} {load:>12.1} {capacity:>12.1} {full:>8}", site_name(model, *site))
    }));
    if carried.len() > SITES_MAX {
        notes.push(format!("and {} more sites", carried.len() - SITES_MAX));
    }
    notes.push(format!("as if every client asked for {family}"));
    let remedy = "raise capacity there, or let more sites take the clients of the one that is lost";
    (fault, remedy.to_owned(), notes)
}

fn too_many(model: &Model, steer: SteerId) -> (String, String, Vec<String>) {
    let fault = format!(
        "{}: shares can fall in more than {WAYS_MAX} ways, which are not all looked at",
        owner(model, steer)
    );
    let remedy = "let fewer targets of its weighted policies take overflow: spill = [...]";
    (fault, remedy.to_owned(), Vec::new())
}

fn state_text(model: &Model, state: State) -> String {
    match state {
        State::AllUp => "everything up".to_owned(),
        State::SiteLost(site) => format!("site {} down", site_name(model, site)),
        State::OnlyUp(pool) => {
            format!("everything down but pool \"{}\"", model.pools[pool.index()].name)
        }
        State::AllDown => "everything down".to_owned(),
    }
}

fn area_text(model: &Model, area: Area) -> String {
    match area {
        Area::Continent(code) => Clients::Continent(code).to_string(),
        Area::Country(code) => Clients::Country(code).to_string(),
        Area::Site(site) => format!("site:{}", site_name(model, site)),
    }
}

fn owner(model: &Model, steer: SteerId) -> &Name {
    &model.steers[steer.index()].owner
}

fn site_name(model: &Model, site: SiteId) -> &str {
    &model.sites[site.index()].name
}

/// A share as people read it: `5 %`, `0.2 %`.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        whole if (whole - whole.round()).abs() < 0.05 && whole >= 1.0 => format!("{whole:.0}%"),
        nothing if nothing <= 0.0 => "0%".to_owned(),
        part if part < 0.05 => "under 0.1%".to_owned(),
        part => format!("{part:.1}%"),
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

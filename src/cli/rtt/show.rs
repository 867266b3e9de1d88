//! `rhumb rtt show`: estimates of a client or of everybody, with what they are made of.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::rtt::FolderOption;
use crate::cli::rtt::World;
use crate::rtt::Group;
use crate::rtt::Key;
use crate::rtt::Row;
use crate::rtt::Source;
use crate::rtt::Table;
use crate::rtt::parse_table;
use crate::rtt::spell_ms;
use crate::rtt::text::spell_instant;
use crate::runtime::answerer::unix_s;

#[derive(Debug, Args)]
pub struct ShowArguments {
    /// A client: what every site is estimated at for it, the fastest first
    client: Option<IpAddr>,
    /// Only the rows of this site
    #[arg(long, value_name = "SITE", conflicts_with = "client")]
    site: Option<String>,
    /// This table instead of the one in force
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderOption,
}

/// A table and what is shown of it.
#[derive(Debug, Serialize)]
struct Shown {
    table: Option<String>,
    activates: Option<String>,
    /// Names and instants of tables that count later.
    coming: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    rows: Vec<ShownRow>,
}

/// A row, in milliseconds.
#[derive(Debug, Serialize)]
struct ShownRow {
    /// Network or group that the estimate is of; nothing for a prior.
    of: Option<String>,
    site: String,
    estimate_ms: String,
    prior_ms: Option<String>,
    source: String,
    /// Weight and mean by source, as `12.5 x 31.000`.
    samples: Vec<String>,
    /// What may count after the next window.
    pending_ms: Option<String>,
}

pub(super) fn run(arguments: &ShowArguments) -> Result<ExitCode, String> {
    let world = World::read(&arguments.folder)?;
    if let Some(site) = &arguments.site
        && world.ground().find_site(site).is_none()
    {
        let known: Vec<&str> = world.sites.iter().map(|site| &*site.name).collect();
        return Err(format!("there is no site {site}; the sites are: {}", known.join(", ")));
    }
    let now_s = unix_s();
    let (name, table) = match &arguments.table {
        Some(path) => (Some(path.display().to_string()), read_table(path)?),
        None => match world.shelf.in_force(now_s) {
            Some(shelved) => (Some(shelved.name.to_string()), (*shelved.table).clone()),
            None => (None, Table::default()),
        },
    };
    let later = world.shelf.tables().iter().filter(|shelved| shelved.table.activates_s > now_s);
    let (place, rows) = match arguments.client {
        Some(client) => {
            let place = world.ground().place(client.to_canonical()).to_string();
            (Some(place), client_rows(&world, &table, client.to_canonical()))
        }
        None => (None, all_rows(&world, &table, arguments.site.as_deref())),
    };
    let shown = Shown {
        activates: name.as_ref().map(|_| spell_instant(table.activates_s)),
        table: name,
        coming: later
            .map(|shelved| (shelved.name.to_string(), spell_instant(shelved.table.activates_s)))
            .collect(),
        place,
        rows,
    };
    match arguments.folder.json {
        true => print_json(&shown),
        false => print(as_text(&shown, arguments.client.is_some())),
    }
    Ok(ExitCode::SUCCESS)
}

fn read_table(path: &PathBuf) -> Result<Table, String> {
    let octets = std::fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    parse_table(name, &octets).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{}:{problem}", path.display()));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Every site for one client, the fastest first.
fn client_rows(world: &World, table: &Table, client: IpAddr) -> Vec<ShownRow> {
    let ground = world.ground();
    let place = ground.place(client);
    let networks = table.networks();
    let narrowest = networks.iter().rev().find(|(network, _)| network.contains(&client));
    let group = Group::of(place).map(Key::Group);
    let mut rows = Vec::new();
    for site in &world.sites {
        let prior_us = ground.prior_us(place, site);
        let index = table.site_index(&site.name).map(usize::from);
        let by_network = narrowest.and_then(|(_, values)| values[index?]);
        let wide = |key: &&Key| matches!(key, Key::Prefix(network) if network.contains(&client));
        let own = table.rows.keys().rev().map(|(key, _)| key).filter(wide);
        let network = own.copied().find(|key| table.find(*key, &site.name).is_some());
        let group_row = group.and_then(|key| Some((key, table.find(key, &site.name)?)));
        let of_network = network.and_then(|key| Some((key, table.find(key, &site.name)?)));
        let on_top = group_row.and_then(|(_, row)| row.standing.counts_us).unwrap_or(0);
        let estimate_us = by_network.map_or(prior_us + i64::from(on_top), i64::from);
        let of = of_network.or(group_row);
        rows.push((estimate_us, shown_row(of, &site.name, estimate_us, Some(prior_us))));
    }
    rows.sort_by_key(|(estimate_us, _)| *estimate_us);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Every row of the table, or those of one site.
fn all_rows(world: &World, table: &Table, site: Option<&str>) -> Vec<ShownRow> {
    let ground = world.ground();
    let rows = table.rows.iter().filter_map(|((key, index), row)| {
        let name = &*table.sites[usize::from(*index)];
        if site.is_some_and(|site| site != name) {
            return None;
        }
        let prior_us = match key {
            Key::Prefix(network) => {
                let place = ground.place(network.network());
                ground.find_site(name).map(|site| ground.prior_us(place, site))
            }
            // Of many places: what is shown is what comes on top.
            Key::Group(_) => None,
        };
        // What is as expected does not count of itself.
        let counts_us = row.standing.counts_us.map(i64::from).or(prior_us).unwrap_or(0);
        Some(shown_row(Some((*key, row)), name, counts_us, prior_us))
    });
    rows.collect()
}

fn shown_row(
    of: Option<(Key, &Row)>,
    site: &str,
    estimate_us: i64,
    prior_us: Option<i64>,
) -> ShownRow {
    let samples = of.map_or_else(Vec::new, |(_, row)| {
        let each = Source::ALL.into_iter().rev().zip(row.evidence.iter().rev());
        let each =
            each.filter(|(_, evidence)| evidence.weight_milli > 0).map(|(source, evidence)| {
                let weight = f64::from(evidence.weight_milli) / 1000.0;
                format!("{source} {weight:.1} x {}", spell_ms(evidence.mean_us))
            });
        each.collect()
    });
    let source = of.and_then(|(_, row)| row.main_source()).map_or("distance", Source::name);
    let is_difference = matches!(of, Some((Key::Group(_), _))) && prior_us.is_none();
    let sign = if is_difference && estimate_us >= 0 { "+" } else { "" };
    ShownRow {
        of: of.map(|(key, _)| key.to_string()),
        site: site.into(),
        estimate_ms: format!("{sign}{}", spell_ms(estimate_us as i32)),
        prior_ms: prior_us.map(|prior_us| spell_ms(prior_us as i32)),
        source: source.into(),
        samples,
        pending_ms: of.and_then(|(_, row)| row.standing.pending_us).map(spell_ms),
    }
}

fn as_text(shown: &Shown, of_client: bool) -> String {
    let mut lines = Vec::new();
    lines.push(match (&shown.table, &shown.activates) {
        (Some(name), Some(activates)) => format!("{name}, counts from {activates} on"),
        _ => "no table is in force: estimates are by distance".into(),
    });
    lines.extend(shown.coming.iter().map(|(name, at)| format!("coming: {name} from {at} on")));
    lines.extend(shown.place.iter().map(|place| format!("client: {place}")));
    let mut cells =
        vec![["", "network", "site", "ms", "prior", "source", "samples"].map(String::from)];
    for (position, row) in shown.rows.iter().enumerate() {
        let ahead = if of_client && position == 0 { ">" } else { "" };
        let pending = row.pending_ms.iter().map(|pending| format!("(next {pending})"));
        let samples: Vec<String> = row.samples.iter().cloned().chain(pending).collect();
        cells.push([
            ahead.into(),
            row.of.clone().unwrap_or_else(|| "-".into()),
            row.site.clone(),
            row.estimate_ms.clone(),
            row.prior_ms.clone().unwrap_or_else(|| "-".into()),
            row.source.clone(),
            samples.join(", "),
        ]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    for row in &cells {
        let [ahead, of, site, estimate, prior, source, samples] = row;
        let [of_w, site_w, ms_w, prior_w, source_w] = [1, 2, 3, 4, 5].map(width);
        let line = format!(
            "{ahead:1} {of:of_w$}  {site:site_w$}  {estimate:>ms_w$}  {prior:>prior_w$}  \
             {source:source_w$}  {samples}",
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

//! `rhumb zone`: the zones of the files, as lists and as master files for other servers.
//! Needs no running server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::output::PROBLEMS;
use crate::cli::output::count;
use crate::cli::output::fail;
use crate::cli::output::print;
use crate::cli::output::print_json;
use crate::cli::output::wants_color;
use crate::cli::settings;
use crate::cli::settings::ConfigOption;
use crate::config;
use crate::config::render;
use crate::model::AllDown;
use crate::model::Endpoint;
use crate::model::Family;
use crate::model::Leaf;
use crate::model::LeafRecords;
use crate::model::Model;
use crate::model::PolicyKind;
use crate::model::Pool;
use crate::model::PoolId;
use crate::model::Service;
use crate::model::Steer;
use crate::model::Target;
use crate::model::Zone;
use crate::wire::Name;
use crate::wire::RecordType;
use crate::wire::service::PARAMETER_HEAD_LEN;
use crate::wire::service::find_auto;
use crate::zonefile::write_rdata;
use crate::zonefile::write_record;

/// What to do with zones.
#[derive(Debug, Subcommand)]
pub enum ZoneCommand {
    /// Show the zones of the files, with their serials
    List(ListArguments),
    /// Write a zone as a master file that NSD, Knot DNS and BIND load
    Export(ExportArguments),
}

/// What `list` takes.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    config: ConfigOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `export` takes.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The zone's name
    apex: String,
    #[command(flatten)]
    config: ConfigOption,
    /// How steered names are written; they have no records of their own
    #[arg(long, value_enum, default_value_t = SteeredAs::Comment)]
    steered_as: SteeredAs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a steered name is written where nothing can be steered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SteeredAs {
    /// As a comment only
    Comment,
    /// With the addresses that everybody gets when all is down: a snapshot for a plain secondary
    FailOpen,
}

/// One record of a zone.
#[derive(Clone)]
struct Row<'a> {
    owner: Rc<Name>,
    ttl: u32,
    rtype: RecordType,
    rdata: &'a [u8],
}

pub(super) fn run(command: &ZoneCommand) -> ExitCode {
    let done = match command {
        ZoneCommand::List(arguments) => {
            load(&arguments.config).map(|model| list(arguments, &model))
        }
        ZoneCommand::Export(arguments) => {
            load(&arguments.config).and_then(|model| export(arguments, &model))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(PROBLEMS, why),
    }
}

/// Reads all files as `rhumb check` does.
fn load(option: &ConfigOption) -> Result<Model, String> {
    let settings = settings::find(option)?;
    let mut faults = Vec::new();
    let files = settings.sources.read_files(&mut faults);
    let (model, problems) = config::load(&files);
    model.filter(|_| faults.is_empty()).ok_or_else(|| {
        let unread = faults.iter().map(|fault| fault.problem().for_people() + "\n\n");
        let text =
            unread.collect::<String>() + &render::for_people(&files, &problems, wants_color());
        format!("the zones have problems\n{}", text.trim_end())
    })
}

/// A zone's static records: the one place that knows how the model keeps them.
fn rows(zone: &Zone) -> impl Iterator<Item = Row<'_>> {
    zone.owners.iter(&zone.records).flat_map(|owner| {
        let name = Rc::new(Name::from_wire(owner.name).expect("owners are names"));
        owner.iter().map(move |(_, record)| Row {
            owner: Rc::clone(&name),
            ttl: record.ttl,
            rtype: record.rtype,
            rdata: record.rdata,
        })
    })
}

// -- List -----------------------------------------------------------------------------------------

/// A zone in the list.
#[derive(Serialize)]
struct Listed {
    apex: String,
    serial: u32,
    records: usize,
    steered: usize,
}

fn list(arguments: &ListArguments, model: &Model) {
    let mut zones: Vec<&Zone> = model.zones.iter().collect();
    zones.sort_by_cached_key(|zone| canonical(&zone.apex));
    let zones = zones.into_iter().map(|zone| Listed {
        apex: zone.apex.to_string(),
        serial: rows(zone).find(|row| row.rtype == RecordType::SOA).map_or(0, serial),
        records: rows(zone).count(),
        steered: zone.steered.len(),
    });
    if arguments.json {
        return print_json(&zones.collect::<Vec<_>>());
    }
    for Listed { apex, serial, records, steered } in zones {
        let (records, steered) =
            (count(records, "record", "records"), count(steered, "steered name", "steered names"));
        print(format!("{apex}  serial {serial}, {records}, {steered}"));
    }
}

/// The serial: the first of the five numbers that end an SOA (RFC 1035 section 3.3.13).
fn serial(soa: Row<'_>) -> u32 {
    let numbers = soa.rdata.len().checked_sub(20).and_then(|at| soa.rdata.get(at..at + 4));
    let serial = numbers.and_then(|octets| octets.try_into().ok());
    serial.map_or(0, u32::from_be_bytes)
}

// -- Export ---------------------------------------------------------------------------------------

/// A record in JSON.
#[derive(Serialize)]
struct Record {
    owner: String,
    ttl: u32,
    r#type: String,
    data: String,
}

/// A steered name in JSON.
#[derive(Serialize)]
struct Steered {
    owner: String,
    steer: String,
    ttl: u32,
    /// Addresses of the snapshot; absent if none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<IpAddr>>,
    /// CNAME or SRV records of the snapshot; absent if none was asked for, or the name answers with addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<String>,
    /// Names whose addresses belong to the snapshot and are not in the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

/// A zone in JSON.
#[derive(Serialize)]
struct Exported {
    apex: String,
    records: Vec<Record>,
    steered: Vec<Steered>,
}

fn export(arguments: &ExportArguments, model: &Model) -> Result<(), String> {
    let zone = find_zone(&arguments.apex, model)?;
    let mut records: Vec<Row<'_>> = rows(zone).collect();
    records.sort_by_cached_key(|row| {
        (row.rtype != RecordType::SOA, canonical(&row.owner), row.rtype, row.rdata)
    });
    let steered: BTreeMap<Vec<u8>, &Steer> = zone
        .steered
        .iter()
        .map(|steered| (canonical(&steered.owner), &model.steers[steered.steer.index()]))
        .collect();
    let steered: Vec<&Steer> = steered.into_values().collect();
    if arguments.json {
        print_json(&Exported {
            apex: zone.apex.to_string(),
            records: records.into_iter().map(record).collect(),
            steered: steered.into_iter().map(|s| as_json(s, model, arguments.steered_as)).collect(),
        });
        return Ok(());
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match write(zone, &records, &steered, model, arguments.steered_as, &mut out) {
        // A reader that has gone has seen enough.
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(why.to_string()),
        _ => Ok(()),
    }
}

/// The zone that was asked for.
fn find_zone<'m>(apex: &str, model: &'m Model) -> Result<&'m Zone, String> {
    let name = Name::absolute(apex).map_err(|why| format!("\"{apex}\": {why}"))?;
    model.zones.iter().find(|zone| zone.apex == name).ok_or_else(|| {
        format!("there is no zone {name}; `rhumb zone list` shows those that are there")
    })
}

/// Writes the master file: SOA first, then owners in canonical order, then steered names.
fn write(
    zone: &Zone,
    records: &[Row<'_>],
    steered: &[&Steer],
    model: &Model,
    steered_as: SteeredAs,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "; {} as written by \"rhumb zone export\"", zone.apex)?;
    let mut line = String::new();
    for Row { owner, ttl, rtype, rdata } in records {
        line.clear();
        let plain = without_auto_hints(*rtype, rdata);
        if plain.is_some() {
            writeln!(line, "; {owner} {rtype}: hints that follow addresses (auto) are left out")
                .map_err(io::Error::other)?;
        }
        write_record(owner, *ttl, *rtype, plain.as_deref().unwrap_or(rdata), &mut line);
        out.write_all(line.as_bytes())?;
    }
    for steer in steered {
        line.clear();
        let entry = entry(steer, model);
        let owner = &steer.owner;
        let what = match records_of(steer, model) {
            LeafRecords::Addresses => "A and AAAA depend",
            LeafRecords::Cname => "its CNAME depends",
            LeafRecords::Srv => "SRV depends",
        };
        writeln!(out, "; {owner} is steered by \"{entry}\": {what} on the client")?;
        if steered_as == SteeredAs::FailOpen {
            for alias in aliases(steer, model) {
                writeln!(out, "; the addresses of {alias} are not in the files")?;
            }
            for (rtype, rdata) in names(steer, model) {
                write_record(owner, steer.ttl, rtype, &rdata, &mut line);
            }
            for address in snapshot(steer, model) {
                let (rtype, octets) = match address {
                    IpAddr::V4(address) => (RecordType::A, address.octets().to_vec()),
                    IpAddr::V6(address) => (RecordType::AAAA, address.octets().to_vec()),
                };
                write_record(&steer.owner, steer.ttl, rtype, &octets, &mut line);
            }
        }
        out.write_all(line.as_bytes())?;
    }
    out.flush()
}

fn record(Row { owner, ttl, rtype, rdata }: Row<'_>) -> Record {
    let mut data = String::new();
    write_rdata(rtype, rdata, &mut data);
    Record { owner: owner.to_string(), ttl, r#type: rtype.to_string(), data }
}

fn as_json(steer: &Steer, model: &Model, steered_as: SteeredAs) -> Steered {
    let is_wanted = steered_as == SteeredAs::FailOpen;
    let text = |(rtype, rdata): (RecordType, Vec<u8>)| {
        let mut data = format!("{rtype} ");
        write_rdata(rtype, &rdata, &mut data);
        data
    };
    let (records, aliases) = match is_wanted {
        true => (names(steer, model), aliases(steer, model)),
        false => Default::default(),
    };
    Steered {
        records: records.into_iter().map(text).collect(),
        aliases: aliases.iter().map(ToString::to_string).collect(),
        owner: steer.owner.to_string(),
        steer: entry(steer, model).into(),
        ttl: steer.ttl,
        addresses: is_wanted.then(|| snapshot(steer, model)),
    }
}

/// The operator's name of what a steered name enters.
fn entry<'m>(steer: &Steer, model: &'m Model) -> &'m str {
    match steer.target {
        Target::Pool(pool) => &model.pools[pool.index()].name,
        Target::Policy(policy) => &model.policies[policy.index()].name,
    }
}

/// Addresses that stand for a steered name: what everybody gets when all is down and nothing is drained.
fn snapshot(steer: &Steer, model: &Model) -> Vec<IpAddr> {
    let named = match steer.on_all_down {
        AllDown::Pool(pool) => Some(pool),
        AllDown::FailOpen | AllDown::LastGood | AllDown::ServFail => None,
    };
    let of = |family| {
        let named = named.filter(|pool| model.pools[pool.index()].has_family(family));
        let pool = named.or_else(|| first_pool(steer.target, model, family));
        pool.map_or_else(Vec::new, |pool| addresses(&model.pools[pool.index()], family))
    };
    [Family::V4, Family::V6].into_iter().flat_map(of).collect()
}

/// What a steered name answers with.
fn records_of(steer: &Steer, model: &Model) -> LeafRecords {
    let pool = first_pool(steer.target, model, Family::V4);
    let pool = pool.or_else(|| first_pool(steer.target, model, Family::V6));
    pool.map_or(LeafRecords::Addresses, |pool| model.pools[pool.index()].records())
}

/// Endpoints that stand for a steered name whichever family is asked; standbys only where all are standbys.
fn stand_ins<'m>(steer: &Steer, model: &'m Model) -> Vec<&'m Endpoint> {
    let named = match steer.on_all_down {
        AllDown::Pool(pool) => Some(pool),
        AllDown::FailOpen | AllDown::LastGood | AllDown::ServFail => None,
    };
    let pool = named.or_else(|| first_pool(steer.target, model, Family::V4));
    let Some(pool) = pool else { return Vec::new() };
    let endpoints = &model.pools[pool.index()].endpoints;
    let has_weight = endpoints.iter().any(|endpoint| endpoint.weight > 0);
    endpoints.iter().filter(|endpoint| (endpoint.weight > 0) == has_weight).collect()
}

/// Records that stand for a name that is steered to names: one CNAME, or every SRV.
fn names(steer: &Steer, model: &Model) -> Vec<(RecordType, Vec<u8>)> {
    let record = |endpoint: &Endpoint| match &endpoint.leaf {
        Leaf::Addresses { .. } | Leaf::Alias(_) => None,
        Leaf::Cname(target) => Some((RecordType::CNAME, target.as_wire().to_vec())),
        Leaf::Srv(Service { target, port, priority }) => {
            let numbers = [*priority, endpoint.weight, *port].map(u16::to_be_bytes).concat();
            Some((RecordType::SRV, [&numbers, target.as_wire()].concat()))
        }
    };
    let mut records: Vec<_> = stand_ins(steer, model).into_iter().filter_map(record).collect();
    if records.first().is_some_and(|(rtype, _)| *rtype == RecordType::CNAME) {
        records.truncate(1);
    }
    records
}

/// Names whose addresses belong to the snapshot of a steered name, but only a running server knows them.
fn aliases<'m>(steer: &Steer, model: &'m Model) -> Vec<&'m Name> {
    let alias = |endpoint: &&'m Endpoint| matches!(endpoint.leaf, Leaf::Alias(_));
    stand_ins(steer, model).into_iter().filter(alias).filter_map(Endpoint::target).collect()
}

/// Data without the hints that follow addresses; `None` if there are none.
fn without_auto_hints(rtype: RecordType, rdata: &[u8]) -> Option<Vec<u8>> {
    if rtype != RecordType::HTTPS && rtype != RecordType::SVCB {
        return None;
    }
    let mut plain = rdata.to_vec();
    let mut from = 0;
    while let Some((at, _)) = find_auto(&plain, from) {
        plain.drain(at..at + PARAMETER_HEAD_LEN);
        from = at;
    }
    (plain.len() < rdata.len()).then_some(plain)
}

/// Addresses of a pool; standbys stand in only where all are standbys.
fn addresses(pool: &Pool, family: Family) -> Vec<IpAddr> {
    let of = |has_weight: bool| -> Vec<IpAddr> {
        let members = pool.endpoints.iter().filter(|endpoint| (endpoint.weight > 0) == has_weight);
        members.filter_map(|endpoint| endpoint.address(family)).collect()
    };
    let weighted = of(true);
    if weighted.is_empty() { of(false) } else { weighted }
}

/// The first pool that has the family, in the order in which targets are written.
fn first_pool(target: Target, model: &Model, family: Family) -> Option<PoolId> {
    match target {
        // Endpoints that are found are known to a running server only.
        Target::Pool(pool) => {
            let mut endpoints = model.pools[pool.index()].endpoints.iter();
            endpoints.any(|endpoint| endpoint.may_have(family)).then_some(pool)
        }
        Target::Policy(policy) => match &model.policies[policy.index()].kind {
            PolicyKind::All { targets: _, pool } => first_pool(Target::Pool(*pool), model, family),
            kind => {
                let mut targets = kind.targets().into_iter();
                targets.find_map(|target| first_pool(target, model, family))
            }
        },
    }
}

/// A key that sorts names as RFC 4034 section 6.1 does: by labels from the right, each as octets.
fn canonical(name: &Name) -> Vec<u8> {
    let labels: Vec<&[u8]> = name.labels().collect();
    let mut key = Vec::with_capacity(name.as_wire().len() + labels.len());
    for label in labels.into_iter().rev() {
        for &octet in label {
            match octet {
                // A label's end sorts before every octet, so that 0 and 1 make room for it.
                0 | 1 => key.extend_from_slice(&[1, octet + 1]),
                _ => key.push(octet),
            }
        }
        key.push(0);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_in_rfc_4034_section_6_1() {
        let names = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "z.a.example",
            "zabc.a.example",
            "z.example",
            "\\001.z.example",
            "*.z.example",
            "\\200.z.example",
        ];
        let mut sorted = names;
        sorted.reverse();
        sorted.sort_by_cached_key(|name| canonical(&Name::absolute(name).unwrap()));
        assert_eq!(sorted, names);
        let [short, long] =
            ["a.example", "a\\000.example"].map(|name| Name::absolute(name).unwrap());
        assert!(canonical(&short) < canonical(&long));
    }
}

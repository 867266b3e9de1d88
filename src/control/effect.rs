//! What the shell is to do, and what it is to tell.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::cluster::Say;
use crate::config::duration::spell;
use crate::control::cluster::NodeNews;
use crate::control::cluster::bundles::Deed;
use crate::control::cluster::withdrawal::Presence;
use crate::control::command::Reply;
use crate::control::discover::News;
use crate::control::event::DiskNews;
use crate::control::failback::Stage;
use crate::control::job::Job;
use crate::control::order::Order;
use crate::control::order::Scope;
use crate::control::round_trips::TableJob;
use crate::control::shift::Shift;
use crate::control::started::TakenUp;
use crate::control::stored::Entry;
use crate::control::stored::Kept;
use crate::health::Penalty;
use crate::model::Check;
use crate::model::Failback;
use crate::model::Family;
use crate::model::Percent;
use crate::model::Source;
use crate::model::TargetKey;
use crate::model::Verdict;
use crate::rtt::Table;
use crate::rtt::text::spell_instant;
use crate::snapshot::Snapshot;
use crate::wire::Name;

/// Something to do.
#[derive(Debug)]
pub enum Effect {
    /// Answer from this snapshot from now on.
    Publish(Arc<Snapshot>),
    /// Run this on a worker and bring the product back.
    Compile(Arc<Job>),
    /// Probe exactly these.
    Probe(Vec<ProbeOrder>),
    /// Say this to all other nodes.
    Say(Say),
    /// Have clients led to others, as this node's prober has lost its own network, or to this node again.
    Hook(Presence),
    /// Do this with a bundle of files.
    Bundle(Deed),
    /// Resolve exactly these names from now on.
    Resolve(Vec<Name>),
    /// Ask exactly these sources for endpoints from now on.
    Discover(Vec<Arc<Source>>),
    /// Tell that this happened: a log line, later an event in the history.
    Record(Occurrence),
    /// Keep this, so that a restart brings it back.
    Persist(Entry),
    /// Keep what was learnt of round-trip times, in place of what was kept before.
    KeepTable(Arc<Table>),
    /// Keep what this is made of, as long as the history names it.
    Keep(Box<Kept>),
    /// Answer the command that was just handled.
    Reply(Reply),
    /// Run this on a worker and bring the table back.
    MakeTable(Arc<TableJob>),
    /// Put this table into the folder of tables, and read the folder.
    WriteTable {
        /// Name of the file.
        name: String,
        /// What is in it.
        text: String,
    },
}

/// A target to probe.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeOrder {
    /// Its name.
    pub key: TargetKey,
    /// Where it is.
    pub address: IpAddr,
    /// How to probe it.
    pub check: Arc<Check>,
    /// What is known of it.
    pub verdict: Verdict,
    /// How slow it was, as a level of its check.
    pub degraded: u8,
    /// For its flaps, as far as it has not decayed.
    pub penalty: Penalty,
}

/// Something that happened and that people want to read.
#[derive(Clone, Debug, PartialEq)]
pub enum Occurrence {
    /// A target's verdict changed.
    Verdict {
        /// Which target.
        key: TargetKey,
        /// From what.
        before: Verdict,
        /// To what.
        after: Verdict,
        /// Why.
        reason: Box<str>,
    },
    /// The server started, and took up what was kept.
    Started(TakenUp),
    /// A target is slower than it was, or faster.
    Degraded {
        /// Which target.
        key: TargetKey,
        /// Level of its check; 0 is none.
        level: u8,
        /// What is left of its weight.
        weight: Percent,
        /// The probe result.
        reason: Box<str>,
    },
    /// New files are in force.
    Reloaded {
        /// Generation they are in force from.
        generation: u64,
        /// SHA-256 of files and geo data.
        digest: [u8; 32],
        /// How many zones they have.
        zones: usize,
        /// How many warnings they gave.
        warnings: usize,
        /// Every warning, as `rhumb check` shows it.
        warning_text: String,
        /// What of the data in force became another one.
        change: Change,
    },
    /// The files are the ones in force.
    Unchanged,
    /// The first look at the folders, just after the start, has found what is in force.
    Watching,
    /// The files are the ones that were refused last.
    StillRefused,
    /// New files were refused; the old ones stay in force.
    Refused {
        /// Every problem, as `rhumb check` shows it.
        text: String,
        /// How many problems.
        problems: usize,
    },
    /// A name of endpoints has other addresses than before, or can be resolved again.
    Resolved {
        /// Which name.
        name: Name,
        /// Its addresses.
        addresses: Vec<IpAddr>,
    },
    /// A name of endpoints can be resolved no longer.
    NotResolved {
        /// Which name.
        name: Name,
        /// Why.
        reason: Box<str>,
        /// How many addresses it keeps from before.
        kept: usize,
    },
    /// Something happened in the cluster.
    Cluster(NodeNews),
    /// Something about the endpoints that a pool finds.
    Discovery {
        /// Which pool.
        pool: Box<str>,
        /// What.
        news: News,
    },
    /// A table of round-trip times was made.
    TableMade {
        /// Name of its file.
        name: Box<str>,
        /// Networks and groups times sites.
        rows: usize,
        /// How many more there would be.
        left_out: usize,
        /// When it counts, in seconds since 1970.
        activates_s: u64,
    },
    /// A table of round-trip times counts from now on.
    TableCounts {
        /// Name of its file.
        name: Box<str>,
        /// Networks and groups times sites.
        rows: usize,
    },
    /// Tables of round-trip times were refused: damaged, or the files would be refused with them.
    TablesRefused {
        /// Every problem.
        text: String,
        /// How many problems.
        problems: usize,
    },
    /// No table of round-trip times is refused any more.
    TablesAccepted,
    /// Measurements were not believed, or there was no room for them.
    Unheard {
        /// How many since the last window.
        measurements: u64,
    },
    /// Geo data was refused; zones are served with the places known before.
    GeoRefused {
        /// Every problem, as `rhumb check` shows it.
        text: String,
        /// How many problems.
        problems: usize,
    },
    /// Geo data is right again after it was refused.
    GeoAccepted,
    /// An order was given.
    Ordered {
        /// For what.
        scope: Scope,
        /// Which.
        order: Order,
    },
    /// An order was taken back.
    Withdrawn {
        /// For what.
        scope: Scope,
        /// Which it was.
        order: Order,
        /// Whose word it was, and why.
        by: Box<str>,
    },
    /// A pool lost its qualification, or its clients come back, or all of them are back.
    WayBack {
        /// Which pool.
        pool: Box<str>,
        /// Which side of it.
        family: Family,
        /// How clients come back.
        failback: Failback,
        /// How far they are; `None`: all are back.
        stage: Option<Stage>,
    },
    /// An operator brought a pool's clients back.
    BroughtBack {
        /// Which pool.
        pool: Box<str>,
        /// Who.
        by: Box<str>,
        /// Why.
        reason: Box<str>,
    },
    /// A pool sends more of its clients elsewhere for its load, or fewer.
    Shed {
        /// Which pool.
        pool: Box<str>,
        /// How many sixteenths of its clients it was.
        before: u8,
        /// How many it is now.
        level: u8,
        /// Its load, if it is known.
        load: Option<f64>,
    },
    /// A pool takes nobody any more whom others shed, or does again.
    Laden {
        /// Which pool.
        pool: Box<str>,
        /// Whether it takes nobody.
        is_closed: bool,
        /// Its load, if it is known.
        load: Option<f64>,
    },
    /// Weights of a policy begin to move, or have come where they should.
    Shifted {
        /// Which policy.
        policy: Box<str>,
        /// How.
        shift: Shift,
    },
    /// The weights of the files count again.
    ShiftEnded {
        /// Which policy.
        policy: Box<str>,
        /// What it was.
        shift: Shift,
        /// Why.
        why: Box<str>,
    },
    /// A target is down by its probes and served all the same: too much has gone at once.
    Braked {
        /// Which target.
        key: TargetKey,
        /// The probe result.
        reason: Box<str>,
    },
    /// A target that the brake held passes again.
    BrakeEased {
        /// Which target.
        key: TargetKey,
    },
    /// An operator let everything go that the brake held.
    BrakeReleased {
        /// How many targets.
        count: usize,
        /// Who.
        by: Box<str>,
        /// Why.
        reason: Box<str>,
    },
    /// State is not written any more, or is again.
    Disk(DiskNews),
    /// An order came to its end.
    Expired {
        /// For what.
        scope: Scope,
        /// Which it was.
        order: Order,
    },
}

/// A count with its noun: `1 zone`, `2 zones`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// What new files changed, as far as people are told. Nothing, for the first ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Zones that were not served before.
    pub added: Vec<Box<str>>,
    /// Zones that are served no more.
    pub removed: Vec<Box<str>>,
    /// Whether the geo data is other data than before.
    pub geo: bool,
}

/// What a stage of the way back means, in words.
pub fn way_back_text(failback: Failback, stage: Option<Stage>) -> String {
    match (failback, stage) {
        (_, None) => "all clients are back".into(),
        (Failback::Manual, Some(_)) => {
            "does not qualify; its clients stay away until `rhumb failback`".into()
        }
        (Failback::Ramp(over), Some(Stage::Ramp { .. })) => {
            format!("qualifies again; its clients come back over {}", spell(over))
        }
        (Failback::Auto | Failback::Ramp(_), Some(_)) => {
            "does not qualify; its clients will come back by and by".into()
        }
    }
}

/// What a pool sheds, in words.
pub fn shed_text(level: u8, load: Option<f64>) -> String {
    let load = load_text(load);
    match level {
        0 => format!("{load}, sheds nobody any more"),
        _ => format!("{load}, sheds the farthest {level} of 16 parts of its clients"),
    }
}

/// Whether a pool takes in whom others shed, in words.
pub fn laden_text(is_closed: bool, load: Option<f64>) -> String {
    let load = load_text(load);
    match is_closed {
        true => format!("{load}, takes nobody any more whom others shed"),
        false => format!("{load}, takes clients again whom others shed"),
    }
}

fn load_text(load: Option<f64>) -> String {
    load.map_or_else(|| "load not known".to_owned(), |load| format!("load {load:.2}"))
}

/// Hexadecimal of the first four octets of a digest: enough for people to compare.
pub fn short_digest(digest: &[u8; 32]) -> String {
    digest[..4].iter().map(|octet| format!("{octet:02x}")).collect()
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict { key, before, after, reason } => {
                write!(f, "{key}: {before} -> {after}: {reason}")
            }
            Self::Degraded { key, level: 0, weight: _, reason } => {
                write!(f, "{key}: degraded no more: {reason}")
            }
            Self::Degraded { key, level, weight: Percent(weight), reason } => {
                write!(f, "{key}: degraded, level {level}, {weight} % of its weight left: {reason}")
            }
            Self::Reloaded { generation, digest, zones, warnings, .. } => {
                let digest = short_digest(digest);
                write!(
                    f,
                    "serving {}, generation {generation}, digest {digest}, {}",
                    count(*zones, "zone"),
                    count(*warnings, "warning"),
                )
            }
            Self::Started(taken) => write!(f, "{taken}"),
            Self::Disk(DiskNews::Faulty(why)) => {
                write!(f, "state is not kept, a restart would forget what changes: {why}")
            }
            Self::Disk(DiskNews::Kept) => f.write_str("state is kept again"),
            Self::Disk(DiskNews::Lost(what)) => f.write_str(what),
            Self::Unchanged => f.write_str("the files have not changed"),
            Self::Watching => f.write_str("changes of files are noticed from now on"),
            Self::StillRefused => f.write_str(
                "the files are still the refused ones; the ones before them stay in force",
            ),
            Self::Refused { text, problems } => {
                let problems = count(*problems, "problem");
                write!(f, "files refused, {problems}; the old ones stay in force\n{text}")
            }
            Self::Resolved { name, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "{name} resolves to {}", addresses.join(", "))
            }
            Self::NotResolved { name, reason, kept: 0 } => {
                write!(f, "{name} cannot be resolved and has no addresses: {reason}")
            }
            Self::NotResolved { name, reason, kept } => {
                let kept = if *kept == 1 { "address stays" } else { "addresses stay" };
                write!(f, "{name} cannot be resolved, its last good {kept}: {reason}")
            }
            Self::Cluster(news) => news.fmt(f),
            Self::Discovery { pool, news } => write!(f, "pool {pool}: {news}"),
            Self::TableMade { name, rows, left_out, activates_s } => {
                let (rows, at) = (count(*rows, "row"), spell_instant(*activates_s));
                write!(f, "round-trip times: {name} made, {rows}, counts from {at} on")?;
                match left_out {
                    0 => Ok(()),
                    more => write!(f, "; it is full, {} left out", count(*more, "row")),
                }
            }
            Self::TableCounts { name, rows } => {
                write!(f, "round-trip times: {name} counts, {}", count(*rows, "row"))
            }
            Self::TablesRefused { text, problems } => {
                let problems = count(*problems, "problem");
                write!(
                    f,
                    "round-trip times refused, {problems}; the table before stays in force\n{text}"
                )
            }
            Self::TablesAccepted => f.write_str("no table of round-trip times is refused any more"),
            Self::Unheard { measurements } => {
                let those =
                    count(usize::try_from(*measurements).unwrap_or(usize::MAX), "measurement");
                write!(f, "round-trip times: {those} not believed, or no room for them")
            }
            Self::GeoRefused { text, problems } => {
                let problems = count(*problems, "problem");
                write!(
                    f,
                    "geo data refused, {problems}; the places before it stay in force\n{text}"
                )
            }
            Self::GeoAccepted => f.write_str("the geo data is right again"),
            Self::Ordered { scope, order } => write!(f, "{scope}: {order}"),
            Self::Withdrawn { scope, order, by } => {
                write!(f, "{scope}: no longer {}, {by}", order.admin)
            }
            Self::WayBack { pool, family, failback, stage } => {
                let text = way_back_text(*failback, *stage);
                write!(f, "pool {pool} {family}: {text}")
            }
            Self::BroughtBack { pool, by, reason } => {
                write!(f, "pool {pool}: all clients brought back by {by}: {reason}")
            }
            Self::Shed { pool, level, load, .. } => {
                write!(f, "pool {pool}: {}", shed_text(*level, *load))
            }
            Self::Laden { pool, is_closed, load } => {
                write!(f, "pool {pool}: {}", laden_text(*is_closed, *load))
            }
            Self::Shifted { policy, shift } => write!(f, "policy {policy}: {shift}"),
            Self::ShiftEnded { policy, why, .. } => {
                write!(f, "policy {policy}: the weights of the files count again: {why}")
            }
            Self::Braked { key, reason } => {
                write!(f, "{key}: down by its probes, held by the brake: {reason}")
            }
            Self::BrakeEased { key } => write!(f, "{key}: passes again, the brake had held it"),
            Self::BrakeReleased { count: number, by, reason } => {
                let targets = count(*number, "target");
                write!(f, "brake released by {by}, {targets} go down: {reason}")
            }
            Self::Expired { scope, order } => {
                write!(f, "{scope}: no longer {}, it has expired", order.admin)
            }
        }
    }
}

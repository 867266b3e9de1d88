//! `rhumb.toml`: one node's own settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeTable;

use crate::config::Files;
use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::cluster;
use crate::config::encrypted;
use crate::config::encrypted::Ports;
use crate::config::encrypted::Taken;
use crate::config::exec;
use crate::config::keys::HISTORY;
use crate::config::keys::HISTORY_MEGABYTES;
use crate::config::keys::IDENTITY_MAX;
use crate::config::keys::NODE_FILE;
use crate::config::keys::TCP_CONNECTIONS;
use crate::config::keys::ZONES_FOLDER;
use crate::config::networks::read_networks;
use crate::config::probe;
use crate::config::problem::At;
use crate::config::problem::FileId;
use crate::config::read::syntax_errors;
use crate::config::read::warn_of_newer_toml;
use crate::config::reader::Section;
use crate::config::reader::Value;
use crate::config::resolver;
use crate::config::rtt;
use crate::config::rules;
use crate::geo::Shape;
use crate::model::EcsTrust;
use crate::model::ExplainAccess;
use crate::model::LogFormat;
use crate::model::LogLevel;
use crate::model::Node;
use crate::model::StateTerms;
use crate::model::node::GeoDatabase;

/// Where a node without any configuration answers: a port that needs no rights and is nobody's.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:1053";

/// A node without a configuration file: `./zones` with `./geodb` on [`DEFAULT_LISTEN`].
pub fn default_node() -> Node {
    Node {
        site: None,
        listen: vec![DEFAULT_LISTEN.parse().expect("the default is an address")],
        encrypted: None,
        identity: None,
        explain: ExplainAccess::default(),
        ecs_from: EcsTrust::Any,
        workers: None,
        zones: PathBuf::from(ZONES_FOLDER),
        shared: None,
        databases: Vec::new(),
        overlays: Vec::new(),
        admin: None,
        socket: None,
        resolver: resolver::default(),
        probe: probe::default(),
        log_format: LogFormat::default(),
        log_level: LogLevel::default(),
        tcp_connections: TCP_CONNECTIONS,
        tcp_connections_per_client: None,
        rtt: None,
        cluster: None,
        state: None,
        exec: Vec::new(),
    }
}

/// Reads `rhumb.toml`. Relative paths in it stay relative: the caller knows the folder.
pub fn load_node(file: &SourceFile) -> (Option<Node>, Problems, Files) {
    let (node, problems, files) = load_readable_node(file);
    (Some(node).filter(|_| !problems.has_errors()), problems, files)
}

/// As [`load_node`], but a faulty file gives a node too: its readable part, and defaults for the rest.
pub fn load_readable_node(file: &SourceFile) -> (Node, Problems, Files) {
    let mut problems = Problems::default();
    let id = FileId(0);
    let files = Files::new(vec![file.clone()]);
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    let mut root = Section::of_file(id, table.get_ref(), &NODE_FILE);
    if !errors.is_empty() {
        syntax_errors(id, file, &errors, &mut problems);
        // What else seems wrong may come of the syntax.
        return (read_node(&mut root, &mut Problems::default()), problems, files);
    }
    warn_of_newer_toml(id, file, &mut problems);
    let node = read_node(&mut root, &mut problems);
    root.finish(&mut problems);
    problems.sort();
    (node, problems, files)
}

fn read_node(root: &mut Section<'_>, problems: &mut Problems) -> Node {
    let mut node = default_node();
    if let Some(mut server) = root.take("server").and_then(|value| value.section(problems)) {
        node.site = server
            .take("site")
            .and_then(|value| value.plain_name(problems))
            .map(|at| at.value.into());
        let mut taken = Vec::new();
        if let Some(listen) = server.take("listen") {
            let listen = read_listen(&listen, "listen = [\"0.0.0.0:53\"]", problems);
            node.listen = listen.iter().map(|at| at.value).collect();
            let both = |At { value: address, place }| Taken { address, ports: Ports::Both, place };
            taken = listen.into_iter().map(both).collect();
        }
        node.encrypted =
            server.take("tls").and_then(|table| encrypted::read(&table, taken, problems));
        node.identity = server.take("identity").and_then(|value| read_identity(&value, problems));
        if let Some(value) = server.take("ecs_from") {
            node.ecs_from = read_ecs_from(&value, problems);
        }
        let workers = server.take("workers").and_then(|value| value.integer(problems));
        node.workers = workers.map(|at| at.value as u16);
        server.finish(problems);
    }
    if let Some(mut config) = root.take("config").and_then(|value| value.section(problems)) {
        if let Some(zones) = read_path(&mut config, "zones", problems) {
            node.zones = zones;
        }
        node.shared = read_path(&mut config, "shared", problems);
        config.finish(problems);
    }
    if let Some(mut geo) = root.take("geo").and_then(|value| value.section(problems)) {
        if let Some(databases) = geo.take("databases") {
            node.databases = read_databases(&databases, problems);
        }
        let overlays =
            geo.take("overlays").and_then(|value| value.strings(problems)).unwrap_or_default();
        node.overlays = overlays.into_iter().map(|at| PathBuf::from(at.value)).collect();
        geo.finish(problems);
    }
    if let Some(mut admin) = root.take("admin").and_then(|value| value.section(problems)) {
        node.admin = admin.take("listen").and_then(|value| read_address(&value, problems));
        node.socket = read_path(&mut admin, "socket", problems);
        admin.finish(problems);
    }
    if let Some(value) = root.take("resolver") {
        node.resolver = resolver::read(&value, problems);
    }
    if let Some(mut section) = root.take("probe").and_then(|value| value.section(problems)) {
        node.exec = exec::read(&mut section, problems);
        node.probe = probe::read(&mut section, problems);
        section.finish(problems);
    }
    read_explain(root, &mut node, problems);
    read_log(root, &mut node, problems);
    read_tcp(root, &mut node, problems);
    let has_site = node.site.is_some();
    let state = root.take("state");
    let has = cluster::Has { site: has_site, state: state.is_some() };
    node.cluster = root.take("cluster").and_then(|value| cluster::read(&value, has, problems));
    node.state = state.and_then(|value| read_state(&value, problems));
    node.rtt = root.take("rtt").and_then(|value| rtt::read(&value, has_site, problems));
    node
}

/// `["any"]`, or networks.
fn read_ecs_from(value: &Value<'_>, problems: &mut Problems) -> EcsTrust {
    match value.find_only_text() {
        Some("any") => EcsTrust::Any,
        Some(_) | None => EcsTrust::Networks(read_networks(value, problems)),
    }
}

fn read_explain(root: &mut Section<'_>, node: &mut Node, problems: &mut Problems) {
    let Some(mut explain) = root.take("explain").and_then(|value| value.section(problems)) else {
        return;
    };
    if let Some(full) = explain.take("full") {
        node.explain.full = read_networks(&full, problems);
    }
    if let Some(redacted) = explain.take("redacted") {
        node.explain.redacted = read_networks(&redacted, problems);
    }
    explain.finish(problems);
}

fn read_log(root: &mut Section<'_>, node: &mut Node, problems: &mut Problems) {
    let Some(mut log) = root.take("log").and_then(|value| value.section(problems)) else { return };
    let format = log.take("format").and_then(|value| value.word(problems));
    node.log_format = format.and_then(|at| find(&LogFormat::WORDS, at.value)).unwrap_or_default();
    let level = log.take("level").and_then(|value| value.word(problems));
    node.log_level = level.and_then(|at| find(&LogLevel::WORDS, at.value)).unwrap_or_default();
    log.finish(problems);
}

/// What a word stands for.
fn find<T: Copy>(words: &[(&str, T)], wanted: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == wanted).map(|(_, meaning)| *meaning)
}

fn read_tcp(root: &mut Section<'_>, node: &mut Node, problems: &mut Problems) {
    let Some(mut tcp) = root.take("tcp").and_then(|value| value.section(problems)) else { return };
    if let Some(all) = read_count(tcp.take("connections"), problems) {
        node.tcp_connections = all;
    }
    node.tcp_connections_per_client = read_count(tcp.take("connections_per_client"), problems);
    tcp.finish(problems);
}

fn read_state(value: &Value<'_>, problems: &mut Problems) -> Option<StateTerms> {
    let mut section = value.section(problems)?;
    let folder = section.need("folder", problems).and_then(|value| value.string(problems));
    let history = section.take("history").and_then(|value| value.duration(problems));
    let megabytes = section.take("history_megabytes").and_then(|value| value.integer(problems));
    section.finish(problems);
    Some(StateTerms {
        folder: PathBuf::from(folder?.value),
        history: history.map_or(HISTORY, |at| at.value),
        history_octets: megabytes.map_or(HISTORY_MEGABYTES, |at| at.value as u64) * 1_000_000,
    })
}

fn read_count(value: Option<Value<'_>>, problems: &mut Problems) -> Option<usize> {
    usize::try_from(value?.integer(problems)?.value).ok()
}

/// A list of paths, or of tables with a path and a shape.
fn read_databases(value: &Value<'_>, problems: &mut Problems) -> Vec<GeoDatabase> {
    let wanted = "a list of texts, as [\"a\", \"b\"]";
    let entries = value.list(wanted, problems).unwrap_or_default();
    entries.iter().filter_map(|entry| read_database(entry, problems)).collect()
}

fn read_database(value: &Value<'_>, problems: &mut Problems) -> Option<GeoDatabase> {
    if value.is_string() {
        let path = value.string(problems)?;
        return Some(PathBuf::from(path.value).into());
    }
    let mut section =
        value.section_like("a text in double quotes, or { file = \"a.mmdb\" }", problems)?;
    let file = section.need("file", problems);
    let shape = section.take("shape").and_then(|value| value.word(problems));
    section.finish(problems);
    let path = PathBuf::from(file?.string(problems)?.value);
    Some(GeoDatabase { path, shape: shape.and_then(|at| Shape::find(at.value)) })
}

/// Addresses with ports, each once; `example` shows how the key is written.
pub(super) fn read_listen(
    value: &Value<'_>,
    example: &str,
    problems: &mut Problems,
) -> Vec<At<SocketAddr>> {
    let Some(texts) = value.strings(problems) else { return Vec::new() };
    if texts.is_empty() {
        let remedy = format!("write {example}");
        problems.error(&value.place, &value.path, "no address is named", remedy);
    }
    let parse = |text: At<String>| match text.value.parse() {
        Ok(address) => Some(At { value: address, place: text.place }),
        Err(_) => {
            let fault = format!("\"{}\" is not an address with a port", text.value);
            problems.error(&text.place, &value.path, fault, "write \"0.0.0.0:53\" or \"[::]:53\"");
            None
        }
    };
    let mut addresses: Vec<At<SocketAddr>> = Vec::new();
    let parsed: Vec<_> = texts.into_iter().filter_map(parse).collect();
    for address in parsed {
        if let Some(first) = addresses.iter().find(|first| first.value == address.value) {
            let fault = format!("{} is named twice", address.value);
            let also = (first.place.clone(), "first named here");
            problems
                .error_with(&address.place, &value.path, fault, "take one out", also)
                .rule(&rules::DUPLICATE_VALUE);
        }
        addresses.push(address);
    }
    addresses
}

/// An address with a port.
pub(super) fn read_address(value: &Value<'_>, problems: &mut Problems) -> Option<SocketAddr> {
    let parse = |text: &str| {
        let fault = || {
            (
                format!("\"{text}\" is not an address with a port"),
                "write \"127.0.0.1:8053\"".to_owned(),
            )
        };
        text.parse().map_err(|_| fault())
    };
    value.parsed(parse, problems).map(|at| at.value)
}

fn read_identity(value: &Value<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = value.string(problems)?;
    if text.value.len() <= IDENTITY_MAX {
        return Some(text.value.into());
    }
    let fault = format!("the identity has {} octets", text.value.len());
    problems
        .error(&text.place, &value.path, fault, format!("use at most {IDENTITY_MAX}"))
        .rule(&rules::OUT_OF_RANGE);
    None
}

fn read_path(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let text = section.take(key)?.string(problems)?;
    Some(PathBuf::from(text.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<String>) {
        let (node, problems, _) = load_node(&SourceFile::new("rhumb.toml", text));
        let tell = |problem: &crate::config::Problem| {
            format!("{}: {}; {}", problem.key, problem.fault, problem.remedy)
        };
        (node, problems.iter().map(tell).collect())
    }

    #[test]
    fn log_and_tcp_are_read() {
        let (node, problems) = read(
            "[log]\nformat = \"json\"\nlevel = \"warn\"\n\
             [tcp]\nconnections = 20\nconnections_per_client = 5\n",
        );
        assert_eq!(problems, [""; 0]);
        let node = node.unwrap();
        assert_eq!((node.log_format, node.log_level), (LogFormat::Json, LogLevel::Warn));
        assert_eq!((node.tcp_connections, node.tcp_connections_per_client), (20, Some(5)));
    }

    #[test]
    fn words_and_numbers_that_mean_nothing_are_refused_with_what_to_write() {
        let (node, problems) =
            read("[log]\nformat = \"jsn\"\nlevel = \"loud\"\n[tcp]\nconnections = 0\n");
        assert!(node.is_none());
        assert_eq!(problems.len(), 3, "{problems:#?}");
        assert_eq!(
            problems[0],
            "log.format: \"jsn\" is not a format; did you mean \"json\"? use \"text\" or \"json\""
        );
        assert!(
            problems[1].ends_with("use \"error\", \"warn\", \"info\" or \"debug\""),
            "{problems:?}"
        );
        assert!(problems[2].starts_with("tcp.connections: "), "{problems:?}");
    }
}

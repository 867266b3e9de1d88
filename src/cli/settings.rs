//! Finds the node's configuration: the named file, `./rhumb.toml`, `/etc/rhumb/rhumb.toml`, or none.
#![allow(clippy::disallowed_methods, reason = "the command line reads the files it is given")]

use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use crate::cli::output::wants_color;
use crate::config::Files;
use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::node::default_node;
use crate::config::node::load_readable_node;
use crate::config::render;
use crate::model::ClusterTerms;
use crate::model::Encrypted;
use crate::model::Node;
use crate::model::Rtt;
use crate::model::StateTerms;
use crate::runtime::bundles::kept;
use crate::runtime::control_socket;
use crate::runtime::files::ReadFault;
use crate::runtime::files::Sources;

/// Where a configuration is looked for when none is named.
const PLACES: [&str; 2] = ["rhumb.toml", "/etc/rhumb/rhumb.toml"];

/// The option that names a configuration.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigOption {
    /// The node's configuration [default: ./rhumb.toml, /etc/rhumb/rhumb.toml, else ./zones and ./geodb]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A node's settings and where its files are.
pub(super) struct Settings {
    pub(super) node: Node,
    pub(super) sources: Sources,
    /// The file they came from.
    pub(super) file: Option<PathBuf>,
    /// What it says, with paths as they stand in it.
    pub(super) as_written: Node,
}

/// Settings as far as they can be read, and what is wrong with them.
pub(super) struct Reading {
    pub(super) settings: Settings,
    pub(super) problems: Problems,
    /// What `problems` are about.
    pub(super) files: Files,
    /// Why the file itself cannot be read.
    pub(super) unread: Option<ReadFault>,
}

/// Reads the settings, or says everything that is wrong with them.
pub(super) fn find(option: &ConfigOption) -> Result<Settings, String> {
    let Reading { settings, problems, files, unread } = read(option);
    if let Some(fault) = unread {
        return Err(fault.to_string());
    }
    if problems.has_errors() {
        let file = settings.file.unwrap_or_default();
        let text = render::for_people(&files, &problems, wants_color());
        return Err(format!("{} has problems\n{}", file.display(), text.trim_end()));
    }
    Ok(settings)
}

/// Reads the settings; defaults stand for what cannot be read.
pub(super) fn read(option: &ConfigOption) -> Reading {
    let file = option
        .config
        .clone()
        .or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.is_file()));
    let Some(path) = file else {
        let node = default_node();
        let sources = Sources::of(&node, Path::new("."), true);
        let settings = Settings { as_written: node.clone(), node, sources, file: None };
        return Reading {
            settings,
            problems: Problems::default(),
            files: Files::default(),
            unread: None,
        };
    };
    let (text, unread) = match std::fs::read_to_string(&path) {
        Ok(text) => (text, None),
        Err(source) => (String::new(), Some(ReadFault { path: path.clone(), source })),
    };
    let (mut node, problems, files) =
        load_readable_node(&SourceFile::new(&path.display().to_string(), &text));
    let base = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let as_written = node.clone();
    // As every path of the file: relative to it, so that server and commands agree wherever they run.
    node.socket = node.socket.map(|socket| base.join(socket));
    node.encrypted = node.encrypted.map(|encrypted| Encrypted {
        certificate: beside(base, &encrypted.certificate),
        key: beside(base, &encrypted.key),
        ..encrypted
    });
    node.rtt = node
        .rtt
        .map(|rtt| Rtt { token_file: rtt.token_file.map(|file| beside(base, &file)), ..rtt });
    node.state =
        node.state.map(|state| StateTerms { folder: beside(base, &state.folder), ..state });
    node.cluster = node.cluster.map(|terms| ClusterTerms {
        key: beside(base, &terms.key),
        nats: terms.nats.map(|nats| nats.with_paths(|path| beside(base, path))),
        ..terms
    });
    let sources = Sources::of(&node, base, false);
    // What is checked and explained is what the server serves.
    let takes = node.cluster.as_ref().is_some_and(|terms| terms.bundles);
    let state = node.state.as_ref().filter(|_| takes);
    let pushed = state.and_then(|state| kept::find_active(&state.folder));
    let sources = pushed.map_or_else(|| sources.clone(), |files| sources.in_bundle(&files));
    let settings = Settings { node, sources, file: Some(path), as_written };
    Reading { settings, problems, files, unread }
}

/// A path of the file, as its reader would write it.
fn beside(base: &Path, path: &Path) -> PathBuf {
    if base.as_os_str() == "." { path.to_owned() } else { base.join(path) }
}

/// Where the server may be: the named control socket, the configured one, or every default.
pub(super) fn socket_places(
    named: Option<&PathBuf>,
    option: &ConfigOption,
) -> Result<Vec<PathBuf>, String> {
    if let Some(path) = named {
        return Ok(vec![path.clone()]);
    }
    let settings = find(option).map_err(|why| {
        format!("{why}\nthe server cannot be found by this file; name its socket with --socket")
    })?;
    Ok(settings.node.socket.map_or_else(control_socket::default_places, |path| vec![path]))
}

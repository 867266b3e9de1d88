//! The file of the node's settings while the server runs: it is not put in force again, but its changes are told.

use std::path::PathBuf;

use crate::config::SourceFile;
use crate::config::node::load_node;
use crate::model::ClusterTerms;
use crate::model::Node;

/// The file, and what it said at the start.
#[derive(Clone, Debug)]
pub struct NodeFile {
    path: PathBuf,
    at_start: Node,
    /// What was told last, so that it is told once.
    told: Drift,
}

/// How the file differs from what is in force.
#[derive(Clone, Debug, Default, PartialEq)]
enum Drift {
    /// Not at all.
    #[default]
    None,
    /// It cannot be read, or has problems: the next start fails.
    Broken,
    /// It says something else in these tables.
    Changed(Vec<&'static str>),
}

impl NodeFile {
    /// A file that said `at_start` when the server started.
    pub fn new(path: PathBuf, at_start: Node) -> Self {
        Self { path, at_start, told: Drift::None }
    }

    /// Reads the file again, and logs how it differs from what is in force, if that is new. Blocks.
    pub fn compare(&mut self) {
        let drift = self.find_drift();
        if drift == self.told {
            return;
        }
        let file = self.path.display();
        match &drift {
            Drift::None => {
                tracing::info!(target: "rhumb::config", %file, "the settings are those in force again");
            }
            Drift::Broken => tracing::warn!(
                target: "rhumb::config", %file,
                "the settings have problems, the ones from the start stay in force; see rhumb check"
            ),
            Drift::Changed(tables) => tracing::warn!(
                target: "rhumb::config", %file, tables = tables.join(" "),
                "the settings have changed; they count after a restart"
            ),
        }
        self.told = drift;
    }

    /// What the file says of the cluster now, with whole paths; `None` if it has problems or says nothing. Blocks.
    pub fn find_cluster(&self) -> Option<ClusterTerms> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let terms =
            load_node(&SourceFile::new(&self.path.display().to_string(), &text)).0?.cluster?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let key = folder.map_or_else(|| terms.key.clone(), |folder| folder.join(&terms.key));
        Some(ClusterTerms { key, ..terms })
    }

    fn find_drift(&self) -> Drift {
        let Ok(text) = std::fs::read_to_string(&self.path) else { return Drift::Broken };
        let file = SourceFile::new(&self.path.display().to_string(), &text);
        match load_node(&file).0 {
            None => Drift::Broken,
            Some(now) => match changed_tables(&self.at_start, &now) {
                tables if tables.is_empty() => Drift::None,
                tables => Drift::Changed(tables),
            },
        }
    }
}

/// The tables that differ.
fn changed_tables(before: &Node, now: &Node) -> Vec<&'static str> {
    let Node {
        site,
        listen,
        encrypted,
        identity,
        explain,
        ecs_from,
        workers,
        zones,
        shared,
        databases,
        overlays,
        admin,
        socket,
        resolver,
        probe,
        log_format,
        log_level,
        tcp_connections,
        tcp_connections_per_client,
        rtt,
        cluster,
        state,
        exec,
    } = before;
    let server = *site != now.site
        || *listen != now.listen
        || *encrypted != now.encrypted
        || *identity != now.identity
        || *ecs_from != now.ecs_from
        || *workers != now.workers;
    let tcp = *tcp_connections != now.tcp_connections
        || *tcp_connections_per_client != now.tcp_connections_per_client;
    let tables = [
        ("[server]", server),
        ("[config]", *zones != now.zones || *shared != now.shared),
        ("[geo]", *databases != now.databases || *overlays != now.overlays),
        ("[admin]", *admin != now.admin || *socket != now.socket),
        ("[resolver]", *resolver != now.resolver),
        ("[explain]", *explain != now.explain),
        ("[log]", *log_format != now.log_format || *log_level != now.log_level),
        ("[tcp]", tcp),
        ("[rtt]", *rtt != now.rtt),
        ("[cluster]", fixed(cluster.as_ref()) != fixed(now.cluster.as_ref())),
        ("[state]", *state != now.state),
        ("[probe]", *probe != now.probe || *exec != now.exec),
    ];
    tables.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// What of a cluster counts at the next start; peers and key count at once.
fn fixed(cluster: Option<&ClusterTerms>) -> Option<ClusterTerms> {
    cluster.map(|terms| ClusterTerms { peers: Vec::new(), key: PathBuf::new(), ..terms.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_settings_are_found_by_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rhumb.toml");
        let first = "[server]\nlisten = [\"127.0.0.1:53\"]\n";
        std::fs::write(&path, first).unwrap();
        let node = load_node(&SourceFile::new("rhumb.toml", first)).0.unwrap();
        let file = NodeFile::new(path.clone(), node);
        assert_eq!(file.find_drift(), Drift::None);
        std::fs::write(&path, format!("# a comment\n{first}")).unwrap();
        assert_eq!(file.find_drift(), Drift::None, "only what it says counts");
        std::fs::write(&path, format!("{first}[log]\nlevel = \"warn\"\n[tcp]\nconnections = 7\n"))
            .unwrap();
        assert_eq!(file.find_drift(), Drift::Changed(vec!["[log]", "[tcp]"]));
        std::fs::write(&path, "nonsense").unwrap();
        assert_eq!(file.find_drift(), Drift::Broken);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.find_drift(), Drift::Broken);
    }
}

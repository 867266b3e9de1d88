//! What is in `deploy/`: the unit is hardened, mounted files are there and fine, commands are understood.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

const RHUMB: &str = env!("CARGO_BIN_EXE_rhumb");

/// Most exposure that `systemd-analyze security` may find, of 10.
const EXPOSURE_MAX: f64 = 1.6;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy().join(name)).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The output of a tool, or `None` if it is not installed.
fn run(tool: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => Some(output),
        Err(why) => {
            println!("skipped: {tool}: {why}");
            None
        }
    }
}

#[test]
fn the_unit_is_hardened() {
    let unit = deploy().join("rhumb.service").display().to_string();
    let Some(output) = run("systemd-analyze", &["security", "--offline=true", &unit]) else {
        return;
    };
    let text = text(&output);
    let overall = text.lines().find(|line| line.contains("Overall exposure level")).expect(&text);
    let level = overall.split("service:").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(level.parse::<f64>().unwrap() <= EXPOSURE_MAX, "{overall}");
}

#[test]
fn systemd_understands_the_unit() {
    // The program is not installed here: its own place stands for it.
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("rhumb.service");
    std::fs::write(&unit, read("rhumb.service").replace("/usr/local/bin/rhumb", RHUMB)).unwrap();
    let unit = unit.display().to_string();
    let Some(output) = run("systemd-analyze", &["verify", "--man=no", &unit]) else { return };
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output), "", "no line is unknown to it");
}

/// Arguments of each command of ours in a file, without the program.
fn commands(name: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in read(name).lines() {
        if let Some(at) = line.find("CMD [") {
            let words: Vec<String> = serde_json::from_str(&line[at + 4..]).unwrap();
            let skip = usize::from(words[0].starts_with('/'));
            commands.push(words[skip..].to_vec());
        } else if let Some((key, command)) = line.split_once("=/usr/local/bin/rhumb ") {
            assert!(key.starts_with("Exec"), "{line}");
            commands.push(command.split(' ').map(str::to_owned).collect());
        }
    }
    commands
}

#[test]
fn commands_of_unit_and_image_are_understood() {
    for (file, count) in [("rhumb.service", 2), ("Dockerfile", 2)] {
        let commands = commands(file);
        assert_eq!(commands.len(), count, "{file}: {commands:?}");
        for command in commands {
            let output = Command::new(RHUMB).args(&command).arg("--help").output().unwrap();
            assert!(output.status.success(), "{file}: {command:?}: {}", text(&output));
        }
    }
}

/// Files that each node of the compose file mounts: from where, to where.
fn mounts() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut mounts: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let (mut block, mut service) = (String::new(), String::new());
    for line in read("compose.yaml").lines() {
        let indent = line.len() - line.trim_start().len();
        let name = line.trim().split(':').next().unwrap_or("");
        if indent == 0 && !name.is_empty() {
            (block, service) = (name.to_owned(), name.to_owned());
        } else if indent == 2 && block == "services" {
            service = name.to_owned();
        }
        if let Some(mount) = line.trim().strip_prefix("- .") {
            let parts: Vec<&str> = mount.split(':').collect();
            assert_eq!(parts.len(), 3, "{line}");
            assert_eq!(parts[2], "ro", "{line}");
            let source = deploy().join(format!(".{}", parts[0]));
            mounts.entry(service.clone()).or_default().push((source, parts[1].to_owned()));
        }
    }
    mounts
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

/// A node's `/etc/rhumb`, as the compose file puts it together.
fn node(mounts: &[(PathBuf, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in mounts {
        assert!(from.exists(), "{} is mounted", from.display());
        copy(from, &folder.path().join(to.strip_prefix("/etc/rhumb/").expect(to)));
    }
    folder
}

#[test]
fn all_nodes_of_the_compose_file_are_fine_and_answer_alike() {
    let mounts = mounts();
    for name in ["eu", "us", "asia"] {
        let folder = node(&mounts[name]);
        let config = folder.path().join("rhumb.toml").display().to_string();
        let output = run(RHUMB, &["check", "--config", &config]).unwrap();
        assert!(text(&output).contains("0 warnings"), "{name}: {}", text(&output));
        for (client, web) in [
            ("198.18.1.7", "10.53.0.21"),
            ("198.18.7.7", "10.53.0.22"),
            ("198.18.22.7", "10.53.0.23"),
        ] {
            let explain = ["explain", "www.shop.test", "--json", "--offline", "--client", client];
            let output = run(RHUMB, &[&explain[..], &["--config", &config]].concat()).unwrap();
            assert!(output.status.success(), "{name}: {}", text(&output));
            let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
            let record = explained["records"][0].as_str().unwrap();
            assert!(record.ends_with(web), "{name}, {client}: {record}");
        }
    }
    assert_eq!(mounts["x-web"].len(), 1, "what the web servers show");
    assert!(mounts["x-web"][0].0.join("healthz").is_file(), "it is what the check asks for");
}

/// The script that shows a regional failure, for these addresses.
fn show(net: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.arg(deploy().join("regional-failure.sh")).args(arguments);
    command.env("RHUMB", RHUMB).env("RHUMB_NET", net).env_remove("RUST_LOG");
    command.output().unwrap()
}

#[test]
fn files_that_the_script_writes_for_a_cluster_are_fine_and_fit_the_compose_file() {
    let folder = tempfile::tempdir().unwrap();
    let written = show("10.53.0", &["--files", folder.path().to_str().unwrap()]);
    assert!(written.status.success(), "{}", text(&written));
    let compose = read("cluster.yaml");
    for (name, address, web) in [
        ("eu", "10.53.0.11", "10.53.0.21"),
        ("us", "10.53.0.12", "10.53.0.22"),
        ("asia", "10.53.0.13", "10.53.0.23"),
    ] {
        let node = folder.path().join(name);
        let config = node.join("rhumb.toml").display().to_string();
        let output = run(RHUMB, &["check", "--config", &config]).unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output));
        assert!(text(&output).contains("0 warnings"), "{name}: {}", text(&output));
        let settings = std::fs::read_to_string(&config).unwrap();
        assert!(settings.contains(&format!("listen = \"{address}:7653\"")), "{settings}");
        assert_eq!(settings.matches("pins = [\"ed25519:").count(), 2, "{settings}");
        let start = format!("  {name}:\n    <<: *node\n");
        let service = compose.split_once(&start).unwrap().1.split("    <<: *").next().unwrap();
        let mount = format!("- ${{RHUMB_RUN:-./cluster/run}}/{name}:/etc/rhumb:ro\n");
        assert!(service.contains(&mount), "{service}");
        assert!(service.contains(&format!("ipv4_address: {address}\n")), "{service}");
        let server = compose.split_once(&format!("  web-{name}:\n")).unwrap().1;
        assert!(server.contains(&format!("ipv4_address: {web}\n")), "{server}");
        let key = std::fs::metadata(node.join("cluster.key")).unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&key);
        assert_eq!(mode & 0o077, 0, "nobody else reads the key");
    }
    assert!(deploy().join("cluster/www/healthz").is_file(), "what the check asks for");
}

#[test]
fn the_show_of_a_regional_failure_runs_to_its_end() {
    if run("dig", &["-v"]).is_none() || run("python3", &["-V"]).is_none() {
        return;
    }
    // Addresses of loopback that nobody else has: the process says which.
    let id = std::process::id();
    let net = format!("127.{}.{}", 64 + id / 250 % 128, id % 250);
    let output = show(&net, &["--loopback"]);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    for line in [
        "3 of 3 nodes live, 3 of 3 sites",
        "eu/web web IPv4: up -> down: down at ",
        "2 of 3 nodes live, 2 of 3 sites",
        "That was all.",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("nothing\n"), "every node answers at all times: {told}");
}

#[test]
fn the_script_says_what_it_can_do() {
    let output = show("127.53.0", &["--help"]);
    assert!(output.status.success() && text(&output).contains("--compose"), "{}", text(&output));
    let output = show("127.53.0", &["--fast"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("--fast is not known"), "{}", text(&output));
}

#[test]
fn the_file_of_a_cluster_node_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rhumb.toml"), read("rhumb.cluster.toml")).unwrap();
    std::fs::create_dir(folder.path().join("zones")).unwrap();
    copy(&deploy().join("cluster/zones"), &folder.path().join("zones"));
    copy(&deploy().join("../geodb/demo.mmdb"), &folder.path().join("geo.mmdb"));
    let config = folder.path().join("rhumb.toml").display().to_string();
    let output = run(RHUMB, &["check", "--config", &config]).unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("0 warnings"), "{}", text(&output));
    assert!(text(&output).contains("from 4 nodes at 4 sites"), "{}", text(&output));
}

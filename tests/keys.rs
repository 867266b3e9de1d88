//! The table of keys against the reader: kinds, ranges, words and defaults are those that count.

use std::collections::BTreeMap;

use rhumb::config;
use rhumb::config::Files;
use rhumb::config::Problems;
use rhumb::config::Severity;
use rhumb::config::SourceFile;
use rhumb::config::duration::spell;
use rhumb::config::keys;
use rhumb::config::keys::Absent;
use rhumb::config::keys::Entry;
use rhumb::config::keys::Key;
use rhumb::config::keys::Kind;
use rhumb::config::keys::NODE_FILE;
use rhumb::config::keys::Table;
use rhumb::config::keys::ZONE_FILE;
use rhumb::config::node::load_readable_node;

/// What examples lead to.
const BASE: &str = r#"
site.fra = { latitude = 50.11, longitude = 8.68 }
check.web = { kind = "http" }
check.load = { kind = "http", load = "orca" }
pool.eu = { site = "fra", endpoint.a.addresses = ["192.0.2.1", "2001:db8::1"], endpoint.a.capacity = 1 }
pool.us = { site = "fra", endpoint.a.addresses = ["192.0.2.2", "2001:db8::2"], endpoint.a.capacity = 1 }
pool.next = { site = "fra", endpoint.a.addresses = ["192.0.2.3", "2001:db8::3"] }
pool.sorry = { endpoint.a.addresses = ["192.0.2.4", "2001:db8::4"] }
policy.world = { kind = "nearest", targets = ["eu", "us"] }
name.ns1.records.A = ["192.0.2.53"]
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
"#;

/// Values whose form no table says, two for each key: the second means something else than the first.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("server.site", "'fra'", "'iad'"),
    ("server.listen", "['127.0.0.1:1053']", "['[::1]:53', '0.0.0.0:53']"),
    ("server.identity", "'ns1'", "''"),
    ("server.ecs_from", "['any']", "['192.0.2.0/24', '2001:db8::53']"),
    ("explain.full", "[]", "['192.0.2.0/24', '2001:db8::1']"),
    ("explain.redacted", "['192.0.2.0/24']", "['192.0.2.1']"),
    ("config.zones", "'zones'", "'ours/'"),
    ("config.shared", "'all'", "'/etc/all'"),
    ("server.tls.certificate", "'c.pem'", "'tls/chain.pem'"),
    ("server.tls.key", "'k.pem'", "'tls/key.pem'"),
    ("server.tls.dot", "['127.0.0.1:853']", "['[::1]:853', '127.0.0.1:853']"),
    ("server.tls.doh", "['127.0.0.1:443']", "['[::1]:443', '127.0.0.1:443']"),
    ("server.tls.doh_path", "'/dns-query'", "'/'"),
    ("server.tls.doq", "['127.0.0.1:853']", "['[::1]:853', '127.0.0.1:853']"),
    ("geo.databases", "['a.mmdb']", "['a.mmdb', { file = 'b.mmdb', shape = 'flat' }]"),
    ("geo.overlays", "['a.csv']", "['a.csv', 'b.csv']"),
    ("geo.databases.file", "'a.mmdb'", "'b.mmdb'"),
    ("resolver.servers", "['192.0.2.53:53']", "['[2001:db8::53]:5353', '192.0.2.53:53']"),
    ("resolver.allow", "['127.0.0.0/8']", "['::1/128', '127.0.0.0/8']"),
    ("admin.listen", "'127.0.0.1:8053'", "'[::]:8053'"),
    ("admin.socket", "'/run/rhumb.sock'", "'a'"),
    ("state.folder", "'state'", "'/var/lib/rhumb'"),
    ("pool.*.endpoint.*.state_reason", "''", "'new disks'"),
    ("rtt.folder", "'rtt'", "'/var/lib/rhumb/rtt'"),
    ("rtt.listen", "'127.0.0.1:8054'", "'[::]:8054'"),
    ("rtt.origins", "['*']", "['https://www.example.com', 'http://localhost:8080']"),
    ("rtt.token_file", "'rtt.token'", "'/run/token'"),
    ("cluster.name", "'prod'", "'a-1'"),
    ("cluster.node", "'fra-1'", "'0'"),
    ("cluster.listen", "'[::]:7653'", "'192.0.2.1:1'"),
    ("cluster.key", "'cluster.key'", "'/etc/k'"),
    ("cluster.anchors", "['192.0.2.53:443']", "['[2001:db8::1]:53', '192.0.2.53:443']"),
    ("cluster.withdraw", "['/usr/lib/rhumb/withdraw']", "['/bin/hook', '--now']"),
    ("cluster.peer.node", "'sin-1'", "'a'"),
    ("cluster.peer.address", "'203.0.113.5:7653'", "'[2001:db8::5]:1'"),
    ("cluster.peer.pins", PINS[0], PINS[1]),
    ("cluster.peer.site", "'sin'", "'Sin_2'"),
    (
        "cluster.nats.servers",
        "['192.0.2.9:4222']",
        "['[2001:db8::9]:4222', 'nats-1.example.net:1']",
    ),
    ("cluster.nats.ca", "'nats-ca.pem'", "'/etc/ca.pem'"),
    ("cluster.nats.certificate", "'nats.pem'", "'/etc/n.pem'"),
    ("cluster.nats.key", "'nats.key'", "'/etc/n.key'"),
    ("zone.name", "'case.test'", "'CASE.example.'"),
    ("zone.nameservers", "['ns1.example.net']", "['ns1', 'ns2.example.net.']"),
    ("zone.contact", "'a.b@case.test'", "'ops.case.test.'"),
    ("zone.records", "'case.records'", "'more.records'"),
    ("site.*.country", "'DE'", "'us'"),
    ("site.*.region", "'EU'", "'north-1'"),
    ("check.*.host", "'www.example.com'", "'[2001:db8::1]:8080'"),
    ("check.*.path", "'/'", "'/healthz?a=b'"),
    ("check.*.status", "'200-299'", "'200 - 204, 401'"),
    ("check.*.body", "'ok'", "'ü'"),
    ("check.*.of", "['web']", "['tcp', 'web']"),
    ("check.*.must", "[]", "['web']"),
    ("check.*.source", "['127.0.0.1']", "['::1', '192.0.2.1']"),
    ("check.*.send", "'PING'", "'ü\\r\\n'"),
    ("check.*.send_hex", "'0d0a'", "' FF 0a'"),
    ("check.*.expect", "'PONG'", "'ü'"),
    ("check.*.expect_hex", "'0d0a'", "' FF 0a'"),
    ("check.*.headers", "{ Accept = 'text/plain' }", "{ X-A = '', x-b = 'b c' }"),
    ("check.*.body_regex", "'^ok$'", "'(?i)ready|up'"),
    ("check.*.json", "{ '/status' = 'ok' }", "{ '/a/0' = 3, '/b~0' = true, '' = '' }"),
    ("pool.*.endpoint.*.probe.*.host", "'www.example.com'", "'a:8080'"),
    ("pool.*.endpoint.*.probe.*.path", "'/'", "'/healthz'"),
    ("check.*.service", "''", "'shop.Cart'"),
    ("check.*.qname", "'www.example.com'", "'.'"),
    ("check.*.qtype", "'AAAA'", "'type65'"),
    ("check.*.answer", "'192.0.2.1'", "'192.0.2.2'"),
    ("check.*.command", "['/opt/checks/a']", "['/opt/checks/a/b', '{address}', '']"),
    ("check.*.token_sha256", DIGESTS[0], DIGESTS[1]),
    ("check.*.state_file", "'/var/lib/states'", "'/a'"),
    ("probe.exec", "[]", "['/usr/lib/nagios/plugins', '/opt/checks']"),
    ("check.*.server_name", "'www.example.com'", "'a'"),
    ("check.*.ca", "'own.pem'", "'other.pem'"),
    ("check.*.load.json", "'/load'", "''"),
    ("pool.*.shed", "{ start = 0.8, full = 1.0 }", "{ start = 0.5, full = 0.75 }"),
    ("pool.*.site", "'fra'", "'iad'"),
    ("pool.*.check", "'web'", "'tcp'"),
    ("pool.*.discover", "{ file = 't.json' }", "{ srv = '_a._tcp.example.net' }"),
    ("pool.*.discover.file", "'t.json'", "'parts/t.json'"),
    ("pool.*.discover.http", "'https://a.example.net/sd'", "'http://[2001:db8::1]:80/sd?a@b'"),
    ("pool.*.discover.srv", "'_web._tcp.example.net'", "'_a._tcp.b.example.'"),
    ("pool.*.discover.authorization", "'token'", "'/run/token'"),
    ("pool.*.discover.ca", "'ca.pem'", "'/etc/ca.pem'"),
    ("pool.*.discover.weight_label", "'w'", "'__meta_weight'"),
    ("pool.*.discover.name_label", "'id'", "'_host'"),
    ("pool.*.discover.site_label", "'site'", "'dc'"),
    ("pool.*.endpoint", "{ a = { addresses = ['192.0.2.7'] } }", "{ b-1.addresses = ['::7'] }"),
    ("pool.*.endpoint.*.addresses", "['192.0.2.7']", "['2001:db8::7', '192.0.2.7']"),
    ("pool.*.endpoint.*.alias", "'cdn.example.net'", "'b.example.net.'"),
    ("pool.*.endpoint.*.cname", "'cdn.example.net'", "'b.example.net.'"),
    ("pool.*.endpoint.*.srv.target", "'sip.example.net'", "'b.example.net.'"),
    ("policy.*.targets", "['eu', 'us']", "['us']"),
    ("policy.*.bias", "{ us = 1.2 }", "{ us = '-300 km', eu = 0.01 }"),
    ("policy.*.weights", "{ eu = 1, us = 2 }", "{ eu = 1, us = 65535 }"),
    ("policy.*.within", "'500km'", "'0 km'"),
    ("policy.*.default", "'us'", "['us', 'eu']"),
    ("policy.*.rule", RULE, "[{ where = ['country:DE'], to = ['us'], fence = true }]"),
    ("policy.*.rule.where", "['country:DE', 'subdivision:US-CA']", "['continent:AS']"),
    ("policy.*.rule.to", "'us'", "['us', 'eu']"),
    ("list.*.file", "'case.list'", "'more.list'"),
    ("list.*.entries", "['192.0.2.0/24', 'AS64500']", "['2001:db8::1']"),
    ("policy.*.spill", "[]", "['next']"),
    ("name.*.steer", "'world'", "'eu'"),
    ("name.*.affinity", "''", "'any text'"),
    ("name.*.records", "{ MX = ['1 a.example.net.'] }", "{ txt = [], TYPE65280 = ['\\# 0'] }"),
    ("name.*.on_all_down.pool", "'sorry'", "'us'"),
    ("assert.name", "'x'", "['x', 'y']"),
    ("assert.clients", "'country:DE'", "['any', 'asn:1', '192.0.2.0/24', 'subdivision:US-CA']"),
    ("assert.stays_in", "'continent:EU'", "['country:DE', 'site:fra']"),
    ("assert.within", "'1500km'", "' 20040 km'"),
    ("assert.traffic", "'traffic.csv'", "'other.csv'"),
];

/// As many checks as one can be made of.
const MANY: &str = "['web', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9', 'p10', 'p11', 'p12', 'p13', 'p14', 'p15']";

/// Keys of nodes.
const PINS: [&str; 2] = [
    "['ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo']",
    "['ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', 'ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw']",
];

/// A node of a cluster, up to its peers.
const MEMBER: &str =
    "[server]\nsite = 'fra'\n[cluster]\nname = 'a'\nnode = 'b'\nkey = 'k'\nlisten = '[::]:1'\n";

/// A peer of that node.
const PEER: &str = "[[cluster.peer]]\nnode = 'c'\nsite = 'iad'\n\
    pins = ['ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo']\n";

/// Digests of tokens.
const DIGESTS: [&str; 2] = [
    "['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08']",
    "['60303AE22B998861BCE3B28F33EEC1BE758A213C86C93C076DBE9F558C11C752']",
];

/// A rule of a `geo` policy.
const RULE: &str = "[{ where = ['continent:EU'], to = 'eu' }]";

/// The table of what is different for one endpoint.
const SPECIAL: &str = "pool.NAME.endpoint.NAME.probe.NAME";

/// What must stand beside a key so that all its values make sense.
const BESIDE: &[(&str, &str, &str)] = &[
    ("server.tls.certificate", "dot", "['127.0.0.1:853']"),
    ("server.tls.key", "dot", "['127.0.0.1:853']"),
    ("server.tls.dot", "doq", "['127.0.0.1:853']"),
    ("server.tls.doh", "dot", "['127.0.0.1:853']"),
    ("server.tls.doq", "dot", "['127.0.0.1:853']"),
    ("server.tls.doh_path", "doh", "['127.0.0.1:443']"),
    ("state.history", "folder", "'state'"),
    ("state.history_megabytes", "folder", "'state'"),
    ("pool.*.endpoint.*.state_reason", "state", "'down'"),
    ("rtt.build", "folder", "'rtt'"),
    ("rtt.window", "folder", "'rtt'"),
    ("rtt.delay", "folder", "'rtt'"),
    ("rtt.handshakes", "folder", "'rtt'"),
    ("rtt.listen", "folder", "'rtt'\nbuild = true"),
    ("rtt.origins", "folder", "'rtt'"),
    ("rtt.token_file", "folder", "'rtt'"),
    ("rtt.post_octets", "folder", "'rtt'"),
    ("rtt.post_lines", "folder", "'rtt'"),
    ("rtt.posts_a_minute", "folder", "'rtt'"),
    ("check.*.timeout", "interval", "'1h'"),
    ("check.*.n", "of", MANY),
    ("check.*.must", "of", "['web']"),
    ("resolver.min_refresh", "max_refresh", "'1d'"),
    ("resolver.max_refresh", "min_refresh", "'1s'"),
    ("pool.*.shed", "site", "'fra'"),
    ("pool.*.shed", "check", "'load'"),
    ("pool.*.shed.start", "full", "20.0"),
    ("pool.*.shed.full", "start", "0.01"),
    ("pool.*.panic_below", "min_healthy", "'100%'"),
    ("assert.max_load", "traffic", "'traffic.csv'"),
    ("assert.max_load", "name", "'x'"),
    ("assert.traffic", "name", "'x'"),
    ("assert.traffic", "max_load", "'100%'"),
    ("policy.*.weights", "weights", "{ world = 95, next = 5 }"),
];

/// Values of a key that must load, and some that must not.
#[derive(Default)]
struct Values {
    good: Vec<String>,
    bad: Vec<String>,
}

fn values(entry: &Entry) -> Values {
    let pattern = entry.pattern();
    let mut values = Values::default();
    for kind in entry.key.kind.alternatives() {
        of_kind(kind, &mut values);
    }
    if let Some((_, first, second)) = SAMPLES.iter().find(|(key, ..)| *key == pattern) {
        values.good.extend([first, second].map(|text| text.to_string()));
    }
    // A number of members is a text that the table has no range for.
    if pattern == "pool.*.min_healthy" {
        values.good.extend(["'1 member'".to_owned()]);
        values.bad.extend(["'0 members'", "'9 members'", "'half'"].map(String::from));
    }
    if pattern == "check.*.quorum" {
        // No share, but a number of sites.
        values.bad.retain(|value| value != "7");
    }
    if pattern == "assert.answers" {
        // It asserts nothing, and says so.
        values.good.retain(|value| value != "false");
        values.bad.push("false".into());
    }
    if pattern == "assert.with" {
        // For claims about places only.
        values.good.retain(|value| value != "'anything down'");
    }
    assert!(!values.good.is_empty(), "{pattern} needs samples in this test");
    values
}

fn of_kind(kind: &Kind, values: &mut Values) {
    let Values { good, bad } = values;
    match *kind {
        Kind::Text(_) => bad.push("7".into()),
        Kind::Words { words, .. } => {
            good.extend(words.iter().map(|word| format!("'{word}'")));
            bad.push("'nonsense'".into());
        }
        Kind::Integer { min, max, .. } => {
            good.extend([min, max].map(|number| number.to_string()));
            bad.extend([min - 1, max + 1].map(|number| number.to_string()));
            bad.extend(["1.0", "'1'"].map(String::from));
        }
        Kind::Number { min, max } => {
            good.extend([min, max].map(|number| format!("{number:?}")));
            bad.extend([min - 0.001, max + 0.001].map(|number| format!("{number:?}")));
            bad.extend(["'1'", "nan", "inf"].map(String::from));
        }
        Kind::Boolean => {
            good.extend(["true", "false"].map(String::from));
            bad.extend(["'true'", "1"].map(String::from));
        }
        Kind::Duration { min, max, whole_seconds } => {
            good.extend([min, max].map(|duration| format!("'{}'", spell(duration))));
            let step = std::time::Duration::from_millis(if whole_seconds { 1000 } else { 1 });
            bad.extend(min.checked_sub(step).map(|less| format!("'{}'", spell(less))));
            bad.push(format!("'{}'", spell(max + step)));
            bad.extend(["10", "'10'", "'x'", "''"].map(String::from));
            bad.extend(whole_seconds.then(|| format!("'{}ms'", min.as_millis() + 1500)));
        }
        Kind::Percent { max } => {
            good.extend([0, max].map(|percent| format!("'{percent}%'")));
            bad.extend([format!("'{}%'", max + 1), "7".into(), "'%'".into()]);
        }
        Kind::Texts { count, distinct, .. } => {
            bad.extend(["'text'", "[7]"].map(String::from));
            bad.extend((count.min > 0).then(|| "[]".to_owned()));
            bad.extend(distinct.then(|| "['127.0.0.1:53', '127.0.0.1:53']".to_owned()));
        }
        Kind::Items { count, .. } => {
            bad.extend(["'text'", "[7]"].map(String::from));
            bad.extend((count.min > 0).then(|| "[]".to_owned()));
        }
        Kind::Addresses => {
            let addresses = ["[]", "['224.0.0.1']", "['::']", "['ff02::1']", "['192.0.2.1:80']"];
            bad.extend(addresses.map(String::from));
            bad.extend(["['192.0.2.1', '192.0.2.2']", "'192.0.2.1'"].map(String::from));
        }
        Kind::Map { count, one_above_zero, .. } => {
            bad.extend(["'text'", "[]"].map(String::from));
            bad.extend((count.min > 0).then(|| "{}".to_owned()));
            bad.extend(one_above_zero.then(|| "{ eu = 0 }".to_owned()));
        }
        Kind::Records => {
            let records = ["{ XX = [] }", "{ SOA = ['a b 1 1 1 1 1'] }", "{ TYPE41 = [] }"];
            bad.extend(records.map(String::from));
            bad.push("{ A = '192.0.2.1' }".into());
        }
        Kind::Table(_) => bad.push("7".into()),
        Kind::AnyOf(_) => unreachable!("alternatives() has opened it"),
    }
}

/// The words of `kind` with which a key is known; one empty word where there are no kinds.
fn kinds(entry: &Entry) -> Vec<&'static str> {
    match entry.key.only {
        _ if entry.key.name == "kind" => vec![""],
        [] => match entry.table.find("kind").and_then(|key| key.kind.words()) {
            Some((_, words)) => words.to_vec(),
            None => vec![""],
        },
        only => only.to_vec(),
    }
}

fn is_needed(key: &Key, kind: &str) -> bool {
    let is_own = key.only.is_empty() || key.only.contains(&kind);
    matches!(key.absent, Absent::Needed) && is_own || key.needed_for.contains(&kind)
}

/// A table with all that it needs, and with `value` for the key of `entry`.
fn document(entry: &Entry, kind: &str, value: Option<&str>) -> String {
    let pattern = entry.pattern();
    let mut lines: BTreeMap<&str, &str> = BTreeMap::new();
    let quoted = format!("'{kind}'");
    for key in entry.table.keys.iter().filter(|key| is_needed(key, kind)) {
        lines.insert(key.name, key.example);
    }
    if !kind.is_empty() {
        lines.insert("kind", &quoted);
    }
    // What this value of `kind` needs besides.
    let of_value: &[_] = match (entry.key.name, value) {
        ("kind", Some("'weighted'")) => &[("weights", "{ eu = 1 }")],
        ("kind", Some("'geo'" | "'networks'")) => &[("default", "'eu'"), ("rule", RULE)],
        ("kind", Some("'failover'" | "'nearest'" | "'fastest'" | "'all'")) => {
            &[("targets", "['eu']")]
        }
        ("kind", Some("'tcp'" | "'grpc'" | "'grpcs'")) => &[("port", "443")],
        ("kind", Some("'all_of'" | "'any_of'")) => &[("of", "['web']")],
        ("kind", Some("'at_least'")) => &[("of", "['web']"), ("n", "1")],
        ("kind", Some("'udp'")) => &[("port", "443"), ("send", "'x'")],
        ("kind", Some("'dns'")) => &[("qname", "'www.example.com'")],
        ("kind", Some("'exec'")) => &[("command", "['/opt/checks/a']")],
        ("kind", Some("'push'")) => &[("token_sha256", DIGESTS[0])],
        ("kind", Some("'file'")) => &[("state_file", "'/var/lib/states'")],
        // Neither may stand alone.
        ("prefer", Some(_)) if entry.table.path == "policy.NAME" => &[("within", "'500km'")],
        ("within", Some(_)) if entry.table.path == "policy.NAME" => &[("prefer", "'cheap'")],
        // One of both must be there.
        ("file", None) if entry.table.path == "list.NAME" => &[("entries", "['192.0.2.9']")],
        ("entries", None) => &[("file", "'case.list'")],
        _ => &[],
    };
    lines.extend(of_value.iter().copied());
    let beside = BESIDE.iter().filter(|(key, ..)| *key == pattern);
    lines.extend(beside.map(|(_, name, value)| (*name, *value)));
    if entry.table.path == "name.NAME" {
        // Something must be said of a name.
        lines.insert("steer", "'world'");
        lines.extend((entry.key.name == "steer").then_some(("records", "{ TXT = ['a'] }")));
    }
    if entry.table.path == "pool.NAME.endpoint.NAME" {
        // An endpoint is one thing.
        let is_leaf = ["addresses", "alias", "cname", "srv"].contains(&entry.key.name);
        lines.extend(match (entry.key.name, value) {
            ("addresses", None) => Some(("alias", "'a.example.net'")),
            (_, None) => Some(("addresses", "['192.0.2.7']")),
            (_, Some(_)) if is_leaf => None,
            (_, Some(_)) => Some(("addresses", "['192.0.2.7']")),
        });
    }
    if entry.table.path == "pool.NAME" {
        // Somebody must be in it, or be found.
        let endpoint = ("endpoint", "{ a = { addresses = ['192.0.2.7'] } }");
        lines.extend(match entry.key.name {
            "endpoint" => Some(("discover", "{ file = 't.json' }")).filter(|_| value.is_none()),
            _ => Some(endpoint),
        });
    }
    if entry.table.path == "pool.NAME.discover" {
        // One source, of which the key means something.
        let http = ("http", "'https://a.example.net/sd'");
        lines.extend(match (entry.key.name, value) {
            ("file", None) => Some(http),
            ("file" | "http" | "srv", Some(_)) => None,
            ("interval" | "timeout" | "authorization" | "ca", _) => Some(http),
            (_, _) => Some(("file", "'t.json'")),
        });
    }
    if entry.table.path == SPECIAL && value.is_none() {
        // Something must differ.
        lines.insert(
            if entry.key.name == "port" { "path" } else { "port" },
            if entry.key.name == "port" { "'/'" } else { "1" },
        );
    }
    if entry.table.path == "assert" {
        let is_claim = keys::CLAIMS.contains(&entry.key.name) || entry.key.name == "traffic";
        if value.is_none() || !is_claim {
            // Something must be asserted.
            lines.clear();
            match entry.key.name {
                "answers" => lines.insert("within", "'9000km'"),
                _ => lines.insert("answers", "true"),
            };
        }
    }
    if entry.table.path == "cluster" {
        // A server is dialled, an agent is not.
        let is_agent = value == Some("'agent'") || entry.key.name == "listen" && value.is_none();
        lines.extend(is_agent.then_some(("role", "'agent'")));
        lines.extend((!is_agent).then_some(("listen", "'[::]:7653'")));
    }
    if kind == "udp" && (value.is_none() || !entry.key.name.starts_with("send")) {
        // A datagram must be sent.
        let other = if entry.key.name == "send" { "send_hex" } else { "send" };
        lines.insert(other, "'00'");
    }
    if ["all_of", "any_of", "at_least"].contains(&kind) {
        // The checks of the example are not there.
        lines.insert("of", if entry.key.name == "n" { MANY } else { "['web', 'tcp']" });
        if kind == "at_least" {
            lines.insert("n", "1");
        }
    }
    lines.remove(entry.key.name);
    lines.extend(value.map(|value| (entry.key.name, value)));
    let path = entry.table.path.replace("NAME", "x");
    let mut text = match &*path {
        "" => String::new(),
        "geo.databases" => "[[geo.databases]]\n".to_owned(),
        "cluster" => "[server]\nsite = 'fra'\n[state]\nfolder = 's'\n[cluster]\n".to_owned(),
        "cluster.peer" => format!("{MEMBER}[[cluster.peer]]\n"),
        "cluster.nats" => format!("{MEMBER}{PEER}[{path}]\n"),
        "pool.x.discover" => format!("[pool.x]\nsite = 'fra'\n[{path}]\n"),
        "pool.x.failback" => format!("[pool.x]\nendpoint.a.addresses = ['192.0.2.9']\n[{path}]\n"),
        "pool.x.endpoint.x.probe.x" => {
            let pool = "[check.x]\nkind = 'http'\n[pool.x]\ncheck = 'x'\n";
            format!("{pool}[pool.x.endpoint.x]\naddresses = ['192.0.2.9']\n[{path}]\n")
        }
        "check.x.degraded" => format!("[check.x]\nkind = 'icmp'\n[[{path}]]\n"),
        "pool.x.shed" => format!(
            "[pool.x]\nsite = 'fra'\ncheck = 'load'\nendpoint.a.addresses = ['192.0.2.9']\n[{path}]\n"
        ),
        "check.x.load" => format!("[check.x]\nkind = 'http'\n[{path}]\n"),
        "policy.x.rule" => {
            format!("[policy.x]\nkind = 'geo'\ndefault = 'eu'\n[[{path}]]\n")
        }
        "assert" => {
            let name = |name: &str| format!("[name.{name}]\nsteer = 'world'\n");
            name("x") + &name("y") + "[[assert]]\n"
        }
        "name.x.on_all_down" => format!("[name.x]\nsteer = 'world'\n[{path}]\n"),
        path => format!("[{path}]\n"),
    };
    lines.iter().for_each(|(name, value)| text += &format!("{name} = {value}\n"));
    // What the same keys mean for other kinds.
    match kind {
        "networks" => text.replace("continent:EU", "192.0.2.0/24").replace("country:DE", "asn:1"),
        "fastest" => text.replace("km'", "ms'"),
        _ if text.contains("kind = 'networks'") => text.replace("continent:EU", "192.0.2.0/24"),
        _ => text,
    }
}

/// What a text comes to, without its places, and what is wrong with it.
fn load(file: &'static Table, text: &str) -> (String, Files, Problems) {
    if std::ptr::eq(file, &NODE_FILE) {
        let (node, problems, files) = load_readable_node(&SourceFile::new("rhumb.toml", text));
        return (format!("{node:?}"), files, problems);
    }
    let has_zone = text.contains("[zone]");
    let base = if has_zone { BASE.split("name.ns1").next().unwrap_or_default() } else { BASE };
    let mut files = vec![
        SourceFile::new("zones/case.toml", &format!("{base}\n{text}")),
        SourceFile::new(
            "zones/shared/more.toml",
            &("site.iad = { latitude = 1, longitude = 2 }\ncheck.tcp = { kind = 'tcp', port = 1 }\n"
                .to_owned()
                + &(1..16)
                    .map(|n| format!("check.p{n} = {{ kind = 'icmp' }}\n"))
                    .collect::<String>()),
        ),
    ];
    if has_zone {
        let names = "name.ns1.records.A = ['192.0.2.53']\nname.w.steer = 'world'\n";
        files[0] = SourceFile::new("zones/case.toml", &format!("{names}{base}\n{text}"));
    }
    for (name, text) in [
        ("zones/case.records", "a A 192.0.2.1\n"),
        ("zones/more.records", "b A 192.0.2.1\n"),
        ("zones/case.list", "192.0.2.0/24\n"),
        ("zones/more.list", "AS64500 # one\n\n2001:db8::1\n"),
        ("zones/traffic.csv", "country,load\nDE,1\n"),
        ("zones/other.csv", "country,load\nDE,2\n"),
        ("zones/own.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("zones/other.pem", "-----BEGIN CERTIFICATE-----\nx"),
    ] {
        files.push(SourceFile::new(name, text));
    }
    let exec = ["/opt/checks".into(), "/usr/lib/nagios/plugins".into()];
    let files = Files::new(files).allowing(&exec);
    let (model, problems) = config::load(&files);
    (format!("{model:?}"), files, problems)
}

fn errors(files: &Files, problems: &Problems) -> Vec<String> {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| config::render::one_line(files, problem)).collect()
}

/// Keys with a value of their own: not tables, whose keys have it.
fn entries(file: &'static Table) -> impl Iterator<Item = Entry> {
    let is_table = |kind: &Kind| match kind {
        Kind::Table(_) => true,
        Kind::Map { of, .. } | Kind::Items { of, .. } => matches!(of, Kind::Table(_)),
        _ => false,
    };
    let all = keys::list(file).into_iter();
    all.filter(move |entry| !is_table(&entry.key.kind) || entry.key.name == "endpoint")
}

fn each(mut judge: impl FnMut(&'static Table, &Entry, &'static str) -> Vec<String>) {
    let mut complaints = Vec::new();
    let mut count = 0;
    for file in [&NODE_FILE, &ZONE_FILE] {
        for entry in entries(file) {
            for kind in kinds(&entry) {
                count += 1;
                complaints.extend(judge(file, &entry, kind));
            }
        }
    }
    assert!(count > 70, "{count} keys are judged");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_value_of_the_table_is_taken_and_every_other_refused() {
    each(|file, entry, kind| {
        let Values { good, bad } = values(entry);
        let mut complaints = Vec::new();
        for value in good {
            let text = document(entry, kind, Some(&value));
            let (_, files, problems) = load(file, &text);
            let errors = errors(&files, &problems);
            // The server has its zone's name from the base.
            let errors = errors.iter().filter(|error| !is_of_samples(entry, error));
            complaints.extend(errors.map(|error| format!("{error}\n{text}")));
        }
        for value in bad {
            let text = document(entry, kind, Some(&value));
            let (_, files, problems) = load(file, &text);
            let pattern = entry.pattern().replace("geo.databases.", "geo.databases[0].");
            let pattern = pattern.replace("policy.*.rule.", "policy.*.rule[0].");
            let pattern = pattern.replace("check.*.degraded.", "check.*.degraded[0].");
            let pattern = pattern.replace("assert.", "assert[0].");
            let pattern = pattern.replace("cluster.peer.", "cluster.peer[0].");
            let key = format!("{}: ", pattern.replace('*', "x"));
            let key = key.trim_end_matches(": ");
            if !errors(&files, &problems).iter().any(|error| error.contains(key)) {
                complaints.push(format!("{} takes {value}\n{text}", entry.pattern()));
            }
        }
        complaints
    });
}

/// What a sample breaks elsewhere: not a matter of its key.
fn is_of_samples(entry: &Entry, error: &str) -> bool {
    let is_zone = entry.table.path == "zone";
    is_zone && (error.contains("not a whole name") || error.contains("is not in the zone"))
}

#[test]
fn a_default_is_what_counts_if_nothing_is_said_and_another_value_counts_too() {
    each(|file, entry, kind| {
        let pattern = entry.pattern();
        let silent = document(entry, kind, None);
        let (without, ..) = load(file, &silent);
        let mut complaints = Vec::new();
        if let Absent::Default(literal) = entry.key.absent {
            let (with, files, problems) =
                load(file, &document(entry, kind, Some(&literal.json().to_string())));
            complaints.extend(errors(&files, &problems));
            if with != without {
                complaints.push(format!("{pattern}: {} is not the default", literal.json()));
            }
        }
        let loads = |value: &String| load(file, &document(entry, kind, Some(value))).0;
        if !values(entry).good.iter().any(|value| loads(value) != without) {
            complaints.push(format!("{pattern}: no value changes anything"));
        }
        complaints
    });
}

#[test]
fn a_key_that_is_needed_is_missed_and_another_is_not() {
    each(|file, entry, kind| {
        let (_, files, problems) = load(file, &document(entry, kind, None));
        let found = errors(&files, &problems);
        let needed = is_needed(entry.key, kind);
        match needed != found.is_empty() {
            true => Vec::new(),
            false => vec![format!("{} with \"{kind}\": {found:?}", entry.pattern())],
        }
    });
}

#[test]
fn a_key_of_other_kinds_is_refused() {
    let mut count = 0;
    for entry in entries(&ZONE_FILE).filter(|entry| !entry.key.only.is_empty()) {
        let (_, words) = entry.table.find("kind").and_then(|key| key.kind.words()).expect("kinds");
        for word in words.iter().filter(|word| !entry.key.only.contains(word)) {
            let value = &values(&entry).good[0];
            let (_, files, problems) = load(&ZONE_FILE, &document(&entry, word, Some(value)));
            let errors = errors(&files, &problems);
            let is_said = errors.iter().any(|e| e.contains("not known") && e.contains("for kind"));
            assert!(is_said, "{} with {word}: {errors:?}", entry.pattern());
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn the_list_has_every_key_once_under_its_pattern() {
    let all: Vec<String> =
        [&NODE_FILE, &ZONE_FILE].into_iter().flat_map(keys::list).map(|e| e.pattern()).collect();
    for pattern in ["server.listen", "pool.*.endpoint.*.weight", "name.*.on_all_down.pool", "zone"]
    {
        assert_eq!(all.iter().filter(|other| *other == pattern).count(), 1, "{all:?}");
    }
}

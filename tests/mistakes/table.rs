//! Mistakes and what must be said of each: place, key, words of the fault, words of the remedy.

/// One mistake, or several in one text.
pub struct Case {
    /// What the operator did.
    pub title: &'static str,
    /// The text; a line `-- NAME --` begins another file.
    pub text: &'static str,
    /// Each problem: place, key, words of the fault, words of the remedy.
    pub expected: &'static [(&'static str, &'static str, &'static str, &'static str)],
}

/// Mistakes in TOML files of the zones folder.
pub const ZONE_FILES: &[Case] = &[
    Case {
        title: "endpoints found by nobody",
        text: r#"[pool.p]
discover = { max_drop = "50%" }
"#,
        expected: &[("2:1", "pool.p.discover", "nothing says who is asked", "add file = ")],
    },
    Case {
        title: "endpoints found by two sources",
        text: r#"[pool.p.discover]
file = "a.json"
http = "https://a.example.net/sd"
"#,
        expected: &[("3:1", "pool.p.discover.http", "has file and http", "keep one")],
    },
    Case {
        title: "a list of targets with a typo in its key",
        text: r#"[pool.p]
discovery = { file = "a.json" }
"#,
        expected: &[("2:1", "pool.p.discovery", "not known", "did you mean \"discover\"?")],
    },
    Case {
        title: "a file of targets that is asked by intervals",
        text: r#"[pool.p.discover]
file = "a.json"
interval = "1m"
timeout = "5s"
"#,
        expected: &[
            ("3:1", "pool.p.discover.interval", "means nothing for file", "take it out"),
            ("4:1", "pool.p.discover.timeout", "means nothing for file", "take it out"),
        ],
    },
    Case {
        title: "labels of SRV records",
        text: r#"[pool.p.discover]
srv = "_web._tcp.example.net"
name_label = "id"
ca = "a.pem"
"#,
        expected: &[
            ("3:1", "pool.p.discover.name_label", "means nothing for srv", "take it out"),
            ("4:1", "pool.p.discover.ca", "means nothing for srv", "take it out"),
        ],
    },
    Case {
        title: "a source that is no URL, and one with a password",
        text: r#"[pool.p]
discover = { http = "consul:8500/sd" }
[pool.q]
discover = { http = "https://ann:secret@consul.example.net/sd" }
"#,
        expected: &[
            ("2:21", "pool.p.discover.http", "is no URL of a web server", "write \"https://"),
            ("4:21", "pool.q.discover.http", "holds a password", "authorization = "),
        ],
    },
    Case {
        title: "a label that Prometheus does not have",
        text: r#"[pool.p.discover]
file = "a.json"
name_label = "instance-id"
"#,
        expected: &[("3:14", "pool.p.discover.name_label", "not the name of a label", "letters")],
    },
    Case {
        title: "targets by site in a pool without one",
        text: r#"[pool.p.discover]
file = "a.json"
site_label = "dc"
"#,
        expected: &[("3:1", "pool.p.discover.site_label", "the pool has no site", "add site")],
    },
    Case {
        title: "a request that takes longer than its interval",
        text: r#"[pool.p.discover]
http = "https://a.example.net/sd"
interval = "5s"
timeout = "6s"
"#,
        expected: &[("4:11", "pool.p.discover.timeout", "longer than the interval", "at most")],
    },
    Case {
        title: "names written beside endpoints that are found",
        text: r#"[pool.p]
discover = { file = "a.json" }
endpoint.a.cname = "www.example.net"
"#,
        expected: &[("2:1", "pool.p.discover", "those written CNAME records", "two pools")],
    },
    Case {
        title: "a check that is made of itself",
        text: r#"[check.a]
kind = "all_of"
of = ["a", "web"]
"#,
        expected: &[("3:7", "check.a.of", "a -> a", "take one of them out")],
    },
    Case {
        title: "three checks in a circle, and one that leads to them",
        text: r#"[check.start]
kind = "any_of"
of = ["a"]
[check.a]
kind = "all_of"
of = ["web", "b"]
[check.b]
kind = "any_of"
of = ["c"]
[check.c]
kind = "at_least"
n = 1
of = ["a", "web"]
"#,
        expected: &[("13:7", "check.c.of", "a -> b -> c -> a", "take one of them out")],
    },
    Case {
        title: "parts that are not there, or twice, or too few",
        text: r#"[check.a]
kind = "all_of"
of = ["web", "wob"]
must = ["db"]
[check.b]
kind = "at_least"
n = 3
of = ["web", "a"]
[check.c]
kind = "any_of"
[check.d]
kind = "at_least"
of = ["web", "web"]
"#,
        expected: &[
            ("3:14", "check.a.of", "no check \"wob\"", "\"web\"?"),
            ("4:9", "check.a.must", "none of its parts", "add it to of"),
            ("7:5", "check.b.n", "3 of 2 checks", "use 1 to 2"),
            ("9:8", "check.c.of", "missing", "of = [\"web\", \"db\"]"),
            ("11:8", "check.d.n", "missing", "n = 2"),
            ("13:14", "check.d.of", "here twice", "take one out"),
        ],
    },
    Case {
        title: "a composite that is probed itself",
        text: r#"[check.a]
kind = "all_of"
of = ["web"]
interval = "5s"
"#,
        expected: &[("4:1", "check.a.interval", "not known", "it is for kind = \"tcp\"")],
    },
    Case {
        title: "votes that nobody can count",
        text: r#"[check.a]
kind = "icmp"
quorum = "most"
scope = "local"
vantage = "some"
[check.b]
kind = "icmp"
quorum = 65
vantage = 0
[check.c]
kind = "icmp"
quorum = "101%"
"#,
        expected: &[
            ("3:10", "check.a.quorum", "\"most\" is no quorum", "a share as \"60%\""),
            ("4:9", "check.a.scope", "\"local\"", "\"global\""),
            ("5:11", "check.a.vantage", "\"some\" is no number of sites", "as 3"),
            ("8:10", "check.b.quorum", "65 is not allowed", "64"),
            ("9:11", "check.b.vantage", "0 is not allowed", "1"),
            ("12:10", "check.c.quorum", "\"101%\" is not allowed", "100%"),
        ],
    },
    Case {
        title: "a quorum of a check that is made of others",
        text: r#"[check.a]
kind = "all_of"
of = ["web"]
quorum = 2
"#,
        expected: &[("4:1", "check.a.quorum", "not known", "it is for kind = \"tcp\"")],
    },
    Case {
        title: "warning of votes of a region that nobody knows",
        text: r#"[check.a]
kind = "icmp"
scope = "region"
[site.ship]
latitude = 1
longitude = 1
[pool.x]
site = "ship"
check = "a"
endpoint.a.addresses = ["192.0.2.77"]
[pool.y]
check = "a"
endpoint.a.addresses = ["192.0.2.78"]
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.p]
kind = "failover"
targets = ["x", "y"]
[name.www]
steer = "p"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[
            ("9:9", "pool.x.check", "it has no region: all sites vote", "a country or a region"),
            ("12:9", "pool.y.check", "it has no region: all sites vote", "give it a site"),
        ],
    },
    Case {
        title: "levels of slowness that are no steps",
        text: r#"[check.a]
kind = "icmp"
degraded = [{ over = "300ms", weight = "50%" }, { over = "200ms", weight = "20%" }, { over = "400ms", weight = "20%" }]
"#,
        expected: &[
            ("3:58", "check.a.degraded[1].over", "no slower than", "mildest"),
            ("3:94", "check.a.degraded[2].over", "leaves no less weight", "mildest"),
        ],
    },
    Case {
        title: "warning of a level that no probe reaches",
        text: r#"[check.a]
kind = "icmp"
timeout = "1s"
degraded = [{ over = "1s", weight = "50%" }]
[pool.x]
check = "a"
endpoint.a.addresses = ["192.0.2.77"]
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "x"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[(
            "4:22",
            "check.a.degraded",
            "has failed: the timeout is 1s",
            "less than the timeout",
        )],
    },
    Case {
        title: "datagrams without anything to send",
        text: r#"[check.a]
kind = "udp"
port = 9
expect = "x"
"#,
        expected: &[("1:8", "check.a.send", "nothing is sent", "send_hex")],
    },
    Case {
        title: "questions that cannot be answered so",
        text: r#"[check.a]
kind = "dns"
qname = "a..b"
qtype = "AA"
[check.b]
kind = "dns"
qname = "www.test"
qtype = "AAAA"
answer = "192.0.2.1"
[check.c]
kind = "dns"
qname = "www.test"
rcode = "NXDOMAIN"
answer = "192.0.2.1"
[check.d]
kind = "dns"
"#,
        expected: &[
            ("3:9", "check.a.qname", "empty label", "whole name"),
            ("4:9", "check.a.qtype", "not a record type", "TYPE65"),
            ("9:10", "check.b.answer", "not an IPv6 address", "type AAAA"),
            ("14:10", "check.c.answer", "no record comes with NXDOMAIN", "leave answer out"),
            ("15:8", "check.d.qname", "missing", "qname = \"www.example.com\""),
        ],
    },
    Case {
        title: "commands that are not allowed, or none",
        text: r#"[check.a]
kind = "exec"
command = ["/bin/sh", "-c", "true"]
[check.b]
kind = "exec"
command = ["check_ssh", "{address}"]
[check.c]
kind = "exec"
command = []
"#,
        expected: &[
            ("3:12", "check.a.command", "not allowed on this node", "[probe] exec"),
            ("6:12", "check.b.command", "no whole path", "begin with \"/\""),
            ("9:11", "check.c.command", "no program", "check_ssh"),
        ],
    },
    Case {
        title: "tokens that are no digests",
        text: r#"[check.a]
kind = "push"
token_sha256 = ["secret"]
port = 80
[check.b]
kind = "push"
"#,
        expected: &[
            ("3:17", "check.a.token_sha256", "no SHA-256", "sha256sum"),
            ("4:1", "check.a.port", "not known", "it is for kind = \"tcp\""),
            ("5:8", "check.b.token_sha256", "missing", "token_sha256 = ["),
        ],
    },
    Case {
        title: "a file of states beside this one",
        text: r#"[check.a]
kind = "file"
state_file = "states"
"#,
        expected: &[("3:14", "check.a.state_file", "no whole path", "begin with \"/\"")],
    },
    Case {
        title: "the same thing to send twice",
        text: r#"[check.a]
kind = "tcp"
port = 6379
send = "PING"
send_hex = "0d0a"
expect_hex = "0d0"
"#,
        expected: &[
            ("5:1", "check.a.send_hex", "say the same thing", "keep one"),
            ("6:14", "check.a.expect_hex", "is not hexadecimal", "two digits"),
        ],
    },
    Case {
        title: "a body of a reply to HEAD",
        text: r#"[check.a]
kind = "http"
method = "HEAD"
body = "ok"
"#,
        expected: &[("3:10", "check.a.method", "has no body", "use GET")],
    },
    Case {
        title: "redirects without end, and of a check that knows none",
        text: r#"[check.a]
kind = "http"
redirects = 11
[check.b]
kind = "tcp"
port = 80
redirects = 1
[check.c]
kind = "https"
follow_redirects = true
"#,
        expected: &[
            ("3:13", "check.a.redirects", "11", "0 to 10"),
            (
                "7:1",
                "check.b.redirects",
                "not known here",
                "it is for kind = \"http\" or \"https\"",
            ),
            ("10:1", "check.c.follow_redirects", "not known", "did you mean \"redirects\"?"),
        ],
    },
    Case {
        title: "a regular expression that is none, and one of another dialect",
        text: r#"[check.a]
kind = "http"
body_regex = "(ok"
[check.b]
kind = "http"
body_regex = "(?=ok)"
"#,
        expected: &[
            ("3:14", "check.a.body_regex", "unclosed group", "docs.rs/regex"),
            ("6:14", "check.b.body_regex", "look-around", "docs.rs/regex"),
        ],
    },
    Case {
        title: "headers that are made, or cannot be",
        text: r#"[check.a]
kind = "http"
headers = { Host = "a.test", "X Y" = "1", X-A = "1", "x-a" = "2", X-B = "ü" }
"#,
        expected: &[
            ("3:13", "check.a.headers.Host", "made by the probe", "the key host"),
            ("3:30", "check.a.headers.\"X Y\"", "no name of a header", "letters"),
            ("3:54", "check.a.headers.x-a", "there is a header \"x-a\" already", "keep one"),
            ("3:73", "check.a.headers.X-B", "cannot stand in a header", "ASCII"),
        ],
    },
    Case {
        title: "fields of JSON that are none",
        text: r#"[check.a]
kind = "http"
json = { status = "ok", "/a~2" = 1, "/b" = 1.5 }
"#,
        expected: &[
            ("3:10", "check.a.json.status", "no JSON pointer", "begin with \"/\""),
            ("3:25", "check.a.json.\"/a~2\"", "no JSON pointer", "~0"),
            ("3:44", "check.a.json.\"/b\"", "this is a float", "a text"),
        ],
    },
    Case {
        title: "an endpoint that differs in what is not there",
        text: r#"[check.open]
kind = "tcp"
port = 1
[pool.a]
check = "open"
endpoint.x.addresses = ["192.0.2.7"]
endpoint.x.probe.open = { port = 2, path = "/" }
endpoint.x.probe.web.port = 8080
endpoint.x.probe.wob.port = 8080
[pool.b]
endpoint.x.addresses = ["192.0.2.8"]
endpoint.x.probe.web = { port = 2 }
"#,
        expected: &[
            ("7:44", "pool.a.endpoint.x.probe.open.path", "has no path", "leave it out"),
            ("8:18", "pool.a.endpoint.x.probe.web", "not probed by \"web\"", "use \"open\""),
            ("9:18", "pool.a.endpoint.x.probe.wob", "no check \"wob\"", "\"web\"?"),
            (
                "12:18",
                "pool.b.endpoint.x.probe.web",
                "not probed by \"web\"",
                "give the pool a check",
            ),
        ],
    },
    Case {
        title: "an endpoint that differs in nothing",
        text: r#"[pool.a]
check = "web"
endpoint.x.addresses = ["192.0.2.7"]
endpoint.x.probe.web = { }
"#,
        expected: &[("4:18", "pool.a.endpoint.x.probe.web", "nothing is different", "add port")],
    },
    Case {
        title: "an assertion that asserts nothing",
        text: r#"[[assert]]
clients = "country:DE"
"#,
        expected: &[("1:1", "assert[0]", "nothing is asserted", "answers = true")],
    },
    Case {
        title: "an assertion of two claims",
        text: r#"[[assert]]
answers = true
stays_in = "continent:EU"
"#,
        expected: &[("3:1", "assert[0].stays_in", "two claims", "[[assert]] for each")],
    },
    Case {
        title: "an unknown key of an assertion",
        text: r#"[[assert]]
stay_in = "continent:EU"
answers = true
"#,
        expected: &[("2:1", "assert[0].stay_in", "not known", "did you mean \"stays_in\"?")],
    },
    Case {
        title: "an assertion that is false",
        text: r#"[[assert]]
answers = false
"#,
        expected: &[("2:11", "assert[0].answers", "asserts nothing", "write true")],
    },
    Case {
        title: "clients that are none",
        text: r#"[[assert]]
clients = ["germany", "country:XX", "list:partners", "192.0.2.1/24"]
answers = true
"#,
        expected: &[
            ("2:12", "assert[0].clients", "is no network", "country:DE"),
            ("2:23", "assert[0].clients", "is no country", "ISO 3166-1"),
            ("2:37", "assert[0].clients", "is a list", "asn:64500"),
            ("2:54", "assert[0].clients", "bits beyond", "192.0.2.0/24"),
        ],
    },
    Case {
        title: "areas that are none",
        text: r#"[[assert]]
stays_in = ["Europe", "subdivision:US-CA"]
"#,
        expected: &[
            ("2:13", "assert[0].stays_in", "no place", "continent:EU"),
            ("2:23", "assert[0].stays_in", "only the country is known", "site:NAME"),
        ],
    },
    Case {
        title: "an assertion of an unknown site",
        text: r#"[[assert]]
stays_in = "site:fro"
"#,
        expected: &[("2:12", "assert[0].stays_in", "no site \"fro\"", "did you mean \"fra\"?")],
    },
    Case {
        title: "a distance without its unit",
        text: r#"[[assert]]
within = "1500"
"#,
        expected: &[("2:10", "assert[0].within", "not a distance", "20040km")],
    },
    Case {
        title: "an assertion that cannot hold whatever is down",
        text: r#"[[assert]]
answers = true
with = "anything down"
"#,
        expected: &[("3:8", "assert[0].with", "cannot hold", "any one site down")],
    },
    Case {
        title: "a load without traffic",
        text: r#"[[assert]]
max_load = "100%"
"#,
        expected: &[("1:1", "assert[0].traffic", "missing", "add it")],
    },
    Case {
        title: "traffic without a load",
        text: r#"[[assert]]
answers = true
traffic = "t.csv"
"#,
        expected: &[("3:1", "assert[0].traffic", "for max_load only", "max_load = \"100%\"")],
    },
    Case {
        title: "a load of some clients",
        text: r#"[[assert]]
clients = "country:DE"
max_load = "100%"
traffic = "t.csv"
"#,
        expected: &[("2:1", "assert[0].clients", "about all clients", "take it out")],
    },
    Case {
        title: "an assertion about an unknown name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "world"
[[assert]]
name = "ww"
answers = true
"#,
        expected: &[(
            "7:8",
            "assert[0].name",
            "ww.case.test. is no steered name",
            "did you mean \"www\"?",
        )],
    },
    Case {
        title: "an assertion where nothing is steered",
        text: r#"[[assert]]
answers = true
"#,
        expected: &[("1:1", "assert[0]", "no steered name", "steer a name")],
    },
    Case {
        title: "a load of endpoints without capacity",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
[[assert]]
max_load = "100%"
traffic = "t.csv"
-- zones/t.csv --
country,load
DE,1
"#,
        expected: &[("6:1", "assert[0].max_load", "\"eu/a\" has no capacity", "add capacity")],
    },
    Case {
        title: "a file of traffic that is not there",
        text: r#"pool.cap = { site = "fra", endpoint.a.addresses = ["192.0.2.7"], endpoint.a.capacity = 1 }
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "cap"
[[assert]]
max_load = "100%"
traffic = "traffic.csv"
"#,
        expected: &[("9:11", "assert[0].traffic", "no file", "folder of this file")],
    },
    Case {
        title: "mistakes in a file of traffic",
        text: r#"pool.cap = { site = "fra", endpoint.a.addresses = ["192.0.2.7"], endpoint.a.capacity = 1 }
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "cap"
[name.api]
steer = "cap"
[[assert]]
max_load = "100%"
traffic = "t.csv"
-- zones/t.csv --
country,asn,name,load
DE,,www,much
Germany,,www,1
DE,1,2
,,www,3
DE,,,4
DE,,w,5
DE,AS3320,api,6
"#,
        expected: &[
            ("zones/t.csv:2:9", "", "\"much\" is not a load", "write a number"),
            ("zones/t.csv:3:1", "", "is no country", "\"DE\""),
            ("zones/t.csv:4:1", "", "3 fields, not 4", "one for each name"),
            ("zones/t.csv:5:1", "", "about nobody", "a country"),
            ("zones/t.csv:6:1", "", "for which name", "column \"name\""),
            ("zones/t.csv:7:5", "", "no steered name", "use one of: api, www"),
        ],
    },
    Case {
        title: "traffic of unknown columns",
        text: r#"pool.cap = { site = "fra", endpoint.a.addresses = ["192.0.2.7"], endpoint.a.capacity = 1 }
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "cap"
[[assert]]
max_load = "100%"
traffic = "t.csv"
-- zones/t.csv --
county,load
DE,1
"#,
        expected: &[("zones/t.csv:1:1", "", "no column of traffic", "did you mean \"country\"?")],
    },
    Case {
        title: "a state that there is not",
        text: r#"[pool.x.endpoint.a]
addresses = ["192.0.2.7"]
state = "drain"
"#,
        expected: &[(
            "3:9",
            "pool.x.endpoint.a.state",
            "not a state of an endpoint",
            "use \"drained\", \"disabled\"",
        )],
    },
    Case {
        title: "a reason for no state",
        text: r#"[pool.x.endpoint.a]
addresses = ["192.0.2.7"]
state_reason = "new disks"
"#,
        expected: &[(
            "3:1",
            "pool.x.endpoint.a.state_reason",
            "there is no state",
            "add state = \"drained\"",
        )],
    },
    Case {
        title: "a capacity of nothing",
        text: r#"[pool.x]
endpoint.a.addresses = ["192.0.2.7"]
endpoint.a.capacity = 0
"#,
        expected: &[("3:23", "pool.x.endpoint.a.capacity", "not allowed", "0.001")],
    },
    Case {
        title: "warning: one pool of all lacks a family",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.a]
endpoint.x.addresses = ["192.0.2.1"]
[pool.b]
endpoint.x.addresses = ["192.0.2.2", "2001:db8::2"]
[policy.p]
kind = "all"
targets = ["a", "b"]
[name.www]
steer = "p"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[("12:9", "name.www.steer", "pool \"a\" has no IPv6 address", "same families")],
    },
    Case {
        title: "warning: a target behind a fence",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.inner]
kind = "failover"
targets = ["eu", "us"]
fence = true
[policy.outer]
kind = "failover"
targets = ["inner", "world"]
[name.www]
steer = "outer"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[("10:21", "policy.outer.targets", "nobody gets \"world\"", "or the fence")],
    },
    Case {
        title: "warning: a target behind a pool that is never down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.p]
kind = "failover"
targets = ["us", "eu"]
[name.www]
steer = "p"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[("6:18", "policy.p.targets", "never down", "a check")],
    },
    Case {
        title: "warning: a share of nothing, and shares of one",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.p]
kind = "weighted"
weights = { eu = 0, us = 1 }
spill = []
[policy.q]
kind = "weighted"
weights = { world = 1 }
[name.www]
steer = "p"
[name.api]
steer = "q"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[
            ("6:13", "policy.p.weights", "nobody gets \"eu\"", "spill"),
            ("10:13", "policy.q.weights", "one target", "\"world\""),
        ],
    },
    Case {
        title: "warning: a fence around one pool, and a name at one site",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.p]
kind = "failover"
targets = ["eu"]
fence = true
[name.www]
steer = "p"
[name.w]
steer = "world"
[name.h]
steer = "homeless"
"#,
        expected: &[
            ("4:9", "policy.p.fence", "alone", "second pool"),
            ("9:9", "name.www.steer", "with it the name is lost", "another site"),
        ],
    },
    Case {
        title: "an unclosed quote",
        text: r#"[zone]
name = "case.test
"#,
        expected: &[("2:18", "", "never closed", "close it")],
    },
    Case {
        title: "a table header that does not end",
        text: r#"[zone
name = "case.test"
"#,
        expected: &[("1:6", "", "header is never closed", "]")],
    },
    Case {
        title: "a key said twice",
        text: r#"[site.x]
latitude = 1
latitude = 2
longitude = 3
"#,
        expected: &[("3:1", "", "there already", "keep one")],
    },
    Case {
        title: "a table said twice",
        text: r#"[site.x]
latitude = 1
longitude = 3
[site.x]
country = "DE"
"#,
        expected: &[("4:7", "", "there already", "keep one")],
    },
    Case {
        title: "two syntax errors are both shown",
        text: r#"[site.x]
latitude = 
longitude = 3
[site.y]
latitude 1
longitude = 3
"#,
        expected: &[
            ("2:12", "", "neither a text", "quotes"),
            ("5:10", "", "no value", "key = value"),
        ],
    },
    Case {
        title: "a value without quotes",
        text: r#"[pool.ap]
site = fra
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "", "neither a text", "quotes")],
    },
    Case {
        title: "a list that is never closed",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu", "us"
fence = true
"#,
        expected: &[("3:22", "", "list is never closed", "]")],
    },
    Case {
        title: "a backslash that is no escape",
        text: r#"[policy.p]
kind = "\q"
"#,
        expected: &[("2:10", "", "backslash", "single quotes")],
    },
    Case {
        title: "an unknown table, with the likely one",
        text: r#"[sites.x]
latitude = 1
longitude = 3
"#,
        expected: &[("1:2", "sites", "not known", "did you mean \"site\"?")],
    },
    Case {
        title: "an unknown table with nothing near it",
        text: r#"[region.x]
"#,
        expected: &[(
            "1:2",
            "region",
            "not known",
            "zone, site, check, pool, policy, list, name, assert",
        )],
    },
    Case {
        title: "an unknown key of a zone",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
steered_tll = "30s"
"#,
        expected: &[("4:1", "zone.steered_tll", "not known", "did you mean \"steered_ttl\"?")],
    },
    Case {
        title: "an unknown key of a site",
        text: r#"[site.x]
lattitude = 1
latitude = 1
longitude = 3
"#,
        expected: &[("2:1", "site.x.lattitude", "not known", "did you mean \"latitude\"?")],
    },
    Case {
        title: "an unknown key of a check",
        text: r#"[check.x]
kind = "http"
timout = "1s"
"#,
        expected: &[("3:1", "check.x.timout", "not known", "did you mean \"timeout\"?")],
    },
    Case {
        title: "a key of https in a check of http",
        text: r#"[check.x]
kind = "http"
verify = false
"#,
        expected: &[(
            "3:1",
            "check.x.verify",
            "not known",
            "it is for kind = \"tls\" or \"https\"",
        )],
    },
    Case {
        title: "an unknown key of a pool",
        text: r#"[pool.ap]
min_helthy = "50%"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:1", "pool.ap.min_helthy", "not known", "did you mean \"min_healthy\"?")],
    },
    Case {
        title: "an unknown key of an endpoint",
        text: r#"[pool.ap.endpoint.a]
address = ["192.0.2.9"]
addresses = ["192.0.2.9"]
"#,
        expected: &[(
            "2:1",
            "pool.ap.endpoint.a.address",
            "not known",
            "did you mean \"addresses\"?",
        )],
    },
    Case {
        title: "an unknown key of a policy",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu"]
fences = true
"#,
        expected: &[("4:1", "policy.p.fences", "not known", "did you mean \"fence\"?")],
    },
    Case {
        title: "an unknown key of a name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
answer = 2
"#,
        expected: &[("6:1", "name.www.answer", "not known", "did you mean \"answers\"?")],
    },
    Case {
        title: "an unknown key of a name with dots",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."api.v2"]
steer = "eu"
answer = 2
"#,
        expected: &[("6:1", "name.\"api.v2\".answer", "not known", "did you mean \"answers\"?")],
    },
    Case {
        title: "an unknown key of on_all_down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
on_all_down = { pol = "us", pool = "us" }
"#,
        expected: &[("6:17", "name.www.on_all_down.pol", "not known", "did you mean \"pool\"?")],
    },
    Case {
        title: "a number for a text",
        text: r#"[pool.ap]
site = 7
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "pool.ap.site", "this is an integer", "write a text in double quotes")],
    },
    Case {
        title: "a text for a number",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9"]
weight = "2"
"#,
        expected: &[(
            "3:10",
            "pool.ap.endpoint.a.weight",
            "this is a string",
            "0 to 65535, without quotes",
        )],
    },
    Case {
        title: "a list for a text",
        text: r#"[pool.ap]
site = ["fra"]
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "pool.ap.site", "this is an array", "write a text in double quotes")],
    },
    Case {
        title: "a text for a list",
        text: r#"[policy.p]
kind = "failover"
targets = "eu"
"#,
        expected: &[(
            "3:11",
            "policy.p.targets",
            "this is a string",
            "a list of texts, as [\"eu\"]",
        )],
    },
    Case {
        title: "a number in a list of texts",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu", 7]
"#,
        expected: &[("3:18", "policy.p.targets[1]", "this is an integer", "write a text")],
    },
    Case {
        title: "a list for a table of weights",
        text: r#"[policy.p]
kind = "weighted"
weights = ["eu", "us"]
"#,
        expected: &[("3:11", "policy.p.weights", "this is an array", "{ world = 95, next = 5 }")],
    },
    Case {
        title: "a text for yes or no",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu"]
fence = "true"
"#,
        expected: &[("4:9", "policy.p.fence", "this is a string", "true or false, without quotes")],
    },
    Case {
        title: "a zone as an array of tables",
        text: r#"[[zone]]
name = "case.test"
"#,
        expected: &[("1:1", "zone", "this is an array", "[zone]")],
    },
    Case {
        title: "an endpoint without a name",
        text: r#"[pool.ap.endpoint]
addresses = ["192.0.2.9"]
"#,
        expected: &[(
            "2:13",
            "pool.ap.endpoint.addresses",
            "this is an array",
            "[pool.ap.endpoint.NAME]",
        )],
    },
    Case {
        title: "a pool without a name",
        text: r#"[pool]
site = "fra"
"#,
        expected: &[("2:8", "pool.site", "this is a string", "[pool.NAME]")],
    },
    Case {
        title: "a zone without a name",
        text: r#"[zone]
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
"#,
        expected: &[("1:2", "zone.name", "missing", "name = \"gtm.example.com\"")],
    },
    Case {
        title: "a zone without name servers",
        text: r#"[zone]
name = "case.test"
"#,
        expected: &[("1:2", "zone.nameservers", "missing", "ns1.example.net")],
    },
    Case {
        title: "a zone with an empty list of name servers",
        text: r#"[zone]
name = "case.test"
nameservers = []
"#,
        expected: &[("3:15", "zone.nameservers", "no name server", "at least one")],
    },
    Case {
        title: "a site without longitude",
        text: r#"[site.x]
latitude = 1
[pool.ap]
site = "x"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("1:7", "site.x.longitude", "missing", "longitude = 8.68")],
    },
    Case {
        title: "a check without a kind, used by a pool",
        text: r#"[check.x]
port = 80
[pool.ap]
check = "x"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("1:8", "check.x.kind", "missing", "kind = \"http\"")],
    },
    Case {
        title: "a TCP check without a port",
        text: r#"[check.x]
kind = "tcp"
"#,
        expected: &[("1:8", "check.x.port", "missing", "port = 443")],
    },
    Case {
        title: "a pool without endpoints",
        text: r#"[pool.ap]
site = "fra"
"#,
        expected: &[("1:7", "pool.ap", "no endpoint", "[pool.ap.endpoint.a]")],
    },
    Case {
        title: "a pool with an empty table of endpoints",
        text: r#"[pool.ap]
endpoint = {}
"#,
        expected: &[("1:7", "pool.ap", "no endpoint", "[pool.ap.endpoint.a]")],
    },
    Case {
        title: "an endpoint without addresses",
        text: r#"[pool.ap.endpoint.a]
weight = 2
"#,
        expected: &[("1:19", "pool.ap.endpoint.a.addresses", "missing", "192.0.2.10")],
    },
    Case {
        title: "an endpoint with an empty list of addresses",
        text: r#"[pool.ap.endpoint.a]
addresses = []
"#,
        expected: &[("2:13", "pool.ap.endpoint.a.addresses", "no address", "192.0.2.10")],
    },
    Case {
        title: "a policy without a kind, used by another and by a name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.p]
targets = ["eu"]
[policy.q]
kind = "failover"
targets = ["p"]
[name.www]
steer = "p"
"#,
        expected: &[("4:9", "policy.p.kind", "missing", "kind = \"failover\"")],
    },
    Case {
        title: "a policy without targets",
        text: r#"[policy.p]
kind = "failover"
"#,
        expected: &[("1:9", "policy.p.targets", "missing", "[\"eu\", \"us\"]")],
    },
    Case {
        title: "a policy with an empty list of targets",
        text: r#"[policy.p]
kind = "failover"
targets = []
"#,
        expected: &[("3:11", "policy.p.targets", "no target", "name pools")],
    },
    Case {
        title: "a weighted policy without weights",
        text: r#"[policy.p]
kind = "weighted"
"#,
        expected: &[("1:9", "policy.p.weights", "missing", "{ world = 95")],
    },
    Case {
        title: "a geo policy without a default",
        text: r#"[policy.p]
kind = "geo"
[[policy.p.rule]]
where = ["country:DE"]
to = "eu"
"#,
        expected: &[("1:9", "policy.p.default", "missing", "default = \"world\"")],
    },
    Case {
        title: "a geo policy without rules",
        text: r#"[policy.p]
kind = "geo"
default = "world"
"#,
        expected: &[(
            "1:9",
            "policy.p.rule",
            "missing",
            "[[policy.p.rule]] with where = [\"continent:EU\"]",
        )],
    },
    Case {
        title: "a networks policy without rules",
        text: r#"[policy.p]
kind = "networks"
default = "world"
"#,
        expected: &[("1:9", "policy.p.rule", "missing", "where = [\"203.0.113.0/24\"]")],
    },
    Case {
        title: "a rule without targets",
        text: r#"[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["country:DE"]
"#,
        expected: &[("4:1", "policy.p.rule[0].to", "missing", "to = \"eu\"")],
    },
    Case {
        title: "a rule for nobody",
        text: r#"[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = []
to = "eu"
"#,
        expected: &[("5:9", "policy.p.rule[0].where", "fits nobody", "take the rule out")],
    },
    Case {
        title: "a rule to nowhere",
        text: r#"[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["country:DE"]
to = []
"#,
        expected: &[("6:6", "policy.p.rule[0].to", "no target", "name pools")],
    },
    Case {
        title: "a rule with an unknown target",
        text: r#"[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["country:DE"]
to = ["eu", "wrold"]
"#,
        expected: &[(
            "6:13",
            "policy.p.rule[0].to",
            "no pool or policy \"wrold\"",
            "did you mean \"world\"?",
        )],
    },
    Case {
        title: "an unknown default",
        text: r#"[policy.p]
kind = "geo"
default = "wrold"
[[policy.p.rule]]
where = ["country:DE"]
to = "eu"
"#,
        expected: &[("3:11", "policy.p.default", "no pool or policy", "did you mean \"world\"?")],
    },
    Case {
        title: "regions that are none",
        text: r#"[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["Germany", "country:UK", "country:de", "country:Germany", "continent:XX", "subdivision:CA", "state:US-CA", "subdivision:US-california", "asn:1"]
to = "eu"
"#,
        expected: &[
            ("5:10", "policy.p.rule[0].where", "\"Germany\" is no region", "continent:EU"),
            ("5:21", "policy.p.rule[0].where", "\"UK\" is no country", "GB"),
            ("5:35", "policy.p.rule[0].where", "\"de\" is no country", "two capitals"),
            ("5:49", "policy.p.rule[0].where", "\"Germany\" is no country", "write \"DE\""),
            ("5:68", "policy.p.rule[0].where", "no continent", "AF, AN, AS"),
            ("5:84", "policy.p.rule[0].where", "no subdivision", "subdivision:US-CA"),
            ("5:102", "policy.p.rule[0].where", "no kind of region", "continent:EU"),
            ("5:117", "policy.p.rule[0].where", "\"california\" is no part", "ISO 3166-2"),
            ("5:146", "policy.p.rule[0].where", "no kind of region", "networks are for kind"),
        ],
    },
    Case {
        title: "networks that are none",
        text: r#"[policy.p]
kind = "networks"
default = "world"
[[policy.p.rule]]
where = ["10.0.0.1/8", "10.0.0.0/33", "asn:AS1", "asn:0", "list:a b", "partners", "country:DE", "::ffff:192.0.2.0/120"]
to = "eu"
"#,
        expected: &[
            ("5:10", "policy.p.rule[0].where", "bits beyond", "10.0.0.0/8"),
            ("5:24", "policy.p.rule[0].where", "not an address or network", "192.0.2.0/24"),
            ("5:39", "policy.p.rule[0].where", "\"AS1\" is no number", "1 to 4294967295"),
            ("5:50", "policy.p.rule[0].where", "\"0\" is no number", "1 to 4294967295"),
            ("5:59", "policy.p.rule[0].where", "no name of a list", "list:NAME"),
            ("5:71", "policy.p.rule[0].where", "\"partners\" is no network", "list:NAME"),
            ("5:83", "policy.p.rule[0].where", "no network", "regions are for kind"),
            ("5:97", "policy.p.rule[0].where", "IPv4 address written as IPv6", "write it as IPv4"),
        ],
    },
    Case {
        title: "one condition in two rules",
        text: r#"[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["country:DE", "country:FR"]
to = "eu"
[[policy.p.rule]]
where = ["country:DE"]
to = "us"
"#,
        expected: &[("8:10", "policy.p.rule.where", "stands in two rules", "take one out")],
    },
    Case {
        title: "an unknown list",
        text: r#"[policy.p]
kind = "networks"
default = "world"
[[policy.p.rule]]
where = ["list:partner"]
to = "eu"
[list.partners]
entries = ["192.0.2.0/24"]
"#,
        expected: &[(
            "5:10",
            "policy.p.rule.where",
            "no list \"partner\"",
            "did you mean \"partners\"?",
        )],
    },
    Case {
        title: "a list of nothing",
        text: r#"[list.x]
"#,
        expected: &[("1:7", "list.x", "nothing is said", "entries =")],
    },
    Case {
        title: "an empty list",
        text: r#"[list.x]
entries = []
"#,
        expected: &[("2:11", "list.x.entries", "empty", "add a network")],
    },
    Case {
        title: "a list of a file and of entries",
        text: r#"[list.x]
file = "x.txt"
entries = ["192.0.2.0/24"]
"#,
        expected: &[("2:1", "list.x.file", "not both", "make two lists")],
    },
    Case {
        title: "a file of networks that is not there",
        text: r#"[list.x]
file = "y.txt"
-- zones/x.txt --
192.0.2.0/24
"#,
        expected: &[("2:8", "list.x.file", "no file \"y.txt\"", "did you mean \"x.txt\"?")],
    },
    Case {
        title: "a file of networks with mistakes",
        text: r#"[list.x]
file = "x.txt"
-- zones/x.txt --
192.0.2.0/24   # fine
192.0.2.1/24
AS
192.0.2.0/24
DE
"#,
        expected: &[
            ("zones/x.txt:2:1", "list.x", "bits beyond", "192.0.2.0/24"),
            ("zones/x.txt:3:1", "list.x", "no number", "1 to"),
            ("zones/x.txt:4:1", "list.x", "stands there twice", "take one out"),
            ("zones/x.txt:5:1", "list.x", "no network", "AS64500"),
        ],
    },
    Case {
        title: "one network in the lists of two rules",
        text: r#"[policy.p]
kind = "networks"
default = "world"
[[policy.p.rule]]
where = ["list:a"]
to = "eu"
[[policy.p.rule]]
where = ["list:b"]
to = "us"
[list.a]
entries = ["192.0.2.0/24"]
[list.b]
entries = ["198.51.100.0/24", "192.0.2.0/24"]
"#,
        expected: &[(
            "8:10",
            "policy.p.rule.where",
            "192.0.2.0/24 is in the list of another rule",
            "the rule that counts",
        )],
    },
    Case {
        title: "a rule that lacks a family",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "p"
[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["country:DE"]
to = "homeless"
"#,
        expected: &[(
            "5:9",
            "name.www.steer",
            "rule 1 of policy \"p\" has no IPv6 address",
            "an address of that family",
        )],
    },
    Case {
        title: "a rule that lacks a family, before one that has it",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "q"
[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["country:DE"]
to = "homeless"
fence = true
[policy.q]
kind = "failover"
targets = ["p", "us"]
"#,
        expected: &[(
            "5:9",
            "name.www.steer",
            "rule 1 of policy \"p\" has no IPv6 address",
            "an address of that family",
        )],
    },
    Case {
        title: "a bias that is neither",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu", "us"]
bias = { eu = "30 miles", us = "20001km" }
"#,
        expected: &[
            ("4:15", "policy.p.bias.eu", "neither a factor nor kilometres", "-20000 to 20000"),
            ("4:32", "policy.p.bias.us", "neither", "300km"),
        ],
    },
    Case {
        title: "cheap without a budget",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu", "us"]
prefer = "cheap"
"#,
        expected: &[("4:10", "policy.p.prefer", "without a budget", "within = \"500km\"")],
    },
    Case {
        title: "a budget for nothing",
        text: r#"[policy.p]
kind = "fastest"
targets = ["eu", "us"]
within = "20ms"
"#,
        expected: &[("4:10", "policy.p.within", "means nothing", "prefer = \"cheap\"")],
    },
    Case {
        title: "a budget of time for a distance",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu", "us"]
prefer = "cheap"
within = "20ms"
"#,
        expected: &[("5:10", "policy.p.within", "no number of km", "\"500km\"")],
    },
    Case {
        title: "a weight of nothing among equals",
        text: r#"[policy.p]
kind = "fastest"
targets = ["eu", "us"]
weights = { eu = 1, us = 0 }
"#,
        expected: &[(
            "4:21",
            "policy.p.weights.us",
            "no meaning among equals",
            "leave the target out",
        )],
    },
    Case {
        title: "a weight of fastest for what is no target",
        text: r#"[policy.p]
kind = "fastest"
targets = ["eu", "us"]
weights = { eus = 1 }
"#,
        expected: &[("4:13", "policy.p.weights", "not a target", "did you mean")],
    },
    Case {
        title: "fastest over a pool without a site",
        text: r#"[policy.p]
kind = "fastest"
targets = ["eu", "homeless"]
"#,
        expected: &[("3:18", "policy.p.targets", "has no site", "add site")],
    },
    Case {
        title: "sticky and a period",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
period = "1h"
sticky = true
"#,
        expected: &[("7:1", "name.www.sticky", "the same thing twice", "keep one")],
    },
    Case {
        title: "warning: a list that nobody uses",
        text: r#"[list.x]
entries = ["192.0.2.0/24"]
[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "homeless"
[name.others]
steer = "world"
"#,
        expected: &[("1:7", "list.x", "no policy uses", "use it")],
    },
    Case {
        title: "warning: a rule that others cover",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "p"
[name.others]
steer = "world"
[name.home]
steer = "homeless"
[policy.p]
kind = "networks"
default = "world"
[[policy.p.rule]]
where = ["10.0.0.0/8"]
to = "eu"
[[policy.p.rule]]
where = ["10.0.0.0/9", "10.128.0.0/10"]
to = "us"
[[policy.p.rule]]
where = ["10.192.0.0/10"]
to = "world"
"#,
        expected: &[(
            "14:10",
            "policy.p.rule[0].where",
            "no client gets here",
            "take the rule out",
        )],
    },
    Case {
        title: "warning: a rule for clients that another rule has taken",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "p"
[name.others]
steer = "world"
[name.home]
steer = "homeless"
[policy.p]
kind = "geo"
default = "world"
[[policy.p.rule]]
where = ["continent:EU"]
to = "q"
[policy.q]
kind = "geo"
default = "us"
[[policy.q.rule]]
where = ["country:CA"]
to = "eu"
[[policy.q.rule]]
where = ["country:DE"]
to = "eu"
"#,
        expected: &[(
            "20:10",
            "policy.q.rule[0].where",
            "no client gets here",
            "take the rule out",
        )],
    },
    Case {
        title: "a name that says nothing",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
"#,
        expected: &[("4:7", "name.www", "nothing is said", "[name.www.records]")],
    },
    Case {
        title: "a latitude of 91",
        text: r#"[site.x]
latitude = 91
longitude = 3
[pool.ap]
site = "x"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:12", "site.x.latitude", "91 is not allowed", "use -90 to 90")],
    },
    Case {
        title: "a latitude that is no number",
        text: r#"[site.x]
latitude = nan
longitude = 3
"#,
        expected: &[("2:12", "site.x.latitude", "nan is not allowed", "use -90 to 90")],
    },
    Case {
        title: "a country of three letters",
        text: r#"[site.x]
latitude = 1
longitude = 3
country = "DEU"
"#,
        expected: &[("4:11", "site.x.country", "not a country code", "two letters")],
    },
    Case {
        title: "a port of 70000 is not a missing port as well",
        text: r#"[check.x]
kind = "tcp"
port = 70000
"#,
        expected: &[("3:8", "check.x.port", "70000 is not allowed", "1 to 65535")],
    },
    Case {
        title: "a weight of 70000",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9"]
weight = 70000
"#,
        expected: &[(
            "3:10",
            "pool.ap.endpoint.a.weight",
            "70000 is not allowed",
            "0 (standby) to 65535",
        )],
    },
    Case {
        title: "a weight of -1",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9"]
weight = -1
"#,
        expected: &[(
            "3:10",
            "pool.ap.endpoint.a.weight",
            "-1 is not allowed",
            "0 (standby) to 65535",
        )],
    },
    Case {
        title: "a weight beyond 64 bits",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9"]
weight = 99999999999999999999
"#,
        expected: &[(
            "3:10",
            "pool.ap.endpoint.a.weight",
            "is not allowed",
            "0 (standby) to 65535",
        )],
    },
    Case {
        title: "a bias of 0",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu", "us"]
bias = { us = 0 }
"#,
        expected: &[("4:15", "policy.p.bias.us", "0 is not allowed", "0.01 to 100")],
    },
    Case {
        title: "no answer at all",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
answers = 0
"#,
        expected: &[("6:11", "name.www.answers", "0 is not allowed", "1 to 8")],
    },
    Case {
        title: "nine answers",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
answers = 9
"#,
        expected: &[("6:11", "name.www.answers", "9 is not allowed", "1 to 8")],
    },
    Case {
        title: "many answers",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
answers = "many"
"#,
        expected: &[(
            "6:11",
            "name.www.answers",
            "\"many\" is not allowed",
            "1 to 8 without quotes, or \"all\"",
        )],
    },
    Case {
        title: "an interval without a unit",
        text: r#"[check.x]
kind = "http"
interval = 10
"#,
        expected: &[("3:12", "check.x.interval", "10 has no unit", "\"10s\"")],
    },
    Case {
        title: "an interval in quotes without a unit; the timeout is judged later",
        text: r#"[check.x]
kind = "http"
interval = "10"
timeout = "15s"
"#,
        expected: &[("3:12", "check.x.interval", "has no unit", "\"10s\"")],
    },
    Case {
        title: "an interval of light years",
        text: r#"[check.x]
kind = "http"
interval = "10 lightyears"
"#,
        expected: &[("3:12", "check.x.interval", "not a duration", "\"10s\"")],
    },
    Case {
        title: "an interval of a day",
        text: r#"[check.x]
kind = "http"
interval = "1d"
"#,
        expected: &[("3:12", "check.x.interval", "not allowed", "\"100ms\" to \"1h\"")],
    },
    Case {
        title: "shedding without a check and a site",
        text: r#"[pool.x]
endpoint.a.addresses = ["192.0.2.7"]
shed = { start = 0.8, full = 1.0 }
"#,
        expected: &[
            ("3:1", "pool.x.shed", "no site", "add site"),
            ("3:1", "pool.x.shed", "no check", "load = \"orca\""),
        ],
    },
    Case {
        title: "shedding by a check that reads no load",
        text: r#"[check.x]
kind = "http"
[pool.x]
site = "fra"
check = "x"
endpoint.a.addresses = ["192.0.2.7"]
shed = { start = 0.8, full = 1.0 }
"#,
        expected: &[("5:9", "pool.x.shed", "reads no load", "load = { json")],
    },
    Case {
        title: "shedding by a check that asks too seldom",
        text: r#"[check.x]
kind = "http"
load = "orca"
interval = "31s"
[pool.x]
site = "fra"
check = "x"
endpoint.a.addresses = ["192.0.2.7"]
shed = { start = 0.8, full = 1.0 }
"#,
        expected: &[("7:9", "pool.x.shed", "asks every 31s", "at most 30s")],
    },
    Case {
        title: "shedding that is at full pace before it starts",
        text: r#"[check.x]
kind = "http"
load = "orca"
[pool.x]
site = "fra"
check = "x"
endpoint.a.addresses = ["192.0.2.7"]
shed = { start = 0.8, full = 0.8 }
"#,
        expected: &[("8:30", "pool.x.shed.full", "before it starts", "more than start, 0.8")],
    },
    Case {
        title: "load that is no pointer",
        text: r#"[check.x]
kind = "http"
load = { json = "load" }
"#,
        expected: &[("3:17", "check.x.load.json", "not a JSON pointer", "begin with \"/\"")],
    },
    Case {
        title: "a timeout longer than the interval",
        text: r#"[check.x]
kind = "http"
interval = "5s"
timeout = "6s"
"#,
        expected: &[(
            "4:11",
            "check.x.timeout",
            "longer than the interval",
            "at most the interval, 5s",
        )],
    },
    Case {
        title: "a timeout longer than the default interval",
        text: r#"[check.x]
kind = "http"
timeout = "11s"
"#,
        expected: &[("3:11", "check.x.timeout", "longer than the interval", "10s")],
    },
    Case {
        title: "a TTL of one second",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
ttl = "1s"
"#,
        expected: &[("6:7", "name.www.ttl", "not allowed", "\"5s\" to \"7d\"")],
    },
    Case {
        title: "a TTL as a number",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
steered_ttl = 30
"#,
        expected: &[("4:15", "zone.steered_ttl", "30 has no unit", "\"30s\"")],
    },
    Case {
        title: "a TTL of half seconds",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
steered_ttl = "7500ms"
"#,
        expected: &[("4:15", "zone.steered_ttl", "whole seconds", "\"7s\"")],
    },
    Case {
        title: "a period of half seconds",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
period = "1500ms"
"#,
        expected: &[("6:10", "name.www.period", "whole seconds", "\"1s\"")],
    },
    Case {
        title: "a panic limit above the default minimum",
        text: r#"[pool.ap]
panic_below = "60%"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:15", "pool.ap.panic_below", "above min_healthy", "at most 50%")],
    },
    Case {
        title: "a half-life that is none",
        text: r#"[check.x]
kind = "http"
damping = false
"#,
        expected: &[("3:11", "check.x.damping", "this is a boolean", "write a text")],
    },
    Case {
        title: "a half-life below a second",
        text: r#"[check.x]
kind = "http"
damping = "500ms"
"#,
        expected: &[("3:11", "check.x.damping", "not allowed", "or \"off\"")],
    },
    Case {
        title: "a way back with a typo",
        text: r#"[pool.ap]
failback = "manuel"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:12", "pool.ap.failback", "not a way back", "did you mean \"manual\"?")],
    },
    Case {
        title: "a ramp without its time",
        text: r#"[pool.ap]
failback = { over = "10m" }
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[
            ("2:1", "pool.ap.failback.ramp", "missing", "10m"),
            ("2:14", "pool.ap.failback.over", "not known", ""),
        ],
    },
    Case {
        title: "a ramp of a second",
        text: r#"[pool.ap]
failback = { ramp = "1s" }
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:21", "pool.ap.failback.ramp", "not allowed", "10s")],
    },
    Case {
        title: "a period of years",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
period = "3y"
"#,
        expected: &[("6:10", "name.www.period", "not a duration", "\"forever\"")],
    },
    Case {
        title: "a kind of check with a typo",
        text: r#"[check.x]
kind = "htps"
[pool.ap]
check = "x"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "check.x.kind", "not a kind of check", "did you mean \"http")],
    },
    Case {
        title: "a status that is no code",
        text: r#"[check.x]
kind = "http"
status = "2xx"
"#,
        expected: &[("3:10", "check.x.status", "not a list of status codes", "200-299, 401")],
    },
    Case {
        title: "a status as a number",
        text: r#"[check.x]
kind = "http"
status = 200
"#,
        expected: &[("3:10", "check.x.status", "this is an integer", "text in double quotes")],
    },
    Case {
        title: "a status range that runs backwards",
        text: r#"[check.x]
kind = "http"
status = "299-200"
"#,
        expected: &[("3:10", "check.x.status", "not a list of status codes", "100 to 599")],
    },
    Case {
        title: "a path without its slash",
        text: r#"[check.x]
kind = "http"
path = "healthz"
"#,
        expected: &[("3:8", "check.x.path", "not a path", "begin with \"/\"")],
    },
    Case {
        title: "a host that is a URL",
        text: r#"[check.x]
kind = "https"
host = "https://www.example.com"
"#,
        expected: &[("3:8", "check.x.host", "not a host name", "www.example.com")],
    },
    Case {
        title: "a body longer than what is read",
        text: "[check.x]\nkind = \"http\"\nbody = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n",
        expected: &[("3:8", "check.x.body", "1025 octets", "1 to 1024")],
    },
    Case {
        title: "an empty body",
        text: r#"[check.x]
kind = "http"
body = ""
"#,
        expected: &[("3:8", "check.x.body", "0 octets", "1 to 1024")],
    },
    Case {
        title: "a jitter above the half",
        text: r#"[check.x]
kind = "http"
jitter = "60%"
"#,
        expected: &[("3:10", "check.x.jitter", "\"60%\" is not allowed", "50%")],
    },
    Case {
        title: "a file of certificates that is not there",
        text: r#"[check.x]
kind = "https"
ca = "own.pem"
-- zones/owm.pem --
x
"#,
        expected: &[("3:6", "check.x.ca", "no file \"own.pem\"", "did you mean \"owm.pem\"?")],
    },
    Case {
        title: "a file of certificates without one",
        text: r#"[check.x]
kind = "https"
ca = "own.pem"
-- zones/own.pem --
-----BEGIN PRIVATE KEY-----
"#,
        expected: &[("3:6", "check.x.ca", "no certificate", "PEM")],
    },
    Case {
        title: "an unknown site",
        text: r#"[pool.ap]
site = "frq"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "pool.ap.site", "no site \"frq\"", "did you mean \"fra\"?")],
    },
    Case {
        title: "an unknown site with nothing near it",
        text: r#"[pool.ap]
site = "singapore"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "pool.ap.site", "no site \"singapore\"", "use one of: fra, iad")],
    },
    Case {
        title: "an unknown check",
        text: r#"[pool.ap]
check = "wbe"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:9", "pool.ap.check", "no check \"wbe\"", "did you mean \"web\"?")],
    },
    Case {
        title: "two IPv4 addresses in one endpoint",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9", "192.0.2.10"]
"#,
        expected: &[(
            "2:27",
            "pool.ap.endpoint.a.addresses",
            "a second IPv4 address",
            "endpoint of its own",
        )],
    },
    Case {
        title: "a multicast address",
        text: r#"[pool.ap.endpoint.a]
addresses = ["224.0.0.1"]
"#,
        expected: &[(
            "2:14",
            "pool.ap.endpoint.a.addresses",
            "nobody can connect to 224.0.0.1",
            "own address",
        )],
    },
    Case {
        title: "an unspecified address",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9", "::"]
"#,
        expected: &[(
            "2:27",
            "pool.ap.endpoint.a.addresses",
            "nobody can connect to ::",
            "own address",
        )],
    },
    Case {
        title: "an address with a port",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9:80"]
"#,
        expected: &[(
            "2:14",
            "pool.ap.endpoint.a.addresses",
            "\"192.0.2.9:80\" is not an address",
            "without port",
        )],
    },
    Case {
        title: "an endpoint's name with a slash",
        text: r#"[pool.ap.endpoint."a/b"]
addresses = ["192.0.2.9"]
"#,
        expected: &[(
            "1:19",
            "pool.ap.endpoint.\"a/b\"",
            "\"a/b\" is not allowed as a name",
            "letters, digits",
        )],
    },
    Case {
        title: "a minimum that is a bare number",
        text: r#"[pool.ap]
min_healthy = "2"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:15", "pool.ap.min_healthy", "\"2\" is not a share", "\"2 members\"")],
    },
    Case {
        title: "a minimum of 120%",
        text: r#"[pool.ap]
min_healthy = "120%"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:15", "pool.ap.min_healthy", "\"120%\" is not allowed", "\"100%\"")],
    },
    Case {
        title: "a minimum above the number of endpoints",
        text: r#"[pool.ap]
min_healthy = "2 members"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[(
            "2:15",
            "pool.ap.min_healthy",
            "has 1 endpoint, fewer than 2",
            "fewer members",
        )],
    },
    Case {
        title: "a panic limit above the minimum",
        text: r#"[pool.ap]
min_healthy = "30%"
panic_below = "40%"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("3:15", "pool.ap.panic_below", "above min_healthy", "at most 30%")],
    },
    Case {
        title: "one pool in two files",
        text: r#"[pool.ap]
endpoint.a.addresses = ["192.0.2.9"]
-- zones/other.toml --
[pool.ap]
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("zones/other.toml:1:7", "pool.ap", "a pool \"ap\" already", "for all files")],
    },
    Case {
        title: "one site in two cases",
        text: r#"[site.FRA]
latitude = 1
longitude = 3
"#,
        expected: &[(
            "zones/shared/base.toml:2:7",
            "site.fra",
            "a site \"FRA\" already",
            "differ in case only",
        )],
    },
    Case {
        title: "a site in another case than it has",
        text: r#"[pool.ap]
site = "FRA"
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:8", "pool.ap.site", "no site \"FRA\"", "did you mean \"fra\"?")],
    },
    Case {
        title: "two endpoints that differ in case only",
        text: r#"[pool.ap]
endpoint.a.addresses = ["192.0.2.9"]
endpoint.A.addresses = ["192.0.2.8"]
"#,
        expected: &[(
            "3:10",
            "pool.ap.endpoint.A",
            "an endpoint \"a\" already",
            "differ in case only",
        )],
    },
    Case {
        title: "a key of an endpoint in its pool",
        text: r#"[pool.ap]
weight = 2
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[(
            "2:1",
            "pool.ap.weight",
            "not known here",
            "it belongs to [pool.NAME.endpoint.NAME]",
        )],
    },
    Case {
        title: "a table of the file inside another table",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[zone.policy.p]
kind = "failover"
targets = ["eu"]
"#,
        expected: &[("4:7", "zone.policy", "not known here", "a table of the file, [policy]")],
    },
    Case {
        title: "months that look like minutes",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
steered_ttl = "5M"
"#,
        expected: &[("4:15", "zone.steered_ttl", "not a duration", "units ms, s, m, h, d or w")],
    },
    Case {
        title: "a percentage without its sign",
        text: r#"[pool.ap]
panic_below = 20
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:15", "pool.ap.panic_below", "20 is not a percentage", "in quotes")],
    },
    Case {
        title: "a word in capitals",
        text: r#"[check.x]
kind = "HTTPS"
"#,
        expected: &[("2:8", "check.x.kind", "not a kind of check", "did you mean \"https\"?")],
    },
    Case {
        title: "keys as others call them are not missed as well",
        text: r#"[site.x]
lat = 1
longitude = 3
[check.x]
type = "http"
[pool.ap]
endpoints.a.addresses = ["192.0.2.9"]
[pool.bp.endpoint.a]
address = "192.0.2.9"
"#,
        expected: &[
            ("2:1", "site.x.lat", "not known", "did you mean \"latitude\"?"),
            ("5:1", "check.x.type", "not known", "did you mean \"kind\"?"),
            ("7:1", "pool.ap.endpoints", "not known", "did you mean \"endpoint\"?"),
            ("9:1", "pool.bp.endpoint.a.address", "not known", "did you mean \"addresses\"?"),
        ],
    },
    Case {
        title: "a number for a share of a pool",
        text: r#"[pool.ap]
min_healthy = 50
endpoint.a.addresses = ["192.0.2.9"]
"#,
        expected: &[("2:15", "pool.ap.min_healthy", "50 is not a percentage", "in quotes")],
    },
    Case {
        title: "yes or no for a word",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
dual_stack = true
"#,
        expected: &[(
            "6:14",
            "name.www.dual_stack",
            "this is a boolean",
            "write \"joint\" or \"independent\"",
        )],
    },
    Case {
        title: "a fraction with a comma",
        text: r#"[site.x]
latitude = 38,95
longitude = 3
"#,
        expected: &[("2:14", "", "after the value", "with a point")],
    },
    Case {
        title: "a pool and a policy of one name",
        text: r#"[policy.eu]
kind = "failover"
targets = ["us"]
"#,
        expected: &[("1:9", "policy.eu", "a pool \"eu\" already", "share their names")],
    },
    Case {
        title: "a kind of policy with a typo",
        text: r#"[policy.p]
kind = "wieghted"
weights = { eu = 1 }
"#,
        expected: &[("2:8", "policy.p.kind", "not a kind of policy", "did you mean \"weighted\"?")],
    },
    Case {
        title: "a target with a typo",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu", "wrold"]
"#,
        expected: &[(
            "3:18",
            "policy.p.targets",
            "no pool or policy \"wrold\"",
            "did you mean \"world\"?",
        )],
    },
    Case {
        title: "a weighted target with a typo",
        text: r#"[policy.p]
kind = "weighted"
weights = { eu = 1, wrold = 2 }
"#,
        expected: &[(
            "3:21",
            "policy.p.weights",
            "no pool or policy \"wrold\"",
            "did you mean \"world\"?",
        )],
    },
    Case {
        title: "a target named twice",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu", "us", "eu"]
"#,
        expected: &[("3:24", "policy.p.targets", "\"eu\" is named twice", "take one out")],
    },
    Case {
        title: "a policy that contains itself",
        text: r#"[policy.p]
kind = "failover"
targets = ["eu", "p"]
"#,
        expected: &[("3:18", "policy.p", "p -> p", "take one")],
    },
    Case {
        title: "three policies in a circle, and one that leads to them",
        text: r#"[policy.a]
kind = "failover"
targets = ["b"]
[policy.b]
kind = "failover"
targets = ["eu", "c"]
[policy.c]
kind = "failover"
targets = ["d"]
[policy.d]
kind = "weighted"
weights = { us = 1, b = 1 }
"#,
        expected: &[("6:18", "policy.b", "b -> c -> d -> b", "take one")],
    },
    Case {
        title: "policies nested ten deep",
        text: r#"[policy.p0]
kind = "failover"
targets = ["p1", "us"]
[policy.p1]
kind = "failover"
targets = ["p2", "us"]
[policy.p2]
kind = "failover"
targets = ["p3", "us"]
[policy.p3]
kind = "failover"
targets = ["p4", "us"]
[policy.p4]
kind = "failover"
targets = ["p5", "us"]
[policy.p5]
kind = "failover"
targets = ["p6", "us"]
[policy.p6]
kind = "failover"
targets = ["p7", "us"]
[policy.p7]
kind = "failover"
targets = ["p8", "us"]
[policy.p8]
kind = "failover"
targets = ["p9", "us"]
[policy.p9]
kind = "failover"
targets = ["eu"]
"#,
        expected: &[("1:9", "policy.p0", "nested 10 deep", "at most 8")],
    },
    Case {
        title: "nearest over a pool without a site",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu", "homeless"]
"#,
        expected: &[(
            "3:18",
            "policy.p.targets",
            "pool \"homeless\" has no site",
            "[pool.homeless]",
        )],
    },
    Case {
        title: "nearest over a policy over a pool without a site",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu", "q"]
[policy.q]
kind = "failover"
targets = ["us", "homeless"]
"#,
        expected: &[(
            "3:18",
            "policy.p.targets",
            "pool \"homeless\" has no site",
            "[pool.homeless]",
        )],
    },
    Case {
        title: "a bias for what is no target",
        text: r#"[policy.p]
kind = "nearest"
targets = ["eu"]
bias = { us = 1.2 }
"#,
        expected: &[("4:10", "policy.p.bias", "\"us\" is not a target", "eu")],
    },
    Case {
        title: "a spill for what is no target",
        text: r#"[policy.p]
kind = "weighted"
weights = { eu = 1, us = 2 }
spill = ["ap"]
"#,
        expected: &[("4:10", "policy.p.spill", "\"ap\" is not a target", "eu, us")],
    },
    Case {
        title: "weights that are all 0",
        text: r#"[policy.p]
kind = "weighted"
weights = { eu = 0, us = 0 }
"#,
        expected: &[("3:11", "policy.p.weights", "above 0", "give one a weight")],
    },
    Case {
        title: "a weight of a target out of range is not a missing weight too",
        text: r#"[policy.p]
kind = "weighted"
weights = { eu = 70000 }
"#,
        expected: &[("3:18", "policy.p.weights.eu", "70000 is not allowed", "65535")],
    },
    Case {
        title: "a name outside its zone",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."www.example.org."]
steer = "eu"
"#,
        expected: &[(
            "4:7",
            "name.\"www.example.org.\"",
            "not in the zone",
            "relative to the zone",
        )],
    },
    Case {
        title: "a label of 64 octets",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]
steer = "eu"
"#,
        expected: &[(
            "4:7",
            "name.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "longer than 63 octets",
            "www",
        )],
    },
    Case {
        title: "a name with two dots in a row",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."a..b"]
steer = "eu"
"#,
        expected: &[("4:7", "name.\"a..b\"", "empty label", "www")],
    },
    Case {
        title: "a tab in a duration",
        text: "[zone]\nname = \"case.test\"\nnameservers = [\"ns1.example.net\"]\nsteered_ttl = \"\t10s\"\n",
        expected: &[("4:15", "zone.steered_ttl", "is not a duration", "whole numbers with units")],
    },
    Case {
        title: "one name twice, in another case",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
[name.WWW]
steer = "us"
"#,
        expected: &[(
            "6:7",
            "name.WWW",
            "www.case.test. has a table already",
            "one table for a name",
        )],
    },
    Case {
        title: "one name twice, with its dot",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
[name."www.case.test."]
steer = "us"
"#,
        expected: &[(
            "6:7",
            "name.\"www.case.test.\"",
            "has a table already",
            "one table for a name",
        )],
    },
    Case {
        title: "an unknown entry",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "wrold"
"#,
        expected: &[(
            "5:9",
            "name.www.steer",
            "no pool or policy \"wrold\"",
            "did you mean \"world\"?",
        )],
    },
    Case {
        title: "steering that is no text is not missing as well",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = ["world"]
"#,
        expected: &[("5:9", "name.www.steer", "this is an array", "text")],
    },
    Case {
        title: "a key of steering without steering",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
ttl = "60s"
records.A = ["192.0.2.1"]
"#,
        expected: &[("5:1", "name.www.ttl", "for steered names only", "record_ttl")],
    },
    Case {
        title: "names in a file without a zone",
        text: r#"[name.www]
steer = "eu"
"#,
        expected: &[("1:7", "name.www", "no zone", "[zone]")],
    },
    Case {
        title: "one zone in two files",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
-- zones/other.toml --
[zone]
name = "CASE.test."
nameservers = ["ns1.example.net"]
"#,
        expected: &[("zones/other.toml:2:8", "zone.name", "case.test. is there twice", "keep one")],
    },
    Case {
        title: "a name server inside the zone without an address",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.sub.case.test"]
"#,
        expected: &[(
            "3:16",
            "zone.nameservers",
            "ns1.sub.case.test. lies in the zone",
            "[name.\"ns1.sub\".records]",
        )],
    },
    Case {
        title: "a name server of one label",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1"]
"#,
        expected: &[("3:16", "zone.nameservers", "not a whole name", "ns1.example.net")],
    },
    Case {
        title: "a contact of one label",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
contact = "hostmaster"
"#,
        expected: &[("4:11", "zone.contact", "not a mailbox", "hostmaster@example.com")],
    },
    Case {
        title: "an unknown pool for when all is down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
on_all_down = { pool = "uss" }
"#,
        expected: &[("6:24", "name.www.on_all_down", "no pool \"uss\"", "did you mean \"us\"?")],
    },
    Case {
        title: "a policy for when all is down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
on_all_down = { pool = "world" }
"#,
        expected: &[("6:24", "name.www.on_all_down", "\"world\" is a policy", "name a pool")],
    },
    Case {
        title: "a pool without the family for when all is down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
on_all_down = { pool = "homeless" }
"#,
        expected: &[("6:24", "name.www.on_all_down", "no IPv6 address", "give the pool one")],
    },
    Case {
        title: "a word for when all is down with a typo",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
on_all_down = "fail-open"
"#,
        expected: &[(
            "6:15",
            "name.www.on_all_down",
            "not what to do",
            "did you mean \"fail_open\"?",
        )],
    },
    Case {
        title: "a number for when all is down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
on_all_down = 1
"#,
        expected: &[("6:15", "name.www.on_all_down", "this is an integer", "\"servfail\"")],
    },
    Case {
        title: "a fence that lacks a family",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[policy.f]
kind = "failover"
fence = true
targets = ["homeless"]
[policy.p]
kind = "failover"
targets = ["f", "us"]
[name.www]
steer = "p"
"#,
        expected: &[(
            "12:9",
            "name.www.steer",
            "policy \"f\" is fenced and has no IPv6",
            "inside the fence",
        )],
    },
    Case {
        title: "a key of choice with a typo",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
key = "clinet"
"#,
        expected: &[("6:7", "name.www.key", "not a key", "did you mean \"client\"?")],
    },
    Case {
        title: "a dual stack with a typo",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
dual_stack = "jiont"
"#,
        expected: &[("6:14", "name.www.dual_stack", "not a way", "did you mean \"joint\"?")],
    },
    Case {
        title: "a steered name below a delegation",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.sub.records]
NS = ["ns1.example.net."]
[name."www.sub"]
steer = "eu"
"#,
        expected: &[("6:7", "name.\"www.sub\"", "sub.case.test. is delegated", "delegated to")],
    },
    Case {
        title: "an alias beside other data",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
CNAME = ["a.example.net."]
TXT = ["x"]
"#,
        expected: &[(
            "5:10",
            "name.www.records.CNAME",
            "is an alias and has other records",
            "stands alone",
        )],
    },
    Case {
        title: "two aliases of one name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
CNAME = ["a.example.net.", "b.example.net."]
"#,
        expected: &[(
            "5:10",
            "name.www.records.CNAME",
            "is an alias and has other records",
            "stands alone",
        )],
    },
    Case {
        title: "an alias at the apex",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
CNAME = ["a.example.net."]
"#,
        expected: &[(
            "5:10",
            "name.\"@\".records.CNAME",
            "is an alias and has other records",
            "stands alone",
        )],
    },
    Case {
        title: "an alias that is steered",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
records.CNAME = ["a.example.net."]
"#,
        expected: &[("6:18", "name.www.records.CNAME", "is an alias and is steered", "keep one")],
    },
    Case {
        title: "an address beside steering",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
records.A = ["192.0.2.1"]
"#,
        expected: &[("6:14", "name.www.records.A", "is steered and has A records", "into a pool")],
    },
    Case {
        title: "one record twice",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
A = ["192.0.2.1", "192.0.2.1"]
"#,
        expected: &[("5:19", "name.www.records.A", "twice", "take one out")],
    },
    Case {
        title: "an SOA among records",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
SOA = ["a b 1 1 1 1 1"]
"#,
        expected: &[("5:1", "name.\"@\".records.SOA", "made from [zone]", "take it out")],
    },
    Case {
        title: "an unknown record type",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
MXX = ["10 a."]
"#,
        expected: &[("5:1", "name.www.records.MXX", "\"MXX\" is not a record type", "MX")],
    },
    Case {
        title: "an MX without its preference",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
MX = ["mail.example.com."]
"#,
        expected: &[(
            "5:8",
            "name.www.records.MX",
            "is not a preference of 0 to 65535",
            "write it as in 10",
        )],
    },
    Case {
        title: "an MX without its name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
MX = ["10"]
"#,
        expected: &[("5:10", "name.www.records.MX", "a name is missing", "host.example.com.")],
    },
    Case {
        title: "an MX with a word too many, in the second text",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
MX = ["10 a.example.net.", "20 b.example.net. x"]
"#,
        expected: &[("5:47", "name.www.records.MX", "nothing after its last field", "take it out")],
    },
    Case {
        title: "a TXT with a quote that never ends",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
TXT = ['"v=spf1']
"#,
        expected: &[("5:9", "name.www.records.TXT", "never closed", "close it")],
    },
    Case {
        title: "a TXT that would be cut at its semicolon",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
TXT = ["v=DKIM1; k=rsa"]
"#,
        expected: &[("5:16", "name.www.records.TXT", "semicolon", "put quotes around")],
    },
    Case {
        title: "a TXT of 256 octets",
        text: "[zone]\nname = \"case.test\"\nnameservers = [\"ns1.example.net\"]\n[name.www.records]\nTXT = ['\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"']\n",
        expected: &[("5:9", "name.www.records.TXT", "at most 255 octets", "split it")],
    },
    Case {
        title: "two records in one text",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
MX = ["""10 a.example.net.
20 b.example.net."""]
"#,
        expected: &[("5:7", "name.www.records.MX", "a second line", "one text for each")],
    },
    Case {
        title: "an SRV with a bad port",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."_x._tcp".records]
SRV = ["1 2 99999 a.example.net."]
"#,
        expected: &[("5:13", "name.\"_x._tcp\".records.SRV", "not a port of 0 to 65535", "443")],
    },
    Case {
        title: "a CAA without its value",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
CAA = ["0 issue"]
"#,
        expected: &[("5:16", "name.\"@\".records.CAA", "a value is missing", "letsencrypt.org")],
    },
    Case {
        title: "a CAA with a flag beyond an octet",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
CAA = ["300 issue \"ca.example.net\""]
"#,
        expected: &[("5:8", "name.\"@\".records.CAA", "not a flag byte", "128")],
    },
    Case {
        title: "an A with a bad address",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.a.records]
A = ["192.0.2.256"]
"#,
        expected: &[("5:7", "name.a.records.A", "not an IPv4 address", "192.0.2.1")],
    },
    Case {
        title: "a file of records that is not there",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
records = "case.records"
"#,
        expected: &[("4:11", "zone.records", "no file \"case.records\"", "folder")],
    },
    Case {
        title: "a mistake in a file of records",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
records = "case.records"
-- zones/case.records --
www A 192.0.2.1 x
@ SOA a b 1 1 1 1 1
www.example.org. A 192.0.2.1
"#,
        expected: &[
            ("zones/case.records:1:17", "", "nothing after", "take it out"),
            ("zones/case.records:2:1", "", "made from [zone]", "take it out"),
            ("zones/case.records:3:1", "", "not in the zone", "own zone"),
        ],
    },
    Case {
        title: "warning: a TXT that falls apart",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "world"
records.TXT = ["v=spf1 -all"]
"#,
        expected: &[
            ("6:16", "name.www.records.TXT", "2 strings", "put quotes around"),
            ("zones/shared/base.toml:19:7", "pool.homeless", "no name leads", "use it"),
        ],
    },
    Case {
        title: "warning: a name with the zone's own at its end",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."www.case.test"]
steer = "world"
"#,
        expected: &[
            ("4:7", "name.\"www.case.test\"", "this is www.case.test.case.test.", "leave"),
            ("zones/shared/base.toml:19:7", "pool.homeless", "no name leads", "use it"),
        ],
    },
    Case {
        title: "warning: a target without its dot",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
MX = ["10 mail.example.com"]
[name.www]
steer = "world"
"#,
        expected: &[
            (
                "5:7",
                "name.\"@\".records.MX",
                "mail.example.com.case.test., which is not there",
                "with a dot",
            ),
            ("zones/shared/base.toml:19:7", "pool.homeless", "no name leads", "use it"),
        ],
    },
    Case {
        title: "warning: TOML that editors refuse",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name]
a = { steer = "homeless",
      ttl = "30s" }
www = { steer = "world", }
"#,
        expected: &[("5:26", "", "over several lines is TOML 1.1", "on one line")],
    },
    Case {
        title: "warning: a slow TTL",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
steered_ttl = "1h"
[name.www]
steer = "world"
ttl = "10m"
[name.a]
steer = "homeless"
"#,
        expected: &[
            ("4:15", "zone.steered_ttl", "slow", "60s"),
            ("7:7", "name.www.ttl", "slow", "60s"),
        ],
    },
    Case {
        title: "warning: two endpoints with one address",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.ap]
endpoint.a.addresses = ["192.0.2.9"]
endpoint.b.addresses = ["192.0.2.9"]
[name.www]
steer = "world"
[name.a]
steer = "homeless"
[name.b]
steer = "ap"
"#,
        expected: &[(
            "6:25",
            "pool.ap.endpoint.b.addresses",
            "192.0.2.9 is an address of \"a\" too",
            "its own",
        )],
    },
    Case {
        title: "a fault in a file of records is not followed by another",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.case.test"]
records = "case.records"
-- zones/case.records --
ns1 A x
"#,
        expected: &[("zones/case.records:1:7", "", "not an IPv4 address", "192.0.2.1")],
    },
    Case {
        title: "a faulty address of a name server is not missing",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.case.test"]
[name.ns1.records]
A = ["192.0.2.300"]
"#,
        expected: &[("5:7", "name.ns1.records.A", "not an IPv4 address", "192.0.2.1")],
    },
    Case {
        title: "a steered name below a DNAME at the apex",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
DNAME = ["other.test."]
[name.www]
steer = "world"
"#,
        expected: &[("6:7", "name.www", "case.test. is a DNAME", "keep one")],
    },
    Case {
        title: "an endpoint that is two things",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9"]
cname = "a.example.net"
"#,
        expected: &[("3:1", "pool.ap.endpoint.a.cname", "one thing", "keep one")],
    },
    Case {
        title: "a CNAME endpoint with a typo",
        text: r#"[pool.ap.endpoint.a]
cnmae = "a.example.net"
"#,
        expected: &[("2:1", "pool.ap.endpoint.a.cnmae", "not known", r#"did you mean "cname"?"#)],
    },
    Case {
        title: "an alias that is no host",
        text: r#"[pool.ap.endpoint.a]
alias = "localhost"
"#,
        expected: &[("2:9", "pool.ap.endpoint.a.alias", "no name of a host", "whole name")],
    },
    Case {
        title: "an alias that is no name",
        text: r#"[pool.ap.endpoint.a]
alias = "a..example.net"
"#,
        expected: &[("2:9", "pool.ap.endpoint.a.alias", "", "whole name")],
    },
    Case {
        title: "an SRV endpoint without its port",
        text: r#"[pool.ap.endpoint.a]
srv = { target = "a.example.net" }
"#,
        expected: &[("2:1", "pool.ap.endpoint.a.srv.port", "missing", "5060")],
    },
    Case {
        title: "an SRV endpoint on port 0",
        text: r#"[pool.ap.endpoint.a]
srv = { target = "a.example.net", port = 0 }
"#,
        expected: &[("2:42", "pool.ap.endpoint.a.srv.port", "not allowed", "65535")],
    },
    Case {
        title: "addresses and names in one pool",
        text: r#"[pool.ap.endpoint.a]
addresses = ["192.0.2.9"]
[pool.ap.endpoint.b]
cname = "b.example.net"
"#,
        expected: &[("3:19", "pool.ap.endpoint.b", "answers with CNAME records", "alias")],
    },
    Case {
        title: "addresses and names under one name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.names.endpoint.a]
cname = "a.example.net"
[policy.mix]
kind = "failover"
targets = ["eu", "names"]
[name.www]
steer = "mix"
"#,
        expected: &[("4:7", "name.www.steer", "the name leads to both", "alias")],
    },
    Case {
        title: "a pool of names for when all is down",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.names.endpoint.a]
cname = "a.example.net"
[name.www]
steer = "eu"
on_all_down = { pool = "names" }
"#,
        expected: &[(
            "8:24",
            "name.www.on_all_down",
            "CNAME records, but the name with addresses",
            "alias",
        )],
    },
    Case {
        title: "a CNAME at the apex by steering",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.names.endpoint.a]
cname = "a.example.net"
[name."@"]
steer = "names"
"#,
        expected: &[("6:7", r#"name."@""#, "is the zone itself", "alias")],
    },
    Case {
        title: "a record beside a steered CNAME",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.names.endpoint.a]
cname = "a.example.net"
[name.www]
steer = "names"
[name.www.records]
TXT = ["x"]
"#,
        expected: &[("9:8", "name.www.records.TXT", "has a TXT record", "stands alone")],
    },
    Case {
        title: "an SRV record beside steered ones",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[pool.names.endpoint.a]
srv = { target = "a.example.net", port = 1 }
[name.www]
steer = "names"
[name.www.records]
SRV = ["0 0 1 b.example.net."]
"#,
        expected: &[(
            "9:8",
            "name.www.records.SRV",
            "is steered and has SRV records",
            "into a pool",
        )],
    },
    Case {
        title: "a name server that is steered to a CNAME",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.case.test"]
[pool.names.endpoint.a]
cname = "a.example.net"
[name.ns1]
steer = "names"
"#,
        expected: &[("3:16", "zone.nameservers", "has no address", "")],
    },
    Case {
        title: "hints that follow what has no addresses",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
HTTPS = ["1 . ipv4hint=auto"]
"#,
        expected: &[("5:10", "name.www.records.HTTPS", "addresses of www.case.test.", "steered")],
    },
    Case {
        title: "hints that follow another server's name",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www.records]
HTTPS = ["1 cdn.example.net. ipv6hint=auto"]
"#,
        expected: &[("5:10", "name.www.records.HTTPS", "addresses of cdn.example.net.", "steered")],
    },
    Case {
        title: "hints that must be there and may not be",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
[name.www.records]
HTTPS = ["1 . mandatory=ipv4hint ipv4hint=auto"]
"#,
        expected: &[("7:15", "name.www.records.HTTPS", "auto may leave it out", "take it out")],
    },
    Case {
        title: "hints of a record that only leads on",
        text: r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "eu"
[name.www.records]
HTTPS = ["0 www.case.test. ipv4hint=auto"]
"#,
        expected: &[("7:10", "name.www.records.HTTPS", "priority 0", "priority of 1")],
    },
];

/// Mistakes in `case.test.zone`.
pub const MASTER_FILES: &[Case] = &[
    Case {
        title: "words after the last field",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www A 192.0.2.1 192.0.2.2
"#,
        expected: &[("3:17", "", "nothing after its last field", "take it out")],
    },
    Case {
        title: "an owner outside the zone",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www.example.org. A 192.0.2.1
"#,
        expected: &[("3:1", "", "not in the zone", "its own zone")],
    },
    Case {
        title: "no SOA",
        text: r#"@ NS ns1.example.net.
www A 192.0.2.1
"#,
        expected: &[("1:1", "", "no SOA record", "begin with")],
    },
    Case {
        title: "an SOA with a fault is not missing",
        text: r#"@ SOA ns1 host 1 1 1 x 1
@ NS ns1.example.net.
"#,
        expected: &[("1:22", "", "expire is not a time", "1h30m")],
    },
    Case {
        title: "no NS",
        text: r#"@ SOA ns1 host 1 1 1 1 1
www A 192.0.2.1
"#,
        expected: &[("1:1", "", "no NS record", "@ NS ns1")],
    },
    Case {
        title: "an NS with a fault is not missing",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS
"#,
        expected: &[("2:5", "", "a name is missing", "host.example.com.")],
    },
    Case {
        title: "a parenthesis that is never closed",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www TXT ( "a"
b A 192.0.2.1
"#,
        expected: &[("3:9", "", "never closed", "close it")],
    },
    Case {
        title: "a quote that is never closed",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www TXT "a
b A 192.0.2.1
"#,
        expected: &[("3:9", "", "never closed", "same line")],
    },
    Case {
        title: "two SOAs",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
@ SOA ns1 host 1 1 1 1 1
"#,
        expected: &[("3:1", "", "a second SOA", "keep one")],
    },
    Case {
        title: "a class that is not served",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www CH TXT "a"
"#,
        expected: &[("3:5", "", "only class IN", "IN")],
    },
    Case {
        title: "a type that cannot be written",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www NAPTER 1 2
"#,
        expected: &[("3:5", "", "\"NAPTER\" is not a record type", "RFC 3597")],
    },
    Case {
        title: "a directive that is not known",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
$UNKNOWN other
"#,
        expected: &[(
            "3:1",
            "",
            "$UNKNOWN is not known",
            "use $ORIGIN, $TTL, $INCLUDE or $GENERATE",
        )],
    },
    Case {
        title: "a file to include that is not there",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
$INCLUDE other
"#,
        expected: &[(
            "3:10",
            "",
            "there is no file \"other\"",
            "write a path from the folder of this file",
        )],
    },
    Case {
        title: "a zone that includes itself",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
$INCLUDE case.test.zone
"#,
        expected: &[("3:10", "", "this file includes itself", "take one $INCLUDE out")],
    },
    Case {
        title: "a range that runs backwards",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
$GENERATE 9-1 h$ A 192.0.2.$
"#,
        expected: &[("3:11", "", "not a range", "first-last")],
    },
    Case {
        title: "a generated address that is none",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
$GENERATE 250-300 h$ A 192.0.2.$
"#,
        expected: &[("3:11", "", "for 256, \"h256 A 192.0.2.256\"", "write it as in 192.0.2.1")],
    },
    Case {
        title: "two TTLs",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www 60 70 A 192.0.2.1
"#,
        expected: &[("3:8", "", "\"70\" is not a record type", "such as A")],
    },
    Case {
        title: "a delegation without glue",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
sub NS ns.sub
"#,
        expected: &[("3:1", "", "whose address is not here", "glue")],
    },
    Case {
        title: "two DNAMEs",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www DNAME a.test.
www DNAME b.test.
"#,
        expected: &[("4:1", "", "two DNAME records", "keep one")],
    },
    Case {
        title: "a DNAME at a delegation",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www NS ns.example.net.
www DNAME b.test.
"#,
        expected: &[("4:1", "", "is delegated and has a DNAME", "RFC 6672")],
    },
    Case {
        title: "a name server that is an alias",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
@ NS www
www CNAME a.test.
"#,
        expected: &[("3:1", "", "is an alias", "RFC 2181")],
    },
    Case {
        title: "a record without a type",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www 300
"#,
        expected: &[("3:8", "", "ends before its type", "owner, TTL, type")],
    },
    Case {
        title: "a blank before the first owner",
        text: r#"  SOA ns1 host 1 1 1 1 1
"#,
        expected: &[("1:3", "", "no owner", "start the line")],
    },
    Case {
        title: "a name server without an address",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1
"#,
        expected: &[("2:1", "", "ns1.case.test. lies in the zone", "ns1 A")],
    },
    Case {
        title: "an alias beside other data",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
www A 192.0.2.1
www CNAME a.example.net.
"#,
        expected: &[("4:1", "", "is an alias", "stands alone")],
    },
    Case {
        title: "a TTL beyond 31 bits",
        text: r#"@ SOA ns1 host 1 1 1 1 1
@ NS ns1.example.net.
$TTL 9999999999
"#,
        expected: &[("3:6", "", "not a time", "1h30m")],
    },
    Case {
        title: "a wrong time after a byte order mark",
        text: "\u{feff}@ SOA ns1 host 1 1 1 1 1\n@ NS ns1.example.net.\nwww A x\n",
        expected: &[("3:7", "", "not an IPv4 address", "192.0.2.1")],
    },
];

/// Mistakes in `rhumb.toml`.
pub const NODE_FILES: &[Case] = &[
    Case {
        title: "a cluster without anything",
        text: "[cluster]\n",
        expected: &[
            ("1:2", "cluster.name", "this key is missing", "prod"),
            ("1:2", "cluster.node", "this key is missing", "fra-1"),
            ("1:2", "cluster.listen", "this key is missing", "[::]:7653"),
            ("1:2", "cluster.key", "this key is missing", "cluster.key"),
            ("1:2", "cluster.peer", "this key is missing", "node = "),
            ("1:2", "cluster", "the site of this node is not named", "add site to [server]"),
        ],
    },
    Case {
        title: "pushed files that no restart would find",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
listen = "[::]:7653"
key = "k"
bundles = true
[[cluster.peer]]
node = "sin-1"
site = "sin"
address = "203.0.113.5:7653"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
"#,
        expected: &[("8:11", "cluster.bundles", "no folder in which pushed files", "[state]")],
    },
    Case {
        title: "names, addresses and pins of a cluster that are none",
        text: r#"[server]
site = "fra"
[cluster]
name = "Prod"
node = "fra 1"
listen = "7653"
key = "k"
anchors = []
withdraw = ["hook", "-x"]
[[cluster.peer]]
node = "sin.1"
address = "sin-1.example.net:7653"
pins = ["sha256:AAAA", "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"]
site = "sin 1"
role = "observer"
"#,
        expected: &[
            ("4:8", "cluster.name", "is not allowed as a name of a node or cluster", "a-z"),
            ("5:8", "cluster.node", "is not allowed as a name of a node or cluster", "a-z"),
            ("6:10", "cluster.listen", "is not an address with a port", "127.0.0.1"),
            ("8:11", "cluster.anchors", "no address is named", "192.0.2.53:443"),
            ("9:13", "cluster.withdraw", "is no whole path of a program", "begin with \"/\""),
            ("11:8", "cluster.peer[0].node", "is not allowed as a name", "a-z"),
            ("12:11", "cluster.peer[0].address", "is not an address with a port", "127.0.0.1"),
            ("13:9", "cluster.peer[0].pins", "\"sha256:AAAA\" is not a pin", "rhumb cluster pin"),
            ("13:24", "cluster.peer[0].pins", "is not a pin", "rhumb cluster pin"),
            ("14:8", "cluster.peer[0].site", "is not allowed as a name", "letters"),
            ("15:8", "cluster.peer[0].role", "is not a role", "server"),
        ],
    },
    Case {
        title: "peers that are this node, have one name, one key or one address, or too many keys",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
listen = "[::]:7653"
key = "k"
[[cluster.peer]]
node = "fra-1"
address = "192.0.2.1:7653"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
site = "fra"
[[cluster.peer]]
node = "sin-1"
address = "192.0.2.1:7653"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw", "ed25519:_FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU"]
site = "sin"
[[cluster.peer]]
node = "sin-1"
pins = []
site = "sin"
"#,
        expected: &[
            ("9:8", "cluster.peer[0].node", "is this node itself", "take this peer out"),
            ("11:64", "cluster.peer[0].pins", "named twice", "take one out"),
            ("15:11", "cluster.peer[1].address", "two peers have the address", "each peer its own"),
            ("16:8", "cluster.peer[1].pins", "there are 3 keys", "one, or two"),
            ("16:9", "cluster.peer[1].pins", "two peers have this key", "rhumb cluster keygen"),
            ("19:8", "cluster.peer[2].node", "two peers are named", "a name of its own"),
            ("20:8", "cluster.peer[2].pins", "there are 0 keys", "one, or two"),
        ],
    },
    Case {
        title: "an agent that is dialled, and dials nobody",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
role = "agent"
listen = "[::]:7653"
key = "k"
[[cluster.peer]]
node = "sin-1"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
site = "sin"
"#,
        expected: &[
            ("7:1", "cluster.listen", "an agent is dialled by nobody", "take it out"),
            ("9:11", "cluster.peer", "nobody to dial", "add address"),
        ],
    },
    Case {
        title: "an agent with an address",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
listen = "[::]:7653"
key = "k"
[[cluster.peer]]
node = "sin-1"
address = "192.0.2.7:7653"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
site = "sin"
role = "agent"
"#,
        expected: &[(
            "10:1",
            "cluster.peer[0].address",
            "an agent is dialled by nobody",
            "take its address out",
        )],
    },
    Case {
        title: "warning: a server that knows no address",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
listen = "[::]:7653"
key = "k"
[[cluster.peer]]
node = "sin-1"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
site = "sin"
"#,
        expected: &[("8:1", "cluster.peer", "no peer has an address", "add addresses")],
    },
    Case {
        title: "a bus that cannot be found",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
key = "k"
[cluster.nats]
servers = ["nats://192.0.2.9:4222", "192.0.2.9", "nats-1:4222", "nats-1:4222"]
ca = "ca.pem"
cert = "nats.pem"
[[cluster.peer]]
node = "sin-1"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
site = "sin"
"#,
        expected: &[
            ("7:10", "cluster.nats.key", "this key is missing", "nats.key"),
            ("8:12", "cluster.nats.servers", "is not a host with a port", "TLS is always spoken"),
            ("8:37", "cluster.nats.servers", "is not a host with a port", "192.0.2.9:4222"),
            ("8:65", "cluster.nats.servers", "nats-1:4222 is named twice", "take one out"),
            ("10:1", "cluster.nats.cert", "this key is not known here", "certificate"),
        ],
    },
    Case {
        title: "warning: a node that is dialled though a bus carries everything",
        text: r#"[server]
site = "fra"
[cluster]
name = "prod"
node = "fra-1"
listen = "[::]:7653"
key = "k"
[cluster.nats]
servers = ["192.0.2.9:4222"]
ca = "ca.pem"
certificate = "nats.pem"
key = "nats.key"
[[cluster.peer]]
node = "sin-1"
address = "192.0.2.7:7653"
pins = ["ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
site = "sin"
"#,
        expected: &[
            ("6:1", "cluster.listen", "nobody dials this node", "take it out"),
            ("13:1", "cluster.peer", "this address is not dialled", "take address out"),
        ],
    },
    Case {
        title: "folders of programs that are none",
        text: "[probe]\nexec = [\"plugins\", \"/\", \"/opt/../bin\"]\n",
        expected: &[
            ("2:9", "probe.exec", "no whole path", "begin with \"/\""),
            ("2:20", "probe.exec", "no whole path", "do not name the root"),
            ("2:25", "probe.exec", "no whole path", "without \"..\""),
        ],
    },
    Case {
        title: "broken syntax",
        text: r#"[server
listen = ["[::]:53"]
"#,
        expected: &[("1:8", "", "header is never closed", "]")],
    },
    Case {
        title: "state without a folder, and a history of a minute",
        text: r#"[state]
history = "1m"
history_megabytes = 1
"#,
        expected: &[
            ("1:2", "state.folder", "missing", "/var/lib/rhumb"),
            ("2:11", "state.history", "not allowed", "1h"),
            ("3:21", "state.history_megabytes", "not allowed", "10"),
        ],
    },
    Case {
        title: "an unknown table",
        text: r#"[servers]
"#,
        expected: &[("1:2", "servers", "not known", "did you mean \"server\"?")],
    },
    Case {
        title: "an unknown key",
        text: r#"[server]
listen_on = ["[::]:53"]
listen = ["[::]:53"]
identiy = "x"
"#,
        expected: &[
            ("2:1", "server.listen_on", "not known", "listen"),
            ("4:1", "server.identiy", "not known", "did you mean \"identity\"?"),
        ],
    },
    Case {
        title: "an address without a port",
        text: r#"[server]
listen = ["127.0.0.1:53", "127.0.0.1"]
"#,
        expected: &[("2:27", "server.listen", "not an address with a port", "\"0.0.0.0:53\"")],
    },
    Case {
        title: "an address said twice",
        text: r#"[server]
listen = ["[::]:53", "[::]:53"]
"#,
        expected: &[("2:22", "server.listen", "[::]:53 is named twice", "take one out")],
    },
    Case {
        title: "no address",
        text: r#"[server]
listen = []
"#,
        expected: &[("2:10", "server.listen", "no address", "listen =")],
    },
    Case {
        title: "one address that is no list",
        text: r#"[server]
listen = "0.0.0.0:53"
"#,
        expected: &[("2:10", "server.listen", "this is a string", "list of texts")],
    },
    Case {
        title: "a site that no table can be named",
        text: r#"[server]
site = "Frankfurt am Main"
"#,
        expected: &[("2:8", "server.site", "is not allowed as a name", "1 to 63 letters")],
    },
    Case {
        title: "no worker",
        text: r#"[server]
workers = 0
"#,
        expected: &[("2:11", "server.workers", "0 is not allowed", "1 to 256")],
    },
    Case {
        title: "an identity too long",
        text: "[server]\nidentity = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n",
        expected: &[("2:12", "server.identity", "129 octets", "at most 128")],
    },
    Case {
        title: "networks that are none",
        text: "[explain]\nfull = [\"192.0.2.300\", \"ops.example\", \"192.0.2.0/33\"]\n",
        expected: &[
            ("2:9", "explain.full", "\"192.0.2.300\" is not an address or network", "192.0.2.0/24"),
            (
                "2:24",
                "explain.full",
                "\"ops.example\" is not an address or network",
                "192.0.2.0/24",
            ),
            (
                "2:39",
                "explain.full",
                "\"192.0.2.0/33\" is not an address or network",
                "192.0.2.0/24",
            ),
        ],
    },
    Case {
        title: "networks with bits beyond their prefix, as IPv6 that is IPv4, and twice",
        text: "[explain]\nredacted = [\"192.0.2.1/24\", \"::ffff:192.0.2.1\", \"10.0.0.1\", \"10.0.0.1/32\"]\n",
        expected: &[
            (
                "2:13",
                "explain.redacted",
                "bits beyond its prefix",
                "did you mean \"192.0.2.0/24\"?",
            ),
            ("2:29", "explain.redacted", "an IPv4 address written as IPv6", "write it as IPv4"),
            ("2:61", "explain.redacted", "named twice", "take one out"),
        ],
    },
    Case {
        title: "a number for a folder",
        text: r#"[config]
zones = 7
"#,
        expected: &[("2:9", "config.zones", "this is an integer", "text in double quotes")],
    },
    Case {
        title: "one database that is no list",
        text: r#"[geo]
databases = "city.mmdb"
"#,
        expected: &[("2:13", "geo.databases", "this is a string", "list of texts")],
    },
    Case {
        title: "databases with an unknown shape, without a file, and as a number",
        text: r#"[geo]
databases = [{ file = "a.mmdb", shape = "ipinfo-light" }, { shape = "flat" }, 7, "ok.mmdb"]
overlays = "feed.csv"
"#,
        expected: &[
            ("2:41", "geo.databases[0].shape", "is not a shape of records", "ipinfo-lite"),
            ("2:59", "geo.databases[1].file", "this key is missing", "geodb/city.mmdb"),
            ("2:79", "geo.databases[2]", "this is an integer", "text in double quotes"),
            ("3:12", "geo.overlays", "this is a string", "list of texts"),
        ],
    },
    Case {
        title: "round-trip times without a folder, from pages that are no origins",
        text: "[rtt]\nbuild = 1\nwindow = \"1s\"\norigins = [\"www.example.com\", \"https://Shop.test/\"]\n",
        expected: &[
            ("1:2", "rtt.folder", "this key is missing", "rtt"),
            ("2:9", "rtt.build", "this is an integer", "true"),
            ("3:10", "rtt.window", "", "1m"),
            ("4:12", "rtt.origins", "is not an origin", "https://www.example.com"),
            ("4:31", "rtt.origins", "is not an origin", "https://www.example.com"),
        ],
    },
    Case {
        title: "warning: handshakes to a site without a name",
        text: "[rtt]\nfolder = \"rtt\"\nbuild = true\nhandshakes = true\n",
        expected: &[("4:14", "rtt.handshakes", "nobody knows to which site", "[server] site")],
    },
    Case {
        title: "an address for posts that is none",
        text: "[rtt]\nfolder = \"rtt\"\nbuild = true\nlisten = \"8054\"\n",
        expected: &[("4:10", "rtt.listen", "is not an address with a port", "127.0.0.1")],
    },
    Case {
        title: "warning: an address for posts where no table is made",
        text: "[rtt]\nfolder = \"rtt\"\nlisten = \"127.0.0.1:8054\"\n",
        expected: &[("3:10", "rtt.listen", "makes no table", "build = true")],
    },
    Case {
        title: "warning: handshakes where no table is made",
        text: "[server]\nsite = \"fra\"\n[rtt]\nfolder = \"rtt\"\nhandshakes = true\n",
        expected: &[("5:14", "rtt.handshakes", "makes no table", "build = true")],
    },
    Case {
        title: "an admin address without a port",
        text: r#"[admin]
listen = "localhost"
"#,
        expected: &[("2:10", "admin.listen", "not an address with a port", "127.0.0.1:8053")],
    },
    Case {
        title: "keys of zone files",
        text: r#"[site.fra]
latitude = 1
"#,
        expected: &[("1:2", "site", "not known", "server, config, geo, admin")],
    },
    Case {
        title: "probes that may not be made",
        text: "[probe]\nrate = 0\nper_address = 5\nin_flight = \"many\"\n",
        expected: &[
            ("2:8", "probe.rate", "", "1"),
            ("3:1", "probe.per_address", "not known", r#"did you mean "rate_per_address"?"#),
            ("4:13", "probe.in_flight", "this is a string", "whole number"),
        ],
    },
    Case {
        title: "names resolved again sooner than they may be",
        text: r#"[resolver]
min_refresh = "10s"
max_refresh = "5s"
"#,
        expected: &[("3:15", "resolver.max_refresh", "below min_refresh", "raise")],
    },
    Case {
        title: "a resolver without its port",
        text: r#"[resolver]
servers = ["192.0.2.53"]
"#,
        expected: &[("2:12", "resolver.servers", "not an address with a port", "0.0.0.0:53")],
    },
    Case {
        title: "a resolver of another name",
        text: r#"[resolver]
nameserver = ["192.0.2.53:53"]
"#,
        expected: &[("2:1", "resolver.nameserver", "not known", r#"did you mean "servers"?"#)],
    },
];

/// Texts that load without a word about them.
pub const FINE: &[&str] = &[
    r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.www]
steer = "world"
records.TXT = ['"v=spf1 -all"', "plain", '"a" "b"']
"#,
    r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."@".records]
MX = ["10 mail"]
[name.mail.records]
A = ["192.0.2.1"]
[name.a.records]
CNAME = ["x.wild"]
[name."*.wild".records]
A = ["192.0.2.1"]
"#,
    r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name."www.case.test."]
steer = "world"
"#,
    r#"[zone]
name = "case.test"
nameservers = ["ns1.case.test"]
[name.ns1]
steer = "world"
"#,
    r#"[zone]
name = "case.test"
nameservers = ["ns1.example.net"]
[name.sub.records]
NS = ["ns1.sub"]
[name."ns1.sub".records]
A = ["192.0.2.1"]
"#,
    "\u{feff}[zone]\r\nname = \"case.test\"\r\nnameservers = [\"ns1.example.net\"]\r\n",
    "",
    r#"# nothing
"#,
];

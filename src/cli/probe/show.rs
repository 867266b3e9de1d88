//! The report of `rhumb probe` for people.

use std::time::Duration;

use crate::cli::output::print;
use crate::cli::probe::places::NameReport;
use crate::cli::probe::report::Node;
use crate::cli::probe::report::Outcome;
use crate::cli::probe::report::ProbeTold;
use crate::cli::probe::report::Report;
use crate::cli::probe::server::Word;
use crate::cli::status::ago;
use crate::config::duration::spell;

/// Lines of what a backend said that are shown.
const LINES_MAX: usize = 20;

/// Characters of such a line.
const LINE_MAX: usize = 120;

pub(super) fn show(report: &Report) {
    text(report).lines().for_each(print);
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Passes => "PASSES",
            Self::Fails => "FAILS",
            Self::Unknown => "NOT KNOWN",
        }
    }
}

fn text(report: &Report) -> String {
    let Report { endpoint, check, outcome: _, name, targets, server } = report;
    let mut text = String::new();
    if let Some(name) = name {
        add_name(&mut text, endpoint, name);
    }
    for target in targets {
        let word = target.tree.outcome.word();
        text += &format!("{endpoint} at {}, check {check}: {word}\n", target.address);
        add_node(&mut text, &target.tree, 1);
    }
    if targets.is_empty() {
        text += &format!("{endpoint}: NOT KNOWN, it has no address to probe\n");
    }
    if !server.is_empty() {
        line(&mut text, 1, "server", server);
    }
    text
}

fn add_name(text: &mut String, endpoint: &str, name: &NameReport) {
    let NameReport { name, dns_ms, addresses, refused, error } = name;
    let known: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let known = if known.is_empty() { "no address".to_owned() } else { known.join(", ") };
    *text += &format!("{endpoint} is {name}, resolved in {dns_ms:.1} ms: {known}\n");
    for (address, why) in refused {
        let why = format!("{address} is refused: {why}; [resolver] allow lets it in");
        line(text, 1, "REFUSED", &why);
    }
    if let Some(why) = error {
        line(text, 1, "dns", why);
    }
}

fn line(text: &mut String, depth: usize, label: &str, value: &str) {
    let indent = "  ".repeat(depth);
    *text += &format!("{indent}{label:<10} {value}\n");
}

fn add_node(text: &mut String, node: &Node, depth: usize) {
    let Node { check: _, kind, outcome: _, wants, probe, parts, server } = node;
    if let Some(probe) = probe {
        add_probe(text, kind, probe, depth);
    } else if parts.is_empty() {
        let why = "reports come to the running server, so that there is nothing to probe; it is as that has it";
        line(text, depth, "said", why);
    } else {
        line(text, depth, "wants", wants);
    }
    if let Some(server) = server {
        line(text, depth, "server", &word(server));
    }
    for part in parts {
        let indent = "  ".repeat(depth);
        *text += &format!("{indent}{} ({}): {}\n", part.check, part.kind, part.outcome.word());
        add_node(text, part, depth + 1);
    }
}

fn add_probe(text: &mut String, kind: &str, probe: &ProbeTold, depth: usize) {
    let source = probe.source.map(|source| format!(", from {source}")).unwrap_or_default();
    line(text, depth, "asks", &format!("{}{source}", probe.asks));
    line(text, depth, "wants", &probe.wants.join("; "));
    line(text, depth, "said", &probe.said);
    for (position, place) in probe.redirects.iter().enumerate() {
        line(text, depth, if position == 0 { "redirected" } else { "" }, &format!("to {place}"));
    }
    let mut phases: Vec<String> =
        probe.phases_ms.named().map(|(name, ms)| format!("{name} {ms:.1} ms")).collect();
    let timeout = spell(Duration::from_millis(probe.timeout_ms));
    phases.push(format!("total {:.1} ms of {timeout}", probe.total_ms));
    line(text, depth, "phases", &phases.join(", "));
    let mut received: Vec<String> = Vec::new();
    received.extend(probe.status.map(|status| format!("status {status}")));
    received.extend(probe.certificate_days_left.map(|days| match days {
        ..=-1 => "a certificate that has expired".to_owned(),
        1 => "a certificate with 1 day left".to_owned(),
        days => format!("a certificate with {days} days left"),
    }));
    if probe.received_octets > 0 {
        received.push(format!("{} octets", probe.received_octets));
    }
    let received = if received.is_empty() { "nothing".to_owned() } else { received.join(", ") };
    if kind != "file" && kind != "push" {
        line(text, depth, "received", &received);
    }
    let lines: Vec<&str> = probe.received.lines().collect();
    for one in lines.iter().take(LINES_MAX) {
        let shown: String = one.chars().take(LINE_MAX).collect();
        let more = if shown.len() < one.len() { "..." } else { "" };
        line(text, depth, "", &format!("| {shown}{more}"));
    }
    if lines.len() > LINES_MAX {
        line(text, depth, "", "| ...");
    }
    if let Some(slow) = slow(probe) {
        line(text, depth, "degraded", &slow);
    }
}

/// The level of slowness that this probe alone speaks for.
fn slow(probe: &ProbeTold) -> Option<String> {
    let (level, left) = (probe.degraded_level?, probe.weight_left_percent?);
    let next = probe.slower_than_ms.map(|ms| spell(Duration::from_millis(ms)));
    Some(match (level, next) {
        (0, Some(next)) => format!("no, level 1 begins above {next}"),
        (level, Some(next)) => {
            format!("level {level}, {left} % of the weight; the next begins above {next}")
        }
        (level, None) => format!("level {level}, {left} % of the weight"),
    })
}

fn word(word: &Word) -> String {
    let Word { verdict, since_s, last, probes, degraded, order } = word;
    let since = since_s
        .map(|since| format!(" for {}", humantime::format_duration(Duration::from_secs(since))));
    let last = last.as_deref().unwrap_or("not probed yet");
    let mut text =
        format!("{verdict}{}; last: {last}{}", since.unwrap_or_default(), ago(probes.as_ref()));
    for more in [degraded, order].into_iter().filter(|more| !more.is_empty()) {
        text += &format!("; {more}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::cli::probe::report::Node;
    use crate::cli::probe::report::Outcome;
    use crate::cli::probe::report::PhasesMs;
    use crate::cli::probe::report::ProbeTold;
    use crate::cli::probe::report::Report;
    use crate::cli::probe::report::TargetReport;

    fn told() -> ProbeTold {
        ProbeTold {
            asks: "GET http://shop.test/ at 192.0.2.1:80".into(),
            wants: vec!["status 200-299".into(), "\"ok\" in the body".into()],
            port: 80,
            source: Some("192.0.2.9".parse().unwrap()),
            said: "status 503, wanted 200-299".into(),
            phases_ms: PhasesMs {
                connect: Some(1.25),
                first_byte: Some(30.0),
                ..PhasesMs::default()
            },
            total_ms: 31.5,
            timeout_ms: 2000,
            status: Some(503),
            certificate_days_left: None,
            redirects: vec!["http://shop.test/x at 192.0.2.1:80".into()],
            received_octets: 30,
            received: "HTTP/1.1 503 X\n\nsorry".into(),
            degraded_level: None,
            weight_left_percent: None,
            slower_than_ms: None,
        }
    }

    fn node(outcome: Outcome, probe: Option<ProbeTold>, parts: Vec<Node>) -> Node {
        let (check, kind) = ("web".into(), "http");
        Node { check, kind, outcome, wants: "1 of 1".into(), probe, parts, server: None }
    }

    fn report(tree: Node) -> Report {
        Report {
            endpoint: "eu/a".into(),
            check: "web".into(),
            outcome: tree.outcome,
            name: None,
            targets: vec![TargetReport { address: "192.0.2.1".parse().unwrap(), tree }],
            server: "no server at /run/rhumb.sock: nothing is there".into(),
        }
    }

    #[test]
    fn a_failure_is_told_with_all_that_led_to_it() {
        let wanted = "\
eu/a at 192.0.2.1, check web: FAILS
  asks       GET http://shop.test/ at 192.0.2.1:80, from 192.0.2.9
  wants      status 200-299; \"ok\" in the body
  said       status 503, wanted 200-299
  redirected to http://shop.test/x at 192.0.2.1:80
  phases     connect 1.2 ms, first byte 30.0 ms, total 31.5 ms of 2s
  received   status 503, 30 octets
             | HTTP/1.1 503 X
             | 
             | sorry
  server     no server at /run/rhumb.sock: nothing is there
";
        assert_eq!(text(&report(node(Outcome::Fails, Some(told()), Vec::new()))), wanted);
    }

    #[test]
    fn a_long_answer_is_cut_and_a_level_is_told() {
        let slow = ProbeTold {
            received: "x\n".repeat(100),
            degraded_level: Some(1),
            weight_left_percent: Some(50),
            slower_than_ms: Some(1000),
            ..told()
        };
        let text = text(&report(node(Outcome::Passes, Some(slow), Vec::new())));
        assert_eq!(text.matches("| x").count(), 20);
        assert!(
            text.contains(
                "| ...\n  degraded   level 1, 50 % of the weight; the next begins above 1s\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn parts_stand_below_their_whole() {
        let part = node(Outcome::Passes, Some(told()), Vec::new());
        let silent = node(Outcome::Unknown, None, Vec::new());
        let text = text(&report(node(Outcome::Passes, None, vec![part, silent])));
        assert!(text.contains("\n  web (http): PASSES\n    asks       GET"), "{text}");
        assert!(text.contains("\n  web (http): NOT KNOWN\n    said       reports come"), "{text}");
    }
}

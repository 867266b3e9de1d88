//! What an operator sees for each mistake: the place, the key, the fault, the remedy, and nothing besides.

#[path = "mistakes/table.rs"]
mod table;

use rhumb::config;
use rhumb::config::Files;
use rhumb::config::Problem;
use rhumb::config::Problems;
use rhumb::config::Severity;
use rhumb::config::SourceFile;
use rhumb::config::node::load_node;
use rhumb::config::render;
use table::Case;

/// Sites, checks, pools and a policy that the cases use.
const BASE: &str = r#"
[site.fra]
latitude = 50.11
longitude = 8.68
[site.iad]
latitude = 38.95
longitude = -77.45

[check.web]
kind = "http"

[pool.eu]
site = "fra"
check = "web"
endpoint.a.addresses = ["192.0.2.1", "2001:db8::1"]
[pool.us]
site = "iad"
endpoint.a.addresses = ["198.51.100.1", "2001:db8:1::1"]
[pool.homeless]
endpoint.a.addresses = ["203.0.113.1"]

[policy.world]
kind = "nearest"
targets = ["eu", "us"]
"#;

/// The files of a case: its own, those below `-- NAME --` lines, and [`BASE`].
fn files(text: &str) -> Files {
    let mut files = vec![SourceFile::new("zones/shared/base.toml", BASE)];
    let (mut name, mut lines) = ("zones/case.toml", String::new());
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
            Some(next) => {
                files.push(SourceFile::new(name, &lines));
                (name, lines) = (next, String::new());
            }
            None => lines.push_str(line),
        }
    }
    files.push(SourceFile::new(name, &lines));
    Files::new(files)
}

/// `line:col` in the case's own file, `file:line:col` elsewhere.
fn place(files: &Files, problem: &Problem) -> String {
    let file = files.get(problem.place.file);
    let at = render::line_column(&file.text, problem.place.span.start);
    let place = format!("{}:{}", at.line, at.column);
    match &*file.name {
        "zones/case.toml" | "zones/case.test.zone" | "rhumb.toml" => place,
        other => format!("{other}:{place}"),
    }
}

/// Errors of a case; warnings only if there is no error, since they are for files that load.
fn shown(problems: &Problems) -> Vec<&Problem> {
    let errors: Vec<_> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    if errors.is_empty() { problems.iter().collect() } else { errors }
}

/// What is wrong with the report of a case; empty if nothing is.
fn judge(case: &Case, files: &Files, problems: &Problems) -> Vec<String> {
    let shown = shown(problems);
    let mut complaints = Vec::new();
    if shown.len() != case.expected.len() {
        complaints.push(format!("{} problems, not {}", shown.len(), case.expected.len()));
    }
    for (problem, &(at, key, fault, remedy)) in shown.iter().zip(case.expected) {
        let fits = place(files, problem) == at
            && problem.key == key
            && problem.fault.contains(fault)
            && problem.remedy.contains(remedy);
        if !fits {
            complaints.push(format!("not at {at} {key}: {fault}; {remedy}"));
        }
    }
    if !complaints.is_empty() {
        complaints.insert(0, format!("# {}", case.title));
        complaints.push(render::for_people(files, problems, false));
        complaints.extend(shown.iter().map(|problem| render::one_line(files, problem)));
    }
    complaints
}

#[track_caller]
fn judge_all(cases: &[Case], load: impl Fn(&str) -> (Files, Problems)) {
    let mut complaints = Vec::new();
    for case in cases {
        let (files, problems) = load(case.text);
        complaints.extend(judge(case, &files, &problems));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_mistake_in_zone_files_is_shown_once_where_it_is() {
    judge_all(table::ZONE_FILES, |text| {
        let files = files(text);
        let (model, problems) = config::load(&files);
        assert_eq!(model.is_none(), problems.has_errors());
        (files, problems)
    });
}

#[test]
fn every_mistake_in_master_files_is_shown_once_where_it_is() {
    judge_all(table::MASTER_FILES, |text| {
        let files = Files::new(vec![SourceFile::new("zones/case.test.zone", text)]);
        let (_, problems) = config::load(&files);
        (files, problems)
    });
}

#[test]
fn every_mistake_in_rhumb_toml_is_shown_once_where_it_is() {
    judge_all(table::NODE_FILES, |text| {
        let (node, problems, files) = load_node(&SourceFile::new("rhumb.toml", text));
        assert_eq!(node.is_none(), problems.has_errors());
        (files, problems)
    });
}

#[test]
fn what_almost_looks_like_a_mistake_loads() {
    for text in table::FINE {
        let files = files(text);
        let (model, problems) = config::load(&files);
        let own = problems.iter().filter(|p| &*files.get(p.place.file).name == "zones/case.toml");
        let own: Vec<_> = own.map(|problem| render::one_line(&files, problem)).collect();
        assert!(model.is_some() && own.is_empty(), "{text}\n{own:?}");
    }
}

#[test]
fn problems_of_all_files_come_at_once_in_the_order_of_files_and_lines() {
    let text = "[pool.ap]\nsite = \"sin\"\ncheck = \"wbe\"\nendpoint.a.addresses = [\"192.0.2.300\"]\n\
                -- zones/b.toml --\n[zone]\nname = \"b.test\"\nnameservers = [\"ns1.example.net\"]\n\
                [name.www]\nsteer = \"wrold\"\nttl = 30\n\
                -- zones/c.toml --\n[zone\n\
                -- zones/d.test.zone --\n@ SOA ns1 host 1 1 1 1 1\n@ NS ns1.example.net.\nwww A x\n";
    let files = files(text);
    let (_, problems) = config::load(&files);
    let places: Vec<_> = problems.iter().map(|problem| place(&files, problem)).collect();
    assert_eq!(
        places,
        [
            "zones/b.toml:5:9",
            "zones/b.toml:6:7",
            "zones/c.toml:1:6",
            "2:8",
            "3:9",
            "4:25",
            "zones/d.test.zone:3:7"
        ]
    );
    let meant = self::files(&text.replace("[zone\n", "[pool.wrold\n"));
    let (_, problems) = config::load(&meant);
    let places: Vec<_> = problems.iter().map(|problem| place(&meant, problem)).collect();
    assert!(
        !places.contains(&"zones/b.toml:5:9".to_owned()) && places.contains(&"2:8".to_owned()),
        "a name that stands in a file with broken syntax is not missed: {places:?}"
    );
    let sound = self::files(&text.replace("[zone\n", "\n"));
    let (_, problems) = config::load(&sound);
    let places: Vec<_> = problems.iter().map(|problem| place(&sound, problem)).collect();
    assert_eq!(
        places,
        ["zones/b.toml:5:9", "zones/b.toml:6:7", "2:8", "3:9", "4:25", "zones/d.test.zone:3:7"]
    );
}

#[test]
fn a_zone_file_that_is_included_by_a_detour_is_no_zone() {
    let head = "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1.example.net.\n";
    for path in ["part.zone", "./part.zone", "../zones/part.zone", "shared/.././part.zone"] {
        let whole = format!("{head}$INCLUDE {path}\n");
        let files = vec![
            SourceFile::new("zones/case.test.zone", &whole),
            SourceFile::new("zones/part.zone", "www A 192.0.2.1\n"),
        ];
        let (model, problems) = config::load(&Files::new(files));
        assert!(problems.is_empty(), "{path}: {:?}", problems.iter().next());
        assert_eq!(model.expect("it has no problem").zones.len(), 1, "{path}");
    }
}

#[test]
fn one_record_that_no_message_can_hold_is_refused() {
    let head = "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1.example.net.\n";
    let texts = format!("\"{}\" ", "x".repeat(255));
    let load = |count| {
        let text = format!("{head}www TXT {}\n", texts.repeat(count));
        config::load(&Files::new(vec![SourceFile::new("zones/case.test.zone", &text)])).1
    };
    assert!(load(249).is_empty());
    let problems = load(255);
    let problem = problems.iter().next().expect("it is 65,280 octets long");
    assert!(problem.fault.contains("do not fit a message"), "{}", problem.fault);
}

#[test]
fn one_line_is_what_editors_jump_to() {
    let files = files("[pool.ap.endpoint.fra-2]\naddresses = [\"192.0.2.9\"]\nweight = 70000\n");
    let (_, problems) = config::load(&files);
    let lines: Vec<_> = problems.iter().map(|problem| render::one_line(&files, problem)).collect();
    assert_eq!(
        lines,
        ["zones/case.toml:3:10: pool.ap.endpoint.fra-2.weight: 70000 is not allowed; \
          use 0 (standby) to 65535"]
    );
}

#[test]
fn what_a_file_says_cannot_steer_a_terminal_or_a_log() {
    let files =
        files("[pool.ap]\nsite = \"a\\nb\\u001b[2J\"\nendpoint.a.addresses = [\"192.0.2.9\"]\n");
    let (_, problems) = config::load(&files);
    let problem = problems.iter().next().expect("there is no such site");
    let line = render::one_line(&files, problem);
    let shown = render::for_people(&files, &problems, false);
    assert!(line.contains(r#"no site "a\nb\u{1b}[2J""#), "{line}");
    assert!(!line.contains('\n') && !shown.contains('\u{1b}'), "{line}{shown}");
}

/// The column of the first caret in a rendered problem, from 1, counted in the shown source line.
fn caret(text: &str) -> (String, usize) {
    let files = files(text);
    let (_, problems) = config::load(&files);
    assert_eq!(problems.iter().filter(|p| p.severity == Severity::Error).count(), 1, "{text}");
    let shown = render::for_people(&files, &problems, false);
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().position(|line| line.contains('^')).expect("a caret is drawn");
    let bar = |line: &str| line.chars().position(|c| c == '|').expect("a bar is drawn");
    let (source, carets) = (lines[at - 1], lines[at]);
    assert_eq!(bar(source), bar(carets), "{shown}");
    let column = carets.chars().position(|c| c == '^').expect("checked") - bar(carets) - 1;
    (source.chars().skip(bar(source) + 1).skip(column).collect(), column)
}

#[test]
fn the_caret_stands_under_the_mistake() {
    let text = "[site.x]\nlatitude = 91\nlongitude = 0\n";
    for text in [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.replace("latitude", "\tlatitude").replace("= 91", "=\t91"),
        text.replace("latitude = 91\n", "country = \"DE\" # Zürich ≠ 東京\nlatitude = 91\n"),
    ] {
        assert!(caret(&text).0.trim_end().starts_with("91"), "{text:?} {:?}", caret(&text));
    }
    let text = "[zone]\nname = \"a.test\"\nnameservers = [\"ns1.example.net\"]\n\
                name = { }\n";
    assert!(caret(text).0.starts_with("name"), "{:?}", caret(text));
    let text = "policy.x = { kind = \"failover\", fence = false, targets = [\"eu\", \"häuser\"] }";
    assert_eq!(caret(text).0.chars().next(), Some('"'));
}

#[test]
fn columns_count_characters_not_octets() {
    let cases = [
        ("policy.x = { kind = \"failover\", targets = [\"häüß\", 7] }", 52),
        ("\tpolicy.x = { kind = \"failover\", targets = [\"eu\", 7] }", 51),
    ];
    for (text, column) in cases {
        let files = files(text);
        let (_, problems) = config::load(&files);
        let places: Vec<_> = problems.iter().map(|problem| place(&files, problem)).collect();
        assert!(places.contains(&format!("1:{column}")), "{places:?}");
    }
    let at = render::line_column("é\r\nü = x\r\n", "é\r\nü = ".len());
    assert_eq!((at.line, at.column), (2, 5));
    let end = render::line_column("a\n", 99);
    assert_eq!((end.line, end.column), (2, 1));
}

#[test]
fn unknown_names_are_missed_whatever_else_is_wrong_beside_them() {
    let text = "[policy.p]\nkind = \"nearest\"\ntargets = [\"nowhere\"]\nprefer = \"cheep\"\n\
                [policy.q]\nkind = \"geo\"\ndefault = \"lost\"\n\
                rule = [{ where = [\"continent:XX\"], to = [\"gone\", \"lost\"] }]\n\
                [policy.r]\nkind = \"wieghted\"\nweights = { away = 1 }\n\
                [policy.s]\nkind = \"networks\"\ndefault = \"p\"\n\
                rule = [{ where = [\"list:pals\", \"nonsense\"], to = \"p\" }]\n\
                -- zones/b.toml --\n[zone]\nname = 5\nnameservers = [\"ns1.example.net\"]\n\
                [name.www]\nsteer = \"elsewhere\"\n";
    let files = files(text);
    let (_, problems) = config::load(&files);
    let mut missed: Vec<_> = problems.iter().filter(|one| one.rule.id == "unknown-name").collect();
    missed.sort_by_key(|one| (one.place.file, one.place.span.start));
    let missed: Vec<_> = missed.iter().map(|one| (&*one.key, &*one.fault)).collect();
    assert_eq!(
        missed,
        [
            ("name.www.steer", "there is no pool or policy \"elsewhere\""),
            ("policy.p.targets", "there is no pool or policy \"nowhere\""),
            ("policy.q.default", "there is no pool or policy \"lost\""),
            ("policy.q.rule", "there is no pool or policy \"gone\""),
            ("policy.r.weights", "there is no pool or policy \"away\""),
            ("policy.s.rule", "there is no list \"pals\""),
        ]
    );
}

#[test]
fn a_duplicate_shows_both_files_to_people_and_to_machines() {
    let text = "[pool.ap]\nendpoint.a.addresses = [\"192.0.2.8\"]\n\
                -- zones/other.toml --\n\n[pool.ap]\nendpoint.a.addresses = [\"192.0.2.9\"]\n";
    let files = files(text);
    let (_, problems) = config::load(&files);
    let shown = render::for_people(&files, &problems, false);
    for part in ["--> zones/other.toml:2:7", "zones/case.toml:1:7", "the first is here"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let json = serde_json::to_value(render::for_machines(&files, &problems)).unwrap();
    let expected = serde_json::json!([{
        "severity": "error",
        "rule": "duplicate-name",
        "file": "zones/other.toml",
        "line": 2,
        "column": 7,
        "key": "pool.ap",
        "fault": "there is a pool \"ap\" already",
        "remedy": "choose another; names hold for all files",
        "also": { "file": "zones/case.toml", "line": 1, "column": 7, "what": "the first is here" },
    }]);
    assert_eq!(json, expected);
}

//! Kinds that are told what is up: `exec`, `push` and `file`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use rhumb::model::Check;
use rhumb::model::CheckKind;
use rhumb::model::ExecCheck;
use rhumb::model::FileCheck;
use rhumb::model::PushCheck;
use rhumb::model::Verdict;
use rhumb::runtime::probe::ProbeReport;
use rhumb::runtime::probe::Refused;
use sha2::Digest;
use sha2::Sha256;

use crate::Bench;
use crate::check;
use crate::first;
use crate::first_said;
use crate::said;
use crate::target;

fn nowhere() -> SocketAddr {
    "192.0.2.7:0".parse().unwrap()
}

fn running(words: &[&str]) -> CheckKind {
    CheckKind::Exec(ExecCheck { command: words.iter().map(|word| Box::from(*word)).collect() })
}

fn shell(script: &str) -> CheckKind {
    running(&["/bin/sh", "-c", script])
}

#[tokio::test]
async fn a_command_passes_if_it_ends_with_0_and_its_first_line_is_told() {
    assert_eq!(first_said(shell("true"), nowhere()).await, "ok");
    let nagios = shell("echo; echo 'OK - 3 replicas | x=3'; echo more");
    assert_eq!(first_said(nagios, nowhere()).await, "ok, OK - 3 replicas | x=3");
    let failed = first_said(shell("echo 'CRITICAL - disk' >&2; exit 2"), nowhere()).await;
    assert_eq!(failed, "command ended with 2: CRITICAL - disk");
    assert_eq!(first_said(shell("kill -9 $$"), nowhere()).await, "command was killed");
}

#[tokio::test]
async fn a_command_knows_its_endpoint_and_nothing_of_the_server() {
    let words = [
        "/bin/sh",
        "-c",
        "echo $0 $1 $RHUMB_ADDRESS $RHUMB_ENDPOINT $HOME.",
        "{address}",
        "x={endpoint}",
    ];
    let said = first_said(running(&words), nowhere()).await;
    assert_eq!(said, "ok, 192.0.2.7 x=pool/0 192.0.2.7 pool/0 .");
    // What is put in stays one word, whatever is in it.
    let said = first_said(running(&["/bin/echo", "{endpoint}; id", "$(id)"]), nowhere()).await;
    assert_eq!(said, "ok, pool/0; id $(id)");
}

#[tokio::test]
async fn a_command_out_of_time_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", mark.display());
    let mut late = check(shell(&script), 0);
    late.timeout = Duration::from_millis(500);
    late.interval = Duration::from_secs(3600);
    let report = first(late, nowhere()).await;
    assert_eq!(said(&report), "timed out after 500ms, running the command");
    let pid = std::fs::read_to_string(&mark).unwrap();
    let status = format!("/proc/{}/status", pid.trim());
    let is_alive = || match std::fs::read_to_string(&status) {
        Ok(text) => !text.contains("State:\tZ"),
        Err(_) => false,
    };
    let begun = std::time::Instant::now();
    while is_alive() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the sleep outlives its probe");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_command_that_floods_its_output_costs_64_kib() {
    let report = first(check(shell("yes OK; exit 0"), 0), nowhere()).await;
    // `yes` ends when nobody hears it any more.
    assert_eq!(said(&report), "ok, OK");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_no_fault_of_the_endpoint() {
    let report = first(check(running(&["/nowhere/check"]), 0), nowhere()).await;
    assert!(report.result.outcome.unwrap_err().is_local());
    assert_eq!(report.flip, None);
}

fn file(path: &Path, silence: Option<Duration>) -> Check {
    let path = path.to_str().unwrap().into();
    check(CheckKind::File(FileCheck { path, silence }), 0)
}

/// Puts a text in place at once, as a program that is careful does.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// The first report that differs from what a text begins with.
async fn until(bench: &mut Bench, is_it: impl Fn(&ProbeReport) -> bool) -> ProbeReport {
    loop {
        let report = bench.next().await;
        if is_it(&report) {
            return report;
        }
    }
}

#[tokio::test]
async fn a_file_is_followed_as_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("states");
    write(&path, "pool/0 up all is well\n");
    let mut bench = Bench::start(vec![target(file(&path, None), nowhere())]);
    assert_eq!(said(&bench.next().await), "ok, all is well");
    write(&path, "pool/0 down disk\n* up\n");
    let down = until(&mut bench, |report| report.flip == Some(Verdict::Down)).await;
    assert_eq!(said(&down), "down by file: disk");
    // Half a file says nothing, and what is known stays.
    write(&path, "pool/0 up\npool/1 u");
    let spoilt = until(&mut bench, |report| said(report).contains("line 2")).await;
    assert_eq!((spoilt.flip, spoilt.verdict), (None, Verdict::Down));
    std::fs::remove_file(&path).unwrap();
    let gone = until(&mut bench, |report| said(report).contains("No such file")).await;
    assert_eq!((gone.flip, gone.verdict), (None, Verdict::Down));
    write(&path, "192.0.2.7 up\n");
    assert_eq!(until(&mut bench, |report| report.flip.is_some()).await.verdict, Verdict::Up);
    write(&path, "192.0.2.8 up\n");
    let missing = until(&mut bench, |report| said(report).contains("no line for pool/0")).await;
    assert_eq!(missing.verdict, Verdict::Up);
}

#[tokio::test]
async fn a_file_that_nobody_writes_any_more_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("states");
    write(&path, "* up\n");
    let written = SystemTime::now() - Duration::from_secs(600);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    let failed = said(&first(file(&path, Some(Duration::from_secs(300))), nowhere()).await);
    assert!(failed.contains("states is 10m") && failed.ends_with("old, at most 5m"), "{failed}");
    assert_eq!(said(&first(file(&path, Some(Duration::from_secs(900))), nowhere()).await), "ok");
}

#[tokio::test]
async fn reports_count_for_a_time_and_then_silence_is_a_failure() {
    let silence = Duration::from_millis(300);
    let tokens = vec![Sha256::digest("secret").into()];
    let push = check(CheckKind::Push(PushCheck { tokens, silence }), 0);
    let mut bench = Bench::start(vec![target(push, nowhere())]);
    let waiting = bench.next().await;
    assert_eq!(said(&waiting), "no report yet, waiting 300ms");
    assert_eq!(waiting.verdict, Verdict::Unknown, "nobody is blamed for what was not heard");
    let report = |bench: &Bench, token: &str, is_up: bool| {
        bench.prober.board().report("check", "pool/0", token, is_up, Some("build 7"))
    };
    assert_eq!(report(&bench, "guess", true), Err(Refused::Forbidden));
    report(&bench, "secret", true).unwrap();
    let up = until(&mut bench, |report| report.flip.is_some()).await;
    assert_eq!((up.verdict, said(&up)), (Verdict::Up, "ok, reported: build 7".into()));
    report(&bench, "secret", false).unwrap();
    let down = until(&mut bench, |report| report.flip.is_some()).await;
    assert_eq!(said(&down), "reported down: build 7");
    report(&bench, "secret", true).unwrap();
    until(&mut bench, |report| report.flip == Some(Verdict::Up)).await;
    let silent = until(&mut bench, |report| report.flip.is_some()).await;
    assert_eq!(said(&silent), "no report for more than 300ms");
}

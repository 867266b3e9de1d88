//! Runs the operator's hook that withdraws this node from where clients are led to it, or announces it again.
//!
//! Does not know when that is right: `control` does. What was ordered last is done, and tried again until it is done. The
//! program runs in a process group of its own, without the server's environment; what is left of the group is killed.

use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::control::cluster::withdrawal::HookReport;
use crate::control::cluster::withdrawal::Presence;
use crate::runtime::cluster::counters::Counters;

/// How long the program may run.
pub(super) const RUN_MAX: Duration = Duration::from_secs(30);

/// Rests after failures in a row: the last one stays.
const RESTS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// Octets of what the program says that are read.
const SAID_MAX: usize = 4096;

/// Characters of it that are told.
const TOLD_MAX: usize = 200;

/// Runs of the hook, all since the start.
#[derive(Debug, Default)]
pub struct Runs {
    /// That did what they were asked for.
    pub passed: AtomicU64,
    /// That did not.
    pub failed: AtomicU64,
}

/// Kills a process group when it is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be over already, which is all that is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Does what is ordered, for ever.
pub(super) async fn run(
    command: Box<[Box<str>]>,
    mut orders: watch::Receiver<Option<Presence>>,
    reports: watch::Sender<Option<HookReport>>,
    runs: &Runs,
) {
    let Some((program, arguments)) = command.split_first() else {
        return std::future::pending().await;
    };
    let (mut done, mut failures) = (None, 0);
    loop {
        let order = *orders.borrow_and_update();
        let Some(presence) = order.filter(|_| order != done) else {
            match orders.changed().await {
                Ok(()) => continue,
                Err(_) => return std::future::pending().await,
            }
        };
        let outcome = timeout(RUN_MAX, once(program, arguments, presence)).await;
        let late = || Err(format!("has not ended after {} s and was killed", RUN_MAX.as_secs()));
        let fault = outcome.unwrap_or_else(|_| late()).err();
        Counters::count(if fault.is_none() { &runs.passed } else { &runs.failed });
        let text = |why: &String| format!("{program} {}: {why}", presence.order());
        let fault = fault.as_ref().map(text);
        if let Some(why) = &fault {
            tracing::debug!(target: "rhumb::cluster", %why, "the hook failed");
        }
        let is_done = fault.is_none();
        reports.send_replace(Some(HookReport { presence, fault: fault.map(Into::into) }));
        if is_done {
            (done, failures) = (order, 0);
            continue;
        }
        // Half done is nothing that is known.
        done = None;
        let rest = RESTS[failures.min(RESTS.len() - 1)];
        failures += 1;
        // Another order is done at once.
        if let Ok(Ok(())) = timeout(rest, orders.changed()).await {
            failures = 0;
        }
    }
}

/// Runs the program once; what went wrong, if anything did.
async fn once(program: &str, arguments: &[Box<str>], presence: Presence) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(arguments.iter().map(|word| &**word))
        .arg(presence.order())
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let _group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (mut said, mut stderr) = (Vec::new(), child.stderr.take());
    let status = loop {
        // A program that says too much is heard no further, and may end by that.
        if said.len() >= SAID_MAX {
            stderr = None;
        }
        tokio::select! {
            biased;
            piece = hear(&mut stderr) => said.extend(piece),
            // Not the end of its output: a program that it leaves behind could keep that open.
            status = child.wait() => break status.map_err(|error| error.to_string())?,
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|one| !one.is_control()).take(TOLD_MAX).collect();
    let colon = if line.is_empty() { "" } else { ": " };
    Err(match status.code() {
        Some(code) => format!("ended with {code}{colon}{line}"),
        None => format!("was killed{colon}{line}"),
    })
}

/// Reads a piece; a pipe that has ended becomes `None`, and then nothing ever comes.
async fn hear(pipe: &mut Option<ChildStderr>) -> Vec<u8> {
    let Some(open) = pipe else { return std::future::pending().await };
    let mut piece = vec![0; 512];
    let len = open.read(&mut piece).await.unwrap_or(0);
    if len == 0 {
        *pipe = None;
    }
    piece.truncate(len);
    piece
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it writes the program")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::path::PathBuf;
    use std::sync::atomic::Ordering::Relaxed;

    fn program(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("hook");
        let next = folder.join("next");
        std::fs::write(&next, format!("#!/bin/sh\ncd {}\n{text}\n", folder.display())).unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(next, &path).unwrap();
        path
    }

    async fn report(reports: &mut watch::Receiver<Option<HookReport>>) -> HookReport {
        reports.changed().await.unwrap();
        reports.borrow_and_update().clone().unwrap()
    }

    #[tokio::test]
    async fn the_last_order_is_done_and_tried_again_until_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(
            folder.path(),
            "echo \"$1 $2 $#\" >> told; env > seen; test -e ready || { echo no route >&2; exit 3; }",
        );
        let command: Box<[Box<str>]> = [path.to_str().unwrap(), "-x"].map(Into::into).into();
        let (orders, hears) = watch::channel(None);
        let (tells, mut reports) = watch::channel(None);
        let runs: &'static Runs = Box::leak(Box::default());
        let task = tokio::spawn(run(command, hears, tells, runs));
        orders.send_replace(Some(Presence::Withdrawn));
        let failed = report(&mut reports).await;
        let why = failed.fault.unwrap();
        assert!(why.ends_with("hook withdraw: ended with 3: no route"), "{why}");
        std::fs::write(folder.path().join("ready"), "").unwrap();
        let passed = report(&mut reports).await;
        assert_eq!(passed, HookReport { presence: Presence::Withdrawn, fault: None });
        orders.send_replace(Some(Presence::Announced));
        assert_eq!(report(&mut reports).await.presence, Presence::Announced);
        let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
        assert_eq!(told, "-x withdraw 2\n-x withdraw 2\n-x announce 2\n");
        let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
        assert!(!seen.contains("CARGO") && !seen.contains("HOME="), "{seen}");
        assert_eq!((runs.passed.load(Relaxed), runs.failed.load(Relaxed)), (2, 1));
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), "echo $$ > group; sleep 1000 & wait");
        let command: Box<[Box<str>]> = [path.to_str().unwrap()].map(Into::into).into();
        let (_orders, hears) = watch::channel(Some(Presence::Announced));
        let (tells, mut reports) = watch::channel(None);
        let runs: &'static Runs = Box::leak(Box::default());
        let task = tokio::spawn(run(command, hears, tells, runs));
        let why = report(&mut reports).await.fault.unwrap();
        assert!(why.contains("has not ended after 30 s"), "{why}");
        task.abort();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_a_fault() {
        let fault = once("/nowhere/hook", &[], Presence::Announced).await.unwrap_err();
        assert!(fault.starts_with("cannot be run: "), "{fault}");
    }
}

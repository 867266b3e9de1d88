//! The command probe: a program is run, and passes if it ends with 0.
//!
//! It runs alone in a process group, without the server's environment, and whatever is left of the group is killed when
//! the probe is over or out of time. Which programs may be run was settled when the files were read.

use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::model::ExecCheck;
use crate::model::TargetKey;
use crate::model::check::BODY_MAX;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Success;
use crate::runtime::probe::progress::Phase;
use crate::runtime::probe::progress::Progress;

/// Commands that run at once, of all checks.
const COMMANDS_MAX: usize = 32;

/// How long a command waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(1);

/// Characters of what a command says that are shown.
const SAID_MAX: usize = 200;

/// Turns of commands; shared by all plans.
#[derive(Clone, Debug)]
pub(in crate::runtime::probe) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(COMMANDS_MAX)))
    }
}

/// A command made ready for one endpoint.
#[derive(Debug)]
pub(in crate::runtime::probe) struct Run {
    program: Box<str>,
    arguments: Vec<String>,
    endpoint: Box<str>,
    turns: Turns,
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

impl Run {
    pub(in crate::runtime::probe) fn new(
        check: &ExecCheck,
        key: &TargetKey,
        line: Line,
        turns: &Turns,
    ) -> Result<Self, ProbeFailure> {
        let Some((program, arguments)) = check.command.split_first() else {
            return Err(ProbeFailure::BadCheck("there is no program".into()));
        };
        let address = line.address.ip().to_string();
        let fill =
            |word: &str| word.replace("{address}", &address).replace("{endpoint}", &key.endpoint);
        Ok(Self {
            program: program.clone(),
            arguments: arguments.iter().map(|word| fill(word)).collect(),
            endpoint: (*key.endpoint).into(),
            turns: turns.clone(),
        })
    }

    pub(super) async fn run(
        &self,
        line: Line,
        progress: &mut Progress,
    ) -> Result<Success, ProbeFailure> {
        let turn = timeout(TURN_MAX, self.turns.0.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            let text = format!("{COMMANDS_MAX} commands run already");
            return Err(ProbeFailure::Local(text.into()));
        };
        progress.enter(Phase::Running);
        let cannot = |error: std::io::Error| {
            ProbeFailure::Local(format!("{}: {error}", self.program).into())
        };
        let mut child = Command::new(&*self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("RHUMB_ADDRESS", line.address.ip().to_string())
            .env("RHUMB_ENDPOINT", &*self.endpoint)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let _group = Group(group);
        let mut said = Vec::new();
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let status = loop {
            // A program that floods its output is heard no further, and may end by that.
            if said.len() >= BODY_MAX {
                (stdout, stderr) = (None, None);
            }
            tokio::select! {
                biased;
                // Not the end of its output: a program it leaves behind could keep that open.
                status = child.wait() => break status.map_err(cannot)?,
                piece = hear(&mut stdout) => said.extend(piece),
                piece = hear(&mut stderr) => said.extend(piece),
            }
        };
        for _ in 0..4 {
            // What it said last may still be in the pipe.
            said.extend(hear(&mut stdout).now_or_never().into_iter().flatten());
            said.extend(hear(&mut stderr).now_or_never().into_iter().flatten());
        }
        progress.hear(&said);
        judge(status, &said)
    }
}

/// Reads a piece; a pipe that has ended becomes `None`, and then nothing ever comes.
async fn hear(pipe: &mut Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(open) = pipe else { return std::future::pending().await };
    let mut piece = vec![0; 4096];
    let len = open.read(&mut piece).await.unwrap_or(0);
    if len == 0 {
        *pipe = None;
    }
    piece.truncate(len);
    piece
}

fn judge(status: ExitStatus, said: &[u8]) -> Result<Success, ProbeFailure> {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|one| !one.is_control()).take(SAID_MAX).collect();
    if status.success() {
        let note = Some(line).filter(|line| !line.is_empty());
        return Ok(note.map_or_else(Success::default, Success::noted));
    }
    let colon = if line.is_empty() { "" } else { ": " };
    let how = match status.code() {
        Some(code) => format!("command ended with {code}"),
        None => "command was killed".to_owned(),
    };
    Err(ProbeFailure::Answer(format!("{how}{colon}{line}").into()))
}

//! The probe of a file that says what is up: a line for each endpoint, written by somebody else.
//!
//! ```text
//! # endpoint or address, up or down, and why
//! eu/fra-1   up
//! eu/fra-2   down  disk is being replaced
//! 192.0.2.7  up
//! *          up
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::duration::spell;
use crate::runtime::probe::failure::ProbeFailure;
use crate::runtime::probe::line::Line;
use crate::runtime::probe::outcome::Success;

/// Largest file that is read, in octets.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// How long a look at the file serves all endpoints in it.
const FRESH: Duration = Duration::from_millis(200);

/// One endpoint's line in a file.
#[derive(Debug)]
pub(in crate::runtime::probe) struct LineOf {
    pub(in crate::runtime::probe) file: Arc<StateFile>,
    pub(in crate::runtime::probe) endpoint: Box<str>,
    /// How old the file may become.
    pub(in crate::runtime::probe) silence: Option<Duration>,
}

/// A file, read once for all endpoints in it.
#[derive(Debug)]
pub(in crate::runtime::probe) struct StateFile {
    path: Box<str>,
    last: Mutex<Option<Look>>,
}

/// What a look at a file brought.
#[derive(Clone, Debug)]
struct Look {
    at: Instant,
    stamp: Option<(SystemTime, u64)>,
    states: Result<Arc<States>, Box<str>>,
}

/// Up or down, and why, by endpoint or address.
type States = HashMap<Box<str>, (bool, Box<str>)>;

impl LineOf {
    pub(super) async fn run(&self, line: Line) -> Result<Success, ProbeFailure> {
        let look = self.file.look().await;
        let states = look.states.map_err(ProbeFailure::Local)?;
        if let (Some(silence), Some((written, _))) = (self.silence, look.stamp) {
            let age = SystemTime::now().duration_since(written).unwrap_or_default();
            if age > silence {
                let (age, silence) = (spell(Duration::from_secs(age.as_secs())), spell(silence));
                let text = format!("{} is {age} old, at most {silence}", self.file.path);
                return Err(ProbeFailure::Answer(text.into()));
            }
        }
        let address = line.address.ip().to_string();
        let found = [&*self.endpoint, &address, "*"].into_iter().find_map(|key| states.get(key));
        let Some((is_up, reason)) = found else {
            let text = format!("no line for {} in {}", self.endpoint, self.file.path);
            return Err(ProbeFailure::Local(text.into()));
        };
        let note = Some(reason).filter(|reason| !reason.is_empty());
        match is_up {
            true => Ok(Success { note: note.cloned() }),
            false => {
                let colon = if note.is_some() { ": " } else { "" };
                Err(ProbeFailure::Answer(format!("down by file{colon}{reason}").into()))
            }
        }
    }
}

impl StateFile {
    pub(in crate::runtime::probe) fn new(path: &str) -> Self {
        Self { path: path.into(), last: Mutex::new(None) }
    }

    pub(in crate::runtime::probe) fn path(&self) -> &str {
        &self.path
    }

    /// What the file says now; it is read again only if it has changed.
    async fn look(&self) -> Look {
        let mut last = self.last.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.at.elapsed() < FRESH) {
            return look.clone();
        }
        let at = Instant::now();
        let stamp = tokio::fs::metadata(&*self.path).await.and_then(|about| {
            let written = about.modified()?;
            Ok((written, about.len()))
        });
        let look = match (stamp, last.take()) {
            (Ok(stamp), Some(before)) if before.stamp == Some(stamp) => Look { at, ..before },
            (Ok(stamp), _) => Look { at, stamp: Some(stamp), states: self.read(stamp.1).await },
            (Err(why), _) => Look { at, stamp: None, states: Err(self.fault(&why.to_string())) },
        };
        last.insert(look).clone()
    }

    async fn read(&self, len: u64) -> Result<Arc<States>, Box<str>> {
        if len > FILE_MAX {
            return Err(self.fault(&format!("{len} octets, at most {FILE_MAX} are read")));
        }
        let text = tokio::fs::read_to_string(&*self.path).await;
        let text = text.map_err(|why| self.fault(&why.to_string()))?;
        parse(&text).map(Arc::new).map_err(|why| self.fault(&why))
    }

    fn fault(&self, why: &str) -> Box<str> {
        format!("{}: {why}", self.path).into()
    }
}

/// Reads lines; one that cannot be read spoils all, for the file may be half written.
fn parse(text: &str) -> Result<States, String> {
    let mut states = States::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let fault = |what: &str| Err(format!("line {}: {what}", number + 1));
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let (word, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let is_up = match word {
            "up" => true,
            "down" => false,
            _ => return fault("write \"up\" or \"down\" after the endpoint"),
        };
        let reason: String = reason.trim().chars().take(200).collect();
        if states.insert(name.into(), (is_up, reason.into())).is_some() {
            return fault("this endpoint has a line already");
        }
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_name_an_endpoint_a_state_and_why() {
        let text = "# states\neu/a up\n\neu/b\tdown  new disk # by ann\n* up";
        let states = parse(text).unwrap();
        assert_eq!(states.len(), 3);
        assert_eq!(states["eu/a"], (true, "".into()));
        assert_eq!(states["eu/b"], (false, "new disk".into()));
        assert!(states["*"].0);
    }

    #[test]
    fn one_bad_line_spoils_the_file_and_is_named() {
        for (text, fault) in [
            ("eu/a up\neu/b do", "line 2: write"),
            ("eu/a", "line 1: write"),
            ("eu/a up\neu/a down", "line 2: this endpoint"),
        ] {
            assert!(parse(text).unwrap_err().starts_with(fault), "{text}");
        }
    }
}

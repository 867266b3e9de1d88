//! Sets logging up: lines on standard error, as text or JSON, never one a query.
//!
//! What is logged is decided where it happens; [`occurrence`] does it for what the controller tells.

mod journal;
pub mod occurrence;

use std::cell::Cell;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::model::LogFormat;
use crate::model::LogLevel;
use crate::runtime::log::journal::JournalWriter;

/// Where a filter comes from that goes before every level.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// What our own targets begin with.
const OWN_TARGET: &str = "rhumb";

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines are written: directives of [`EnvFilter`].
    pub filter: String,
}

impl Logging {
    /// Our own lines from `level` up, and warnings of the libraries. What the client of NATS tells is said by us.
    pub fn from_level(format: LogFormat, level: LogLevel) -> Self {
        let libraries = level.min(LogLevel::Warn).word();
        Self { format, filter: format!("{libraries},async_nats=off,rhumb={}", level.word()) }
    }
}

/// Starts logging for the whole process. The filter of `RUST_LOG` goes before the given one.
///
/// To the journal of systemd it writes the weight in front of each line, and no time: the journal has its own.
pub fn start(logging: &Logging) {
    let (filter, fault) = match std::env::var(FILTER_VARIABLE).as_deref() {
        Err(_) | Ok("") => (EnvFilter::new(&logging.filter), None),
        Ok(text) => match read_filter(text) {
            Ok(filter) => (filter, None),
            Err(why) => (EnvFilter::new(&logging.filter), Some(why)),
        },
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    match logging.format {
        LogFormat::Json => builder.json().flatten_event(true).with_writer(std::io::stderr).init(),
        LogFormat::Text if journal::receives_stderr() => {
            builder.with_ansi(false).without_time().with_writer(JournalWriter).init();
        }
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            builder.with_ansi(is_terminal).with_writer(std::io::stderr).init();
        }
    }
    std::panic::set_hook(Box::new(log_panic));
    if let Some(why) = fault {
        tracing::warn!(%why, used = logging.filter, "{FILTER_VARIABLE} is no filter");
    }
}

/// Reads directives. A lone word that is no level would be the name of a module, and silence all others: it has to be
/// one of ours.
fn read_filter(text: &str) -> Result<EnvFilter, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    for word in words.filter(|word| !word.contains(['=', '['])) {
        let is_level = word.parse::<LevelFilter>().is_ok();
        if !is_level && word != OWN_TARGET && !word.starts_with("rhumb::") {
            return Err(format!(
                "\"{word}\" is no level and no part of rhumb; write debug, rhumb::health=debug, or {word}=debug"
            ));
        }
    }
    EnvFilter::try_new(text).map_err(|why| why.to_string())
}

/// Whether somebody reads standard error as it is: neither a program nor the journal.
pub fn is_for_people(format: LogFormat) -> bool {
    format == LogFormat::Text && !journal::receives_stderr()
}

thread_local! {
    /// Whether panics of this thread are expected: whoever catches them says what they mean.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something whose panics are not logged.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let before = IS_QUIET.replace(true);
    let result = work();
    IS_QUIET.set(before);
    result
}

/// Logs a panic with its place; the 1st, 2nd, 4th, 8th and so on, for a client may be able to cause them.
fn log_panic(panic: &PanicHookInfo<'_>) {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    if IS_QUIET.get() {
        return;
    }
    let panics = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
    if panics.is_power_of_two() {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let text = crate::runtime::supervise::panic_text(panic.payload());
        tracing::error!(place, thread, panics, reason = text, "panicked; this is a bug of ours");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_everything_is_a_mistake() {
        for right in [
            "warn",
            "WARN,rhumb::health=info",
            "rhumb",
            "rhumb::config",
            "off",
            "hyper=debug,info",
            "info,",
        ] {
            assert!(read_filter(right).is_ok(), "{right}");
        }
        for wrong in ["bogus", "inof", "info,bogus", "rhumb=inof", "rhumbx"] {
            assert!(read_filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn libraries_are_heard_only_when_they_warn() {
        let filter = |level| Logging::from_level(LogFormat::Text, level).filter;
        assert_eq!(filter(LogLevel::Debug), "warn,async_nats=off,rhumb=debug");
        assert_eq!(filter(LogLevel::Info), "warn,async_nats=off,rhumb=info");
        assert_eq!(filter(LogLevel::Error), "error,async_nats=off,rhumb=error");
    }
}

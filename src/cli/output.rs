//! What all commands share in printing and ending.

use std::fmt::Display;
use std::io::IsTerminal;
use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

/// Problems were found, or it did not work.
pub(super) const PROBLEMS: u8 = 1;
/// The arguments make no sense.
pub(super) const USAGE: u8 = 2;

/// Says what went wrong, and ends with `code`.
pub(super) fn fail(code: u8, why: impl Display) -> ExitCode {
    eprintln!("rhumb: {why}");
    ExitCode::from(code)
}

/// Prints a line; a reader that has gone is not an error.
pub(super) fn print(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints octets as they are.
pub(super) fn print_octets(octets: &[u8]) {
    let _ = std::io::stdout().write_all(octets);
}

/// A count with its noun: `1 zone`, `2 zones`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(text),
        Err(why) => eprintln!("rhumb: {why}"),
    }
}

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
#[expect(clippy::disallowed_methods, reason = "the environment is the user's word on colours")]
pub(super) fn wants_color() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var("NO_COLOR").map_or(true, |value| value.is_empty())
}

/// Runs a future to its end on a small runtime.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, std::io::Error> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(future);
    // A worker thread that still compiles or reads is not waited for.
    runtime.shutdown_background();
    Ok(result)
}

//! Reads and runs one scenario.
#![allow(clippy::disallowed_methods, reason = "a test reads its own files")]

mod crowd;
mod discovery;
mod expect;
mod ledger;
mod loads;
mod neighbours;
mod peers;
mod round_trips;
mod world;

use std::path::Path;

use world::World;

/// Runs a scenario; an error names file, line and what differs.
pub fn run(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut world = World::start();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (step, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let block = match step {
            "FILE" | "GEO" | "RTT" => {
                let mut block = String::new();
                loop {
                    match lines.next() {
                        Some((_, "END")) => break,
                        Some((_, line)) => block = block + line + "\n",
                        None => {
                            return Err(format!("{name}:{}: this block has no END", number + 1));
                        }
                    }
                }
                block
            }
            // The lines that belong to an EXPECT: records, indented.
            "EXPECT" => {
                let mut block = String::new();
                while let Some((_, line)) = lines.peek() {
                    if !line.starts_with("    ") {
                        break;
                    }
                    block = block + line.trim() + "\n";
                    lines.next();
                }
                block
            }
            _ => String::new(),
        };
        world
            .step(step, rest.trim(), &block)
            .map_err(|why| format!("{name}:{}: {line}\n    {why}", number + 1))?;
    }
    world.ledger.check().map_err(|why| format!("{name}: {why}"))
}

//! demo
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {}
pub(super) fn run(_: &DemoArguments) -> ExitCode {
    ExitCode::SUCCESS
}

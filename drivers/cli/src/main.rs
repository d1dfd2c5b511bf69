//! The command `chumwire`: a relay, pairing, and a headless instance for the ONE platform.
//!
//! ```text
//! args ─> commands ─┬─ this process has the home open ─────────> operations ─> peer (node, driver, home)
//!                   └─ another one has ─> control socket, there ─> operations ─> …
//! output <─ events ─┘
//! ```

mod args;
mod commands;
mod control;
mod event;
mod failure;
mod home;
mod log;
mod operations;
mod output;
mod peer;
mod progress;
mod secret_text;
mod signals;
mod text;
mod time;
mod traces;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    if cli.verbose {
        log::be_verbose();
    }
    let output = Output::new(cli.json);
    let done = chumwire_async_std::block_on(commands::execute(cli, output));
    match done.and_then(|()| output::all_told()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help and version are no failures; everything else goes to stderr in clap's words, and as an event if a program
/// asked for events.
fn not_understood(error: &clap::Error) -> ExitCode {
    // Nobody can be told that the terminal is gone.
    let _ = error.print();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|arg| arg == OsStr::new("--json")) {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Output::new(true).failure(&Failure::usage(first.trim_start_matches("error: ")));
    }
    ExitCode::from(2)
}

//! The log: lines on stderr, apart from what a command prints.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::text::printable;

/// Whether `-v` was given. One value for the process: it has one stderr.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Tells more from now on.
pub(crate) fn be_verbose() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// What the user has to know to understand a failure.
pub(crate) fn warn(message: impl Display) {
    line("warn", message);
}

/// What happens in the normal course; with `-v`.
pub(crate) fn info(message: impl Display) {
    if VERBOSE.load(Ordering::Relaxed) {
        line("info", message);
    }
}

fn line(level: &str, message: impl Display) {
    // Nobody can be told that stderr is gone.
    let _ = writeln!(std::io::stderr().lock(), "{level}: {}", printable(message));
}

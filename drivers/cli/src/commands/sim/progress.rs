//! How far a long work is.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A line on the terminal that says how far it is; none if nobody looks.
pub(super) struct Progress {
    all: u64,
    done: u64,
    begun: Instant,
    shown: Option<Instant>,
    looks: bool,
}

impl Progress {
    pub(super) fn new(all: u64) -> Self {
        Self {
            all,
            done: 0,
            begun: Instant::now(),
            shown: None,
            looks: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn done(&mut self, more: u64) {
        const OFTEN: Duration = Duration::from_millis(250);
        self.done += more;
        if !self.looks || self.shown.is_some_and(|shown| shown.elapsed() < OFTEN) {
            return;
        }
        self.shown = Some(Instant::now());
        let took = self.begun.elapsed();
        let left = took.mul_f64((self.all - self.done) as f64 / self.done.max(1) as f64);
        let line = format!(
            "{} of {} runs, {} s left",
            self.done,
            self.all,
            left.as_secs()
        );
        let _ = write!(std::io::stderr().lock(), "\r{line:<60}");
    }

    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r{:<60}\r", "");
        }
    }
}

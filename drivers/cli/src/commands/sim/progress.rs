//! How far a long work is.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A line on the terminal that is written over; none if nobody looks.
pub(super) struct Line {
    shown: Option<Instant>,
    looks: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            shown: None,
            looks: std::io::stderr().is_terminal(),
        }
    }

    /// Says something, if it is time to.
    pub(super) fn show(&mut self, line: impl FnOnce() -> String) {
        const OFTEN: Duration = Duration::from_millis(250);
        if !self.looks || self.shown.is_some_and(|shown| shown.elapsed() < OFTEN) {
            return;
        }
        self.shown = Some(Instant::now());
        let _ = write!(std::io::stderr().lock(), "\r{:<60}", line());
    }

    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r{:<60}\r", "");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How many of so many runs are done.
pub(super) struct Progress {
    all: u64,
    done: u64,
    begun: Instant,
    line: Line,
}

impl Progress {
    pub(super) fn new(all: u64) -> Self {
        Self {
            all,
            done: 0,
            begun: Instant::now(),
            line: Line::new(),
        }
    }

    pub(super) fn done(&mut self, more: u64) {
        self.done += more;
        let (all, done, begun) = (self.all, self.done, self.begun);
        self.line.show(|| {
            let took = begun.elapsed();
            let left = took.mul_f64((all - done) as f64 / done.max(1) as f64);
            format!("{done} of {all} runs, {} s left", left.as_secs())
        });
    }

    pub(super) fn clear(&self) {
        self.line.clear();
    }
}

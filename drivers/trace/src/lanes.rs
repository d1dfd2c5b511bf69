//! Which party has which lane of a picture.

use crate::flights::Flights;
use crate::line::What;
use crate::read::Trace;

/// The lane of whoever the trace does not show.
const OUTSIDE: &str = "(other side)";
/// More parties than this share the last lane.
const LANES: usize = 24;

/// The lanes, from left to right.
pub(crate) struct Lanes<'a> {
    names: Vec<&'a str>,
    has_outside: bool,
}

impl<'a> Lanes<'a> {
    pub(crate) fn of(trace: &'a Trace, flights: &Flights<'a>) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for line in &trace.lines {
            if names.len() < LANES
                && !names.contains(&&*line.who)
                && !matches!(line.what, What::Interfered { .. })
            {
                names.push(&line.who);
            }
        }
        let has_outside = names.len() < 2 || names.len() == LANES || flights.lead_outside();
        if has_outside {
            names.push(OUTSIDE);
        }
        Self { names, has_outside }
    }

    pub(crate) fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// The last lane: of whoever has none of its own.
    pub(crate) const fn last(&self) -> usize {
        self.names.len() - 1
    }

    /// The lane of whoever the trace does not show, if there is one.
    pub(crate) fn outside(&self) -> Option<usize> {
        self.has_outside.then(|| self.last())
    }

    pub(crate) fn of_party(&self, who: &str) -> usize {
        let own = self.names.iter().position(|lane| *lane == who);
        own.unwrap_or(self.last())
    }
}

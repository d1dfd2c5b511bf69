//! What another source chooses, written down.

use super::{Actor, Choice, Chooser};
use crate::link::FaultKind;

/// Writes down what another source chooses: a number for each choice between two or more, 0 or 1 for each fault that
/// might have happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recording<C> {
    source: C,
    choices: Vec<u32>,
    on: bool,
}

impl<C> Recording<C> {
    /// Records `source`.
    pub const fn new(source: C) -> Self {
        Self {
            source,
            choices: Vec::new(),
            on: true,
        }
    }

    /// Asks `source` and writes nothing down: for runs that never end.
    pub const fn off(source: C) -> Self {
        Self {
            source,
            choices: Vec::new(),
            on: false,
        }
    }

    /// What was chosen so far: a schedule for [`Scheduled`](super::Scheduled).
    #[must_use]
    pub fn choices(&self) -> &[u32] {
        &self.choices
    }

    fn note(&mut self, choice: usize) -> usize {
        if self.on {
            self.choices.push(u32::try_from(choice).unwrap_or(u32::MAX));
        }
        choice
    }
}

impl<C: Chooser> Chooser for Recording<C> {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        if options < 2 {
            return 0;
        }
        let choice = self.source.choose(what, options);
        self.note(choice)
    }

    fn choose_tie(&mut self, candidates: &[Actor]) -> usize {
        if candidates.len() < 2 {
            return 0;
        }
        let choice = self.source.choose_tie(candidates);
        self.note(choice)
    }

    fn strikes(&mut self, kind: FaultKind, permille: u32) -> bool {
        if permille == 0 {
            return false;
        }
        let strikes = self.source.strikes(kind, permille);
        self.note(usize::from(strikes));
        strikes
    }
}

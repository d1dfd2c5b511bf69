//! Choices that were written down.

use super::{Choice, Chooser};
use crate::link::FaultKind;

/// Choices that were written down. A number beyond the options is folded into them, and after the last one the first
/// option is taken and no fault happens: so a schedule can be cut anywhere and is one still.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scheduled {
    choices: Vec<u32>,
    used: usize,
}

impl Scheduled {
    /// The source of these choices.
    #[must_use]
    pub const fn new(choices: Vec<u32>) -> Self {
        Self { choices, used: 0 }
    }

    fn next(&mut self) -> u32 {
        let choice = self.choices.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        choice
    }
}

impl Chooser for Scheduled {
    fn choose(&mut self, _: Choice, options: usize) -> usize {
        self.next() as usize % options.max(1)
    }

    fn strikes(&mut self, _: FaultKind, _: u32) -> bool {
        self.next() != 0
    }
}

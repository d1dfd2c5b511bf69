//! A failing list of choices, made as short as it gets.
//!
//! A run is a function of its choices, so every list is one that a world can make: whatever is tried here is a real
//! run, with its causes and effects in order. A choice that is zero is the first option, or no fault; it follows by
//! itself. What counts is the others: the *steps*.
//!
//! Nothing here knows what a run is. Whoever has lists of choices can shrink them.

mod kind;
mod passes;

use std::collections::BTreeSet;

pub use kind::kind_of;

use crate::insecure::mix;

/// What came of shrinking.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shrunk {
    /// The shortest list that was found to fail.
    pub choices: Vec<u32>,
    /// Its steps.
    pub steps: usize,
    /// How many runs it took.
    pub runs: usize,
    /// Whether nothing was left to be tried: then none of its steps can be taken back alone.
    pub finished: bool,
}

/// How many choices of a list are not the first option: what somebody has to know of a run to repeat it.
#[must_use]
pub fn steps(choices: &[u32]) -> usize {
    choices.iter().filter(|choice| **choice != 0).count()
}

/// Makes a failing list of choices as short as it gets, within a bound of runs.
///
/// Shorter is: fewer [`steps`], then fewer choices, then smaller numbers from the first one on. A list has to fail
/// just as it does with zeros behind it, and each time that it is run. It is for `fails` to say whether a list fails
/// in the same way, see [`kind_of`].
#[must_use]
pub fn shrink(choices: Vec<u32>, bound: usize, fails: impl FnMut(&[u32]) -> bool) -> Shrunk {
    let mut search = Search {
        best: trimmed(choices),
        tried: BTreeSet::new(),
        runs: 0,
        bound,
        stopped: false,
        fails,
    };
    search.shrink();
    Shrunk {
        steps: steps(&search.best),
        choices: search.best,
        runs: search.runs,
        finished: !search.stopped,
    }
}

/// Zeros at the end follow by themselves.
fn trimmed(mut choices: Vec<u32>) -> Vec<u32> {
    let end = choices.iter().rposition(|choice| *choice != 0);
    choices.truncate(end.map_or(0, |last| last + 1));
    choices
}

/// What has been found so far.
struct Search<F> {
    /// The shortest list that fails.
    best: Vec<u32>,
    /// Fingerprints of what has been run: passes come to the same list by many ways.
    tried: BTreeSet<u64>,
    runs: usize,
    bound: usize,
    /// Something was left untried.
    stopped: bool,
    fails: F,
}

impl<F: FnMut(&[u32]) -> bool> Search<F> {
    /// Runs a list if it is shorter than the best one. If it fails, it is the best one from now on.
    fn attempt(&mut self, choices: Vec<u32>) -> bool {
        let choices = trimmed(choices);
        let size = |list: &[u32]| (steps(list), list.len());
        let shorter = size(&choices)
            .cmp(&size(&self.best))
            .then_with(|| choices.cmp(&self.best))
            .is_lt();
        if !shorter || self.tried.contains(&fingerprint(&choices)) {
            return false;
        }
        if self.runs == self.bound {
            self.stopped = true;
            return false;
        }
        self.runs += 1;
        self.tried.insert(fingerprint(&choices));
        let fails = (self.fails)(&choices);
        if fails {
            self.best = choices;
        }
        fails
    }
}

/// Two lists share one by chance alone, once in 2^64; then one of them is left out.
fn fingerprint(choices: &[u32]) -> u64 {
    choices.iter().fold(choices.len() as u64, |sum, choice| {
        mix(sum.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ mix(!u64::from(*choice))
    })
}

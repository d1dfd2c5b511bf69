//! Who goes first, by priorities (probabilistic concurrency testing): a bug that needs `d` orderings is found with a
//! probability that depends on `d`, not on how many things are due.

use std::collections::{BTreeMap, BTreeSet};

use super::{Actor, Choice, Chooser, Seeded};

/// Ties go to the actor of the highest priority. Priorities are drawn when an actor is first seen; at `changes`
/// random ties the actor that goes first falls below all others for the rest of the run.
///
/// Nothing starves: a world goes on to the next moment only when all that is due has been done.
#[derive(Clone, Debug)]
pub struct Pct {
    source: Seeded,
    priorities: BTreeMap<Actor, u64>,
    changes: BTreeSet<u64>,
    ties: u64,
    /// The next priority to fall to.
    lowest: u64,
}

impl Pct {
    /// `changes` changes of priority, spread over the first `length` ties.
    #[must_use]
    pub fn new(seed: u64, changes: usize, length: u64) -> Self {
        let mut draw = Seeded::new(!seed);
        Self {
            source: Seeded::new(seed),
            priorities: BTreeMap::new(),
            changes: (0..changes).map(|_| draw.next() % length.max(1)).collect(),
            ties: 0,
            // Every drawn priority is above.
            lowest: u64::from(u32::MAX),
        }
    }

    fn first(&mut self, candidates: &[Actor]) -> usize {
        let mut first = (0, 0);
        for (i, actor) in candidates.iter().enumerate() {
            let source = &mut self.source;
            let priority = *self
                .priorities
                .entry(*actor)
                .or_insert_with(|| source.next() | 1 << 63);
            if priority > first.1 {
                first = (i, priority);
            }
        }
        first.0
    }
}

impl Chooser for Pct {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        self.source.choose(what, options)
    }

    fn choose_tie(&mut self, candidates: &[Actor]) -> usize {
        let mut first = self.first(candidates);
        if self.changes.contains(&self.ties) {
            self.lowest = self.lowest.saturating_sub(1);
            self.priorities.insert(candidates[first], self.lowest);
            first = self.first(candidates);
        }
        self.ties += 1;
        first
    }
}

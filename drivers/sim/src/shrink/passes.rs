//! What is tried, and in which order: first what takes much away, then what takes little.

use super::Search;

/// How far later choices are moved back when a step is taken back: what a fault spares a world from asking about one
/// message.
const ROOM: usize = 4;

impl<F: FnMut(&[u32]) -> bool> Search<F> {
    /// Runs all passes until none of them finds anything.
    pub(super) fn shrink(&mut self) {
        loop {
            let before = self.best.clone();
            self.cut_tail();
            self.take_back();
            self.delete();
            self.take_back_and_make_room();
            // Smaller numbers last: they cost the most runs, and the fewer steps there are the fewer it takes.
            if self.best == before {
                self.lower();
            }
            if self.best == before || self.stopped {
                return;
            }
        }
    }

    /// The places of the steps.
    fn places(&self) -> Vec<usize> {
        let choices = self.best.iter().enumerate();
        choices
            .filter(|(_, choice)| **choice != 0)
            .map(|(place, _)| place)
            .collect()
    }

    /// What comes after the failure is not needed: bisects for the last step that is.
    fn cut_tail(&mut self) {
        let places = self.places();
        // With `kept` steps it fails; with `few` it was not seen to.
        let (mut few, mut kept) = (0, places.len());
        while few < kept {
            let middle = few + (kept - few) / 2;
            let end = places.get(middle).copied().unwrap_or_default();
            let head = self.best.get(..end).unwrap_or_default().to_vec();
            if self.attempt(head) {
                kept = middle;
            } else {
                few = middle + 1;
            }
        }
    }

    /// Delta debugging: takes back many steps at once, then fewer, down to single ones.
    fn take_back(&mut self) {
        let mut size = self.places().len();
        while size > 0 {
            // From the end, where steps depend the least on each other.
            let places = self.places();
            for some in places.rchunks(size) {
                let mut choices = self.best.clone();
                for place in some {
                    // An attempt that succeeds takes back steps that are behind, and cuts zeros there.
                    if let Some(choice) = choices.get_mut(*place) {
                        *choice = 0;
                    }
                }
                self.attempt(choices);
            }
            size = size.min(self.places().len()) / 2;
        }
    }

    /// Takes choices out, so that later ones move forward: a world that does something less asks less.
    fn delete(&mut self) {
        let mut size = self.best.len();
        while size > 0 {
            let mut end = self.best.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut choices = self.best.clone();
                choices.drain(start..end);
                self.attempt(choices);
                end = start.min(self.best.len());
            }
            size = size.min(self.best.len()) / 2;
        }
    }

    /// Takes steps back while later choices move back: a world in which a message is not lost asks how long it takes.
    fn take_back_and_make_room(&mut self) {
        for place in self.places().into_iter().rev() {
            for room in 1..=ROOM {
                let mut choices = self.best.clone();
                choices.splice(place..=place, vec![0; room + 1]);
                if self.attempt(choices) {
                    break;
                }
            }
        }
    }

    /// Bisects for the smallest number of each step.
    fn lower(&mut self) {
        for place in self.places() {
            if self.attempt_at(place, 1) {
                continue;
            }
            let mut low = 1;
            while let Some(high) = self.best.get(place).copied()
                && high - low > 1
            {
                let middle = low + (high - low) / 2;
                if !self.attempt_at(place, middle) {
                    low = middle;
                }
            }
        }
    }

    fn attempt_at(&mut self, place: usize, number: u32) -> bool {
        let mut choices = self.best.clone();
        if let Some(choice) = choices.get_mut(place) {
            *choice = number;
        }
        self.attempt(choices)
    }
}

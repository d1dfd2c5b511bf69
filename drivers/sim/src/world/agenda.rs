//! What is due when: a heap of what is to come, and a sorted list of what is due now.
//!
//! Entries are not taken out of the heap when what they stand for goes away or moves; whoever put them in remembers
//! for when, and an entry that does not agree is dropped when it comes up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chumwire::time::Micros;

use crate::link::{LinkId, Pipe, Side};
use crate::party::PartyId;

/// Something that is due: its order among what is due at the same moment, so that a choice by number means the same
/// in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The next thing on a pipe.
    Arrival(LinkId, Side),
    /// Something that was put off: its number in the order of the putting off, and where it is kept.
    Later(u64, usize),
    /// A party's deadline.
    Tick(PartyId),
}

#[derive(Default)]
pub(super) struct Agenda {
    future: BinaryHeap<Reverse<(Micros, Due)>>,
    ready: Vec<Due>,
}

impl Agenda {
    /// Puts something in.
    pub(super) fn put(&mut self, now: Micros, at: Micros, due: Due) {
        if at <= now {
            if let Err(place) = self.ready.binary_search(&due) {
                self.ready.insert(place, due);
            }
        } else {
            self.future.push(Reverse((at, due)));
        }
    }

    /// Has the next arrival of a pipe in it, and no other.
    pub(super) fn arm(&mut self, now: Micros, id: LinkId, side: Side, pipe: &mut Pipe) {
        let next = pipe.next();
        if next == pipe.armed {
            return;
        }
        let due = Due::Arrival(id, side);
        if pipe.armed.is_some_and(|at| at <= now) {
            self.drop_ready(due);
        }
        pipe.armed = next;
        if let Some(at) = next {
            self.put(now, at, due);
        }
    }

    /// Takes something out of what is due now.
    pub(super) fn drop_ready(&mut self, due: Due) {
        if let Ok(place) = self.ready.binary_search(&due) {
            self.ready.remove(place);
        }
    }

    /// What is due now, in order.
    pub(super) fn ready(&self) -> &[Due] {
        &self.ready
    }

    /// Takes out one of those that are due now.
    pub(super) fn take(&mut self, place: usize) -> Option<Due> {
        (place < self.ready.len()).then(|| self.ready.remove(place))
    }

    /// The next moment at which something is due. `is_live` tells whether an entry is still so.
    pub(super) fn next(&mut self, is_live: impl Fn(Due, Micros) -> bool) -> Option<Micros> {
        while let Some(Reverse((at, due))) = self.future.peek() {
            if is_live(*due, *at) {
                return Some(*at);
            }
            self.future.pop();
        }
        None
    }

    /// Makes everything ready that is due at `now`.
    pub(super) fn make_ready(&mut self, now: Micros, is_live: impl Fn(Due, Micros) -> bool) {
        while let Some(Reverse((at, due))) = self.future.peek()
            && *at <= now
        {
            let (at, due) = (*at, *due);
            self.future.pop();
            if is_live(due, at)
                && let Err(place) = self.ready.binary_search(&due)
            {
                self.ready.insert(place, due);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let tick = |n| Due::Tick(PartyId(n));
        let mut agenda = Agenda::default();
        for (at, due) in [(30, tick(1)), (20, tick(2)), (20, tick(0)), (20, tick(2))] {
            agenda.put(Micros(10), Micros(at), due);
        }
        agenda.put(Micros(10), Micros(5), tick(3));
        assert_eq!(agenda.ready(), [tick(3)]);
        agenda.drop_ready(tick(3));
        // Number 0 has moved away.
        let live = |due, _| due != tick(0);
        assert_eq!(agenda.next(live), Some(Micros(20)));
        agenda.make_ready(Micros(20), live);
        assert_eq!(agenda.ready(), [tick(2)]);
        assert_eq!(agenda.take(0), Some(tick(2)));
        assert_eq!(agenda.take(0), None);
        assert_eq!(agenda.next(live), Some(Micros(30)));
    }
}

//! Messages and queues by number: equal ones have one number, so a state is a short list of numbers.

use core::hash::Hash;

use chumwire::io::{Closed, Kind};
use chumwire::node::Record;

use super::print::{Memo, Print, Printer, Prints};

/// What waits for a party, on a link or in its store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// The WebSocket's opening, towards the listener.
    Dial,
    /// The listener took it.
    Opened,
    Message(Kind, Vec<u8>),
    /// The last thing on a pipe.
    End(Closed),
    /// A record that the store was given, by its number.
    Commit(u64, Record),
    /// What the store answers.
    Stored(u64),
    /// What a party has said to the script: an invitation.
    Said(String),
}

/// All items that there were.
#[derive(Default)]
pub(super) struct Items {
    prints: Prints,
    items: Vec<Item>,
}

impl Items {
    pub(super) fn number(&mut self, item: Item) -> u32 {
        let (number, new) = self.prints.number(Print::of(&item));
        if new {
            self.items.push(item);
        }
        number
    }

    pub(super) fn get(&self, number: u32) -> &Item {
        &self.items[number as usize]
    }

    pub(super) fn print(&self, number: u32) -> Print {
        self.prints.get(number)
    }
}

/// A queue by its number; 0 is the empty one.
pub(super) const EMPTY: u32 = 0;

/// All queues of items that there were: each is its first item and the queue behind it.
pub(super) struct Queues {
    prints: Prints,
    /// By number from 1 on.
    parts: Vec<(u32, u32)>,
    pushed: Memo<[u32; 2]>,
}

impl Default for Queues {
    fn default() -> Self {
        let mut prints = Prints::default();
        prints.number(Print::default());
        Self {
            prints,
            parts: vec![(0, EMPTY)],
            pushed: Memo::default(),
        }
    }
}

impl Queues {
    /// The first item, and the rest.
    pub(super) fn pop(&self, queue: u32) -> Option<(u32, u32)> {
        (queue != EMPTY).then(|| self.parts[queue as usize])
    }

    /// With this item before all others.
    pub(super) fn push_front(&mut self, items: &Items, queue: u32, item: u32) -> u32 {
        let mut printer = Printer::default();
        printer.add(items.print(item));
        printer.add(self.prints.get(queue));
        let (number, new) = self.prints.number(printer.print());
        if new {
            self.parts.push((item, queue));
        }
        number
    }

    /// With this item behind all others.
    pub(super) fn push(&mut self, items: &Items, queue: u32, item: u32) -> u32 {
        let Some((first, rest)) = self.pop(queue) else {
            return self.push_front(items, EMPTY, item);
        };
        if let Some(known) = self.pushed.get(&[queue, item]) {
            return known;
        }
        let rest = self.push(items, rest, item);
        let pushed = self.push_front(items, rest, first);
        self.pushed.put([queue, item], pushed);
        pushed
    }

    pub(super) fn iter(&self, queue: u32) -> impl Iterator<Item = u32> {
        let mut left = queue;
        core::iter::from_fn(move || {
            let (item, rest) = self.pop(left)?;
            left = rest;
            Some(item)
        })
    }

    pub(super) fn print(&self, queue: u32) -> Print {
        self.prints.get(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_gives_what_was_put_in_and_equal_ones_are_one() {
        let (mut items, mut queues) = (Items::default(), Queues::default());
        let [a, b, c] = [1, 2, 3].map(|id| items.number(Item::Stored(id)));
        assert_eq!(items.number(Item::Stored(2)), b);
        let mut queue = EMPTY;
        for item in [a, b, c, a] {
            queue = queues.push(&items, queue, item);
        }
        assert_eq!(queues.iter(queue).collect::<Vec<_>>(), [a, b, c, a]);
        let (_, rest) = queues.pop(queue).expect("not empty");
        let mut other = queues.push_front(&items, EMPTY, c);
        other = queues.push(&items, other, a);
        other = queues.push_front(&items, other, b);
        assert_eq!(rest, other);
        assert_eq!(queues.pop(EMPTY), None);
    }
}

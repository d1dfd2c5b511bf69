//! One direction of a link: what is on its way, in order, and what has come and is not read.

use std::collections::VecDeque;

use chumwire::io::{Closed, Kind};
use chumwire::time::Micros;

/// What travels on a pipe.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// The WebSocket's opening, towards the listener.
    Dial,
    /// The listener took it.
    Opened,
    Message(Kind, Vec<u8>),
    /// The last thing on a pipe.
    End(Closed),
}

impl Item {
    const fn bytes(&self) -> usize {
        match self {
            Self::Message(_, bytes) => bytes.len(),
            _ => 0,
        }
    }

    pub(crate) const fn is_message(&self) -> bool {
        matches!(self, Self::Message(..))
    }
}

struct Flying {
    at: Micros,
    item: Item,
    /// How many later messages come before it.
    overtaken: usize,
    /// Those behind it are read together with it.
    merged: bool,
}

/// A message that a rule keeps back until others have gone by.
struct Kept {
    left: u64,
    item: Item,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Pipe {
    flying: VecDeque<Flying>,
    /// What has arrived and is not read: the reader pauses, or answered `Full`.
    held: VecDeque<Item>,
    kept: Vec<Kept>,
    /// Bytes of messages that are flying or held.
    unread: usize,
    pub(crate) paused: bool,
    pub(crate) silent: bool,
    /// Nothing comes out for now.
    pub(crate) clogged: bool,
    /// Reads are at least so far apart.
    pub(crate) gap: Micros,
    /// The sender waits for the news that all has gone out.
    pub(crate) undrained: bool,
    /// That news is on its way.
    pub(crate) draining: bool,
    /// Nothing goes in any more.
    pub(crate) ended: bool,
    /// When the world has put the next arrival into its agenda for.
    pub(crate) armed: Option<Micros>,
    last: Micros,
}

impl Pipe {
    /// When the next thing arrives.
    pub(crate) fn next(&self) -> Option<Micros> {
        if self.clogged {
            return None;
        }
        self.flying.front().map(|flying| flying.at)
    }

    /// Takes out what arrives next, and tells whether the next one is read together with it.
    pub(crate) fn arrive(&mut self) -> Option<(Item, bool)> {
        let flying = self.flying.pop_front()?;
        self.unread -= flying.item.bytes();
        let more = flying.merged
            && self
                .flying
                .front()
                .is_some_and(|next| next.item.is_message());
        Some((flying.item, more))
    }

    /// Puts something in, in order.
    pub(crate) fn push(&mut self, at: Micros, item: Item) {
        self.put(at, item, false);
    }

    /// Puts something in, in order; what is behind it may be read together with it.
    pub(crate) fn put(&mut self, at: Micros, item: Item, merged: bool) {
        if self.ended || (self.silent && !matches!(item, Item::Dial | Item::Opened)) {
            return;
        }
        self.ended = matches!(item, Item::End(_));
        let earliest = match self.flying.is_empty() {
            false => self.last + self.gap,
            true => self.last,
        };
        self.last = earliest.max(at);
        self.unread += item.bytes();
        let goes_by = !self.kept.is_empty() && item.is_message();
        self.flying.push_back(Flying {
            at: self.last,
            item,
            overtaken: 0,
            merged,
        });
        if goes_by {
            self.went_by();
        }
    }

    /// Puts a message in that has been kept back: before what arrives later.
    pub(crate) fn put_late(&mut self, at: Micros, item: Item) {
        let later = self.flying.iter().position(|flying| flying.at > at);
        let Some(place) = later.filter(|_| !self.silent && !self.ended) else {
            return self.push(at, item);
        };
        self.unread += item.bytes();
        let flying = Flying {
            at,
            item,
            overtaken: 0,
            merged: false,
        };
        self.flying.insert(place, flying);
    }

    /// Keeps a message back until so many others have gone by.
    pub(crate) fn keep(&mut self, until: u64, item: Item) {
        self.kept.push(Kept { left: until, item });
    }

    /// A message has gone by those that are kept.
    fn went_by(&mut self) {
        let mut freed = Vec::new();
        self.kept.retain_mut(|kept| {
            kept.left = kept.left.saturating_sub(1);
            if kept.left == 0 {
                freed.push(core::mem::replace(&mut kept.item, Item::Dial));
            }
            kept.left > 0
        });
        let at = self.last;
        for item in freed {
            self.push(at, item);
        }
    }

    /// Puts a message in that overtakes up to `distance` others.
    pub(crate) fn put_ahead(&mut self, at: Micros, item: Item, distance: usize, merged: bool) {
        self.put(at, item, merged);
        let mut i = self.flying.len().saturating_sub(1);
        let limit = distance;
        while i > 0 && self.flying.len() - i <= distance {
            let before = &self.flying[i - 1];
            if before.overtaken >= limit || !before.item.is_message() {
                break;
            }
            // The moments of arrival stay; what arrives at them changes places.
            let (a, b) = (self.flying[i - 1].at, self.flying[i].at);
            self.flying.swap(i - 1, i);
            (self.flying[i - 1].at, self.flying[i].at) = (a, b);
            self.flying[i].overtaken += 1;
            i -= 1;
        }
    }

    /// The next `count` messages that are on their way are read at once.
    pub(crate) fn merge(&mut self, count: usize) {
        for flying in self.flying.iter_mut().take(count.saturating_sub(1)) {
            flying.merged = true;
        }
    }

    /// Forgets everything that is on its way.
    pub(crate) fn clear(&mut self) {
        self.flying.clear();
        self.held.clear();
        self.kept.clear();
        self.unread = 0;
    }

    /// Whether the news that all has gone out is due, and has to be sent on its way.
    pub(crate) const fn start_draining(&mut self, capacity: usize) -> bool {
        let due = self.undrained && !self.draining && self.unread <= capacity;
        if due {
            (self.undrained, self.draining) = (false, true);
        }
        due
    }

    /// Whether arrivals have to wait behind others.
    pub(crate) fn is_blocked(&self) -> bool {
        self.paused || !self.held.is_empty()
    }

    pub(crate) fn hold(&mut self, item: Item) {
        self.unread += item.bytes();
        self.held.push_back(item);
    }

    /// The message was refused: it is the next one again.
    pub(crate) fn put_back(&mut self, item: Item) {
        self.unread += item.bytes();
        self.held.push_front(item);
    }

    pub(crate) fn unhold(&mut self) -> Option<Item> {
        if self.paused {
            return None;
        }
        let item = self.held.pop_front()?;
        self.unread -= item.bytes();
        Some(item)
    }

    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Bytes that have not been read.
    pub(crate) const fn unread(&self) -> usize {
        self.unread
    }

    /// Messages that have not arrived.
    pub(crate) fn in_flight(&self) -> usize {
        let flying = self.flying.iter();
        flying.filter(|flying| flying.item.is_message()).count()
    }
}

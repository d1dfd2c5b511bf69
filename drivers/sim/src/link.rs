//! A WebSocket between two parties: two pipes that keep order, take time, and misbehave if they are told to.

use std::collections::VecDeque;

use chumwire::io::{Closed, ConnId, Kind};
use chumwire::time::Micros;

use crate::chooser::{Choice, Chooser};
use crate::party::PartyId;

/// A link of a world, in the order of the dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who dialled.
    Dialler,
    /// Who was dialled.
    Listener,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Dialler, Self::Listener];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Dialler => 0,
            Self::Listener => 1,
        }
    }
}

/// How often a link misbehaves, in thousandths of messages; and how far. All off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A message is lost.
    pub loss: u32,
    /// A message comes twice.
    pub duplicate: u32,
    /// A message overtakes others…
    pub reorder: u32,
    /// …but none is overtaken by more than this many.
    pub distance: usize,
    /// One bit of a message is altered.
    pub flip: u32,
    /// A message is cut short.
    pub truncate: u32,
    /// The connection breaks off instead of carrying a message.
    pub cut: u32,
    /// From this message on nothing passes any more, and nobody is told.
    pub silence: u32,
}

/// How long messages take, and what happens to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// The least time on the way.
    pub latency: Micros,
    /// What is added at most, in eight steps.
    pub jitter: Micros,
    /// How it misbehaves.
    pub faults: Faults,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            latency: Micros::millis(5),
            jitter: Micros::ZERO,
            faults: Faults::default(),
        }
    }
}

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
    fn bytes(&self) -> usize {
        match self {
            Self::Message(_, bytes) => bytes.len(),
            _ => 0,
        }
    }
}

struct Flying {
    at: Micros,
    item: Item,
    /// How many later messages come before it.
    overtaken: usize,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Pipe {
    flying: VecDeque<Flying>,
    /// What has arrived and is not read: the reader pauses, or answered `Full`.
    held: VecDeque<Item>,
    pub(crate) paused: bool,
    pub(crate) silent: bool,
    /// The sender waits for the news that all has gone out.
    pub(crate) undrained: bool,
    /// Nothing goes in any more.
    pub(crate) ended: bool,
    last: Micros,
}

impl Pipe {
    /// When the next thing arrives.
    pub(crate) fn next(&self) -> Option<Micros> {
        self.flying.front().map(|flying| flying.at)
    }

    /// Takes out what arrives next.
    pub(crate) fn arrive(&mut self) -> Option<Item> {
        self.flying.pop_front().map(|flying| flying.item)
    }

    /// Puts something in, in order.
    pub(crate) fn push(&mut self, at: Micros, item: Item) {
        if self.ended || (self.silent && !matches!(item, Item::Dial | Item::Opened)) {
            return;
        }
        self.ended = matches!(item, Item::End(_));
        self.last = self.last.max(at);
        self.flying.push_back(Flying {
            at: self.last,
            item,
            overtaken: 0,
        });
    }

    /// Puts a message in that overtakes up to `distance` others.
    fn push_ahead(&mut self, at: Micros, item: Item, distance: usize) {
        self.push(at, item);
        let mut i = self.flying.len().saturating_sub(1);
        let limit = distance;
        while i > 0 && self.flying.len() - i <= distance {
            let before = &self.flying[i - 1];
            if before.overtaken >= limit || !matches!(before.item, Item::Message(..)) {
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

    /// Forgets everything that is on its way.
    pub(crate) fn clear(&mut self) {
        self.flying.clear();
        self.held.clear();
    }

    /// Whether arrivals have to wait behind others.
    pub(crate) fn is_blocked(&self) -> bool {
        self.paused || !self.held.is_empty()
    }

    pub(crate) fn hold(&mut self, item: Item) {
        self.held.push_back(item);
    }

    /// The message was refused: it is the next one again.
    pub(crate) fn put_back(&mut self, item: Item) {
        self.held.push_front(item);
    }

    pub(crate) fn unhold(&mut self) -> Option<Item> {
        if self.paused {
            None
        } else {
            self.held.pop_front()
        }
    }

    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Bytes that have not been read.
    pub(crate) fn unread(&self) -> usize {
        let flying = self.flying.iter().map(|flying| &flying.item);
        flying.chain(&self.held).map(Item::bytes).sum()
    }

    /// Messages that have not arrived.
    pub(crate) fn in_flight(&self) -> usize {
        self.flying
            .iter()
            .filter(|flying| matches!(flying.item, Item::Message(..)))
            .count()
    }
}

/// A link, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Which.
    pub id: LinkId,
    /// Who dialled, and its name for the connection.
    pub dialler: (PartyId, ConnId),
    /// Who was dialled.
    pub listener: PartyId,
    /// The listener's name for the connection, once it has taken it.
    pub accepted: Option<ConnId>,
    /// Messages on the way to the dialler and to the listener.
    pub in_flight: [usize; 2],
    /// Messages that have arrived at either end.
    pub delivered: [u64; 2],
}

pub(crate) struct Link {
    pub(crate) parties: [Option<PartyId>; 2],
    pub(crate) conns: [Option<ConnId>; 2],
    /// The party at this end was told of the end, or is gone.
    pub(crate) gone: [bool; 2],
    pub(crate) delivered: [u64; 2],
    pub(crate) profile: Profile,
    /// By where they lead to.
    pipes: [Pipe; 2],
}

impl Link {
    pub(crate) fn new(
        profile: Profile,
        dialler: (PartyId, ConnId),
        listener: Option<PartyId>,
    ) -> Self {
        Self {
            parties: [Some(dialler.0), listener],
            conns: [Some(dialler.1), None],
            gone: [false, false],
            delivered: [0, 0],
            profile,
            pipes: Default::default(),
        }
    }

    pub(crate) const fn to(&self, side: Side) -> &Pipe {
        &self.pipes[side.index()]
    }

    pub(crate) const fn to_mut(&mut self, side: Side) -> &mut Pipe {
        &mut self.pipes[side.index()]
    }

    pub(crate) const fn end(&self, side: Side) -> (Option<PartyId>, Option<ConnId>) {
        (self.parties[side.index()], self.conns[side.index()])
    }

    pub(crate) const fn set_conn(&mut self, side: Side, conn: ConnId) {
        self.conns[side.index()] = Some(conn);
    }

    pub(crate) const fn is_gone(&self, side: Side) -> bool {
        self.gone[side.index()]
    }

    pub(crate) const fn set_gone(&mut self, side: Side) {
        self.gone[side.index()] = true;
    }

    pub(crate) const fn count(&mut self, side: Side) {
        self.delivered[side.index()] += 1;
    }

    pub(crate) fn info(&self, id: LinkId) -> Option<LinkInfo> {
        Some(LinkInfo {
            id,
            dialler: (self.parties[0]?, self.conns[0]?),
            listener: self.parties[1]?,
            accepted: self.conns[1],
            in_flight: [self.pipes[0].in_flight(), self.pipes[1].in_flight()],
            delivered: self.delivered,
        })
    }

    /// When something that is sent now arrives.
    pub(crate) fn arrival(&self, now: Micros, chooser: &mut dyn Chooser) -> Micros {
        const STEPS: usize = 8;
        let Profile {
            latency, jitter, ..
        } = self.profile;
        let extra = match jitter {
            Micros::ZERO => 0,
            Micros(most) => {
                most * chooser.choose(Choice::Latency, STEPS) as u64 / (STEPS as u64 - 1)
            }
        };
        now + latency + Micros(extra)
    }

    /// Sends a message to `side`. Tells whether the link breaks off instead.
    pub(crate) fn send(
        &mut self,
        now: Micros,
        side: Side,
        kind: Kind,
        mut bytes: Vec<u8>,
        chooser: &mut dyn Chooser,
    ) -> bool {
        let faults = self.profile.faults;
        let at = self.arrival(now, chooser);
        let mut happens =
            |permille: u32| permille > 0 && chooser.choose(Choice::Fault, 1000) < permille as usize;
        if happens(faults.cut) {
            return true;
        }
        if happens(faults.silence) {
            self.to_mut(side).silent = true;
        }
        if happens(faults.loss) {
            return false;
        }
        let (flip, truncate) = (happens(faults.flip), happens(faults.truncate));
        let (twice, ahead) = (happens(faults.duplicate), happens(faults.reorder));
        if flip && !bytes.is_empty() {
            let bit = chooser.choose(Choice::Fault, bytes.len() * 8);
            match kind {
                Kind::Binary => bytes[bit / 8] ^= 1 << (bit % 8),
                // A text has to stay a text.
                Kind::Text if bytes[bit / 8].is_ascii() => bytes[bit / 8] ^= 1,
                Kind::Text => {}
            }
        }
        if truncate && !bytes.is_empty() {
            let mut length = chooser.choose(Choice::Fault, bytes.len());
            while kind == Kind::Text && core::str::from_utf8(&bytes[..length]).is_err() {
                length -= 1;
            }
            bytes.truncate(length);
        }
        let distance = match faults.distance {
            n if ahead && n > 0 => 1 + chooser.choose(Choice::Fault, n),
            _ => 0,
        };
        let copies = if twice { 2 } else { 1 };
        for _ in 0..copies {
            self.to_mut(side)
                .push_ahead(at, Item::Message(kind, bytes.clone()), distance);
        }
        false
    }
}

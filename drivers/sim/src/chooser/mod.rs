//! Where every choice of a world comes from.
//!
//! ```text
//! a seed ── Seeded ─┬─ Swarm   some faults off, others wild         bytes ──── Bytes      of a fuzzer
//!                   └─ Pct     who goes first, by priorities        schedule ─ Scheduled  of another run
//!                                                                   odometer ─ Enumerate  all there are
//! ```
//!
//! Whichever it is, [`Recording`] writes its choices down as one list of numbers, and [`Scheduled`] repeats them.

mod bytes;
mod enumerate;
mod pct;
mod recording;
mod scheduled;
mod seeded;
mod swarm;

pub use bytes::Bytes;
pub use enumerate::{Enumerate, Enumerated};
pub use pct::Pct;
pub use recording::Recording;
pub use scheduled::Scheduled;
pub use seeded::Seeded;
pub use swarm::{Mood, Swarm};

use crate::link::{FaultKind, LinkId, Side};
use crate::party::PartyId;

/// What is being chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// Which of several things that are due at the same moment comes first.
    Tie,
    /// How long a message is on its way.
    Latency,
    /// How long a driver takes to say that all has been handed to the socket.
    Drain,
    /// How long a store takes.
    Store,
    /// The seed of a machine.
    Seed,
    /// Whether and how a link misbehaves.
    Fault(FaultKind),
    /// Something that a test decides.
    Test,
}

/// Who would do what is due: one of the candidates of a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A pipe brings the next thing to this end of a link.
    Pipe(LinkId, Side),
    /// The driver at this end of a link: what was sent is out, or what was held is offered again.
    Driver(LinkId, Side),
    /// The store of a party.
    Store(PartyId),
    /// The timer of a party.
    Timer(PartyId),
    /// The world: what it was told to do later.
    World,
}

/// A source of choices. The same source gives the same run.
pub trait Chooser {
    /// One of `0..options`. It is asked only if there are two or more.
    fn choose(&mut self, what: Choice, options: usize) -> usize;

    /// One of these, by its place. It is asked only if there are two or more.
    fn choose_tie(&mut self, candidates: &[Actor]) -> usize {
        self.choose(Choice::Tie, candidates.len())
    }

    /// Whether a fault happens that happens to so many of a thousand messages. It is asked only about rates that are
    /// not zero.
    fn strikes(&mut self, kind: FaultKind, permille: u32) -> bool {
        self.choose(Choice::Fault(kind), 1000) < permille as usize
    }
}

impl<C: Chooser + ?Sized> Chooser for Box<C> {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        (**self).choose(what, options)
    }

    fn choose_tie(&mut self, candidates: &[Actor]) -> usize {
        (**self).choose_tie(candidates)
    }

    fn strikes(&mut self, kind: FaultKind, permille: u32) -> bool {
        (**self).strikes(kind, permille)
    }
}

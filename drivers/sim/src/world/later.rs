//! What comes later, apart from what travels on links and the parties' deadlines.

use chumwire::io::{NotStored, StoreId};
use chumwire::node::Record;
use chumwire::time::Micros;

use super::agenda::{Agenda, Due};
use crate::chooser::Actor;
use crate::link::{Item, LinkId, Side};
use crate::party::PartyId;

/// Something that was put off.
pub(super) enum Later {
    /// The sender at this side hears that all has gone out.
    Drained(LinkId, Side),
    /// Held messages are offered again.
    Unhold(LinkId, Side),
    /// A store does what it was asked.
    Commit(PartyId, u32, StoreId, Record),
    /// A party hears of its store.
    Stored(PartyId, u32, StoreId, Result<(), NotStored>),
    /// A message that was kept back.
    Late(LinkId, Side, Item),
    /// A pipe stops, and is released after this time.
    Clog(LinkId, Side, Micros),
    /// A clogged pipe is released.
    Release(LinkId, Side),
    /// One side of a link hears that it is gone.
    Lose(LinkId, Side),
    /// A party crashes and starts again, if it still runs as it did.
    Crash(PartyId, u32),
}

impl Later {
    const fn actor(&self) -> Actor {
        match self {
            Self::Drained(link, side) | Self::Unhold(link, side) => Actor::Driver(*link, *side),
            Self::Commit(party, ..) | Self::Stored(party, ..) => Actor::Store(*party),
            Self::Late(link, side, _) => Actor::Pipe(*link, *side),
            Self::Clog(..) | Self::Release(..) | Self::Lose(..) | Self::Crash(..) => Actor::World,
        }
    }
}

/// All that was put off, in places that are used again.
#[derive(Default)]
pub(super) struct Laters {
    places: Vec<Option<Later>>,
    free: Vec<usize>,
    count: u64,
}

impl Laters {
    /// Puts something off.
    pub(super) fn put(&mut self, agenda: &mut Agenda, now: Micros, at: Micros, later: Later) {
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                self.places.len() - 1
            }
        };
        self.places[place] = Some(later);
        agenda.put(now, at, Due::Later(self.count, place));
        self.count += 1;
    }

    /// Takes it out when it is due.
    pub(super) fn take(&mut self, place: usize) -> Option<Later> {
        let later = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(later)
    }

    /// Who would do it.
    pub(super) fn actor(&self, place: usize) -> Actor {
        match self.places.get(place) {
            Some(Some(later)) => later.actor(),
            _ => Actor::World,
        }
    }
}

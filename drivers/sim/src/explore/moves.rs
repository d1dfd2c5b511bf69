//! What can happen next in a state: the alphabet of an exploration.

use chumwire::crypto::SEALED_KEY;
use chumwire::io::{Kind, Message};

use super::engine::Engine;
use super::play::{Fault, View};
use super::state::{End, World, flag};
use super::store::{EMPTY, Item};
use crate::link::Side;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Move {
    /// What comes next on a pipe is delivered. The link is named by its dialler's end.
    Deliver(Dialler, Side),
    /// A record is written.
    Commit(u8),
    /// A party hears of its store.
    Answer(u8),
    /// A relay hears that all it sent is out.
    Drain(Dialler, Side),
    /// A party starts.
    Start(u8),
    /// The next act of the play.
    Act,
    /// Time passes until the next deadline.
    Time,
    /// What was held back is delivered.
    Release(Dialler, Side, u8),
    /// The next two messages are read at once.
    Burst(Dialler, Side),
    // --- faults --------------------------------------------------------------------------------------------------
    Drop(Dialler, Side),
    Duplicate(Dialler, Side),
    Hold(Dialler, Side),
    Corrupt(Dialler, Side, Place),
    Truncate(Dialler, Side),
    /// The connection is closed at this end.
    Close(Dialler, Side),
    Crash(u8),
    /// Time passes though something is under way.
    Slow,
}

/// The number of a dialler's end.
pub(super) type Dialler = u32;

/// Where a message is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    First,
    /// In the tag of a sealed message, in the middle of a text.
    Tag,
    Last,
}

/// What there is besides delivering, in the words of a result.
pub const ALPHABET: &[&str] = &[
    "deliver",
    "read two at once",
    "time to the next deadline when nothing is under way",
    "commit and answer of a store",
    "news that all was sent (relays)",
    "fault: drop",
    "fault: duplicate",
    "fault: hold (others overtake it)",
    "fault: corrupt (first byte, tag, last byte)",
    "fault: truncate",
    "fault: close by either end",
    "fault: crash of each party, and its restart",
    "fault: time to the next deadline while something is under way",
];

/// A move that can be made, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) mv: Move,
    /// The parties that it is about, a bit each: moves that share none commute.
    pub(super) parties: u16,
    pub(super) fault: bool,
}

const EVERYBODY: u16 = u16::MAX;

impl Move {
    /// As a number, for lists of many.
    pub(super) fn packed(self) -> u64 {
        let pack = |kind: u64, end: u32, side: Side, more: u64| {
            kind << 48 | more << 40 | u64::from(side == Side::Listener) << 32 | u64::from(end)
        };
        let of = |kind: u64, end: u32| pack(kind, end, Side::Dialler, 0);
        match self {
            Self::Deliver(end, side) => pack(0, end, side, 0),
            Self::Commit(who) => of(1, who.into()),
            Self::Answer(who) => of(2, who.into()),
            Self::Drain(end, side) => pack(3, end, side, 0),
            Self::Start(who) => of(4, who.into()),
            Self::Act => of(5, 0),
            Self::Time => of(6, 0),
            Self::Release(end, side, nth) => pack(7, end, side, nth.into()),
            Self::Burst(end, side) => pack(8, end, side, 0),
            Self::Drop(end, side) => pack(9, end, side, 0),
            Self::Duplicate(end, side) => pack(10, end, side, 0),
            Self::Hold(end, side) => pack(11, end, side, 0),
            Self::Corrupt(end, side, place) => pack(12, end, side, place as u64),
            Self::Truncate(end, side) => pack(13, end, side, 0),
            Self::Close(end, side) => pack(14, end, side, 0),
            Self::Crash(who) => of(15, who.into()),
            Self::Slow => of(16, 0),
        }
    }

    /// The party that it names, if it names one by its place in the cast.
    pub(super) const fn who(self) -> Option<usize> {
        match self {
            Self::Commit(who) | Self::Answer(who) | Self::Start(who) | Self::Crash(who) => {
                Some(who as usize)
            }
            _ => None,
        }
    }

    /// The other way round; `None` for a number that is no move.
    pub(super) const fn unpacked(number: u64) -> Option<Self> {
        let (end, more) = (number as u32, (number >> 40) as u8);
        let side = match number >> 32 & 0xff {
            0 => Side::Dialler,
            _ => Side::Listener,
        };
        let who = end as u8;
        Some(match number >> 48 {
            0 => Self::Deliver(end, side),
            1 => Self::Commit(who),
            2 => Self::Answer(who),
            3 => Self::Drain(end, side),
            4 => Self::Start(who),
            5 => Self::Act,
            6 => Self::Time,
            7 => Self::Release(end, side, more),
            8 => Self::Burst(end, side),
            9 => Self::Drop(end, side),
            10 => Self::Duplicate(end, side),
            11 => Self::Hold(end, side),
            12 => Self::Corrupt(
                end,
                side,
                match more {
                    0 => Place::First,
                    1 => Place::Tag,
                    _ => Place::Last,
                },
            ),
            13 => Self::Truncate(end, side),
            14 => Self::Close(end, side),
            15 => Self::Crash(who),
            16 => Self::Slow,
            _ => return None,
        })
    }
}

/// What is known of a state besides its moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    /// All acts are done, nothing is under way, and nobody waits for anything.
    pub(super) is_final: bool,
}

/// All moves of a state, the undisturbed ones first: number 0 is what happens if nothing is chosen.
pub(super) fn moves(
    engine: &Engine,
    world: &World,
    faults: u32,
    into: &mut Vec<Candidate>,
) -> Rest {
    into.clear();
    let count = engine.parties();
    let bit = |who: usize| 1_u16 << who;
    let mut plain = |mv, parties| {
        into.push(Candidate {
            mv,
            parties,
            fault: false,
        });
    };
    let deliverable = |link, side| {
        let queue = world.pipe(link, side);
        let at = world.at(link, side)?;
        let reads = queue != EMPTY && !world.is(link, side, flag::PAUSED);
        reads.then_some((queue, at))
    };
    for link in world.links(count) {
        let dialler = world.end(link, Side::Dialler).0;
        for side in Side::BOTH {
            if let Some((_, at)) = deliverable(link, side) {
                plain(Move::Deliver(dialler, side), bit(at));
            }
        }
    }
    let mut all_settled = true;
    for who in 0..count {
        let (commits, answers) = world.stores(who);
        if commits != EMPTY {
            plain(Move::Commit(who as u8), bit(who));
        }
        if answers != EMPTY {
            plain(Move::Answer(who as u8), bit(who));
        }
        let facts = engine.facts(world.party(who));
        if !facts.up {
            plain(Move::Start(who as u8), bit(who));
        }
        all_settled &= facts.settled;
    }
    for link in world.links(count) {
        for side in Side::BOTH {
            if world.is(link, side, flag::UNDRAINED)
                && let Some(at) = world.at(link, side)
            {
                let dialler = world.end(link, Side::Dialler).0;
                plain(Move::Drain(dialler, side), bit(at));
            }
        }
    }
    let holds = |link| {
        Side::BOTH
            .iter()
            .any(|side| world.held(link, *side) != EMPTY)
    };
    let quiet = into.is_empty() && !world.links(count).any(holds);
    let next = engine.play.acts.get(world.acts_done());
    let rest = Rest {
        is_final: quiet
            && next.is_none()
            && all_settled
            && (engine.play.rest)(&view(engine, world, false)),
    };
    let mut plain = |mv, parties| {
        into.push(Candidate {
            mv,
            parties,
            fault: false,
        });
    };
    let ready = next.is_some_and(|act| {
        engine.facts(world.party(act.who)).up && (act.when)(&view(engine, world, !quiet))
    });
    if ready {
        plain(Move::Act, EVERYBODY);
    }
    let anybody_waits = (0..count).any(|who| engine.facts(world.party(who)).due.is_some());
    let waits = match next {
        Some(act) if ready => anybody_waits && world.moments_passed() < act.patience,
        _ => !rest.is_final,
    };
    if quiet && waits {
        plain(Move::Time, EVERYBODY);
    }
    for link in world.links(count) {
        let dialler = world.end(link, Side::Dialler).0;
        for side in Side::BOTH {
            let Some(at) = world.at(link, side) else {
                continue;
            };
            for nth in 0..engine.queues.iter(world.held(link, side)).count() {
                plain(Move::Release(dialler, side, nth as u8), bit(at));
            }
            if let Some((queue, at)) = deliverable(link, side)
                && engine
                    .queues
                    .iter(queue)
                    .take(2)
                    .filter(|item| matches!(engine.items.get(*item), Item::Message(..)))
                    .count()
                    == 2
            {
                plain(Move::Burst(dialler, side), bit(at));
            }
        }
    }
    if world.faults() >= faults {
        return rest;
    }
    let mut fault = |mv, parties| {
        into.push(Candidate {
            mv,
            parties,
            fault: true,
        });
    };
    let may = |fault, message| (engine.play.faults)(fault, message);
    for link in world.links(count) {
        let dialler = world.end(link, Side::Dialler).0;
        for side in Side::BOTH {
            if let Some((queue, at)) = deliverable(link, side)
                && let Some((first, _)) = engine.queues.pop(queue)
                && let Item::Message(kind, bytes) = engine.items.get(first)
            {
                let (at, message) = (bit(at), Message::of(*kind, bytes).ok());
                for (kind, mv) in [
                    (Fault::Drop, Move::Drop(dialler, side)),
                    (Fault::Duplicate, Move::Duplicate(dialler, side)),
                    (Fault::Hold, Move::Hold(dialler, side)),
                    (Fault::Corrupt, Move::Corrupt(dialler, side, Place::First)),
                    (Fault::Corrupt, Move::Corrupt(dialler, side, Place::Tag)),
                    (Fault::Corrupt, Move::Corrupt(dialler, side, Place::Last)),
                    (Fault::Truncate, Move::Truncate(dialler, side)),
                ] {
                    if may(kind, message) {
                        fault(mv, at);
                    }
                }
            }
            let there = world.end(link, side) != End::NONE
                && !world.is(link, side, flag::GONE)
                && !world.is(link, side, flag::ENDED);
            if there
                && may(Fault::Close, None)
                && let Some(at) = world.at(link, side)
            {
                // Not possible any more when the other side has closed it.
                let other = world.at(link, side.other()).map_or(0, bit);
                fault(Move::Close(dialler, side), bit(at) | other);
            }
        }
    }
    for who in 0..count {
        if engine.facts(world.party(who)).up && may(Fault::Crash, None) {
            fault(Move::Crash(who as u8), bit(who));
        }
    }
    if !quiet && anybody_waits && may(Fault::Slow, None) {
        fault(Move::Slow, EVERYBODY);
    }
    rest
}

/// A state, for conditions and goals.
pub(super) fn view<'a>(engine: &'a Engine, world: &'a World, under_way: bool) -> View<'a> {
    View {
        engine,
        parties: world.parties(engine.parties()),
        faults: world.faults(),
        under_way,
    }
}

/// An altered message.
pub(super) fn corrupted(item: &Item, place: Place) -> Option<Item> {
    let Item::Message(kind, bytes) = item else {
        return None;
    };
    let mut bytes = bytes.clone();
    let last = bytes.len().checked_sub(1)?;
    let at = match (place, kind) {
        (Place::First, _) => 0,
        (Place::Last, _) => last,
        (Place::Tag, Kind::Text) => last / 2,
        // The tag of a box with its nonce, and that of a frame.
        (Place::Tag, Kind::Binary) if bytes.len() == SEALED_KEY => 30,
        (Place::Tag, Kind::Binary) => 12.min(last),
    };
    match kind {
        Kind::Binary => bytes[at] ^= 1,
        Kind::Text if bytes[at].is_ascii() => bytes[at] ^= 1,
        Kind::Text => return None,
    }
    Some(Item::Message(*kind, bytes))
}

/// A message that is cut in the middle. A text stays one.
pub(super) fn truncated(item: &Item) -> Option<Item> {
    let Item::Message(kind, bytes) = item else {
        return None;
    };
    let mut length = bytes.len() / 2;
    while *kind == Kind::Text && core::str::from_utf8(&bytes[..length]).is_err() {
        length -= 1;
    }
    Some(Item::Message(*kind, bytes[..length].into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_a_number_and_back() {
        let end = End::new(3, 5, 77).0;
        for side in Side::BOTH {
            for mv in [
                Move::Deliver(end, side),
                Move::Commit(3),
                Move::Answer(2),
                Move::Drain(end, side),
                Move::Start(1),
                Move::Act,
                Move::Time,
                Move::Release(end, side, 1),
                Move::Burst(end, side),
                Move::Drop(end, side),
                Move::Duplicate(end, side),
                Move::Hold(end, side),
                Move::Corrupt(end, side, Place::First),
                Move::Corrupt(end, side, Place::Tag),
                Move::Corrupt(end, side, Place::Last),
                Move::Truncate(end, side),
                Move::Close(end, side),
                Move::Crash(1),
                Move::Slow,
            ] {
                assert_eq!(Move::unpacked(mv.packed()), Some(mv));
            }
        }
        assert_eq!(Move::unpacked(17 << 48), None);
    }
}

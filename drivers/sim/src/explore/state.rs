//! A state of the explored world: a short list of numbers, in one form for equal states.
//!
//! ```text
//! head    acts done and faults | milliseconds waited | what was said | moments let pass
//! party   its state | what its store was given | what its store answers                     for each of the cast
//! link    dialler's end | listener's end | listener and flags | two pipes | two of what is held back
//! ```
//!
//! Links are sorted by their dialler's end, a name that does not depend on the order in which they were dialled.

use super::engine::Engine;
use super::print::{Print, Printer};
use super::store::EMPTY;
use crate::link::Side;

const DONE: usize = 0;
const WAITED: usize = 1;
const SAID: usize = 2;
const PASSED: usize = 3;
const HEAD: usize = 4;

/// Numbers of each party.
pub(super) const PER_PARTY: usize = 3;
/// Numbers of each link.
pub(super) const PER_LINK: usize = 7;

/// The most parties, lives of each, and connections of each life: they share one number.
pub(super) const LIVES: u32 = 1 << 6;

/// One end of a link: a party, which of its lives, and its name for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End(pub(super) u32);

impl End {
    pub(super) const NONE: Self = Self(u32::MAX);

    pub(super) const fn new(party: usize, life: u32, conn: u32) -> Self {
        Self((party as u32) << 28 | (life % LIVES) << 22 | conn)
    }

    pub(super) const fn party(self) -> usize {
        (self.0 >> 28) as usize
    }

    pub(super) const fn life(self) -> u32 {
        self.0 >> 22 & (LIVES - 1)
    }

    pub(super) const fn conn(self) -> u32 {
        self.0 & 0x3f_ffff
    }
}

pub(super) mod flag {
    //! What is so at one end of a link: shifted by one for the listener.
    /// The party at this end was told of the end, or is gone.
    pub(crate) const GONE: u32 = 1;
    /// Nothing more goes in towards this end.
    pub(crate) const ENDED: u32 = 4;
    /// The party here does not read.
    pub(crate) const PAUSED: u32 = 16;
    /// The party here waits for the news that all was sent.
    pub(crate) const UNDRAINED: u32 = 64;
    pub(crate) const ALL: u32 = 0xff;
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World(pub(super) Vec<u32>);

const fn index(side: Side) -> usize {
    match side {
        Side::Dialler => 0,
        Side::Listener => 1,
    }
}

impl World {
    /// Nobody runs, nothing is there.
    pub(super) fn new(parties: &[u32]) -> Self {
        let mut numbers = vec![0; HEAD];
        for state in parties {
            numbers.extend([*state, EMPTY, EMPTY]);
        }
        Self(numbers)
    }

    // --- the head ------------------------------------------------------------------------------------------------

    pub(super) fn acts_done(&self) -> usize {
        (self.0[DONE] & 0xffff) as usize
    }

    pub(super) fn act_done(&mut self) {
        self.0[DONE] += 1;
        (self.0[WAITED], self.0[PASSED]) = (0, 0);
    }

    pub(super) fn faults(&self) -> u32 {
        self.0[DONE] >> 16
    }

    pub(super) fn fault_struck(&mut self) {
        self.0[DONE] += 1 << 16;
    }

    pub(super) fn waited(&self) -> u32 {
        self.0[WAITED]
    }

    pub(super) fn time_passed(&mut self, millis: u64) {
        self.0[WAITED] = self.0[WAITED].saturating_add(u32::try_from(millis).unwrap_or(u32::MAX));
        self.0[PASSED] += 1;
    }

    pub(super) fn moments_passed(&self) -> u32 {
        self.0[PASSED]
    }

    pub(super) fn said(&self) -> u32 {
        self.0[SAID]
    }

    pub(super) fn say(&mut self, item: u32) {
        self.0[SAID] = item;
    }

    // --- the parties ---------------------------------------------------------------------------------------------

    pub(super) fn party(&self, who: usize) -> u32 {
        self.0[HEAD + who * PER_PARTY]
    }

    pub(super) fn set_party(&mut self, who: usize, state: u32) {
        self.0[HEAD + who * PER_PARTY] = state;
    }

    pub(super) fn commits(&mut self, who: usize) -> &mut u32 {
        &mut self.0[HEAD + who * PER_PARTY + 1]
    }

    pub(super) fn answers(&mut self, who: usize) -> &mut u32 {
        &mut self.0[HEAD + who * PER_PARTY + 2]
    }

    /// What a store was given and what it answers.
    pub(super) fn stores(&self, who: usize) -> (u32, u32) {
        let at = HEAD + who * PER_PARTY;
        (self.0[at + 1], self.0[at + 2])
    }

    /// The parties' numbers, [`PER_PARTY`] each.
    pub(super) fn parties(&self, count: usize) -> &[u32] {
        &self.0[HEAD..HEAD + count * PER_PARTY]
    }

    // --- the links -----------------------------------------------------------------------------------------------

    /// Where the links begin.
    pub(super) const fn first_link(parties: usize) -> usize {
        HEAD + parties * PER_PARTY
    }

    /// The places of all links.
    pub(super) fn links(&self, parties: usize) -> impl Iterator<Item = Link> + use<> {
        (Self::first_link(parties)..self.0.len())
            .step_by(PER_LINK)
            .map(Link)
    }

    /// The link whose dialler's end this is.
    pub(super) fn link(&self, parties: usize, dialler: End) -> Option<Link> {
        self.links(parties).find(|link| self.0[link.0] == dialler.0)
    }

    /// The link of which this is an end, and which one.
    pub(super) fn link_of(&self, parties: usize, end: End) -> Option<(Link, Side)> {
        self.links(parties).find_map(|link| {
            let side = Side::BOTH
                .into_iter()
                .find(|side| self.end(link, *side) == end)?;
            Some((link, side))
        })
    }

    /// Puts a link in, at its place in the order.
    pub(super) fn add_link(
        &mut self,
        parties: usize,
        dialler: End,
        listener: Option<usize>,
    ) -> Link {
        let later = self.links(parties).find(|link| self.0[link.0] > dialler.0);
        let at = later.map_or(self.0.len(), |link| link.0);
        let listener = listener.map_or(u32::MAX >> 8, |who| who as u32);
        let link = [
            dialler.0,
            End::NONE.0,
            listener << 8,
            EMPTY,
            EMPTY,
            EMPTY,
            EMPTY,
        ];
        self.0.splice(at..at, link);
        Link(at)
    }

    pub(super) fn remove_link(&mut self, link: Link) {
        self.0.drain(link.0..link.0 + PER_LINK);
    }

    pub(super) fn end(&self, link: Link, side: Side) -> End {
        End(self.0[link.0 + index(side)])
    }

    pub(super) fn set_accepted(&mut self, link: Link, end: End) {
        self.0[link.0 + 1] = end.0;
    }

    /// Who was dialled, if there is anybody.
    pub(super) fn listener(&self, link: Link) -> Option<usize> {
        let who = self.0[link.0 + 2] >> 8;
        (who != u32::MAX >> 8).then_some(who as usize)
    }

    /// Who is at an end.
    pub(super) fn at(&self, link: Link, side: Side) -> Option<usize> {
        match side {
            Side::Dialler => Some(self.end(link, side).party()),
            Side::Listener => self.listener(link),
        }
    }

    pub(super) fn is(&self, link: Link, side: Side, flag: u32) -> bool {
        self.0[link.0 + 2] & flag::ALL & (flag << index(side)) != 0
    }

    pub(super) fn set(&mut self, link: Link, side: Side, flag: u32, on: bool) {
        let bit = flag << index(side);
        let flags = &mut self.0[link.0 + 2];
        *flags = if on { *flags | bit } else { *flags & !bit };
    }

    /// What is on its way towards this end.
    pub(super) fn pipe(&self, link: Link, towards: Side) -> u32 {
        self.0[link.0 + 3 + index(towards)]
    }

    pub(super) fn set_pipe(&mut self, link: Link, towards: Side, queue: u32) {
        self.0[link.0 + 3 + index(towards)] = queue;
    }

    /// What is held back from this end.
    pub(super) fn held(&self, link: Link, from: Side) -> u32 {
        self.0[link.0 + 5 + index(from)]
    }

    pub(super) fn set_held(&mut self, link: Link, from: Side, queue: u32) {
        self.0[link.0 + 5 + index(from)] = queue;
    }

    // --- all of it -----------------------------------------------------------------------------------------------

    /// Its fingerprint, which does not depend on the numbers that things were given in this process.
    pub(super) fn print(&self, engine: &Engine) -> Print {
        let mut printer = Printer::default();
        let head = &self.0[..HEAD];
        printer.word(u64::from(head[DONE]) << 32 | u64::from(head[PASSED]));
        printer.word(u64::from(head[WAITED]));
        printer.add(engine.items.print(head[SAID]));
        let (parties, links) = self.0[HEAD..].split_at(engine.parties() * PER_PARTY);
        for party in parties.as_chunks::<PER_PARTY>().0 {
            printer.add(engine.print(party[0]));
            printer.add(engine.queues.print(party[1]));
            printer.add(engine.queues.print(party[2]));
        }
        for link in links.as_chunks::<PER_LINK>().0 {
            printer.word(u64::from(link[0]) << 32 | u64::from(link[1]));
            printer.word(u64::from(link[2]));
            for queue in &link[3..] {
                printer.add(engine.queues.print(*queue));
            }
        }
        printer.print()
    }
}

/// A link of a state, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(pub(super) usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stand_in_one_order_whoever_dialled_first() {
        let ends = [End::new(1, 1, 0), End::new(0, 2, 7), End::new(0, 1, 9)];
        let mut worlds = [[0, 1, 2], [2, 0, 1]].map(|order| {
            let mut world = World::new(&[5, 6]);
            for i in order {
                world.add_link(2, ends[i], Some(1));
            }
            world
        });
        assert_eq!(worlds[0], worlds[1]);
        let world = &mut worlds[0];
        let link = world.link(2, ends[1]).expect("it is there");
        world.set(link, Side::Listener, flag::PAUSED, true);
        world.set_held(link, Side::Listener, 77);
        assert!(world.is(link, Side::Listener, flag::PAUSED));
        assert!(!world.is(link, Side::Dialler, flag::PAUSED));
        assert_eq!(
            (world.listener(link), world.end(link, Side::Dialler)),
            (Some(1), ends[1])
        );
        assert_eq!((ends[1].party(), ends[1].life(), ends[1].conn()), (0, 2, 7));
        world.remove_link(link);
        assert_eq!(world.link(2, ends[1]), None);
        assert_eq!(world.links(2).count(), 2);
    }
}

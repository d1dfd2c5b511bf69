//! One step after the other: what is due next, and what it does to whom.

use chumwire::crypto::Suite;
use chumwire::io::{Closed, Kind, Message, NotStored, StoreId};
use chumwire::node::Record;
use chumwire::time::Micros;

use super::{Violation, World};
use crate::chooser::{Choice, Chooser};
use crate::link::{Item, LinkId, Side};
use crate::party::PartyId;
use crate::store::StoreFault;
use crate::trace::shown;

/// What comes later, apart from what travels on links.
pub(super) enum Later {
    Drained(LinkId, Side),
    /// Held messages are offered again.
    Unhold(LinkId, Side),
    Commit(PartyId, u32, StoreId, Record),
    Stored(PartyId, u32, StoreId, Result<(), NotStored>),
}

/// What can happen next.
#[derive(Clone, Copy)]
enum Candidate {
    Arrival(LinkId, Side),
    Later((Micros, u64)),
    Tick(PartyId),
}

impl<S: Suite> World<S> {
    /// The next thing happens; false if there is none.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn step(&mut self) -> Result<bool, Violation> {
        self.step_before(Micros(u64::MAX))
    }

    /// Runs until `done`, or for `bound`. Tells whether it is done.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn run_until(
        &mut self,
        bound: Micros,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now + bound;
        loop {
            if done(self) {
                return Ok(true);
            }
            if !self.step_before(end)? {
                self.now = self.now.max(end);
                return Ok(done(self));
            }
        }
    }

    /// Runs for a time.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn run_for(&mut self, time: Micros) -> Result<(), Violation> {
        self.run_until(time, |_| false).map(|_| ())
    }

    /// The next thing happens if it is not after `end`.
    fn step_before(&mut self, end: Micros) -> Result<bool, Violation> {
        let Some(at) = self.next_moment().filter(|at| *at <= end) else {
            return Ok(false);
        };
        if at > self.now {
            self.now = at;
            self.steps_now = 0;
        }
        self.steps_now += 1;
        if self.steps_now > self.config.livelock {
            return Err(self.violation("the world is caught in a loop".into()));
        }
        let candidates = self.candidates();
        let chosen = self.choose(Choice::Tie, candidates.len());
        match candidates.get(chosen) {
            Some(Candidate::Arrival(link, side)) => self.arrive(*link, *side),
            Some(Candidate::Later(key)) => {
                if let Some(later) = self.later.remove(key) {
                    self.happen(later);
                }
            }
            Some(Candidate::Tick(id)) => self.tick(*id)?,
            None => {}
        }
        self.check()?;
        Ok(true)
    }

    fn next_moment(&self) -> Option<Micros> {
        let arrivals = self
            .links
            .values()
            .flat_map(|link| Side::BOTH.map(|side| link.to(side).next()))
            .flatten();
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let ticks = self.parties.iter().filter_map(|slot| {
            slot.actor
                .as_ref()?
                .looked_at()
                .deadline()
                .map(|deadline| deadline.at)
        });
        arrivals
            .chain(later)
            .chain(ticks)
            .min()
            .map(|at| at.max(self.now))
    }

    /// Everything that is due now. On one pipe only the first.
    fn candidates(&self) -> Vec<Candidate> {
        let now = self.now;
        let due = |at: Option<Micros>| at.is_some_and(|at| at <= now);
        let mut all = Vec::new();
        for (id, link) in &self.links {
            for side in Side::BOTH {
                if due(link.to(side).next()) {
                    all.push(Candidate::Arrival(*id, side));
                }
            }
        }
        let later = self.later.keys().take_while(|(at, _)| *at <= now);
        all.extend(later.map(|key| Candidate::Later(*key)));
        for (i, slot) in self.parties.iter().enumerate() {
            let deadline = slot
                .actor
                .as_ref()
                .and_then(|actor| actor.looked_at().deadline());
            if due(deadline.map(|deadline| deadline.at)) {
                all.push(Candidate::Tick(PartyId(i)));
            }
        }
        all
    }

    fn tick(&mut self, id: PartyId) -> Result<(), Violation> {
        let now = self.now();
        let Some(actor) = &mut self.parties[id.0].actor else {
            return Ok(());
        };
        let before = actor.party().deadline();
        actor.party().tick(now);
        self.drain(id);
        let after = self.parties[id.0]
            .actor
            .as_ref()
            .and_then(|a| a.looked_at().deadline());
        match after {
            Some(after) if after.at <= now.mono => Err(self.violation(format!(
                "{}: a tick at {before:?} left the deadline at {after:?}",
                self.name(id)
            ))),
            _ => Ok(()),
        }
    }

    fn arrive(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(item) = link.to_mut(side).arrive() else {
            return;
        };
        if link.to(side).is_blocked() {
            link.to_mut(side).hold(item);
            return;
        }
        self.deliver(id, side, item);
        self.let_drain(id, side.other());
    }

    /// Hands something to the party at an end.
    fn deliver(&mut self, id: LinkId, side: Side, item: Item) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let (party, conn) = link.end(side);
        if matches!(item, Item::Dial) {
            return self.dialled(id, party);
        }
        let (Some(party), Some(conn)) = (party, conn) else {
            return;
        };
        if link.is_gone(side) {
            return self.sweep(id);
        }
        let Some(actor) = &mut self.parties[party.0].actor else {
            return;
        };
        match item {
            Item::Dial => {}
            Item::Opened => {
                self.note(format!("{} {conn} is open", self.name(party)));
                if let Some(actor) = &mut self.parties[party.0].actor {
                    actor.party().opened(now, conn);
                }
            }
            Item::Message(kind, bytes) => {
                let message = match kind {
                    Kind::Binary => Message::Binary(&bytes),
                    // Only texts go in as texts.
                    Kind::Text => Message::Text(core::str::from_utf8(&bytes).unwrap_or_default()),
                };
                if actor.party().message(now, conn, message).is_err() {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.to_mut(side).put_back(Item::Message(kind, bytes));
                        // Whoever answers `Full` says `Resume` when there is room.
                        link.to_mut(side).paused = true;
                    }
                    self.note(format!("{} {conn} is full", self.name(party)));
                } else {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.count(side);
                    }
                    self.deliveries += 1;
                    self.last_delivery = Some((id, side));
                    let shown = match kind {
                        Kind::Text => String::from_utf8_lossy(&bytes).into_owned(),
                        Kind::Binary => shown(&bytes),
                    };
                    self.note(format!("{} {conn} <- {shown}", self.name(party)));
                }
            }
            Item::End(how) => {
                self.note(format!("{} {conn} ends: {how:?}", self.name(party)));
                // A WebSocket answers a close with a close.
                let reply = matches!(how, Closed::ByPeer { .. }).then(|| how.clone());
                if let Some(actor) = &mut self.parties[party.0].actor {
                    actor.party().closed(now, conn, how);
                }
                self.conns.remove(&(party, conn));
                if let Some(link) = self.links.get_mut(&id) {
                    link.set_gone(side);
                    let at = link.arrival(now.mono, &mut self.chooser);
                    if let (Some(reply), Some(link)) = (reply, self.links.get_mut(&id)) {
                        link.to_mut(side.other()).push(at, Item::End(reply));
                    }
                }
                self.sweep(id);
            }
        }
        self.drain(party);
    }

    /// A dialling reaches its listener.
    fn dialled(&mut self, id: LinkId, party: Option<PartyId>) {
        let now = self.now();
        let actor = party.and_then(|party| self.parties[party.0].actor.as_mut());
        let accepted = actor.and_then(|actor| actor.party().accept(now));
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let at = link.arrival(now.mono, &mut self.chooser);
        match (accepted, party) {
            (Some(conn), Some(party)) => {
                link.set_conn(Side::Listener, conn);
                link.to_mut(Side::Dialler).push(at, Item::Opened);
                self.conns.insert((party, conn), (id, Side::Listener));
                self.note(format!("{} accepts {conn}", self.name(party)));
                self.drain(party);
            }
            _ => {
                link.set_gone(Side::Listener);
                let refused = Closed::NotOpened("refused".into());
                link.to_mut(Side::Dialler).push(at, Item::End(refused));
            }
        }
    }

    fn happen(&mut self, later: Later) {
        let now = self.now();
        match later {
            Later::Drained(id, side) => {
                let Some(link) = self.links.get_mut(&id).filter(|link| !link.is_gone(side)) else {
                    return;
                };
                let (Some(party), Some(conn)) = link.end(side) else {
                    return;
                };
                if let Some(actor) = &mut self.parties[party.0].actor {
                    actor.party().drained(now, conn);
                    self.drain(party);
                }
            }
            Later::Unhold(id, side) => {
                let item = self
                    .links
                    .get_mut(&id)
                    .and_then(|link| link.to_mut(side).unhold());
                let Some(item) = item else { return };
                self.deliver(id, side, item);
                self.let_drain(id, side.other());
                let more = self
                    .links
                    .get(&id)
                    .is_some_and(|link| !link.to(side).paused && link.to(side).has_held());
                if more {
                    self.happen_at(now.mono, Later::Unhold(id, side));
                }
            }
            Later::Commit(party, start, id, record) => self.commit(party, start, id, record),
            Later::Stored(party, start, id, result) => {
                if self.parties[party.0].starts == start
                    && let Some(actor) = &mut self.parties[party.0].actor
                {
                    actor.party().stored(now, id, result);
                    self.note(format!("{} stored {}: {result:?}", self.name(party), id.0));
                    self.drain(party);
                }
            }
        }
    }

    fn commit(&mut self, party: PartyId, start: u32, id: StoreId, record: Record) {
        let slot = &mut self.parties[party.0];
        if slot.starts != start || slot.actor.is_none() {
            return;
        }
        match slot.store.next_fault() {
            None => {
                slot.store.apply(record);
                self.happen_at(self.now, Later::Stored(party, start, id, Ok(())));
            }
            Some(StoreFault::Refuse) => {
                self.happen_at(self.now, Later::Stored(party, start, id, Err(NotStored)));
            }
            Some(StoreFault::CrashBefore) => self.crash(party),
            Some(StoreFault::CrashAfter) => {
                slot.store.apply(record);
                self.crash(party);
            }
        }
    }

    pub(super) fn happen_at(&mut self, at: Micros, later: Later) {
        self.later.insert((at, self.next_later), later);
        self.next_later += 1;
    }

    /// A delay of at most this, in four steps.
    pub(super) fn delay(&mut self, most: Micros, what: Choice) -> Micros {
        match most {
            Micros::ZERO => Micros::ZERO,
            Micros(most) => Micros(most * self.chooser.choose(what, 4) as u64 / 3),
        }
    }

    /// Tells the sender at `side` that all has gone out, if it waits for that and there is room.
    pub(super) fn let_drain(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let pipe = link.to_mut(side.other());
        if !pipe.undrained || pipe.unread() > self.config.capacity {
            return;
        }
        pipe.undrained = false;
        let at = self.now + self.delay(self.config.drain, Choice::Drain);
        self.happen_at(at, Later::Drained(id, side));
    }
}

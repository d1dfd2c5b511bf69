//! One step after the other: what is due next, and what it does to whom.

use chumwire::crypto::Suite;
use chumwire::io::{Closed, Kind, Message, NotStored, StoreId};
use chumwire::node::Record;
use chumwire::time::Micros;
use chumwire_trace::{Passing, What};

use super::agenda::Due;
use super::later::Later;
use super::{Violation, World};
use crate::chooser::{Actor, Choice, Chooser};
use crate::link::{Item, Link, LinkId, Side};
use crate::party::PartyId;
use crate::store::StoreFault;

/// Buffers that are kept for use again.
const KEPT_BUFFERS: usize = 4096;

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
        if !self.touched.is_empty() {
            // The test has done something: what is wrong now may be right again after what comes next.
            self.check()?;
        }
        if self.agenda.ready().is_empty() && !self.advance(end) {
            return Ok(false);
        }
        self.steps_now += 1;
        if self.steps_now > self.config.livelock {
            return Err(self.violation("the world is caught in a loop".into()));
        }
        match self.take_candidate() {
            Some(Due::Arrival(link, side)) => self.arrive(link, side),
            Some(Due::Later(_, place)) => {
                if let Some(later) = self.laters.take(place) {
                    self.happen(later);
                }
            }
            Some(Due::Tick(id)) => self.tick(id)?,
            None => {}
        }
        self.check()?;
        Ok(true)
    }

    /// Goes on to the next moment at which something is due, if it is not after `end`.
    fn advance(&mut self, end: Micros) -> bool {
        let (links, parties) = (&self.links, &self.parties);
        let is_live = |due: Due, at: Micros| match due {
            Due::Arrival(link, side) => links
                .get(link)
                .is_some_and(|link| link.to(side).armed == Some(at)),
            Due::Tick(id) => parties[id.0].armed == Some(at),
            Due::Later(..) => true,
        };
        let Some(at) = self.agenda.next(is_live).filter(|at| *at <= end) else {
            return false;
        };
        self.agenda.make_ready(at, is_live);
        self.now = self.now.max(at);
        self.steps_now = 0;
        true
    }

    /// Takes one of all that are due now. On one pipe only the first thing is a candidate.
    fn take_candidate(&mut self) -> Option<Due> {
        let ready = self.agenda.ready();
        let place = if ready.len() < 2 {
            0
        } else {
            self.candidates.clear();
            self.candidates.extend(ready.iter().map(|due| match due {
                Due::Arrival(link, side) => Actor::Pipe(*link, *side),
                Due::Later(_, place) => self.laters.actor(*place),
                Due::Tick(id) => Actor::Timer(*id),
            }));
            self.chooser.choose_tie(&self.candidates)
        };
        let due = self.agenda.take(place)?;
        match due {
            Due::Arrival(link, side) => {
                if let Some(link) = self.links.get_mut(link) {
                    link.to_mut(side).armed = None;
                }
            }
            Due::Tick(id) => self.parties[id.0].armed = None,
            Due::Later(..) => {}
        }
        Some(due)
    }

    /// Sees to it that the agenda has the next arrivals of a link.
    pub(super) fn rearm(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id) {
            for side in Side::BOTH {
                self.agenda.arm(self.now, id, side, link.to_mut(side));
            }
        }
    }

    /// Something has happened to a party: it is looked at after the step, and the agenda has its deadline.
    pub(super) fn touch(&mut self, id: PartyId) {
        let slot = &mut self.parties[id.0];
        if !slot.touched {
            slot.touched = true;
            self.touched.push(id);
        }
        let deadline = slot.running.as_ref().and_then(|r| r.looked_at().deadline());
        let next = deadline.map(|deadline| slot.clock.when(self.now, deadline.at));
        if next == slot.armed {
            return;
        }
        if slot.armed.is_some_and(|at| at <= self.now) {
            self.agenda.drop_ready(Due::Tick(id));
        }
        slot.armed = next;
        if let Some(at) = next {
            self.agenda.put(self.now, at, Due::Tick(id));
        }
    }

    fn tick(&mut self, id: PartyId) -> Result<(), Violation> {
        let now = self.now_at(id);
        self.enter(id, None);
        let Some(running) = &mut self.parties[id.0].running else {
            return Ok(());
        };
        let before = running.party().deadline();
        running.party().tick(now);
        self.record(id, || What::Tick);
        self.drain(id);
        let running = self.parties[id.0].running.as_ref();
        match running.and_then(|r| r.looked_at().deadline()) {
            Some(after) if after.at <= now.mono => Err(self.violation(format!(
                "{}: a tick at {before:?} left the deadline at {after:?}",
                self.name(id)
            ))),
            _ => Ok(()),
        }
    }

    /// The next thing on a pipe arrives, and with it what is read together with it.
    fn arrive(&mut self, id: LinkId, side: Side) {
        loop {
            let Some(link) = self.links.get_mut(id) else {
                return;
            };
            let pipe = link.to_mut(side);
            let Some((item, more)) = pipe.arrive() else {
                return;
            };
            let waits = pipe.undrained;
            if pipe.is_blocked() {
                pipe.hold(item);
                break;
            }
            match item {
                Item::Message(kind, bytes) => self.deliver(id, side, kind, bytes, !more),
                Item::Dial => self.dialled(id),
                Item::Opened => self.open(id),
                Item::End(how) => self.end(id, side, how),
            }
            if waits {
                self.let_drain(id, side.other());
            }
            if !more {
                break;
            }
        }
        self.rearm(id);
    }

    /// Hands a message to the party at an end. Unless it is the last one of a read, what the party wants done waits.
    fn deliver(&mut self, id: LinkId, side: Side, kind: Kind, bytes: Vec<u8>, last: bool) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let (Some(party), Some(conn)) = link.end(side) else {
            return;
        };
        if link.is_gone(side) {
            return self.sweep(id);
        }
        let now = self.now_at(party);
        self.enter(party, Some(conn));
        let Some(running) = &mut self.parties[party.0].running else {
            return;
        };
        let message = match kind {
            Kind::Binary => Message::Binary(&bytes),
            // Only texts go in as texts.
            Kind::Text => Message::Text(core::str::from_utf8(&bytes).unwrap_or_default()),
        };
        let full = running.party().message(now, conn, message).is_err();
        self.record(party, || What::Received {
            conn: conn.0,
            message: Passing::of(kind, &bytes, false),
            full,
        });
        let link = self.links.get_mut(id);
        if full {
            if let Some(link) = link {
                link.to_mut(side).put_back(Item::Message(kind, bytes));
                // Whoever answers `Full` says `Resume` when there is room.
                link.to_mut(side).paused = true;
            }
        } else {
            if let Some(link) = link {
                link.count(side);
            }
            self.deliveries += 1;
            self.last_delivery = Some((id, side));
            self.recycle(bytes);
        }
        if last || full {
            self.drain(party);
        }
    }

    /// The dialler hears that its connection is open.
    fn open(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (Some(party), Some(conn)) = link.end(Side::Dialler) else {
            return;
        };
        if link.is_gone(Side::Dialler) {
            return self.sweep(id);
        }
        let now = self.now_at(party);
        self.enter(party, Some(conn));
        if let Some(running) = &mut self.parties[party.0].running {
            running.party().opened(now, conn);
            self.record(party, || What::Opened { conn: conn.0 });
            self.drain(party);
        }
    }

    /// A connection ends for the party at an end.
    fn end(&mut self, id: LinkId, side: Side, how: Closed) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let (Some(party), Some(conn)) = link.end(side) else {
            return;
        };
        if link.is_gone(side) {
            return self.sweep(id);
        }
        let now = self.now_at(party);
        if self.parties[party.0].running.is_none() {
            return;
        }
        self.enter(party, Some(conn));
        self.record(party, || What::of_close(conn, &how));
        // A WebSocket answers a close with a close.
        let reply = matches!(how, Closed::ByPeer { .. }).then(|| how.clone());
        if let Some(running) = &mut self.parties[party.0].running {
            running.party().closed(now, conn, how);
        }
        self.parties[party.0].conns.remove(&conn);
        if let Some(link) = self.links.get_mut(id) {
            link.set_gone(side);
            let at = link.arrival(self.now, &mut self.chooser);
            if let Some(reply) = reply {
                link.to_mut(side.other()).push(at, Item::End(reply));
            }
        }
        self.rearm(id);
        self.sweep(id);
        self.drain(party);
    }

    /// A dialling reaches its listener.
    fn dialled(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (party, _) = link.end(Side::Listener);
        let now = party.map(|party| {
            self.enter(party, None);
            self.now_at(party)
        });
        let running = party.and_then(|party| self.parties[party.0].running.as_mut());
        let accepted = match (running, now) {
            (Some(running), Some(now)) => running.party().accept(now),
            _ => None,
        };
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let at = link.arrival(self.now, &mut self.chooser);
        match (accepted, party) {
            (Some(conn), Some(party)) => {
                let ends = link.end(Side::Dialler);
                link.set_conn(Side::Listener, conn);
                link.to_mut(Side::Dialler).push(at, Item::Opened);
                self.parties[party.0]
                    .conns
                    .insert(conn, (id, Side::Listener));
                self.record(party, || What::Accepted {
                    conn: Some(conn.0),
                    source: None,
                });
                if let (Some(dialler), Some(from)) = ends {
                    let to = self.parties[party.0].name.clone();
                    self.record(dialler, || What::Linked {
                        conn: from.0,
                        to,
                        accepted: conn.0,
                    });
                }
                self.drain(party);
            }
            (_, party) => {
                link.set_gone(Side::Listener);
                let refused = Closed::NotOpened("refused".into());
                link.to_mut(Side::Dialler).push(at, Item::End(refused));
                if let Some(party) = party.filter(|party| self.is_up(*party)) {
                    self.record(party, || What::Accepted {
                        conn: None,
                        source: None,
                    });
                    self.touch(party);
                }
            }
        }
    }

    fn happen(&mut self, later: Later) {
        match later {
            Later::Drained(id, side) => self.drained(id, side),
            Later::Unhold(id, side) => self.offer_held(id, side),
            Later::Commit(party, start, id, record) => self.commit(party, start, id, record),
            Later::Stored(party, start, id, result) => {
                let now = self.now_at(party);
                self.enter(party, None);
                let slot = &mut self.parties[party.0];
                if slot.starts == start
                    && let Some(running) = &mut slot.running
                {
                    running.party().stored(now, id, result);
                    let (id, ok) = (id.0, result.is_ok());
                    self.record(party, || What::Stored { id, ok });
                    self.drain(party);
                }
            }
            Later::Late(id, side, item) => {
                if let Some(link) = self.links.get_mut(id) {
                    link.to_mut(side).put_late(self.now, item);
                    self.rearm(id);
                }
            }
            Later::Clog(id, side, time) => self.clog_for(id, side, time),
            Later::Release(id, side) => self.release(id, side),
            Later::Lose(id, side) => self.tell_lost(id, side),
            Later::Crash(party, start) => {
                // Whoever has it do something finds it running, with another life's connections.
                if self.parties[party.0].starts == start && self.is_up(party) {
                    self.restart(party);
                }
            }
        }
    }

    /// A sender hears that all it has sent is out, if that is so still.
    fn drained(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let pipe = link.to_mut(side.other());
        pipe.draining = false;
        if pipe.unread() > self.config.capacity {
            pipe.undrained = true;
            return;
        }
        if link.is_gone(side) {
            return;
        }
        let (Some(party), Some(conn)) = link.end(side) else {
            return;
        };
        let now = self.now_at(party);
        self.enter(party, Some(conn));
        if let Some(running) = &mut self.parties[party.0].running {
            running.party().drained(now, conn);
            self.record(party, || What::Drained { conn: conn.0 });
            self.drain(party);
        }
    }

    /// What was held is offered again, one thing in a step.
    fn offer_held(&mut self, id: LinkId, side: Side) {
        let link = self.links.get_mut(id);
        let Some(item) = link.and_then(|link| link.to_mut(side).unhold()) else {
            return;
        };
        match item {
            Item::Message(kind, bytes) => self.deliver(id, side, kind, bytes, true),
            Item::Dial => self.dialled(id),
            Item::Opened => self.open(id),
            Item::End(how) => self.end(id, side, how),
        }
        self.let_drain(id, side.other());
        let more = |link: &Link| !link.to(side).paused && link.to(side).has_held();
        if self.links.get(id).is_some_and(more) {
            self.put_off(self.now, Later::Unhold(id, side));
        }
    }

    fn commit(&mut self, party: PartyId, start: u32, id: StoreId, record: Record) {
        let slot = &mut self.parties[party.0];
        if slot.starts != start || slot.running.is_none() {
            return;
        }
        match slot.store.next_fault() {
            None => {
                slot.store.apply(record);
                self.put_off(self.now, Later::Stored(party, start, id, Ok(())));
            }
            Some(StoreFault::Refuse) => {
                let refused = Later::Stored(party, start, id, Err(NotStored));
                self.put_off(self.now, refused);
            }
            Some(StoreFault::CrashBefore) => self.crash(party),
            Some(StoreFault::CrashAfter) => {
                slot.store.apply(record);
                self.crash(party);
            }
        }
    }

    pub(super) fn put_off(&mut self, at: Micros, later: Later) {
        self.laters.put(&mut self.agenda, self.now, at, later);
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
        let capacity = self.config.capacity;
        let link = self.links.get_mut(id);
        if link.is_some_and(|link| link.to_mut(side.other()).start_draining(capacity)) {
            self.drain_later(id, side);
        }
    }

    pub(super) fn drain_later(&mut self, id: LinkId, side: Side) {
        let at = self.now + self.delay(self.config.drain, Choice::Drain);
        self.put_off(at, Later::Drained(id, side));
    }

    /// An empty buffer, used before if there is one.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < KEPT_BUFFERS && buffer.capacity() > 0 {
            self.buffers.push(buffer);
        }
    }
}

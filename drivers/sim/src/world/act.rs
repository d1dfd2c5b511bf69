//! What parties want done.

use std::sync::Arc;

use chumwire::crypto::Suite;
use chumwire::io::{Closed, ConnId, Effect, Kind};
use chumwire_trace::{Line, Passing, What};

use super::World;
use super::later::Later;
use crate::chooser::Choice;
use crate::link::{Item, Link, LinkId, Passage, Side};
use crate::party::{Action, PartyId, Told};

/// Who does what nobody in the world does.
const WORLD: &str = "world";

impl<S: Suite> World<S> {
    /// Does all that a party wants done.
    pub(super) fn drain(&mut self, id: PartyId) {
        let mut bytes = self.buffer();
        while let Some(running) = &mut self.parties[id.0].running
            && let Some(action) = running.party().poll(&mut bytes)
        {
            if let Effect::Send { conn, kind } = action {
                let next = self.buffer();
                let message = core::mem::replace(&mut bytes, next);
                self.send(id, conn, kind, message);
            } else {
                self.act(id, action);
                if bytes.capacity() == 0 {
                    // It went along with a message for the embedder.
                    bytes = self.buffer();
                }
            }
        }
        self.recycle(bytes);
        self.leave();
        self.touch(id);
    }

    fn act(&mut self, id: PartyId, action: Action) {
        match action {
            Effect::Dial { conn, url } => self.dial(id, conn, &url),
            Effect::Close { conn, code, reason } => self.close(id, conn, code, reason),
            Effect::Pause(conn) => {
                self.record(id, || What::Paused { conn: conn.0 });
                if let Some((link, side)) = self.link_of(id, conn)
                    && let Some(link) = self.links.get_mut(link)
                {
                    link.to_mut(side).paused = true;
                }
            }
            Effect::Resume(conn) => {
                self.record(id, || What::Resumed { conn: conn.0 });
                if let Some((at, side)) = self.link_of(id, conn)
                    && let Some(link) = self.links.get_mut(at)
                {
                    link.to_mut(side).paused = false;
                    if link.to(side).has_held() {
                        self.put_off(self.now, Later::Unhold(at, side));
                    }
                }
            }
            Effect::Store { id: store, record } => {
                self.record(id, || What::of_record(store.0, &record, false));
                let at = self.now + self.delay(self.config.store, Choice::Store);
                let slot = &mut self.parties[id.0];
                slot.writes_until = slot.writes_until.max(at);
                let (at, start) = (slot.writes_until, slot.starts);
                self.put_off(at, Later::Commit(id, start, store, record));
            }
            Effect::Event(told) => self.tell(id, told),
            _ => {}
        }
    }

    fn tell(&mut self, id: PartyId, told: Told) {
        if self.config.trace
            && let Some(what) = told.what()
        {
            self.record(id, || what);
        }
        if let Told::Message(conn, bytes) = &told {
            self.heard(id, *conn, bytes);
        }
        match told {
            Told::Message(_, bytes) if !self.config.messages => {
                self.handed += 1;
                self.recycle(bytes);
            }
            told if told.is_note() => {}
            told => {
                self.handed += u64::from(matches!(told, Told::Message(..)));
                self.told.push((self.now, id, told));
            }
        }
    }

    fn dial(&mut self, id: PartyId, conn: ConnId, url: &str) {
        let host = url.trim_start_matches("wss://").trim_start_matches("ws://");
        let host = host.split('/').next().unwrap_or_default();
        let listener = self.party(host);
        let mut link = Link::new(self.config.profile, (id, conn), listener);
        let at = link.arrival(self.now, &mut self.chooser);
        link.to_mut(Side::Listener).push(at, Item::Dial);
        let link_id = self.links.add(link);
        self.parties[id.0]
            .conns
            .insert(conn, (link_id, Side::Dialler));
        self.record(id, || What::Dialled {
            conn: conn.0,
            url: url.into(),
        });
        self.rearm(link_id);
    }

    fn send(&mut self, id: PartyId, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
        let Some((at, side)) = self.link_of(id, conn) else {
            return;
        };
        self.record(id, || What::Sent {
            conn: conn.0,
            message: Passing::of(kind, &bytes, false),
        });
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        if self.rules.is_empty() && link.is_plain() {
            let arrival = link.arrival(self.now, &mut self.chooser);
            let pipe = link.to_mut(side.other());
            pipe.push(arrival, Item::Message(kind, bytes));
            pipe.undrained = true;
            self.agenda.arm(self.now, at, side.other(), pipe);
            if pipe.start_draining(self.config.capacity) {
                self.drain_later(at, side);
            }
        } else if self.send_through(at, side, kind, bytes) {
            self.rearm(at);
            self.let_drain(at, side);
        }
    }

    /// Sends a message through rules and layers. False if the link has broken.
    fn send_through(&mut self, at: LinkId, side: Side, kind: Kind, bytes: Vec<u8>) -> bool {
        let Some(link) = self.links.get_mut(at) else {
            return false;
        };
        let mut passage = Passage::new(side.other(), kind, bytes);
        let name = |party: Option<PartyId>| party.map_or("", |id| &*self.parties[id.0].name);
        let (from, to) = (name(link.end(side).0), name(link.end(side.other()).0));
        for ruling in &mut self.rules {
            ruling.pass(from, to, &mut passage);
        }
        link.pass(&mut passage, &mut self.chooser);
        let receiver = link.end(side.other()).0;
        let arrival = link.arrival(self.now, &mut self.chooser);
        for what in &passage.done {
            self.interfered(at, what);
        }
        if passage.cut {
            self.cut(at);
            return false;
        }
        for parcel in passage.parcels {
            let towards = if parcel.back { side } else { side.other() };
            let item = Item::Message(parcel.kind, parcel.bytes);
            let Some(link) = self.links.get_mut(at) else {
                return false;
            };
            if parcel.after > 0 {
                link.to_mut(towards).keep(parcel.after, item);
            } else if parcel.late.0 > 0 {
                self.put_off(arrival + parcel.late, Later::Late(at, towards, item));
            } else {
                let pipe = link.to_mut(towards);
                pipe.put_ahead(arrival, item, parcel.ahead, parcel.merged);
            }
        }
        if let Some(link) = self.links.get_mut(at) {
            let pipe = link.to_mut(side.other());
            pipe.silent |= passage.silent;
            pipe.undrained = true;
        }
        if let Some(time) = passage.clogged {
            self.clog_for(at, side.other(), time);
        }
        if let (true, Some(party)) = (passage.crash, receiver) {
            let start = self.parties[party.0].starts;
            self.put_off(self.now, Later::Crash(party, start));
        }
        true
    }

    fn close(&mut self, id: PartyId, conn: ConnId, code: u16, reason: String) {
        let Some((at, side)) = self.link_of(id, conn) else {
            return;
        };
        self.record(id, || What::Closing {
            conn: conn.0,
            code,
            reason: reason.clone(),
        });
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        let arrival = link.arrival(self.now, &mut self.chooser);
        link.to_mut(side.other())
            .push(arrival, Item::End(Closed::ByPeer { code, reason }));
        if link.is_gone(side.other()) && link.to(side).next().is_none() {
            // Nobody is left to answer.
            link.to_mut(side)
                .push(arrival, Item::End(Closed::Lost("nobody answers".into())));
        }
        self.rearm(at);
    }

    /// Forgets a link that nobody is at.
    pub(super) fn sweep(&mut self, id: LinkId) {
        let left = |link: &Link| Side::BOTH.iter().any(|side| !link.is_gone(*side));
        if self.links.get(id).is_none_or(left) {
            return;
        }
        if let Some(link) = self.links.get_mut(id) {
            for side in Side::BOTH {
                link.to_mut(side).clear();
            }
        }
        // What is due on it is due no more.
        self.rearm(id);
        self.links.remove(id);
    }

    /// Writes down what a party did or was given.
    pub(super) fn record(&mut self, id: PartyId, what: impl FnOnce() -> What) {
        if self.config.trace {
            let who = self.parties[id.0].name.clone();
            self.line(who, what());
        }
    }

    /// Writes down what the world did to a link.
    pub(super) fn interfered(&mut self, id: LinkId, what: &str) {
        if !self.config.trace {
            return;
        }
        let ends = self.links.get(id).and_then(|link| link.info(id));
        let fault = match ends {
            Some(info) => {
                let (dialler, listener) = (self.name(info.dialler.0), self.name(info.listener));
                format!("{dialler} {} to {listener}: {what}", info.dialler.1)
            }
            None => what.into(),
        };
        self.line(WORLD.into(), What::Interfered { fault });
    }

    /// Writes down what the world did to a party's clock.
    pub(super) fn meddled_with(&mut self, id: PartyId, what: &str) {
        if self.config.trace {
            let fault = format!("{}: {what}", self.name(id));
            self.line(WORLD.into(), What::Interfered { fault });
        }
    }

    fn line(&mut self, who: Arc<str>, what: What) {
        self.trace.push(Line {
            at: self.now.0,
            wall: None,
            who,
            what,
        });
    }
}

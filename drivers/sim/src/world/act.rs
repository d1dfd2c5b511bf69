//! What parties want done, and the checks after every step.

use chumwire::crypto::Suite;
use chumwire::io::{Closed, ConnId, Effect, Kind};

use super::run::Later;
use super::{Actor, Violation, World};
use crate::chooser::Choice;
use crate::link::{Item, Link, LinkId, Side};
use crate::party::{Action, PartyId};

impl<S: Suite> World<S> {
    pub(super) fn drain(&mut self, id: PartyId) {
        let mut bytes = core::mem::take(&mut self.buffer);
        let mut wanted = Vec::new();
        while let Some(actor) = &mut self.parties[id.0].actor
            && let Some(action) = actor.party().poll(&mut bytes)
        {
            let message = match &action {
                Effect::Send { .. } => core::mem::take(&mut bytes),
                _ => Vec::new(),
            };
            wanted.push((action, message));
        }
        self.buffer = bytes;
        for (action, message) in wanted {
            self.act(id, action, message);
        }
    }

    fn act(&mut self, id: PartyId, action: Action, message: Vec<u8>) {
        match action {
            Effect::Dial { conn, url } => self.dial(id, conn, &url),
            Effect::Send { conn, kind } => self.send(id, conn, kind, message),
            Effect::Close { conn, code, reason } => self.close(id, conn, code, reason),
            Effect::Pause(conn) => {
                if let Some((link, side)) = self.link_of(id, conn)
                    && let Some(link) = self.links.get_mut(&link)
                {
                    link.to_mut(side).paused = true;
                }
            }
            Effect::Resume(conn) => {
                if let Some((at, side)) = self.link_of(id, conn)
                    && let Some(link) = self.links.get_mut(&at)
                {
                    link.to_mut(side).paused = false;
                    if link.to(side).has_held() {
                        self.happen_at(self.now, Later::Unhold(at, side));
                    }
                }
            }
            Effect::Store { id: store, record } => {
                let at = self.now + self.delay(self.config.store, Choice::Store);
                let start = self.parties[id.0].starts;
                self.happen_at(at, Later::Commit(id, start, store, record));
            }
            Effect::Event(told) => {
                self.note(format!("{} tells {told:?}", self.name(id)));
                self.told.push((self.now, id, told));
            }
            _ => {}
        }
    }

    fn dial(&mut self, id: PartyId, conn: ConnId, url: &str) {
        let host = url.trim_start_matches("wss://").trim_start_matches("ws://");
        let host = host.split('/').next().unwrap_or_default();
        let listener = self.party(host);
        let mut link = Link::new(self.config.profile, (id, conn), listener);
        let at = link.arrival(self.now, &mut self.chooser);
        link.to_mut(Side::Listener).push(at, Item::Dial);
        let link_id = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(link_id, link);
        self.conns.insert((id, conn), (link_id, Side::Dialler));
        self.note(format!("{} {conn} dials {url}", self.name(id)));
    }

    fn send(&mut self, id: PartyId, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
        let Some((at, side)) = self.link_of(id, conn) else {
            return;
        };
        let Some(link) = self.links.get_mut(&at) else {
            return;
        };
        link.to_mut(side.other()).undrained = true;
        if link.send(self.now, side.other(), kind, bytes, &mut self.chooser) {
            self.cut(at);
        } else {
            self.let_drain(at, side);
        }
    }

    fn close(&mut self, id: PartyId, conn: ConnId, code: u16, reason: String) {
        let Some((at, side)) = self.link_of(id, conn) else {
            return;
        };
        self.note(format!("{} {conn} closes: {code} {reason}", self.name(id)));
        let Some(link) = self.links.get_mut(&at) else {
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
    }

    /// Forgets a link that nobody is at.
    pub(super) fn sweep(&mut self, id: LinkId) {
        if self
            .links
            .get(&id)
            .is_some_and(|link| Side::BOTH.iter().all(|side| link.is_gone(*side)))
        {
            self.links.remove(&id);
        }
    }

    pub(super) fn note(&mut self, line: String) {
        self.trace.line(format_args!("{} {line}", self.now));
    }

    pub(super) fn violation(&self, what: String) -> Violation {
        Violation {
            what,
            at: self.now,
            tail: self.trace.tail(60),
        }
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        for slot in &self.parties {
            if let Some(Actor::Relay(relay)) = &slot.actor {
                relay
                    .self_check()
                    .map_err(|what| self.violation(format!("{}: {what}", slot.name)))?;
            }
        }
        for invariant in &self.invariants {
            invariant(self).map_err(|what| self.violation(what))?;
        }
        Ok(())
    }
}

//! What is polled: effects in their order, diagnoses after the close that they explain, and room for what was paused.

use alloc::vec::Vec;
use core::mem::{replace, take};

use super::conn::Stage;
use super::event::{Event, Record};
use super::machine::{Inner, Queued};
use crate::channel::Diagnosis;
use crate::crypto::Suite;
use crate::io::{ConnId, Effect};
use crate::limits;
use crate::session::Session;
use crate::time::Micros;

/// The diagnosis looks at sibling channels once in this time (spec 07).
const SIBLING_SEARCH: Micros = Micros::secs(1);

impl<S: Suite> Inner<S> {
    pub(super) fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<Event, Record>> {
        loop {
            let effect = match self.effects.pop_front()? {
                Queued::Send(conn, kind, message) => {
                    if let Some(conn) = self.conns.get_mut(&conn) {
                        conn.queued = conn.queued.saturating_sub(message.len());
                        conn.handed_out += message.len();
                    }
                    let old = replace(bytes, message);
                    self.recycle(old);
                    Effect::Send { conn, kind }
                }
                Queued::Message(id, kind, mut message) => {
                    if let Some(conn) = self.conns.get_mut(&id) {
                        conn.inbound = conn.inbound.saturating_sub(message.len());
                    }
                    let old = replace(bytes, take(&mut *message));
                    self.recycle(old);
                    Effect::Event(Event::Message { conn: id, kind })
                }
                Queued::Diagnose(conn, session) => match self.diagnose(*session) {
                    Some(diagnosis) => Effect::Event(Event::Diagnosed { conn, diagnosis }),
                    None => continue,
                },
                Queued::Other(effect) => effect,
            };
            self.resume();
            return Some(effect);
        }
    }

    fn diagnose(&mut self, session: Session<S>) -> Option<Diagnosis> {
        let mut siblings = Vec::new();
        if self.siblings_at <= self.latest {
            self.siblings_at = self.latest + SIBLING_SEARCH;
            siblings.extend(self.conns.values().filter_map(|conn| match &conn.stage {
                Stage::Session(session) => session.sibling(),
                _ => None,
            }));
        }
        session.diagnose(&siblings)
    }

    /// Lets connections go on that were paused and have room again.
    fn resume(&mut self) {
        if self.paused.is_empty() || self.effects.len() >= limits::EFFECTS / 2 {
            return;
        }
        let conns = &self.conns;
        let has_room = |id: &ConnId| {
            conns
                .get(id)
                .is_some_and(|conn| conn.inbound <= limits::WINDOW / 2)
        };
        let ready: Vec<ConnId> = self.paused.iter().copied().filter(has_room).collect();
        for id in ready {
            self.paused.remove(&id);
            self.effects.push_back(Queued::Other(Effect::Resume(id)));
        }
    }
}

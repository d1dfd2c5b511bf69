//! What is due: time limits, pings, idle pairs (spec 02).

use super::{Queued, Relay, State};
use crate::crypto::Suite;
use crate::fault::Why;
use crate::io::ConnId;
use crate::relay::wire;
use crate::time::{Alarm, Micros, Now};

impl<S: Suite> Relay<S> {
    /// Fires what is due before `now`, and with `at` also what is due at it. An input at the very moment of a
    /// limit is in time; the tick at that moment comes after it.
    pub(super) fn advance(&mut self, now: Now, at: bool) {
        let now = now.not_before(&mut self.latest);
        while let Some((deadline, conn)) = self.deadlines.due(now.mono, at) {
            self.set_deadline(conn, None);
            self.fire(conn, deadline.why);
        }
    }

    fn fire(&mut self, conn: ConnId, why: Alarm) {
        let Some(entry) = self.connections.get_mut(&conn) else {
            return;
        };
        let step = entry.state.step();
        match &mut entry.state {
            State::First | State::Challenged(_) | State::Waiting(_) => {
                self.end(conn, Why::Timeout.at(step));
            }
            State::Spare { asked, .. } if !*asked && why == Alarm::Ping => {
                *asked = true;
                self.send(conn, "ping", wire::ping());
                self.set_deadline(conn, self.after(self.config.pong_limit, Alarm::PongLimit));
            }
            State::Spare { .. } | State::Picked { .. } => self.end(conn, Why::NoPong.at(step)),
            State::Relayed { .. } => match self.idle_from(conn) {
                // Something moved after the deadline was set: the limit counts from there.
                Some(moved) if moved + self.config.idle > self.latest => {
                    let left = (moved + self.config.idle).since(self.latest);
                    self.set_deadline(conn, self.after(left, Alarm::Idle));
                }
                _ => self.end(conn, Why::Timeout.at(step)),
            },
            State::Draining { reason } => {
                // It did not take what was held for it.
                let reason = core::mem::take(reason);
                self.goodbye(conn, reason);
            }
            State::Closing => self.forget(conn),
            // The initiator's limit counts for both.
            State::Handed { .. } => {}
        }
    }

    /// When something last moved in the pair of this connection.
    pub(super) fn idle_from(&self, conn: ConnId) -> Option<Micros> {
        let State::Relayed { partner, moved, .. } = self.connections.get(&conn)?.state else {
            return None;
        };
        match self.connections.get(&partner)?.state {
            State::Relayed { moved: other, .. } => Some(moved.max(other)),
            _ => None,
        }
    }

    /// Sends a control message.
    pub(super) fn send(&mut self, conn: ConnId, name: &'static str, text: alloc::string::String) {
        let Some(entry) = self.connections.get_mut(&conn) else {
            return;
        };
        entry.queued = entry.queued.saturating_add(super::charge(text.len()));
        let bytes = text.len();
        let kind = crate::io::Kind::Text;
        self.outbox.push(Queued::Send {
            conn,
            kind,
            bytes: text.into_bytes(),
        });
        self.note(conn, true, crate::note::Layer::Relay, name, bytes);
    }
}

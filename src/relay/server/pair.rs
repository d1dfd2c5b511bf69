//! Copying between the two connections of a pair, and its back-pressure (spec 02, "What a relay MUST do").
//!
//! ```text
//! message --> [ fits in the window? ] --yes--> queue --> driver --> drained
//!                       | no                     ^
//!                       v                        | as the window opens
//!             backlog of the slow reader --------+
//!             its partner: Pause … Resume; beyond the bound: Full
//! ```

use alloc::vec::Vec;

use super::connection::charge;
use super::report::count;
use super::{Queued, Relay, State};
use crate::crypto::Suite;
use crate::fault::Why;
use crate::io::{ConnId, Kind, Message};
use crate::note::Layer;
use crate::time::Alarm;

/// How a note calls a copied message.
pub(super) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    }
}

impl<S: Suite> Relay<S> {
    /// Copies a message of one side to the other.
    pub(super) fn relay(
        &mut self,
        conn: ConnId,
        partner: ConnId,
        unheard: bool,
        message: Message<'_>,
    ) -> Result<(), Why> {
        let (kind, bytes) = (message.kind(), message.bytes());
        self.note(conn, false, Layer::Relayed, name(kind), bytes.len());
        if unheard {
            Self::no_pong(message)?;
        }
        let limit = self.config.message;
        if bytes.len() > limit {
            return Err(Why::Limit {
                what: "bytes of a relayed message",
                limit,
            });
        }
        if let Some(entry) = self.connections.get_mut(&conn)
            && let State::Relayed { moved, unheard, .. } = &mut entry.state
        {
            *moved = self.latest;
            *unheard = false;
        }
        let copy = self.outbox.copy(bytes);
        self.forward(conn, partner, kind, copy);
        Ok(())
    }

    /// Sends to `to`, or keeps it for later and stops `from`.
    pub(super) fn forward(&mut self, from: ConnId, to: ConnId, kind: Kind, bytes: Vec<u8>) {
        let Some(entry) = self.connections.get_mut(&to) else {
            self.outbox.recycle(bytes);
            return;
        };
        count(&mut self.stats.messages);
        let length = bytes.len();
        self.stats.bytes = self
            .stats
            .bytes
            .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let charge = charge(length);
        if entry.backlog.is_empty() && entry.fits(charge, self.config.window) {
            entry.queued = entry.queued.saturating_add(charge);
            self.outbox.push(Queued::Send {
                conn: to,
                kind,
                bytes,
            });
            self.note(to, true, Layer::Relayed, name(kind), length);
            return;
        }
        entry.backlog.push_back((kind, bytes));
        entry.backlog_bytes = entry.backlog_bytes.saturating_add(charge);
        self.stats.held = self.stats.held.saturating_add(charge);
        if let Some(sender) = self.connections.get_mut(&from)
            && !sender.paused
            && !sender.state.is_over()
        {
            sender.paused = true;
            count(&mut self.stats.paused);
            self.outbox.push(Queued::Pause(from));
        }
    }

    /// The driver has got rid of what was polled for a connection.
    pub(super) fn caught_up(&mut self, conn: ConnId) {
        let Some(entry) = self.connections.get_mut(&conn) else {
            return;
        };
        if entry.outstanding == 0 {
            return;
        }
        entry.outstanding = 0;
        let all_left = entry.queued == 0;
        self.refill(conn);
        let Some(entry) = self.connections.get_mut(&conn) else {
            return;
        };
        match &mut entry.state {
            // Connection handover and request were polled, and have left.
            State::Handed { initiator } if all_left => {
                let initiator = *initiator;
                self.begin(initiator);
            }
            State::Relayed { partner, moved, .. } => {
                *moved = self.latest;
                let partner = *partner;
                if entry.backlog.is_empty() {
                    self.resume(partner);
                }
            }
            State::Draining { reason } => {
                if entry.backlog.is_empty() {
                    let reason = core::mem::take(reason);
                    self.goodbye(conn, reason);
                } else {
                    self.set_deadline(conn, self.after(self.config.step, Alarm::StepLimit));
                }
            }
            _ => {}
        }
    }

    /// Moves from the backlog to the queue what fits in the window.
    fn refill(&mut self, conn: ConnId) {
        while let Some(entry) = self.connections.get_mut(&conn)
            && let Some((_, bytes)) = entry.backlog.front()
        {
            let length = bytes.len();
            let charge = charge(length);
            if !entry.fits(charge, self.config.window) {
                return;
            }
            let Some((kind, bytes)) = entry.backlog.pop_front() else {
                return;
            };
            entry.backlog_bytes = entry.backlog_bytes.saturating_sub(charge);
            entry.queued = entry.queued.saturating_add(charge);
            self.stats.held = self.stats.held.saturating_sub(charge);
            self.outbox.push(Queued::Send { conn, kind, bytes });
            self.note(conn, true, Layer::Relayed, name(kind), length);
        }
    }

    /// Lets a paused connection go on.
    pub(super) fn resume(&mut self, conn: ConnId) {
        if let Some(entry) = self.connections.get_mut(&conn)
            && entry.paused
        {
            entry.paused = false;
            self.outbox.push(Queued::Resume(conn));
        }
    }
}

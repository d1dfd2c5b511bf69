//! How a connection ends, and what that means to the others (spec 02, "Handover"; spec 00, "Close").

use alloc::string::String;

use super::connection::Waiting;
use super::report::count;
use super::{Queued, Relay, RelayEvent, State};
use crate::crypto::Suite;
use crate::fault::{CloseReason, Fault, Why};
use crate::io::{Closed, ConnId};
use crate::step::Step;
use crate::time::Alarm;

/// What a connection is told. The layers above a relayed pair are not the relay's, so it blames none of them.
fn reason_of(fault: &Fault) -> CloseReason {
    match (&fault.why, fault.step) {
        (Why::NoListener, _) => CloseReason::NoListener,
        (Why::Shutdown, _) | (_, Step::Connected) => CloseReason::Good,
        _ => CloseReason::of(fault),
    }
}

impl<S: Suite> Relay<S> {
    /// The relay ends a connection because of a fault.
    pub(super) fn end(&mut self, conn: ConnId, fault: Fault) {
        let reason = reason_of(&fault).text();
        let Some(old) = self.goodbye(conn, reason.into()) else {
            return;
        };
        self.ended(conn, fault);
        self.leave(conn, old, reason);
    }

    /// The driver says that a connection is gone.
    pub(super) fn gone(&mut self, conn: ConnId, how: Closed) {
        let Some(step) = self.connections.get(&conn).map(|entry| entry.state.step()) else {
            return;
        };
        let reason = match &how {
            Closed::ByPeer { reason, .. } => Self::reason(reason),
            Closed::Lost(_) | Closed::NotOpened(_) => CloseReason::Good.text().into(),
        };
        let Some(old) = self.enter(conn, State::Closing) else {
            return;
        };
        self.forget(conn);
        if !old.is_over() {
            self.ended(conn, Why::from_close(how).at(step));
            self.leave(conn, old, &reason);
        }
    }

    /// A connection ends through no fault of its own; what is held for it goes out first.
    pub(super) fn hang_up(&mut self, conn: ConnId, reason: &str, why: Why) {
        let Some(entry) = self.connections.get(&conn) else {
            return;
        };
        if entry.state.is_over() {
            return;
        }
        let step = entry.state.step();
        let old = if entry.backlog.is_empty() {
            self.goodbye(conn, reason.into())
        } else {
            let old = self.enter(
                conn,
                State::Draining {
                    reason: reason.into(),
                },
            );
            self.resume(conn);
            self.set_deadline(conn, self.after(self.config.step, Alarm::StepLimit));
            old
        };
        if let Some(State::Waiting(waiting)) = old {
            self.discard(*waiting);
        }
        self.ended(conn, why.at(step));
    }

    /// Tells a connection to close. Gives the state that it was in.
    pub(super) fn goodbye(&mut self, conn: ConnId, reason: String) -> Option<State<S>> {
        let old = self.enter(conn, State::Closing)?;
        self.resume(conn);
        self.drop_backlog(conn);
        self.set_deadline(conn, self.after(self.config.close, Alarm::CloseLimit));
        self.outbox.push(Queued::Close { conn, reason });
        Some(old)
    }

    /// Removes a connection from all tables.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.set_deadline(conn, None);
        self.drop_backlog(conn);
        if let Some(entry) = self.connections.remove(&conn) {
            let gauge = entry.state.gauge(&mut self.stats);
            *gauge = gauge.saturating_sub(1);
            self.addresses.give_back(entry.from);
            self.outbox.refused.remove(&conn);
            count(&mut self.stats.gone);
        }
    }

    /// What it means to the others that this connection left this state.
    fn leave(&mut self, conn: ConnId, old: State<S>, reason: &str) {
        match old {
            State::First | State::Challenged(_) | State::Draining { .. } | State::Closing => {}
            State::Spare { key, .. } => self.listeners.remove(&key, conn),
            State::Picked { key, initiator } => {
                self.next_spare(initiator);
                self.listeners.left(&key);
            }
            // The request had not left: the initiator gets the next spare.
            State::Handed { initiator } => self.next_spare(initiator),
            State::Waiting(waiting) => self.unpick(conn, *waiting, reason),
            State::Relayed { partner, .. } => self.hang_up(partner, reason, Why::Partner),
        }
    }

    /// An initiator is gone while it waited.
    fn unpick(&mut self, initiator: ConnId, waiting: Waiting, reason: &str) {
        let Some(spare) = waiting.spare else {
            return self.discard(waiting);
        };
        match self.connections.get(&spare).map(|entry| &entry.state) {
            Some(State::Picked { key, .. }) => {
                let key = *key;
                self.enter(spare, State::Spare { key, asked: true });
                self.listeners.came_back(key, spare);
                self.discard(waiting);
            }
            Some(State::Handed { .. }) => {
                self.pass_on(initiator, spare, waiting);
                self.hang_up(spare, reason, Why::Partner);
            }
            _ => self.discard(waiting),
        }
    }

    fn discard(&mut self, mut waiting: Waiting) {
        self.stats.held = self.stats.held.saturating_sub(waiting.held_bytes);
        while let Some((_, bytes)) = waiting.held.pop_front() {
            self.outbox.recycle(bytes);
        }
    }

    fn drop_backlog(&mut self, conn: ConnId) {
        let Some(entry) = self.connections.get_mut(&conn) else {
            return;
        };
        self.stats.held = self.stats.held.saturating_sub(entry.backlog_bytes);
        entry.backlog_bytes = 0;
        while let Some((_, bytes)) = entry.backlog.pop_front() {
            self.outbox.recycle(bytes);
        }
    }

    fn ended(&mut self, conn: ConnId, fault: Fault) {
        count(self.stats.ended.entry(fault.why.code()).or_default());
        self.outbox
            .push(Queued::Event(RelayEvent::Ended { conn, fault }));
    }
}

//! Whether a node's tables agree with each other and keep their bounds: for tests and simulations, after each step.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::conn::{Conn, Listener, Stage};
use super::event::Purpose;
use super::machine::{Inner, KEPT_BUFFERS, Queued};
use super::route::Route;
use super::timers::Owner;
use crate::crypto::Suite;
use crate::io::ConnId;
use crate::limits;
use crate::pairing::InvitationState;

/// What a connection's bytes may go beyond the window: control messages, keepalives, padding.
const SLACK: usize = 1024 * 1024;

type Checked = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl<S: Suite> Inner<S> {
    pub(super) fn self_check(&self) -> Checked {
        self.check_effects()?;
        for (id, conn) in &self.conns {
            self.check_conn(*id, conn)
                .map_err(|what| format!("connection {id}: {what}"))?;
        }
        self.check_numbers()?;
        self.check_shared()?;
        self.check_timers()
    }

    /// The bytes that are counted for each connection are those in the queue.
    fn check_effects(&self) -> Checked {
        let mut waiting: BTreeMap<ConnId, (usize, usize)> = BTreeMap::new();
        for effect in &self.effects {
            match effect {
                Queued::Send(conn, _, bytes) => waiting.entry(*conn).or_default().0 += bytes.len(),
                Queued::Message(conn, _, bytes) => {
                    waiting.entry(*conn).or_default().1 += bytes.len();
                }
                Queued::Diagnose(..) | Queued::Other(_) => {}
            }
        }
        for (id, conn) in &self.conns {
            let (to_send, received) = waiting.get(id).copied().unwrap_or_default();
            ensure((conn.queued, conn.inbound) == (to_send, received), || {
                format!(
                    "connection {id} counts {} and {} bytes, {to_send} and {received} wait",
                    conn.queued, conn.inbound
                )
            })?;
        }
        let most = 2 * limits::EFFECTS + 16 * self.config.max_connections;
        ensure(self.effects.len() <= most, || {
            format!("{} effects wait", self.effects.len())
        })
    }

    fn check_conn(&self, id: ConnId, conn: &Conn<S>) -> Checked {
        let largest = self.config.max_message.saturating_add(SLACK);
        let outgoing = conn.queued + conn.handed_out;
        // One message goes beyond the window, and its frames are longer by what seals and pads each fragment.
        let most = (limits::WINDOW + self.config.max_message / 64).saturating_add(largest);
        ensure(outgoing <= most, || format!("{outgoing} bytes to send"))?;
        let most = (limits::WINDOW + limits::HELD).saturating_add(largest);
        ensure(conn.inbound <= most, || {
            format!("{} bytes received", conn.inbound)
        })?;
        ensure(id.0 < self.next_conn, || "a number of the future".into())?;
        let is_session = matches!(conn.stage, Stage::Session(_));
        ensure(is_session || !conn.is_half_open(), || {
            "half-open, and no session".into()
        })?;
        ensure(!conn.gone, || "gone, and still here".into())?;
        ensure(self.timers.of(&Owner::Conn(id)) == conn.deadline(), || {
            "the timer is another than the deadline".into()
        })?;
        match &conn.stage {
            Stage::Session(session) => session.self_check().map_err(Into::into),
            Stage::Dialling { .. } | Stage::Spare(_) | Stage::Closing { .. } => Ok(()),
        }
    }

    /// How many of each there may be.
    fn check_numbers(&self) -> Checked {
        let config = &self.config;
        let at_most = |what: &str, count: usize, most: usize| {
            ensure(count <= most, || format!("{count} {what}, at most {most}"))
        };
        let count = |of: &dyn Fn(&Conn<S>) -> bool| self.conns.values().filter(|c| of(c)).count();
        let counted = |conn: &Conn<S>| matches!(conn.purpose, Purpose::Incoming | Purpose::Join);
        at_most("connections", count(&counted), config.max_connections)?;
        let direct = |c: &Conn<S>| c.is_half_open() && c.purpose == Purpose::Incoming;
        at_most("half-open connections", count(&direct), config.half_open)?;
        // What was spare when the others became half-open may become so, too.
        let listening = |c: &Conn<S>| c.is_half_open() && c.purpose == Purpose::Listen;
        let most = config.half_open + config.spares;
        at_most(
            "half-open connections of the listener",
            count(&listening),
            most,
        )?;
        let spares = if self.listener.is_some() {
            config.spares
        } else {
            0
        };
        at_most("spare connections", self.spares().count(), spares)?;
        let invitations = self.shared.invitations.list().count();
        at_most("invitations", invitations, limits::INVITATIONS)?;
        at_most("buffers", self.buffers.len(), KEPT_BUFFERS)?;
        let stores = self.stores.keys().all(|id| id.0 < self.next_store);
        ensure(stores, || "a record of the future is being stored".into())
    }

    /// What connections hold is held by connections that are there.
    fn check_shared(&self) -> Checked {
        let is_session = |id: &ConnId| {
            self.conns
                .get(id)
                .is_some_and(|conn| matches!(conn.stage, Stage::Session(_)))
        };
        let shared = &self.shared;
        for id in shared.links.keys() {
            ensure(is_session(id), || format!("a link of {id}, which is over"))?;
        }
        for id in shared.challenges.keys() {
            ensure(is_session(id), || {
                format!("a challenge of {id}, which is over")
            })?;
        }
        for (record, state) in shared.invitations.list() {
            if let InvitationState::Held(id) = state {
                ensure(is_session(&id), || {
                    format!("{id}, which is over, holds {:?}", record.id)
                })?;
            }
        }
        for (person, contact) in &shared.contacts {
            ensure(*person == contact.person_id, || {
                "a contact under another person".into()
            })?;
        }
        for id in &self.paused {
            ensure(self.conns.contains_key(id), || {
                format!("{id} is paused and gone")
            })?;
        }
        for id in self.routes.values().filter_map(|route| route.conn) {
            let runs = self
                .conns
                .get(&id)
                .is_some_and(|conn| !matches!(conn.stage, Stage::Closing { .. }));
            ensure(runs, || format!("a route uses {id}, which is over"))?;
        }
        ensure(shared.displaced.is_empty(), || {
            "a displaced connection goes on".into()
        })
    }

    fn check_timers(&self) -> Checked {
        for (owner, deadline) in self.timers.all() {
            let wanted = match owner {
                // Looked at with its connection.
                Owner::Conn(id) => self.conns.contains_key(id),
                Owner::Route(key) => {
                    self.routes.get(key).and_then(Route::deadline) == Some(deadline)
                }
                Owner::Listener => {
                    self.listener.as_ref().and_then(Listener::deadline) == Some(deadline)
                }
                // The one it is for may be held by now.
                Owner::Invitations => true,
            };
            ensure(wanted, || format!("{owner:?} does not want {deadline:?}"))?;
        }
        let expiry = self.shared.invitations.deadline();
        let armed = self.timers.of(&Owner::Invitations);
        ensure(
            expiry.is_none_or(|expiry| armed.is_some_and(|armed| armed.at <= expiry.at)),
            || "the next invitation expires unseen".into(),
        )?;
        ensure(self.timers.is_in_order(), || {
            "the timers' two tables differ".into()
        })?;
        ensure(
            self.timers.next().is_none_or(|next| next.at >= self.latest),
            || "what was due has not happened".into(),
        )
    }
}

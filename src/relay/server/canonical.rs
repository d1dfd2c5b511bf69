//! When two relays are the same: if they behave equally from their latest input on.
//!
//! Times count from that input, connections are named by their order, statistics and buffers do not count. Ids are
//! given out in ascending order, so ascending order is the order of first use.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::hash::{Hash, Hasher};

use super::addresses::Address;
use super::connection::Connection;
use super::{Listeners, Queued, Relay, RelayConfig, RelayEvent, State};
use crate::crypto::{self, KeyPair, Suite};
use crate::io::{ConnId, Source};
use crate::time::{Deadline, Micros};

#[derive(PartialEq, Eq, Hash)]
struct Canonical<S: Suite> {
    config: RelayConfig,
    key: KeyPair<crypto::Relay>,
    shutting_down: bool,
    connections: BTreeMap<ConnId, Connection<S>>,
    listeners: Listeners,
    addresses: BTreeMap<Source, Address>,
    queue: VecDeque<Queued>,
    refused: BTreeSet<ConnId>,
}

impl<S: Suite> Relay<S> {
    fn canonical(&self) -> Canonical<S> {
        let mut seen: BTreeSet<ConnId> = self.connections.keys().copied().collect();
        seen.extend(self.outbox.queue.iter().flat_map(named).flatten());
        let names: BTreeMap<ConnId, ConnId> = seen.into_iter().zip((0..).map(ConnId)).collect();
        let name = |conn: ConnId| names.get(&conn).copied().unwrap_or(conn);

        let mut listeners = self.listeners.clone();
        listeners.rename(&name);
        let connections = self.connections.iter().map(|(conn, entry)| {
            let mut entry = entry.clone();
            let from_now = |d: Deadline| Deadline {
                at: d.at.since(self.latest),
                why: d.why,
            };
            entry.deadline = entry.deadline.map(from_now);
            if let (Some(deadline), Some(moved)) = (&mut entry.deadline, self.idle_from(*conn)) {
                // The index may hold an earlier moment, at which nothing happens.
                deadline.at = (moved + self.config.idle).since(self.latest);
            }
            rename_state(&mut entry.state, &name);
            (name(*conn), entry)
        });
        let mut queue = self.outbox.queue.clone();
        for effect in &mut queue {
            rename_effect(effect, &name);
        }
        Canonical {
            config: self.config.clone(),
            key: self.key.clone(),
            shutting_down: self.shutting_down,
            connections: connections.collect(),
            listeners,
            addresses: self.addresses.canonical(self.latest),
            queue,
            refused: self.outbox.refused.iter().map(|conn| name(*conn)).collect(),
        }
    }
}

fn rename_state<S: Suite>(state: &mut State<S>, name: &impl Fn(ConnId) -> ConnId) {
    match state {
        State::Picked { initiator, .. } | State::Handed { initiator } => {
            *initiator = name(*initiator);
        }
        State::Waiting(waiting) => waiting.spare = waiting.spare.map(name),
        State::Relayed { partner, moved, .. } => {
            *partner = name(*partner);
            // It is in the deadline.
            *moved = Micros::ZERO;
        }
        State::First
        | State::Challenged(_)
        | State::Spare { .. }
        | State::Draining { .. }
        | State::Closing => {}
    }
}

/// The connections that an effect names; two at most.
fn named(effect: &Queued) -> [Option<ConnId>; 2] {
    let mut effect = effect.clone();
    let seen = core::cell::Cell::new([None, None]);
    rename_effect(&mut effect, &|conn| {
        seen.set([Some(conn), seen.get()[0]]);
        conn
    });
    seen.get()
}

fn rename_effect(effect: &mut Queued, name: &impl Fn(ConnId) -> ConnId) {
    match effect {
        Queued::Send { conn, .. }
        | Queued::Close { conn, .. }
        | Queued::Pause(conn)
        | Queued::Resume(conn) => *conn = name(*conn),
        Queued::Event(event) => match event {
            RelayEvent::Registered { conn, .. }
            | RelayEvent::Ended { conn, .. }
            | RelayEvent::Note { conn, .. } => *conn = name(*conn),
            RelayEvent::HandedOver {
                spare, initiator, ..
            } => {
                (*spare, *initiator) = (name(*spare), name(*initiator));
            }
        },
    }
}

impl<S: Suite> PartialEq for Relay<S> {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl<S: Suite> Eq for Relay<S> {}

impl<S: Suite> Hash for Relay<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

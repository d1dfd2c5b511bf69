//! The view in which two nodes are compared: deadlines relative to now, connections named in the order of their first
//! use, statistics and generator positions left out.

use alloc::collections::BTreeMap;

use super::machine::{Inner, Queued, Stored};
use super::timers::Timers;
use crate::crypto::Suite;
use crate::io::{ConnId, Effect, StoreId};
use crate::node::Event;
use crate::time::{Micros, Now};

impl<S: Suite> Inner<S> {
    pub(super) fn canonical(&self) -> Self {
        let now = self.latest;
        let mut view = self.clone();
        view.latest = Micros::ZERO;
        view.siblings_at = view.siblings_at.since(now);
        // Ids are given in the order of first use, so their order is the new name.
        let mut names: BTreeMap<ConnId, ConnId> = BTreeMap::new();
        let mut known: alloc::vec::Vec<ConnId> = self.conns.keys().copied().collect();
        known.extend(
            view.effects
                .iter_mut()
                .filter_map(Queued::conn_mut)
                .map(|conn| *conn),
        );
        known.extend(self.stores.values().filter_map(|stored| match stored {
            Stored::Pairing(conn, _) => Some(*conn),
            _ => None,
        }));
        known.sort_unstable();
        known.dedup();
        for conn in known {
            let name = ConnId(names.len() as u64);
            names.insert(conn, name);
        }
        let name = |conn: ConnId| names.get(&conn).copied().unwrap_or(conn);

        view.next_conn = 0;
        view.conns = core::mem::take(&mut view.conns)
            .into_iter()
            .map(|(id, mut conn)| {
                conn.rebase(now);
                (name(id), conn)
            })
            .collect();
        view.paused = view.paused.iter().map(|id| name(*id)).collect();
        view.timers = Timers::canonical(&self.timers, now, name);
        if let Some(listener) = &mut view.listener {
            listener.retry_at = listener.retry_at.map(|at| at.since(now));
        }
        for route in view.routes.values_mut() {
            route.rebase(now);
            route.conn = route.conn.map(name);
        }
        view.fresh.retain(|_, fresh| fresh.until > now);
        for fresh in view.fresh.values_mut() {
            fresh.first = fresh.first.since(now);
            fresh.until = fresh.until.since(now);
        }
        let shared = &mut view.shared;
        shared.links = core::mem::take(&mut shared.links)
            .into_iter()
            .map(|(id, mut link)| {
                // Only whether it is still young matters, and before `sync` it is.
                link.since = match link.synced {
                    true => now.since(link.since).min(crate::limits::DUPLICATE_WINDOW),
                    false => Micros::ZERO,
                };
                (name(id), link)
            })
            .collect();
        shared.challenges = core::mem::take(&mut shared.challenges)
            .into_iter()
            .map(|(id, challenge)| (name(id), challenge))
            .collect();
        shared.invitations.for_each_conn(|conn| *conn = name(*conn));
        shared.invitations.rebase(Now {
            mono: now,
            ..Now::default()
        });

        let mut stores: BTreeMap<StoreId, StoreId> = BTreeMap::new();
        view.next_store = 0;
        view.stores = core::mem::take(&mut view.stores)
            .into_iter()
            .map(|(id, mut stored)| {
                let new = StoreId(stores.len() as u64);
                stores.insert(id, new);
                if let Stored::Pairing(conn, _) = &mut stored {
                    *conn = name(*conn);
                }
                (new, stored)
            })
            .collect();
        for queued in &mut view.effects {
            if let Some(conn) = queued.conn_mut() {
                *conn = name(*conn);
            }
            if let Some(id) = queued.store_mut() {
                *id = stores.get(id).copied().unwrap_or(*id);
            }
            if let Queued::Diagnose(_, session) = queued {
                session.rebase(now);
            }
        }
        view
    }
}

impl<S: Suite> Queued<S> {
    /// The connection that it is about, if it is about one.
    fn conn_mut(&mut self) -> Option<&mut ConnId> {
        match self {
            Self::Send(conn, ..) | Self::Message(conn, ..) | Self::Diagnose(conn, _) => Some(conn),
            Self::Other(effect) => match effect {
                Effect::Dial { conn, .. }
                | Effect::Send { conn, .. }
                | Effect::Close { conn, .. }
                | Effect::Pause(conn)
                | Effect::Resume(conn) => Some(conn),
                Effect::Event(
                    Event::Paired { conn, .. }
                    | Event::Connected { conn, .. }
                    | Event::Message { conn, .. }
                    | Event::Ended { conn, .. }
                    | Event::Undelivered { conn, .. }
                    | Event::Diagnosed { conn, .. }
                    | Event::Note { conn, .. },
                ) => Some(conn),
                Effect::Store { .. }
                | Effect::Event(
                    Event::Online { .. }
                    | Event::Offline { .. }
                    | Event::Expired(_)
                    | Event::StoreFailed(_),
                ) => None,
            },
        }
    }

    fn store_mut(&mut self) -> Option<&mut StoreId> {
        match self {
            Self::Other(Effect::Store { id, .. }) => Some(id),
            _ => None,
        }
    }
}

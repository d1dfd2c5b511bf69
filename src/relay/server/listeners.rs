//! Who listens under which key: the stacks of spare connections (spec 02, "Registration" 5 and "Handover").

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::crypto::{Instance, PublicKey};
use crate::io::ConnId;

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Listeners(BTreeMap<PublicKey<Instance>, Listener>);

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Listener {
    /// Last in, first out.
    pub(super) spares: Vec<ConnId>,
    /// Spares that were picked and may come back.
    pub(super) picked: usize,
}

impl Listeners {
    /// How many spares a key has, with those that may come back.
    pub(super) fn count(&self, key: &PublicKey<Instance>) -> usize {
        self.0.get(key).map_or(0, |listener| {
            listener.spares.len().saturating_add(listener.picked)
        })
    }

    pub(super) fn add(&mut self, key: PublicKey<Instance>, conn: ConnId) {
        self.0.entry(key).or_default().spares.push(conn);
    }

    /// Takes the spare that came last. It counts as picked until [`came_back`](Self::came_back) or
    /// [`left`](Self::left).
    pub(super) fn pick(&mut self, key: &PublicKey<Instance>) -> Option<ConnId> {
        let listener = self.0.get_mut(key)?;
        let conn = listener.spares.pop()?;
        listener.picked = listener.picked.saturating_add(1);
        Some(conn)
    }

    /// A picked one returns to its stack.
    pub(super) fn came_back(&mut self, key: PublicKey<Instance>, conn: ConnId) {
        self.add(key, conn);
        self.left(&key);
    }

    /// A picked one is gone for good.
    pub(super) fn left(&mut self, key: &PublicKey<Instance>) {
        self.change(key, |listener| {
            listener.picked = listener.picked.saturating_sub(1)
        });
    }

    /// A spare is gone while in its stack.
    pub(super) fn remove(&mut self, key: &PublicKey<Instance>, conn: ConnId) {
        self.change(key, |listener| {
            listener.spares.retain(|spare| *spare != conn)
        });
    }

    fn change(&mut self, key: &PublicKey<Instance>, change: impl FnOnce(&mut Listener)) {
        let Some(listener) = self.0.get_mut(key) else {
            return;
        };
        change(listener);
        if listener.spares.is_empty() && listener.picked == 0 {
            self.0.remove(key);
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PublicKey<Instance>, &Listener)> {
        self.0.iter()
    }

    /// Gives every connection another name.
    pub(super) fn rename(&mut self, name: &impl Fn(ConnId) -> ConnId) {
        for conn in self
            .0
            .values_mut()
            .flat_map(|listener| &mut listener.spares)
        {
            *conn = name(*conn);
        }
    }
}

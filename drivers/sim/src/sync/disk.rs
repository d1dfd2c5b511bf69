//! A store that a crash cuts back: the last writes may be lost, in their order, never one before another.

use std::collections::VecDeque;

use chumwire::chum::MemoryStore;

/// How many of the last writes a crash can take.
pub(super) const LOSABLE: usize = 3;

/// What an instance keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    store: MemoryStore,
    /// As it was before each of the last writes.
    before: VecDeque<MemoryStore>,
}

impl Disk {
    pub(super) const fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// Does something that a crash undoes anyway: a look, or a part of an unfinished file.
    pub(super) const fn volatile(&mut self) -> &mut MemoryStore {
        &mut self.store
    }

    /// One write.
    pub(super) fn write<T>(&mut self, change: impl FnOnce(&mut MemoryStore) -> T) -> T {
        if self.before.len() == LOSABLE {
            self.before.pop_front();
        }
        self.before.push_back(self.store.clone());
        change(&mut self.store)
    }

    /// All that was written is safe.
    pub(super) fn flush(&mut self) {
        self.before.clear();
    }

    /// How many writes a crash can take now.
    pub(super) fn losable(&self) -> usize {
        self.before.len()
    }

    /// A crash: the last writes are lost, and so is every unfinished file of the connections up to this one.
    pub(super) fn crash(&mut self, lost: usize, conns: u64) {
        for _ in 0..lost {
            if let Some(before) = self.before.pop_back() {
                self.store = before;
            }
        }
        self.before.clear();
        self.store = self.without_open(conns);
    }

    /// The store without unfinished files.
    pub(super) fn without_open(&self, conns: u64) -> MemoryStore {
        let mut store = self.store.clone();
        for conn in 0..conns {
            store.forget(conn);
        }
        store
    }
}

//! Roots that failed, and when they are tried again: the deployed peer tries at every poll, for ever (spec 11,
//! "Roots").

use alloc::collections::BTreeMap;

use crate::chum::entry::Root;
use crate::limits;
use crate::objects::{IdHash, Reference};
use crate::time::Micros;

/// What a root is known by when it fails. The version nodes of one thing fail together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) reference: Reference,
    /// All versions of the thing with this id hash; else this alone.
    pub(super) versions: bool,
}

impl Key {
    pub(super) fn of(root: &Root) -> Self {
        match root {
            Root::VersionNode { id, .. } => Self::versions(*id),
            _ => Self {
                reference: root.reference(),
                versions: false,
            },
        }
    }

    pub(super) const fn versions(id: IdHash) -> Self {
        Self {
            reference: Reference::Id(id),
            versions: true,
        }
    }
}

/// The roots of one connection that failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Later(BTreeMap<Key, Tried>);

#[derive(Clone, Copy, Debug)]
struct Tried {
    times: usize,
    again: Micros,
}

impl Later {
    /// It has failed once more.
    pub(super) fn failed(&mut self, root: Key, now: Micros) {
        // What finds no room here is tried at every poll.
        if self.0.len() >= limits::CHUM_FAILED && !self.0.contains_key(&root) {
            return;
        }
        let tried = self.0.entry(root).or_insert(Tried {
            times: 0,
            again: now,
        });
        let last = limits::BACK_OFF.len() - 1;
        let delay = limits::BACK_OFF.get(tried.times.min(last)).copied();
        tried.again = now + delay.unwrap_or(limits::CHUM_POLL);
        tried.times += 1;
    }

    /// Whether it is to be left alone for now.
    pub(super) fn waits(&self, root: &Key, now: Micros) -> bool {
        self.0.get(root).is_some_and(|tried| now < tried.again)
    }

    pub(super) fn succeeded(&mut self, root: &Key) {
        self.0.remove(root);
    }

    /// Forgets those that are not offered any more.
    pub(super) fn keep(&mut self, offered: impl Fn(&Key) -> bool) {
        self.0.retain(|root, _| offered(root));
    }

    /// A round is over that began then: what was due and has not failed again is there.
    pub(super) fn looked(&mut self, began: Micros) {
        self.0.retain(|_, tried| tried.again > began);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

//! The deadlines of a node's parts in order, so that the next one is known at once.

use alloc::collections::{BTreeMap, BTreeSet};

use super::route::RouteKey;
use crate::io::ConnId;
use crate::time::{Deadline, Micros};

/// Whose deadline it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    Conn(ConnId),
    Route(RouteKey),
    Listener,
    Invitations,
}

/// At most one deadline for each owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Timers {
    of: BTreeMap<Owner, Deadline>,
    order: BTreeSet<(Deadline, Owner)>,
}

impl Timers {
    /// Sets or clears the deadline of one owner.
    pub(super) fn set(&mut self, owner: Owner, deadline: Option<Deadline>) {
        let old = match deadline {
            Some(deadline) => self.of.insert(owner.clone(), deadline),
            None => self.of.remove(&owner),
        };
        if old == deadline {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, owner.clone()));
        }
        if let Some(deadline) = deadline {
            self.order.insert((deadline, owner));
        }
    }

    pub(super) fn next(&self) -> Option<Deadline> {
        self.order.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn of(&self, owner: &Owner) -> Option<Deadline> {
        self.of.get(owner).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Owner, Deadline)> {
        self.of.iter().map(|(owner, deadline)| (owner, *deadline))
    }

    /// Whether both tables say the same.
    pub(super) fn is_in_order(&self) -> bool {
        let listed =
            |(owner, deadline): (&Owner, _)| self.order.contains(&(deadline, owner.clone()));
        self.of.len() == self.order.len() && self.all().all(listed)
    }

    /// Takes out the first one that is due: before `now`, or also at it.
    pub(super) fn take_due(&mut self, now: Micros, also_at: bool) -> Option<Owner> {
        let (deadline, _) = self.order.first()?;
        let is_due = deadline.at < now || (also_at && deadline.at == now);
        let (_, owner) = is_due.then(|| self.order.pop_first())??;
        self.of.remove(&owner);
        Some(owner)
    }

    /// The same deadlines relative to `now`, under other names of connections.
    pub(super) fn canonical(&self, now: Micros, rename: impl Fn(ConnId) -> ConnId) -> Self {
        let mut canonical = Self::default();
        for (owner, deadline) in &self.of {
            let owner = match owner {
                Owner::Conn(conn) => Owner::Conn(rename(*conn)),
                other => other.clone(),
            };
            let deadline = Deadline {
                at: deadline.at.since(now),
                ..*deadline
            };
            canonical.set(owner, Some(deadline));
        }
        canonical
    }
}

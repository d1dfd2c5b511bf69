//! When each connection is due, in order: the next one is known at once, and no tick walks all.

use alloc::collections::BTreeSet;

use crate::io::ConnId;
use crate::time::{Deadline, Micros};

#[derive(Clone, Default)]
pub(super) struct Deadlines(BTreeSet<(Deadline, ConnId)>);

impl Deadlines {
    /// Replaces the deadline of a connection, whose own record `of` is kept in step.
    pub(super) fn set(&mut self, conn: ConnId, of: &mut Option<Deadline>, to: Option<Deadline>) {
        // The end of time never comes: a deadline there could not be moved by a tick.
        let to = to.filter(|deadline| deadline.at.0 != u64::MAX);
        if *of == to {
            return;
        }
        if let Some(old) = of.take() {
            self.0.remove(&(old, conn));
        }
        if let Some(new) = to {
            self.0.insert((new, conn));
        }
        *of = to;
    }

    pub(super) fn next(&self) -> Option<Deadline> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// The next that is due: before `now`, or at it when `at` is said.
    pub(super) fn due(&self, now: Micros, at: bool) -> Option<(Deadline, ConnId)> {
        let (deadline, conn) = *self.0.first()?;
        (deadline.at < now || at && deadline.at == now).then_some((deadline, conn))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

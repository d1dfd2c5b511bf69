//! A route to a contact: which URLs are dialled, and when again (spec 00, "Constants"; spec 13).

use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::{Instance, PublicKey};
use crate::establish::Group;
use crate::io::ConnId;
use crate::limits;
use crate::time::{Alarm, Deadline, Micros};

/// One contact's route for one group: the direct URL first, the own relay as the fallback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) group: Group,
    pub(super) target: PublicKey<Instance>,
    urls: Vec<String>,
    /// The URL that is tried now or next.
    next: usize,
    /// Rounds over all URLs that failed since the last success.
    failed: usize,
    pub(super) conn: Option<ConnId>,
    redial_at: Option<Micros>,
}

impl Route {
    pub(super) fn new(group: Group, target: PublicKey<Instance>, mut urls: Vec<String>) -> Self {
        urls.dedup();
        Self {
            group,
            target,
            urls,
            next: 0,
            failed: 0,
            conn: None,
            redial_at: None,
        }
    }

    /// The URL to dial, if there is any.
    pub(super) fn url(&self) -> Option<&String> {
        self.urls.get(self.next)
    }

    /// It is being dialled.
    pub(super) fn dialling(&mut self, conn: ConnId) {
        self.conn = Some(conn);
        self.redial_at = None;
    }

    /// It got as far as an established connection.
    pub(super) fn established(&mut self) {
        self.failed = 0;
    }

    /// The dialled connection did not get as far: the next URL at once, or all of them later.
    pub(super) fn failed(&mut self, now: Micros) {
        self.conn = None;
        self.next += 1;
        if self.next < self.urls.len() {
            self.redial_at = Some(now);
            return;
        }
        self.next = 0;
        let delay = limits::BACK_OFF[self.failed.min(limits::BACK_OFF.len() - 1)];
        self.failed = self.failed.saturating_add(1);
        self.redial_at = Some(now + delay);
    }

    /// An established connection closed: again after 5 s x (1 + `spread`/1000).
    pub(super) fn closed(&mut self, now: Micros, spread: u64) {
        self.conn = None;
        self.next = 0;
        let extra = Micros(limits::RECONNECT.0 * spread.min(1000) / 1000);
        self.redial_at = Some(now + limits::RECONNECT + extra);
    }

    /// Nothing is to be done until [`closed`](Self::closed): the other side's connection serves the purpose.
    pub(super) fn rest(&mut self) {
        self.conn = None;
        self.redial_at = None;
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.redial_at.map(|at| Deadline {
            at,
            why: Alarm::Redial,
        })
    }

    pub(super) fn rebase(&mut self, now: Micros) {
        self.redial_at = self.redial_at.map(|at| at.since(now));
    }
}

//! A route to a contact: which URLs are dialled, and when again (spec 00, "Constants"; spec 13).

use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::{Instance, PublicKey};
use crate::establish::Group;
use crate::io::ConnId;
use crate::limits;
use crate::objects::{InstanceId, PersonId};
use crate::role::Role;
use crate::time::{Alarm, Deadline, Micros};

/// Which route: to a device of a contact, for a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RouteKey {
    pub(super) person: PersonId,
    pub(super) instance: InstanceId,
    pub(super) group: Group,
}

impl RouteKey {
    pub(super) const fn new(person: PersonId, instance: InstanceId, group: Group) -> Self {
        Self {
            person,
            instance,
            group,
        }
    }
}

/// A pairing that was just now: the other side may not know this one yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fresh {
    /// Nothing is dialled before.
    pub(super) first: Micros,
    /// Who is refused until then tries again soon.
    pub(super) until: Micros,
}

impl Fresh {
    /// Who joined waits a little: the other side stores as well.
    pub(super) fn new(now: Micros, role: Role) -> Self {
        let wait = match role {
            Role::Initiator => limits::FIRST_DIAL,
            Role::Acceptor => Micros::ZERO,
        };
        Self {
            first: now + wait,
            until: now + limits::PAIRED_RECENTLY,
        }
    }
}

/// A route: the direct URL first, the own relay as the fallback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) target: PublicKey<Instance>,
    urls: Vec<String>,
    /// The URL that is tried now or next.
    next: usize,
    /// Rounds over all URLs that failed since the last success.
    failed: usize,
    pub(super) conn: Option<ConnId>,
    /// The connection was dialled before the URLs changed.
    moved: bool,
    redial_at: Option<Micros>,
}

impl Route {
    pub(super) fn new(target: PublicKey<Instance>, mut urls: Vec<String>) -> Self {
        urls.dedup();
        Self {
            target,
            urls,
            next: 0,
            failed: 0,
            conn: None,
            moved: false,
            redial_at: None,
        }
    }

    /// The URL to dial, if there is any.
    pub(super) fn url(&self) -> Option<&String> {
        self.urls.get(self.next)
    }

    /// Takes the URLs of another route to the same target. A connection stays, and where it was dialled no longer says
    /// which URL is tried next.
    pub(super) fn goes_by(&mut self, other: Self) {
        if self.urls != other.urls {
            self.urls = other.urls;
            self.next = 0;
            self.failed = 0;
            self.moved = self.conn.is_some();
        }
    }

    /// It is to be dialled at this time.
    pub(super) fn dial_at(&mut self, at: Micros) {
        self.redial_at = Some(at);
    }

    /// It is being dialled.
    pub(super) fn dialling(&mut self, conn: ConnId) {
        self.conn = Some(conn);
        self.moved = false;
        self.redial_at = None;
    }

    /// It got as far as an established connection.
    pub(super) fn established(&mut self) {
        self.failed = 0;
    }

    /// The dialled connection did not get as far: the next URL at once, or all of them later. With `soon`, that is soon,
    /// and does not count: the other side may not know this one yet.
    pub(super) fn failed(&mut self, now: Micros, soon: bool) {
        self.conn = None;
        if !core::mem::take(&mut self.moved) {
            self.next += 1;
        }
        if self.next < self.urls.len() {
            self.redial_at = Some(now);
            return;
        }
        self.next = 0;
        if soon {
            self.redial_at = Some(now + limits::REFUSED_AGAIN);
            return;
        }
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

//! The listener at a relay: it keeps spare connections (spec 02, "The listener side").

use super::conn::{AfterOpening, Conn, Stage};
use super::event::{Event, Purpose};
use super::machine::Inner;
use super::timers::Owner;
use crate::crypto::Suite;
use crate::fault::Fault;
use crate::limits;
use crate::time::Now;

impl<S: Suite> Inner<S> {
    pub(super) fn registered(&mut self) {
        if let Some(listener) = &mut self.listener
            && !listener.online
        {
            listener.online = true;
            listener.told_offline = false;
            let url = listener.url.clone();
            self.event(Event::Online { url });
        }
    }

    /// Connections at the relay that are, or are going to be, spare.
    pub(super) fn spares(&self) -> impl Iterator<Item = &Conn<S>> {
        self.conns.values().filter(|conn| {
            conn.purpose == Purpose::Listen
                && matches!(conn.stage, Stage::Dialling { .. } | Stage::Spare(_))
        })
    }

    pub(super) fn spare_failed(&mut self, now: Now, fault: Option<Fault>) {
        let online = self.spares().any(
            |conn| matches!(&conn.stage, Stage::Spare(registration) if registration.is_spare()),
        );
        self.retry_later(now);
        let Some(listener) = &mut self.listener else {
            return;
        };
        listener.online &= online;
        if !listener.online && !listener.told_offline {
            listener.told_offline = true;
            let url = listener.url.clone();
            if let Some(fault) = fault {
                self.event(Event::Offline { url, fault });
            }
        }
    }

    /// The next attempt comes after its delay, or when it was due already.
    fn retry_later(&mut self, now: Now) {
        if let Some(listener) = &mut self.listener {
            let later = now.mono + limits::REGISTER_AGAIN;
            listener.retry_at.get_or_insert(later);
            self.timers.set(Owner::Listener, listener.deadline());
        }
    }

    /// Opens the spare connections that are missing. While an attempt waits for its delay, only what was handed over
    /// is replaced.
    pub(super) fn fill_spares(&mut self, now: Now, handed_over: bool) {
        let Some(listener) = &self.listener else {
            return;
        };
        let (url, waiting) = (listener.url.clone(), listener.retry_at.is_some());
        let missing = self.config.spares.saturating_sub(self.spares().count());
        let wanted = match (waiting, handed_over) {
            (false, _) => missing,
            (true, true) => missing.min(1),
            (true, false) => 0,
        };
        if wanted > 0 && self.is_behind() {
            return self.retry_later(now);
        }
        let half_open = self
            .conns
            .values()
            .filter(|conn| conn.purpose == Purpose::Listen && conn.is_half_open())
            .count();
        for _ in 0..wanted.min(self.config.half_open.saturating_sub(half_open)) {
            if !self.shutting_down {
                self.dial(now, Purpose::Listen, url.clone(), AfterOpening::Register);
            }
        }
    }
}

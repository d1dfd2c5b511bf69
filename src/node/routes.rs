//! The routes to contacts: when they are dialled, and what the end of a connection means to them.

use alloc::vec::Vec;

use super::conn::AfterOpening;
use super::event::Purpose;
use super::machine::Inner;
use super::route::Route;
use super::timers::Owner;
use crate::crypto::{Purpose as Draw, Suite};
use crate::fault::{Fault, Why};
use crate::io::ConnId;
use crate::objects::PersonId;
use crate::session::Opening;
use crate::step::Step;
use crate::time::Now;

impl<S: Suite> Inner<S> {
    pub(super) fn arm_route(&mut self, now: Now, person: PersonId) {
        let deadline = self.routes.get(&person).and_then(Route::deadline);
        if deadline.is_some_and(|deadline| deadline.at <= now.mono) {
            self.timers.set(Owner::Route(person), None);
            self.dial_route(now, person);
        } else {
            self.timers.set(Owner::Route(person), deadline);
        }
    }

    pub(super) fn dial_route(&mut self, now: Now, person: PersonId) {
        let Some(route) = self.routes.get(&person) else {
            return;
        };
        let (target, group) = (route.target, route.group.clone());
        if self.shutting_down
            || route.conn.is_some()
            || self.shared.is_linked(&target.presented(), &group)
        {
            return;
        }
        let Some(url) = route.url().cloned() else {
            return;
        };
        let opening = Opening {
            own: self.shared.own.instance_key().used_as(),
            target,
            group: group.clone(),
            token: None,
        };
        let purpose = Purpose::Route(person, group);
        let conn = self.dial(now, purpose, url, AfterOpening::Initiate(opening));
        if let Some(route) = self.routes.get_mut(&person) {
            route.dialling(conn);
        }
    }

    /// A connection ended: the routes that used it, or that rested because of it, go on.
    pub(super) fn route_ended(&mut self, now: Now, id: ConnId, fault: Option<&Fault>) {
        let link = self.shared.links.remove(&id);
        let established = fault.is_none_or(|fault| fault.step == Step::Connected);
        let people: Vec<PersonId> = self
            .routes
            .iter()
            .filter(|(_, route)| {
                route.conn == Some(id)
                    || link.as_ref().is_some_and(|link| {
                        link.synced
                            && link.group == route.group
                            && link.peer == route.target.presented()
                    })
            })
            .map(|(person, _)| *person)
            .collect();
        for person in people {
            let spread = self.random.below(Draw::Jitter, 1000);
            let Some(route) = self.routes.get_mut(&person) else {
                continue;
            };
            let peer = route.target.presented();
            if route.conn.is_some_and(|conn| conn != id) {
                continue;
            }
            let other_serves = self.shared.is_linked(&peer, &route.group);
            match fault.map(|fault| &fault.why) {
                Some(Why::Duplicate | Why::Replaced) if other_serves => route.rest(),
                _ if established => route.closed(now.mono, spread),
                // The other side may have dropped ours for its own; then it is there, or on its way.
                _ if other_serves => route.rest(),
                _ => route.failed(now.mono),
            }
            self.arm_route(now, person);
        }
    }
}

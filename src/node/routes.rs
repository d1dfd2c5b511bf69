//! The routes to contacts: when they are dialled, and what the end of a connection means to them.

use alloc::vec::Vec;

use super::conn::AfterOpening;
use super::event::Purpose;
use super::machine::Inner;
use super::route::{Route, RouteKey};
use super::timers::Owner;
use crate::contact::Contact;
use crate::crypto::{Purpose as Draw, Suite};
use crate::establish::Group;
use crate::fault::{Fault, Why};
use crate::io::ConnId;
use crate::limits;
use crate::objects::PersonId;
use crate::session::Opening;
use crate::step::Step;
use crate::time::Now;

impl<S: Suite> Inner<S> {
    /// Makes the routes to all devices of a contact that have an address; what is there already is dialled, if it is
    /// not. False if no device has one.
    pub(super) fn make_routes(&mut self, now: Now, contact: &Contact, group: &Group) -> bool {
        let relay = self.listener.as_ref().map(|listener| &listener.url);
        let routes: Vec<(RouteKey, Route)> = contact
            .instances
            .iter()
            .map(|instance| {
                let key = RouteKey::new(contact.person_id, instance.instance_id, group.clone());
                let urls = instance.url.iter().chain(relay).cloned().collect();
                (key, Route::new(instance.instance_key, urls))
            })
            .filter(|(_, route)| route.url().is_some())
            .collect();
        let found = !routes.is_empty();
        self.fresh.retain(|_, fresh| fresh.until > now.mono);
        let fresh = self.fresh.get(&contact.person_id);
        let at = fresh.map_or(now.mono, |fresh| fresh.first.max(now.mono));
        for (key, new) in routes {
            match self.routes.get_mut(&key) {
                Some(old) if old.target == new.target => old.goes_by(new),
                _ => {
                    self.drop_route(now, &key);
                    self.routes.insert(key.clone(), new);
                }
            }
            if let Some(route) = self.routes.get_mut(&key)
                && route.conn.is_none()
            {
                route.dial_at(at);
                self.arm_route(now, &key);
            }
        }
        found
    }

    /// A route ends, and with it the connection that it dialled.
    pub(super) fn drop_route(&mut self, now: Now, key: &RouteKey) {
        if let Some(route) = self.routes.remove(key) {
            self.timers.set(Owner::Route(key.clone()), None);
            if let Some(conn) = route.conn {
                self.withdraw(now, conn, Why::Withdrawn);
            }
        }
    }

    /// The routes to a person, of one group or of all.
    pub(super) fn routes_to(&self, person: PersonId, group: Option<&Group>) -> Vec<RouteKey> {
        let keys = self.routes.keys();
        keys.filter(|key| key.person == person && group.is_none_or(|group| key.group == *group))
            .cloned()
            .collect()
    }

    pub(super) fn arm_route(&mut self, now: Now, key: &RouteKey) {
        let deadline = self.routes.get(key).and_then(Route::deadline);
        let owner = Owner::Route(key.clone());
        if deadline.is_some_and(|deadline| deadline.at <= now.mono) {
            self.timers.set(owner, None);
            self.dial_route(now, key);
        } else {
            self.timers.set(owner, deadline);
        }
    }

    pub(super) fn dial_route(&mut self, now: Now, key: &RouteKey) {
        let is_behind = self.is_behind();
        let Some(route) = self.routes.get_mut(key) else {
            return;
        };
        let target = route.target;
        if self.shutting_down || route.conn.is_some() {
            return;
        }
        if is_behind {
            route.dial_at(now.mono + limits::RECONNECT);
            return self.arm_route(now, key);
        }
        if self.shared.is_linked(&target.presented(), &key.group) {
            // Until the connection that serves has ended.
            route.rest();
            return;
        }
        let Some(url) = route.url().cloned() else {
            return;
        };
        let opening = Opening {
            own: self.shared.own.instance_key().used_as(),
            target,
            group: key.group.clone(),
            token: None,
        };
        let purpose = Purpose::Route(key.person, key.group.clone());
        let conn = self.dial(now, purpose, url, AfterOpening::Initiate(opening));
        if let Some(route) = self.routes.get_mut(key) {
            route.dialling(conn);
        }
    }

    /// A connection ended: the routes that used it, or that rested because of it, go on.
    pub(super) fn route_ended(&mut self, now: Now, id: ConnId, fault: Option<&Fault>) {
        let link = self.shared.links.remove(&id);
        let established = fault.is_none_or(|fault| fault.step == Step::Connected);
        let refused = fault.is_some_and(|fault| fault.step > Step::Dial);
        let ended: Vec<RouteKey> = self
            .routes
            .iter()
            .filter(|(key, route)| {
                route.conn == Some(id)
                    || link.as_ref().is_some_and(|link| {
                        link.synced
                            && link.group == key.group
                            && link.peer == route.target.presented()
                    })
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in ended {
            let spread = self.random.below(Draw::Jitter, 1000);
            let fresh = self.fresh.get(&key.person);
            let soon = refused && fresh.is_some_and(|fresh| now.mono < fresh.until);
            let Some(route) = self.routes.get_mut(&key) else {
                continue;
            };
            let peer = route.target.presented();
            if route.conn.is_some_and(|conn| conn != id) {
                continue;
            }
            let other_serves = self.shared.is_linked(&peer, &key.group);
            match fault.map(|fault| &fault.why) {
                Some(Why::Duplicate | Why::Replaced) if other_serves => route.rest(),
                _ if established => route.closed(now.mono, spread),
                // The other side may have dropped ours for its own; then it is there, or on its way.
                _ if other_serves => route.rest(),
                _ => route.failed(now.mono, soon),
            }
            self.arm_route(now, &key);
        }
    }
}

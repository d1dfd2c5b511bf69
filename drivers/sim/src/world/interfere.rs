//! What a test does to a world from outside.

use chumwire::crypto::Suite;
use chumwire::io::{Closed, Kind};

use super::World;
use crate::chooser::{Choice, Chooser};
use crate::link::{Faults, Item, LinkId, Profile, Side};

impl<S: Suite> World<S> {
    /// Has this checked after every step.
    pub fn always(&mut self, invariant: impl Fn(&Self) -> Result<(), String> + 'static) {
        self.invariants.push(Box::new(invariant));
    }

    /// Breaks a link: both sides lose it, what is on its way is gone.
    pub fn cut(&mut self, id: LinkId) {
        let now = self.now;
        self.note(format!("link {} is cut", id.0));
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        for side in Side::BOTH {
            let pipe = link.to_mut(side);
            pipe.clear();
            pipe.ended = false;
            pipe.silent = false;
            pipe.push(now, Item::End(Closed::Lost("cut".into())));
            if link.end(side).1.is_none() {
                // It was not open yet: the listener never hears of it.
                link.to_mut(side).clear();
                link.set_gone(side);
            }
        }
    }

    /// From now on nothing reaches `side`, and nobody is told.
    pub fn silence(&mut self, id: LinkId, side: Side) {
        self.note(format!("link {} is silent towards the {side:?}", id.0));
        if let Some(link) = self.links.get_mut(&id) {
            let pipe = link.to_mut(side);
            pipe.clear();
            pipe.silent = true;
        }
    }

    /// Sets how a link misbehaves from now on.
    pub fn set_faults(&mut self, id: LinkId, faults: Faults) {
        if let Some(link) = self.links.get_mut(&id) {
            link.profile.faults = faults;
        }
    }

    /// Sets how links that are dialled from now on behave.
    pub const fn set_profile(&mut self, profile: Profile) {
        self.config.profile = profile;
    }

    /// A message out of nowhere arrives at `side`: altered, replayed, or another connection's.
    pub fn inject(&mut self, id: LinkId, side: Side, kind: Kind, bytes: &[u8]) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id) {
            link.to_mut(side)
                .push(now, Item::Message(kind, bytes.into()));
        }
    }

    /// Lets the test choose from the world's source of choices.
    pub fn choose(&mut self, what: Choice, options: usize) -> usize {
        self.chooser.choose(what, options)
    }
}

//! What a test does to a world from outside.

use chumwire::crypto::Suite;
use chumwire::io::{Closed, Kind};
use chumwire::time::Micros;

use super::World;
use super::clock::Skew;
use super::later::Later;
use crate::chooser::{Choice, Chooser};
use crate::link::{Faults, Item, Layer, LinkId, Profile, Rule, RuleId, Ruling, Side};
use crate::party::PartyId;

impl<S: Suite> World<S> {
    /// Has this checked after every step.
    pub fn always(&mut self, invariant: impl Fn(&Self) -> Result<(), String> + 'static) {
        self.invariants.push(Box::new(invariant));
    }

    // --- links: how they end -------------------------------------------------------------------------------------

    /// Breaks a link: both sides lose it, what is on its way is gone.
    pub fn cut(&mut self, id: LinkId) {
        self.interfered(id, "cut");
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        for side in Side::BOTH {
            let pipe = link.to_mut(side);
            pipe.clear();
            pipe.ended = false;
            pipe.silent = false;
            pipe.clogged = false;
            pipe.push(now, Item::End(Closed::Lost("cut".into())));
            if link.end(side).1.is_none() {
                // It was not open yet: the listener never hears of it.
                link.to_mut(side).clear();
                link.set_gone(side);
            }
        }
        self.rearm(id);
    }

    /// From now on nothing reaches `side`, and nobody is told.
    pub fn silence(&mut self, id: LinkId, side: Side) {
        self.interfered(id, &format!("silent towards the {side:?}"));
        if let Some(link) = self.links.get_mut(id) {
            let pipe = link.to_mut(side);
            pipe.clear();
            pipe.silent = true;
        }
        self.rearm(id);
    }

    /// `gone` loses the link; the other side believes that it is open.
    pub fn half_open(&mut self, id: LinkId, gone: Side) {
        self.silence(id, gone.other());
        self.tell_lost(id, gone);
    }

    /// `first` loses the link now, the other side so much later. Nothing passes in between.
    pub fn lose_unevenly(&mut self, id: LinkId, first: Side, after: Micros) {
        self.half_open(id, first);
        self.put_off(self.now + after, Later::Lose(id, first.other()));
    }

    /// One side hears that the link is lost.
    pub(super) fn tell_lost(&mut self, id: LinkId, side: Side) {
        self.interfered(id, &format!("lost for the {side:?} alone"));
        let now = self.now;
        if let Some(link) = self.links.get_mut(id)
            && !link.is_gone(side)
        {
            let pipe = link.to_mut(side);
            pipe.clear();
            (pipe.ended, pipe.silent, pipe.clogged) = (false, false, false);
            pipe.push(now, Item::End(Closed::Lost("lost".into())));
        }
        self.rearm(id);
    }

    // --- links: what passes --------------------------------------------------------------------------------------

    /// Sets how a link misbehaves from now on.
    pub fn set_faults(&mut self, id: LinkId, faults: Faults) {
        if let Some(link) = self.links.get_mut(id) {
            link.profile.faults = faults;
        }
    }

    /// Sets how links that are dialled from now on behave.
    pub const fn set_profile(&mut self, profile: Profile) {
        self.config.profile = profile;
    }

    /// Wraps a layer around a link: everything that is sent on it passes that layer first.
    pub fn wrap(&mut self, id: LinkId, layer: impl Layer + 'static) {
        if let Some(link) = self.links.get_mut(id) {
            link.layers.push(Box::new(layer));
        }
    }

    /// Makes a rule for messages on all links, also those of later.
    pub fn rule(&mut self, rule: Rule) -> RuleId {
        self.rules.push(Ruling::new(rule));
        RuleId(self.rules.len() - 1)
    }

    /// How often a rule has done something.
    #[must_use]
    pub fn fired(&self, rule: RuleId) -> u64 {
        self.rules.get(rule.0).map_or(0, |ruling| ruling.fired)
    }

    /// A message out of nowhere arrives at `side`: altered, replayed, or another connection's.
    pub fn inject(&mut self, id: LinkId, side: Side, kind: Kind, bytes: &[u8]) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(id) {
            link.to_mut(side)
                .push(now, Item::Message(kind, bytes.into()));
        }
        self.rearm(id);
    }

    /// The next `count` messages that are on their way to `side` are read at once: the party there is asked what it
    /// wants done after the last of them.
    pub fn merge_reads(&mut self, id: LinkId, side: Side, count: usize) {
        self.interfered(id, &format!("{count} read at once by the {side:?}"));
        if let Some(link) = self.links.get_mut(id) {
            link.to_mut(side).merge(count);
        }
    }

    /// From now on what arrives at `side` one after the other is at least so far apart.
    pub fn split_reads(&mut self, id: LinkId, side: Side, gap: Micros) {
        self.interfered(id, &format!("slow reads by the {side:?}"));
        if let Some(link) = self.links.get_mut(id) {
            link.to_mut(side).gap = gap;
        }
    }

    /// Nothing comes out of a pipe until it is [released](Self::release); what goes in waits.
    pub fn clog(&mut self, id: LinkId, side: Side) {
        self.interfered(id, &format!("clogged towards the {side:?}"));
        if let Some(link) = self.links.get_mut(id) {
            link.to_mut(side).clogged = true;
        }
        self.rearm(id);
    }

    /// What has waited in a clogged pipe comes out, all at once and in order.
    pub fn release(&mut self, id: LinkId, side: Side) {
        if self.links.get(id).is_some_and(|link| link.to(side).clogged) {
            self.interfered(id, &format!("released towards the {side:?}"));
        }
        if let Some(link) = self.links.get_mut(id) {
            link.to_mut(side).clogged = false;
        }
        self.rearm(id);
    }

    pub(super) fn clog_for(&mut self, id: LinkId, side: Side, time: Micros) {
        self.clog(id, side);
        self.put_off(self.now + time, Later::Release(id, side));
    }

    /// Swizzle-clogging: a random part of the pipes that are there are clogged, each at a random moment of the next
    /// `span`, and released, each at a random moment, when all of them have been.
    pub fn swizzle(&mut self, span: Micros) {
        const STEPS: usize = 16;
        let ids: Vec<LinkId> = self.links.iter().map(|(id, _)| id).collect();
        for (id, side) in ids.into_iter().flat_map(|id| Side::BOTH.map(|s| (id, s))) {
            if self.choose(Choice::Test, 2) == 0 {
                continue;
            }
            let mut moment =
                || Micros(span.0 * self.choose(Choice::Test, STEPS) as u64 / STEPS as u64);
            let (clog, release) = (moment(), span + moment());
            let time = Micros(release.0 - clog.0);
            self.put_off(self.now + clog, Later::Clog(id, side, time));
        }
    }

    // --- clocks --------------------------------------------------------------------------------------------------

    /// Sets how a party's clocks differ from the world's.
    pub fn skew(&mut self, party: PartyId, skew: Skew) {
        self.meddled_with(party, &format!("{skew:?}"));
        let now = self.now;
        self.parties[party.0].clock.skew(now, skew);
        self.touch(party);
    }

    /// Moves a party's monotonic clock by so many microseconds. Back is what no monotonic clock does: it has to be
    /// harmless.
    pub fn jump_mono(&mut self, party: PartyId, micros: i64) {
        self.meddled_with(party, &format!("its clock jumps by {micros} µs"));
        self.parties[party.0].clock.jump(micros);
        self.touch(party);
    }

    /// Moves a party's wall clock by so many milliseconds.
    pub fn jump_wall_of(&mut self, party: PartyId, millis: i64) {
        self.meddled_with(party, &format!("its wall clock jumps by {millis} ms"));
        self.parties[party.0].clock.wall += millis;
    }

    /// Lets the test choose from the world's source of choices.
    pub fn choose(&mut self, what: Choice, options: usize) -> usize {
        self.chooser.choose(what, options)
    }
}

//! What is seen of the simulated world, compared with the model.

use chumwire::node::ConnectionInfo;
use chumwire::pairing::{Invitation, InvitationState};
use chumwire::step::Step;
use chumwire_sim::scenario::{Stop, relay_stats};
use chumwire_sim::{Insecure, PartyId, Told, World};

use super::judge::Seen;
use super::reference::{Is, State};
use super::texts::End;
use super::world::{Pair, unmet};

/// The longest that anything may take: the longest pause between two attempts, and what the other side makes of it.
const BOUND: u64 = 400_000;

impl Pair {
    pub(super) fn connections(&self, who: usize) -> Vec<ConnectionInfo> {
        connections(&self.stage.world, self.ids[who])
    }

    pub(super) fn end(&self, who: usize) -> Option<End> {
        let conn = self.connections(who).first()?.conn;
        Some((who, self.lives[who], conn))
    }

    fn knows(&self, who: usize) -> bool {
        let (world, id) = (&self.stage.world, self.ids[who]);
        match world.is_up(id) {
            true => world.node(id).contacts().next().is_some(),
            false => !world.store(id).contacts().is_empty(),
        }
    }

    fn seen(&self, who: usize) -> Seen {
        let (world, id) = (&self.stage.world, self.ids[who]);
        let up = world.is_up(id);
        let state = |of: &Invitation| {
            let of = of.token().id();
            if !up {
                // One whose time is over expires at the start, and is taken out then.
                let record = world.store(id).invitations().get(&of)?;
                let is_over = record.expires <= world.now().wall;
                return Some(if is_over { State::Expired } else { State::Open });
            }
            let (_, state) = world
                .node(id)
                .invitations()
                .find(|(record, _)| record.id == of)?;
            Some(match state {
                // Held by nobody: nothing is under way.
                InvitationState::Open | InvitationState::Held(_) => State::Open,
                InvitationState::Spent => State::Used,
                InvitationState::Revoked => State::Revoked,
                InvitationState::Expired => State::Expired,
            })
        };
        Seen {
            online: up && world.node(id).is_online(),
            knows: self.knows(who),
            connections: self.connections(who).len(),
            invitations: self.invitations.iter().map(state).collect(),
        }
    }

    /// What has to be so at any time: nobody but the other one is a contact, only a contact has a connection, and texts
    /// come in order.
    pub(super) fn look(&mut self) -> Result<(), Stop> {
        for (who, other) in [(0, 1), (1, 0)] {
            let node = &self.model.nodes[who];
            let stored = self.stage.world.store(self.ids[who]).contacts();
            if stored.keys().any(|person| *person != self.people[other]) {
                return Err(unmet(format!("{who} knows a stranger")));
            }
            self.agree(node.knows, self.knows(who), "knowing the other")?;
            for info in self.connections(who) {
                if node.knows == Is::No || info.person != Some(self.people[other]) {
                    return Err(unmet(format!("{who} is connected with {:?}", info.person)));
                }
            }
        }
        for (_, party, told) in &self.stage.world.told()[self.told..] {
            if let Told::Message(conn, bytes) = told
                && let Some(who) = self.ids.iter().position(|id| id == party)
            {
                let end = (who, self.lives[who], *conn);
                let heard = self.texts.heard(end, &String::from_utf8_lossy(bytes));
                heard.map_err(unmet)?;
            }
        }
        self.told = self.stage.world.told().len();
        Ok(())
    }

    /// Runs until something is so, and still is after a second: what was on its way has come.
    fn until(&mut self, so: impl Fn(&World<Insecure>) -> bool) -> Result<bool, Stop> {
        let end = self.now() + BOUND;
        while self.now() < end {
            self.stage.until(end - self.now(), &so)?;
            self.run(1_000)?;
            if so(&self.stage.world) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs until all is quiet, and compares.
    pub(super) fn settle(&mut self) -> Result<(), Stop> {
        let (ids, relay) = (self.ids, self.relay);
        let rests = self.until(|world| at_rest(world, ids, relay))?;
        self.look()?;
        if !rests {
            return Err(unmet("not at rest"));
        }
        for who in [0, 1] {
            if self.knows(who) == self.stage.world.store(ids[who]).contacts().is_empty() {
                return Err(unmet(format!("{who}: what is so is not what is stored")));
            }
        }
        let seen = [self.seen(0), self.seen(1)];
        self.model.settle(&seen, self.now()).map_err(unmet)?;
        let links = usize::from(self.model.linked());
        self.until(|world| {
            at_rest(world, ids, relay)
                && ids.iter().all(|id| connections(world, *id).len() == links)
        })?;
        self.look()?;
        let seen = [self.seen(0), self.seen(1)];
        self.model.quiet(&seen).map_err(unmet)?;
        if let (Some(a), Some(b)) = (self.end(0), self.end(1)) {
            self.texts.arrived(a, b).map_err(unmet)?;
            self.texts.arrived(b, a).map_err(unmet)?;
        }
        Ok(())
    }
}

/// The established connections of a node.
fn connections(world: &World<Insecure>, id: PartyId) -> Vec<ConnectionInfo> {
    if !world.is_up(id) {
        return Vec::new();
    }
    let all = world.node(id).connections();
    all.filter(|info| info.step == Step::Connected).collect()
}

/// Nothing is under way: who can be reached is, and every connection is spare or established.
fn at_rest(world: &World<Insecure>, ids: [PartyId; 2], relay: PartyId) -> bool {
    let stats = relay_stats(world, relay);
    let rests = |id: &PartyId| {
        let node = world.node(*id);
        let mut all = node.connections();
        node.is_online() == world.is_up(relay)
            && all.all(|info| matches!(info.step, Step::Spare | Step::Connected))
    };
    stats.waiting + stats.picked + stats.handed + stats.ending == 0
        && ids.iter().filter(|id| world.is_up(**id)).all(rests)
}

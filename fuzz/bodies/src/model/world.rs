//! The simulated world beside the model: what happens happens to both.

use chumwire::establish::Group;
use chumwire::io::Message;
use chumwire::node::Misuse;
use chumwire::objects::PersonId;
use chumwire::pairing::Invitation;
use chumwire::time::Micros;
use chumwire_sim::scenario::{RELAY, Setting, Stage, Stop, Via};
use chumwire_sim::{Bytes, PartyId};

use super::reference::{Is, Model, Time};
use super::texts::Texts;
use super::{How, Transition};

pub(super) struct Pair {
    pub(super) stage: Stage,
    pub(super) ids: [PartyId; 2],
    pub(super) people: [PersonId; 2],
    pub(super) relay: PartyId,
    pub(super) model: Model,
    pub(super) invitations: Vec<Invitation>,
    pub(super) texts: Texts,
    pub(super) lives: [u32; 2],
    /// What of that which was told has been looked at.
    pub(super) told: usize,
}

pub(super) fn unmet(what: impl Into<String>) -> Stop {
    Stop::Unmet(what.into())
}

impl Pair {
    pub(super) fn new(window: usize, choices: &[u8]) -> Self {
        let setting = Setting {
            window: Some(window),
            faults: None,
            trace: false,
        };
        let mut stage = Stage::new(setting, Bytes::new(choices));
        let relay = stage.relay();
        let ids = ["alice", "bob"].map(|name| {
            stage.ours_with(name, Via::Relay, |config| {
                config.url = Some(RELAY.into());
                config.serve.insert(Group::Chum);
            })
        });
        let people = ids.map(|id| stage.world.node(id).identity().person_id());
        Self {
            stage,
            ids,
            people,
            relay,
            model: Model::new(),
            invitations: Vec::new(),
            texts: Texts::default(),
            lives: [1; 2],
            told: 0,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.stage.world.now().mono.as_millis()
    }

    pub(super) fn run(&mut self, millis: u64) -> Result<(), Stop> {
        self.stage.run(millis)
    }

    // --- what happens --------------------------------------------------------------------------------------------

    /// One of the invitations of a node.
    fn invitation_of(&self, maker: usize, which: usize) -> Option<usize> {
        let all = self.model.invitations.iter().enumerate();
        let own: Vec<usize> = all
            .filter(|(_, of)| of.maker == maker)
            .map(|(i, _)| i)
            .collect();
        own.get(which % own.len().max(1)).copied()
    }

    pub(super) fn allows(&self, transition: Transition, how: How) -> bool {
        let (node, other) = (&self.model.nodes[how.who], 1 - how.who);
        match transition {
            Transition::Invite => node.up,
            Transition::Join => node.up && self.invitation_of(other, how.which).is_some(),
            Transition::Revoke => node.up && self.invitation_of(how.who, how.which).is_some(),
            Transition::Connect | Transition::Forget => node.up && node.knows != Is::No,
            Transition::Disconnect => node.up && node.wants,
            Transition::Say => node.up && !self.connections(how.who).is_empty(),
            Transition::Crash => node.up,
            Transition::Restart => !node.up,
            Transition::StopRelay => self.model.relay,
            Transition::StartRelay => !self.model.relay,
            Transition::Cut => self.stage.world.links().next().is_some(),
            Transition::Pass | Transition::Latency => true,
        }
    }

    pub(super) fn happen(&mut self, transition: Transition, how: How) -> Result<(), Stop> {
        let How { who, which, .. } = how;
        let (id, other, now) = (self.ids[who], self.people[1 - who], self.now());
        let world = &mut self.stage.world;
        match transition {
            Transition::Invite => {
                let life = [60_000, 600_000, 5_000, 40_000][which % 4];
                let made = world.on_node(id, |node, now| {
                    node.invite(now, Micros::millis(life), RELAY)
                });
                self.invitations
                    .push(made.map_err(|refused| unmet(refused.to_string()))?);
                self.model.invited(who, now + life);
            }
            Transition::Join => {
                if let Some(i) = self.invitation_of(1 - who, which) {
                    let invitation = self.invitations[i].clone();
                    let joined = self
                        .stage
                        .world
                        .on_node(id, |node, now| node.join(now, &invitation));
                    joined.map_err(|refused| unmet(refused.to_string()))?;
                    self.model.joined(i, now);
                }
            }
            Transition::Revoke => {
                if let Some(i) = self.invitation_of(who, which) {
                    let of = self.invitations[i].token().id();
                    let done = self
                        .stage
                        .world
                        .on_node(id, |node, now| node.revoke(now, of))
                        .is_ok();
                    self.agree(self.model.revocable(i, now), done, "taken back")?;
                    if done {
                        self.model.revoked(i);
                    }
                }
            }
            Transition::Connect => {
                let done = world.on_node(id, |node, now| node.connect(now, other, Group::Chum));
                self.agree(self.model.nodes[who].knows, done.is_ok(), "connecting")?;
                self.model.nodes[who].wants |= done.is_ok();
            }
            Transition::Disconnect => {
                world.on_node(id, |node, now| node.disconnect(now, other, &Group::Chum));
                self.model.nodes[who].wants = false;
            }
            Transition::Say => self.say(who)?,
            Transition::Forget => {
                let done = world.on_node(id, |node, now| node.forget(now, other, None));
                self.agree(
                    self.model.nodes[who].knows,
                    done != Err(Misuse::NotPaired),
                    "forgetting",
                )?;
                if done.is_ok() {
                    self.model.forgot(who);
                }
            }
            Transition::Crash => {
                world.crash(id);
                self.model.stopped(who);
            }
            Transition::Restart => self.start(who),
            Transition::StopRelay => {
                world.crash(self.relay);
                self.model.relay(false);
            }
            Transition::StartRelay => {
                world.restart(self.relay);
                self.model.relay(true);
            }
            Transition::Cut => {
                let links: Vec<_> = world.links().map(|link| link.id).collect();
                world.cut(links[which % links.len()]);
                self.model.disturbed = true;
            }
            Transition::Pass => self.stage.run([100, 5_000, 60_000][which % 3])?,
            Transition::Latency => {
                let latency = [20, 0, 200][which % 3];
                self.stage
                    .set_latency(Micros::millis(latency), Micros::millis(20));
            }
        }
        Ok(())
    }

    pub(super) fn agree(&self, due: Is, is: bool, what: &str) -> Result<(), Stop> {
        match (due, is) {
            (Is::Either, _) | (Is::Yes, true) | (Is::No, false) => Ok(()),
            _ => Err(unmet(format!("{what}: {is} instead of {due:?}"))),
        }
    }

    fn say(&mut self, who: usize) -> Result<(), Stop> {
        let Some(from) = self.end(who) else {
            return Ok(());
        };
        let text = self.texts.next(from);
        // It can arrive before this returns.
        self.texts.said(from);
        let said = self.stage.world.on_node(self.ids[who], |node, now| {
            node.send(now, from.2, Message::Text(&text))
        });
        said.map_err(|refused| unmet(format!("on an established connection: {refused}")))
    }

    fn start(&mut self, who: usize) {
        self.stage.world.restart(self.ids[who]);
        self.lives[who] += 1;
        self.model.started(who);
    }

    /// All run again.
    pub(super) fn mend(&mut self) {
        for who in [0, 1] {
            if !self.model.nodes[who].up {
                self.start(who);
            }
        }
        if !self.model.relay {
            self.stage.world.restart(self.relay);
            self.model.relay(true);
        }
    }
}

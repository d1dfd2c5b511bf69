//! What the tests of whole worlds share.

use chumwire::crypto::{Random, Suite};
use chumwire::fault::Fault;
use chumwire::identity::Identity;
use chumwire::io::ConnId;
use chumwire::node::{Event, NodeConfig};
use chumwire::pairing::Invitation;
use chumwire::relay::RelayConfig;
use chumwire::time::Micros;
use chumwire_sim::deployed::{DeployedConfig, DeployedEvent};
use chumwire_sim::{Config, PartyId, Profile, Seeded, World};

/// Longer than any pairing that succeeds.
pub(crate) const LONG: Micros = Micros::secs(120);

pub(crate) const RELAY: &str = "ws://relay";

/// A configuration for a node of ours of this name.
pub(crate) fn config<S: Suite>(name: &str) -> NodeConfig {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let email = format!("{name}@example.org");
    let identity = Identity::generate::<S>(&mut Random::new(seed), &email, "laptop");
    NodeConfig::new(identity.expect("good names"))
}

/// A world with jitter.
pub(crate) fn jittery<S: Suite>(seed: u64) -> World<S> {
    let profile = Profile {
        jitter: Micros::millis(20),
        ..Profile::default()
    };
    let config = Config {
        profile,
        drain: Micros::millis(3),
        store: Micros::millis(9),
        ..Config::default()
    };
    World::new(config, Seeded::new(seed))
}

/// Whose implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ours,
    Deployed,
}

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Direct,
    Relay,
}

/// Two parties, one of which has made an invitation.
pub(crate) struct Meeting<S: Suite> {
    pub(crate) world: World<S>,
    pub(crate) via: Via,
    pub(crate) inviter: (PartyId, Who),
    pub(crate) joiner: (PartyId, Who),
    /// As JSON.
    pub(crate) invitation: String,
}

impl<S: Suite> Meeting<S> {
    /// Inviter and joiner are there and can be reached; nobody has dialled.
    pub(crate) fn new(mut world: World<S>, via: Via, inviter: Who, joiner: Who) -> Self {
        let relay = (via == Via::Relay).then(|| {
            world.add_relay("relay", RelayConfig::default());
            RELAY
        });
        let mut add = |name: &str, who: Who| match who {
            Who::Ours => {
                let mut config = config::<S>(name);
                if via == Via::Direct {
                    config.url = Some(format!("ws://{name}"));
                }
                world.add_node(name, config, relay)
            }
            Who::Deployed => {
                let mut config = DeployedConfig::new(&format!("{name}@example.org"), "browser");
                config.relay = relay.map(Into::into);
                config.url = Some(relay.map_or(format!("ws://{name}"), Into::into));
                world.add_deployed(name, config)
            }
        };
        let (alice, bob) = (add("alice", inviter), add("bob", joiner));
        let mut meeting = Self {
            world,
            via,
            inviter: (alice, inviter),
            joiner: (bob, joiner),
            invitation: String::new(),
        };
        if let Some(relay) = meeting.relay() {
            // Both have both their spares.
            let all = |world: &World<S>| world.relay(relay).stats().spares == 4;
            assert!(
                meeting.world.run_until(LONG, all).expect("no violation"),
                "nobody listens"
            );
        }
        meeting.invitation = meeting.invite(Micros::secs(60));
        meeting
    }

    pub(crate) fn relay(&self) -> Option<PartyId> {
        self.world.party("relay")
    }

    /// One more invitation.
    pub(crate) fn invite(&mut self, life: Micros) -> String {
        let url = match self.via {
            Via::Relay => RELAY.to_owned(),
            Via::Direct => self.world.url(self.inviter.0),
        };
        let (id, who) = self.inviter;
        match who {
            Who::Ours => self
                .world
                .on_node(id, |node, now| node.invite(now, life, &url))
                .expect("an invitation")
                .json(),
            Who::Deployed => self
                .world
                .on_deployed(id, |double, now| double.invite(now, &url)),
        }
    }

    /// The joiner uses an invitation.
    pub(crate) fn join_with(&mut self, invitation: &str) -> ConnId {
        let (id, who) = self.joiner;
        join(&mut self.world, id, who, invitation)
    }

    pub(crate) fn join(&mut self) -> ConnId {
        let invitation = self.invitation.clone();
        self.join_with(&invitation)
    }

    /// Runs until both say that they have paired; false if they do not.
    pub(crate) fn pair(&mut self) -> bool {
        let (a, b) = (self.inviter.0, self.joiner.0);
        self.world
            .run_until(LONG, |world| {
                pairings(world, a) > 0 && pairings(world, b) > 0
            })
            .expect("no violation")
    }
}

pub(crate) fn join<S: Suite>(
    world: &mut World<S>,
    id: PartyId,
    who: Who,
    invitation: &str,
) -> ConnId {
    match who {
        Who::Ours => {
            let invitation = Invitation::read(invitation).expect("an invitation");
            world
                .on_node(id, |node, now| node.join(now, &invitation))
                .expect("joins")
        }
        Who::Deployed => world
            .on_deployed(id, |double, _| double.join(invitation))
            .expect("joins"),
    }
}

/// How often a party has told that it has paired.
pub(crate) fn pairings<S: Suite>(world: &World<S>, id: PartyId) -> usize {
    let ours = world
        .events(id)
        .filter(|event| matches!(event, Event::Paired { .. }))
        .count();
    let theirs = world
        .deployed_events(id)
        .filter(|event| matches!(event, DeployedEvent::Paired { .. }))
        .count();
    ours + theirs
}

/// How a node's connections have ended, spare ones that were never used aside.
pub(crate) fn ends<S: Suite>(world: &World<S>, id: PartyId) -> Vec<(ConnId, Option<Fault>)> {
    world
        .events(id)
        .filter_map(|event| match event {
            Event::Ended {
                conn,
                role: Some(_),
                fault,
                ..
            } => Some((*conn, fault.clone())),
            _ => None,
        })
        .collect()
}

/// How one connection of a node has ended.
pub(crate) fn end_of<S: Suite>(world: &World<S>, id: PartyId, of: ConnId) -> Option<Option<Fault>> {
    world.events(id).find_map(|event| match event {
        Event::Ended { conn, fault, .. } if *conn == of => Some(fault.clone()),
        _ => None,
    })
}

/// The code of the cause of the last session that ended with one.
pub(crate) fn last_code<S: Suite>(world: &World<S>, id: PartyId) -> Option<&'static str> {
    ends(world, id)
        .into_iter()
        .rev()
        .find_map(|(_, fault)| fault)
        .map(|fault| fault.why.code())
}

/// What has to hold at every moment, whatever fails.
pub(crate) fn watch<S: Suite>(world: &mut World<S>, nodes: &[PartyId]) {
    for &id in nodes {
        world.always(move |world| {
            let mut used = Vec::new();
            for event in world.events(id) {
                if let Event::Paired {
                    invitation: Some(invitation),
                    ..
                } = event
                {
                    if used.contains(invitation) {
                        return Err(format!("{id}: an invitation was used twice"));
                    }
                    if !world.store(id).spent().contains(invitation) {
                        return Err(format!("{id}: paired before it was stored"));
                    }
                    used.push(*invitation);
                }
            }
            if !world.is_up(id) {
                return Ok(());
            }
            for contact in world.node(id).contacts() {
                let stored = world.store(id).contacts().get(&contact.person_id);
                let instances = |c: &chumwire::contact::Contact| -> Vec<_> {
                    c.instances
                        .iter()
                        .map(|i| (i.instance_id, i.instance_key))
                        .collect()
                };
                if stored.map(instances) != Some(instances(contact)) {
                    return Err(format!("{id}: a contact that is not stored"));
                }
            }
            Ok(())
        });
    }
}

/// No session is left anywhere: every link belongs to a spare connection.
pub(crate) fn is_quiet<S: Suite>(world: &World<S>) -> bool {
    match world.party("relay") {
        None => world.links().next().is_none(),
        Some(relay) => {
            let stats = world.relay(relay).stats();
            stats.relayed + stats.waiting + stats.picked + stats.handed + stats.ending == 0
        }
    }
}

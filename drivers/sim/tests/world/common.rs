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
pub const LONG: Micros = Micros::secs(120);

pub const RELAY: &str = "ws://relay";

/// A configuration for a node of ours of this name.
pub fn config<S: Suite>(name: &str) -> NodeConfig {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let email = format!("{name}@example.org");
    let identity = Identity::generate::<S>(&mut Random::new(seed), &email, "laptop");
    NodeConfig::new(identity.expect("good names"))
}

/// A world with jitter.
pub fn jittery<S: Suite>(seed: u64) -> World<S> {
    let profile = Profile { jitter: Micros::millis(20), ..Profile::default() };
    let config =
        Config { profile, drain: Micros::millis(3), store: Micros::millis(9), ..Config::default() };
    World::new(config, Seeded::new(seed))
}

/// Whose implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Ours,
    Deployed,
}

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Direct,
    Relay,
}

/// Two parties, one of which has made an invitation.
pub struct Meeting<S: Suite> {
    pub world: World<S>,
    pub via: Via,
    pub inviter: (PartyId, Who),
    pub joiner: (PartyId, Who),
    /// As JSON.
    pub invitation: String,
}

impl<S: Suite> Meeting<S> {
    /// Inviter and joiner are there and can be reached; nobody has dialled.
    pub fn new(mut world: World<S>, via: Via, inviter: Who, joiner: Who) -> Self {
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
            assert!(meeting.world.run_until(LONG, all).expect("no violation"), "nobody listens");
        }
        meeting.invitation = meeting.invite(Micros::secs(60));
        meeting
    }

    pub fn relay(&self) -> Option<PartyId> {
        self.world.party("relay")
    }

    /// One more invitation.
    pub fn invite(&mut self, life: Micros) -> String {
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
            Who::Deployed => self.world.on_deployed(id, |double, now| double.invite(now, &url)),
        }
    }

    /// The joiner uses an invitation.
    pub fn join_with(&mut self, invitation: &str) -> ConnId {
        let (id, who) = self.joiner;
        join(&mut self.world, id, who, invitation)
    }

    pub fn join(&mut self) -> ConnId {
        let invitation = self.invitation.clone();
        self.join_with(&invitation)
    }

    /// Runs until both say that they have paired; false if they do not.
    pub fn pair(&mut self) -> bool {
        let (a, b) = (self.inviter.0, self.joiner.0);
        self.world
            .run_until(LONG, |world| pairings(world, a) > 0 && pairings(world, b) > 0)
            .expect("no violation")
    }
}

pub fn join<S: Suite>(world: &mut World<S>, id: PartyId, who: Who, invitation: &str) -> ConnId {
    match who {
        Who::Ours => {
            let invitation = Invitation::read(invitation).expect("an invitation");
            world.on_node(id, |node, now| node.join(now, &invitation)).expect("joins")
        }
        Who::Deployed => world.on_deployed(id, |double, _| double.join(invitation)).expect("joins"),
    }
}

/// How often a party has told that it has paired.
pub fn pairings<S: Suite>(world: &World<S>, id: PartyId) -> usize {
    let ours = world.events(id).filter(|event| matches!(event, Event::Paired { .. })).count();
    let theirs = world
        .deployed_events(id)
        .filter(|event| matches!(event, DeployedEvent::Paired { .. }))
        .count();
    ours + theirs
}

/// How a node's connections have ended, spare ones that were never used aside.
pub fn ends<S: Suite>(world: &World<S>, id: PartyId) -> Vec<(ConnId, Option<Fault>)> {
    world
        .events(id)
        .filter_map(|event| match event {
            Event::Ended { conn, role: Some(_), fault, .. } => Some((*conn, fault.clone())),
            _ => None,
        })
        .collect()
}

/// How one connection of a node has ended.
pub fn end_of<S: Suite>(world: &World<S>, id: PartyId, of: ConnId) -> Option<Option<Fault>> {
    world.events(id).find_map(|event| match event {
        Event::Ended { conn, fault, .. } if *conn == of => Some(fault.clone()),
        _ => None,
    })
}

/// The code of the cause of the last session that ended with one.
pub fn last_code<S: Suite>(world: &World<S>, id: PartyId) -> Option<&'static str> {
    ends(world, id).into_iter().rev().find_map(|(_, fault)| fault).map(|fault| fault.why.code())
}

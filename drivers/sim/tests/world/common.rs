//! What the tests of whole worlds share.

use chumwire::crypto::Suite;
use chumwire::io::ConnId;
use chumwire::pairing::Invitation;
use chumwire::relay::RelayConfig;
use chumwire::time::Micros;
use chumwire_sim::deployed::DeployedConfig;
pub(crate) use chumwire_sim::scenario::{
    RELAY, Via, Who, config, end_of, ends, last_code, pairings, watch,
};
use chumwire_sim::{Config, PartyId, Profile, Seeded, World};

/// Longer than any pairing that succeeds.
pub(crate) const LONG: Micros = Micros::secs(120);

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

//! What a script works with: a world in which everything that may vary is drawn, and the parties of the protocol.

use std::collections::BTreeMap;

use chumwire::contact::Contact;
use chumwire::crypto::{Random, Suite};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::{ConnId, Message};
use chumwire::node::{Node, NodeConfig};
use chumwire::objects::PersonId;
use chumwire::pairing::Invitation;
use chumwire::relay::RelayConfig;
use chumwire::time::Micros;

use super::look::{connected, pairings, relay_stats, watch};
use super::{Failure, Setting, Stop};
use crate::chooser::{Choice, Chooser};
use crate::deployed::DeployedConfig;
use crate::insecure::Insecure;
use crate::link::{Faults, Profile};
use crate::party::PartyId;
use crate::puppet::Puppet;
use crate::wire::{Onward, Passing, Wire};
use crate::world::{Config, World};

/// Where the relay of a stage is.
pub const RELAY: &str = "ws://relay";

/// Longer than any pairing that succeeds.
const LONG: Micros = Micros::secs(30);

/// Whose implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A node of ours.
    Ours,
    /// A double of the deployed peer.
    Deployed,
}

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// Directly.
    Direct,
    /// Through a relay of ours.
    Relay,
}

/// Two parties, one of which has made an invitation. Nobody has dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Who invites.
    pub inviter: PartyId,
    /// Who is invited.
    pub joiner: PartyId,
    /// The invitation, as JSON.
    pub invitation: String,
}

/// Two nodes of ours, paired, and connected with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Friends {
    /// Who was dialled, and who dialled.
    pub ids: [PartyId; 2],
    /// Their names for the connection.
    pub conns: [ConnId; 2],
}

/// A configuration for a node of ours of this name; the keys come from the name.
///
/// # Panics
/// If the name is longer than 32 bytes.
#[must_use]
pub fn config<S: Suite>(name: &str) -> NodeConfig {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let email = format!("{name}@example.org");
    let identity = Identity::generate::<S>(&mut Random::new(seed), &email, "laptop");
    NodeConfig::new(identity.expect("good names"))
}

/// A world, and what its script needs.
pub struct Stage {
    /// The world.
    pub world: World<Insecure>,
    setting: Setting,
    window: usize,
    whos: BTreeMap<PartyId, Who>,
    variant: Vec<String>,
}

impl Stage {
    /// An empty stage.
    #[must_use]
    pub fn new(setting: Setting, chooser: impl Chooser + 'static) -> Self {
        let config = Config {
            profile: Self::profile_of(&setting),
            drain: Micros::millis(3),
            store: Micros::millis(9),
            trace: setting.trace,
            ..Config::default()
        };
        let mut stage = Self {
            world: World::new(config, chooser),
            setting,
            window: 0,
            whos: BTreeMap::new(),
            variant: Vec::new(),
        };
        // Most rows of the table are about the strict order; they have to hold in the other one as well.
        let tolerant = setting.window.is_none() && stage.pick(8) == 7;
        stage.window = setting.window.unwrap_or(if tolerant { 16 } else { 0 });
        stage
    }

    fn profile_of(setting: &Setting) -> Profile {
        Profile {
            jitter: Micros::millis(20),
            faults: setting.faults.unwrap_or_default(),
            ..Profile::default()
        }
    }

    /// Sets latency and jitter of all links that are dialled from now on; faults that were asked for stay.
    pub fn set_latency(&mut self, latency: Micros, jitter: Micros) {
        self.world.set_profile(Profile {
            latency,
            jitter,
            ..Self::profile_of(&self.setting)
        });
    }

    /// Lets this row be shown in strict and in tolerant order alike often, with windows of several sizes. To be
    /// called before any node is made. Gives the window.
    pub fn either_order(&mut self) -> usize {
        if self.setting.window.is_none() {
            self.window = match self.pick(2) {
                0 => 0,
                _ => [1, 2, 4, 16, 64][self.pick(5)],
            };
        }
        self.variant.push(match self.window {
            0 => "strict".into(),
            window => format!("window {window}"),
        });
        self.window
    }

    /// The reorder window of the nodes of ours; 0 in strict order.
    #[must_use]
    pub const fn window(&self) -> usize {
        self.window
    }

    // --- choosing and requiring ----------------------------------------------------------------------------------

    /// One of `0..options`.
    pub fn pick(&mut self, options: usize) -> usize {
        self.world.choose(Choice::Test, options)
    }

    /// One of these; the run's variant names it.
    pub fn one_of<T: Copy + core::fmt::Debug>(&mut self, options: &[T]) -> T {
        let picked = options[self.pick(options.len())];
        self.note(format!("{picked:?}"));
        picked
    }

    /// Adds to the name of the variant.
    pub fn note(&mut self, what: String) {
        self.variant.push(what);
    }

    /// The variant's name.
    #[must_use]
    pub fn variant(&self) -> String {
        self.variant.join(", ")
    }

    /// What has to be so.
    ///
    /// # Errors
    /// [`Stop`] if it is not.
    pub fn require(&self, is: bool, sentence: &str) -> Result<(), Stop> {
        match (is, self.setting.faults) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(Stop::Disturbed),
            (false, None) => Err(Stop::Unmet(sentence.into())),
        }
    }

    /// What has to be there.
    ///
    /// # Errors
    /// [`Stop`] if it is not.
    pub fn some<T>(&self, value: Option<T>, sentence: &str) -> Result<T, Stop> {
        self.require(value.is_some(), sentence)?;
        value.ok_or(Stop::Disturbed)
    }

    /// What two things have to be: equal.
    ///
    /// # Errors
    /// [`Stop`] if they are not.
    pub fn equal<T: PartialEq + core::fmt::Debug>(
        &self,
        is: &T,
        due: &T,
        what: &str,
    ) -> Result<(), Stop> {
        if is == due {
            return Ok(());
        }
        self.require(false, &format!("{what}: {is:?} instead of {due:?}"))
    }

    pub(super) fn failure(&self, stop: Stop) -> Failure {
        let (at, tail) = (self.world.now().mono, self.world.trace_so_far().tail(60));
        match stop {
            Stop::Violation(violation) => Failure {
                what: violation.what,
                at: violation.at,
                tail: violation.tail,
            },
            Stop::Unmet(what) => Failure { what, at, tail },
            Stop::Disturbed => Failure {
                what: "disturbed".into(),
                at,
                tail,
            },
        }
    }

    // --- time ----------------------------------------------------------------------------------------------------

    /// Runs for some milliseconds.
    ///
    /// # Errors
    /// [`Stop`] by an invariant.
    pub fn run(&mut self, millis: u64) -> Result<(), Stop> {
        Ok(self.world.run_for(Micros::millis(millis))?)
    }

    /// Runs until something is so, for some milliseconds at most. Tells whether it is.
    ///
    /// # Errors
    /// [`Stop`] by an invariant.
    pub fn until(
        &mut self,
        millis: u64,
        done: impl FnMut(&World<Insecure>) -> bool,
    ) -> Result<bool, Stop> {
        Ok(self.world.run_until(Micros::millis(millis), done)?)
    }

    // --- parties -------------------------------------------------------------------------------------------------

    /// The parties of a kind.
    #[must_use]
    pub fn parties(&self, who: Who) -> Vec<PartyId> {
        self.whos
            .iter()
            .filter(|(_, is)| **is == who)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn relay_is_undisturbed(&self) -> bool {
        self.setting.faults.is_none()
    }

    /// The relay; it is there from the first call on.
    pub fn relay(&mut self) -> PartyId {
        self.relay_with(RelayConfig::default())
    }

    /// The relay, configured by the first call.
    pub fn relay_with(&mut self, config: RelayConfig) -> PartyId {
        match self.world.party("relay") {
            Some(id) => id,
            None => self.world.add_relay("relay", config),
        }
    }

    /// A node of ours that can be reached by this way.
    pub fn ours(&mut self, name: &str, via: Via) -> PartyId {
        self.ours_with(name, via, |_| {})
    }

    /// A node of ours, configured.
    pub fn ours_with(
        &mut self,
        name: &str,
        via: Via,
        edit: impl FnOnce(&mut NodeConfig),
    ) -> PartyId {
        let mut config = config::<Insecure>(name);
        config.reorder_window = self.window;
        let relay = match via {
            Via::Direct => {
                config.url = Some(format!("ws://{name}"));
                None
            }
            Via::Relay => {
                self.relay();
                Some(RELAY)
            }
        };
        edit(&mut config);
        let id = self.world.add_node(name, config, relay);
        self.whos.insert(id, Who::Ours);
        watch(&mut self.world, id);
        id
    }

    /// A double of the deployed peer that can be reached by this way.
    pub fn deployed(&mut self, name: &str, via: Via) -> PartyId {
        self.deployed_with(name, via, |_| {})
    }

    /// A double of the deployed peer, configured.
    pub fn deployed_with(
        &mut self,
        name: &str,
        via: Via,
        edit: impl FnOnce(&mut DeployedConfig),
    ) -> PartyId {
        let mut config = DeployedConfig::new(&format!("{name}@example.org"), "browser");
        config.url = Some(match via {
            Via::Direct => format!("ws://{name}"),
            Via::Relay => {
                self.relay();
                config.relay = Some(RELAY.into());
                RELAY.into()
            }
        });
        edit(&mut config);
        let id = self.world.add_deployed(name, config);
        self.whos.insert(id, Who::Deployed);
        id
    }

    /// One of either kind.
    pub fn either(&mut self, name: &str, who: Who, via: Via) -> PartyId {
        match who {
            Who::Ours => self.ours(name, via),
            Who::Deployed => self.deployed(name, via),
        }
    }

    /// A faulty relay in front of a party, to be reached at `ws://<name>`.
    pub fn wire(
        &mut self,
        name: &str,
        target: &str,
        meddle: impl FnMut(Passing<'_>, &mut Vec<Onward>) + 'static,
    ) -> PartyId {
        self.world
            .add_party(name, Box::new(Wire::to(target, meddle)))
    }

    /// Runs until as many spare connections are registered.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn listening(&mut self, spares: usize) -> Result<(), Stop> {
        let relay = self.relay();
        let all = self.until(20_000, move |world| {
            relay_stats(world, relay).spares >= spares
        })?;
        self.require(all, "all spare connections are registered")
    }

    /// Whose kind a party is of.
    #[must_use]
    pub fn who(&self, id: PartyId) -> Option<Who> {
        self.whos.get(&id).copied()
    }

    /// A party has to run.
    ///
    /// # Errors
    /// [`Stop`] if it does not.
    pub fn running(&self, id: PartyId) -> Result<(), Stop> {
        self.require(self.world.is_up(id), "a party runs")
    }

    /// Moves a puppet, which has to run.
    ///
    /// # Errors
    /// [`Stop`] if it does not.
    pub fn play<R>(
        &mut self,
        puppet: PartyId,
        act: impl FnOnce(&mut Puppet) -> R,
    ) -> Result<R, Stop> {
        self.running(puppet)?;
        Ok(self.world.on_puppet(puppet, act))
    }

    /// A node of ours, which has to run.
    ///
    /// # Errors
    /// [`Stop`] if it does not.
    pub fn node(&self, id: PartyId) -> Result<&Node<Insecure>, Stop> {
        self.running(id)?;
        Ok(self.world.node(id))
    }

    /// The instance key of a party.
    ///
    /// # Errors
    /// [`Stop`] if it does not run.
    pub fn instance_key(&self, id: PartyId) -> Result<[u8; 32], Stop> {
        self.running(id)?;
        Ok(match self.who(id) {
            Some(Who::Deployed) => *self.world.deployed(id).instance_key(),
            _ => *self.node(id)?.identity().instance_key().public().bytes(),
        })
    }

    // --- pairing -------------------------------------------------------------------------------------------------

    /// An invitation of a party, to be used at this url, as JSON.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn invite(&mut self, id: PartyId, url: &str) -> Result<String, Stop> {
        self.invite_for(id, url, Micros::secs(60))
    }

    /// An invitation with this life.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn invite_for(&mut self, id: PartyId, url: &str, life: Micros) -> Result<String, Stop> {
        self.running(id)?;
        match self.who(id) {
            Some(Who::Deployed) => Ok(self
                .world
                .on_deployed(id, |double, now| double.invite(now, url))),
            _ => {
                let made = self
                    .world
                    .call(id, "invite", |node, now| node.invite(now, life, url));
                Ok(self.some(made.ok(), "an invitation is made")?.json())
            }
        }
    }

    /// A party uses an invitation.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn join(&mut self, id: PartyId, invitation: &str) -> Result<ConnId, Stop> {
        self.running(id)?;
        let conn = match self.who(id) {
            Some(Who::Deployed) => self
                .world
                .on_deployed(id, |double, _| double.join(invitation)),
            _ => {
                let read = Invitation::read(invitation).ok();
                let invitation = self.some(read, "an invitation can be read")?;
                self.world
                    .call(id, "join", |node, now| node.join(now, &invitation))
                    .ok()
            }
        };
        self.some(conn, "an invitation can be used")
    }

    /// Two parties who can be reached by this way, and an invitation of the first.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn meeting(&mut self, via: Via, inviter: Who, joiner: Who) -> Result<Meeting, Stop> {
        let inviter = self.either("alice", inviter, via);
        let joiner = self.either("bob", joiner, via);
        self.meeting_of(via, inviter, joiner)
    }

    /// An invitation of the first for the second of two parties.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn meeting_of(
        &mut self,
        via: Via,
        inviter: PartyId,
        joiner: PartyId,
    ) -> Result<Meeting, Stop> {
        let url = match via {
            Via::Direct => self.world.url(inviter),
            Via::Relay => {
                self.listening(4)?;
                RELAY.into()
            }
        };
        let invitation = self.invite(inviter, &url)?;
        Ok(Meeting {
            inviter,
            joiner,
            invitation,
        })
    }

    /// A meeting through a faulty relay that stands before the inviter, or before the relay.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn meddled(
        &mut self,
        via: Via,
        inviter: Who,
        joiner: Who,
        meddle: impl FnMut(Passing<'_>, &mut Vec<Onward>) + 'static,
    ) -> Result<Meeting, Stop> {
        let mut meeting = self.meeting(via, inviter, joiner)?;
        let target = match via {
            Via::Direct => self.world.url(meeting.inviter),
            Via::Relay => RELAY.into(),
        };
        self.wire("wire", &target, meddle);
        meeting.invitation = self.invite(meeting.inviter, "ws://wire")?;
        Ok(meeting)
    }

    /// Runs until both have paired; tells whether they have.
    ///
    /// # Errors
    /// [`Stop`] by an invariant.
    pub fn paired(&mut self, meeting: &Meeting) -> Result<bool, Stop> {
        let (a, b) = (meeting.inviter, meeting.joiner);
        Ok(self.world.run_until(LONG, |world| {
            pairings(world, a) > 0 && pairings(world, b) > 0
        })?)
    }

    /// Joins, and requires that both pair.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn pair(&mut self, meeting: &Meeting) -> Result<ConnId, Stop> {
        let conn = self.join(meeting.joiner, &meeting.invitation)?;
        let paired = self.paired(meeting)?;
        self.require(paired, "both have paired")?;
        Ok(conn)
    }

    // --- friends -------------------------------------------------------------------------------------------------

    /// Two of ours that serve each other and have paired; nobody has connected. The first can be reached at `url` if
    /// one is given, else by the way; the second by the way if it can be dialled.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn friends_apart(
        &mut self,
        via: Via,
        url: Option<&str>,
        both_dial: bool,
    ) -> Result<([PartyId; 2], [Contact; 2]), Stop> {
        let alice = self.ours_with("alice", via, |config| {
            config.serve.insert(Group::Chum);
            if let Some(url) = url {
                config.url = Some(url.into());
            }
        });
        let bob = self.ours_with("bob", via, |config| {
            config.serve.insert(Group::Chum);
            if !both_dial {
                config.url = None;
            }
        });
        let meeting = self.meeting_of(via, alice, bob)?;
        self.pair(&meeting)?;
        self.run(500)?;
        let contact = |id| Ok::<_, Stop>(self.node(id)?.contacts().next().cloned());
        let (a, b) = (contact(alice)?, contact(bob)?);
        let contacts = [self.some(a, "a contact")?, self.some(b, "a contact")?];
        Ok(([alice, bob], contacts))
    }

    /// Two of ours, connected, with a faulty relay between them if something is to be done to what passes. The second
    /// has dialled: it is the wire's dialler.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn friends(
        &mut self,
        meddle: impl FnMut(Passing<'_>, &mut Vec<Onward>) + 'static,
    ) -> Result<Friends, Stop> {
        self.wire("wire", "ws://alice", meddle);
        let (ids, contacts) = self.friends_apart(Via::Direct, Some("ws://wire"), false)?;
        let person = contacts[1].person_id;
        self.connect(ids[1], person)?;
        self.until(20_000, |world| {
            ids.iter().all(|id| !connected(world, *id).is_empty())
        })?;
        let conn = |id| connected(&self.world, id).first().copied();
        let (a, b) = (conn(ids[0]), conn(ids[1]));
        let conns = [self.some(a, "connected")?, self.some(b, "connected")?];
        Ok(Friends { ids, conns })
    }

    /// A node of ours is to keep a connection with a contact, for messages of applications.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn connect(&mut self, id: PartyId, person: PersonId) -> Result<(), Stop> {
        self.running(id)?;
        let told = self.world.call(id, "connect", |node, now| {
            node.connect(now, person, Group::Chum)
        });
        self.equal(&told, &Ok(()), "connecting gives")
    }

    /// A node of ours is not to keep a connection with a contact any more.
    ///
    /// # Errors
    /// [`Stop`] if it does not run.
    pub fn disconnect(&mut self, id: PartyId, person: PersonId) -> Result<(), Stop> {
        self.running(id)?;
        let Ok(()) = self.world.call(id, "disconnect", |node, now| {
            node.disconnect(now, person, &Group::Chum);
            Ok::<(), core::convert::Infallible>(())
        });
        Ok(())
    }

    /// A node's embedder says something on a connection.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn says(&mut self, id: PartyId, conn: ConnId, text: &str) -> Result<(), Stop> {
        self.running(id)?;
        let said = self.world.call(id, "send", |node, now| {
            node.send(now, conn, Message::Text(text))
        });
        self.require(said.is_ok(), "a message is taken")
    }

    /// Lets all links, those that are there too, misbehave like this.
    pub fn let_links(&mut self, faults: Faults) {
        self.world.set_profile(Profile {
            faults,
            ..Self::profile_of(&self.setting)
        });
        let links: Vec<_> = self.world.links().map(|link| link.id).collect();
        for link in links {
            self.world.set_faults(link, faults);
        }
    }
}

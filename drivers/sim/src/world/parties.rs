//! Parties come, crash, start again, and are told what to do.

use std::collections::BTreeMap;

use chumwire::crypto::Suite;
use chumwire::io::Closed;
use chumwire::node::{Misuse, Node, NodeConfig, Record};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Now};
use chumwire_trace::What;

use super::clock::Clock;
use super::{Running, Setup, Slot, World};
use crate::chooser::Choice;
use crate::deployed::{Deployed, DeployedConfig};
use crate::insecure::mix;
use crate::invariants::Known;
use crate::link::{Item, LinkId, Side};
use crate::party::{Party, PartyId};
use crate::puppet::Puppet;
use crate::store::Store;

impl<S: Suite> World<S> {
    fn add(&mut self, name: &str, setup: Setup, running: Option<Running<S>>) -> PartyId {
        let id = PartyId(self.parties.len());
        self.parties.push(Slot {
            name: name.into(),
            running,
            setup,
            store: Store::default(),
            writes_until: Micros::ZERO,
            starts: 0,
            known: None,
            clock: Clock::default(),
            conns: BTreeMap::new(),
            armed: None,
            touched: false,
        });
        id
    }

    /// A relay, to be reached at `ws://<name>`.
    pub fn add_relay(&mut self, name: &str, config: RelayConfig) -> PartyId {
        let id = self.add(name, Setup::Relay(config.into()), None);
        self.restart(id);
        id
    }

    /// A node of ours, to be reached at `ws://<name>`, that listens at a relay if one is given. What the
    /// configuration holds of contacts and invitations is taken as stored.
    pub fn add_node(&mut self, name: &str, config: NodeConfig, relay: Option<&str>) -> PartyId {
        let (contacts, invitations) = (config.contacts.clone(), config.invitations.clone());
        let known = Known::of(&config.identity);
        let id = self.add(
            name,
            Setup::Node(config.into(), relay.map(Into::into)),
            None,
        );
        self.parties[id.0].known = Some(known);
        let store = &mut self.parties[id.0].store;
        for contact in contacts {
            store.apply(Record::Contact(contact));
        }
        for invitation in invitations {
            store.apply(Record::Invited(invitation));
        }
        self.restart(id);
        id
    }

    /// A double of the deployed peer, to be reached at `ws://<name>`.
    pub fn add_deployed(&mut self, name: &str, config: DeployedConfig) -> PartyId {
        let id = self.add(name, Setup::Deployed(config.into()), None);
        self.restart(id);
        id
    }

    /// A party that the test plays, to be reached at `ws://<name>`.
    pub fn add_puppet(&mut self, name: &str) -> PartyId {
        let id = self.add(name, Setup::Puppet, None);
        self.restart(id);
        id
    }

    /// Any other party. It cannot be restarted.
    pub fn add_party(&mut self, name: &str, party: Box<dyn Party>) -> PartyId {
        let id = self.add(name, Setup::Never, Some(Running::Other(party)));
        self.drain(id);
        id
    }

    /// The party of this name.
    #[must_use]
    pub fn party(&self, name: &str) -> Option<PartyId> {
        self.parties
            .iter()
            .position(|slot| &*slot.name == name)
            .map(PartyId)
    }

    /// The name of a party.
    #[must_use]
    pub fn name(&self, party: PartyId) -> &str {
        &self.parties[party.0].name
    }

    /// Where a party can be dialled.
    #[must_use]
    pub fn url(&self, party: PartyId) -> String {
        format!("ws://{}", self.name(party))
    }

    /// Whether a party runs.
    #[must_use]
    pub fn is_up(&self, party: PartyId) -> bool {
        self.parties[party.0].running.is_some()
    }

    /// A node of ours.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn node(&self, id: PartyId) -> &Node<S> {
        match &self.parties[id.0].running {
            Some(Running::Node(node)) => node,
            _ => panic!("{} is no running node", self.name(id)),
        }
    }

    /// A relay of ours.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn relay(&self, id: PartyId) -> &Relay<S> {
        match &self.parties[id.0].running {
            Some(Running::Relay(relay)) => relay,
            _ => panic!("{} is no running relay", self.name(id)),
        }
    }

    /// A double of the deployed peer.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn deployed(&self, id: PartyId) -> &Deployed<S> {
        match &self.parties[id.0].running {
            Some(Running::Deployed(double)) => double,
            _ => panic!("{} is no running double", self.name(id)),
        }
    }

    /// A puppet.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn puppet(&self, id: PartyId) -> &Puppet {
        match &self.parties[id.0].running {
            Some(Running::Puppet(puppet)) => puppet,
            _ => panic!("{} is no running puppet", self.name(id)),
        }
    }

    /// Tells a node of ours to do something, and does what it wants done.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn on_node<R>(&mut self, id: PartyId, act: impl FnOnce(&mut Node<S>, Now) -> R) -> R {
        let now = self.now_at(id);
        self.enter(id, None);
        let Some(Running::Node(node)) = &mut self.parties[id.0].running else {
            panic!("{} is no running node", self.name(id))
        };
        let result = act(node, now);
        self.drain(id);
        result
    }

    /// Calls a method of a node of ours, and does what it wants done. The call, and its refusal, are in the trace.
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn call<T, E: core::fmt::Display>(
        &mut self,
        id: PartyId,
        name: &str,
        act: impl FnOnce(&mut Node<S>, Now) -> Result<T, E>,
    ) -> Result<T, E> {
        let now = self.now_at(id);
        self.enter(id, None);
        let Some(Running::Node(node)) = &mut self.parties[id.0].running else {
            panic!("{} is no running node", self.name(id))
        };
        let result = act(node, now);
        let called = What::Called {
            call: name.into(),
            args: None,
            refused: result.as_ref().err().map(ToString::to_string),
        };
        self.record(id, || called);
        self.drain(id);
        result
    }

    /// Tells a relay to do something, and does what it wants done.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn on_relay<R>(&mut self, id: PartyId, act: impl FnOnce(&mut Relay<S>, Now) -> R) -> R {
        let now = self.now_at(id);
        self.enter(id, None);
        let Some(Running::Relay(relay)) = &mut self.parties[id.0].running else {
            panic!("{} is no running relay", self.name(id))
        };
        let result = act(relay, now);
        self.drain(id);
        result
    }

    /// Tells a double to do something, and does what it wants done.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn on_deployed<R>(
        &mut self,
        id: PartyId,
        act: impl FnOnce(&mut Deployed<S>, Now) -> R,
    ) -> R {
        let now = self.now_at(id);
        self.enter(id, None);
        let Some(Running::Deployed(double)) = &mut self.parties[id.0].running else {
            panic!("{} is no running double", self.name(id))
        };
        let result = act(double, now);
        self.drain(id);
        result
    }

    /// Moves a puppet.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn on_puppet<R>(&mut self, id: PartyId, act: impl FnOnce(&mut Puppet) -> R) -> R {
        self.enter(id, None);
        let Some(Running::Puppet(puppet)) = &mut self.parties[id.0].running else {
            panic!("{} is no running puppet", self.name(id))
        };
        let result = act(puppet);
        self.drain(id);
        result
    }

    /// What a party has stored.
    #[must_use]
    pub fn store(&self, id: PartyId) -> &Store {
        &self.parties[id.0].store
    }

    /// A party's store, to let writes go wrong.
    pub fn store_mut(&mut self, id: PartyId) -> &mut Store {
        &mut self.parties[id.0].store
    }

    /// A party is gone at once: its connections are lost, what it has not stored is forgotten.
    pub fn crash(&mut self, id: PartyId) {
        if self.is_up(id) {
            self.record(id, || What::Stopped);
        }
        let slot = &mut self.parties[id.0];
        slot.running = None;
        let conns = core::mem::take(&mut slot.conns);
        for (link, side) in conns.into_values() {
            self.lose(link, side);
        }
        self.touch(id);
    }

    /// The party at one end of a link is gone: the other one hears so.
    pub(super) fn lose(&mut self, id: LinkId, side: Side) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.set_gone(side);
        link.to_mut(side).clear();
        let at = link.arrival(now, &mut self.chooser);
        let lost = Closed::Lost("the other side is gone".into());
        link.to_mut(side.other()).push(at, Item::End(lost));
        self.rearm(id);
        self.sweep(id);
    }

    /// Starts a party, or starts it again with what it has stored and a new seed.
    pub fn restart(&mut self, id: PartyId) {
        if self.parties[id.0].running.is_some() {
            self.crash(id);
        }
        let (now, trace) = (self.now_at(id), self.config.trace);
        self.parties[id.0].starts += 1;
        let seed = self.seed(id);
        self.enter(id, None);
        let slot = &self.parties[id.0];
        let started = slot.setup.started();
        let actor = match &slot.setup {
            Setup::Node(config, relay) => {
                let mut config = (**config).clone();
                config.notes |= trace;
                config.contacts = slot.store.contacts().values().cloned().collect();
                config.invitations = slot.store.invitations().values().cloned().collect();
                let started = Node::new(config, seed, now).and_then(|mut node| {
                    node.listen(now, relay.as_deref())?;
                    Ok(node)
                });
                match started {
                    Ok(node) => Running::Node(node.into()),
                    Err(misuse) => return self.refuse_start(id, &misuse),
                }
            }
            Setup::Relay(config) => {
                let mut config = (**config).clone();
                config.notes |= trace;
                Running::Relay(Relay::new(config, seed, now).into())
            }
            Setup::Deployed(config) => {
                let random = chumwire::crypto::Random::new(seed);
                Running::Deployed(Deployed::new((**config).clone(), random, now).into())
            }
            Setup::Puppet => Running::Puppet(Box::default()),
            Setup::Never => return,
        };
        self.record(id, || started);
        self.parties[id.0].running = Some(actor);
        self.drain(id);
    }

    /// A configuration that no node can be made of is a mistake of the test.
    fn refuse_start(&self, id: PartyId, misuse: &Misuse) {
        panic!("{} cannot be started: {misuse}", self.name(id));
    }

    fn seed(&mut self, id: PartyId) -> [u8; 32] {
        let chosen = self.choose(Choice::Seed, 1 << 16) as u64;
        let mut state =
            mix(chosen << 32 | (id.0 as u64) << 16 | u64::from(self.parties[id.0].starts));
        let mut seed = [0; 32];
        for word in seed.as_chunks_mut::<8>().0 {
            state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            *word = state.to_le_bytes();
        }
        seed
    }
}

//! Whole instances in memory: nodes with their address books and CHUMs, over connections that lose nothing. A URL is
//! `ws://` and the name of an instance.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chumwire::book::{BookEvent, Change, Someone};
use chumwire::chum::{
    Answer, ChumConfig, Deed, DefaultPolicy, MemoryStore, Reply, SyncEvent, Synchroniser,
};
use chumwire::contact::Contact;
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, NotStored};
use chumwire::node::{Event, Node, NodeConfig, Record};
use chumwire::objects::{PersonId, Recipes};
use chumwire::time::{Micros, Millis, Now};

pub(crate) type Instance = Synchroniser<Node<Nacl>>;

/// What somebody else does to a store right before a change is stored.
pub(crate) type Meanwhile = Box<dyn FnMut(&mut MemoryStore, &Change)>;

/// An instance, its store, and what it told.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) machine: Instance,
    pub(crate) store: MemoryStore,
    pub(crate) contacts: BTreeMap<PersonId, Contact>,
    pub(crate) told: Vec<(Micros, SyncEvent)>,
    pub(crate) dials: Vec<(Micros, String)>,
    /// How many changes of the address book fail from now on.
    pub(crate) fails: usize,
    /// Called before each change of the address book.
    pub(crate) before_change: Option<Meanwhile>,
    config: NodeConfig,
    listens: bool,
}

/// All of them.
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) peers: Vec<Peer>,
    ends: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    flying: VecDeque<(usize, ConnId, Kind, Vec<u8>)>,
}

/// An identity: the person of an email on a device.
pub(crate) fn identity(email: &str, device: &str, seed: u8) -> Identity {
    let mut random = Random::new([seed; 32]);
    let email = format!("{email}@example.com");
    Identity::generate::<Nacl>(&mut random, &email, device).expect("a good name")
}

impl World {
    pub(crate) fn new() -> Self {
        let mono = Micros::secs(1);
        Self {
            now: Now {
                mono,
                wall: Millis(1_700_000_000_000),
            },
            peers: Vec::new(),
            ends: BTreeMap::new(),
            flying: VecDeque::new(),
        }
    }

    /// Alice and Bob, who have paired: she made the invitation.
    pub(crate) fn paired() -> Self {
        let mut world = Self::new();
        let alice = world.add("alice", identity("alice", "laptop", 1));
        let bob = world.add("bob", identity("bob", "phone", 2));
        world.pair(alice, bob);
        world
    }

    /// One more instance, which can be dialled at `ws://<name>`.
    pub(crate) fn add(&mut self, name: &'static str, identity: Identity) -> usize {
        let url = format!("ws://{name}");
        self.add_at(name, identity, Some(url))
    }

    /// One more instance, which says that it can be dialled there.
    pub(crate) fn add_at(
        &mut self,
        name: &'static str,
        identity: Identity,
        url: Option<String>,
    ) -> usize {
        let mut config = NodeConfig::new(identity);
        config.serve.extend([Group::Chum, Group::Debug]);
        config.url = url;
        let (contacts, store) = (Vec::new(), MemoryStore::new());
        let machine = self.start(&config, contacts, Vec::new(), self.peers.len());
        self.peers.push(Peer {
            name,
            machine,
            store,
            contacts: BTreeMap::new(),
            told: Vec::new(),
            dials: Vec::new(),
            fails: 0,
            before_change: None,
            config,
            listens: true,
        });
        self.settle();
        self.peers.len() - 1
    }

    fn start(
        &self,
        config: &NodeConfig,
        contacts: Vec<Contact>,
        someones: Vec<Someone>,
        place: usize,
    ) -> Instance {
        let mut config = config.clone();
        config.contacts = contacts;
        let own = config.identity.clone();
        let policy = DefaultPolicy::new(own.person_id(), own.instance_id());
        let seed = [place as u8 + 1; 32];
        let node = Node::new(config, seed, self.now).expect("a URL");
        let (chum, policy) = (ChumConfig::default(), Arc::new(policy));
        let recipes = Recipes::known();
        Synchroniser::new(
            node,
            chum,
            recipes,
            policy,
            someones,
            [place as u8 + 100; 32],
        )
    }

    /// The process of an instance ends at once, and another one starts with what is stored.
    pub(crate) fn restart(&mut self, i: usize) {
        let gone: Vec<_> = self
            .ends
            .keys()
            .filter(|(of, _)| *of == i)
            .copied()
            .collect();
        for end in gone {
            self.close(end);
        }
        self.flying.retain(|(to, ..)| *to != i);
        let peer = &self.peers[i];
        let contacts = peer.contacts.values().cloned().collect();
        let machine = self.start(&peer.config, contacts, peer.store.someones(), i);
        self.peers[i].machine = machine;
        self.peers[i].told.clear();
        self.settle();
    }

    /// It can be dialled, or cannot.
    pub(crate) fn listens(&mut self, i: usize, listens: bool) {
        self.peers[i].listens = listens;
    }

    /// Runs `job` on an instance, and whatever follows at once.
    pub(crate) fn call<T>(&mut self, i: usize, job: impl FnOnce(&mut Instance, Now) -> T) -> T {
        let result = job(&mut self.peers[i].machine, self.now);
        self.settle();
        result
    }

    /// `inviting` makes an invitation with its own URL, and `joining` uses it.
    pub(crate) fn pair(&mut self, inviting: usize, joining: usize) {
        let url = format!("ws://{}", self.peers[inviting].name);
        let (life, now) = (Micros::secs(60), self.now);
        let invitation = self
            .call(inviting, |machine, now| {
                machine.node_mut().invite(now, life, &url)
            })
            .expect("an invitation");
        let joined = self.peers[joining]
            .machine
            .node_mut()
            .join(now, &invitation);
        joined.expect("another one's invitation");
        self.settle();
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Micros) {
        let until = self.now.mono + time;
        loop {
            self.settle();
            let due = self.peers.iter().filter_map(|peer| peer.machine.deadline());
            let Some(next) = due.map(|due| due.at).min().filter(|at| *at <= until) else {
                break;
            };
            self.pass(next.max(self.now.mono));
            for peer in &mut self.peers {
                let due = peer.machine.deadline();
                if due.is_some_and(|due| due.at <= self.now.mono) {
                    peer.machine.tick(self.now);
                }
            }
        }
        self.pass(until);
    }

    fn pass(&mut self, to: Micros) {
        let passed = to.since(self.now.mono);
        self.now = Now {
            mono: to,
            wall: Millis(self.now.wall.0 + passed.as_millis()),
        };
    }

    /// Does all that is to be done now.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut any = false;
            for i in 0..self.peers.len() {
                any |= self.poll(i);
            }
            if let Some((to, conn, kind, bytes)) = self.flying.pop_front() {
                any = true;
                let message = Message::of(kind, &bytes).expect("it was one");
                let machine = &mut self.peers[to].machine;
                machine.message(self.now, conn, message).expect("room");
            }
            if !any {
                return;
            }
        }
    }

    fn poll(&mut self, i: usize) -> bool {
        let (mut bytes, mut any) = (Vec::new(), false);
        while let Some(effect) = self.peers[i].machine.poll(&mut bytes) {
            any = true;
            let now = self.now;
            match effect {
                Effect::Dial { conn, url } => {
                    self.peers[i].dials.push((now.mono, url.clone()));
                    self.dial(i, conn, &url);
                }
                Effect::Send { conn, kind } => {
                    if let Some((to, end)) = self.ends.get(&(i, conn)) {
                        self.flying.push_back((*to, *end, kind, bytes.clone()));
                    }
                    self.peers[i].machine.drained(now, conn);
                }
                Effect::Close { conn, .. } => self.close((i, conn)),
                Effect::Store { id, record } => {
                    let reply = self.peers[i].answer(record);
                    self.peers[i].machine.stored(now, id, reply);
                }
                Effect::Event(event) => self.peers[i].told.push((now.mono, event)),
                _ => {}
            }
        }
        any
    }

    fn dial(&mut self, i: usize, conn: ConnId, url: &str) {
        let name = url.trim_start_matches("ws://");
        let to = self
            .peers
            .iter()
            .position(|peer| peer.name == name && peer.listens);
        let end = to.and_then(|to| {
            let end = self.peers[to].machine.accept(self.now, Default::default());
            Some((to, end?))
        });
        let Some((to, end)) = end else {
            let refused = Closed::NotOpened("refused".into());
            return self.peers[i].machine.closed(self.now, conn, refused);
        };
        self.ends.insert((i, conn), (to, end));
        self.ends.insert((to, end), (i, conn));
        self.peers[i].machine.opened(self.now, conn);
    }

    /// What was sent before comes before the close.
    fn close(&mut self, end: (usize, ConnId)) {
        let Some(other) = self.ends.remove(&end) else {
            return;
        };
        self.ends.remove(&other);
        let (came, left) = std::mem::take(&mut self.flying)
            .into_iter()
            .partition(|(to, conn, ..)| (*to, *conn) == other);
        self.flying = left;
        let came: VecDeque<(usize, ConnId, Kind, Vec<u8>)> = came;
        for (to, conn, kind, bytes) in came {
            let message = Message::of(kind, &bytes).expect("it was one");
            let _ = self.peers[to].machine.message(self.now, conn, message);
        }
        for (of, conn) in [end, other] {
            let closed = Closed::Lost("closed".into());
            self.peers[of].machine.closed(self.now, conn, closed);
        }
    }

    /// Who is connected with whom for CHUM, as this instance has it.
    pub(crate) fn chums(&self, i: usize) -> Vec<PersonId> {
        let chums = self.peers[i].machine.chums();
        chums.map(|(_, person, _)| person).collect()
    }
}

impl Peer {
    pub(crate) fn person(&self) -> PersonId {
        self.machine.node().identity().person_id()
    }

    fn answer(&mut self, deed: Deed) -> Reply {
        let recipes = self.machine.recipes().clone();
        match deed {
            Deed::Record(record) => {
                self.keep(record);
                Reply::Stored(Ok(()))
            }
            Deed::Look(ask) => {
                let id = chumwire::chum::AskId(0);
                Reply::Answer(self.store.answer(&recipes, u64::MAX, id, ask))
            }
            Deed::Change(change) => {
                if let Some(before) = &mut self.before_change {
                    before(&mut self.store, &change);
                }
                if self.fails > 0 {
                    self.fails -= 1;
                    return Reply::Answer(Answer::Failed);
                }
                let answer = self.store.change(&change.plan, change.write);
                if let (Answer::Done, Some(record)) = (&answer, change.record) {
                    self.keep(record);
                }
                Reply::Answer(answer)
            }
            Deed::Ask { conn, id, ask } => {
                Reply::Answer(self.store.answer(&recipes, conn.0, id, ask))
            }
            Deed::Forget(conn) => {
                self.store.forget(conn.0);
                Reply::Stored(Ok(()))
            }
            _ => Reply::Stored(Err(NotStored)),
        }
    }

    fn keep(&mut self, record: Record) {
        match record {
            Record::Paired { contact, .. } | Record::Contact(contact) => {
                self.contacts.insert(contact.person_id, contact);
            }
            Record::Forgotten { person, .. } => drop(self.contacts.remove(&person)),
            _ => {}
        }
    }

    /// Whom it was paired with, in order.
    pub(crate) fn paired(&self) -> Vec<(Micros, Contact)> {
        let of = |(at, event): &(Micros, SyncEvent)| match event {
            SyncEvent::Node(Event::Paired { contact, .. }) => Some((*at, contact.clone())),
            _ => None,
        };
        self.told.iter().filter_map(of).collect()
    }

    /// What its address book told.
    pub(crate) fn book_events(&self) -> Vec<&BookEvent> {
        let of = |(_, event): &'_ (Micros, SyncEvent)| matches!(event, SyncEvent::Book(_));
        let events = self.told.iter().filter(|told| of(told));
        events
            .filter_map(|(_, event)| match event {
                SyncEvent::Book(event) => Some(event),
                _ => None,
            })
            .collect()
    }
}

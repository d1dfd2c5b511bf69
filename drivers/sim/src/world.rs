//! The world: parties, links, stores and virtual time, one step after the other.

use std::collections::{BTreeMap, VecDeque};

use chumwire::crypto::Suite;
use chumwire::io::{Closed, ConnId, Effect, Kind, Message, NotStored, StoreId};
use chumwire::node::{Event, Misuse, Node, NodeConfig, Record};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Millis, Now};

use crate::chooser::{Choice, Chooser, Recording};
use crate::deployed::{Deployed, DeployedConfig, DeployedEvent};
use crate::insecure::mix;
use crate::link::{Faults, Item, Link, LinkId, LinkInfo, Profile, Side};
use crate::party::{Action, Party, PartyId, Told};
use crate::puppet::Puppet;
use crate::store::{Store, StoreFault};
use crate::trace::{Trace, shown};

/// How a world behaves where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Of every new link.
    pub profile: Profile,
    /// How long a driver takes at most to say that all has gone out.
    pub drain: Micros,
    /// How long a store takes at most.
    pub store: Micros,
    /// Bytes that a link takes before its sender has to wait.
    pub capacity: usize,
    /// The wall clock at the beginning.
    pub wall: Millis,
    /// Steps within one moment before the run counts as caught in a loop.
    pub livelock: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            drain: Micros::ZERO,
            store: Micros::ZERO,
            capacity: 64 * 1024,
            wall: Millis(1_700_000_000_000),
            livelock: 100_000,
        }
    }
}

/// Something happened that must never happen.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub what: String,
    /// When.
    pub at: Micros,
    /// The last lines of the trace.
    pub tail: String,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "at {}: {}\n{}", self.at, self.what, self.tail)
    }
}

/// As `Display`, so that a test that unwraps it can be read.
impl core::fmt::Debug for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Violation {}

/// Something that has to hold after every step.
pub type Invariant<S> = Box<dyn Fn(&World<S>) -> Result<(), String>>;

enum Actor<S: Suite> {
    Node(Box<Node<S>>),
    Relay(Box<Relay<S>>),
    Deployed(Box<Deployed<S>>),
    Puppet(Box<Puppet>),
    Other(Box<dyn Party>),
}

impl<S: Suite> Actor<S> {
    fn party(&mut self) -> &mut dyn Party {
        match self {
            Self::Node(party) => &mut **party,
            Self::Relay(party) => &mut **party,
            Self::Deployed(party) => &mut **party,
            Self::Puppet(party) => &mut **party,
            Self::Other(party) => &mut **party,
        }
    }

    fn looked_at(&self) -> &dyn Party {
        match self {
            Self::Node(party) => &**party,
            Self::Relay(party) => &**party,
            Self::Deployed(party) => &**party,
            Self::Puppet(party) => &**party,
            Self::Other(party) => &**party,
        }
    }
}

/// How a party is started again.
enum Setup {
    Node(Box<NodeConfig>, Option<String>),
    Relay(Box<RelayConfig>),
    Deployed(Box<DeployedConfig>),
    Puppet,
    /// It cannot be.
    Never,
}

struct Slot<S: Suite> {
    name: String,
    actor: Option<Actor<S>>,
    setup: Setup,
    store: Store,
    starts: u32,
}

/// What comes later, apart from what travels on links.
enum Later {
    Drained(LinkId, Side),
    /// Held messages are offered again.
    Unhold(LinkId, Side),
    Commit(PartyId, u32, StoreId, Record),
    Stored(PartyId, u32, StoreId, Result<(), NotStored>),
}

/// What can happen next.
#[derive(Clone, Copy)]
enum Candidate {
    Arrival(LinkId, Side),
    Later((Micros, u64)),
    Tick(PartyId),
}

/// A world. Add parties, tell them what to do, [`run`](Self::run_until) it.
pub struct World<S: Suite> {
    config: Config,
    chooser: Recording<Box<dyn Chooser>>,
    now: Micros,
    wall_offset: i64,
    parties: Vec<Slot<S>>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    conns: BTreeMap<(PartyId, ConnId), (LinkId, Side)>,
    later: BTreeMap<(Micros, u64), Later>,
    next_later: u64,
    told: Vec<(Micros, PartyId, Told)>,
    trace: Trace,
    deliveries: u64,
    last_delivery: Option<(LinkId, Side)>,
    steps_now: u64,
    invariants: Vec<Invariant<S>>,
    buffer: Vec<u8>,
}

impl<S: Suite> World<S> {
    /// An empty world.
    #[must_use]
    pub fn new(config: Config, chooser: impl Chooser + 'static) -> Self {
        Self {
            config,
            chooser: Recording::new(Box::new(chooser)),
            // Not zero, so that a machine that takes zero for "never" is found.
            now: Micros::secs(1),
            wall_offset: 0,
            parties: Vec::new(),
            links: BTreeMap::new(),
            next_link: 0,
            conns: BTreeMap::new(),
            later: BTreeMap::new(),
            next_later: 0,
            told: Vec::new(),
            trace: Trace::default(),
            deliveries: 0,
            last_delivery: None,
            steps_now: 0,
            invariants: Vec::new(),
            buffer: Vec::new(),
        }
    }

    // --- parties -------------------------------------------------------------------------------------------------

    fn add(&mut self, name: &str, setup: Setup, actor: Option<Actor<S>>) -> PartyId {
        let id = PartyId(self.parties.len());
        self.parties.push(Slot {
            name: name.into(),
            actor,
            setup,
            store: Store::default(),
            starts: 0,
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
        let id = self.add(
            name,
            Setup::Node(config.into(), relay.map(Into::into)),
            None,
        );
        let store = &mut self.parties[id.0].store;
        for contact in contacts {
            store.apply(Record::Contact {
                contact,
                spent: None,
            });
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
        self.add(name, Setup::Never, Some(Actor::Other(party)))
    }

    /// The party of this name.
    #[must_use]
    pub fn party(&self, name: &str) -> Option<PartyId> {
        self.parties
            .iter()
            .position(|slot| slot.name == name)
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
        self.parties[party.0].actor.is_some()
    }

    /// A node of ours.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn node(&self, id: PartyId) -> &Node<S> {
        match &self.parties[id.0].actor {
            Some(Actor::Node(node)) => node,
            _ => panic!("{} is no running node", self.name(id)),
        }
    }

    /// A relay of ours.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn relay(&self, id: PartyId) -> &Relay<S> {
        match &self.parties[id.0].actor {
            Some(Actor::Relay(relay)) => relay,
            _ => panic!("{} is no running relay", self.name(id)),
        }
    }

    /// A double of the deployed peer.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn deployed(&self, id: PartyId) -> &Deployed<S> {
        match &self.parties[id.0].actor {
            Some(Actor::Deployed(double)) => double,
            _ => panic!("{} is no running double", self.name(id)),
        }
    }

    /// A puppet.
    ///
    /// # Panics
    /// If it is none, or does not run.
    #[must_use]
    pub fn puppet(&self, id: PartyId) -> &Puppet {
        match &self.parties[id.0].actor {
            Some(Actor::Puppet(puppet)) => puppet,
            _ => panic!("{} is no running puppet", self.name(id)),
        }
    }

    /// Tells a node of ours to do something, and does what it wants done.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn on_node<R>(&mut self, id: PartyId, act: impl FnOnce(&mut Node<S>, Now) -> R) -> R {
        let now = self.now();
        let Some(Actor::Node(node)) = &mut self.parties[id.0].actor else {
            panic!("{} is no running node", self.name(id))
        };
        let result = act(node, now);
        self.drain(id);
        result
    }

    /// Tells a relay to do something, and does what it wants done.
    ///
    /// # Panics
    /// If it is none, or does not run.
    pub fn on_relay<R>(&mut self, id: PartyId, act: impl FnOnce(&mut Relay<S>, Now) -> R) -> R {
        let now = self.now();
        let Some(Actor::Relay(relay)) = &mut self.parties[id.0].actor else {
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
        let now = self.now();
        let Some(Actor::Deployed(double)) = &mut self.parties[id.0].actor else {
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
        let Some(Actor::Puppet(puppet)) = &mut self.parties[id.0].actor else {
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
        self.note(format!("{} crashes", self.name(id)));
        self.parties[id.0].actor = None;
        let links: Vec<(LinkId, Side)> = self
            .conns
            .iter()
            .filter(|((party, _), _)| *party == id)
            .map(|(_, at)| *at)
            .collect();
        self.conns.retain(|(party, _), _| *party != id);
        for (link, side) in links {
            let now = self.now;
            if let Some(link) = self.links.get_mut(&link) {
                link.set_gone(side);
                link.to_mut(side).clear();
                let at = link.arrival(now, &mut self.chooser);
                link.to_mut(side.other())
                    .push(at, Item::End(Closed::Lost("the other side is gone".into())));
            }
            self.sweep(link);
        }
    }

    /// Starts a party, or starts it again with what it has stored and a new seed.
    pub fn restart(&mut self, id: PartyId) {
        if self.parties[id.0].actor.is_some() {
            self.crash(id);
        }
        let now = self.now();
        self.parties[id.0].starts += 1;
        let seed = self.seed(id);
        let slot = &self.parties[id.0];
        let actor = match &slot.setup {
            Setup::Node(config, relay) => {
                let mut config = (**config).clone();
                config.contacts = slot.store.contacts().values().cloned().collect();
                config.invitations = slot.store.invitations().values().cloned().collect();
                let started = Node::new(config, seed, now).and_then(|mut node| {
                    node.listen(now, relay.as_deref())?;
                    Ok(node)
                });
                match started {
                    Ok(node) => Actor::Node(node.into()),
                    Err(misuse) => return self.refuse_start(id, &misuse),
                }
            }
            Setup::Relay(config) => Actor::Relay(Relay::new((**config).clone(), seed, now).into()),
            Setup::Deployed(config) => {
                let random = chumwire::crypto::Random::new(seed);
                Actor::Deployed(Deployed::new((**config).clone(), random, now).into())
            }
            Setup::Puppet => Actor::Puppet(Box::default()),
            Setup::Never => return,
        };
        self.note(format!("{} starts", self.name(id)));
        self.parties[id.0].actor = Some(actor);
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

    // --- looking -------------------------------------------------------------------------------------------------

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = self.config.wall.0 + self.now.as_millis();
        Now {
            mono: self.now,
            wall: Millis(wall.saturating_add_signed(self.wall_offset)),
        }
    }

    /// Moves the wall clock alone.
    pub fn jump_wall(&mut self, millis: i64) {
        self.wall_offset += millis;
    }

    /// What parties have told so far: when, who, what.
    #[must_use]
    pub fn told(&self) -> &[(Micros, PartyId, Told)] {
        &self.told
    }

    /// What a node of ours has told.
    pub fn events(&self, id: PartyId) -> impl DoubleEndedIterator<Item = &Event> {
        self.told
            .iter()
            .filter_map(move |(_, party, told)| match told {
                Told::Node(event) if *party == id => Some(event),
                _ => None,
            })
    }

    /// What a double has told.
    pub fn deployed_events(&self, id: PartyId) -> impl DoubleEndedIterator<Item = &DeployedEvent> {
        self.told
            .iter()
            .filter_map(move |(_, party, told)| match told {
                Told::Deployed(event) if *party == id => Some(event),
                _ => None,
            })
    }

    /// Everything that happened.
    #[must_use]
    pub const fn trace_so_far(&self) -> &Trace {
        &self.trace
    }

    /// Every choice so far: a schedule for [`Scheduled`](crate::Scheduled) that repeats this run.
    #[must_use]
    pub fn schedule(&self) -> &[u32] {
        self.chooser.choices()
    }

    /// Messages that have arrived anywhere.
    #[must_use]
    pub const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Where the last message arrived.
    #[must_use]
    pub const fn last_delivery(&self) -> Option<(LinkId, Side)> {
        self.last_delivery
    }

    /// The links that are there.
    pub fn links(&self) -> impl Iterator<Item = LinkInfo> {
        self.links.iter().filter_map(|(id, link)| link.info(*id))
    }

    /// The link of a party's connection.
    #[must_use]
    pub fn link_of(&self, party: PartyId, conn: ConnId) -> Option<(LinkId, Side)> {
        self.conns.get(&(party, conn)).copied()
    }

    // --- interfering ---------------------------------------------------------------------------------------------

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

    // --- running -------------------------------------------------------------------------------------------------

    /// The next thing happens; false if there is none.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn step(&mut self) -> Result<bool, Violation> {
        self.step_before(Micros(u64::MAX))
    }

    /// Runs until `done`, or for `bound`. Tells whether it is done.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn run_until(
        &mut self,
        bound: Micros,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now + bound;
        loop {
            if done(self) {
                return Ok(true);
            }
            if !self.step_before(end)? {
                self.now = self.now.max(end);
                return Ok(done(self));
            }
        }
    }

    /// Runs for a time.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn run_for(&mut self, time: Micros) -> Result<(), Violation> {
        self.run_until(time, |_| false).map(|_| ())
    }

    /// The next thing happens if it is not after `end`.
    fn step_before(&mut self, end: Micros) -> Result<bool, Violation> {
        let Some(at) = self.next_moment().filter(|at| *at <= end) else {
            return Ok(false);
        };
        if at > self.now {
            self.now = at;
            self.steps_now = 0;
        }
        self.steps_now += 1;
        if self.steps_now > self.config.livelock {
            return Err(self.violation("the world is caught in a loop".into()));
        }
        let candidates = self.candidates();
        let chosen = self.choose(Choice::Tie, candidates.len());
        match candidates.get(chosen) {
            Some(Candidate::Arrival(link, side)) => self.arrive(*link, *side),
            Some(Candidate::Later(key)) => {
                if let Some(later) = self.later.remove(key) {
                    self.happen(later);
                }
            }
            Some(Candidate::Tick(id)) => self.tick(*id)?,
            None => {}
        }
        self.check()?;
        Ok(true)
    }

    fn next_moment(&self) -> Option<Micros> {
        let arrivals = self
            .links
            .values()
            .flat_map(|link| Side::BOTH.map(|side| link.to(side).next()))
            .flatten();
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let ticks = self.parties.iter().filter_map(|slot| {
            slot.actor
                .as_ref()?
                .looked_at()
                .deadline()
                .map(|deadline| deadline.at)
        });
        arrivals
            .chain(later)
            .chain(ticks)
            .min()
            .map(|at| at.max(self.now))
    }

    /// Everything that is due now. On one pipe only the first.
    fn candidates(&self) -> Vec<Candidate> {
        let now = self.now;
        let due = |at: Option<Micros>| at.is_some_and(|at| at <= now);
        let mut all = Vec::new();
        for (id, link) in &self.links {
            for side in Side::BOTH {
                if due(link.to(side).next()) {
                    all.push(Candidate::Arrival(*id, side));
                }
            }
        }
        let later = self.later.keys().take_while(|(at, _)| *at <= now);
        all.extend(later.map(|key| Candidate::Later(*key)));
        for (i, slot) in self.parties.iter().enumerate() {
            let deadline = slot
                .actor
                .as_ref()
                .and_then(|actor| actor.looked_at().deadline());
            if due(deadline.map(|deadline| deadline.at)) {
                all.push(Candidate::Tick(PartyId(i)));
            }
        }
        all
    }

    fn tick(&mut self, id: PartyId) -> Result<(), Violation> {
        let now = self.now();
        let Some(actor) = &mut self.parties[id.0].actor else {
            return Ok(());
        };
        let before = actor.party().deadline();
        actor.party().tick(now);
        self.drain(id);
        let after = self.parties[id.0]
            .actor
            .as_ref()
            .and_then(|a| a.looked_at().deadline());
        match after {
            Some(after) if after.at <= now.mono => Err(self.violation(format!(
                "{}: a tick at {before:?} left the deadline at {after:?}",
                self.name(id)
            ))),
            _ => Ok(()),
        }
    }

    fn arrive(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(item) = link.to_mut(side).arrive() else {
            return;
        };
        if link.to(side).is_blocked() {
            link.to_mut(side).hold(item);
            return;
        }
        self.deliver(id, side, item);
        self.let_drain(id, side.other());
    }

    /// Hands something to the party at an end.
    fn deliver(&mut self, id: LinkId, side: Side, item: Item) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let (party, conn) = link.end(side);
        if matches!(item, Item::Dial) {
            return self.dialled(id, party);
        }
        let (Some(party), Some(conn)) = (party, conn) else {
            return;
        };
        if link.is_gone(side) {
            return self.sweep(id);
        }
        let Some(actor) = &mut self.parties[party.0].actor else {
            return;
        };
        match item {
            Item::Dial => {}
            Item::Opened => {
                self.note(format!("{} {conn} is open", self.name(party)));
                if let Some(actor) = &mut self.parties[party.0].actor {
                    actor.party().opened(now, conn);
                }
            }
            Item::Message(kind, bytes) => {
                let message = match kind {
                    Kind::Binary => Message::Binary(&bytes),
                    // Only texts go in as texts.
                    Kind::Text => Message::Text(core::str::from_utf8(&bytes).unwrap_or_default()),
                };
                if actor.party().message(now, conn, message).is_err() {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.to_mut(side).put_back(Item::Message(kind, bytes));
                        // Whoever answers `Full` says `Resume` when there is room.
                        link.to_mut(side).paused = true;
                    }
                    self.note(format!("{} {conn} is full", self.name(party)));
                } else {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.count(side);
                    }
                    self.deliveries += 1;
                    self.last_delivery = Some((id, side));
                    let shown = match kind {
                        Kind::Text => String::from_utf8_lossy(&bytes).into_owned(),
                        Kind::Binary => shown(&bytes),
                    };
                    self.note(format!("{} {conn} <- {shown}", self.name(party)));
                }
            }
            Item::End(how) => {
                self.note(format!("{} {conn} ends: {how:?}", self.name(party)));
                // A WebSocket answers a close with a close.
                let reply = matches!(how, Closed::ByPeer { .. }).then(|| how.clone());
                if let Some(actor) = &mut self.parties[party.0].actor {
                    actor.party().closed(now, conn, how);
                }
                self.conns.remove(&(party, conn));
                if let Some(link) = self.links.get_mut(&id) {
                    link.set_gone(side);
                    let at = link.arrival(now.mono, &mut self.chooser);
                    if let (Some(reply), Some(link)) = (reply, self.links.get_mut(&id)) {
                        link.to_mut(side.other()).push(at, Item::End(reply));
                    }
                }
                self.sweep(id);
            }
        }
        self.drain(party);
    }

    /// A dialling reaches its listener.
    fn dialled(&mut self, id: LinkId, party: Option<PartyId>) {
        let now = self.now();
        let actor = party.and_then(|party| self.parties[party.0].actor.as_mut());
        let accepted = actor.and_then(|actor| actor.party().accept(now));
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let at = link.arrival(now.mono, &mut self.chooser);
        match (accepted, party) {
            (Some(conn), Some(party)) => {
                link.set_conn(Side::Listener, conn);
                link.to_mut(Side::Dialler).push(at, Item::Opened);
                self.conns.insert((party, conn), (id, Side::Listener));
                self.note(format!("{} accepts {conn}", self.name(party)));
                self.drain(party);
            }
            _ => {
                link.set_gone(Side::Listener);
                let refused = Closed::NotOpened("refused".into());
                link.to_mut(Side::Dialler).push(at, Item::End(refused));
            }
        }
    }

    fn happen(&mut self, later: Later) {
        let now = self.now();
        match later {
            Later::Drained(id, side) => {
                let Some(link) = self.links.get_mut(&id).filter(|link| !link.is_gone(side)) else {
                    return;
                };
                let (Some(party), Some(conn)) = link.end(side) else {
                    return;
                };
                if let Some(actor) = &mut self.parties[party.0].actor {
                    actor.party().drained(now, conn);
                    self.drain(party);
                }
            }
            Later::Unhold(id, side) => {
                let item = self
                    .links
                    .get_mut(&id)
                    .and_then(|link| link.to_mut(side).unhold());
                let Some(item) = item else { return };
                self.deliver(id, side, item);
                self.let_drain(id, side.other());
                let more = self
                    .links
                    .get(&id)
                    .is_some_and(|link| !link.to(side).paused && link.to(side).has_held());
                if more {
                    self.happen_at(now.mono, Later::Unhold(id, side));
                }
            }
            Later::Commit(party, start, id, record) => self.commit(party, start, id, record),
            Later::Stored(party, start, id, result) => {
                if self.parties[party.0].starts == start
                    && let Some(actor) = &mut self.parties[party.0].actor
                {
                    actor.party().stored(now, id, result);
                    self.note(format!("{} stored {}: {result:?}", self.name(party), id.0));
                    self.drain(party);
                }
            }
        }
    }

    fn commit(&mut self, party: PartyId, start: u32, id: StoreId, record: Record) {
        let slot = &mut self.parties[party.0];
        if slot.starts != start || slot.actor.is_none() {
            return;
        }
        match slot.store.next_fault() {
            None => {
                slot.store.apply(record);
                self.happen_at(self.now, Later::Stored(party, start, id, Ok(())));
            }
            Some(StoreFault::Refuse) => {
                self.happen_at(self.now, Later::Stored(party, start, id, Err(NotStored)));
            }
            Some(StoreFault::CrashBefore) => self.crash(party),
            Some(StoreFault::CrashAfter) => {
                slot.store.apply(record);
                self.crash(party);
            }
        }
    }

    fn happen_at(&mut self, at: Micros, later: Later) {
        self.later.insert((at, self.next_later), later);
        self.next_later += 1;
    }

    /// A delay of at most this, in four steps.
    fn delay(&mut self, most: Micros, what: Choice) -> Micros {
        match most {
            Micros::ZERO => Micros::ZERO,
            Micros(most) => Micros(most * self.chooser.choose(what, 4) as u64 / 3),
        }
    }

    /// Tells the sender at `side` that all has gone out, if it waits for that and there is room.
    fn let_drain(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let pipe = link.to_mut(side.other());
        if !pipe.undrained || pipe.unread() > self.config.capacity {
            return;
        }
        pipe.undrained = false;
        let at = self.now + self.delay(self.config.drain, Choice::Drain);
        self.happen_at(at, Later::Drained(id, side));
    }

    // --- what parties want done ----------------------------------------------------------------------------------

    fn drain(&mut self, id: PartyId) {
        let mut bytes = core::mem::take(&mut self.buffer);
        let mut wanted = VecDeque::new();
        loop {
            let Some(actor) = &mut self.parties[id.0].actor else {
                break;
            };
            match actor.party().poll(&mut bytes) {
                Some(action) => {
                    let message = match &action {
                        Effect::Send { .. } => core::mem::take(&mut bytes),
                        _ => Vec::new(),
                    };
                    wanted.push_back((action, message));
                }
                None => break,
            }
        }
        self.buffer = bytes;
        for (action, message) in wanted {
            self.act(id, action, message);
        }
    }

    fn act(&mut self, id: PartyId, action: Action, message: Vec<u8>) {
        match action {
            Effect::Dial { conn, url } => self.dial(id, conn, &url),
            Effect::Send { conn, kind } => self.send(id, conn, kind, message),
            Effect::Close { conn, code, reason } => self.close(id, conn, code, reason),
            Effect::Pause(conn) => {
                if let Some((link, side)) = self.link_of(id, conn)
                    && let Some(link) = self.links.get_mut(&link)
                {
                    link.to_mut(side).paused = true;
                }
            }
            Effect::Resume(conn) => {
                if let Some((at, side)) = self.link_of(id, conn)
                    && let Some(link) = self.links.get_mut(&at)
                {
                    link.to_mut(side).paused = false;
                    if link.to(side).has_held() {
                        self.happen_at(self.now, Later::Unhold(at, side));
                    }
                }
            }
            Effect::Store { id: store, record } => {
                let at = self.now + self.delay(self.config.store, Choice::Store);
                let start = self.parties[id.0].starts;
                self.happen_at(at, Later::Commit(id, start, store, record));
            }
            Effect::Event(told) => {
                self.note(format!("{} tells {told:?}", self.name(id)));
                self.told.push((self.now, id, told));
            }
            _ => {}
        }
    }

    fn dial(&mut self, id: PartyId, conn: ConnId, url: &str) {
        let host = url.trim_start_matches("wss://").trim_start_matches("ws://");
        let host = host.split('/').next().unwrap_or_default();
        let listener = self.party(host);
        let mut link = Link::new(self.config.profile, (id, conn), listener);
        let at = link.arrival(self.now, &mut self.chooser);
        link.to_mut(Side::Listener).push(at, Item::Dial);
        let link_id = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(link_id, link);
        self.conns.insert((id, conn), (link_id, Side::Dialler));
        self.note(format!("{} {conn} dials {url}", self.name(id)));
    }

    fn send(&mut self, id: PartyId, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
        let Some((at, side)) = self.link_of(id, conn) else {
            return;
        };
        let Some(link) = self.links.get_mut(&at) else {
            return;
        };
        link.to_mut(side.other()).undrained = true;
        if link.send(self.now, side.other(), kind, bytes, &mut self.chooser) {
            self.cut(at);
        } else {
            self.let_drain(at, side);
        }
    }

    fn close(&mut self, id: PartyId, conn: ConnId, code: u16, reason: String) {
        let Some((at, side)) = self.link_of(id, conn) else {
            return;
        };
        self.note(format!("{} {conn} closes: {code} {reason}", self.name(id)));
        let Some(link) = self.links.get_mut(&at) else {
            return;
        };
        let arrival = link.arrival(self.now, &mut self.chooser);
        link.to_mut(side.other())
            .push(arrival, Item::End(Closed::ByPeer { code, reason }));
        if link.is_gone(side.other()) && link.to(side).next().is_none() {
            // Nobody is left to answer.
            link.to_mut(side)
                .push(arrival, Item::End(Closed::Lost("nobody answers".into())));
        }
    }

    /// Forgets a link that nobody is at.
    fn sweep(&mut self, id: LinkId) {
        if self
            .links
            .get(&id)
            .is_some_and(|link| Side::BOTH.iter().all(|side| link.is_gone(*side)))
        {
            self.links.remove(&id);
        }
    }

    fn note(&mut self, line: String) {
        self.trace.line(format_args!("{} {line}", self.now));
    }

    fn violation(&self, what: String) -> Violation {
        Violation {
            what,
            at: self.now,
            tail: self.trace.tail(60),
        }
    }

    fn check(&self) -> Result<(), Violation> {
        for slot in &self.parties {
            if let Some(Actor::Relay(relay)) = &slot.actor {
                relay
                    .self_check()
                    .map_err(|what| self.violation(format!("{}: {what}", slot.name)))?;
            }
        }
        for invariant in &self.invariants {
            invariant(self).map_err(|what| self.violation(what))?;
        }
        Ok(())
    }
}

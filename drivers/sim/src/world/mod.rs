//! The world: parties, links, stores and virtual time, one step after the other.

mod act;
mod interfere;
mod parties;
mod run;

use std::collections::BTreeMap;

use chumwire::crypto::Suite;
use chumwire::io::ConnId;
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Millis, Now};

use crate::chooser::{Chooser, Recording};
use crate::deployed::{Deployed, DeployedConfig, DeployedEvent};
use crate::link::{Link, LinkId, LinkInfo, Profile, Side};
use crate::party::{Party, PartyId, Told};
use crate::puppet::Puppet;
use crate::store::Store;
use crate::trace::Trace;
use run::Later;

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
}

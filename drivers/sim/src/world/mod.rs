//! The world: parties, links, stores and virtual time, one step after the other.

mod act;
mod agenda;
mod clock;
mod interfere;
mod later;
mod parties;
mod run;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;

use chumwire::crypto::Suite;
use chumwire::io::ConnId;
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Millis, Now};
use chumwire_trace::What;

use crate::chooser::{Actor, Chooser, Recording};
use crate::deployed::{Deployed, DeployedConfig, DeployedEvent};
use crate::invariants::{Call, Known, Watch};
use crate::link::{LinkId, LinkInfo, Links, Profile, Ruling, Side};
use crate::party::{Party, PartyId, Told};
use crate::puppet::Puppet;
use crate::store::Store;
use crate::trace::Trace;
use agenda::Agenda;
use clock::Clock;
pub use clock::Skew;
use later::Laters;

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
    /// Whether everything that happens is written down. Without it nothing is formatted, and nodes and relays take no
    /// notes unless their own configuration says so.
    pub trace: bool,
    /// Whether choices are written down.
    pub schedule: bool,
    /// Whether messages for the embedders of nodes are kept among what was told.
    pub messages: bool,
    /// Whether everything that must never happen is looked for after every step.
    pub watch: bool,
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
            trace: true,
            schedule: true,
            messages: true,
            watch: true,
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

/// What runs as a party.
enum Running<S: Suite> {
    Node(Box<Node<S>>),
    Relay(Box<Relay<S>>),
    Deployed(Box<Deployed<S>>),
    Puppet(Box<Puppet>),
    Other(Box<dyn Party>),
}

impl<S: Suite> Running<S> {
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

impl Setup {
    /// How a trace shows that it starts.
    fn started(&self) -> What {
        let (machine, window) = match self {
            Self::Node(config, _) => ("node", config.reorder_window),
            Self::Relay(_) => ("relay", 0),
            Self::Deployed(_) => ("deployed", 0),
            Self::Puppet => ("puppet", 0),
            Self::Never => ("other", 0),
        };
        What::Started {
            machine: machine.into(),
            window,
        }
    }
}

struct Slot<S: Suite> {
    name: Arc<str>,
    running: Option<Running<S>>,
    setup: Setup,
    store: Store,
    /// When the last record is written that it wanted to be: records are written in that order.
    writes_until: Micros,
    starts: u32,
    /// Who it is, if it is a node of ours.
    known: Option<Known>,
    clock: Clock,
    conns: BTreeMap<ConnId, (LinkId, Side)>,
    /// When the agenda has its deadline for.
    armed: Option<Micros>,
    /// Something has happened to it in this step.
    touched: bool,
}

/// A world. Add parties, tell them what to do, [`run`](Self::run_until) it.
pub struct World<S: Suite> {
    config: Config,
    chooser: Recording<Box<dyn Chooser>>,
    now: Micros,
    wall_offset: i64,
    parties: Vec<Slot<S>>,
    touched: Vec<PartyId>,
    links: Links,
    rules: Vec<Ruling>,
    agenda: Agenda,
    laters: Laters,
    told: Vec<(Micros, PartyId, Told)>,
    trace: Trace,
    deliveries: u64,
    handed: u64,
    last_delivery: Option<(LinkId, Side)>,
    steps_now: u64,
    invariants: Vec<Invariant<S>>,
    watch: Option<Box<Watch>>,
    /// Buffers of messages, to be used again.
    buffers: Vec<Vec<u8>>,
    /// The candidates of a tie.
    candidates: Vec<Actor>,
}

impl<S: Suite> World<S> {
    /// An empty world.
    #[must_use]
    pub fn new(config: Config, chooser: impl Chooser + 'static) -> Self {
        Self {
            config,
            chooser: match config.schedule {
                true => Recording::new(Box::new(chooser)),
                false => Recording::off(Box::new(chooser)),
            },
            // Not zero, so that a machine that takes zero for "never" is found.
            now: Micros::secs(1),
            wall_offset: 0,
            parties: Vec::new(),
            touched: Vec::new(),
            links: Links::default(),
            rules: Vec::new(),
            agenda: Agenda::default(),
            laters: Laters::default(),
            told: Vec::new(),
            trace: Trace::default(),
            deliveries: 0,
            handed: 0,
            last_delivery: None,
            steps_now: 0,
            invariants: Vec::new(),
            watch: config.watch.then(|| Box::new(Watch::new())),
            buffers: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Both clocks of the world.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = self.config.wall.0 + self.now.as_millis();
        Now {
            mono: self.now,
            wall: Millis(wall.saturating_add_signed(self.wall_offset)),
        }
    }

    /// Both clocks as a party reads them.
    #[must_use]
    pub fn now_at(&self, party: PartyId) -> Now {
        let now = self.now();
        let clock = &self.parties[party.0].clock;
        Now {
            mono: clock.says(now.mono),
            wall: Millis(now.wall.0.saturating_add_signed(clock.wall)),
        }
    }

    /// Moves the wall clock of all alone.
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

    /// Messages that nodes have handed to their embedders.
    #[must_use]
    pub const fn handed_over(&self) -> u64 {
        self.handed
    }

    /// Where the last message arrived.
    #[must_use]
    pub const fn last_delivery(&self) -> Option<(LinkId, Side)> {
        self.last_delivery
    }

    /// The links that are there.
    pub fn links(&self) -> impl Iterator<Item = LinkInfo> {
        self.links.iter().filter_map(|(id, link)| link.info(id))
    }

    /// The link of a party's connection.
    #[must_use]
    pub fn link_of(&self, party: PartyId, conn: ConnId) -> Option<(LinkId, Side)> {
        self.parties[party.0].conns.get(&conn).copied()
    }
}

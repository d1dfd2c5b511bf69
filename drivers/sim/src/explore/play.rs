//! What is explored: who takes part, what they are told to do and when, and what has to hold in the end.
//!
//! A scenario of the catalogue is a script that runs from its beginning to its end; an explorer goes back to any state
//! and on from there. So what it explores is written as a *play*: a cast, and acts with a condition each. Everything
//! else, every order and every fault, is the explorer's.

use chumwire::contact::Contact;
use chumwire::io::{ConnId, Message};
use chumwire::node::{Node, NodeConfig};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::step::Step;
use chumwire::time::Now;

use super::engine::Engine;
use super::party::{Actor, Setup};
use crate::Insecure;
use crate::invariants::{Known, Words};

/// What a node of the cast is told to do. What it gives is heard by those who act after it: an invitation, say.
pub type Does = fn(&mut Node<Insecure>, Now, Option<&str>) -> Result<Option<String>, String>;

/// One act of a play: somebody does something, once, when it is time.
#[derive(Clone, Copy)]
pub struct Act {
    /// Its name, as a trace shows it.
    pub name: &'static str,
    /// Who: a node, by its place in the cast.
    pub who: usize,
    /// From when on.
    pub when: fn(&View<'_>) -> bool,
    /// How often time may pass before it is done, though nothing else is under way: each moment is tried.
    pub patience: u32,
    /// What.
    pub does: Does,
}

/// A play: what is explored under a name.
#[derive(Clone, Copy)]
pub struct Play {
    /// Its name: that of the scenario of the catalogue whose requirement it explores, if there is one.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// Who takes part.
    pub cast: fn(&mut Cast),
    /// What they do, one after the other.
    pub acts: &'static [Act],
    /// What has to come to be, by itself, when all acts are done; until then time passes.
    pub rest: fn(&View<'_>) -> bool,
    /// What has to hold then, when nothing is under way any more.
    pub goal: fn(&View<'_>) -> Result<(), String>,
    /// Which faults may strike, and what.
    pub faults: fn(Fault, Option<Message<'_>>) -> bool,
    /// Whether the causes by which connections ended, and what was heard on them, are part of a state, so that the goal
    /// can ask for them.
    pub remembers: bool,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A message is lost.
    Drop,
    /// A message comes twice.
    Duplicate,
    /// A message is held back, and others overtake it.
    Hold,
    /// One bit of a message is altered: in its first byte, its tag, its last byte.
    Corrupt,
    /// A message is cut in the middle.
    Truncate,
    /// A connection is closed by one of its ends.
    Close,
    /// A party crashes, and starts again with what it has stored.
    Crash,
    /// Time passes until the next deadline, though something is under way.
    Slow,
}

impl Play {
    /// What plays have in common if they say nothing else: nobody, who has nothing to do.
    pub const EMPTY: Self = Self {
        name: "",
        about: "",
        cast: |_| {},
        acts: &[],
        rest: |_| true,
        goal: |_| Ok(()),
        faults: |_, _| true,
        remembers: false,
    };
}

impl Act {
    /// What acts have in common if they say nothing else: at once, by the first of the cast.
    pub const NOW: Self = Self {
        name: "",
        who: 0,
        when: |_| true,
        patience: 0,
        does: |_, _, _| Ok(None),
    };
}

impl core::fmt::Debug for Play {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Play")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Who takes part.
#[derive(Default)]
pub struct Cast {
    pub(super) parties: Vec<(String, Setup)>,
}

impl Cast {
    fn add(&mut self, name: &str, setup: Setup) -> usize {
        self.parties.push((name.into(), setup));
        self.parties.len() - 1
    }

    /// A relay, to be reached at `ws://<name>`.
    pub fn relay(&mut self, name: &str, config: RelayConfig) -> usize {
        self.add(name, Setup::Relay(config.into()))
    }

    /// A node of ours, to be reached at `ws://<name>`, that listens at a relay if one is given.
    pub fn node(&mut self, name: &str, config: NodeConfig, relay: Option<&str>) -> usize {
        let known = Known::of(&config.identity);
        self.add(
            name,
            Setup::Node(config.into(), relay.map(Into::into), known),
        )
    }

    /// Another party.
    pub fn actor(&mut self, name: &str, actor: impl Actor + 'static) -> usize {
        self.add(name, Setup::Actor(Box::new(actor)))
    }
}

/// A state, as conditions and goals see it.
pub struct View<'a> {
    pub(super) engine: &'a Engine,
    pub(super) parties: &'a [u32],
    pub(super) faults: u32,
    pub(super) under_way: bool,
}

impl View<'_> {
    fn state(&self, who: usize) -> &super::party::State {
        self.engine
            .state(self.parties[who * super::state::PER_PARTY])
    }

    /// How many faults have struck.
    #[must_use]
    pub const fn faults(&self) -> u32 {
        self.faults
    }

    /// Whether anything is under way: a message, an answer of a store, the news that all was sent.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// A node, if it runs.
    #[must_use]
    pub fn node(&self, who: usize) -> Option<&Node<Insecure>> {
        self.state(who).node()
    }

    /// A relay, if it runs.
    #[must_use]
    pub fn relay(&self, who: usize) -> Option<&Relay<Insecure>> {
        self.state(who).relay()
    }

    /// Spare connections that a relay has.
    #[must_use]
    pub fn spares(&self, relay: usize) -> usize {
        self.relay(relay).map_or(0, |relay| relay.stats().spares)
    }

    /// How often a party has started.
    #[must_use]
    pub fn lives(&self, who: usize) -> u32 {
        self.state(who).life
    }

    /// Connections of a node that it takes for spare ones of its relay.
    #[must_use]
    pub fn spares_of(&self, who: usize) -> usize {
        let is_spare = |info: &chumwire::node::ConnectionInfo| info.step == Step::Spare;
        self.node(who)
            .map_or(0, |node| node.connections().filter(is_spare).count())
    }

    /// How often a node has told that it has paired.
    #[must_use]
    pub fn pairings(&self, who: usize) -> usize {
        self.state(who).notebook.pairings()
    }

    /// The contacts that a party has stored.
    #[must_use]
    pub fn contacts(&self, who: usize) -> Vec<&Contact> {
        self.state(who).store.contacts().values().collect()
    }

    /// The connections of a node that are established with contacts.
    #[must_use]
    pub fn connected(&self, who: usize) -> Vec<ConnId> {
        let all = self.state(who).notebook.connected();
        all.map(|(conn, _)| conn).collect()
    }

    /// The sessions of a node that are established with contacts: their keys, which both ends share.
    pub(crate) fn session_keys(&self, who: usize) -> Vec<Option<Words>> {
        let all = self.state(who).notebook.connected();
        all.map(|(_, key)| key).collect()
    }

    /// Whether two nodes have one connection with each other, and it is the same at both.
    #[must_use]
    pub fn is_same_connection(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.session_keys(one), self.session_keys(other));
        matches!((one.as_slice(), other.as_slice()), ([Some(a)], [Some(b)]) if a == b)
    }

    /// How many connections of a node have ended by this cause. Only in a play that remembers.
    #[must_use]
    pub fn ended(&self, who: usize, code: &str) -> u32 {
        self.state(who).notebook.ended(code)
    }

    /// What a node's embedder was given, in order. Only in a play that remembers.
    #[must_use]
    pub fn heard(&self, who: usize) -> &[Vec<u8>] {
        self.state(who).notebook.heard()
    }
}

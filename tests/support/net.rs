//! Several nodes, and perhaps a relay, in memory: what each puts out goes to the other end, one message at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chumwire::crypto::Nacl;
use chumwire::io::{Closed, ConnId, Effect, Machine, NotStored, Source, StoreId};
use chumwire::node::{Event, Node, NodeConfig, Record};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Millis, Now};

use super::bench::{Wire, borrowed};

/// The address of the relay.
pub(crate) const RELAY: &str = "ws://relay";

/// The address at which a node is dialled directly.
pub(crate) fn address(node: usize) -> String {
    format!("ws://node/{node}")
}

/// An end of a connection: whose, and which. The relay is the party behind the last node.
pub(crate) type End = (usize, ConnId);

/// What is on its way.
enum Passing {
    Message(Wire),
    Close(String),
}

/// All of it.
pub(crate) struct Net {
    pub(crate) now: Now,
    pub(crate) nodes: Vec<Node<Nacl>>,
    pub(crate) relay: Relay<Nacl>,
    /// What each node has told.
    pub(crate) events: Vec<Vec<Event>>,
    /// The messages that each node has handed out.
    pub(crate) heard: Vec<Vec<Vec<u8>>>,
    /// Connections of which nothing more is to be read for now, and how many went on.
    pub(crate) paused: BTreeSet<End>,
    pub(crate) resumed: usize,
    /// What each node has stored, or is storing.
    pub(crate) records: Vec<Vec<Record>>,
    /// The addresses that each node has dialled.
    pub(crate) dialled: Vec<Vec<String>>,
    /// What each node has said at the close of a connection.
    pub(crate) closes: Vec<(End, u16, String)>,
    /// Whether records wait for [`answer`](Self::answer).
    pub(crate) hold: bool,
    /// Whether who dials an address finds somebody there.
    pub(crate) reachable: bool,
    pub(crate) waiting: VecDeque<(usize, StoreId)>,
    links: BTreeMap<End, End>,
    passing: VecDeque<(End, Passing)>,
}

impl Net {
    pub(crate) fn new(configs: Vec<NodeConfig>) -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        let count = configs.len();
        let nodes = configs.into_iter().enumerate().map(|(n, config)| {
            Node::new(config, [n as u8 + 1; 32], now).expect("a good configuration")
        });
        Self {
            now,
            nodes: nodes.collect(),
            relay: Relay::new(RelayConfig::default(), [99; 32], now),
            events: vec![Vec::new(); count],
            heard: vec![Vec::new(); count],
            paused: BTreeSet::new(),
            resumed: 0,
            records: vec![Vec::new(); count],
            dialled: vec![Vec::new(); count],
            closes: Vec::new(),
            hold: false,
            reachable: true,
            waiting: VecDeque::new(),
            links: BTreeMap::new(),
            passing: VecDeque::new(),
        }
    }

    /// Takes everything that all want done.
    pub(crate) fn drain(&mut self) {
        for node in 0..self.nodes.len() {
            let mut bytes = Vec::new();
            while let Some(effect) = self.nodes[node].poll(&mut bytes) {
                match effect {
                    Effect::Dial { conn, url } => self.dial((node, conn), url),
                    Effect::Send { conn, kind } => {
                        self.send((node, conn), Passing::Message((kind, bytes.clone())));
                        self.nodes[node].drained(self.now, conn);
                    }
                    Effect::Close { conn, code, reason } => {
                        self.closes.push(((node, conn), code, reason.clone()));
                        self.send((node, conn), Passing::Close(reason));
                    }
                    Effect::Store { id, record } => {
                        self.records[node].push(record);
                        if self.hold {
                            self.waiting.push_back((node, id));
                        } else {
                            self.nodes[node].stored(self.now, id, Ok(()));
                        }
                    }
                    Effect::Event(event) => {
                        if let Event::Message { .. } = event {
                            self.heard[node].push(bytes.clone());
                        }
                        self.events[node].push(event);
                    }
                    Effect::Pause(conn) => drop(self.paused.insert((node, conn))),
                    Effect::Resume(conn) => {
                        self.resumed += usize::from(self.paused.remove(&(node, conn)));
                    }
                    _ => {}
                }
            }
            assert_eq!(self.nodes[node].self_check(), Ok(()));
        }
        self.drain_relay();
    }

    fn drain_relay(&mut self) {
        let (own, mut bytes) = (self.nodes.len(), Vec::new());
        while let Some(effect) = self.relay.poll(&mut bytes) {
            match effect {
                Effect::Send { conn, kind } => {
                    self.send((own, conn), Passing::Message((kind, bytes.clone())));
                    self.relay.drained(self.now, conn);
                }
                Effect::Close { conn, reason, .. } => {
                    self.send((own, conn), Passing::Close(reason));
                }
                _ => {}
            }
        }
    }

    fn dial(&mut self, from: End, url: String) {
        let to = if url == RELAY {
            self.nodes.len()
        } else {
            let number = url.rsplit('/').next();
            number.and_then(|n| n.parse().ok()).expect("an address")
        };
        self.dialled[from.0].push(url);
        let accepted = if !self.reachable {
            None
        } else if to == self.nodes.len() {
            self.relay.accept(self.now, Source::Unknown)
        } else {
            self.nodes[to].accept(self.now, Source::Unknown)
        };
        match accepted {
            Some(conn) => {
                self.links.insert(from, (to, conn));
                self.links.insert((to, conn), from);
                self.nodes[from.0].opened(self.now, from.1);
            }
            None => {
                let how = Closed::NotOpened("nobody is there".into());
                self.nodes[from.0].closed(self.now, from.1, how);
            }
        }
    }

    fn send(&mut self, from: End, what: Passing) {
        if let Some(to) = self.links.get(&from) {
            self.passing.push_back((*to, what));
        }
    }

    fn tell_closed(&mut self, (party, conn): End, how: Closed) {
        match self.nodes.get_mut(party) {
            Some(node) => node.closed(self.now, conn, how),
            None => self.relay.closed(self.now, conn, how),
        }
    }

    /// Delivers the next message, and takes what comes of it.
    pub(crate) fn step(&mut self) -> bool {
        self.step_with(|_, _| {})
    }

    /// The same, with a look at the message, which may be altered.
    pub(crate) fn step_with(&mut self, look: impl FnOnce(End, &mut Wire)) -> bool {
        self.drain();
        let Some((to, what)) = self.passing.pop_front() else {
            return false;
        };
        // It may be closed by now.
        let Some(from) = self.links.get(&to).copied() else {
            return true;
        };
        match what {
            Passing::Message(mut wire) => {
                look(to, &mut wire);
                let message = borrowed(&wire);
                let taken = match self.nodes.get_mut(to.0) {
                    Some(node) => node.message(self.now, to.1, message),
                    None => self.relay.message(self.now, to.1, message),
                };
                taken.expect("room");
            }
            Passing::Close(reason) => {
                self.links.remove(&to);
                self.links.remove(&from);
                for end in [to, from] {
                    let how = Closed::ByPeer {
                        code: 1000,
                        reason: reason.clone(),
                    };
                    self.tell_closed(end, how);
                }
            }
        }
        self.drain();
        true
    }

    /// Until nothing moves.
    pub(crate) fn run(&mut self) {
        while self.step() {}
    }

    /// A connection breaks: what was on its way on it is lost.
    pub(crate) fn cut(&mut self, end: End) {
        let Some(other) = self.links.remove(&end) else {
            return;
        };
        self.links.remove(&other);
        self.passing.retain(|(to, _)| *to != end && *to != other);
        for end in [end, other] {
            self.tell_closed(end, Closed::Lost("cut".into()));
        }
        self.drain();
    }

    /// The other end of a connection.
    pub(crate) fn other_end(&self, end: End) -> Option<End> {
        self.links.get(&end).copied()
    }

    /// Time passes, in one leap.
    pub(crate) fn pass(&mut self, time: Micros) {
        self.now.mono = self.now.mono + time;
        self.now.wall.0 += time.as_millis();
        for node in &mut self.nodes {
            node.tick(self.now);
        }
        self.relay.tick(self.now);
        self.drain();
    }

    /// The storage answers, in the order in which it was asked.
    pub(crate) fn answer(&mut self, result: Result<(), NotStored>) {
        let (node, id) = self.waiting.pop_front().expect("something is being stored");
        self.nodes[node].stored(self.now, id, result);
        self.drain();
    }

    /// How often a node has told such a thing.
    pub(crate) fn count(&self, node: usize, is_such: impl Fn(&Event) -> bool) -> usize {
        self.events[node].iter().filter(|e| is_such(e)).count()
    }

    /// How often a node has paired.
    pub(crate) fn pairings(&self, node: usize) -> usize {
        self.count(node, |event| matches!(event, Event::Paired { .. }))
    }

    /// The codes of the faults that a node's connections have ended with.
    pub(crate) fn faults(&self, node: usize) -> Vec<&'static str> {
        let code = |event: &Event| match event {
            Event::Ended {
                fault: Some(fault), ..
            } => Some(fault.why.code()),
            _ => None,
        };
        self.events[node].iter().filter_map(code).collect()
    }
}

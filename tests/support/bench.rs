//! A node without sockets, and a hand-made peer that can say anything on an encrypted connection to it.

use std::collections::BTreeMap;

use chumwire::channel::Channel;
use chumwire::crypto::{Instance, KeyPair, Nacl, PublicKey, Random, Static};
use chumwire::fault::{CloseReason, Fault};
use chumwire::handshake::{Acceptor, Arrival, Asked, HandshakeConfig, Handshaken, Initiator};
use chumwire::io::{ConnId, Effect, Kind, Machine, Message, Output, Source};
use chumwire::node::{Event, Node};
use chumwire::time::Now;

/// A message, with its content.
pub(crate) type Wire = (Kind, Vec<u8>);

/// The message of a kind and its bytes.
pub(crate) fn borrowed((kind, bytes): &Wire) -> Message<'_> {
    match kind {
        Kind::Text => Message::Text(std::str::from_utf8(bytes).expect("a text")),
        Kind::Binary => Message::Binary(bytes),
    }
}

/// Runs a node: keeps what it sends for each connection, stores at once, and remembers what it tells.
pub(crate) struct Bench {
    pub(crate) node: Node<Nacl>,
    pub(crate) sent: BTreeMap<ConnId, Vec<Wire>>,
    pub(crate) events: Vec<Event>,
}

impl Bench {
    pub(crate) fn of(node: Node<Nacl>) -> Self {
        Self {
            node,
            sent: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// A connection comes in.
    pub(crate) fn accept(&mut self, now: Now) -> ConnId {
        let conn = self.node.accept(now, Source::Unknown).expect("room");
        self.drain(now);
        conn
    }

    /// A message comes in.
    pub(crate) fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) {
        self.node.message(now, conn, message).expect("room");
        self.drain(now);
    }

    /// Takes everything that the node wants done.
    pub(crate) fn drain(&mut self, now: Now) {
        let mut bytes = Vec::new();
        assert_eq!(self.node.self_check(), Ok(()));
        while let Some(effect) = self.node.poll(&mut bytes) {
            assert_eq!(self.node.self_check(), Ok(()));
            match effect {
                Effect::Send { conn, kind } => {
                    self.sent
                        .entry(conn)
                        .or_default()
                        .push((kind, bytes.clone()));
                    self.node.drained(now, conn);
                }
                Effect::Store { id, .. } => self.node.stored(now, id, Ok(())),
                Effect::Event(event) => self.events.push(event),
                _ => {}
            }
        }
    }

    /// What was sent on a connection since the last time.
    pub(crate) fn take(&mut self, conn: ConnId) -> Vec<Wire> {
        self.sent.remove(&conn).unwrap_or_default()
    }

    /// The fault that a connection has ended with, if it has.
    pub(crate) fn fault(&self, conn: ConnId) -> Option<&Fault> {
        self.events.iter().find_map(|event| match event {
            Event::Ended {
                conn: ended, fault, ..
            } if *ended == conn => fault.as_ref(),
            _ => None,
        })
    }

    /// How many events of a connection are such.
    pub(crate) fn count(&self, is_such: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is_such(event)).count()
    }
}

/// A peer that has finished the handshake with a node and may say anything now.
pub(crate) struct Tester {
    pub(crate) conn: ConnId,
    pub(crate) channel: Channel<Nacl>,
}

impl Tester {
    /// Connects to a node and goes through the handshake, presenting `own`.
    pub(crate) fn connect(bench: &mut Bench, now: Now, own: KeyPair<Static>, seed: u8) -> Self {
        let conn = bench.accept(now);
        let target = PublicKey::new(*bench.node.identity().instance_key().public().bytes());
        let (config, random) = (HandshakeConfig::default(), Random::new([seed; 32]));
        let mut initiator = Initiator::<Nacl>::new(now, config, own, target, random);
        let mut bytes = Vec::new();
        loop {
            match initiator.poll(&mut bytes) {
                Some(Output::Send(Kind::Text)) => {
                    let text = std::str::from_utf8(&bytes).expect("a text");
                    bench.message(now, conn, Message::Text(text));
                }
                Some(Output::Send(Kind::Binary)) => {
                    bench.message(now, conn, Message::Binary(&bytes));
                }
                Some(Output::Event(())) => break,
                other => panic!("{other:?}"),
            }
            for message in bench.take(conn) {
                initiator.message(now, borrowed(&message));
            }
        }
        let Some(Handshaken { channel, .. }) = initiator.finish() else {
            panic!("it is done")
        };
        Self { conn, channel }
    }

    /// Answers what the node has dialled, with `own` as its key, and goes through the handshake.
    pub(crate) fn answer(
        bench: &mut Bench,
        now: Now,
        conn: ConnId,
        own: KeyPair<Instance>,
        seed: u8,
    ) -> Self {
        let (config, random) = (HandshakeConfig::default(), Random::new([seed; 32]));
        let arrival = Arrival::Direct;
        let mut acceptor =
            Acceptor::<Nacl>::new(now, config, vec![own], Vec::new(), random, arrival);
        bench.drain(now);
        let mut bytes = Vec::new();
        loop {
            match acceptor.poll(&mut bytes) {
                Some(Output::Send(Kind::Text)) => {
                    let text = std::str::from_utf8(&bytes).expect("a text");
                    bench.message(now, conn, Message::Text(text));
                }
                Some(Output::Send(Kind::Binary)) => {
                    bench.message(now, conn, Message::Binary(&bytes));
                }
                Some(Output::Event(Asked::Request(_))) => {}
                Some(Output::Event(Asked::Done)) => break,
                Some(other) => panic!("{other:?}"),
                None => {
                    for message in bench.take(conn) {
                        acceptor.message(now, borrowed(&message));
                    }
                }
            }
        }
        let Some(Handshaken { channel, .. }) = acceptor.finish() else {
            panic!("it is done")
        };
        Self { conn, channel }
    }

    /// Says something. The bench keeps what is answered.
    pub(crate) fn say(&mut self, bench: &mut Bench, now: Now, message: Message<'_>) {
        self.channel.send(now, message).expect("room");
        let mut frame = Vec::new();
        while self.channel.has_frames() {
            let frame_out = self.channel.poll::<()>(&mut frame);
            assert_eq!(frame_out, Some(Output::Send(Kind::Binary)));
            bench.message(now, self.conn, Message::Binary(&frame));
        }
    }

    /// What has been said to it since the last time.
    pub(crate) fn hear(&mut self, bench: &mut Bench, now: Now) -> Vec<Wire> {
        let mut heard = Vec::new();
        for message in bench.take(self.conn) {
            self.channel.message(now, borrowed(&message)).expect("room");
            while let Some(message) = self.channel.received() {
                heard.push((message.kind(), message.bytes().to_vec()));
            }
        }
        heard
    }
}

/// The close reason of a fault, as it travels.
pub(crate) fn reason(fault: &Fault) -> &'static str {
    CloseReason::of(fault).text()
}

//! A driver without sockets: connections by hand, and what came out on each.

pub(crate) use std::collections::hash_map::DefaultHasher;
pub(crate) use std::collections::{BTreeMap, BTreeSet, VecDeque};
pub(crate) use std::hash::{Hash, Hasher};
pub(crate) use std::net::{IpAddr, Ipv6Addr};

pub(crate) use chumwire::crypto::{
    self, Instance, KeyPair, Nacl, PublicKey, Purpose, Random, Reference, Secret, Static, Suite,
};
pub(crate) use chumwire::fault::{Fault, JsonFault, Why};
pub(crate) use chumwire::handshake::CommunicationRequest;
pub(crate) use chumwire::io::{
    Closed, ConnId, Effect, Full, Kind, Machine, Message, Output, Source,
};
pub(crate) use chumwire::limits;
pub(crate) use chumwire::note::Layer;
pub(crate) use chumwire::relay::{
    NotTaken, Registration, RegistrationEvent, Relay, RelayConfig, RelayEvent, wire,
};
pub(crate) use chumwire::step::Step;
pub(crate) use chumwire::time::{Alarm, Deadline, Micros, Millis, Now};
pub(crate) use proptest::prelude::*;
pub(crate) use serde_json::Value;

pub(crate) fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: Millis(0),
    }
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

pub(crate) fn pair_of<S: Suite>(secret: &str) -> KeyPair<Instance> {
    let mut bytes: [u8; 32] = unhex(secret).try_into().unwrap();
    KeyPair::from_secret::<S>(Secret::take(&mut bytes))
}

pub(crate) fn key_pair(n: u8) -> KeyPair<Instance> {
    KeyPair::from_secret::<Nacl>(Secret::take(&mut [n; 32]))
}

pub(crate) fn request(target: &KeyPair<Instance>) -> String {
    let source = PublicKey::<Static>::new([0xab; 32]);
    CommunicationRequest {
        source,
        target: target.public(),
    }
    .text()
}

pub(crate) const HANDOVER: &str = r#"{"command":"connection_handover"}"#;
pub(crate) const PING: &str = r#"{"command":"ping"}"#;
pub(crate) const PONG: &str = r#"{"command":"pong"}"#;
pub(crate) const READY: &str = r#"{"command":"communication_ready"}"#;
pub(crate) const GOOD: &str = "Close called.";
pub(crate) const FAILED: &str = "Close called: Registration failed.";
pub(crate) const NOBODY: &str =
    "Close called: No listening connection for the specified publicKey.";

pub(crate) type Got = (Kind, Vec<u8>);

/// Runs a relay: moves what it polls into one inbox for each connection, and reports it as drained unless the
/// connection's reader is slow.
pub(crate) struct Bench<S: Suite> {
    pub(crate) relay: Relay<S>,
    pub(crate) now: Micros,
    pub(crate) inbox: BTreeMap<ConnId, VecDeque<Got>>,
    pub(crate) closes: BTreeMap<ConnId, String>,
    pub(crate) events: Vec<RelayEvent>,
    pub(crate) paused: BTreeSet<ConnId>,
    pub(crate) resumed: Vec<ConnId>,
    pub(crate) slow: BTreeSet<ConnId>,
    pub(crate) undrained: BTreeMap<ConnId, usize>,
    pub(crate) buffer: Vec<u8>,
}

impl Bench<Nacl> {
    pub(crate) fn new() -> Self {
        Self::with(RelayConfig::default())
    }
}

impl<S: Suite> Bench<S> {
    pub(crate) fn with(config: RelayConfig) -> Self {
        Self::of(Relay::new(config, [1; 32], at(Micros::secs(100))))
    }

    pub(crate) fn of(relay: Relay<S>) -> Self {
        Self {
            relay,
            now: Micros::secs(100),
            inbox: BTreeMap::new(),
            closes: BTreeMap::new(),
            events: Vec::new(),
            paused: BTreeSet::new(),
            resumed: Vec::new(),
            slow: BTreeSet::new(),
            undrained: BTreeMap::new(),
            buffer: Vec::new(),
        }
    }

    /// Polls without reporting anything as drained.
    pub(crate) fn poll(&mut self) {
        while let Some(effect) = self.relay.poll(&mut self.buffer) {
            match effect {
                Effect::Send { conn, kind } => {
                    assert!(
                        !self.closes.contains_key(&conn),
                        "a message behind the close"
                    );
                    self.inbox
                        .entry(conn)
                        .or_default()
                        .push_back((kind, self.buffer.clone()));
                    *self.undrained.entry(conn).or_default() += self.buffer.len();
                }
                Effect::Close { conn, code, reason } => {
                    assert_eq!(code, 1000);
                    assert!(reason.len() <= 123);
                    assert!(self.closes.insert(conn, reason).is_none(), "closed twice");
                }
                Effect::Pause(conn) => assert!(self.paused.insert(conn), "paused twice"),
                Effect::Resume(conn) => {
                    self.paused.remove(&conn);
                    self.resumed.push(conn);
                }
                Effect::Event(event) => self.events.push(event),
                other => panic!("a relay has no {other:?}"),
            }
        }
        assert_eq!(self.relay.self_check(), Ok(()));
    }

    /// Polls and reports until nothing moves.
    pub(crate) fn pump(&mut self) {
        self.poll();
        while let Some(conn) = self
            .undrained
            .keys()
            .find(|c| !self.slow.contains(c))
            .copied()
        {
            self.drain(conn);
            self.poll();
        }
    }

    pub(crate) fn drain(&mut self, conn: ConnId) {
        self.undrained.remove(&conn);
        self.relay.drained(at(self.now), conn);
    }

    pub(crate) fn accept(&mut self) -> ConnId {
        self.relay
            .accept(at(self.now), Source::Unknown)
            .expect("room for a connection")
    }

    pub(crate) fn offer(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.relay.message(at(self.now), conn, message)
    }

    pub(crate) fn text(&mut self, conn: ConnId, text: &str) {
        self.offer(conn, Message::Text(text)).expect("room");
        self.pump();
    }

    pub(crate) fn binary(&mut self, conn: ConnId, bytes: &[u8]) {
        self.offer(conn, Message::Binary(bytes)).expect("room");
        self.pump();
    }

    pub(crate) fn close(&mut self, conn: ConnId, reason: &str) {
        let how = Closed::ByPeer {
            code: 1000,
            reason: reason.into(),
        };
        self.relay.closed(at(self.now), conn, how);
        self.pump();
    }

    pub(crate) fn lose(&mut self, conn: ConnId) {
        self.relay
            .closed(at(self.now), conn, Closed::Lost("cable cut".into()));
        self.pump();
    }

    pub(crate) fn pass(&mut self, time: Micros) {
        self.now = self.now + time;
        self.relay.tick(at(self.now));
        self.pump();
    }

    /// Lets time pass tick by tick, answering no ping.
    pub(crate) fn pass_by_deadlines(&mut self, time: Micros) {
        let until = self.now + time;
        while let Some(deadline) = self.relay.deadline().filter(|d| d.at <= until) {
            self.now = deadline.at;
            self.relay.tick(at(self.now));
            self.pump();
            assert!(
                self.relay.deadline().is_none_or(|next| next > deadline),
                "no progress"
            );
        }
        self.now = until;
    }

    pub(crate) fn got(&mut self, conn: ConnId) -> Vec<String> {
        let inbox = self.inbox.remove(&conn).unwrap_or_default();
        inbox
            .into_iter()
            .map(|(_, bytes)| String::from_utf8_lossy(&bytes).into())
            .collect()
    }

    pub(crate) fn got_raw(&mut self, conn: ConnId) -> Vec<Got> {
        self.inbox.remove(&conn).unwrap_or_default().into()
    }

    /// A registered connection, by the real listener.
    pub(crate) fn spare(&mut self, key: &KeyPair<Instance>) -> ConnId {
        let conn = self.accept();
        self.spare_on(conn, key);
        conn
    }

    pub(crate) fn spare_on(&mut self, conn: ConnId, key: &KeyPair<Instance>) {
        let random = Random::new([conn.0 as u8; 32]);
        let mut listener =
            Registration::<S>::new(at(self.now), key.clone(), random, limits::STEP, false);
        let mut bytes = Vec::new();
        while !listener.is_spare() {
            while let Some(output) = listener.poll(&mut bytes) {
                assert_eq!(output, Output::Send(Kind::Text));
                self.text(conn, core::str::from_utf8(&bytes).unwrap());
            }
            assert_eq!(self.closes.get(&conn), None);
            for text in self.got(conn) {
                listener
                    .message(at(self.now), Message::Text(&text))
                    .unwrap();
            }
        }
    }

    /// A pair: the listener's connection and the initiator's.
    pub(crate) fn pair(&mut self, key: &KeyPair<Instance>) -> (ConnId, ConnId) {
        let spare = self.spare(key);
        let initiator = self.accept();
        self.text(initiator, &request(key));
        assert_eq!(self.got(spare), [HANDOVER.to_string(), request(key)]);
        self.text(spare, READY);
        assert_eq!(self.got(initiator), [READY]);
        (spare, initiator)
    }

    pub(crate) fn ended(&self, conn: ConnId) -> Option<Fault> {
        let mut all = self.events.iter().filter_map(|event| match event {
            RelayEvent::Ended { conn: of, fault } if *of == conn => Some(fault.clone()),
            _ => None,
        });
        let first = all.next();
        assert!(all.next().is_none(), "it ended twice");
        first
    }

    pub(crate) fn closed_with(&self, conn: ConnId) -> Option<&str> {
        self.closes.get(&conn).map(String::as_str)
    }
}

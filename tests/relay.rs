//! The relay and its listeners (spec 02), against recordings of the deployed ones, race by race (spec 07), limit by
//! limit, and under arbitrary input.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use chumwire::crypto::{
    self, Instance, KeyPair, Nacl, PublicKey, Purpose, Random, Reference, Secret, Static, Suite,
};
use chumwire::fault::{Fault, JsonFault, Why};
use chumwire::handshake::CommunicationRequest;
use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Machine, Message, Output, Source};
use chumwire::limits;
use chumwire::note::Layer;
use chumwire::relay::{
    NotTaken, Registration, RegistrationEvent, Relay, RelayConfig, RelayEvent, wire,
};
use chumwire::step::Step;
use chumwire::time::{Alarm, Deadline, Micros, Millis, Now};
use proptest::prelude::*;
use serde_json::Value;

// ---------------------------------------------------------------- a driver without sockets

fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: Millis(0),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn pair_of<S: Suite>(secret: &str) -> KeyPair<Instance> {
    let mut bytes: [u8; 32] = unhex(secret).try_into().unwrap();
    KeyPair::from_secret::<S>(Secret::take(&mut bytes))
}

fn key_pair(n: u8) -> KeyPair<Instance> {
    KeyPair::from_secret::<Nacl>(Secret::take(&mut [n; 32]))
}

fn request(target: &KeyPair<Instance>) -> String {
    let source = PublicKey::<Static>::new([0xab; 32]);
    CommunicationRequest {
        source,
        target: target.public(),
    }
    .text()
}

const HANDOVER: &str = r#"{"command":"connection_handover"}"#;
const PING: &str = r#"{"command":"ping"}"#;
const PONG: &str = r#"{"command":"pong"}"#;
const READY: &str = r#"{"command":"communication_ready"}"#;
const GOOD: &str = "Close called.";
const FAILED: &str = "Close called: Registration failed.";
const NOBODY: &str = "Close called: No listening connection for the specified publicKey.";

type Got = (Kind, Vec<u8>);

/// Runs a relay: moves what it polls into one inbox for each connection, and reports it as drained unless the
/// connection's reader is slow.
struct Bench<S: Suite> {
    relay: Relay<S>,
    now: Micros,
    inbox: BTreeMap<ConnId, VecDeque<Got>>,
    closes: BTreeMap<ConnId, String>,
    events: Vec<RelayEvent>,
    paused: BTreeSet<ConnId>,
    resumed: Vec<ConnId>,
    slow: BTreeSet<ConnId>,
    undrained: BTreeMap<ConnId, usize>,
    buffer: Vec<u8>,
}

impl Bench<Nacl> {
    fn new() -> Self {
        Self::with(RelayConfig::default())
    }
}

impl<S: Suite> Bench<S> {
    fn with(config: RelayConfig) -> Self {
        Self::of(Relay::new(config, [1; 32], at(Micros::secs(100))))
    }

    fn of(relay: Relay<S>) -> Self {
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
    fn poll(&mut self) {
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
    fn pump(&mut self) {
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

    fn drain(&mut self, conn: ConnId) {
        self.undrained.remove(&conn);
        self.relay.drained(at(self.now), conn);
    }

    fn accept(&mut self) -> ConnId {
        self.relay
            .accept(at(self.now), Source::Unknown)
            .expect("room for a connection")
    }

    fn offer(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.relay.message(at(self.now), conn, message)
    }

    fn text(&mut self, conn: ConnId, text: &str) {
        self.offer(conn, Message::Text(text)).expect("room");
        self.pump();
    }

    fn binary(&mut self, conn: ConnId, bytes: &[u8]) {
        self.offer(conn, Message::Binary(bytes)).expect("room");
        self.pump();
    }

    fn close(&mut self, conn: ConnId, reason: &str) {
        let how = Closed::ByPeer {
            code: 1000,
            reason: reason.into(),
        };
        self.relay.closed(at(self.now), conn, how);
        self.pump();
    }

    fn lose(&mut self, conn: ConnId) {
        self.relay
            .closed(at(self.now), conn, Closed::Lost("cable cut".into()));
        self.pump();
    }

    fn pass(&mut self, time: Micros) {
        self.now = self.now + time;
        self.relay.tick(at(self.now));
        self.pump();
    }

    /// Lets time pass tick by tick, answering no ping.
    fn pass_by_deadlines(&mut self, time: Micros) {
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

    fn got(&mut self, conn: ConnId) -> Vec<String> {
        let inbox = self.inbox.remove(&conn).unwrap_or_default();
        inbox
            .into_iter()
            .map(|(_, bytes)| String::from_utf8_lossy(&bytes).into())
            .collect()
    }

    fn got_raw(&mut self, conn: ConnId) -> Vec<Got> {
        self.inbox.remove(&conn).unwrap_or_default().into()
    }

    /// A registered connection, by the real listener.
    fn spare(&mut self, key: &KeyPair<Instance>) -> ConnId {
        let conn = self.accept();
        self.spare_on(conn, key);
        conn
    }

    fn spare_on(&mut self, conn: ConnId, key: &KeyPair<Instance>) {
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
    fn pair(&mut self, key: &KeyPair<Instance>) -> (ConnId, ConnId) {
        let spare = self.spare(key);
        let initiator = self.accept();
        self.text(initiator, &request(key));
        assert_eq!(self.got(spare), [HANDOVER.to_string(), request(key)]);
        self.text(spare, READY);
        assert_eq!(self.got(initiator), [READY]);
        (spare, initiator)
    }

    fn ended(&self, conn: ConnId) -> Option<Fault> {
        let mut all = self.events.iter().filter_map(|event| match event {
            RelayEvent::Ended { conn: of, fault } if *of == conn => Some(fault.clone()),
            _ => None,
        });
        let first = all.next();
        assert!(all.next().is_none(), "it ended twice");
        first
    }

    fn closed_with(&self, conn: ConnId) -> Option<&str> {
        self.closes.get(&conn).map(String::as_str)
    }
}

// ---------------------------------------------------------------- recordings

fn vector(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn payload(wire: &Value) -> Got {
    match wire["kind"].as_str().unwrap() {
        "text" => (Kind::Text, wire["text"].as_str().unwrap().into()),
        _ => (Kind::Binary, unhex(wire["hex"].as_str().unwrap())),
    }
}

fn offered<'a>((kind, bytes): &'a Got) -> Message<'a> {
    match kind {
        Kind::Text => Message::Text(core::str::from_utf8(bytes).unwrap()),
        Kind::Binary => Message::Binary(bytes),
    }
}

fn micros(message: &Value) -> Micros {
    Micros((message["t"].as_f64().unwrap() * 1000.0) as u64)
}

fn nonce_and_plain(message: &Value) -> (Vec<u8>, Vec<u8>) {
    let of = |name: &str| unhex(message["embedded"][name].as_str().unwrap());
    (of("nonce"), of("plain"))
}

/// The whole recording, byte for byte: both connections of it, in the order of the clock.
fn relay_replays_the_recording<S: Suite>() {
    let vector = vector("commserver_register");
    let listener_messages = vector["listenerConnection"].as_array().unwrap();
    let (nonce, challenge) = nonce_and_plain(&listener_messages[1]);
    let draws = [
        (
            Purpose::StaticKey,
            unhex(vector["keys"]["server"]["secret"].as_str().unwrap()),
        ),
        (Purpose::Challenge, challenge),
        (Purpose::BoxNonce, nonce),
    ];
    let mut config = RelayConfig::default();
    config.ping_interval = Micros::millis(400);
    let random = Random::scripted([0; 32], draws);
    let start = micros(&listener_messages[0]);
    let mut bench = Bench::<S>::of(Relay::with_random(config, random, at(start)));
    bench.now = start;
    assert_eq!(
        bench.relay.public_key().hex(),
        vector["keys"]["server"]["public"].as_str().unwrap()
    );
    let listener = bench.accept();
    let client = bench.accept();
    let mut all: Vec<(ConnId, &str, &Value)> = Vec::new();
    all.extend(listener_messages.iter().map(|m| (listener, "listener", m)));
    all.extend(
        vector["clientConnection"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| (client, "client", m)),
    );
    // What the relay sends is compared with what it must have sent when the recording shows it.
    all.sort_by(|a, b| {
        a.2["t"]
            .as_f64()
            .unwrap()
            .total_cmp(&b.2["t"].as_f64().unwrap())
    });
    // The client is accepted early here, and its first message comes after a second: within its limit.
    for (conn, who, message) in all {
        bench.now = micros(message).max(bench.now);
        bench.relay.tick(at(bench.now));
        bench.pump();
        let from_client = message["from"] == *who;
        match (from_client, message.get("close")) {
            (true, None) => {
                // The client's second message was recorded before the relay got the first answer.
                bench
                    .offer(conn, offered(&payload(&message["wire"])))
                    .unwrap();
                bench.pump();
            }
            (true, Some(close)) => bench.close(conn, close["reason"].as_str().unwrap()),
            (false, None) => {
                let got = bench.inbox.get_mut(&conn).and_then(VecDeque::pop_front);
                assert_eq!(
                    got,
                    Some(payload(&message["wire"])),
                    "message {}",
                    message["n"]
                );
            }
            // The one who closed sees its own close come back: the socket's business.
            (false, Some(_)) if conn == client => {}
            (false, Some(close)) => {
                assert_eq!(bench.closed_with(conn), close["reason"].as_str());
            }
        }
    }
    assert!(
        bench.inbox.values().all(VecDeque::is_empty),
        "nothing but what was recorded"
    );
    assert_eq!(bench.relay.stats().handed_over, 1);
}

#[test]
fn the_relay_does_byte_for_byte_what_the_deployed_one_was_recorded_doing() {
    relay_replays_the_recording::<Nacl>();
    relay_replays_the_recording::<Reference>();
}

/// Runs a registration along recorded messages; `sent_by_us` tells which are ours.
fn registration_replays<S: Suite>(
    secret: &str,
    messages: &[Value],
    sent_by_us: impl Fn(&Value) -> bool,
) -> Vec<RegistrationEvent> {
    let (nonce, _) = nonce_and_plain_of_response::<S>(secret, messages);
    let random = Random::scripted([0; 32], [(Purpose::BoxNonce, nonce)]);
    let start = micros(&messages[0]);
    let mut registration =
        Registration::<S>::new(at(start), pair_of::<S>(secret), random, limits::STEP, false);
    let mut events = Vec::new();
    let mut sent = VecDeque::new();
    let mut bytes = Vec::new();
    for message in messages {
        let now = at(micros(message));
        registration.tick(now);
        while let Some(output) = registration.poll(&mut bytes) {
            match output {
                Output::Send(kind) => sent.push_back((kind, bytes.clone())),
                Output::Event(event) => events.push(event),
                other => panic!("{other:?}"),
            }
        }
        if sent_by_us(message) {
            assert_eq!(
                sent.pop_front(),
                Some(payload(&message["wire"])),
                "n {}",
                message["n"]
            );
        } else {
            registration
                .message(now, offered(&payload(&message["wire"])))
                .unwrap();
        }
    }
    while let Some(output) = registration.poll(&mut bytes) {
        match output {
            Output::Event(event) => events.push(event),
            other => panic!("{other:?} was not recorded"),
        }
    }
    assert!(sent.is_empty());
    assert!(registration.into_handed_over().is_some());
    events
}

/// The response's nonce: its first 24 bytes, whether the recording decodes it or not.
fn nonce_and_plain_of_response<S: Suite>(secret: &str, messages: &[Value]) -> (Vec<u8>, Vec<u8>) {
    let text = |n: usize| messages[n]["wire"]["text"].as_str().unwrap();
    let asked = wire::read_authentication_request(text(1)).unwrap();
    let response = wire::read_authentication_response(text(2)).unwrap();
    let pair = pair_of::<S>(secret)
        .before::<S, _>(&asked.relay_key)
        .unwrap();
    let challenge = crypto::open::<64>(&pair, &asked.challenge).unwrap();
    let answer = crypto::open::<64>(&pair, &response).unwrap();
    assert_eq!(answer, crypto::inverted(&challenge));
    (response[..24].to_vec(), answer.expose().to_vec())
}

fn both_recorded_registrations<S: Suite>() {
    let vector_1 = vector("commserver_register");
    let until_handover = &vector_1["listenerConnection"].as_array().unwrap()[..9];
    let secret = vector_1["keys"]["listener"]["secret"].as_str().unwrap();
    let events = registration_replays::<S>(secret, until_handover, |m| m["from"] == "listener");
    let ping_interval = Micros::millis(400);
    let registered = RegistrationEvent::Registered { ping_interval };
    assert_eq!(events, [registered, RegistrationEvent::HandedOver]);

    let vector_2 = vector("pairing_full");
    let until_handover = &vector_2["acceptorA"]["messages"].as_array().unwrap()[..5];
    let secret = vector_2["keys"]["A"]["instance"]["box"]["secret"]
        .as_str()
        .unwrap();
    let events = registration_replays::<S>(secret, until_handover, |m| m["dir"] == "out");
    let ping_interval = Micros::secs(25);
    let registered = RegistrationEvent::Registered { ping_interval };
    assert_eq!(events, [registered, RegistrationEvent::HandedOver]);
}

#[test]
fn the_listener_does_byte_for_byte_what_the_deployed_ones_were_recorded_doing() {
    both_recorded_registrations::<Nacl>();
    both_recorded_registrations::<Reference>();
}

/// What the deployed relay does with faulty clients. Ours closes wherever the deployed one does, with one coarse
/// reason instead of the cause, and is stricter in the cases named here.
#[test]
fn faulty_clients_are_treated_as_the_deployed_relay_does_or_more_strictly() {
    const STRICTER: [&str; 2] = [
        "register, key not hex (parsed as zeros)",
        "registered, unasked pongs and other messages",
    ];
    let vector = vector("commserver_register");
    let mut seen = 0;
    for reaction in vector["serverReactions"].as_array().unwrap() {
        let name = reaction["name"].as_str().unwrap();
        let Some(sent) = reaction["sent"].as_array() else {
            continue;
        };
        // The challenges of the recording were sealed for its draws.
        let draws = reaction["received"]
            .as_array()
            .into_iter()
            .flatten()
            .find_map(|message| {
                let asked = wire::read_authentication_request(message["text"].as_str()?).ok()?;
                let secret = vector["keys"]["client"]["secret"].as_str()?;
                let pair = pair_of::<Nacl>(secret)
                    .before::<Nacl, _>(&asked.relay_key)
                    .ok()?;
                let plain = crypto::open::<64>(&pair, &asked.challenge).ok()?;
                Some((plain.expose().to_vec(), asked.challenge[..24].to_vec()))
            });
        let server = unhex(vector["keys"]["server"]["secret"].as_str().unwrap());
        let mut script = vec![(Purpose::StaticKey, server)];
        if let Some((plain, nonce)) = draws {
            script.extend([(Purpose::Challenge, plain), (Purpose::BoxNonce, nonce)]);
        }
        let mut config = RelayConfig::default();
        config.ping_interval = Micros::millis(400);
        let relay = Relay::<Nacl>::with_random(
            config,
            Random::scripted([0; 32], script),
            at(Micros::secs(100)),
        );
        let mut bench = Bench::of(relay);
        let conn = bench.accept();
        let pings = reaction["received"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["text"] == PING);
        for (n, message) in sent.iter().enumerate() {
            if pings && n == 2 {
                bench.pass(Micros::millis(400));
            }
            let message = match (message.as_str(), message["hex"].as_str()) {
                (Some(text), _) => (Kind::Text, text.as_bytes().to_vec()),
                (None, Some(hex)) => (Kind::Binary, unhex(hex)),
                _ => payload(message),
            };
            bench.offer(conn, offered(&message)).unwrap();
            bench.pump();
        }
        if pings && sent.len() == 2 {
            bench.pass(Micros::millis(400));
            bench.pass(Micros::secs(1));
        }
        let closed = bench.closed_with(conn);
        let there_closed = reaction["closed"]["reason"].as_str();
        match there_closed {
            Some(NOBODY) => assert_eq!(closed, Some(NOBODY), "{name}"),
            Some(_) => assert_eq!(closed, Some(FAILED), "{name}"),
            None if STRICTER.contains(&name) => assert_eq!(closed, Some(FAILED), "{name}"),
            None => assert_eq!(closed, None, "{name}"),
        }
        if !STRICTER.contains(&name) {
            let commands = |texts: Vec<String>| -> Vec<Value> {
                let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
                texts
                    .iter()
                    .map(|text| parse(text)["command"].clone())
                    .collect()
            };
            let texts = reaction["received"].as_array().unwrap().iter();
            let texts = texts.map(|m| m["text"].as_str().unwrap().into()).collect();
            assert_eq!(commands(bench.got(conn)), commands(texts), "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen} reactions were tried");
}

// ---------------------------------------------------------------- registration and pings at the relay

#[test]
fn spare_connections_are_used_last_in_first_out() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spares: Vec<ConnId> = (0..3).map(|_| bench.spare(&key)).collect();
    for spare in spares.iter().rev() {
        let initiator = bench.accept();
        bench.text(initiator, &request(&key));
        assert_eq!(bench.got(*spare), [HANDOVER.to_string(), request(&key)]);
    }
    assert_eq!(bench.relay.stats().keys, 0);
}

#[test]
fn a_key_in_upper_case_is_the_same_key_and_the_request_is_written_anew() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    let initiator = bench.accept();
    let target = key.public().hex().to_uppercase();
    let source = "AB".repeat(32);
    let shouted = format!(
        r#"{{ "extra": 1, "targetPublicKey": "{target}", "sourcePublicKey": "{source}", "command": "communication_request" }}"#
    );
    bench.text(initiator, &shouted);
    assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
}

#[test]
fn pings_count_from_success_and_then_from_the_last_pong() {
    let mut bench = Bench::new();
    let spare = bench.spare(&key_pair(7));
    let success = bench.now;
    assert_eq!(
        bench.relay.deadline(),
        Some(Deadline {
            at: success + Micros::secs(25),
            why: Alarm::Ping
        })
    );
    bench.pass(Micros::secs(25) + Micros::millis(300));
    assert_eq!(bench.got(spare), [PING]);
    assert_eq!(bench.relay.deadline().unwrap().why, Alarm::PongLimit);
    bench.now = bench.now + Micros::millis(900);
    bench.text(spare, PONG);
    assert_eq!(
        bench.relay.deadline(),
        Some(Deadline {
            at: bench.now + Micros::secs(25),
            why: Alarm::Ping
        })
    );
}

#[test]
fn a_pong_at_the_very_limit_is_in_time_and_none_is_the_end() {
    let mut bench = Bench::new();
    let spare = bench.spare(&key_pair(7));
    bench.pass(Micros::secs(25));
    bench.now = bench.now + Micros::secs(1);
    bench.text(spare, PONG);
    assert_eq!(bench.closed_with(spare), None);
    bench.pass(Micros::secs(25));
    bench.pass(Micros(999_999));
    assert_eq!(bench.closed_with(spare), None);
    bench.pass(Micros(1));
    assert_eq!(bench.closed_with(spare), Some(FAILED));
    assert_eq!(bench.ended(spare), Some(Why::NoPong.at(Step::Spare)));
    // Nobody is handed over to the dead one.
    let initiator = bench.accept();
    bench.text(initiator, &request(&key_pair(7)));
    assert_eq!(bench.closed_with(initiator), Some(NOBODY));
}

#[test]
fn wrong_answers_to_the_challenge_are_refused() {
    let key = key_pair(7);
    let relay_hex = |asked: &[String]| wire::read_authentication_request(&asked[0]).unwrap();
    for wrong in ["forged", "not inverted", "one bit", "short"] {
        let mut bench = Bench::new();
        let conn = bench.accept();
        bench.text(conn, &wire::register(&key.public()));
        let asked = relay_hex(&bench.got(conn));
        let pair = key.before::<Nacl, _>(&asked.relay_key).unwrap();
        let challenge = crypto::open::<64>(&pair, &asked.challenge).unwrap();
        let mut answer = *crypto::inverted(&challenge).expose();
        answer[63] ^= 1;
        let mut random = Random::new([3; 32]);
        let response = match wrong {
            "forged" => wire::authentication_response(&[0; 104]),
            "not inverted" => wire::authentication_response(&asked.challenge),
            "one bit" => wire::authentication_response(&crypto::seal(&pair, &mut random, &answer)),
            _ => r#"{"command":"authentication_response","response":"00"}"#.into(),
        };
        bench.text(conn, &response);
        assert_eq!(bench.closed_with(conn), Some(FAILED), "{wrong}");
        let fault = bench.ended(conn).unwrap();
        assert_eq!(fault.step, Step::Register);
        assert_eq!(fault.why == Why::Challenge, wrong != "short", "{wrong}");
        assert_eq!(bench.relay.stats().spares, 0);
    }
}

#[test]
fn a_listener_key_of_small_order_is_refused() {
    let mut bench = Bench::new();
    for small in ["00".repeat(32), format!("01{}", "00".repeat(31))] {
        let conn = bench.accept();
        bench.text(
            conn,
            &format!(r#"{{"command":"register","publicKey":"{small}"}}"#),
        );
        assert_eq!(bench.ended(conn), Some(Why::SmallOrder.at(Step::Register)));
        assert_eq!(bench.closed_with(conn), Some(FAILED));
    }
}

#[test]
fn a_spare_connection_may_say_pong_and_nothing_else() {
    for wrong in [READY, "rubbish", r#"{"command":"comm_pong"}"#, HANDOVER] {
        let mut bench = Bench::new();
        let spare = bench.spare(&key_pair(7));
        bench.pass(Micros::secs(25));
        bench.text(spare, wrong);
        assert_eq!(bench.closed_with(spare), Some(FAILED), "{wrong}");
        assert_eq!(bench.ended(spare).unwrap().step, Step::Spare);
    }
    let mut bench = Bench::new();
    let spare = bench.spare(&key_pair(7));
    bench.binary(spare, b"pong");
    assert_eq!(
        bench.ended(spare),
        Some(
            Why::Kind {
                expected: Kind::Text
            }
            .at(Step::Spare)
        )
    );
}

// ---------------------------------------------------------------- races (spec 07)

#[test]
fn race_handover_burst() {
    // The relay puts both out back to back; the listener takes the first and leaves the second to the handshake,
    // whether or not its application has looked in between.
    let key = key_pair(7);
    for polled_between in [false, true] {
        let mut listener = spare_listener(&key);
        let now = at(Micros::secs(1));
        listener.message(now, Message::Text(HANDOVER)).unwrap();
        let mut bytes = Vec::new();
        if polled_between {
            let event = Output::Event(RegistrationEvent::HandedOver);
            assert_eq!(listener.poll(&mut bytes), Some(event));
        }
        let request = request(&key);
        let before = listener.clone();
        assert_eq!(
            listener.message(now, Message::Text(&request)),
            Err(NotTaken::HandedOver),
            "it is not swallowed"
        );
        assert_eq!(listener, before);
        if !polled_between {
            let early = listener.clone().into_handed_over();
            assert!(early.is_none(), "something is left to be polled");
            let event = Output::Event(RegistrationEvent::HandedOver);
            assert_eq!(listener.poll(&mut bytes), Some(event));
        }
        assert_eq!(listener.deadline(), None);
        assert!(listener.into_handed_over().is_some());
    }
}

#[test]
fn race_handover_answer_early() {
    // The answer comes before the driver has reported the request as sent, even before it polled it.
    for polled in [false, true] {
        let mut bench = Bench::new();
        let key = key_pair(7);
        let spare = bench.spare(&key);
        bench.slow.insert(spare);
        let initiator = bench.accept();
        bench
            .offer(initiator, Message::Text(&request(&key)))
            .unwrap();
        if polled {
            bench.pump();
        }
        bench.text(spare, READY);
        bench.binary(spare, &[1, 2, 3]);
        assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
        assert_eq!(
            bench.got_raw(initiator),
            [(Kind::Text, READY.into()), (Kind::Binary, vec![1, 2, 3])]
        );
    }
}

#[test]
fn race_ping_in_flight() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    assert_eq!(bench.got(spare), [PING]);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    assert_eq!(bench.got(spare), [""; 0], "the handover waits for the pong");
    bench.text(spare, PONG);
    assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
    bench.text(spare, READY);
    assert_eq!(bench.got(initiator), [READY], "no pong in the stream");
}

#[test]
fn race_unasked_pong() {
    // Before any ping.
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.text(spare, PONG);
    assert_eq!(bench.ended(spare), Some(Why::UnaskedPong.at(Step::Spare)));
    assert_eq!(bench.closed_with(spare), Some(FAILED));

    // A second one behind the one that was asked for.
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    bench.text(spare, PONG);
    bench.text(spare, PONG);
    assert_eq!(bench.ended(spare), Some(Why::UnaskedPong.at(Step::Spare)));

    // Crossing the handover: before it left, the next spare is taken; behind it, the pair ends. No pong is relayed.
    for left in [false, true] {
        let next = bench.spare(&key);
        let spare = bench.spare(&key);
        let initiator = bench.accept();
        if !left {
            bench.slow.insert(spare);
        }
        bench.text(initiator, &request(&key));
        bench.text(spare, PONG);
        assert_eq!(bench.ended(spare).unwrap().why, Why::UnaskedPong);
        assert_eq!(bench.got(initiator), [""; 0]);
        if left {
            assert_eq!(bench.closed_with(initiator), Some(GOOD));
            assert_eq!(bench.ended(initiator).unwrap().why, Why::Partner);
            assert_eq!(bench.got(next), [""; 0]);
        } else {
            let got = bench.got(next);
            assert_eq!(got[got.len() - 2..], [HANDOVER.to_string(), request(&key)]);
            bench.text(next, READY);
            assert_eq!(bench.got(initiator), [READY]);
        }
    }
}

#[test]
fn race_spare_dies_at_handover() {
    // While it is waited for its pong, by a close, an error, a wrong word or silence; and when the request did not
    // leave any more.
    for how in [
        "closed",
        "lost",
        "rubbish",
        "silent",
        "request never left",
        "not polled",
    ] {
        let mut bench = Bench::new();
        let key = key_pair(7);
        let next = bench.spare(&key);
        let spare = bench.spare(&key);
        bench.got(next);
        let not_sent = ["request never left", "not polled"].contains(&how);
        if !not_sent {
            bench.pass(Micros::secs(25));
            bench.text(next, PONG);
            bench.got(next);
        }
        bench.slow.insert(spare);
        let initiator = bench.accept();
        bench
            .offer(initiator, Message::Text(&request(&key)))
            .unwrap();
        if how != "not polled" {
            bench.pump();
        }
        bench.offer(initiator, Message::Binary(b"early")).unwrap();
        match how {
            "lost" => bench.lose(spare),
            "rubbish" => bench.text(spare, "rubbish"),
            "silent" => bench.pass(Micros::secs(1)),
            _ => bench.close(spare, "Close called: bye"),
        }
        bench.pump();
        let got = bench.got(next);
        assert_eq!(
            got,
            [HANDOVER.into(), request(&key), "early".to_string()],
            "{how}"
        );
        assert!(bench.ended(spare).is_some());
        bench.text(next, READY);
        assert_eq!(bench.got(initiator), [READY]);
        assert_eq!(bench.relay.stats().handed_over, 1, "{how}");
    }
}

#[test]
fn what_was_sent_before_the_handover_and_drained_after_it_is_no_proof_that_the_request_left() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let next = bench.spare(&key);
    let conn = bench.accept();
    bench.slow.insert(conn);
    bench.spare_on(conn, &key);
    let initiator = bench.accept();
    bench
        .offer(initiator, Message::Text(&request(&key)))
        .unwrap();
    // This is `authentication_success`; the handover waits to be polled.
    bench.drain(conn);
    assert_eq!(bench.relay.stats().handed_over, 0);
    bench.lose(conn);
    assert_eq!(bench.got(next), [HANDOVER.to_string(), request(&key)]);
}

#[test]
fn when_the_last_spare_dies_the_initiator_is_refused() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.slow.insert(spare);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.lose(spare);
    assert_eq!(bench.closed_with(initiator), Some(NOBODY));
    assert_eq!(
        bench.ended(initiator),
        Some(Why::NoListener.at(Step::Handover))
    );
}

#[test]
fn a_listener_that_got_the_request_and_closes_has_refused_it() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let next = bench.spare(&key);
    let spare = bench.spare(&key);
    bench.got(next);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.close(spare, "Close called: Handshake failed.");
    assert_eq!(
        bench.closed_with(initiator),
        Some("Close called: Handshake failed.")
    );
    assert_eq!(bench.got(next), [""; 0]);
}

#[test]
fn race_two_initiators_one_spare() {
    for ping_in_flight in [false, true] {
        let mut bench = Bench::new();
        let key = key_pair(7);
        let spare = bench.spare(&key);
        if ping_in_flight {
            bench.pass(Micros::secs(25));
        }
        let (first, second) = (bench.accept(), bench.accept());
        bench.offer(first, Message::Text(&request(&key))).unwrap();
        bench.offer(second, Message::Text(&request(&key))).unwrap();
        bench.pump();
        assert_eq!(bench.closed_with(second), Some(NOBODY));
        if ping_in_flight {
            bench.text(spare, PONG);
        }
        bench.text(spare, READY);
        assert_eq!(bench.got(first), [READY]);
        assert_eq!(bench.closed_with(first), None);
    }
}

#[test]
fn the_spare_returns_when_its_initiator_goes_before_the_pong() {
    for timeout in [false, true] {
        let mut config = RelayConfig::default();
        config.pong_limit = Micros::secs(30);
        let mut bench = Bench::<Nacl>::with(config);
        let key = key_pair(7);
        let spare = bench.spare(&key);
        bench.pass(Micros::secs(25));
        bench.got(spare);
        let initiator = bench.accept();
        bench.text(initiator, &request(&key));
        if timeout {
            bench.pass(limits::STEP);
            assert_eq!(
                bench.ended(initiator),
                Some(Why::Timeout.at(Step::Handover))
            );
            assert_eq!(bench.closed_with(initiator), Some(FAILED));
        } else {
            bench.close(initiator, "");
        }
        assert_eq!(bench.relay.stats().spares, 1);
        let second = bench.accept();
        bench.text(second, &request(&key));
        assert_eq!(bench.got(spare), [""; 0], "the ping is still out");
        bench.text(spare, PONG);
        assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
        bench.text(spare, READY);
        assert_eq!(bench.got(second), [READY]);
    }
}

#[test]
fn an_initiator_that_goes_after_the_handover_takes_the_spare_along() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.got(spare);
    bench.slow.insert(spare);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.text(initiator, "early");
    bench.close(initiator, "Close called: changed my mind");
    assert_eq!(
        bench.got(spare),
        [HANDOVER.into(), request(&key), "early".to_string()]
    );
    assert_eq!(
        bench.closed_with(spare),
        Some("Close called: changed my mind")
    );
}

// ---------------------------------------------------------------- relaying

#[test]
fn what_the_initiator_sends_early_is_relayed_in_order() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    bench.got(spare);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.binary(initiator, &[1, 2, 3]);
    bench.text(initiator, "täxt");
    bench.binary(initiator, &[]);
    bench.text(spare, PONG);
    let got = bench.got_raw(spare);
    assert_eq!(
        got[2..],
        [
            (Kind::Binary, vec![1, 2, 3]),
            (Kind::Text, "täxt".into()),
            (Kind::Binary, vec![])
        ]
    );
    assert_eq!(bench.relay.stats().held, 0);
}

#[test]
fn every_message_is_copied_as_it_is_and_in_order() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let (spare, initiator) = bench.pair(&key);
    let messages: Vec<Got> = (0..100)
        .map(|n| {
            if n % 3 == 0 {
                (Kind::Text, format!("text {n}").into())
            } else {
                (Kind::Binary, vec![n; n.into()])
            }
        })
        .collect();
    for message in &messages {
        bench.offer(spare, offered(message)).unwrap();
        bench.offer(initiator, offered(message)).unwrap();
    }
    // A control message is none any more.
    bench.text(initiator, PONG);
    bench.text(spare, &wire::register(&key.public()));
    assert_eq!(bench.got_raw(spare)[..100], messages);
    assert_eq!(bench.got_raw(initiator)[..100], messages);
}

#[test]
fn a_close_is_relayed_with_its_reason() {
    let long = "é".repeat(100);
    let cases: [(Closed, &str); 5] = [
        (
            Closed::ByPeer {
                code: 1000,
                reason: "Close called: bye".into(),
            },
            "Close called: bye",
        ),
        (
            Closed::ByPeer {
                code: 1011,
                reason: String::new(),
            },
            "",
        ),
        (
            Closed::ByPeer {
                code: 1005,
                reason: long.clone(),
            },
            &long[..122],
        ),
        (Closed::Lost("reset".into()), GOOD),
        (Closed::NotOpened("?".into()), GOOD),
    ];
    for (how, reason) in cases {
        for spare_first in [true, false] {
            let mut bench = Bench::new();
            let (spare, initiator) = bench.pair(&key_pair(7));
            let (one, other) = if spare_first {
                (spare, initiator)
            } else {
                (initiator, spare)
            };
            // What was sent before the close arrives before it.
            bench.offer(one, Message::Text("last words")).unwrap();
            bench.relay.closed(at(bench.now), one, how.clone());
            bench.pump();
            assert_eq!(bench.got(other), ["last words"]);
            assert_eq!(bench.closed_with(other), Some(reason));
            assert_eq!(bench.closed_with(one), None);
            assert_eq!(bench.ended(other), Some(Why::Partner.at(Step::Connected)));
            assert_eq!(
                bench.ended(one),
                Some(Why::from_close(how.clone()).at(Step::Connected))
            );
            assert_eq!(bench.relay.stats().connections, 1);
            bench.close(other, reason);
            assert_eq!(bench.relay.stats().connections, 0);
            assert_eq!(bench.relay.deadline(), None);
        }
    }
}

// ---------------------------------------------------------------- time limits

#[test]
fn each_step_has_its_time_limit() {
    let key = key_pair(7);
    // A step that is in time by a microsecond, and one that is not.
    for late in [false, true] {
        let wait = if late {
            limits::STEP
        } else {
            Micros(limits::STEP.0 - 1)
        };
        let expected = late.then_some(FAILED);

        let mut bench = Bench::new();
        let conn = bench.accept();
        bench.pass_by_deadlines(wait);
        assert_eq!(bench.closed_with(conn), expected, "first message");

        let mut bench = Bench::new();
        let conn = bench.accept();
        bench.pass(Micros::secs(9));
        bench.text(conn, &wire::register(&key.public()));
        bench.pass_by_deadlines(wait);
        assert_eq!(bench.closed_with(conn), expected, "authentication response");

        // Handover: the request does not leave for the spare's socket.
        let mut bench = Bench::new();
        let spare = bench.spare(&key);
        bench.slow.insert(spare);
        let initiator = bench.accept();
        bench.pass(Micros::secs(9));
        bench.text(initiator, &request(&key));
        bench.pass_by_deadlines(wait);
        assert_eq!(bench.closed_with(initiator), expected, "handover");
        assert_eq!(bench.closed_with(spare), expected, "handover, the spare");
    }
}

#[test]
fn a_pair_with_nothing_moving_is_closed_and_any_message_counts_as_moving() {
    let mut bench = Bench::new();
    let (spare, initiator) = bench.pair(&key_pair(7));
    for sender in [spare, initiator, spare] {
        bench.pass_by_deadlines(Micros::secs(59));
        bench.binary(sender, &[]);
    }
    bench.pass_by_deadlines(Micros(59_999_999));
    assert_eq!(bench.closes.len(), 0);
    bench.pass_by_deadlines(Micros(1));
    assert_eq!(bench.closed_with(spare), Some(GOOD));
    assert_eq!(bench.closed_with(initiator), Some(GOOD));
    assert_eq!(
        bench.ended(initiator),
        Some(Why::Timeout.at(Step::Connected))
    );
}

#[test]
fn who_does_not_close_is_forgotten() {
    let mut bench = Bench::new();
    let conn = bench.accept();
    bench.text(conn, "rubbish");
    assert_eq!(bench.relay.stats().ending, 1);
    // Whatever still comes is dropped.
    bench.text(conn, &request(&key_pair(7)));
    bench.relay.drained(at(bench.now), conn);
    bench.pass_by_deadlines(limits::CLOSE);
    assert_eq!(bench.relay.stats().connections, 0);
    bench.close(conn, "");
    bench.text(conn, "harmless");
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn the_end_of_time_is_no_loop() {
    let mut bench = Bench::new();
    bench.spare(&key_pair(7));
    bench.now = Micros(u64::MAX);
    bench.relay.tick(at(bench.now));
    bench.accept();
    bench.pump();
    bench.relay.tick(at(Micros(5)));
    assert_eq!(bench.relay.deadline(), None);
}

// ---------------------------------------------------------------- limits

fn limited(what: &str, fault: Option<Fault>) {
    match fault.map(|fault| fault.why) {
        Some(Why::Limit { what: named, .. }) => assert!(named.contains(what), "{named}"),
        other => panic!("{other:?} is no limit of {what}"),
    }
}

#[test]
fn the_messages_of_each_layer_have_a_longest_length() {
    let mut bench = Bench::new();
    let conn = bench.accept();
    bench.text(
        conn,
        &format!("{}{}", " ".repeat(limits::CONTROL), request(&key_pair(7))),
    );
    limited("control message", bench.ended(conn));

    let (spare, initiator) = bench.pair(&key_pair(7));
    bench.binary(initiator, &vec![1; limits::RELAY_MESSAGE]);
    assert_eq!(bench.got_raw(spare).len(), 1);
    bench.binary(initiator, &vec![1; limits::RELAY_MESSAGE + 1]);
    limited("relayed message", bench.ended(initiator));
    assert_eq!(bench.closed_with(spare), Some(GOOD));
    assert_eq!(bench.closed_with(initiator), Some(GOOD));
}

#[test]
fn what_is_held_for_a_waiting_initiator_is_bounded() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.binary(
        initiator,
        &vec![0; limits::RELAY_HELD - limits::RELAY_PER_MESSAGE],
    );
    assert_eq!(bench.closed_with(initiator), None);
    assert_eq!(bench.relay.stats().held, limits::RELAY_HELD);
    bench.binary(initiator, &[]);
    limited("before the relaying began", bench.ended(initiator));
    assert_eq!(bench.closed_with(initiator), Some(FAILED));
    assert_eq!(bench.relay.stats().held, 0);
    bench.text(spare, PONG);
    assert_eq!(bench.relay.stats().spares, 1, "the spare is spare again");
}

#[test]
fn spares_are_bounded_for_each_key_and_in_all() {
    let mut config = RelayConfig::default();
    (config.spares_per_key, config.spares) = (2, 3);
    let mut bench = Bench::<Nacl>::with(config);
    let register = |bench: &mut Bench<Nacl>, n: u8| {
        let conn = bench.accept();
        bench.text(conn, &wire::register(&key_pair(n).public()));
        conn
    };
    bench.spare(&key_pair(7));
    bench.spare(&key_pair(7));
    let third = register(&mut bench, 7);
    limited("one key", bench.ended(third));
    // Others may answer their challenge first: it is looked at again then.
    let early = register(&mut bench, 8);
    let asked = bench.got(early);
    bench.spare(&key_pair(9));
    let asked = wire::read_authentication_request(&asked[0]).unwrap();
    let pair = key_pair(8).before::<Nacl, _>(&asked.relay_key).unwrap();
    let challenge = crypto::open::<64>(&pair, &asked.challenge).unwrap();
    let answer = crypto::inverted(&challenge);
    let answer = crypto::seal(&pair, &mut Random::new([1; 32]), answer.expose());
    bench.text(early, &wire::authentication_response(&answer));
    limited("in all", bench.ended(early));
    let fourth = register(&mut bench, 10);
    limited("in all", bench.ended(fourth));
}

#[test]
fn pending_challenges_are_bounded() {
    let mut config = RelayConfig::default();
    config.challenges = 2;
    let mut bench = Bench::<Nacl>::with(config);
    let conns: Vec<ConnId> = (0..3).map(|_| bench.accept()).collect();
    for conn in &conns {
        bench.text(*conn, &wire::register(&key_pair(7).public()));
    }
    limited("challenges", bench.ended(conns[2]));
    assert_eq!(bench.closes.len(), 1);
    bench.close(conns[0], "");
    bench.spare(&key_pair(7));
}

#[test]
fn connections_are_bounded_in_all_and_for_each_address() {
    let mut config = RelayConfig::default();
    (config.connections, config.connections_per_address) = (3, 2);
    let mut bench = Bench::<Nacl>::with(config);
    let from = |last: u8| Source::from(IpAddr::from([10, 0, 0, last]));
    let now = at(bench.now);
    let one = bench.relay.accept(now, from(1)).unwrap();
    assert!(bench.relay.accept(now, from(1)).is_some());
    assert!(bench.relay.accept(now, from(1)).is_none());
    assert!(bench.relay.accept(now, from(2)).is_some());
    assert!(bench.relay.accept(now, Source::Unknown).is_none());
    let stats = bench.relay.stats();
    assert_eq!((stats.refused_address, stats.refused_connections), (1, 1));
    bench.close(one, "");
    assert!(bench.relay.accept(now, from(1)).is_some());
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let mut config = RelayConfig::default();
    config.connections_per_address = 1;
    let mut bench = Bench::<Nacl>::with(config);
    let from = |net: u16, host: u16| {
        Source::from(IpAddr::from(Ipv6Addr::new(
            0x2001, 0xdb8, 0, net, 1, 2, 3, host,
        )))
    };
    let now = at(bench.now);
    assert!(bench.relay.accept(now, from(1, 1)).is_some());
    assert!(bench.relay.accept(now, from(1, 2)).is_none());
    assert!(bench.relay.accept(now, from(2, 1)).is_some());
}

#[test]
fn new_connections_from_one_address_come_in_a_burst_and_then_at_a_rate() {
    let mut config = RelayConfig::default();
    (config.burst, config.rate, config.addresses) = (3, Micros::secs(1), 2);
    let mut bench = Bench::<Nacl>::with(config);
    let from = |last: u8| Source::from(IpAddr::from([10, 0, 0, last]));
    let take = |bench: &mut Bench<Nacl>, last| {
        let conn = bench.relay.accept(at(bench.now), from(last));
        conn.inspect(|conn| bench.close(*conn, "")).is_some()
    };
    let taken = (0..5).filter(|_| take(&mut bench, 1)).count();
    assert_eq!(taken, 3);
    assert!(take(&mut bench, 2), "others are not concerned");
    assert!(
        !take(&mut bench, 3),
        "as many addresses as are kept count of"
    );
    assert_eq!(bench.relay.stats().refused_addresses, 1);
    bench.pass(Micros(999_999));
    assert!(!take(&mut bench, 1));
    bench.pass(Micros(1));
    assert!(take(&mut bench, 1));
    assert!(!take(&mut bench, 1));
    assert_eq!(bench.relay.stats().refused_rate, 4);
    bench.pass(Micros::secs(10));
    assert!(take(&mut bench, 3), "what makes no difference is forgotten");
    assert_eq!(bench.relay.stats().addresses, 1);
}

#[test]
fn a_driver_that_does_not_poll_is_answered_full_and_told_when_to_go_on() {
    let mut config = RelayConfig::default();
    config.effects = 8;
    let mut bench = Bench::<Nacl>::with(config);
    let (spare, initiator) = bench.pair(&key_pair(7));
    let mut taken = 0;
    let full = loop {
        let before = bench.relay.clone();
        if bench.offer(initiator, Message::Text("more")).is_err() {
            break before;
        }
        taken += 1;
    };
    assert_eq!(taken, 8);
    assert_eq!(bench.offer(spare, Message::Text("more")), Err(Full));
    assert_eq!(full.stats().messages, bench.relay.stats().messages);
    assert_eq!(bench.relay.accept(at(bench.now), Source::Unknown), None);
    assert_eq!(bench.relay.stats().refused_effects, 1);
    bench.pump();
    assert_eq!(bench.resumed, [spare, initiator]);
    bench.text(initiator, "more");
    assert_eq!(bench.got(spare).len(), 9);
}

// ---------------------------------------------------------------- back-pressure

const CHUNK: usize = 16 * 1024;

#[test]
fn a_slow_reader_stops_its_partner_alone_and_memory_stays_bounded() {
    // A window that is smaller than the backlog: it takes several to catch up.
    const WINDOW: usize = 64 * 1024;
    let mut config = RelayConfig::default();
    config.window = WINDOW;
    let mut bench = Bench::<Nacl>::with(config);
    let (slow, fast) = bench.pair(&key_pair(7));
    let (other, another) = bench.pair(&key_pair(8));
    bench.slow.insert(slow);
    let mut taken = 0;
    while bench
        .offer(fast, Message::Binary(&[taken as u8; CHUNK]))
        .is_ok()
    {
        bench.pump();
        taken += 1;
        assert!(taken < 1000, "no bound");
    }
    assert!(bench.paused.contains(&fast));
    assert!(bench.undrained[&slow] <= WINDOW);
    assert!(bench.relay.stats().held <= limits::RELAY_BACKLOG);
    assert!(taken * CHUNK <= WINDOW + limits::RELAY_BACKLOG);
    assert!(taken * CHUNK >= WINDOW + limits::RELAY_BACKLOG - 3 * CHUNK);
    // `Full` again and again changes nothing.
    let held = bench.relay.stats().held;
    assert_eq!(bench.offer(fast, Message::Binary(&[0; CHUNK])), Err(Full));
    assert_eq!(bench.relay.stats().held, held);

    // The way back is open, and so is everybody else's.
    for n in 0..100 {
        bench.binary(slow, &[n; CHUNK]);
        bench.binary(other, &[n; CHUNK]);
        bench.binary(another, &[n; CHUNK]);
    }
    assert_eq!(bench.got_raw(fast).len(), 100);
    assert_eq!(bench.got_raw(other).len(), 100);
    assert_eq!(bench.got_raw(another).len(), 100);
    assert_eq!(bench.paused, BTreeSet::from([fast]));

    // It catches up: all in order, and the sender goes on.
    while !bench.resumed.contains(&fast) {
        bench.drain(slow);
        bench.poll();
        assert!(bench.undrained[&slow] <= WINDOW);
        assert_eq!(bench.resumed.contains(&fast), bench.relay.stats().held == 0);
    }
    bench.drain(slow);
    bench.binary(fast, &[taken as u8; CHUNK]);
    let got: Vec<u8> = bench
        .got_raw(slow)
        .iter()
        .map(|(_, bytes)| bytes[0])
        .collect();
    let sent: Vec<u8> = (0..=taken).map(|n| n as u8).collect();
    assert_eq!(got, sent);
    assert!(bench.paused.is_empty());
    assert_eq!(bench.relay.stats().held, 0);
}

#[test]
fn a_small_message_does_not_overtake_a_big_one_that_is_held() {
    let mut bench = Bench::new();
    let (slow, fast) = bench.pair(&key_pair(7));
    bench.slow.insert(slow);
    for length in [200_000, 100_000, 1] {
        bench.binary(fast, &vec![0; length]);
    }
    bench.slow.clear();
    bench.pump();
    let lengths: Vec<usize> = bench
        .got_raw(slow)
        .iter()
        .map(|(_, bytes)| bytes.len())
        .collect();
    assert_eq!(lengths, [200_000, 100_000, 1]);
}

#[test]
fn empty_messages_are_bounded_too() {
    let mut bench = Bench::new();
    let (slow, fast) = bench.pair(&key_pair(7));
    bench.slow.insert(slow);
    let mut taken = 0;
    while bench.offer(fast, Message::Binary(&[])).is_ok() {
        bench.poll();
        taken += 1;
        assert!(taken < 100_000, "no bound");
    }
    assert!(taken * limits::RELAY_PER_MESSAGE <= limits::WINDOW + limits::RELAY_BACKLOG);
}

#[test]
fn what_is_held_for_a_slow_reader_reaches_it_before_the_close() {
    for reads_again in [true, false] {
        let mut bench = Bench::new();
        let (slow, fast) = bench.pair(&key_pair(7));
        bench.slow.insert(slow);
        let mut taken = 0;
        while bench.offer(fast, Message::Binary(&[0; CHUNK])).is_ok() {
            bench.pump();
            taken += 1;
        }
        bench.close(fast, "Close called: done");
        assert_eq!(bench.closed_with(slow), None);
        assert_eq!(bench.ended(slow), Some(Why::Partner.at(Step::Connected)));
        if reads_again {
            bench.slow.clear();
            bench.pump();
            assert_eq!(bench.got_raw(slow).len(), taken);
            assert_eq!(bench.closed_with(slow), Some("Close called: done"));
        } else {
            bench.pass_by_deadlines(limits::STEP);
            assert_eq!(bench.closed_with(slow), Some("Close called: done"));
            assert_eq!(bench.relay.stats().held, 0);
        }
    }
}

#[test]
fn a_paused_connection_whose_partner_goes_is_resumed() {
    let mut bench = Bench::new();
    let (slow, fast) = bench.pair(&key_pair(7));
    bench.slow.insert(slow);
    while !bench.paused.contains(&fast) {
        bench.offer(fast, Message::Binary(&[0; CHUNK])).unwrap();
        bench.pump();
    }
    bench.lose(slow);
    assert_eq!(bench.resumed, [fast]);
    assert_eq!(bench.closed_with(fast), Some(GOOD));
}

#[test]
fn in_the_steady_state_the_same_few_buffers_go_round() {
    let mut bench = Bench::new();
    let (spare, initiator) = bench.pair(&key_pair(7));
    let mut seen = BTreeSet::new();
    let mut buffer = Vec::with_capacity(4096);
    // Whatever were freed would be given away to these.
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    for n in 0..200_u32 {
        let (from, to) = if n % 2 == 0 {
            (spare, initiator)
        } else {
            (initiator, spare)
        };
        bench
            .relay
            .message(at(bench.now), from, Message::Binary(&[7; 4096]))
            .unwrap();
        let effect = bench.relay.poll(&mut buffer).unwrap();
        assert_eq!(
            effect,
            Effect::Send {
                conn: to,
                kind: Kind::Binary
            }
        );
        assert_eq!(bench.relay.poll(&mut buffer), None);
        bench.relay.drained(at(bench.now), to);
        hoard.extend((0..4).map(|_| Vec::with_capacity(4096)));
        if n >= 10 {
            seen.insert((buffer.as_ptr(), buffer.capacity()));
        }
    }
    assert!(seen.len() <= 4, "{} buffers", seen.len());
}

// ---------------------------------------------------------------- shutdown, reports

#[test]
fn a_shutdown_tells_everybody_and_takes_nobody() {
    let mut bench = Bench::new();
    let silent = bench.accept();
    let challenged = bench.accept();
    bench.text(challenged, &wire::register(&key_pair(9).public()));
    let spare = bench.spare(&key_pair(8));
    let (one, other) = bench.pair(&key_pair(7));
    bench.pass(Micros::secs(5));
    bench.relay.shutdown(at(bench.now));
    bench.pump();
    for conn in [silent, challenged, spare, one, other] {
        assert_eq!(bench.closed_with(conn), Some(GOOD));
        assert_eq!(bench.ended(conn).unwrap().why, Why::Shutdown);
    }
    assert_eq!(bench.relay.accept(at(bench.now), Source::Unknown), None);
    assert_eq!(bench.relay.stats().refused_shutdown, 1);
    bench.relay.shutdown(at(bench.now));
    for conn in [silent, challenged, spare, one] {
        bench.close(conn, GOOD);
    }
    bench.pass_by_deadlines(limits::CLOSE);
    assert_eq!(bench.relay.stats().connections, 0);
    assert_eq!(bench.relay.deadline(), None);
    assert_eq!(bench.relay.stats().ended, BTreeMap::from([("shutdown", 5)]));
}

#[test]
fn events_and_counters_tell_what_happened() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let (spare, initiator) = bench.pair(&key);
    let source = PublicKey::new([0xab; 32]);
    assert_eq!(
        bench.events,
        [
            RelayEvent::Registered {
                conn: spare,
                key: key.public()
            },
            RelayEvent::HandedOver {
                spare,
                initiator,
                source,
                target: key.public()
            }
        ]
    );
    bench.binary(initiator, &[0; 72]);
    bench.close(initiator, "");
    let stats = bench.relay.stats();
    assert_eq!(
        (
            stats.accepted,
            stats.gone,
            stats.registered,
            stats.handed_over
        ),
        (2, 1, 1, 1)
    );
    assert_eq!((stats.messages, stats.bytes), (2, READY.len() as u64 + 72));
    assert_eq!(
        stats.ended,
        BTreeMap::from([("closed_by_peer", 1), ("partner_gone", 1)])
    );
}

#[test]
fn notes_name_every_message_when_they_are_wanted() {
    let mut config = RelayConfig::default();
    config.notes = true;
    let mut bench = Bench::<Nacl>::with(config);
    let (spare, initiator) = bench.pair(&key_pair(7));
    bench.binary(initiator, &[0; 72]);
    bench.text(spare, "x");
    let notes: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            RelayEvent::Note { conn, note } => Some((*conn, note.sent, note.layer, note.name)),
            _ => None,
        })
        .collect();
    let (s, i) = (spare, initiator);
    assert_eq!(
        notes,
        [
            (s, false, Layer::Relay, "register"),
            (s, true, Layer::Relay, "authentication_request"),
            (s, false, Layer::Relay, "authentication_response"),
            (s, true, Layer::Relay, "authentication_success"),
            (i, false, Layer::Relay, "communication_request"),
            (s, true, Layer::Relay, "connection_handover"),
            (s, true, Layer::Relay, "communication_request"),
            (s, false, Layer::Relayed, "text"),
            (i, true, Layer::Relayed, "text"),
            (i, false, Layer::Relayed, "binary"),
            (s, true, Layer::Relayed, "binary"),
            (s, false, Layer::Relayed, "text"),
            (i, true, Layer::Relayed, "text"),
        ]
    );
}

#[test]
fn debug_shows_no_message_and_no_secret() {
    let mut bench = Bench::new();
    let (_, initiator) = bench.pair(&key_pair(7));
    bench
        .offer(initiator, Message::Text("for their eyes only"))
        .unwrap();
    let shown = format!("{:?}", bench.relay);
    assert!(
        !shown.contains("for their eyes") && !shown.contains("102, 111, 114"),
        "{shown}"
    );
}

// ---------------------------------------------------------------- two routes into one state

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn two_routes_into_one_state_are_equal() {
    let key = key_pair(7);
    let end = |bench: &mut Bench<Nacl>| {
        let (spare, initiator) = bench.pair(&key);
        let waiting = bench.spare(&key);
        let last = bench.accept();
        bench.pass(Micros::secs(2));
        bench.binary(initiator, &[1]);
        (spare, waiting, last)
    };
    let mut straight = Bench::new();
    end(&mut straight);
    // The other route has a past: other ids, other times, other counters.
    let mut winding = Bench::new();
    let gone = winding.spare(&key_pair(3));
    winding.pass(Micros::secs(25));
    winding.lose(gone);
    let refused = winding.accept();
    winding.text(refused, "rubbish");
    winding.close(refused, "");
    let (_, _, last) = end(&mut winding);
    assert_ne!(straight.relay.stats(), winding.relay.stats());
    assert!(straight.relay == winding.relay);
    assert_eq!(hash_of(&straight.relay), hash_of(&winding.relay));
    // What behaves differently is different: a microsecond, an answer, an effect that waits.
    let mut later = winding.relay.clone();
    later.tick(at(winding.now + Micros(1)));
    assert!(straight.relay != later);
    let mut more = winding.relay.clone();
    more.message(at(winding.now), last, Message::Text("rubbish"))
        .unwrap();
    assert!(straight.relay != more);
}

// ---------------------------------------------------------------- the listener's side

fn spare_listener(key: &KeyPair<Instance>) -> Registration<Nacl> {
    let mut listener = challenged_listener(key);
    let success = wire::authentication_success(25_000);
    listener
        .message(at(Micros::ZERO), Message::Text(&success))
        .unwrap();
    while listener.poll(&mut Vec::new()).is_some() {}
    assert!(listener.is_spare());
    listener
}

/// One that has answered its challenge.
fn challenged_listener(key: &KeyPair<Instance>) -> Registration<Nacl> {
    let random = Random::new([5; 32]);
    let mut listener =
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, false);
    let asked = challenge_for(key);
    listener
        .message(at(Micros::ZERO), Message::Text(&asked))
        .unwrap();
    while listener.poll(&mut Vec::new()).is_some() {}
    listener
}

fn challenge_for(key: &KeyPair<Instance>) -> String {
    let mut random = Random::new([6; 32]);
    let relay = KeyPair::<crypto::Relay>::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let pair = relay.before::<Nacl, _>(&key.public()).unwrap();
    let challenge = crypto::seal(&pair, &mut random, &[9; 64]);
    let relay_key = relay.public();
    wire::authentication_request(&wire::AuthenticationRequest {
        relay_key,
        challenge,
    })
}

fn fault_of(mut listener: Registration<Nacl>) -> Option<Fault> {
    let mut fault = None;
    while let Some(output) = listener.poll(&mut Vec::new()) {
        assert_eq!(fault, None, "nothing comes behind a fault");
        if let Output::Fault(found) = output {
            fault = Some(found);
        }
    }
    if fault.is_some() {
        assert_eq!(listener.deadline(), None);
        listener
            .message(at(Micros::ZERO), Message::Text(PING))
            .unwrap();
        listener.tick(at(Micros::secs(1000)));
        assert_eq!(listener.poll(&mut Vec::new()), None);
        assert_eq!(
            fault.as_ref().map(|fault| fault.step),
            Some(listener.step())
        );
        assert!(listener.into_handed_over().is_none());
    }
    fault
}

#[test]
fn the_listener_refuses_what_is_not_due() {
    let key = key_pair(7);
    let fresh = || {
        let random = Random::new([5; 32]);
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, false)
    };
    let told = |mut listener: Registration<Nacl>, text: &str| {
        listener
            .message(at(Micros::ZERO), Message::Text(text))
            .unwrap();
        fault_of(listener)
    };
    let good = challenge_for(&key);
    let relay_key = "\"publicKey\":\"";
    let start = good.find(relay_key).unwrap() + relay_key.len();
    let small_order = format!(
        "{}{}{}",
        &good[..start],
        "0".repeat(64),
        &good[start + 64..]
    );
    assert_eq!(
        told(fresh(), &small_order),
        Some(Why::SmallOrder.at(Step::Register))
    );
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'0' { b'1' } else { b'0' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(
        told(fresh(), &forged),
        Some(Why::Challenge.at(Step::Register))
    );
    // 72 bytes, as a handshake's key message has: refused unopened.
    let short = format!("{}\"}}", &good[..good.len() - 2 - 64]);
    let member = JsonFault::Member {
        member: "challenge",
        expected: "208 hex digits",
    };
    assert_eq!(
        told(fresh(), &short),
        Some(Why::Json { fault: member }.at(Step::Register))
    );
    assert_eq!(told(fresh(), PING).unwrap().step, Step::Register);

    for interval in ["0", "3600001", "-1", "1.5", "\"25000\"", "null"] {
        let success =
            format!(r#"{{"command":"authentication_success","pingInterval":{interval}}}"#);
        let fault = told(challenged_listener(&key), &success);
        assert_eq!(
            fault,
            Some(Why::PingInterval.at(Step::Register)),
            "{interval}"
        );
    }
    assert_eq!(
        told(challenged_listener(&key), &good).unwrap().step,
        Step::Register
    );

    let request = request(&key);
    for wrong in [request.as_str(), PONG, "rubbish", good.as_str()] {
        assert_eq!(
            told(spare_listener(&key), wrong).unwrap().step,
            Step::Spare,
            "{wrong}"
        );
    }
    let long = format!("{}{PING}", " ".repeat(limits::CONTROL));
    limited("control message", told(spare_listener(&key), &long));
    let mut listener = spare_listener(&key);
    listener
        .message(at(Micros::ZERO), Message::Binary(&[0; 72]))
        .unwrap();
    let kind = Why::Kind {
        expected: Kind::Text,
    };
    assert_eq!(fault_of(listener), Some(kind.at(Step::Spare)));
}

#[test]
fn the_listener_answers_pings_in_kind() {
    let mut listener = spare_listener(&key_pair(7));
    for (asked, answer) in [
        (PING, PONG),
        (r#"{"command":"comm_ping"}"#, r#"{"command":"comm_pong"}"#),
    ] {
        listener
            .message(at(Micros::ZERO), Message::Text(asked))
            .unwrap();
        let mut bytes = b"old".to_vec();
        assert_eq!(listener.poll(&mut bytes), Some(Output::Send(Kind::Text)));
        assert_eq!(bytes, answer.as_bytes());
        assert_eq!(listener.poll(&mut bytes), None);
    }
}

#[test]
fn the_listener_bounds_what_waits_to_be_polled() {
    let mut listener = spare_listener(&key_pair(7));
    let mut taken = 0;
    while listener
        .message(at(Micros::ZERO), Message::Text(PING))
        .is_ok()
    {
        taken += 1;
        assert!(taken < 100, "no bound");
    }
    let before = listener.clone();
    let handover = Message::Text(HANDOVER);
    assert_eq!(
        listener.message(at(Micros::ZERO), handover),
        Err(NotTaken::Full)
    );
    assert_eq!(listener, before);
    assert!(listener.poll(&mut Vec::new()).is_some());
    assert_eq!(listener.message(at(Micros::ZERO), handover), Ok(()));
}

#[test]
fn the_listener_gives_up_when_an_answer_or_a_ping_is_missing() {
    let key = key_pair(7);
    let random = Random::new([5; 32]);
    let silent =
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, false);
    let register = Why::Timeout.at(Step::Register);
    let no_ping = Why::NoPing.at(Step::Spare);
    let cases = [
        (silent, limits::STEP, Alarm::StepLimit, register.clone()),
        (
            challenged_listener(&key),
            limits::STEP,
            Alarm::StepLimit,
            register,
        ),
        (
            spare_listener(&key),
            Micros::secs(29),
            Alarm::PingLimit,
            no_ping,
        ),
    ];
    for (mut listener, limit, why, fault) in cases {
        assert_eq!(listener.deadline(), Some(Deadline { at: limit, why }));
        while listener.poll(&mut Vec::new()).is_some() {}
        listener.tick(at(Micros(limit.0 - 1)));
        assert_eq!(listener.poll(&mut Vec::new()), None);
        let mut in_time = listener.clone();
        listener.tick(at(limit));
        assert_eq!(fault_of(listener), Some(fault));
        if why == Alarm::PingLimit {
            // At the very limit is in time, and the limit counts from there; a comm_ping is no ping.
            in_time.message(at(limit), Message::Text(PING)).unwrap();
            in_time
                .message(at(limit), Message::Text(r#"{"command":"comm_ping"}"#))
                .unwrap();
            assert_eq!(
                in_time.deadline(),
                Some(Deadline {
                    at: limit + limit,
                    why
                })
            );
        }
    }
}

#[test]
fn the_listener_names_what_passes_when_asked() {
    let key = key_pair(7);
    let random = Random::new([5; 32]);
    let mut listener =
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, true);
    let success = wire::authentication_success(25_000);
    for text in [challenge_for(&key).as_str(), &success, PING, HANDOVER] {
        listener
            .message(at(Micros::ZERO), Message::Text(text))
            .unwrap();
    }
    let mut names = Vec::new();
    while let Some(output) = listener.poll(&mut Vec::new()) {
        if let Output::Note(note) = output {
            assert_eq!((note.layer, note.nonce), (Layer::Relay, None));
            names.push((note.sent, note.name));
        }
    }
    assert_eq!(
        names,
        [
            (true, "register"),
            (false, "authentication_request"),
            (true, "authentication_response"),
            (false, "authentication_success"),
            (false, "ping"),
            (true, "pong"),
            (false, "connection_handover"),
        ]
    );
}

#[test]
fn listeners_at_different_times_compare_by_what_is_left() {
    let key = key_pair(7);
    let start = |from: Micros| {
        let random = Random::new([5; 32]);
        Registration::<Nacl>::new(at(from), key.clone(), random, limits::STEP, false)
    };
    let (mut one, mut two) = (start(Micros::ZERO), start(Micros::secs(50)));
    assert_eq!(one, two);
    assert_eq!(hash_of(&one), hash_of(&two));
    one.tick(at(Micros::secs(1)));
    assert_ne!(one, two);
    two.tick(at(Micros::secs(51)));
    assert_eq!(one, two);
}

// ---------------------------------------------------------------- arbitrary input

/// What may happen to a relay. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Input {
    /// A connection that says nothing yet, from one of some addresses.
    Accept(u8),
    /// A listener that registers in due form, as far as the relay lets it.
    Spare(u8),
    /// An initiator that asks for a key.
    Initiate(u8),
    /// Any connection says what may be right or wrong at its point.
    Say(usize, Saying),
    Close(usize),
    Drained(usize),
    Poll(usize),
    Tick(u64),
    ToDeadline,
    Shutdown,
}

#[derive(Clone, Debug)]
enum Saying {
    Register(u8),
    Request(u8),
    Pong,
    Text(String),
    Binary(usize),
    Garbled(usize, u8),
}

fn input() -> impl Strategy<Value = Input> {
    let conn = || 0..16_usize;
    let saying = prop_oneof![
        1 => (0..3_u8).prop_map(Saying::Register),
        1 => (0..3_u8).prop_map(Saying::Request),
        6 => Just(Saying::Pong),
        2 => ".{0,20}".prop_map(Saying::Text),
        20 => (0..2_800_usize).prop_map(Saying::Binary),
        1 => Just(Saying::Binary(2_801)),
        1 => (0..200_usize, any::<u8>()).prop_map(|(n, b)| Saying::Garbled(n, b)),
    ];
    prop_oneof![
        20 => (0..4_u8).prop_map(Input::Accept),
        50 => (0..3_u8).prop_map(Input::Spare),
        50 => (0..3_u8).prop_map(Input::Initiate),
        150 => (conn(), saying).prop_map(|(conn, saying)| Input::Say(conn, saying)),
        20 => conn().prop_map(Input::Close),
        100 => conn().prop_map(Input::Drained),
        50 => (1..30_usize).prop_map(Input::Poll),
        20 => (0..2_000_000_u64).prop_map(Input::Tick),
        2 => (0..90_000_000_u64).prop_map(Input::Tick),
        40 => Just(Input::ToDeadline),
        1 => Just(Input::Shutdown),
    ]
}

/// A relay with small limits, and what its driver must have seen.
struct Sound {
    relay: Relay<Nacl>,
    now: Micros,
    conns: Vec<ConnId>,
    challenges: BTreeMap<ConnId, String>,
    closed: BTreeSet<ConnId>,
    ended: BTreeSet<ConnId>,
    outstanding: BTreeMap<ConnId, usize>,
}

impl Sound {
    const WINDOW: usize = 4_000;
    const BACKLOG: usize = 9_000;
    const HELD: usize = 3_000;
    const MESSAGE: usize = 2_800;
    const CONNECTIONS: usize = 14;
    const EFFECTS: usize = 24;

    fn new() -> Self {
        let mut config = RelayConfig::default();
        config.effects = Self::EFFECTS;
        config.window = Self::WINDOW;
        config.backlog = Self::BACKLOG;
        config.message = Self::MESSAGE;
        config.held = Self::HELD;
        config.spares_per_key = 2;
        config.spares = 4;
        config.challenges = 3;
        config.connections = Self::CONNECTIONS;
        config.connections_per_address = 4;
        config.burst = 6;
        Self {
            relay: Relay::new(config, [1; 32], at(Micros::ZERO)),
            now: Micros::ZERO,
            conns: Vec::new(),
            challenges: BTreeMap::new(),
            closed: BTreeSet::new(),
            ended: BTreeSet::new(),
            outstanding: BTreeMap::new(),
        }
    }

    /// One that is there, or was, or never was.
    fn conn(&self, n: usize) -> ConnId {
        let newest = self.conns.len().checked_sub(n + 1);
        newest
            .and_then(|n| self.conns.get(n))
            .copied()
            .unwrap_or(ConnId(77_777))
    }

    fn accept(&mut self, from: Source) -> Option<ConnId> {
        let conn = self.relay.accept(at(self.now), from)?;
        self.conns.push(conn);
        Some(conn)
    }

    fn say(&mut self, conn: ConnId, message: Message<'_>) {
        let before = self.relay.stats();
        if self.relay.message(at(self.now), conn, message).is_err() {
            let mut after = self.relay.stats();
            after.full -= 1;
            assert_eq!(before, after, "Full changes nothing");
        }
    }

    fn text(&mut self, conn: ConnId, text: &str) {
        self.say(conn, Message::Text(text));
    }

    fn poll(&mut self, times: usize) {
        let mut bytes = Vec::new();
        for _ in 0..times {
            let Some(effect) = self.relay.poll(&mut bytes) else {
                break;
            };
            match effect {
                Effect::Send { conn, kind } => {
                    assert!(!self.closed.contains(&conn), "sent behind the close");
                    let text = core::str::from_utf8(&bytes);
                    assert!(kind == Kind::Binary || text.is_ok());
                    let on_its_way = self.outstanding.entry(conn).or_default();
                    *on_its_way += bytes.len();
                    // Control messages are few; they do not wait for the window.
                    assert!(*on_its_way <= Self::WINDOW + 1_500);
                    if let Some(text) = text.ok().filter(|t| t.contains("authentication_request")) {
                        self.challenges.insert(conn, text.into());
                    }
                }
                Effect::Close { conn, reason, .. } => {
                    assert!(reason.len() <= 123);
                    assert!(self.closed.insert(conn), "closed twice");
                }
                Effect::Event(RelayEvent::Ended { conn, .. }) => {
                    assert!(self.ended.insert(conn), "ended twice");
                }
                _ => {}
            }
        }
    }

    fn register(&mut self, key: u8) {
        let Some(conn) = self.accept(Source::Unknown) else {
            return;
        };
        let key = key_pair(key + 1);
        self.text(conn, &wire::register(&key.public()));
        self.poll(usize::MAX);
        let Some(text) = self.challenges.remove(&conn) else {
            return;
        };
        let asked = wire::read_authentication_request(&text).unwrap();
        let pair = key.before::<Nacl, _>(&asked.relay_key).unwrap();
        let answer = crypto::inverted(&crypto::open::<64>(&pair, &asked.challenge).unwrap());
        let sealed = crypto::seal(&pair, &mut Random::new([1; 32]), answer.expose());
        self.text(conn, &wire::authentication_response(&sealed));
    }

    fn tick(&mut self, to: Micros) {
        self.now = self.now.max(to);
        self.relay.tick(at(self.now));
        assert!(
            self.relay.deadline().is_none_or(|next| next.at > self.now),
            "it moved on"
        );
    }

    fn put(&mut self, input: Input) {
        match input {
            Input::Accept(0) => drop(self.accept(Source::Unknown)),
            Input::Accept(n) => drop(self.accept(Source::from(IpAddr::from([10, 0, 0, n])))),
            Input::Spare(key) => self.register(key),
            Input::Initiate(key) => {
                if let Some(conn) = self.accept(Source::Unknown) {
                    self.text(conn, &request(&key_pair(key + 1)));
                }
            }
            Input::Say(n, saying) => {
                let conn = self.conn(n);
                match saying {
                    Saying::Register(key) => {
                        self.text(conn, &wire::register(&key_pair(key + 1).public()));
                    }
                    Saying::Request(key) => self.text(conn, &request(&key_pair(key + 1))),
                    Saying::Pong => self.text(conn, PONG),
                    Saying::Text(text) => self.text(conn, &text),
                    Saying::Binary(length) => self.say(conn, Message::Binary(&vec![7; length])),
                    Saying::Garbled(n, byte) => {
                        let mut text = request(&key_pair(1)).into_bytes();
                        let n = n % text.len();
                        text[n] = byte;
                        self.text(conn, &String::from_utf8_lossy(&text));
                    }
                }
            }
            Input::Close(n) => {
                let how = Closed::ByPeer {
                    code: 1000,
                    reason: "x".repeat(200),
                };
                self.relay.closed(at(self.now), self.conn(n), how);
            }
            Input::Drained(n) => {
                let conn = self.conn(n);
                self.outstanding.remove(&conn);
                self.relay.drained(at(self.now), conn);
            }
            Input::Poll(times) => self.poll(times),
            Input::Tick(time) => self.tick(self.now + Micros(time)),
            Input::ToDeadline => {
                if let Some(deadline) = self.relay.deadline() {
                    self.tick(deadline.at);
                }
            }
            Input::Shutdown => self.relay.shutdown(at(self.now)),
        }
    }

    fn check(&self) {
        assert_eq!(self.relay.self_check(), Ok(()));
        let stats = self.relay.stats();
        assert!(stats.connections <= Self::CONNECTIONS);
        let messages = (Self::WINDOW + Self::BACKLOG + Self::HELD) / limits::RELAY_PER_MESSAGE;
        assert!(stats.effects <= Self::EFFECTS + Self::CONNECTIONS * (16 + messages));
        assert!(stats.held <= Self::CONNECTIONS * (Self::HELD + Self::BACKLOG));
        assert!(self.relay == self.relay.clone());
    }

    /// A shutdown ends it all in bounded time, whatever was before.
    fn wind_up(&mut self) {
        self.relay.shutdown(at(self.now));
        self.poll(usize::MAX);
        while let Some(deadline) = self.relay.deadline() {
            self.tick(deadline.at);
            self.poll(usize::MAX);
        }
        self.check();
        let stats = self.relay.stats();
        assert_eq!((stats.connections, stats.held, stats.keys), (0, 0, 0));
        // Each that ended was told of once.
        assert_eq!(self.ended.len() as u64, stats.accepted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever order, polled or not: no panic, tables and counters agree, everything is
    /// bounded, deadlines move, nothing is sent behind a close.
    #[test]
    fn any_inputs_leave_a_relay_sound(inputs in prop::collection::vec(input(), 1..300)) {
        let mut sound = Sound::new();
        for input in inputs {
            sound.put(input);
            sound.check();
        }
        sound.wind_up();
    }

    /// Garbage ends a registration with one fault, or leaves it as it was; nothing panics.
    #[test]
    fn any_texts_leave_a_registration_sound(
        texts in prop::collection::vec(
            prop_oneof![
                Just(PING.to_string()), Just(HANDOVER.to_string()), Just(challenge_for(&key_pair(7))),
                Just(wire::authentication_success(7)), ".{0,40}", "\\{\"command\":\"[a-z_]{0,12}\"\\}",
            ],
            0..20,
        ),
        step in 0..30_000_000_u64,
    ) {
        let mut listener =
            Registration::<Nacl>::new(at(Micros::ZERO), key_pair(7), Random::new([5; 32]), limits::STEP, false);
        let mut now = Micros::ZERO;
        let mut faults = 0;
        let mut count = |listener: &mut Registration<Nacl>| {
            while let Some(output) = listener.poll(&mut Vec::new()) {
                faults += usize::from(matches!(output, Output::Fault(_)));
            }
        };
        for (n, text) in texts.iter().enumerate() {
            let handed_over = listener.step() == Step::Handover;
            let taken = listener.message(at(now), Message::Text(text));
            assert_eq!(taken, if handed_over { Err(NotTaken::HandedOver) } else { Ok(()) });
            if n % 3 == 0 {
                now = now + Micros(step);
                listener.tick(at(now));
                assert!(listener.deadline().is_none_or(|next| next.at > now));
            }
            if n % 2 == 0 {
                count(&mut listener);
            }
        }
        count(&mut listener);
        assert!(faults <= 1);
    }
}

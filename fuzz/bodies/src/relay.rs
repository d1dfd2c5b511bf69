//! A relay with many connections, and one spare connection of a listener against a relay of bad will.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use chumwire::crypto::{self, Instance, KeyPair, PublicKey, Random, Secret, Static, Suite};
use chumwire::handshake::CommunicationRequest;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Output, Source};
use chumwire::limits;
use chumwire::relay::wire::AuthenticationRequest;
use chumwire::relay::{NotTaken, Registration, Relay, RelayConfig, RelayEvent, wire};
use chumwire::step::Step;
use chumwire::time::{Micros, Now};

use crate::said::{Edit, MadeUp, borrowed};

/// What may happen to a relay. Numbers choose among what there is.
#[derive(Arbitrary, Debug)]
pub(crate) enum RelayAction {
    /// A connection that says nothing yet, from one of some addresses.
    Accept(u8),
    /// A listener that registers in due form, as far as the relay lets it.
    Spare(u8),
    /// An initiator that asks for a key.
    Initiate(u8),
    /// Any connection says what may be right or wrong at its point.
    Say(u8, Saying),
    /// A connection is gone.
    Close(u8),
    /// What was sent on a connection has left.
    Drained(u8),
    /// So many effects are polled.
    Poll(u8),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// It is ticked at its deadline.
    Deadline,
    /// Its limits become others.
    Configure(u8, u8),
    /// It is shut down.
    Shutdown,
}

/// What somebody says to a relay.
#[derive(Arbitrary, Debug)]
pub(crate) enum Saying {
    Register(u8),
    Request(u8),
    Pong,
    Altered(u8, Edit),
    Made(MadeUp),
    Long(u16),
}

const WINDOW: usize = 4_000;
const BACKLOG: usize = 9_000;
const HELD: usize = 3_000;
const MESSAGE: usize = 2_800;
const CONNECTIONS: usize = 14;
const EFFECTS: usize = 24;

fn config() -> RelayConfig {
    let mut config = RelayConfig::default();
    config.effects = EFFECTS;
    config.window = WINDOW;
    config.backlog = BACKLOG;
    config.message = MESSAGE;
    config.held = HELD;
    config.spares_per_key = 2;
    config.spares = 4;
    config.challenges = 3;
    config.connections = CONNECTIONS;
    config.connections_per_address = 4;
    config.burst = 6;
    config
}

const fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: chumwire::time::Millis(0),
    }
}

fn key_pair<S: Suite>(n: u8) -> KeyPair<Instance> {
    KeyPair::from_secret::<S>(Secret::take(&mut [n % 3 + 1; 32]))
}

fn request<S: Suite>(n: u8) -> String {
    CommunicationRequest {
        source: PublicKey::<Static>::new([0xab; 32]),
        target: key_pair::<S>(n).public(),
    }
    .text()
}

/// What the driver of a relay has seen.
struct Driver<S: Suite> {
    relay: Relay<S>,
    now: Micros,
    conns: Vec<ConnId>,
    challenges: BTreeMap<ConnId, AuthenticationRequest>,
    closed: BTreeSet<ConnId>,
    ended: BTreeSet<ConnId>,
    outstanding: BTreeMap<ConnId, usize>,
}

impl<S: Suite> Driver<S> {
    /// One that is there, or was, or never was.
    fn conn(&self, n: u8) -> ConnId {
        let newest = self.conns.len().checked_sub(usize::from(n % 18) + 1);
        let newest = newest.and_then(|n| self.conns.get(n));
        newest.copied().unwrap_or(ConnId(77_777))
    }

    fn accept(&mut self, from: Source) -> Option<ConnId> {
        let conn = self.relay.accept(at(self.now), from)?;
        self.conns.push(conn);
        Some(conn)
    }

    fn say(&mut self, conn: ConnId, message: Message<'_>) {
        let before = self.relay.clone();
        if self.relay.message(at(self.now), conn, message).is_err() {
            assert!(before == self.relay, "Full changes nothing");
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
                    let message = Message::of(kind, &bytes).expect("UTF-8");
                    let on_its_way = self.outstanding.entry(conn).or_default();
                    *on_its_way += bytes.len();
                    // Control messages are few; they do not wait for the window.
                    assert!(*on_its_way <= WINDOW + 1_500, "{on_its_way}");
                    if let Message::Text(text) = message
                        && let Ok(asked) = wire::read_authentication_request(text)
                    {
                        self.challenges.insert(conn, asked);
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

    fn register(&mut self, n: u8) {
        let Some(conn) = self.accept(Source::Unknown) else {
            return;
        };
        let key = key_pair::<S>(n);
        self.text(conn, &wire::register(&key.public()));
        self.poll(usize::MAX);
        let Some(asked) = self.challenges.remove(&conn) else {
            return;
        };
        let pair = key.before::<S, _>(&asked.relay_key).expect("a good key");
        let opened = crypto::open::<64>(&pair, &asked.challenge).expect("its own box");
        let answer = crypto::inverted(&opened);
        let sealed = crypto::seal(&pair, &mut Random::new([n; 32]), answer.expose());
        self.text(conn, &wire::authentication_response(&sealed));
    }

    fn tick(&mut self, to: Micros) {
        self.now = self.now.max(to);
        self.relay.tick(at(self.now));
        let next = self.relay.deadline();
        assert!(
            next.is_none_or(|next| next.at > self.now),
            "a tick moves it"
        );
    }

    fn act(&mut self, action: &RelayAction) {
        match action {
            RelayAction::Accept(0) => drop(self.accept(Source::Unknown)),
            RelayAction::Accept(n) => {
                let address = std::net::IpAddr::from([10, 0, 0, n % 4]);
                let _ = self.accept(Source::from(address));
            }
            RelayAction::Spare(key) => self.register(*key),
            RelayAction::Initiate(key) => {
                if let Some(conn) = self.accept(Source::Unknown) {
                    self.text(conn, &request::<S>(*key));
                }
            }
            RelayAction::Say(n, saying) => {
                let conn = self.conn(*n);
                match saying {
                    Saying::Register(key) => {
                        self.text(conn, &wire::register(&key_pair::<S>(*key).public()));
                    }
                    Saying::Request(key) => self.text(conn, &request::<S>(*key)),
                    Saying::Pong => self.text(conn, &wire::pong()),
                    Saying::Altered(key, edit) => {
                        let mut text = request::<S>(*key);
                        edit.apply(&mut text);
                        self.text(conn, &text);
                    }
                    Saying::Made(message) => self.say(conn, borrowed(&message.wire())),
                    Saying::Long(length) => {
                        let bytes = vec![7; usize::from(*length) % (MESSAGE + 2)];
                        self.say(conn, Message::Binary(&bytes));
                    }
                }
            }
            RelayAction::Close(n) => {
                let how = Closed::ByPeer {
                    code: 1000,
                    reason: "x".repeat(200),
                };
                self.relay.closed(at(self.now), self.conn(*n), how);
            }
            RelayAction::Drained(n) => {
                let conn = self.conn(*n);
                self.outstanding.remove(&conn);
                self.relay.drained(at(self.now), conn);
            }
            RelayAction::Poll(times) => self.poll((*times).into()),
            RelayAction::Time(by) => self.tick(self.now + Micros::millis((*by).into())),
            RelayAction::Deadline => {
                if let Some(due) = self.relay.deadline() {
                    self.tick(due.at);
                }
            }
            RelayAction::Configure(what, n) => {
                let mut config = config();
                match what % 4 {
                    0 => config.spares = usize::from(*n) % 4,
                    1 => config.connections = usize::from(*n) % CONNECTIONS,
                    2 => config.idle = Micros::secs((*n).into()),
                    _ => config.ping_interval = Micros::millis((*n).into()),
                }
                self.relay.configure(config);
            }
            RelayAction::Shutdown => self.relay.shutdown(at(self.now)),
        }
    }

    fn check(&self) {
        assert_eq!(self.relay.self_check(), Ok(()));
        let stats = self.relay.stats();
        assert!(stats.connections <= CONNECTIONS);
        let messages = (WINDOW + BACKLOG + HELD) / limits::RELAY_PER_MESSAGE;
        assert!(stats.effects <= EFFECTS + CONNECTIONS * (16 + messages));
        assert!(stats.held <= CONNECTIONS * (HELD + BACKLOG));
    }
}

/// Whatever comes on whatever connection: the tables agree, all is bounded, and a shutdown ends it.
pub(crate) fn relay<S: Suite>(actions: Vec<RelayAction>) {
    let mut driver = Driver::<S> {
        relay: Relay::new(config(), [1; 32], at(Micros::ZERO)),
        now: Micros::ZERO,
        conns: Vec::new(),
        challenges: BTreeMap::new(),
        closed: BTreeSet::new(),
        ended: BTreeSet::new(),
        outstanding: BTreeMap::new(),
    };
    for action in actions.iter().take(200) {
        driver.act(action);
        driver.check();
    }
    driver.relay.shutdown(at(driver.now));
    driver.poll(usize::MAX);
    while let Some(due) = driver.relay.deadline() {
        driver.tick(due.at);
        driver.poll(usize::MAX);
    }
    driver.check();
    let stats = driver.relay.stats();
    assert_eq!((stats.connections, stats.held, stats.keys), (0, 0, 0));
    assert_eq!(
        driver.ended.len() as u64,
        stats.accepted,
        "each end is told once"
    );
}

/// What a relay of bad will does to a listener.
#[derive(Arbitrary, Debug)]
pub(crate) enum ListenerAction {
    /// It goes on in due form.
    Next,
    /// It tells a ping interval.
    Success(u64),
    /// It pings, in one of two ways.
    Ping(bool),
    /// It hands over.
    Handover,
    /// A challenge for another key, or an altered one.
    Challenge(u8, u8, u8),
    /// It says anything.
    Say(MadeUp),
    /// A message of its own, altered.
    Altered(u8, Edit),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// The listener is ticked at its deadline.
    Deadline,
    /// It is polled.
    Poll,
}

fn challenge<S: Suite>(n: u8) -> AuthenticationRequest {
    let own = KeyPair::<crypto::Relay>::from_secret::<S>(Secret::take(&mut [99; 32]));
    let pair = own
        .before::<S, _>(&key_pair::<S>(n).public())
        .expect("a good key");
    AuthenticationRequest {
        relay_key: own.public(),
        challenge: crypto::seal(&pair, &mut Random::new([n; 32]), &[n; 64]),
    }
}

/// A listener's registration ends with one fault at most, and what is not taken changes nothing.
pub(crate) fn registration<S: Suite>((notes, actions): (bool, Vec<ListenerAction>)) {
    use ListenerAction as A;
    let mut now = Micros::ZERO;
    let random = Random::new([5; 32]);
    let mut listener =
        Registration::<S>::new(at(now), key_pair::<S>(0), random, limits::STEP, notes);
    let mut faults = 0;
    for action in actions.iter().take(200) {
        let text = match action {
            A::Next => match listener.step() {
                Step::Register => wire::authentication_request(&challenge::<S>(0)),
                Step::Spare => wire::ping(),
                _ => wire::connection_handover(),
            },
            A::Success(interval) => wire::authentication_success(*interval),
            A::Ping(true) => wire::ping(),
            A::Ping(false) => r#"{"command":"comm_ping"}"#.into(),
            A::Handover => wire::connection_handover(),
            A::Challenge(n, at, by) => {
                let mut asked = challenge::<S>(*n);
                let at = usize::from(*at) % asked.challenge.len();
                asked.challenge[at] ^= by;
                wire::authentication_request(&asked)
            }
            A::Say(message) => {
                offer(&mut listener, now, borrowed(&message.wire()));
                continue;
            }
            A::Altered(n, edit) => {
                let mut text = match n % 4 {
                    0 => wire::authentication_request(&challenge::<S>(0)),
                    1 => wire::authentication_success(7),
                    2 => wire::ping(),
                    _ => wire::connection_handover(),
                };
                edit.apply(&mut text);
                text
            }
            A::Time(by) => {
                now = now + Micros::millis((*by).into());
                listener.tick(at(now));
                continue;
            }
            A::Deadline => {
                now = listener.deadline().map_or(now, |due| due.at.max(now));
                listener.tick(at(now));
                let next = listener.deadline();
                assert!(next.is_none_or(|next| next.at > now), "a tick moves it");
                continue;
            }
            A::Poll => {
                faults += polled(&mut listener);
                assert!(faults == 0 || listener.deadline().is_none());
                continue;
            }
        };
        offer(&mut listener, now, Message::Text(&text));
    }
    faults += polled(&mut listener);
    assert!(faults <= 1, "a fault is told once");
    let handed_over = listener.step() == Step::Handover;
    assert_eq!(
        listener.into_handed_over().is_some(),
        handed_over && faults == 0
    );
}

fn offer<S: Suite>(listener: &mut Registration<S>, now: Micros, message: Message<'_>) {
    let before = listener.clone();
    match listener.message(at(now), message) {
        Err(NotTaken::HandedOver) => {
            assert_eq!(before.step(), Step::Handover);
            assert!(before == *listener, "what is not taken changes nothing");
        }
        Err(NotTaken::Full) => assert!(before == *listener, "Full changes nothing"),
        Ok(()) => {}
    }
}

/// Polls to the end, and counts the faults; none may have anything behind it.
fn polled<S: Suite>(listener: &mut Registration<S>) -> usize {
    let (mut bytes, mut faults) = (Vec::new(), 0);
    while let Some(output) = listener.poll(&mut bytes) {
        assert_eq!(faults, 0, "a fault is the last word");
        match output {
            Output::Fault(_) => faults += 1,
            Output::Send(kind) => assert_eq!(kind, Kind::Text),
            _ => {}
        }
    }
    faults
}

//! A relay with many connections.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use chumwire::crypto::{self, Instance, KeyPair, PublicKey, Random, Secret, Static, Suite};
use chumwire::handshake::CommunicationRequest;
use chumwire::io::{Closed, ConnId, Effect, Machine, Message, Source};
use chumwire::limits;
use chumwire::relay::wire::AuthenticationRequest;
use chumwire::relay::{Relay, RelayConfig, RelayEvent, wire};
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

pub(crate) const fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: chumwire::time::Millis(0),
    }
}

pub(crate) fn key_pair<S: Suite>(n: u8) -> KeyPair<Instance> {
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
        if self.relay.message(at(self.now), conn, message).is_ok() {
            return;
        }
        // It remembers whom to tell to go on, and nothing else; offered again, not even that.
        let mut stats = self.relay.stats();
        stats.full -= 1;
        assert_eq!(before.stats(), stats, "Full changes nothing");
        assert_eq!(before.deadline(), self.relay.deadline());
        let once = self.relay.clone();
        let again = self.relay.message(at(self.now), conn, message);
        assert!(again.is_err() && once == self.relay, "Full changes nothing");
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

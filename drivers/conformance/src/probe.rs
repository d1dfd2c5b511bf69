//! The test machine: a [`Behaviour`] in a shell that reports all inputs as events and watches the driver.
//!
//! What the shell objects to, it reports as [`Seen::Broken`]:
//! - an input for a connection that does not exist, is not open yet, or is gone already;
//! - a message that was answered `Full` and is not the next to be offered, or is offered before a `Resume`;
//! - `drained` although nothing had been sent since the last one;
//! - an answer to a `Store` that was not asked for;
//! - a monotonic clock that goes back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chumwire::io::{
    Closed, ConnId, Effect, Full, Kind, Machine, Message, NotStored, Source, StoreId,
};
use chumwire::time::{Alarm, Deadline, Micros, Now};

/// What happened to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A connection came in and was accepted.
    Accepted(ConnId, Source),
    /// A dialled connection is open.
    Opened(ConnId),
    /// A message was taken. Its content is in the buffer of `poll` as well.
    Message(ConnId, Kind, Vec<u8>),
    /// A message was answered `Full`.
    Refused(ConnId),
    /// All had left.
    Drained(ConnId),
    /// A connection is gone.
    Closed(ConnId, Closed),
    /// The answer to a `Store`.
    Stored(StoreId, Result<(), NotStored>),
    /// A tick, at this time.
    Tick(Now),
    /// The driver broke a rule.
    Broken(String),
}

/// What a test machine does. The defaults accept everything and do nothing.
pub trait Behaviour: Send + 'static {
    /// Before anything else.
    fn start(&mut self, _io: &mut Io) {}
    /// A connection came in; `false` refuses it.
    fn accept(&mut self, _io: &mut Io, _conn: ConnId) -> bool {
        true
    }
    /// A dialled connection is open.
    fn opened(&mut self, _io: &mut Io, _conn: ConnId) {}
    /// A message came.
    ///
    /// # Errors
    /// `Full`, to be offered it again.
    fn message(&mut self, _io: &mut Io, _conn: ConnId, _message: Message<'_>) -> Result<(), Full> {
        Ok(())
    }
    /// All has left.
    fn drained(&mut self, _io: &mut Io, _conn: ConnId) {}
    /// A connection is gone.
    fn closed(&mut self, _io: &mut Io, _conn: ConnId) {}
    /// The time that was asked for has come.
    fn tick(&mut self, _io: &mut Io) {}
}

/// What a behaviour can do.
#[derive(Debug, Default)]
pub struct Io {
    /// When the current input came.
    pub now: Now,
    /// When to tick.
    pub alarm: Option<Micros>,
    last_conn: u64,
    effects: VecDeque<(Effect<Seen, u32>, Vec<u8>)>,
}

impl Io {
    /// Dials.
    pub fn dial(&mut self, url: &str) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.push(Effect::Dial {
            conn,
            url: url.into(),
        });
        conn
    }

    /// Sends.
    pub fn send(&mut self, conn: ConnId, kind: Kind, bytes: &[u8]) {
        self.effects
            .push_back((Effect::Send { conn, kind }, bytes.into()));
    }

    /// Closes.
    pub fn close(&mut self, conn: ConnId, code: u16, reason: &str) {
        self.push(Effect::Close {
            conn,
            code,
            reason: reason.into(),
        });
    }

    /// Stops reading.
    pub fn pause(&mut self, conn: ConnId) {
        self.push(Effect::Pause(conn));
    }

    /// Goes on reading.
    pub fn resume(&mut self, conn: ConnId) {
        self.push(Effect::Resume(conn));
    }

    /// Stores.
    pub fn store(&mut self, id: u64, record: u32) {
        self.push(Effect::Store {
            id: StoreId(id),
            record,
        });
    }

    /// Wants a tick so many milliseconds from now.
    pub fn tick_in(&mut self, millis: u64) {
        self.alarm = Some(self.now.mono + Micros::millis(millis));
    }

    fn push(&mut self, effect: Effect<Seen, u32>) {
        self.effects.push_back((effect, Vec::new()));
    }
}

/// The rules of one connection.
#[derive(Debug, Default)]
struct Rules {
    open: bool,
    /// Sent since the last `drained`.
    sent: bool,
    /// The message that was answered `Full`.
    refused: Option<(Kind, Vec<u8>)>,
    resumed: bool,
}

/// A [`Behaviour`] as a machine.
#[derive(Debug)]
pub struct Probe<B> {
    behaviour: B,
    io: Io,
    conns: BTreeMap<ConnId, Rules>,
    stores: BTreeSet<StoreId>,
}

impl<B: Behaviour> Probe<B> {
    /// The machine of `behaviour`.
    pub fn new(mut behaviour: B) -> Self {
        let mut io = Io::default();
        behaviour.start(&mut io);
        Self {
            behaviour,
            io,
            conns: BTreeMap::new(),
            stores: BTreeSet::new(),
        }
    }

    fn at(&mut self, now: Now) {
        if now.mono < self.io.now.mono {
            self.broken("the monotonic clock went back");
        }
        self.io.now = now;
    }

    fn tell(&mut self, seen: Seen) {
        self.io.push(Effect::Event(seen));
    }

    fn broken(&mut self, why: &str) {
        self.tell(Seen::Broken(why.into()));
    }

    /// The rules of a connection that has to be open.
    fn open(&mut self, conn: ConnId, input: &str) -> Option<&mut Rules> {
        if !self.conns.get(&conn).is_some_and(|rules| rules.open) {
            self.broken(&format!("{input} on connection {conn}, which is not open"));
            return None;
        }
        self.conns.get_mut(&conn)
    }

    /// Whether a message is the one that has to come now.
    fn in_order(rules: &mut Rules, message: &Message<'_>) -> Result<(), &'static str> {
        let Some((kind, bytes)) = &rules.refused else {
            return Ok(());
        };
        if *kind != message.kind() || bytes != message.bytes() {
            return Err("another message was offered than the one answered Full");
        }
        if !rules.resumed {
            return Err("a message was offered again before Resume");
        }
        Ok(())
    }
}

impl<B: Behaviour> Machine for Probe<B> {
    type Event = Seen;
    type Record = u32;
    type Answer = Result<(), NotStored>;

    fn accept(&mut self, now: Now, from: Source) -> Option<ConnId> {
        self.at(now);
        self.io.last_conn += 1;
        let conn = ConnId(self.io.last_conn);
        self.conns.insert(
            conn,
            Rules {
                open: true,
                ..Rules::default()
            },
        );
        if !self.behaviour.accept(&mut self.io, conn) {
            self.conns.remove(&conn);
            return None;
        }
        self.tell(Seen::Accepted(conn, from));
        Some(conn)
    }

    fn opened(&mut self, now: Now, conn: ConnId) {
        self.at(now);
        match self.conns.get_mut(&conn) {
            Some(rules) if !rules.open => rules.open = true,
            _ => return self.broken(&format!("connection {conn} was opened, and nobody dialled")),
        }
        self.tell(Seen::Opened(conn));
        self.behaviour.opened(&mut self.io, conn);
    }

    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.at(now);
        let Some(rules) = self.open(conn, "a message") else {
            return Ok(());
        };
        if let Err(why) = Self::in_order(rules, &message) {
            self.broken(why);
            return Ok(());
        }
        let taken = self.behaviour.message(&mut self.io, conn, message);
        let own = (message.kind(), message.bytes().to_vec());
        let rules = self.conns.entry(conn).or_default();
        rules.resumed = false;
        match taken {
            Ok(()) => {
                rules.refused = None;
                self.tell(Seen::Message(conn, own.0, own.1));
            }
            Err(Full) => {
                rules.refused = Some(own);
                self.tell(Seen::Refused(conn));
            }
        }
        taken
    }

    fn drained(&mut self, now: Now, conn: ConnId) {
        self.at(now);
        let Some(rules) = self.open(conn, "a drain") else {
            return;
        };
        if !std::mem::take(&mut rules.sent) {
            self.broken("drained, and nothing had been sent");
        }
        self.tell(Seen::Drained(conn));
        self.behaviour.drained(&mut self.io, conn);
    }

    fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
        self.at(now);
        match (self.conns.remove(&conn), &how) {
            (None, _) => self.broken(&format!("connection {conn} was closed, and did not exist")),
            (Some(rules), Closed::NotOpened(_)) if rules.open => {
                self.broken("an open connection was said never to have been opened");
            }
            (Some(rules), Closed::ByPeer { .. } | Closed::Lost(_)) if !rules.open => {
                self.broken("a connection that was never open was said to be closed or lost");
            }
            _ => {}
        }
        self.tell(Seen::Closed(conn, how));
        self.behaviour.closed(&mut self.io, conn);
    }

    fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>) {
        self.at(now);
        if !self.stores.remove(&id) {
            self.broken("an answer to a store that nobody wanted");
        }
        self.tell(Seen::Stored(id, result));
    }

    fn tick(&mut self, now: Now) {
        self.at(now);
        if self.io.alarm.is_some_and(|alarm| alarm <= now.mono) {
            self.io.alarm = None;
            self.tell(Seen::Tick(now));
            self.behaviour.tick(&mut self.io);
        }
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<Seen, u32>> {
        let (effect, content) = self.io.effects.pop_front()?;
        match &effect {
            Effect::Send { conn, .. } => {
                bytes.clear();
                bytes.extend_from_slice(&content);
                if let Some(rules) = self.conns.get_mut(conn) {
                    rules.sent = true;
                }
            }
            Effect::Event(Seen::Message(_, _, content)) => bytes.clone_from(content),
            Effect::Dial { conn, .. } => drop(self.conns.insert(*conn, Rules::default())),
            Effect::Resume(conn) => {
                if let Some(rules) = self.conns.get_mut(conn) {
                    rules.resumed = true;
                }
            }
            Effect::Store { id, .. } => drop(self.stores.insert(*id)),
            _ => {}
        }
        Some(effect)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.io.alarm.map(|at| Deadline {
            at,
            why: Alarm::StepLimit,
        })
    }
}

//! A whole relay (CommServer) as one machine over connection ids. Follows spec 02 and the races of spec 07.
//!
//! ```text
//!                 register            answer right         request for its key
//! listener   First ------> Challenged ------------> Spare ---------------------> Handed --> Relayed
//!                                                     ^  \  ping unanswered         ^
//!                                                     |   +-------------> Picked ---+ pong
//!                                                     +---- initiator gone --+
//!                 request                                                  left / answered
//! initiator  First ------> Waiting ---------------------------------------------------> Relayed
//!                             | a spare dies: the next one; none left: NoListener
//!
//! any        --> (Draining -->) Closing --> gone
//! ```
//!
//! The rooms: [`control`] is layer 1, [`pair`] the copying and its back-pressure, [`ending`] how a connection ends
//! and what that means to others, [`clock`] what is due, [`canonical`] when two relays are the same.

mod addresses;
mod canonical;
mod clock;
mod config;
mod connection;
mod control;
mod deadlines;
mod ending;
mod listeners;
mod outbox;
mod pair;
mod report;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::{fmt, mem};

use self::addresses::{Addresses, Refused};
pub use self::config::RelayConfig;
use self::connection::{Connection, State, charge};
use self::deadlines::Deadlines;
use self::listeners::Listeners;
use self::outbox::{Outbox, Queued};
use self::report::count;
pub use self::report::{RelayEvent, RelayStats};
use crate::crypto::{self, KeyPair, PublicKey, Purpose, Random, Suite};
use crate::fault::{CloseReason, Why};
use crate::io::{Closed, ConnId, Effect, Full, Machine, Message, NotStored, Source, StoreId};
use crate::note::{Layer, Note};
use crate::time::{Alarm, Deadline, Micros, Now};

/// A whole relay: it registers listeners, hands their spare connections over to initiators, and copies what the
/// pairs say to each other without looking.
///
/// It is driven as [`Machine`] says. It never dials and never stores. An [`Effect::Close`] may name a connection
/// that the driver has reported as closed already; it is to be ignored then. Two relays compare equal if they
/// behave equally from their latest input on (times count from there, connections by their order).
#[derive(Clone)]
pub struct Relay<S: Suite> {
    config: RelayConfig,
    key: KeyPair<crypto::Relay>,
    random: Random,
    latest: Micros,
    next: u64,
    shutting_down: bool,
    connections: BTreeMap<ConnId, Connection<S>>,
    deadlines: Deadlines,
    listeners: Listeners,
    addresses: Addresses,
    outbox: Outbox,
    /// What is now is kept in step with the tables; see [`Relay::self_check`].
    stats: RelayStats,
}

impl<S: Suite> Relay<S> {
    /// A relay with a new key pair. Draw `seed` from the operating system at each start; never store it.
    #[must_use]
    pub fn new(config: RelayConfig, seed: [u8; 32], now: Now) -> Self {
        Self::with_random(config, Random::new(seed), now)
    }

    /// For replays: a relay that draws its key, its challenges and their nonces from this generator.
    #[must_use]
    pub fn with_random(config: RelayConfig, mut random: Random, now: Now) -> Self {
        Self {
            config,
            key: KeyPair::generate::<S>(&mut random, Purpose::StaticKey),
            random,
            latest: now.mono,
            next: 0,
            shutting_down: false,
            connections: BTreeMap::new(),
            deadlines: Deadlines::default(),
            listeners: Listeners::default(),
            addresses: Addresses::default(),
            outbox: Outbox::default(),
            stats: RelayStats::default(),
        }
    }

    /// The key that listeners see.
    #[must_use]
    pub fn public_key(&self) -> PublicKey<crypto::Relay> {
        self.key.public()
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &RelayConfig {
        &self.config
    }

    /// Replaces the configuration. What is going on stays; bounds and times count from the next use.
    pub fn configure(&mut self, config: RelayConfig) {
        self.config = config;
    }

    /// Mixes fresh entropy into the generator.
    pub fn reseed(&mut self, entropy: &[u8; 32]) {
        self.random.reseed(entropy);
    }

    /// Draws from another generator from here on. For replays, and for explorers of states, in which what is drawn
    /// may not depend on the way by which a state was reached.
    pub fn replace_random(&mut self, random: Random) {
        self.random = random;
    }

    /// Closes every connection with `Close called.` and takes no new one. Slow readers still get what is held for
    /// them, within the time limit of a step. It is over when `stats().connections` is 0.
    pub fn shutdown(&mut self, now: Now) {
        self.advance(now, true);
        self.shutting_down = true;
        self.listeners = Listeners::default();
        let conns: Vec<ConnId> = self.connections.keys().copied().collect();
        for conn in conns {
            self.hang_up(conn, CloseReason::Good.text(), Why::Shutdown);
        }
    }

    /// Counters, and how many connections are in which state. O(1), apart from the causes of ends.
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        let mut stats = self.stats.clone();
        stats.connections = self.connections.len();
        stats.keys = self.listeners.len();
        stats.addresses = self.addresses.len();
        stats.effects = self.outbox.queue.len();
        stats
    }

    /// Compares the counters and indexes with the tables. Walks everything: for tests and for an operator's check.
    ///
    /// # Errors
    /// The name of what does not agree: a defect of this crate.
    pub fn self_check(&self) -> Result<(), &'static str> {
        let check = |right: bool, what| if right { Ok(()) } else { Err(what) };
        let mut counted = RelayStats::default();
        let mut deadlines = 0;
        let mut queued: BTreeMap<ConnId, usize> = BTreeMap::new();
        for effect in &self.outbox.queue {
            if let Queued::Send { conn, bytes, .. } = effect {
                *queued.entry(*conn).or_default() += charge(bytes.len());
            }
        }
        let held = |messages: &alloc::collections::VecDeque<connection::Held>| {
            messages
                .iter()
                .map(|(_, bytes)| charge(bytes.len()))
                .sum::<usize>()
        };
        for (conn, entry) in &self.connections {
            *entry.state.gauge(&mut counted) += 1;
            deadlines += usize::from(entry.deadline.is_some());
            check(held(&entry.backlog) == entry.backlog_bytes, "backlog bytes")?;
            check(
                entry.queued == queued.get(conn).copied().unwrap_or(0),
                "queued bytes",
            )?;
            counted.held += entry.backlog_bytes;
            let state = |of: &ConnId| self.connections.get(of).map(|entry| &entry.state);
            match &entry.state {
                State::Relayed { partner, .. } => {
                    let back = matches!(state(partner), Some(State::Relayed { partner, .. }) if partner == conn);
                    check(back, "a pair is not one")?;
                    let slow = self
                        .connections
                        .get(partner)
                        .is_some_and(|p| !p.backlog.is_empty());
                    check(
                        entry.paused == slow,
                        "paused without a cause, or not paused",
                    )?;
                }
                State::Picked { initiator, .. } | State::Handed { initiator } => {
                    let back = matches!(state(initiator), Some(State::Waiting(w)) if w.spare == Some(*conn));
                    check(back, "a picked spare without its initiator")?;
                }
                State::Waiting(waiting) => {
                    check(waiting.spare.is_some(), "an initiator without a spare")?;
                    check(held(&waiting.held) == waiting.held_bytes, "held bytes")?;
                    counted.held += waiting.held_bytes;
                }
                _ => {}
            }
            let untimed = matches!(entry.state, State::Handed { .. } | State::Relayed { .. });
            // Near the end of time nothing is due any more.
            let ended = self.latest.0 > u64::MAX / 2;
            check(
                entry.deadline.is_some() || untimed || ended,
                "a state without a deadline",
            )?;
        }
        for listener in self.listeners.iter().map(|(_, listener)| listener) {
            for spare in &listener.spares {
                let state = self.connections.get(spare).map(|entry| &entry.state);
                check(
                    matches!(state, Some(State::Spare { .. })),
                    "a spare that is none",
                )?;
                counted.keys += 1;
            }
        }
        check(counted.keys == counted.spares, "spares in the stacks")?;
        check(
            self.listeners.iter().map(|(_, l)| l.picked).sum::<usize>() == counted.picked,
            "picked",
        )?;
        let known = self
            .connections
            .values()
            .filter(|entry| entry.from != Source::Unknown)
            .count();
        check(
            self.addresses.connections() == known,
            "connections by address",
        )?;
        check(self.deadlines.len() == deadlines, "the index of deadlines")?;
        let stats = &self.stats;
        let gone = stats.accepted.checked_sub(stats.gone);
        check(
            gone == u64::try_from(self.connections.len()).ok(),
            "accepted and gone",
        )?;
        check(counted.silent == stats.silent, "silent")?;
        check(counted.challenged == stats.challenged, "challenged")?;
        check(counted.spares == stats.spares, "spares")?;
        check(counted.picked == stats.picked, "picked")?;
        check(counted.handed == stats.handed, "handed")?;
        check(counted.waiting == stats.waiting, "waiting")?;
        check(counted.relayed == stats.relayed, "relayed")?;
        check(counted.ending == stats.ending, "ending")?;
        check(counted.held == stats.held, "held")
    }

    // What the rooms share.

    /// A deadline from now on. At least one microsecond ahead, so that a tick at a deadline always moves it.
    fn after(&self, time: Micros, why: Alarm) -> Option<Deadline> {
        Some(Deadline {
            at: self.latest + time.max(Micros(1)),
            why,
        })
    }

    fn set_deadline(&mut self, conn: ConnId, to: Option<Deadline>) {
        if let Some(entry) = self.connections.get_mut(&conn) {
            self.deadlines.set(conn, &mut entry.deadline, to);
        }
    }

    /// Puts a connection into a state and gives the old one.
    fn enter(&mut self, conn: ConnId, state: State<S>) -> Option<State<S>> {
        let entry = self.connections.get_mut(&conn)?;
        let gauge = entry.state.gauge(&mut self.stats);
        *gauge = gauge.saturating_sub(1);
        let gauge = state.gauge(&mut self.stats);
        *gauge = gauge.saturating_add(1);
        Some(mem::replace(&mut entry.state, state))
    }

    /// Notes a message, if notes are wanted.
    fn note(&mut self, conn: ConnId, sent: bool, layer: Layer, name: &'static str, bytes: usize) {
        if self.config.notes {
            let note = Note {
                sent,
                layer,
                name,
                bytes,
                nonce: None,
            };
            self.outbox
                .push(Queued::Event(RelayEvent::Note { conn, note }));
        }
    }

    /// Whether a message of this connection can be taken now.
    fn room_for(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let Some(entry) = self
            .connections
            .get(&conn)
            .filter(|entry| !entry.state.is_over())
        else {
            return Ok(());
        };
        if self.outbox.queue.len() >= self.config.effects.max(1) {
            // It is told to go on when the queue has been polled.
            self.outbox.refused.insert(conn);
            count(&mut self.stats.full);
            return Err(Full);
        }
        if let State::Relayed { partner, .. } = entry.state
            && let Some(slow) = self.connections.get(&partner)
            && !slow.backlog.is_empty()
            && slow
                .backlog_bytes
                .saturating_add(charge(message.bytes().len()))
                > self.config.backlog
        {
            // It is paused, and told to go on when the slow reader has caught up.
            count(&mut self.stats.full);
            return Err(Full);
        }
        Ok(())
    }
}

impl<S: Suite> Machine for Relay<S> {
    type Event = RelayEvent;
    type Record = Infallible;
    type Answer = Result<(), NotStored>;

    fn accept(&mut self, now: Now, from: Source) -> Option<ConnId> {
        self.advance(now, false);
        let from = addresses::shared(from);
        let refused = if self.shutting_down {
            Some(&mut self.stats.refused_shutdown)
        } else if self.outbox.queue.len() >= self.config.effects.max(1) {
            Some(&mut self.stats.refused_effects)
        } else if self.connections.len() >= self.config.connections {
            Some(&mut self.stats.refused_connections)
        } else {
            match self.addresses.take(self.latest, from, &self.config) {
                Ok(()) => None,
                Err(Refused::Connections) => Some(&mut self.stats.refused_address),
                Err(Refused::Rate) => Some(&mut self.stats.refused_rate),
                Err(Refused::Addresses) => Some(&mut self.stats.refused_addresses),
            }
        };
        if let Some(counter) = refused {
            count(counter);
            return None;
        }
        let conn = ConnId(self.next);
        self.next = self.next.saturating_add(1);
        self.connections.insert(conn, Connection::new(from));
        count(&mut self.stats.accepted);
        self.stats.silent = self.stats.silent.saturating_add(1);
        self.set_deadline(conn, self.after(self.config.step, Alarm::StepLimit));
        Some(conn)
    }

    /// A relay never dials: nothing happens.
    fn opened(&mut self, now: Now, _: ConnId) {
        self.advance(now, false);
    }

    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.room_for(conn, message)?;
        self.advance(now, false);
        self.take(conn, message);
        Ok(())
    }

    fn drained(&mut self, now: Now, conn: ConnId) {
        self.advance(now, false);
        self.caught_up(conn);
    }

    fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
        self.advance(now, false);
        self.gone(conn, how);
    }

    /// A relay never stores: nothing happens.
    fn stored(&mut self, now: Now, _: StoreId, _: Result<(), NotStored>) {
        self.advance(now, false);
    }

    fn tick(&mut self, now: Now) {
        self.advance(now, true);
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<RelayEvent, Infallible>> {
        while let Some(effect) = self.outbox.queue.pop_front() {
            match effect {
                Queued::Send {
                    conn,
                    kind,
                    bytes: message,
                } => {
                    if let Some(entry) = self.connections.get_mut(&conn) {
                        let charge = charge(message.len());
                        entry.queued = entry.queued.saturating_sub(charge);
                        entry.outstanding = entry.outstanding.saturating_add(charge);
                        self.outbox.hand_out(message, bytes);
                        return Some(Effect::Send { conn, kind });
                    }
                    self.outbox.recycle(message);
                }
                Queued::Close { conn, reason } => {
                    return Some(Effect::Close {
                        conn,
                        code: CloseReason::CODE,
                        reason,
                    });
                }
                Queued::Pause(conn) if self.connections.contains_key(&conn) => {
                    return Some(Effect::Pause(conn));
                }
                Queued::Resume(conn) if self.connections.contains_key(&conn) => {
                    return Some(Effect::Resume(conn));
                }
                Queued::Pause(_) | Queued::Resume(_) => {}
                Queued::Event(event) => return Some(Effect::Event(event)),
            }
        }
        while let Some(conn) = self.outbox.refused.pop_first() {
            // A paused one is told when its partner has caught up.
            if self
                .connections
                .get(&conn)
                .is_some_and(|entry| !entry.paused)
            {
                return Some(Effect::Resume(conn));
            }
        }
        None
    }

    fn deadline(&self) -> Option<Deadline> {
        self.deadlines.next()
    }
}

/// Keys and messages stay hidden.
impl<S: Suite> fmt::Debug for Relay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("key", &self.key)
            .field("latest", &self.latest)
            .field("deadline", &self.deadlines.next())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

//! What can be set on a relay. The defaults are the table in [`limits`] (spec 02, "What a relay MUST do").

use crate::limits;
use crate::relay::wire::MAX_PING_INTERVAL_MS;
use crate::time::Micros;

/// Times and bounds of a [`Relay`](super::Relay). Start from `RelayConfig::default()`.
///
/// Memory: a relayed pair holds at most `2 * (window + max(backlog, message + 64))` bytes of messages, a waiting
/// initiator at most `held`; buffers for reuse [`limits::RELAY_POOL`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RelayConfig {
    /// A spare connection is pinged this long after success or its last pong. Taken in whole milliseconds, from
    /// 1 ms to 1 h.
    pub ping_interval: Micros,
    /// How long a pong may take.
    pub pong_limit: Micros,
    /// How long a step may take: the first message, the authentication response, the handover.
    pub step: Micros,
    /// How long a relayed pair may have nothing moving.
    pub idle: Micros,
    /// How long a connection may take to close before it is forgotten.
    pub close: Micros,
    /// The longest message that is copied, in bytes.
    pub message: usize,
    /// What is kept of an initiator's messages until the relaying starts, in bytes.
    pub held: usize,
    /// Bytes handed out on one connection and not yet reported as drained, before more is held back.
    pub window: usize,
    /// Bytes held back for a slow reader, before `Full` is answered to its partner. A single message may be longer.
    pub backlog: usize,
    /// Spare connections of one key.
    pub spares_per_key: usize,
    /// Spare connections in all.
    pub spares: usize,
    /// Challenges that wait for their answer.
    pub challenges: usize,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address (IPv6: from one /64 network). Connections of unknown source count in all only.
    pub connections_per_address: usize,
    /// Addresses that are kept count of.
    pub addresses: usize,
    /// New connections that one address may open at once.
    pub burst: usize,
    /// After a burst, one more new connection is taken each time this has passed.
    pub rate: Micros,
    /// Effects that are ready before `Full` is answered to every message and new connections are refused.
    pub effects: usize,
    /// Whether every message is told as [`RelayEvent::Note`](super::RelayEvent::Note).
    pub notes: bool,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            ping_interval: limits::RELAY_PING,
            pong_limit: limits::RELAY_PONG,
            step: limits::STEP,
            idle: limits::RELAY_IDLE,
            close: limits::CLOSE,
            message: limits::RELAY_MESSAGE,
            held: limits::RELAY_HELD,
            window: limits::WINDOW,
            backlog: limits::RELAY_BACKLOG,
            spares_per_key: limits::RELAY_SPARES_PER_KEY,
            spares: limits::RELAY_SPARES,
            challenges: limits::RELAY_CHALLENGES,
            connections: limits::RELAY_CONNECTIONS,
            connections_per_address: limits::RELAY_CONNECTIONS_PER_ADDRESS,
            addresses: limits::RELAY_ADDRESSES,
            burst: limits::RELAY_BURST,
            rate: limits::RELAY_RATE,
            effects: limits::EFFECTS,
            notes: false,
        }
    }
}

impl RelayConfig {
    /// The interval as a listener is told it.
    pub(super) fn ping_interval_ms(&self) -> u64 {
        self.ping_interval
            .as_millis()
            .clamp(1, MAX_PING_INTERVAL_MS)
    }
}

//! What a relay tells: events as they happen, and counters at any time.

use alloc::collections::BTreeMap;

use crate::crypto::{Instance, PublicKey, Static};
use crate::fault::Fault;
use crate::io::ConnId;
use crate::note::Note;

/// What a relay tells its driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A listener proved its key: the connection is spare.
    Registered {
        /// The connection.
        conn: ConnId,
        /// The listener's key.
        key: PublicKey<Instance>,
    },
    /// A spare connection was handed over, the request is on its way, and the relaying has begun.
    HandedOver {
        /// The listener's connection.
        spare: ConnId,
        /// The initiator's connection.
        initiator: ConnId,
        /// The key that the initiator presents; unproven.
        source: PublicKey<Static>,
        /// The listener's key.
        target: PublicKey<Instance>,
    },
    /// A connection ended, and why. Told once for each connection, when it is decided; nothing of this connection
    /// is told after it.
    Ended {
        /// The connection.
        conn: ConnId,
        /// The step, and the cause. Its code is the drop's name.
        fault: Fault,
    },
    /// A message passed. Told when [`RelayConfig::notes`](super::RelayConfig::notes) is on.
    Note {
        /// On which connection.
        conn: ConnId,
        /// The message.
        note: Note,
    },
}

/// A relay's counters. Those of the first group say what is now, the others what has been since the start.
///
/// [`Relay::self_check`](super::Relay::self_check) compares the first group with the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RelayStats {
    /// Connections, in whatever state.
    pub connections: usize,
    /// …that have not said anything yet.
    pub silent: usize,
    /// …that were challenged and have not answered.
    pub challenged: usize,
    /// …that are spare.
    pub spares: usize,
    /// …that are spare and picked, with a ping unanswered.
    pub picked: usize,
    /// …that were told of the handover, which has not left yet.
    pub handed: usize,
    /// …of initiators that wait for a spare.
    pub waiting: usize,
    /// …that are relayed: two for each pair.
    pub relayed: usize,
    /// …that are being closed.
    pub ending: usize,
    /// Keys under which somebody listens.
    pub keys: usize,
    /// Addresses that are kept count of.
    pub addresses: usize,
    /// Effects that wait to be polled.
    pub effects: usize,
    /// Bytes held for slow readers and for waiting initiators, `RELAY_PER_MESSAGE` added for each message.
    pub held: usize,

    /// Connections taken.
    pub accepted: u64,
    /// Connections that are gone.
    pub gone: u64,
    /// Connections refused while shutting down.
    pub refused_shutdown: u64,
    /// Connections refused because effects wait to be polled.
    pub refused_effects: u64,
    /// Connections refused because there are too many in all.
    pub refused_connections: u64,
    /// Connections refused because there are too many from this address.
    pub refused_address: u64,
    /// Connections refused because too many new ones came from this address.
    pub refused_rate: u64,
    /// Connections refused because too many addresses are kept count of.
    pub refused_addresses: u64,
    /// Registrations that succeeded.
    pub registered: u64,
    /// Pairs whose relaying began.
    pub handed_over: u64,
    /// Messages copied.
    pub messages: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Messages answered with `Full`.
    pub full: u64,
    /// Times that a sender was paused for a slow reader.
    pub paused: u64,
    /// Connections that ended, by the code of the cause ([`Why::code`](crate::fault::Why::code)).
    pub ended: BTreeMap<&'static str, u64>,
}

/// Counts one more.
pub(super) fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

//! What waits to be polled, and the buffers that go round: a relayed message is copied once, into a buffer that
//! an earlier one has left.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use super::connection::charge;
use super::report::RelayEvent;
use crate::io::{ConnId, Kind};
use crate::limits;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Queued {
    Send {
        conn: ConnId,
        kind: Kind,
        bytes: Vec<u8>,
    },
    Close {
        conn: ConnId,
        reason: String,
    },
    Pause(ConnId),
    Resume(ConnId),
    Event(RelayEvent),
}

#[derive(Clone, Default)]
pub(super) struct Outbox {
    pub(super) queue: VecDeque<Queued>,
    /// Connections that were answered `Full` because this queue was full.
    pub(super) refused: BTreeSet<ConnId>,
    /// Empty buffers for the next messages.
    pool: Vec<Vec<u8>>,
    pooled: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, effect: Queued) {
        self.queue.push_back(effect);
    }

    /// A copy in a used buffer.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.pool.pop().unwrap_or_default();
        self.pooled = self.pooled.saturating_sub(charge(buffer.capacity()));
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Puts a buffer back for reuse, unless enough are there.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        let pooled = self.pooled.saturating_add(charge(buffer.capacity()));
        if buffer.capacity() == 0 || pooled > limits::RELAY_POOL {
            return;
        }
        buffer.clear();
        self.pooled = pooled;
        self.pool.push(buffer);
    }

    /// Gives the bytes to the caller and keeps the caller's old buffer for later.
    pub(super) fn hand_out(&mut self, bytes: Vec<u8>, to: &mut Vec<u8>) {
        let old = mem::replace(to, bytes);
        self.recycle(old);
    }
}

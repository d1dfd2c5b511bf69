//! The outputs of the machine in order, and what they weigh.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use super::data::RequestId;
use super::event::{RpcEvent, RpcOutput};
use crate::io::Kind;
use crate::limits;

/// Buffers that are kept for the next messages, and how long those may be.
const SPARES: usize = 4;
const SPARE_BYTES: usize = 2 * limits::FRAGMENT;

/// A queue of outputs that knows how many bytes wait in it, for each direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    /// The weight of what is to be sent.
    out: usize,
    /// The weight of what came from the peer.
    arrived: usize,
    spares: Spares,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Item {
    Send(Kind, Vec<u8>),
    Chunk(RequestId, Vec<u8>),
    /// With its weight.
    Event(RpcEvent, usize),
}

/// Contents can be secrets: shown are kinds and lengths.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(kind, bytes) => write!(f, "send {kind} ({} bytes)", bytes.len()),
            Self::Chunk(id, bytes) => write!(f, "chunk of {id} ({} bytes)", bytes.len()),
            Self::Event(_, weight) => write!(f, "event (weight {weight})"),
        }
    }
}

impl Queue {
    /// An empty buffer for a message or chunk.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spares.0.pop().unwrap_or_default()
    }

    pub(super) fn send(&mut self, kind: Kind, bytes: Vec<u8>) {
        self.out = self.out.saturating_add(weight(bytes.len()));
        self.items.push_back(Item::Send(kind, bytes));
    }

    pub(super) fn chunk(&mut self, id: RequestId, bytes: Vec<u8>) {
        self.arrived = self.arrived.saturating_add(weight(bytes.len()));
        self.items.push_back(Item::Chunk(id, bytes));
    }

    pub(super) fn event(&mut self, event: RpcEvent, weight: usize) {
        self.arrived = self.arrived.saturating_add(weight);
        self.items.push_back(Item::Event(event, weight));
    }

    /// The weight of what is to be sent.
    pub(super) const fn out(&self) -> usize {
        self.out
    }

    /// The weight of what came and waits.
    pub(super) const fn arrived(&self) -> usize {
        self.arrived
    }

    /// Nothing more can be sent.
    pub(super) fn drop_sends(&mut self) {
        self.items.retain(|item| !matches!(item, Item::Send(..)));
        self.out = 0;
    }

    pub(super) fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<RpcOutput> {
        Some(match self.items.pop_front()? {
            Item::Send(kind, message) => {
                self.out = self.out.saturating_sub(weight(message.len()));
                self.hand_out(message, bytes);
                RpcOutput::Send(kind)
            }
            Item::Chunk(id, chunk) => {
                self.arrived = self.arrived.saturating_sub(weight(chunk.len()));
                self.hand_out(chunk, bytes);
                RpcOutput::Event(RpcEvent::Chunk { id })
            }
            Item::Event(event, weight) => {
                self.arrived = self.arrived.saturating_sub(weight);
                RpcOutput::Event(event)
            }
        })
    }

    /// The caller's buffer becomes one for a later message.
    fn hand_out(&mut self, message: Vec<u8>, bytes: &mut Vec<u8>) {
        let mut spare = core::mem::replace(bytes, message);
        let fits = (1..=SPARE_BYTES).contains(&spare.capacity());
        if fits && self.spares.0.len() < SPARES {
            spare.clear();
            self.spares.0.push(spare);
        }
    }
}

/// What bytes count for in the queue.
pub(super) const fn weight(bytes: usize) -> usize {
    bytes.saturating_add(limits::RPC_PER_MESSAGE)
}

/// Empty buffers. They are no part of the machine's state: any are equal.
#[derive(Clone, Debug, Default)]
struct Spares(Vec<Vec<u8>>);

impl PartialEq for Spares {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Spares {}

impl Hash for Spares {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

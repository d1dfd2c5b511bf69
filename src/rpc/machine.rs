//! The machine of one connection: takes messages and time, gives messages and events (spec 10).
//!
//! Its two halves are in [`client`](super::client), the own requests, and [`server`](super::server), the peer's.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::client::Own;
use super::config::RpcConfig;
use super::data::RequestId;
use super::event::{RpcEvent, RpcOutput, RpcStats};
use super::failed::{Failed, Refusal};
use super::queue::{Queue, weight};
use super::scan::{glance, shape};
use super::server::Serving;
use super::wire::{self, Incoming};
use crate::io::{Kind, Message};
use crate::limits;
use crate::time::{Deadline, Micros, Now};

/// Requests and answers of both sides on one connection. See the [module](super) for an example.
///
/// # Memory
/// What a peer makes this machine hold is bounded: [`RpcConfig::buffered_bytes`] that wait to be polled, about 1 KiB
/// for each open request of either side, `queued_bytes` of refusals, and 64 KiB that tell late chunks. While a text
/// is read, twice its length and [`limits::RPC_PER_VALUE`] for each value in it come on top. What waits to be sent
/// is otherwise the embedder's own: it looks at [`queued`](Self::queued) before it goes on with a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rpc {
    pub(super) config: RpcConfig,
    pub(super) queue: Queue,
    pub(super) stats: RpcStats,
    /// The latest moment seen.
    pub(super) latest: Micros,
    pub(super) closed: bool,

    /// Own requests without their end.
    pub(super) own: BTreeMap<u64, Own>,
    /// How many of them want a stream.
    pub(super) own_streams: usize,
    /// The number of the next one.
    pub(super) next: u64,
    /// Own requests that ended, and when, the latest last.
    pub(super) ended: VecDeque<(u64, Micros)>,

    /// Requests of the peer that are being served.
    pub(super) serving: BTreeMap<u64, Serving>,
    /// How many of them are streams on their way.
    pub(super) sending: usize,
}

impl Rpc {
    /// The machine of a new connection.
    #[must_use]
    pub fn new(config: RpcConfig) -> Self {
        Self {
            config,
            queue: Queue::default(),
            stats: RpcStats::default(),
            latest: Micros::ZERO,
            closed: false,
            own: BTreeMap::new(),
            own_streams: 0,
            next: 0,
            ended: VecDeque::new(),
            serving: BTreeMap::new(),
            sending: 0,
        }
    }

    /// A message came. What is wrong with it fails its own request at most, else it is dropped and counted.
    pub fn message(&mut self, now: Now, message: Message<'_>) {
        self.see(now);
        if self.closed {
            return;
        }
        match message {
            Message::Text(text) => self.text(text),
            Message::Binary(bytes) => self.binary(bytes),
        }
    }

    /// Time has passed: requests that waited for too long fail.
    pub fn tick(&mut self, now: Now) {
        self.see(now);
        self.expire();
    }

    /// When `tick` is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.own.values().map(Own::deadline).min()
    }

    /// The connection is gone, whoever closed it: every open own request fails, the peer's are forgotten, and nothing
    /// more is sent. Requests made from now on fail at once.
    pub fn closed(&mut self) {
        self.closed = true;
        self.queue.drop_sends();
        self.serving.clear();
        self.sending = 0;
        while let Some(id) = self.own.keys().next().copied() {
            self.fail(id, Failed::Closed, false);
        }
    }

    /// The next thing to do, if any. The bytes of a message or of a chunk replace what is in `bytes`.
    ///
    /// Polled to the end after each message, nothing waits here, and [`Failed::Flooded`] never happens.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<RpcOutput> {
        let output = self.queue.poll(bytes)?;
        if let RpcOutput::Event(RpcEvent::StreamCancelled { id }) = output {
            self.forget_stopped(id.0);
        }
        Some(output)
    }

    /// Bytes that wait to be sent, with a bit for each message; zero if there are none.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queue.out()
    }

    /// Bytes that came and wait to be polled, with a bit for each event; zero if there are none.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.queue.arrived()
    }

    /// The counts since the start.
    #[must_use]
    pub const fn stats(&self) -> RpcStats {
        self.stats
    }

    /// Own requests without their end.
    #[must_use]
    pub fn open_requests(&self) -> usize {
        self.own.len()
    }

    /// Requests of the peer that are being served.
    #[must_use]
    pub fn served_requests(&self) -> usize {
        self.serving.len()
    }

    pub(super) fn see(&mut self, now: Now) {
        // The moment itself is not needed: all deadlines go by the latest one.
        let _ = now.not_before(&mut self.latest);
    }

    /// Whether something of that weight may still wait.
    pub(super) fn has_room(&self, weight: usize) -> bool {
        self.queue.arrived().saturating_add(weight) <= self.config.buffered_bytes
    }

    /// Queues a text that `write` writes.
    pub(super) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.closed {
            let mut bytes = self.queue.buffer();
            write(&mut bytes);
            self.queue.send(Kind::Text, bytes);
        }
    }

    fn text(&mut self, text: &str) {
        // Limits come before anything is allocated.
        if text.len() > self.config.text_bytes {
            return self.too_large(text);
        }
        let shape = shape(text);
        if shape.depth > self.config.nesting || shape.values > self.config.values {
            return self.too_large(text);
        }
        // A message of one text has a handful of values.
        let weight =
            weight(text.len()).saturating_add(shape.values.saturating_mul(limits::RPC_PER_VALUE));
        match wire::read(text) {
            Ok(Incoming::Request { id, service, args }) => {
                self.requested(id, service, args, weight);
            }
            Ok(Incoming::WriteStreamError { id }) => self.stream_refused(id),
            Ok(Incoming::Answer { id, answer }) => self.answered(id, answer, weight),
            Ok(Incoming::Invalid) => self.stats.requests_received_invalid += 1,
            Err(_) => match glance(text).response {
                Some(id) if self.own.contains_key(&id) => self.malformed(id),
                _ => self.stats.requests_received_invalid += 1,
            },
        }
    }

    /// A text over a limit: whom it concerns is looked up in it without reading it.
    fn too_large(&mut self, text: &str) {
        let glance = glance(text);
        match (glance.request, glance.response) {
            (Some(id), _) => {
                self.stats.requests_received_total += 1;
                let duplicate = self.serving.contains_key(&id);
                self.refuse_at_once(
                    id,
                    if duplicate {
                        Refusal::Duplicate
                    } else {
                        Refusal::Limit
                    },
                );
            }
            (None, Some(id)) if self.own.contains_key(&id) => {
                self.fail(id, Failed::TooLong, self.wants_stream(id));
            }
            _ => self.stats.requests_received_invalid += 1,
        }
    }

    fn binary(&mut self, bytes: &[u8]) {
        match wire::read_chunk(bytes) {
            None => self.stats.empty_chunks += 1,
            Some((None, _)) => self.stats.chunks_dropped += 1,
            Some((Some(id), data)) => self.binary_chunk(RequestId(id), data),
        }
    }
}

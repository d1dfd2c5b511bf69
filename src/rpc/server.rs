//! The peer's requests: serving them, and sending streams (spec 10, "Serving a request", "Streams").
//!
//! What is said of a request that is not being served, or no longer, is ignored: it may have been cancelled meanwhile.

use super::data::{Data, RequestId};
use super::event::RpcEvent;
use super::failed::{Refusal, UNKNOWN_SERVICE};
use super::machine::Rpc;
use super::queue::weight;
use super::wire;
use crate::io::Kind;
use crate::limits;

/// A request of the peer until its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Serving {
    /// The embedder has it. `cancelled`: if it becomes a stream, the peer does not want it.
    Working { cancelled: bool },
    /// A stream is on its way, in messages of that kind.
    Sending(Kind),
    /// It ended by itself, and the embedder does not know yet. The number is not free until it does: what it still
    /// says is not to become part of another answer.
    Stopped,
}

impl Rpc {
    /// Answers a request of the peer with a value.
    pub fn answer(&mut self, id: RequestId, data: &Data) {
        if self.finish_value(id) {
            self.send(|out| wire::data(out, id.0, data));
        }
    }

    /// Answers a request of the peer with a text.
    pub fn answer_text(&mut self, id: RequestId, text: &str) {
        if self.finish_value(id) {
            self.send(|out| wire::data_text(out, id.0, text));
        }
    }

    /// Answers a request of the peer with an error. An empty `code` is none. The texts reach the peer: nothing
    /// local belongs in them.
    pub fn refuse(&mut self, id: RequestId, name: &str, message: &str, code: &str) {
        if self.finish_value(id) {
            self.send(|out| wire::error(out, id.0, name, message, code));
        }
    }

    /// Answers a request of the peer with one of the errors of this layer.
    pub fn refuse_as(&mut self, id: RequestId, refusal: Refusal) {
        self.refuse(id, "Error", refusal.message(), refusal.code());
    }

    /// Answers that this side does not serve that service, or not yet.
    pub fn unknown_service(&mut self, id: RequestId, service: u64) {
        // The misspelling is the deployed text.
        let message = alloc::format!("Not a function: Servcie ID {service} [number]");
        self.refuse(id, "TypeError", &message, UNKNOWN_SERVICE);
    }

    /// Sends more of a file, as binary chunks. A file goes either by this or by [`text_chunk`](Self::text_chunk).
    pub fn chunk(&mut self, id: RequestId, bytes: &[u8]) {
        if bytes.is_empty() || self.begin(id, Kind::Binary).is_none() {
            return;
        }
        for piece in bytes.chunks(limits::RPC_CHUNK) {
            let mut message = self.queue.buffer();
            wire::binary_chunk(&mut message, id.0, piece);
            self.queue.send(Kind::Binary, message);
        }
    }

    /// Sends more of a text file, as text chunks.
    pub fn text_chunk(&mut self, id: RequestId, text: &str) {
        if text.is_empty() {
            return;
        }
        let Some(mut is_first) = self.begin(id, Kind::Text) else {
            return;
        };
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = wire::split_text(rest, id.0, is_first);
            self.send(|out| wire::text_chunk(out, id.0, piece, is_first));
            rest = after;
            is_first = false;
        }
    }

    /// Ends a file. Without any chunk before, it is an empty file.
    pub fn end_stream(&mut self, id: RequestId) {
        if self.finish(id).is_some() {
            self.send(|out| wire::stream_end(out, id.0));
        }
    }

    /// Ends a file that cannot be completed.
    pub fn fail_stream(&mut self, id: RequestId) {
        if self.finish(id).is_some() {
            self.send(|out| wire::stream_error(out, id.0));
        }
    }

    pub(super) fn requested(
        &mut self,
        id: u64,
        service: u64,
        args: Option<alloc::vec::Vec<Data>>,
        weight: usize,
    ) {
        self.stats.requests_received_total += 1;
        if self.serving.contains_key(&id) {
            return self.refuse_at_once(id, Refusal::Duplicate);
        }
        if self.serving.len() >= self.config.served || !self.has_room(weight) {
            return self.refuse_at_once(id, Refusal::Limit);
        }
        let Some(args) = args else {
            return self.refuse_at_once(id, Refusal::Args);
        };
        self.serving
            .insert(id, Serving::Working { cancelled: false });
        let id = RequestId(id);
        self.queue
            .event(RpcEvent::Request { id, service, args }, weight);
    }

    /// Refuses a request that is not going to be served. A peer that does not read its answers gets no more of them.
    pub(super) fn refuse_at_once(&mut self, id: u64, refusal: Refusal) {
        self.stats.requests_refused += 1;
        if self.queue.out() >= self.config.queued_bytes {
            self.stats.refusals_dropped += 1;
        } else {
            self.send_refusal(id, refusal);
        }
    }

    /// The peer wants no more of a stream.
    pub(super) fn stream_refused(&mut self, id: Option<u64>) {
        self.stats.requests_received_total += 1;
        let Some((id, serving)) = id.and_then(|id| Some((id, self.serving.get_mut(&id)?))) else {
            return;
        };
        match serving {
            Serving::Working { cancelled } => *cancelled = true,
            Serving::Sending(_) => {
                self.stop(RequestId(id));
                self.send(|out| wire::stream_error(out, id));
            }
            Serving::Stopped => {}
        }
    }

    /// The embedder knows that a stream was stopped.
    pub(super) fn forget_stopped(&mut self, id: u64) {
        if self.serving.get(&id) == Some(&Serving::Stopped) {
            self.serving.remove(&id);
        }
    }

    fn send_refusal(&mut self, id: u64, refusal: Refusal) {
        self.send(|out| wire::error(out, id, "Error", refusal.message(), refusal.code()));
    }

    /// Takes a request out that is to have its last message now.
    fn finish(&mut self, id: RequestId) -> Option<Serving> {
        let serving = *self.serving.get(&id.0)?;
        match serving {
            Serving::Stopped => return None,
            Serving::Sending(_) => self.sending -= 1,
            Serving::Working { .. } => {}
        }
        self.serving.remove(&id.0);
        Some(serving)
    }

    /// The same, for a value or an error. Behind chunks there can be none, so the stream fails instead.
    fn finish_value(&mut self, id: RequestId) -> bool {
        match self.finish(id) {
            Some(Serving::Working { .. }) => true,
            Some(Serving::Sending(_)) => {
                self.send(|out| wire::stream_error(out, id.0));
                false
            }
            Some(Serving::Stopped) | None => false,
        }
    }

    /// Whether a chunk may go out, and if so, whether it is the first one.
    fn begin(&mut self, id: RequestId, kind: Kind) -> Option<bool> {
        match *self.serving.get(&id.0)? {
            Serving::Sending(begun) if begun == kind => Some(false),
            Serving::Sending(_) => {
                // The receiver could not tell how to go on.
                self.fail_stream(id);
                None
            }
            Serving::Working { cancelled: true } => {
                self.stop(id);
                self.send(|out| wire::stream_error(out, id.0));
                None
            }
            Serving::Working { cancelled: false } if self.sending >= self.config.streams_served => {
                self.stop(id);
                self.stats.requests_refused += 1;
                self.send_refusal(id.0, Refusal::Limit);
                None
            }
            Serving::Working { cancelled: false } => {
                self.serving.insert(id.0, Serving::Sending(kind));
                self.sending += 1;
                Some(true)
            }
            Serving::Stopped => None,
        }
    }

    /// Stops a stream, and tells the embedder.
    fn stop(&mut self, id: RequestId) {
        if let Some(Serving::Sending(_)) = self.serving.insert(id.0, Serving::Stopped) {
            self.sending -= 1;
        }
        self.queue
            .event(RpcEvent::StreamCancelled { id }, weight(0));
    }
}

//! What the machine puts out, and what it counts.

use alloc::vec::Vec;

use super::data::{Data, RequestId};
use super::failed::Failed;
use crate::io::Kind;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RpcOutput {
    /// Send one message; its bytes are in the buffer that was given to `poll`.
    Send(Kind),
    /// Something to know.
    Event(RpcEvent),
}

/// What happened. An own request has exactly one of `Answered`, `Failed` and `StreamEnd`, and nothing behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RpcEvent {
    /// The peer asks, and wants an answer.
    Request {
        /// The peer's number, to be named in the answer.
        id: RequestId,
        /// The service that is asked.
        service: u64,
        /// What it is asked; see [`Data::argument`].
        args: Vec<Data>,
    },
    /// The peer does not want the rest of a stream, or there are too many streams: it is over, stop it. The peer
    /// has its last message already.
    StreamCancelled {
        /// The peer's number.
        id: RequestId,
    },
    /// The answer to an own request.
    Answered {
        /// The own number.
        id: RequestId,
        /// The value.
        data: Data,
    },
    /// An own request failed.
    Failed {
        /// The own number.
        id: RequestId,
        /// Why.
        failed: Failed,
    },
    /// More of a file: its bytes are in the buffer that was given to `poll`, decoded, at least one. Where a file is
    /// split says nothing.
    Chunk {
        /// The own number.
        id: RequestId,
    },
    /// A file is complete.
    StreamEnd {
        /// The own number.
        id: RequestId,
        /// Binary messages too short to name a request that came while this one was open: a fault that a deployed
        /// sender has. If there were some, the file is short by the chunks that they should have been.
        empty_chunks: u64,
    },
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RpcStats {
    /// Own requests.
    pub requests_sent_total: u64,
    /// Requests of the peer, refused ones too, and notices that it wants no more of a stream.
    pub requests_received_total: u64,
    /// Texts that are nothing of this layer.
    pub requests_received_invalid: u64,
    /// Requests that were refused by the machine itself.
    pub requests_refused: u64,
    /// Refusals that were not sent, because too much waits to be sent.
    pub refusals_dropped: u64,
    /// Answers to requests that are not open.
    pub answers_ignored: u64,
    /// Answers that could not be read, and failed their request.
    pub answers_malformed: u64,
    /// Binary messages whose first bytes name no request that wants them.
    pub chunks_dropped: u64,
    /// Chunks, binary or text, of requests that had ended not long ago; no fault.
    pub chunks_late: u64,
    /// Binary messages too short to name a request; a deployed sender has that fault.
    pub empty_chunks: u64,
}

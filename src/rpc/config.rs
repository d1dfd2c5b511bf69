//! The limits of the layer, which the deployed one lacks (spec 10, "Security").

use crate::limits;
use crate::time::Micros;

/// Limits on both directions of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RpcConfig {
    /// Own requests that wait for their end.
    pub requests: usize,
    /// Requests of the peer that are being served.
    pub served: usize,
    /// Own requests for a stream that wait for their end; they count as requests, too.
    pub streams: usize,
    /// Streams that are being sent to the peer.
    pub streams_served: usize,
    /// Bytes of one text message that comes in.
    pub text_bytes: usize,
    /// How deep such a text nests. More than 127 cannot be read, whatever stands here.
    pub nesting: usize,
    /// How many JSON values such a text has.
    pub values: usize,
    /// Bytes of one file that is streamed to this side.
    pub file_bytes: u64,
    /// Bytes that have come and wait to be polled; at least one message has to fit.
    pub buffered_bytes: usize,
    /// Bytes that wait to be sent, before further requests are [`Full`](crate::io::Full) and refusals are dropped.
    pub queued_bytes: usize,
    /// How long a request waits for its answer, or for the first sign of its stream.
    pub request_time: Micros,
    /// How long a stream may pause.
    pub stream_gap: Micros,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            requests: limits::RPC_REQUESTS,
            served: limits::RPC_SERVED,
            streams: limits::RPC_STREAMS,
            streams_served: limits::RPC_STREAMS_SERVED,
            text_bytes: limits::RPC_TEXT,
            nesting: limits::RPC_NESTING,
            values: limits::RPC_VALUES,
            file_bytes: limits::RPC_FILE,
            buffered_bytes: limits::RPC_BUFFERED,
            queued_bytes: limits::RPC_QUEUED,
            request_time: limits::RPC_REQUEST,
            stream_gap: limits::RPC_STREAM_GAP,
        }
    }
}

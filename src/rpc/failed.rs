//! Why an own request failed, and what this side says when it fails one of the peer's (spec 10).

use alloc::string::String;

/// An `error` answer of the peer. Its texts are the peer's: each is cut, and none is to be relied on but the code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RemoteError {
    /// The kind of error, say `TypeError`; at most 64 bytes.
    pub name: String,
    /// A sentence; at most 512 bytes.
    pub message: String,
    /// The contract, if there is one; at most 64 bytes.
    pub code: Option<String>,
}

/// The code by which a peer says that it does not serve a service, or not yet.
pub const UNKNOWN_SERVICE: &str = "UNKNOWN-SERVICE";

impl RemoteError {
    /// Whether the peer does not serve that service, or not yet.
    #[must_use]
    pub fn is_unknown_service(&self) -> bool {
        self.code.as_deref() == Some(UNKNOWN_SERVICE)
    }
}

/// How an own request ended other than by its answer. [`Failed::code`] is stable; the sentences may change, and
/// repeat nothing that came over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// The peer answered with an error.
    #[error("the peer answered with an error")]
    Remote(RemoteError),
    /// No answer came in time.
    #[error("no answer of service {service} came in time")]
    Timeout {
        /// The service that was asked.
        service: u64,
    },
    /// A stream paused for too long.
    #[error("the stream of service {service} paused for too long")]
    StreamTimeout {
        /// The service that was asked.
        service: u64,
    },
    /// A value came where a stream is due, or the reverse.
    #[error("the answer is of the wrong kind")]
    WrongKind,
    /// The message, or the streamed file, is over a limit.
    #[error("the answer is over a limit")]
    TooLong,
    /// A chunk without a text, without a known encoding, or not in it.
    #[error("a chunk is malformed")]
    BadChunk,
    /// The stream changed its encoding, or between text and binary.
    #[error("the stream changed its kind")]
    MixedStream,
    /// The answer could not be read.
    #[error("the answer is malformed")]
    Malformed,
    /// More has come than may wait to be polled.
    #[error("more has come than may wait")]
    Flooded,
    /// The peer could not go on with the stream.
    #[error("the sender of the stream failed")]
    StreamFailedAtSender,
    /// This side's user gave it up.
    #[error("the request was cancelled")]
    Cancelled,
    /// The connection closed.
    #[error("the connection closed")]
    Closed,
}

impl Failed {
    /// A stable name in snake_case, for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Remote(_) => "rpc_remote_error",
            Self::Timeout { .. } => "rpc_timeout",
            Self::StreamTimeout { .. } => "rpc_stream_timeout",
            Self::WrongKind => "rpc_wrong_kind",
            Self::TooLong => "rpc_too_long",
            Self::BadChunk => "rpc_bad_chunk",
            Self::MixedStream => "rpc_mixed_stream",
            Self::Malformed => "rpc_malformed",
            Self::Flooded => "rpc_flooded",
            Self::StreamFailedAtSender => "rpc_stream_failed_at_sender",
            Self::Cancelled => "rpc_cancelled",
            Self::Closed => "rpc_closed",
        }
    }
}

/// What this side answers of its own accord: the text is fixed, and tells nothing local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `args` is no list.
    Args,
    /// The request's number is being served.
    Duplicate,
    /// A limit is reached.
    Limit,
    /// All else.
    Internal,
}

impl Refusal {
    /// The code, as it travels.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Args => "UTC-ARGS",
            Self::Duplicate => "RQ-DUP",
            Self::Limit => "RQ-LIMIT",
            Self::Internal => "RQ-INTERNAL",
        }
    }

    /// The sentence, as it travels.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Args => "UTC-ARGS: The arguments are not a list",
            Self::Duplicate => "RQ-DUP: A request of this number is being served",
            Self::Limit => "RQ-LIMIT: A limit is reached",
            Self::Internal => "RQ-INTERNAL: The request could not be served",
        }
    }
}

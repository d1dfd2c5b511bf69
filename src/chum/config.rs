//! How a CHUM is run, and its limits (spec 11, "Limits that ours adds").

use crate::limits;
use crate::rpc::RpcConfig;
use crate::time::Micros;

/// How one CHUM is run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ChumConfig {
    /// The layer of requests and answers.
    pub rpc: RpcConfig,
    /// Whether this side asks for what the other one has.
    pub import: bool,
    /// Whether this side serves what it has.
    pub export: bool,
    /// Whether this side serves our extensions of CHUM.
    pub extensions: bool,
    /// Whether this side asks for the roots since what it has settled: only if the peer is one of ours. A
    /// [`Synchroniser`](super::Synchroniser) sets it for each connection.
    pub roots_since: bool,
    /// Whether it goes on after the first round. Without it, the importer says FIN after that.
    pub keep_running: bool,
    /// From the end of a round to the next one.
    pub poll: Micros,
    /// How long after the peer's `synchronisation` the first request waits, if the peer makes none.
    pub start_delay: Micros,
    /// Roots that are fetched at a time. A deployed peer fetches one at a time, and serves any number.
    pub parallel: usize,
    /// Requests that are served at a time.
    pub serve_at_once: usize,
    /// Bytes of streams that are read before the connection takes them.
    pub ahead: usize,
    /// Roots in a list.
    pub roots: usize,
    /// Children in a list.
    pub children: usize,
    /// Hashes that a peer may ask for.
    pub accessible: usize,
    /// Roots that are kept as pending: while there are more, everything is listed again.
    pub pending: usize,
    /// Bytes of an object.
    pub object: usize,
    /// Bytes of a BLOB or CLOB.
    pub file: u64,
    /// Bytes that are received in a round.
    pub round: u64,
    /// The peer is quiet when it has asked for nothing this long after it was given a list.
    pub quiet: Micros,
    /// A node that is made this much later than now is from the future.
    pub future: Micros,
}

impl Default for ChumConfig {
    fn default() -> Self {
        Self {
            rpc: RpcConfig {
                served: limits::CHUM_SERVED,
                ..RpcConfig::default()
            },
            import: true,
            export: true,
            extensions: true,
            roots_since: false,
            keep_running: true,
            poll: limits::CHUM_POLL,
            start_delay: limits::CHUM_START_DELAY,
            parallel: 1,
            serve_at_once: limits::CHUM_SERVE_AT_ONCE,
            ahead: limits::CHUM_AHEAD,
            roots: limits::CHUM_ROOTS,
            children: limits::CHUM_CHILDREN,
            accessible: limits::CHUM_ACCESSIBLE,
            pending: limits::CHUM_PENDING,
            object: limits::OBJECT_BYTES,
            file: limits::CHUM_FILE,
            round: u64::MAX,
            quiet: limits::CHUM_QUIET,
            future: limits::CHUM_FUTURE,
        }
    }
}

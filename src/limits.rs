//! Every default bound in one table, which code, documentation and tests use.

use crate::time::Micros;

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $value:expr),+ $(,)?) => {
        $($(#[doc = $doc])+ pub const $name: usize = $value;)+

        /// The table: name, default, meaning.
        pub const TABLE: &[(&str, usize, &str)] =
            &[$((stringify!($name), $name, concat!($($doc),+))),+];
    };
}

limits! {
    /// The longest frame, in bytes; refused before it is opened (spec 04).
    FRAME: 131_072,
    /// The size of a fragment, in bytes (spec 04).
    FRAGMENT: 65_536,
    /// A text of this many UTF-16 code units or more is fragmented (spec 04).
    WHOLE_TEXT: 16_384,
    /// The longest message that a channel assembles from fragments, in bytes.
    ASSEMBLED: 16 * 1024 * 1024,
    /// The most fragments of one assembled message.
    FRAGMENTS: 65_536,
    /// The longest control message of the layers 1, 2, 6 and 7a, in bytes.
    CONTROL: 16_384,
    /// Frames that came behind the key message and wait until the channel is taken.
    EARLY_FRAMES: 8,
    /// Their bytes; also those of what waits for the key message, with a reorder window (spec 04).
    EARLY_BYTES: 64 * 1024,
    /// The widest reorder window, in frames; a wider one is taken as this (spec 04).
    REORDER_WINDOW: 64,
    /// Bytes of frames that wait behind a gap, on one connection with a reorder window.
    HELD: 256 * 1024 + FRAME,
    /// Copies of frames that one connection with a reorder window takes in all; one more ends it (spec 04).
    DUPLICATES: 64,
    /// Bytes on one connection that the driver has and has not yet reported as drained, before more is held back.
    WINDOW: 256 * 1024,
    /// Half-open sessions that a listener has at a time; further spares wait (spec 02).
    HALF_OPEN: 16,
    /// Connections of a node in all.
    NODE_CONNECTIONS: 1_024,
    /// Invitations of a node that are open or remembered as used, expired or revoked.
    INVITATIONS: 1_024,
    /// The longest email or instance name, in bytes.
    NAME: 1_024,
    /// Devices that are known of a contact; what it tells of more is not taken (spec 13).
    CONTACT_INSTANCES: 64,
    /// Changes of an address book that wait for their turn.
    BOOK_CHANGES: 4_096,
    /// Endpoints of one profile that are looked at.
    BOOK_ENDPOINTS: 256,
    /// Versions of a profile that are looked at for a certificate, newest first.
    BOOK_VERSIONS: 1_000,
    /// The longest URL, in bytes.
    URL: 2_048,
    /// The longest microdata of an object that is read, in bytes (spec 12).
    OBJECT_BYTES: 1024 * 1024,
    /// The deepest nesting of collections in an object, and of the JSON in one of its values (spec 12).
    OBJECT_DEPTH: 16,
    /// Items, map entries and JSON elements of an object that is read, all together (spec 12).
    OBJECT_ITEMS: 262_144,
    /// Effects that a node or relay has ready before it answers `Full` to a message and refuses connections.
    EFFECTS: 4_096,
    /// The longest message that a relay copies, in bytes.
    RELAY_MESSAGE: 256 * 1024,
    /// What a relay keeps of an initiator's messages until the relaying starts, in bytes; then it closes (spec 02).
    RELAY_HELD: 64 * 1024,
    /// What a relay keeps for a slow reader beyond the window, in bytes or one message; then it answers `Full`.
    RELAY_BACKLOG: 256 * 1024,
    /// What a message counts for beyond its length wherever a relay counts bytes.
    RELAY_PER_MESSAGE: 64,
    /// Bytes of used buffers that a relay keeps for the next messages.
    RELAY_POOL: 1024 * 1024,
    /// Spare connections of one key at a relay.
    RELAY_SPARES_PER_KEY: 16,
    /// Spare connections at a relay in all.
    RELAY_SPARES: 16_384,
    /// Challenges of a relay that wait for their answer.
    RELAY_CHALLENGES: 1_024,
    /// Connections of a relay in all.
    RELAY_CONNECTIONS: 32_768,
    /// Connections of a relay from one address (IPv6: from one /64 network).
    RELAY_CONNECTIONS_PER_ADDRESS: 256,
    /// Addresses that a relay keeps count of.
    RELAY_ADDRESSES: 65_536,
    /// New connections from one address that a relay takes at once; then one each `RELAY_RATE`.
    RELAY_BURST: 64,
    /// Own requests on one connection that wait for their end (spec 10).
    RPC_REQUESTS: 256,
    /// Requests of the peer on one connection that are being served; further ones are refused (spec 10).
    RPC_SERVED: 256,
    /// Own requests for a stream on one connection that wait for their end (spec 10).
    RPC_STREAMS: 32,
    /// Streams on one connection that are being sent (spec 10).
    RPC_STREAMS_SERVED: 32,
    /// The longest text message of the requests layer, in bytes.
    RPC_TEXT: 16 * 1024 * 1024,
    /// How deep brackets nest in such a text, its own included; 127 at most.
    RPC_NESTING: 32,
    /// The most JSON values in such a text.
    RPC_VALUES: 4_096,
    /// Bytes that have come and wait to be polled, on one connection.
    RPC_BUFFERED: 32 * 1024 * 1024,
    /// Bytes that wait to be sent before requests are `Full` and refusals are dropped, on one connection.
    RPC_QUEUED: 1024 * 1024,
    /// What a message or event counts for beyond its length wherever the requests layer counts bytes.
    RPC_PER_MESSAGE: 128,
    /// What a JSON value counts for there, beyond its length.
    RPC_PER_VALUE: 768,
    /// Ended requests on one connection whose late chunks are known as such.
    RPC_ENDED: 4_096,
    /// The longest chunk of a binary stream that is sent, in bytes: with its header, not fragmented (spec 10).
    RPC_CHUNK: 65_528,
    /// Requests of the peer on one connection that an exporter has; further ones are refused. A deployed importer
    /// makes one for each thing with new versions at once, and ends at a refusal (spec 11, "Nodes").
    CHUM_SERVED: 8_192,
    /// Requests that an exporter works on at a time; the others wait.
    CHUM_SERVE_AT_ONCE: 32,
    /// Bytes of streams that an exporter reads before the connection takes them.
    CHUM_AHEAD: 512 * 1024,
    /// Bytes that wait to be sent on one connection before it is given up.
    CHUM_QUEUED: 64 * 1024 * 1024,
    /// Roots in a list.
    CHUM_ROOTS: 1_000_000,
    /// Children in a list.
    CHUM_CHILDREN: 100_000,
    /// Hashes that one peer may ask for at a time.
    CHUM_ACCESSIBLE: 2_000_000,
    /// Version nodes that an exporter follows back for one list, and remembers.
    CHUM_HISTORY: 100_000,
    /// Roots that failed, or are refused, and are remembered for one connection.
    CHUM_FAILED: 65_536,
    /// Roots that could not be taken and are kept with a cursor; while there are more, the cursor stays (spec 11,
    /// "roots since").
    CHUM_PENDING: 8_192,
    /// Malformed entries of one list of roots that are told one by one.
    CHUM_ENTRIES_TOLD: 100,
    /// Hashes in the log of one CHUM, for each direction.
    CHUM_LOG: 10_000,
}

/// The time limit of a step (spec 00).
pub const STEP: Micros = Micros::secs(10);
/// The time limit for opening a WebSocket (spec 00).
pub const OPEN: Micros = Micros::secs(5);
/// A keepalive is sent after this long without sending (spec 04).
pub const KEEPALIVE_SEND: Micros = Micros::secs(20);
/// A channel is given up after this long without hearing (spec 04).
pub const KEEPALIVE_GIVE_UP: Micros = Micros::secs(25);
/// A gap between frames may stay open this long, with a reorder window (spec 04).
pub const GAP: Micros = Micros::secs(5);
/// A listener registers anew this long after an error (spec 00).
pub const REGISTER_AGAIN: Micros = Micros::secs(10);
/// What a listener adds to the ping interval before it gives up (spec 02).
pub const PING_GRACE: Micros = Micros::secs(4);
/// Spare connections of a listener (spec 00).
pub const SPARES: usize = 2;
/// The life of an invitation (spec 00).
pub const INVITATION_LIFE: Micros = Micros::secs(60);
/// The window within which a second connection is a duplicate (spec 05).
pub const DUPLICATE_WINDOW: Micros = Micros::secs(2);
/// Delays before a failing route is dialled again; the last one for ever (spec 00).
pub const BACK_OFF: [Micros; 6] = [
    Micros::secs(5),
    Micros::secs(10),
    Micros::secs(20),
    Micros::secs(30),
    Micros::secs(60),
    Micros::secs(120),
];
/// Who joined waits this long after the pairing before it dials for the first time (spec 13).
pub const FIRST_DIAL: Micros = Micros::millis(500);
/// Who is refused this long after a pairing at most tries again soon (spec 13).
pub const PAIRED_RECENTLY: Micros = Micros::secs(10);
/// How soon.
pub const REFUSED_AGAIN: Micros = Micros::secs(1);
/// The base of the delay after an established connection closed (spec 00).
pub const RECONNECT: Micros = Micros::secs(5);
/// A connection that was told to close and has not is forgotten after this long.
pub const CLOSE: Micros = Micros::secs(5);
/// A relay pings a spare connection this long after success or the last pong (spec 00).
pub const RELAY_PING: Micros = Micros::secs(25);
/// A spare connection has this long for its pong (spec 00).
pub const RELAY_PONG: Micros = Micros::secs(1);
/// A relayed pair with nothing moving is closed after this long (spec 02).
pub const RELAY_IDLE: Micros = Micros::secs(60);
/// A relay takes one more new connection from an address each time this has passed.
pub const RELAY_RATE: Micros = Micros::millis(100);
/// The time limit of a request until its answer, or until the first sign of its stream (spec 10).
pub const RPC_REQUEST: Micros = Micros::secs(30);
/// The time limit between two signs of a stream (spec 10).
pub const RPC_STREAM_GAP: Micros = Micros::secs(30);
/// Chunks of a request that ended no longer ago are no fault (spec 10).
pub const RPC_LATE: Micros = Micros::secs(10);
/// The longest streamed file, in bytes: no limit that a file would reach.
pub const RPC_FILE: u64 = 1 << 53;
/// The importer looks for new roots this long after the end of a round (spec 11).
pub const CHUM_POLL: Micros = Micros::secs(5);
/// The first request waits this long for the peer's (spec 11, "Start").
pub const CHUM_START_DELAY: Micros = Micros::millis(250);
/// The peer has this long for its `synchronisation`.
pub const CHUM_SYNCHRONISATION: Micros = Micros::secs(20);
/// The version is asked for again after this long without an answer (spec 11, "Start").
pub const CHUM_VERSION_AGAIN: Micros = Micros::secs(2);
/// So often after the first time.
pub const CHUM_VERSION_REPEATS: u32 = 5;
/// The version is asked for again this long after the peer did not know the service (spec 11, "Version").
pub const CHUM_UNKNOWN_AGAIN: Micros = Micros::millis(300);
/// So often in all.
pub const CHUM_UNKNOWN_TRIES: u32 = 16;
/// The version has to be known after this long (spec 11, "More decisions").
pub const CHUM_VERSION: Micros = Micros::secs(20);
/// A peer that asks for nothing this long after it was given a list has what it wants.
pub const CHUM_QUIET: Micros = Micros::secs(2);
/// A version that is made this much later than now is from the future (spec 11).
pub const CHUM_FUTURE: Micros = Micros::secs(300);
/// A round without cursor is due after this long, in milliseconds of the wall clock (spec 11, "roots since").
pub const CHUM_WHOLE: u64 = 24 * 60 * 60 * 1_000;
/// The longest BLOB or CLOB, in bytes.
pub const CHUM_FILE: u64 = 1 << 40;

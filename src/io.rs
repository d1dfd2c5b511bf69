//! The boundary between a machine and whoever drives it: what goes in, what comes out.
//!
//! The unit is one WebSocket message. A driver moves messages and arms timers; it decides nothing.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::note::Note;
use crate::time::{Deadline, Now};

/// A connection of one machine, named by that machine, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The two kinds of WebSocket messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A text message: UTF-8.
    Text,
    /// A binary message.
    Binary,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Binary => "binary",
        })
    }
}

/// One message, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The message of these bytes.
    ///
    /// # Errors
    /// If it is a text that is not UTF-8.
    pub const fn of(kind: Kind, bytes: &'a [u8]) -> Result<Self, core::str::Utf8Error> {
        match kind {
            Kind::Binary => Ok(Self::Binary(bytes)),
            Kind::Text => match core::str::from_utf8(bytes) {
                Ok(text) => Ok(Self::Text(text)),
                Err(error) => Err(error),
            },
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// Its content in bytes, whatever the kind.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Contents can be secrets: shown are kind and length.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.kind(), self.bytes().len())
    }
}

/// How a connection ended, as the driver saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// The other side closed it in due form.
    ByPeer {
        /// The close code; 1005 when there was none.
        code: u16,
        /// The close reason, as it came.
        reason: String,
    },
    /// It broke off, or the driver closed it after a transport error.
    Lost(String),
    /// It could never be opened.
    NotOpened(String),
}

/// The machine cannot take this input now and has changed nothing: keep it, and offer it again after the next
/// [`Effect::Resume`] of that connection (or after the next drain, for a `send`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for now; offer it again later")]
pub struct Full;

/// What a machine of one connection puts out. `E` is what it tells its parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<E> {
    /// Send one message; its bytes are in the buffer that was given to `poll`.
    Send(Kind),
    /// A message passed (only when notes are asked for).
    Note(Note),
    /// Something to know.
    Event(E),
    /// It is over: close the connection with [`CloseReason::of`](crate::fault::CloseReason::of) this fault.
    Fault(crate::fault::Fault),
}

/// Where an incoming connection comes from, as far as the driver can tell. The relay's limits per address
/// use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The driver does not know, or the machine need not.
    #[default]
    Unknown,
    /// An IP address; IPv4 as an IPv6-mapped one.
    Address([u8; 16]),
}

impl From<core::net::IpAddr> for Source {
    fn from(address: core::net::IpAddr) -> Self {
        Self::Address(match address {
            core::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            core::net::IpAddr::V6(v6) => v6.octets(),
        })
    }
}

/// A record for the embedder's storage, numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// The storage did not take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record was not stored")]
pub struct NotStored;

/// What a machine wants done. `E` are its events, `R` the records that it stores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect<E, R> {
    /// Open a WebSocket to `url` and answer with `opened` or `closed`.
    Dial {
        /// The connection's name from now on.
        conn: ConnId,
        /// Where to: `ws://` or `wss://`.
        url: String,
    },
    /// Send one message; its bytes are in the buffer that was given to `poll`.
    Send {
        /// On which connection.
        conn: ConnId,
        /// Text bytes are valid UTF-8.
        kind: Kind,
    },
    /// Send what is queued, then close in due form. Answer with `closed` when it is closed. Messages that still
    /// arrive may be given to the machine or dropped.
    Close {
        /// Which connection.
        conn: ConnId,
        /// The WebSocket close code.
        code: u16,
        /// The close reason, at most 123 bytes. It travels in clear and tells no cause.
        reason: String,
    },
    /// Stop reading from this connection.
    Pause(ConnId),
    /// Go on reading from this connection; first offer again what was answered [`Full`].
    Resume(ConnId),
    /// Store this, and answer with `stored`. Records are written in the order in which they are polled.
    Store {
        /// To be named in the answer.
        id: StoreId,
        /// What to store, as one transaction.
        record: R,
    },
    /// Something to know.
    Event(E),
}

/// What every whole machine of this crate is for its driver. `Node` and `Relay` are such machines.
///
/// The methods are of four kinds: *handle* something that happened (`accept`, `opened`, `message`, `drained`,
/// `closed`, `stored`, `tick`), *poll* for what is to be done, and *look* (`deadline`). Any number of inputs may
/// come between two polls. A driver: feeds what it has; polls until `None`; waits for the next input or for the
/// deadline; and so on.
///
/// # Flow control
/// A machine hands out at most a bounded number of bytes per connection before it hears [`drained`], which says
/// that all sent so far has left the driver's queue. So no driver queue grows beyond that bound.
///
/// [`drained`]: Machine::drained
pub trait Machine {
    /// What this machine tells.
    type Event;
    /// What this machine stores; `Infallible` if nothing.
    type Record;
    /// What the embedder answers to a record.
    type Answer;

    /// A connection came in (its WebSocket is open). `None`: refuse it without a word; a limit is reached.
    fn accept(&mut self, now: Now, from: Source) -> Option<ConnId>;
    /// A dialled connection is open.
    fn opened(&mut self, now: Now, conn: ConnId);
    /// A message came.
    ///
    /// # Errors
    /// [`Full`]: nothing has changed, keep the message until [`Effect::Resume`].
    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full>;
    /// All that was sent on this connection so far has been handed to the socket.
    fn drained(&mut self, now: Now, conn: ConnId);
    /// A connection is gone, or could not be opened.
    fn closed(&mut self, now: Now, conn: ConnId, how: Closed);
    /// The answer to [`Effect::Store`].
    fn stored(&mut self, now: Now, id: StoreId, answer: Self::Answer);
    /// Time has passed.
    fn tick(&mut self, now: Now);
    /// The next thing to do, if any. For [`Effect::Send`] the message's bytes replace what is in `bytes`.
    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<Self::Event, Self::Record>>;
    /// When `tick` is wanted next.
    fn deadline(&self) -> Option<Deadline>;
}

//! Who takes part in a world: anything that is driven over connections, in one shape.

use chumwire::crypto::Suite;
use chumwire::io::{
    Closed, ConnId, Effect, Full, Kind, Machine, Message, NotStored, Source, StoreId,
};
use chumwire::node::{Event, Node, Record};
use chumwire::relay::{Relay, RelayEvent};
use chumwire::time::{Deadline, Now};
use chumwire_trace::{Passing, What};

use crate::deployed::DeployedEvent;

/// A party of a world, by the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub usize);

impl core::fmt::Display for PartyId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What parties tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// A node of ours.
    Node(Event),
    /// A message for the embedder of a node of ours: where, and its bytes.
    Message(ConnId, Vec<u8>),
    /// A relay of ours.
    Relay(RelayEvent),
    /// A double of the deployed peer.
    Deployed(DeployedEvent),
}

impl Told {
    /// As a line of a trace.
    pub(crate) fn what(&self) -> Option<What> {
        match self {
            Self::Node(event) => What::of_event(event, &[], false),
            Self::Message(conn, bytes) => Some(What::Delivered {
                conn: conn.0,
                message: Passing::private(Kind::Binary, bytes, false),
            }),
            Self::Relay(event) => What::of_relay_event(event),
            Self::Deployed(event) => Some(What::Says {
                words: format!("{event:?}"),
            }),
        }
    }

    /// Whether it is only for the trace.
    pub(crate) const fn is_note(&self) -> bool {
        matches!(
            self,
            Self::Node(Event::Note { .. }) | Self::Relay(RelayEvent::Note { .. })
        )
    }
}

/// What a party wants done.
pub type Action = Effect<Told, Record>;

/// A party: [`Machine`] with one type of events for all, so that a world can hold several kinds.
pub trait Party {
    /// A connection comes in; `None` refuses it.
    fn accept(&mut self, now: Now) -> Option<ConnId>;
    /// A dialled connection is open.
    fn opened(&mut self, now: Now, conn: ConnId);
    /// A message comes.
    ///
    /// # Errors
    /// [`Full`]: nothing has changed; it is offered again after the next `Resume`.
    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full>;
    /// All that was sent has been handed to the socket.
    fn drained(&mut self, now: Now, conn: ConnId);
    /// A connection is gone.
    fn closed(&mut self, now: Now, conn: ConnId, how: Closed);
    /// The answer of the store.
    fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>);
    /// Time has passed.
    fn tick(&mut self, now: Now);
    /// What is to be done next.
    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Action>;
    /// When a tick is wanted.
    fn deadline(&self) -> Option<Deadline>;
}

macro_rules! party_of_machine {
    ($machine:ident, |$effect:ident, $bytes:ident| $convert:expr) => {
        impl<S: Suite> Party for $machine<S> {
            fn accept(&mut self, now: Now) -> Option<ConnId> {
                Machine::accept(self, now, Source::Unknown)
            }
            fn opened(&mut self, now: Now, conn: ConnId) {
                Machine::opened(self, now, conn);
            }
            fn message(
                &mut self,
                now: Now,
                conn: ConnId,
                message: Message<'_>,
            ) -> Result<(), Full> {
                Machine::message(self, now, conn, message)
            }
            fn drained(&mut self, now: Now, conn: ConnId) {
                Machine::drained(self, now, conn);
            }
            fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
                Machine::closed(self, now, conn, how);
            }
            fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>) {
                Machine::stored(self, now, id, result);
            }
            fn tick(&mut self, now: Now) {
                Machine::tick(self, now);
            }
            fn poll(&mut self, $bytes: &mut Vec<u8>) -> Option<Action> {
                loop {
                    let $effect = Machine::poll(self, $bytes)?;
                    if let Some(action) = $convert {
                        return Some(action);
                    }
                }
            }
            fn deadline(&self) -> Option<Deadline> {
                Machine::deadline(self)
            }
        }
    };
}

party_of_machine!(Node, |effect, bytes| convert(effect, |event| match event {
    // The buffer goes along: the world gives another one for the next effect.
    Event::Message { conn, .. } => Told::Message(conn, core::mem::take(bytes)),
    event => Told::Node(event),
}));
party_of_machine!(Relay, |effect, bytes| convert(effect, Told::Relay));

trait IntoRecord {
    fn into_record(self) -> Record;
}

impl IntoRecord for Record {
    fn into_record(self) -> Record {
        self
    }
}

impl IntoRecord for core::convert::Infallible {
    fn into_record(self) -> Record {
        match self {}
    }
}

/// The same effect with the world's event. `None` for one that this crate does not know.
fn convert<E, R: IntoRecord>(effect: Effect<E, R>, told: impl FnOnce(E) -> Told) -> Option<Action> {
    Some(match effect {
        Effect::Dial { conn, url } => Effect::Dial { conn, url },
        Effect::Send { conn, kind } => Effect::Send { conn, kind },
        Effect::Close { conn, code, reason } => Effect::Close { conn, code, reason },
        Effect::Pause(conn) => Effect::Pause(conn),
        Effect::Resume(conn) => Effect::Resume(conn),
        Effect::Store { id, record } => Effect::Store {
            id,
            record: record.into_record(),
        },
        Effect::Event(event) => Effect::Event(told(event)),
        _ => return None,
    })
}

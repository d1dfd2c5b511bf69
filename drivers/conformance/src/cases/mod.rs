//! The cases, by what they are about.

mod closing;
mod flow;
mod messages;
mod opening;
mod rest;

use std::collections::BTreeMap;

use chumwire::io::{ConnId, Full, Message};

use crate::DriverUnderTest;
use crate::observe::Outcome;
use crate::probe::{Behaviour, Io};

/// One case.
#[derive(Debug)]
pub struct Case<D> {
    /// What the driver has to do, in a few words.
    pub name: &'static str,
    /// It waits for a time limit.
    pub slow: bool,
    /// Does it.
    pub run: fn(&D) -> Outcome,
}

macro_rules! cases {
    ($($name:literal $(($slow:ident))? => $run:path),+ $(,)?) => {
        /// The names of all cases.
        pub const CASES: &[&str] = &[$($name),+];

        /// All cases.
        #[must_use]
        pub fn all<D: DriverUnderTest>() -> Vec<Case<D>> {
            vec![$(Case { name: $name, slow: cases!(@ $($slow)?), run: $run }),+]
        }
    };
    (@ slow) => { true };
    (@) => { false };
}

cases! {
    "text and binary messages keep their kind and content" => messages::kinds,
    "messages keep their order under load" => messages::order,
    "a message may have 128 KiB" => messages::large,
    "a message that is too long ends its connection, and no other" => messages::too_long,
    "a text that is not UTF-8 ends its connection" => messages::not_utf8,
    "many connections work at once" => messages::many,
    "a ping is answered, and the machine does not hear of it" => messages::ping,
    "what was answered Full is offered again, in order" => flow::full,
    "a paused connection is not read from" => flow::pause,
    "drained is told only when the other side takes what is sent" => flow::drained,
    "what came before a close is taken before the close is told" => flow::full_then_closed,
    "a connection that ends while the machine waits for its drain is told" => flow::stuck_then_closed,
    "a close carries code and reason, after all that was sent before" => closing::orderly,
    "a long close reason is cut between characters" => closing::long_reason,
    "a close by the other side is told with code and reason" => closing::by_peer,
    "a connection that breaks off is told once" => closing::lost,
    "a close that nobody answers ends in time" (slow) => closing::unanswered,
    "a peer that talks on cannot keep a closed connection open" (slow) => closing::talkative,
    "both sides may close at once" => closing::crossing,
    "effects for a connection that is gone are ignored" => closing::too_late,
    "a dialled connection opens" => opening::dial,
    "a dial that is refused is told once" => opening::refused,
    "a dial to something else than a WebSocket is told" => opening::not_websocket,
    "an address that is none is told" => opening::bad_url,
    "a dial that nobody answers ends in time" (slow) => opening::silent,
    "a connection may be closed while it is dialled" => opening::given_up,
    "a connection that the machine does not want is closed" => opening::unwanted,
    "rubbish instead of a handshake disturbs nobody" => opening::rubbish,
    "a tick comes at the deadline and not before" => rest::ticks,
    "messages do not keep ticks from coming" => rest::ticks_under_load,
    "both clocks run" => rest::clocks,
    "records are stored in order, and the outcome is told" => rest::stores,
}

/// Sends everything back, and takes only as much as can leave.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    outstanding: BTreeMap<ConnId, usize>,
}

impl Echo {
    const LIMIT: usize = 256 * 1024;
}

impl Behaviour for Echo {
    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let outstanding = self.outstanding.entry(conn).or_default();
        if *outstanding >= Self::LIMIT {
            return Err(Full);
        }
        *outstanding += message.bytes().len();
        io.send(conn, message.kind(), message.bytes());
        Ok(())
    }

    fn drained(&mut self, io: &mut Io, conn: ConnId) {
        self.outstanding.insert(conn, 0);
        io.resume(conn);
    }

    fn closed(&mut self, _io: &mut Io, conn: ConnId) {
        self.outstanding.remove(&conn);
    }
}

/// Takes everything and does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sink;

impl Behaviour for Sink {}

/// Dials one address, and does nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Dialler(pub(crate) String);

impl Behaviour for Dialler {
    fn start(&mut self, io: &mut Io) {
        io.dial(&self.0);
    }
}

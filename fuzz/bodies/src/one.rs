//! What the machines of one connection have in common.

use chumwire::crypto::Suite;
use chumwire::establish::Establishment;
use chumwire::fault::Fault;
use chumwire::handshake::{Acceptor, Initiator};
use chumwire::io::{Kind, NotStored, Output};
use chumwire::pairing::{Pairing, PairingEvent};
use chumwire::time::{Deadline, Now};

use crate::people::{alice, bob};
use crate::said::borrowed;
use crate::stub::Stub;

/// A message with its content.
pub(crate) type Wire = (Kind, Vec<u8>);

/// What a machine puts out.
pub(crate) enum Out {
    Send(Kind),
    Fault(Fault),
    /// It has what it wanted.
    Done,
    Store,
    Other,
}

/// A machine of one connection.
pub(crate) trait One: Clone + PartialEq {
    fn message(&mut self, now: Now, message: &Wire, node: &mut Stub);
    fn tick(&mut self, now: Now, node: &mut Stub);
    fn stored(&mut self, _: Now, _: Result<(), NotStored>) {}
    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Out>;
    fn deadline(&self) -> Option<Deadline>;
}

fn out<E>(output: Output<E>, event: impl FnOnce(E) -> Out) -> Out {
    match output {
        Output::Send(kind) => Out::Send(kind),
        Output::Fault(fault) => Out::Fault(fault),
        Output::Event(what) => event(what),
        Output::Note(_) => Out::Other,
    }
}

#[derive(Clone, PartialEq)]
pub(crate) enum Handshake<S: Suite> {
    Initiator(Initiator<S>),
    Acceptor(Acceptor<S>),
}

impl<S: Suite> One for Handshake<S> {
    fn message(&mut self, now: Now, message: &Wire, _: &mut Stub) {
        match self {
            Self::Initiator(machine) => machine.message(now, borrowed(message)),
            Self::Acceptor(machine) => machine.message(now, borrowed(message)),
        }
    }

    fn tick(&mut self, now: Now, _: &mut Stub) {
        match self {
            Self::Initiator(machine) => machine.tick(now),
            Self::Acceptor(machine) => machine.tick(now),
        }
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Out> {
        match self {
            Self::Initiator(machine) => machine.poll(bytes).map(|o| out(o, |()| Out::Done)),
            Self::Acceptor(machine) => machine.poll(bytes).map(|o| out(o, |_| Out::Other)),
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Initiator(machine) => machine.deadline(),
            Self::Acceptor(machine) => machine.deadline(),
        }
    }
}

impl<S: Suite> One for Establishment<S> {
    fn message(&mut self, now: Now, message: &Wire, node: &mut Stub) {
        self.message(now, borrowed(message), node);
    }

    fn tick(&mut self, now: Now, node: &mut Stub) {
        self.tick(now, node);
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Out> {
        let person = [alice::<S>().person_id(), bob::<S>().person_id()];
        Self::poll(self, bytes).map(|output| {
            out(output, |established| {
                assert!(
                    person.contains(&established.person.id()),
                    "nobody poses as another"
                );
                Out::Done
            })
        })
    }

    fn deadline(&self) -> Option<Deadline> {
        self.deadline()
    }
}

impl One for Pairing {
    fn message(&mut self, now: Now, message: &Wire, node: &mut Stub) {
        self.message(now, borrowed(message), node);
    }

    fn tick(&mut self, now: Now, _: &mut Stub) {
        self.tick(now);
    }

    fn stored(&mut self, now: Now, result: Result<(), NotStored>) {
        self.stored(now, result);
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Out> {
        let due = self.peer().person.id();
        Self::poll(self, bytes).map(|output| {
            out(output, |event| match event {
                PairingEvent::Store(contact) => {
                    assert_eq!(contact.person_id, due, "nobody poses as another");
                    Out::Store
                }
                PairingEvent::Paired => Out::Done,
                PairingEvent::Close => Out::Other,
            })
        })
    }

    fn deadline(&self) -> Option<Deadline> {
        self.deadline()
    }
}

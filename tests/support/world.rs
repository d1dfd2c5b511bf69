//! Two sessions that talk to each other in memory, message by message.

use std::collections::VecDeque;
use std::sync::Arc;

use chumwire::contact::Contact;
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::Group;
use chumwire::fault::Fault;
use chumwire::handshake::Arrival;
use chumwire::io::{Kind, Output};
use chumwire::pairing::Invitation;
use chumwire::session::{Opening, Session, SessionConfig, SessionEvent};
use chumwire::time::Now;

use super::bench::{Wire, borrowed};
use super::people::made_up;
use super::stub::Stub;

/// One of the two.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Side {
    pub(crate) session: Session<Nacl>,
    pub(crate) node: Stub,
    pub(crate) to_come: VecDeque<Wire>,
    pub(crate) received: Vec<Wire>,
    pub(crate) contact: Option<Contact>,
    pub(crate) faults: Vec<Fault>,
    /// How many times it has told that it is over in the good way.
    pub(crate) closes: usize,
    pub(crate) outputs: usize,
}

impl Side {
    fn of(session: Session<Nacl>, node: Stub) -> Self {
        Self {
            session,
            node,
            to_come: VecDeque::new(),
            received: Vec::new(),
            contact: None,
            faults: Vec::new(),
            closes: 0,
            outputs: 0,
        }
    }

    /// Takes everything that it puts out; gives what is to be sent.
    pub(crate) fn drain(&mut self, now: Now) -> Vec<Wire> {
        let (mut sent, mut bytes) = (Vec::new(), Vec::new());
        while let Some(output) = self.session.poll(&mut bytes) {
            self.outputs += 1;
            match output {
                Output::Send(kind) => sent.push((kind, bytes.clone())),
                Output::Fault(fault) => self.faults.push(fault),
                Output::Event(SessionEvent::Message(kind)) => {
                    self.received.push((kind, bytes.clone()));
                }
                Output::Event(SessionEvent::Store(contact)) => {
                    self.contact = Some(contact);
                    self.session.stored(now, Ok(()), &mut self.node);
                }
                Output::Event(SessionEvent::Close) => self.closes += 1,
                _ => {}
            }
        }
        sent
    }
}

/// Both of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) initiator: Side,
    pub(crate) acceptor: Side,
}

/// A token, and what carries it.
const INVITATION: (&str, &str) = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-",
    "ws://in.memory",
);

impl World {
    /// Bob, who dialled, and Alice.
    pub(crate) fn new(now: Now, group: Group, seed: u8) -> Self {
        let (alice, bob) = (made_up("alice"), made_up("bob"));
        let key = alice.instance_key().public().hex();
        let json = serde_json::json!(
            {"token": INVITATION.0, "publicKey": key, "url": INVITATION.1}
        );
        let invitation = Invitation::read(&json.to_string()).expect("an invitation");
        let opening = Opening {
            own: bob.instance_key().used_as(),
            target: alice.instance_key().public(),
            token: (group == Group::Pairing).then(|| invitation.token().clone()),
            group,
        };
        let config = SessionConfig::default;
        let (of_bob, of_alice) = (Random::new([seed; 32]), Random::new([!seed; 32]));
        let mut world = Self {
            now,
            initiator: Side::of(
                Session::initiator(now, config(), Arc::new(bob), of_bob, opening),
                Stub::default(),
            ),
            acceptor: Side::of(
                Session::acceptor(now, config(), Arc::new(alice), of_alice, Arrival::Direct),
                Stub::accepting(INVITATION.0),
            ),
        };
        world.drain();
        world
    }

    /// What each puts out is on its way to the other.
    pub(crate) fn drain(&mut self) {
        let to_acceptor = self.initiator.drain(self.now);
        self.acceptor.to_come.extend(to_acceptor);
        let to_initiator = self.acceptor.drain(self.now);
        self.initiator.to_come.extend(to_initiator);
    }

    /// Delivers the next message, if one is on its way.
    pub(crate) fn step(&mut self) -> bool {
        for to_acceptor in [true, false] {
            let side = if to_acceptor {
                &mut self.acceptor
            } else {
                &mut self.initiator
            };
            if let Some(message) = side.to_come.pop_front() {
                let message = borrowed(&message);
                side.session
                    .message(self.now, message, &mut side.node)
                    .expect("room");
                self.drain();
                return true;
            }
        }
        false
    }

    /// Delivers up to that many messages.
    pub(crate) fn steps(&mut self, most: usize) {
        for _ in 0..most {
            if !self.step() {
                break;
            }
        }
    }

    /// One of the two, and what is on its way to it dropped.
    pub(crate) fn into_side(self, initiator: bool) -> Side {
        let mut side = if initiator {
            self.initiator
        } else {
            self.acceptor
        };
        side.to_come.clear();
        side
    }
}

/// A short text of the application.
pub(crate) fn text(content: &str) -> Wire {
    (Kind::Text, content.into())
}

//! Two sessions in a pairing, and somebody between them.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::Group;
use chumwire::handshake::Arrival;
use chumwire::io::{Closed, Kind, NotStored, Output};
use chumwire::objects::PersonId;
use chumwire::session::{Opening, Session, SessionConfig, SessionEvent};
use chumwire::time::{Micros, Now};

use crate::people::{alice, bob, invitation};
use crate::said::{MadeUp, borrowed};
use crate::stub::Stub;

/// What happens next. The flag is whom it happens to: the acceptor, or else the initiator.
#[derive(Arbitrary, Debug)]
pub(crate) enum SessionAction {
    /// The next message arrives.
    Deliver(bool),
    /// Several messages arrive on both sides.
    DeliverAll(u8),
    /// The next message arrives altered.
    Alter(bool, u16, u8),
    /// The next message never arrives.
    Lose(bool),
    /// The next message arrives twice.
    Repeat(bool),
    /// A message arrives that nobody sent.
    Inject(bool, MadeUp),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// One of them is ticked at its deadline.
    Deadline(bool),
    /// The connection of one is gone.
    Close(bool),
    /// The embedder's storage answers.
    Store(bool, bool),
    /// The embedder says something.
    Send(bool, u8),
}

struct Side {
    session: Session<Nacl>,
    node: Stub,
    other: PersonId,
    to_come: VecDeque<(Kind, Vec<u8>)>,
    ended: bool,
    stores: bool,
}

impl Side {
    fn drain(&mut self, now: Now, to: &mut VecDeque<(Kind, Vec<u8>)>) {
        let mut bytes = Vec::new();
        while let Some(output) = self.session.poll(&mut bytes) {
            assert!(!self.ended, "a fault is the last word");
            match output {
                Output::Send(kind) => to.push_back((kind, bytes.clone())),
                Output::Fault(_) => self.ended = true,
                Output::Event(SessionEvent::Store(contact)) => {
                    assert_eq!(contact.person_id, self.other, "nobody poses as another");
                    if self.stores {
                        self.session.stored(now, Ok(()), &mut self.node);
                    }
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, now: Now, message: &(Kind, Vec<u8>)) {
        let before = self.session.clone();
        let taken = self.session.message(now, borrowed(message), &mut self.node);
        assert!(
            taken.is_ok() || before == self.session,
            "Full changes nothing"
        );
    }
}

/// Both roles, and somebody who alters, loses, repeats and makes up what passes between them.
pub(crate) fn session(actions: Vec<SessionAction>) {
    let (mut now, config) = (Now::default(), SessionConfig::default);
    let (own_of_bob, own_of_alice) = (bob::<Nacl>(), alice::<Nacl>());
    let opening = Opening {
        own: own_of_bob.instance_key().used_as(),
        target: own_of_alice.instance_key().public(),
        group: Group::Pairing,
        token: Some(invitation::<Nacl>().token().clone()),
    };
    let (of_bob, of_alice) = (Random::new([3; 32]), Random::new([4; 32]));
    let initiator =
        Session::initiator(now, config(), Arc::new(own_of_bob.clone()), of_bob, opening);
    let acceptor = Session::acceptor(
        now,
        config(),
        Arc::new(own_of_alice.clone()),
        of_alice,
        Arrival::Direct,
    );
    let side = |session, other, node| Side {
        session,
        node,
        other,
        to_come: VecDeque::new(),
        ended: false,
        stores: true,
    };
    let mut sides = [
        side(initiator, alice::<Nacl>().person_id(), Stub::default()),
        side(acceptor, bob::<Nacl>().person_id(), Stub::with_token()),
    ];
    for action in actions.iter().take(200) {
        let [bob, alice] = &mut sides;
        bob.drain(now, &mut alice.to_come);
        alice.drain(now, &mut bob.to_come);
        act(&mut sides, &mut now, action);
    }
    let [bob, alice] = &mut sides;
    bob.drain(now, &mut alice.to_come);
    alice.drain(now, &mut bob.to_come);
}

fn act(sides: &mut [Side; 2], now: &mut Now, action: &SessionAction) {
    use SessionAction as A;
    match action {
        A::Deliver(to) => {
            let side = &mut sides[usize::from(*to)];
            if let Some(message) = side.to_come.pop_front() {
                side.message(*now, &message);
            }
        }
        A::DeliverAll(count) => {
            for n in 0..*count % 40 {
                let [bob, alice] = sides;
                let side = if n % 2 == 0 { &mut *alice } else { &mut *bob };
                if let Some(message) = side.to_come.pop_front() {
                    side.message(*now, &message);
                }
                bob.drain(*now, &mut alice.to_come);
                alice.drain(*now, &mut bob.to_come);
            }
        }
        A::Alter(to, at, by) => {
            let side = &mut sides[usize::from(*to)];
            if let Some((kind, mut bytes)) = side.to_come.pop_front() {
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(*at) % length) {
                    *byte ^= by;
                }
                side.message(*now, &(kind, bytes));
            }
        }
        A::Lose(to) => drop(sides[usize::from(*to)].to_come.pop_front()),
        A::Repeat(to) => {
            let side = &mut sides[usize::from(*to)];
            if let Some(message) = side.to_come.pop_front() {
                side.message(*now, &message);
                side.message(*now, &message);
            }
        }
        A::Inject(to, message) => sides[usize::from(*to)].message(*now, &message.wire()),
        A::Time(by) => {
            now.mono = now.mono + Micros::millis((*by).into());
            for side in sides {
                side.session.tick(*now, &mut side.node);
            }
        }
        A::Deadline(of) => {
            let side = &mut sides[usize::from(*of)];
            if let Some(due) = side.session.deadline() {
                now.mono = now.mono.max(due.at);
                side.session.tick(*now, &mut side.node);
                let next = side.session.deadline();
                assert!(
                    next.is_none_or(|next| next.at > now.mono),
                    "a tick moves the deadline"
                );
            }
        }
        A::Close(of) => {
            let side = &mut sides[usize::from(*of)];
            side.session
                .closed(Closed::Lost(String::new()), &mut side.node);
        }
        A::Store(of, good) => {
            let side = &mut sides[usize::from(*of)];
            side.stores = !side.stores;
            let result = if *good { Ok(()) } else { Err(NotStored) };
            side.session.stored(*now, result, &mut side.node);
        }
        A::Send(of, fill) => {
            let side = &mut sides[usize::from(*of)];
            let message = (Kind::Binary, vec![*fill; usize::from(*fill) * 400]);
            let _ = side.session.send(*now, borrowed(&message));
        }
    }
}

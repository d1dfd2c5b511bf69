//! Two sessions in a pairing, and somebody between them.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use chumwire::crypto::{Nacl, PublicKey, Random, Secret, Static};
use chumwire::establish::{Group, OnRecord, Surroundings};
use chumwire::fault::{TokenFault, Why};
use chumwire::io::{Closed, Kind, NotStored, Output};
use chumwire::objects::PersonId;
use chumwire::session::{Opening, Session, SessionConfig, SessionEvent};
use chumwire::handshake::Arrival;
use chumwire::time::{Micros, Now};

use crate::people::{ALICE, BOB, TOKEN, invitation};
use crate::{MadeUp, borrowed};

/// What happens next. The flag is whom it happens to: the acceptor, or else the initiator.
#[derive(Arbitrary, Debug)]
pub enum SessionAction {
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

struct Stub(bool);

impl Surroundings for Stub {
    fn admit(&mut self, _: Now, _: &PublicKey<Static>, _: &Group, _: bool) -> Result<(), Why> {
        Ok(())
    }

    fn on_record(&self, _: PersonId) -> Option<OnRecord> {
        None
    }

    fn challenge_sent(&mut self, _: &Secret<64>) {}

    fn challenge_answered(&mut self) {}

    fn is_own_challenge(&mut self, _: &Secret<64>) -> bool {
        false
    }

    fn present_token(&mut self, _: Now, token: &str, _: PersonId) -> Result<(), TokenFault> {
        if self.0 && token == TOKEN {
            Ok(())
        } else {
            Err(TokenFault::Unknown)
        }
    }
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
        let _ = self.session.message(now, borrowed(message), &mut self.node);
    }
}

/// Both roles, and somebody who alters, loses, repeats and makes up what passes between them.
pub fn session(actions: Vec<SessionAction>) {
    let (mut now, config) = (Now::default(), SessionConfig::default);
    let opening = Opening {
        own: BOB.instance_key().used_as(),
        target: ALICE.instance_key().public(),
        group: Group::Pairing,
        token: Some(invitation().token().clone()),
    };
    let (of_bob, of_alice) = (Random::new([3; 32]), Random::new([4; 32]));
    let bob = Session::initiator(now, config(), Arc::new(BOB.clone()), of_bob, opening);
    let alice = Session::acceptor(
        now,
        config(),
        Arc::new(ALICE.clone()),
        of_alice,
        Arrival::Direct,
    );
    let side = |session, other, holds| Side {
        session,
        node: Stub(holds),
        other,
        to_come: VecDeque::new(),
        ended: false,
        stores: true,
    };
    let mut sides = [
        side(bob, ALICE.person_id(), false),
        side(alice, BOB.person_id(), true),
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

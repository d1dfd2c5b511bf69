//! The machines of one connection, each in both roles, and somebody between the two who sees all in clear: what an
//! authenticated peer of bad will can do to the machine behind its channel.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use chumwire::crypto::{Nacl, Random, Suite};
use chumwire::establish::{EstablishConfig, Established, Establishment, Group};
use chumwire::fault::CloseReason;
use chumwire::handshake::{Acceptor, Arrival, HandshakeConfig, Initiator};
use chumwire::io::NotStored;
use chumwire::pairing::{Pairing, PairingConfig};
use chumwire::time::{Micros, Now};

use crate::one::{Handshake, One, Out, Wire};
use crate::people::{alice, bob, invitation};
use crate::said::{Edit, MadeUp};
use crate::stub::Stub;

/// What happens next. A first flag is whom it happens to: the acceptor, or else the initiator.
#[derive(Arbitrary, Debug)]
pub(crate) enum Between {
    /// The next message arrives.
    Deliver(bool),
    /// All that is under way arrives, and what comes of it.
    DeliverAll,
    /// The next message arrives with a bit turned.
    Flip(bool, u16, u8),
    /// The next text arrives altered.
    Alter(bool, Edit),
    /// The next message never arrives.
    Lose(bool),
    /// The next message arrives twice.
    Repeat(bool),
    /// What one has said comes back to it.
    Reflect(bool),
    /// A message arrives that nobody sent.
    Inject(bool, MadeUp),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// One of them is ticked at its deadline.
    Deadline(bool),
    /// The storage answers.
    Stored(bool, bool),
    /// It is polled.
    Poll(bool),
}

struct End<M> {
    machine: M,
    node: Stub,
    to_come: VecDeque<Wire>,
    ended: bool,
    stores: usize,
}

impl<M: One> End<M> {
    fn new(machine: M, node: Stub) -> Self {
        Self {
            machine,
            node,
            to_come: VecDeque::new(),
            ended: false,
            stores: 0,
        }
    }

    fn message(&mut self, now: Now, message: &Wire) {
        let before = self.ended.then(|| self.machine.clone());
        self.machine.message(now, message, &mut self.node);
        self.is_harmless(before);
    }

    fn tick(&mut self, now: Now) {
        let before = self.ended.then(|| self.machine.clone());
        self.machine.tick(now, &mut self.node);
        self.is_harmless(before);
    }

    /// After the end nothing that is called puts anything out.
    fn is_harmless(&mut self, before: Option<M>) {
        if before.is_some() {
            let came = self.machine.poll(&mut Vec::new());
            assert!(came.is_none(), "after a fault every call is harmless");
            assert!(
                self.machine.deadline().is_none(),
                "nothing is due after a fault"
            );
        }
    }

    fn poll(&mut self, to: &mut VecDeque<Wire>) {
        let mut bytes = Vec::new();
        while let Some(out) = self.machine.poll(&mut bytes) {
            assert!(!self.ended, "a fault is the last word");
            match out {
                Out::Send(kind) => to.push_back((kind, bytes.clone())),
                Out::Fault(fault) => {
                    self.ended = true;
                    assert!(CloseReason::of(&fault).text().len() <= 123);
                }
                Out::Store => self.stores += 1,
                Out::Done | Out::Other => {}
            }
        }
        assert!(self.stores <= 1, "a contact is stored once");
    }
}

fn poll<M: One>(ends: &mut [End<M>; 2], of: bool) {
    let [one, other] = ends;
    match of {
        false => one.poll(&mut other.to_come),
        true => other.poll(&mut one.to_come),
    }
}

/// Runs two machines and somebody between them.
fn between<M: One>(mut ends: [End<M>; 2], actions: &[Between]) {
    let mut now = Now::default();
    for action in actions.iter().take(100) {
        act(&mut ends, &mut now, action);
    }
    // Whatever was, time ends it.
    for of in [false, true] {
        poll(&mut ends, of);
        let end = &mut ends[usize::from(of)];
        for _ in 0..8 {
            let Some(due) = end.machine.deadline() else {
                break;
            };
            now.mono = now.mono.max(due.at);
            end.tick(now);
        }
        assert!(end.machine.deadline().is_none(), "it goes on for ever");
        poll(&mut ends, of);
    }
}

fn act<M: One>(ends: &mut [End<M>; 2], now: &mut Now, action: &Between) {
    let at = |of: &bool| usize::from(*of);
    match action {
        Between::Deliver(to) => {
            let end = &mut ends[at(to)];
            if let Some(message) = end.to_come.pop_front() {
                end.message(*now, &message);
            }
        }
        Between::DeliverAll => {
            for n in 0..40 {
                poll(ends, n % 2 == 0);
                let end = &mut ends[n % 2];
                if let Some(message) = end.to_come.pop_front() {
                    end.message(*now, &message);
                }
            }
        }
        Between::Flip(to, place, by) => {
            let end = &mut ends[at(to)];
            if let Some((kind, mut bytes)) = end.to_come.pop_front() {
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(*place) % length) {
                    *byte ^= by;
                }
                end.message(*now, &(kind, bytes));
            }
        }
        Between::Alter(to, edit) => {
            let end = &mut ends[at(to)];
            if let Some((kind, bytes)) = end.to_come.pop_front() {
                let mut text = String::from_utf8_lossy(&bytes).into_owned();
                edit.apply(&mut text);
                end.message(*now, &(kind, text.into_bytes()));
            }
        }
        Between::Lose(to) => drop(ends[at(to)].to_come.pop_front()),
        Between::Repeat(to) => {
            let end = &mut ends[at(to)];
            if let Some(message) = end.to_come.pop_front() {
                end.message(*now, &message);
                end.message(*now, &message);
            }
        }
        Between::Reflect(to) => {
            let [one, other] = ends;
            let (end, from) = if *to { (other, one) } else { (one, other) };
            if let Some(message) = from.to_come.pop_front() {
                end.message(*now, &message);
            }
        }
        Between::Inject(to, message) => ends[at(to)].message(*now, &message.wire()),
        Between::Time(by) => {
            now.mono = now.mono + Micros::millis((*by).into());
            ends.iter_mut().for_each(|end| end.tick(*now));
        }
        Between::Deadline(of) => {
            let end = &mut ends[at(of)];
            if let Some(due) = end.machine.deadline() {
                now.mono = now.mono.max(due.at);
                end.tick(*now);
                let next = end.machine.deadline();
                assert!(
                    next.is_none_or(|next| next.at > now.mono),
                    "a tick moves it"
                );
            }
        }
        Between::Stored(of, good) => {
            let end = &mut ends[at(of)];
            let result = if *good { Ok(()) } else { Err(NotStored) };
            end.machine.stored(*now, result);
        }
        Between::Poll(of) => poll(ends, *of),
    }
}

/// Both roles of the handshake.
pub(crate) fn handshake<S: Suite>(actions: Vec<Between>) {
    let now = Now::default();
    let config = HandshakeConfig::default;
    let (own, target) = (
        bob::<S>().instance_key().used_as(),
        alice::<S>().instance_key().public(),
    );
    let initiator = Initiator::new(now, config(), own, target, Random::new([1; 32]));
    let acceptor = Acceptor::new(
        now,
        config(),
        vec![alice::<S>().instance_key().clone()],
        vec![*alice::<S>().person_keys().public_key.bytes()],
        Random::new([2; 32]),
        Arrival::Direct,
    );
    let ends = [
        Handshake::<S>::Initiator(initiator),
        Handshake::Acceptor(acceptor),
    ];
    between(ends.map(|end| End::new(end, Stub::default())), &actions);
}

/// Both roles of the establishment.
pub(crate) fn establishment<S: Suite>((group, actions): (u8, Vec<Between>)) {
    let now = Now::default();
    let config = EstablishConfig::default;
    let group = [Group::Chum, Group::Pairing, Group::named("something else")]
        [usize::from(group % 3)]
    .clone();
    let initiator = Establishment::<S>::initiator(
        now,
        config(),
        Arc::new(bob::<S>().clone()),
        alice::<S>().instance_key().public().presented(),
        Random::new([3; 32]),
        group,
    );
    let acceptor = Establishment::acceptor(
        now,
        config(),
        Arc::new(alice::<S>().clone()),
        bob::<S>().instance_key().public().presented(),
        Random::new([4; 32]),
    );
    let ends = [initiator, acceptor];
    between(ends.map(|end| End::new(end, Stub::default())), &actions);
}

/// Both roles of a pairing.
pub(crate) fn pairing(actions: Vec<Between>) {
    let now = Now::default();
    let peer = |of: &chumwire::identity::Identity| Established {
        group: Group::Pairing,
        person: of.person().clone(),
        keys: of.person_keys(),
        instance: of.instance().clone(),
        peer: of.instance_key().public().presented(),
        extensions: true,
    };
    let config = PairingConfig::default;
    let invitation = invitation::<Nacl>();
    let initiator = Pairing::initiator(
        now,
        config(),
        Arc::new(bob::<Nacl>().clone()),
        peer(alice::<Nacl>()),
        invitation.token(),
    );
    let acceptor = Pairing::acceptor(
        now,
        config(),
        Arc::new(alice::<Nacl>().clone()),
        peer(bob::<Nacl>()),
    );
    let ends = [
        End::new(initiator, Stub::default()),
        End::new(acceptor, Stub::with_token()),
    ];
    between(ends, &actions);
}

//! The two machines of the handshake against each other, and against what they must not take (spec 03).

use std::sync::Arc;

use crate::support::bench::Wire;
use crate::support::people::made_up;
use crate::support::stub::Stub;
use crate::support::world::World;
use chumwire::crypto::{
    self, Ephemeral, Instance, KeyPair, Nacl, PublicKey, Purpose, Random, Secret, Static, Suite,
};
use chumwire::establish::{EstablishConfig, Establishment, Group, keys_object, person_id_object};
use chumwire::fault::{CloseReason, Fault, Refusal, Why};
use chumwire::handshake::{
    Acceptor, Arrival, Asked, CommunicationRequest, HandshakeConfig, Initiator, communication_ready,
};
use chumwire::identity::Identity;
use chumwire::io::{Kind, Message, Output};
use chumwire::objects::Keys;
use chumwire::time::{Micros, Now};

fn now() -> Now {
    Now::default()
}

fn initiator(own: &Identity, target: PublicKey<Instance>) -> Initiator<Nacl> {
    let random = Random::new([1; 32]);
    let own = own.instance_key().used_as();
    Initiator::new(now(), HandshakeConfig::default(), own, target, random)
}

fn acceptor(own: &Identity) -> Acceptor<Nacl> {
    let (keys, person) = (
        vec![own.instance_key().clone()],
        vec![*own.person_key().public().bytes()],
    );
    let random = Random::new([2; 32]);
    let config = HandshakeConfig::default();
    Acceptor::new(now(), config, keys, person, random, Arrival::Direct)
}

/// What a machine puts out: what it sends, and the fault that it ends with.
fn drain<E>(mut poll: impl FnMut(&mut Vec<u8>) -> Option<Output<E>>) -> (Vec<Wire>, Option<Fault>) {
    let (mut sent, mut fault, mut bytes) = (Vec::new(), None, Vec::new());
    while let Some(output) = poll(&mut bytes) {
        match output {
            Output::Send(kind) => sent.push((kind, bytes.clone())),
            Output::Fault(it) => fault = Some(it),
            _ => {}
        }
    }
    (sent, fault)
}

fn request(source: PublicKey<Static>, target: PublicKey<Instance>) -> String {
    CommunicationRequest { source, target }.text()
}

/// A key message, as whoever holds `own` makes it for `peer`.
fn key_message(own: &KeyPair<Static>, peer: PublicKey<Instance>, ephemeral: [u8; 32]) -> [u8; 72] {
    let key = own.before::<Nacl, _>(&peer).expect("a good key");
    crypto::seal(&key, &mut Random::new([3; 32]), &ephemeral)
}

fn ephemeral() -> [u8; 32] {
    let pair: KeyPair<Ephemeral> =
        KeyPair::generate::<Nacl>(&mut Random::new([4; 32]), Purpose::EphemeralKey);
    *pair.public().bytes()
}

/// Whatever it is refused for, the initiator hears the answer to its request, then nothing but the close, after its
/// key message; only this side's log tells the causes apart.
///
/// Demands: M3.1, M0.4.
#[test]
fn refusals_come_after_the_key_message_and_look_alike() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let own = bob.instance_key().used_as::<Static>();
    let target = alice.instance_key().public();
    let good = key_message(&own, target, ephemeral()).to_vec();
    let mut bad = good.clone();
    bad[50] ^= 1;
    let unknown = made_up("nobody").instance_key().public();
    let person = PublicKey::new(*alice.person_key().public().bytes());
    let weak = PublicKey::new([0; 32]);
    let refused = |refusal| Why::Refused { refusal };
    let mut seen = std::collections::BTreeSet::new();
    for (source, target, key, unwanted, due) in [
        (
            own.public(),
            unknown,
            &good,
            false,
            refused(Refusal::UnknownTarget),
        ),
        (
            own.public(),
            person,
            &good,
            false,
            refused(Refusal::PersonKeyTarget),
        ),
        (
            own.public(),
            target,
            &good,
            true,
            refused(Refusal::UnwantedPeer),
        ),
        (
            own.public(),
            target,
            &bad,
            true,
            refused(Refusal::UnwantedPeer),
        ),
        (own.public(), target, &bad, false, Why::KeyMessage),
        (weak, target, &good, false, Why::SmallOrder),
        (weak, target, &good, true, refused(Refusal::UnwantedPeer)),
    ] {
        let mut acceptor = acceptor(&alice);
        acceptor.message(now(), Message::Text(&request(source, target)));
        if unwanted {
            acceptor.refuse(Refusal::UnwantedPeer);
        }
        let (sent, fault) = drain(|bytes| acceptor.poll(bytes));
        assert_eq!(sent, [(Kind::Text, communication_ready().into_bytes())]);
        assert_eq!(fault, None, "not yet");
        acceptor.message(now(), Message::Binary(key));
        let (sent, fault) = drain(|bytes| acceptor.poll(bytes));
        assert_eq!(sent, [], "no key of ours");
        let fault = fault.expect("it ends");
        assert_eq!(fault.why, due);
        seen.insert((fault.step.name(), CloseReason::of(&fault).text()));
        assert!(acceptor.finish().is_none());
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    // What is refused first is what is told.
    let mut acceptor = acceptor(&alice);
    acceptor.message(now(), Message::Text(&request(own.public(), unknown)));
    acceptor.refuse(Refusal::UnwantedPeer);
    acceptor.message(now(), Message::Binary(&good));
    let (_, fault) = drain(|bytes| acceptor.poll(bytes));
    assert_eq!(fault.map(|f| f.why), Some(refused(Refusal::UnknownTarget)));
}

/// The own key message, as it was sent; and the own ephemeral key in a good box of the peer's.
///
/// Demands: M3.2.
#[test]
fn ones_own_key_is_refused_in_whatever_box() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let of_alice = alice.instance_key().public();
    let static_key = alice
        .instance_key()
        .before::<Nacl, _>(&bob.instance_key().public())
        .expect("a good key");
    for sealed_anew in [false, true] {
        let mut initiator = initiator(&bob, of_alice);
        initiator.message(now(), Message::Text(&communication_ready()));
        let (sent, _) = drain(|bytes| initiator.poll(bytes));
        let (Kind::Binary, own) = &sent[1] else {
            panic!("{sent:?}")
        };
        let key = crypto::open::<32>(&static_key, own).expect("it is for alice");
        let back: [u8; 72] = match sealed_anew {
            false => own[..].try_into().expect("72 bytes"),
            true => crypto::seal(&static_key, &mut Random::new([5; 32]), key.expose()),
        };
        initiator.message(now(), Message::Binary(&back));
        let (_, fault) = drain(|bytes| initiator.poll(bytes));
        assert_eq!(fault.map(|f| f.why), Some(Why::Reflected), "{sealed_anew}");
    }
}

/// Both sides dial: told at the first message.
///
/// Demands: M3.3.
#[test]
fn a_request_where_ready_is_due_is_a_role_conflict_at_once() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let mut initiator = initiator(&bob, alice.instance_key().public());
    let theirs = request(
        alice.instance_key().public().presented(),
        bob.instance_key().public(),
    );
    initiator.message(now(), Message::Text(&theirs));
    let (sent, fault) = drain(|bytes| initiator.poll(bytes));
    assert_eq!(sent.len(), 1, "the request, and nothing behind it");
    let fault = fault.expect("at once");
    assert_eq!(
        (fault.step.name(), fault.why.code()),
        ("ready", "role_conflict")
    );
}

/// The initiator of a session says nothing behind its key message until the other's has come and is good.
///
/// Demands: M3.4.
#[test]
fn an_initiator_says_nothing_behind_its_key_before_it_has_the_others() {
    let mut world = World::new(now(), Group::Pairing, 7);
    // The request is on its way; the answer to it comes; then the key message.
    world.steps(2);
    let sent = world.acceptor.to_come.clone();
    assert_eq!(sent.len(), 1, "the key message alone");
    assert_eq!((sent[0].0, sent[0].1.len()), (Kind::Binary, 72));
    // However long the other's takes, as long as it is in time.
    let mut early = world.clone();
    early.now.mono = Micros::secs(9);
    early
        .initiator
        .session
        .tick(early.now, &mut early.initiator.node);
    early.drain();
    assert_eq!(early.acceptor.to_come, sent);
    // When it has come, the group is said.
    world.steps(2);
    assert_eq!(world.acceptor.to_come.len(), 1, "the group");
    assert_eq!(world.initiator.faults, []);
}

/// An acceptor copes with what the initiator sends right behind its key message.
///
/// Demands: M3.4.
#[test]
fn an_acceptor_takes_what_comes_behind_the_key_message() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let own = bob.instance_key().used_as::<Static>();
    let target = alice.instance_key().public();
    let mut acceptor = acceptor(&alice);
    acceptor.message(now(), Message::Text(&request(own.public(), target)));
    acceptor.message(
        now(),
        Message::Binary(&key_message(&own, target, ephemeral())),
    );
    // A frame of the channel: it cannot open here, so what is shown is that it got there.
    acceptor.message(now(), Message::Binary(&[7; 40]));
    let (sent, fault) = drain(|bytes| acceptor.poll(bytes));
    assert_eq!((sent.len(), fault), (2, None));
    let mut channel = acceptor.finish().expect("it is done").channel;
    let (_, fault) = drain(|bytes| channel.poll::<()>(bytes));
    assert_eq!(fault.map(|f| f.why), Some(Why::Frame { counter: 1 }));
    // A text is none of the channel's.
    let mut acceptor = self::acceptor(&alice);
    acceptor.message(now(), Message::Text(&request(own.public(), target)));
    acceptor.message(
        now(),
        Message::Binary(&key_message(&own, target, ephemeral())),
    );
    acceptor.message(now(), Message::Text("x"));
    let (_, fault) = drain(|bytes| acceptor.poll(bytes));
    assert_eq!(fault.map(|f| f.why), Some(Why::PlainText));
}

/// Keys that everybody could compute with are refused wherever a key of a pair is made.
///
/// Demands: M1.1.
#[test]
fn keys_of_small_order_are_refused_in_every_place() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let weak = [0; 32];
    let why = |fault: Option<Fault>| fault.map(|fault| fault.why);
    // The target of an initiator.
    let mut machine = initiator(&bob, PublicKey::new(weak));
    machine.message(now(), Message::Text(&communication_ready()));
    let (sent, fault) = drain(|bytes| machine.poll(bytes));
    assert_eq!((sent.len(), why(fault)), (1, Some(Why::SmallOrder)));
    // The ephemeral key of either.
    let mut machine = initiator(&bob, alice.instance_key().public());
    machine.message(now(), Message::Text(&communication_ready()));
    let of_alice = alice.instance_key().used_as::<Static>();
    let message = key_message(&of_alice, bob.instance_key().public(), weak);
    machine.message(now(), Message::Binary(&message));
    assert_eq!(
        why(drain(|bytes| machine.poll(bytes)).1),
        Some(Why::SmallOrder)
    );
    let mut machine = acceptor(&alice);
    let of_bob = bob.instance_key().used_as::<Static>();
    let target = alice.instance_key().public();
    machine.message(now(), Message::Text(&request(of_bob.public(), target)));
    machine.message(now(), Message::Binary(&key_message(&of_bob, target, weak)));
    let (sent, fault) = drain(|bytes| machine.poll(bytes));
    assert_eq!((sent.len(), why(fault)), (1, Some(Why::SmallOrder)));
    // The key of a person.
    let mut establishment = Establishment::<Nacl>::initiator(
        now(),
        EstablishConfig::default(),
        Arc::new(bob),
        of_alice.public(),
        Random::new([6; 32]),
        Group::Pairing,
    );
    let keys = Keys {
        public_key: PublicKey::new(weak),
        ..alice.person_keys()
    };
    for said in [
        r#"{"command":"sync"}"#.into(),
        person_id_object(alice.person()),
        keys_object(&keys),
    ] {
        establishment.message(now(), Message::Text(&said), &mut Stub::default());
    }
    let (_, fault) = drain(|bytes| establishment.poll(bytes));
    assert_eq!(why(fault), Some(Why::SmallOrder));
    // And by itself.
    assert!(Nacl::before(&weak, &Secret::take(&mut [9; 32])).is_err());
}

/// Each step has its limit, to the microsecond, by its name.
///
/// Demands: M0.3.
#[test]
fn each_step_of_the_handshake_has_a_limit() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let (target, later) = (alice.instance_key().public(), Micros::secs(4));
    let at = |mono| Now { mono, ..now() };
    let mut seen = Vec::new();
    for asked in [false, true] {
        let mut machine = initiator(&bob, target);
        let mut other = acceptor(&alice);
        let mut begun = Micros::ZERO;
        if asked {
            begun = later;
            machine.message(at(later), Message::Text(&communication_ready()));
            let source = bob.instance_key().public().presented();
            other.message(at(later), Message::Text(&request(source, target)));
        }
        let due = begun + Micros::secs(10);
        assert_eq!(machine.deadline().map(|d| d.at), Some(due));
        assert_eq!(other.deadline().map(|d| d.at), Some(due));
        machine.tick(at(Micros(due.0 - 1)));
        other.tick(at(Micros(due.0 - 1)));
        assert!(drain(|bytes| machine.poll(bytes)).1.is_none());
        assert!(drain(|bytes| other.poll(bytes)).1.is_none());
        machine.tick(at(due));
        other.tick(at(due));
        for fault in [drain(|b| machine.poll(b)).1, drain(|b| other.poll(b)).1] {
            let fault = fault.expect("it is over");
            seen.push((fault.step.name(), fault.why.code()));
        }
        assert_eq!((machine.deadline(), other.deadline()), (None, None));
    }
    assert_eq!(
        seen,
        [
            ("ready", "timeout"),
            ("request", "timeout_both_accept"),
            ("key", "timeout"),
            ("key", "timeout"),
        ]
    );
}

/// The parent learns who asks, before anything is proven, and when it is done.
#[test]
fn an_acceptor_tells_who_asks_and_that_it_is_done() {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let own = bob.instance_key().used_as::<Static>();
    let target = alice.instance_key().public();
    let mut acceptor = acceptor(&alice);
    acceptor.message(now(), Message::Text(&request(own.public(), target)));
    acceptor.message(
        now(),
        Message::Binary(&key_message(&own, target, ephemeral())),
    );
    let mut events = Vec::new();
    let mut bytes = Vec::new();
    while let Some(output) = acceptor.poll(&mut bytes) {
        if let Output::Event(event) = output {
            events.push(event);
        }
    }
    let source = own.public();
    let asked = Asked::Request(CommunicationRequest { source, target });
    assert_eq!(events, [asked, Asked::Done]);
    assert_eq!(acceptor.finish().expect("it is done").peer, source);
}

//! Properties of every machine of a connection, and of a whole node: whatever comes in, in whatever state, nothing
//! panics; a tick at the deadline moves the deadline; a fault is told once, is the last word, and makes every later
//! call harmless.

mod support;

use std::sync::Arc;

use chumwire::crypto::{Nacl, Random};
use chumwire::establish::{
    EstablishConfig, Established, Establishment, Group, connection_group, instance_id_object,
    keys_object, person_id_object, sync,
};
use chumwire::fault::{CloseReason, Fault};
use chumwire::handshake::{Acceptor, Arrival, HandshakeConfig, Initiator, communication_ready};
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Machine, NotStored, Output, Source, StoreId};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::pairing::{Invitation, Pairing, PairingConfig, PeerIdentity, identity};
use chumwire::session::SessionEvent;
use chumwire::step::Step;
use chumwire::time::{Deadline, Micros, Millis, Now};
use proptest::prelude::*;
use support::arrival::handed_over;
use support::bench::{Bench, Tester, Wire, borrowed};
use support::generate::{any_end, any_message};
use support::people::made_up;
use support::stub::Stub;
use support::world::{Side, World, text};

/// What can happen to a machine.
#[derive(Clone, Debug)]
enum Input {
    Message(Wire),
    /// Time goes on by so much, or back.
    Time(i64),
    /// A tick at the very deadline.
    Deadline,
    Stored(bool),
    Closed(Closed),
    /// Nobody polls for a while.
    NoPoll,
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => any_message().prop_map(Input::Message),
        2 => (-5_000_000..30_000_000_i64).prop_map(Input::Time),
        2 => Just(Input::Deadline),
        1 => any::<bool>().prop_map(Input::Stored),
        1 => any_end().prop_map(Input::Closed),
        1 => Just(Input::NoPoll),
    ]
}

fn any_inputs() -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec(any_input(), 0..25)
}

/// A machine of one connection, as the tests see it.
trait One {
    fn input(&mut self, now: Now, input: &Input);
    /// One thing that it puts out: whether there was one, and the fault if it is that.
    fn output(&mut self) -> Option<Option<Fault>>;
    fn deadline(&self) -> Option<Deadline>;
}

/// Feeds a machine; checks what holds for all of them.
fn feed(machine: &mut impl One, start: Now, inputs: &[Input]) -> Result<(), TestCaseError> {
    let (mut now, mut latest) = (start, start.mono);
    let mut fault: Option<Fault> = None;
    for input in inputs {
        match input {
            Input::Time(by) => now.mono.0 = now.mono.0.saturating_add_signed(*by),
            Input::Deadline => now.mono = machine.deadline().map_or(now.mono, |due| due.at),
            _ => {}
        }
        latest = latest.max(now.mono);
        machine.input(now, input);
        if matches!(input, Input::Time(_) | Input::Deadline)
            && let Some(next) = machine.deadline()
        {
            prop_assert!(next.at > latest, "a tick at the deadline moves it");
        }
        if matches!(input, Input::NoPoll) {
            continue;
        }
        while let Some(output) = machine.output() {
            prop_assert_eq!(&fault, &None, "a fault is the last word");
            fault = output;
        }
        if let Some(fault) = &fault {
            prop_assert_eq!(machine.deadline(), None, "after the end nothing is due");
            prop_assert!(
                !fault.why.code().is_empty() && CloseReason::of(fault).text().len() <= 123
            );
            prop_assert!(!fault.to_string().is_empty());
        }
    }
    Ok(())
}

// ---------------------------------------------------------------- handshake

impl One for Initiator<Nacl> {
    fn input(&mut self, now: Now, input: &Input) {
        match input {
            Input::Message(message) => self.message(now, borrowed(message)),
            _ => self.tick(now),
        }
    }

    fn output(&mut self) -> Option<Option<Fault>> {
        self.poll(&mut Vec::new()).map(fault_of)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.deadline()
    }
}

impl One for Acceptor<Nacl> {
    fn input(&mut self, now: Now, input: &Input) {
        match input {
            Input::Message(message) => self.message(now, borrowed(message)),
            _ => self.tick(now),
        }
    }

    fn output(&mut self) -> Option<Option<Fault>> {
        self.poll(&mut Vec::new()).map(fault_of)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.deadline()
    }
}

fn fault_of<E>(output: Output<E>) -> Option<Fault> {
    match output {
        Output::Fault(fault) => Some(fault),
        _ => None,
    }
}

fn initiator(now: Now) -> Initiator<Nacl> {
    let (bob, alice) = (made_up("bob"), made_up("alice"));
    let (own, target) = (bob.instance_key().used_as(), alice.instance_key().public());
    Initiator::new(
        now,
        HandshakeConfig::default(),
        own,
        target,
        Random::new([1; 32]),
    )
}

fn acceptor(now: Now, arrival: Arrival) -> Acceptor<Nacl> {
    let keys = vec![made_up("alice").instance_key().clone()];
    let random = Random::new([2; 32]);
    Acceptor::new(
        now,
        HandshakeConfig::default(),
        keys,
        Vec::new(),
        random,
        arrival,
    )
}

// ---------------------------------------------------------------- establishment and pairing

struct WithStub<M> {
    machine: M,
    node: Stub,
}

impl One for WithStub<Establishment<Nacl>> {
    fn input(&mut self, now: Now, input: &Input) {
        match input {
            Input::Message(message) => {
                self.machine.message(now, borrowed(message), &mut self.node);
            }
            _ => self.machine.tick(now, &mut self.node),
        }
    }

    fn output(&mut self) -> Option<Option<Fault>> {
        self.machine.poll(&mut Vec::new()).map(fault_of)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.machine.deadline()
    }
}

impl One for WithStub<Pairing> {
    fn input(&mut self, now: Now, input: &Input) {
        match input {
            Input::Message(message) => {
                self.machine.message(now, borrowed(message), &mut self.node);
            }
            Input::Stored(good) => self
                .machine
                .stored(now, good.then_some(()).ok_or(NotStored)),
            _ => self.machine.tick(now),
        }
    }

    fn output(&mut self) -> Option<Option<Fault>> {
        self.machine.poll(&mut Vec::new()).map(fault_of)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.machine.deadline()
    }
}

fn establishment(now: Now, dials: bool) -> WithStub<Establishment<Nacl>> {
    let own = Arc::new(made_up("alice"));
    let (config, peer) = (
        EstablishConfig::default(),
        made_up("bob").instance_key().public(),
    );
    let (peer, random) = (peer.presented(), Random::new([3; 32]));
    let machine = if dials {
        Establishment::initiator(now, config, own, peer, random, Group::Chum)
    } else {
        Establishment::acceptor(now, config, own, peer, random)
    };
    WithStub {
        machine,
        node: Stub::default(),
    }
}

/// What bob says in an establishment, as far as it does not depend on what he is asked.
fn good_texts(dials: bool) -> Vec<Wire> {
    let bob = made_up("bob");
    let first = if dials {
        sync(true)
    } else {
        connection_group(&Group::Pairing, true)
    };
    vec![
        text(&first),
        text(&person_id_object(bob.person())),
        text(&keys_object(&bob.person_keys())),
        text(&instance_id_object(bob.instance())),
    ]
}

fn invitation_for(alice: &Identity) -> Invitation {
    let token = "T".repeat(64);
    let key = alice.instance_key().public().hex();
    let json = serde_json::json!({"token": token, "publicKey": key, "url": "ws://in.memory"});
    Invitation::read(&json.to_string()).expect("an invitation")
}

fn pairing(now: Now, dials: bool) -> WithStub<Pairing> {
    let (alice, bob) = (made_up("alice"), made_up("bob"));
    let peer = Established {
        group: Group::Pairing,
        person: bob.person().clone(),
        keys: bob.person_keys(),
        instance: bob.instance().clone(),
        peer: bob.instance_key().public().presented(),
        extensions: true,
    };
    let (config, node) = (PairingConfig::default(), Stub::accepting(&"T".repeat(64)));
    let own = Arc::new(alice.clone());
    let invitation = invitation_for(&bob);
    let machine = if dials {
        Pairing::initiator(now, config, own, peer, invitation.token())
    } else {
        Pairing::acceptor(now, config, own, peer)
    };
    WithStub { machine, node }
}

/// What bob says in a pairing.
fn good_pairing() -> Vec<Wire> {
    let token = "T".repeat(64);
    vec![
        text(&format!(
            r#"{{"command":"authentication_token","token":"{token}"}}"#
        )),
        text(&identity(&PeerIdentity::of(&made_up("bob"), None))),
    ]
}

// ---------------------------------------------------------------- session

impl One for Side {
    fn input(&mut self, now: Now, input: &Input) {
        match input {
            Input::Message(message) => {
                // A full machine has changed nothing and keeps nothing.
                let _ = self.session.message(now, borrowed(message), &mut self.node);
            }
            Input::Stored(good) => {
                let result = good.then_some(()).ok_or(NotStored);
                self.session.stored(now, result, &mut self.node);
            }
            Input::Closed(how) => self.session.closed(how.clone(), &mut self.node),
            Input::Time(_) | Input::Deadline => self.session.tick(now, &mut self.node),
            Input::NoPoll => drop(self.session.send(now, borrowed(&text("hello")))),
        }
    }

    fn output(&mut self) -> Option<Option<Fault>> {
        let output = self.session.poll(&mut Vec::new())?;
        if let Output::Event(SessionEvent::Close) = output {
            self.closes += 1;
        }
        Some(fault_of(output))
    }

    fn deadline(&self) -> Option<Deadline> {
        self.session.deadline()
    }
}

fn any_group() -> impl Strategy<Value = Group> {
    prop::sample::select(vec![Group::Pairing, Group::Chum])
}

/// Any moment, not only the beginning of time.
fn any_now() -> impl Strategy<Value = Now> {
    (0..1_000_000_000_u64, 0..2_000_000_000_000_u64).prop_map(|(mono, wall)| Now {
        mono: Micros(mono),
        wall: Millis(wall),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_initiator_takes_anything(now in any_now(), ready in any::<bool>(), inputs in any_inputs()) {
        let mut machine = initiator(now);
        if ready {
            machine.input(now, &Input::Message(text(&communication_ready())));
        }
        feed(&mut machine, now, &inputs)?;
    }

    #[test]
    fn an_acceptor_takes_anything(
        now in any_now(),
        asked in any::<bool>(),
        behind_a_relay in any::<bool>(),
        inputs in any_inputs(),
    ) {
        let mut machine = acceptor(now, if behind_a_relay { handed_over() } else { Arrival::Direct });
        if asked {
            let mut other = initiator(now);
            let mut bytes = Vec::new();
            other.poll(&mut bytes);
            let request = String::from_utf8(bytes).expect("a text");
            machine.input(now, &Input::Message(text(&request)));
        }
        feed(&mut machine, now, &inputs)?;
    }

    #[test]
    fn an_establishment_takes_anything(
        now in any_now(),
        dials in any::<bool>(),
        good in 0..5_usize,
        inputs in any_inputs(),
    ) {
        let mut machine = establishment(now, dials);
        for message in good_texts(dials).into_iter().take(good) {
            machine.input(now, &Input::Message(message));
        }
        feed(&mut machine, now, &inputs)?;
    }

    #[test]
    fn a_pairing_takes_anything(
        now in any_now(),
        dials in any::<bool>(),
        good in 0..3_usize,
        inputs in any_inputs(),
    ) {
        let mut machine = pairing(now, dials);
        for message in good_pairing().into_iter().skip(usize::from(dials)).take(good) {
            machine.input(now, &Input::Message(message));
        }
        feed(&mut machine, now, &inputs)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// At every point of a good session, on either side.
    #[test]
    fn a_session_takes_anything_at_any_point(
        now in any_now(),
        group in any_group(),
        steps in 0..25_usize,
        dials in any::<bool>(),
        inputs in any_inputs(),
    ) {
        let mut world = World::new(now, group, 5);
        world.steps(steps);
        let mut side = world.into_side(dials);
        let had_ended = side.closes;
        feed(&mut side, now, &inputs)?;
        prop_assert!(side.closes <= 1.max(had_ended), "the good end is told once");
    }

    /// And what is sealed well, but says anything.
    #[test]
    fn a_node_takes_anything_on_an_encrypted_connection(
        said in prop::collection::vec(any_message(), 1..12),
        good in 0..5_usize,
    ) {
        let now = Now { mono: Micros::secs(3), wall: Millis(77) };
        let node = Node::new(NodeConfig::new(made_up("alice")), [1; 32], now).expect("good");
        let mut bench = Bench::of(node);
        let own = made_up("bob").instance_key().used_as();
        let mut tester = Tester::connect(&mut bench, now, own, 9);
        for message in good_texts(false).iter().take(good).chain(&said) {
            tester.say(&mut bench, now, borrowed(message));
        }
        let ends = bench.count(|event| matches!(event, Event::Ended { .. }));
        prop_assert!(ends <= 1, "an end is told once");
        prop_assert_eq!(bench.count(|event| matches!(event, Event::Paired { .. })), 0);
        prop_assert_eq!(bench.node.contacts().count(), 0);
    }
}

/// A good session gets through, so that the properties above look at all of its steps.
#[test]
fn the_world_of_these_tests_pairs() {
    let mut world = World::new(Now::default(), Group::Pairing, 5);
    let mut seen = Vec::new();
    while world.step() {
        seen.push(world.acceptor.session.step());
    }
    assert!(
        seen.len() > 13 && seen.contains(&Step::ChallengeSent) && seen.contains(&Step::Identity)
    );
    assert!(world.initiator.contact.is_some() && world.acceptor.contact.is_some());
    assert_eq!((world.initiator.closes, world.acceptor.closes), (1, 0));
    let mut world = World::new(Now::default(), Group::Chum, 5);
    while world.step() {}
    assert_eq!(world.initiator.session.step(), Step::Connected);
    assert_eq!(world.acceptor.session.step(), Step::Connected);
}

// ---------------------------------------------------------------- node

#[derive(Clone, Debug)]
enum NodeInput {
    Accept,
    Opened(u64),
    Message(u64, Wire),
    Drained(u64),
    Closed(u64, Closed),
    Stored(u64, bool),
    Time(i64),
    Deadline,
    Invite(u64),
    Join,
    Listen(bool),
    Close(u64),
    Send(u64, Wire),
    RevokeAll,
    Connect,
    Poll,
    Shutdown,
}

fn any_node_input() -> impl Strategy<Value = NodeInput> {
    use NodeInput as I;
    let conn = || 0..6_u64;
    prop_oneof![
        3 => Just(I::Accept),
        3 => conn().prop_map(I::Opened),
        10 => (conn(), any_message()).prop_map(|(conn, message)| I::Message(conn, message)),
        2 => conn().prop_map(I::Drained),
        2 => (conn(), any_end()).prop_map(|(conn, how)| I::Closed(conn, how)),
        2 => (0..4_u64, any::<bool>()).prop_map(|(id, good)| I::Stored(id, good)),
        3 => (-5_000_000..60_000_000_i64).prop_map(I::Time),
        4 => Just(I::Deadline),
        2 => (0..100_000_000_u64).prop_map(I::Invite),
        1 => Just(I::Join),
        2 => any::<bool>().prop_map(I::Listen),
        1 => conn().prop_map(I::Close),
        1 => (conn(), any_message()).prop_map(|(conn, message)| I::Send(conn, message)),
        1 => Just(I::RevokeAll),
        1 => Just(I::Connect),
        6 => Just(I::Poll),
        1 => Just(I::Shutdown),
    ]
}

fn node_input(node: &mut Node<Nacl>, now: Now, input: &NodeInput) {
    use NodeInput as I;
    match input {
        I::Accept => drop(node.accept(now, Source::Unknown)),
        I::Opened(conn) => node.opened(now, ConnId(*conn)),
        I::Message(conn, message) => drop(node.message(now, ConnId(*conn), borrowed(message))),
        I::Drained(conn) => node.drained(now, ConnId(*conn)),
        I::Closed(conn, how) => node.closed(now, ConnId(*conn), how.clone()),
        I::Stored(id, good) => {
            node.stored(now, StoreId(*id), good.then_some(()).ok_or(NotStored));
        }
        I::Time(_) | I::Deadline => node.tick(now),
        I::Invite(life) => drop(node.invite(now, Micros(*life), "ws://in.memory")),
        I::Join => drop(node.join(now, &invitation_for(&made_up("bob")))),
        I::Listen(on) => drop(node.listen(now, on.then_some("wss://relay.example"))),
        I::Close(conn) => node.close(now, ConnId(*conn)),
        I::Send(conn, message) => drop(node.send(now, ConnId(*conn), borrowed(message))),
        I::RevokeAll => drop(node.revoke_all(now)),
        I::Connect => drop(node.connect(now, made_up("bob").person_id(), Group::Chum)),
        I::Shutdown => node.shutdown(now),
        I::Poll => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_node_takes_anything(
        start in any_now(),
        inputs in prop::collection::vec(any_node_input(), 0..50),
    ) {
        let config = NodeConfig::new(made_up("alice"));
        let mut node = Node::<Nacl>::new(config, [4; 32], start).expect("good");
        let (mut now, mut latest) = (start, start.mono);
        let (mut dialled, mut accepted, mut ended) = (Vec::new(), 0, Vec::new());
        for input in &inputs {
            match input {
                NodeInput::Time(by) => now.mono.0 = now.mono.0.saturating_add_signed(*by),
                NodeInput::Deadline => now.mono = node.deadline().map_or(now.mono, |due| due.at),
                _ => {}
            }
            latest = latest.max(now.mono);
            accepted += usize::from(matches!(input, NodeInput::Accept));
            node_input(&mut node, now, input);
            prop_assert_eq!(node.self_check(), Ok(()), "after {:?}", input);
            if matches!(input, NodeInput::Time(_) | NodeInput::Deadline)
                && let Some(next) = node.deadline()
            {
                prop_assert!(next.at > latest, "a tick at the deadline moves it");
            }
            if !matches!(input, NodeInput::Poll) {
                continue;
            }
            let mut bytes = Vec::new();
            while let Some(effect) = node.poll(&mut bytes) {
                match effect {
                    Effect::Dial { conn, .. } => dialled.push(conn),
                    Effect::Event(Event::Ended { conn, .. }) => ended.push(conn),
                    Effect::Close { reason, .. } => prop_assert!(reason.len() <= 123),
                    _ => {}
                }
            }
        }
        let told = ended.len();
        ended.sort_unstable();
        ended.dedup();
        prop_assert_eq!(ended.len(), told, "each connection ends once");
        prop_assert!(told <= dialled.len() + accepted);
        prop_assert_eq!(node.contacts().count(), 0, "nobody is paired by rubbish");
        let same = node.clone();
        prop_assert!(same == node);
    }
}

//! Two routes into one state compare equal, and hash alike: what does not change what a machine does from now on does
//! not count. And where something does change it, they differ.

mod support;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use chumwire::channel::Channel;
use chumwire::crypto::{Nacl, Random, Secret};
use chumwire::establish::Group;
use chumwire::io::{Closed, Machine, Message, Source};
use chumwire::node::{Node, NodeConfig};
use chumwire::role::Role;
use chumwire::session::Session;
use chumwire::time::{Micros, Millis, Now};
use proptest::prelude::*;
use support::bench::{Bench, Tester};
use support::people::made_up;
use support::world::World;

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn is_one_state<T: Eq + Hash>(one: &T, two: &T) -> bool {
    one == two && hash(one) == hash(two)
}

fn at(mono: u64) -> Now {
    Now {
        mono: Micros(mono),
        wall: Millis(1_000_000 + mono / 1000),
    }
}

// ---------------------------------------------------------------- channel

fn ends(start: u64, seed: u8) -> (Channel<Nacl>, Channel<Nacl>) {
    let end = |role, seed: u8| {
        let (key, random) = (Secret::take(&mut [7; 32]), Random::new([seed; 32]));
        Channel::from_session_key(at(start), key, role, random, Default::default())
    };
    (end(Role::Initiator, 200), end(Role::Acceptor, seed))
}

/// One hears three messages of the other and says nothing.
fn hears(start: u64, seed: u8, read_at_once: bool, messages: usize) -> Channel<Nacl> {
    let (mut from, mut to) = ends(start, seed);
    let mut frame = Vec::new();
    for _ in 0..messages {
        from.send(at(start), Message::Text("hello")).expect("room");
        from.poll::<()>(&mut frame);
        to.message(at(start + 5), Message::Binary(&frame))
            .expect("room");
        if read_at_once {
            to.received();
        }
    }
    while to.received().is_some() {}
    to
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn channels_are_one_state_whenever_they_began(start in 0..u64::from(u32::MAX), seed in any::<u8>()) {
        let one = hears(0, 1, true, 3);
        prop_assert!(is_one_state(&one, &hears(start, 1, true, 3)));
        prop_assert!(is_one_state(&one, &hears(start, 1, false, 3)), "buffers do not count");
        prop_assert!(is_one_state(&one, &hears(0, seed, true, 3)), "the generator does not count");
        prop_assert!(one != hears(0, 1, true, 2), "the counter does");
        let mut later = hears(start, 1, true, 3);
        later.tick(at(start + 1_000_000));
        prop_assert!(one != later, "the time that has passed does");
    }
}

// ---------------------------------------------------------------- session

fn session(start: u64, seed: u8, dials: bool, steps: usize) -> Session<Nacl> {
    let mut world = World::new(at(start), Group::Pairing, seed);
    world.now.mono = Micros(start + 1_000);
    world.steps(steps);
    world.into_side(dials).session
}

#[test]
fn sessions_are_one_state_whenever_they_began() {
    for dials in [true, false] {
        for steps in 0..18 {
            let one = session(0, 1, dials, steps);
            for start in [1, 1_000_000, 90_000_000_000] {
                let two = session(start, 1, dials, steps);
                assert!(is_one_state(&one, &two), "{dials} {steps}");
            }
        }
    }
}

#[test]
fn a_session_is_another_one_after_each_step() {
    for dials in [true, false] {
        let mut states: Vec<Session<Nacl>> = Vec::new();
        for steps in 0..18 {
            let next = session(0, 1, dials, steps);
            if states.last() != Some(&next) {
                assert!(!states.contains(&next), "{dials} {steps}: no way back");
                states.push(next);
            }
        }
        assert!(states.len() > 6);
    }
}

#[test]
fn the_rest_of_a_time_limit_counts() {
    let one = session(0, 1, true, 2);
    let mut later = session(0, 1, true, 2);
    later.tick(at(2_000_000), &mut support::stub::Stub::default());
    assert!(one != later);
}

// ---------------------------------------------------------------- node

fn node(start: u64, seed: u8) -> Bench {
    let config = NodeConfig::new(made_up("alice"));
    Bench::of(Node::new(config, [seed; 32], at(start)).expect("good"))
}

/// A stranger comes, says something wrong, and is gone.
fn a_stranger_fails(bench: &mut Bench, now: u64) {
    let conn = bench.accept(at(now));
    bench.message(at(now), conn, Message::Text("hello"));
    bench.node.closed(
        at(now),
        conn,
        Closed::ByPeer {
            code: 1000,
            reason: String::new(),
        },
    );
    bench.drain(at(now));
}

/// Bob has come as far as `connection_group`.
fn with_bob(bench: &mut Bench, now: u64, seed: u8) {
    let own = made_up("bob").instance_key().used_as();
    let mut tester = Tester::connect(bench, at(now), own, seed);
    let group = r#"{"command":"connection_group","connectionGroupName":"pairing"}"#;
    tester.say(bench, at(now), Message::Text(group));
    tester.hear(bench, at(now));
}

#[test]
fn nodes_are_one_state_whenever_they_began_and_whoever_was_there_before() {
    let fresh = || {
        let mut bench = node(0, 1);
        with_bob(&mut bench, 500, 3);
        bench.node
    };
    let one = fresh();
    assert!(is_one_state(&one, &fresh()));

    let mut elsewhere = node(7_000_000, 1);
    with_bob(&mut elsewhere, 7_000_500, 3);
    assert!(
        is_one_state(&one, &elsewhere.node),
        "the clock's zero point does not count"
    );

    // The generator has moved on, and connections have other numbers.
    let mut visited = node(0, 1);
    a_stranger_fails(&mut visited, 100);
    let quiet = node(100, 1);
    assert!(
        is_one_state(&visited.node, &quiet.node),
        "a stranger leaves nothing behind"
    );
    let mut one = visited.node.clone();
    let mut two = quiet.node;
    for node in [&mut one, &mut two] {
        node.accept(at(200), Source::Unknown).expect("room");
    }
    assert!(
        is_one_state(&one, &two),
        "numbers of connections do not count"
    );
    two.accept(at(200), Source::Unknown).expect("room");
    assert!(one != two, "how many there are does");
}

#[test]
fn an_invitation_counts_and_so_does_its_time() {
    let life = Micros::secs(60);
    let invited = |start: u64, after: u64| {
        let mut bench = node(start, 1);
        bench
            .node
            .invite(at(start), life, "ws://in.memory")
            .expect("one more");
        bench.drain(at(start));
        bench.node.tick(at(start + after));
        bench.node
    };
    let one = invited(0, 1_000_000);
    assert!(is_one_state(&one, &invited(0, 1_000_000)));
    assert!(one != invited(0, 2_000_000), "it has less time left");
    assert!(one != node(1_000_000, 1).node);
}

#[test]
fn what_waits_to_be_polled_counts() {
    let mut one = node(0, 1).node;
    let two = one.clone();
    let conn = one.accept(at(0), Source::Unknown).expect("room");
    one.message(at(0), conn, Message::Text("hello"))
        .expect("room");
    assert!(one != two);
    let mut bytes = Vec::new();
    while one.poll(&mut bytes).is_some() {}
    one.closed(at(0), conn, Closed::Lost(String::new()));
    while one.poll(&mut bytes).is_some() {}
    assert!(is_one_state(&one, &two));
}

//! What a stranger can make a machine hold, and what one message may cost, while nobody polls: counted allocations at
//! every point of a good session, on a channel, at a listener, and at a whole node and relay.

mod support;

use std::alloc::System;

use chumwire::channel::{Channel, ChannelConfig};
use chumwire::contact::Contact;
use chumwire::crypto::{KeyPair, Nacl, Purpose, Random, Secret};
use chumwire::establish::Group;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Output, Source};
use chumwire::limits;
use chumwire::node::{Node, NodeConfig};
use chumwire::relay::{Registration, Relay, RelayConfig, wire};
use chumwire::role::Role;
use chumwire::time::{Micros, Millis, Now};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::bench::{Wire, borrowed};
use support::people::made_up;
use support::world::World;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a machine needs beyond the messages that it keeps: states, queues of short texts, and room to grow.
const OWN: usize = 64 * 1024;

/// The same of a node or relay, whose queue of effects doubles when it grows.
const QUEUE: usize = limits::EFFECTS * 1_024;

fn held(region: &Region<System>) -> usize {
    let change = region.change();
    change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated)
}

/// Gives a message; what that allocates for a while is some times its length, and a bit. A text may unfold: `0,` is a
/// JSON value in a list that grows.
fn give(message: &Wire, own: usize, mut give: impl FnMut(Message<'_>)) {
    let region = Region::new(ALLOCATOR);
    give(borrowed(message));
    let cost = region.change().bytes_allocated;
    let unfolds = if message.0 == Kind::Text { 24 } else { 4 };
    let most = unfolds * message.1.len() + own;
    assert!(cost <= most, "{cost} for {} bytes", message.1.len());
}

/// Messages of all lengths that matter, right and wrong ones, and such as unfold.
fn hostile() -> Vec<Wire> {
    let text = |text: String| (Kind::Text, text.into_bytes());
    let nested = |open: &str, most: usize| open.repeat(most / open.len());
    let mut messages = vec![
        text(wire::ping()),
        text(wire::connection_handover()),
        text(wire::pong()),
        text(r#"{"command":"communication_ready"}"#.into()),
        text(nested("[", limits::CONTROL)),
        text(nested("{\"a\":", limits::CONTROL)),
        text(format!("[{}0]", nested("0,", limits::CONTROL - 4))),
        text("x".repeat(70_000)),
        text(String::new()),
    ];
    let lengths = [0, 16, 72, 104, 1_000, limits::FRAME, limits::FRAME + 1];
    messages.extend(lengths.map(|length| (Kind::Binary, vec![7; length])));
    messages
}

/// One test, since all threads share the allocator.
#[test]
fn a_flood_stays_within_the_bounds() {
    sessions();
    for window in [0, limits::REORDER_WINDOW] {
        channels(window);
    }
    listeners();
    nodes();
    dialling(None);
    dialling(Some("ws://relay.example"));
    relays();
}

/// At every point of a good session, on either side: each hostile message first, then all of them, again and again.
fn sessions() {
    let bound = limits::EARLY_BYTES + OWN;
    for dials in [true, false] {
        for steps in 0..22 {
            let mut world = World::new(Now::default(), Group::Pairing, 5);
            world.steps(steps);
            let (now, side) = (world.now, world.into_side(dials));
            for first in hostile() {
                let mut side = side.clone();
                let region = Region::new(ALLOCATOR);
                for message in [&first].into_iter().chain(&hostile()) {
                    let session = &mut side.session;
                    give(message, OWN, |message| {
                        let _ = session.message(now, message, &mut side.node);
                    });
                }
                // What the lists of messages themselves take is given back.
                let held = held(&region);
                assert!(held <= bound, "{held} of {bound} after {steps} steps");
            }
        }
    }
}

/// Well sealed: an authenticated peer that sends what is never whole, and never stops; nobody pulls.
fn channels(window: usize) {
    let mut config = ChannelConfig::default();
    config.reorder_window = window;
    config.max_message = 512 * 1024;
    // A message that grows has room to grow.
    let bound = 2 * config.max_message + config.max_queued + config.max_held + limits::FRAME + OWN;
    let end = |role: Role, config: &ChannelConfig| {
        let (key, random) = (Secret::take(&mut [7; 32]), Random::new([3; 32]));
        Channel::<Nacl>::from_session_key(Now::default(), key, role, random, config.clone())
    };
    for message in [
        Message::Text("fragmentation_start_binary"),
        Message::Binary(&[1; limits::FRAGMENT]),
        Message::Binary(&[]),
    ] {
        for skips in [false, true] {
            let mut unbounded = config.clone();
            unbounded.max_queued = usize::MAX;
            let (mut from, mut to) = (
                end(Role::Initiator, &unbounded),
                end(Role::Acceptor, &config),
            );
            let (mut frame, mut full) = (Vec::new(), 0);
            let region = Region::new(ALLOCATOR);
            let mut count = 0;
            while full < 3 && count < 300 {
                from.send(Now::default(), message).expect("room");
                while from.has_frames() {
                    let sent: Option<Output<()>> = from.poll(&mut frame);
                    assert!(sent.is_some());
                    count += 1;
                    // The first one never comes: all others are held.
                    if !(skips && count == 1) {
                        let arrived = to.message(Now::default(), Message::Binary(&frame));
                        full += usize::from(arrived.is_err());
                    }
                }
                assert!(held(&region) <= bound, "{} of {bound}", held(&region));
            }
        }
    }
}

fn listeners() {
    let mut random = Random::new([1; 32]);
    let key = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let now = Now::default();
    let region = Region::new(ALLOCATOR);
    let mut listener = Registration::<Nacl>::new(now, key, random, limits::STEP, true);
    for _ in 0..50 {
        for message in hostile() {
            give(&message, OWN, |message| {
                let _ = listener.message(now, message);
            });
        }
    }
    assert!(held(&region) <= OWN, "{}", held(&region));
}

/// Strangers come, say something and go; nobody polls.
fn nodes() {
    let mut config = NodeConfig::new(made_up("alice"));
    config.half_open = 4;
    config.max_connections = 8;
    let mut now = Now::default();
    let mut node = Node::<Nacl>::new(config, [1; 32], now).expect("good");
    // Each effect is an event or a short text.
    let bound = 4 * (limits::EARLY_BYTES + OWN) + limits::EFFECTS * 1_024;
    let messages = hostile();
    let region = Region::new(ALLOCATOR);
    let mut conns: Vec<ConnId> = Vec::new();
    for round in 0..40_000 {
        now.mono = now.mono + Micros(10);
        conns.extend(node.accept(now, Source::Unknown));
        for conn in conns.drain(..) {
            give(&messages[round % messages.len()], QUEUE, |message| {
                let _ = node.message(now, conn, message);
            });
            node.closed(now, conn, Closed::Lost(String::new()));
        }
        assert!(held(&region) <= bound, "{} of {bound}", held(&region));
    }
    assert_eq!(node.self_check(), Ok(()));
}

/// A node dials a contact or a relay for ever, nothing answers, and nobody polls; when somebody does, it is dialled
/// again.
fn dialling(relay: Option<&str>) {
    let bob = made_up("bob");
    let mut config = NodeConfig::new(made_up("alice"));
    config.contacts = vec![Contact::of(&bob, Some("ws://bob.example"), Millis(0))];
    let mut now = Now::default();
    let mut node = Node::<Nacl>::new(config, [1; 32], now).expect("good");
    if relay.is_some() {
        node.listen(now, relay).expect("good");
    } else {
        let connected = node.connect(now, bob.person_id(), Group::Chum);
        connected.expect("known");
    }
    let mut next = |node: &mut Node<Nacl>| {
        let next = node.deadline().expect("it tries again");
        assert!(next.at > now.mono, "{next:?} at {now:?}");
        now.mono = next.at;
        node.tick(now);
    };
    let dials = |node: &mut Node<Nacl>| {
        let effects = std::iter::from_fn(|| node.poll(&mut Vec::new()));
        effects
            .filter(|effect| matches!(effect, Effect::Dial { .. }))
            .count()
    };
    let region = Region::new(ALLOCATOR);
    for _ in 0..10 * limits::EFFECTS {
        next(&mut node);
        assert!(held(&region) <= QUEUE, "{} of {QUEUE}", held(&region));
    }
    assert_eq!(node.self_check(), Ok(()));
    assert!(dials(&mut node) > 1_000);
    // What was dialled last is given up, and then it is time.
    let again = (0..9).any(|_| {
        next(&mut node);
        dials(&mut node) > 0
    });
    assert!(again, "{relay:?}");
}

/// The same at a relay.
fn relays() {
    let mut config = RelayConfig::default();
    config.connections = 8;
    config.effects = 64;
    let mut now = Now::default();
    let pool = limits::RELAY_POOL + config.effects * limits::CONTROL;
    let bound = config.connections * (config.held + config.backlog) + pool;
    let mut relay = Relay::<Nacl>::new(config, [1; 32], now);
    let messages = hostile();
    let region = Region::new(ALLOCATOR);
    let mut conns: Vec<ConnId> = Vec::new();
    for round in 0..10_000 {
        now.mono = now.mono + Micros(10);
        conns.extend(relay.accept(now, Source::Unknown));
        for conn in conns.drain(..) {
            for message in messages.iter().skip(round % messages.len()).take(2) {
                give(message, QUEUE, |message| {
                    let _ = relay.message(now, conn, message);
                });
            }
            relay.closed(now, conn, Closed::Lost(String::new()));
        }
        assert!(held(&region) <= bound, "{} of {bound}", held(&region));
    }
    assert_eq!(relay.self_check(), Ok(()));
}

//! `Full` changes nothing: a machine that has no room is the same before and after, however often it is asked, and takes
//! the message when there is room again.

mod support;

use chumwire::channel::{Channel, ChannelConfig, SendError};
use chumwire::crypto::{Nacl, Random, Secret};
use chumwire::establish::Group;
use chumwire::io::{Closed, Effect, Full, Machine, Message, Output, Source};
use chumwire::node::{Node, NodeConfig};
use chumwire::role::Role;
use chumwire::time::{Micros, Now};
use support::bench::{Wire, borrowed};
use support::people::made_up;
use support::world::World;

fn channel(role: Role, window: usize) -> Channel<Nacl> {
    let mut config = ChannelConfig::default();
    config.reorder_window = window;
    let (key, random) = (Secret::take(&mut [7; 32]), Random::new([3; 32]));
    Channel::from_session_key(Now::default(), key, role, random, config)
}

#[test]
fn a_channel_without_room_stays_as_it_is() {
    let now = Now::default();
    for window in [0, 8] {
        let (mut from, mut to) = (
            channel(Role::Initiator, window),
            channel(Role::Acceptor, window),
        );
        let (mut frame, message) = (Vec::new(), [5; 30_000]);
        loop {
            from.send(now, Message::Binary(&message)).expect("room");
            let polled: Option<Output<()>> = from.poll(&mut frame);
            assert!(polled.is_some());
            let before = to.clone();
            if to.message(now, Message::Binary(&frame)) == Err(Full) {
                assert!(before == to, "nothing has changed");
                break;
            }
        }
        while to.received().is_some() {}
        assert_eq!(to.message(now, Message::Binary(&frame)), Ok(()));
        assert_eq!(to.received(), Some(Message::Binary(&message)));
        // The same of what is to be sent.
        loop {
            let before = from.clone();
            if let Err(error) = from.send(now, Message::Binary(&message)) {
                assert_eq!(error, SendError::Full(Full));
                assert!(before == from, "nothing has changed");
                break;
            }
        }
    }
}

#[test]
fn a_session_without_room_stays_as_it_is() {
    let mut world = World::new(Now::default(), Group::Chum, 5);
    while world.step() {}
    let now = world.now;
    let (mut from, mut to) = (world.initiator, world.acceptor);
    let message = [5; 30_000];
    let mut refused: Option<Wire> = None;
    while refused.is_none() {
        let sent = from.session.send(now, Message::Binary(&message));
        sent.expect("room");
        for frame in from.drain(now) {
            let before = to.session.clone();
            let taken = to.session.message(now, borrowed(&frame), &mut to.node);
            if taken == Err(Full) {
                assert!(before == to.session, "nothing has changed");
                refused = Some(frame);
            }
        }
    }
    let heard = to.received.len();
    to.drain(now);
    let before = to.received.len();
    assert!(before > heard, "what had room is heard");
    let frame = refused.expect("there is one");
    let taken = to.session.message(now, borrowed(&frame), &mut to.node);
    assert_eq!(taken, Ok(()));
    to.drain(now);
    assert_eq!(to.received.len(), before + 1);
}

/// Strangers come and go until there is no room: one that has stayed is told to wait, once, and then to go on.
#[test]
fn a_node_without_room_stays_as_it_is() {
    let mut now = Now::default();
    let config = NodeConfig::new(made_up("alice"));
    let mut node = Node::<Nacl>::new(config, [1; 32], now).expect("good");
    let stays = node.accept(now, Source::Unknown).expect("room");
    while let Some(conn) = node.accept(now, Source::Unknown) {
        now.mono = now.mono + Micros(1);
        node.closed(now, conn, Closed::Lost(String::new()));
    }
    let message = Message::Text("x");
    assert_eq!(node.message(now, stays, message), Err(Full));
    let once = node.clone();
    for _ in 0..10 {
        assert_eq!(node.message(now, stays, message), Err(Full));
        assert!(once == node, "nothing has changed");
    }
    let (mut bytes, mut told) = (Vec::new(), Vec::new());
    while let Some(effect) = node.poll(&mut bytes) {
        assert_eq!(node.self_check(), Ok(()));
        match effect {
            Effect::Pause(conn) => told.push((conn, false)),
            Effect::Resume(conn) => told.push((conn, true)),
            _ => {}
        }
    }
    assert_eq!(told, [(stays, false), (stays, true)]);
    assert_eq!(node.message(now, stays, message), Ok(()));
    assert!(node.accept(now, Source::Unknown).is_some(), "there is room");
}

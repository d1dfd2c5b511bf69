//! What is shared arrives on the connections of whole instances, and contacts see what they may.

use chumwire::chum::{ChumEvent, Presence, SyncEvent};
use chumwire::establish::Group;
use chumwire::node::Event;
use chumwire::objects::{Object, ObjectHash, Recipes, Reference};
use chumwire::time::Micros;

use crate::world::World;

const ALICE: usize = 0;
const BOB: usize = 1;

/// Bob has something, and lets Alice have it.
fn share(world: &mut World, key: u8) -> ObjectHash {
    let alice = world.peers[ALICE].person();
    let key = chumwire::hex::encode(&[key; 32]);
    let store = &mut world.peers[BOB].store;
    let hash = store.put(
        &Recipes::known(),
        &Object::new("EncryptionKey").with("key", key),
    );
    let hash = hash.expect("its recipe is known");
    store.share(Reference::Object(hash), alice);
    hash
}

fn has(world: &World, hash: ObjectHash) -> bool {
    world.peers[ALICE].store.presence(&Reference::Object(hash)) == Presence::Stored
}

#[test]
fn what_is_shared_arrives_and_the_end_is_told_by_the_chum_first() {
    let mut world = World::paired();
    world.run(Micros::secs(1));
    let (alice, bob) = (world.peers[ALICE].person(), world.peers[BOB].person());
    let first = share(&mut world, 1);
    let connected = world.call(ALICE, |machine, now| {
        machine.node_mut().connect(now, bob, Group::Chum)
    });
    connected.expect("an address");
    world.run(Micros::secs(3));
    assert!(has(&world, first));
    let (conn, with, _) = world.peers[ALICE].machine.chums().next().expect("a CHUM");
    assert_eq!(with, bob);
    // What is granted while they are connected is told at once, to whom it is granted.
    let second = share(&mut world, 2);
    world.call(BOB, |machine, now| machine.granted(now, bob));
    assert!(!has(&world, second));
    world.call(BOB, |machine, now| machine.granted(now, alice));
    assert!(has(&world, second));
    // What is not told is found by who looks.
    let third = share(&mut world, 3);
    world.call(ALICE, |machine, now| machine.poll_roots(now));
    assert!(has(&world, third));
    world.call(ALICE, |machine, now| machine.policy_changed(now));
    let fourth = share(&mut world, 4);
    world.run(Micros::secs(10));
    assert!(has(&world, fourth));
    for i in [ALICE, BOB] {
        world.peers[i].told.clear();
    }
    world.call(ALICE, |machine, now| machine.node_mut().close(now, conn));
    for i in [ALICE, BOB] {
        let ends: Vec<_> = world.peers[i]
            .told
            .iter()
            .filter_map(|(_, event)| match event {
                SyncEvent::Chum {
                    event: ChumEvent::Ended { .. },
                    ..
                } => Some("chum"),
                SyncEvent::Node(Event::Ended { .. }) => Some("node"),
                _ => None,
            })
            .collect();
        assert_eq!(ends[..2], ["chum", "node"], "{ends:?}");
    }
}

#[test]
fn a_contact_is_shown_what_it_may_see() {
    let mut world = World::paired();
    world.run(Micros::secs(1));
    let bob = world.peers[BOB].person();
    share(&mut world, 1);
    share(&mut world, 2);
    let connected = world.call(ALICE, |machine, now| {
        machine.node_mut().connect(now, bob, Group::Debug)
    });
    connected.expect("an address");
    world.run(Micros::secs(2));
    let seen = world.peers[ALICE]
        .told
        .iter()
        .find_map(|(_, event)| match event {
            SyncEvent::Accessible { person, roots } => Some((*person, roots.len())),
            _ => None,
        });
    assert_eq!(seen, Some((bob, 2)));
}

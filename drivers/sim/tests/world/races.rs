//! What goes wrong and is no row of the catalogue: how it looks from outside, and a quirk of the double.

use chumwire::fault::Why;
use chumwire::io::{Closed, Kind};
use chumwire::step::Step;
use chumwire::time::Micros;
use chumwire_sim::deployed::DeployedConfig;
use chumwire_sim::stranger::Stranger;
use chumwire_sim::{Insecure, Side, World};

use crate::common::{LONG, Who, config, ends, jittery, join, last_code};

/// Demands: M0.4.
#[test]
fn from_outside_all_bad_frames_look_alike() {
    let text = r#"{"command":"connection_group","connectionGroupName":"pairing"}"#;
    for length in [0, 1, 15, 16, 17, 40, usize::MAX] {
        let mut world = jittery::<Insecure>(10);
        let puppet = world.add_puppet("mallory");
        let alice = world.add_node("alice", config::<Insecure>("alice"), None);
        let key = *world.node(alice).identity().instance_key().public().bytes();
        let stranger = Stranger::dials(&mut world, puppet, "ws://alice", &key);
        let mut stranger = stranger.expect("it shakes hands");
        let mut frame = stranger.seals(text);
        frame.truncate(length);
        if length == usize::MAX {
            *frame.last_mut().expect("bytes") ^= 1;
        }
        stranger.sends(&mut world, &frame).expect("it sends");
        world.run_for(Micros::millis(500)).expect("no violation");
        let due = if length < 17 {
            "frame_too_short"
        } else {
            "bad_frame"
        };
        assert_eq!(last_code(&world, alice), Some(due));
        let closed = Closed::ByPeer {
            code: 1000,
            reason: "Close called: Establishment failed.".into(),
        };
        assert_eq!(world.puppet(puppet).end_of(stranger.conn), Some(&closed));
    }
}

#[test]
fn queue_of_ten() {
    // The quirk by which the double closes: eleven messages that nobody reads.
    let mut world = jittery::<Insecure>(18);
    let bob = world.add_deployed("bob", DeployedConfig::new("bob@example.org", "browser"));
    let alice = world.add_node("alice", config::<Insecure>("alice"), None);
    let invitation = world.on_deployed(bob, |double, now| double.invite(now, "ws://bob"));
    join(&mut world, alice, Who::Ours, &invitation);
    let thinking = |world: &World<Insecure>| world.deliveries() == 3;
    assert!(world.run_until(LONG, thinking).expect("no violation"));
    let (link, _) = world.last_delivery().expect("one");
    // While it works on the key message it queues what comes, unopened; then it hangs.
    world.inject(link, Side::Listener, Kind::Binary, &[1; 100]);
    world.run_for(Micros::secs(5)).expect("no violation");
    assert!(ends(&world, alice).is_empty());
    world.run_for(Micros::secs(6)).expect("no violation");
    let (_, fault) = ends(&world, alice).pop().expect("ours gives up");
    assert_eq!(fault, Some(Why::Timeout.at(Step::Sync)));
}

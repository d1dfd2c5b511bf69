//! A crash between an invitation and its use.

use chumwire::time::Micros;
use chumwire_sim::{Insecure, StoreFault};

use crate::common::{Meeting, Via, Who, jittery, pairings, watch};

#[test]
fn an_invitation_is_there_after_a_crash_if_it_was_stored() {
    for (fault, works) in [
        (StoreFault::CrashBefore, false),
        (StoreFault::CrashAfter, true),
    ] {
        let mut meeting = Meeting::<Insecure>::new(jittery(23), Via::Relay, Who::Ours, Who::Ours);
        let id = meeting.inviter.0;
        watch(&mut meeting.world, id);
        meeting
            .world
            .run_for(Micros::millis(50))
            .expect("no violation");
        let n = meeting.world.store(id).writes();
        meeting.world.store_mut(id).fail_at(n, fault);
        let invitation = meeting.invite(Micros::secs(60));
        meeting
            .world
            .run_for(Micros::millis(50))
            .expect("no violation");
        assert!(!meeting.world.is_up(id));
        meeting.world.restart(id);
        meeting
            .world
            .run_for(Micros::secs(1))
            .expect("no violation");
        meeting.join_with(&invitation);
        assert_eq!(
            meeting
                .world
                .run_until(Micros::secs(20), |world| pairings(world, id) == 1)
                .expect("no violation"),
            works,
            "{fault:?}"
        );
    }
}

//! Parties whose clocks are not those of the world.

use chumwire::time::Micros;
use chumwire_sim::{Insecure, Skew};

use crate::common::{Meeting, Via, Who, jittery};

fn meeting(seed: u64) -> Meeting<Insecure> {
    Meeting::new(jittery(seed), Via::Relay, Who::Ours, Who::Ours)
}

#[test]
fn skewed_clocks_pair_and_stay_online() {
    for seed in 0..20 {
        let mut meeting = meeting(seed);
        for (party, mono, ppm) in [
            (meeting.inviter.0, 5_000_000, 300),
            (meeting.joiner.0, 86_400_000_000, -300),
        ] {
            let skew = Skew { mono, ppm, wall: 0 };
            meeting.world.skew(party, skew);
        }
        // The jump itself makes everything due that was to come within it.
        meeting
            .world
            .run_for(Micros::secs(60))
            .expect("no violation");
        assert!(
            meeting.world.node(meeting.inviter.0).is_online(),
            "seed {seed}"
        );
        meeting.invitation = meeting.invite(Micros::secs(60));
        meeting.join();
        assert!(meeting.pair(), "seed {seed}");
    }
}

#[test]
fn a_clock_that_goes_back_is_harmless() {
    for seed in 0..20 {
        let mut meeting = meeting(seed);
        meeting.join();
        for back in [-1, -1_000, -30_000] {
            meeting.world.jump_mono(meeting.joiner.0, back);
            meeting
                .world
                .run_for(Micros::millis(20))
                .expect("no violation");
        }
        assert!(meeting.pair(), "seed {seed}");
    }
}

#[test]
fn a_wall_clock_that_jumps_ends_an_invitation_and_nothing_else() {
    let mut meeting = meeting(1);
    meeting.world.jump_wall_of(meeting.inviter.0, 61_000);
    meeting.join();
    assert!(!meeting.pair());
    meeting.invitation = meeting.invite(Micros::secs(60));
    meeting.join();
    assert!(meeting.pair());
}
